//! The list of accounts: filtered, sorted and paged by offset, in milliseconds at any size.
//!
//! A filter selects *classes* (combinations of flags); for each class and sort order there is one index range. A page
//! is a merge of the ranges of the selected classes, entered at the right place by the counts of
//! [`crate::user_list_counts`].

use std::cmp::{Ordering, Reverse};
use std::collections::VecDeque;

use reeve_db::{DbError, ReadTx, Statement, Value, params};
use reeve_model::User;

use crate::user_list_counts::{Bucket, List, buckets};
pub use crate::user_search::Term;
use crate::{user_search, users};

/// A search that finds more accounts than this is answered by walking the list instead.
const FEW: usize = if cfg!(test) { 10 } else { 20_000 };
/// How many rows of one class are read at a time while walking.
const CHUNK: i64 = if cfg!(test) { 4 } else { 512 };
/// No text that lists sort by has more characters.
const LONGEST_TEXT: usize = 1000;
/// Sorts after every user id, since those begin with `@`.
const AFTER_USER_IDS: &str = "A";

/// What a list is sorted by. Ties, and accounts without a value, are sorted by user id, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The user id.
    Name,
    /// The display name, by code point.
    Displayname,
    /// Whether it is a guest.
    IsGuest,
    /// Whether it administers the server.
    Admin,
    /// Whether it is deactivated.
    Deactivated,
    /// Its type.
    UserType,
    /// The avatar URL.
    AvatarUrl,
    /// Whether it is shadow-banned.
    ShadowBanned,
    /// When it was created.
    CreationTs,
    /// When it was last seen.
    LastSeenTs,
    /// Whether it is locked.
    Locked,
}

/// Which accounts a list shows. `None` lets all through; `Some(x)` only those whose flag is `x`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A substring to look for.
    pub term: Option<Term>,
    /// Guests or not.
    pub guests: Option<bool>,
    /// Deactivated or not.
    pub deactivated: Option<bool>,
    /// Locked or not.
    pub locked: Option<bool>,
    /// Administrators or not.
    pub admins: Option<bool>,
    /// User types to leave out; `None` among them stands for accounts without a type.
    pub not_user_types: Vec<Option<String>>,
}

/// A page of the list.
#[derive(Debug)]
pub struct UserPage {
    /// The accounts of the page, in order.
    pub users: Vec<User>,
    /// How many accounts the filter lets through.
    pub total: i64,
}

/// A sort key, without the user id that breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    None,
    Int(i64),
    Text(String),
}

impl Key {
    /// A text that sorts as the key does.
    pub(crate) fn encode(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => format!("{:020}", i128::from(*number) - i128::from(i64::MIN)),
        }
    }

    /// Reverses [`Key::encode`]; the blank text stands for the beginning of the list.
    pub(crate) fn decode(list: List, text: &str) -> Result<Self, DbError> {
        Ok(match list {
            List::Displayname | List::AvatarUrl => Self::Text(text.to_owned()),
            List::CreatedTs | List::LastSeenTs if text.is_empty() => Self::Int(i64::MIN),
            List::CreatedTs | List::LastSeenTs => {
                let number = text.parse::<i128>().ok().map(|number| number + i128::from(i64::MIN));
                let number = number.and_then(|number| i64::try_from(number).ok());
                Self::Int(
                    number.ok_or_else(|| DbError::Internal("a list bucket has no valid bound".to_owned()))?,
                )
            }
            List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => Self::None,
        })
    }

    /// Where a list ends: a key and user id that nothing sorts after.
    fn end(list: List) -> (Self, &'static str) {
        let key = match list {
            List::Displayname | List::AvatarUrl => Self::Text("\u{10ffff}".repeat(LONGEST_TEXT + 1)),
            List::CreatedTs | List::LastSeenTs => Self::Int(i64::MAX),
            List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => Self::None,
        };
        (key, AFTER_USER_IDS)
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::None => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
        }
    }
}

/// One row of an index range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) user_id: String,
    pub(crate) num: i64,
}

