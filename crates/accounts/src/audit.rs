//! The audit log: who did what to whom, written in the transaction of the deed.

use reeve_db::{DbError, Tx};
use reeve_model::Ctx;
use reeve_store::audit;
use serde_json::Value;

/// Writes down a deed of the actor of `ctx`; a deed without an actor (somebody's own, or a job's) is not audited.
/// `action` is a dotted name such as `user.lock`, `target` usually a user id, `changes` holds no secrets.
pub fn record(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    action: &str,
    target: &str,
    changes: &Value,
) -> Result<(), DbError> {
    let Some(actor) = &ctx.actor else { return Ok(()) };
    audit::insert(
        tx,
        &audit::NewEntry {
            ts: ctx.now,
            actor: &actor.user_id,
            ip: actor.ip.as_deref(),
            request_id: &ctx.request_id,
            action,
            target,
            changes: &changes.to_string(),
        },
    )
}
