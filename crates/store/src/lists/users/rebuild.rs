//! Rebuilding of the buckets of the list of accounts, as after an import.

use reeve_db::{DbError, ReadTx, Tx};

use super::class::{ClassCount, tally};
use super::counts::{ALL, Bucket, BucketStart, SPLIT_COARSE, coarse_cut, put, put_counts, start};
use super::order::{Key, List, Position, whole};

/// The number of accounts in a bucket after a rebuild. It is low, since a bucket that is split soon delays the account
/// whose creation splits it.
const CUT: i64 = if cfg!(test) { 6 } else { 512 };

reeve_db::statements! {
    CLEAR_COUNTS = "DELETE FROM user_list_counts";
    CLEAR_BUCKETS = "DELETE FROM user_list_buckets";
}

/// Divides all lists into buckets and counts them again.
pub(crate) fn rebuild(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&CLEAR_COUNTS, &[])?;
    tx.execute(&CLEAR_BUCKETS, &[])?;
    for list in List::all() {
        let fine = cut(tx, list)?;
        for inside in fine.chunks(usize::try_from(SPLIT_COARSE / 2 / CUT).unwrap_or(1)) {
            let mut coarse = Bucket::new(start(inside, 0));
            for bucket in inside {
                put(tx, list.name(), bucket)?;
                for ClassCount { class, n } in &bucket.counts {
                    tally(&mut coarse.counts, class.clone(), *n);
                }
            }
            put(tx, &coarse_cut(list), &coarse)?;
        }
        if list == List::Name {
            let mut all = Bucket::new(BucketStart::default());
            for ClassCount { class, n } in fine.into_iter().flat_map(|bucket| bucket.counts) {
                tally(&mut all.counts, class, n);
            }
            put_counts(tx, ALL, &all)?;
        }
    }
    Ok(())
}

/// Walks a list from its beginning and divides it into buckets that have room to grow. The first begins before every
/// possible account.
fn cut(tx: &ReadTx<'_>, list: List) -> Result<Vec<Bucket>, DbError> {
    let statement = match list {
        List::Name => &whole::name::ALL,
        List::With(column) => column.definition().all,
        List::Without(column) => column.definition().all_null,
    };
    let mut buckets = vec![Bucket::new(BucketStart::default())];
    let mut size = 0;
    tx.query(statement, &[], |row| {
        if size == CUT {
            let position = Position { user_id: row.get(1)?, key: row.get::<Key>(2)? };
            buckets.push(Bucket::new(BucketStart::of(&position)));
            size = 0;
        }
        size += 1;
        if let Some(bucket) = buckets.last_mut() {
            tally(&mut bucket.counts, row.get(0)?, 1);
        }
        Ok(())
    })?;
    Ok(buckets)
}
