//! Counts under the sort orders of the list of accounts.
//!
//! Each order ([`List`]) is cut into buckets of at most [`SPLIT`] accounts; a bucket begins at a sort key and
//! counts its accounts by class. Sums over buckets give every total and find a page at any offset, whatever the
//! filter; only the inside of one bucket is ever walked. Changes adjust counts by one in the transaction
//! that changes the account, so the counts are exact in every snapshot.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::User;

use crate::user_list_rows::{self, Key};

/// A bucket that has grown to this many accounts is cut in two. Small in tests, so that they see many buckets.
const SPLIT: i64 = if cfg!(test) { 12 } else { 8192 };
/// How often (in accounts added to one counter) the size of a bucket is looked at.
const CHECK_EVERY: i64 = if cfg!(test) { 3 } else { 1024 };

/// Stands for all accounts together among the buckets, whose own numbers are positive.
const ALL: i64 = 0;

/// One sort order of accounts: those that have a value, by value and user id; or those that have none, by user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Name,
    Displayname,
    DisplaynameNull,
    AvatarUrl,
    AvatarUrlNull,
    CreatedTs,
    LastSeenTs,
    LastSeenTsNull,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Displayname => "displayname",
            Self::DisplaynameNull => "displayname null",
            Self::AvatarUrl => "avatar_url",
            Self::AvatarUrlNull => "avatar_url null",
            Self::CreatedTs => "creation_ts",
            Self::LastSeenTs => "last_seen_ts",
            Self::LastSeenTsNull => "last_seen_ts null",
        }
    }
}

reeve_db::statements! {
    BUCKET_OF = "SELECT bucket FROM user_list_buckets \
                 WHERE sort = $1 AND (low_key, low_user_id) <= ($2, $3) \
                 ORDER BY low_key DESC, low_user_id DESC LIMIT 1";
    ADD = "INSERT INTO user_list_counts (bucket, list_class, lane, n) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (bucket, list_class, lane) DO UPDATE SET n = user_list_counts.n + excluded.n RETURNING n";
    SIZE = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM user_list_counts WHERE bucket = $1";
    BUCKETS = "SELECT b.bucket, b.low_key, b.low_user_id, c.list_class, c.n \
               FROM user_list_buckets b LEFT JOIN user_list_counts c ON c.bucket = b.bucket \
               WHERE b.sort = $1 ORDER BY b.low_key, b.low_user_id";
    LOW = "SELECT low_key, low_user_id FROM user_list_buckets WHERE bucket = $1";
    COUNTS = "SELECT list_class, n FROM user_list_counts WHERE bucket = $1";
    NEW_BUCKET = "INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES ($1, $2, $3) RETURNING bucket";
    TOTALS = "SELECT list_class, CAST(sum(n) AS BIGINT) FROM user_list_counts WHERE bucket = $1 GROUP BY list_class";
    CLEAR = "DELETE FROM user_list_counts WHERE bucket = $1";
}

/// A stretch of a list and how many accounts of each class are in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) low_key: String,
    pub(crate) low_user_id: String,
    pub(crate) counts: Vec<(String, i64)>,
}

impl Bucket {
    pub(crate) fn count(&self, classes: &[String]) -> i64 {
        self.counts.iter().filter(|(class, _)| classes.contains(class)).map(|(_, n)| n).sum()
    }
}

fn tally(counts: &mut Vec<(String, i64)>, class: String, n: i64) {
    match counts.iter_mut().find(|(known, _)| *known == class) {
        Some((_, sum)) => *sum += n,
        None => counts.push((class, n)),
    }
}

