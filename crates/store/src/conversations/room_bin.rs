//! The bin of rooms: those that administrators deleted, until they are deleted for good or brought back.
//!
//! The row of a room is in [`crate::rooms`] or here. Everything finds a room by that row, so that no reader has to know of
//! the bin; events, memberships and the like stay where they are. Only what is found without the room moves with it: its
//! aliases, and the reports of its events.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, Pos, RoomNum};

use crate::binned::Binned;
use crate::lists::rooms as room_list;
use crate::paging::SortKey;
use crate::room::{Room, columns, from_row};
use crate::rooms;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", was_published, blocked_ts, from_pos, deleted_ts, deleted_by_kind, deleted_by, purge_ts FROM room_bin ",
            $rest
        )
    };
}

/// The columns of `event_reports` that are not derived.
macro_rules! report {
    () => {
        "id, received_ts, room_num, event_id, sender, user_id, reason, score, assignee, resolution, changes"
    };
}

/// Some of the reports of a table on the events of a room.
macro_rules! some_reports {
    ($table:literal) => {
        concat!("(SELECT id FROM ", $table, " WHERE room_num = $1 ORDER BY id LIMIT $2)")
    };
}

reeve_db::statements! {
    PUT = concat!("INSERT INTO room_bin (", columns!(), ", expired_pos, was_published, blocked_ts, from_pos, deleted_ts, \
                   deleted_by_kind, deleted_by, purge_ts) SELECT ", columns!(), ", expired_pos, CAST($2 AS BIGINT), \
                   CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS TEXT), CAST($7 AS TEXT), \
                   CAST($8 AS BIGINT) FROM rooms WHERE num = $1");
    PUT_BACK = concat!("INSERT INTO rooms (", columns!(), ", expired_pos) SELECT ", columns!(), ", expired_pos FROM room_bin \
                        WHERE num = $1");
    FIND = select!("WHERE room_id = $1");
    LIST = select!("WHERE (deleted_ts, num) < ($1, $2) ORDER BY deleted_ts DESC, num DESC LIMIT $3");
    DUE = select!("WHERE purge_ts <= $1 ORDER BY purge_ts, num LIMIT 1");
    DELETED_UNTIL = select!("WHERE deleted_ts <= $1 ORDER BY deleted_ts, num LIMIT 1");
    DELETE = "DELETE FROM room_bin WHERE num = $1";
    PUT_ALIASES = "INSERT INTO room_bin_aliases (room_num, alias, creator, created_ts) \
                   SELECT room_num, alias, creator, created_ts FROM room_aliases WHERE room_num = $1";
    ALIASES = "SELECT alias FROM room_bin_aliases WHERE room_num = $1 ORDER BY alias";
    PUT_BACK_ALIASES = "INSERT INTO room_aliases (alias, room_num, creator, created_ts) \
                        SELECT alias, room_num, creator, created_ts FROM room_bin_aliases WHERE room_num = $1 \
                        ON CONFLICT (alias) DO NOTHING RETURNING alias";
    DELETE_ALIASES = "DELETE FROM room_bin_aliases WHERE room_num = $1";
    PUT_REPORTS = concat!("INSERT INTO room_bin_reports (", report!(), ") SELECT ", report!(), " FROM event_reports \
                           WHERE id IN ", some_reports!("event_reports"));
    TAKE_REPORTS_OUT = concat!("DELETE FROM event_reports WHERE id IN ", some_reports!("event_reports"));
    PUT_BACK_REPORTS = concat!("INSERT INTO event_reports (", report!(), ") SELECT ", report!(), " FROM room_bin_reports \
                                WHERE id IN ", some_reports!("room_bin_reports"));
    DELETE_REPORTS = concat!("DELETE FROM room_bin_reports WHERE id IN ", some_reports!("room_bin_reports"));
    DELETE_NOTES = concat!("DELETE FROM report_notes WHERE kind = 'event' AND report_id IN ", some_reports!("room_bin_reports"));
}

/// The effects of a deletion that are undone when the room is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// True if the room was taken out of the public room directory.
    pub was_published: bool,
    /// The time at which the room was blocked; `None` if it was not blocked, or had been before.
    pub blocked_ts: Option<Millis>,
    /// The end of the room's history before it. Forced leaves after it are due to the deletion.
    pub from_pos: Pos,
}

/// A room in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinnedRoom {
    /// The room, after everybody was made to leave.
    pub room: Room,
    /// The changes that the deletion made.
    pub effects: Effects,
    /// Its deletion.
    pub binned: Binned,
}

impl BinnedRoom {
    /// Returns its key in the list, by the time of its deletion.
    pub fn sort_key(&self) -> SortKey<i64> {
        SortKey { ts: self.binned.deleted_ts, id: self.room.num.get() }
    }
}

