//! The order of a batch, as it is stored.

use std::collections::BTreeSet;

use reeve_model::Scopes;
use reeve_store::batches::Batch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::act::Act;
use crate::requester::Requester;

/// A stored order.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Spec {
    pub(crate) act: Act,
    pub(crate) include: BTreeSet<String>,
    /// The filter by which the accounts were chosen, as it is shown; `None` if they were named.
    pub(crate) filter: Option<Value>,
    pub(crate) requester: Requester,
    /// The scopes of the requester at the time of the order.
    pub(crate) scopes: Scopes,
}

impl Spec {
    /// Reads the order of a batch.
    pub(crate) fn of(batch: &Batch) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&batch.spec)
    }
}
