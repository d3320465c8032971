//! Archives of everything about single accounts.

mod link;
mod list;
mod one;
mod order;

use reeve_app::Route;
use reeve_model::{ActorKind, ExportState};
use reeve_store::exports::Export;
use serde::Serialize;
use utoipa::ToSchema;

const OF_USER: &str = "/_reeve/admin/v1/users/{user_id}/exports";
const ONE: &str = "/_reeve/admin/v1/exports/{id}";
const REMOTE: &str = "Only local users have exports";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such export, or its time is over");
const ABOVE: (u16, &str, &str) = (403, "M_FORBIDDEN", "the account is above the caller");
const ABOVE_OR_LACKS: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "the account is above the caller, or the caller lacks one of the scopes");

pub(crate) fn routes() -> Vec<Route> {
    vec![order::route(), list::route(), one::get(), one::delete(), link::route()]
}

/// An archive of everything about an account, ordered or made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportView {
    id: String,
    user_id: String,
    /// True if the account ordered it for itself.
    own: bool,
    /// The kind of the actor who ordered it, as in the audit log.
    #[schema(value_type = String)]
    requested_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    requested_by: String,
    /// True if it has the history of rooms.
    history: bool,
    /// True if it has the files that the person uploaded.
    media: bool,
    /// The age recipient to which it is encrypted; null if it is not.
    #[schema(required)]
    recipient: Option<String>,
    /// `waiting`, `running`, `ready`, `failed`, `too_large` or `deleted`.
    #[schema(value_type = String)]
    state: ExportState,
    /// The reason why it failed, or the last error; null if there was none.
    #[schema(required)]
    error: Option<String>,
    /// When it was ordered, in milliseconds.
    created_ts: i64,
    /// When the archive was complete, in milliseconds; null before.
    #[schema(required)]
    completed_ts: Option<i64>,
    /// When it is deleted, in milliseconds; null while it waits or runs.
    #[schema(required)]
    ends_ts: Option<i64>,
    /// The length of the archive, in bytes; null unless it is ready.
    #[schema(required)]
    length: Option<i64>,
    /// The SHA-256 of the archive, in hexadecimal; null unless it is ready.
    #[schema(required)]
    sha256: Option<String>,
    /// The time until which its link can be used, in milliseconds; null if there is no link.
    #[schema(required)]
    link_until_ts: Option<i64>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        let (length, sha256) = export.archive.map(|archive| (archive.length, archive.sha256)).unzip();
        Self {
            id: export.id,
            user_id: export.user_id,
            own: export.own,
            requested_by_kind: export.requested_by.kind,
            requested_by: export.requested_by.id,
            history: export.options.history,
            media: export.options.media,
            recipient: export.options.recipient,
            state: export.state,
            error: export.error,
            created_ts: export.created_ts.get(),
            completed_ts: export.completed_ts.map(reeve_model::Millis::get),
            ends_ts: export.ends_ts.map(reeve_model::Millis::get),
            length,
            sha256,
            link_until_ts: export.link.map(|link| link.until_ts.get()),
        }
    }
}
