//! Compares the data after a kill with the expectations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Client;
use crate::model::{self, Account, Deed};
use crate::storm::{InFlight, Known, Writer};
use crate::talk::note_key;

/// Maximum time for interrupted jobs, including the lease of a dead worker.
pub(crate) const JOBS_WITHIN: Duration = Duration::from_secs(100);
const PAUSE: Duration = Duration::from_millis(100);

/// Compares everything the writers know with the server's responses; `others` are the accounts that nobody
/// changes, and `when` is for the messages. The results of requests in flight are known afterwards.
pub(crate) fn writers(
    (writers, others): (&mut [Writer], &[String]),
    address: SocketAddr,
    admin: &str,
    when: &str,
) {
    thread::scope(|scope| {
        for writer in &mut *writers {
            scope.spawn(move || one_writer(writer, &mut Client::new(address, Some(admin)), when));
        }
    });
    lists((writers, others), &mut Client::new(address, Some(admin)), when);
}

fn one_writer(writer: &mut Writer, client: &mut Client, when: &str) {
    if let Some(InFlight { user_id, deed }) = writer.in_flight.take() {
        let when = format!("{when}: {user_id} after an unanswered {deed:?}");
        let before = writer.accounts.get(&user_id).map(|known| known.account.clone());
        let after = deed.after(before.as_ref());
        let seen = look(client, &user_id);
        let done = seen.as_ref().is_some_and(|seen| matches(seen, &after));
        if !done {
            let undone = match (&seen, &before) {
                (None, None) => true,
                (Some(seen), Some(before)) => matches(seen, before),
                _ => false,
            };
            assert!(undone, "{when}: half done\n before {before:?}\n  after {after:?}\n   seen {seen:?}");
        }
        no_trace(client, &user_id, if done { before.as_ref() } else { Some(&after) }, seen.as_ref(), &when);
        if let (Deed::Password { password }, false) = (&deed, done) {
            assert!(!password_works(client, &user_id, password), "{when}: both passwords work");
        }
        if done {
            writer.landed += 1;
            writer.happened(&user_id, &deed);
        }
    }
    for (user_id, known) in &mut writer.accounts {
        if std::mem::take(&mut known.touched) {
            one_account(client, user_id, known, &format!("{when}: {user_id}"));
        }
    }
}

/// Looks at an account from every side.
fn one_account(client: &mut Client, user_id: &str, known: &Known, when: &str) {
    let Known { account, password, sessions, .. } = known;
    let seen = look(client, user_id).unwrap_or_else(|| panic!("{when}: it is lost, {account:?}"));
    assert!(matches(&seen, account), "{when}\n  acknowledged {account:?}\n          seen {seen:?}");
    for address in &account.threepids {
        assert_eq!(owner(client, &threepid_path(address)).as_deref(), Some(user_id), "{when}");
    }
    for external_id in &account.external_ids {
        assert_eq!(owner(client, &external_id_path(external_id)).as_deref(), Some(user_id), "{when}");
    }
    if let Some(displayname) = &account.displayname {
        assert_eq!(found_by_name(client, displayname), [user_id], "{when}: {displayname}");
    }
    for (device, token) in sessions {
        let reply =
            client.send_as(Some(token), "GET", "/_matrix/client/v3/account/whoami", &Value::Null).unwrap();
        let expected = match (account.devices.contains(device), account.locked) {
            (true, false) => (200, "", device.as_str()),
            (true, true) => (401, "M_USER_LOCKED", ""),
            (false, _) => (401, "M_UNKNOWN_TOKEN", ""),
        };
        assert_eq!(
            (reply.status, reply.text("errcode"), reply.text("device_id")),
            expected,
            "{when}: {device}"
        );
    }
    if !account.locked {
        assert_eq!(password_works(client, user_id, password), !account.deactivated, "{when}: {password}");
    }
}

