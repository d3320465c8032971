//! Pages of a selection in the orders of texts. Only the beginnings of display names are in memory: by these the few accounts
//! are found whose texts decide, which are looked up. Avatars begin alike: few are looked up, and many are found by walking
//! over the list of all accounts in that order.

use std::ops::Range;

use reeve_db::{DbError, ReadTx, params};
use reeve_model::UserNum;

use super::bits::Bits;
use super::columns::{Measure, beginning, long, short};
use super::known::View;
use super::near::{ByMeasure, Near, near};
use super::page::{Asked, Found, Left, Mark, Start, by_name, cut, without_value};
use crate::lists::users::{Column, Key, List, Merge, MergeStart, Position, Segment, candidates, counts};
use crate::sql::num_list;
use crate::users;

/// The number of accounts up to which their texts are looked up in any case.
const LOOKED_UP: usize = if cfg!(test) { 6 } else { 2000 };
/// The number of accounts that can be walked over in the time of looking one up.
const COST: usize = 8;

/// An account with its text.
struct Item {
    text: Option<String>,
    user_id: String,
    num: UserNum,
}

/// A part of the accounts in an order.
pub(super) struct Part {
    column: Column,
    descending: bool,
    skip: usize,
    after: Option<Item>,
    /// One account more than are asked for shows whether there are more.
    want: usize,
}

/// The accounts that may be in a part, as memory has them.
pub(super) struct Sketch {
    pieces: Vec<Piece>,
    /// The number of all accounts.
    all: usize,
}

/// Accounts that follow each other.
enum Piece {
    /// Accounts without a text, in order.
    Bare(Vec<u32>),
    /// Accounts with a text, in no order, of which the part begins behind so many.
    Near { nums: Vec<u32>, skip: usize },
}

impl Part {
    /// Returns the requested part; `None` if it begins after an account that does not exist.
    pub(super) fn read(tx: &ReadTx<'_>, column: Column, asked: &Asked) -> Result<Option<Self>, DbError> {
        let (skip, after) = match &asked.start {
            Start::Offset(offset) => (usize::try_from(*offset).unwrap_or_default(), None),
            Start::After(mark) => {
                let Some(user_id) = users::user_id(tx, mark.num())? else { return Ok(None) };
                (0, Some(Item { text: mark.text().map(str::to_owned), user_id, num: mark.num() }))
            }
        };
        let want = usize::try_from(asked.limit).unwrap_or_default().saturating_add(1);
        Ok(Some(Self { column, descending: asked.descending, skip, after, want }))
    }

    fn in_order(&self, a: &Item, b: &Item) -> std::cmp::Ordering {
        fn key(item: &Item) -> (bool, Option<&str>) {
            (item.text.is_none(), item.text.as_deref())
        }
        let by_text = key(a).cmp(&key(b));
        (if self.descending { by_text.reverse() } else { by_text }).then_with(|| a.user_id.cmp(&b.user_id))
    }

    fn is_behind_start(&self, item: &Item) -> bool {
        self.after.as_ref().is_none_or(|after| self.in_order(item, after).is_gt())
    }

    /// Returns what memory tells of the part; `None` if it has nothing of the column.
    pub(super) fn sketch(&self, view: &View<'_>, chosen: &Bits) -> Option<Sketch> {
        if self.column != Column::Displayname {
            return None;
        }
        let measure = Measure::Displayname;
        let mut groups = vec![!self.descending, self.descending];
        if self.after.as_ref().is_some_and(|after| Some(&after.text.is_some()) != groups.first()) {
            groups.remove(0);
        }
        let mut left = Left { skip: self.skip, after: None, want: self.want };
        let mut pieces = Vec::new();
        for (at, has_text) in groups.into_iter().enumerate() {
            if left.want == 0 {
                break;
            }
            let after = self.after.as_ref().filter(|_| at == 0);
            if !has_text {
                left.after = after.and_then(|after| Some((None, short(after.num).ok()?)));
                let mut nums = Vec::new();
                by_name(view, &without_value(view, chosen, measure), false, &mut left, &mut nums);
                left.after = None;
                left.want -= nums.len();
                pieces.push(Piece::Bare(nums));
                continue;
            }
            let from = after.map(|after| beginning(after.text.as_deref()));
            let places = left.skip..left.skip.saturating_add(left.want);
            let order = ByMeasure { measure, descending: self.descending, from };
            let found = near(view, chosen, order, places.clone());
            if left.skip >= found.count {
                left.skip -= found.count;
                continue;
            }
            let is_enough = found.count >= places.end.saturating_add(found.ties);
            pieces.push(narrowed(found, &places));
            left.skip = 0;
            if is_enough {
                break;
            }
        }
        Some(Sketch { pieces, all: view.len() })
    }

