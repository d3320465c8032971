//! The list of accounts: filtered, sorted and paged by offset, in milliseconds at any size.
//!
//! A filter selects *classes* (combinations of flags); for each class and sort order there is one index range. A page
//! is a merge of the ranges of the selected classes, entered at the right place by the counts of
//! [`crate::user_list_counts`].

use reeve_db::{DbError, Engine, ReadTx};
use reeve_model::{User, UserNum};

use crate::user_list_counts::{ClassCount, Counts, List, sum, totals};
use crate::user_list_merge::Merge;
use crate::user_list_rows::{AFTER_USER_IDS, Key, between};
pub use crate::user_search::Term;
use crate::{user_search, users};

/// No search looks up more accounts than this, since it keeps those that match.
const MOST_LOOKED_UP: i64 = 250_000;
/// A page that ends before this place is walked to from the beginning of the list: the counts would cost more.
const NEAR: i64 = if cfg!(test) { 6 } else { 1000 };

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
    let asked = Asked { order_by, descending, from, limit };
    let term = filter.term.as_ref().filter(|term| !term.matches_domain(server_name));
    let totals = totals(tx)?;
    let (admitted, others) = split(filter, &totals);
    let (nums, total) = match term {
        None => walk(tx, &admitted, asked)?,
        Some(term) => match (look_up(tx, term, filter, sum(&totals), asked)?, term.pattern(server_name)) {
            (Some(found), _) => cut(found, asked),
            (None, Some(pattern)) => {
                let total = user_search::count_matches(tx, &pattern, &admitted, &others)?;
                walk_matches(tx, &admitted, &pattern, asked, total)?
            }
            (None, None) => (Vec::new(), 0),
        },
    };
    Ok(UserPage { users: users::by_nums(tx, &nums)?, total })
}

/// Which page, in which order.
#[derive(Clone, Copy)]
struct Asked {
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
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

    /// From the bits of [`user_search::Match::flags`].
    fn of(bits: i64, user_type: Option<&'a str>) -> Self {
        Self { flags: [16, 8, 4, 2, 1].map(|bit| bits & bit != 0), user_type }
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
            OrderBy::UserType
            | OrderBy::Name
            | OrderBy::Displayname
            | OrderBy::AvatarUrl
            | OrderBy::CreationTs
            | OrderBy::LastSeenTs => return self.user_type,
        };
        Some(if flag { "1" } else { "0" })
    }
}

/// A stretch of the answer that one merge of index ranges serves.
pub(crate) struct Segment {
    pub(crate) list: List,
    /// With the number of accounts in each, whether they are in this list or not.
    pub(crate) classes: Vec<ClassCount>,
    pub(crate) descending: bool,
}

/// The stretches of a list, in order.
fn segments(all: &[ClassCount], Asked { order_by, descending, .. }: Asked) -> Vec<Segment> {
    let classes = all;
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
        OrderBy::IsGuest
        | OrderBy::Admin
        | OrderBy::Deactivated
        | OrderBy::UserType
        | OrderBy::ShadowBanned
        | OrderBy::Locked => {
            let rank = |class: &str| {
                let value = Class::parse(class).flag(order_by).map(str::to_owned);
                (value.is_none(), value)
            };
            let mut values: Vec<_> = classes.iter().map(|(class, _)| rank(class)).collect();
            values.sort();
            values.dedup();
            if descending {
                values.reverse();
            }
            let with = |value| classes.iter().filter(|(class, _)| rank(class) == value).cloned().collect();
            values
                .into_iter()
                .map(|value| Segment { list: List::Name, classes: with(value), descending: false })
                .collect()
        }
    }
}

/// The classes there are, with the number of accounts in each: those that the filter lets through, and the others.
fn split(filter: &Filter, totals: &[ClassCount]) -> (Vec<ClassCount>, Vec<ClassCount>) {
    let there = totals.iter().filter(|(_, n)| *n > 0).cloned();
    there.partition(|(class, _)| Class::parse(class).admitted_by(filter))
}

