//! Server notices: messages of the operator to one account.

use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Caller, Endpoint, MatrixError, Route, body, reply};
use reeve_model::{Scope, UserNum, id};
use reeve_rooms::Error;
use reeve_rooms::notices::{self, Notice};
use reeve_store::transactions::{self, Key};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

body! {
    /// The message and its recipient.
    pub(crate) struct SendNotice {
        /// The account.
        user_id: String,
        /// The content of the event.
        content: AnyObject,
        /// The type of the event; `m.room.message` by default.
        event_type = "type"?: String,
        /// The state key, to send a state event.
        state_key: Option<String>,
    }
}

/// The sent event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentNotice {
    event_id: String,
}

fn route(endpoint: Endpoint) -> Route {
    endpoint
        .access(Access::Admin(Scope::NoticesWrite))
        .summary("Sends a server notice to an account, in a separate room")
        .takes::<SendNotice>()
        .returns::<SentNotice>(200)
        .errors(&[
            (400, "M_MISSING_PARAM", "`user_id` or `content` is missing"),
            (400, "M_BAD_JSON", "`user_id` is not a string, or `content` is not an object"),
            (400, "M_INVALID_PARAM", "`user_id` is malformed"),
            (
                400,
                "M_UNKNOWN",
                "notices are not enabled, the account is on another server, or the event cannot be sent: messages need \
                 `body` and `msgtype`",
            ),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

pub(crate) fn post() -> Route {
    route(Route::post("/_synapse/admin/v1/send_server_notice", handle)).id("sendServerNotice")
}

pub(crate) fn put() -> Route {
    route(Route::put("/_synapse/admin/v1/send_server_notice/{txn_id}", handle)).id("sendServerNoticeOnce")
}

/// Returns the notice that a body describes.
fn notice(body: &SendNotice) -> Result<Notice, MatrixError> {
    let not_text = |name| MatrixError::unknown(format!("'{name}' not a string type"));
    let event_type = body.event_type.read_or(not_text)?;
    let state_key = body.state_key.read_or(not_text)?;
    Ok(Notice::new(event_type, state_key, body.content.read()?)?)
}

async fn handle(mut call: Call) -> Answer {
    let body: SendNotice = call.take().await?;
    body::require([body.user_id.missing(), body.content.missing()])?;
    let Some(sender) = call.app.policy.notices_localpart.clone() else {
        return Err(MatrixError::unknown("Server notices are not enabled on this server"));
    };
    let user_id = body.user_id.read()?;
    id::split(&user_id)?;
    if !call.app.home.is_local(&user_id) {
        return Err(MatrixError::unknown("Server notices can only be sent to local users"));
    }
    let txn_id = Some(call.param("txn_id")).filter(|txn_id| !txn_id.is_empty());
    // The number of a service token stands where other callers have a device: its name may be given again.
    let user_num = call.caller().user().map_or(UserNum::ZERO, |user| user.num);
    let device_id = match call.caller() {
        Caller::Service(service) => service.num.to_string(),
        Caller::Nobody | Caller::Session(_) => String::new(),
    };
    let key = txn_id.map(|txn_id| Key { user_num, device_id, scope: "server_notice".to_owned(), txn_id });
    let (home, ctx) = (std::sync::Arc::clone(&call.app.home), call.admin_ctx()?);
    let event_id = call
        .write(move |tx| -> Result<_, MatrixError> {
            if let Some(key) = &key
                && let Some(event_id) = transactions::find(tx, key)?
            {
                return Ok(event_id);
            }
            // An account that does not exist is reported before a notice that cannot be sent.
            users::num(tx, &user_id)?.ok_or(Error::NotFound("User not found"))?;
            let event_id = notices::send_for(tx, &home, &ctx, &sender, &user_id, &notice(&body)?)?;
            if let Some(key) = &key {
                transactions::insert(tx, key, &event_id, ctx.now)?;
            }
            Ok(event_id)
        })
        .await?;
    reply::ok(&SentNotice { event_id })
}
