//! Receipts, typing and presence.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, Pos, RoomNum};

reeve_db::statements! {
    PUT_RECEIPT = "INSERT INTO receipts (room_num, user_id, receipt_type, thread_id, event_id, event_pos, ts, pos) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (room_num, user_id, receipt_type, thread_id) \
                   DO UPDATE SET event_id = excluded.event_id, event_pos = excluded.event_pos, ts = excluded.ts, \
                   pos = excluded.pos";
    RECEIPT = "SELECT event_pos FROM receipts WHERE room_num = $1 AND user_id = $2 AND receipt_type = $3 AND thread_id = $4";
    RECEIPTS = "SELECT room_num, user_id, receipt_type, thread_id, event_id, ts, event_pos FROM receipts \
                WHERE room_num = $1 AND pos > $2 AND pos <= $3 ORDER BY pos";
    RECEIPTS_OF_USER = "SELECT room_num, user_id, receipt_type, thread_id, event_id, ts, event_pos FROM receipts \
                        WHERE room_num = $1 AND user_id = $2";
    ROOMS_WITH_RECEIPTS = "SELECT m.room_num FROM memberships m WHERE m.user_id = $1 AND m.membership = 'join' \
                           AND EXISTS (SELECT 1 FROM receipts r WHERE r.room_num = m.room_num AND r.pos > $2)";
    ROOMS_WITH_OWN_RECEIPTS = "SELECT m.room_num FROM memberships m WHERE m.user_id = $1 AND m.membership = 'join' \
                               AND EXISTS (SELECT 1 FROM receipts r WHERE r.room_num = m.room_num AND r.user_id = $1 \
                               AND +r.pos > $2)";
    PUT_TYPING = "INSERT INTO typing (room_num, user_id, until_ts, pos) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (room_num, user_id) DO UPDATE SET until_ts = excluded.until_ts, pos = excluded.pos";
    PROLONG_TYPING = "UPDATE typing SET until_ts = $3 WHERE room_num = $1 AND user_id = $2";
    IS_TYPING = "SELECT until_ts FROM typing WHERE room_num = $1 AND user_id = $2";
    TYPING = "SELECT user_id FROM typing WHERE room_num = $1 AND until_ts > $2 ORDER BY user_id";
    ROOMS_WITH_TYPING = "SELECT m.room_num FROM typing t JOIN memberships m ON m.room_num = t.room_num \
                         AND m.user_id = $1 AND m.membership = 'join' WHERE t.pos > $2";
    STOPPED_TYPING = "SELECT room_num, user_id FROM typing WHERE until_ts > 0 AND until_ts <= $1 LIMIT $2";
    PUT_PRESENCE = "INSERT INTO presence (user_id, presence, status_msg, last_active_ts, pos) VALUES ($1, $2, $3, $4, $5) \
                    ON CONFLICT (user_id) DO UPDATE SET presence = excluded.presence, status_msg = excluded.status_msg, \
                    last_active_ts = excluded.last_active_ts, pos = excluded.pos";
    PRESENCE = "SELECT user_id, presence, status_msg, last_active_ts FROM presence WHERE user_id = $1";
    PROLONG_PRESENCE = "UPDATE presence SET last_active_ts = $2 WHERE user_id = $1";
    /// The newest of very many changes alone are read.
    CHANGED_PRESENCE = "SELECT p.user_id, p.presence, p.status_msg, p.last_active_ts \
                        FROM (SELECT * FROM presence WHERE pos > $2 ORDER BY pos DESC LIMIT $3) p \
                        WHERE (p.user_id = $1 OR EXISTS (SELECT 1 FROM memberships a JOIN memberships b \
                        ON b.room_num = a.room_num AND b.user_id = $1 AND b.membership = 'join' \
                        WHERE a.user_id = p.user_id AND a.membership = 'join')) ORDER BY p.pos";
    PRESENCE_OF_NEWCOMERS = "SELECT p.user_id, p.presence, p.status_msg, p.last_active_ts FROM memberships m \
                             JOIN presence p ON p.user_id = m.user_id AND p.presence <> 'offline' \
                             WHERE m.room_num = $1 AND m.membership = 'join' AND m.since_pos > $2 LIMIT $3";
    PUT_DEVICE_PRESENCE = "INSERT INTO presence_devices (user_id, device_id, presence, until_ts) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (user_id, device_id) DO UPDATE SET presence = excluded.presence, \
                           until_ts = excluded.until_ts";
    DEVICE_PRESENCE = "SELECT presence, until_ts FROM presence_devices WHERE user_id = $1 AND device_id = $2";
    DEVICE_PRESENCES = "SELECT presence FROM presence_devices WHERE user_id = $1 AND until_ts > $2";
    DELETE_DEVICE_PRESENCE = "DELETE FROM presence_devices WHERE user_id = $1 AND device_id = $2";
    GONE_DEVICES = "SELECT user_id, device_id FROM presence_devices WHERE until_ts <= $1 ORDER BY until_ts LIMIT $2";
    DELETE_RECEIPTS_OF_ROOM = "DELETE FROM receipts WHERE room_num = $1 AND (user_id, receipt_type, thread_id) IN \
                               (SELECT user_id, receipt_type, thread_id FROM receipts WHERE room_num = $1 LIMIT $2)";
    DELETE_TYPING_OF_ROOM = "DELETE FROM typing WHERE room_num = $1 AND user_id IN \
                             (SELECT user_id FROM typing WHERE room_num = $1 LIMIT $2)";
}

