//! The audit log, and the happenings that webhooks are told of. Both are written in the transaction of the deed.

use std::sync::Arc;

use reeve_db::{DbError, Tx};
use reeve_model::{Actor, Ctx, HappeningKind};
use reeve_store::happenings::{Audited, NewHappening};
use reeve_store::{audit, happenings};
use serde_json::Value;

use crate::happenings::{is_own, kinds};

/// Records a deed of the actor of `ctx`. A deed without an actor (a user's own, or a job's) is not audited. `action` is
/// a dotted name such as `user.lock`, `target` usually a user id; `changes` holds no secrets.
pub fn record(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    action: &str,
    target: &str,
    changes: &Value,
) -> Result<(), DbError> {
    open(tx, ctx, action, target, changes).map(|_| ())
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
    let happened = NewHappening {
        ts: ctx.now,
        kind: HappeningKind::AdministrationOther,
        // The target is the token itself.
        target: (!action.starts_with("registration_token.")).then_some(target),
        actor: &Actor::Server,
        audited: None,
        details: changes,
    };
    let kinds = kinds(action, changes);
    let Some(actor) = &ctx.actor else {
        let actor = Actor::User(Arc::from(target));
        for kind in kinds.into_iter().filter(|kind| is_own(*kind)) {
            happenings::record(tx, &NewHappening { kind, actor: &actor, ..happened })?;
        }
        return Ok(None);
    };
    let entry = audit::NewEntry {
        ts: ctx.now,
        actor,
        ip: ctx.ip.as_deref(),
        request_id: &ctx.request_id,
        action,
        target,
        changes: &changes.to_string(),
    };
    let id = audit::insert(tx, &entry)?;
    for kind in kinds {
        let audited = Some(Audited { id, action });
        happenings::record(tx, &NewHappening { kind, actor, audited, ..happened })?;
    }
    Ok(Some(id))
}

/// Updates the changes of an entry that [`open`] made.
pub(crate) fn amend(tx: &mut Tx<'_>, id: i64, changes: &Value) -> Result<(), DbError> {
    audit::amend(tx, id, &changes.to_string())
}
