//! Choosing a new password: comparing it with the present one, and setting it without a session.

use std::sync::Arc;

use reeve_accounts::Error;
use reeve_accounts::password::Verdict;
use reeve_accounts::password_change::Chosen;
use reeve_accounts::recovery::{self, Proof};
use reeve_app::{Call, MatrixError};
use reeve_model::User;
use reeve_store::users;

/// Maximum length of a password, in characters.
pub const MAX_PASSWORD: usize = 512;

/// Sets a new password for the account of somebody who proved by a mail that an address of it is theirs. All sessions of the
/// account end if `end_sessions` is true. Returns the account.
pub async fn choose_password(
    call: &Call,
    proof: Proof,
    password: &str,
    end_sessions: bool,
) -> Result<User, MatrixError> {
    let (wanted, now) = (proof.clone(), call.now);
    let user = call.read(move |tx| recovery::account(tx, &wanted, now)).await?;
    call.app.policy.password_rules.check(password, Some(&user.user_id)).map_err(Error::from)?;
    let chosen = chosen(call, &user, password, end_sessions).await?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.write(move |tx| recovery::set_password(tx, &ctx, &app.policy, &proof, &chosen)).await
}

/// Returns a new password as a deed stores it. If the account must change its password, the present one is refused: that comes
/// after the proof of identity, or it would help to guess the password.
pub(crate) async fn chosen(
    call: &Call,
    user: &User,
    password: &str,
    end_sessions: bool,
) -> Result<Chosen, MatrixError> {
    let differs_from = different(call, user, password).await?;
    Ok(Chosen { differs_from, hash: call.app.hasher.hash(password).await?, end_sessions })
}

/// Compares a new password with the present one, if the account must change it: refuses the same one, and returns the stored
/// hash that it does not match.
async fn different(call: &Call, user: &User, password: &str) -> Result<Option<String>, MatrixError> {
    if !user.password_change_required {
        return Ok(None);
    }
    let num = user.num;
    let stored = call.read(move |tx| users::password_hash(tx, num)).await?;
    match call.app.hasher.verify(password, stored.as_deref()).await? {
        Verdict::Wrong => Ok(stored),
        Verdict::Right | Verdict::RightButOld => Err(Error::SamePassword.into()),
    }
}
