//! Counts of the accounts in the orders of the list of accounts.
//!
//! Each order ([`List`]) is divided into fine buckets of at most [`SPLIT`] accounts; a bucket begins at a sort key and
//! counts its accounts by class. A coarse level of the same order has buckets of up to [`SPLIT_COARSE`], whose starts
//! are a subset of the fine ones: a place is found among the coarse buckets first, then among the fine buckets inside
//! one of them. Sums over buckets give every total and find a page at any offset, whatever the filter; only the inside
//! of one fine bucket is ever walked. A change of an account adjusts the counts in its transaction, so that the counts
//! are exact in every snapshot.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::User;
use serde_json::Value;

use super::class::{self, ClassCount, tally};
use super::order::{Column, Key, List, Position};
use super::rows::{Wanted, ascending};

/// The size at which a bucket is split. Small in tests, so that they use many buckets.
const SPLIT: i64 = if cfg!(test) { 12 } else { 4096 };
/// The size at which a coarse bucket is split.
pub(crate) const SPLIT_COARSE: i64 = if cfg!(test) { 48 } else { 65_536 };
/// The number of accounts added to one counter after which the size of its bucket is checked.
const CHECK_EVERY: i64 = if cfg!(test) { 3 } else { 512 };
/// The suffix of a list's name that names its coarse level.
const COARSE: &str = ", coarse";

/// The number of the bucket with the totals of all accounts. The numbers of other buckets are positive.
pub(crate) const ALL: i64 = 0;

/// Changes counts (`list_class`, `n`) in the buckets of some positions `p`, each the name of a level (`key`) and a sort key
/// there (`value`). Each bucket is looked up once, which SQLite would not do without `MATERIALIZED`.
macro_rules! count {
    ($positions:literal, $changes:literal) => {
        concat!(
            "WITH places AS MATERIALIZED ( \
               SELECT 0 AS bucket WHERE CAST($4 AS BIGINT) = 1 UNION ALL \
               SELECT (SELECT b.bucket FROM user_list_buckets b \
                       WHERE b.sort = p.key AND (b.low_key, b.low_user_id) <= (p.value, $5) \
                       ORDER BY b.low_key DESC, b.low_user_id DESC LIMIT 1) FROM ",
            $positions,
            " p) INSERT INTO user_list_counts (bucket, list_class, lane, n) \
             SELECT places.bucket, changes.list_class, CAST($2 AS BIGINT), changes.n \
             FROM places CROSS JOIN (",
            $changes,
            ") AS changes WHERE places.bucket IS NOT NULL \
             ON CONFLICT (bucket, list_class, lane) DO UPDATE SET n = user_list_counts.n + excluded.n \
             RETURNING bucket, n"
        )
    };
}

/// Adds `$3` to the count of class `$1`.
macro_rules! add {
    ($positions:literal) => {
        count!($positions, "SELECT CAST($1 AS TEXT) AS list_class, CAST($3 AS BIGINT) AS n")
    };
}

/// Moves an account from class `$1` to class `$3`.
macro_rules! reclass {
    ($positions:literal) => {
        count!(
            $positions,
            "SELECT CAST($1 AS TEXT) AS list_class, CAST(-1 AS BIGINT) AS n UNION ALL SELECT CAST($3 AS TEXT), 1"
        )
    };
}

/// Buckets with their counts, which are joined to them as `c`.
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
    /// One statement, since each creation runs it: adds `$3` to the count of class `$1` in lane `$2`, in the buckets of
    /// some positions of user id `$5`, and in the totals if `$4` is 1. `$6`: the encoded sort key for each name of a
    /// level, as JSON.
    COUNT = {
        sqlite: add!("json_each($6)"),
        postgres: add!("json_each_text(CAST(CAST($6 AS TEXT) AS JSON))"),
    };
    /// The same for an account that changes from class `$1` to class `$3`, and stays where it is.
    RECLASS = {
        sqlite: reclass!("json_each($6)"),
        postgres: reclass!("json_each_text(CAST(CAST($6 AS TEXT) AS JSON))"),
    };
    ADD = "INSERT INTO user_list_counts (bucket, list_class, lane, n) VALUES ($1, $2, $3, $4)";
    SIZE = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM user_list_counts WHERE bucket = $1";
    /// The buckets of a list between two positions. PostgreSQL overestimates their number, and would read all counts;
    /// `OFFSET 0` prevents that.
    BUCKETS = {
        sqlite: buckets!("LEFT JOIN user_list_counts c ON c.bucket = b.bucket"),
        postgres: buckets!("LEFT JOIN LATERAL (SELECT list_class, n FROM user_list_counts \
                            WHERE user_list_counts.bucket = b.bucket OFFSET 0) c ON TRUE"),
    };
    /// The start of the next bucket of a list.
    NEXT = "SELECT low_key, low_user_id FROM user_list_buckets WHERE sort = $1 AND (low_key, low_user_id) > ($2, $3) \
            ORDER BY low_key, low_user_id LIMIT 1";
    LOW = "SELECT sort, low_key, low_user_id FROM user_list_buckets WHERE bucket = $1";
    COUNTS = "SELECT list_class, n FROM user_list_counts WHERE bucket = $1";
    NEW_BUCKET = "INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES ($1, $2, $3) RETURNING bucket";
    TOTALS = "SELECT list_class, CAST(sum(n) AS BIGINT) FROM user_list_counts WHERE bucket = $1 GROUP BY list_class";
    CLEAR = "DELETE FROM user_list_counts WHERE bucket = $1";
}

