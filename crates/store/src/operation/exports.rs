//! Archives of everything about one account: the orders, the claims of the workers that write them, and the links.

use reeve_db::{Channel, DbError, ReadTx, Row, Tx, params};
use reeve_model::{ActorKind, ExportNum, ExportState, Millis, TokenHash, UserNum};

use crate::{SortKey, media_objects};

/// Notified by each transaction that orders an archive.
pub const ORDERED: Channel = Channel::new("exports");

macro_rules! columns {
    () => {
        "e.num, e.id, e.user_num, u.user_id, e.own, e.requested_by_kind, e.requested_by, e.with_history, e.with_media, \
         e.recipient, e.state, e.created_ts, e.completed_ts, e.ends_ts, e.attempts, e.error, e.object, e.length, \
         e.sha256, e.link_until_ts, e.link_by_kind, e.link_by, e.link_used"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM exports e JOIN users u ON u.num = e.user_num WHERE ", $rest)
    };
}

reeve_db::statements! {
    INSERT = "INSERT INTO exports (id, user_num, own, requested_by_kind, requested_by, with_history, with_media, recipient, \
              state, created_ts, due_ts, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $9, 0)";
    FIND = select!("e.id = $1");
    BY_LINK = select!("e.link_hash = $1");
    OF_USER = select!("e.user_num = $1 AND (e.created_ts, e.id) < ($2, $3) ORDER BY e.created_ts DESC, e.id DESC LIMIT $4");
    OWN_OF_USER = select!("e.user_num = $1 AND e.own = 1 AND (e.created_ts, e.id) < ($2, $3) \
                   ORDER BY e.created_ts DESC, e.id DESC LIMIT $4");
    UNFINISHED = "SELECT 1 FROM exports WHERE user_num = $1 AND own = $2 AND due_ts IS NOT NULL LIMIT 1";
    /// Walks over the due orders in the order of their time, past those of the other kind, up to the first.
    DUE = "SELECT num FROM exports WHERE own = $1 AND due_ts <= $2 ORDER BY due_ts, num LIMIT 1";
    CLAIM = "UPDATE exports SET state = 'running', claim = $2, due_ts = $3, attempts = attempts + 1 WHERE num = $1";
    BY_NUM = select!("e.num = $1");
    RENEW = "UPDATE exports SET due_ts = $3 WHERE num = $1 AND claim = $2";
    RELEASE = "UPDATE exports SET state = 'waiting', claim = NULL, due_ts = created_ts, attempts = attempts - 1 \
               WHERE num = $1 AND claim = $2";
    RELEASE_ALL = "UPDATE exports SET state = 'waiting', claim = NULL, due_ts = created_ts \
                   WHERE due_ts > 0 AND claim IS NOT NULL";
    RETRY = "UPDATE exports SET state = 'waiting', claim = NULL, due_ts = $3, error = $4 WHERE num = $1 AND claim = $2";
    FAIL = "UPDATE exports SET state = $3, claim = NULL, due_ts = NULL, error = $4, ends_ts = $5 \
            WHERE num = $1 AND claim = $2";
    COMPLETE = "UPDATE exports SET state = 'ready', claim = NULL, due_ts = NULL, error = NULL, object = $3, length = $4, \
                sha256 = $5, completed_ts = $6, ends_ts = $7 WHERE num = $1 AND claim = $2";
    OBJECT = "SELECT object FROM exports WHERE num = $1 AND object IS NOT NULL";
    SET_DELETED = "UPDATE exports SET state = 'deleted', claim = NULL, due_ts = NULL, object = NULL, length = NULL, \
                   sha256 = NULL, link_hash = NULL, link_until_ts = NULL, ends_ts = $2 WHERE num = $1";
    ENDED = "SELECT num FROM exports WHERE ends_ts <= $1 ORDER BY ends_ts LIMIT $2";
    OF_ACCOUNT = "SELECT num FROM exports WHERE user_num = $1";
    OTHER_OWN_READY = "SELECT num FROM exports WHERE user_num = $1 AND own = 1 AND state = 'ready' AND num <> $2";
    OWN_TOO_LARGE = "SELECT max(ends_ts) FROM exports WHERE user_num = $1 AND own = 1 AND state = 'too_large' \
                     AND with_history <= $2 AND with_media <= $3";
    DELETE = "DELETE FROM exports WHERE num = $1";
    SET_LINK = "UPDATE exports SET link_hash = $2, link_until_ts = $3, link_by_kind = $4, link_by = $5, link_used = 0 \
                WHERE num = $1";
    SET_LINK_USED = "UPDATE exports SET link_used = 1 WHERE num = $1";
    END_LINKS = "UPDATE exports SET link_hash = NULL, link_until_ts = NULL \
                 WHERE user_num = $1 AND link_by_kind = $2 AND link_by = $3";
}