    /// Returns the part of the chosen accounts.
    pub(super) fn page(
        &self,
        tx: &ReadTx<'_>,
        chosen: &Bits,
        sketch: Option<Sketch>,
    ) -> Result<Found, DbError> {
        let total = chosen.count();
        let limit = self.want - 1;
        let mut items = match sketch {
            _ if limit == 0 || self.skip >= total => Vec::new(),
            Some(sketch) if !self.is_walked_over_sooner(&sketch, total) => {
                self.looked_up(tx, sketch.pieces)?
            }
            None if total <= LOOKED_UP => {
                self.looked_up(tx, vec![Piece::Near { nums: chosen.iter().collect(), skip: self.skip }])?
            }
            Some(_) | None => self.walked(tx, chosen, total)?,
        };
        let has_more = items.len() > limit;
        items.truncate(limit);
        let nums = items.iter().map(|item| item.num).collect();
        let next = items.pop().filter(|_| has_more).map(|last| Mark::of_text(last.num, last.text));
        Ok(Found { nums, total: i64::try_from(total).unwrap_or(i64::MAX), next })
    }

    /// Returns true if many display names begin alike, and the part comes early in the list of all accounts.
    fn is_walked_over_sooner(&self, sketch: &Sketch, total: usize) -> bool {
        let looked_up = sketch.pieces.iter().map(|piece| match piece {
            Piece::Bare(_) => 0,
            Piece::Near { nums, .. } => nums.len(),
        });
        let looked_up: usize = looked_up.sum();
        let ahead = self.skip.saturating_add(self.want);
        let walked = ahead.saturating_mul(sketch.all / total.max(1) + 1);
        looked_up > LOOKED_UP && walked < looked_up.saturating_mul(COST)
    }

    /// Looks up the texts that decide, and sorts by them.
    fn looked_up(&self, tx: &ReadTx<'_>, pieces: Vec<Piece>) -> Result<Vec<Item>, DbError> {
        let mut items = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bare(nums) => {
                    let bare = |num| Item { text: None, user_id: String::new(), num: long(num) };
                    items.extend(nums.into_iter().map(bare));
                }
                Piece::Near { nums, skip } => {
                    let nums: Vec<UserNum> = nums.into_iter().map(long).collect();
                    let list = num_list(tx.engine(), &nums);
                    let mut some = tx.query(&candidates::BY_NUMS, &params![list], |row| {
                        let text = row.get(self.column.index())?;
                        Ok(Item { text, user_id: row.get(2)?, num: row.get(0)? })
                    })?;
                    some.retain(|item| self.is_behind_start(item));
                    let missing = self.want.saturating_sub(items.len());
                    let len = cut(&mut some, skip, missing, |a, b| self.in_order(a, b)).len();
                    items.extend(some.drain(some.len() - len..));
                }
            }
        }
        items.truncate(self.want);
        Ok(items)
    }

    /// Walks over all accounts in order, and takes those that are chosen.
    fn walked(&self, tx: &ReadTx<'_>, chosen: &Bits, total: usize) -> Result<Vec<Item>, DbError> {
        let classes: Vec<_> = counts::totals(tx)?.into_iter().filter(|counted| counted.n > 0).collect();
        let all: i64 = classes.iter().map(|counted| counted.n).sum();
        let ahead = i64::try_from(self.skip.saturating_add(self.want)).unwrap_or(i64::MAX);
        let rows = ahead.saturating_mul(all / i64::try_from(total).unwrap_or(1).max(1) + 1);
        let mut lists = vec![List::With(self.column), List::Without(self.column)];
        if self.descending {
            lists.reverse();
        }
        if let Some(after) = &self.after {
            let has_text = after.text.is_some();
            let at = lists.iter().position(|list| matches!(list, List::With(_)) == has_text);
            lists.drain(..at.unwrap_or_default());
        }
        let (mut skip, mut items) = (self.skip, Vec::new());
        for (at, list) in lists.into_iter().enumerate() {
            let descending = self.descending && matches!(list, List::With(_));
            let segment = Segment { list, classes: classes.clone(), descending };
            let start = self.after.as_ref().filter(|_| at == 0);
            let mut merge = match start {
                None => Merge::whole(tx, &segment, "", rows),
                Some(Item { text, user_id, .. }) => {
                    let key = text.clone().map_or(Key::None, Key::Text);
                    let position = Position { key, user_id: user_id.clone() };
                    Merge::new(tx, &segment, MergeStart { position, descending, pattern: "", wanted: rows })
                }
            };
            while items.len() < self.want
                && let Some(entry) = merge.pop(tx)?
            {
                if !chosen.has(short(entry.num)?) || start.is_some_and(|start| start.user_id == entry.user_id)
                {
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
}

/// Leaves out those whose display names begin before the first of the places, or behind the last one.
fn narrowed(Near { mut items, before, count: _, ties }: Near, places: &Range<usize>) -> Piece {
    let mut skip = places.start - before;
    let end = places.end.saturating_add(ties) - before;
    if let Some(last) = items.len().checked_sub(1) {
        let mut at = |place: usize| items.select_nth_unstable_by_key(place.min(last), |item| item.0).1.0;
        let (low, high) = (at(skip), at(end.saturating_sub(1)));
        skip -= items.iter().filter(|item| item.0 < low).count();
        items.retain(|item| (low..=high).contains(&item.0));
    }
    Piece::Near { nums: items.into_iter().map(|(_, num)| num).collect(), skip }
}
