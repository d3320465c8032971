//! Rooms.
//! <https://spec.matrix.org/v1.18/client-server-api/#rooms-1>

mod aliases;
mod create;
mod membership;
mod read;
mod receipts;
mod relations;
mod report;
mod send;
mod state;
mod tags;
mod upgrade;

use std::sync::Arc;

use http::Method;
use reeve_app::{Answer, Call, Endpoint, MatrixError, Route};
use reeve_db::ReadTx;
use reeve_model::Token;
use reeve_model::encoding::hex;
use reeve_rooms::view::{RoomView, View, Viewer};
use reeve_rooms::{Error, Home, Room};
use reeve_store::rooms;
use ruma::api::client::filter::RoomEventFilter;

pub(crate) fn routes() -> Vec<Route> {
    let groups = [
        aliases::routes(),
        create::routes(),
        membership::routes(),
        read::routes(),
        receipts::routes(),
        relations::routes(),
        report::routes(),
        send::routes(),
        state::routes(),
        tags::routes(),
        upgrade::routes(),
    ];
    groups.into_iter().flatten().collect()
}

/// Makes an endpoint at `/_matrix/client/v3` and, for older clients, at `/_matrix/client/r0`.
pub(crate) fn v3<F, Fut>(method: Method, path: &str, handler: F) -> Endpoint
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    Route::of(method, &format!("/_matrix/client/v3/{path}"), handler)
        .also(&format!("/_matrix/client/r0/{path}"))
}

/// Returns the viewer, for the rules of visibility.
pub(crate) fn viewer(call: &Call) -> Result<Viewer, MatrixError> {
    let session = call.session()?;
    Ok(Viewer {
        user_id: session.user.user_id.clone(),
        user_num: session.user.num,
        device_id: device_key(call)?,
    })
}

/// Returns the device of the session. A session without a device, such as that of a login-as token, counts as its own
/// device.
pub(crate) fn device_key(call: &Call) -> Result<String, MatrixError> {
    let session = call.session()?;
    Ok(session.device_id.clone().unwrap_or_else(|| {
        let (begin, _) = session.token_hash.split_at(8);
        format!("session/{}", hex(begin))
    }))
}

pub(crate) fn home(call: &Call) -> Arc<Home> {
    Arc::clone(&call.app.home)
}

/// Returns the error for a value in a body that is not a string.
pub(crate) fn not_text(name: &str) -> MatrixError {
    MatrixError::bad_json(format!("Param '{name}' must be a string"))
}

/// Returns a paging token in the query.
pub(crate) fn token(call: &Call, name: &str) -> Result<Option<Token>, MatrixError> {
    let Some(text) = call.query.utf8(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    Token::parse(&text)
        .map(Some)
        .ok_or_else(|| MatrixError::invalid_param(format!("Invalid token: '{name}'")))
}

/// Returns the filter in the query, if there is one.
pub(crate) fn event_filter(call: &Call) -> Result<RoomEventFilter, MatrixError> {
    let Some(text) = call.query.utf8("filter")?.filter(|text| !text.is_empty()) else {
        return Ok(RoomEventFilter::default());
    };
    serde_json::from_str(&text).map_err(|_| MatrixError::bad_json("The filter is not valid"))
}

/// Returns a room that the viewer can read: as a current or former member who did not forget it, or because it is
/// world-readable.
pub(crate) fn open<'v, 't, 'c>(
    view: &'v View<'t, 'c>,
    tx: &ReadTx<'_>,
    room_id: &str,
) -> Result<RoomView<'v, 't, 'c>, Error> {
    let viewer = view.viewer.as_ref().map(|viewer| viewer.user_id.clone()).unwrap_or_default();
    let refused =
        || Error::Forbidden(format!("User {viewer} not in room {room_id}, and room previews are disabled"));
    let room: Room = rooms::find(tx, room_id)?.ok_or_else(refused)?;
    let room = view.room(&room)?;
    if room.ever_joined() || room.is_world_readable() { Ok(room) } else { Err(refused()) }
}
