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

const NAMES: [(List, &str); 8] = [
    (List::Name, "name"),
    (List::Displayname, "displayname"),
    (List::DisplaynameNull, "displayname null"),
    (List::AvatarUrl, "avatar_url"),
    (List::AvatarUrlNull, "avatar_url null"),
    (List::CreatedTs, "creation_ts"),
    (List::LastSeenTs, "last_seen_ts"),
    (List::LastSeenTsNull, "last_seen_ts null"),
];

impl List {
    fn name(self) -> &'static str {
        NAMES.iter().find(|(list, _)| *list == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Result<Self, DbError> {
        let found = NAMES.iter().find(|(_, known)| *known == name).map(|(list, _)| *list);
        found.ok_or_else(|| DbError::Internal(format!("there is no list {name}")))
    }
}

/// The bucket of a place: its list in the first parameter (blank for no place), its key in the second, its user id
/// in `$5`.
macro_rules! bucket_of {
    ($sort:literal, $key:literal) => {
        concat!(
            "SELECT (SELECT bucket FROM user_list_buckets WHERE sort = ",
            $sort,
            " AND (low_key, low_user_id) <= (",
            $key,
            ", $5) ORDER BY low_key DESC, low_user_id DESC LIMIT 1)"
        )
    };
}

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
    /// One sentence, since each creation runs it: adds `$3` to what class `$1` has in lane `$2`, in the buckets of up
    /// to five places, and altogether if `$4` is 1.
    COUNT = concat!(
        "INSERT INTO user_list_counts (bucket, list_class, lane, n) ",
        "SELECT bucket, CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM (",
        "SELECT 0 AS bucket WHERE CAST($4 AS BIGINT) = 1 UNION ALL ",
        bucket_of!("$6", "$7"), " UNION ALL ", bucket_of!("$8", "$9"), " UNION ALL ",
        bucket_of!("$10", "$11"), " UNION ALL ", bucket_of!("$12", "$13"), " UNION ALL ",
        bucket_of!("$14", "$15"),
        ") AS places WHERE bucket IS NOT NULL ",
        "ON CONFLICT (bucket, list_class, lane) DO UPDATE SET n = user_list_counts.n + excluded.n ",
        "RETURNING bucket, n");
    ADD = "INSERT INTO user_list_counts (bucket, list_class, lane, n) VALUES ($1, $2, $3, $4)";
    SIZE = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM user_list_counts WHERE bucket = $1";
    BUCKETS = "SELECT b.bucket, b.low_key, b.low_user_id, c.list_class, c.n \
               FROM user_list_buckets b LEFT JOIN user_list_counts c ON c.bucket = b.bucket \
               WHERE b.sort = $1 ORDER BY b.low_key, b.low_user_id";
    LOW = "SELECT sort, low_key, low_user_id FROM user_list_buckets WHERE bucket = $1";
    COUNTS = "SELECT list_class, n FROM user_list_counts WHERE bucket = $1";
    NEW_BUCKET = "INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES ($1, $2, $3) RETURNING bucket";
    TOTALS = "SELECT list_class, CAST(sum(n) AS BIGINT) FROM user_list_counts WHERE bucket = $1 GROUP BY list_class";
    CLEAR = "DELETE FROM user_list_counts WHERE bucket = $1";
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

/// Where an account stands in a list.
type Place = (List, Key);

/// Where an account stands: one entry for each list it is in.
fn places(user: &User) -> [Place; 5] {
    fn or_null(value: Option<Key>, list: List, null: List) -> Place {
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
    count(tx, user, &places(user).map(Some), true, 1)
}

/// Moves an account, whose row is changed already, from where it was counted to where it belongs now.
pub(crate) fn change(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    let anew = class(before) != class(after);
    let (old, new) = (places(before), places(after));
    if !anew && old == new {
        return Ok(());
    }
    let (mut from, mut to) = (old.clone().map(Some), new.clone().map(Some));
    for ((from, to), (old, new)) in from.iter_mut().zip(&mut to).zip(old.iter().zip(&new)) {
        if !anew && old == new {
            (*from, *to) = (None, None);
        }
    }
    count(tx, before, &from, anew, -1)?;
    count(tx, after, &to, anew, 1)
}

/// Adds to the number of accounts like this one at some places, and `altogether`.
fn count(
    tx: &mut Tx<'_>,
    user: &User,
    places: &[Option<Place>; 5],
    altogether: bool,
    by: i64,
) -> Result<(), DbError> {
    let class = class(user);
    let lane = tx.lane();
    let [(sort1, key1), (sort2, key2), (sort3, key3), (sort4, key4), (sort5, key5)] = places
        .each_ref()
        .map(|place| place.as_ref().map_or(("", String::new()), |(l, k)| (l.name(), k.encode())));
    let counted: Vec<(i64, i64)> = tx.returning(
        &COUNT,
        &params![
            &class,
            lane,
            by,
            altogether,
            &user.user_id,
            sort1,
            &key1,
            sort2,
            &key2,
            sort3,
            &key3,
            sort4,
            &key4,
            sort5,
            &key5
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (bucket, n) in counted {
        if bucket != ALL && by > 0 && n > 0 && n % CHECK_EVERY == 0 {
            let size: i64 = tx.query_one(&SIZE, &params![bucket], |row| row.get(0))?;
            if size > SPLIT {
                split(tx, bucket)?;
            }
        }
    }
    Ok(())
}

/// Cuts a bucket at its median.
fn split(tx: &mut Tx<'_>, bucket: i64) -> Result<(), DbError> {
    let (sort, low_key, low_user_id): (String, String, String) =
        tx.query_one(&LOW, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list = List::parse(&sort)?;
    let mut counts = Vec::new();
    for (class, n) in tx.query(&COUNTS, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))? {
        tally(&mut counts, class, n);
    }
    let low = Key::decode(list, &low_key)?;
    let mut members = Vec::new();
    for (class, n) in &counts {
        let found = user_list_rows::ascending(tx, list, &[class], &low, &low_user_id, *n, "")?;
        for entry in found.into_iter().flatten() {
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
            tx.execute(&ADD, &params![bucket, &class, lane, n])?;
        }
    }
    Ok(())
}

/// Cuts all lists into buckets and counts them anew.
pub(crate) fn rebuild(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&CLEAR_COUNTS, &[])?;
    tx.execute(&CLEAR_BUCKETS, &[])?;
    for (list, name) in NAMES {
        let buckets = cut(tx, list)?;
        for Bucket { low_key, low_user_id, counts } in &buckets {
            let made = tx.returning(&NEW_BUCKET, &params![name, low_key, low_user_id], |row| row.get(0))?;
            let bucket: i64 = made.first().copied().ok_or(DbError::NoRow)?;
            for (class, n) in counts {
                tx.execute(&ADD, &params![bucket, class, tx.lane(), *n])?;
            }
        }
        if list == List::Name {
            let mut all = Vec::new();
            for (class, n) in buckets.into_iter().flat_map(|bucket| bucket.counts) {
                tally(&mut all, class, n);
            }
            for (class, n) in &all {
                tx.execute(&ADD, &params![ALL, class, tx.lane(), *n])?;
            }
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
    let new = |low_key, low_user_id| Bucket { low_key, low_user_id, counts: Vec::new() };
    let mut buckets = vec![new(String::new(), String::new())];
    let mut size = 0;
    tx.query(statement, &[], |row| {
        if size == SPLIT / 2 {
            let key = match list {
                List::Displayname | List::AvatarUrl => Key::Text(row.get(2)?),
                List::CreatedTs | List::LastSeenTs => Key::Int(row.get(2)?),
                _ => Key::None,
            };
            buckets.push(new(key.encode(), row.get(1)?));
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
