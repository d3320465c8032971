//! Cutting the lists of accounts into buckets anew, as after an import.

use reeve_db::{DbError, ReadTx, Tx};

use crate::user_list_counts::{
    ALL, Bucket, List, Low, NAMES, SPLIT_COARSE, coarse, low, put, put_counts, tally,
};
use crate::user_list_rows::Key;

/// How many accounts there are in a bucket where all are cut anew: few, since it takes long until one is cut again, which
/// strikes everybody who creates an account at that moment.
const CUT: i64 = if cfg!(test) { 6 } else { 512 };

/// All accounts that have a value, in order.
macro_rules! all {
    ($column:literal) => {
        concat!(
            "SELECT list_class, user_id, ",
            $column,
            " FROM users WHERE ",
            $column,
            " IS NOT NULL ORDER BY ",
            $column,
            ", user_id"
        )
    };
}
/// All accounts that have none, in order.
macro_rules! all_null {
    ($column:literal) => {
        concat!("SELECT list_class, user_id, NULL FROM users WHERE ", $column, " IS NULL ORDER BY user_id")
    };
}

reeve_db::statements! {
    CLEAR_COUNTS = "DELETE FROM user_list_counts";
    CLEAR_BUCKETS = "DELETE FROM user_list_buckets";
    ALL_NAME = "SELECT list_class, user_id, NULL FROM users ORDER BY user_id";
    ALL_DISPLAYNAME = all!("displayname");
    ALL_DISPLAYNAME_NULL = all_null!("displayname");
    ALL_AVATAR_URL = all!("avatar_url");
    ALL_AVATAR_URL_NULL = all_null!("avatar_url");
    ALL_CREATED_TS = all!("created_ts");
    ALL_LAST_SEEN_TS = all!("last_seen_ts");
    ALL_LAST_SEEN_TS_NULL = all_null!("last_seen_ts");
}

/// Cuts all lists into buckets and counts them anew.
pub(crate) fn rebuild(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&CLEAR_COUNTS, &[])?;
    tx.execute(&CLEAR_BUCKETS, &[])?;
    for (list, name) in NAMES {
        let fine = cut(tx, list)?;
        let sort = format!("{name}{}", coarse!());
        for inside in fine.chunks(usize::try_from(SPLIT_COARSE / 2 / CUT).unwrap_or(1)) {
            let mut coarse = Bucket::new(low(inside, 0));
            for bucket in inside {
                put(tx, name, bucket)?;
                for (class, n) in &bucket.counts {
                    tally(&mut coarse.counts, class.clone(), *n);
                }
            }
            put(tx, &sort, &coarse)?;
        }
        if list == List::Name {
            let mut all = Bucket::new(Low::default());
            for (class, n) in fine.into_iter().flat_map(|bucket| bucket.counts) {
                tally(&mut all.counts, class, n);
            }
            put_counts(tx, ALL, &all)?;
        }
    }
    Ok(())
}

/// A list, walked from its beginning and cut into buckets that have room to grow. The first begins before every
/// account there can be.
fn cut(tx: &ReadTx<'_>, list: List) -> Result<Vec<Bucket>, DbError> {
    let statement = match list {
        List::Name => &ALL_NAME,
        List::Displayname => &ALL_DISPLAYNAME,
        List::DisplaynameNull => &ALL_DISPLAYNAME_NULL,
        List::AvatarUrl => &ALL_AVATAR_URL,
        List::AvatarUrlNull => &ALL_AVATAR_URL_NULL,
        List::CreatedTs => &ALL_CREATED_TS,
        List::LastSeenTs => &ALL_LAST_SEEN_TS,
        List::LastSeenTsNull => &ALL_LAST_SEEN_TS_NULL,
    };
    let mut buckets = vec![Bucket::new(Low::default())];
    let mut size = 0;
    tx.query(statement, &[], |row| {
        if size == CUT {
            let key = match list {
                List::Displayname | List::AvatarUrl => Key::Text(row.get(2)?),
                List::CreatedTs | List::LastSeenTs => Key::Int(row.get(2)?),
                List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => Key::None,
            };
            buckets.push(Bucket::new((key.encode(), row.get(1)?)));
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
