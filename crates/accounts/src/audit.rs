//! The audit log. An entry is written in the transaction of its deed.

use reeve_db::{DbError, Tx};
use reeve_model::{Actor, Ctx};
use reeve_store::audit;
use serde_json::Value;

/// Records a deed of the actor of `ctx`. A deed without an actor (a user's own, or a job's) is not audited. `action` is
/// a dotted name such as `user.lock`, `target` usually a user id; `changes` holds no secrets.
pub fn record(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    action: &str,
    target: &str,
    changes: &Value,
) -> Result<(), DbError> {
    let Some(actor) = &ctx.actor else { return Ok(()) };
    audit::insert(tx, &entry(ctx, actor, action, target, &changes.to_string()))
}

/// Records a deed of several transactions, each of which reports its progress with [`amend`]. Returns the number of the
/// entry, if there is an actor.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    action: &str,
    target: &str,
    changes: &Value,
) -> Result<Option<i64>, DbError> {
    let Some(actor) = &ctx.actor else { return Ok(None) };
    audit::open(tx, &entry(ctx, actor, action, target, &changes.to_string())).map(Some)
}

/// Updates the changes of an entry that [`open`] made.
pub(crate) fn amend(tx: &mut Tx<'_>, id: i64, changes: &Value) -> Result<(), DbError> {
    audit::amend(tx, id, &changes.to_string())
}

fn entry<'a>(
    ctx: &'a Ctx,
    actor: &'a Actor,
    action: &'a str,
    target: &'a str,
    changes: &'a str,
) -> audit::NewEntry<'a> {
    audit::NewEntry {
        ts: ctx.now,
        actor,
        ip: ctx.ip.as_deref(),
        request_id: &ctx.request_id,
        action,
        target,
        changes,
    }
}