/// The event up to which a user has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the room.
    pub room_num: RoomNum,
    /// The user id.
    pub user_id: String,
    /// `m.read` or `m.read.private`.
    pub receipt_type: String,
    /// The root of its thread, or `main`; blank for the whole room.
    pub thread_id: String,
    /// The event.
    pub event_id: String,
    /// The time.
    pub ts: Millis,
    /// The position of the event.
    pub event_pos: Pos,
}

fn receipt(row: &Row<'_>) -> Result<Receipt, DbError> {
    Ok(Receipt {
        room_num: row.get(0)?,
        user_id: row.get(1)?,
        receipt_type: row.get(2)?,
        thread_id: row.get(3)?,
        event_id: row.get(4)?,
        ts: row.get(5)?,
        event_pos: row.get(6)?,
    })
}

/// Stores a receipt at a stream position.
pub fn put_receipt(tx: &mut Tx<'_>, receipt: &Receipt, pos: Pos) -> Result<(), DbError> {
    tx.execute(
        &PUT_RECEIPT,
        &params![
            receipt.room_num,
            &receipt.user_id,
            &receipt.receipt_type,
            &receipt.thread_id,
            &receipt.event_id,
            receipt.event_pos,
            receipt.ts,
            pos
        ],
    )?;
    Ok(())
}

/// Returns the position of the event of a receipt.
pub fn receipt_pos(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    user_id: &str,
    receipt_type: &str,
    thread_id: &str,
) -> Result<Option<Pos>, DbError> {
    tx.query_opt(&RECEIPT, &params![room_num, user_id, receipt_type, thread_id], |row| row.get(0))
}

/// Returns the receipts in a room that came in `(since, upto]`.
pub fn receipts(tx: &ReadTx<'_>, room_num: RoomNum, since: Pos, upto: Pos) -> Result<Vec<Receipt>, DbError> {
    tx.query(&RECEIPTS, &params![room_num, since, upto], receipt)
}

/// Returns the receipts of one user in a room.
pub fn receipts_of_user(tx: &ReadTx<'_>, room_num: RoomNum, user_id: &str) -> Result<Vec<Receipt>, DbError> {
    tx.query(&RECEIPTS_OF_USER, &params![room_num, user_id], receipt)
}

/// Returns the joined rooms of a user in which receipts came after a position.
pub fn rooms_with_receipts(tx: &ReadTx<'_>, user_id: &str, since: Pos) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&ROOMS_WITH_RECEIPTS, &params![user_id, since], |row| row.get(0))
}

/// Returns the joined rooms of a user in which the user's own receipts moved after a position.
pub fn rooms_with_own_receipts(tx: &ReadTx<'_>, user_id: &str, since: Pos) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&ROOMS_WITH_OWN_RECEIPTS, &params![user_id, since], |row| row.get(0))
}

/// Stores that a user types until a time, or, with 0, that the user stopped.
pub fn put_typing(
    tx: &mut Tx<'_>,
    room_num: RoomNum,
    user_id: &str,
    until_ts: Millis,
    pos: Pos,
) -> Result<(), DbError> {
    tx.execute(&PUT_TYPING, &params![room_num, user_id, until_ts, pos])?;
    Ok(())
}

/// Extends the time until which a user types. Clients need not learn of it.
pub fn prolong_typing(
    tx: &mut Tx<'_>,
    room_num: RoomNum,
    user_id: &str,
    until_ts: Millis,
) -> Result<(), DbError> {
    tx.execute(&PROLONG_TYPING, &params![room_num, user_id, until_ts])?;
    Ok(())
}

/// Returns the time until which a user types.
pub fn typing_until(tx: &ReadTx<'_>, room_num: RoomNum, user_id: &str) -> Result<Option<Millis>, DbError> {
    tx.query_opt(&IS_TYPING, &params![room_num, user_id], |row| row.get(0))
}

/// Returns the users who type in a room.
pub fn typing(tx: &ReadTx<'_>, room_num: RoomNum, now: Millis) -> Result<Vec<String>, DbError> {
    tx.query(&TYPING, &params![room_num, now], |row| row.get(0))
}

/// Returns the joined rooms of a user in which others began or stopped typing after a position.
pub fn rooms_with_typing(tx: &ReadTx<'_>, user_id: &str, since: Pos) -> Result<Vec<RoomNum>, DbError> {
    tx.query(&ROOMS_WITH_TYPING, &params![user_id, since], |row| row.get(0))
}

/// A user who types in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// The room.
    pub room_num: RoomNum,
    /// The user id.
    pub user_id: String,
}

