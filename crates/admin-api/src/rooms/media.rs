//! The media of a room.

use reeve_http::{Answer, Call, Route, reply};
use reeve_rooms::{Error, attachments};
use reeve_store::rooms;
use serde::Serialize;
use utoipa::ToSchema;

/// The media that events of a room point to, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomMedia {
    /// Those of this server.
    local: Vec<String>,
    /// Those of other servers.
    remote: Vec<String>,
}

/// What was quarantined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quarantined {
    num_quarantined: i64,
}

pub(crate) fn list() -> Route {
    Route::get("/_synapse/admin/v1/room/{room_id}/media", handle_list)
        .summary("Lists the media that events of a room point to")
        .description(
            "The newest 200,000 events are looked at, redacted ones too. A room that is not known has none.",
        )
        .returns::<RoomMedia>(200)
}

pub(crate) fn quarantine() -> Route {
    Route::post("/_synapse/admin/v1/room/{room_id}/media/quarantine", handle_quarantine)
        .also("/_synapse/admin/v1/quarantine_media/{room_id}")
        .summary("Quarantines the media that events of a room point to")
        .description("This server stores no media, so that there is nothing to quarantine.")
        .returns::<Quarantined>(200)
}

async fn handle_list(call: Call) -> Answer {
    let room_id = call.param("room_id");
    let media = call
        .read(move |tx| -> Result<_, Error> {
            let Some(room) = rooms::num(tx, &room_id)? else { return Ok(Vec::new()) };
            attachments::of_room(tx, room)
        })
        .await?;
    let own = format!("mxc://{}/", call.app.server_name);
    let (local, remote) = media.into_iter().partition(|media| media.starts_with(&own));
    reply::ok(&RoomMedia { local, remote })
}

async fn handle_quarantine(_: Call) -> Answer {
    reply::ok(&Quarantined { num_quarantined: 0 })
}
