//! The account: what the person can see of it and change. Each part is a page of its own.

mod deactivate;
mod emails;
mod export;
mod password;
mod profile;
mod reset_identity;
mod sessions;

use http::StatusCode;
use reeve_app::{Access, Answer, Param, Reading, Route};
use reeve_store::{browser_sessions, threepids};
use serde::Serialize;

use crate::links::OVERVIEW;
use crate::page;

/// The actions with which clients link to pages.
/// <https://spec.matrix.org/v1.18/client-server-api/#oauth-20-account-management>
const ACTIONS: [&str; 9] = [
    "org.matrix.profile",
    "org.matrix.devices_list",
    "org.matrix.sessions_list",
    "org.matrix.device_view",
    "org.matrix.session_view",
    "org.matrix.device_delete",
    "org.matrix.session_end",
    "org.matrix.account_deactivate",
    "org.matrix.cross_signing_reset",
];

pub(crate) fn routes() -> Vec<Route> {
    let overview = page::shown(Route::read(OVERVIEW, overview), Access::SignedIn)
        .id("showAccount")
        .query(page::params([
            Param::word("action", &ACTIONS, "the page that a client asks for"),
            Param::text("device_id", "the device that the action is about"),
        ]))
        .summary("Shows the account, or leads to the page for an action")
        .spec("https://spec.matrix.org/v1.18/client-server-api/#oauth-20-account-management");
    let groups = [
        profile::routes(),
        emails::routes(),
        password::routes(),
        sessions::routes(),
        deactivate::routes(),
        export::routes(),
        reset_identity::routes(),
    ];
    [overview].into_iter().chain(groups.into_iter().flatten()).collect()
}

/// The values in the page.
#[derive(Serialize)]
struct Overview<'a> {
    here: &'static str,
    displayname: Option<&'a str>,
    emails: Vec<String>,
    /// The number of devices and browsers.
    sessions: usize,
}

/// Returns the page for an action; `None` if it is unknown.
fn destination(action: &str, device_id: Option<&str>) -> Option<String> {
    Some(match action {
        "org.matrix.profile" => profile::PATH.to_owned(),
        "org.matrix.devices_list" | "org.matrix.sessions_list" => sessions::LIST.to_owned(),
        "org.matrix.device_view"
        | "org.matrix.session_view"
        | "org.matrix.device_delete"
        | "org.matrix.session_end" => device_id.map_or_else(|| sessions::LIST.to_owned(), sessions::page_of),
        "org.matrix.account_deactivate" => deactivate::PATH.to_owned(),
        "org.matrix.cross_signing_reset" => reset_identity::PATH.to_owned(),
        _ => return None,
    })
}

fn overview(call: &Reading<'_>) -> Answer {
    let (action, device_id) = (call.query.lossy("action"), call.query.utf8("device_id")?);
    if let Some(page) = action.and_then(|action| destination(&action, device_id.as_deref())) {
        return page::go(call, &page);
    }
    let user = call.user()?;
    let threepids = threepids::of_user(call.tx, user.num)?;
    let emails = threepids.into_iter().filter(|threepid| threepid.medium == "email");
    let devices = sessions::logged_in(call.tx, user.num)?;
    let browsers = browser_sessions::of_user(call.tx, user.num, call.now)?;
    let values = Overview {
        here: "account",
        displayname: user.displayname.as_deref(),
        emails: emails.map(|threepid| threepid.address).collect(),
        sessions: devices.len() + browsers.len(),
    };
    Ok(page::show(call, StatusCode::OK, "account.html", values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_leads_to_a_page() {
        for action in ACTIONS {
            let page = destination(action, Some("A/B"));
            assert!(page.is_some_and(|page| page.starts_with(OVERVIEW)), "{action}");
        }
        let page = destination("org.matrix.device_view", Some("A/B&c"));
        assert_eq!(page.as_deref(), Some("/_reeve/pages/account/session?device_id=A%2FB%26c"));
        assert_eq!(destination("org.matrix.unknown", None), None);
    }
}
