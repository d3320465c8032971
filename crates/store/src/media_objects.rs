//! Where the bytes of uploads and thumbnails are in the store.
//!
//! Each object has a name that is used once. It is a stray before its bytes are complete and after they are not needed
//! any more; in between it belongs to a blob or a thumbnail. What is doomed is never taken up again, so that its bytes
//! can be deleted without looking back: whoever uploads the same bytes meanwhile has an object of their own.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Millis;

use crate::media_users;

reeve_db::statements! {
    BEGIN = "INSERT INTO media_strays (object, since_ts, doomed) VALUES ($1, $2, 0)";
    TAKE = "DELETE FROM media_strays WHERE object = $1 AND doomed = 0";
    DOOM = "INSERT INTO media_strays (object, since_ts, doomed) VALUES ($1, $2, 1) \
            ON CONFLICT (object) DO UPDATE SET doomed = 1";
    DOOM_STRAY = "UPDATE media_strays SET doomed = 1 WHERE object = $1";
    ABANDONED = "SELECT 1 FROM media_strays WHERE doomed = 0 AND since_ts < $1 LIMIT 1";
    DOOM_ABANDONED = "UPDATE media_strays SET doomed = 1 WHERE object IN (SELECT object FROM media_strays \
                      WHERE doomed = 0 AND since_ts < $1 ORDER BY since_ts LIMIT $2)";
    DOOMED = "SELECT object, since_ts FROM media_strays WHERE doomed = 1 AND (since_ts, object) > ($1, $2) \
              ORDER BY since_ts, object LIMIT $3";
    FORGET = "DELETE FROM media_strays WHERE object = $1 AND doomed = 1";
    COUNT = "SELECT count(*) FROM media_strays";
    /// Touches the row that is there already, so that nobody deletes it at the same time.
    PUT_BLOB = "INSERT INTO media_blobs (sha256, length, object) VALUES ($1, $2, $3) \
                ON CONFLICT (sha256) DO UPDATE SET length = excluded.length RETURNING num, object";
    IS_USED = "SELECT 1 FROM media WHERE blob_num = $1 LIMIT 1";
    DELETE_BLOB = "DELETE FROM media_blobs WHERE num = $1 RETURNING object, length";
    DELETE_THUMBNAILS = "DELETE FROM media_thumbnails WHERE blob_num = $1 RETURNING object";
    HAS_BLOB = "SELECT 1 FROM media_blobs WHERE num = $1";
    PUT_THUMBNAIL = "INSERT INTO media_thumbnails (blob_num, width, height, method, animated, media_type, length, object) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                     ON CONFLICT (blob_num, width, height, method, animated) DO NOTHING";
    THUMBNAIL = "SELECT media_type, length, object FROM media_thumbnails \
                 WHERE blob_num = $1 AND width = $2 AND height = $3 AND method = $4 AND animated = $5";
}

/// Says that bytes will be written to an object.
pub fn begin(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&BEGIN, &params![object, now])?;
    Ok(())
}

/// Says that an object will be deleted.
fn doom(tx: &mut Tx<'_>, object: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&DOOM, &params![object, now])?;
    Ok(())
}

/// Says that an object will be deleted, if it belongs to nothing.
pub fn doom_stray(tx: &mut Tx<'_>, object: &str) -> Result<(), DbError> {
    tx.execute(&DOOM_STRAY, &params![object])?;
    Ok(())
}

/// Whether there are objects whose bytes began to be written before a time and are not complete.
pub fn has_abandoned(tx: &ReadTx<'_>, before: Millis) -> Result<bool, DbError> {
    Ok(tx.query_opt(&ABANDONED, &params![before], |_| Ok(()))?.is_some())
}

/// Dooms some of the objects whose bytes began to be written before a time and are not complete; answers how many.
pub fn doom_abandoned(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<u64, DbError> {
    tx.execute(&DOOM_ABANDONED, &params![before, limit])
}

/// An object that is to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doomed {
    /// Its name.
    pub object: String,
    /// Since when it belongs to nothing, in milliseconds.
    pub since_ts: Millis,
}

/// Some of the objects that are to be deleted, after one of them.
pub fn doomed(tx: &ReadTx<'_>, after: &Doomed, limit: i64) -> Result<Vec<Doomed>, DbError> {
    tx.query(&DOOMED, &params![after.since_ts, after.object, limit], |row| {
        Ok(Doomed { object: row.get(0)?, since_ts: row.get(1)? })
    })
}

/// Forgets an object that was deleted.
pub fn forget(tx: &mut Tx<'_>, object: &str) -> Result<(), DbError> {
    tx.execute(&FORGET, &params![object])?;
    Ok(())
}

/// How many objects belong to nothing.
pub fn strays(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![], |row| row.get(0))
}

/// Takes an object whose bytes are complete for those of an upload; answers the number of the bytes, or `None` if the
/// object was doomed meanwhile. If the same bytes are there already, the object is doomed.
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
        doom(tx, object, now)?;
    }
    Ok(Some(num))
}

/// Dooms bytes, and what was made of them, if no upload has them any more.
pub(crate) fn release(tx: &mut Tx<'_>, blob_num: i64, now: Millis) -> Result<(), DbError> {
    if tx.query_opt(&IS_USED, &params![blob_num], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let blob: Vec<(String, i64)> =
        tx.returning(&DELETE_BLOB, &params![blob_num], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (object, length) in blob {
        doom(tx, &object, now)?;
        media_users::add_bytes(tx, -length)?;
    }
    let thumbnails: Vec<String> = tx.returning(&DELETE_THUMBNAILS, &params![blob_num], |row| row.get(0))?;
    for object in thumbnails.into_iter().filter(|object| !object.is_empty()) {
        doom(tx, &object, now)?;
    }
    Ok(())
}

/// Which thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThumbnailKey {
    /// The bytes it is made of.
    pub blob_num: i64,
    /// Its greatest width, in pixels.
    pub width: u32,
    /// Its greatest height, in pixels.
    pub height: u32,
    /// `crop` or `scale`.
    pub method: &'static str,
    /// Whether it moves.
    pub animated: bool,
}

/// A picture made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Its content type.
    pub media_type: String,
    /// How long it is, in bytes.
    pub length: i64,
    /// Where its bytes are in the store; blank if the picture itself is small enough.
    pub object: String,
}

/// A thumbnail that was made before.
pub fn thumbnail(tx: &ReadTx<'_>, key: ThumbnailKey) -> Result<Option<Thumbnail>, DbError> {
    let ThumbnailKey { blob_num, width, height, method, animated } = key;
    tx.query_opt(&THUMBNAIL, &params![blob_num, width, height, method, animated], |row| {
        Ok(Thumbnail { media_type: row.get(0)?, length: row.get(1)?, object: row.get(2)? })
    })
}

/// Takes an object whose bytes are complete for a thumbnail, or notes that the picture itself is small enough. If the
/// thumbnail is there already, or what it is made of is not any more, the object is doomed.
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
        doom(tx, object, now)?;
    }
    Ok(())
}
