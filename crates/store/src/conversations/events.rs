//! Events, the state that they set, and their relations.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Effect, Membership, Millis, Pos, RoomNum};

use crate::sql::num_list;

macro_rules! columns {
    () => {
        "pos, room_num, event_id, event_type, state_key, sender, ts, membership, until_pos, relates_to, rel_type, \
         redacted_by, notifies, json"
    };
}

macro_rules! select {
    ($($rest:expr),*) => { concat!("SELECT ", columns!(), " FROM events WHERE ", $($rest),*) };
}

/// The position after which the history of room `$1` was not purged.
macro_rules! not_purged {
    () => {
        "(SELECT purged_pos - 1 FROM rooms WHERE num = $1)"
    };
}

reeve_db::statements! {
    INSERT = concat!("INSERT INTO events (", columns!(), ") \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
    FIND = select!("event_id = $1");
    BY_POS = select!("pos = $1");
    STATE_AT = select!("room_num = $1 AND event_type = $2 AND state_key = $3 AND until_pos > $4 \
                ORDER BY until_pos LIMIT 1");
    REPLACED = select!("room_num = $1 AND event_type = $2 AND state_key = $3 AND until_pos = $4");
    /// `$2`: the positions, in the form of [`num_list`].
    REPLACED_BY = {
        sqlite: select!("room_num = $1 AND until_pos IN (SELECT value FROM json_each($2))"),
        postgres: select!("room_num = $1 AND until_pos = ANY (CAST(CAST($2 AS TEXT) AS BIGINT[]))"),
    };
    HISTORY = select!("room_num = $1 AND event_type = $2 AND state_key = $3 AND until_pos > 0 ORDER BY until_pos");
    ALL_STATE_AT = select!("room_num = $1 AND until_pos > $2 AND pos <= $2 ORDER BY pos");
    /// Two ranges of the index, so that the members of a large room are not read.
    STATE_BUT_MEMBERS_AT = concat!(
        select!("room_num = $1 AND event_type < 'm.room.member' AND until_pos IS NOT NULL AND +until_pos > $2 \
                 AND pos <= $2"),
        " UNION ALL ",
        select!("room_num = $1 AND event_type > 'm.room.member' AND until_pos IS NOT NULL AND +until_pos > $2 \
                 AND pos <= $2"));
    STATE_OF_TYPE_AT = select!("room_num = $1 AND event_type = $2 AND state_key >= '' AND until_pos > $3 \
                        AND pos <= $3 ORDER BY pos");
    STATE_CHANGED = select!("room_num = $1 AND until_pos > $3 AND pos > $2 AND pos <= $3 ORDER BY pos");
    REPLACE = "UPDATE events SET until_pos = $2 WHERE pos = $1";
    BEFORE = {
        sqlite: select!("room_num = $1 AND pos < $2 AND pos > max($3, ", not_purged!(), ") ORDER BY pos DESC LIMIT $4"),
        postgres: select!("room_num = $1 AND pos < $2 AND pos > GREATEST($3, ", not_purged!(), ") \
                           ORDER BY pos DESC LIMIT $4"),
    };
    AFTER = {
        sqlite: select!("room_num = $1 AND pos > max($2, ", not_purged!(), ") AND pos <= $3 ORDER BY pos LIMIT $4"),
        postgres: select!("room_num = $1 AND pos > GREATEST($2, ", not_purged!(), ") AND pos <= $3 \
                           ORDER BY pos LIMIT $4"),
    };
    /// The newest events alone are searched: a room may have very many of other types.
    LATEST_ACTIVITY = "SELECT max(pos) FROM (SELECT pos, event_type FROM events WHERE room_num = $1 AND pos > $2 \
                       AND pos <= $3 ORDER BY pos DESC LIMIT 500) newest WHERE event_type IN ('m.room.create', \
                       'm.room.message', 'm.room.encrypted', 'm.sticker', 'm.call.invite', 'm.poll.start', \
                       'org.matrix.msc3381.poll.start', 'm.beacon_info', 'org.matrix.msc3672.beacon_info')";
    RELATIONS = select!("relates_to = $1 AND pos < $2 AND pos > $3 ORDER BY pos DESC LIMIT $4");
    RELATIONS_AFTER = select!("relates_to = $1 AND pos > $2 AND pos <= $3 ORDER BY pos LIMIT $4");
    NEWEST_RELATED = select!("relates_to = $1 AND rel_type = $2 AND pos <= $3 AND redacted_by IS NULL \
                      ORDER BY pos DESC LIMIT $4");
    NEWEST_RELATED_WITHOUT = {
        sqlite: select!("relates_to = $1 AND rel_type = $2 AND pos <= $3 AND redacted_by IS NULL AND ",
            sender_not_in!(sqlite, "sender", "$5"), " ORDER BY pos DESC LIMIT $4"),
        postgres: select!("relates_to = $1 AND rel_type = $2 AND pos <= $3 AND redacted_by IS NULL AND ",
            sender_not_in!(postgres, "sender", "$5"), " ORDER BY pos DESC LIMIT $4"),
    };
    BY_RELATION = select!("relates_to = $1 AND rel_type = $2 AND pos <= $3 ORDER BY pos DESC LIMIT $4");
    RELATED = "SELECT pos FROM events WHERE relates_to = $1 LIMIT 1";
    ROOM_OF = "SELECT room_num FROM events WHERE event_id = $1";
    OF_SENDER = select!("sender = $1 AND room_num = $2 AND pos < $3 ORDER BY pos DESC LIMIT $4");
    OF_SENDER_IN = select!("sender = $1 AND room_num = $2 AND pos > $3 AND pos <= $4 ORDER BY pos LIMIT $5");
    FROM_TS = select!("room_num = $1 AND ts >= $2 AND pos > ", not_purged!(), " ORDER BY ts, pos LIMIT $3");
    UPTO_TS = select!("room_num = $1 AND ts <= $2 AND pos > ", not_purged!(), " ORDER BY ts DESC, pos DESC LIMIT $3");
    SET_REDACTED = "UPDATE events SET redacted_by = $2, notifies = 0 WHERE pos = $1";
    /// Without rooms in the bin.
    INVITES_SENT = "SELECT count(*) FROM events e JOIN rooms r ON r.num = e.room_num \
                    WHERE e.sender = $1 AND e.membership = 'invite' AND e.ts >= $2";
    /// As above.
    ROOMS_JOINED = "SELECT count(DISTINCT r.num) FROM events e JOIN rooms r ON r.num = e.room_num \
                    WHERE e.state_key = $1 AND e.membership = 'join' AND e.ts >= $2";
    SIZE = "SELECT count(*) FROM events WHERE room_num = $1";
    SAMPLE = "SELECT CAST(COALESCE(sum(length(json)), 0) AS BIGINT), count(*) FROM \
              (SELECT json FROM events WHERE room_num = $1 ORDER BY pos DESC LIMIT $2) AS newest";
}

/// An event, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its position in the stream.
    pub pos: Pos,
    /// The number of its room.
    pub room_num: RoomNum,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The state key of a state event.
    pub state_key: Option<String>,
    /// The user who sent it.
    pub sender: String,
    /// The time, in milliseconds.
    pub ts: Millis,
    /// The membership that an `m.room.member` event sets.
    pub membership: Option<Membership>,
    /// The position at which the state that it sets ends; [`Pos::END`] while it holds, `None` for events that set none.
    pub until_pos: Option<Pos>,
    /// The event it relates to.
    pub relates_to: Option<String>,
    /// The type of the relation.
    pub rel_type: Option<String>,
    /// The event that redacted it.
    pub redacted_by: Option<String>,
    /// The effect on members with default push rules whom it does not mention.
    pub effect: Effect,
    /// The whole signed event, as JSON.
    pub json: String,
}

