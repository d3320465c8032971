//! Acts on selections of accounts: the order, the selected accounts, and what became of each.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::encoding::{from_url_base64, url_base64};
use reeve_model::{ActorKind, BatchNum, BatchOutcome, Millis, TokenHash, UserNum};
use serde::{Deserialize, Serialize};

use crate::SortKey;

macro_rules! columns {
    () => {
        "num, id, actor_kind, actor, digest, spec, total, created_ts"
    };
}

reeve_db::statements! {
    INSERT = "INSERT INTO batches (id, actor_kind, actor, idempotency_key, digest, spec, total, created_ts) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING num";
    FIND = concat!("SELECT ", columns!(), " FROM batches WHERE id = $1");
    OF_KEY = concat!("SELECT ", columns!(), " FROM batches WHERE actor_kind = $1 AND actor = $2 AND idempotency_key = $3");
    LIST = concat!("SELECT ", columns!(), " FROM batches WHERE (created_ts, id) < ($1, $2) \
            ORDER BY created_ts DESC, id DESC LIMIT $3");
    OLDEST = concat!("SELECT ", columns!(), " FROM batches WHERE created_ts < $1 AND (created_ts, id) > ($2, $3) \
              ORDER BY created_ts, id LIMIT 1");
    DELETE = "DELETE FROM batches WHERE num = $1";
    INSERT_PART = "INSERT INTO batch_parts (batch_num, part, user_nums) VALUES ($1, $2, $3)";
    PART = "SELECT user_nums FROM batch_parts WHERE batch_num = $1 AND part = $2";
    DELETE_PARTS = "DELETE FROM batch_parts WHERE batch_num = $1 AND part IN \
                    (SELECT part FROM batch_parts WHERE batch_num = $1 LIMIT $2)";
    INSERT_OUTCOME = "INSERT INTO batch_outcomes (batch_num, place, user_num, outcome, reason) VALUES ($1, $2, $3, $4, $5)";
    OUTCOMES = "SELECT o.place, u.user_id, o.outcome, o.reason FROM batch_outcomes o JOIN users u ON u.num = o.user_num \
                WHERE o.batch_num = $1 AND o.place > $2 ORDER BY o.place LIMIT $3";
    OUTCOMES_OF = "SELECT o.place, u.user_id, o.outcome, o.reason FROM batch_outcomes o JOIN users u ON u.num = o.user_num \
                   WHERE o.batch_num = $1 AND o.outcome = $4 AND o.place > $2 ORDER BY o.place LIMIT $3";
    DELETE_OUTCOMES = "DELETE FROM batch_outcomes WHERE batch_num = $1 AND place IN \
                       (SELECT place FROM batch_outcomes WHERE batch_num = $1 LIMIT $2)";
    CONFIRM = "INSERT INTO batch_confirmations (token_hash, digest, total, expires_ts) VALUES ($1, $2, $3, $4)";
    CONFIRMED = "SELECT digest, total, expires_ts FROM batch_confirmations WHERE token_hash = $1";
    DELETE_CONFIRMATION = "DELETE FROM batch_confirmations WHERE token_hash = $1";
    PRUNE_CONFIRMATIONS = "DELETE FROM batch_confirmations WHERE expires_ts <= $1";
}

/// The digest of an order.
pub type Digest = [u8; 32];

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its number.
    pub num: BatchNum,
    /// Its id: 16 letters.
    pub id: String,
    /// The kind of the actor who ordered it.
    pub actor_kind: ActorKind,
    /// The id of that actor among those of the kind.
    pub actor: String,
    /// The digest of the order.
    pub digest: Digest,
    /// The order, as JSON.
    pub spec: String,
    /// The number of accounts that were selected when it was ordered.
    pub total: i64,
    /// The time of the order.
    pub created_ts: Millis,
}

impl Batch {
    /// Returns its key in the list of batches, by the time of its order.
    pub fn sort_key(&self) -> SortKey<String> {
        SortKey { ts: self.created_ts, id: self.id.clone() }
    }
}

fn from_row(row: &Row<'_>) -> Result<Batch, DbError> {
    Ok(Batch {
        num: row.get(0)?,
        id: row.get(1)?,
        actor_kind: row.get(2)?,
        actor: row.get(3)?,
        digest: row.get(4)?,
        spec: row.get(5)?,
        total: row.get(6)?,
        created_ts: row.get(7)?,
    })
}

