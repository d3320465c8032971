//! Reports as work: one list of all kinds, who deals with a report, its resolution, and notes.

use std::cmp::{Ordering, Reverse};

use reeve_db::{DbError, ReadTx, Row, Statement, Tx, Value, params};
use reeve_model::{Actor, ActorKind, Millis, ReportKind, ReportState, Resolution};

use crate::rooms;

/// The columns that reports of all kinds have, in the order in which [`from_row`] reads them.
macro_rules! common {
    () => {
        "w.id, w.received_ts, w.user_id, w.reason, w.state, w.assignee, w.resolution, w.changes"
    };
}

macro_rules! events {
    ($condition:expr) => {
        concat!(
            "SELECT ",
            common!(),
            ", r.room_id, w.event_id, w.sender, w.score FROM event_reports w JOIN rooms r ON r.num = w.room_num WHERE ",
            $condition
        )
    };
}

macro_rules! rooms {
    ($condition:expr) => {
        concat!("SELECT ", common!(), ", w.room_id FROM room_reports w WHERE ", $condition)
    };
}

macro_rules! users {
    ($condition:expr) => {
        concat!("SELECT ", common!(), ", w.target_user_id FROM user_reports w WHERE ", $condition)
    };
}

/// The conditions of every list: before a position, not before a time, and a filter in which blanks accept all.
macro_rules! filter {
    () => {
        "(w.received_ts, w.id) < ($1, $2) AND w.received_ts >= $3 AND ($4 = '' OR w.state = $4) \
         AND ($5 = '' OR w.assignee = $5) AND ($6 = '' OR w.user_id = $6)"
    };
}

macro_rules! event_filter {
    ($first:literal) => {
        concat!($first, filter!(), " AND ($7 = '' OR w.sender = $7) AND (w.room_num = $8 OR $8 = 0)")
    };
}

macro_rules! room_filter {
    ($first:literal) => {
        concat!($first, filter!(), " AND ($7 = '' OR w.room_id = $7)")
    };
}

macro_rules! user_filter {
    ($first:literal) => {
        concat!($first, filter!(), " AND ($7 = '' OR w.target_user_id = $7)")
    };
}

macro_rules! event_page {
    ($first:literal) => {
        events!(concat!(event_filter!($first), " ORDER BY w.received_ts DESC, w.id DESC LIMIT $9"))
    };
}

macro_rules! room_page {
    ($first:literal) => {
        rooms!(concat!(room_filter!($first), " ORDER BY w.received_ts DESC, w.id DESC LIMIT $8"))
    };
}

macro_rules! user_page {
    ($first:literal) => {
        users!(concat!(user_filter!($first), " ORDER BY w.received_ts DESC, w.id DESC LIMIT $8"))
    };
}

/// Counts ask no room, so that each reads one index.
macro_rules! event_count {
    ($first:literal) => {
        concat!("SELECT count(*) FROM event_reports w WHERE ", event_filter!($first))
    };
}

macro_rules! room_count {
    ($first:literal) => {
        concat!("SELECT count(*) FROM room_reports w WHERE ", room_filter!($first))
    };
}

macro_rules! user_count {
    ($first:literal) => {
        concat!("SELECT count(*) FROM user_reports w WHERE ", user_filter!($first))
    };
}

