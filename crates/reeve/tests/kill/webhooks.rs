//! A webhook is told everything that was acknowledged, in order, over kills in the middle and by a receiver that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::{self, SERVER_NAME, Site};

const KILLS: usize = 8;
/// The time from a start to the next kill.
const LIVES: Duration = Duration::from_millis(900);
/// The receiver fails once in so many requests.
const FAILS_IN: usize = 7;
/// Maximum number of looks until everything is told. A delivery that was claimed at a kill goes on after two minutes.
const LOOKS: usize = 1500;

/// A message that the receiver accepted.
struct Accepted {
    position: i64,
    id: String,
    target: String,
}

#[derive(Default)]
struct Receiver {
    accepted: Mutex<Vec<Accepted>>,
    requests: AtomicUsize,
}

impl Receiver {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Arc::new(Self::default());
        let serving = Arc::clone(&receiver);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                // A killed server breaks its connections.
                thread::spawn(move || while serving.serve(stream.as_ref().unwrap()).is_some() {});
            }
        });
        (receiver, address)
    }

    /// Serves one request; `None` at the end of the connection.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("webhook-id", value)) => value.clone_into(&mut id),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                None if line.trim_end().is_empty() => break,
                Some(_) | None => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let fails = self.requests.fetch_add(1, Ordering::SeqCst) % FAILS_IN == FAILS_IN - 1;
        if !fails {
            self.accepted.lock().unwrap().push(Accepted {
                position: body["data"]["position"].as_i64().unwrap(),
                id,
                target: body["data"]["target"].as_str().unwrap().to_owned(),
            });
        }
        let status = if fails { "500 Internal Server Error" } else { "204 No Content" };
        let mut stream = stream;
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()
    }
}

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let (receiver, address) = Receiver::start();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let body = json!({ "name": "w", "url": format!("http://{address}/"), "events": ["account.created"] });
    let created = Client::new(server.address, Some(&admin)).send("POST", "/_reeve/admin/v1/webhooks", &body);
    assert_eq!(created.unwrap().status, 201);

    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    for _ in 0..KILLS {
        let address = server.address;
        let writing = thread::spawn({
            let admin = admin.clone();
            move || {
                let mut client = Client::new(address, Some(&admin));
                let mut created = Vec::new();
                for number in number.. {
                    let user_id = format!("@u{number}:{SERVER_NAME}");
                    let path = format!("/_synapse/admin/v2/users/{user_id}");
                    let Ok(reply) = client.send("PUT", &path, &json!({})) else {
                        return (created, number + 1);
                    };
                    assert_eq!(reply.status, 201, "{}", reply.body);
                    created.push(user_id);
                    thread::sleep(Duration::from_millis(15));
                }
                unreachable!("there are numbers enough");
            }
        });
        thread::sleep(LIVES);
        server.kill();
        let (created, next) = writing.join().unwrap();
        acknowledged.extend(created);
        number = next;
        server = site.start();
    }

    let mut client = Client::new(server.address, Some(&admin));
    let mut looks = 0..LOOKS;
    loop {
        let webhook = client.get("/_reeve/admin/v1/webhooks/w").body;
        if webhook["waiting"] == 0 {
            break;
        }
        assert!(looks.next().is_some(), "it does not end: {webhook}");
        thread::sleep(Duration::from_millis(200));
    }
    let accepted = receiver.accepted.lock().unwrap();
    assert!(accepted.is_sorted_by_key(|message| message.position), "the order is wrong");
    let ids: BTreeMap<i64, &str> =
        accepted.iter().map(|message| (message.position, message.id.as_str())).collect();
    assert!(accepted.iter().all(|message| ids[&message.position] == message.id), "an id changed");
    let told: BTreeSet<&str> = accepted.iter().map(|message| message.target.as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|user_id| !told.contains(user_id.as_str())).collect();
    assert!(lost.is_empty(), "the receiver was not told of {lost:?}");
    for user_id in &told {
        let user = client.get(&format!("/_synapse/admin/v2/users/{user_id}"));
        assert_eq!(user.status, 200, "{user_id} was told and does not exist");
    }
    assert_eq!(told.len(), ids.len(), "each account is created once");
    println!(
        "{engine:?}: {} accounts, {} of {} requests accepted, {} repetitions",
        told.len(),
        accepted.len(),
        receiver.requests.load(Ordering::SeqCst),
        accepted.len() - ids.len(),
    );
    assert!(acknowledged.len() > KILLS, "too little happened");
}
