//! The list of an account's uploads, in every order, at any offset.
//!
//! There is one index for each order, ascending. Two queries find every page in it: the uploads from a place on, and
//! the number of uploads before a value. The buckets of [`counts`] answer both by walking a part of the index that is
//! short at any size; a short list without buckets is one bucket. Descending, equal values stay ascending by media id:
//! the page is read backwards, then the first and last of its values are read forwards.

pub(crate) mod counts;
pub(crate) mod order;

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Row, Statement, params};
use reeve_model::{Millis, UserNum};

use self::counts::{Bucket, FEW, buckets};
pub use self::order::OrderBy;
use self::order::{Entry, Key, Position, ascending, between, descending};
use crate::media::{Media, columns, from_row, select};
use crate::paging::{Paging, count_of};
use crate::sql::num_list;

macro_rules! shown {
    () => {
        "SELECT m.num, m.media_id, m.media_type, m.media_length, m.upload_name, m.created_ts, m.last_access_ts, \
         m.quarantined_by, m.safe_from_quarantine, m.url_cache, m.authenticated, b.sha256 FROM "
    };
}
reeve_db::statements! {
    /// `$1`: the numbers, in the form of [`num_list`].
    BY_NUMS = {
        sqlite: concat!("SELECT ", columns!(), " FROM json_each($1) AS wanted CROSS JOIN media m ON m.num = wanted.value \
                         JOIN users u ON u.num = m.user_num JOIN media_blobs b ON b.num = m.blob_num"),
        postgres: concat!(select!(), "WHERE m.num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// `$1`: as above.
    SHOWN = {
        sqlite: concat!(shown!(), "json_each($1) AS wanted CROSS JOIN media m ON m.num = wanted.value \
                         JOIN media_blobs b ON b.num = m.blob_num"),
        postgres: concat!(shown!(), "media m JOIN media_blobs b ON b.num = m.blob_num \
                          WHERE m.num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
}

/// An upload as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The last part of its `mxc://` URI.
    pub media_id: String,
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
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// Returns the page that [`page`] returns, with the shown columns only.
pub fn shown(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
    total: i64,
) -> Result<Vec<Shown>, DbError> {
    let nums = nums(tx, user_num, order_by, descending, paging, total)?;
    in_order(tx, &SHOWN, &nums, |row| {
        let shown = Shown {
            media_id: row.get(1)?,
            media_type: row.get(2)?,
            media_length: row.get(3)?,
            upload_name: row.get(4)?,
            created_ts: row.get(5)?,
            last_access_ts: row.get(6)?,
            quarantined_by: row.get(7)?,
            safe_from_quarantine: row.get(8)?,
            url_cache: row.get(9)?,
            authenticated: row.get(10)?,
            sha256: row.get(11)?,
        };
        Ok((row.get(0)?, shown))
    })
}

/// Returns a page of an account's uploads from an offset on. `total` is the number of its uploads.
pub fn page(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
    total: i64,
) -> Result<Vec<Media>, DbError> {
    let nums = nums(tx, user_num, order_by, descending, paging, total)?;
    in_order(tx, &BY_NUMS, &nums, |row| from_row(row).map(|media| (media.num, media)))
}

/// Returns the numbers of the uploads of a page.
fn nums(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    descending: bool,
    Paging { from, limit }: Paging,
    total: i64,
) -> Result<Vec<i64>, DbError> {
    let limit = limit.min(total.saturating_sub(from)).max(0);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let list = List::open(tx, user_num, order_by, total, from > 0)?;
    let entries = if descending { list.backwards(from, limit)? } else { list.at(from, limit)? };
    Ok(entries.iter().map(|entry| entry.num).collect())
}

/// An account's uploads in one order.
struct List<'t, 'c> {
    tx: &'t ReadTx<'c>,
    user_num: UserNum,
    order_by: OrderBy,
    total: i64,
    /// The buckets, at least one.
    buckets: Vec<Bucket>,
}

impl<'t, 'c> List<'t, 'c> {
    /// Opens a list. A page that is not `far` in needs no buckets.
    fn open(
        tx: &'t ReadTx<'c>,
        user_num: UserNum,
        order_by: OrderBy,
        total: i64,
        far: bool,
    ) -> Result<Self, DbError> {
        let mut buckets = if far && total >= FEW { buckets(tx, user_num, order_by)? } else { Vec::new() };
        if buckets.is_empty() {
            buckets.push(Bucket::whole(order_by, total));
        }
        Ok(Self { tx, user_num, order_by, total, buckets })
    }

    /// Returns uploads ascending from an offset.
    fn at(&self, place: i64, count: i64) -> Result<Vec<Entry>, DbError> {
        let mut skip = place;
        let Some(bucket) = self.buckets.iter().find(|bucket| {
            let is_here = skip < bucket.n;
            skip -= if is_here { 0 } else { bucket.n };
            is_here
        }) else {
            return Ok(Vec::new());
        };
        let after = self.total - place - count;
        if after < skip {
            // The end is nearer.
            let mut entries = descending(self.tx, self.user_num, self.order_by, after, count)?;
            entries.reverse();
            return Ok(entries);
        }
        ascending(self.tx, self.user_num, self.order_by, &bucket.start, skip, count)
    }

    /// Returns the number of uploads before the first with a value, or `through` the last with it.
    fn rank(&self, key: &Key, through: bool) -> Result<i64, DbError> {
        let begins_before =
            |bucket: &&Bucket| bucket.start.key < *key || (through && bucket.start.key == *key);
        let (mut before, mut last) = (0, None);
        for bucket in self.buckets.iter().take_while(begins_before) {
            before += last.map_or(0, |last: &Bucket| last.n);
            last = Some(bucket);
        }
        let Some(Bucket { start, .. }) = last else { return Ok(0) };
        Ok(before + between(self.tx, self.user_num, self.order_by, start, key, through)?)
    }

    /// Returns uploads from an offset on, descending by value and ascending by media id: each stretch of equal values
    /// is reversed. The first stretch may begin before the page, and the last may end after it; which of their uploads
    /// are on the page is found by another query.
    fn backwards(&self, from: i64, count: i64) -> Result<Vec<Entry>, DbError> {
        let mut entries = self.at(self.total - from - count, count)?;
        entries.reverse();
        if self.order_by == OrderBy::MediaId {
            return Ok(entries);
        }
        let mut stretches: Vec<Vec<Entry>> = Vec::new();
        for entry in entries {
            match stretches.last_mut() {
                Some(stretch)
                    if stretch.last().is_some_and(|last| last.position.key == entry.position.key) =>
                {
                    stretch.push(entry);
                }
                Some(_) | None => stretches.push(vec![entry]),
            }
        }
        let last = stretches.len().saturating_sub(1);
        let mut turned = Vec::new();
        for (index, mut stretch) in stretches.into_iter().enumerate() {
            let Some(Entry { position: Position { key, .. }, .. }) = stretch.first() else { continue };
            let length = count_of(&stretch);
            let before = if index == 0 && from > 0 { from + self.rank(key, true)? - self.total } else { 0 };
            if before > 0 {
                stretch = self.at(self.rank(key, false)? + before, length)?;
            } else if index == 0 || index == last {
                let begin = Position { key: key.clone(), media_id: String::new() };
                stretch = ascending(self.tx, self.user_num, self.order_by, &begin, 0, length)?;
            } else {
                stretch.reverse();
            }
            turned.extend(stretch);
        }
        Ok(turned)
    }
}

/// Returns the rows of a statement for the uploads with these numbers, in this order.
fn in_order<T>(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    nums: &[i64],
    map: impl FnMut(&Row<'_>) -> Result<(i64, T), DbError>,
) -> Result<Vec<T>, DbError> {
    let mut found = tx.query(statement, &params![&num_list(tx.engine(), nums)], map)?;
    let place: HashMap<i64, usize> = nums.iter().enumerate().map(|(place, num)| (*num, place)).collect();
    found.sort_by_key(|(num, _)| place.get(num).copied());
    Ok(found.into_iter().map(|(_, upload)| upload).collect())
}
