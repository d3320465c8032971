//! Uploads. Their bytes are in [`crate::media_objects`].

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, UserNum};
use serde::{Deserialize, Serialize};

use crate::lists::media::counts;
use crate::lists::media::order::OrderBy;
use crate::paging::count_of;
use crate::sql::sort_key;
use crate::{media_objects as objects, media_users};

macro_rules! columns {
    () => {
        "m.num, m.media_id, m.user_num, m.blob_num, m.media_type, m.media_length, m.upload_name, m.created_ts, \
         m.last_access_ts, m.quarantined_by, m.safe_from_quarantine, m.url_cache, m.authenticated, m.disguised, \
         u.user_id, b.sha256, b.object"
    };
}
macro_rules! select {
    () => {
        concat!(
            "SELECT ",
            crate::media::columns!(),
            " FROM media m JOIN users u ON u.num = m.user_num JOIN media_blobs b ON b.num = m.blob_num "
        )
    };
}
pub(crate) use {columns, select};

/// Uploads that were never downloaded, which are old by the time of the upload.
macro_rules! unused_never {
    ($of:literal) => {
        concat!(
            select!(),
            "WHERE m.sort_access_ts = 9223372036854775807 AND m.created_ts < $1 AND (m.created_ts, m.num) > ($2, $3) \
             AND m.media_length > $4 ",
            $of,
            "AND m.safe_from_quarantine = 0 AND m.quarantined_by IS NULL ORDER BY m.created_ts, m.num LIMIT $5"
        )
    };
}
macro_rules! unused_long {
    ($of:literal) => {
        concat!(
            select!(),
            "WHERE m.sort_access_ts < $1 AND (m.sort_access_ts, m.created_ts, m.num) > ($2, $3, $4) \
             AND m.media_length > $5 ",
            $of,
            "AND m.safe_from_quarantine = 0 AND m.quarantined_by IS NULL \
             ORDER BY m.sort_access_ts, m.created_ts, m.num LIMIT $6"
        )
    };
}

reeve_db::statements! {
    FIND = concat!(select!(), "WHERE m.media_id = $1");
    BY_SHA256 = concat!(select!(), "WHERE m.blob_num = (SELECT num FROM media_blobs WHERE sha256 = $1) \
                        AND m.num > $2 ORDER BY m.num LIMIT $3");
    OF_BLOB = concat!(select!(), "WHERE m.blob_num = $1 AND m.num > $2 ORDER BY m.num LIMIT $3");
    QUARANTINED_OF_BLOB = concat!(select!(), "WHERE m.blob_num = $1 AND m.quarantined_by IS NOT NULL \
                                  ORDER BY m.num LIMIT $2");
    /// The `+` keeps SQLite from the index of safe uploads, which it would read from the beginning.
    NOT_QUARANTINED = concat!(select!(), "WHERE m.user_num = $1 AND m.sort_quarantined_by = 'b' \
                              AND +m.safe_from_quarantine = 0 AND m.media_id > $2 ORDER BY m.media_id LIMIT $3");
    OF_USER_AFTER = concat!(select!(), "WHERE m.user_num = $1 AND m.media_id > $2 ORDER BY m.media_id LIMIT $3");
    UNUSED_NEVER = unused_never!("");
    UNUSED_LONG = unused_long!("");
    UPLOADS_NEVER = unused_never!("AND m.url_cache IS NULL ");
    UPLOADS_LONG = unused_long!("AND m.url_cache IS NULL ");
    PREVIEWS_NEVER = unused_never!("AND m.url_cache IS NOT NULL ");
    PREVIEWS_LONG = unused_long!("AND m.url_cache IS NOT NULL ");
    INSERT = "INSERT INTO media (media_id, user_num, blob_num, media_type, media_length, upload_name, created_ts, \
              quarantined_by, url_cache, authenticated, disguised, sort_name, sort_access_ts, sort_quarantined_by) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING num";
    PUT_IN = "INSERT INTO media (num, media_id, user_num, blob_num, media_type, media_length, upload_name, created_ts, \
              last_access_ts, quarantined_by, safe_from_quarantine, url_cache, authenticated, disguised, sort_name, \
              sort_access_ts, sort_quarantined_by) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    IS_THERE = "SELECT 1 FROM media WHERE num = $1";
    DELETE = "DELETE FROM media WHERE num = $1";
    TOUCH = "UPDATE media SET last_access_ts = $2, sort_access_ts = $2 WHERE media_id = $1 \
             AND (last_access_ts IS NULL OR last_access_ts < $2)";
    SET_QUARANTINED = "UPDATE media SET quarantined_by = $2, sort_quarantined_by = $3 WHERE num = $1";
    SET_SAFE = "UPDATE media SET safe_from_quarantine = $2 WHERE media_id = $1";
    QUARANTINED_BLOB = "SELECT 1 FROM media WHERE blob_num = $1 AND quarantined_by IS NOT NULL LIMIT 1";
    IS_AVATAR = "SELECT 1 FROM users WHERE avatar_url = $1 \
                 UNION ALL SELECT 1 FROM rooms WHERE substr(avatar_url, 1, 250) = $1 AND avatar_url IS NOT NULL \
                 UNION ALL SELECT 1 FROM room_bin WHERE substr(avatar_url, 1, 250) = $1 AND avatar_url IS NOT NULL LIMIT 1";
    NEWEST_CHANGE = "SELECT coalesce(max(pos), 0) FROM media_quarantine_changes";
    ADD_CHANGE = "INSERT INTO media_quarantine_changes (pos, media_id, quarantined, ts) \
                  SELECT coalesce(max(pos), 0) + 1, CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT) \
                  FROM media_quarantine_changes";
    CHANGES = "SELECT pos, media_id, quarantined FROM media_quarantine_changes WHERE pos > $1 ORDER BY pos LIMIT $2";
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The number by which other tables refer to it.
    pub num: i64,
    /// The last part of its `mxc://` URI.
    pub media_id: String,
    /// The number of the account that uploaded it.
    pub user_num: UserNum,
    /// Its blob.
    pub blob_num: i64,
    /// The content type, as the uploader gave it.
    pub media_type: String,
    /// The length, in bytes.
    pub media_length: i64,
    /// The name of the file.
    pub upload_name: Option<String>,
    /// The time at which it was uploaded, in milliseconds.
    pub created_ts: Millis,
    /// The time at which it was last downloaded, in milliseconds; about a minute behind.
    pub last_access_ts: Option<Millis>,
    /// The administrator who quarantined it.
    pub quarantined_by: Option<String>,
    /// True if it cannot be quarantined.
    pub safe_from_quarantine: bool,
    /// The address of which it is a preview.
    pub url_cache: Option<String>,
    /// True if only requests with an access token can download it.
    pub authenticated: bool,
    /// True if its bytes contradict its content type.
    pub disguised: bool,
    /// The user who uploaded it.
    pub user_id: String,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// The object with its bytes.
    pub object: String,
}

