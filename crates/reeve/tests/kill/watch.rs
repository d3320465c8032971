//! A client that synchronises while the server is killed, and continues from its last position.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{Client, Cut};
use crate::talk::path;

const CS: &str = "/_matrix/client/v3";
/// Small enough that there are gaps in what a sync shows.
const TIMELINE: u64 = 1;
const PAGE: u64 = 3;
/// The duration of a poll; no server lives that long.
const POLL_MS: u64 = 20_000;

/// Everything the client knows.
pub(crate) struct Watcher {
    pub(crate) user_id: String,
    pub(crate) token: String,
    /// The events of each room in the order of their arrival.
    pub(crate) rooms: BTreeMap<String, Vec<String>>,
    /// Where it is invited to and not yet known to be in.
    invited: BTreeSet<String>,
    since: Option<String>,
    filter: String,
    /// Number of syncs with changes, and of closed gaps.
    pub(crate) syncs: u64,
    pub(crate) gaps: u64,
}

impl Watcher {
    pub(crate) fn new(address: SocketAddr, (user_id, token): (String, String)) -> Self {
        let filter = json!({
            "room": { "timeline": { "limit": TIMELINE }, "ephemeral": { "types": [] } },
            "presence": { "types": [] },
        });
        let path = format!("{CS}/user/{user_id}/filter");
        let reply = Client::new(address, Some(&token)).send("POST", &path, &filter).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        let filter = reply.text("filter_id").to_owned();
        Self {
            user_id,
            token,
            rooms: BTreeMap::new(),
            invited: BTreeSet::new(),
            since: None,
            filter,
            syncs: 0,
            gaps: 0,
        }
    }

    /// Polls until the server is gone.
    pub(crate) fn work(&mut self, address: SocketAddr) {
        let mut client = Client::new(address, Some(&self.token));
        while self.look(&mut client, POLL_MS).is_ok() {}
    }

    /// Looks until there is nothing new.
    pub(crate) fn catch_up(&mut self, address: SocketAddr) {
        let mut client = Client::new(address, Some(&self.token));
        while self.look(&mut client, 0).unwrap_or_else(|Cut| panic!("the server is gone")) {}
    }

    /// One sync and its consequences; returns true if there were changes. A sync that cannot be processed
    /// completely counts as one that never arrived.
    fn look(&mut self, client: &mut Client, timeout: u64) -> Result<bool, Cut> {
        // If no response arrives, the room still has to be joined.
        for room in self.invited.clone() {
            let reply = client.send("POST", &path(&room, "join"), &json!({}))?;
            assert_eq!(reply.status, 200, "{room}: {}", reply.body);
            self.invited.remove(&room);
        }
        let since = self.since.as_ref().map_or(String::new(), |since| format!("&since={since}"));
        let query = format!("{CS}/sync?timeout={timeout}&filter={}{since}", self.filter);
        let reply = client.send("GET", &query, &Value::Null)?;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        let mut news = Vec::new();
        for (room, part) in reply.body["rooms"]["join"].as_object().into_iter().flatten() {
            let timeline = &part["timeline"];
            let mut events = ids(&timeline["events"]);
            if timeline["limited"] == true {
                let mut gap = self.gap(client, room, timeline["prev_batch"].as_str().unwrap())?;
                gap.append(&mut events);
                events = gap;
                self.gaps += 1;
            }
            news.push((room.clone(), events));
        }
        let invites: Vec<&String> =
            reply.body["rooms"]["invite"].as_object().into_iter().flat_map(|rooms| rooms.keys()).collect();
        let any = !news.is_empty() || !invites.is_empty();
        self.syncs += u64::from(any);
        self.invited.extend(invites.into_iter().cloned());
        for (room, events) in news {
            self.rooms.entry(room).or_default().extend(events);
        }
        self.since = Some(reply.text("next_batch").to_owned());
        Ok(any)
    }

    /// The events between the last sync and a place in a room, the oldest first.
    fn gap(&self, client: &mut Client, room: &str, from: &str) -> Result<Vec<String>, Cut> {
        let to = match (&self.since, self.rooms.contains_key(room)) {
            (Some(since), true) => format!("&to={since}"),
            _ => String::new(),
        };
        let (mut from, mut events) = (from.to_owned(), Vec::new());
        loop {
            let query = path(room, &format!("messages?dir=b&limit={PAGE}&from={from}{to}"));
            let reply = client.send("GET", &query, &Value::Null)?;
            assert_eq!(reply.status, 200, "{query}: {}", reply.body);
            events.extend(ids(&reply.body["chunk"]));
            match reply.body["end"].as_str() {
                Some(end) => end.clone_into(&mut from),
                None => break,
            }
        }
        events.reverse();
        Ok(events)
    }
}

fn ids(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap_or_else(|| panic!("not a list: {events}"));
    events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}
