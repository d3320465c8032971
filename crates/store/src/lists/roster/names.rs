//! The order of all accounts by user id.
//!
//! It is a sorted list of numbers, as it was when it was built, and a short sorted list of the accounts that were created
//! since, each with its place in the first one. User ids neither change nor vanish, so that nothing else happens to it.

use reeve_db::{DbError, ReadTx, params};
use reeve_model::UserNum;

use crate::sql::num_list;

/// The number of new accounts after which the lists are merged.
const MERGE: usize = if cfg!(test) { 5 } else { 4096 };
/// The number of accounts that are read at a time.
const CHUNK: i64 = if cfg!(test) { 7 } else { 50_000 };
/// The mark of new accounts in [`Names::ranks`].
const NEW: u32 = 1 << 31;
/// The highest number of an account: above it a rank would be taken for that of a new account.
pub(crate) const MAX: u32 = NEW - 2;

reeve_db::statements! {
    ALL = "SELECT user_id, num FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    /// Some accounts by user id, each with the one before it among all.
    PREDECESSORS = {
        sqlite: "SELECT u.num, (SELECT p.num FROM users p WHERE p.user_id < u.user_id ORDER BY p.user_id DESC LIMIT 1) \
                 FROM json_each($1) w CROSS JOIN users u ON u.num = w.value ORDER BY u.user_id",
        postgres: "SELECT u.num, (SELECT p.num FROM users p WHERE p.user_id < u.user_id ORDER BY p.user_id DESC LIMIT 1) \
                   FROM users u WHERE u.num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) ORDER BY u.user_id",
    };
}

/// A new account, and the one before it by user id; `None` if it is the first.
pub(crate) struct Arrival {
    num: u32,
    predecessor: Option<u32>,
}

