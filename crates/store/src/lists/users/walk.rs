//! Walking to a page of a list, from its beginning or from a bucket.

use std::collections::BTreeMap;

use reeve_db::{DbError, ReadTx};
use reeve_model::UserNum;

use super::class::{Class, ClassCount, sum};
use super::counts::Counts;
use super::merge::{Merge, Segment, Start};
use super::order::{AFTER_USER_IDS, Column, Key, List, OrderBy, Position};
use super::rows::between;
use crate::paging::{Paging, count_of};

/// The end of the pages that are reached from the beginning of the list: reading counts would cost more.
const NEAR: i64 = if cfg!(test) { 6 } else { 1000 };

/// The requested page, and its order.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) order_by: OrderBy,
    pub(super) descending: bool,
    pub(super) paging: Paging,
}

/// Returns a page of all accounts in these classes.
pub(super) fn page(tx: &ReadTx<'_>, classes: &[ClassCount], asked: Asked) -> Result<Vec<UserNum>, DbError> {
    let total = sum(classes);
    if asked.paging.from.saturating_add(asked.paging.limit) <= NEAR {
        return from_the_edge(tx, classes, "", asked, total);
    }
    from_the_counts(tx, classes, asked, total)
}

/// Returns a page of the `total` accounts in these classes that match a pattern. They are a large part of all, so each
/// account is compared.
pub(super) fn page_of_matches(
    tx: &ReadTx<'_>,
    classes: &[ClassCount],
    pattern: &str,
    asked: Asked,
    total: i64,
) -> Result<Vec<UserNum>, DbError> {
    if total == sum(classes) {
        // All accounts match, so the term changes nothing.
        return page(tx, classes, asked);
    }
    from_the_edge(tx, classes, pattern, asked, total)
}

/// Returns the segments of a list, in order.
fn segments(classes: &[ClassCount], Asked { order_by, descending, .. }: Asked) -> Vec<Segment> {
    let all = |list, descending| Segment { list, classes: classes.to_vec(), descending };
    match order_by {
        OrderBy::Name => vec![all(List::Name, descending)],
        OrderBy::Column(column) => {
            let mut segments = vec![all(List::With(column), descending)];
            if column.definition().is_optional {
                segments.push(all(List::Without(column), false));
            }
            if descending {
                segments.reverse();
            }
            segments
        }
        OrderBy::Flag(flag) => by_class(classes, descending, |class| class.has(flag)),
        OrderBy::UserType => by_class(classes, descending, |class| {
            let user_type = class.user_type.map(str::to_owned);
            (user_type.is_none(), user_type)
        }),
    }
}

/// Returns the segments of an order that depends on the class alone.
fn by_class<K: Ord>(classes: &[ClassCount], descending: bool, key: impl Fn(&Class<'_>) -> K) -> Vec<Segment> {
    let mut of_key: BTreeMap<K, Vec<ClassCount>> = BTreeMap::new();
    for counted in classes {
        of_key.entry(key(&Class::parse(&counted.class))).or_default().push(counted.clone());
    }
    let segment = |classes| Segment { list: List::Name, classes, descending: false };
    let segments = of_key.into_values().map(segment);
    if descending { segments.rev().collect() } else { segments.collect() }
}

/// Walks from the first account of the list to the page.
fn from_the_edge(
    tx: &ReadTx<'_>,
    classes: &[ClassCount],
    pattern: &str,
    asked: Asked,
    total: i64,
) -> Result<Vec<UserNum>, DbError> {
    let segments = segments(classes, asked);
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let mut merge = Merge::whole(tx, segment, pattern, *skip + missing);
        *skip -= merge.skip(tx, *skip)?;
        Ok(Some(merge))
    })
}

