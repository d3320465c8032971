//! Sending and redaction of events.

use http::Method;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, reply};
use reeve_model::Session;
use reeve_rooms::redaction::{self, WantedRedaction};
use reeve_rooms::send::{self, Sent};
use reeve_store::transactions::{self, Key};
use serde_json::json;

use super::membership::Reason;
use super::{device_key, home, not_text, v3};

use crate::shapes;

const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_BAD_JSON", "the content is not canonical JSON, or not valid for the type"),
    (400, "M_DUPLICATE_ANNOTATION", "the account has already annotated the event in this way"),
    (400, "M_UNKNOWN", "the event relates to an unknown event, or in a way that is not allowed"),
    (403, "M_FORBIDDEN", "the rules of the room forbid it"),
    (403, "M_USER_SUSPENDED", "the acting account is suspended"),
    (413, "M_TOO_LARGE", "the event would be larger than 65,535 bytes"),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::PUT, "rooms/{room_id}/send/{event_type}/{txn_id}", send)
            .access(Access::Guest)
            .limit(Limit::Sending)
            .id("sendMessage")
            .takes::<AnyObject>()
            .returns::<shapes::rooms::EventId>(200)
            .summary("Sends an event, once for each transaction id")
            .errors(ERRORS)
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid"),
        v3(Method::POST, "rooms/{room_id}/send/{event_type}", send)
            .access(Access::User)
            .limit(Limit::Sending)
            .id("sendMessageNoTransaction")
            .takes::<AnyObject>()
            .returns::<shapes::rooms::EventId>(200)
            .summary("Sends an event without a transaction id")
            .errors(ERRORS),
        v3(Method::PUT, "rooms/{room_id}/redact/{event_id}/{txn_id}", redact)
            .access(Access::User)
            .limit(Limit::Sending)
            .id("redactEvent")
            .may_take::<Reason>()
            .returns::<shapes::rooms::EventId>(200)
            .summary("Redacts an event")
            .errors(&[
                (403, "M_FORBIDDEN", "the event was sent by another user, and the power level is too low"),
                (403, "M_USER_SUSPENDED", "the acting account is suspended"),
                (404, "M_NOT_FOUND", "there is no such event in the room"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid"),
    ]
}

fn key(call: &Call, scope: String) -> Result<Option<Key>, MatrixError> {
    let txn_id = call.param("txn_id");
    if txn_id.is_empty() {
        return Ok(None);
    }
    Ok(Some(Key { user_num: call.user()?.num, device_id: device_key(call)?, scope, txn_id }))
}

/// Counts a request against the limit. A repeated request is answered as before, and is not counted.
async fn limit(call: &Call, key: Option<&Key>) -> Result<Option<String>, MatrixError> {
    let Err(refused) = call.app.limiter.message(call.session()?, call.now) else { return Ok(None) };
    let Some(key) = key.cloned() else { return Err(refused) };
    call.read(move |tx| transactions::find(tx, &key)).await?.map(Some).ok_or(refused)
}

async fn send(mut call: Call) -> Answer {
    let AnyObject(content) = call.take().await?;
    let (room_id, event_type) = (call.param("room_id"), call.param("event_type"));
    let key = key(&call, format!("send {room_id} {event_type}"))?;
    if let Some(event_id) = limit(&call, key.as_ref()).await? {
        return reply::ok(&json!({ "event_id": event_id }));
    }
    let (home, ctx) = (home(&call), call.ctx());
    let sent = Sent { event_type, state_key: None, content };
    let event_id = call
        .act(move |tx, Session { user, .. }| {
            send::once(tx, key.as_ref(), ctx.now, |tx| send::send(tx, &home, &ctx, user, &room_id, &sent))
        })
        .await?;
    reply::ok(&json!({ "event_id": event_id }))
}

async fn redact(mut call: Call) -> Answer {
    let reason = call.take::<Reason>().await?.reason.read_or(not_text)?;
    let (room_id, target) = (call.param("room_id"), call.param("event_id"));
    let key = key(&call, format!("redact {room_id} {target}"))?;
    if let Some(event_id) = limit(&call, key.as_ref()).await? {
        return reply::ok(&json!({ "event_id": event_id }));
    }
    let (home, ctx) = (home(&call), call.ctx());
    let event_id = call
        .act(move |tx, Session { user, .. }| {
            let wanted = WantedRedaction { room_id: &room_id, target_id: &target, reason: reason.as_deref() };
            send::once(tx, key.as_ref(), ctx.now, |tx| redaction::redact(tx, &home, &ctx, user, wanted))
        })
        .await?;
    reply::ok(&json!({ "event_id": event_id }))
}