macro_rules! search {
    ($name:literal, $user_id:literal) => {
        concat!(
            " AND (",
            $name,
            " = '' OR instr(search_key, ",
            $name,
            ") > 0)",
            " AND (",
            $user_id,
            " = '' OR instr(lower(user_id), ",
            $user_id,
            ") > 0)"
        )
    };
}
/// Rows of a class with a value, ascending from a key and user id.
macro_rules! from {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3)",
            search!("$5", "$6"),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $4"
        )
    };
}
/// Rows of a class without a value, ascending from a user id.
macro_rules! from_null {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = $1 AND ",
            $column,
            " IS NULL AND user_id >= $2",
            search!("$4", "$5"),
            " ORDER BY user_id LIMIT $3"
        )
    };
}
/// Rows of a class with a smaller value, descending.
macro_rules! before {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " FROM users WHERE list_class = $1 AND ",
            $column,
            " < $2",
            search!("$4", "$5"),
            " ORDER BY ",
            $column,
            " DESC, user_id DESC LIMIT $3"
        )
    };
}
/// How many rows of a class lie between two keys.
macro_rules! between {
    ($column:literal) => {
        concat!(
            "SELECT count(*) FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3) AND (",
            $column,
            ", user_id) < ($4, $5)"
        )
    };
}

reeve_db::statements! {
    FROM_NAME = concat!(
        "SELECT num, user_id FROM users WHERE list_class = $1 AND user_id >= $2",
        search!("$4", "$5"), " ORDER BY user_id LIMIT $3");
    BEFORE_NAME = concat!(
        "SELECT num, user_id FROM users WHERE list_class = $1 AND user_id < $2",
        search!("$4", "$5"), " ORDER BY user_id DESC LIMIT $3");
    FROM_DISPLAYNAME = from!("displayname");
    FROM_AVATAR_URL = from!("avatar_url");
    FROM_CREATED_TS = from!("created_ts");
    FROM_LAST_SEEN_TS = from!("last_seen_ts");
    FROM_DISPLAYNAME_NULL = from_null!("displayname");
    FROM_AVATAR_URL_NULL = from_null!("avatar_url");
    FROM_LAST_SEEN_TS_NULL = from_null!("last_seen_ts");
    BEFORE_DISPLAYNAME = before!("displayname");
    BEFORE_AVATAR_URL = before!("avatar_url");
    BEFORE_CREATED_TS = before!("created_ts");
    BEFORE_LAST_SEEN_TS = before!("last_seen_ts");
    BETWEEN_DISPLAYNAME = between!("displayname");
    BETWEEN_AVATAR_URL = between!("avatar_url");
    BETWEEN_CREATED_TS = between!("created_ts");
    BETWEEN_LAST_SEEN_TS = between!("last_seen_ts");
}

/// A page of accounts: those that `filter` lets through, sorted by `order_by` (descending if `descending`), from
/// offset `from`, at most `limit`. Accounts without a value come last ascending and first descending.
pub fn page(
    tx: &ReadTx<'_>,
    server_name: &str,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
) -> Result<UserPage, DbError> {
    let term = filter.term.as_ref().filter(|term| !term.matches_domain(server_name));
    let (nums, total) = match term {
        None => walk(tx, filter, order_by, descending, from, limit)?,
        Some(term) => match user_search::candidates(tx, term, FEW)? {
            Some(found) => sort_found(found, filter, order_by, descending, from, limit),
            None => walk_matches(tx, filter, term, order_by, descending, from, limit)?,
        },
    };
    Ok(UserPage { users: users::by_nums(tx, &nums)?, total })
}

/// The flags that a class stands for.
struct Class<'a> {
    flags: [bool; 5],
    user_type: Option<&'a str>,
}

impl<'a> Class<'a> {
    fn parse(class: &'a str) -> Self {
        let mut flags = [false; 5];
        for (flag, letter) in flags.iter_mut().zip(class.chars()) {
            *flag = letter == '1';
        }
        Self { flags, user_type: class.get(5..).filter(|user_type| !user_type.is_empty()) }
    }

    fn admitted_by(&self, filter: &Filter) -> bool {
        let [is_guest, admin, deactivated, locked, _] = self.flags;
        let agrees = |wanted: Option<bool>, flag: bool| wanted.is_none_or(|wanted| wanted == flag);
        agrees(filter.guests, is_guest)
            && agrees(filter.admins, admin)
            && agrees(filter.deactivated, deactivated)
            && agrees(filter.locked, locked)
            && !filter.not_user_types.iter().any(|excluded| excluded.as_deref() == self.user_type)
    }