/// The account as all endpoints together show it; nothing if there is no such account.
fn look(client: &mut Client, user_id: &str) -> Option<Seen> {
    let audit = client.get(&format!("/_reeve/admin/v1/audit?target={user_id}&limit=1000"));
    let mut audit = strings(&audit.body["entries"], "action");
    audit.reverse();
    let jobs = client.get(&format!("/_reeve/admin/v1/jobs?subject={user_id}"));
    let states = strings(&jobs.body["jobs"], "state");
    let user = client.get(&format!("/_synapse/admin/v2/users/{user_id}"));
    if user.status == 404 {
        assert_eq!((audit, states), (vec![], vec![]), "{user_id} does not exist");
        return None;
    }
    let Value::Object(body) = &user.body else { panic!("{}", user.body) };
    let text = |key: &str| body[key].as_str().map(str::to_owned);
    let flag = |key: &str| body[key].as_bool().unwrap_or_else(|| panic!("{key}: {}", user.body));
    let limit = client.get(&format!("/_synapse/admin/v1/users/{user_id}/override_ratelimit")).body;
    let devices = client.get(&format!("/_synapse/admin/v2/users/{user_id}/devices")).body;
    let data = client.get(&format!("/_synapse/admin/v1/users/{user_id}/accountdata")).body;
    let data: BTreeMap<String, Value> =
        serde_json::from_value(data["account_data"]["global"].clone()).unwrap();
    let mut threepids = strings(&body["threepids"], "address");
    threepids.sort();
    let account = Account {
        displayname: text("displayname"),
        avatar_url: text("avatar_url"),
        threepids,
        external_ids: strings(&body["external_ids"], "external_id"),
        admin: flag("admin"),
        locked: flag("locked"),
        deactivated: flag("deactivated"),
        erased: flag("erased"),
        limit: limit["messages_per_second"].as_i64().zip(limit["burst_count"].as_i64()),
        devices: strings(&devices["devices"], "device_id").into_iter().collect(),
        data: data.into_iter().map(|(kind, content)| (kind, content["value"].as_u64().unwrap())).collect(),
        jobs: states.len(),
        audit,
    };
    Some(Seen { account, jobs_done: states.iter().all(|state| state == "complete") })
}

#[derive(Debug)]
struct Seen {
    account: Account,
    jobs_done: bool,
}

/// Checks that an account is as expected. Account data is deleted with the job, not before it.
fn matches(seen: &Seen, expected: &Account) -> bool {
    let mut seen_account = seen.account.clone();
    if !seen.jobs_done {
        seen_account.data.clear();
    }
    let mut expected = expected.clone();
    expected.threepids.sort();
    seen_account == expected
}

/// Nothing must be left of a version of an account that is not the one there is.
fn no_trace(client: &mut Client, user_id: &str, other: Option<&Account>, seen: Option<&Seen>, when: &str) {
    let (none, nothing) = (Account::default(), Account::default());
    let (other, there) = (other.unwrap_or(&none), seen.map_or(&nothing, |seen| &seen.account));
    for address in other.threepids.iter().filter(|address| !there.threepids.contains(address)) {
        assert_eq!(owner(client, &threepid_path(address)), None, "{when}: {address}");
    }
    for external_id in other.external_ids.iter().filter(|id| !there.external_ids.contains(id)) {
        assert_eq!(owner(client, &external_id_path(external_id)), None, "{when}: {external_id}");
    }
    if let Some(displayname) = &other.displayname
        && there.displayname.as_ref() != Some(displayname)
    {
        assert_eq!(found_by_name(client, displayname), [""; 0], "{when}: {displayname}");
    }
    if seen.is_none() {
        let localpart = &user_id[1..user_id.find(':').unwrap()];
        assert_eq!(client.get(&format!("/_synapse/admin/v2/users/{user_id}/devices")).status, 404, "{when}");
        let free = client.get(&format!("/_synapse/admin/v1/username_available?username={localpart}"));
        assert_eq!((free.status, &free.body), (200, &json!({ "available": true })), "{when}");
    }
}

