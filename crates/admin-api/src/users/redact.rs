//! Redaction of an account's messages.

use std::collections::BTreeMap;

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{JobState, Millis, Scope};
use reeve_rooms::redactions::{self, Order};
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

body! {
    /// The events to redact.
    pub(crate) struct Redact {
        /// The rooms; an empty list for all that the account has joined or is banned from.
        rooms: Vec<String>,
        /// The reason.
        reason: Option<String>,
        /// The number of newest events of each room; 1000 by default.
        limit: Option<i64>,
        /// True if the administrator redacts, and not the account itself.
        use_admin: Option<bool>,
        /// Only events up to this time, in milliseconds.
        before_ts: Option<i64>,
        /// Only events from this time on, in milliseconds.
        after_ts: Option<i64>,
    }
}

/// The queued redaction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ordered {
    redact_id: String,
}

/// The status of the redaction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedactStatus {
    /// `scheduled`, `active`, `complete` or `failed`.
    status: String,
    /// When complete: the events that could not be redacted, with reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_redactions: Option<BTreeMap<String, String>>,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn order() -> Route {
    Route::post("/_synapse/admin/v1/user/{user_id}/redact", handle_order)
        .access(Access::Admin(Scope::UsersModerate))
        .id("redactUser")
        .summary("Redacts the messages and joins of an account")
        .description("The work is a durable job; other events, such as reactions, are kept.")
        .takes::<Redact>()
        .returns::<Ordered>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_BAD_JSON", "a value has the wrong type"),
            (400, "M_UNKNOWN", "the limit is negative, or a redaction of the account is in progress"),
        ])
}

pub(crate) fn status() -> Route {
    Route::get("/_synapse/admin/v1/user/redact_status/{redact_id}", handle_status)
        .access(Access::Admin(Scope::UsersRead))
        .id("getRedactStatus")
        .summary("Returns the status of a redaction of an account's events")
        .returns::<RedactStatus>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such job")])
}

async fn handle_order(mut call: Call) -> Answer {
    let user_id = target::shape(&call)?;
    let body: Redact = call.take().await?;
    let rooms = body.rooms.read_or(|_| MatrixError::bad_json("'rooms' must be a list of strings"))?;
    let reason = body.reason.read()?;
    let limit = body.limit.read()?;
    if limit.is_some_and(|limit| limit < 0) {
        return Err(MatrixError::unknown(
            "If limit is provided it must be a non-negative integer greater than 0.",
        ));
    }
    let use_admin = body.use_admin.read()?.unwrap_or(false);
    let as_admin = use_admin || !call.app.home.is_local(&user_id);
    let redacted_by = if as_admin { Some(call.user()?.user_id.clone()) } else { None };
    let (before_ts, after_ts) = (body.before_ts.read()?, body.after_ts.read()?);
    let (before_ts, after_ts) = (before_ts.map(Millis::new), after_ts.map(Millis::new));
    let order = Order { user_id, rooms, reason, limit, redacted_by, before_ts, after_ts };
    let ctx = call.admin_ctx()?;
    let redact_id = call.write(move |tx| redactions::order(tx, &ctx, order.clone())).await?;
    reply::ok(&Ordered { redact_id })
}

async fn handle_status(call: Call) -> Answer {
    let redact_id = call.param("redact_id");
    let wanted = redact_id.clone();
    let job = call.read(move |tx| redactions::JOB.find(tx, &wanted)).await?;
    let job = job.ok_or_else(|| MatrixError::not_found(format!("redact id '{redact_id}' not found")))?;
    let failed_redactions = redactions::JOB.outcome(&job)?.map(|outcome| outcome.failed_redactions);
    let error = job.error.filter(|_| job.state == JobState::Failed);
    reply::ok(&RedactStatus { status: job.state.to_string(), failed_redactions, error })
}