    /// The value of a flag column, in ascending order of the list; `None` is "no value".
    fn flag(&self, order_by: OrderBy) -> Option<&'a str> {
        let [is_guest, admin, deactivated, locked, shadow_banned] = self.flags;
        let flag = match order_by {
            OrderBy::IsGuest => is_guest,
            OrderBy::Admin => admin,
            OrderBy::Deactivated => deactivated,
            OrderBy::Locked => locked,
            OrderBy::ShadowBanned => shadow_banned,
            _ => return self.user_type,
        };
        Some(if flag { "1" } else { "0" })
    }
}

/// A stretch of the answer that one merge of index ranges serves.
struct Segment {
    list: List,
    classes: Vec<String>,
    descending: bool,
}

/// The stretches of a list, in order.
fn segments(classes: &[String], order_by: OrderBy, descending: bool) -> Vec<Segment> {
    let all = |list, descending| Segment { list, classes: classes.to_vec(), descending };
    let with_nulls = |list, null| {
        let mut segments = vec![all(list, descending), all(null, false)];
        if descending {
            segments.reverse();
        }
        segments
    };
    match order_by {
        OrderBy::Name => vec![all(List::Name, descending)],
        OrderBy::CreationTs => vec![all(List::CreatedTs, descending)],
        OrderBy::Displayname => with_nulls(List::Displayname, List::DisplaynameNull),
        OrderBy::AvatarUrl => with_nulls(List::AvatarUrl, List::AvatarUrlNull),
        OrderBy::LastSeenTs => with_nulls(List::LastSeenTs, List::LastSeenTsNull),
        _ => {
            let rank = |class: &str| {
                let value = Class::parse(class).flag(order_by).map(str::to_owned);
                (value.is_none(), value)
            };
            let mut values: Vec<_> = classes.iter().map(|class| rank(class)).collect();
            values.sort();
            values.dedup();
            if descending {
                values.reverse();
            }
            let with = |value| classes.iter().filter(|class| rank(class) == value).cloned().collect();
            values
                .into_iter()
                .map(|value| Segment { list: List::Name, classes: with(value), descending: false })
                .collect()
        }
    }
}

/// The classes there are, with the number of accounts in each, as far as the filter lets them through.
fn admitted(filter: &Filter, counts: impl IntoIterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let mut sums: Vec<(String, i64)> = Vec::new();
    for (class, n) in counts {
        if !Class::parse(&class).admitted_by(filter) {
            continue;
        }
        match sums.iter_mut().find(|(known, _)| *known == class) {
            Some((_, sum)) => *sum += n,
            None => sums.push((class, n)),
        }
    }
    sums.retain(|(_, n)| *n > 0);
    sums
}

/// A page without a search: the counts say where it begins.
fn walk(
    tx: &ReadTx<'_>,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
) -> Result<(Vec<i64>, i64), DbError> {
    let all = admitted(filter, buckets(tx, List::Name)?.into_iter().flat_map(|bucket| bucket.counts));
    let total = all.iter().map(|(_, n)| n).sum();
    let classes: Vec<String> = all.into_iter().map(|(class, _)| class).collect();
    let (mut skip, mut nums) = (from, Vec::new());
    for segment in segments(&classes, order_by, descending) {
        let missing = limit - count_of(&nums);
        if missing <= 0 || from >= total {
            break;
        }
        let buckets = buckets(tx, segment.list)?;
        let size: i64 = buckets.iter().map(|bucket| bucket.count(&segment.classes)).sum();
        if skip >= size {
            skip -= size;
            continue;
        }
        let mut merge = if segment.descending {
            enter_descending(tx, &segment, &buckets, size, skip, missing)?
        } else {
            enter_ascending(tx, &segment, &buckets, skip, missing)?
        };
        merge.take(tx, missing, &mut nums)?;
        skip = 0;
    }
    Ok((nums, total))
}

/// A page of a search that finds a large part of all accounts: each is compared.
fn walk_matches(
    tx: &ReadTx<'_>,
    filter: &Filter,
    term: &Term,
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
) -> Result<(Vec<i64>, i64), DbError> {
    let all = admitted(filter, user_search::count_matches(tx, term)?);
    let total = all.iter().map(|(_, n)| n).sum();
    let classes: Vec<String> = all.into_iter().map(|(class, _)| class).collect();
    let (mut skip, mut nums) = (from, Vec::new());
    for segment in segments(&classes, order_by, descending) {
        let missing = limit - count_of(&nums);
        if missing <= 0 || from >= total {
            break;
        }
        let (key, user_id) =
            if segment.descending { Key::end(segment.list) } else { (Key::decode(segment.list, "")?, "") };
        let mut merge = Merge::new(&segment, segment.descending, &key, user_id, Some(term), skip + missing);
        skip -= merge.skip(tx, skip)?;
        merge.take(tx, missing, &mut nums)?;
    }
    Ok((nums, total))
}