/// The start of a bucket: a sort key as [`Key::encode`] writes it, and a user id. Both are blank at the beginning of a
/// list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BucketStart {
    pub(crate) key: String,
    pub(crate) user_id: String,
}

impl BucketStart {
    pub(crate) fn of(position: &Position) -> Self {
        Self { key: position.key.encode(), user_id: position.user_id.clone() }
    }

    /// Returns the position in a list at which the bucket begins.
    pub(crate) fn position(&self, list: List) -> Result<Position, DbError> {
        Ok(Position { key: Key::decode(list, &self.key)?, user_id: self.user_id.clone() })
    }

    /// The position after a whole list.
    fn end(list: List) -> Self {
        Self::of(&list.end())
    }
}

/// A stretch of a list with the number of accounts of each class.
#[derive(Debug)]
pub(crate) struct Bucket {
    start: BucketStart,
    pub(crate) counts: Vec<ClassCount>,
}

impl Bucket {
    pub(crate) fn new(start: BucketStart) -> Self {
        Self { start, counts: Vec::new() }
    }

    fn count(&self, classes: &[ClassCount]) -> i64 {
        let is_wanted = |counted: &&ClassCount| classes.iter().any(|wanted| wanted.class == counted.class);
        self.counts.iter().filter(is_wanted).map(|counted| counted.n).sum()
    }
}

/// The start of a bucket, and the number of accounts of some classes before it.
pub(crate) struct Counted {
    pub(crate) start: BucketStart,
    pub(crate) before: i64,
}

/// Finds positions of a list by its counts.
pub(crate) struct Counts {
    pub(crate) list: List,
    /// The buckets, at least one; the first begins before every possible account.
    coarse: Vec<Bucket>,
    /// The fine buckets inside the last requested coarse one.
    fine: Option<Inside>,
}

/// The fine buckets inside a coarse one.
struct Inside {
    at: usize,
    buckets: Vec<Bucket>,
}

impl Counts {
    pub(crate) fn read(tx: &ReadTx<'_>, list: List) -> Result<Self, DbError> {
        let coarse = buckets(tx, &coarse_cut(list), &BucketStart::default(), &BucketStart::end(list))?;
        Ok(Self { list, coarse, fine: None })
    }

    /// Returns the number of accounts of these classes.
    pub(crate) fn sum(&self, classes: &[ClassCount]) -> i64 {
        count(&self.coarse, classes)
    }

    /// Returns the bucket that contains the account at an offset among these classes.
    pub(crate) fn holding(
        &mut self,
        tx: &ReadTx<'_>,
        classes: &[ClassCount],
        offset: i64,
    ) -> Result<Counted, DbError> {
        let index = |buckets: &[Bucket], mut left: i64| {
            let holds = |bucket: &Bucket| {
                let n = bucket.count(classes);
                let is_here = left < n;
                left -= if is_here { 0 } else { n };
                is_here
            };
            buckets.iter().position(holds).unwrap_or(buckets.len().saturating_sub(1))
        };
        let at = index(&self.coarse, offset);
        let before = count_until(&self.coarse, at, classes);
        let fine = self.fine(tx, at)?;
        let at = index(fine, offset - before);
        Ok(Counted { start: start(fine, at), before: before + count_until(fine, at, classes) })
    }

    /// Returns the bucket that contains a position.
    pub(crate) fn around(
        &mut self,
        tx: &ReadTx<'_>,
        classes: &[ClassCount],
        position: &Position,
    ) -> Result<Counted, DbError> {
        let position = BucketStart::of(position);
        let index =
            |buckets: &[Bucket]| buckets.partition_point(|bucket| bucket.start <= position).saturating_sub(1);
        let at = index(&self.coarse);
        let before = count_until(&self.coarse, at, classes);
        let fine = self.fine(tx, at)?;
        let at = index(fine);
        Ok(Counted { start: start(fine, at), before: before + count_until(fine, at, classes) })
    }