/// How many accounts of each class there are.
pub(crate) fn totals(tx: &ReadTx<'_>) -> Result<Vec<(String, i64)>, DbError> {
    tx.query(&TOTALS, &params![ALL], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Adds to how many accounts of a class there are.
fn adjust_total(tx: &mut Tx<'_>, class: &str, by: i64) -> Result<(), DbError> {
    let lane = tx.lane();
    tx.returning(&ADD, &params![ALL, class, lane, by], |_| Ok(()))?;
    Ok(())
}

/// All buckets of a list, in order.
pub(crate) fn buckets(tx: &ReadTx<'_>, list: List) -> Result<Vec<Bucket>, DbError> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut last = None;
    tx.query(&BUCKETS, &params![list.name()], |row| {
        let bucket: i64 = row.get(0)?;
        if last != Some(bucket) {
            last = Some(bucket);
            buckets.push(Bucket { low_key: row.get(1)?, low_user_id: row.get(2)?, counts: Vec::new() });
        }
        if let (Some(bucket), Some(class)) = (buckets.last_mut(), row.get::<Option<String>>(3)?) {
            tally(&mut bucket.counts, class, row.get(4)?);
        }
        Ok(())
    })?;
    Ok(buckets)
}

/// Where an account stands: one entry for each list it is in.
fn places(user: &User) -> [(List, Key); 5] {
    fn or_null(value: Option<Key>, list: List, null: List) -> (List, Key) {
        value.map_or((null, Key::None), |key| (list, key))
    }
    [
        (List::Name, Key::None),
        or_null(user.displayname.clone().map(Key::Text), List::Displayname, List::DisplaynameNull),
        or_null(user.avatar_url.clone().map(Key::Text), List::AvatarUrl, List::AvatarUrlNull),
        (List::CreatedTs, Key::Int(user.created_ts)),
        or_null(user.last_seen_ts.map(Key::Int), List::LastSeenTs, List::LastSeenTsNull),
    ]
}

/// The value of the generated column `list_class`.
pub(crate) fn class(user: &User) -> String {
    let flags = [user.is_guest, user.admin, user.deactivated, user.locked, user.shadow_banned];
    let mut class: String = flags.iter().map(|flag| if *flag { '1' } else { '0' }).collect();
    class.push_str(user.user_type.as_deref().unwrap_or_default());
    class
}

/// Counts a new account.
pub(crate) fn add(tx: &mut Tx<'_>, user: &User) -> Result<(), DbError> {
    let class = class(user);
    adjust_total(tx, &class, 1)?;
    for (list, key) in places(user) {
        adjust(tx, list, &key, &user.user_id, &class, 1)?;
    }
    Ok(())
}

/// Moves an account, whose row is changed already, from where it was counted to where it belongs now.
pub(crate) fn change(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    let (old_class, new_class) = (class(before), class(after));
    if old_class != new_class {
        adjust_total(tx, &old_class, -1)?;
        adjust_total(tx, &new_class, 1)?;
    }
    for ((old_list, old_key), (new_list, new_key)) in places(before).into_iter().zip(places(after)) {
        if old_class != new_class || old_list != new_list || old_key != new_key {
            adjust(tx, old_list, &old_key, &before.user_id, &old_class, -1)?;
            adjust(tx, new_list, &new_key, &after.user_id, &new_class, 1)?;
        }
    }
    Ok(())
}

fn adjust(
    tx: &mut Tx<'_>,
    list: List,
    key: &Key,
    user_id: &str,
    class: &str,
    by: i64,
) -> Result<(), DbError> {
    let bucket = tx.query_one(&BUCKET_OF, &params![list.name(), &key.encode(), user_id], |row| row.get(0))?;
    let lane = tx.lane();
    let n: i64 = tx
        .returning(&ADD, &params![bucket, class, lane, by], |row| row.get(0))?
        .pop()
        .ok_or(DbError::NoRow)?;
    if by > 0 && n > 0 && n % CHECK_EVERY == 0 {
        let size: i64 = tx.query_one(&SIZE, &params![bucket], |row| row.get(0))?;
        if size > SPLIT {
            split(tx, list, bucket)?;
        }
    }
    Ok(())
}

/// Cuts a bucket at its median.
fn split(tx: &mut Tx<'_>, list: List, bucket: i64) -> Result<(), DbError> {
    let (low_key, low_user_id): (String, String) =
        tx.query_one(&LOW, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut counts = Vec::new();
    for (class, n) in tx.query(&COUNTS, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))? {
        tally(&mut counts, class, n);
    }
    let low = Key::decode(list, &low_key)?;
    let mut members = Vec::new();
    for (class, n) in &counts {
        for entry in user_list_rows::ascending(tx, list, class, &low, &low_user_id, *n, "")? {
            members.push((entry.key, entry.user_id, class));
        }
    }
    members.sort();
    let Some((middle_key, middle_user_id, _)) = members.get(members.len() / 2) else { return Ok(()) };
    let (middle_key, middle_user_id) = (middle_key.clone(), middle_user_id.clone());
    let Some(upper) = tx
        .returning(&NEW_BUCKET, &params![list.name(), &middle_key.encode(), &middle_user_id], |row| {
            row.get(0)
        })?
        .pop()
    else {
        return Ok(());
    };
    let mut halves: [Vec<(String, i64)>; 2] = [Vec::new(), Vec::new()];
    let [lower_counts, upper_counts] = &mut halves;
    for (key, user_id, class) in &members {
        let below = (key, user_id) < (&middle_key, &middle_user_id);
        tally(if below { &mut *lower_counts } else { &mut *upper_counts }, (*class).clone(), 1);
    }
    tx.execute(&CLEAR, &params![bucket])?;
    let lane = tx.lane();
    let upper: i64 = upper;
    for (bucket, counts) in [bucket, upper].into_iter().zip(halves) {
        for (class, n) in counts {
            tx.returning(&ADD, &params![bucket, &class, lane, n], |_| Ok(()))?;
        }
    }
    Ok(())
}
