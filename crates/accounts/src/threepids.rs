//! Third-party ids of accounts.

use reeve_db::{DbError, Tx};
use reeve_model::{Ctx, User, UserNum};
use reeve_store::{pushers, threepids, users};
use serde_json::json;
use unicase::UniCase;

use crate::error::Error;
use crate::policy::Policy;
use crate::{audit, mails, rights};

/// The medium of e-mail addresses.
pub(crate) const EMAIL: &str = "email";
/// The app id of pushers that send e-mail.
pub const EMAIL_PUSHER: &str = "m.email";

/// Returns the form in which an address is stored and compared: e-mail addresses trimmed and case-folded.
/// <https://spec.matrix.org/v1.18/appendices/#3pid-types>
pub fn canonical(medium: &str, address: &str) -> Result<String, Error> {
    match medium {
        EMAIL => {
            let mut parts = address.trim().split('@');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(local), Some(domain), None) => {
                    Ok(format!("{}@{}", UniCase::unicode(local).to_folded_case(), domain.to_lowercase()))
                }
                _ => Err(Error::BadEmail),
            }
        }
        "msisdn" => Ok(address.to_owned()),
        other => Err(Error::UnknownMedium(other.to_owned())),
    }
}

/// Returns the [`canonical`] forms of addresses (medium and address as given), if all are valid.
pub fn check(wanted: &[(String, String)]) -> Result<Vec<String>, Error> {
    wanted.iter().map(|(medium, address)| canonical(medium, address)).collect()
}

/// Replaces the third-party ids of an account by `wanted` (medium and address as given). Others are removed first, each
/// with its e-mail pusher; then new ones are added, and taken from other accounts that had them. The addresses that the
/// accounts had before are told. Returns true if anything changed.
pub fn replace(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    wanted: &[(String, String)],
) -> Result<bool, Error> {
    let canonicals = check(wanted)?;
    let before = mails::addresses(tx, user.num)?;
    let stored = threepids::of_user(tx, user.num)?;
    let mut changed = false;
    for threepid in &stored {
        // The addresses are compared as given: one in another case is removed and added again, with a new time.
        if !wanted.iter().any(|(medium, address)| *medium == threepid.medium && *address == threepid.address)
        {
            remove(tx, user.num, &threepid.medium, &threepid.address)?;
            changed = true;
        }
    }
    for ((medium, address), canonical) in wanted.iter().zip(&canonicals) {
        if !stored.iter().any(|threepid| threepid.medium == *medium && threepid.address == *address) {
            if let Some(loser) = threepids::find_user(tx, medium, canonical)? {
                lose(tx, ctx, policy, loser, &Move { medium, address: canonical, to: user })?;
            }
            threepids::put(tx, user.num, medium, canonical, ctx.now)?;
            changed = true;
        }
    }
    mails::addresses_changed(tx, ctx, policy, user, &before)?;
    Ok(changed)
}

/// A third-party id that another account gets.
struct Move<'a> {
    medium: &'a str,
    address: &'a str,
    to: &'a User,
}

/// Removes a third-party id that another account gets from the account that has it.
fn lose(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    loser: UserNum,
    Move { medium, address, to }: &Move<'_>,
) -> Result<(), Error> {
    let before = mails::addresses(tx, loser)?;
    let user = users::by_num(tx, loser)?;
    if let Some(user) = &user {
        rights::check_may_change(tx, ctx, user)?;
        let changes = json!({ "medium": medium, "address": address, "to": to.user_id });
        audit::record(tx, ctx, "threepid.move", &user.user_id, &changes)?;
    }
    remove(tx, loser, medium, address)?;
    if let Some(user) = user.filter(|user| user.num != to.num) {
        mails::addresses_changed(tx, ctx, policy, &user, &before)?;
    }
    Ok(())
}

/// Removes a third-party id from an account, with its e-mail pusher.
pub(crate) fn remove(tx: &mut Tx<'_>, user_num: UserNum, medium: &str, address: &str) -> Result<(), DbError> {
    threepids::delete(tx, user_num, medium, address)?;
    if medium == EMAIL {
        pushers::delete(tx, user_num, EMAIL_PUSHER, address)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        assert_eq!(canonical("email", " FoO@BaR.Com ").unwrap(), "foo@bar.com");
        assert_eq!(canonical("msisdn", "447700900001").unwrap(), "447700900001");
        assert!(matches!(canonical("email", "a@b@c"), Err(Error::BadEmail)));
        assert!(matches!(canonical("email", "a"), Err(Error::BadEmail)));
        assert!(matches!(canonical("foo", "x"), Err(Error::UnknownMedium(_))));
    }
}