/// A page of a search that finds few accounts: they are sorted here.
fn sort_found(
    mut found: Vec<user_search::Candidate>,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
) -> (Vec<i64>, i64) {
    found.retain(|candidate| Class::parse(&candidate.list_class).admitted_by(filter));
    let key = |candidate: &user_search::Candidate| {
        let text = |value: &Option<String>| value.clone().map(Key::Text);
        match order_by {
            OrderBy::Name => Some(Key::Text(candidate.user_id.clone())),
            OrderBy::Displayname => text(&candidate.displayname),
            OrderBy::AvatarUrl => text(&candidate.avatar_url),
            OrderBy::CreationTs => Some(Key::Int(candidate.created_ts)),
            OrderBy::LastSeenTs => candidate.last_seen_ts.map(Key::Int),
            _ => Class::parse(&candidate.list_class).flag(order_by).map(|flag| Key::Text(flag.to_owned())),
        }
    };
    let place = |candidate: &user_search::Candidate| {
        let key = key(candidate);
        (key.is_none(), key)
    };
    if descending {
        found.sort_by_cached_key(|candidate| (Reverse(place(candidate)), candidate.user_id.clone()));
    } else {
        found.sort_by_cached_key(|candidate| (place(candidate), candidate.user_id.clone()));
    }
    let nums =
        found.iter().skip(usize_of(from)).take(usize_of(limit)).map(|candidate| candidate.num).collect();
    (nums, count_of(&found))
}

/// A merge that begins at position `position`, counted ascending.
fn enter_ascending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    buckets: &[Bucket],
    position: i64,
    wanted: i64,
) -> Result<Merge<'a>, DbError> {
    let mut skip = position;
    let mut entry = None;
    for bucket in buckets {
        entry = Some(bucket);
        let n = bucket.count(&segment.classes);
        if skip < n {
            break;
        }
        skip -= n;
    }
    let (low_key, low_user_id) = entry.map_or(("", ""), |bucket| (&*bucket.low_key, &*bucket.low_user_id));
    let low_key = Key::decode(segment.list, low_key)?;
    let mut merge = Merge::new(segment, false, &low_key, low_user_id, None, skip + wanted);
    merge.skip(tx, skip)?;
    Ok(merge)
}

/// A merge that begins at position `position`, counted descending. Ties stay ascending by user id, so the
/// place is found through the group of equal keys that it falls into.
fn enter_descending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    buckets: &[Bucket],
    size: i64,
    position: i64,
    wanted: i64,
) -> Result<Merge<'a>, DbError> {
    if position == 0 {
        let (key, user_id) = Key::end(segment.list);
        return Ok(Merge::new(segment, true, &key, user_id, None, wanted));
    }
    let from_end = size - 1 - position;
    let at = |position| enter_ascending(tx, segment, buckets, position, 1)?.peek(tx);
    let Some(mirrored) = at(from_end)? else { return Ok(Merge::empty(segment)) };
    if segment.list == List::Name {
        // No ties: user ids are unique.
        return Ok(Merge::new(segment, true, &Key::None, &mirrored.user_id, None, wanted));
    }
    let group_begin = rank(tx, segment, buckets, &mirrored.key, "")?;
    let group_end = rank(tx, segment, buckets, &mirrored.key, AFTER_USER_IDS)?;
    let inside = position - (size - group_end);
    let Some(first) = at(group_begin + inside)? else { return Ok(Merge::empty(segment)) };
    Ok(Merge::new(segment, true, &first.key, &first.user_id, None, wanted))
}