/// Counted, paged, sorted and filtered, the lists agree with the writers.
fn lists((writers, others): (&[Writer], &[String]), client: &mut Client, when: &str) {
    let mut expected: BTreeMap<String, Account> = BTreeMap::new();
    for writer in writers {
        expected
            .extend(writer.accounts.iter().map(|(user_id, known)| (user_id.clone(), known.account.clone())));
    }
    for user_id in others {
        let displayname = Some(note_key(user_id).to_owned());
        expected.insert(user_id.clone(), Account { displayname, ..Account::default() });
    }
    let admin = Account { displayname: Some("admin".to_owned()), admin: true, ..Account::default() };
    expected.insert(format!("@admin:{}", crate::process::SERVER_NAME), admin);

    // Every combination of filters.
    for deactivated in [None, Some(true), Some(false)] {
        for admins in [None, Some(true), Some(false)] {
            for locked in [true, false] {
                let mut query = format!("/_synapse/admin/v3/users?limit=10000&locked={locked}");
                for (name, flag) in [("deactivated", deactivated), ("admins", admins)] {
                    query += &flag.map_or(String::new(), |flag| format!("&{name}={flag}"));
                }
                let reply = client.get(&query);
                let listed: Vec<(String, Option<String>)> = listed(&reply.body);
                let right: Vec<_> = expected
                    .iter()
                    .filter(|(_, account)| deactivated.is_none_or(|flag| flag == account.deactivated))
                    .filter(|(_, account)| admins.is_none_or(|flag| flag == account.admin))
                    .filter(|(_, account)| locked || !account.locked)
                    .map(|(user_id, account)| (user_id.clone(), account.displayname.clone()))
                    .collect();
                assert_eq!(reply.body["total"], json!(right.len()), "{when}: the total of {query}");
                assert!(listed == right, "{when}: {query} lists\n{listed:?}\ninstead of\n{right:?}");
            }
        }
    }

    // Every order, page by page.
    for order in
        ["name", "displayname", "avatar_url", "creation_ts", "last_seen_ts", "admin", "locked", "deactivated"]
    {
        let (mut from, mut seen) = ("0".to_owned(), BTreeSet::new());
        loop {
            let path = format!("/_synapse/admin/v3/users?limit=150&locked=true&order_by={order}&from={from}");
            let reply = client.get(&path);
            assert_eq!(reply.body["total"], json!(expected.len()), "{when}: {path}");
            for (user_id, _) in listed(&reply.body) {
                assert!(seen.insert(user_id.clone()), "{when}: {path} lists {user_id} again");
            }
            match reply.body["next_token"].as_str() {
                Some(next) => next.clone_into(&mut from),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected.len(), "{when}: by {order}");
    }
}

/// Waits until no job is left, and every one has done its work.
pub(crate) fn jobs_finish(writers: &mut [Writer], address: SocketAddr, admin: &str) {
    let mut client = Client::new(address, Some(admin));
    let deactivated: usize = writers
        .iter()
        .flat_map(|writer| writer.accounts.values())
        .filter(|known| known.account.deactivated)
        .count();
    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis();
    loop {
        let open: Vec<Value> = ["scheduled", "active"]
            .iter()
            .flat_map(|state| {
                let reply = client.get(&format!("/_reeve/admin/v1/jobs?state={state}&limit=1000"));
                reply.body["jobs"].as_array().unwrap().clone()
            })
            .collect();
        if open.is_empty() {
            break;
        }
        assert!(left > 0, "these jobs are still not finished: {open:#?}");
        left -= 1;
        thread::sleep(PAUSE);
    }
    let (mut done, mut from) = (0, String::new());
    loop {
        let page = client
            .get(&format!("/_reeve/admin/v1/jobs?kind=deactivate_user&state=complete&limit=1000{from}"));
        done += page.body["jobs"].as_array().unwrap().len();
        let Some(next) = page.body["next_token"].as_str() else { break };
        from = format!("&from={next}");
    }
    assert_eq!(done, deactivated, "each deactivated account has one job");
}

fn listed(body: &Value) -> Vec<(String, Option<String>)> {
    let users = body["users"].as_array().unwrap_or_else(|| panic!("not a list: {body}"));
    let text = |user: &Value, key: &str| user[key].as_str().map(str::to_owned);
    users.iter().map(|user| (text(user, "name").unwrap(), text(user, "displayname"))).collect()
}

fn strings(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

fn threepid_path(address: &str) -> String {
    format!("/_synapse/admin/v1/threepid/email/users/{address}")
}

fn external_id_path(external_id: &str) -> String {
    format!("/_synapse/admin/v1/auth_providers/idp/users/{external_id}")
}

/// The owner of something.
fn owner(client: &mut Client, path: &str) -> Option<String> {
    let reply = client.get(path);
    assert!(matches!(reply.status, 200 | 404), "{path}: {}", reply.body);
    reply.body["user_id"].as_str().map(str::to_owned)
}

fn found_by_name(client: &mut Client, name: &str) -> Vec<String> {
    let name = name.replace(' ', "%20");
    let reply = client.get(&format!("/_synapse/admin/v3/users?locked=true&name={name}"));
    let found = strings(&reply.body["users"], "name");
    assert_eq!(reply.body["total"], json!(found.len()), "{name}");
    found
}

/// True if an account can log in; the new session ends at once.
fn password_works(client: &mut Client, user_id: &str, password: &str) -> bool {
    let request = Deed::LogIn { device: "probe".to_owned() }.request(user_id, password);
    let model::Request { method, path, body, .. } = request;
    let reply = client.send_as(None, method, &path, &body).unwrap();
    if reply.status != 200 {
        assert!(matches!(reply.status, 401 | 403), "{user_id}: {}", reply.body);
        return false;
    }
    let token = reply.text("access_token");
    let out = client.send_as(Some(token), "POST", "/_matrix/client/v3/logout", &json!({})).unwrap();
    assert_eq!(out.status, 200, "{}", out.body);
    true
}
