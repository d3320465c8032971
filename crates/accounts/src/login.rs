//! Login: proofs of identity, and the deed that begins a session for a proof.

use reeve_db::{DbError, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, User, UserNum};
use reeve_store::{login_tokens, users};

use crate::error::Error;
use crate::policy::Policy;
use crate::sessions::{self, Issued, NewSession};

/// A proof of identity.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The right password of an account. Hashing takes time, in which the password may be changed, so the stored hash
    /// that it matched is a part of the proof.
    Password {
        /// The account.
        user_num: UserNum,
        /// The hash.
        hash: String,
    },
    /// A login token, not checked yet.
    Token(String),
}

/// Begins a session for the account of a proof, and returns both. A refusal inside the result uses up a login token;
/// the outer error changes nothing.
pub fn log_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    proof: &Proof,
    new: &NewSession,
) -> Result<Result<(User, Issued), Error>, Error> {
    let user = match proven(tx, ctx, proof)? {
        Ok(user) => user,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = check_may_log_in(&user).and_then(|()| sessions::check(new)) {
        return Ok(Err(refusal));
    }
    let issued = sessions::create(tx, ctx, policy, &user, new)?;
    Ok(Ok((user, issued)))
}

/// Returns the account of a proof, if the proof is valid.
pub(crate) fn proven(tx: &mut Tx<'_>, ctx: &Ctx, proof: &Proof) -> Result<Result<User, Error>, DbError> {
    Ok(match proof {
        Proof::Password { user_num, hash } => match users::by_num(tx, *user_num)? {
            Some(user) if users::password_hash(tx, *user_num)?.as_ref() == Some(hash) => Ok(user),
            Some(_) | None => Err(Error::BadCredentials),
        },
        Proof::Token(token) => {
            let user = match login_tokens::take(tx, &hash_token(token))? {
                Some(token) if token.valid_until_ts >= ctx.now => users::by_num(tx, token.user_num)?,
                Some(_) | None => None,
            };
            user.ok_or(Error::BadLoginToken)
        }
    })
}

/// Checks that an account whose credentials were right may log in.
pub fn check_may_log_in(user: &User) -> Result<(), Error> {
    if user.deactivated {
        return Err(Error::Deactivated);
    }
    if user.locked {
        return Err(Error::Locked);
    }
    Ok(())
}
