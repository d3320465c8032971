//! A new password for people who lost theirs, and prove by a mail that an address of their account is theirs.

use reeve_db::{ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, EmailPurpose, Millis, User};
use reeve_store::{email_validations as validations, threepids, users};

use crate::error::Error;
use crate::password_change::{self, Chosen};
use crate::policy::Policy;
use crate::threepids::EMAIL;

/// The proof by which a person without a session chooses a new password.
#[derive(Clone)]
pub enum Proof {
    /// A complete proof of a client, by its id. The client was asked for its secret.
    Confirmed(String),
    /// The token of a link in a mail that leads to the page on which the password is chosen.
    Link(String),
}

impl Proof {
    fn refusal(&self) -> Error {
        match self {
            Self::Confirmed(_) => Error::EmailNotConfirmed,
            Self::Link(_) => Error::BadMailLink,
        }
    }
}

/// Returns the account whose password can be set. It is the one to which the mail was sent, and still has the address.
pub fn account(tx: &ReadTx<'_>, proof: &Proof, now: Millis) -> Result<User, Error> {
    let found = match proof {
        Proof::Confirmed(sid) => {
            let found = validations::find(tx, sid, now)?;
            found.filter(|proof| proof.secret_hash.is_some() && proof.validated_ts.is_some())
        }
        Proof::Link(token) => {
            let found = validations::by_token(tx, &hash_token(token), now)?;
            found.filter(|proof| proof.secret_hash.is_none())
        }
    };
    let found = found.filter(|found| found.purpose == EmailPurpose::Reset);
    let found = found.ok_or_else(|| proof.refusal())?;
    let holder = threepids::find_user(tx, EMAIL, &found.address)?.filter(|num| found.user_num == Some(*num));
    let user = holder.map(|num| users::by_num(tx, num)).transpose()?.flatten();
    user.filter(|user| !user.deactivated).ok_or_else(|| proof.refusal())
}

/// Sets a new password, and uses the proof up. A required change of password is done by that; a lock or a suspension stays.
/// Returns the account.
pub fn set_password(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    proof: &Proof,
    chosen: &Chosen,
) -> Result<User, Error> {
    if !policy.password_enabled {
        return Err(Error::PasswordChangeDisabled);
    }
    let user = account(tx, proof, ctx.now)?;
    password_change::change(tx, ctx, policy, &user, chosen)?;
    Ok(user)
}
