//! The roster: packed facts of all accounts in memory, by which selections of accounts are counted and sorted in
//! milliseconds, whatever their conditions.
//!
//! Triggers write each change of an account to a log (`version`). Before an answer, the roster reads again the accounts whose
//! changes the snapshot of the transaction sees and the roster does not (`columns`, `names`, `addresses`, `known`). If the roster is
//! ahead of the snapshot, the accounts concerned are read as the snapshot sees them, for this answer alone. So each answer is
//! that of its snapshot, in every process. Many accounts are read by one transaction at a time (`gate`). A selection becomes a set of
//! accounts (`bits`, `chosen`, `select`), of which a page is cut (`near`, `page`, `texts`). Each of these files uses only those that are
//! named before it.

mod addresses;
mod bits;
mod chosen;
mod columns;
mod gate;
mod known;
mod names;
mod near;
mod page;
mod select;
mod texts;
pub mod version;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use reeve_db::{DbError, ReadTx, Statement};
use reeve_model::UserNum;
use reeve_model::clock::monotonic;

use self::addresses::Addresses;
use self::bits::Bits;
pub use self::chosen::Chosen;
use self::columns::short;
use self::gate::Gate;
use self::known::{Known, Reread, Update, View, all_long, distinct};
pub use self::page::{Asked, Found, Mark, Start};
use self::version::{Here, Version};
use crate::lists::selection::Selection;
use crate::lists::users::OrderBy;

/// Every statement of the roster.
pub(crate) fn statements() -> Vec<&'static Statement> {
    [version::STATEMENTS, columns::STATEMENTS, names::STATEMENTS, addresses::STATEMENTS, select::STATEMENTS]
        .concat()
}

/// The number of changed accounts above which all are read again, if it is also this part of all.
const MANY: usize = if cfg!(test) { 40 } else { 20_000 };
const MANY_OF: usize = 16;
/// Maximum time until an answer fails that needs what other transactions load.
const PATIENCE: Duration = Duration::from_mins(1);

/// The roster of a process. It is loaded when it is first used.
#[derive(Default)]
pub struct Roster {
    known: RwLock<Option<Known>>,
    /// Lets one transaction at a time load, so that each load is done once: a transaction that waits occupies a thread of the
    /// database, and would occupy it for longer by loading, too.
    gate: Gate,
    /// The last roster that was loaded for an old snapshot alone, while somebody looks at it.
    alone: Mutex<Weak<Known>>,
    #[cfg(test)]
    loads: std::sync::atomic::AtomicUsize,
}

/// The work to do before the roster can be looked at in a snapshot.
#[derive(Clone, PartialEq, Eq)]
enum Plan {
    /// Something must be loaded.
    Load(Load),
    /// It must move on from this version.
    MoveOn(Version),
    /// It can be looked at in this version, with these accounts read again.
    Look(Version, Vec<UserNum>),
}

/// A load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Of the roster, for all who come later.
    All,
    /// Of its addresses.
    Addresses,
    /// Of a roster for this answer, since the snapshot is too old for that of all.
    Alone,
}

impl Roster {
    /// Loads the roster, if it is not yet, and moves it on to what a transaction sees.
    pub fn refresh(&self, tx: &ReadTx<'_>) -> Result<(), DbError> {
        self.look(tx, false, |_| ())
    }

    /// Loads the addresses, too, and moves all on to what a transaction sees.
    pub fn refresh_with_addresses(&self, tx: &ReadTx<'_>) -> Result<(), DbError> {
        self.look(tx, true, |_| ())
    }

    /// Returns true if it is loaded.
    pub fn is_loaded(&self) -> bool {
        self.read().is_some()
    }

    /// Returns true if it is loaded, with all that a selection is answered from.
    pub fn is_loaded_for(&self, selection: &Selection) -> bool {
        self.read().as_ref().is_some_and(|known| known.addresses.is_some() || !selection.needs_addresses())
    }