/// Returns some of the users whose typing has timed out.
pub fn stopped_typing(tx: &ReadTx<'_>, now: Millis, limit: i64) -> Result<Vec<Typing>, DbError> {
    tx.query(&STOPPED_TYPING, &params![now, limit], |row| {
        Ok(Typing { room_num: row.get(0)?, user_id: row.get(1)? })
    })
}

/// The presence of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The user id.
    pub user_id: String,
    /// `online`, `unavailable` or `offline`.
    pub presence: String,
    /// The status message.
    pub status_msg: Option<String>,
    /// The time of the last activity.
    pub last_active_ts: Millis,
}

fn presence_from_row(row: &Row<'_>) -> Result<Presence, DbError> {
    Ok(Presence {
        user_id: row.get(0)?,
        presence: row.get(1)?,
        status_msg: row.get(2)?,
        last_active_ts: row.get(3)?,
    })
}

/// Stores a presence at a stream position.
pub fn put_presence(tx: &mut Tx<'_>, presence: &Presence, pos: Pos) -> Result<(), DbError> {
    tx.execute(
        &PUT_PRESENCE,
        &params![&presence.user_id, &presence.presence, &presence.status_msg, presence.last_active_ts, pos],
    )?;
    Ok(())
}

/// Returns the presence of a user, if there ever was one.
pub fn presence(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<Presence>, DbError> {
    tx.query_opt(&PRESENCE, &params![user_id], presence_from_row)
}

/// Stores an activity of a user who is online. Clients need not learn of it at once.
pub fn prolong_presence(tx: &mut Tx<'_>, user_id: &str, last_active_ts: Millis) -> Result<(), DbError> {
    tx.execute(&PROLONG_PRESENCE, &params![user_id, last_active_ts])?;
    Ok(())
}

/// Returns presences that changed after a position, of a user and of users who share a room, among the newest `most`
/// changes.
pub fn changed_presence(
    tx: &ReadTx<'_>,
    user_id: &str,
    since: Pos,
    most: i64,
) -> Result<Vec<Presence>, DbError> {
    tx.query(&CHANGED_PRESENCE, &params![user_id, since, most], presence_from_row)
}

/// Returns the presences of users who joined a room after a position and are not offline.
pub fn presence_of_newcomers(
    tx: &ReadTx<'_>,
    room_num: RoomNum,
    since: Pos,
    most: i64,
) -> Result<Vec<Presence>, DbError> {
    tx.query(&PRESENCE_OF_NEWCOMERS, &params![room_num, since, most], presence_from_row)
}

/// The presence of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePresence {
    /// `online` or `unavailable`.
    pub presence: String,
    /// The time at which it ends.
    pub until_ts: Millis,
}

/// Stores the presence of a device.
pub fn put_device_presence(
    tx: &mut Tx<'_>,
    user_id: &str,
    device_id: &str,
    device: &DevicePresence,
) -> Result<(), DbError> {
    tx.execute(&PUT_DEVICE_PRESENCE, &params![user_id, device_id, &device.presence, device.until_ts])?;
    Ok(())
}

/// Returns the presence of a device, unless it is offline.
pub fn device_presence(
    tx: &ReadTx<'_>,
    user_id: &str,
    device_id: &str,
) -> Result<Option<DevicePresence>, DbError> {
    tx.query_opt(&DEVICE_PRESENCE, &params![user_id, device_id], |row| {
        Ok(DevicePresence { presence: row.get(0)?, until_ts: row.get(1)? })
    })
}

/// Returns the presences of a user's devices at a time.
pub fn device_presences(tx: &ReadTx<'_>, user_id: &str, now: Millis) -> Result<Vec<String>, DbError> {
    tx.query(&DEVICE_PRESENCES, &params![user_id, now], |row| row.get(0))
}

/// Deletes the presence of a device.
pub fn delete_device_presence(tx: &mut Tx<'_>, user_id: &str, device_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_DEVICE_PRESENCE, &params![user_id, device_id])?;
    Ok(())
}

/// A device whose presence has timed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneDevice {
    /// The user id.
    pub user_id: String,
    /// The device id.
    pub device_id: String,
}

/// Returns some of the devices whose presence has timed out.
pub fn gone_devices(tx: &ReadTx<'_>, now: Millis, limit: i64) -> Result<Vec<GoneDevice>, DbError> {
    tx.query(&GONE_DEVICES, &params![now, limit], |row| {
        Ok(GoneDevice { user_id: row.get(0)?, device_id: row.get(1)? })
    })
}

/// Deletes some of the receipts and typing rows of a room; returns their number.
pub fn delete_some_of_room(tx: &mut Tx<'_>, room_num: RoomNum, most: i64) -> Result<u64, DbError> {
    let receipts = tx.execute(&DELETE_RECEIPTS_OF_ROOM, &params![room_num, most])?;
    Ok(receipts + tx.execute(&DELETE_TYPING_OF_ROOM, &params![room_num, most])?)
}