/// Reads the columns of `columns!()`.
pub(crate) fn from_row(row: &Row<'_>) -> Result<Media, DbError> {
    Ok(Media {
        num: row.get(0)?,
        media_id: row.get(1)?,
        user_num: row.get(2)?,
        blob_num: row.get(3)?,
        media_type: row.get(4)?,
        media_length: row.get(5)?,
        upload_name: row.get(6)?,
        created_ts: row.get(7)?,
        last_access_ts: row.get(8)?,
        quarantined_by: row.get(9)?,
        safe_from_quarantine: row.get(10)?,
        url_cache: row.get(11)?,
        authenticated: row.get(12)?,
        disguised: row.get(13)?,
        user_id: row.get(14)?,
        sha256: row.get(15)?,
        object: row.get(16)?,
    })
}

/// An upload to store.
#[derive(Clone, Debug, Default)]
pub struct NewMedia {
    /// The last part of its `mxc://` URI; must be free.
    pub media_id: String,
    /// The number of the account.
    pub user_num: UserNum,
    /// The content type.
    pub media_type: String,
    /// The name of the file.
    pub upload_name: Option<String>,
    /// The time.
    pub created_ts: Millis,
    /// The user who quarantined it, if it is quarantined from the start.
    pub quarantined_by: Option<String>,
    /// The address of which it is a preview.
    pub url_cache: Option<String>,
    /// True if its bytes contradict its content type.
    pub disguised: bool,
}

/// Returns one upload.
pub fn find(tx: &ReadTx<'_>, media_id: &str) -> Result<Option<Media>, DbError> {
    tx.query_opt(&FIND, &params![media_id], from_row)
}

/// Returns some of the uploads with these bytes, after a number.
pub fn by_sha256(tx: &ReadTx<'_>, sha256: &str, after: i64, limit: i64) -> Result<Vec<Media>, DbError> {
    tx.query(&BY_SHA256, &params![sha256, after, limit], from_row)
}

/// Returns some of the uploads of a blob, after a number.
pub fn of_blob(tx: &ReadTx<'_>, blob_num: i64, after: i64, limit: i64) -> Result<Vec<Media>, DbError> {
    tx.query(&OF_BLOB, &params![blob_num, after, limit], from_row)
}

