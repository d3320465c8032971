//! The media of a room.

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_model::Scope;
use reeve_rooms::{Error, attachments};
use reeve_store::rooms;
use serde::Serialize;
use utoipa::ToSchema;

use crate::media::{Quarantined, quarantine_each};

/// The media that events of a room refer to, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomMedia {
    /// The media of this server.
    local: Vec<String>,
    /// The media of other servers.
    remote: Vec<String>,
}

pub(crate) fn list() -> Route {
    Route::get("/_synapse/admin/v1/room/{room_id}/media", handle_list)
        .access(Access::Admin(Scope::MediaRead))
        .id("listRoomMedia")
        .summary("Lists the media that events of a room refer to")
        .description("The newest 200,000 events are read, including redacted ones. An unknown room has none.")
        .returns::<RoomMedia>(200)
}

pub(crate) fn quarantine() -> Route {
    Route::post("/_synapse/admin/v1/room/{room_id}/media/quarantine", handle_quarantine)
        .also("/_synapse/admin/v1/quarantine_media/{room_id}")
        .access(Access::Admin(Scope::MediaWrite))
        .id("quarantineRoomMedia")
        .summary("Quarantines the media that events of a room point to")
        .description(
            "Spared is what is protected. The newest 200,000 events are looked at, redacted ones too.",
        )
        .returns::<Quarantined>(200)
}

/// Returns the media of a room: those of this server, and those of others.
async fn find(call: &Call) -> Result<(Vec<String>, Vec<String>), MatrixError> {
    let room_id = call.param("room_id");
    let media = call
        .read(move |tx| -> Result<_, Error> {
            let Some(room) = rooms::num(tx, &room_id)? else { return Ok(Vec::new()) };
            attachments::of_room(tx, room)
        })
        .await?;
    let own = own_prefix(call);
    Ok(media.into_iter().partition(|media| media.starts_with(&own)))
}

fn own_prefix(call: &Call) -> String {
    format!("mxc://{}/", call.app.server_name)
}

async fn handle_list(call: Call) -> Answer {
    let (local, remote) = find(&call).await?;
    reply::ok(&RoomMedia { local, remote })
}

async fn handle_quarantine(call: Call) -> Answer {
    let (local, _) = find(&call).await?;
    let own = own_prefix(&call);
    let media_ids = local.iter().filter_map(|media| media.strip_prefix(&own)).map(str::to_owned).collect();
    reply::ok(&Quarantined { num_quarantined: quarantine_each(&call, media_ids).await? })
}
