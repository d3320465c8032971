//! Pages of a selection in the orders of texts, which are not in memory: few accounts are looked up and sorted, and many are
//! found by walking over the list of all accounts in that order.

use reeve_db::{DbError, ReadTx, params};
use reeve_model::UserNum;

use super::bits::Bits;
use super::columns::{long, short};
use super::page::{Asked, Found, Mark, Start, cut};
use crate::lists::users::{Column, Key, List, Merge, MergeStart, Position, Segment, candidates, counts};
use crate::sql::num_list;
use crate::users;

/// The number of accounts up to which a selection is looked up.
const LOOKED_UP: usize = if cfg!(test) { 6 } else { 2000 };

/// An account with its text.
struct Item {
    text: Option<String>,
    user_id: String,
    num: UserNum,
}

/// Returns a part of the chosen accounts by a column of texts; `None` if it begins after an account that does not exist.
pub(super) fn page(
    tx: &ReadTx<'_>,
    chosen: &Bits,
    column: Column,
    asked: &Asked,
) -> Result<Option<Found>, DbError> {
    let total = chosen.count();
    let limit = usize::try_from(asked.limit).unwrap_or_default();
    let (skip, after) = match &asked.start {
        Start::Offset(offset) => (usize::try_from(*offset).unwrap_or_default(), None),
        Start::After(mark) => {
            let Some(user_id) = users::user_id(tx, mark.num())? else { return Ok(None) };
            (0, Some(Item { text: mark.text().map(str::to_owned), user_id, num: mark.num() }))
        }
    };
    let wanted = Part { column, descending: asked.descending, skip, after, want: limit.saturating_add(1) };
    let mut items = match () {
        () if limit == 0 || skip >= total => Vec::new(),
        () if total <= LOOKED_UP => looked_up(tx, chosen, &wanted)?,
        () => walked(tx, chosen, total, &wanted)?,
    };
    let has_more = items.len() > limit;
    items.truncate(limit);
    let nums = items.iter().map(|item| item.num).collect();
    let next = items.pop().filter(|_| has_more).map(|last| Mark::of_text(last.num, last.text));
    Ok(Some(Found { nums, total: i64::try_from(total).unwrap_or(i64::MAX), next }))
}

/// A part of the accounts in an order.
struct Part {
    column: Column,
    descending: bool,
    skip: usize,
    after: Option<Item>,
    want: usize,
}

impl Part {
    fn in_order(&self, a: &Item, b: &Item) -> std::cmp::Ordering {
        let key = |item: &Item| (item.text.is_none(), item.text.clone());
        let by_text = key(a).cmp(&key(b));
        (if self.descending { by_text.reverse() } else { by_text }).then_with(|| a.user_id.cmp(&b.user_id))
    }

    fn is_behind_start(&self, item: &Item) -> bool {
        self.after.as_ref().is_none_or(|after| self.in_order(item, after).is_gt())
    }
}

/// Looks all accounts up, and sorts them.
fn looked_up(tx: &ReadTx<'_>, chosen: &Bits, part: &Part) -> Result<Vec<Item>, DbError> {
    let nums: Vec<UserNum> = chosen.iter().map(long).collect();
    let mut items = tx.query(&candidates::BY_NUMS, &params![num_list(tx.engine(), &nums)], |row| {
        Ok(Item { text: row.get(part.column.index())?, user_id: row.get(2)?, num: row.get(0)? })
    })?;
    items.retain(|item| part.is_behind_start(item));
    let first = items.len() - items.len().saturating_sub(part.skip);
    let len = cut(&mut items, part.skip, part.want, |a, b| part.in_order(a, b)).len();
    Ok(items.into_iter().skip(first).take(len).collect())
}

/// Walks over all accounts in order, and takes those that are chosen.
fn walked(tx: &ReadTx<'_>, chosen: &Bits, total: usize, part: &Part) -> Result<Vec<Item>, DbError> {
    let classes: Vec<_> = counts::totals(tx)?.into_iter().filter(|counted| counted.n > 0).collect();
    let all: i64 = classes.iter().map(|counted| counted.n).sum();
    let ahead = i64::try_from(part.skip.saturating_add(part.want)).unwrap_or(i64::MAX);
    let rows = ahead.saturating_mul(all / i64::try_from(total).unwrap_or(1).max(1) + 1);
    let mut lists = vec![List::With(part.column), List::Without(part.column)];
    if part.descending {
        lists.reverse();
    }
    if let Some(after) = &part.after {
        let has_text = after.text.is_some();
        let at = lists.iter().position(|list| matches!(list, List::With(_)) == has_text);
        lists.drain(..at.unwrap_or_default());
    }
    let (mut skip, mut items) = (part.skip, Vec::new());
    for (at, list) in lists.into_iter().enumerate() {
        let descending = part.descending && matches!(list, List::With(_));
        let segment = Segment { list, classes: classes.clone(), descending };
        let start = part.after.as_ref().filter(|_| at == 0);
        let mut merge = match start {
            None => Merge::whole(tx, &segment, "", rows),
            Some(Item { text, user_id, .. }) => {
                let key = text.clone().map_or(Key::None, Key::Text);
                let position = Position { key, user_id: user_id.clone() };
                Merge::new(tx, &segment, MergeStart { position, descending, pattern: "", wanted: rows })
            }
        };
        while items.len() < part.want
            && let Some(entry) = merge.pop(tx)?
        {
            if !chosen.has(short(entry.num)?) || start.is_some_and(|start| start.user_id == entry.user_id) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let text = match entry.key {
                Key::Text(text) => Some(text),
                Key::None | Key::Int(_) => None,
            };
            items.push(Item { text, user_id: entry.user_id, num: entry.num });
        }
    }
    Ok(items)
}
