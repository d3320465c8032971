//! The order of a batch, as it is stored.

use std::collections::BTreeSet;

use reeve_model::Scopes;
use reeve_store::batches::Batch;
use serde::{Deserialize, Serialize};

use crate::act::Act;
use crate::requester::Requester;
use crate::selection::Filter;

/// A stored order.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Spec {
    pub(crate) act: Act,
    pub(crate) include: BTreeSet<String>,
    /// `None`: the accounts were named, and are stored already.
    pub(crate) filter: Option<Filter>,
    pub(crate) requester: Requester,
    /// The scopes of the requester at the time of the order.
    pub(crate) scopes: Scopes,
    /// The number of accounts that were shown.
    pub(crate) shown: i64,
}

impl Spec {
    /// Reads the order of a batch.
    pub(crate) fn of(batch: &Batch) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&batch.spec)
    }
}
