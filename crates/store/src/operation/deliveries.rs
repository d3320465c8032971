//! Deliveries to destinations outside the server: the cursor of each, its marks, its claim, and its failures in a row.
//!
//! Each belongs to the row of its kind with the number `target`, which is deleted together with it. The types of
//! `target` and of the cursor are those of the kind.

use std::sync::Arc;

use reeve_db::{Channel, DbError, FromValue, ReadTx, ToValue, Tx, params};
use reeve_model::{DeliveryKind, Millis};

use crate::sql::num_list;

/// Makes a delivery that rests for a time due; one that waits after a failure stays as it is.
macro_rules! mark {
    ($targets:literal) => {
        concat!(
            "UPDATE deliveries SET marks = marks + 1, due_ts = CASE WHEN due_ts IS NULL \
             OR (claim IS NULL AND failures = 0 AND due_ts > $3) THEN $3 ELSE due_ts END \
             WHERE kind = $1 AND target_num ",
            $targets
        )
    };
}

reeve_db::statements! {
    PUT = "INSERT INTO deliveries (kind, target_num, cursor, marks, failures) VALUES ($1, $2, $3, 0, 0) \
           ON CONFLICT (kind, target_num) DO UPDATE SET failures = 0, failing_since_ts = NULL, \
           due_ts = CASE WHEN deliveries.due_ts IS NOT NULL AND deliveries.claim IS NULL THEN CAST($4 AS BIGINT) \
           ELSE deliveries.due_ts END";
    /// `$2`: numbers, in the form of [`num_list`].
    DELETE = {
        sqlite: "DELETE FROM deliveries WHERE kind = $1 AND target_num IN (SELECT value FROM json_each($2))",
        postgres: "DELETE FROM deliveries WHERE kind = $1 AND target_num = ANY (CAST(CAST($2 AS TEXT) AS BIGINT[]))",
    };
    /// `$2`: numbers, in the form of [`num_list`].
    MARK = {
        sqlite: mark!("IN (SELECT value FROM json_each($2))"),
        postgres: mark!("= ANY (CAST(CAST($2 AS TEXT) AS BIGINT[]))"),
    };
    IS_DUE = "SELECT target_num FROM deliveries WHERE kind = $1 AND due_ts <= $2 LIMIT 1";
    CLAIM = "UPDATE deliveries SET claim = $3, due_ts = $4 WHERE kind = $1 AND target_num IN \
             (SELECT target_num FROM deliveries WHERE kind = $1 AND due_ts <= $2 ORDER BY due_ts LIMIT $5) \
             RETURNING target_num, cursor, failures, failing_since_ts";
    MARKS = "SELECT marks FROM deliveries WHERE kind = $1 AND target_num = $2 AND claim = $3";
    /// Keeps the claim.
    ADVANCE = "UPDATE deliveries SET cursor = $4, due_ts = $5, failures = 0, failing_since_ts = NULL \
               WHERE kind = $1 AND target_num = $2 AND claim = $3";
    /// Releases the claim; a delivery that was marked meanwhile is due at once.
    SETTLE = "UPDATE deliveries SET cursor = $4, failures = 0, failing_since_ts = NULL, claim = NULL, \
              due_ts = CASE WHEN marks = $5 THEN CAST($6 AS BIGINT) ELSE CAST($7 AS BIGINT) END \
              WHERE kind = $1 AND target_num = $2 AND claim = $3";
    FAIL = "UPDATE deliveries SET failures = failures + 1, failing_since_ts = coalesce(failing_since_ts, $4), due_ts = $5, \
            claim = NULL WHERE kind = $1 AND target_num = $2 AND claim = $3";
    /// Without the pause after a failure; a worker that has a claim goes on.
    HURRY = "UPDATE deliveries SET marks = marks + 1, failures = 0, failing_since_ts = NULL, \
             due_ts = CASE WHEN claim IS NULL THEN CAST($3 AS BIGINT) ELSE due_ts END WHERE kind = $1 AND target_num = $2";
    /// Ends a claim, so that its worker stores nothing any more.
    REWIND = "UPDATE deliveries SET cursor = $3, marks = marks + 1, failures = 0, failing_since_ts = NULL, claim = NULL, \
              due_ts = $4 WHERE kind = $1 AND target_num = $2";
    STATE = "SELECT cursor, failures, failing_since_ts, due_ts FROM deliveries WHERE kind = $1 AND target_num = $2";
    RELEASE = "UPDATE deliveries SET due_ts = $4, claim = NULL WHERE kind = $1 AND target_num = $2 AND claim = $3";
}

/// Notified by each transaction that marks deliveries.
pub const MARKED: Channel = Channel::new("deliveries");

/// The claim of a worker on a delivery. It holds until another worker claims the delivery after the end of the lease.
#[derive(Clone, Debug)]
pub struct Claim<Target> {
    /// The kind of the delivery.
    pub kind: DeliveryKind,
    /// The number of the row that it is for.
    pub target: Target,
    /// The name of the claim, which no other has.
    pub name: Arc<str>,
}

/// A delivery that a worker has claimed.
#[derive(Clone, Debug)]
pub struct Claimed<Target, Cursor> {
    /// The claim.
    pub claim: Claim<Target>,
    /// The position up to which everything was delivered.
    pub cursor: Cursor,
    /// The number of failures in a row.
    pub failures: i64,
    /// The time of the first of these failures.
    pub failing_since_ts: Option<Millis>,
}

/// Adds a delivery that begins after a position. If there is one, it keeps its cursor, and is due at once if it waits.
pub fn put(
    tx: &mut Tx<'_>,
    kind: DeliveryKind,
    target: impl ToValue,
    cursor: impl ToValue,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&PUT, &params![kind, target, cursor, now])?;
    Ok(())
}