/// The parts of an archive that can be left out, and its encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// True if it has the history of the rooms that the person can see.
    pub history: bool,
    /// True if it has the files that the person uploaded, and not their list alone.
    pub media: bool,
    /// The age recipient to which it is encrypted.
    pub recipient: Option<String>,
}

/// An actor, as the audit log stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The kind of the actor.
    pub kind: ActorKind,
    /// The id of the actor among those of the kind.
    pub id: String,
}

/// An archive that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The object in the media store.
    pub object: String,
    /// Its length, in bytes.
    pub length: i64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// The link to download an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The time until which it can be used.
    pub until_ts: Millis,
    /// The actor who made it.
    pub by: By,
    /// True if it was used.
    pub used: bool,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The number by which workers refer to it.
    pub num: ExportNum,
    /// Its id: 16 letters.
    pub id: String,
    /// The account that it is about.
    pub user_num: UserNum,
    /// The user id of the account.
    pub user_id: String,
    /// True if the account ordered it for itself.
    pub own: bool,
    /// The actor who ordered it.
    pub requested_by: By,
    /// Its parts.
    pub options: Options,
    /// Its state.
    pub state: ExportState,
    /// The time of the order.
    pub created_ts: Millis,
    /// The time at which the archive was complete.
    pub completed_ts: Option<Millis>,
    /// The time at which it is deleted; `None` while it is not over.
    pub ends_ts: Option<Millis>,
    /// The number of times that a worker began to write it.
    pub attempts: i64,
    /// The reason why it failed, or the last error.
    pub error: Option<String>,
    /// The archive, if it can be downloaded.
    pub archive: Option<Archive>,
    /// The link, if there is one.
    pub link: Option<Link>,
}

impl Export {
    /// Returns its key in lists, by the time of the order.
    pub fn sort_key(&self) -> SortKey<String> {
        SortKey { ts: self.created_ts, id: self.id.clone() }
    }
}

fn from_row(row: &Row<'_>) -> Result<Export, DbError> {
    let object: Option<String> = row.get(16)?;
    let archive = match object {
        Some(object) => Some(Archive { object, length: row.get(17)?, sha256: row.get(18)? }),
        None => None,
    };
    let until: Option<Millis> = row.get(19)?;
    let link = match until {
        Some(until_ts) => {
            Some(Link { until_ts, by: By { kind: row.get(20)?, id: row.get(21)? }, used: row.get(22)? })
        }
        None => None,
    };
    Ok(Export {
        num: row.get(0)?,
        id: row.get(1)?,
        user_num: row.get(2)?,
        user_id: row.get(3)?,
        own: row.get(4)?,
        requested_by: By { kind: row.get(5)?, id: row.get(6)? },
        options: Options { history: row.get(7)?, media: row.get(8)?, recipient: row.get(9)? },
        state: row.get(10)?,
        created_ts: row.get(11)?,
        completed_ts: row.get(12)?,
        ends_ts: row.get(13)?,
        attempts: row.get(14)?,
        error: row.get(15)?,
        archive,
        link,
    })
}

/// An order to store.
#[derive(Clone, Debug)]
pub struct NewExport<'a> {
    /// Its id: 16 letters.
    pub id: &'a str,
    /// The account that it is about.
    pub user_num: UserNum,
    /// True if the account orders it for itself.
    pub own: bool,
    /// The actor.
    pub requested_by: By,
    /// Its parts.
    pub options: &'a Options,
}

