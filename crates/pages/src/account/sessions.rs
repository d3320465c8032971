//! The sessions of the account: devices of its clients, and browsers.

use std::cmp::Reverse;

use http::StatusCode;
use reeve_accounts::sessions::{self, Spared};
use reeve_accounts::{browser_sessions, devices};
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Param, Reading, Route};
use reeve_db::{DbError, ReadTx};
use reeve_model::{TokenHash, UserNum};
use reeve_store::browser_sessions::Browser;
use reeve_store::devices::Device;
use reeve_store::{browser_sessions as stored_browsers, dehydrated_devices, devices as stored_devices};
use serde::Serialize;

use crate::links::encoded;
use crate::moment::Moment;
use crate::page;

pub(super) const LIST: &str = "/_reeve/pages/account/sessions";
const ONE: &str = "/_reeve/pages/account/session";
/// The beginning of the id of a session that is a device.
const DEVICE: &str = "device:";
/// Maximum number of devices on the page: those that were seen last.
const MOST: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    let device_id = Param::text("device_id", "the device");
    vec![
        page::shown(Route::read(LIST, list), Access::SignedIn)
            .id("showSessions")
            .query(page::params([page::done()]))
            .summary("Shows the sessions of the account: devices of clients, and browsers"),
        page::shown(Route::read(ONE, show), Access::SignedIn)
            .id("showSession")
            .query(page::params([device_id]))
            .summary("Shows a device of the account, and asks whether to end its session"),
        page::form::<AnyObject>(
            Route::post("/_reeve/pages/account/sessions/{session}/end", end),
            Access::SignedIn,
        )
        .id("endSession")
        .summary("Ends a session of the account"),
        page::form::<AnyObject>(
            Route::post("/_reeve/pages/account/sessions/end-others", end_others),
            Access::SignedIn,
        )
        .id("endOtherSessions")
        .summary("Ends all sessions of the account but that of the browser"),
    ]
}

/// Returns the page about a device.
pub(super) fn page_of(device_id: &str) -> String {
    format!("{ONE}?device_id={}", encoded(device_id))
}

fn end_of(session: &str) -> String {
    format!("{LIST}/{}/end", encoded(session))
}

/// Returns the devices of an account, without a dehydrated one, which is no session.
pub(super) fn logged_in(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<Device>, DbError> {
    let mut devices = stored_devices::of_user(tx, user_num)?;
    if let Some(dehydrated) = dehydrated_devices::of_user(tx, user_num)? {
        devices.retain(|device| device.device_id != dehydrated.device_id);
    }
    Ok(devices)
}

/// A device, as pages show it.
#[derive(Serialize)]
struct DeviceView {
    /// Its display name, or else its id.
    name: String,
    device_id: String,
    client: Option<String>,
    seen: Option<Moment>,
    ip: Option<String>,
    /// The page about it.
    page: String,
    /// The path that ends its session.
    end: String,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        let name = device.display_name.filter(|name| !name.trim().is_empty());
        Self {
            name: name.unwrap_or_else(|| device.device_id.clone()),
            client: device.last_seen_user_agent.filter(|client| !client.is_empty()),
            seen: device.last_seen_ts.map(Moment::from),
            ip: device.last_seen_ip,
            page: page_of(&device.device_id),
            end: end_of(&format!("{DEVICE}{}", device.device_id)),
            device_id: device.device_id,
        }
    }
}

/// A browser, as the page shows it.
#[derive(Serialize)]
struct BrowserView {
    user_agent: String,
    created: Moment,
    seen: Moment,
    ip: Option<String>,
    /// True for the browser that asks.
    present: bool,
    /// The path that ends its session.
    end: String,
}

impl BrowserView {
    fn new(browser: Browser, present: &TokenHash) -> Self {
        Self {
            created: browser.created_ts.into(),
            seen: browser.last_seen_ts.into(),
            present: browser.token_hash == *present,
            end: end_of(&browser_sessions::id(&browser.token_hash)),
            user_agent: browser.user_agent,
            ip: browser.ip,
        }
    }
}

/// The values in the list.
#[derive(Serialize)]
struct Sessions {
    here: &'static str,
    devices: Vec<DeviceView>,
    /// The number of devices that are not shown.
    more: usize,
    browsers: Vec<BrowserView>,
    done: Option<&'static str>,
}

fn list(call: &Reading<'_>) -> Answer {
    let browser = call.browser()?;
    let num = browser.user.num;
    let mut all = logged_in(call.tx, num)?;
    devices::see(&mut all, &call.app.seen.lately(num));
    all.sort_by_key(|device| Reverse(device.last_seen_ts));
    let more = all.len().saturating_sub(MOST);
    let browsers = stored_browsers::of_user(call.tx, num, call.now)?.into_iter();
    let values = Sessions {
        here: "sessions",
        devices: all.into_iter().take(MOST).map(DeviceView::from).collect(),
        more,
        browsers: browsers.map(|other| BrowserView::new(other, &browser.token_hash)).collect(),
        done: page::is_done(call).then_some("sessions-ended"),
    };
    Ok(page::show(call, StatusCode::OK, "sessions.html", values))
}

/// The values in the page about a device.
#[derive(Serialize)]
struct Session {
    here: &'static str,
    /// The device; `None` if the account has no such.
    device: Option<DeviceView>,
}

fn show(call: &Reading<'_>) -> Answer {
    let (num, device_id) = (call.user()?.num, call.query.utf8("device_id")?.unwrap_or_default());
    let mut device = stored_devices::find(call.tx, num, &device_id)?;
    devices::see(device.as_mut_slice(), &call.app.seen.lately(num));
    let values = Session { here: "sessions", device: device.map(DeviceView::from) };
    Ok(page::show(call, StatusCode::OK, "session.html", values))
}

async fn end(mut call: Call) -> Answer {
    let AnyObject(_) = call.take_form().await?;
    let (ctx, session) = (call.ctx(), call.param("session"));
    call.act_in_browser(move |tx, browser| -> Result<(), reeve_accounts::Error> {
        let user = &browser.user;
        match session.strip_prefix(DEVICE) {
            Some(device_id) => devices::delete_all(tx, &ctx, &user.user_id, &[device_id.to_owned()]),
            None => Ok(browser_sessions::end(tx, user.num, ctx.now, &session).map(|_: bool| ())?),
        }
    })
    .await?;
    page::go(&call, &format!("{LIST}?done=yes"))
}

async fn end_others(mut call: Call) -> Answer {
    let AnyObject(_) = call.take_form().await?;
    call.act_in_browser(|tx, browser| sessions::end_all(tx, browser.user.num, &Spared::browser(browser)))
        .await?;
    page::go(&call, &format!("{LIST}?done=yes"))
}
