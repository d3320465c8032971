//! The roster: packed facts of all accounts in memory, by which selections of accounts are counted and sorted in
//! milliseconds, whatever their conditions.
//!
//! Triggers write each change of an account to a log (`version`). Before an answer, the roster reads again the accounts whose
//! changes the snapshot of the transaction sees and the roster does not (`columns`, `names`, `addresses`). If the roster is
//! ahead of the snapshot, the accounts concerned are read as the snapshot sees them, for this answer alone. So each answer is
//! that of its snapshot, in every process. A selection becomes a set of accounts (`select`, `bits`), of which a page is cut
//! (`page`, `texts`). Each of these files uses only those that are named before it.

mod addresses;
mod bits;
mod columns;
mod names;
mod page;
mod select;
mod texts;
pub mod version;

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use reeve_db::{DbError, ReadTx, Statement};
use reeve_model::UserNum;

use self::addresses::{Addresses, Own};
use self::columns::{Columns, Facts, long, short};
use self::names::{Arrival, Names};
pub use self::page::{Asked, Found, Mark, Start};
use self::version::{Change, Here, Version};
use crate::lists::selection::Selection;
use crate::lists::users::OrderBy;
use crate::users;

/// Every statement of the roster.
pub(crate) fn statements() -> Vec<&'static Statement> {
    [version::STATEMENTS, columns::STATEMENTS, names::STATEMENTS, addresses::STATEMENTS, select::STATEMENTS]
        .concat()
}

/// The number of numbers of accounts that are loaded at a time.
const CHUNK: i64 = if cfg!(test) { 9 } else { 50_000 };
/// The number of changed accounts above which all are read again, if it is also this part of all.
const MANY: usize = if cfg!(test) { 40 } else { 20_000 };
const MANY_OF: usize = 16;
/// The number of the latest changes that are remembered for snapshots that do not see them.
const REMEMBERED: usize = if cfg!(test) { 25 } else { 50_000 };

/// The roster of a process. It is loaded when it is first used.
#[derive(Default)]
pub struct Roster {
    known: RwLock<Option<Known>>,
}

/// All accounts, as of a version.
struct Known {
    version: Version,
    columns: Columns,
    names: Names,
    /// Loaded when they are first needed.
    addresses: Option<Addresses>,
    /// The latest changes that were applied, the oldest first.
    applied: VecDeque<Change>,
    /// The highest position that is not among them any more.
    forgotten: i64,
}

/// The facts of some accounts as a snapshot sees them: `None` for those that it does not see.
struct Reread {
    facts: HashMap<u32, Facts>,
    /// The addresses, if they were asked for.
    own: HashMap<u32, Own>,
    nums: Vec<u32>,
}

impl Reread {
    fn read(tx: &ReadTx<'_>, nums: &[UserNum], with_addresses: bool) -> Result<Self, DbError> {
        let own = if with_addresses { addresses::of(tx, nums)? } else { HashMap::new() };
        let facts = columns::facts(tx, nums)?;
        Ok(Self { facts, own, nums: nums.iter().map(|num| short(*num)).collect::<Result<_, _>>()? })
    }
}

impl Known {
    fn load(tx: &ReadTx<'_>, version: Version, with_addresses: bool) -> Result<Self, DbError> {
        let highest = users::highest_num(tx)?;
        short(highest)?;
        let mut columns = Columns::new(highest);
        let mut after = 0;
        while after < highest.get() {
            columns.load(tx, after, after + CHUNK)?;
            after += CHUNK;
        }
        Ok(Self {
            forgotten: version.latest(),
            version,
            columns,
            names: Names::load(tx, highest)?,
            addresses: if with_addresses { Some(Addresses::load(tx)?) } else { None },
            applied: VecDeque::new(),
        })
    }

    /// Moves on to a later version, in which these accounts are different.
    fn apply(&mut self, update: Update) -> Result<(), DbError> {
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
        self.applied.extend(changes);
        while self.applied.len() > REMEMBERED {
            let oldest = self.applied.pop_front().map(|change| change.pos);
            self.forgotten = self.forgotten.max(oldest.unwrap_or_default());
        }
        self.version = to;
        Ok(())
    }
}

/// The changes from one version to a later one.
struct Update {
    to: Version,
    changes: Vec<Change>,
    reread: Reread,
    arrivals: Vec<Arrival>,
}