/// Stores an order. A worker begins when the transaction is committed.
pub fn insert(tx: &mut Tx<'_>, new: &NewExport<'_>, now: Millis) -> Result<(), DbError> {
    let NewExport { id, user_num, own, requested_by, options } = new;
    let Options { history, media, recipient } = options;
    let By { kind, id: by } = requested_by;
    tx.execute(&INSERT, &params![*id, *user_num, *own, *kind, by, *history, *media, recipient, now])?;
    tx.notify(ORDERED);
    Ok(())
}

/// Returns the export of an id.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<Export>, DbError> {
    tx.query_opt(&FIND, &params![id], from_row)
}

/// Returns the export with a link, by the digest of the token.
pub fn by_link(tx: &ReadTx<'_>, link: &TokenHash) -> Result<Option<Export>, DbError> {
    tx.query_opt(&BY_LINK, &params![link], from_row)
}

/// Returns exports of an account before a position (time and id), the newest first; `own` only those that it ordered itself.
pub fn of_user(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    own: bool,
    before: &SortKey<String>,
    limit: i64,
) -> Result<Vec<Export>, DbError> {
    let SortKey { ts, id } = before;
    let statement = if own { &OWN_OF_USER } else { &OF_USER };
    tx.query(statement, &params![user_num, ts, id, limit], from_row)
}

/// Returns true if an export of an account waits or runs: one that it ordered itself, or one of the others.
pub fn is_unfinished(tx: &ReadTx<'_>, user_num: UserNum, own: bool) -> Result<bool, DbError> {
    Ok(tx.query_opt(&UNFINISHED, &params![user_num, own], |_| Ok(()))?.is_some())
}

/// Returns the end of the last order of an account for itself that was too large and had no more parts than these.
pub fn own_too_large(tx: &ReadTx<'_>, user_num: UserNum, parts: &Options) -> Result<Option<Millis>, DbError> {
    tx.query_one(&OWN_TOO_LARGE, &params![user_num, parts.history, parts.media], |row| row.get(0))
}

/// A claim of a worker on an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The export.
    pub num: ExportNum,
    /// The name of the claim.
    pub name: String,
}

/// Returns the first export that waits for a worker, or has lost its own, since a time: of those that accounts ordered for
/// themselves, or of the others.
pub fn first_due(tx: &ReadTx<'_>, own: bool, since: Millis) -> Result<Option<ExportNum>, DbError> {
    tx.query_opt(&DUE, &params![own, since], |row| row.get(0))
}

/// Claims an export that is due, under a name that is used once, until `lease_until`.
pub fn claim(tx: &mut Tx<'_>, claim: &Claim, lease_until: Millis) -> Result<Option<Export>, DbError> {
    tx.execute(&CLAIM, &params![claim.num, &claim.name, lease_until])?;
    tx.query_opt(&BY_NUM, &params![claim.num], from_row)
}

/// Extends the lease of a claim; returns false if it does not hold any more.
pub fn renew(tx: &mut Tx<'_>, claim: &Claim, lease_until: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&RENEW, &params![claim.num, &claim.name, lease_until])? > 0)
}

/// Gives a claim back, since the worker stops. The attempt does not count, and the order has its place in the queue again.
pub fn release(tx: &mut Tx<'_>, claim: &Claim) -> Result<(), DbError> {
    tx.execute(&RELEASE, &params![claim.num, &claim.name])?;
    Ok(())
}

/// Ends the claims of all workers; the orders have their places in the queue again. Only for a process that has the database to
/// itself.
pub fn release_all(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&RELEASE_ALL, &params![])?;
    Ok(())
}

/// Lets an export wait for another attempt, after an error.
pub fn retry(tx: &mut Tx<'_>, claim: &Claim, due: Millis, error: &str) -> Result<(), DbError> {
    tx.execute(&RETRY, &params![claim.num, &claim.name, due, error])?;
    Ok(())
}

