//! Accounts.

mod admin;
mod deactivate;
mod get;
mod list;
mod put;
mod reset_password;
mod view;

use std::time::Duration;

use reeve_accounts::users::Acting;
use reeve_http::{Call, MatrixError, Route};

/// How long an answer waits for the job it queued. Small accounts are cleared by then; for large ones the job goes on.
const JOB_WAIT: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        list::v2(),
        list::v3(),
        get::route(),
        put::route(),
        admin::get(),
        admin::put(),
        deactivate::route(),
        reset_password::route(),
    ]
}

/// The administrator who calls.
fn acting(call: &Call) -> Result<Acting, MatrixError> {
    let session = call.session()?;
    Ok(Acting {
        user_id: session.user.user_id.clone(),
        token_hash: session.token_hash,
        device_id: session.device_id.clone(),
    })
}