/// The work to do before the roster can be looked at in a snapshot.
enum Plan {
    /// It must be loaded, for all who come later.
    Load,
    /// Its addresses must be loaded.
    LoadAddresses,
    /// It must move on from this version.
    MoveOn(Version),
    /// It can be looked at in this version, with these accounts read again.
    Look(Version, Vec<UserNum>),
    /// The snapshot is too old for it, so that this answer needs a roster of its own.
    LoadAlone,
}

/// The roster as a snapshot sees it.
struct View<'a> {
    known: &'a Known,
    reread: &'a Reread,
    /// The traits of the accounts that were read again, by number, as indexes behind those of the columns.
    traits: HashMap<u32, u32>,
}

impl Roster {
    /// Loads the roster, if it is not yet, and moves it on to what a transaction sees.
    pub fn refresh(&self, tx: &ReadTx<'_>) -> Result<(), DbError> {
        self.look(tx, false, |_| ())
    }

    /// Returns true if it is loaded.
    pub fn is_loaded(&self) -> bool {
        self.read().is_some()
    }

    /// Returns the number of accounts that a selection has.
    pub fn count(&self, tx: &ReadTx<'_>, server_name: &str, selection: &Selection) -> Result<i64, DbError> {
        let asked = Asked { order_by: OrderBy::Name, descending: false, start: Start::Offset(0), limit: 0 };
        Ok(self.page(tx, server_name, selection, &asked)?.map_or(0, |found| found.total))
    }

    /// Returns a part of a selection, and the number of accounts in all of it; `None` if it begins after an account that does
    /// not exist.
    pub fn page(
        &self,
        tx: &ReadTx<'_>,
        server_name: &str,
        selection: &Selection,
        asked: &Asked,
    ) -> Result<Option<Found>, DbError> {
        let wanted = select::Wanted::prepare(tx, server_name, selection)?;
        match asked.order_by {
            OrderBy::Column(column) if column.is_text() => {
                let chosen = self.look(tx, wanted.with_addresses(), |view| wanted.choose(view))?;
                texts::page(tx, &chosen, column, asked)
            }
            OrderBy::Name | OrderBy::Column(_) | OrderBy::Flag(_) | OrderBy::UserType => {
                self.look(tx, wanted.with_addresses(), |view| page::page(view, &wanted.choose(view), asked))
            }
        }
    }

    /// Returns the numbers of up to `limit` accounts of a selection, by user id, after one of them or from the first on.
    /// Further transactions can walk over the whole selection in this way: an account that is in it all the time comes once.
    pub fn walk(
        &self,
        tx: &ReadTx<'_>,
        server_name: &str,
        selection: &Selection,
        after: Option<UserNum>,
        limit: i64,
    ) -> Result<Vec<UserNum>, DbError> {
        let start = after.map_or(Start::Offset(0), |num| Start::After(Mark::by_name(num)));
        let asked = Asked { order_by: OrderBy::Name, descending: false, start, limit };
        Ok(self.page(tx, server_name, selection, &asked)?.map_or_else(Vec::new, |found| found.nums))
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the roster as a snapshot sees it. No lock is held while the database is read.
    fn look<T>(
        &self,
        tx: &ReadTx<'_>,
        with_addresses: bool,
        look: impl Fn(&View<'_>) -> T,
    ) -> Result<T, DbError> {
        if !tx.sees_only_committed() {
            return Err(DbError::Internal("a roster needs a transaction that only reads".to_owned()));
        }
        let here = Here::of(tx)?;
        loop {
            match self.plan(&here, with_addresses) {
                Plan::Load => self.install(Known::load(tx, here.version.clone(), with_addresses)?),
                Plan::LoadAddresses => self.install_addresses(&here.version, Addresses::load(tx)?),
                Plan::MoveOn(from) => self.move_on(tx, &here, &from)?,
                Plan::Look(version, nums) => {
                    let reread = Reread::read(tx, &nums, with_addresses)?;
                    let known = self.read();
                    if let Some(known) = known.as_ref().filter(|known| known.version == version) {
                        return Ok(look(&View::new(known, &reread)));
                    }
                }
                Plan::LoadAlone => {
                    let known = Known::load(tx, here.version.clone(), with_addresses)?;
                    return Ok(look(&View::new(&known, &Reread::read(tx, &[], false)?)));
                }
            }
        }
    }

    fn plan(&self, here: &Here, with_addresses: bool) -> Plan {
        let known = self.read();
        let Some(known) = known.as_ref() else { return Plan::Load };
        let lacks_addresses = with_addresses && known.addresses.is_none();
        if known.version == here.version {
            return if lacks_addresses {
                Plan::LoadAddresses
            } else {
                Plan::Look(known.version.clone(), Vec::new())
            };
        }
        if here.version.includes(&known.version) {
            let is_cut_off = known.version.first_unseen() < here.kept_since;
            return if is_cut_off { Plan::Load } else { Plan::MoveOn(known.version.clone()) };
        }
        if lacks_addresses || known.forgotten >= here.version.first_unseen() {
            return Plan::LoadAlone;
        }
        let unseen = known.applied.iter().filter(|change| !here.version.sees(change.pos));
        let mut nums: Vec<UserNum> = unseen.map(|change| change.num).collect();
        nums.sort_unstable();
        nums.dedup();
        Plan::Look(known.version.clone(), nums)
    }

    fn install(&self, loaded: Known) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| loaded.version.includes(&known.version)) {
            *known = Some(loaded);
        }
    }