/// A page without a search.
fn walk(tx: &ReadTx<'_>, all: &[ClassCount], asked: Asked) -> Result<(Vec<UserNum>, i64), DbError> {
    let total = sum(all);
    if asked.from.saturating_add(asked.limit) <= NEAR {
        return Ok((from_the_edge(tx, all, "", asked, total)?, total));
    }
    Ok((from_the_counts(tx, all, asked, total)?, total))
}

/// A page of a search that finds `total` accounts, a large part of all: each is compared.
fn walk_matches(
    tx: &ReadTx<'_>,
    all: &[ClassCount],
    pattern: &str,
    asked: Asked,
    total: i64,
) -> Result<(Vec<UserNum>, i64), DbError> {
    if total == sum(all) {
        // Everybody matches, so that the term may be forgotten.
        return walk(tx, all, asked);
    }
    Ok((from_the_edge(tx, all, pattern, asked, total)?, total))
}

/// Walks from the first account of the list to the page.
fn from_the_edge(
    tx: &ReadTx<'_>,
    all: &[ClassCount],
    pattern: &str,
    asked: Asked,
    total: i64,
) -> Result<Vec<UserNum>, DbError> {
    let segments = segments(all, asked);
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let mut merge = Merge::whole(tx, segment, pattern, *skip + missing)?;
        *skip -= merge.skip(tx, *skip)?;
        Ok(Some(merge))
    })
}

/// Enters the list at the page, wherever that is: the counts say where.
fn from_the_counts(
    tx: &ReadTx<'_>,
    all: &[ClassCount],
    asked: Asked,
    total: i64,
) -> Result<Vec<UserNum>, DbError> {
    let segments = segments(all, asked);
    let mut known: Option<Counts> = None;
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let mut counts = match known.take() {
            Some(counts) if counts.list == segment.list => counts,
            _ => Counts::read(tx, segment.list)?,
        };
        let size = counts.sum(&segment.classes);
        let merge = if *skip >= size {
            *skip -= size;
            None
        } else if segment.descending {
            enter_descending(tx, segment, &mut counts, size, std::mem::take(skip), missing)?
        } else {
            Some(enter_ascending(tx, segment, &mut counts, std::mem::take(skip), missing)?)
        };
        known = Some(counts);
        Ok(merge)
    })
}

/// The page, taken from one segment after the other. `enter` begins a segment behind the accounts that are still to
/// be skipped and takes those that it skipped off their number; it answers `None` if the whole segment is skipped.
fn collect<'a>(
    tx: &ReadTx<'_>,
    segments: &'a [Segment],
    asked: Asked,
    total: i64,
    mut enter: impl FnMut(&'a Segment, &mut i64, i64) -> Result<Option<Merge<'a>>, DbError>,
) -> Result<Vec<UserNum>, DbError> {
    let (mut skip, mut nums) = (asked.from, Vec::new());
    for segment in segments {
        let missing = asked.limit - count_of(&nums);
        if missing <= 0 || asked.from >= total {
            break;
        }
        if let Some(mut merge) = enter(segment, &mut skip, missing)? {
            merge.take(tx, missing, &mut nums)?;
        }
    }
    Ok(nums)
}

/// An account that a search found, with its place in the order that was asked for: those without a value last.
struct Found {
    place: (bool, Option<Key>),
    user_id: String,
    num: UserNum,
}

/// All accounts that match and that the filter lets through; `None` where walking over the list is faster than looking
/// them up. `all`: how many accounts there are.
fn look_up(
    tx: &ReadTx<'_>,
    term: &Term,
    filter: &Filter,
    all: i64,
    Asked { order_by, .. }: Asked,
) -> Result<Option<Vec<Found>>, DbError> {
    // How many accounts can be walked over while one is looked up by its number and compared.
    let cost = match tx.engine() {
        Engine::Sqlite => 8,
        Engine::Postgres => 20,
    };
    user_search::matches(tx, term, (MOST_LOOKED_UP.min(all / cost), all), &mut |found| {
        let (bits, user_type) = found.flags()?;
        let class = Class::of(bits, user_type.as_deref());
        if !class.admitted_by(filter) {
            return Ok(None);
        }
        let key = match order_by {
            OrderBy::Name => None,
            OrderBy::Displayname => found.displayname()?.map(Key::Text),
            OrderBy::AvatarUrl => found.avatar_url()?.map(Key::Text),
            OrderBy::CreationTs => Some(Key::Int(found.created_ts()?.get())),
            OrderBy::LastSeenTs => found.last_seen_ts()?.map(|ts| Key::Int(ts.get())),
            OrderBy::IsGuest
            | OrderBy::Admin
            | OrderBy::Deactivated
            | OrderBy::UserType
            | OrderBy::ShadowBanned
            | OrderBy::Locked => class.flag(order_by).map(|flag| Key::Text(flag.to_owned())),
        };
        Ok(Some(Found { place: (key.is_none(), key), user_id: found.user_id()?, num: found.num()? }))
    })
}

