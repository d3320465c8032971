//! Counts under the sort orders of the list of accounts.
//!
//! Each order ([`List`]) is cut into buckets of at most [`SPLIT`] accounts; a bucket begins at a sort key and
//! counts its accounts by class. A second, coarse cut of the same order has buckets of up to [`SPLIT_COARSE`], which begin
//! where some of the fine ones do: a place is found by the coarse ones first, then by the fine ones inside one of
//! those. Sums over buckets give every total and find a page at any offset, whatever the filter; only the inside of
//! one fine bucket is ever walked. Changes adjust counts by one in the transaction that changes the account, so the
//! counts are exact in every snapshot.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::User;

use crate::user_list_rows::{self, Key};

/// A bucket that has grown to this many accounts is cut in two. Small in tests, so that they see many buckets.
const SPLIT: i64 = if cfg!(test) { 12 } else { 4096 };
/// A bucket of the coarse cut that has grown to this many accounts is cut in two.
pub(crate) const SPLIT_COARSE: i64 = if cfg!(test) { 48 } else { 65_536 };
/// How often (in accounts added to one counter) the size of a bucket is looked at.
const CHECK_EVERY: i64 = if cfg!(test) { 3 } else { 512 };
/// Behind the name of a list it stands for the coarse cut of it.
macro_rules! coarse {
    () => {
        ", coarse"
    };
}
pub(crate) use coarse;

/// Stands for all accounts together among the buckets, whose own numbers are positive.
pub(crate) const ALL: i64 = 0;

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

/// All lists, with the names by which their buckets know them.
pub(crate) const NAMES: [(List, &str); 8] = [
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

/// The buckets of a place, in the fine and the coarse cut: its list in the first parameter (blank for no place), its key
/// in the second, its user id in `$5`.
macro_rules! buckets_of {
    ($sort:literal, $key:literal) => {
        concat!(bucket_of!($sort, $key), " UNION ALL ", bucket_of!($sort, $key, " || '", coarse!(), "'"))
    };
}
macro_rules! bucket_of {
    ($sort:literal, $key:literal $(, $coarse:expr)*) => {
        concat!(
            "SELECT (SELECT bucket FROM user_list_buckets WHERE sort = CAST(",
            $sort,
            " AS TEXT)",
            $($coarse,)*
            " AND (low_key, low_user_id) <= (",
            $key,
            ", $5) ORDER BY low_key DESC, low_user_id DESC LIMIT 1)"
        )
    };
}

/// Buckets with what they count, which is joined to them as `c`.
macro_rules! buckets {
    ($counts:literal) => {
        concat!(
            "SELECT b.bucket, b.low_key, b.low_user_id, c.list_class, c.n FROM user_list_buckets b ",
            $counts,
            " WHERE b.sort = $1 AND (b.low_key, b.low_user_id) >= ($2, $3) AND (b.low_key, b.low_user_id) < ($4, $5) \
             ORDER BY b.low_key, b.low_user_id"
        )
    };
}

reeve_db::statements! {
    /// One sentence, since each creation runs it: adds `$3` to what class `$1` has in lane `$2`, in the buckets of up
    /// to five places, and altogether if `$4` is 1.
    COUNT = concat!(
        "INSERT INTO user_list_counts (bucket, list_class, lane, n) ",
        "SELECT bucket, CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM (",
        "SELECT 0 AS bucket WHERE CAST($4 AS BIGINT) = 1 UNION ALL ",
        buckets_of!("$6", "$7"), " UNION ALL ", buckets_of!("$8", "$9"), " UNION ALL ",
        buckets_of!("$10", "$11"), " UNION ALL ", buckets_of!("$12", "$13"), " UNION ALL ",
        buckets_of!("$14", "$15"),
        ") AS places WHERE bucket IS NOT NULL ",
        "ON CONFLICT (bucket, list_class, lane) DO UPDATE SET n = user_list_counts.n + excluded.n ",
        "RETURNING bucket, n");
    ADD = "INSERT INTO user_list_counts (bucket, list_class, lane, n) VALUES ($1, $2, $3, $4)";
    SIZE = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM user_list_counts WHERE bucket = $1";
    /// Of a list, those that begin from one place to another. PostgreSQL takes them for more than they are, and would read
    /// all counts; `OFFSET 0` keeps it from that.
    BUCKETS = {
        sqlite: buckets!("LEFT JOIN user_list_counts c ON c.bucket = b.bucket"),
        postgres: buckets!("LEFT JOIN LATERAL (SELECT list_class, n FROM user_list_counts \
                            WHERE user_list_counts.bucket = b.bucket OFFSET 0) c ON TRUE"),
    };
    /// Where the next bucket of a list begins.
    NEXT = "SELECT low_key, low_user_id FROM user_list_buckets WHERE sort = $1 AND (low_key, low_user_id) > ($2, $3) \
            ORDER BY low_key, low_user_id LIMIT 1";
    LOW = "SELECT sort, low_key, low_user_id FROM user_list_buckets WHERE bucket = $1";
    COUNTS = "SELECT list_class, n FROM user_list_counts WHERE bucket = $1";
    NEW_BUCKET = "INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES ($1, $2, $3) RETURNING bucket";
    TOTALS = "SELECT list_class, CAST(sum(n) AS BIGINT) FROM user_list_counts WHERE bucket = $1 GROUP BY list_class";
    CLEAR = "DELETE FROM user_list_counts WHERE bucket = $1";
}

/// A place in a list: a sort key as [`Key::encode`] writes it, and a user id.
pub(crate) type Low = (String, String);

/// A class, and how many accounts are in it.
pub(crate) type ClassCount = (String, i64);

/// How many accounts classes have together.
pub(crate) fn sum(classes: &[ClassCount]) -> i64 {
    classes.iter().map(|(_, n)| n).sum()
}

/// A stretch of a list and how many accounts of each class are in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    low: Low,
    pub(crate) counts: Vec<ClassCount>,
}