    /// Returns the fine buckets inside a coarse one.
    fn fine(&mut self, tx: &ReadTx<'_>, at: usize) -> Result<&[Bucket], DbError> {
        let inside = if let Some(inside) = self.fine.take().filter(|inside| inside.at == at) {
            inside
        } else {
            let begin = start(&self.coarse, at);
            let next = self.coarse.get(at + 1);
            let end = next.map_or_else(|| BucketStart::end(self.list), |next| next.start.clone());
            Inside { at, buckets: buckets(tx, self.list.name(), &begin, &end)? }
        };
        Ok(&self.fine.insert(inside).buckets)
    }
}

/// Returns the number of accounts of some classes in buckets.
fn count(buckets: &[Bucket], classes: &[ClassCount]) -> i64 {
    buckets.iter().map(|bucket| bucket.count(classes)).sum()
}

/// Returns the number of accounts of some classes before a bucket.
fn count_until(buckets: &[Bucket], at: usize, classes: &[ClassCount]) -> i64 {
    buckets.iter().take(at).map(|bucket| bucket.count(classes)).sum()
}

/// Returns the start of one of some buckets; the beginning of the list if there is none.
pub(crate) fn start(buckets: &[Bucket], at: usize) -> BucketStart {
    buckets.get(at).map(|bucket| bucket.start.clone()).unwrap_or_default()
}

/// Returns the name of the coarse level of a list.
pub(crate) fn coarse_cut(list: List) -> String {
    format!("{}{COARSE}", list.name())
}

/// Returns the number of accounts of each class.
pub(crate) fn totals(tx: &ReadTx<'_>) -> Result<Vec<ClassCount>, DbError> {
    tx.query(&TOTALS, &params![ALL], |row| Ok(ClassCount { class: row.get(0)?, n: row.get(1)? }))
}

/// Returns the buckets of a level that begin between two positions, in order.
fn buckets(tx: &ReadTx<'_>, cut: &str, from: &BucketStart, to: &BucketStart) -> Result<Vec<Bucket>, DbError> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut last = None;
    tx.query(&BUCKETS, &params![cut, from.key, from.user_id, to.key, to.user_id], |row| {
        let bucket: i64 = row.get(0)?;
        if last != Some(bucket) {
            last = Some(bucket);
            buckets.push(Bucket::new(BucketStart { key: row.get(1)?, user_id: row.get(2)? }));
        }
        if let (Some(bucket), Some(class)) = (buckets.last_mut(), row.get::<Option<String>>(3)?) {
            tally(&mut bucket.counts, class, row.get(4)?);
        }
        Ok(())
    })?;
    Ok(buckets)
}

/// The place of an account in a list.
#[derive(PartialEq, Eq)]
struct Place {
    list: List,
    key: Key,
}

/// Returns the places of an account by user id and by each column.
fn places(user: &User) -> Vec<Place> {
    let by_column = |column: &Column| match (column.definition().value)(user) {
        Some(key) => Place { list: List::With(*column), key },
        None => Place { list: List::Without(*column), key: Key::None },
    };
    let by_name = Place { list: List::Name, key: Key::None };
    std::iter::once(by_name).chain(Column::ALL.iter().map(by_column)).collect()
}

/// Counts a new account.
pub(crate) fn add(tx: &mut Tx<'_>, user: &User) -> Result<(), DbError> {
    adjust(tx, user, &places(user), true, 1)
}

