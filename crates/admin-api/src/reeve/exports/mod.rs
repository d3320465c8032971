//! Archives of everything about single accounts.

mod link;
mod list;
mod one;
mod order;

use reeve_app::Route;
use reeve_export::ExportView;
use reeve_model::ActorKind;
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

/// An export with all that administrators see of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserExport {
    #[serde(flatten)]
    export: ExportView,
    user_id: String,
    /// True if the account ordered it for itself.
    own: bool,
    /// The kind of the actor who ordered it, as in the audit log.
    #[schema(value_type = String)]
    requested_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    requested_by: String,
    /// The reason why it failed, or the last error; null if there was none.
    #[schema(required)]
    error: Option<String>,
    /// The time until which its link can be used, in milliseconds; null if there is no link.
    #[schema(required)]
    link_until_ts: Option<i64>,
}

impl From<Export> for UserExport {
    fn from(export: Export) -> Self {
        Self {
            export: ExportView::from(&export),
            user_id: export.user_id,
            own: export.own,
            requested_by_kind: export.requested_by.kind,
            requested_by: export.requested_by.id,
            error: export.error,
            link_until_ts: export.link.map(|link| link.until_ts.get()),
        }
    }
}
