//! An act on many accounts goes on over kills in the middle: each account has one outcome, and each outcome is true.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;
use serde_json::{Value, json};

use crate::check::JOBS_WITHIN;
use crate::http::Client;
use crate::process::{self, SERVER_NAME, Site};

/// Sets the number of kills in the middle of a batch; `REEVE_TEST_KILLS=30` takes some minutes, since a job that was interrupted
/// goes on when its lease ends.
const KILLS: &str = "REEVE_TEST_KILLS";
const DEFAULT_KILLS: usize = 3;
const ACCOUNTS: usize = 3000;
const WRITERS: usize = 8;
const PATH: &str = "/_reeve/admin/v1/users/batch";
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn run(engine: Engine) {
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| kills.parse().expect(KILLS));
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    create(&server, &admin);
    let (mut hits, mut batches) = (0, 0);
    while hits < kills {
        let is_lock = batches % 2 == 0;
        let batch = order(&mut Client::new(server.address, Some(&admin)), is_lock);
        batches += 1;
        let mut known = 0;
        loop {
            let mut client = Client::new(server.address, Some(&admin));
            // Each life of the server is a little longer than the one before.
            // After the last kill it may end.
            if wait_for_progress(&mut client, &batch, if hits < kills { known } else { ACCOUNTS }) {
                break;
            }
            thread::sleep(PAUSE * u32::try_from(hits % 13).unwrap());
            server.kill();
            server = site.start();
            let mut client = Client::new(server.address, Some(&admin));
            let (state, processed) = check(&mut client, &batch, is_lock);
            assert!(processed >= known, "{processed} after {known}");
            known = processed;
            hits += usize::from(state != "complete");
        }
        let mut client = Client::new(server.address, Some(&admin));
        let (state, processed) = check(&mut client, &batch, is_lock);
        assert_eq!((&*state, processed), ("complete", ACCOUNTS));
    }
    println!("{engine:?}: {hits} kills in the middle of {batches} batches");
}

/// Creates the accounts.
fn create(server: &process::Process, admin: &str) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                let mut client = Client::new(server.address, Some(admin));
                for number in (writer..ACCOUNTS).step_by(WRITERS) {
                    let path = format!("/_synapse/admin/v2/users/@many{number:04}:{SERVER_NAME}");
                    assert_eq!(client.send("PUT", &path, &json!({})).unwrap().status, 201);
                }
            });
        }
    });
}

/// Locks all of them, or unlocks them; returns the id of the batch.
fn order(client: &mut Client, is_lock: bool) -> String {
    let selection = json!({ "filter": { "name": "many", "locked": true } });
    let mut body =
        json!({ "selection": selection, "act": { "type": if is_lock { "lock" } else { "unlock" } } });
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let shown = client.send("POST", PATH, &dry).unwrap();
    assert_eq!(shown.body["preview"]["total"], json!(ACCOUNTS), "{}", shown.body);
    body["confirm"] = shown.body["preview"]["confirm"].clone();
    let started = client.send("POST", PATH, &body).unwrap();
    assert_eq!(started.status, 201, "{}", started.body);
    started.body["batch"]["id"].as_str().unwrap().to_owned()
}

/// Waits until more accounts than these are done with; returns true if all are.
fn wait_for_progress(client: &mut Client, batch: &str, known: usize) -> bool {
    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis();
    loop {
        let now = client.get(&format!("{PATH}/{batch}")).body;
        if now["state"] == "complete" {
            return true;
        }
        if now["processed"].as_u64().unwrap() > known as u64 {
            return false;
        }
        assert!(left > 0, "the batch does not go on: {now}");
        left -= 1;
        thread::sleep(PAUSE);
    }
}

/// Checks that the accounts with an outcome, and no others, are as the act leaves them, or that the server was at work meanwhile.
/// Returns the state of the batch and the number of outcomes.
fn check(client: &mut Client, batch: &str, is_lock: bool) -> (String, usize) {
    loop {
        let before = client.get(&format!("{PATH}/{batch}")).body;
        let outcomes = outcomes(client, batch);
        let locked = count(client, "is_locked=true");
        let audited = audited(client, batch);
        let after = client.get(&format!("{PATH}/{batch}")).body;
        if before["processed"] != after["processed"] {
            thread::sleep(PAUSE);
            continue;
        }
        let processed = usize::try_from(after["processed"].as_u64().unwrap()).unwrap();
        assert!(outcomes.values().all(|outcome| outcome == "done"), "{outcomes:?}");
        assert_eq!((outcomes.len(), audited), (processed, processed), "{after}");
        assert_eq!(locked, if is_lock { processed } else { ACCOUNTS - processed }, "{after}");
        assert_eq!(after["outcomes"]["done"], json!(processed), "{after}");
        return (after["state"].as_str().unwrap().to_owned(), processed);
    }
}

fn count(client: &mut Client, query: &str) -> usize {
    let reply = client.get(&format!("/_reeve/admin/v1/users?limit=0&{query}"));
    usize::try_from(reply.body["total"].as_u64().unwrap()).unwrap()
}

/// The outcomes by account, of which none occurs twice.
fn outcomes(client: &mut Client, batch: &str) -> BTreeMap<String, String> {
    let (mut all, mut from) = (BTreeMap::new(), String::new());
    loop {
        let reply = client.get(&format!("{PATH}/{batch}/outcomes?limit=1000{from}"));
        for outcome in reply.body["outcomes"].as_array().unwrap() {
            let text = |key: &str| outcome[key].as_str().unwrap().to_owned();
            assert!(all.insert(text("user_id"), text("outcome")).is_none(), "{outcome}");
        }
        match reply.body["next_token"].as_str() {
            Some(token) => from = format!("&from={token}"),
            None => return all,
        }
    }
}

/// The number of accounts that the batch changed according to the audit log, which names each once.
fn audited(client: &mut Client, batch: &str) -> usize {
    let (mut targets, mut from) = (Vec::<Value>::new(), String::new());
    loop {
        let reply = client.get(&format!("/_reeve/admin/v1/audit?action=user.update&limit=1000{from}"));
        let entries = reply.body["entries"].as_array().unwrap();
        targets.extend(
            entries.iter().filter(|entry| entry["request_id"] == batch).map(|entry| entry["target"].clone()),
        );
        match reply.body["next_token"].as_str() {
            Some(token) => from = format!("&from={token}"),
            None => break,
        }
    }
    let number = targets.len();
    targets.sort_by_key(Value::to_string);
    targets.dedup();
    assert_eq!(targets.len(), number, "an account was changed twice");
    number
}
