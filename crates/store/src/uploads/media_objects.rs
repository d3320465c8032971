//! Objects in the media store: the bytes of uploads and thumbnails, and orphaned objects (table `media_strays`).
//!
//! Each object has a name that is used once. It is orphaned before its bytes are complete, and again when nothing needs
//! them any more; in between it belongs to a blob or a thumbnail. An object that is scheduled for deletion (column
//! `doomed`) is never reused, so that its bytes can be deleted without another check: an upload of the same bytes
//! meanwhile has an object of its own.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

use crate::media_users;

reeve_db::statements! {
    BEGIN = "INSERT INTO media_strays (object, since_ts, doomed) VALUES ($1, $2, 0)";
    RENEW = "UPDATE media_strays SET since_ts = $2 WHERE object = $1 AND doomed = 0";
    TAKE = "DELETE FROM media_strays WHERE object = $1 AND doomed = 0";
    SCHEDULE = "INSERT INTO media_strays (object, since_ts, doomed) VALUES ($1, $2, 1) \
            ON CONFLICT (object) DO UPDATE SET doomed = 1";
    SCHEDULE_ORPHAN = "UPDATE media_strays SET doomed = 1 WHERE object = $1";
    ABANDONED = "SELECT 1 FROM media_strays WHERE doomed = 0 AND since_ts < $1 LIMIT 1";
    SCHEDULE_ABANDONED = "UPDATE media_strays SET doomed = 1 WHERE object IN (SELECT object FROM media_strays \
                      WHERE doomed = 0 AND since_ts < $1 ORDER BY since_ts LIMIT $2)";
    PENDING_DELETE = "SELECT object, since_ts FROM media_strays WHERE doomed = 1 AND (since_ts, object) > ($1, $2) \
              ORDER BY since_ts, object LIMIT $3";
    FORGET = "DELETE FROM media_strays WHERE object = $1 AND doomed = 1";
    COUNT = "SELECT count(*) FROM media_strays";
    /// Updates a row that exists, so that no other transaction deletes it at the same time.
    PUT_BLOB = "INSERT INTO media_blobs (sha256, length, object) VALUES ($1, $2, $3) \
                ON CONFLICT (sha256) DO UPDATE SET length = excluded.length RETURNING num, object";
    IS_USED = "SELECT 1 FROM media WHERE blob_num = $1 UNION ALL SELECT 1 FROM media_bin WHERE blob_num = $1 LIMIT 1";
    DELETE_BLOB = "DELETE FROM media_blobs WHERE num = $1 RETURNING object, length";
    DELETE_THUMBNAILS = "DELETE FROM media_thumbnails WHERE blob_num = $1 RETURNING object";
    HAS_BLOB = "SELECT 1 FROM media_blobs WHERE num = $1";
    PUT_THUMBNAIL = "INSERT INTO media_thumbnails (blob_num, width, height, method, animated, media_type, length, object) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                     ON CONFLICT (blob_num, width, height, method, animated) DO NOTHING";
    THUMBNAIL = "SELECT media_type, length, object FROM media_thumbnails \
                 WHERE blob_num = $1 AND width = $2 AND height = $3 AND method = $4 AND animated = $5";
}

/// Adds an object whose bytes will be written.
pub fn begin(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&BEGIN, &params![object, now])?;
    Ok(())
}

/// Lets an object whose bytes are still being written count as begun now.
pub fn renew(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&RENEW, &params![object, now])?;
    Ok(())
}

/// Schedules the deletion of an object.
fn schedule_delete(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&SCHEDULE, &params![object, now])?;
    Ok(())
}

/// Schedules the deletion of an object, if it is orphaned.
pub fn schedule_delete_of_orphan(tx: &mut Tx<'_>, object: &str) -> Result<(), DbError> {
    tx.execute(&SCHEDULE_ORPHAN, &params![object])?;
    Ok(())
}

/// Returns true if there are incomplete objects that were begun before a time.
pub fn has_abandoned(tx: &ReadTx<'_>, before: Millis) -> Result<bool, DbError> {
    Ok(tx.query_opt(&ABANDONED, &params![before], |_| Ok(()))?.is_some())
}

/// Schedules the deletion of some incomplete objects that were begun before a time, and returns their number.
pub fn schedule_delete_of_abandoned(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<u64, DbError> {
    tx.execute(&SCHEDULE_ABANDONED, &params![before, limit])
}

/// An object that is to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingDelete {
    /// Its name.
    pub object: String,
    /// The time at which it was orphaned.
    pub since_ts: Millis,
}

