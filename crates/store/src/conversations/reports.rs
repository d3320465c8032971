//! Reports by users: of events, rooms and users.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, ReportKind, ReportState, Resolution, RoomNum};

use crate::{Paging, SortKey};

reeve_db::statements! {
    COUNT_EVENTS_BY = "SELECT count(*) FROM (SELECT 1 FROM event_reports WHERE user_id = $1 AND resolution IS NULL LIMIT $2) few";
    COUNT_ROOMS_BY = "SELECT count(*) FROM (SELECT 1 FROM room_reports WHERE user_id = $1 AND resolution IS NULL LIMIT $2) few";
    COUNT_USERS_BY = "SELECT count(*) FROM (SELECT 1 FROM user_reports WHERE user_id = $1 AND resolution IS NULL LIMIT $2) few";
    INSERT_EVENT = "INSERT INTO event_reports (received_ts, room_num, event_id, sender, user_id, reason, score) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7)";
    INSERT_ROOM = "INSERT INTO room_reports (received_ts, room_id, user_id, reason) VALUES ($1, $2, $3, $4)";
    INSERT_USER = "INSERT INTO user_reports (received_ts, target_user_id, user_id, reason) VALUES ($1, $2, $3, $4)";
    EVENT = "SELECT e.id, e.received_ts, r.room_id, e.event_id, e.user_id, e.score, e.reason, e.sender, \
             r.canonical_alias, r.name FROM event_reports e JOIN rooms r ON r.num = e.room_num WHERE e.id = $1";
    EVENTS = "SELECT e.id, e.received_ts, r.room_id, e.event_id, e.user_id, e.score, e.reason, e.sender, \
              r.canonical_alias, r.name FROM event_reports e JOIN rooms r ON r.num = e.room_num \
              WHERE instr(r.room_id, $1) > 0 AND instr(e.user_id, $2) > 0 AND ($3 = '' OR e.sender = $3) \
              ORDER BY e.received_ts, e.id LIMIT $4 OFFSET $5";
    EVENTS_BACK = "SELECT e.id, e.received_ts, r.room_id, e.event_id, e.user_id, e.score, e.reason, e.sender, \
              r.canonical_alias, r.name FROM event_reports e JOIN rooms r ON r.num = e.room_num \
              WHERE instr(r.room_id, $1) > 0 AND instr(e.user_id, $2) > 0 AND ($3 = '' OR e.sender = $3) \
              ORDER BY e.received_ts DESC, e.id DESC LIMIT $4 OFFSET $5";
    COUNT_EVENTS = "SELECT count(*) FROM event_reports e JOIN rooms r ON r.num = e.room_num \
              WHERE instr(r.room_id, $1) > 0 AND instr(e.user_id, $2) > 0 AND ($3 = '' OR e.sender = $3)";
    DELETE_EVENT = "DELETE FROM event_reports WHERE id = $1";
    DELETE_SOME_OF_ROOM = "DELETE FROM event_reports WHERE id IN \
                           (SELECT id FROM event_reports WHERE room_num = $1 ORDER BY id LIMIT $2)";
    DELETE_SOME_NOTES_OF_ROOM = "DELETE FROM report_notes WHERE kind = 'event' AND report_id IN \
                                 (SELECT id FROM event_reports WHERE room_num = $1 ORDER BY id LIMIT $2)";
    USER = "SELECT id, received_ts, target_user_id, user_id, reason FROM user_reports WHERE id = $1";
    USERS = "SELECT id, received_ts, target_user_id, user_id, reason FROM user_reports \
             WHERE instr(user_id, $1) > 0 AND instr(target_user_id, $2) > 0 ORDER BY received_ts, id LIMIT $3 OFFSET $4";
    USERS_BACK = "SELECT id, received_ts, target_user_id, user_id, reason FROM user_reports \
             WHERE instr(user_id, $1) > 0 AND instr(target_user_id, $2) > 0 ORDER BY received_ts DESC, id DESC LIMIT $3 OFFSET $4";
    COUNT_USERS = "SELECT count(*) FROM user_reports WHERE instr(user_id, $1) > 0 AND instr(target_user_id, $2) > 0";
    EVENTS_BY = "SELECT e.id, e.received_ts, r.room_id, e.event_id, NULL, e.reason, e.score, e.state, e.resolution \
                 FROM event_reports e JOIN rooms r ON r.num = e.room_num \
                 WHERE e.user_id = $1 AND (e.received_ts, e.id) > ($2, $3) ORDER BY e.received_ts, e.id LIMIT $4";
    ROOMS_BY = "SELECT id, received_ts, room_id, NULL, NULL, reason, NULL, state, resolution FROM room_reports \
                WHERE user_id = $1 AND (received_ts, id) > ($2, $3) ORDER BY received_ts, id LIMIT $4";
    USERS_BY = "SELECT id, received_ts, NULL, NULL, target_user_id, reason, NULL, state, resolution FROM user_reports \
                WHERE user_id = $1 AND (received_ts, id) > ($2, $3) ORDER BY received_ts, id LIMIT $4";
    EVENTS_ABOUT = "SELECT e.id, e.received_ts, r.room_id, e.event_id, NULL, e.reason, e.score, e.state, e.resolution \
                    FROM event_reports e JOIN rooms r ON r.num = e.room_num \
                    WHERE e.sender = $1 AND (e.received_ts, e.id) > ($2, $3) ORDER BY e.received_ts, e.id LIMIT $4";
    USERS_ABOUT = "SELECT id, received_ts, NULL, NULL, target_user_id, reason, NULL, state, resolution FROM user_reports \
                   WHERE target_user_id = $1 AND (received_ts, id) > ($2, $3) ORDER BY received_ts, id LIMIT $4";
    DELETE_NOTES = "DELETE FROM report_notes WHERE kind = $1 AND report_id = $2";
    DELETE_USER = "DELETE FROM user_reports WHERE id = $1";
}

