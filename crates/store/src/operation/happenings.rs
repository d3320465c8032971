//! Happenings: what webhooks are told. They take positions in the stream, and are recorded only if a webhook wants their
//! kind.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Actor, ActorKind, HappeningKind, Millis, Pos, WebhookNum};

use serde_json::Value;

use crate::sql::num_list;
use crate::stream;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT pos, ts, kind, target, actor_kind, actor, action, audit_id, details FROM happenings ",
            $rest
        )
    };
}

reeve_db::statements! {
    IS_WANTED = "SELECT 1 FROM webhook_kinds WHERE kind = $1 LIMIT 1";
    INSERT = "INSERT INTO happenings (pos, ts, kind, target, actor_kind, actor, action, audit_id, details) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    FIND = select!("WHERE pos = $1");
    /// The next one of each kind that a webhook wants.
    NEXT = "SELECT (SELECT min(h.pos) FROM happenings h WHERE h.kind = k.kind AND h.pos > $2) FROM webhook_kinds k \
            WHERE k.webhook_num = $1";
    WAITING = "SELECT count(*) FROM (SELECT 1 FROM webhook_kinds k JOIN happenings h ON h.kind = k.kind AND h.pos > $2 \
               WHERE k.webhook_num = $1 LIMIT $3) few";
    /// Requests that came in later may have been faster: the first in the order of commits, of those of the next minutes.
    FIRST_SINCE = "SELECT min(pos) FROM happenings WHERE ts >= $1 \
                   AND ts <= (SELECT min(ts) FROM happenings WHERE ts >= $1) + 600000";
    EXPIRED = "SELECT pos FROM happenings WHERE ts < $1 ORDER BY ts, pos LIMIT $2";
    /// `$1`: positions, in the form of [`num_list`].
    DELETE = {
        sqlite: "DELETE FROM happenings WHERE pos IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM happenings WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    DELETE_DEAD_LETTERS = {
        sqlite: "DELETE FROM webhook_dead_letters WHERE pos IN (SELECT value FROM json_each($1))",
        postgres: "DELETE FROM webhook_dead_letters WHERE pos = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
}

/// The entry of the audit log about a happening.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// The number of the entry.
    pub id: i64,
    /// The act, as a dotted name.
    pub action: &'a str,
}

/// A happening to record.
#[derive(Clone, Copy, Debug)]
pub struct NewHappening<'a> {
    /// The time.
    pub ts: Millis,
    /// The kind.
    pub kind: HappeningKind,
    /// The account, room or other thing that it is about; `None` if that is a secret.
    pub target: Option<&'a str>,
    /// The actor.
    pub actor: &'a Actor,
    /// The entry of the audit log, if there is one.
    pub audited: Option<Audited<'a>>,
    /// The details, without secrets.
    pub details: &'a Value,
}

/// A happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Its position in the stream.
    pub pos: Pos,
    /// The time.
    pub ts: Millis,
    /// The kind.
    pub kind: HappeningKind,
    /// The account, room or other thing that it is about; `None` if that is a secret.
    pub target: Option<String>,
    /// The kind of the actor.
    pub actor_kind: ActorKind,
    /// The actor's id among those of the kind.
    pub actor: String,
    /// The act, as the audit log names it, if it has an entry.
    pub action: Option<String>,
    /// The number of that entry.
    pub audit_id: Option<i64>,
    /// The details, as JSON.
    pub details: String,
}

fn from_row(row: &Row<'_>) -> Result<Happening, DbError> {
    Ok(Happening {
        pos: row.get(0)?,
        ts: row.get(1)?,
        kind: row.get(2)?,
        target: row.get(3)?,
        actor_kind: row.get(4)?,
        actor: row.get(5)?,
        action: row.get(6)?,
        audit_id: row.get(7)?,
        details: row.get(8)?,
    })
}

/// Records a happening if a webhook wants its kind. Otherwise nothing is written, and no position is taken.
pub fn record(tx: &mut Tx<'_>, new: &NewHappening<'_>) -> Result<(), DbError> {
    if tx.query_opt(&IS_WANTED, &params![new.kind], |_| Ok(()))?.is_none() {
        return Ok(());
    }
    let pos = stream::next(tx)?;
    let NewHappening { ts, kind, target, actor, audited, details } = new;
    let (actor_kind, actor) = (actor.kind(), actor.id());
    let (action, audit_id) = (audited.map(|entry| entry.action), audited.map(|entry| entry.id));
    let details = details.to_string();
    let params = params![pos, *ts, *kind, *target, actor_kind, *actor, action, audit_id, details];
    tx.execute(&INSERT, &params)?;
    Ok(())
}

/// Returns the happening at a position.
pub fn find(tx: &ReadTx<'_>, pos: Pos) -> Result<Option<Happening>, DbError> {
    tx.query_opt(&FIND, &params![pos], from_row)
}

/// Returns the first happening beyond a position that a webhook wants.
pub fn next(tx: &ReadTx<'_>, webhook: WebhookNum, after: Pos) -> Result<Option<Happening>, DbError> {
    let of_kinds: Vec<Option<Pos>> = tx.query(&NEXT, &params![webhook, after], |row| row.get(0))?;
    match of_kinds.into_iter().flatten().min() {
        Some(pos) => find(tx, pos),
        None => Ok(None),
    }
}

/// Returns the number of happenings beyond a position that a webhook wants, counted up to `most`.
pub fn waiting(tx: &ReadTx<'_>, webhook: WebhookNum, after: Pos, most: i64) -> Result<i64, DbError> {
    tx.query_one(&WAITING, &params![webhook, after, most], |row| row.get(0))
}

/// Returns the position of the first happening at a time or later.
pub fn first_since(tx: &ReadTx<'_>, ts: Millis) -> Result<Option<Pos>, DbError> {
    tx.query_one(&FIRST_SINCE, &params![ts], |row| row.get(0))
}

/// Deletes up to `most` happenings from before a time, with the dead letters about them. Returns true if there may be
/// more.
pub fn prune(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<bool, DbError> {
    let expired: Vec<Pos> = tx.query(&EXPIRED, &params![before, most], |row| row.get(0))?;
    if expired.is_empty() {
        return Ok(false);
    }
    let list = num_list(tx.engine(), &expired);
    tx.execute(&DELETE_DEAD_LETTERS, &params![&list])?;
    tx.execute(&DELETE, &params![&list])?;
    Ok(i64::try_from(expired.len()).is_ok_and(|deleted| deleted >= most))
}
