//! Signing out.

use http::StatusCode;
use reeve_accounts::browser_sessions;
use reeve_app::page::LOGIN;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Content, Reading, Route, Visit};

use crate::page::{self, Nothing};

const LOGOUT: &str = "/_reeve/pages/logout";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(LOGOUT, show), Access::Page)
            .id("showLogout")
            .returns_other(303, Content::Nothing)
            .summary("Asks whether to sign out, if somebody has signed in"),
        page::form::<AnyObject>(Route::post(LOGOUT, sign_out), Access::Page)
            .before_password_change()
            .id("signOut")
            .summary("Ends the session of the browser"),
    ]
}

fn show(call: &Reading<'_>) -> Answer {
    if call.caller().browser().is_none() {
        return page::go(call, LOGIN);
    }
    Ok(page::show(call, StatusCode::OK, "logout.html", Nothing {}))
}

async fn sign_out(mut call: Call) -> Answer {
    let AnyObject(_) = call.take_form().await?;
    // The session also ends if its account is locked or has expired, when the page does not know it.
    if let Some(visit) = call.visit.clone() {
        call.write(move |tx| browser_sessions::sign_out(tx, &visit.token_hash())).await?;
    }
    let response = page::go(&call, LOGIN)?;
    Ok(page::with_cookie(response, &call, &Visit::begin()))
}