impl Bucket {
    pub(crate) fn new(low: Low) -> Self {
        Self { low, counts: Vec::new() }
    }

    fn count(&self, classes: &[ClassCount]) -> i64 {
        let is_wanted = |class: &String| classes.iter().any(|(wanted, _)| wanted == class);
        self.counts.iter().filter(|(class, _)| is_wanted(class)).map(|(_, n)| n).sum()
    }
}

/// Tells where places of a list are.
pub(crate) struct Counts {
    pub(crate) list: List,
    /// At least one, the first of which begins before every account there can be.
    coarse: Vec<Bucket>,
    /// The fine buckets inside the coarse one that was last asked for.
    fine: Option<(usize, Vec<Bucket>)>,
}

impl Counts {
    pub(crate) fn read(tx: &ReadTx<'_>, list: List) -> Result<Self, DbError> {
        let coarse = buckets(tx, &format!("{}{}", list.name(), coarse!()), &Low::default(), &end(list))?;
        Ok(Self { list, coarse, fine: None })
    }

    /// How many accounts of these classes there are.
    pub(crate) fn sum(&self, classes: &[ClassCount]) -> i64 {
        self.coarse.iter().map(|bucket| bucket.count(classes)).sum()
    }

    /// A place from which a position among the accounts of these classes is near, and how many of them to pass over
    /// until there.
    pub(crate) fn enter(
        &mut self,
        tx: &ReadTx<'_>,
        classes: &[ClassCount],
        position: i64,
    ) -> Result<(Low, i64), DbError> {
        let until = |buckets: &[Bucket], mut left: i64| {
            let holds = |bucket: &Bucket| {
                let n = bucket.count(classes);
                let is_here = left < n;
                left -= if is_here { 0 } else { n };
                is_here
            };
            let at = buckets.iter().position(holds);
            (at.unwrap_or(buckets.len().saturating_sub(1)), left)
        };
        let (at, left) = until(&self.coarse, position);
        let fine = self.fine(tx, at)?;
        let (at, left) = until(fine, left);
        Ok((low(fine, at), left))
    }

    /// A place near before another one, and how many accounts of these classes come before it.
    pub(crate) fn before(
        &mut self,
        tx: &ReadTx<'_>,
        classes: &[ClassCount],
        place: &Low,
    ) -> Result<(Low, i64), DbError> {
        let until = |buckets: &[Bucket]| {
            let at = buckets.partition_point(|bucket| bucket.low <= *place).saturating_sub(1);
            (at, buckets.iter().take(at).map(|bucket| bucket.count(classes)).sum::<i64>())
        };
        let (at, before) = until(&self.coarse);
        let fine = self.fine(tx, at)?;
        let (at, more) = until(fine);
        Ok((low(fine, at), before + more))
    }

    /// The fine buckets inside a coarse one.
    fn fine(&mut self, tx: &ReadTx<'_>, at: usize) -> Result<&[Bucket], DbError> {
        let known = match self.fine.take() {
            Some((of, fine)) if of == at => fine,
            _ => {
                let begin = low(&self.coarse, at);
                let end = self.coarse.get(at + 1).map_or_else(|| end(self.list), |next| next.low.clone());
                buckets(tx, self.list.name(), &begin, &end)?
            }
        };
        Ok(&self.fine.insert((at, known)).1)
    }
}

/// Where one of some buckets begins; before everything if there is none.
pub(crate) fn low(buckets: &[Bucket], at: usize) -> Low {
    buckets.get(at).map(|bucket| bucket.low.clone()).unwrap_or_default()
}

/// A place behind a whole list.
fn end(list: List) -> Low {
    let (key, user_id) = Key::end(list);
    (key.encode(), user_id.to_owned())
}

/// Adds to what is counted of a class.
pub(crate) fn tally(counts: &mut Vec<ClassCount>, class: String, n: i64) {
    match counts.iter_mut().find(|(known, _)| *known == class) {
        Some((_, sum)) => *sum += n,
        None => counts.push((class, n)),
    }
}

