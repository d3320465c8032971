//! Account validity: the times at which accounts expire, and their renewal.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, Millis, User, random};
use reeve_store::users;
use reeve_store::validity::{self, Renewal, Validity};
use serde_json::json;

use crate::emails::TOKEN;
use crate::error::Error;
use crate::mails::{self, Letter};
use crate::policy::Policy;
use crate::{audit, rights};

/// Maximum number of owners who are reminded in one transaction.
const AT_ONCE: i64 = 100;

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

/// Returns true if the owners of accounts renew them by a link in a mail.
pub fn is_renewed_by_mail(policy: &Policy) -> bool {
    policy.mail.enabled
        && policy.account_validity_period_ms.is_some()
        && policy.account_validity_remind_ms.is_some()
}

/// Reminds the owners of some accounts that expire soon, once; returns true if there may be more.
pub fn remind(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy) -> Result<bool, DbError> {
    let Some(before) = policy.account_validity_remind_ms.filter(|_| is_renewed_by_mail(policy)) else {
        return Ok(false);
    };
    let ending = validity::ending(tx, ctx.now, ctx.now.plus(before), AT_ONCE)?;
    for user_id in &ending {
        let sent = match users::find(tx, user_id)? {
            Some(user) => send_link(tx, ctx, policy, &user)?,
            None => false,
        };
        if !sent {
            validity::set_reminded(tx, user_id, None)?;
        }
    }
    Ok(i64::try_from(ending.len()).unwrap_or(i64::MAX) >= AT_ONCE)
}

/// Sends the owner of an account a link that renews it; a former one ends. Returns false if the account does not expire, is not
/// renewed by mail, is deactivated, or has no e-mail address.
pub fn send_link(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, user: &User) -> Result<bool, DbError> {
    let addresses = mails::addresses(tx, user.num)?;
    let validity = validity::find(tx, &user.user_id)?;
    let can_renew =
        |validity: &Validity| validity.renewal_emails && !user.deactivated && !addresses.is_empty();
    let Some(Validity { expiration_ts, .. }) = validity.filter(can_renew) else { return Ok(false) };
    let token = random::secret(TOKEN);
    validity::set_reminded(tx, &user.user_id, Some(&hash_token(&token)))?;
    let letter = Letter::Expiring { user_id: user.user_id.clone(), expiration_ts, token };
    mails::tell(tx, ctx, policy, user, &addresses, &letter)?;
    Ok(true)
}

/// Returns the renewal to which the link with a token leads.
pub fn renewal(tx: &ReadTx<'_>, token: &str) -> Result<Renewal, Error> {
    validity::by_renewal(tx, &hash_token(token))?.ok_or(Error::BadMailLink)
}

/// Renews an account by one period, for the person who opened the link in the mail. A repetition changes nothing.
pub fn renew(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, token: &str) -> Result<Renewal, Error> {
    let before = renewal(tx, token)?;
    if before.is_used {
        return Ok(before);
    }
    let period = policy.account_validity_period_ms.ok_or(Error::BadMailLink)?;
    let expiration_ts = before.expiration_ts.max(ctx.now.plus(period));
    validity::renew(tx, &before.user_id, expiration_ts)?;
    let changes = json!({ "expiration_ts": expiration_ts });
    audit::record(tx, ctx, "account_validity.set", &before.user_id, &changes)?;
    Ok(Renewal { expiration_ts, is_used: true, ..before })
}