impl Event {
    /// Returns the root of its thread.
    pub fn thread(&self) -> Option<&str> {
        self.relates_to.as_deref().filter(|_| self.rel_type.as_deref() == Some("m.thread"))
    }
}

fn from_row(row: &Row<'_>) -> Result<Event, DbError> {
    Ok(Event {
        pos: row.get(0)?,
        room_num: row.get(1)?,
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        state_key: row.get(4)?,
        sender: row.get(5)?,
        ts: row.get(6)?,
        membership: row.get(7)?,
        until_pos: row.get(8)?,
        relates_to: row.get(9)?,
        rel_type: row.get(10)?,
        redacted_by: row.get(11)?,
        effect: row.get(12)?,
        json: row.get(13)?,
    })
}

/// Stores an event.
pub fn insert(tx: &mut Tx<'_>, event: &Event) -> Result<(), DbError> {
    tx.execute(
        &INSERT,
        &params![
            event.pos,
            event.room_num,
            &event.event_id,
            &event.event_type,
            &event.state_key,
            &event.sender,
            event.ts,
            event.membership,
            event.until_pos,
            &event.relates_to,
            &event.rel_type,
            &event.redacted_by,
            event.effect,
            &event.json
        ],
    )?;
    Ok(())
}

/// Returns the event with an id.
pub fn find(tx: &ReadTx<'_>, event_id: &str) -> Result<Option<Event>, DbError> {
    tx.query_opt(&FIND, &params![event_id], from_row)
}

