//! An interrupted job continues.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;
use serde_json::{Value, json};

use crate::check::JOBS_WITHIN;
use crate::http::{Client, Cut};
use crate::process::{self, SERVER_NAME, Site};

/// Pieces of account data, which a job deletes in several steps.
pub(crate) const PIECES: u64 = 3000;
/// Maximum number of accounts that are tried until a kill hits the middle of a job.
const TRIES: u64 = 12;
const WRITERS: u64 = 8;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let mut progress = Vec::new();
    let mut interrupted = None;
    for number in 0..TRIES {
        let user_id = create(server.address, &admin, number);
        let at_kill = deactivate_until(server.address, &admin, &user_id, &mut progress, |job| {
            job["done"].as_u64() > Some(0) && job["state"] == "active"
        });
        server.kill();
        server = site.start();
        // The step that was under way may have been the last one.
        let job = job_of(&mut Client::new(server.address, Some(&admin)), &user_id).unwrap().unwrap();
        if at_kill && job["state"] != "complete" {
            interrupted = Some((user_id, job));
            break;
        }
        progress.clear();
    }
    let (user_id, after_kill) = interrupted.expect("a kill in the middle of a job");
    let seen_before = progress.len();
    let mut client = Client::new(server.address, Some(&admin));
    let last_seen = progress.last().copied();
    assert!(after_kill["done"].as_u64() >= last_seen, "{after_kill} after {progress:?}");

    // In the middle of it the account is as dead as it will be, and what is left is what was not deleted yet.
    let user = client.get(&format!("/_synapse/admin/v2/users/{user_id}")).body;
    assert_eq!(user["deactivated"], json!(true));
    assert_eq!(after_kill["total"], json!(PIECES));

    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis();
    let job = loop {
        let job = job_of(&mut client, &user_id).unwrap().unwrap();
        progress.push(job["done"].as_u64().unwrap());
        if job["state"] == "complete" {
            break job;
        }
        assert!(left > 0, "the job does not go on: {job}");
        left -= 1;
        thread::sleep(PAUSE);
    };
    assert!(progress.is_sorted(), "progress went backwards after {seen_before} looks: {progress:?}");
    // Each piece was deleted and counted once.
    let summary = [&job["state"], &job["done"], &job["total"], &job["result"], &job["error"]];
    let whole = json!(PIECES);
    assert_eq!(
        summary,
        [
            &json!("complete"),
            &whole,
            &whole,
            &json!({ "rooms_left": 0, "rooms_failed": [], "account_data": PIECES }),
            &Value::Null
        ],
        "{job}"
    );
    assert_eq!(data_of(&mut client, &user_id), 0);
    let all = client.get(&format!("/_reeve/admin/v1/jobs?subject={user_id}")).body;
    assert_eq!(all["jobs"].as_array().map(Vec::len), Some(1), "{all}");
    println!("{engine:?}: killed at {} of {PIECES}", after_kill["done"]);
}

/// An account with much account data.
pub(crate) fn create(address: SocketAddr, admin: &str, number: u64) -> String {
    let user_id = format!("@much{number}:{SERVER_NAME}");
    let mut client = Client::new(address, Some(admin));
    let path = format!("/_synapse/admin/v2/users/{user_id}");
    assert_eq!(client.send("PUT", &path, &json!({ "password": "much" })).unwrap().status, 201);
    let identifier = json!({ "type": "m.id.user", "user": user_id });
    let body = json!({ "type": "m.login.password", "identifier": identifier, "password": "much" });
    let reply = client.send("POST", "/_matrix/client/v3/login", &body).unwrap();
    let token = reply.text("access_token");
    assert_eq!(reply.status, 200, "{}", reply.body);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = format!("/_matrix/client/v3/user/{user_id}/account_data/org.example");
            scope.spawn(move || {
                let mut client = Client::new(address, Some(token));
                for piece in (writer..PIECES).step_by(usize::try_from(WRITERS).unwrap()) {
                    let reply =
                        client.send("PUT", &format!("{path}.{piece}"), &json!({ "piece": piece })).unwrap();
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            });
        }
    });
    // The server has closed the first connection if it was idle for too long.
    let mut client = Client::new(address, Some(admin));
    assert_eq!(data_of(&mut client, &user_id), usize::try_from(PIECES).unwrap());
    user_id
}

pub(crate) fn data_of(client: &mut Client, user_id: &str) -> usize {
    let reply = client.get(&format!("/_synapse/admin/v1/users/{user_id}/accountdata"));
    reply.body["account_data"]["global"].as_object().unwrap().len()
}

/// The job on an account, if there is one.
fn job_of(client: &mut Client, user_id: &str) -> Result<Option<Value>, Cut> {
    let reply = client.send("GET", &format!("/_reeve/admin/v1/jobs?subject={user_id}"), &Value::Null)?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    Ok(reply.body["jobs"].get(0).cloned())
}

/// Deactivates an account and watches its job until it is as `wanted`; whether it ever was.
fn deactivate_until(
    address: SocketAddr,
    admin: &str,
    user_id: &str,
    progress: &mut Vec<u64>,
    wanted: impl Fn(&Value) -> bool,
) -> bool {
    let (admin, user_id) = (admin.to_owned(), user_id.to_owned());
    let mut client = Client::new(address, Some(&admin));
    let path = format!("/_synapse/admin/v1/deactivate/{user_id}");
    // The response comes when the job is complete, or never: the server is killed before.
    thread::spawn(move || drop(Client::new(address, Some(&admin)).send("POST", &path, &json!({}))));
    loop {
        let Some(job) = job_of(&mut client, &user_id).unwrap() else { continue };
        progress.push(job["done"].as_u64().unwrap());
        if wanted(&job) {
            return true;
        }
        if job["state"] == "complete" {
            return false;
        }
    }
}