/// A reported event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// The id of the report.
    pub id: i64,
    /// The time of the report.
    pub received_ts: Millis,
    /// The room of the event.
    pub room_id: String,
    /// The event.
    pub event_id: String,
    /// The reporter.
    pub user_id: String,
    /// The severity, from -100 (worst) to 0.
    pub score: Option<i64>,
    /// The reason.
    pub reason: Option<String>,
    /// The sender of the event.
    pub sender: String,
    /// The main alias of the room.
    pub canonical_alias: Option<String>,
    /// The name of the room.
    pub name: Option<String>,
}

fn event_report(row: &Row<'_>) -> Result<EventReport, DbError> {
    Ok(EventReport {
        id: row.get(0)?,
        received_ts: row.get(1)?,
        room_id: row.get(2)?,
        event_id: row.get(3)?,
        user_id: row.get(4)?,
        score: row.get(5)?,
        reason: row.get(6)?,
        sender: row.get(7)?,
        canonical_alias: row.get(8)?,
        name: row.get(9)?,
    })
}

/// The reports of events to list; a blank text accepts all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// A part of the room id.
    pub room_id: String,
    /// A part of the reporter's user id.
    pub user_id: String,
    /// The sender's user id.
    pub sender: String,
}

/// Returns the number of unresolved reports of a kind by an account, counted up to `most`.
pub fn count_by(tx: &ReadTx<'_>, kind: ReportKind, user_id: &str, most: i64) -> Result<i64, DbError> {
    let statement = match kind {
        ReportKind::Event => &COUNT_EVENTS_BY,
        ReportKind::Room => &COUNT_ROOMS_BY,
        ReportKind::User => &COUNT_USERS_BY,
    };
    tx.query_one(statement, &params![user_id, most], |row| row.get(0))
}

/// A report of an event to store.
#[derive(Debug)]
pub struct NewEventReport<'a> {
    /// The room of the event.
    pub room_num: RoomNum,
    /// The event.
    pub event_id: &'a str,
    /// The sender of the event.
    pub sender: &'a str,
    /// The reporter.
    pub user_id: &'a str,
    /// The reason.
    pub reason: Option<&'a str>,
    /// The severity, from -100 (worst) to 0.
    pub score: Option<i64>,
}

/// Stores a report of an event.
pub fn insert_event(tx: &mut Tx<'_>, report: &NewEventReport<'_>, now: Millis) -> Result<(), DbError> {
    let NewEventReport { room_num, event_id, sender, user_id, reason, score } = *report;
    tx.execute(&INSERT_EVENT, &params![now, room_num, event_id, sender, user_id, reason, score])?;
    Ok(())
}

/// Stores a report of a room.
pub fn insert_room(
    tx: &mut Tx<'_>,
    room_id: &str,
    user_id: &str,
    reason: &str,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_ROOM, &params![now, room_id, user_id, reason])?;
    Ok(())
}

/// Stores a report of a user.
pub fn insert_user(
    tx: &mut Tx<'_>,
    target_user_id: &str,
    user_id: &str,
    reason: &str,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_USER, &params![now, target_user_id, user_id, reason])?;
    Ok(())
}

/// Returns one report of an event.
pub fn event(tx: &ReadTx<'_>, id: i64) -> Result<Option<EventReport>, DbError> {
    tx.query_opt(&EVENT, &params![id], event_report)
}

/// Returns a page of reports of events by time, and their total number.
pub fn events(
    tx: &ReadTx<'_>,
    filter: &EventFilter,
    backwards: bool,
    Paging { from, limit }: Paging,
) -> Result<(Vec<EventReport>, i64), DbError> {
    let EventFilter { room_id, user_id, sender } = filter;
    let statement = if backwards { &EVENTS_BACK } else { &EVENTS };
    let page = tx.query(statement, &params![room_id, user_id, sender, limit, from], event_report)?;
    let total = tx.query_one(&COUNT_EVENTS, &params![room_id, user_id, sender], |row| row.get(0))?;
    Ok((page, total))
}

