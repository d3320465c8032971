//! The audit log, and the happenings that webhooks are told of. Both are written in the transaction of the deed.

use std::sync::Arc;

use reeve_db::{DbError, Tx};
use reeve_model::{Actor, Ctx, HappeningKind, User};
use reeve_store::happenings::{Audited, NewHappening};
use reeve_store::{audit, happenings};
use serde_json::Value;

use crate::happenings::{is_own, kinds};

/// Records a deed of the actor of `ctx`. A deed without an actor (a user's own, or a job's) is not audited; webhooks are
/// told of those that people do to their own accounts. `action` is a dotted name such as `user.lock`, `target` usually a
/// user id; `changes` holds no secrets.
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
    let kinds = kinds(action, changes);
    let Some(actor) = &ctx.actor else {
        let owner = Actor::User(Arc::from(target));
        for kind in kinds.into_iter().filter(|kind| is_own(*kind)) {
            let target = Some(target);
            let happening =
                NewHappening { ts: ctx.now, kind, target, actor: &owner, audited: None, details: changes };
            happenings::record(tx, &happening)?;
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
    // The target of an act on a registration token is the token itself.
    let target = (!action.starts_with("registration_token.")).then_some(target);
    let audited = Some(Audited { id, action });
    for kind in kinds {
        let happening = NewHappening { ts: ctx.now, kind, target, actor, audited, details: changes };
        happenings::record(tx, &happening)?;
    }
    Ok(Some(id))
}

/// Tells webhooks that the owner of an account logged in on a new device or in a new browser. That is not audited.
pub(crate) fn logged_in(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, details: &Value) -> Result<(), DbError> {
    let happening = NewHappening {
        ts: ctx.now,
        kind: HappeningKind::AccountLoggedIn,
        target: Some(&user.user_id),
        actor: &Actor::User(Arc::from(user.user_id.as_str())),
        audited: None,
        details,
    };
    happenings::record(tx, &happening)
}

/// Updates the changes of an entry that [`open`] made.
pub(crate) fn amend(tx: &mut Tx<'_>, id: i64, changes: &Value) -> Result<(), DbError> {
    audit::amend(tx, id, &changes.to_string())
}
