//! Counts of the uploads of an account, in each order of their list.
//!
//! For an account with more than [`SPLIT`] uploads, each order is divided into buckets of at most so many; a bucket
//! begins at a value and media id and counts the uploads from there to the next. Sums over buckets find a page at any
//! offset; only the inside of one bucket is ever walked. Every transaction that adds, changes or deletes an upload
//! adjusts its buckets, found from its row, so that the counts are exact in every snapshot. An account gets its buckets
//! with the upload that makes it large, and loses them when it has less than half of that.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::UserNum;

use super::order::{OrderBy, Position, ascending};

/// The size above which a bucket is split. Small in tests, so that they use many buckets.
pub(crate) const SPLIT: i64 = if cfg!(test) { 12 } else { 8192 };
/// The number of uploads below which an account has no buckets.
pub(crate) const FEW: i64 = SPLIT / 2;

reeve_db::statements! {
    BUCKETS = "SELECT low_int, low_text, low_media_id, n FROM media_list_buckets WHERE user_num = $1 AND sort = $2 \
               ORDER BY low_int, low_text, low_media_id";
    INSERT = "INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n) \
              VALUES ($1, $2, $3, $4, $5, $6)";
    SET = "UPDATE media_list_buckets SET n = $2 WHERE bucket = $1";
    DELETE = "DELETE FROM media_list_buckets WHERE bucket = $1";
    CLEAR = "DELETE FROM media_list_buckets WHERE user_num = $1";
}

/// A stretch of a list with the number of its uploads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its start; the media id is blank at the beginning of the list.
    pub(crate) start: Position,
    pub(crate) n: i64,
}

impl Bucket {
    /// Returns the stretch of a whole list.
    pub(crate) fn whole(order_by: OrderBy, n: i64) -> Self {
        let start = Position { key: order_by.key(i64::MIN, String::new()), media_id: String::new() };
        Self { start, n }
    }

    fn from_row(row: &Row<'_>, order_by: OrderBy) -> Result<Self, DbError> {
        let start = Position { key: order_by.key(row.get(0)?, row.get(1)?), media_id: row.get(2)? };
        Ok(Self { start, n: row.get(3)? })
    }
}

/// Returns the buckets of a list, in order; none if the account is not large.
pub(crate) fn buckets(tx: &ReadTx<'_>, user_num: UserNum, order_by: OrderBy) -> Result<Vec<Bucket>, DbError> {
    tx.query(&BUCKETS, &params![user_num, order_by.name()], |row| Bucket::from_row(row, order_by))
}

/// Counts an upload that was stored. `count` is the number of the account's uploads with it.
pub(crate) fn add(tx: &mut Tx<'_>, user_num: UserNum, media_id: &str, count: i64) -> Result<(), DbError> {
    if count <= FEW {
        return Ok(());
    }
    if !adjust_all(tx, media_id, 1)? && count > SPLIT {
        for (_, order_by) in OrderBy::ALL {
            let whole = Bucket::whole(*order_by, count);
            let [lower, upper] = halves(tx, user_num, *order_by, &whole)?;
            insert(tx, user_num, *order_by, &lower)?;
            insert(tx, user_num, *order_by, &upper)?;
        }
    }
    Ok(())
}

/// Subtracts an upload, whose row still exists. `left` is the number of the account's uploads without it.
pub(crate) fn remove(tx: &mut Tx<'_>, user_num: UserNum, media_id: &str, left: i64) -> Result<(), DbError> {
    if left >= FEW {
        adjust_all(tx, media_id, -1)?;
    } else if left == FEW - 1 {
        tx.execute(&CLEAR, &params![user_num])?;
    }
    Ok(())
}

/// Changes the value of an upload in an order, and moves the upload to another bucket.
pub(crate) fn moving<T>(
    tx: &mut Tx<'_>,
    media_id: &str,
    order_by: OrderBy,
    change: impl FnOnce(&mut Tx<'_>) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let counted = adjust(tx, media_id, order_by, -1)?;
    let changed = change(tx)?;
    if counted {
        adjust(tx, media_id, order_by, 1)?;
    }
    Ok(changed)
}

/// Adds to the buckets of an upload; returns true if there are any.
fn adjust_all(tx: &mut Tx<'_>, media_id: &str, by: i64) -> Result<bool, DbError> {
    for (_, order_by) in OrderBy::ALL {
        if !adjust(tx, media_id, *order_by, by)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds to the bucket of an upload; returns true if there is one.
fn adjust(tx: &mut Tx<'_>, media_id: &str, order_by: OrderBy, by: i64) -> Result<bool, DbError> {
    let found: Vec<(Bucket, i64, UserNum)> =
        tx.returning(order_by.statements().count, &params![media_id, by], |row| {
            Ok((Bucket::from_row(row, order_by)?, row.get(4)?, row.get(5)?))
        })?;
    let Some((bucket, num, user_num)) = found.into_iter().next() else { return Ok(false) };
    if bucket.n > SPLIT {
        let [lower, upper] = halves(tx, user_num, order_by, &bucket)?;
        tx.execute(&SET, &params![num, lower.n])?;
        insert(tx, user_num, order_by, &upper)?;
    } else if bucket.n == 0 && !bucket.start.media_id.is_empty() {
        // Later uploads here belong to the bucket before. The first bucket must stay.
        tx.execute(&DELETE, &params![num])?;
    }
    Ok(true)
}

/// Splits a bucket at its median.
fn halves(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    Bucket { start, n }: &Bucket,
) -> Result<[Bucket; 2], DbError> {
    let half = n / 2;
    let median = ascending(tx, user_num, order_by, start, half, 1)?.pop().ok_or(DbError::NoRow)?;
    Ok([Bucket { start: start.clone(), n: half }, Bucket { start: median.position, n: n - half }])
}

fn insert(tx: &mut Tx<'_>, user_num: UserNum, order_by: OrderBy, bucket: &Bucket) -> Result<(), DbError> {
    let Position { key, media_id } = &bucket.start;
    let (int, text) = key.columns();
    tx.execute(&INSERT, &params![user_num, order_by.name(), int, text, media_id, bucket.n])?;
    Ok(())
}
