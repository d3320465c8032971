//! Receipts, read markers and typing.

use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply, shape};
use reeve_model::Session;
use reeve_rooms::ephemeral::NewReceipt;
use reeve_rooms::{Error, ephemeral};
use serde_json::Value;

use super::{not_text, v3};

/// Default duration of typing, in milliseconds.
const TYPING_MS: i64 = 30_000;

body! {
    /// The thread.
    pub(crate) struct Thread {
        thread_id?: String,
    }

    /// The events up to which the account has read.
    pub(crate) struct ReadMarkers {
        fully_read = "m.fully_read": Option<String>,
        read = "m.read": Option<String>,
        read_private = "m.read.private": Option<String>,
    }

    /// The typing state, with its duration in milliseconds.
    pub(crate) struct Typing {
        typing: bool,
        timeout: Option<i64>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "rooms/{room_id}/receipt/{receipt_type}/{event_id}", receipt)
            .access(Access::Guest)
            .id("postReceipt")
            .may_take::<Thread>()
            .returns::<shape::Empty>(200)
            .summary("Sets a read receipt of the account")
            .description("A receipt for an unknown event is ignored.")
            .errors(&[
                (400, "M_INVALID_PARAM", "an id or the type of receipt is not valid, or the event is not in the thread"),
                (403, "M_FORBIDDEN", "the account may not see the event"),
                (404, "M_NOT_FOUND", "there is no such event, for `m.fully_read`"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid"),
        v3(Method::POST, "rooms/{room_id}/read_markers", markers)
            .access(Access::Guest)
            .id("setReadMarker")
            .takes::<ReadMarkers>()
            .returns::<shape::Empty>(200)
            .summary("Moves read markers and receipts together")
            .errors(&[
                (400, "M_INVALID_PARAM", "an id is not valid"),
                (403, "M_FORBIDDEN", "the account may not see the event"),
                (404, "M_NOT_FOUND", "there is no such event, for `m.fully_read`"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3roomsroomidread_markers"),
        v3(Method::PUT, "rooms/{room_id}/typing/{user_id}", typing)
            .access(Access::Guest)
            .id("setTyping")
            .takes::<Typing>()
            .returns::<shape::Empty>(200)
            .summary("Sets the typing state of the account")
            .errors(&[(403, "M_FORBIDDEN", "the user id is not the caller's, or the account is not in the room")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3roomsroomidtypinguserid"),
    ]
}

async fn receipt(mut call: Call) -> Answer {
    let body: Thread = call.take().await?;
    let (room_id, event_id) = (call.param("room_id"), call.param("event_id"));
    ephemeral::check_ids(&room_id, &event_id)?;
    let receipt_type = call.param("receipt_type");
    if !matches!(receipt_type.as_str(), "m.read" | "m.read.private" | "m.fully_read") {
        return Err(MatrixError::invalid_param(
            "Receipt type must be one of m.fully_read, m.read, m.read.private",
        ));
    }
    let empty = |name: &str| MatrixError::invalid_param(format!("{name} field must be a non-empty string"));
    let thread_id = body.thread_id.read_or(empty)?;
    if thread_id.as_ref().is_some_and(String::is_empty) {
        return Err(empty(body.thread_id.name()));
    }
    if thread_id.is_some() && receipt_type == "m.fully_read" {
        return Err(MatrixError::invalid_param("thread_id is not compatible with m.fully_read receipts."));
    }
    let ctx = call.ctx();
    call.act(move |tx, Session { user, .. }| {
        let thread_id = thread_id.as_deref().unwrap_or_default();
        let receipt = NewReceipt { receipt_type: &receipt_type, thread_id, event_id: &event_id };
        ephemeral::receipt(tx, &ctx, user, &room_id, receipt)
    })
    .await?;
    reply::empty()
}

async fn markers(mut call: Call) -> Answer {
    let body: ReadMarkers = call.take().await?;
    let mut moved = Vec::new();
    for marker in [&body.fully_read, &body.read, &body.read_private] {
        if let Some(event_id) = marker.read_or(not_text)? {
            moved.push((marker.name(), event_id));
        }
    }
    let (ctx, room_id) = (call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| -> Result<_, Error> {
        for (receipt_type, event_id) in &moved {
            let receipt = NewReceipt { receipt_type, thread_id: "", event_id };
            ephemeral::receipt(tx, &ctx, user, &room_id, receipt)?;
        }
        Ok(())
    })
    .await?;
    reply::empty()
}

async fn typing(mut call: Call) -> Answer {
    if call.params.get("user_id") != call.user()?.user_id {
        return Err(MatrixError::forbidden("Cannot set another user's typing state"));
    }
    let body: Typing = call.take().await?;
    let Some(&Value::Bool(typing)) = body.typing.value() else {
        return Err(MatrixError::bad_json("'typing' must be a boolean"));
    };
    let for_ms = body.timeout.read()?.unwrap_or(TYPING_MS);
    let for_ms = typing.then_some(for_ms);
    let (ctx, room_id) = (call.ctx(), call.param("room_id"));
    call.act(move |tx, Session { user, .. }| ephemeral::typing(tx, &ctx, user, &room_id, for_ms)).await?;
    reply::empty()
}
