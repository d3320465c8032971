//! Filters that clients store.
//! <https://spec.matrix.org/v1.18/client-server-api/#filtering>

use reeve_db::Tx;
use reeve_model::UserNum;
use reeve_store::filters;

use crate::error::Error;
use crate::policy::Limits;

/// The maximum length of a filter, in bytes of JSON.
const MAX: usize = 64 * 1024;

/// Stores a filter, given as JSON. Returns its id, or that of an equal filter.
pub fn create(tx: &mut Tx<'_>, limits: &Limits, user_num: UserNum, content: &str) -> Result<i64, Error> {
    if content.len() > MAX {
        return Err(Error::too_long("A filter", MAX));
    }
    if let Some(equal) = filters::equal(tx, user_num, content)? {
        return Ok(equal);
    }
    // Filters are never deleted one by one, so that their number is the next id.
    let filter_id = filters::next_id(tx, user_num)?;
    if filter_id >= limits.filters {
        return Err(Error::too_many("An account", limits.filters, "filters"));
    }
    filters::insert(tx, user_num, filter_id, content)?;
    Ok(filter_id)
}
