//! Choosing a new password, with a session and without one.

use std::sync::Arc;

use reeve_accounts::emails::Proof;
use reeve_accounts::password_change::Chosen;
use reeve_accounts::sessions::Spared;
use reeve_accounts::{Error, recovery};
use reeve_app::{Call, MatrixError, credentials};
use reeve_model::User;

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
    let chosen = chosen(call, &user, password, end_sessions.then(Spared::default)).await?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.write(move |tx| recovery::set_password(tx, &ctx, &app.policy, &proof, &chosen)).await
}

/// Returns a new password as a deed stores it.
pub(crate) async fn chosen(
    call: &Call,
    user: &User,
    password: &str,
    end_sessions: Option<Spared>,
) -> Result<Chosen, MatrixError> {
    let differs_from = credentials::different(call, user, password).await?;
    Ok(Chosen { hash: call.app.hasher.hash(password).await?, differs_from, end_sessions })
}
