//! A backup is made at some moment and restored at a later one: a client that continues from any token that it
//! ever had receives every existing event, and no event again that it knew when the backup was made.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use reeve_testkit::tokio::sync::Mutex;
use reeve_testkit::{Client, Engine, Server, on_both_engines};
use serde_json::{Value, json};

use super::for_all;
use crate::rooms_kit::*;
use crate::sync_kit::since_filtered;

const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const ROOMS: usize = 2;

/// One step of a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say(usize),
    /// Sets state that was not set before.
    Note(usize),
    Read(usize),
    /// The client reads, and remembers the result.
    Look,
    Restart,
}

#[derive(Clone, Debug)]
struct Case {
    kept: Vec<Step>,
    undone: Vec<Step>,
    after: Vec<Step>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..ROOMS).prop_map(Step::Say),
        2 => (0..ROOMS).prop_map(Step::Note),
        1 => (0..ROOMS).prop_map(Step::Read),
        4 => Just(Step::Look),
        1 => Just(Step::Restart),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (vec(step(), 0..6), vec(step(), 0..12), vec(step(), 0..9)).prop_map(|(kept, undone, after)| Case {
        kept,
        undone,
        after,
    })
}

/// The knowledge of the client after a look.
struct Known {
    since: String,
    pos: String,
    events: BTreeSet<String>,
    /// True if the read was before the backup.
    kept: bool,
}

/// Two people in some rooms of a server.
struct Play<'s> {
    server: &'s mut Server,
    alice: Client,
    bob: Client,
    rooms: Vec<String>,
    known: Vec<Known>,
    said: usize,
}

fn all() -> Value {
    json!({ "room": { "timeline": { "limit": 200 } }, "presence": { "not_types": ["*"] } })
}

fn sliding() -> Value {
    json!({ "lists": { "all": { "ranges": [[0, 99]], "required_state": [], "timeline_limit": 100 } } })
}

/// The events of some rooms in a response, by room.
fn events(rooms: &Value, timeline: &str) -> BTreeSet<String> {
    let rooms = rooms.as_object().into_iter().flatten().map(|(_, room)| room);
    rooms
        .flat_map(|room| ids(list(room, timeline)).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

impl Play<'_> {
    async fn take(&mut self, steps: &[Step], kept: bool) {
        for step in steps {
            self.said += 1;
            let text = self.said.to_string();
            match *step {
                Step::Say(room) => {
                    say(&self.alice, &self.rooms[room], &text).await;
                }
                Step::Note(room) => {
                    set_state(&self.alice, &self.rooms[room], "org.example.note", &text, json!({})).await;
                }
                Step::Read(room) => {
                    let newest = messages(&self.alice, &self.rooms[room], "dir=b&limit=1").await;
                    let newest = at(&list(&newest, "/chunk")[0], "/event_id").to_owned();
                    receipt(&self.alice, &self.rooms[room], "m.read", &newest, json!({})).await;
                }
                Step::Look => self.look(kept).await,
                Step::Restart => {
                    self.server.restart(|_| ()).await;
                    self.move_along();
                }
            }
        }
    }

    fn move_along(&mut self) {
        self.alice = self.server.again(&self.alice);
        self.bob = self.server.again(&self.bob);
    }

    async fn look(&mut self, kept: bool) {
        let came = sync_with(&self.bob, &format!("timeout=0&{}", filter(&all()))).await;
        // Each look is a connection of its own.
        let path = format!("{SLIDING}?timeout=0");
        let mut body = sliding();
        body["conn_id"] = json!(self.known.len().to_string());
        let slid = ok(self.bob.post(&path, body).await);
        let seen = events(&came["rooms"]["join"], "/timeline/events");
        assert_eq!(seen, events(&slid["rooms"], "/timeline"));
        let (since, pos) = (next(&came), at(&slid, "/pos").to_owned());
        self.known.push(Known { since, pos, events: seen, kept });
    }

    /// Everything that is in the rooms now.
    async fn present(&self) -> BTreeSet<String> {
        let mut present = BTreeSet::new();
        for room in &self.rooms {
            let (found, _) = all_messages(&self.bob, room, "dir=f&limit=100").await;
            present.extend(ids(&found).into_iter().map(str::to_owned));
        }
        present
    }

    /// Continues from every token that the client ever had.
    async fn go_on(&self) {
        let present = self.present().await;
        for (number, known) in self.known.iter().enumerate() {
            let came = since_filtered(&self.bob, &known.since, &all()).await;
            let seen = events(&came["rooms"]["join"], "/timeline/events");
            known.check(&seen, &present, "sync");
            let mut body = sliding();
            body["conn_id"] = json!(number.to_string());
            let path = format!("{SLIDING}?timeout=0&pos={}", enc(&known.pos));
            let reply = self.bob.post(&path, body.clone()).await;
            if reply.status == 400 {
                assert_eq!((code(&reply).1, known.kept), ("M_UNKNOWN_POS", false));
                let slid = ok(self.bob.post(&format!("{SLIDING}?timeout=0"), body).await);
                assert_eq!(events(&slid["rooms"], "/timeline"), present);
            } else {
                known.check(&events(&ok(reply)["rooms"], "/timeline"), &present, "sliding sync");
            }
        }
    }
}

impl Known {
    fn check(&self, seen: &BTreeSet<String>, present: &BTreeSet<String>, by: &str) {
        let missed: Vec<&String> =
            present.difference(&self.events).filter(|id| !seen.contains(*id)).collect();
        assert!(missed.is_empty(), "{by} from {} or {} missed {missed:?}", self.since, self.pos);
        if self.kept {
            assert!(seen.is_disjoint(&self.events), "{by} from {} or {} begins anew", self.since, self.pos);
        }
    }
}

on_both_engines! {
    async fn nobody_misses_anything(server: Server) {
        let cases = if server.engine() == Engine::Sqlite { 12 } else { 4 };
        let server = Mutex::new((server, 0));
        let server = &server;
        for_all(cases, &case(), |case| async move {
            let mut server = server.lock().await;
            let (server, number) = &mut *server;
            *number += 1;
            let (alice, bob) =
                (server.user(&format!("alice{number}")).await, server.user(&format!("bob{number}")).await);
            let mut rooms = Vec::new();
            for _ in 0..ROOMS {
                let room = create_public(&alice).await;
                join(&bob, &room).await;
                rooms.push(room);
            }
            let mut play = Play { server, alice, bob, rooms, known: Vec::new(), said: 0 };
            play.take(&case.kept, true).await;
            play.look(true).await;
            let backup = play.server.backup().await;
            play.move_along();
            play.take(&case.undone, false).await;
            play.look(false).await;
            play.server.restore(&backup).await;
            play.move_along();
            // The numbers of the texts continue, so that no event is the same as one that was undone.
            play.take(&case.after, false).await;
            play.go_on().await;
        });
    }
}
