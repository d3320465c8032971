//! The password, asked for again before something dangerous.

use reeve_accounts::Policy;
use reeve_app::credentials::{self, Identifier};
use reeve_app::{Call, MatrixError, body};
use reeve_db::{DbError, ReadTx};
use reeve_model::UserNum;
use reeve_store::users;

use crate::problem::Problem;

/// The error of the forms that ask for the password.
pub(crate) const TOO_MANY: (u16, &str, &str) = (429, "M_LIMIT_EXCEEDED", "too many wrong passwords");
/// The name of the field.
const FIELD: &str = "password";

body! {
    /// The password of the account, once more.
    pub(crate) struct PasswordConfirmation {
        password: Option<String>,
    }
}

/// A proof that the person is there: the stored hash of the password; `None` if the account has no password.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) password_hash: Option<String>,
}

/// Returns true if forms ask for the password of an account: unless it has none, or passwords are switched off.
pub(crate) fn is_asked(tx: &ReadTx<'_>, policy: &Policy, user_num: UserNum) -> Result<bool, DbError> {
    Ok(policy.password_enabled && users::password_hash(tx, user_num)?.is_some())
}

/// Checks the password that was given, if one is asked for. The transaction of the act compares the hash again, with
/// [`reeve_accounts::browser_sessions::prove`].
pub(crate) async fn check(
    call: &Call,
    password: Option<&str>,
) -> Result<Result<Proven, Problem>, MatrixError> {
    let user = call.user()?;
    let num = user.num;
    let password_hash = call.read(move |tx| users::password_hash(tx, num)).await?;
    if !call.app.policy.password_enabled || password_hash.is_none() {
        return Ok(Ok(Proven { password_hash }));
    }
    let Some(password) = password else { return Ok(Err(Problem::at(FIELD, "password-missing"))) };
    match credentials::verify(call, Identifier::User(user.user_id.clone()), password).await {
        Ok(verified) => Ok(Ok(Proven { password_hash: Some(verified.password_hash) })),
        Err(error) if error.status == 403 => Ok(Err(Problem::at(FIELD, "password-wrong"))),
        Err(error) => Err(error),
    }
}