/// Stores a batch, with the key by which a repetition of the order is recognised; returns its number. The number in
/// `batch` is ignored.
pub fn insert(tx: &mut Tx<'_>, batch: &Batch, idempotency_key: Option<&str>) -> Result<BatchNum, DbError> {
    let Batch { num: _, id, actor_kind, actor, digest, spec, total, created_ts } = batch;
    let params = params![id, *actor_kind, actor, idempotency_key, digest, spec, *total, *created_ts];
    let nums = tx.returning(&INSERT, &params, |row| row.get(0))?;
    nums.first().copied().ok_or(DbError::NoRow)
}

/// Returns the batch of an id.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<Batch>, DbError> {
    tx.query_opt(&FIND, &params![id], from_row)
}

/// Returns the batch that an actor ordered with a key.
pub fn of_key(tx: &ReadTx<'_>, kind: ActorKind, actor: &str, key: &str) -> Result<Option<Batch>, DbError> {
    tx.query_opt(&OF_KEY, &params![kind, actor, key], from_row)
}

/// Returns batches ordered before a position (time and id), the newest first.
pub fn list(tx: &ReadTx<'_>, before: &SortKey<String>, limit: i64) -> Result<Vec<Batch>, DbError> {
    let SortKey { ts, id } = before;
    tx.query(&LIST, &params![ts, id, limit], from_row)
}

/// Returns the oldest batch that was ordered before a time, after a position (time and id).
pub fn oldest(tx: &ReadTx<'_>, before: Millis, after: &SortKey<String>) -> Result<Option<Batch>, DbError> {
    let SortKey { ts, id } = after;
    tx.query_opt(&OLDEST, &params![before, ts, id], from_row)
}

/// Deletes up to `most` outcomes and parts of a batch, and the batch itself when nothing is left of these; returns true
/// when it is gone.
pub fn delete_some(tx: &mut Tx<'_>, num: BatchNum, most: i64) -> Result<bool, DbError> {
    let deleted = tx.execute(&DELETE_OUTCOMES, &params![num, most])?
        + tx.execute(&DELETE_PARTS, &params![num, most])?;
    if deleted > 0 {
        return Ok(false);
    }
    tx.execute(&DELETE, &params![num])?;
    Ok(true)
}

/// The number of accounts from the first to the last, for each that is in the part, above which numbers are shorter than bits.
const SPARSE: usize = 48;

/// The form of a part of the selected accounts.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Part {
    /// Their numbers.
    Nums(Vec<UserNum>),
    /// A bit for each number from the first one on, the lowest bit of each byte first.
    Bits { first: UserNum, bits: String },
}

impl Part {
    /// Returns the shorter form. The numbers ascend.
    fn of(nums: &[UserNum]) -> Self {
        let (Some(first), Some(last)) = (nums.first(), nums.last()) else { return Self::Nums(Vec::new()) };
        let place = |num: UserNum| usize::try_from(num.get() - first.get()).unwrap_or(usize::MAX);
        let len = place(*last).saturating_add(1);
        if len > nums.len().saturating_mul(SPARSE) {
            return Self::Nums(nums.to_vec());
        }
        let mut bytes = vec![0_u8; len.div_ceil(8)];
        for place in nums.iter().map(|num| place(*num)) {
            if let Some(byte) = bytes.get_mut(place / 8) {
                *byte |= 1 << (place % 8);
            }
        }
        Self::Bits { first: *first, bits: url_base64(&bytes) }
    }

    /// Returns the numbers; `None` if they cannot be read.
    fn nums(self) -> Option<Vec<UserNum>> {
        let (first, bits) = match self {
            Self::Nums(nums) => return Some(nums),
            Self::Bits { first, bits } => (first, from_url_base64(&bits)?),
        };
        let places = (0_i64..).step_by(8).zip(bits).flat_map(|(place, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| place + bit)
        });
        Some(places.map(|place| UserNum::new(first.get() + place)).collect())
    }
}

