//! To-device messages arrive exactly once and in order, however often the server is killed on their way.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;
use serde_json::{Value, json};

use crate::http::{Client, Cut};
use crate::process::{self, Site};
use crate::talk::person;

const CS: &str = "/_matrix/client/v3";
const SENDERS: usize = 4;
/// The lifetime of the server, each time.
const LIVES_MS: [u64; 6] = [300, 700, 150, 900, 400, 600];

/// Sends one message after the other, each until it is acknowledged.
struct Sender {
    number: usize,
    token: String,
    /// The first message that was not acknowledged.
    next: u64,
}

impl Sender {
    fn send(&mut self, client: &mut Client, to: &str) -> Result<(), Cut> {
        let path = format!("{CS}/sendToDevice/org.example.n/{}", self.next);
        let body = json!({ "messages": { to: { "*": { "sender": self.number, "n": self.next } } } });
        let reply = client.send("PUT", &path, &body)?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        self.next += 1;
        Ok(())
    }

    fn work(&mut self, address: SocketAddr, to: &str) {
        let mut client = Client::new(address, Some(&self.token));
        while self.send(&mut client, to).is_ok() {}
    }
}

/// Receives the messages.
struct Receiver {
    token: String,
    since: Option<String>,
    came: Vec<Vec<u64>>,
}

impl Receiver {
    /// One sync; how many messages it brought.
    fn look(&mut self, client: &mut Client, timeout: u64) -> Result<usize, Cut> {
        let since = self.since.as_ref().map_or(String::new(), |since| format!("&since={since}"));
        let reply = client.send("GET", &format!("{CS}/sync?timeout={timeout}{since}"), &Value::Null)?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let events = reply.body["to_device"]["events"].as_array().unwrap();
        for event in events {
            let sender = usize::try_from(event["content"]["sender"].as_u64().unwrap()).unwrap();
            self.came[sender].push(event["content"]["n"].as_u64().unwrap());
        }
        self.since = Some(reply.text("next_batch").to_owned());
        Ok(events.len())
    }

    fn work(&mut self, address: SocketAddr) {
        let mut client = Client::new(address, Some(&self.token));
        while self.look(&mut client, 20_000).is_ok() {}
    }
}

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let (to, token) = person(server.address, &admin, "receiver");
    let mut receiver = Receiver { token, since: None, came: vec![Vec::new(); SENDERS] };
    let mut senders: Vec<Sender> = (0..SENDERS)
        .map(|number| {
            let (_, token) = person(server.address, &admin, &format!("sender{number}"));
            Sender { number, token, next: 0 }
        })
        .collect();
    for life in LIVES_MS {
        let address = server.address;
        thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.work(address, &to));
            }
            scope.spawn(|| receiver.work(address));
            thread::sleep(Duration::from_millis(life));
            server.kill();
        });
        server = site.start();
    }
    for sender in &mut senders {
        sender.send(&mut Client::new(server.address, Some(&sender.token.clone())), &to).unwrap();
    }
    let mut client = Client::new(server.address, Some(&receiver.token.clone()));
    while receiver.look(&mut client, 0).unwrap() > 0 {}
    for sender in &senders {
        assert!(sender.next > 1, "nothing was sent");
        assert_eq!(receiver.came[sender.number], (0..sender.next).collect::<Vec<_>>());
    }
}
