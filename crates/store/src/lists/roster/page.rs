//! Pages of a selection, in the orders that are in memory.

use std::cmp::Ordering;

use reeve_model::UserNum;
use serde::{Deserialize, Serialize};

use super::bits::Bits;
use super::columns::{Measure, NEVER, Traits, long, short};
use super::known::{View, all_long};
use super::near::{ByMeasure, near};
use crate::lists::users::{Column, OrderBy};

/// A selection with less than this part of all accounts is sorted; a larger one is found by walking over all in order.
const SPARSE: usize = 16;
/// The requested part of a selection, and its order.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The sort key. Accounts without a value come last ascending and first descending.
    pub order_by: OrderBy,
    /// True to sort descending. Ties are sorted by user id, ascending in either case.
    pub descending: bool,
    /// Where it begins.
    pub start: Start,
    /// The maximum number of accounts.
    pub limit: i64,
}

/// The beginning of a part of a selection.
#[derive(Clone, Debug)]
pub enum Start {
    /// Behind so many accounts.
    Offset(i64),
    /// Behind a place in the order.
    After(Mark),
}

/// A place in an order: that of an account, with the value by which it was sorted. The account may have another value, or not be
/// selected any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    value: Option<MarkValue>,
    #[serde(rename = "n")]
    num: UserNum,
}

/// A value by which accounts are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum MarkValue {
    Flag(bool),
    Time(i64),
    Text(String),
}

impl Mark {
    /// Returns the place of an account in the order of user ids.
    pub fn by_name(num: UserNum) -> Self {
        Self { value: None, num }
    }

    pub(super) fn of_text(num: UserNum, text: Option<String>) -> Self {
        Self { value: text.map(MarkValue::Text), num }
    }

    pub(super) fn num(&self) -> UserNum {
        self.num
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Some(MarkValue::Text(text)) => Some(text),
            Some(MarkValue::Flag(_) | MarkValue::Time(_)) | None => None,
        }
    }
}

/// A part of a selection.
#[derive(Debug)]
pub struct Found {
    /// The numbers of its accounts, in order.
    pub nums: Vec<UserNum>,
    /// The number of accounts in the whole selection.
    pub total: i64,
    /// The place of its last account, if more follow.
    pub next: Option<Mark>,
}

/// Accounts that follow each other in an order.
enum Group {
    /// Those whose traits are marked, by user id.
    Names { admitted: Option<Vec<bool>>, without: Option<Measure>, descending: bool },
    /// Those with a time, by it.
    Times(Measure),
}

/// The numbers of accounts still to be skipped and taken, while one group after the other is read.
pub(super) struct Left {
    pub(super) skip: usize,
    pub(super) after: Option<(Option<i64>, u32)>,
    pub(super) want: usize,
}

/// Returns a part of the chosen accounts; `None` if it begins after an account that does not exist.
pub(super) fn page(view: &View<'_>, chosen: &Bits, asked: &Asked) -> Option<Found> {
    let total = chosen.count();
    let limit = usize::try_from(asked.limit).unwrap_or_default();
    let mut left = Left { skip: 0, after: None, want: limit.saturating_add(1) };
    let mut groups = groups(view, asked);
    match &asked.start {
        Start::Offset(offset) => left.skip = usize::try_from(*offset).unwrap_or_default(),
        Start::After(mark) => {
            let num = short(mark.num).ok().filter(|num| view.known.columns.has(*num))?;
            let at = groups.iter().position(|(value, _)| value.holds(mark.value.as_ref()))?;
            groups.drain(..at);
            let time = match mark.value {
                Some(MarkValue::Time(time)) => Some(time),
                Some(MarkValue::Flag(_) | MarkValue::Text(_)) | None => None,
            };
            left.after = Some((time, num));
        }
    }
    let mut nums = Vec::new();
    if left.skip < total && limit > 0 {
        for (_, group) in &groups {
            if nums.len() >= left.want {
                break;
            }
            take(view, chosen, group, asked.descending, &mut left, &mut nums);
            left.after = None;
        }
    }
    let has_more = nums.len() > limit;
    nums.truncate(limit);
    let last = nums.last().copied().filter(|_| has_more);
    Some(Found {
        next: last.map(|num| Mark { value: value_of(view, num, asked.order_by), num: long(num) }),
        nums: all_long(nums),
        total: i64::try_from(total).unwrap_or(i64::MAX),
    })
}