/// Returns the event at a position.
pub fn by_pos(tx: &ReadTx<'_>, pos: Pos) -> Result<Option<Event>, DbError> {
    tx.query_opt(&BY_POS, &params![pos], from_row)
}

/// Returns the present piece of state.
pub fn state(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    event_type: &str,
    state_key: &str,
) -> Result<Option<Event>, DbError> {
    tx.query_opt(&REPLACED, &params![room_num, event_type, state_key, Pos::END], from_row)
}

/// Returns the piece of state after the event at `pos`.
pub fn state_at(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    event_type: &str,
    state_key: &str,
    pos: Pos,
) -> Result<Option<Event>, DbError> {
    let found = tx.query_opt(&STATE_AT, &params![room_num, event_type, state_key, pos], from_row)?;
    Ok(found.filter(|event| event.pos <= pos))
}

/// Returns the state event that another one replaced.
pub fn replaced_by(tx: &ReadTx<'_>, event: &Event) -> Result<Option<Event>, DbError> {
    let Some(state_key) = &event.state_key else { return Ok(None) };
    tx.query_opt(&REPLACED, &params![event.room_num, &event.event_type, state_key, event.pos], from_row)
}

/// Returns the state events that events of a room replaced, by the position of the replacement.
pub fn replaced_by_each(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    events: &[Event],
) -> Result<HashMap<Pos, Event>, DbError> {
    let positions: Vec<Pos> =
        events.iter().filter(|event| event.state_key.is_some()).map(|event| event.pos).collect();
    if positions.is_empty() {
        return Ok(HashMap::new());
    }
    let replaced =
        tx.query(&REPLACED_BY, &params![room_num, &num_list(tx.engine(), &positions)], from_row)?;
    Ok(replaced.into_iter().filter_map(|event| Some((event.until_pos?, event))).collect())
}

/// Returns every value of one piece of state, the oldest first.
pub fn history(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    event_type: &str,
    state_key: &str,
) -> Result<Vec<Event>, DbError> {
    tx.query(&HISTORY, &params![room_num, event_type, state_key], from_row)
}

/// Returns the whole state after the event at `pos`.
pub fn all_state_at(tx: &ReadTx<'_>, room_num: RoomNum, pos: Pos) -> Result<Vec<Event>, DbError> {
    tx.query(&ALL_STATE_AT, &params![room_num, pos], from_row)
}

/// Returns the state after the event at `pos`, without the members.
pub fn state_but_members_at(tx: &ReadTx<'_>, room_num: RoomNum, pos: Pos) -> Result<Vec<Event>, DbError> {
    tx.query(&STATE_BUT_MEMBERS_AT, &params![room_num, pos], from_row)
}

/// Returns the state of one type after the event at `pos`.
pub fn state_of_type_at(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    event_type: &str,
    pos: Pos,
) -> Result<Vec<Event>, DbError> {
    tx.query(&STATE_OF_TYPE_AT, &params![room_num, event_type, pos], from_row)
}

/// Returns the state after `upto` that did not hold after `since`.
pub fn state_changed(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    since: Pos,
    upto: Pos,
) -> Result<Vec<Event>, DbError> {
    tx.query(&STATE_CHANGED, &params![room_num, since, upto], from_row)
}

/// Ends the interval of a state event that another one replaced at `until_pos`.
pub fn replace(tx: &mut Tx<'_>, pos: Pos, until_pos: Pos) -> Result<(), DbError> {
    tx.execute(&REPLACE, &params![pos, until_pos])?;
    Ok(())
}

/// Returns the position of the newest event in `(after, upto]` that counts as activity, among the newest events.
pub fn latest_activity(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    after: Pos,
    upto: Pos,
) -> Result<Option<Pos>, DbError> {
    tx.query_one(&LATEST_ACTIVITY, &params![room_num, after, upto], |row| row.get(0))
}

/// Returns events of a room in `(after, before)`, the newest first.
pub fn before(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    before: Pos,
    after: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&BEFORE, &params![room_num, before, after, limit], from_row)
}

/// Returns events of a room in `(after, upto]`, the oldest first.
pub fn after(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    after: Pos,
    upto: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&AFTER, &params![room_num, after, upto, limit], from_row)
}

