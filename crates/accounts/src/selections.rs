//! Selections of accounts, as a server answers them: the roster of the process, and places in a selection as text.

use std::sync::Arc;
use std::time::Duration;

use reeve_db::{Db, DbError, ReadTx};
use reeve_model::encoding::{from_url_base64, hex, url_base64};
use reeve_model::session::hash_token;
use reeve_store::lists::roster::{Mark, version};
use reeve_store::lists::users::OrderBy;
use reeve_store::{Roster, Selection, connections};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum time until the roster is loaded, by whomever.
const LOADED_WITHIN: Duration = Duration::from_mins(1);
/// The maximum number of exports at a time.
const EXPORTS: usize = 2;
/// The number of bytes of a digest that bind a place to a selection.
const BOUND: usize = 12;

/// The roster of a process, and a limit of the work with it.
pub struct Selections {
    roster: Arc<Roster>,
    /// The permit to load the roster: it is loaded once, and those who wait occupy no thread of the database.
    loads: Semaphore,
    exports: Arc<Semaphore>,
}

impl Default for Selections {
    fn default() -> Self {
        Self { roster: Arc::default(), loads: Semaphore::new(1), exports: Arc::new(Semaphore::new(EXPORTS)) }
    }
}

impl Selections {
    /// Returns the roster, once it is loaded.
    pub async fn roster(&self, db: &Db) -> Result<Arc<Roster>, DbError> {
        self.load(db, Roster::is_loaded, Roster::refresh).await?;
        Ok(Arc::clone(&self.roster))
    }

    /// Returns the roster, once it is loaded with all that a selection is answered from.
    pub async fn roster_for(&self, db: &Db, selection: &Selection) -> Result<Arc<Roster>, DbError> {
        let roster = self.roster(db).await?;
        let is_loaded = |roster: &Roster| roster.is_loaded_for(selection);
        self.load(db, is_loaded, Roster::refresh_with_addresses).await?;
        Ok(roster)
    }

    /// Loads a part of the roster, unless it is loaded by now. A load that fails, takes too long or is given up by its caller lets
    /// the next one load.
    async fn load(
        &self,
        db: &Db,
        is_loaded: impl Fn(&Roster) -> bool,
        load: fn(&Roster, &ReadTx<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        if is_loaded(&self.roster) {
            return Ok(());
        }
        let loaded = async {
            let permit = self.loads.acquire().await;
            let _permit = permit.map_err(|_| DbError::Internal("no roster is loaded any more".to_owned()))?;
            if is_loaded(&self.roster) {
                return Ok(());
            }
            let roster = Arc::clone(&self.roster);
            db.read(move |tx| load(&roster, tx)).await
        };
        tokio::time::timeout(LOADED_WITHIN, loaded).await.unwrap_or(Err(DbError::Timeout))
    }

    /// Moves a loaded roster on, so that answers need not read many changes.
    pub async fn refresh(&self, db: &Db) -> Result<(), DbError> {
        if self.roster.is_loaded() {
            let roster = Arc::clone(&self.roster);
            db.read(move |tx| roster.refresh(tx)).await?;
        }
        Ok(())
    }

    /// Returns the permit for an export; `None` if there are too many at a time.
    pub fn begin_export(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exports).try_acquire_owned().ok()
    }
}

/// Deletes changes of accounts that every roster has applied, and adds the keys of addresses to connections from before
/// there were keys, both in short transactions.
pub async fn prune(db: &Db) -> Result<(), DbError> {
    for step in [version::prune, connections::add_keys] {
        while db.write(step).await? {}
    }
    Ok(())
}

/// A selection in an order.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The selection.
    pub selection: Selection,
    /// The sort key.
    pub order_by: OrderBy,
    /// True to sort descending.
    pub descending: bool,
}

/// A place in an ordered selection, as a text for clients.
#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "s")]
    selection: String,
    #[serde(rename = "m")]
    mark: Mark,
}

impl Ordered {
    /// Returns a text that is different for other selections and orders.
    fn binding(&self) -> String {
        let order = OrderBy::ALL.iter().find(|(_, order_by)| *order_by == self.order_by);
        let order = order.map_or("", |(word, _)| *word);
        let text = serde_json::json!([self.selection, order, self.descending]).to_string();
        hex(hash_token(&text).get(..BOUND).unwrap_or_default())
    }

    /// Returns a place as a text, which is good for this selection in this order alone.
    pub fn token(&self, mark: Mark) -> String {
        let token = Token { selection: self.binding(), mark };
        url_base64(&serde_json::to_vec(&token).unwrap_or_default())
    }

    /// Reverses [`Ordered::token`]; `None` if the text is not one of this selection in this order.
    pub fn mark(&self, token: &str) -> Option<Mark> {
        let token: Token = serde_json::from_slice(&from_url_base64(token)?).ok()?;
        (token.selection == self.binding()).then_some(token.mark)
    }
}
