//! The list of accounts: filtered, sorted and paged by offset, in milliseconds at any size.
//!
//! A filter selects *classes* (combinations of flags); for each class and sort order there is one index range. A page
//! is a merge of the ranges of the selected classes, entered at the right place by the counts of
//! [`crate::user_list_counts`].

use std::cmp::Reverse;

use reeve_db::{DbError, ReadTx};
use reeve_model::User;

use crate::user_list_counts::{Bucket, List, buckets, totals};
use crate::user_list_merge::Merge;
use crate::user_list_rows::{AFTER_USER_IDS, Key, between};
pub use crate::user_search::Term;
use crate::{user_search, users};

/// A search that finds more accounts than this is answered by walking the list instead.
const FEW: usize = if cfg!(test) { 10 } else { 20_000 };
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
    let (nums, total) = match term {
        None => walk(tx, filter, asked)?,
        Some(term) => match (user_search::candidates(tx, term, FEW)?, term.pattern(server_name)) {
            (Some(found), _) => sort_found(found, filter, asked),
            (None, Some(pattern)) => walk_matches(tx, filter, &pattern, asked)?,
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
pub(crate) struct Segment {
    pub(crate) list: List,
    pub(crate) classes: Vec<String>,
    pub(crate) descending: bool,
}

/// The stretches of a list, in order.
fn segments(all: &[(String, i64)], Asked { order_by, descending, .. }: Asked) -> Vec<Segment> {
    let classes: Vec<String> = all.iter().map(|(class, _)| class.clone()).collect();
    let all = |list, descending| Segment { list, classes: classes.clone(), descending };
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
fn admitted(filter: &Filter, totals: &[(String, i64)]) -> Vec<(String, i64)> {
    totals.iter().filter(|(class, n)| *n > 0 && Class::parse(class).admitted_by(filter)).cloned().collect()
}

fn sum(classes: &[(String, i64)]) -> i64 {
    classes.iter().map(|(_, n)| n).sum()
}

/// A page without a search.
fn walk(tx: &ReadTx<'_>, filter: &Filter, asked: Asked) -> Result<(Vec<i64>, i64), DbError> {
    let all = admitted(filter, &totals(tx)?);
    let total = sum(&all);
    if asked.from.saturating_add(asked.limit) <= NEAR {
        return Ok((from_the_edge(tx, &all, "", asked, total)?, total));
    }
    Ok((from_the_counts(tx, &all, asked, total)?, total))
}

/// A page of a search that finds a large part of all accounts: each is compared.
fn walk_matches(
    tx: &ReadTx<'_>,
    filter: &Filter,
    pattern: &str,
    asked: Asked,
) -> Result<(Vec<i64>, i64), DbError> {
    let all = admitted(filter, &totals(tx)?);
    let total = user_search::count_matches(tx, pattern, &all)?;
    if total == sum(&all) {
        // Everybody matches, so that the term may be forgotten.
        return walk(tx, filter, asked);
    }
    Ok((from_the_edge(tx, &all, pattern, asked, total)?, total))
}

/// Walks from the first account of the list to the page.
fn from_the_edge(
    tx: &ReadTx<'_>,
    all: &[(String, i64)],
    pattern: &str,
    asked: Asked,
    total: i64,
) -> Result<Vec<i64>, DbError> {
    let segments = segments(all, asked);
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let mut merge = Merge::whole(segment, pattern, *skip + missing)?;
        *skip -= merge.skip(tx, *skip)?;
        Ok(Some(merge))
    })
}

/// Enters the list at the page, wherever that is: the counts say where.
fn from_the_counts(
    tx: &ReadTx<'_>,
    all: &[(String, i64)],
    asked: Asked,
    total: i64,
) -> Result<Vec<i64>, DbError> {
    let segments = segments(all, asked);
    let mut known: Option<(List, Vec<Bucket>)> = None;
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let buckets = match known.take() {
            Some((list, buckets)) if list == segment.list => buckets,
            _ => buckets(tx, segment.list)?,
        };
        let size: i64 = buckets.iter().map(|bucket| bucket.count(&segment.classes)).sum();
        let merge = if *skip >= size {
            *skip -= size;
            None
        } else if segment.descending {
            Some(enter_descending(tx, segment, &buckets, size, std::mem::take(skip), missing)?)
        } else {
            Some(enter_ascending(tx, segment, &buckets, std::mem::take(skip), missing)?)
        };
        known = Some((segment.list, buckets));
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
) -> Result<Vec<i64>, DbError> {
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

/// A page of a search that finds few accounts: they are sorted here.
fn sort_found(
    mut found: Vec<user_search::Candidate>,
    filter: &Filter,
    Asked { order_by, descending, from, limit }: Asked,
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
    let mut merge = Merge::new(segment, false, &low_key, low_user_id, "", skip + wanted);
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
        return Ok(Merge::new(segment, true, &key, user_id, "", wanted));
    }
    let from_end = size - 1 - position;
    let at = |position| enter_ascending(tx, segment, buckets, position, 1)?.peek(tx);
    let Some(mirrored) = at(from_end)? else { return Ok(Merge::empty(segment)) };
    if segment.list == List::Name {
        // No ties: user ids are unique.
        return Ok(Merge::new(segment, true, &Key::None, &mirrored.user_id, "", wanted));
    }
    let group_begin = rank(tx, segment, buckets, &mirrored.key, "")?;
    let group_end = rank(tx, segment, buckets, &mirrored.key, AFTER_USER_IDS)?;
    let inside = position - (size - group_end);
    let Some(first) = at(group_begin + inside)? else { return Ok(Merge::empty(segment)) };
    Ok(Merge::new(segment, true, &first.key, &first.user_id, "", wanted))
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
    let low = Key::decode(segment.list, &bucket.low_key)?;
    for class in &segment.classes {
        before += between(tx, segment.list, class, (&low, &bucket.low_user_id), (key, user_id))?;
    }
    Ok(before)
}

pub(crate) fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
