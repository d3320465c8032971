//! Accounts.

mod account_data;
mod admin;
mod counts;
mod cross_signing;
mod deactivate;
pub(crate) mod export;
mod get;
mod joined_rooms;
mod list;
mod login;
mod memberships;
mod moderate;
mod password_change;
mod pushers;
mod put;
mod ratelimit;
mod redact;
mod reset_password;
mod restore;
mod select;
pub(crate) mod selection;
mod shadow_ban;
mod suspend;
mod view;
mod whois;

use std::time::Duration;

use reeve_accounts::sessions::Spared;
use reeve_app::{Call, Route};

/// The time that a response waits for the job it queued. Small accounts are cleared by then; for large ones the
/// job continues.
const JOB_WAIT: Duration = Duration::from_secs(2);

/// Returns the session that stays when an act of the caller ends the sessions of an account: the caller's own.
fn spared(call: &Call) -> Spared {
    call.optional_session().map(Spared::session).unwrap_or_default()
}

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        list::v2(),
        list::v3(),
        get::route(),
        put::route(),
        admin::get(),
        admin::put(),
        deactivate::route(),
        reset_password::route(),
        password_change::get(),
        password_change::put(),
        login::route(),
        whois::route(),
        joined_rooms::route(),
        memberships::route(),
        counts::sent_invites(),
        counts::rooms_joined(),
        account_data::route(),
        pushers::route(),
        cross_signing::route(),
        shadow_ban::ban(),
        shadow_ban::unban(),
        ratelimit::get(),
        ratelimit::post(),
        ratelimit::delete(),
        suspend::route(),
        redact::order(),
        redact::status(),
        select::route(),
        export::route(),
        restore::get(),
        restore::post(),
    ];
    routes.extend(moderate::routes());
    routes
}
