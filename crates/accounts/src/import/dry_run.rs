//! Dry runs of an import.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use reeve_db::{Db, DbError};

use super::{Candidate, Outcome, Refusal, Tally, len};
use crate::error::Error;

/// Checks accounts as an import would, and writes nothing.
pub struct DryRun {
    db: Option<Db>,
    /// Digests of the names that earlier accounts claim.
    seen: HashSet<u64>,
    tally: Tally,
}

impl DryRun {
    /// Begins a dry run against a database, or without one, as if there were no accounts.
    pub fn new(db: Option<Db>) -> Self {
        Self { db, seen: HashSet::new(), tally: Tally::default() }
    }

    /// Returns the counts that an import would have.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the outcomes that accounts would have, in order. `refused` is the number of accounts that the caller has
    /// refused before.
    pub async fn add(&mut self, candidates: Vec<Candidate>, refused: usize) -> Result<Vec<Outcome>, Error> {
        self.tally.refused += len(refused);
        let candidates = Arc::new(candidates);
        let read = Arc::clone(&candidates);
        let outcomes: Vec<Outcome> = match &self.db {
            Some(db) => {
                db.read(move |tx| {
                    read.iter().map(|candidate| candidate.check(tx)).collect::<Result<_, DbError>>()
                })
                .await?
            }
            None => vec![Outcome::Added; candidates.len()],
        };
        let mut settled = Vec::with_capacity(outcomes.len());
        for (candidate, outcome) in candidates.iter().zip(outcomes) {
            let outcome = if outcome == Outcome::Added { self.among_themselves(candidate) } else { outcome };
            match &outcome {
                Outcome::Added => self.tally.added += 1,
                Outcome::Present => self.tally.present += 1,
                Outcome::Refused(_) => self.tally.refused += 1,
            }
            settled.push(outcome);
        }
        Ok(settled)
    }

    /// Compares an account with earlier ones of the import.
    fn among_themselves(&mut self, candidate: &Candidate) -> Outcome {
        if self.seen.contains(&digest(&("user id", candidate.user_id()))) {
            return Outcome::Present;
        }
        let taken = candidate.claims().find(|claim| self.seen.contains(&digest(claim)));
        if let Some((reason, kind, value)) = taken {
            let error = format!("{value:?} ({kind}) belongs to an account on an earlier line");
            return Outcome::Refused(Refusal { reason, error });
        }
        self.seen.insert(digest(&("user id", candidate.user_id())));
        self.seen.extend(candidate.claims().map(|claim| digest(&claim)));
        Outcome::Added
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