/// How many accounts of the segment sort before a key and user id.
fn rank(
    tx: &ReadTx<'_>,
    segment: &Segment,
    buckets: &[Bucket],
    key: &Key,
    user_id: &str,
) -> Result<i64, DbError> {
    let bound = (key.encode(), user_id);
    let mut before = 0;
    let mut last: Option<&Bucket> = None;
    for bucket in buckets {
        if (&bucket.low_key, &*bucket.low_user_id) > (&bound.0, bound.1) {
            break;
        }
        before += last.map_or(0, |bucket| bucket.count(&segment.classes));
        last = Some(bucket);
    }
    let Some(bucket) = last else { return Ok(0) };
    let statement = match segment.list {
        List::Displayname => &BETWEEN_DISPLAYNAME,
        List::AvatarUrl => &BETWEEN_AVATAR_URL,
        List::CreatedTs => &BETWEEN_CREATED_TS,
        _ => &BETWEEN_LAST_SEEN_TS,
    };
    let low = Key::decode(segment.list, &bucket.low_key)?;
    for class in &segment.classes {
        before += tx.query_one(
            statement,
            &params![class, low.value(), &bucket.low_user_id, key.value(), user_id],
            |row| row.get::<i64>(0),
        )?;
    }
    Ok(before)
}

/// Rows of one class ascending from a key and user id (inclusive).
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    list: List,
    class: &str,
    key: &Key,
    user_id: &str,
    limit: i64,
    (name, id): (&str, &str),
) -> Result<Vec<Entry>, DbError> {
    let keyed = |statement: &'static Statement| {
        tx.query(statement, &params![class, key.value(), user_id, limit, name, id], |row| {
            let value = match key {
                Key::Int(_) => Key::Int(row.get(2)?),
                _ => Key::Text(row.get(2)?),
            };
            Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: value })
        })
    };
    let plain = |statement: &'static Statement| {
        tx.query(statement, &params![class, user_id, limit, name, id], |row| {
            Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: Key::None })
        })
    };
    match list {
        List::Name => plain(&FROM_NAME),
        List::DisplaynameNull => plain(&FROM_DISPLAYNAME_NULL),
        List::AvatarUrlNull => plain(&FROM_AVATAR_URL_NULL),
        List::LastSeenTsNull => plain(&FROM_LAST_SEEN_TS_NULL),
        List::Displayname => keyed(&FROM_DISPLAYNAME),
        List::AvatarUrl => keyed(&FROM_AVATAR_URL),
        List::CreatedTs => keyed(&FROM_CREATED_TS),
        List::LastSeenTs => keyed(&FROM_LAST_SEEN_TS),
    }
}

/// Rows of one class descending below a key; for the list of names, below a user id.
fn descending(
    tx: &ReadTx<'_>,
    list: List,
    class: &str,
    key: &Key,
    user_id: &str,
    limit: i64,
    (name, id): (&str, &str),
) -> Result<Vec<Entry>, DbError> {
    let statement = match list {
        List::Displayname => &BEFORE_DISPLAYNAME,
        List::AvatarUrl => &BEFORE_AVATAR_URL,
        List::CreatedTs => &BEFORE_CREATED_TS,
        List::LastSeenTs => &BEFORE_LAST_SEEN_TS,
        _ => {
            return tx.query(&BEFORE_NAME, &params![class, user_id, limit, name, id], |row| {
                Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: Key::None })
            });
        }
    };
    tx.query(statement, &params![class, key.value(), limit, name, id], |row| {
        let value = match key {
            Key::Int(_) => Key::Int(row.get(2)?),
            _ => Key::Text(row.get(2)?),
        };
        Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: value })
    })
}

/// Where a stream of one class goes on reading.
#[derive(Clone)]
enum Next {
    /// Ascending from here; if the flag is set only while the key stays the same, then descending below it.
    From(Key, String, bool),
    /// Descending below here.
    Below(Key, String),
    End,
}

/// The rows of one class, in the order of the segment.
struct Stream<'a> {
    class: &'a str,
    rows: VecDeque<Entry>,
    next: Next,
}

/// A merge of the rows of several classes, in the order of the segment.
struct Merge<'a> {
    list: List,
    descending: bool,
    term: (String, String),
    chunk: i64,
    streams: Vec<Stream<'a>>,
}