/// Enters the list at the page, which the counts locate.
fn from_the_counts(
    tx: &ReadTx<'_>,
    classes: &[ClassCount],
    asked: Asked,
    total: i64,
) -> Result<Vec<UserNum>, DbError> {
    let segments = segments(classes, asked);
    let mut known: Option<Counts> = None;
    collect(tx, &segments, asked, total, |segment, skip, missing| {
        let mut counts = match known.take().filter(|counts| counts.list == segment.list) {
            Some(counts) => counts,
            None => Counts::read(tx, segment.list)?,
        };
        let size = counts.sum(&segment.classes);
        let merge = if *skip >= size {
            *skip -= size;
            None
        } else {
            let position = std::mem::take(skip);
            if segment.descending {
                enter_descending(tx, segment, &mut counts, size, position, missing)?
            } else {
                Some(enter_ascending(tx, segment, &mut counts, position, missing)?)
            }
        };
        known = Some(counts);
        Ok(merge)
    })
}

/// Reads the page from one segment after the other. `enter` begins a segment behind the accounts that are still to be
/// skipped, and subtracts the skipped ones from their number; it returns `None` if the whole segment is skipped.
fn collect<'a>(
    tx: &ReadTx<'_>,
    segments: &'a [Segment],
    Asked { paging, .. }: Asked,
    total: i64,
    mut enter: impl FnMut(&'a Segment, &mut i64, i64) -> Result<Option<Merge<'a>>, DbError>,
) -> Result<Vec<UserNum>, DbError> {
    let (mut skip, mut nums) = (paging.from, Vec::new());
    for segment in segments {
        let missing = paging.limit - count_of(&nums);
        if missing <= 0 || paging.from >= total {
            break;
        }
        if let Some(mut merge) = enter(segment, &mut skip, missing)? {
            merge.take(tx, missing, &mut nums)?;
        }
    }
    Ok(nums)
}

/// Returns a merge that begins at an offset, counted ascending.
fn enter_ascending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    counts: &mut Counts,
    offset: i64,
    wanted: i64,
) -> Result<Merge<'a>, DbError> {
    let bucket = counts.holding(tx, &segment.classes, offset)?;
    let skip = offset - bucket.before;
    let position = bucket.start.position(segment.list)?;
    let start = Start { position, descending: false, pattern: "", wanted: skip + wanted };
    let mut merge = Merge::new(tx, segment, start);
    merge.skip(tx, skip)?;
    Ok(merge)
}

/// Returns a merge that begins at an offset, counted descending. Ties stay ascending by user id, so the place is found
/// through the group of equal keys that contains it.
fn enter_descending<'a>(
    tx: &ReadTx<'_>,
    segment: &'a Segment,
    counts: &mut Counts,
    size: i64,
    offset: i64,
    wanted: i64,
) -> Result<Option<Merge<'a>>, DbError> {
    if offset == 0 {
        return Ok(Some(Merge::whole(tx, segment, "", wanted)));
    }
    let at = |counts: &mut Counts, offset| {
        let entry = enter_ascending(tx, segment, counts, offset, 1)?.peek(tx)?;
        Ok::<_, DbError>(entry.map(|entry| Position { key: entry.key, user_id: entry.user_id }))
    };
    let Some(mirrored) = at(counts, size - 1 - offset)? else { return Ok(None) };
    let position = match segment.list {
        // There are no ties: user ids are unique.
        List::Name | List::Without(_) => mirrored,
        List::With(column) => {
            let group_begin = rank(tx, segment, counts, column, &mirrored.key, "")?;
            let group_end = rank(tx, segment, counts, column, &mirrored.key, AFTER_USER_IDS)?;
            let inside = offset - (size - group_end);
            let Some(first) = at(counts, group_begin + inside)? else { return Ok(None) };
            first
        }
    };
    Ok(Some(Merge::new(tx, segment, Start { position, descending: true, pattern: "", wanted })))
}

/// Returns the number of accounts of the segment, which is sorted by a column, before a key and user id.
fn rank(
    tx: &ReadTx<'_>,
    segment: &Segment,
    counts: &mut Counts,
    column: Column,
    key: &Key,
    user_id: &str,
) -> Result<i64, DbError> {
    let position = Position { key: key.clone(), user_id: user_id.to_owned() };
    let bucket = counts.around(tx, &segment.classes, &position)?;
    let start = bucket.start.position(segment.list)?;
    let mut before = bucket.before;
    for counted in &segment.classes {
        before += between(tx, column, &counted.class, &start, &position)?;
    }
    Ok(before)
}