fn binned(row: &Row<'_>) -> Result<BinnedRoom, DbError> {
    Ok(BinnedRoom {
        room: from_row(row)?,
        effects: Effects { was_published: row.get(23)?, blocked_ts: row.get(24)?, from_pos: row.get(25)? },
        binned: Binned::from_row(row, 26)?,
    })
}

/// Moves a room, as it was read in this transaction, into the bin, with its aliases.
pub fn put(tx: &mut Tx<'_>, room: &Room, effects: Effects, binned: &Binned) -> Result<(), DbError> {
    let Effects { was_published, blocked_ts, from_pos } = effects;
    let Binned { deleted_ts, deleted_by_kind, deleted_by, purge_ts } = binned;
    tx.execute(
        &PUT,
        &params![
            room.num,
            was_published,
            blocked_ts,
            from_pos,
            *deleted_ts,
            *deleted_by_kind,
            deleted_by,
            *purge_ts
        ],
    )?;
    tx.execute(&PUT_ALIASES, &params![room.num])?;
    rooms::delete_aliases(tx, room.num)?;
    rooms::delete(tx, room)
}

/// Returns one room in the bin.
pub fn find(tx: &ReadTx<'_>, room_id: &str) -> Result<Option<BinnedRoom>, DbError> {
    tx.query_opt(&FIND, &params![room_id], binned)
}

/// Returns rooms in the bin before a key, the last deleted first.
pub fn list(tx: &ReadTx<'_>, before: &SortKey<i64>, limit: i64) -> Result<Vec<BinnedRoom>, DbError> {
    let SortKey { ts, id } = *before;
    tx.query(&LIST, &params![ts, id, limit], binned)
}

/// Returns a room whose time is over.
pub fn due(tx: &ReadTx<'_>, now: Millis) -> Result<Option<BinnedRoom>, DbError> {
    tx.query_opt(&DUE, &params![now], binned)
}

/// Returns a room that was deleted up to a time.
pub fn deleted_until(tx: &ReadTx<'_>, until: Millis) -> Result<Option<BinnedRoom>, DbError> {
    tx.query_opt(&DELETED_UNTIL, &params![until], binned)
}

/// Takes a room out of the bin, with its aliases. What else is stored of it can only be deleted any more.
pub fn delete(tx: &mut Tx<'_>, num: RoomNum) -> Result<(), DbError> {
    tx.execute(&DELETE_ALIASES, &params![num])?;
    tx.execute(&DELETE, &params![num])?;
    Ok(())
}

/// The aliases of a room that was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    /// Those that it has again.
    pub restored: Vec<String>,
    /// Those that another room took meanwhile.
    pub taken: Vec<String>,
}

/// Moves a room, as it was read in this transaction, back to the others; returns it with its aliases.
pub fn put_back(tx: &mut Tx<'_>, found: &BinnedRoom) -> Result<(Room, Aliases), DbError> {
    let room = &found.room;
    tx.execute(&PUT_BACK, &params![room.num])?;
    // As if it appeared empty and became what it is, so that lists find it.
    room_list::appeared(tx)?;
    room_list::changed(tx, &Room { num: room.num, ..Room::default() }, room)?;
    let published = Room { published: found.effects.was_published, ..room.clone() };
    rooms::update(tx, room, &published)?;
    let mut taken: Vec<String> = tx.query(&ALIASES, &params![room.num], |row| row.get(0))?;
    let mut restored: Vec<String> = tx.returning(&PUT_BACK_ALIASES, &params![room.num], |row| row.get(0))?;
    restored.sort_unstable();
    taken.retain(|alias| restored.binary_search(alias).is_err());
    delete(tx, room.num)?;
    Ok((published, Aliases { restored, taken }))
}

/// Moves some of the reports of events of a room into the bin; returns their number.
pub fn put_some_reports(tx: &mut Tx<'_>, num: RoomNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&PUT_REPORTS, &params![num, most])?;
    tx.execute(&TAKE_REPORTS_OUT, &params![num, most])
}

/// Moves some of the reports of events of a room back to the others; returns their number.
pub fn put_back_some_reports(tx: &mut Tx<'_>, num: RoomNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&PUT_BACK_REPORTS, &params![num, most])?;
    tx.execute(&DELETE_REPORTS, &params![num, most])
}

/// Deletes some of the reports in the bin of events of a room, with their notes; returns the number of reports.
pub fn delete_some_reports(tx: &mut Tx<'_>, num: RoomNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_NOTES, &params![num, most])?;
    tx.execute(&DELETE_REPORTS, &params![num, most])
}