impl<'a> Merge<'a> {
    /// Begins at a key and user id; `wanted` rows will be read at least.
    fn new(
        segment: &'a Segment,
        descending: bool,
        key: &Key,
        user_id: &str,
        term: Option<&Term>,
        wanted: i64,
    ) -> Self {
        let next = match (descending, segment.list) {
            // The first row is the one given: what is below it begins just above.
            (true, List::Name) => Next::Below(Key::None, format!("{user_id}\u{1}")),
            (true, _) => Next::From(key.clone(), user_id.to_owned(), true),
            (false, _) => Next::From(key.clone(), user_id.to_owned(), false),
        };
        let stream = |class: &'a String| Stream { class, rows: VecDeque::new(), next: next.clone() };
        Self {
            list: segment.list,
            descending,
            term: Term::parameters(term),
            chunk: wanted.clamp(1, CHUNK),
            streams: segment.classes.iter().map(stream).collect(),
        }
    }

    fn empty(segment: &'a Segment) -> Self {
        Self { streams: Vec::new(), ..Self::new(segment, false, &Key::None, "", None, 1) }
    }

    /// Passes over up to `n` rows; answers how many there were.
    fn skip(&mut self, tx: &ReadTx<'_>, n: i64) -> Result<i64, DbError> {
        for skipped in 0..n {
            if self.pop(tx)?.is_none() {
                return Ok(skipped);
            }
        }
        Ok(n)
    }

    /// Adds up to `n` rows.
    fn take(&mut self, tx: &ReadTx<'_>, n: i64, nums: &mut Vec<i64>) -> Result<(), DbError> {
        for _ in 0..n {
            match self.pop(tx)? {
                Some(entry) => nums.push(entry.num),
                None => break,
            }
        }
        Ok(())
    }

    fn peek(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get(at)?.rows.front().cloned()))
    }

    fn pop(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get_mut(at)?.rows.pop_front()))
    }

    /// The stream whose next row comes first.
    fn first(&mut self, tx: &ReadTx<'_>) -> Result<Option<usize>, DbError> {
        for stream in &mut self.streams {
            while stream.rows.is_empty() && !matches!(stream.next, Next::End) {
                stream.refill(tx, self.list, self.chunk, (&self.term.0, &self.term.1))?;
            }
        }
        let heads =
            self.streams.iter().enumerate().filter_map(|(at, stream)| Some((at, stream.rows.front()?)));
        let by_order = |a: &Entry, b: &Entry| {
            let by_user = a.user_id.cmp(&b.user_id);
            match (self.descending, self.list) {
                (false, _) => a.key.cmp(&b.key).then(by_user),
                (true, List::Name) => by_user.reverse(),
                (true, _) => b.key.cmp(&a.key).then(by_user),
            }
        };
        Ok(heads.min_by(|(_, a), (_, b)| by_order(a, b)).map(|(at, _)| at))
    }
}

impl Stream<'_> {
    /// Reads on. Descending, rows come in runs of equal keys, each of which must be turned round to ascend by user
    /// id; a run that the chunk cut off is read again from its other end.
    fn refill(&mut self, tx: &ReadTx<'_>, list: List, chunk: i64, term: (&str, &str)) -> Result<(), DbError> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::End => {}
            Next::From(key, user_id, one_run) => {
                let rows = ascending(tx, list, self.class, &key, &user_id, chunk, term)?;
                let full = count_of(&rows) == chunk;
                let last = rows.last().cloned();
                self.rows.extend(rows.into_iter().take_while(|row| !one_run || row.key == key));
                self.next = match last {
                    Some(last) if full && (!one_run || last.key == key) => {
                        Next::From(last.key, format!("{}\u{1}", last.user_id), one_run)
                    }
                    _ if one_run => Next::Below(key, String::new()),
                    _ => Next::End,
                };
            }
            Next::Below(key, user_id) => {
                let mut rows = descending(tx, list, self.class, &key, &user_id, chunk, term)?;
                let Some(last) = rows.last().cloned() else { return Ok(()) };
                let full = count_of(&rows) == chunk;
                if list == List::Name {
                    self.rows.extend(rows);
                    self.next = if full { Next::Below(Key::None, last.user_id) } else { Next::End };
                    return Ok(());
                }
                if full {
                    rows.retain(|row| row.key != last.key);
                    self.next = Next::From(last.key, String::new(), true);
                }
                // A stable sort by key turns the runs round: within one, rows are reversed first.
                rows.reverse();
                rows.sort_by(|a, b| if a.key == b.key { Ordering::Equal } else { b.key.cmp(&a.key) });
                self.rows.extend(rows);
            }
        }
        Ok(())
    }
}

fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
