//! The last use of each service token, kept in memory and written at intervals, so that a request costs no write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reeve_db::{Db, DbError};
use reeve_model::{Millis, ServiceTokenNum};
use reeve_store::service_tokens::{self, LastUse, ServiceToken};

/// The number of tokens at which those whose use is written are forgotten.
const MAX: usize = 10_000;

struct Use {
    last: LastUse,
    is_written: bool,
}

/// The last use of each service token.
#[derive(Default)]
pub struct ServiceUses(Mutex<HashMap<ServiceTokenNum, Use>>);

impl ServiceUses {
    fn uses(&self) -> MutexGuard<'_, HashMap<ServiceTokenNum, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request with a token.
    pub fn note(&self, num: ServiceTokenNum, ip: &str, now: Millis) {
        let mut uses = self.uses();
        if uses.len() >= MAX {
            uses.retain(|_, used| !used.is_written);
        }
        if uses.len() < MAX || uses.contains_key(&num) {
            uses.insert(num, Use { last: LastUse { ts: now, ip: Some(ip.to_owned()) }, is_written: false });
        }
    }

    /// Updates a token with a use that may not be written yet.
    pub fn see(&self, token: &mut ServiceToken) {
        if let Some(used) = self.uses().get(&token.num)
            && token.last_used.as_ref().is_none_or(|last| last.ts < used.last.ts)
        {
            token.last_used = Some(used.last.clone());
        }
    }

    /// Writes the uses since the last flush. After an error they stay.
    pub async fn flush(&self, db: &Db) -> Result<(), DbError> {
        let fresh: Vec<(ServiceTokenNum, LastUse)> = self
            .uses()
            .iter()
            .filter(|(_, used)| !used.is_written)
            .map(|(num, used)| (*num, used.last.clone()))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let written = fresh.clone();
        db.write(move |tx| -> Result<(), DbError> {
            fresh.iter().try_for_each(|(num, last)| service_tokens::touch(tx, *num, last))
        })
        .await?;
        let mut uses = self.uses();
        for (num, last) in written {
            if let Some(used) = uses.get_mut(&num).filter(|used| used.last == last) {
                used.is_written = true;
            }
        }
        Ok(())
    }
}
