//! The runs of the rules by which old data is deleted, and counts of old data.

use reeve_db::{DbError, ReadTx, Statement, Tx, params};
use reeve_model::{Millis, RetentionRule};

reeve_db::statements! {
    FIND = "SELECT scheduled_ts, job, before_ts, ended_ts, deleted, kept FROM retention_runs WHERE rule = $1";
    SET_SCHEDULED = "INSERT INTO retention_runs (rule, scheduled_ts) VALUES ($1, $2) \
                     ON CONFLICT (rule) DO UPDATE SET scheduled_ts = excluded.scheduled_ts";
    SET_LAST = "INSERT INTO retention_runs (rule, job, before_ts, ended_ts, deleted, kept) VALUES ($1, $2, $3, $4, $5, $6) \
                ON CONFLICT (rule) DO UPDATE SET job = excluded.job, before_ts = excluded.before_ts, \
                ended_ts = excluded.ended_ts, deleted = excluded.deleted, kept = excluded.kept";
}

/// The runs of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// The time at which the server last queued one by itself; before the first one, the time at which it first saw that
    /// the rule is on; `None` while it is off.
    pub scheduled_ts: Option<Millis>,
    /// The last run that is over and deleted something, or could have.
    pub last: Option<LastRun>,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// The id of its job, which may be gone.
    pub job: String,
    /// The time before which it deleted.
    pub before_ts: Millis,
    /// The time at which it ended.
    pub ended_ts: Millis,
    /// The number of things that it deleted.
    pub deleted: i64,
    /// The number of things that it kept although they are as old.
    pub kept: i64,
}

/// Returns the runs of a rule.
pub fn find(tx: &ReadTx<'_>, rule: RetentionRule) -> Result<Runs, DbError> {
    let found = tx.query_opt(&FIND, &params![rule], |row| {
        let last = match row.get::<Option<String>>(1)? {
            None => None,
            Some(job) => Some(LastRun {
                job,
                before_ts: row.get(2)?,
                ended_ts: row.get(3)?,
                deleted: row.get(4)?,
                kept: row.get(5)?,
            }),
        };
        Ok(Runs { scheduled_ts: row.get(0)?, last })
    })?;
    Ok(found.unwrap_or_default())
}

/// Stores when the server queued a run by itself; `None` when the rule is off.
pub fn set_scheduled(tx: &mut Tx<'_>, rule: RetentionRule, ts: Option<Millis>) -> Result<(), DbError> {
    tx.execute(&SET_SCHEDULED, &params![rule, ts])?;
    Ok(())
}

/// Stores a run that is over.
pub fn set_last(tx: &mut Tx<'_>, rule: RetentionRule, last: &LastRun) -> Result<(), DbError> {
    let LastRun { job, before_ts, ended_ts, deleted, kept } = last;
    tx.execute(&SET_LAST, &params![rule, job, *before_ts, *ended_ts, *deleted, *kept])?;
    Ok(())
}

/// The statements by which old rows of a table are counted in parts.
pub(crate) struct Ages {
    /// The time of the row that is `$3` rows after the first from `$1` on and before `$2`.
    pub(crate) nth: &'static Statement,
    /// The number of rows from `$1` on and before `$2`.
    pub(crate) count: &'static Statement,
}

/// A part of the old rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of rows in it.
    pub count: i64,
    /// The time with which the next part begins; `None` if this is the last one.
    pub next: Option<Millis>,
}

impl Ages {
    /// Counts about `most` of the rows from a time on and before another.
    pub(crate) fn part(
        &self,
        tx: &ReadTx<'_>,
        from: Millis,
        before: Millis,
        most: i64,
    ) -> Result<Part, DbError> {
        let nth: Option<Millis> = tx.query_opt(self.nth, &params![from, before, most], |row| row.get(0))?;
        let upto = match nth {
            None => before,
            // Very many rows have the same time.
            Some(nth) if nth == from => nth.plus(1),
            Some(nth) => nth,
        };
        let count = tx.query_one(self.count, &params![from, upto], |row| row.get(0))?;
        Ok(Part { count, next: (upto < before).then_some(upto) })
    }
}
