//! Simplified sliding sync.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/4186>

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_model::SlidingToken;
use reeve_sync::sliding::{self, Kept, Look, Request};
use serde::Serialize;
use serde_json::Value;

use crate::rooms::viewer;
use crate::shapes;
use crate::sync::{MAX_WAIT, acknowledge, keys_left, touch_presence};

const PROPOSAL: &str = "https://github.com/matrix-org/matrix-spec-proposals/pull/4186";
/// Maximum number of attempts at a response when other requests of the connection were answered meanwhile.
const MAX_TRIES: usize = 5;

body! {
    /// A request of sliding sync.
    pub(crate) struct SlidingRequest {
        conn_id: Option<String>,
        txn_id: Option<String>,
        lists: Option<BTreeMap<String, AnyObject>>,
        room_subscriptions: Option<BTreeMap<String, AnyObject>>,
        extensions: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::of(Method::POST, "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", sync)
            .access(Access::Guest)
            .before_password_change()
            .id("slidingSync")
            .may_take::<SlidingRequest>()
            .returns::<shapes::sync::SlidingAnswer>(200)
            .repeatable()
            .summary("Synchronises (sliding sync)")
            .query([
                Param::text("pos", "`pos` of the last response"),
                Param::word(
                    "set_presence",
                    &["online", "offline", "unavailable"],
                    "`online`, `offline` or `unavailable`",
                ),
                Param::integer("timeout", "time to wait for changes, in milliseconds"),
            ])
            .errors(&[
                (400, "M_UNKNOWN_POS", "the position is unknown or expired: repeat the request without it"),
                (400, "M_INVALID_PARAM", "a range is invalid, or there are too many lists or subscriptions"),
            ])
            .spec(PROPOSAL),
    ]
}

#[derive(Serialize)]
struct Response<'a> {
    pos: String,
    #[serde(flatten)]
    response: &'a sliding::Response,
}

fn unknown_pos() -> MatrixError {
    MatrixError::new(400, "M_UNKNOWN_POS", "Unknown position")
}

async fn sync(mut call: Call) -> Answer {
    let SlidingRequest { conn_id, txn_id, lists, room_subscriptions, extensions } = call.take().await?;
    let keys = [
        conn_id.into_pair(),
        txn_id.into_pair(),
        lists.into_pair(),
        room_subscriptions.into_pair(),
        extensions.into_pair(),
    ];
    let request: Request = serde_json::from_value(Value::Object(keys.into_iter().flatten().collect()))
        .map_err(|error| MatrixError::bad_json(format!("The request is not valid: {error}")))?;
    request.check().map_err(MatrixError::invalid_param)?;
    let pos = call.query.utf8("pos")?.filter(|text| !text.is_empty());
    let pos = pos.map(|text| SlidingToken::parse(&text).ok_or_else(unknown_pos)).transpose()?;
    let timeout =
        Duration::from_millis(call.query.integer("timeout")?.unwrap_or(0).unsigned_abs()).min(MAX_WAIT);
    touch_presence(&call, timeout).await?;
    let viewer = viewer(&call)?;
    let current = call.app.notifier.replaceable.begin(viewer.user_num, &viewer.device_id, &request.conn_id);
    let patient = pos.is_some() && !timeout.is_zero();
    // Listening begins before the first read, so that nothing is missed between the two.
    let listener = patient.then(|| call.app.notifier.listen(&viewer.user_id, viewer.user_num));
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut is_late = false;
    let mut tries = 0;
    loop {
        let (viewer, request, pos) = (viewer.clone(), request.clone(), pos.clone());
        let (now, position) = (call.app.clock.now(), call.app.notifier.position());
        let look =
            call.read_authorised(move |tx| sliding::look(tx, &viewer, &request, pos.as_ref(), now)).await?;
        let mut look = look.ok_or_else(unknown_pos)?;
        acknowledge(&call, look.acknowledged).await?;
        if let Some(listener) = listener.as_ref().filter(|_| look.response.is_empty() && !is_late) {
            listener.watch_rooms(look.rooms.clone(), look.upto.max(position));
            let mut stopping = call.app.stopping();
            tokio::select! {
                () = listener.news() => continue,
                () = &mut deadline => is_late = true,
                () = current.replaced() => return Err(unknown_pos()),
                _ = stopping.wait_for(|stopping| *stopping) => is_late = true,
            }
            if let Some(keys) = look.response.keys() {
                *keys = keys_left(&call).await?;
            }
        }
        if !current.is_last() {
            return replaced(&look);
        }
        if let Some(answer) = answer(&call, look).await? {
            return answer;
        }
        tries += 1;
        if tries == MAX_TRIES {
            return Err(unknown_pos());
        }
    }
}

/// Answers a request in whose place another has begun. One that begins a connection is answered all the same, with a
/// position from which nothing can go on.
fn replaced(look: &Look) -> Answer {
    let pos = look.replaced().ok_or_else(unknown_pos)?;
    reply::ok(&Response { pos: pos.to_string(), response: &look.response })
}

/// Stores what the client will know with a response, and returns it; `None` if the data must be read again.
async fn answer(call: &Call, look: Look) -> Result<Option<Answer>, MatrixError> {
    if let Some(pos) = look.unchanged(call.now) {
        return Ok(Some(reply::ok(&Response { pos: pos.to_string(), response: &look.response })));
    }
    let (look, came) = (std::sync::Arc::new(look), call.now);
    let kept = std::sync::Arc::clone(&look);
    match call.write(move |tx| sliding::keep(tx, &kept, came)).await? {
        Kept::At(pos) => Ok(Some(reply::ok(&Response { pos: pos.to_string(), response: &look.response }))),
        Kept::Again => Ok(None),
        Kept::Late => Ok(Some(replaced(&look))),
    }
}
