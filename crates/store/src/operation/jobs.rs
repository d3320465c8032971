//! Rows of jobs.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{JobState, Millis};

use crate::paging::SortKey;

macro_rules! columns {
    () => {
        "id, kind, subject, state, payload, done, total, result, error, attempts, run_after_ts, created_ts, updated_ts"
    };
}

reeve_db::statements! {
    INSERT = "INSERT INTO jobs (id, kind, subject, state, payload, done, total, attempts, run_after_ts, \
              lease_until_ts, created_ts, updated_ts) VALUES ($1, $2, $3, 'scheduled', $4, 0, $5, 0, $6, 0, $6, $6)";
    FIND = concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1");
    LIST = concat!("SELECT ", columns!(), " FROM jobs \
            WHERE (created_ts, id) < ($1, $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4) \
            ORDER BY created_ts DESC, id DESC LIMIT $5");
    LIST_OF_SUBJECT = concat!("SELECT ", columns!(), " FROM jobs \
            WHERE subject = $6 AND (created_ts, id) < ($1, $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4) \
            ORDER BY created_ts DESC, id DESC LIMIT $5");
    UNFINISHED = concat!("SELECT ", columns!(), " FROM jobs WHERE subject = $1 AND kind = $2 \
            AND state IN ('scheduled', 'active', 'paused') ORDER BY created_ts, id LIMIT 1");
    NEWEST = concat!("SELECT ", columns!(), " FROM jobs WHERE subject = $1 AND kind = $2 \
            ORDER BY created_ts DESC, id DESC LIMIT 1");
    PAUSE = "UPDATE jobs SET state = 'paused', updated_ts = $2 WHERE id = $1 AND state IN ('scheduled', 'active')";
    RESUME = "UPDATE jobs SET state = 'scheduled', run_after_ts = $2, updated_ts = $2 WHERE id = $1 AND state = 'paused'";
    CANCEL = "UPDATE jobs SET state = 'cancelled', updated_ts = $2 \
              WHERE id = $1 AND state IN ('scheduled', 'active', 'paused')";
    DELETE = "DELETE FROM jobs WHERE id = $1";
    DUE = "SELECT id FROM jobs WHERE state = 'scheduled' AND run_after_ts <= $1 ORDER BY run_after_ts LIMIT 1";
    ABANDONED = "SELECT id FROM jobs WHERE state = 'active' AND lease_until_ts <= $1 ORDER BY run_after_ts LIMIT 1";
    LEASE = "UPDATE jobs SET state = 'active', lease_until_ts = $2, updated_ts = $3 WHERE id = $1";
    LEASE_AGAIN = "UPDATE jobs SET lease_until_ts = $2, updated_ts = $3, attempts = attempts + 1, error = $4 WHERE id = $1";
    LEASE_OF = "SELECT lease_until_ts FROM jobs WHERE id = $1 AND state = 'active'";
    PROGRESS = "UPDATE jobs SET payload = $2, done = $3, total = $4, lease_until_ts = $5, attempts = 0, updated_ts = $6 \
                WHERE id = $1";
    COMPLETE = "UPDATE jobs SET state = 'complete', result = $2, done = $3, total = $4, error = NULL, updated_ts = $5 \
                WHERE id = $1";
    RETRY = "UPDATE jobs SET state = 'scheduled', error = $2, attempts = attempts + 1, run_after_ts = $3, updated_ts = $4 \
             WHERE id = $1";
    FAIL = "UPDATE jobs SET state = 'failed', error = $2, attempts = $3, updated_ts = $4 WHERE id = $1";
    RELEASE = "UPDATE jobs SET state = 'scheduled', run_after_ts = $2, updated_ts = $2 WHERE id = $1 AND state = 'active'";
    STATES = "SELECT kind, state, count(*) FROM jobs WHERE state IN ('scheduled', 'active', 'paused', 'failed') \
              GROUP BY kind, state";
    /// The job of a batch is deleted with the batch.
    PRUNE = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = $1 AND updated_ts < $2 \
             AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.id = jobs.subject) LIMIT $3)";
}

/// The units of work of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// The number of completed ones.
    pub done: i64,
    /// The number of all, as far as known.
    pub total: i64,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id: 16 letters.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The id of the thing that it works on, usually a user id.
    pub subject: String,
    /// Its state.
    pub state: JobState,
    /// Its payload and progress, as JSON; `reeve-jobs` writes and reads it.
    pub payload: String,
    /// Its units of work.
    pub units: Units,
    /// Its outcome, as JSON.
    pub result: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// The number of failures of the present step.
    pub attempts: i64,
    /// The earliest time of the next step.
    pub run_after_ts: Millis,
    /// The time at which it was queued.
    pub created_ts: Millis,
    /// The time of its last change.
    pub updated_ts: Millis,
}

impl Job {
    /// Returns its key in the list of jobs, by the time at which it was queued.
    pub fn sort_key(&self) -> SortKey<String> {
        SortKey { ts: self.created_ts, id: self.id.clone() }
    }
}

fn from_row(row: &Row<'_>) -> Result<Job, DbError> {
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        state: row.get(3)?,
        payload: row.get(4)?,
        units: Units { done: row.get(5)?, total: row.get(6)? },
        result: row.get(7)?,
        error: row.get(8)?,
        attempts: row.get(9)?,
        run_after_ts: row.get(10)?,
        created_ts: row.get(11)?,
        updated_ts: row.get(12)?,
    })
}

/// A job to queue.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// Its id: 16 letters.
    pub id: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// The id of the thing that it works on.
    pub subject: &'a str,
    /// Its payload, as JSON.
    pub payload: &'a str,
    /// The number of units of work, as far as known.
    pub total: i64,
}

