//! The accounts near some places in an order by numbers.
//!
//! Few of all accounts are near a page. Two bounds around them are estimated from a sample, and the accounts outside are
//! counted and left out by passes over the column; if the sample misled, all are taken. So it costs the same in any order of the
//! values, and what is returned is exact in either case.

use std::ops::Range;

use super::bits::Bits;
use super::columns::{Measure, NEVER};
use super::known::View;

/// The number of accounts up to which all are near.
const FEW: usize = if cfg!(test) { 6 } else { 8192 };
/// The number of accounts in a sample, at most twice.
const SAMPLE: usize = if cfg!(test) { 4 } else { 4096 };
/// The places that are added to either side, as a part of the sample and as a number: the estimate is rarely further off.
const MARGIN_OF: usize = 32;
const MARGIN: usize = if cfg!(test) { 0 } else { 8 };

/// An order by numbers, or the part of it from a value on.
#[derive(Clone, Copy)]
pub(super) struct ByMeasure {
    pub(super) measure: Measure,
    pub(super) descending: bool,
    pub(super) from: Option<i64>,
}

impl ByMeasure {
    /// Returns a number that ascends in this order.
    pub(super) fn directed(self, value: i64) -> i64 {
        if self.descending { !value } else { value }
    }
}

/// The accounts near some places.
pub(super) struct Near {
    /// Accounts with their directed values, in no order. Those at the places are among them.
    pub(super) items: Vec<(i64, u32)>,
    /// The number of accounts before all of these.
    pub(super) before: usize,
    /// The number of all accounts with a value, in this part of the order.
    pub(super) count: usize,
    /// The number of those that have the first value of the part, if one was given. Places count behind none of them, so that
    /// so many more were taken.
    pub(super) ties: usize,
}

/// Returns the chosen accounts near some places, among those that have a value.
pub(super) fn near(view: &View<'_>, chosen: &Bits, order: ByMeasure, places: Range<usize>) -> Near {
    let column = order.measure.of_columns(&view.known.columns);
    let from = order.from.map_or(i64::MIN, |from| order.directed(from));
    let is_in = |value: i64| value != NEVER && order.directed(value) >= from;
    let mut in_columns = chosen.clone();
    // The values of accounts that were read again are elsewhere; there are few.
    let mut items = Vec::new();
    for num in view.reread.nums.iter().copied().filter(|num| chosen.has(*num)) {
        in_columns.set(num, false);
        let value = view.value_of(num, order.measure);
        if is_in(value) {
            items.push((order.directed(value), num));
        }
    }
    in_columns.keep(column, is_in);
    let count = in_columns.count() + items.len();
    let ties = if order.from.is_some() {
        let reread = items.iter().filter(|(value, _)| *value == from).count();
        in_columns.count_of(column, |value| order.directed(value) == from) + reread
    } else {
        0
    };
    let places = places.start..places.end.saturating_add(ties);
    let mut before = 0;
    if let Some((low, high)) = bounds(&in_columns, column, order, &places) {
        let mut some = in_columns.clone();
        some.keep(column, |value| (low..=high).contains(&order.directed(value)));
        let is_lower = |value| order.directed(value) < low;
        let lower = if low == i64::MIN { 0 } else { in_columns.count_of(column, is_lower) };
        let lower_reread = items.iter().filter(|(value, _)| *value < low).count();
        let is_right = lower + lower_reread <= places.start
            && lower + some.count() >= places.end.min(in_columns.count());
        if is_right {
            (in_columns, before) = (some, lower);
        }
    }
    let value = |num: u32| column.get(num as usize).copied().unwrap_or(NEVER);
    items.extend(in_columns.iter().map(|num| (order.directed(value(num)), num)));
    Near { items, before, count, ties }
}

/// Returns an estimate of the lowest and the highest directed value at some places; `None` if all are near.
fn bounds(chosen: &Bits, column: &[i64], order: ByMeasure, places: &Range<usize>) -> Option<(i64, i64)> {
    let count = chosen.count();
    if count <= FEW {
        return None;
    }
    let sampled = chosen.spread(SAMPLE).filter_map(|num| column.get(num as usize));
    let mut sample: Vec<i64> = sampled.map(|value| order.directed(*value)).collect();
    sample.sort_unstable();
    let margin = sample.len() / MARGIN_OF + MARGIN;
    let at = |place: usize| place.min(count).saturating_mul(sample.len()) / count;
    let low = at(places.start).checked_sub(margin + 1).and_then(|at| sample.get(at));
    let high = sample.get(at(places.end) + margin);
    Some((low.copied().unwrap_or(i64::MIN), high.copied().unwrap_or(i64::MAX)))
}
