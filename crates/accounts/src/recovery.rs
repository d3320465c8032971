//! A new password for people who lost theirs, and prove by a mail that an address of their account is theirs.

use reeve_db::{ReadTx, Tx};
use reeve_model::{Ctx, EmailPurpose, Millis, User};
use reeve_store::{threepids, users};

use crate::emails::Proof;
use crate::error::Error;
use crate::password_change::{self, Chosen};
use crate::policy::Policy;
use crate::threepids::EMAIL;

/// Returns the account whose password can be set. It is the one to which the mail was sent, and still has the address.
pub fn account(tx: &ReadTx<'_>, proof: &Proof, now: Millis) -> Result<User, Error> {
    let found = proof.find(tx, EmailPurpose::Reset, now)?;
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
