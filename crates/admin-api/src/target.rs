//! The account that an operation is about. The API has three orders of checks; each operation states its own.

use reeve_accounts::Error;
use reeve_app::{Call, Head, MatrixError};
use reeve_db::ReadTx;
use reeve_model::{User, id};
use reeve_store::users;

/// The errors of [`local_user`] and [`found`].
pub(crate) const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_INVALID_PARAM", "the user id is malformed"),
    (400, "M_UNKNOWN", "the account is on another server"),
    (404, "M_NOT_FOUND", "there is no such account"),
];

/// Returns the user id in the path, of any server; only its form is checked.
pub(crate) fn shape(call: &Head) -> Result<String, MatrixError> {
    let user_id = call.param("user_id");
    id::split(&user_id)?;
    Ok(user_id)
}

/// Returns the user id in the path: first its form is checked, then its server (`remote` is the error text for
/// another server).
pub(crate) fn local_user(call: &Head, remote: &'static str) -> Result<String, MatrixError> {
    let user_id = shape(call)?;
    of_this_server(call, &user_id, remote)?;
    Ok(user_id)
}

/// Returns the user id in the path: only the server name is checked; an id without one counts as remote.
pub(crate) fn local_domain(call: &Head, remote: &'static str) -> Result<String, MatrixError> {
    let user_id = call.param("user_id");
    of_this_server(call, &user_id, remote)?;
    Ok(user_id)
}

fn of_this_server(call: &Head, user_id: &str, remote: &'static str) -> Result<(), MatrixError> {
    if id::domain_is(user_id, &call.app.server_name) { Ok(()) } else { Err(MatrixError::unknown(remote)) }
}

/// Returns the account with this user id, or 404 `M_NOT_FOUND` with the text that the operation uses.
pub(crate) async fn existing(call: &Call, user_id: &str, missing: &'static str) -> Result<User, MatrixError> {
    let wanted = user_id.to_owned();
    call.app.db.read(move |tx| found(tx, &wanted, missing)).await
}

/// Returns the account with this user id, or 404 `M_NOT_FOUND` with the text that the operation uses.
pub(crate) fn found(tx: &ReadTx<'_>, user_id: &str, missing: &'static str) -> Result<User, MatrixError> {
    users::find(tx, user_id)?.ok_or_else(|| MatrixError::not_found(missing))
}

/// Maps the error of a deed, where the operation returns 404 `M_UNKNOWN` for an account that does not exist.
pub(crate) fn no_row(error: Error) -> MatrixError {
    match error {
        Error::UserNotFound => MatrixError::new(404, "M_UNKNOWN", "No row found (users)"),
        other => other.into(),
    }
}