reeve_db::statements! {
    EVENT = events!("w.id = $1");
    ROOM = rooms!("w.id = $1");
    USER = users!("w.id = $1");
    EVENTS = event_page!("");
    EVENTS_BY_STATE = event_page!("w.state = $4 AND ");
    EVENTS_BY_ASSIGNEE = event_page!("w.assignee = $5 AND ");
    EVENTS_BY_REPORTER = event_page!("w.user_id = $6 AND ");
    EVENTS_BY_SENDER = event_page!("w.sender = $7 AND ");
    EVENTS_BY_ROOM = event_page!("w.room_num = $8 AND ");
    ROOMS = room_page!("");
    ROOMS_BY_STATE = room_page!("w.state = $4 AND ");
    ROOMS_BY_ASSIGNEE = room_page!("w.assignee = $5 AND ");
    ROOMS_BY_REPORTER = room_page!("w.user_id = $6 AND ");
    ROOMS_BY_ROOM = room_page!("w.room_id = $7 AND ");
    USERS = user_page!("");
    USERS_BY_STATE = user_page!("w.state = $4 AND ");
    USERS_BY_ASSIGNEE = user_page!("w.assignee = $5 AND ");
    USERS_BY_REPORTER = user_page!("w.user_id = $6 AND ");
    USERS_BY_TARGET = user_page!("w.target_user_id = $7 AND ");
    COUNT_EVENTS = event_count!("");
    COUNT_EVENTS_BY_STATE = event_count!("w.state = $4 AND ");
    COUNT_EVENTS_BY_ASSIGNEE = event_count!("w.assignee = $5 AND ");
    COUNT_EVENTS_BY_REPORTER = event_count!("w.user_id = $6 AND ");
    COUNT_EVENTS_BY_SENDER = event_count!("w.sender = $7 AND ");
    COUNT_EVENTS_BY_ROOM = event_count!("w.room_num = $8 AND ");
    COUNT_ROOMS = room_count!("");
    COUNT_ROOMS_BY_STATE = room_count!("w.state = $4 AND ");
    COUNT_ROOMS_BY_ASSIGNEE = room_count!("w.assignee = $5 AND ");
    COUNT_ROOMS_BY_REPORTER = room_count!("w.user_id = $6 AND ");
    COUNT_ROOMS_BY_ROOM = room_count!("w.room_id = $7 AND ");
    COUNT_USERS = user_count!("");
    COUNT_USERS_BY_STATE = user_count!("w.state = $4 AND ");
    COUNT_USERS_BY_ASSIGNEE = user_count!("w.assignee = $5 AND ");
    COUNT_USERS_BY_REPORTER = user_count!("w.user_id = $6 AND ");
    COUNT_USERS_BY_TARGET = user_count!("w.target_user_id = $7 AND ");
    SET_EVENT = "UPDATE event_reports SET assignee = $2, resolution = $3, changes = changes + 1 WHERE id = $1";
    SET_ROOM = "UPDATE room_reports SET assignee = $2, resolution = $3, changes = changes + 1 WHERE id = $1";
    SET_USER = "UPDATE user_reports SET assignee = $2, resolution = $3, changes = changes + 1 WHERE id = $1";
    INSERT_NOTE = "INSERT INTO report_notes (kind, report_id, ts, author_kind, author, note) VALUES ($1, $2, $3, $4, $5, $6)";
    NOTES = "SELECT ts, author_kind, author, note FROM report_notes WHERE kind = $1 AND report_id = $2 ORDER BY num";
    COUNT_NOTES = "SELECT count(*) FROM report_notes WHERE kind = $1 AND report_id = $2";
}

/// The kind of a report, and its id among those of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportId {
    /// The kind of the reported thing.
    pub kind: ReportKind,
    /// The number.
    pub id: i64,
}

/// The reported thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An event.
    Event {
        /// The room of the event.
        room_id: String,
        /// The event.
        event_id: String,
        /// The sender of the event.
        sender: String,
        /// The severity, from -100 (worst) to 0.
        score: Option<i64>,
    },
    /// A room.
    Room {
        /// The room.
        room_id: String,
    },
    /// A user.
    User {
        /// The user.
        user_id: String,
    },
}

/// A report of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// The time of the report.
    pub received_ts: Millis,
    /// The user who reported.
    pub reporter: String,
    /// The reason.
    pub reason: Option<String>,
    /// The state, which follows from the assignee and the resolution.
    pub state: ReportState,
    /// The user id of the administrator who deals with it.
    pub assignee: Option<String>,
    /// The resolution.
    pub resolution: Option<Resolution>,
    /// The number of changes of assignee and resolution.
    pub changes: i64,
    /// The reported thing.
    pub subject: Subject,
}

/// The number of columns that reports of all kinds have.
const COMMON: usize = 8;

fn from_row(kind: ReportKind, row: &Row<'_>) -> Result<Report, DbError> {
    Ok(Report {
        id: ReportId { kind, id: row.get(0)? },
        received_ts: row.get(1)?,
        reporter: row.get(2)?,
        reason: row.get(3)?,
        state: row.get(4)?,
        assignee: row.get(5)?,
        resolution: row.get(6)?,
        changes: row.get(7)?,
        subject: match kind {
            ReportKind::Event => Subject::Event {
                room_id: row.get(COMMON)?,
                event_id: row.get(COMMON + 1)?,
                sender: row.get(COMMON + 2)?,
                score: row.get(COMMON + 3)?,
            },
            ReportKind::Room => Subject::Room { room_id: row.get(COMMON)? },
            ReportKind::User => Subject::User { user_id: row.get(COMMON)? },
        },
    })
}

/// Returns a report.
pub fn find(tx: &ReadTx<'_>, ReportId { kind, id }: ReportId) -> Result<Option<Report>, DbError> {
    let statement = match kind {
        ReportKind::Event => &EVENT,
        ReportKind::Room => &ROOM,
        ReportKind::User => &USER,
    };
    tx.query_opt(statement, &params![id], |row| from_row(kind, row))
}

