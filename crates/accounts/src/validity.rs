//! Account validity: the times at which accounts expire.

use reeve_db::Tx;
use reeve_model::{Ctx, Millis};
use reeve_store::validity::{self, Validity};
use serde_json::json;

use crate::error::Error;
use crate::{audit, rights};

/// Sets the time at which an account expires. The account need not exist yet. A time in the past closes it at once.
pub fn set(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    expiration_ts: Millis,
    renewal_emails: bool,
) -> Result<(), Error> {
    rights::check_may_change_any(tx, ctx, user_id)?;
    let new = Validity { expiration_ts, renewal_emails };
    if validity::find(tx, user_id)? != Some(new) {
        validity::set(tx, user_id, new)?;
        let changes = json!({ "expiration_ts": expiration_ts, "renewal_emails": renewal_emails });
        audit::record(tx, ctx, "account_validity.set", user_id, &changes)?;
    }
    Ok(())
}

/// Lets an account not expire.
pub fn clear(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    rights::check_may_change_any(tx, ctx, user_id)?;
    if validity::find(tx, user_id)?.is_some() {
        validity::delete(tx, user_id)?;
        audit::record(tx, ctx, "account_validity.set", user_id, &json!({ "expiration_ts": null }))?;
    }
    Ok(())
}