    fn install_addresses(&self, version: &Version, loaded: Addresses) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| known.version == *version) {
            known.addresses = Some(loaded);
        }
    }

    /// Moves the roster on, unless another transaction has done it meanwhile.
    fn move_on(&self, tx: &ReadTx<'_>, here: &Here, from: &Version) -> Result<(), DbError> {
        let changes = version::since(tx, from)?;
        let mut nums: Vec<UserNum> = changes.iter().map(|change| change.num).collect();
        nums.sort_unstable();
        nums.dedup();
        let (with_addresses, new, all) = {
            let known = self.read();
            let Some(known) = known.as_ref().filter(|known| known.version == *from) else { return Ok(()) };
            let is_new = |num: &UserNum| short(*num).is_ok_and(|num| !known.columns.has(num));
            let new: Vec<UserNum> = nums.iter().copied().filter(is_new).collect();
            (known.addresses.is_some(), new, known.columns.traits.len())
        };
        if nums.len() > MANY.max(all / MANY_OF) {
            self.install(Known::load(tx, here.version.clone(), with_addresses)?);
            return Ok(());
        }
        let reread = Reread::read(tx, &nums, with_addresses)?;
        let arrivals = names::arrivals(tx, &new)?;
        let update = Update { to: here.version.clone(), changes, reread, arrivals };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Addresses that were loaded meanwhile would lack those of the accounts that were read again.
        let is_same =
            |known: &&mut Known| known.version == *from && known.addresses.is_some() == with_addresses;
        match known.as_mut().filter(is_same) {
            Some(known) => known.apply(update),
            None => Ok(()),
        }
    }
}

impl<'a> View<'a> {
    fn new(known: &'a Known, reread: &'a Reread) -> Self {
        let first = u32::try_from(known.columns.known.len()).unwrap_or(u32::MAX);
        let traits = (first..).zip(reread.facts.keys()).map(|(index, num)| (*num, index)).collect();
        Self { known, reread, traits }
    }

    /// Returns true if an account was read again, or is not seen at all.
    fn is_reread(&self, num: u32) -> bool {
        !self.reread.nums.is_empty() && self.reread.nums.binary_search(&num).is_ok()
    }

    /// Returns all traits. Their places are their indexes.
    fn all_traits(&self) -> impl Iterator<Item = &columns::Traits> {
        self.known.columns.known.iter().chain(self.reread.facts.values().map(|facts| &facts.traits))
    }

    /// Returns the index of the traits of an account.
    fn traits_of(&self, num: u32) -> u32 {
        if self.is_reread(num) {
            return self.traits.get(&num).copied().unwrap_or_default();
        }
        self.known.columns.traits.get(num as usize).copied().unwrap_or_default()
    }

    /// Returns a time of an account.
    fn time_of(&self, num: u32, time: page::Time) -> i64 {
        if self.is_reread(num) {
            return self.reread.facts.get(&num).map_or(columns::NEVER, |facts| time.of_facts(facts));
        }
        time.of_columns(&self.known.columns).get(num as usize).copied().unwrap_or(columns::NEVER)
    }

    /// Returns the highest number of an account, and one more.
    fn len(&self) -> usize {
        self.known.columns.traits.len()
    }
}

/// The numbers in the form of other tables.
fn all_long(nums: Vec<u32>) -> Vec<UserNum> {
    nums.into_iter().map(long).collect()
}