/// Queues a job.
pub fn insert(tx: &mut Tx<'_>, job: NewJob<'_>, now: Millis) -> Result<(), DbError> {
    let NewJob { id, kind, subject, payload, total } = job;
    tx.execute(&INSERT, &params![id, kind, subject, payload, total, now])?;
    Ok(())
}

/// Returns one job.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<Job>, DbError> {
    tx.query_opt(&FIND, &params![id], from_row)
}

/// Returns the unfinished job of a kind on a subject.
pub fn unfinished(tx: &ReadTx<'_>, subject: &str, kind: &str) -> Result<Option<Job>, DbError> {
    tx.query_opt(&UNFINISHED, &params![subject, kind], from_row)
}

/// Returns the newest job of a kind on a subject.
pub fn newest(tx: &ReadTx<'_>, subject: &str, kind: &str) -> Result<Option<Job>, DbError> {
    tx.query_opt(&NEWEST, &params![subject, kind], from_row)
}

/// Lets an unfinished job rest; returns false if it rests already, or is over. A worker that has it stops before its
/// next step.
pub fn pause(tx: &mut Tx<'_>, id: &str, now: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&PAUSE, &params![id, now])? > 0)
}

/// Schedules a paused job; returns false if it is not paused.
pub fn resume(tx: &mut Tx<'_>, id: &str, now: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&RESUME, &params![id, now])? > 0)
}

/// Calls an unfinished job off; returns false if it is over. A worker that has it stops before its next step.
pub fn cancel(tx: &mut Tx<'_>, id: &str, now: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&CANCEL, &params![id, now])? > 0)
}

/// Deletes a job.
pub fn delete(tx: &mut Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![id])?;
    Ok(())
}

/// The jobs to list; blank texts and `None` accept all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The subject.
    pub subject: String,
    /// The kind.
    pub kind: String,
    /// The state.
    pub state: Option<JobState>,
}

/// Returns jobs before a key, the newest first.
pub fn list(
    tx: &ReadTx<'_>,
    filter: &Filter,
    before: &SortKey<String>,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    let SortKey { ts, id } = before;
    let state = filter.state.map_or("", JobState::as_str);
    if filter.subject.is_empty() {
        tx.query(&LIST, &params![ts, id, &filter.kind, state, limit], from_row)
    } else {
        tx.query(&LIST_OF_SUBJECT, &params![ts, id, &filter.kind, state, limit, &filter.subject], from_row)
    }
}

/// The error of a job whose lease ended within a step.
const ABANDONED_ERROR: &str = "the server stopped within a step, or the step took too long";

/// Claims a job that is due, or whose lease has ended, until `lease_until`. The end of a lease within a step is a failed
/// attempt: the step may be what ends its worker.
pub fn claim(tx: &mut Tx<'_>, now: Millis, lease_until: Millis) -> Result<Option<Job>, DbError> {
    let abandoned: Option<String> = tx.query_opt(&ABANDONED, &params![now], |row| row.get(0))?;
    if let Some(id) = abandoned {
        tx.execute(&LEASE_AGAIN, &params![&id, lease_until, now, ABANDONED_ERROR])?;
        return find(tx, &id);
    }
    let due: Option<String> = tx.query_opt(&DUE, &params![now], |row| row.get(0))?;
    let Some(id) = due else { return Ok(None) };
    tx.execute(&LEASE, &params![&id, lease_until, now])?;
    find(tx, &id)
}

/// Returns the end of the lease of a job; `None` if no worker has one.
pub fn lease(tx: &ReadTx<'_>, id: &str) -> Result<Option<Millis>, DbError> {
    tx.query_opt(&LEASE_OF, &params![id], |row| row.get(0))
}

/// Stores the progress of a job and extends its lease.
pub fn progress(
    tx: &mut Tx<'_>,
    id: &str,
    payload: &str,
    units: Units,
    lease_until: Millis,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&PROGRESS, &params![id, payload, units.done, units.total, lease_until, now])?;
    Ok(())
}

/// Finishes a job.
pub fn complete(tx: &mut Tx<'_>, id: &str, result: &str, units: Units, now: Millis) -> Result<(), DbError> {
    tx.execute(&COMPLETE, &params![id, result, units.done, units.total, now])?;
    Ok(())
}

/// Schedules a job again for a later time, after an error.
pub fn retry(tx: &mut Tx<'_>, id: &str, error: &str, run_after: Millis, now: Millis) -> Result<(), DbError> {
    tx.execute(&RETRY, &params![id, error, run_after, now])?;
    Ok(())
}

/// Fails a job for good, after so many failures of its last step.
pub fn fail(tx: &mut Tx<'_>, id: &str, error: &str, attempts: i64, now: Millis) -> Result<(), DbError> {
    tx.execute(&FAIL, &params![id, error, attempts, now])?;
    Ok(())
}

/// Schedules a job again at once, behind those that are due already.
pub fn release(tx: &mut Tx<'_>, id: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&RELEASE, &params![id, now])?;
    Ok(())
}

/// Counts unfinished and failed jobs by kind and state.
pub fn states(tx: &ReadTx<'_>) -> Result<Vec<(String, JobState, i64)>, DbError> {
    tx.query(&STATES, &params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Deletes some of the jobs that finished before a time; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<bool, DbError> {
    let mut deleted = 0;
    for state in [JobState::Complete, JobState::Failed, JobState::Cancelled] {
        deleted += tx.execute(&PRUNE, &params![state, before, most])?;
    }
    Ok(deleted > 0)
}