/// Returns events in `(after, before)` that relate to an event, the newest first.
pub fn relations(
    tx: &ReadTx<'_>,
    event_id: &str,
    before: Pos,
    after: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&RELATIONS, &params![event_id, before, after, limit], from_row)
}

/// Returns events in `(after, upto]` that relate to an event, the oldest first.
pub fn relations_after(
    tx: &ReadTx<'_>,
    event_id: &str,
    after: Pos,
    upto: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&RELATIONS_AFTER, &params![event_id, after, upto, limit], from_row)
}

/// Returns the newest events with one relation to an event, at or below a position.
pub fn by_relation(
    tx: &ReadTx<'_>,
    event_id: &str,
    rel_type: &str,
    upto: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&BY_RELATION, &params![event_id, rel_type, upto, limit], from_row)
}

/// Returns the newest events with one relation to an event, at or below a position, without redacted ones and those by
/// the senders in `excluded`, a JSON array if there are any.
pub fn newest_related(
    tx: &ReadTx<'_>,
    event_id: &str,
    rel_type: &str,
    upto: Pos,
    excluded: Option<&str>,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    match excluded {
        None => tx.query(&NEWEST_RELATED, &params![event_id, rel_type, upto, limit], from_row),
        Some(excluded) => {
            tx.query(&NEWEST_RELATED_WITHOUT, &params![event_id, rel_type, upto, limit, excluded], from_row)
        }
    }
}

/// Returns true if any event relates to an event.
pub fn is_related(tx: &ReadTx<'_>, event_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&RELATED, &params![event_id], |_| Ok(()))?.is_some())
}

/// Returns the number of the room of an event.
pub fn room_of(tx: &ReadTx<'_>, event_id: &str) -> Result<Option<RoomNum>, DbError> {
    tx.query_opt(&ROOM_OF, &params![event_id], |row| row.get(0))
}

/// Returns events of a sender in a room before a position, the newest first.
pub fn of_sender(
    tx: &ReadTx<'_>,
    sender: &str,
    room_num: RoomNum,
    before: Pos,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&OF_SENDER, &params![sender, room_num, before, limit], from_row)
}

/// Returns events of a sender in a room within a span, the oldest first.
pub fn of_sender_in(
    tx: &ReadTx<'_>,
    sender: &str,
    room_num: RoomNum,
    span: crate::stream::Span,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    tx.query(&OF_SENDER_IN, &params![sender, room_num, span.after, span.upto, limit], from_row)
}

/// Returns events of a room at or after a time, the oldest first.
pub fn from_ts(tx: &ReadTx<'_>, room_num: RoomNum, ts: Millis, limit: i64) -> Result<Vec<Event>, DbError> {
    tx.query(&FROM_TS, &params![room_num, ts, limit], from_row)
}

/// Returns events of a room at or before a time, the newest first.
pub fn upto_ts(tx: &ReadTx<'_>, room_num: RoomNum, ts: Millis, limit: i64) -> Result<Vec<Event>, DbError> {
    tx.query(&UPTO_TS, &params![room_num, ts, limit], from_row)
}

/// Stores that an event was redacted.
pub fn set_redacted(tx: &mut Tx<'_>, pos: Pos, redacted_by: &str) -> Result<(), DbError> {
    tx.execute(&SET_REDACTED, &params![pos, redacted_by])?;
    Ok(())
}

/// Returns the number of invites that a user sent since a time.
pub fn invites_sent(tx: &ReadTx<'_>, user_id: &str, since_ts: Millis) -> Result<i64, DbError> {
    tx.query_one(&INVITES_SENT, &params![user_id, since_ts], |row| row.get(0))
}

/// Returns the number of rooms that a user joined since a time.
pub fn rooms_joined(tx: &ReadTx<'_>, user_id: &str, since_ts: Millis) -> Result<i64, DbError> {
    tx.query_one(&ROOMS_JOINED, &params![user_id, since_ts], |row| row.get(0))
}

/// Returns an estimate of the size of the events of a room: their number, times the size of the newest ones.
pub fn estimated_size(tx: &ReadTx<'_>, room_num: RoomNum) -> Result<i64, DbError> {
    const SAMPLED: i64 = 200;
    let count = tx.query_one(&SIZE, &params![room_num], |row| row.get::<i64>(0))?;
    let (bytes, sampled) = tx.query_one(&SAMPLE, &params![room_num, SAMPLED], |row| {
        Ok((row.get::<i64>(0)?, row.get::<i64>(1)?))
    })?;
    Ok(count.saturating_mul(bytes) / sampled.max(1))
}