/// Gives an export up, in a state that says why; returns false if the claim does not hold any more.
pub fn fail(
    tx: &mut Tx<'_>,
    claim: &Claim,
    state: ExportState,
    error: &str,
    ends: Millis,
) -> Result<bool, DbError> {
    Ok(tx.execute(&FAIL, &params![claim.num, &claim.name, state, error, ends])? > 0)
}

/// Stores the complete archive, until `ends`; returns false if the claim does not hold any more.
pub fn complete(
    tx: &mut Tx<'_>,
    claim: &Claim,
    archive: &Archive,
    now: Millis,
    ends: Millis,
) -> Result<bool, DbError> {
    let (Claim { num, name }, Archive { object, length, sha256 }) = (claim, archive);
    let params = params![*num, name, object, *length, sha256, now, ends];
    Ok(tx.execute(&COMPLETE, &params)? > 0)
}

/// Schedules the deletion of the archive of an export, if there is one.
fn release_archive(tx: &mut Tx<'_>, num: ExportNum, now: Millis) -> Result<(), DbError> {
    let object: Option<String> = tx.query_opt(&OBJECT, &params![num], |row| row.get(0))?;
    object.map_or(Ok(()), |object| media_objects::release_object(tx, &object, now))
}

/// Deletes the archive of an export, or ends its worker. The row stays until `ends`.
pub fn set_deleted(tx: &mut Tx<'_>, num: ExportNum, now: Millis, ends: Millis) -> Result<(), DbError> {
    release_archive(tx, num, now)?;
    tx.execute(&SET_DELETED, &params![num, ends])?;
    Ok(())
}

/// Returns true if the time of an export is over.
pub fn has_ended(tx: &ReadTx<'_>, now: Millis) -> Result<bool, DbError> {
    let one = 1_i64;
    Ok(tx.query_opt(&ENDED, &params![now, one], |_| Ok(()))?.is_some())
}

/// Deletes some exports whose time is over, with their archives; returns their number.
pub fn delete_ended(tx: &mut Tx<'_>, now: Millis, most: i64) -> Result<usize, DbError> {
    let nums = tx.query(&ENDED, &params![now, most], |row| row.get(0))?;
    delete(tx, &nums, now)?;
    Ok(nums.len())
}

/// Deletes the other archives that an account ordered for itself, with their exports.
pub fn delete_other_own(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    but: ExportNum,
    now: Millis,
) -> Result<(), DbError> {
    let nums = tx.query(&OTHER_OWN_READY, &params![user_num, but], |row| row.get(0))?;
    delete(tx, &nums, now)
}

/// Deletes all exports of an account, with their archives, and ends their workers.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum, now: Millis) -> Result<(), DbError> {
    let nums = tx.query(&OF_ACCOUNT, &params![user_num], |row| row.get(0))?;
    delete(tx, &nums, now)
}

fn delete(tx: &mut Tx<'_>, nums: &[ExportNum], now: Millis) -> Result<(), DbError> {
    for num in nums {
        release_archive(tx, *num, now)?;
        tx.execute(&DELETE, &params![*num])?;
    }
    Ok(())
}

/// Sets the link of an export, in place of a former one.
pub fn set_link(
    tx: &mut Tx<'_>,
    num: ExportNum,
    token_hash: &TokenHash,
    until: Millis,
    by: &By,
) -> Result<(), DbError> {
    tx.execute(&SET_LINK, &params![num, token_hash, until, by.kind, &by.id])?;
    Ok(())
}

/// Ends the links to the archives of an account that an actor made.
pub fn end_links(tx: &mut Tx<'_>, user_num: UserNum, by: &By) -> Result<(), DbError> {
    tx.execute(&END_LINKS, &params![user_num, by.kind, &by.id])?;
    Ok(())
}

/// Stores that the link of an export was used.
pub fn set_link_used(tx: &mut Tx<'_>, num: ExportNum) -> Result<(), DbError> {
    tx.execute(&SET_LINK_USED, &params![num])?;
    Ok(())
}
