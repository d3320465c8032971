//! Redaction of all messages of a user.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const REDACT: &str = "/_synapse/admin/v1/user/@alice:test/redact";

fn status_path(id: &str) -> String {
    format!("/_synapse/admin/v1/user/redact_status/{id}")
}

/// Starts it and waits until it is through: what became of it.
async fn redact_all(admin: &Client, body: Value) -> Value {
    let id = at(&ok(admin.post(REDACT, body).await), "/redact_id").to_owned();
    assert!(!id.is_empty());
    let through = |reply: &Reply| ["complete", "failed"].contains(&reply.text("status"));
    eventually(admin, &status_path(&id), through).await.body
}

fn complete() -> Value {
    json!({ "status": "complete", "failed_redactions": {} })
}

/// Which of these events are redacted, and by whom.
async fn redacted(client: &Client, room: &str, events: &[&String]) -> Vec<String> {
    let mut by = Vec::new();
    for id in events {
        let event = event(client, room, id).await;
        by.push(at(&event, "/unsigned/redacted_because/sender").to_owned());
    }
    by
}

on_both_engines! {
    async fn in_all_rooms(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (one, two) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &one).await;
        join(&alice, &two).await;
        let (first, second) = (say(&alice, &one, "a").await, say(&alice, &two, "b").await);
        let his = say(&bob, &one, "his").await;
        let since = now(&bob).await;
        assert_eq!(redact_all(&admin, json!({ "rooms": [], "reason": "Spam" })).await, complete());
        let pruned = event(&bob, &one, &first).await;
        assert_eq!(pruned["content"], json!({}));
        let because = &pruned["unsigned"]["redacted_because"];
        assert_eq!((at(because, "/sender"), at(because, "/content/reason")), ("@alice:test", "Spam"));
        assert_eq!(redacted(&bob, &two, &[&second]).await, ["@alice:test"]);
        assert_eq!(redacted(&bob, &one, &[&his]).await, [""]);
        // The members of the rooms receive it.
        let came = sync_since(&bob, &since).await;
        for room in [&one, &two] {
            assert!(of_kind(timeline(&came, room), "m.room.redaction").is_some(), "{came}");
        }
    }

    async fn which_events(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        set_level(&bob, &room, "@alice:test", 50).await;
        let message = say(&alice, &room, "m").await;
        let secret = send(&alice, &room, "m.room.encrypted", json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x" })).await;
        let reaction = react(&alice, &room, &message, "x").await;
        let topic = set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "T" })).await;
        let other = send(&alice, &room, "org.example.thing", json!({})).await;
        assert_eq!(redact_all(&admin, json!({ "rooms": [room] })).await, complete());
        let by = redacted(&bob, &room, &[&message, &secret, &reaction, &topic, &other]).await;
        assert_eq!(by, ["@alice:test", "@alice:test", "", "", ""]);
        // Joining is redacted too, and stays a joining.
        let member = state(&bob, &room, "m.room.member", "@alice:test").await;
        assert_eq!(member["membership"], "join");
        assert!(member.get("displayname").is_none_or(Value::is_null), "{member}");
    }

    async fn twice(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let first = say(&alice, &room, "a").await;
        assert_eq!(redact_all(&admin, json!({ "rooms": [] })).await, complete());
        let second = say(&alice, &room, "b").await;
        assert_eq!(redact_all(&admin, json!({ "rooms": [] })).await, complete());
        assert_eq!(redacted(&bob, &room, &[&first, &second]).await, ["@alice:test", "@alice:test"]);
        // Redacted events are not redacted again: one for the join, one for each message.
        let (all, _) = all_messages(&bob, &room, "dir=b&limit=100").await;
        let redactions = all.iter().filter(|event| event["type"] == "m.room.redaction").count();
        assert_eq!(redactions, 3, "{all:?}");
    }

    async fn only_some(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (one, two) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &one).await;
        join(&alice, &two).await;
        let said = say_many(&alice, &one, "m", 4).await;
        let elsewhere = say(&alice, &two, "x").await;
        // The newest first.
        assert_eq!(redact_all(&admin, json!({ "rooms": [one], "limit": 2 })).await, complete());
        let all: Vec<&String> = said.iter().collect();
        assert_eq!(redacted(&bob, &one, &all).await, ["", "", "@alice:test", "@alice:test"]);
        assert_eq!(redacted(&bob, &two, &[&elsewhere]).await, [""]);
    }

    async fn of_a_time(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let mut said = Vec::new();
        let mut times = Vec::new();
        for text in ["a", "b", "c"] {
            server.clock.advance(1000);
            let id = say(&alice, &room, text).await;
            times.push(event(&bob, &room, &id).await["origin_server_ts"].as_i64().unwrap());
            said.push(id);
        }
        let all: Vec<&String> = said.iter().collect();
        // Both ends are included.
        let body = json!({ "rooms": [room], "after_ts": times[1], "before_ts": times[1] });
        assert_eq!(redact_all(&admin, body).await, complete());
        assert_eq!(redacted(&bob, &room, &all).await, ["", "@alice:test", ""]);
        assert_eq!(redact_all(&admin, json!({ "rooms": [room], "before_ts": times[0] })).await, complete());
        assert_eq!(redacted(&bob, &room, &all).await, ["@alice:test", "@alice:test", ""]);
    }

    async fn of_accounts_in_every_state(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, left, banned) = (create_public(&bob).await, create_public(&bob).await, create_public(&bob).await);
        let mut said = Vec::new();
        for room in [&room, &left, &banned] {
            join(&alice, room).await;
            said.push(say(&alice, room, "m").await);
        }
        leave(&alice, &left).await;
        ban(&bob, &banned, "@alice:test").await;
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        ok(admin.post("/_synapse/admin/v1/users/@alice:test/shadow_ban", json!({})).await);
        // Rooms that one is in, and those that one is banned from; not those that one left.
        assert_eq!(redact_all(&admin, json!({ "rooms": [] })).await, complete());
        assert_eq!(redacted(&bob, &room, &[&said[0]]).await, ["@alice:test"]);
        assert_eq!(redacted(&bob, &banned, &[&said[2]]).await, ["@alice:test"]);
        assert_eq!(redacted(&bob, &left, &[&said[1]]).await, [""]);
        assert_eq!(membership(&bob, &banned, "@alice:test").await, "ban");
        // Named, that one too.
        assert_eq!(redact_all(&admin, json!({ "rooms": [left] })).await, complete());
        assert_eq!(redacted(&bob, &left, &[&said[1]]).await, ["@alice:test"]);
        assert_eq!(membership(&bob, &left, "@alice:test").await, "leave");
    }

    async fn in_the_name_of_the_administrator(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (own, foreign) = (create_public(&admin).await, create_public(&alice).await);
        join(&alice, &own).await;
        let (here, there) = (say(&alice, &own, "m").await, say(&alice, &foreign, "m").await);
        assert_eq!(redact_all(&admin, json!({ "rooms": [own], "use_admin": true })).await, complete());
        assert_eq!(redacted(&alice, &own, &[&here]).await, ["@admin:test"]);
        // Without power it fails for each event, with the reason.
        let outcome = redact_all(&admin, json!({ "rooms": [foreign], "use_admin": true })).await;
        assert_eq!(outcome["status"], "complete");
        assert!(outcome["failed_redactions"][&there].is_string(), "{outcome}");
        assert_eq!(redacted(&alice, &foreign, &[&there]).await, [""]);
    }

    async fn through_a_restart(server: Server) {
        let mut server = server;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let said = say_many(&alice, &room, "m", 40).await;
        let id = at(&ok(admin.post(REDACT, json!({ "rooms": [] })).await), "/redact_id").to_owned();
        server.restart(|_| {}).await;
        let (admin, bob) = (
            server.with_token(admin.token.as_deref().unwrap()), server.with_token(bob.token.as_deref().unwrap()),
        );
        let done = eventually(&admin, &status_path(&id), |reply| reply.text("status") == "complete").await;
        assert_eq!(done, (200, complete()));
        let all: Vec<&String> = said.iter().collect();
        assert!(redacted(&bob, &room, &all).await.iter().all(|by| by == "@alice:test"));
    }

    async fn what_is_refused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for (body, errcode) in [
            (json!({}), "M_MISSING_PARAM"),
            (json!({ "rooms": null }), "M_BAD_JSON"),
            (json!({ "rooms": "all" }), "M_BAD_JSON"),
            (json!({ "rooms": [1] }), "M_BAD_JSON"),
            (json!({ "rooms": [], "limit": "1" }), "M_BAD_JSON"),
            (json!({ "rooms": [], "limit": true }), "M_BAD_JSON"),
            (json!({ "rooms": [], "reason": 1 }), "M_BAD_JSON"),
            (json!({ "rooms": [], "use_admin": 1 }), "M_BAD_JSON"),
            (json!({ "rooms": [], "after_ts": "0" }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&admin.post(REDACT, body.clone()).await), (400, errcode), "{body}");
        }
        let negative = admin.post(REDACT, json!({ "rooms": [], "limit": -1 })).await;
        let text = "If limit is provided it must be a non-negative integer greater than 0.";
        assert_eq!(negative.refusal(), (400, "M_UNKNOWN", text));
        let bad = admin.post("/_synapse/admin/v1/user/bad/redact", json!({ "rooms": [] })).await;
        assert_eq!(bad.refusal(), (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'"));
        let unknown = admin.get(&status_path("nothing")).await;
        assert_eq!(unknown.refusal(), (404, "M_NOT_FOUND", "redact id 'nothing' not found"));
        // The account need not exist; nulls count as absent.
        let body = json!({ "rooms": [], "reason": null, "limit": null, "use_admin": null, "before_ts": null });
        assert_eq!(redact_all(&admin, body).await, complete());
        let nobody = admin.post("/_synapse/admin/v1/user/@nobody:test/redact", json!({ "rooms": [] })).await;
        ok(nobody);
        let forbidden = alice.post(REDACT, json!({ "rooms": [] })).await;
        assert_eq!(forbidden.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
    }

    async fn among_the_tasks(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "m").await;
        let id = at(&ok(admin.post(REDACT, json!({ "rooms": [] })).await), "/redact_id").to_owned();
        eventually(&admin, &status_path(&id), |reply| reply.text("status") == "complete").await;
        let path = "/_synapse/admin/v1/scheduled_tasks?action_name=redact_all_events&resource_id=@alice:test";
        let tasks = ok(admin.get(path).await);
        let task = list(&tasks, "/scheduled_tasks").iter().find(|task| task["id"] == id.as_str()).unwrap();
        assert_eq!(
            (at(task, "/action"), at(task, "/status"), at(task, "/resource_id")),
            ("redact_all_events", "complete", "@alice:test"),
        );
    }
}
