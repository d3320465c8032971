//! Notifications through push gateways, which are played by the tests.
//! <https://spec.matrix.org/v1.18/push-gateway-api/>

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::Response;
use reeve_model::Pos;
use reeve_testkit::{Client, Config, Server, Web, on_both_engines};
use serde_json::{Value, json};

use super::{two, until};
use crate::rooms_kit::{
    CS, bring, change_levels, create, enc, invite, join, leave, receipt, say, send, set_state, thread,
};

const HOUR: i64 = 3_600_000;

/// Lets the server talk to gateways of tests.
fn inside(config: &mut Config) {
    config.allowed_ranges = vec!["127.0.0.0/8".parse().unwrap()];
}

/// A gateway that responds with a status that the test can change.
struct Gateway {
    web: Web,
    status: Arc<AtomicU16>,
}

impl Gateway {
    async fn start() -> Self {
        Self::rejecting(json!([])).await
    }

    /// One that rejects keys.
    async fn rejecting(keys: Value) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let answered = Arc::clone(&status);
        let body = json!({ "rejected": keys }).to_string();
        let web = Web::start(move |_| {
            Response::builder().status(answered.load(Ordering::SeqCst)).body(body.clone().into()).unwrap()
        });
        Self { web: web.await, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Its next notification.
    async fn told(&self) -> Value {
        let asked = self.web.asked().await;
        assert_eq!((asked.method.as_str(), &*asked.target), ("POST", "/_matrix/push/v1/notify"));
        assert_eq!(asked.headers["content-type"], "application/json");
        asked.json()["notification"].clone()
    }

    /// The event of its next notification. An unread count may come before it without an event: a new pusher
    /// looks as soon as it can.
    async fn event(&self) -> Value {
        loop {
            let told = self.told().await;
            if told.get("event_id").is_some() {
                return told;
            }
        }
    }

    /// The message text of its next notification, in the same way.
    async fn message(&self) -> String {
        let event = self.event().await;
        event["content"]["body"].as_str().unwrap_or_else(|| panic!("no message: {event}")).to_owned()
    }

    /// The unread count of its next notification without an event.
    async fn badge(&self) -> Value {
        let told = self.told().await;
        assert_eq!(told.get("event_id"), None, "{told}");
        told["counts"]["unread"].clone()
    }
}

/// A pusher of the client at a gateway.
async fn set_pusher(client: &Client, gateway: &Gateway, changes: Value) {
    let mut body = json!({
        "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
        "device_display_name": "Phone", "lang": "en",
        "data": { "url": gateway.web.url("/_matrix/push/v1/notify"), "extra": { "a": 1 } },
    });
    for (key, value) in changes.as_object().unwrap() {
        match value.as_object() {
            Some(more) => body[key].as_object_mut().unwrap().extend(more.clone()),
            None => body[key] = value.clone(),
        }
    }
    let reply = client.post(&format!("{CS}/pushers/set"), body).await;
    assert_eq!(reply, (200, json!({})));
}

async fn read(client: &Client, room: &str, event: &str) {
    receipt(client, room, "m.read", event, json!({})).await;
}

async fn pushers(client: &Client) -> usize {
    client.get(&format!("{CS}/pushers")).await.body["pushers"].as_array().unwrap().len()
}

on_both_engines! {
    #[config(inside)]
    async fn a_message_is_told(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "The room", "room_alias_name": "r" })).await;
        join(&bob, &room).await;
        say(&bob, &room, "before there was a pusher").await;
        server.clock.advance(5000);
        set_pusher(&alice, &gateway, json!({})).await;
        let event_id = say(&bob, &room, "hello").await;
        let device = json!({
            "app_id": "org.app", "pushkey": "key", "pushkey_ts": reeve_testkit::START_MS / 1000 + 5,
            "data": { "extra": { "a": 1 } }, "tweaks": { "sound": "default" },
        });
        assert_eq!(gateway.event().await, json!({
            "event_id": event_id, "room_id": room, "type": "m.room.message", "sender": "@bob:test",
            "sender_display_name": "bob", "room_name": "The room", "room_alias": "#r:test", "prio": "high",
            "content": { "msgtype": "m.text", "body": "hello" },
            "counts": { "unread": 1 }, "devices": [device],
        }));
        // In a room of more than two nothing makes a sound, unless one is meant.
        let carol = server.user("carol").await;
        join(&carol, &room).await;
        say(&carol, &room, "hello all").await;
        let told = gateway.told().await;
        assert_eq!((&told["prio"], &told["devices"][0]["tweaks"]), (&json!("low"), &json!({})));
        let mention = json!({ "msgtype": "m.text", "body": "alice!", "m.mentions": { "user_ids": ["@alice:test"] } });
        send(&carol, &room, "m.room.message", mention).await;
        let told = gateway.told().await;
        let tweaks = json!({ "sound": "default", "highlight": true });
        assert_eq!((&told["prio"], &told["devices"][0]["tweaks"]), (&json!("high"), &tweaks));
        // An encrypted event might make a sound.
        send(&carol, &room, "m.room.encrypted", json!({ "algorithm": "a", "ciphertext": "c" })).await;
        let told = gateway.told().await;
        assert_eq!((&told["prio"], &told["content"]["ciphertext"]), (&json!("high"), &json!("c")));
    }

    #[config(|config| { inside(config); config.push.include_content = false; })]
    async fn not_more_than_wanted_is_told(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        set_pusher(&alice, &gateway, json!({ "data": { "format": "event_id_only" } })).await;
        let event_id = say(&bob, &room, "hello").await;
        let device = json!({
            "app_id": "org.app", "pushkey": "key", "pushkey_ts": reeve_testkit::START_MS / 1000,
            "data": { "extra": { "a": 1 }, "format": "event_id_only" },
        });
        assert_eq!(gateway.told().await, json!({
            "event_id": event_id, "room_id": room, "prio": "high", "counts": { "unread": 1 }, "devices": [device],
        }));
        // Without the format, but with the setting.
        set_pusher(&alice, &gateway, json!({})).await;
        say(&bob, &room, "hello").await;
        let told = gateway.told().await;
        assert_eq!((&told["sender"], told.get("content")), (&json!("@bob:test"), None));
    }

    #[config(inside)]
    async fn the_number_of_unread_rooms(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        set_pusher(&alice, &gateway, json!({})).await;
        say(&bob, &room, "1").await;
        let second = say(&bob, &room, "2").await;
        for unread in [1, 1] {
            assert_eq!(gateway.told().await["counts"]["unread"], unread);
        }
        let other = create(&bob, json!({ "preset": "private_chat" })).await;
        invite(&bob, &other, "@alice:test").await;
        let told = gateway.told().await;
        let target = (&told["type"], &told["user_is_target"], &told["counts"]["unread"], &told["content"]["membership"]);
        assert_eq!(target, (&json!("m.room.member"), &json!(true), &json!(2), &json!("invite")));
        join(&alice, &other).await;
        assert_eq!(gateway.badge().await, 1);
        let root = say(&bob, &other, "3").await;
        assert_eq!(gateway.told().await["counts"]["unread"], 2);
        // Reading on another device is delivered, if it changes the count.
        read(&alice, &room, &second).await;
        assert_eq!(gateway.badge().await, 1);
        thread(&bob, &other, &root, "in a thread").await;
        assert_eq!(gateway.told().await["counts"]["unread"], 1);
        // Writing is reading, outside threads; then leaving.
        say(&alice, &other, "I see").await;
        leave(&alice, &other).await;
        assert_eq!(gateway.badge().await, 0);
        say(&bob, &room, "the next").await;
        assert_eq!(gateway.message().await, "the next");
    }

    #[config(|config| { inside(config); config.push.unread_by_room = false; })]
    async fn the_number_of_unread_messages(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        let first = say(&bob, &room, "1").await;
        say(&bob, &room, "2").await;
        set_pusher(&alice, &gateway, json!({})).await;
        say(&bob, &room, "3").await;
        assert_eq!(gateway.event().await["counts"]["unread"], 3);
        read(&alice, &room, &first).await;
        assert_eq!(gateway.badge().await, 2);
    }

    #[config(inside)]
    async fn what_is_not_told(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        let (admin, carol) = (server.admin().await, server.user("carol").await);
        bring(&alice, &room, &carol).await;
        set_pusher(&alice, &gateway, json!({})).await;
        // Own messages, messages that no rule wants, and whom one ignores.
        say(&alice, &room, "my own").await;
        send(&bob, &room, "m.room.message", json!({ "msgtype": "m.notice", "body": "a notice" })).await;
        let ignored = json!({ "ignored_users": { "@carol:test": {} } });
        alice.put(&format!("{CS}/user/@alice:test/account_data/m.ignored_user_list"), ignored).await;
        say(&carol, &room, "ignored").await;
        // Messages of shadow-banned users reach nobody.
        server.create("ghost", false).await;
        let ghost = server.log_in("ghost", "ghost's password").await;
        bring(&alice, &room, &ghost).await;
        admin.post("/_synapse/admin/v1/users/@ghost:test/shadow_ban", json!({})).await;
        say(&ghost, &room, "a ghost").await;
        say(&bob, &room, "told 1").await;
        assert_eq!(gateway.message().await, "told 1");
        // Rules of one's own.
        let rule = format!("{CS}/pushrules/global/room/{}", enc(&room));
        assert_eq!(alice.put(&rule, json!({ "actions": [] })).await.status, 200);
        say(&bob, &room, "muted").await;
        assert_eq!(alice.delete(&rule).await.status, 200);
        let sound = json!({ "pattern": "cake", "actions": ["notify", { "set_tweak": "sound", "value": "bing" }] });
        alice.put(&format!("{CS}/pushrules/global/content/cake"), sound).await;
        say(&bob, &room, "there is cake").await;
        let told = gateway.told().await;
        assert_eq!(told["content"]["body"], "there is cake");
        assert_eq!(told["devices"][0]["tweaks"], json!({ "sound": "bing" }));
        // Locked and suspended users receive no notifications, and later none from that time.
        let account = "/_synapse/admin/v2/users/@alice:test";
        for (shut, open) in [(json!({ "suspended": true }), json!({ "suspended": false })), (json!({ "locked": true }), json!({ "locked": false }))] {
            admin.put(account, shut.clone()).await;
            if shut.get("suspended").is_some() {
                admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await;
            }
            let skipped = say(&bob, &room, "not now").await;
            until("the message is skipped", async || position(&server).await >= stream(&server, &skipped).await).await;
            admin.put(account, open).await;
            admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": false })).await;
            say(&bob, &room, "told again").await;
            assert_eq!(gateway.message().await, "told again");
        }
    }

    #[config(inside)]
    async fn switched_off_from_another_device(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        let admin = server.admin().await;
        let feature = json!({ "features": { "msc3881": true } });
        admin.put("/_synapse/admin/v1/experimental_features/@alice:test", feature).await;
        set_pusher(&alice, &gateway, json!({})).await;
        let other = server.log_in("alice", "alice's password").await;
        set_pusher(&other, &gateway, json!({ "org.matrix.msc3881.enabled": false })).await;
        let shown = alice.get(&format!("{CS}/pushers")).await.body["pushers"][0].clone();
        assert_eq!(shown["org.matrix.msc3881.enabled"], false);
        assert_eq!(shown["org.matrix.msc3881.device_id"], alice.device_id);
        let seen = admin.get("/_synapse/admin/v1/users/@alice:test/pushers").await.body["pushers"][0].clone();
        assert_eq!((&seen["enabled"], &seen["device_id"]), (&json!(false), &json!(alice.device_id)));
        let skipped = say(&bob, &room, "not told").await;
        until("the message is skipped", async || position(&server).await >= stream(&server, &skipped).await).await;
        set_pusher(&other, &gateway, json!({ "org.matrix.msc3881.enabled": true })).await;
        say(&bob, &room, "told").await;
        assert_eq!(gateway.message().await, "told");
    }

    #[config(inside)]
    async fn a_rejected_key_is_forgotten(server: Server) {
        let (gateway, other) = (Gateway::rejecting(json!(["key", "else"])).await, Gateway::start().await);
        let (alice, bob, room) = two(&server).await;
        set_pusher(&alice, &gateway, json!({})).await;
        set_pusher(&alice, &other, json!({ "pushkey": "valid" })).await;
        set_pusher(&alice, &gateway, json!({ "pushkey": "third" })).await;
        say(&bob, &room, "hello").await;
        for _ in 0..2 {
            assert_eq!(gateway.message().await, "hello");
        }
        assert_eq!(other.message().await, "hello");
        until("the key is forgotten", async || pushers(&alice).await == 2).await;
    }

    #[config(inside)]
    async fn what_fails_is_tried_again(server: Server) {
        let mut server = server;
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        set_pusher(&alice, &gateway, json!({})).await;
        gateway.answers(503);
        say(&bob, &room, "1").await;
        assert_eq!(gateway.message().await, "1");
        say(&bob, &room, "2").await;
        for (failed, pause) in [(1, 1000), (2, 2000), (3, 4000)] {
            until("the failure is noted", async || failures(&server).await == failed).await;
            server.clock.advance(pause);
            assert_eq!(gateway.message().await, "1");
        }
        until("the failure is noted", async || failures(&server).await == 4).await;
        // Also after a restart; and a failed notification is delivered before later ones.
        server.restart(|_| {}).await;
        gateway.answers(200);
        server.clock.advance(8000);
        assert_eq!(gateway.message().await, "1");
        assert_eq!(gateway.message().await, "2");
        // A pusher that is set again is retried at once.
        let alice = server.with_token(&alice.token.unwrap());
        let bob = server.with_token(&bob.token.unwrap());
        gateway.answers(500);
        let third = say(&bob, &room, "3").await;
        assert_eq!(gateway.message().await, "3");
        until("the failure is noted", async || failures(&server).await == 1).await;
        gateway.answers(200);
        set_pusher(&alice, &gateway, json!({})).await;
        assert_eq!(gateway.message().await, "3");
        // Messages that were read meanwhile are not delivered.
        gateway.answers(500);
        let fourth = say(&bob, &room, "4").await;
        assert_eq!(gateway.message().await, "4");
        until("the failure is noted", async || failures(&server).await == 1).await;
        read(&alice, &room, &third).await;
        read(&alice, &room, &fourth).await;
        gateway.answers(200);
        server.clock.advance(1000);
        assert_eq!(gateway.badge().await, 0);
    }

    #[config(inside)]
    async fn what_fails_for_a_day_is_given_up(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        set_pusher(&alice, &gateway, json!({})).await;
        gateway.answers(500);
        say(&bob, &room, "lost").await;
        assert_eq!(gateway.message().await, "lost");
        until("the failure is noted", async || failures(&server).await == 1).await;
        say(&bob, &room, "lost too").await;
        server.clock.advance(24 * HOUR);
        assert_eq!(gateway.message().await, "lost");
        until("it is given up", async || failures(&server).await == 0).await;
        gateway.answers(200);
        say(&bob, &room, "told").await;
        assert_eq!(gateway.message().await, "told");
        let metrics = server.admin().await.get("/metrics").await;
        let metrics = metrics.body.as_str().unwrap();
        for line in ["{kind=\"http\",outcome=\"given_up\"} 1", "{kind=\"http\",outcome=\"failed\"} 1"] {
            assert!(metrics.contains(&format!("reeve_push_deliveries_total{line}")), "{line}");
        }
    }

    async fn gateways_inside_are_not_asked(server: Server) {
        let gateway = Gateway::start().await;
        let (alice, bob, room) = two(&server).await;
        let set = format!("{CS}/pushers/set");
        let url = gateway.web.url("/_matrix/push/v1/notify");
        let body = |url: &str| json!({
            "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
            "device_display_name": "Phone", "lang": "en", "data": { "url": url },
        });
        let port = url.split([':', '/']).nth(4).unwrap().to_owned();
        // The destination is checked when a notification is sent: settings and names may have changed by then.
        let hosts = ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "10.0.0.1", "169.254.169.254", "localhost"];
        for host in hosts {
            let mut body = body(&format!("http://{host}:{port}/_matrix/push/v1/notify"));
            body["pushkey"] = json!(host);
            assert_eq!(alice.post(&set, body).await, (200, json!({})), "{host}");
        }
        assert_eq!(pushers(&alice).await, hosts.len());
        say(&bob, &room, "hello").await;
        let admin = server.admin().await;
        let refused = format!("reeve_push_deliveries_total{{kind=\"http\",outcome=\"refused\"}} {}", hosts.len());
        until("all are refused", async || admin.get("/metrics").await.body.as_str().unwrap().contains(&refused)).await;
        assert_eq!(gateway.web.waiting().await, 0);
        // Nothing is lost where the settings allow it later.
        let mut server = server;
        server.restart(inside).await;
        server.clock.advance(60_000);
        let told: std::collections::BTreeSet<String> = [gateway.event().await, gateway.event().await].iter()
            .map(|event| event["content"]["body"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told, ["hello".to_owned()].into());
    }

    #[config(inside)]
    async fn everybody_in_a_room(server: Server) {
        let gateway = Gateway::start().await;
        let bob = server.user("bob").await;
        let room = create(&bob, json!({ "preset": "public_chat" })).await;
        let mut keys = Vec::new();
        for n in 0..12 {
            let name = format!("user{n}");
            let user = server.user(&name).await;
            // Before and after the join.
            if n % 2 == 0 {
                join(&user, &room).await;
            }
            set_pusher(&user, &gateway, json!({ "pushkey": name })).await;
            if n % 2 == 1 {
                join(&user, &room).await;
            }
            keys.push(name);
        }
        for text in ["1", "2", "3"] {
            say(&bob, &room, text).await;
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for _ in 0..36 {
            let one = gateway.told().await;
            let key = one["devices"][0]["pushkey"].as_str().unwrap().to_owned();
            told.push((key, one["content"]["body"].as_str().unwrap().to_owned()));
        }
        for key in keys {
            let texts: Vec<&str> = told.iter().filter(|(to, _)| *to == key).map(|(_, text)| &**text).collect();
            assert_eq!(texts, ["1", "2", "3"], "{key}");
        }
        assert_eq!(gateway.web.waiting().await, 0);
        // A change of power levels or other state is not delivered.
        change_levels(&bob, &room, json!({ "events_default": 0 })).await;
        set_state(&bob, &room, "m.room.topic", "", json!({ "topic": "t" })).await;
    }
}

/// The position up to which the only pusher has delivered everything.
async fn position(server: &Server) -> Pos {
    one(server, |pusher| pusher.0).await
}

/// Returns the number of failures of the only pusher.
async fn failures(server: &Server) -> i64 {
    one(server, |pusher| pusher.1).await
}

const PUSHER_SQL: &str = "SELECT cursor, failures FROM deliveries ORDER BY target_num LIMIT 1";
static PUSHER: reeve_db::Statement = reeve_db::Statement::new("tests::PUSHER", PUSHER_SQL, PUSHER_SQL);

async fn one<T>(server: &Server, what: fn((Pos, i64)) -> T) -> T {
    let found = server
        .app()
        .db
        .read(|tx| tx.query_one(&PUSHER, &reeve_db::params![], |row| Ok((row.get(0)?, row.get(1)?))));
    what(found.await.unwrap())
}

/// The position of an event.
async fn stream(server: &Server, event_id: &str) -> Pos {
    let event_id = event_id.to_owned();
    let found = server.app().db.read(move |tx| reeve_store::events::find(tx, &event_id)).await;
    found.unwrap().unwrap().pos
}
