//! Presence.
//! <https://spec.matrix.org/v1.18/client-server-api/#presence>

use crate::rooms::{device_key, not_text, v3};
use crate::shapes;
use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply, shape};
use reeve_rooms::ephemeral::{self, Availability, Device};
use serde_json::json;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#presence";

body! {
    /// The presence to set.
    pub(crate) struct NewPresence {
        presence: String,
        status_msg: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "presence/{user_id}/status", get)
            .access(Access::User)
            .id("getPresence")
            .returns::<shapes::account::Presence>(200)
            .summary("Returns the presence of a user")
            .errors(&[(403, "M_FORBIDDEN", "the two users share no room")])
            .spec(SPEC),
        v3(Method::PUT, "presence/{user_id}/status", put)
            .access(Access::User)
            .id("setPresence")
            .takes::<NewPresence>()
            .returns::<shape::Empty>(200)
            .summary("Sets the presence of the account")
            .errors(&[(403, "M_FORBIDDEN", "the user id is not the caller's")])
            .spec(SPEC),
    ]
}

async fn get(call: Call) -> Answer {
    let (user, of, now) = (call.user()?.clone(), call.param("user_id"), call.now);
    reeve_model::id::split(&of)?;
    if !call.app.home.settings.presence {
        return reply::ok(&json!({ "presence": "offline" }));
    }
    let presence = call.read(move |tx| ephemeral::presence(tx, &user, &of)).await?;
    match presence {
        Some(presence) => reply::ok(&ephemeral::presence_content(&presence, now)),
        None => reply::ok(&json!({ "presence": "offline" })),
    }
}

async fn put(mut call: Call) -> Answer {
    let user = call.user()?.clone();
    if call.params.get("user_id") != user.user_id {
        return Err(MatrixError::forbidden("Can only set your own presence state"));
    }
    let body: NewPresence = call.take().await?;
    let wanted = Availability::parse(&body.presence.read_or(not_text)?)?;
    let (ctx, status_msg) = (call.ctx(), body.status_msg.read_or(not_text)?);
    ephemeral::check_status(status_msg.as_deref())?;
    if call.app.home.settings.presence {
        let device = Device { user_id: user.user_id, device_id: device_key(&call)? };
        call.write(move |tx| ephemeral::set_presence(tx, &ctx, &device, wanted, status_msg.as_deref()))
            .await?;
    }
    reply::empty()
}
