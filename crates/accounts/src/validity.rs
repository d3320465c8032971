//! Until when accounts are valid.

use reeve_db::Tx;
use reeve_model::{Ctx, Millis};
use reeve_store::validity;
use serde_json::json;

use crate::audit;
use crate::error::Error;

/// Sets until when an account is valid, in milliseconds; it need not exist yet. A time in the past closes it at once.
pub fn set(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    expiration_ts: Millis,
    renewal_emails: bool,
) -> Result<(), Error> {
    if validity::find(tx, user_id)? != Some((expiration_ts, renewal_emails)) {
        validity::set(tx, user_id, expiration_ts, renewal_emails)?;
        let changes = json!({ "expiration_ts": expiration_ts, "renewal_emails": renewal_emails });
        audit::record(tx, ctx, "account_validity.set", user_id, &changes)?;
    }
    Ok(())
}

/// Lets an account be valid for ever.
pub fn clear(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<(), Error> {
    if validity::find(tx, user_id)?.is_some() {
        validity::delete(tx, user_id)?;
        audit::record(tx, ctx, "account_validity.set", user_id, &json!({ "expiration_ts": null }))?;
    }
    Ok(())
}