/// A page of what a search found, and how much that is. Only the page is sorted.
fn cut(mut found: Vec<Found>, Asked { order_by, descending, from, limit }: Asked) -> (Vec<UserNum>, i64) {
    let in_order = |a: &Found, b: &Found| {
        let (by_place, by_user) = (a.place.cmp(&b.place), a.user_id.cmp(&b.user_id));
        match (descending, order_by) {
            (false, _) => by_place.then(by_user),
            (true, OrderBy::Name) => by_user.reverse(),
            (true, _) => by_place.reverse().then(by_user),
        }
    };
    let total = count_of(&found);
    let begin = usize_of(from).min(found.len());
    let end = begin.saturating_add(usize_of(limit)).min(found.len());
    if begin == end {
        return (Vec::new(), total);
    }
    if end < found.len() {
        found.select_nth_unstable_by(end, in_order);
        found.truncate(end);
    }
    if begin > 0 {
        found.select_nth_unstable_by(begin, in_order);
    }
    let page = found.get_mut(begin..).unwrap_or_default();
    page.sort_unstable_by(in_order);
    (page.iter().map(|found| found.num).collect(), total)
}

/// A merge that begins at position `position`, counted ascending.
fn enter_ascending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    counts: &mut Counts,
    position: i64,
    wanted: i64,
) -> Result<Merge<'a>, DbError> {
    let ((key, user_id), skip) = counts.enter(tx, &segment.classes, position)?;
    let key = Key::decode(segment.list, &key)?;
    let mut merge = Merge::new(tx, segment, false, &key, &user_id, "", skip + wanted);
    merge.skip(tx, skip)?;
    Ok(merge)
}

/// A merge that begins at position `position`, counted descending. Ties stay ascending by user id, so the
/// place is found through the group of equal keys that it falls into.
fn enter_descending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    counts: &mut Counts,
    size: i64,
    position: i64,
    wanted: i64,
) -> Result<Option<Merge<'a>>, DbError> {
    if position == 0 {
        let (key, user_id) = Key::end(segment.list);
        return Ok(Some(Merge::new(tx, segment, true, &key, user_id, "", wanted)));
    }
    let at = |counts: &mut Counts, position| enter_ascending(tx, segment, counts, position, 1)?.peek(tx);
    let Some(mirrored) = at(counts, size - 1 - position)? else { return Ok(None) };
    if segment.list == List::Name {
        // No ties: user ids are unique.
        return Ok(Some(Merge::new(tx, segment, true, &Key::None, &mirrored.user_id, "", wanted)));
    }
    let group_begin = rank(tx, segment, counts, &mirrored.key, "")?;
    let group_end = rank(tx, segment, counts, &mirrored.key, AFTER_USER_IDS)?;
    let inside = position - (size - group_end);
    let Some(first) = at(counts, group_begin + inside)? else { return Ok(None) };
    Ok(Some(Merge::new(tx, segment, true, &first.key, &first.user_id, "", wanted)))
}

/// How many accounts of the segment sort before a key and user id.
fn rank(
    tx: &ReadTx<'_>,
    segment: &Segment,
    counts: &mut Counts,
    key: &Key,
    user_id: &str,
) -> Result<i64, DbError> {
    let place = (key.encode(), user_id.to_owned());
    let (low, mut before) = counts.before(tx, &segment.classes, &place)?;
    let low_key = Key::decode(segment.list, &low.0)?;
    for (class, _) in &segment.classes {
        before += between(tx, segment.list, class, (&low_key, &low.1), (key, user_id))?;
    }
    Ok(before)
}

pub(crate) fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
