//! The audit log.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Actor, ActorKind, Millis};

/// The columns of an entry, and the conditions that every list has: before a position, not before a time.
macro_rules! list {
    ($condition:expr) => {
        concat!(
            "SELECT id, ts, actor_kind, actor, ip, request_id, action, target, changes FROM audit WHERE ",
            $condition,
            " AND (ts, id) < ($1, $2) AND ts >= $3 AND ($4 = '' OR actor = $4) AND ($5 = '' OR target = $5) \
             AND ($6 = '' OR action = $6) ORDER BY ts DESC, id DESC LIMIT $7"
        )
    };
}

reeve_db::statements! {
    INSERT = "INSERT INTO audit (ts, actor_kind, actor, ip, request_id, action, target, changes) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    OPEN = "INSERT INTO audit (ts, actor_kind, actor, ip, request_id, action, target, changes) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    AMEND = "UPDATE audit SET changes = $2 WHERE id = $1";
    LIST = list!("1 = 1");
    LIST_BY_TARGET = list!("target = $5");
    LIST_BY_ACTOR = list!("actor = $4");
    LIST_BY_ACTION = list!("action = $6");
}

/// A deed to write down.
#[derive(Debug)]
pub struct NewEntry<'a> {
    /// When, in milliseconds.
    pub ts: Millis,
    /// Who.
    pub actor: &'a Actor,
    /// From which address.
    pub ip: Option<&'a str>,
    /// In which request.
    pub request_id: &'a str,
    /// What, as a dotted name.
    pub action: &'a str,
    /// To whom.
    pub target: &'a str,
    /// What changed, as JSON without secrets.
    pub changes: &'a str,
}

/// Writes a deed down.
pub fn insert(tx: &mut Tx<'_>, entry: &NewEntry<'_>) -> Result<(), DbError> {
    tx.execute(
        &INSERT,
        &params![
            entry.ts,
            entry.actor.kind(),
            entry.actor.id(),
            entry.ip,
            entry.request_id,
            entry.action,
            entry.target,
            entry.changes
        ],
    )?;
    Ok(())
}

/// Writes a deed down that goes on over several transactions, each of which says with [`amend`] how far it is. Answers
/// the number of the entry.
pub fn open(tx: &mut Tx<'_>, entry: &NewEntry<'_>) -> Result<i64, DbError> {
    let NewEntry { ts, actor, ip, request_id, action, target, changes } = entry;
    let (kind, actor) = (actor.kind(), actor.id());
    let params = params![*ts, kind, actor, *ip, *request_id, *action, *target, *changes];
    let ids = tx.returning(&OPEN, &params, |row| row.get(0))?;
    ids.first().copied().ok_or(DbError::NoRow)
}

/// Says how far a deed is that [`open`] wrote down.
pub fn amend(tx: &mut Tx<'_>, id: i64, changes: &str) -> Result<(), DbError> {
    tx.execute(&AMEND, &params![id, changes])?;
    Ok(())
}

/// A deed that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: later deeds have higher ones.
    pub id: i64,
    /// When, in milliseconds.
    pub ts: Millis,
    /// Of which kind the actor is.
    pub actor_kind: ActorKind,
    /// Who, among the actors of the kind.
    pub actor: String,
    /// From which address.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: String,
    /// What, as a dotted name.
    pub action: String,
    /// To whom.
    pub target: String,
    /// What changed, as JSON.
    pub changes: String,
}

/// Which deeds to list; blank texts let all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Who.
    pub actor: String,
    /// To whom.
    pub target: String,
    /// What.
    pub action: String,
    /// Not before this time, in milliseconds.
    pub from_ts: Millis,
}

/// Deeds before a position (time and number), the newest first.
pub fn list(
    tx: &ReadTx<'_>,
    filter: &Filter,
    before: (Millis, i64),
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    // The condition that lets fewest through decides by which index the entries are read.
    let statement = if !filter.target.is_empty() {
        &LIST_BY_TARGET
    } else if !filter.actor.is_empty() {
        &LIST_BY_ACTOR
    } else if !filter.action.is_empty() {
        &LIST_BY_ACTION
    } else {
        &LIST
    };
    let (ts, id) = before;
    let params = params![ts, id, filter.from_ts, filter.actor, filter.target, filter.action, limit];
    tx.query(statement, &params, |row| {
        Ok(Entry {
            id: row.get(0)?,
            ts: row.get(1)?,
            actor_kind: row.get(2)?,
            actor: row.get(3)?,
            ip: row.get(4)?,
            request_id: row.get(5)?,
            action: row.get(6)?,
            target: row.get(7)?,
            changes: row.get(8)?,
        })
    })
}