/// The values that a group has.
enum Values {
    Any,
    Times,
    Exactly(Option<MarkValue>),
}

impl Values {
    fn holds(&self, value: Option<&MarkValue>) -> bool {
        match self {
            Self::Any => value.is_none(),
            Self::Times => matches!(value, Some(MarkValue::Time(_))),
            Self::Exactly(own) => own.as_ref() == value,
        }
    }
}

/// Returns the groups of an order, in their order.
fn groups(view: &View<'_>, Asked { order_by, descending, .. }: &Asked) -> Vec<(Values, Group)> {
    let all = |descending| Group::Names { admitted: None, without: None, descending };
    let mut groups = match order_by {
        OrderBy::Name => return vec![(Values::Any, all(*descending))],
        OrderBy::Column(Column::CreatedTs) => vec![(Values::Times, Group::Times(Measure::Created))],
        OrderBy::Column(Column::LastSeenTs) => {
            let never = Group::Names { admitted: None, without: Some(Measure::LastSeen), descending: false };
            vec![(Values::Times, Group::Times(Measure::LastSeen)), (Values::Exactly(None), never)]
        }
        OrderBy::Flag(_) | OrderBy::UserType => {
            let keys: Vec<_> = view.all_traits().map(|traits| sort_value(traits, *order_by)).collect();
            let mut distinct = keys.clone();
            // Accounts without a value come last.
            distinct.sort_by(|a, b| a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(b)));
            distinct.dedup();
            let of = |value: Option<MarkValue>| {
                let admitted = Some(keys.iter().map(|key| *key == value).collect());
                (Values::Exactly(value), Group::Names { admitted, without: None, descending: false })
            };
            distinct.into_iter().map(of).collect()
        }
        // They are not in memory.
        OrderBy::Column(Column::Displayname | Column::AvatarUrl) => Vec::new(),
    };
    if *descending {
        groups.reverse();
    }
    groups
}

/// Returns the value of traits by which an order sorts.
fn sort_value(traits: &Traits, order_by: OrderBy) -> Option<MarkValue> {
    match order_by {
        OrderBy::Flag(flag) => Some(MarkValue::Flag(traits.has(flag))),
        OrderBy::UserType => traits.user_type.clone().map(MarkValue::Text),
        OrderBy::Name | OrderBy::Column(_) => None,
    }
}

/// Returns the value of an account by which an order sorts.
fn value_of(view: &View<'_>, num: u32, order_by: OrderBy) -> Option<MarkValue> {
    let time = |time| Some(view.value_of(num, time)).filter(|time| *time != NEVER).map(MarkValue::Time);
    match order_by {
        OrderBy::Column(Column::CreatedTs) => time(Measure::Created),
        OrderBy::Column(Column::LastSeenTs) => time(Measure::LastSeen),
        OrderBy::Flag(_) | OrderBy::UserType => {
            let index = view.traits_of(num) as usize;
            sort_value(view.all_traits().nth(index)?, order_by)
        }
        OrderBy::Name | OrderBy::Column(Column::Displayname | Column::AvatarUrl) => None,
    }
}

/// Takes accounts of a group.
fn take(
    view: &View<'_>,
    chosen: &Bits,
    group: &Group,
    descending: bool,
    left: &mut Left,
    nums: &mut Vec<u32>,
) {
    match group {
        Group::Times(time) => by_time(view, chosen, *time, descending, left, nums),
        Group::Names { admitted: None, without: None, descending } => {
            by_name(view, chosen, *descending, left, nums);
        }
        Group::Names { admitted, without, descending } => {
            let mut some = chosen.clone();
            if let Some(admitted) = admitted {
                let is_admitted = |traits: u32| admitted.get(traits as usize).copied().unwrap_or(false);
                some.keep(&view.known.columns.traits, is_admitted);
                view.correct(&mut some, chosen, |num| is_admitted(view.traits_of(num)));
            }
            if let Some(measure) = without {
                some = without_value(view, &some, *measure);
            }
            by_name(view, &some, *descending, left, nums);
        }
    }
}

