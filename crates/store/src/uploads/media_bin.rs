//! The bin of uploads: those that administrators deleted, until they are deleted for good or brought back.
//!
//! The row of an upload is in [`crate::media`] or here, so that no reader of uploads has to know of the bin. Its blob stays
//! as long as the row is in either.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, UserNum};

use crate::binned::Binned;
use crate::media::{self, Media};
use crate::media_objects as objects;
use crate::paging::SortKey;

/// The columns of `media` that are kept.
macro_rules! kept {
    () => {
        "num, media_id, user_num, blob_num, media_type, media_length, upload_name, created_ts, last_access_ts, \
         quarantined_by, safe_from_quarantine, url_cache, authenticated, disguised"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            crate::media::columns!(),
            ", m.deleted_ts, m.deleted_by_kind, m.deleted_by, m.purge_ts FROM media_bin m \
             JOIN users u ON u.num = m.user_num JOIN media_blobs b ON b.num = m.blob_num ",
            $rest
        )
    };
}

reeve_db::statements! {
    PUT = concat!("INSERT INTO media_bin (", kept!(), ", deleted_ts, deleted_by_kind, deleted_by, purge_ts) SELECT ", kept!(),
                  ", CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) FROM media WHERE num = $1");
    FIND = select!("WHERE m.media_id = $1");
    LIST = select!("WHERE (m.deleted_ts, m.num) < ($1, $2) ORDER BY m.deleted_ts DESC, m.num DESC LIMIT $3");
    LIST_OF_USER = select!("WHERE m.user_num = $4 AND (m.deleted_ts, m.num) < ($1, $2) \
                            ORDER BY m.deleted_ts DESC, m.num DESC LIMIT $3");
    HAS_DUE = "SELECT 1 FROM media_bin WHERE purge_ts <= $1 LIMIT 1";
    DUE = select!("WHERE m.purge_ts <= $1 ORDER BY m.purge_ts, m.num LIMIT $2");
    DELETED_UNTIL = select!("WHERE m.deleted_ts <= $1 ORDER BY m.deleted_ts, m.num LIMIT $2");
    OF_USER = select!("WHERE m.user_num = $1 ORDER BY m.deleted_ts, m.num LIMIT $2");
    DELETE = "DELETE FROM media_bin WHERE num = $1";
}

/// An upload in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinnedMedia {
    /// The upload, as it was when it was deleted.
    pub media: Media,
    /// Its deletion.
    pub binned: Binned,
}

impl BinnedMedia {
    /// Returns its key in the list, by the time of its deletion.
    pub fn sort_key(&self) -> SortKey<i64> {
        SortKey { ts: self.binned.deleted_ts, id: self.media.num }
    }
}

fn from_row(row: &Row<'_>) -> Result<BinnedMedia, DbError> {
    Ok(BinnedMedia { media: media::from_row(row)?, binned: Binned::from_row(row, 17)? })
}

/// Moves an upload into the bin; returns false if it is not there.
pub fn put(tx: &mut Tx<'_>, media: &Media, binned: &Binned) -> Result<bool, DbError> {
    let Binned { deleted_ts, deleted_by_kind, deleted_by, purge_ts } = binned;
    let put =
        tx.execute(&PUT, &params![media.num, *deleted_ts, *deleted_by_kind, deleted_by, *purge_ts])? > 0;
    if put {
        media::take_out(tx, media)?;
    }
    Ok(put)
}

/// Returns one upload in the bin.
pub fn find(tx: &ReadTx<'_>, media_id: &str) -> Result<Option<BinnedMedia>, DbError> {
    tx.query_opt(&FIND, &params![media_id], from_row)
}

/// Returns uploads in the bin before a key, the last deleted first; only those of an account, if one is given.
pub fn list(
    tx: &ReadTx<'_>,
    user_num: Option<UserNum>,
    before: &SortKey<i64>,
    limit: i64,
) -> Result<Vec<BinnedMedia>, DbError> {
    let SortKey { ts, id } = *before;
    match user_num {
        None => tx.query(&LIST, &params![ts, id, limit], from_row),
        Some(user_num) => tx.query(&LIST_OF_USER, &params![ts, id, limit, user_num], from_row),
    }
}

/// Returns true if the time of an upload is over.
pub fn has_due(tx: &ReadTx<'_>, now: Millis) -> Result<bool, DbError> {
    Ok(tx.query_opt(&HAS_DUE, &params![now], |_| Ok(()))?.is_some())
}

/// Returns some of the uploads whose time is over.
pub fn due(tx: &ReadTx<'_>, now: Millis, limit: i64) -> Result<Vec<BinnedMedia>, DbError> {
    tx.query(&DUE, &params![now, limit], from_row)
}

/// Returns some of the uploads that were deleted up to a time.
pub fn deleted_until(tx: &ReadTx<'_>, until: Millis, limit: i64) -> Result<Vec<BinnedMedia>, DbError> {
    tx.query(&DELETED_UNTIL, &params![until, limit], from_row)
}

/// Returns some of the uploads of an account.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum, limit: i64) -> Result<Vec<BinnedMedia>, DbError> {
    tx.query(&OF_USER, &params![user_num, limit], from_row)
}

/// Moves an upload, as it was read in this transaction, back to the others.
pub fn put_back(tx: &mut Tx<'_>, media: &Media) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![media.num])?;
    media::put_in(tx, media)
}

/// Deletes an upload for good, as it was read in this transaction. With the last upload of a blob, the blob and its
/// thumbnails are deleted, too.
pub fn delete(tx: &mut Tx<'_>, media: &Media, now: Millis) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![media.num])?;
    objects::release(tx, media.blob_num, now)
}