/// Stores a part of the selected accounts, whose numbers ascend.
pub fn insert_part(tx: &mut Tx<'_>, num: BatchNum, part: i64, users: &[UserNum]) -> Result<(), DbError> {
    let form = serde_json::to_string(&Part::of(users));
    let form =
        form.map_err(|error| DbError::Internal(format!("a part of a batch cannot be written: {error}")))?;
    tx.execute(&INSERT_PART, &params![num, part, form])?;
    Ok(())
}

/// Returns a part of the selected accounts; `None` behind the last.
pub fn part(tx: &ReadTx<'_>, num: BatchNum, part: i64) -> Result<Option<Vec<UserNum>>, DbError> {
    let text: Option<String> = tx.query_opt(&PART, &params![num, part], |row| row.get(0))?;
    let Some(text) = text else { return Ok(None) };
    let nums = serde_json::from_str::<Part>(&text).ok().and_then(Part::nums);
    nums.map(Some).ok_or_else(|| DbError::Internal("a part of a batch cannot be read".to_owned()))
}

/// The outcome of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its place in the batch, from 0.
    pub place: i64,
    /// Its user id.
    pub user_id: String,
    /// Its outcome.
    pub outcome: BatchOutcome,
    /// The reason of a refusal or failure.
    pub reason: Option<String>,
}

/// Stores what became of an account.
pub fn insert_outcome(
    tx: &mut Tx<'_>,
    num: BatchNum,
    place: i64,
    user_num: UserNum,
    outcome: BatchOutcome,
    reason: Option<&str>,
) -> Result<(), DbError> {
    tx.execute(&INSERT_OUTCOME, &params![num, place, user_num, outcome, reason])?;
    Ok(())
}

/// Returns outcomes after a place, in order; only of one kind, if that is given.
pub fn outcomes(
    tx: &ReadTx<'_>,
    num: BatchNum,
    only: Option<BatchOutcome>,
    after: i64,
    limit: i64,
) -> Result<Vec<Outcome>, DbError> {
    let map = |row: &Row<'_>| {
        Ok(Outcome { place: row.get(0)?, user_id: row.get(1)?, outcome: row.get(2)?, reason: row.get(3)? })
    };
    match only {
        None => tx.query(&OUTCOMES, &params![num, after, limit], map),
        Some(only) => tx.query(&OUTCOMES_OF, &params![num, after, limit, only], map),
    }
}

/// An order that can be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The digest of the order.
    pub digest: Digest,
    /// The number of accounts that were shown.
    pub total: i64,
    /// The time until which it can be confirmed.
    pub expires_ts: Millis,
}

/// Stores a confirmation under the digest of its token.
pub fn insert_confirmation(
    tx: &mut Tx<'_>,
    token_hash: &TokenHash,
    confirmation: Confirmation,
) -> Result<(), DbError> {
    let Confirmation { digest, total, expires_ts } = confirmation;
    tx.execute(&CONFIRM, &params![token_hash, digest, total, expires_ts])?;
    Ok(())
}

/// Takes the confirmation of a token, which confirms one order.
pub fn take_confirmation(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<Option<Confirmation>, DbError> {
    let found = tx.query_opt(&CONFIRMED, &params![token_hash], |row| {
        Ok(Confirmation { digest: row.get(0)?, total: row.get(1)?, expires_ts: row.get(2)? })
    })?;
    if found.is_some() {
        tx.execute(&DELETE_CONFIRMATION, &params![token_hash])?;
    }
    Ok(found)
}

/// Deletes confirmations that have expired.
pub fn prune_confirmations(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE_CONFIRMATIONS, &params![now])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reeve_model::UserNum;

    use super::Part;

    #[test]
    fn many_neighbours_are_short() {
        let nums: Vec<UserNum> = (0..10_000).map(|num| UserNum::new(1_000_000 + 10 * num)).collect();
        assert!(serde_json::to_string(&Part::of(&nums)).unwrap().len() < 20_000);
    }

    proptest! {
        #[test]
        fn parts_are_read_as_they_were_written(nums in prop::collection::btree_set(1..3000_i64, 0..200), far in 1..1_000_000_000_i64) {
            for shift in [0, far] {
                let nums: Vec<UserNum> = nums.iter().map(|num| UserNum::new(num + shift)).collect();
                let text = serde_json::to_string(&Part::of(&nums)).unwrap();
                prop_assert_eq!(serde_json::from_str::<Part>(&text).unwrap().nums().unwrap(), nums);
            }
        }
    }
}