/// Returns the chosen accounts that lack a value.
pub(super) fn without_value(view: &View<'_>, chosen: &Bits, measure: Measure) -> Bits {
    let mut some = chosen.clone();
    some.keep(measure.of_columns(&view.known.columns), |value| value == NEVER);
    view.correct(&mut some, chosen, |num| view.value_of(num, measure) == NEVER);
    some
}

/// Takes accounts by user id.
pub(super) fn by_name(
    view: &View<'_>,
    chosen: &Bits,
    descending: bool,
    left: &mut Left,
    nums: &mut Vec<u32>,
) {
    let names = &view.known.names;
    let after = left.after.map(|(_, num)| names.key(num));
    let count = chosen.count();
    if after.is_none() && left.skip >= count {
        left.skip -= count;
        return;
    }
    if count.saturating_mul(SPARSE) < view.len() {
        let direct = |key: u64| if descending { !key } else { key };
        let after = after.map(direct);
        let keys = chosen.iter().map(|num| (direct(names.key(num)), num));
        let mut keys: Vec<_> = keys.filter(|(key, _)| after.is_none_or(|after| *key > after)).collect();
        let missing = left.want - nums.len();
        nums.extend(cut(&mut keys, left.skip, missing, Ord::cmp).iter().map(|(_, num)| *num));
        left.skip = 0;
        return;
    }
    let visit = |num| {
        if !chosen.has(num) {
            return true;
        }
        if left.skip > 0 {
            left.skip -= 1;
            return true;
        }
        nums.push(num);
        nums.len() < left.want
    };
    if descending { names.descend(after, visit) } else { names.ascend(after, visit) }
}

/// Takes accounts by a time.
fn by_time(
    view: &View<'_>,
    chosen: &Bits,
    time: Measure,
    descending: bool,
    left: &mut Left,
    nums: &mut Vec<u32>,
) {
    let names = &view.known.names;
    let in_order =
        |a: &(i64, u32), b: &(i64, u32)| a.0.cmp(&b.0).then_with(|| names.key(a.1).cmp(&names.key(b.1)));
    let from = left.after.map(|(value, _)| value.unwrap_or(NEVER));
    let order = ByMeasure { measure: time, descending, from };
    let missing = left.want - nums.len();
    let mut found = near(view, chosen, order, left.skip..left.skip.saturating_add(missing));
    if left.skip >= found.count {
        left.skip -= found.count;
        return;
    }
    if let Some((value, num)) = left.after {
        let after = (order.directed(value.unwrap_or(NEVER)), num);
        found.items.retain(|item| in_order(item, &after) == Ordering::Greater);
    }
    let page = cut(&mut found.items, left.skip - found.before, missing, in_order);
    nums.extend(page.iter().map(|(_, num)| *num));
    left.skip = 0;
}

/// Cuts a page from items in no order. Only the page is sorted.
pub(super) fn cut<T>(
    items: &mut Vec<T>,
    skip: usize,
    want: usize,
    in_order: impl Fn(&T, &T) -> Ordering,
) -> &[T] {
    let begin = skip.min(items.len());
    let end = begin.saturating_add(want).min(items.len());
    if begin == end {
        return &[];
    }
    if end < items.len() {
        items.select_nth_unstable_by(end, &in_order);
        items.truncate(end);
    }
    if begin > 0 {
        items.select_nth_unstable_by(begin, &in_order);
    }
    let page = items.get_mut(begin..).unwrap_or_default();
    page.sort_unstable_by(in_order);
    page
}
