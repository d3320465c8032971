//! Third-party ids of accounts.

use reeve_db::{DbError, Tx};
use reeve_model::{Ctx, User, UserNum};
use reeve_store::{pushers, threepids, users};
use serde_json::json;
use unicase::UniCase;

use crate::error::Error;
use crate::{audit, rights};

/// The app id of pushers that send e-mail.
pub const EMAIL_PUSHER: &str = "m.email";

/// Returns the form in which an address is stored and compared: e-mail addresses trimmed and case-folded.
/// <https://spec.matrix.org/v1.18/appendices/#3pid-types>
pub fn canonical(medium: &str, address: &str) -> Result<String, Error> {
    match medium {
        "email" => {
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
/// with its e-mail pusher; then new ones are added, and taken from other accounts that had them. Returns true if
/// anything changed.
pub fn replace(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, wanted: &[(String, String)]) -> Result<bool, Error> {
    let canonicals = check(wanted)?;
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
                if let Some(loser) = users::by_num(tx, loser)? {
                    rights::check_may_change(tx, ctx, &loser)?;
                    let changes = json!({ "medium": medium, "address": canonical, "to": user.user_id });
                    audit::record(tx, ctx, "threepid.move", &loser.user_id, &changes)?;
                }
                remove(tx, loser, medium, canonical)?;
            }
            threepids::put(tx, user.num, medium, canonical, ctx.now)?;
            changed = true;
        }
    }
    Ok(changed)
}

fn remove(tx: &mut Tx<'_>, user_num: UserNum, medium: &str, address: &str) -> Result<(), DbError> {
    threepids::delete(tx, user_num, medium, address)?;
    if medium == "email" {
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