/// Returns some of the objects that are to be deleted, after one of them.
pub fn pending_delete(
    tx: &ReadTx<'_>,
    after: &PendingDelete,
    limit: i64,
) -> Result<Vec<PendingDelete>, DbError> {
    tx.query(&PENDING_DELETE, &params![after.since_ts, after.object, limit], |row| {
        Ok(PendingDelete { object: row.get(0)?, since_ts: row.get(1)? })
    })
}

/// Deletes the row of an object whose bytes were deleted.
pub fn forget(tx: &mut Tx<'_>, object: &str) -> Result<(), DbError> {
    tx.execute(&FORGET, &params![object])?;
    Ok(())
}

/// Returns the number of orphaned objects.
pub fn count_orphaned(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![], |row| row.get(0))
}

/// Takes a complete object for another use than that of an upload; returns false if its deletion was scheduled meanwhile. The
/// new owner gives it back with [`release_object`].
pub fn take(tx: &mut Tx<'_>, object: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE, &params![object])? > 0)
}

/// Schedules the deletion of an object that [`take`] took.
pub fn release_object(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    schedule_delete(tx, object, now)
}

/// Makes a complete object a blob, and returns the number of the blob; `None` if the deletion of the object was
/// scheduled meanwhile. If there is a blob of the same bytes already, the deletion of the new object is scheduled.
pub fn put_blob(
    tx: &mut Tx<'_>,
    sha256: &str,
    length: i64,
    object: &str,
    now: Millis,
) -> Result<Option<i64>, DbError> {
    if tx.execute(&TAKE, &params![object])? == 0 {
        return Ok(None);
    }
    let stored: Vec<(i64, String)> =
        tx.returning(&PUT_BLOB, &params![sha256, length, object], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (num, kept) = stored.into_iter().next().ok_or(DbError::NoRow)?;
    if kept == object {
        media_users::add_bytes(tx, length)?;
    } else {
        schedule_delete(tx, object, now)?;
    }
    Ok(Some(num))
}

/// Deletes a blob and its thumbnails, if no upload refers to it any more, in the bin or not, and schedules the deletion of
/// their objects.
pub(crate) fn release(tx: &mut Tx<'_>, blob_num: i64, now: Millis) -> Result<(), DbError> {
    if tx.query_opt(&IS_USED, &params![blob_num], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let blob: Vec<(String, i64)> =
        tx.returning(&DELETE_BLOB, &params![blob_num], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (object, length) in blob {
        schedule_delete(tx, &object, now)?;
        media_users::add_bytes(tx, -length)?;
    }
    let thumbnails: Vec<String> = tx.returning(&DELETE_THUMBNAILS, &params![blob_num], |row| row.get(0))?;
    for object in thumbnails.into_iter().filter(|object| !object.is_empty()) {
        schedule_delete(tx, &object, now)?;
    }
    Ok(())
}

/// The identity of a thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThumbnailKey {
    /// The blob of the picture.
    pub blob_num: i64,
    /// Its greatest width, in pixels.
    pub width: u32,
    /// Its greatest height, in pixels.
    pub height: u32,
    /// `crop` or `scale`.
    pub method: &'static str,
    /// True if it is animated.
    pub animated: bool,
}

/// A thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Its content type.
    pub media_type: String,
    /// Its length, in bytes.
    pub length: i64,
    /// Its object in the media store; blank if the picture itself is small enough.
    pub object: String,
}

/// Returns a thumbnail that was made before.
pub fn thumbnail(tx: &ReadTx<'_>, key: ThumbnailKey) -> Result<Option<Thumbnail>, DbError> {
    let ThumbnailKey { blob_num, width, height, method, animated } = key;
    tx.query_opt(&THUMBNAIL, &params![blob_num, width, height, method, animated], |row| {
        Ok(Thumbnail { media_type: row.get(0)?, length: row.get(1)?, object: row.get(2)? })
    })
}

/// Makes a complete object a thumbnail, or stores that the picture itself is small enough. If the thumbnail exists
/// already, or the blob no longer does, the deletion of the object is scheduled.
pub fn put_thumbnail(
    tx: &mut Tx<'_>,
    key: ThumbnailKey,
    thumbnail: &Thumbnail,
    now: Millis,
) -> Result<(), DbError> {
    let ThumbnailKey { blob_num, width, height, method, animated } = key;
    let Thumbnail { media_type, length, object } = thumbnail;
    let own = !object.is_empty();
    if own && tx.execute(&TAKE, &params![object])? == 0 {
        return Ok(());
    }
    let wanted = tx.query_opt(&HAS_BLOB, &params![blob_num], |_| Ok(()))?.is_some();
    let params = params![blob_num, width, height, method, animated, media_type, length, object];
    let taken = wanted && tx.execute(&PUT_THUMBNAIL, &params)? > 0;
    if own && !taken {
        schedule_delete(tx, object, now)?;
    }
    Ok(())
}
