//! The profile.

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::account::MAX_DISPLAYNAME;
use reeve_accounts::profile::{self, Change};
use reeve_app::{Access, Answer, Call, Limit, Reading, Route, body};
use serde::Serialize;

use crate::page;
use crate::problem::Problem;

pub(super) const PATH: &str = "/_reeve/pages/account/profile";

body! {
    /// The profile, as its page changes it.
    pub(crate) struct ProfileForm {
        displayname: Option<String>,
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::SignedIn)
            .id("showProfile")
            .query(page::params([page::done()]))
            .summary("Shows the profile of the account"),
        page::form::<ProfileForm>(Route::post(PATH, save), Access::SignedIn)
            .limit(Limit::Name)
            .not_suspended("Updating profile while account is suspended is not allowed.")
            .id("saveProfile")
            .summary("Changes the display name of the account")
            .errors(&[
                (400, "M_UNKNOWN", "the display name is too long"),
                (400, "M_PROFILE_TOO_LARGE", "the profile would be too large"),
            ]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Values<'a> {
    here: &'static str,
    displayname: &'a str,
    done: Option<&'static str>,
    problems: Vec<Problem>,
}

fn values(displayname: &str, problems: Vec<Problem>) -> Values<'_> {
    Values { here: "profile", displayname, done: None, problems }
}

fn show(call: &Reading<'_>) -> Answer {
    let displayname = call.user()?.displayname.as_deref().unwrap_or_default();
    let done = page::is_done(call).then_some("profile-saved");
    let values = Values { done, ..values(displayname, Vec::new()) };
    Ok(page::show(call, StatusCode::OK, "profile.html", values))
}

fn refused(call: &Call, displayname: &str, problem: Problem) -> Response {
    page::show(call, StatusCode::BAD_REQUEST, "profile.html", values(displayname, vec![problem]))
}

async fn save(mut call: Call) -> Answer {
    let displayname = call.take_form::<ProfileForm>().await?.displayname.read()?.unwrap_or_default();
    let displayname = displayname.trim().to_owned();
    if displayname.chars().count() > MAX_DISPLAYNAME {
        return Ok(refused(&call, &displayname, Problem::at("displayname", "profile-too-long")));
    }
    let (ctx, change) = (call.ctx(), Change::DisplayName(displayname.clone()));
    let saved = call
        .act_in_browser(move |tx, browser| profile::change(tx, &ctx, &browser.user.user_id, &change))
        .await;
    match saved {
        Ok(()) => page::go(&call, &format!("{PATH}?done=yes")),
        Err(error) => Ok(refused(&call, &displayname, Problem::of_refusal(error)?)),
    }
}