/// How many accounts of each class there are.
pub(crate) fn totals(tx: &ReadTx<'_>) -> Result<Vec<ClassCount>, DbError> {
    tx.query(&TOTALS, &params![ALL], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The buckets of a cut that begin from one place to another, in order.
fn buckets(
    tx: &ReadTx<'_>,
    sort: &str,
    (low_key, low_user_id): &Low,
    (high_key, high_user_id): &Low,
) -> Result<Vec<Bucket>, DbError> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut last = None;
    tx.query(&BUCKETS, &params![sort, low_key, low_user_id, high_key, high_user_id], |row| {
        let bucket: i64 = row.get(0)?;
        if last != Some(bucket) {
            last = Some(bucket);
            buckets.push(Bucket::new((row.get(1)?, row.get(2)?)));
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
        (List::CreatedTs, Key::Int(user.created_ts.get())),
        or_null(user.last_seen_ts.map(|ts| Key::Int(ts.get())), List::LastSeenTs, List::LastSeenTsNull),
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
                split(tx, bucket, size)?;
            }
        }
    }
    Ok(())
}

/// Cuts a bucket of so many accounts in the middle, if that is too many for the cut that it belongs to.
fn split(tx: &mut Tx<'_>, bucket: i64, size: i64) -> Result<(), DbError> {
    let (sort, low): (String, Low) =
        tx.query_one(&LOW, &params![bucket], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let halves = match sort.strip_suffix(coarse!()) {
        None => fine_halves(tx, bucket, List::parse(&sort)?, low)?,
        Some(list) if size > SPLIT_COARSE => coarse_halves(tx, &sort, List::parse(list)?, low)?,
        Some(_) => return Ok(()),
    };
    let Some([lower, upper]) = halves else { return Ok(()) };
    tx.execute(&CLEAR, &params![bucket])?;
    put_counts(tx, bucket, &lower)?;
    put(tx, &sort, &upper)
}

/// What becomes of a bucket, in the middle of whose accounts the upper half begins.
fn fine_halves(tx: &ReadTx<'_>, bucket: i64, list: List, low: Low) -> Result<Option<[Bucket; 2]>, DbError> {
    let mut counts = Vec::new();
    for (class, n) in tx.query(&COUNTS, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))? {
        tally(&mut counts, class, n);
    }
    let key = Key::decode(list, &low.0)?;
    let mut members = Vec::new();
    for (class, n) in &counts {
        let found = user_list_rows::ascending(tx, list, &[class], &key, &low.1, *n, "")?;
        for entry in found.into_iter().flatten() {
            members.push((entry.key, entry.user_id, class));
        }
    }
    members.sort();
    let Some((middle_key, middle_user_id, _)) = members.get(members.len() / 2) else { return Ok(None) };
    let mut halves = [Bucket::new(low), Bucket::new((middle_key.encode(), middle_user_id.clone()))];
    let [lower, upper] = &mut halves;
    for (key, user_id, class) in &members {
        let is_below = (key, user_id) < (middle_key, middle_user_id);
        tally(if is_below { &mut lower.counts } else { &mut upper.counts }, (*class).clone(), 1);
    }
    Ok(Some(halves))
}

/// What becomes of a bucket of a coarse cut, whose upper half begins with one of the fine buckets in it.
fn coarse_halves(tx: &ReadTx<'_>, sort: &str, list: List, low: Low) -> Result<Option<[Bucket; 2]>, DbError> {
    let next = tx.query_opt(&NEXT, &params![sort, &low.0, &low.1], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let fine = buckets(tx, list.name(), &low, &next.unwrap_or_else(|| end(list)))?;
    let Some(middle) = fine.get(fine.len() / 2).filter(|middle| middle.low != low) else { return Ok(None) };
    let mut halves = [Bucket::new(low), Bucket::new(middle.low.clone())];
    let [lower, upper] = &mut halves;
    for (at, bucket) in fine.iter().enumerate() {
        let half = if at < fine.len() / 2 { &mut lower.counts } else { &mut upper.counts };
        for (class, n) in &bucket.counts {
            tally(half, class.clone(), *n);
        }
    }
    Ok(Some(halves))
}

/// A new bucket of a cut.
pub(crate) fn put(tx: &mut Tx<'_>, sort: &str, bucket: &Bucket) -> Result<(), DbError> {
    let (low_key, low_user_id) = &bucket.low;
    let made = tx.returning(&NEW_BUCKET, &params![sort, low_key, low_user_id], |row| row.get(0))?;
    put_counts(tx, made.first().copied().ok_or(DbError::NoRow)?, bucket)
}

/// What a bucket counts, which counted nothing.
pub(crate) fn put_counts(tx: &mut Tx<'_>, bucket: i64, counted: &Bucket) -> Result<(), DbError> {
    let lane = tx.lane();
    for (class, n) in &counted.counts {
        tx.execute(&ADD, &params![bucket, class, lane, *n])?;
    }
    Ok(())
}
