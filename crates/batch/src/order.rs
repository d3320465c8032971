//! Ordering a batch: what it would do, the confirmation, and the start.

use std::collections::BTreeSet;

use reeve_accounts::{Policy, audit, rights};
use reeve_db::{ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{BatchNum, Ctx, Millis, Scope, Scopes, UserNum, random};
use reeve_store::batches::{self, Batch, Confirmation, Digest as OrderDigest};
use reeve_store::lists::roster::Chosen;
use reeve_store::{Roster, Selection as Filter};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::act::Act;
use crate::error::Error;
use crate::job::JOB;
use crate::requester::Requester;
use crate::selection::{self, LeftOut, MAX_USERS, Selection};
use crate::spec::Spec;

/// Maximum length of the act and the filter of an order, which are stored and shown with it, in bytes.
const MAX_ORDER: usize = 65_536;
/// The time for which an order can be confirmed, in milliseconds.
const CONFIRM_MS: i64 = 10 * 60 * 1000;
/// Maximum number of protected accounts that an order names.
pub const MAX_INCLUDED: usize = 1000;
/// Maximum length of an idempotency key, in bytes.
const MAX_KEY: usize = 255;
/// Number of accounts in a part of the stored selection.
const PART: usize = 10_000;

/// An act on a selection.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The selected accounts.
    pub selection: Selection,
    /// The act.
    pub act: Act,
    /// The user ids of accounts that are protected unless they are named: the requester and owners of the server.
    pub include: BTreeSet<String>,
}

/// The effect that an order would have.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The number of selected accounts.
    pub total: i64,
    /// The number of these that are left out, by reason.
    pub left_out: LeftOut,
    /// The user ids of the first accounts, up to 100, on which the act would be done.
    pub first: Vec<String>,
}

/// The token that confirms an order.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub token: String,
    /// The time until which it can be used.
    pub expires_ts: Millis,
}

/// A batch that an order started.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// False if an earlier request with the same key started it.
    pub is_new: bool,
}

impl Order {
    fn check(&self, tx: &ReadTx<'_>, ctx: &Ctx, policy: &Policy) -> Result<(), Error> {
        rights::check_holds(ctx, Scope::UsersRead)?;
        self.act.check(tx, ctx, policy)?;
        if self.include.len() > MAX_INCLUDED {
            return Err(Error::Invalid("An order cannot include more than 1000 protected accounts"));
        }
        if json!({ "act": self.act, "filter": self.filter() }).to_string().len() > MAX_ORDER {
            return Err(Error::Invalid("The act and the filter cannot have more than 64 KiB"));
        }
        match &self.selection {
            Selection::Users(user_ids) if user_ids.len() > MAX_USERS => {
                Err(Error::Invalid("A selection cannot name more than 100000 accounts"))
            }
            Selection::Users(user_ids) if user_ids.is_empty() => {
                Err(Error::Invalid("A selection needs an account"))
            }
            Selection::Users(_) | Selection::Filter(_) => Ok(()),
        }
    }

    /// Returns the filter of the selection; `None` if the accounts are named.
    pub fn filter(&self) -> Option<&Filter> {
        match &self.selection {
            Selection::Users(_) => None,
            Selection::Filter(filter) => Some(filter),
        }
    }

    /// Returns a digest of the order, which may name very many accounts.
    pub fn digest(&self) -> OrderDigest {
        Sha256::digest(json!(self).to_string().as_bytes()).into()
    }
}

/// Returns the digest of an order together with its requester.
fn bound(order: &OrderDigest, requester: &Requester) -> OrderDigest {
    Sha256::digest(json!([requester, order]).to_string().as_bytes()).into()
}

/// Returns what an order would do. The roster answers for a filter.
pub fn preview(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    roster: &Roster,
    order: &Order,
) -> Result<Preview, Error> {
    order.check(tx, ctx, policy)?;
    let shown = selection::shown(tx, ctx, roster, &order.selection, &order.include)?;
    Ok(Preview { total: shown.total, left_out: shown.left_out, first: shown.first })
}

/// Creates the token with which the actor confirms the order of a digest, once and within ten minutes, after it was shown that
/// it concerns `total` accounts.
pub fn confirm(tx: &mut Tx<'_>, ctx: &Ctx, order: &OrderDigest, total: i64) -> Result<Token, Error> {
    let requester = Requester::of(tx, ctx)?;
    let token = random::secret(40);
    let expires_ts = ctx.now.plus(CONFIRM_MS);
    let confirmation = Confirmation { digest: bound(order, &requester), total, expires_ts };
    batches::insert_confirmation(tx, &hash_token(&token), confirmation)?;
    Ok(Token { token, expires_ts })
}

/// An order that is to be started. What takes long is done before the transaction that starts it.
pub struct Confirmed {
    /// The order.
    pub order: Order,
    /// Its [`Order::digest`].
    pub digest: OrderDigest,
    /// The accounts that were chosen for it, by [`choose`](crate::choose).
    pub chosen: Chosen,
    /// The token that confirms it.
    pub token: String,
    /// The key by which a repetition of the order is recognised.
    pub idempotency_key: Option<String>,
}

/// Starts a batch with the accounts that were chosen. An order that the actor repeats with the same key starts nothing.
pub fn start(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, confirmed: &Confirmed) -> Result<Started, Error> {
    let Confirmed { order, digest, chosen, token, idempotency_key } = confirmed;
    let requester = Requester::of(tx, ctx)?;
    let digest = bound(digest, &requester);
    if let Some(key) = idempotency_key {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(Error::Invalid("An idempotency key must have from 1 to 255 bytes"));
        }
        match batches::of_key(tx, requester.kind, &requester.id, key)? {
            Some(batch) if batch.digest == digest => return Ok(Started { id: batch.id, is_new: false }),
            Some(_) => return Err(Error::OtherOrder),
            None => {}
        }
    }
    order.check(tx, ctx, policy)?;
    let found = batches::take_confirmation(tx, &hash_token(token))?;
    let found = found.filter(|found| found.digest == digest && ctx.now < found.expires_ts);
    let shown = found.ok_or(Error::NotConfirmed)?.total;
    let total = chosen.count();
    if total > shown {
        return Err(Error::Grown { shown, now: total });
    }
    let spec = Spec {
        act: order.act.clone(),
        include: order.include.clone(),
        filter: order.filter().map(|filter| json!(filter)),
        requester: requester.clone(),
        scopes: ctx.scopes,
    };
    let batch = Batch {
        num: BatchNum::ZERO,
        id: random::letters(16),
        actor_kind: requester.kind,
        actor: requester.id,
        digest,
        spec: json!(spec).to_string(),
        total,
        created_ts: ctx.now,
    };
    let num = batches::insert(tx, &batch, idempotency_key.as_deref())?;
    let mut nums = chosen.nums();
    for part in 0.. {
        let some: Vec<UserNum> = nums.by_ref().take(PART).collect();
        if some.is_empty() {
            break;
        }
        batches::insert_part(tx, num, part, &some)?;
    }
    let job = JOB.enqueue(tx, &batch.id, &(), total, ctx.now)?;
    // The audit log has more readers than notices.
    let act = spec.act.shown(Scopes::NONE);
    let changes =
        json!({ "act": act, "filter": spec.filter, "include": spec.include, "total": total, "job": job });
    audit::record(tx, ctx, "batch.start", &batch.id, &changes)?;
    Ok(Started { id: batch.id, is_new: true })
}
