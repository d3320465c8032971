//! Upgrade of a room to another version.

use http::Method;
use reeve_app::{Access, Answer, Call, Limit, Route, body, reply};
use reeve_model::Session;
use reeve_rooms::upgrade::{self, WantedUpgrade};
use serde_json::json;

use super::{home, not_text, v3};

use crate::shapes;

body! {
    /// The new room version.
    pub(crate) struct Upgrade {
        new_version: String,
        additional_creators: Option<Vec<String>>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "rooms/{room_id}/upgrade", handle)
            .access(Access::User)
            .limit(Limit::RoomCreation)
            .id("upgradeRoom")
            .takes::<Upgrade>()
            .returns::<shapes::rooms::Replacement>(200)
            .summary("Replaces a room by a new one of another version")
            .errors(&[
                (
                    400,
                    "M_BAD_JSON",
                    "`additional_creators` are not user ids, in a version that supports them",
                ),
                (400, "M_UNSUPPORTED_ROOM_VERSION", "the room version is not supported"),
                (403, "M_FORBIDDEN", "the power level is too low"),
                (403, "M_USER_SUSPENDED", "the acting account is suspended"),
                (404, "M_NOT_FOUND", "there is no such room"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#room-upgrades"),
    ]
}

async fn handle(mut call: Call) -> Answer {
    let body: Upgrade = call.take().await?;
    let version = body.new_version.read_or(not_text)?;
    let (home, ctx, room_id) = (home(&call), call.ctx(), call.param("room_id"));
    let replacement = call
        .act(move |tx, Session { user, .. }| {
            let additional_creators = body.additional_creators.value();
            let wanted = WantedUpgrade { room_id: &room_id, version: &version, additional_creators };
            upgrade::upgrade(tx, &home, &ctx, user, wanted)
        })
        .await?;
    reply::ok(&json!({ "replacement_room": replacement }))
}
