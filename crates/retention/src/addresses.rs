//! Addresses of clients. An entry of the audit log keeps its address as long as it is kept.

use reeve_db::{DbError, Tx};
use reeve_jobs::StepError;
use reeve_model::Millis;
use reeve_store::{browser_sessions, connections, devices, service_tokens};
use serde::{Deserialize, Serialize};

use crate::run::{Counts, Part, Run};

/// The number of addresses that one step deletes.
const STEP: i64 = 500;

/// A table with addresses.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Table {
    /// Connections of accounts, which are deleted as a whole.
    Connections,
    /// Devices.
    Devices,
    /// Browser sessions.
    Browsers,
    /// Service tokens, of which there are few.
    ServiceTokens,
}

/// A place in the walk over addresses.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Place {
    table: Table,
    /// The time from which a dry run counts on.
    from: Millis,
}

impl Table {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Connections => Some(Self::Devices),
            Self::Devices => Some(Self::Browsers),
            Self::Browsers => Some(Self::ServiceTokens),
            Self::ServiceTokens => None,
        }
    }

    /// Deletes some addresses; returns their number.
    fn delete(self, tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<u64, DbError> {
        match self {
            Self::Connections => connections::prune(tx, before, most),
            Self::Devices => devices::clear_addresses(tx, before, most),
            Self::Browsers => browser_sessions::clear_addresses(tx, before, most),
            Self::ServiceTokens => service_tokens::clear_addresses(tx, before),
        }
    }

    /// Counts some addresses from a time on; returns their number, and the time from which to go on.
    fn count(
        self,
        tx: &Tx<'_>,
        from: Millis,
        before: Millis,
        most: i64,
    ) -> Result<(i64, Option<Millis>), DbError> {
        let part = match self {
            Self::Connections => connections::count_old(tx, from, before, most)?,
            Self::Devices => devices::count_addresses(tx, from, before, most)?,
            Self::Browsers => browser_sessions::count_addresses(tx, from, before, most)?,
            Self::ServiceTokens => return Ok((service_tokens::count_addresses(tx, before)?, None)),
        };
        Ok((part.count, part.next))
    }
}

/// Deletes addresses that were last seen before the time of the run.
pub(crate) fn step(tx: &mut Tx<'_>, run: &Run<'_>, place: Option<Place>) -> Result<Part<Place>, StepError> {
    let Place { table, from } = place.unwrap_or(Place { table: Table::Connections, from: Millis::ZERO });
    let most = run.at_once(STEP);
    let (deleted, rest) = if run.dry_run {
        table.count(tx, from, run.before, most)?
    } else {
        let deleted = i64::try_from(table.delete(tx, run.before, most)?).unwrap_or(most);
        (deleted, (deleted == most).then_some(from))
    };
    let here = rest.map(|from| Place { table, from });
    let next = here.or_else(|| table.next().map(|table| Place { table, from: Millis::ZERO }));
    Ok(Part { counts: Counts { deleted, kept: 0 }, next })
}
