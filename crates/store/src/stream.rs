//! The one stream of positions that clients sync along.
//!
//! On SQLite there is one writer, so positions are committed in order. On PostgreSQL whoever takes a position takes a
//! lock with it that is held until the transaction ends: the positions that a snapshot shows have no gaps that could
//! still be filled.

use std::collections::BTreeSet;

use reeve_db::{Channel, DbError, FromValue, ReadTx, Statement, Tx, params};
use reeve_model::{Pos, RoomNum, UserNum};

reeve_db::statements! {
    NEXT = {
        sqlite: "UPDATE stream_position SET pos = pos + 1 RETURNING pos",
        postgres: "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(4716203)) \
                   SELECT nextval('stream_position') FROM held",
    };
    CURRENT = {
        sqlite: "SELECT pos FROM stream_position",
        postgres: "SELECT GREATEST((SELECT max(pos) FROM events), (SELECT max(pos) FROM receipts), \
                   (SELECT max(pos) FROM typing), (SELECT max(pos) FROM presence), \
                   (SELECT max(pos) FROM account_data), (SELECT max(pos) FROM departures), \
                   (SELECT max(pos) FROM device_changes), (SELECT max(pos) FROM key_signatures), \
                   (SELECT max(pos) FROM to_device), 0)",
    };
    // Not UNION, which SQLite would merge in the order of whole indexes.
    CHANGED_ROOMS = "SELECT room_num FROM events WHERE pos > $1 UNION ALL SELECT room_num FROM receipts WHERE pos > $1 \
                     UNION ALL SELECT room_num FROM typing WHERE pos > $1";
    CHANGED_MEMBERS = "SELECT m.room_num FROM presence p CROSS JOIN memberships m \
                       WHERE p.pos > $1 AND m.user_id = p.user_id AND m.membership = 'join' \
                       UNION ALL SELECT m.room_num FROM device_changes c CROSS JOIN memberships m \
                       WHERE c.pos > $1 AND m.user_id = c.user_id AND m.membership = 'join'";
    CHANGED_USERS = "SELECT state_key FROM events WHERE pos > $1 AND membership IS NOT NULL \
                     UNION ALL SELECT user_id FROM receipts WHERE pos > $1 \
                     UNION ALL SELECT user_id FROM departures WHERE pos > $1 \
                     UNION ALL SELECT user_id FROM device_changes WHERE pos > $1";
    CHANGED_ACCOUNTS = "SELECT user_num FROM account_data WHERE pos > $1 UNION ALL SELECT user_num FROM to_device WHERE pos > $1 \
                        UNION ALL SELECT signer_num FROM key_signatures WHERE pos > $1";
}

/// Notified by each transaction that takes a position.
pub const GROWN: Channel = Channel::new("stream");

/// What changed after a position.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The position up to which this is everything.
    pub upto: Pos,
    /// Rooms with new events, receipts or typing.
    pub rooms: BTreeSet<RoomNum>,
    /// Rooms with a member whose presence, devices or keys are new.
    pub members: BTreeSet<RoomNum>,
    /// Users whose own membership, receipt, devices or keys changed. Nobody waits for their own presence.
    pub users: BTreeSet<String>,
    /// Accounts, by number, with new account data or messages to their devices, or who signed somebody's keys.
    pub accounts: BTreeSet<UserNum>,
}

/// Takes the next position.
pub fn next(tx: &mut Tx<'_>) -> Result<Pos, DbError> {
    tx.notify(GROWN);
    tx.returning(&NEXT, &params![], |row| row.get(0))?.pop().ok_or(DbError::NoRow)
}

/// The newest position below which everything is settled. It may go back to an earlier one, when what it stood for was
/// deleted; no position is taken twice.
pub fn current(tx: &ReadTx<'_>) -> Result<Pos, DbError> {
    tx.query_one(&CURRENT, &params![], |row| row.get(0))
}

/// Everything that changed after a position.
pub fn changes(tx: &ReadTx<'_>, after: Pos) -> Result<Changes, DbError> {
    let upto = current(tx)?;
    if upto <= after {
        return Ok(Changes { upto: after, ..Changes::default() });
    }
    Ok(Changes {
        upto,
        rooms: distinct(tx, &CHANGED_ROOMS, after)?,
        members: distinct(tx, &CHANGED_MEMBERS, after)?,
        users: distinct(tx, &CHANGED_USERS, after)?,
        accounts: distinct(tx, &CHANGED_ACCOUNTS, after)?,
    })
}

/// The different values of the one column of a statement.
fn distinct<T: FromValue + Ord>(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    after: Pos,
) -> Result<BTreeSet<T>, DbError> {
    Ok(tx.query(statement, &params![after], |row| row.get(0))?.into_iter().collect())
}
