//! Notifications about jobs: the runner, of those that are queued, and webhooks, of those that have ended.

use std::sync::Arc;

use reeve_db::{Channel, DbError, Tx};
use reeve_model::{Actor, HappeningKind, JobState, Millis};
use reeve_store::happenings::{self, NewHappening};
use reeve_store::jobs::Job;
use serde_json::json;

/// Notified by each transaction that queues a job.
pub(crate) const QUEUED: Channel = Channel::new("jobs");

/// Tells webhooks of the end of a job.
pub(crate) fn ended(
    tx: &mut Tx<'_>,
    job: &Job,
    state: JobState,
    error: Option<&str>,
    now: Millis,
) -> Result<(), DbError> {
    let details = json!({ "job_id": job.id, "kind": job.kind, "state": state, "error": error });
    let ended = NewHappening {
        ts: now,
        kind: HappeningKind::JobEnded,
        target: Some(&job.subject),
        actor: &Actor::Job(Arc::from(job.kind.as_str())),
        audited: None,
        details: &details,
    };
    happenings::record(tx, &ended)
}