    /// Returns the accounts that a selection has.
    pub fn choose(
        &self,
        tx: &ReadTx<'_>,
        server_name: &str,
        selection: &Selection,
    ) -> Result<Chosen, DbError> {
        let wanted = select::Wanted::prepare(tx, server_name, selection)?;
        Ok(Chosen(self.look(tx, wanted.with_addresses(), |view| wanted.choose(view))?))
    }

    /// Returns the number of chosen accounts with each role, and without one.
    pub fn roles(&self, tx: &ReadTx<'_>, chosen: &Chosen) -> Result<BTreeMap<Option<String>, i64>, DbError> {
        self.look(tx, false, |view| {
            let mut of_traits = vec![0_i64; view.all_traits().count()];
            for num in chosen.0.iter() {
                if let Some(n) = of_traits.get_mut(view.traits_of(num) as usize) {
                    *n += 1;
                }
            }
            let mut counts = BTreeMap::new();
            for (traits, n) in view.all_traits().zip(of_traits).filter(|(_, n)| *n > 0) {
                *counts.entry(traits.role().map(str::to_owned)).or_default() += n;
            }
            counts
        })
    }

    /// Returns up to `limit` of the chosen accounts by user id, after an account or from the first on. Further transactions
    /// can walk over all of them in this way.
    pub fn by_name(
        &self,
        tx: &ReadTx<'_>,
        chosen: &Chosen,
        after: Option<UserNum>,
        limit: usize,
    ) -> Result<Vec<UserNum>, DbError> {
        let after = after.map(short).transpose()?.map(|num| (None, num));
        self.look(tx, false, |view| {
            let (mut left, mut nums) = (page::Left { skip: 0, after, want: limit }, Vec::new());
            page::by_name(view, &chosen.0, false, &mut left, &mut nums);
            all_long(nums)
        })
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
                let Some(part) = texts::Part::read(tx, column, asked)? else { return Ok(None) };
                let look = |view: &View<'_>| -> (Bits, Option<texts::Sketch>) {
                    let chosen = wanted.choose(view);
                    let sketch = part.sketch(view, &chosen);
                    (chosen, sketch)
                };
                let (chosen, sketch) = self.look(tx, wanted.with_addresses(), look)?;
                part.page(tx, &chosen, sketch).map(Some)
            }
            OrderBy::Name | OrderBy::Column(_) | OrderBy::Flag(_) | OrderBy::UserType => {
                self.look(tx, wanted.with_addresses(), |view| page::page(view, &wanted.choose(view), asked))
            }
        }
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
        let deadline = monotonic() + PATIENCE;
        loop {
            let plan = self.plan(&here, with_addresses);
            match &plan {
                Plan::Load(_) => {
                    if let Some(alone) = self.load(tx, &here, with_addresses, &plan, deadline)? {
                        return Ok(look(&View::new(&alone, &Reread::default())));
                    }
                }
                Plan::MoveOn(from) => {
                    if !self.move_on(tx, &here, from)? {
                        self.load(tx, &here, with_addresses, &plan, deadline)?;
                    }
                }
                Plan::Look(version, nums) => {
                    let reread = Reread::read(tx, nums, with_addresses)?;
                    let known = self.read();
                    if let Some(known) = known.as_ref().filter(|known| known.version == *version) {
                        return Ok(look(&View::new(known, &reread)));
                    }
                }
            }
        }
    }

    fn plan(&self, here: &Here, with_addresses: bool) -> Plan {
        let known = self.read();
        let Some(known) = known.as_ref() else { return Plan::Load(Load::All) };
        let lacks_addresses = with_addresses && known.addresses.is_none();
        if here.version.includes(&known.version) && here.version != known.version {
            let is_cut_off = known.version.first_unseen() < here.kept_since;
            return if is_cut_off { Plan::Load(Load::All) } else { Plan::MoveOn(known.version.clone()) };
        }
        match known.unseen_by(&here.version) {
            None => Plan::Load(Load::Alone),
            Some(_) if lacks_addresses => Plan::Load(Load::Addresses),
            Some(unseen) => {
                let outdated = if with_addresses { known.outdated.as_slice() } else { &[] };
                let nums = distinct(unseen.into_iter().chain(outdated.iter().copied()));
                Plan::Look(known.version.clone(), nums)
            }
        }
    }

    /// Does what was planned, unless another has done it while this waited. Returns a roster that was loaded for this snapshot
    /// alone.
    fn load(
        &self,
        tx: &ReadTx<'_>,
        here: &Here,
        with_addresses: bool,
        planned: &Plan,
        deadline: Instant,
    ) -> Result<Option<Arc<Known>>, DbError> {
        let _pass = self.gate.enter(deadline)?;
        if self.plan(here, with_addresses) != *planned {
            return Ok(None);
        }
        let is_like = |known: &Arc<Known>| {
            known.version == here.version && (known.addresses.is_some() || !with_addresses)
        };
        if *planned == Plan::Load(Load::Alone)
            && let Some(known) = self.last_alone().filter(is_like)
        {
            return Ok(Some(known));
        }
        #[cfg(test)]
        self.loads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let version = here.version.clone();
        match planned {
            Plan::Load(Load::Addresses) => self.install_addresses(&version, Addresses::load(tx)?),
            Plan::Load(Load::Alone) => {
                let known = Arc::new(Known::load(tx, version, with_addresses)?);
                *self.alone.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&known);
                return Ok(Some(known));
            }
            Plan::Load(Load::All) | Plan::MoveOn(_) | Plan::Look(..) => {
                let had_addresses = self.read().as_ref().is_some_and(|known| known.addresses.is_some());
                self.install(Known::load(tx, version, with_addresses || had_addresses)?);
            }
        }
        Ok(None)
    }

    fn last_alone(&self) -> Option<Arc<Known>> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Returns the number of loads so far.
    #[cfg(test)]
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn install(&self, loaded: Known) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| loaded.version.includes(&known.version)) {
            *known = Some(loaded);
        }
    }

    /// Adds the addresses that a snapshot sees. If the roster has moved on since, the accounts that changed are remembered, and
    /// read again.
    fn install_addresses(&self, version: &Version, loaded: Addresses) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let later = known.as_mut().filter(|known| known.version.includes(version));
        if let Some(known) = later
            && let Some(outdated) = known.unseen_by(version)
        {
            (known.addresses, known.outdated) = (Some(loaded), outdated);
        }
    }

    /// Moves the roster on, unless another transaction has done it meanwhile. Returns false if too many accounts changed.
    fn move_on(&self, tx: &ReadTx<'_>, here: &Here, from: &Version) -> Result<bool, DbError> {
        let changes = version::since(tx, from)?;
        let (with_addresses, nums, new, all) = {
            let known = self.read();
            let Some(known) = known.as_ref().filter(|known| known.version == *from) else { return Ok(true) };
            let nums =
                distinct(changes.iter().map(|change| change.num).chain(known.outdated.iter().copied()));
            let is_new = |num: &UserNum| short(*num).is_ok_and(|num| !known.columns.has(num));
            let new: Vec<UserNum> = nums.iter().copied().filter(is_new).collect();
            (known.addresses.is_some(), nums, new, known.columns.traits.len())
        };
        if nums.len() > MANY.max(all / MANY_OF) {
            return Ok(false);
        }
        let reread = Reread::read(tx, &nums, with_addresses)?;
        let arrivals = names::arrivals(tx, &new)?;
        let update = Update { to: here.version.clone(), changes, reread, arrivals };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Addresses that were loaded meanwhile would lack those of the accounts that were read again.
        let is_same =
            |known: &&mut Known| known.version == *from && known.addresses.is_some() == with_addresses;
        if let Some(known) = known.as_mut().filter(is_same) {
            known.apply(update)?;
        }
        Ok(true)
    }
}
