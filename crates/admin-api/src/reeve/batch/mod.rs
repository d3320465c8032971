//! Acts on selections of accounts.

mod act;
mod control;
mod file;
mod get;
mod list;
mod outcomes;
mod start;

use reeve_app::Route;
use reeve_batch::{Counts, View};
use reeve_model::{ActorKind, JobState, Scopes};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

const PATH: &str = "/_reeve/admin/v1/users/batch";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such batch, or it ended long ago");

const FORBIDDEN: (u16, &str, &str) = (403, "M_FORBIDDEN", "the caller lacks the scope of the act");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        start::route(),
        list::route(),
        get::route(),
        outcomes::route(),
        file::route(),
        control::pause(),
        control::resume(),
        control::cancel(),
    ]
}

/// A batch: an act on a selection of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchView {
    id: String,
    /// The act, with its parameters; without the content of a notice in lists, and for callers who cannot send notices.
    #[schema(value_type = Object, example = json!({ "type": "lock" }))]
    act: Value,
    /// The filter that selected the accounts; null if they were named.
    #[schema(required, value_type = Option<Object>)]
    filter: Option<Value>,
    /// The kind of the actor who ordered it, as in the audit log.
    #[schema(value_type = String)]
    requested_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    requested_by: String,
    /// `scheduled`, `active`, `paused`, `complete`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    state: JobState,
    /// The number of selected accounts.
    total: i64,
    /// The number of accounts with an outcome.
    processed: i64,
    outcomes: OutcomeCounts,
    /// The reason why it failed, or the last error; null if there was none.
    #[schema(required)]
    error: Option<String>,
    /// When it was ordered, in milliseconds.
    created_ts: i64,
    /// When it last changed, in milliseconds.
    updated_ts: i64,
}

/// The numbers of accounts by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeCounts {
    /// The act was done.
    done: i64,
    /// The account was already so.
    unchanged: i64,
    /// The requester might not do it.
    refused: i64,
    /// It was not possible.
    failed: i64,
    /// The account is protected.
    skipped: i64,
}

impl BatchView {
    /// Returns a batch as somebody sees it who holds some scopes.
    fn of(view: View, scopes: Scopes) -> Self {
        let Counts { done, unchanged, refused, failed, skipped } = view.counts;
        Self {
            id: view.batch.id,
            act: view.act.shown(scopes),
            filter: view.filter,
            requested_by_kind: view.batch.actor_kind,
            requested_by: view.batch.actor,
            state: view.state,
            total: view.total,
            processed: view.done,
            outcomes: OutcomeCounts { done, unchanged, refused, failed, skipped },
            error: view.error,
            created_ts: view.batch.created_ts.get(),
            updated_ts: view.updated_ts.get(),
        }
    }
}