/// Returns the arrivals of new accounts, in the order in which they are added.
pub(crate) fn arrivals(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<Vec<Arrival>, DbError> {
    if nums.is_empty() {
        return Ok(Vec::new());
    }
    tx.query(&PREDECESSORS, &params![num_list(tx.engine(), nums)], |row| {
        Ok(Arrival { num: row.get(0)?, predecessor: row.get(1)? })
    })
}

/// A new account in the order.
#[derive(Clone, Copy)]
struct New {
    /// The place of the next older account in the list of old ones.
    before: u32,
    num: u32,
}

/// The order.
#[derive(Default)]
pub(crate) struct Names {
    /// The numbers of the old accounts, in order.
    old: Vec<u32>,
    /// The new accounts, in order.
    new: Vec<New>,
    /// By number: of an old account its place among the old, of a new one the place of the next old one, with a mark.
    ranks: Vec<u32>,
}

impl Names {
    /// Reads the order of all accounts, whose numbers are at most `highest`.
    pub(crate) fn load(tx: &ReadTx<'_>, highest: UserNum) -> Result<Self, DbError> {
        let len = usize::try_from(highest.get()).unwrap_or_default().saturating_add(1);
        let mut names = Self { ranks: vec![0; len], ..Self::default() };
        let mut last = String::new();
        loop {
            let from = std::mem::take(&mut last);
            tx.query(&ALL, &params![from, CHUNK], |row| {
                last.clear();
                last.push_str(row.text(0)?);
                names.push(row.get(1)?);
                Ok(())
            })?;
            if last.is_empty() {
                names.old.shrink_to_fit();
                return Ok(names);
            }
        }
    }

    /// Adds an old account behind all others.
    fn push(&mut self, num: u32) {
        let place = u32::try_from(self.old.len()).unwrap_or(MAX);
        self.old.push(num);
        self.rank(num, place);
    }

    fn rank(&mut self, num: u32, rank: u32) {
        let at = num as usize;
        if at >= self.ranks.len() {
            self.ranks.resize(at + 1, 0);
        }
        if let Some(place) = self.ranks.get_mut(at) {
            *place = rank;
        }
    }

    /// Adds an account that was created since.
    pub(crate) fn add(&mut self, Arrival { num, predecessor }: Arrival) {
        // The place among the new ones at which it stands, and that of the next old one.
        let (at, before) = match predecessor.and_then(|predecessor| self.ranks.get(predecessor as usize)) {
            None => (0, 0),
            Some(rank) if rank & NEW == 0 => {
                let before = rank + 1;
                (self.new.partition_point(|new| new.before < before), before)
            }
            Some(rank) => {
                let of = self.place_of_new(predecessor.unwrap_or_default(), rank & !NEW);
                (of.map_or(0, |place| place + 1), rank & !NEW)
            }
        };
        self.new.insert(at.min(self.new.len()), New { before, num });
        self.rank(num, before | NEW);
        if self.new.len() > MERGE {
            self.merge();
        }
    }

    /// Makes old accounts of the new ones.
    fn merge(&mut self) {
        let (old, new) = (std::mem::take(&mut self.old), std::mem::take(&mut self.new));
        self.old.reserve(old.len() + new.len());
        let mut new = new.into_iter().peekable();
        for (place, num) in (0..).zip(old) {
            while let Some(next) = new.next_if(|next| next.before <= place) {
                self.push(next.num);
            }
            self.push(num);
        }
        new.for_each(|next| self.push(next.num));
    }

    fn place_of_new(&self, num: u32, before: u32) -> Option<usize> {
        let first = self.new.partition_point(|new| new.before < before);
        let same = self.new.iter().skip(first).take_while(|new| new.before == before);
        same.into_iter().position(|new| new.num == num).map(|at| first + at)
    }

    /// Returns a number that sorts an account as its user id does. The account must be in the order.
    pub(crate) fn key(&self, num: u32) -> u64 {
        let rank = self.ranks.get(num as usize).copied().unwrap_or_default();
        if rank & NEW == 0 {
            return u64::from(rank) << 32 | u64::from(u32::MAX);
        }
        let place = self.place_of_new(num, rank & !NEW).unwrap_or_default();
        u64::from(rank & !NEW) << 32 | place as u64
    }

    /// Visits accounts in order, ascending, from behind a key on, until `visit` returns false.
    pub(crate) fn ascend(&self, after: Option<u64>, mut visit: impl FnMut(u32) -> bool) {
        let (mut at, mut next) = after.map_or((0, 0), |key| self.behind(key));
        loop {
            let stop = self.new.get(next).map_or(self.old.len(), |new| new.before as usize);
            for num in self.old.get(at..stop.max(at)).unwrap_or_default() {
                if !visit(*num) {
                    return;
                }
            }
            at = at.max(stop);
            let Some(new) = self.new.get(next) else { return };
            if !visit(new.num) {
                return;
            }
            next += 1;
        }
    }

    /// Visits accounts in order, descending, from before a key on, until `visit` returns false.
    pub(crate) fn descend(&self, before: Option<u64>, mut visit: impl FnMut(u32) -> bool) {
        let (mut at, mut next) = before.map_or((self.old.len(), self.new.len()), |key| self.until(key));
        loop {
            let new = next.checked_sub(1).and_then(|last| self.new.get(last));
            let stop = new.map_or(0, |new| new.before as usize);
            for num in self.old.get(stop.min(at)..at).unwrap_or_default().iter().rev() {
                if !visit(*num) {
                    return;
                }
            }
            at = at.min(stop);
            let Some(new) = new else { return };
            if !visit(new.num) {
                return;
            }
            next -= 1;
        }
    }

    /// Returns the first old and the first new account behind a key.
    fn behind(&self, key: u64) -> (usize, usize) {
        let (place, new) = parts(key);
        match new {
            None => (place + 1, self.new.partition_point(|new| new.before as usize <= place)),
            Some(new) => (place, new + 1),
        }
    }

    /// Returns the old and the new account behind those that are before a key.
    fn until(&self, key: u64) -> (usize, usize) {
        let (place, new) = parts(key);
        match new {
            None => (place, self.new.partition_point(|new| new.before as usize <= place)),
            Some(new) => (place, new),
        }
    }
}

/// Returns the parts of a key: a place among the old accounts and, of a new account, that among the new ones.
fn parts(key: u64) -> (usize, Option<usize>) {
    let low = key & u64::from(u32::MAX);
    let new = (low != u64::from(u32::MAX)).then(|| usize::try_from(low).unwrap_or_default());
    (usize::try_from(key >> 32).unwrap_or_default(), new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Arrival, Names};

    proptest! {
        #[test]
        fn arrivals_stay_in_order(batches in prop::collection::vec(prop::collection::btree_set(0..10_000_u32, 1..8), 1..12)) {
            let mut names = Names::default();
            let mut model: Vec<u32> = Vec::new();
            for batch in batches {
                // The number of an account is its name here; those of a batch arrive ascending, as they are read.
                for num in batch {
                    let at = model.partition_point(|known| *known < num);
                    if model.get(at) == Some(&num) {
                        continue;
                    }
                    // The one before it may be of the same batch.
                    names.add(Arrival { num, predecessor: at.checked_sub(1).map(|before| model[before]) });
                    model.insert(at, num);
                }
                let mut seen = Vec::new();
                names.ascend(None, |num| { seen.push(num); true });
                prop_assert_eq!(&seen, &model);
                seen.clear();
                names.descend(None, |num| { seen.push(num); true });
                seen.reverse();
                prop_assert_eq!(&seen, &model);
                for (at, num) in model.iter().enumerate() {
                    let key = names.key(*num);
                    let (mut after, mut before) = (Vec::new(), Vec::new());
                    names.ascend(Some(key), |num| { after.push(num); true });
                    names.descend(Some(key), |num| { before.push(num); true });
                    before.reverse();
                    prop_assert_eq!(&after, &model[at + 1..]);
                    prop_assert_eq!(&before, &model[..at]);
                    prop_assert!(model.get(at + 1).is_none_or(|next| names.key(*next) > key));
                }
            }
        }
    }
}
