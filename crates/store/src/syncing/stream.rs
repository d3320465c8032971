//! The stream: the one sequence of positions along which clients sync.
//!
//! On SQLite there is one writer, so positions are committed in order. On PostgreSQL a transaction that takes a
//! position holds a lock until it ends: the positions in a snapshot have no gaps that could still be filled.

use std::collections::BTreeSet;

use reeve_db::{Channel, DbError, Engine, FromValue, ReadTx, Statement, Tx, params};
use reeve_model::{Pos, RoomNum, UserNum};

/// The condition for the rows of a [`Span`].
macro_rules! within {
    () => {
        " WHERE pos > $1 AND pos <= $2"
    };
}

/// Combines statements without `UNION`, which SQLite would merge in the order of whole indexes.
macro_rules! union_all {
    (($($first:tt)*) $(($($more:tt)*))*) => {
        concat!($($first)* $(, " UNION ALL ", $($more)*)*)
    };
}

/// Makes the statements on the stream from the table of its sources.
macro_rules! sources {
    ($(
        $table:literal
        $(room $room:literal)?
        $(members_of $member:literal)?
        $(user $user:literal $(if $user_if:literal)?)?
        $(account $account:literal)?
        $(pushers_of $pusher:literal $(if $pusher_if:literal)?)*;
    )*) => {
        reeve_db::statements! {
            // SQLite has no `RETURNING` here: it would open a savepoint for it, at which the full-text index writes out
            // what it has gathered.
            ADVANCE = {
                sqlite: "UPDATE stream_position SET pos = pos + 1",
                postgres: "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(4716203)) \
                           SELECT nextval('stream_position') FROM held",
            };
            CURRENT = {
                sqlite: "SELECT pos FROM stream_position",
                postgres: concat!("SELECT GREATEST(", $("(SELECT max(pos) FROM ", $table, "), ",)* "0)"),
            };
            ROOMS = union_all!($($(("SELECT ", $room, " FROM ", $table, within!()))?)*);
            MEMBERS = union_all!($($((
                "SELECT m.room_num FROM ", $table, " s CROSS JOIN memberships m", within!(),
                " AND m.user_id = s.", $member, " AND m.membership = 'join'"
            ))?)*);
            USERS = union_all!($($((
                "SELECT ", $user, " FROM ", $table, within!() $(, " AND ", $user_if)?
            ))?)*);
            ACCOUNTS = union_all!($($(("SELECT ", $account, " FROM ", $table, within!()))?)*);
            // The positions of notifications are those of their events.
            OWNERS_OF_PUSHERS = union_all!(
                ("SELECT user_id FROM notifications", within!())
                $($(("SELECT ", $pusher, " FROM ", $table, within!() $(, " AND ", $pusher_if)?))*)*
            );
        }
    };
}

// The tables whose rows take positions, with the columns that say whom a new row concerns:
// - `room`: requests that watch the room;
// - `members_of`: requests that watch a room that the user has joined;
// - `user`, `account`: requests of the user;
// - `pushers_of`: the pushers of the user, which may have something to deliver, or a lower unread count.
sources! {
    "events" room "room_num" user "state_key" if "membership IS NOT NULL"
        pushers_of "sender" pushers_of "state_key" if "membership IS NOT NULL";
    "receipts" room "room_num" user "user_id" pushers_of "user_id";
    "typing" room "room_num";
    "presence" members_of "user_id";
    "account_data" account "user_num";
    "departures" user "user_id";
    "device_changes" members_of "user_id" user "user_id";
    "key_signatures" account "signer_num";
    "to_device" account "user_num";
    // These concern no client.
    "happenings";
}

/// Notified by each transaction that takes a position.
pub const GROWN: Channel = Channel::new("stream");

/// A span of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position after which it begins.
    pub after: Pos,
    /// Its last position. It is empty where this is not above `after`.
    pub upto: Pos,
}

/// The changes in a span of the stream.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Rooms with new events, receipts or typing.
    pub rooms: BTreeSet<RoomNum>,
    /// Rooms with a member whose presence, devices or keys are new.
    pub members: BTreeSet<RoomNum>,
    /// Users whose own membership, receipt, devices or keys changed. No request waits for its user's own presence.
    pub users: BTreeSet<String>,
    /// Accounts, by number, with new account data, to-device messages, or signatures on other users' keys.
    pub accounts: BTreeSet<UserNum>,
}

/// Takes the next position.
pub fn next(tx: &mut Tx<'_>) -> Result<Pos, DbError> {
    tx.notify(GROWN);
    match tx.engine() {
        Engine::Sqlite => {
            tx.execute(&ADVANCE, &params![])?;
            current(tx)
        }
        Engine::Postgres => tx.returning(&ADVANCE, &params![], |row| row.get(0))?.pop().ok_or(DbError::NoRow),
    }
}

/// Returns the newest position below which everything is settled. It may go back when the newest row is deleted; no
/// position is taken twice.
pub fn current(tx: &ReadTx<'_>) -> Result<Pos, DbError> {
    tx.query_one(&CURRENT, &params![], |row| row.get(0))
}

/// Returns the changes in a span of the stream.
pub fn changes(tx: &ReadTx<'_>, span: Span) -> Result<Changes, DbError> {
    Ok(Changes {
        rooms: distinct(tx, &ROOMS, span)?,
        members: distinct(tx, &MEMBERS, span)?,
        users: distinct(tx, &USERS, span)?,
        accounts: distinct(tx, &ACCOUNTS, span)?,
    })
}

/// Returns the users whose pushers a span of the stream may concern: users for whom an event is an exception from
/// the default rules, and users who have read, written, joined or left.
pub fn owners_of_pushers(tx: &ReadTx<'_>, span: Span) -> Result<BTreeSet<String>, DbError> {
    distinct(tx, &OWNERS_OF_PUSHERS, span)
}

/// Returns the distinct values of the one column of a statement; none, without a query, for an empty span.
fn distinct<T: FromValue + Ord>(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    span: Span,
) -> Result<BTreeSet<T>, DbError> {
    if span.upto <= span.after {
        return Ok(BTreeSet::new());
    }
    Ok(tx.query(statement, &params![span.after, span.upto], |row| row.get(0))?.into_iter().collect())
}