/// The reports to list; a blank text accepts all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The kind.
    pub kind: Option<ReportKind>,
    /// The state.
    pub state: Option<ReportState>,
    /// The user id of the administrator who deals with them.
    pub assignee: String,
    /// The user who reported.
    pub reporter: String,
    /// The reported user, or the sender of the reported event.
    pub reported: String,
    /// The reported room, or that of the reported event.
    pub room_id: String,
    /// The earliest time.
    pub from_ts: Millis,
    /// The time before which they were received.
    pub until_ts: Millis,
}

/// A place in the list, which is ordered by time, kind and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time of a report.
    pub received_ts: Millis,
    /// Its id.
    pub id: ReportId,
}

impl Place {
    /// The key by which reports are sorted.
    const fn key(self) -> (i64, u8, i64) {
        (self.received_ts.get(), self.id.kind as u8, self.id.id)
    }
}

impl Report {
    /// Returns its place in the list.
    pub const fn place(&self) -> Place {
        Place { received_ts: self.received_ts, id: self.id }
    }
}

/// The condition by whose index a list is read: the most selective one.
#[derive(Clone, Copy)]
enum By {
    Assignee,
    Reporter,
    Reported,
    Room,
    State,
    Time,
}

impl By {
    fn of(filter: &Filter) -> Self {
        // Few reports are assigned and not resolved, while people resolve more and more.
        let is_at_work = filter.state == Some(ReportState::Assigned);
        if !filter.assignee.is_empty() && !is_at_work {
            Self::Assignee
        } else if !filter.reporter.is_empty() {
            Self::Reporter
        } else if !filter.reported.is_empty() {
            Self::Reported
        } else if !filter.room_id.is_empty() {
            Self::Room
        } else if filter.state.is_some() {
            Self::State
        } else {
            Self::Time
        }
    }
}

/// A page of a list and its count, by the same index.
struct Listing {
    page: &'static Statement,
    count: &'static Statement,
}

impl Listing {
    const fn new(page: &'static Statement, count: &'static Statement) -> Self {
        Self { page, count }
    }

    /// Returns the statements; `None` if no report of the kind has what the filter asks for.
    fn of(kind: ReportKind, by: By) -> Option<Self> {
        Some(match (kind, by) {
            (ReportKind::Event, By::Time) => Self::new(&EVENTS, &COUNT_EVENTS),
            (ReportKind::Event, By::State) => Self::new(&EVENTS_BY_STATE, &COUNT_EVENTS_BY_STATE),
            (ReportKind::Event, By::Assignee) => Self::new(&EVENTS_BY_ASSIGNEE, &COUNT_EVENTS_BY_ASSIGNEE),
            (ReportKind::Event, By::Reporter) => Self::new(&EVENTS_BY_REPORTER, &COUNT_EVENTS_BY_REPORTER),
            (ReportKind::Event, By::Reported) => Self::new(&EVENTS_BY_SENDER, &COUNT_EVENTS_BY_SENDER),
            (ReportKind::Event, By::Room) => Self::new(&EVENTS_BY_ROOM, &COUNT_EVENTS_BY_ROOM),
            (ReportKind::Room, By::Time) => Self::new(&ROOMS, &COUNT_ROOMS),
            (ReportKind::Room, By::State) => Self::new(&ROOMS_BY_STATE, &COUNT_ROOMS_BY_STATE),
            (ReportKind::Room, By::Assignee) => Self::new(&ROOMS_BY_ASSIGNEE, &COUNT_ROOMS_BY_ASSIGNEE),
            (ReportKind::Room, By::Reporter) => Self::new(&ROOMS_BY_REPORTER, &COUNT_ROOMS_BY_REPORTER),
            (ReportKind::Room, By::Room) => Self::new(&ROOMS_BY_ROOM, &COUNT_ROOMS_BY_ROOM),
            (ReportKind::User, By::Time) => Self::new(&USERS, &COUNT_USERS),
            (ReportKind::User, By::State) => Self::new(&USERS_BY_STATE, &COUNT_USERS_BY_STATE),
            (ReportKind::User, By::Assignee) => Self::new(&USERS_BY_ASSIGNEE, &COUNT_USERS_BY_ASSIGNEE),
            (ReportKind::User, By::Reporter) => Self::new(&USERS_BY_REPORTER, &COUNT_USERS_BY_REPORTER),
            (ReportKind::User, By::Reported) => Self::new(&USERS_BY_TARGET, &COUNT_USERS_BY_TARGET),
            (ReportKind::Room, By::Reported) | (ReportKind::User, By::Room) => return None,
        })
    }
}

