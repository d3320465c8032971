//! The audit log.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Actor, ActorKind, Millis};
use serde_json::json;

use crate::paging::SortKey;
use crate::retention::{Ages, Part};

/// The columns of an entry, and the conditions that every list has: before a position, not before a time.
macro_rules! list {
    ($condition:expr) => {
        concat!(
            "SELECT id, ts, actor_kind, actor, ip, request_id, action, target, changes FROM audit WHERE ",
            $condition,
            " AND (ts, id) < ($1, $2) AND ts >= $3 AND ($4 = '' OR actor = $4) AND ($5 = '' OR target = $5) \
             AND ($6 = '' OR action = $6) AND ($7 = '' OR actor_kind = $7) ORDER BY ts DESC, id DESC LIMIT $8"
        )
    };
}

reeve_db::statements! {
    INSERT = "INSERT INTO audit (ts, actor_kind, actor, ip, request_id, action, target, changes) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    AMEND = "UPDATE audit SET changes = $2 WHERE id = $1";
    NTH_OLD = "SELECT ts FROM audit WHERE ts >= $1 AND ts < $2 ORDER BY ts LIMIT 1 OFFSET $3";
    COUNT_OLD = "SELECT count(*) FROM audit WHERE ts >= $1 AND ts < $2";
    DELETE_OLD = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE ts < $1 ORDER BY ts, id LIMIT $2)";
    LIST = list!("1 = 1");
    LIST_BY_TARGET = list!("target = $5");
    LIST_BY_ACTOR = list!("actor = $4");
    LIST_BY_ACTION = list!("action = $6");
    /// `$1`: the targets, a JSON array.
    LAST_ON = {
        sqlite: "SELECT w.value, (SELECT a.ts FROM audit a WHERE a.target = w.value ORDER BY a.ts DESC LIMIT 1) \
                 FROM json_each($1) AS w",
        postgres: "SELECT w, (SELECT a.ts FROM audit a WHERE a.target = w ORDER BY a.ts DESC LIMIT 1) \
                   FROM json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) AS w",
    };
}

/// An entry to write.
#[derive(Debug)]
pub struct NewEntry<'a> {
    /// The time.
    pub ts: Millis,
    /// The actor.
    pub actor: &'a Actor,
    /// The address of the request.
    pub ip: Option<&'a str>,
    /// The id of the request.
    pub request_id: &'a str,
    /// The act, as a dotted name.
    pub action: &'a str,
    /// The account, room or other thing that it changed.
    pub target: &'a str,
    /// The changes, as JSON without secrets.
    pub changes: &'a str,
}

/// Writes an entry; returns its number.
pub fn insert(tx: &mut Tx<'_>, entry: &NewEntry<'_>) -> Result<i64, DbError> {
    let NewEntry { ts, actor, ip, request_id, action, target, changes } = entry;
    let (kind, actor) = (actor.kind(), actor.id());
    let params = params![*ts, kind, actor, *ip, *request_id, *action, *target, *changes];
    let ids = tx.returning(&INSERT, &params, |row| row.get(0))?;
    ids.first().copied().ok_or(DbError::NoRow)
}

/// Updates the changes of an entry, for a deed of several transactions that reports its progress.
pub fn amend(tx: &mut Tx<'_>, id: i64, changes: &str) -> Result<(), DbError> {
    tx.execute(&AMEND, &params![id, changes])?;
    Ok(())
}

/// Returns the times of the last entries about some targets; targets without an entry are left out.
pub fn last_on(tx: &ReadTx<'_>, targets: &[&str]) -> Result<HashMap<String, Millis>, DbError> {
    let found = tx.query(&LAST_ON, &params![json!(targets).to_string()], |row| {
        Ok((row.get::<String>(0)?, row.get::<Option<Millis>>(1)?))
    })?;
    Ok(found.into_iter().filter_map(|(target, ts)| Some((target, ts?))).collect())
}

/// Counts about `most` of the entries from a time on and before another.
pub fn count_old(tx: &ReadTx<'_>, from: Millis, before: Millis, most: i64) -> Result<Part, DbError> {
    Ages { nth: &NTH_OLD, count: &COUNT_OLD }.part(tx, from, before, most)
}

/// Deletes up to `most` of the entries from before a time, the oldest first; returns their number.
pub fn delete_old(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_OLD, &params![before, most])
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: later entries have higher ones.
    pub id: i64,
    /// The time.
    pub ts: Millis,
    /// The kind of the actor.
    pub actor_kind: ActorKind,
    /// The actor's id among those of the kind.
    pub actor: String,
    /// The address of the request.
    pub ip: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// The act, as a dotted name.
    pub action: String,
    /// The account, room or other thing that it changed.
    pub target: String,
    /// The changes, as JSON.
    pub changes: String,
}

impl Entry {
    /// Returns its key in the log.
    pub fn sort_key(&self) -> SortKey<i64> {
        SortKey { ts: self.ts, id: self.id }
    }
}

/// The entries to list; a blank text accepts all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The actor's id.
    pub actor: String,
    /// The kind of the actor; `None` accepts all.
    pub actor_kind: Option<ActorKind>,
    /// The target.
    pub target: String,
    /// The act.
    pub action: String,
    /// The earliest time.
    pub from_ts: Millis,
}

/// Returns entries before a key, the newest first.
pub fn list(
    tx: &ReadTx<'_>,
    filter: &Filter,
    before: &SortKey<i64>,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    // The most selective condition decides by which index the entries are read.
    let statement = if !filter.target.is_empty() {
        &LIST_BY_TARGET
    } else if !filter.actor.is_empty() {
        &LIST_BY_ACTOR
    } else if !filter.action.is_empty() {
        &LIST_BY_ACTION
    } else {
        &LIST
    };
    let SortKey { ts, id } = before;
    let kind = filter.actor_kind.map_or("", ActorKind::as_str);
    let params = params![ts, id, filter.from_ts, filter.actor, filter.target, filter.action, kind, limit];
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