/// Moves an account, whose row is changed already, from its former buckets to the present ones.
pub(crate) fn change(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    let (former, present) = (class::of(before), class::of(after));
    let anew = former != present;
    let (from, to) = (places(before), places(after));
    if anew && from == to {
        let (lane, positions) = (tx.lane(), positions(&to));
        let params = params![former, lane, present, true, after.user_id, positions];
        let counted = tx.returning(&RECLASS, &params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        return settle(tx, counted);
    }
    let moved = from.into_iter().zip(to).filter(|(old, new)| anew || old != new);
    let (old, new): (Vec<_>, Vec<_>) = moved.unzip();
    if old.is_empty() {
        return Ok(());
    }
    adjust(tx, before, &old, anew, -1)?;
    adjust(tx, after, &new, anew, 1)
}

/// Adds to the counts of an account's class at some places, and to the totals if `altogether` is true.
fn adjust(tx: &mut Tx<'_>, user: &User, places: &[Place], altogether: bool, by: i64) -> Result<(), DbError> {
    let (class, lane, positions) = (class::of(user), tx.lane(), positions(places));
    let params = params![class, lane, by, altogether, user.user_id, positions];
    let counted = tx.returning(&COUNT, &params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if by > 0 { settle(tx, counted) } else { Ok(()) }
}

/// Returns the positions at some places in both levels, as the statements read them.
fn positions(places: &[Place]) -> String {
    let in_both_cuts = |Place { list, key }: &Place| {
        [list.name().to_owned(), coarse_cut(*list)].map(|cut| (cut, Value::String(key.encode())))
    };
    Value::Object(places.iter().flat_map(in_both_cuts).collect()).to_string()
}

/// Splits those of some buckets that have become too large. A counter with its bucket and the new value tells of each addition.
fn settle(tx: &mut Tx<'_>, counted: Vec<(i64, i64)>) -> Result<(), DbError> {
    for (bucket, n) in counted {
        if bucket != ALL && n > 0 && n % CHECK_EVERY == 0 {
            let size: i64 = tx.query_one(&SIZE, &params![bucket], |row| row.get(0))?;
            if size > SPLIT {
                split(tx, bucket, size)?;
            }
        }
    }
    Ok(())
}

/// Splits a bucket in the middle, if it is too large for its level.
fn split(tx: &mut Tx<'_>, bucket: i64, size: i64) -> Result<(), DbError> {
    let (cut, start): (String, BucketStart) = tx.query_one(&LOW, &params![bucket], |row| {
        Ok((row.get(0)?, BucketStart { key: row.get(1)?, user_id: row.get(2)? }))
    })?;
    let halves = match cut.strip_suffix(COARSE) {
        None => fine_halves(tx, bucket, List::parse(&cut)?, start)?,
        Some(list) if size > SPLIT_COARSE => coarse_halves(tx, List::parse(list)?, start)?,
        Some(_) => return Ok(()),
    };
    let Some([lower, upper]) = halves else { return Ok(()) };
    tx.execute(&CLEAR, &params![bucket])?;
    put_counts(tx, bucket, &lower)?;
    put(tx, &cut, &upper)
}

/// Returns the halves of a fine bucket, divided in the middle of its accounts.
fn fine_halves(
    tx: &ReadTx<'_>,
    bucket: i64,
    list: List,
    start: BucketStart,
) -> Result<Option<[Bucket; 2]>, DbError> {
    let mut counts = Vec::new();
    for (class, n) in tx.query(&COUNTS, &params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))? {
        tally(&mut counts, class, n);
    }
    let position = start.position(list)?;
    let mut members = Vec::new();
    for ClassCount { class, n } in &counts {
        let wanted = Wanted { classes: &[class], limit: *n, pattern: "" };
        for entry in ascending(tx, list, wanted, &position)?.into_iter().flatten() {
            members.push((entry.key, entry.user_id, class));
        }
    }
    members.sort();
    let Some((middle_key, middle_user_id, _)) = members.get(members.len() / 2) else { return Ok(None) };
    let middle = BucketStart { key: middle_key.encode(), user_id: middle_user_id.clone() };
    let mut halves = [Bucket::new(start), Bucket::new(middle)];
    let [lower, upper] = &mut halves;
    for (key, user_id, class) in &members {
        let is_below = (key, user_id) < (middle_key, middle_user_id);
        tally(if is_below { &mut lower.counts } else { &mut upper.counts }, (*class).clone(), 1);
    }
    Ok(Some(halves))
}

/// Returns the halves of a coarse bucket, divided at the start of one of its fine buckets.
fn coarse_halves(tx: &ReadTx<'_>, list: List, start: BucketStart) -> Result<Option<[Bucket; 2]>, DbError> {
    let next = tx.query_opt(&NEXT, &params![coarse_cut(list), start.key, start.user_id], |row| {
        Ok(BucketStart { key: row.get(0)?, user_id: row.get(1)? })
    })?;
    let fine = buckets(tx, list.name(), &start, &next.unwrap_or_else(|| BucketStart::end(list)))?;
    let Some(middle) = fine.get(fine.len() / 2).filter(|middle| middle.start != start) else {
        return Ok(None);
    };
    let mut halves = [Bucket::new(start), Bucket::new(middle.start.clone())];
    let [lower, upper] = &mut halves;
    for (at, bucket) in fine.iter().enumerate() {
        let half = if at < fine.len() / 2 { &mut lower.counts } else { &mut upper.counts };
        for ClassCount { class, n } in &bucket.counts {
            tally(half, class.clone(), *n);
        }
    }
    Ok(Some(halves))
}

/// Creates a bucket of a level.
pub(crate) fn put(tx: &mut Tx<'_>, cut: &str, bucket: &Bucket) -> Result<(), DbError> {
    let BucketStart { key, user_id } = &bucket.start;
    let made = tx.returning(&NEW_BUCKET, &params![cut, key, user_id], |row| row.get(0))?;
    put_counts(tx, made.first().copied().ok_or(DbError::NoRow)?, bucket)
}

/// Stores the counts of a bucket that has none.
pub(crate) fn put_counts(tx: &mut Tx<'_>, bucket: i64, counted: &Bucket) -> Result<(), DbError> {
    let lane = tx.lane();
    for ClassCount { class, n } in &counted.counts {
        tx.execute(&ADD, &params![bucket, class, lane, *n])?;
    }
    Ok(())
}
