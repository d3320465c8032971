//! The one stream of positions that clients sync along.
//!
//! On SQLite there is one writer, so positions are committed in order. On PostgreSQL whoever takes a position takes a
//! lock with it that is held until the transaction ends: the positions that a snapshot shows have no gaps that could
//! still be filled.

use reeve_db::{DbError, ReadTx, Tx, params};
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
    CHANGED_ROOMS = "SELECT room_num FROM events WHERE pos > $1 UNION SELECT room_num FROM receipts WHERE pos > $1 \
                     UNION SELECT room_num FROM typing WHERE pos > $1";
    CHANGED_MEMBERS = "SELECT m.room_num FROM presence p JOIN memberships m ON m.user_id = p.user_id \
                       AND m.membership = 'join' WHERE p.pos > $1 \
                       UNION SELECT m.room_num FROM device_changes c JOIN memberships m ON m.user_id = c.user_id \
                       AND m.membership = 'join' WHERE c.pos > $1";
    CHANGED_USERS = "SELECT state_key FROM events WHERE pos > $1 AND membership IS NOT NULL \
                     UNION SELECT user_id FROM receipts WHERE pos > $1 \
                     UNION SELECT user_id FROM departures WHERE pos > $1 UNION SELECT user_id FROM device_changes WHERE pos > $1";
    CHANGED_ACCOUNTS = "SELECT user_num FROM account_data WHERE pos > $1 UNION SELECT user_num FROM to_device WHERE pos > $1 \
                        UNION SELECT signer_num FROM key_signatures WHERE pos > $1";
}

/// What changed after a position.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The position up to which this is everything.
    pub upto: Pos,
    /// Rooms with new events, receipts or typing.
    pub rooms: Vec<RoomNum>,
    /// Rooms with a member whose presence, devices or keys are new.
    pub members: Vec<RoomNum>,
    /// Users whose own membership, receipt, devices or keys changed. Nobody waits for their own presence.
    pub users: Vec<String>,
    /// Accounts, by number, with new account data or messages to their devices, or who signed somebody's keys.
    pub accounts: Vec<UserNum>,
}

/// Takes the next position.
pub fn next(tx: &mut Tx<'_>) -> Result<Pos, DbError> {
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
        rooms: tx.query(&CHANGED_ROOMS, &params![after], |row| row.get(0))?,
        members: tx.query(&CHANGED_MEMBERS, &params![after], |row| row.get(0))?,
        users: tx.query(&CHANGED_USERS, &params![after], |row| row.get(0))?,
        accounts: tx.query(&CHANGED_ACCOUNTS, &params![after], |row| row.get(0))?,
    })
}
