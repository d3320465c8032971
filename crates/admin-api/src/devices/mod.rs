//! Devices of an account.

mod create;
mod delete;
mod delete_many;
mod get;
mod list;
mod rename;
mod view;

use reeve_app::{Call, MatrixError, Reading, Route};
use reeve_model::User;

use crate::target;

pub(crate) fn routes() -> Vec<Route> {
    vec![list::route(), create::route(), delete_many::route(), get::route(), rename::route(), delete::route()]
}

/// Returns the account in the path, which must exist here.
async fn owner(call: &Call) -> Result<User, MatrixError> {
    owner_or(call, "Can only lookup local users").await
}

/// Returns the account in the path, which must exist here, for a read-only operation.
fn read_owner(call: &Reading<'_>) -> Result<User, MatrixError> {
    let user_id = target::local_user(call, "Can only lookup local users")?;
    target::found(call.tx, &user_id, "Unknown user")
}

/// Returns the account in the path, which must exist here. `remote` is the error text for an account of another
/// server.
async fn owner_or(call: &Call, remote: &'static str) -> Result<User, MatrixError> {
    let user_id = target::local_user(call, remote)?;
    target::existing(call, &user_id, "Unknown user").await
}
