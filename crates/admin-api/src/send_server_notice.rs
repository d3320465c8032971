//! Server notices: messages of the operator to one account.

use std::sync::Arc;

use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Caller, Endpoint, Route, body, reply};
use reeve_model::{Scope, UserNum};
use reeve_rooms::notices::{self, Order};
use reeve_store::transactions::Key;
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

async fn handle(mut call: Call) -> Answer {
    let body: SendNotice = call.take().await?;
    body::require([body.user_id.missing(), body.content.missing()])?;
    notices::sender(&call.app.policy)?;
    let order = Order {
        user_id: body.user_id.read()?,
        event_type: body.event_type.value().into(),
        state_key: body.state_key.value().into(),
        content: body.content.value().cloned().unwrap_or_default(),
    };
    let (key, ctx, app) = (key(&call), call.admin_ctx()?, Arc::clone(&call.app));
    let event_id =
        call.write(move |tx| notices::order(tx, &app.home, &ctx, &app.policy, key.as_ref(), &order)).await?;
    reply::ok(&SentNotice { event_id })
}

/// Returns the key of a request with a transaction id.
fn key(call: &Call) -> Option<Key> {
    let txn_id = Some(call.param("txn_id")).filter(|txn_id| !txn_id.is_empty())?;
    // The number of a service token stands where other callers have a device: its name may be given again.
    let user_num = call.caller().user().map_or(UserNum::ZERO, |user| user.num);
    let device_id = match call.caller() {
        Caller::Service(service) => service.num.to_string(),
        Caller::Nobody | Caller::Session(_) | Caller::Browser(_) => String::new(),
    };
    Some(Key { user_num, device_id, scope: "server_notice".to_owned(), txn_id })
}