/// The time and id below which the reports of a kind come after a place.
fn below(place: Place, kind: ReportKind) -> (Millis, i64) {
    let id = match (kind as u8).cmp(&(place.id.kind as u8)) {
        Ordering::Less => i64::MAX,
        Ordering::Equal => place.id.id,
        Ordering::Greater => i64::MIN,
    };
    (place.received_ts, id)
}

/// Returns the reports that a filter accepts after a place, the newest first, and the number of all that it accepts.
pub fn list(
    tx: &ReadTx<'_>,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<(Vec<Report>, i64), DbError> {
    let (mut reports, mut total) = (Vec::new(), 0);
    let by = By::of(filter);
    for (_, kind) in ReportKind::WORDS {
        let kind = *kind;
        if filter.kind.is_some_and(|wanted| wanted != kind) {
            continue;
        }
        let Some(subject) = subject(tx, kind, filter)? else { continue };
        let Some(Listing { page, count }) = Listing::of(kind, by) else { continue };
        let until = (filter.until_ts, i64::MIN);
        let from = after.map_or(until, |place| until.min(below(place, kind)));
        let limit = Value::Int(limit);
        let wanted = [&conditions(filter, from), &*subject, &[limit]].concat();
        reports.extend(tx.query(page, &wanted, |row| from_row(kind, row))?);
        let all = [&conditions(filter, until), &*subject].concat();
        total += tx.query_one(count, &all, |row| row.get::<i64>(0))?;
    }
    reports.sort_by_key(|report| Reverse(report.place().key()));
    reports.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((reports, total))
}

/// The values of the conditions that all kinds have, from a time and an id downward.
fn conditions(filter: &Filter, (ts, id): (Millis, i64)) -> [Value<'_>; 6] {
    [
        Value::Int(ts.get()),
        Value::Int(id),
        Value::Int(filter.from_ts.get()),
        Value::Text(filter.state.map_or("", ReportState::as_str)),
        Value::Text(&filter.assignee),
        Value::Text(&filter.reporter),
    ]
}

/// The values of the conditions on the reported thing; `None` if no report of the kind fulfils them.
fn subject<'a>(
    tx: &ReadTx<'_>,
    kind: ReportKind,
    filter: &'a Filter,
) -> Result<Option<Vec<Value<'a>>>, DbError> {
    let Filter { reported, room_id, .. } = filter;
    Ok(match kind {
        ReportKind::Event if room_id.is_empty() => Some(vec![Value::Text(reported), Value::Int(0)]),
        ReportKind::Event => {
            rooms::num(tx, room_id)?.map(|num| vec![Value::Text(reported), Value::Int(num.get())])
        }
        ReportKind::Room => reported.is_empty().then(|| vec![Value::Text(room_id)]),
        ReportKind::User => room_id.is_empty().then(|| vec![Value::Text(reported)]),
    })
}

/// Sets who deals with a report, and its resolution.
pub fn set(
    tx: &mut Tx<'_>,
    ReportId { kind, id }: ReportId,
    assignee: Option<&str>,
    resolution: Option<Resolution>,
) -> Result<(), DbError> {
    let statement = match kind {
        ReportKind::Event => &SET_EVENT,
        ReportKind::Room => &SET_ROOM,
        ReportKind::User => &SET_USER,
    };
    tx.execute(statement, &params![id, assignee, resolution])?;
    Ok(())
}

/// A note on a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The time.
    pub ts: Millis,
    /// The kind of the actor who wrote it.
    pub author_kind: ActorKind,
    /// The id of that actor among those of the kind.
    pub author: String,
    /// The text.
    pub note: String,
}

/// Adds a note to a report.
pub fn insert_note(
    tx: &mut Tx<'_>,
    ReportId { kind, id }: ReportId,
    author: &Actor,
    note: &str,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_NOTE, &params![kind, id, now, author.kind(), author.id(), note])?;
    Ok(())
}

/// Returns the notes on a report, the oldest first.
pub fn notes(tx: &ReadTx<'_>, ReportId { kind, id }: ReportId) -> Result<Vec<Note>, DbError> {
    tx.query(&NOTES, &params![kind, id], |row| {
        Ok(Note { ts: row.get(0)?, author_kind: row.get(1)?, author: row.get(2)?, note: row.get(3)? })
    })
}

/// Returns the number of notes on a report.
pub fn count_notes(tx: &ReadTx<'_>, ReportId { kind, id }: ReportId) -> Result<i64, DbError> {
    tx.query_one(&COUNT_NOTES, &params![kind, id], |row| row.get(0))
}
