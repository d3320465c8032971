//! The roster of a process in memory, and how a snapshot sees it.

use std::collections::{HashMap, VecDeque};

use reeve_db::{DbError, ReadTx};
use reeve_model::UserNum;

use super::addresses::{self, Addresses, Own};
use super::bits::Bits;
use super::columns::{self, Columns, Facts, Measure, NEVER, Traits, long, short};
use super::names::{Arrival, Names};
use super::version::{Change, Version};
use crate::users;

/// The number of numbers of accounts that are loaded at a time.
const CHUNK: i64 = if cfg!(test) { 9 } else { 50_000 };
/// The number of the latest changes that are remembered for snapshots that do not see them.
const REMEMBERED: usize = if cfg!(test) { 25 } else { 50_000 };

/// All accounts, as of a version.
pub(super) struct Known {
    pub(super) version: Version,
    pub(super) columns: Columns,
    pub(super) names: Names,
    /// Loaded when they are first needed.
    pub(super) addresses: Option<Addresses>,
    /// Accounts that changed after the addresses were read: they are read again wherever addresses decide.
    pub(super) outdated: Vec<UserNum>,
    /// A version that has all changes but those that were applied since.
    pub(super) base: Version,
    /// The latest changes, the oldest first.
    pub(super) applied: VecDeque<Applied>,
}

/// Changes that were applied together.
pub(super) struct Applied {
    /// The version that had them first.
    pub(super) to: Version,
    pub(super) changes: Vec<Change>,
}

/// The facts of some accounts as a snapshot sees them: `None` for those that it does not see.
#[derive(Default)]
pub(super) struct Reread {
    pub(super) facts: HashMap<u32, Facts>,
    /// The addresses, if they were asked for.
    pub(super) own: HashMap<u32, Own>,
    pub(super) nums: Vec<u32>,
}

impl Reread {
    pub(super) fn read(tx: &ReadTx<'_>, nums: &[UserNum], with_addresses: bool) -> Result<Self, DbError> {
        let own = if with_addresses { addresses::of(tx, nums)? } else { HashMap::new() };
        let facts = columns::facts(tx, nums)?;
        Ok(Self { facts, own, nums: nums.iter().map(|num| short(*num)).collect::<Result<_, _>>()? })
    }
}

impl Known {
    pub(super) fn load(tx: &ReadTx<'_>, version: Version, with_addresses: bool) -> Result<Self, DbError> {
        let highest = users::highest_num(tx)?;
        short(highest)?;
        let mut columns = Columns::new(highest);
        let mut after = 0;
        while after < highest.get() {
            columns.load(tx, after, after + CHUNK)?;
            after += CHUNK;
        }
        Ok(Self {
            base: version.clone(),
            version,
            columns,
            names: Names::load(tx, highest)?,
            addresses: if with_addresses { Some(Addresses::load(tx)?) } else { None },
            outdated: Vec::new(),
            applied: VecDeque::new(),
        })
    }

    /// Returns the accounts whose changes another version does not see; `None` if that is not remembered.
    pub(super) fn unseen_by(&self, version: &Version) -> Option<Vec<UserNum>> {
        if *version == self.version {
            return Some(Vec::new());
        }
        let changes = self.applied.iter().flat_map(|applied| &applied.changes);
        let unseen = changes.filter(|change| !version.sees(change.pos)).map(|change| change.num);
        version.includes(&self.base).then(|| distinct(unseen))
    }

    /// Moves on to a later version, in which these accounts are different.
    pub(super) fn apply(&mut self, update: Update) -> Result<(), DbError> {
        let Update { to, changes, reread, arrivals } = update;
        let Reread { mut facts, mut own, nums } = reread;
        for num in nums {
            if let Some(facts) = facts.remove(&num) {
                self.columns.put(num, facts);
            }
            if let Some(addresses) = &mut self.addresses {
                addresses.put(num, own.remove(&num).unwrap_or_default());
            }
        }
        for arrival in arrivals {
            self.names.add(arrival);
        }
        if let Some(addresses) = &mut self.addresses {
            addresses.settle()?;
        }
        self.outdated.clear();
        self.applied.push_back(Applied { to: to.clone(), changes });
        let mut remembered: usize = self.applied.iter().map(|applied| applied.changes.len()).sum();
        // The latest ones stay, however many there are.
        while remembered > REMEMBERED
            && self.applied.len() > 1
            && let Some(oldest) = self.applied.pop_front()
        {
            remembered -= oldest.changes.len();
            self.base = oldest.to;
        }
        self.version = to;
        Ok(())
    }
}

/// The changes from one version to a later one.
pub(super) struct Update {
    pub(super) to: Version,
    pub(super) changes: Vec<Change>,
    pub(super) reread: Reread,
    pub(super) arrivals: Vec<Arrival>,
}

/// The roster as a snapshot sees it.
pub(super) struct View<'a> {
    pub(super) known: &'a Known,
    pub(super) reread: &'a Reread,
    /// The traits of the accounts that were read again, by number, as indexes behind those of the columns.
    pub(super) traits: HashMap<u32, u32>,
}

impl<'a> View<'a> {
    pub(super) fn new(known: &'a Known, reread: &'a Reread) -> Self {
        let first = u32::try_from(known.columns.known.len()).unwrap_or(u32::MAX);
        let traits = (first..).zip(reread.facts.keys()).map(|(index, num)| (*num, index)).collect();
        Self { known, reread, traits }
    }

    /// Returns true if an account was read again, or is not seen at all.
    pub(super) fn is_reread(&self, num: u32) -> bool {
        !self.reread.nums.is_empty() && self.reread.nums.binary_search(&num).is_ok()
    }

    /// Returns all traits. Their places are their indexes.
    pub(super) fn all_traits(&self) -> impl Iterator<Item = &Traits> {
        self.known.columns.known.iter().chain(self.reread.facts.values().map(|facts| &facts.traits))
    }

    /// Returns the index of the traits of an account.
    pub(super) fn traits_of(&self, num: u32) -> u32 {
        if self.is_reread(num) {
            return self.traits.get(&num).copied().unwrap_or_default();
        }
        self.known.columns.traits.get(num as usize).copied().unwrap_or_default()
    }

    /// Returns a value of an account by which it is sorted.
    pub(super) fn value_of(&self, num: u32, measure: Measure) -> i64 {
        if self.is_reread(num) {
            return self.reread.facts.get(&num).map_or(NEVER, |facts| measure.of_facts(facts));
        }
        measure.of_columns(&self.known.columns).get(num as usize).copied().unwrap_or(NEVER)
    }

    /// Corrects a set of chosen accounts that was made from columns, where accounts were read again.
    pub(super) fn correct(&self, some: &mut Bits, chosen: &Bits, holds: impl Fn(u32) -> bool) {
        for num in &self.reread.nums {
            some.set(*num, chosen.has(*num) && holds(*num));
        }
    }

    /// Returns the highest number of an account, and one more.
    pub(super) fn len(&self) -> usize {
        self.known.columns.traits.len()
    }
}

/// Returns numbers in order, each once.
pub(super) fn distinct(nums: impl Iterator<Item = UserNum>) -> Vec<UserNum> {
    let mut nums: Vec<UserNum> = nums.collect();
    nums.sort_unstable();
    nums.dedup();
    nums
}

/// The numbers in the form of other tables.
pub(super) fn all_long(nums: Vec<u32>) -> Vec<UserNum> {
    nums.into_iter().map(long).collect()
}
