//! Import of accounts from other servers, one by one or by the million.
//!
//! Each account is imported as a whole or refused as a whole. Existing accounts are left alone, so that an import can
//! be repeated. The rules are those of [`crate::put::put`], except that nothing is taken from other accounts.

mod account;
mod candidate;
mod dry_run;

use std::sync::Arc;

use reeve_db::{Db, DbError, Engine, Tx};
use reeve_model::{Ctx, UserNum};
use reeve_store::lists::users::bulk;
use reeve_store::users;
use serde_json::json;

pub use self::account::{Account, AccountDevice, AccountExternalId, AccountThreepid, KEYS};
pub use self::candidate::{Candidate, Refusal};
pub use self::dry_run::DryRun;
use crate::error::Error;
use crate::policy::Policy;

/// An import of fewer accounts than this updates lists and search with each account.
const SMALL: i64 = 1000;
/// The same holds if this factor times the number of its accounts is less than the number of existing ones.
const SMALL_AGAINST: i64 = 4;
/// The number of accounts that a small import adds in one transaction, so that other writers get their turn.
const STEP: usize = 500;
/// The number of accounts that are added to the search index in one transaction.
const SEARCH_STEP: i64 = 20_000;

/// The outcome for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was added.
    Added,
    /// It existed already, and was left alone.
    Present,
    /// It was refused.
    Refused(Refusal),
}

/// The counts of an import so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New accounts.
    pub added: i64,
    /// Existing accounts.
    pub present: i64,
    /// Refused accounts.
    pub refused: i64,
}

/// An import in progress.
///
/// A small one updates lists and search with each account. On SQLite, where no server runs meanwhile, a large one lets
/// them lag behind and rebuilds them at the end, which costs far less ([`reeve_store::lists::users::bulk`]).
pub struct Importer {
    db: Db,
    ctx: Ctx,
    policy: Arc<Policy>,
    source: String,
    /// The number of accounts before the import.
    there: i64,
    tally: Tally,
    bulk: bool,
    /// The entry in the audit log.
    entry: Option<i64>,
}

impl Importer {
    /// Begins an import. `source` names the origin of the accounts in the audit log. Nothing is written yet.
    pub async fn new(db: Db, ctx: Ctx, policy: Policy, source: &str) -> Result<Self, Error> {
        let (there, bulk) =
            db.read(|tx| Ok::<_, DbError>((users::highest_num(tx)?, bulk::is_pending(tx)?))).await?;
        let source = source.to_owned();
        Ok(Self {
            db,
            ctx,
            policy: Arc::new(policy),
            source,
            there: there.get(),
            tally: Tally::default(),
            bulk,
            entry: None,
        })
    }

    /// Returns the counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Imports accounts; returns the outcome of each, in order. `refused` is the number of accounts that the caller has
    /// refused before.
    pub async fn add(&mut self, candidates: Vec<Candidate>, refused: usize) -> Result<Vec<Outcome>, Error> {
        let coming = self.tally.added.saturating_add(len(candidates.len()));
        let large = coming > SMALL && coming > self.there / SMALL_AGAINST;
        if large && !self.bulk && self.db.engine() == Engine::Sqlite {
            self.db.write(bulk::begin).await?;
            self.bulk = true;
        }
        self.tally.refused += len(refused);
        let candidates = Arc::new(candidates);
        let step = if self.bulk { candidates.len().max(1) } else { STEP };
        let mut all = Vec::with_capacity(candidates.len());
        // At least once, since the entry in the audit log also counts refused accounts.
        for from in (0..candidates.len().max(1)).step_by(step) {
            let candidates = Arc::clone(&candidates);
            let (ctx, policy, source) = (self.ctx.clone(), Arc::clone(&self.policy), self.source.clone());
            let (before, entry, bulk) = (self.tally, self.entry, self.bulk);
            let done = self.db.write(move |tx| -> Result<_, DbError> {
                let mut tally = before;
                let mut outcomes = Vec::with_capacity(step);
                for candidate in candidates.iter().skip(from).take(step) {
                    let outcome = candidate.check(tx)?;
                    match &outcome {
                        Outcome::Added => {
                            candidate.store(tx, &ctx, &policy, bulk)?;
                            tally.added += 1;
                        }
                        Outcome::Present => tally.present += 1,
                        Outcome::Refused(_) => tally.refused += 1,
                    }
                    outcomes.push(outcome);
                }
                let entry = write_down(tx, &ctx, entry, &source, tally)?;
                Ok((outcomes, tally, entry))
            });
            let (outcomes, tally, entry) = done.await?;
            (self.tally, self.entry) = (tally, entry);
            all.extend(outcomes);
        }
        Ok(all)
    }

    /// Ends the import: rebuilds lists and search. `progress` receives the completed part, from 0 to 1.
    pub async fn finish(self, progress: impl Fn(f64)) -> Result<Tally, Error> {
        catch_up(&self.db, progress).await?;
        Ok(self.tally)
    }
}

/// Records the import in the audit log: one entry, which each transaction that adds something amends.
fn write_down(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    entry: Option<i64>,
    source: &str,
    tally: Tally,
) -> Result<Option<i64>, DbError> {
    let Tally { added, present, refused } = tally;
    let changes = json!({ "source": source, "added": added, "present": present, "refused": refused });
    match entry {
        Some(id) => {
            crate::audit::amend(tx, id, &changes)?;
            Ok(Some(id))
        }
        None if added > 0 => crate::audit::open(tx, ctx, "user.import", &ctx.server_name, &changes),
        None => Ok(None),
    }
}

/// Rebuilds lists and search, if an import left them behind. An interrupted rebuild is continued. `progress` receives
/// the completed part, from 0 to 1.
pub async fn catch_up(db: &Db, progress: impl Fn(f64)) -> Result<(), Error> {
    let Some(mut searched) = db.read(bulk::searched).await? else { return Ok(()) };
    let first = searched;
    loop {
        // The next accounts are read and prepared while these are written.
        let mut documents = documents_after(db, searched).await?;
        while let Some((last, _)) = documents.last() {
            searched = *last;
            let (written, next) = tokio::join!(
                db.write(move |tx| bulk::add_to_search(tx, &documents)),
                documents_after(db, searched)
            );
            written?;
            documents = next?;
            let highest = db.read(users::highest_num).await?;
            progress(0.5 * share(searched.get() - first.get(), highest.get() - first.get()));
        }
        for index in 0..bulk::INDEXES {
            db.write(move |tx| bulk::build_index(tx, index)).await?;
            progress(0.5 + 0.4 * share(len(index) + 1, len(bulk::INDEXES)));
        }
        if db.write(bulk::finish).await? {
            progress(1.0);
            return Ok(());
        }
    }
}

fn len(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "for people to look at")]
fn share(part: i64, of: i64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// Returns the texts for the search index of the accounts after one.
async fn documents_after(db: &Db, after: UserNum) -> Result<Vec<(UserNum, String)>, Error> {
    let documents = db.read(move |tx| -> Result<_, DbError> {
        let keys = bulk::unsearched(tx, after, SEARCH_STEP)?;
        Ok(keys.iter().map(|(num, key)| (*num, bulk::search_document(key))).collect::<Vec<_>>())
    });
    Ok(documents.await?)
}