/// Deletes a report of an event with its notes; returns true if it existed.
pub fn delete_event(tx: &mut Tx<'_>, id: i64) -> Result<bool, DbError> {
    tx.execute(&DELETE_NOTES, &params![ReportKind::Event, id])?;
    Ok(tx.execute(&DELETE_EVENT, &params![id])? > 0)
}

/// Deletes some of the reports of events of a room with their notes; returns the number of reports.
pub fn delete_some_of_room(tx: &mut Tx<'_>, room_num: RoomNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_SOME_NOTES_OF_ROOM, &params![room_num, most])?;
    tx.execute(&DELETE_SOME_OF_ROOM, &params![room_num, most])
}

/// A reported user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserReport {
    /// The id of the report.
    pub id: i64,
    /// The time of the report.
    pub received_ts: Millis,
    /// The reported user.
    pub target_user_id: String,
    /// The reporter.
    pub user_id: String,
    /// The reason.
    pub reason: String,
}

fn user_report(row: &Row<'_>) -> Result<UserReport, DbError> {
    Ok(UserReport {
        id: row.get(0)?,
        received_ts: row.get(1)?,
        target_user_id: row.get(2)?,
        user_id: row.get(3)?,
        reason: row.get(4)?,
    })
}

/// Returns one report of a user.
pub fn user(tx: &ReadTx<'_>, id: i64) -> Result<Option<UserReport>, DbError> {
    tx.query_opt(&USER, &params![id], user_report)
}

/// The reports of users to list; a blank text accepts all.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// A part of the reporter's user id.
    pub user_id: String,
    /// A part of the reported user's user id.
    pub target_user_id: String,
}

/// Returns a page of reports of users by time, and their total number.
pub fn users(
    tx: &ReadTx<'_>,
    filter: &UserFilter,
    backwards: bool,
    Paging { from, limit }: Paging,
) -> Result<(Vec<UserReport>, i64), DbError> {
    let UserFilter { user_id, target_user_id } = filter;
    let statement = if backwards { &USERS_BACK } else { &USERS };
    let page = tx.query(statement, &params![user_id, target_user_id, limit, from], user_report)?;
    let total = tx.query_one(&COUNT_USERS, &params![user_id, target_user_id], |row| row.get(0))?;
    Ok((page, total))
}

/// Deletes a report of a user with its notes; returns true if it existed.
pub fn delete_user(tx: &mut Tx<'_>, id: i64) -> Result<bool, DbError> {
    tx.execute(&DELETE_NOTES, &params![ReportKind::User, id])?;
    Ok(tx.execute(&DELETE_USER, &params![id])? > 0)
}

/// A report of any kind, as the account that made it, or that it is about, has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalReport {
    /// The id of the report among those of its kind.
    pub id: i64,
    /// The time of the report.
    pub received_ts: Millis,
    /// The reported room, or that of the reported event.
    pub room_id: Option<String>,
    /// The reported event.
    pub event_id: Option<String>,
    /// The reported user.
    pub target_user_id: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The severity, from -100 (worst) to 0.
    pub score: Option<i64>,
    /// Its state.
    pub state: ReportState,
    /// The result of dealing with it.
    pub resolution: Option<Resolution>,
}

impl PersonalReport {
    /// Returns its key in lists by time.
    pub fn sort_key(&self) -> SortKey<i64> {
        SortKey { ts: self.received_ts, id: self.id }
    }
}

fn personal_report(row: &Row<'_>) -> Result<PersonalReport, DbError> {
    Ok(PersonalReport {
        id: row.get(0)?,
        received_ts: row.get(1)?,
        room_id: row.get(2)?,
        event_id: row.get(3)?,
        target_user_id: row.get(4)?,
        reason: row.get(5)?,
        score: row.get(6)?,
        state: row.get(7)?,
        resolution: row.get(8)?,
    })
}

/// Returns some reports of a kind that an account made, after a key, the oldest first.
pub fn made_by(
    tx: &ReadTx<'_>,
    kind: ReportKind,
    user_id: &str,
    after: &SortKey<i64>,
    limit: i64,
) -> Result<Vec<PersonalReport>, DbError> {
    let statement = match kind {
        ReportKind::Event => &EVENTS_BY,
        ReportKind::Room => &ROOMS_BY,
        ReportKind::User => &USERS_BY,
    };
    tx.query(statement, &params![user_id, after.ts, after.id, limit], personal_report)
}

/// Returns some reports of a kind about an account or its events, after a key, the oldest first. None is about a room.
pub fn made_about(
    tx: &ReadTx<'_>,
    kind: ReportKind,
    user_id: &str,
    after: &SortKey<i64>,
    limit: i64,
) -> Result<Vec<PersonalReport>, DbError> {
    let statement = match kind {
        ReportKind::Event => &EVENTS_ABOUT,
        ReportKind::User => &USERS_ABOUT,
        ReportKind::Room => return Ok(Vec::new()),
    };
    tx.query(statement, &params![user_id, after.ts, after.id, limit], personal_report)
}
