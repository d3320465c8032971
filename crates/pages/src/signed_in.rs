//! The browser in which somebody signs in, and the page at which they continue.

use reeve_accounts::browser_sessions::NewBrowser;
use reeve_app::{Answer, Call, Visit, reply};
use reeve_model::User;

use crate::links::{OVERVIEW, PASSWORD, encoded};
use crate::page;

/// Returns the browser of a request under a new secret: another site may have set the one that it sent.
pub(crate) fn browser(call: &Call, visit: &Visit) -> NewBrowser {
    NewBrowser {
        token_hash: visit.token_hash(),
        former: call.visit.as_ref().map(Visit::token_hash),
        user_agent: call.user_agent().to_owned(),
    }
}

/// Returns the page at which somebody continues who has signed in.
pub(crate) fn next(user: &User, to: Option<String>) -> String {
    let to = to.unwrap_or_else(|| OVERVIEW.to_owned());
    if user.password_change_required { format!("{PASSWORD}?to={}", encoded(&to)) } else { to }
}

/// Continues there with the new cookie.
pub(crate) fn go_on(call: &Call, visit: &Visit, user: &User, to: Option<String>) -> Answer {
    let response = reply::see_other(&next(user, to))?;
    Ok(page::with_cookie(response, call, visit))
}