/// Deletes deliveries, in the transaction that deletes the rows that they are for.
pub fn delete(tx: &mut Tx<'_>, kind: DeliveryKind, targets: &[impl ToString]) -> Result<(), DbError> {
    if !targets.is_empty() {
        let list = num_list(tx.engine(), targets);
        tx.execute(&DELETE, &params![kind, &list])?;
    }
    Ok(())
}

/// Marks deliveries: there may be something to deliver.
pub fn mark(
    tx: &mut Tx<'_>,
    kind: DeliveryKind,
    targets: &[impl ToString],
    now: Millis,
) -> Result<(), DbError> {
    tx.notify(MARKED);
    let list = num_list(tx.engine(), targets);
    tx.execute(&MARK, &params![kind, &list, now])?;
    Ok(())
}

/// Returns true if a delivery of a kind is due.
pub fn is_due(tx: &ReadTx<'_>, kind: DeliveryKind, now: Millis) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IS_DUE, &params![kind, now], |_| Ok(()))?.is_some())
}

/// Claims up to `most` due deliveries of a kind, with a lease until a time.
pub fn claim<Target: FromValue, Cursor: FromValue>(
    tx: &mut Tx<'_>,
    kind: DeliveryKind,
    name: &Arc<str>,
    now: Millis,
    until: Millis,
    most: i64,
) -> Result<Vec<Claimed<Target, Cursor>>, DbError> {
    tx.returning(&CLAIM, &params![kind, now, **name, until, most], |row| {
        Ok(Claimed {
            claim: Claim { kind, target: row.get(0)?, name: Arc::clone(name) },
            cursor: row.get(1)?,
            failures: row.get(2)?,
            failing_since_ts: row.get(3)?,
        })
    })
}

/// Returns the number of marks of a claimed delivery; `None` if the claim does not hold any more.
pub fn marks(tx: &ReadTx<'_>, claim: &Claim<impl ToValue>) -> Result<Option<i64>, DbError> {
    tx.query_opt(&MARKS, &params![claim.kind, claim.target, *claim.name], |row| row.get(0))
}

/// Stores the cursor of a claimed delivery after a success, and renews the lease. Returns false if the claim does not
/// hold any more; then nothing is changed.
pub fn advance(
    tx: &mut Tx<'_>,
    claim: &Claim<impl ToValue>,
    cursor: impl ToValue,
    until: Millis,
) -> Result<bool, DbError> {
    let params = params![claim.kind, claim.target, *claim.name, cursor, until];
    Ok(tx.execute(&ADVANCE, &params)? > 0)
}

/// Stores the cursor of a claimed delivery after a success, and releases it: it rests until `next`, or until it is
/// marked. If it does not have `marks` marks any more, it is due. Returns false if the claim does not hold any more;
/// then nothing is changed.
pub fn settle(
    tx: &mut Tx<'_>,
    claim: &Claim<impl ToValue>,
    cursor: impl ToValue,
    marks: i64,
    next: Option<Millis>,
    now: Millis,
) -> Result<bool, DbError> {
    let params = params![claim.kind, claim.target, *claim.name, cursor, marks, next, now];
    Ok(tx.execute(&SETTLE, &params)? > 0)
}

/// Counts a failure of a claimed delivery, and releases it: it rests until a time.
pub fn fail(tx: &mut Tx<'_>, claim: &Claim<impl ToValue>, now: Millis, until: Millis) -> Result<(), DbError> {
    tx.execute(&FAIL, &params![claim.kind, claim.target, *claim.name, now, until])?;
    Ok(())
}

/// Releases a claimed delivery as it was: it is due.
pub fn release(tx: &mut Tx<'_>, claim: &Claim<impl ToValue>, now: Millis) -> Result<(), DbError> {
    tx.execute(&RELEASE, &params![claim.kind, claim.target, *claim.name, now])?;
    Ok(())
}

/// Makes a delivery due after its destination changed, also one that waits after a failure.
pub fn hurry(tx: &mut Tx<'_>, kind: DeliveryKind, target: impl ToValue, now: Millis) -> Result<(), DbError> {
    tx.notify(MARKED);
    tx.execute(&HURRY, &params![kind, target, now])?;
    Ok(())
}

/// Sets the cursor of a delivery, which is due at once. What is being sent meanwhile counts as not sent.
pub fn rewind(
    tx: &mut Tx<'_>,
    kind: DeliveryKind,
    target: impl ToValue,
    cursor: impl ToValue,
    now: Millis,
) -> Result<(), DbError> {
    tx.notify(MARKED);
    tx.execute(&REWIND, &params![kind, target, cursor, now])?;
    Ok(())
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<Cursor> {
    /// The position up to which everything was delivered, or given up.
    pub cursor: Cursor,
    /// The number of failures in a row.
    pub failures: i64,
    /// The time of the first of these failures.
    pub failing_since_ts: Option<Millis>,
    /// The time of the next step, or of the end of the lease while there is a claim; `None` if it rests.
    pub due_ts: Option<Millis>,
}

/// Returns the state of a delivery; [`DbError::NoRow`] if there is none.
pub fn state<Cursor: FromValue>(
    tx: &ReadTx<'_>,
    kind: DeliveryKind,
    target: impl ToValue,
) -> Result<State<Cursor>, DbError> {
    tx.query_one(&STATE, &params![kind, target], |row| {
        Ok(State {
            cursor: row.get(0)?,
            failures: row.get(1)?,
            failing_since_ts: row.get(2)?,
            due_ts: row.get(3)?,
        })
    })
}