/// Returns some of the quarantined uploads of a blob.
pub fn quarantined_of_blob(tx: &ReadTx<'_>, blob_num: i64, limit: i64) -> Result<Vec<Media>, DbError> {
    tx.query(&QUARANTINED_OF_BLOB, &params![blob_num, limit], from_row)
}

/// Returns some of an account's uploads that are neither quarantined nor safe from it, after a media id.
pub fn not_quarantined(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    after: &str,
    limit: i64,
) -> Result<Vec<Media>, DbError> {
    tx.query(&NOT_QUARANTINED, &params![user_num, after, limit], from_row)
}

/// Returns some of an account's uploads after a media id, in the order of the ids.
pub fn of_user_after(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    after: &str,
    limit: i64,
) -> Result<Vec<Media>, DbError> {
    tx.query(&OF_USER_AFTER, &params![user_num, after, limit], from_row)
}

/// The kind of uploads in a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusedKind {
    /// All.
    All,
    /// Those that users made.
    Uploads,
    /// Pictures of previews of web pages.
    Previews,
}

/// A selection of uploads that were not downloaded for long.
#[derive(Clone, Copy, Debug)]
pub struct Unused {
    /// Their kind.
    pub kind: UnusedKind,
    /// The upload was last downloaded before this time; if never, it was made before it.
    pub before_ts: Millis,
    /// The upload is longer than this, in bytes.
    pub size_gt: i64,
}

/// The place of an upload in the list of unused ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct UnusedPlace {
    /// The time at which it was last downloaded.
    pub accessed_ts: Option<Millis>,
    /// The time at which it was uploaded.
    pub created_ts: Millis,
    /// Its number.
    pub num: i64,
}

impl From<&Media> for UnusedPlace {
    fn from(media: &Media) -> Self {
        Self { accessed_ts: media.last_access_ts, created_ts: media.created_ts, num: media.num }
    }
}

/// Returns some unused uploads that are neither quarantined nor safe from it, after a place. The list ends with a page that
/// is not full.
pub fn unused(
    tx: &ReadTx<'_>,
    unused: Unused,
    after: Option<UnusedPlace>,
    limit: i64,
) -> Result<Vec<Media>, DbError> {
    const START: UnusedPlace =
        UnusedPlace { accessed_ts: Some(Millis::ZERO), created_ts: Millis::ZERO, num: 0 };
    let Unused { kind, before_ts, size_gt } = unused;
    let (long, never) = match kind {
        UnusedKind::All => (&UNUSED_LONG, &UNUSED_NEVER),
        UnusedKind::Uploads => (&UPLOADS_LONG, &UPLOADS_NEVER),
        UnusedKind::Previews => (&PREVIEWS_LONG, &PREVIEWS_NEVER),
    };
    let UnusedPlace { accessed_ts, created_ts, num } = after.unwrap_or(START);
    // Uploads that were never downloaded come last.
    let (mut page, (created_ts, num)) = match accessed_ts {
        None => (Vec::new(), (created_ts, num)),
        Some(accessed_ts) => {
            let params = params![before_ts, accessed_ts, created_ts, num, size_gt, limit];
            (tx.query(long, &params, from_row)?, (Millis::ZERO, 0))
        }
    };
    let room = limit - count_of(&page);
    if room > 0 {
        page.extend(tx.query(never, &params![before_ts, created_ts, num, size_gt, room], from_row)?);
    }
    Ok(page)
}

/// Stores an upload, whose bytes are complete, and returns its number.
pub fn insert(tx: &mut Tx<'_>, new: &NewMedia, blob_num: i64, length: i64) -> Result<i64, DbError> {
    let num = tx.returning(
        &INSERT,
        &params![
            new.media_id,
            new.user_num,
            blob_num,
            new.media_type,
            length,
            new.upload_name,
            new.created_ts,
            new.quarantined_by,
            new.url_cache,
            true,
            new.disguised,
            sort_key(new.upload_name.as_deref()),
            i64::MAX,
            sort_key(new.quarantined_by.as_deref())
        ],
        |row| row.get(0),
    )?;
    let count = media_users::add(tx, new.user_num, length)?;
    counts::add(tx, new.user_num, &new.media_id, count)?;
    num.into_iter().next().ok_or(DbError::NoRow)
}

