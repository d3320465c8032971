//! An interrupted restoration continues: nothing is lost, and nothing happens twice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;
use serde_json::{Value, json};

use crate::check::JOBS_WITHIN;
use crate::http::Client;
use crate::jobs::{PIECES, create, data_of};
use crate::process::{self, Site};

/// The number of pieces of account data that the order itself brings back.
const AT_ONCE: u64 = 500;
/// Rooms, which a job joins in several steps.
const ROOMS: usize = 40;
/// Maximum number of accounts that are tried until a kill hits the middle of a job.
const TRIES: u64 = 12;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let mut client = Client::new(server.address, Some(&admin));
    let rooms: BTreeSet<String> = (0..ROOMS).map(|_| create_room(&mut client)).collect();
    // One kill while account data comes back, and one among the rooms.
    let mut number = 0;
    for reached in [1, PIECES - AT_ONCE + 1] {
        let mut interrupted = None;
        for _ in 0..TRIES {
            number += 1;
            let user_id = deactivated(server.address, &admin, number, &rooms);
            let at_kill = restore_until(server.address, &admin, &user_id, reached);
            server.kill();
            server = site.start();
            // The step that was under way may have been the last one.
            let job = job_of(&mut Client::new(server.address, Some(&admin)), &user_id, "restore_user");
            if at_kill && job["state"] != "complete" {
                interrupted = Some((user_id, job));
                break;
            }
        }
        let (user_id, job) = interrupted.expect("a kill in the middle of a job");
        check(&mut Client::new(server.address, Some(&admin)), &user_id, &rooms);
        println!("{engine:?}: killed at {} of {}", job["done"], job["total"]);
    }
}

/// Waits for the end of an interrupted restoration, and compares everything with what it was before.
fn check(client: &mut Client, user_id: &str, rooms: &BTreeSet<String>) {
    let job = wait_for(client, user_id, "restore_user");
    let total = PIECES - AT_ONCE + u64::try_from(ROOMS).unwrap();
    assert_eq!(
        (&job["done"], &job["total"], &job["error"]),
        (&json!(total), &json!(total), &Value::Null),
        "{job}"
    );
    let result = json!({
        "threepids": 1, "threepids_taken": 0, "key_backups": 0, "account_data": PIECES, "rooms_joined": ROOMS,
        "rooms_knocked": 0, "not_rejoined": { "total": 0, "rooms": [] },
    });
    assert_eq!(job["result"], result, "{job}");
    assert_eq!(u64::try_from(data_of(client, user_id)).unwrap(), PIECES);
    let joined = client.get(&format!("/_synapse/admin/v1/users/{user_id}/joined_rooms")).body;
    let joined: BTreeSet<String> = joined["joined_rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(&joined, rooms);
    for room in rooms {
        let page = client.get(&format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100")).body;
        let own = page["chunk"].as_array().unwrap().iter().filter(|event| event["state_key"] == user_id);
        let memberships: Vec<&str> =
            own.map(|event| event["content"]["membership"].as_str().unwrap()).collect();
        assert_eq!(memberships, ["join", "leave", "join"], "{user_id} in {room}");
    }
    let left = client.get(&format!("/_reeve/admin/v1/users/{user_id}/restore"));
    assert_eq!(left.status, 404, "{}", left.body);
}

fn create_room(client: &mut Client) -> String {
    let body = json!({ "preset": "public_chat" });
    let reply = client.send("POST", "/_matrix/client/v3/createRoom", &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.text("room_id").to_owned()
}

/// Creates an account with much account data, an address and rooms, and deactivates it.
fn deactivated(address: SocketAddr, admin: &str, number: u64, rooms: &BTreeSet<String>) -> String {
    let user_id = create(address, admin, number);
    let mut client = Client::new(address, Some(admin));
    let threepids = json!([{ "medium": "email", "address": format!("much{number}@example.org") }]);
    let path = format!("/_synapse/admin/v2/users/{user_id}");
    assert_eq!(client.send("PUT", &path, &json!({ "threepids": threepids })).unwrap().status, 200);
    for room in rooms {
        let path = format!("/_synapse/admin/v1/join/{room}");
        let reply = client.send("POST", &path, &json!({ "user_id": user_id })).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let path = format!("/_synapse/admin/v1/deactivate/{user_id}");
    assert_eq!(client.send("POST", &path, &json!({})).unwrap().status, 200);
    wait_for(&mut client, &user_id, "deactivate_user");
    user_id
}

/// The newest job of a kind on an account; null if there is none.
fn job_of(client: &mut Client, user_id: &str, kind: &str) -> Value {
    client.get(&format!("/_reeve/admin/v1/jobs?subject={user_id}&kind={kind}")).body["jobs"][0].clone()
}

/// Waits until a job is complete.
fn wait_for(client: &mut Client, user_id: &str, kind: &str) -> Value {
    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis();
    loop {
        let job = job_of(client, user_id, kind);
        if job["state"] == "complete" {
            return job;
        }
        assert!(left > 0, "the job does not go on: {job}");
        left -= 1;
        thread::sleep(PAUSE);
    }
}

/// Restores an account and watches its job until so much is done; whether it ever was.
fn restore_until(address: SocketAddr, admin: &str, user_id: &str, reached: u64) -> bool {
    let (token, path) = (admin.to_owned(), format!("/_reeve/admin/v1/users/{user_id}/restore"));
    let mut client = Client::new(address, Some(admin));
    // The response comes when the job is complete, or never: the server is killed before.
    thread::spawn(move || drop(Client::new(address, Some(&token)).send("POST", &path, &json!({}))));
    loop {
        let job = job_of(&mut client, user_id, "restore_user");
        if job["state"] == "complete" {
            return false;
        }
        if job["done"].as_u64().is_some_and(|done| done >= reached) {
            return true;
        }
    }
}