/// Deletes an upload for good; returns false if it is not there. With the last upload of a blob, the blob and its
/// thumbnails are deleted, too.
pub fn delete(tx: &mut Tx<'_>, media: &Media, now: Millis) -> Result<bool, DbError> {
    if tx.query_opt(&IS_THERE, &params![media.num], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    take_out(tx, media)?;
    objects::release(tx, media.blob_num, now)?;
    Ok(true)
}

/// Deletes the row of an upload, which is there, and subtracts it from the counts. The blob stays.
pub(crate) fn take_out(tx: &mut Tx<'_>, media: &Media) -> Result<(), DbError> {
    // Rows are locked in the same order as by an upload, so that the two cannot block each other.
    let left = media_users::remove(tx, media.user_num, media.media_length)?;
    counts::remove(tx, media.user_num, &media.media_id, left)?;
    tx.execute(&DELETE, &params![media.num])?;
    Ok(())
}

/// Stores an upload that was taken out, under its former number, and counts it.
pub(crate) fn put_in(tx: &mut Tx<'_>, media: &Media) -> Result<(), DbError> {
    tx.execute(
        &PUT_IN,
        &params![
            media.num,
            &media.media_id,
            media.user_num,
            media.blob_num,
            &media.media_type,
            media.media_length,
            &media.upload_name,
            media.created_ts,
            media.last_access_ts,
            &media.quarantined_by,
            media.safe_from_quarantine,
            &media.url_cache,
            media.authenticated,
            media.disguised,
            sort_key(media.upload_name.as_deref()),
            media.last_access_ts.unwrap_or(Millis::MAX),
            sort_key(media.quarantined_by.as_deref())
        ],
    )?;
    let count = media_users::add(tx, media.user_num, media.media_length)?;
    counts::add(tx, media.user_num, &media.media_id, count)
}

/// Stores that an upload was downloaded; an older time changes nothing.
pub fn touch(tx: &mut Tx<'_>, media_id: &str, ts: Millis) -> Result<(), DbError> {
    counts::moving(tx, media_id, OrderBy::LastAccessTs, |tx| {
        tx.execute(&TOUCH, &params![media_id, ts])?;
        Ok(())
    })
}

/// Quarantines or releases an upload, and adds that to the list of changes.
pub fn set_quarantined(
    tx: &mut Tx<'_>,
    media: &Media,
    quarantined_by: Option<&str>,
    now: Millis,
) -> Result<(), DbError> {
    counts::moving(tx, &media.media_id, OrderBy::QuarantinedBy, |tx| {
        tx.execute(&SET_QUARANTINED, &params![media.num, quarantined_by, sort_key(quarantined_by)])
    })?;
    add_quarantine_change(tx, &media.media_id, quarantined_by.is_some(), now)
}

/// Adds to the list of changes that an upload was quarantined or released.
pub fn add_quarantine_change(
    tx: &mut Tx<'_>,
    media_id: &str,
    quarantined: bool,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&ADD_CHANGE, &params![media_id, quarantined, now])?;
    Ok(())
}

/// Makes an upload safe from quarantine, or ends that; returns true if it exists.
pub fn set_safe(tx: &mut Tx<'_>, media_id: &str, safe: bool) -> Result<bool, DbError> {
    counts::moving(tx, media_id, OrderBy::SafeFromQuarantine, |tx| {
        Ok(tx.execute(&SET_SAFE, &params![media_id, safe])? > 0)
    })
}

/// Returns true if an upload of this blob is quarantined.
pub fn is_quarantined(tx: &ReadTx<'_>, blob_num: i64) -> Result<bool, DbError> {
    Ok(tx.query_opt(&QUARANTINED_BLOB, &params![blob_num], |_| Ok(()))?.is_some())
}

/// Returns true if an account or a room has this `mxc://` URI as its avatar.
pub fn is_avatar(tx: &ReadTx<'_>, uri: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IS_AVATAR, &params![uri], |_| Ok(()))?.is_some())
}

/// A quarantine, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineChange {
    /// Its position: 1 for the first, without gaps.
    pub pos: i64,
    /// The upload.
    pub media_id: String,
    /// True if it was quarantined.
    pub quarantined: bool,
}

/// Returns the position of the newest change; 0 if there is none.
pub fn newest_quarantine_change(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&NEWEST_CHANGE, &params![], |row| row.get(0))
}

/// Returns changes after a position, the oldest first.
pub fn quarantine_changes(tx: &ReadTx<'_>, after: i64, limit: i64) -> Result<Vec<QuarantineChange>, DbError> {
    tx.query(&CHANGES, &params![after, limit], |row| {
        Ok(QuarantineChange { pos: row.get(0)?, media_id: row.get(1)?, quarantined: row.get(2)? })
    })
}
