//! `POST v1/purge_history/{room_id}` and its status.

use http::Method;
use reeve_model::Ctx;
use reeve_rooms::purge::{self, UpTo};
use reeve_testkit::{Client, START, START_MS, on_both_engines};
use serde_json::{Value, json};

use super::{current_state, error, path, room, timeline};
use crate::rooms_kit::{
    all_messages, at, bodies, code, create, create_public, enc, join, list, of_state, ok, room_path, say,
    say_many, sync, timeline as synced, try_event,
};
use crate::sync_kit::eventually;

fn purge_path(room: &str) -> String {
    format!("/_synapse/admin/v1/purge_history/{}", enc(room))
}

/// Purges and waits until it is done.
async fn purge_fully(admin: &Client, path: &str, body: Value) {
    let begun = ok(admin.post(path, body).await);
    assert_eq!(begun.as_object().unwrap().len(), 1, "{begun}");
    let status = format!("/_synapse/admin/v1/purge_history_status/{}", at(&begun, "/purge_id"));
    let over =
        eventually(admin, &status, |reply| ["complete", "failed"].contains(&reply.text("status"))).await;
    assert_eq!(over, (200, json!({ "status": "complete" })));
}

async fn stored(admin: &Client, event: &str) -> u16 {
    admin.get(&format!("/_synapse/admin/v1/fetch_event/{}", enc(event))).await.status
}

on_both_engines! {
    async fn all_before_an_event(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let id = create(&alice, json!({ "preset": "public_chat", "name": "Long" })).await;
        join(&bob, &id).await;
        let events = say_many(&alice, &id, "m", 6).await;
        let people = room(&admin, &id).await;
        let body = json!({ "purge_up_to_event_id": events[3], "delete_local_events": true });
        purge_fully(&admin, &purge_path(&id), body).await;
        // The event itself stays, and all after it.
        assert_eq!(bodies(&timeline(&admin, &id, "dir=f").await), ["m3", "m4", "m5"]);
        for client in [&alice, &bob] {
            assert_eq!(bodies(&all_messages(client, &id, "dir=b").await.0), ["m5", "m4", "m3"]);
            assert_eq!(bodies(&all_messages(client, &id, "dir=f").await.0), ["m3", "m4", "m5"]);
            assert_eq!(bodies(synced(&sync(client).await, &id)), ["m3", "m4", "m5"]);
        }
        for (n, event) in events.iter().enumerate() {
            let there = n >= 3;
            assert_eq!(try_event(&alice, &id, event).await.status, if there { 200 } else { 404 }, "{n}");
            assert_eq!(stored(&admin, event).await, if there { 200 } else { 404 }, "{n}");
        }
        let context = ok(alice.get(&room_path(&id, &format!("context/{}?limit=20", enc(&events[3])))).await);
        assert_eq!(bodies(list(&context, "/events_before")), Vec::<&str>::new());
        // The current state is kept.
        assert_eq!(room(&admin, &id).await, people);
        let state = current_state(&admin, &id).await;
        for (kind, key) in [("m.room.create", ""), ("m.room.name", ""), ("m.room.member", "@alice:test"), ("m.room.member", "@bob:test")] {
            let event = of_state(&state, kind, key).unwrap();
            assert_eq!(stored(&admin, at(event, "/event_id")).await, 200, "{kind}");
        }
        say(&bob, &id, "on").await;
        join(&carol, &id).await;
        assert_eq!(bodies(&all_messages(&carol, &id, "dir=b").await.0), ["on", "m5", "m4", "m3"]);
        // A second time there is nothing to do.
        purge_fully(&admin, &format!("{}/{}", purge_path(&id), enc(&events[3])), json!({ "delete_local_events": true })).await;
        assert_eq!(bodies(&timeline(&admin, &id, "dir=f").await), ["m3", "m4", "m5", "on"]);
    }

    async fn events_of_our_own_are_kept_aside(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        let events = say_many(&alice, &id, "m", 4).await;
        for body in [json!({}), json!({ "delete_local_events": false })] {
            purge_fully(&admin, &format!("{}/{}", purge_path(&id), enc(&events[2])), body).await;
            assert_eq!(bodies(&timeline(&admin, &id, "dir=f").await), ["m2", "m3"]);
            assert_eq!(try_event(&alice, &id, &events[1]).await.status, 404);
            assert_eq!(stored(&admin, &events[1]).await, 200);
        }
    }

    async fn all_before_a_time(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        for n in 0..5 {
            server.clock.advance(1000);
            say(&alice, &id, &format!("m{n}")).await;
        }
        let until = async |ts: i64| {
            purge_fully(&admin, &purge_path(&id), json!({ "purge_up_to_ts": ts, "delete_local_events": true })).await;
            bodies(&timeline(&admin, &id, "dir=f").await).join(" ")
        };
        assert_eq!(until(START_MS + 2000).await, "m1 m2 m3 m4");
        assert_eq!(until(START_MS + 3000).await, "m2 m3 m4");
        // There is always a last event.
        assert_eq!(until(START_MS + 900_000).await, "m4");
        assert_eq!(until(START_MS + 900_000).await, "m4");
        say(&alice, &id, "on").await;
        assert_eq!(bodies(&all_messages(&alice, &id, "dir=b").await.0), ["on", "m4"]);
    }

    async fn before_the_first_event_there_is_nothing_to_purge(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        say_many(&alice, &id, "m", 3).await;
        let before = ok(alice.get(&room_path(&id, "messages?dir=f")).await);
        for ts in [1, 0, -5, START_MS - 1] {
            purge_fully(&admin, &purge_path(&id), json!({ "purge_up_to_ts": ts, "delete_local_events": true })).await;
            let mut after = ok(alice.get(&room_path(&id, "messages?dir=f")).await);
            after["start"] = before["start"].clone();
            assert_eq!(after, before, "{ts}");
        }
        let log = admin.get("/_reeve/admin/v1/audit?action=room.purge_history").await;
        assert_eq!(log.body["entries"][0]["changes"], json!({ "up_to_event_id": null, "delete_local_events": true }));
    }

    async fn it_is_active_from_the_beginning(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        // One that has not started: it is due in a second.
        let ctx = Ctx { now: START.plus(1000), ..Ctx::system(&server.clock, &server.app().server_name, "test") };
        let upto = UpTo::Time(START);
        let ordered = server.app().db.write(move |tx| purge::order(tx, &ctx, &id, &upto, false)).await.unwrap();
        let status = format!("/_synapse/admin/v1/purge_history_status/{ordered}");
        assert_eq!(admin.get(&status).await, (200, json!({ "status": "active" })));
        server.clock.advance(1000);
        eventually(&admin, &status, |reply| *reply == (200, json!({ "status": "complete" }))).await;
    }

    async fn as_a_task(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        let event = say(&alice, &id, "m").await;
        let begun = ok(admin.post(&purge_path(&id), json!({ "purge_up_to_event_id": event })).await);
        let tasks = format!("/_synapse/admin/v1/scheduled_tasks?action_name=purge_history&resource_id={}", enc(&id));
        let done = eventually(&admin, &tasks, |reply| reply.body["scheduled_tasks"][0]["status"] == "complete").await;
        let task = &done.body["scheduled_tasks"][0];
        assert_eq!((&task["id"], &task["action"], &task["error"]), (&begun["purge_id"], &json!("purge_history"), &json!(null)));
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (id, other) = (create_public(&alice).await, create_public(&alice).await);
        let event = say(&alice, &id, "m").await;
        let post = async |body: &'static str| admin.send(Method::POST, &purge_path(&id), &[], body).await;
        let neither = error("M_BAD_JSON", "must specify purge_up_to_event_id or purge_up_to_ts");
        for body in ["", "{}", r#"{"delete_local_events":true}"#, r#"{"purge_up_to_event_id":null}"#] {
            assert_eq!(post(body).await, (400, neither.clone()), "{body}");
        }
        for body in ["null", "1.5", "true", "\"1\""] {
            let body: &'static str = format!("{{\"purge_up_to_ts\":{body}}}").leak();
            assert_eq!(post(body).await, (400, error("M_BAD_JSON", "purge_up_to_ts must be an int")), "{body}");
        }
        assert_eq!(post("[]").await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        assert_eq!(post("{").await, (400, error("M_NOT_JSON", "Content not JSON.")));
        assert_eq!(post(r#"{"purge_up_to_event_id":1}"#).await.status, 400);
        let unknown = error("M_NOT_FOUND", "Could not find event $nope");
        assert_eq!(post(r#"{"purge_up_to_event_id":"$nope"}"#).await, (404, unknown.clone()));
        assert_eq!(admin.post(&format!("{}/$nope", purge_path(&id)), json!({})).await, (404, unknown));
        let nothing = (404, error("M_NOT_FOUND", "there is no event to be purged"));
        assert_eq!(admin.post(&purge_path("!nope:test"), json!({ "purge_up_to_ts": START_MS })).await, nothing);
        let wrong = (400, error("M_UNKNOWN", "Event is for wrong room."));
        for place in [&*other, "!nope:test", "bad"] {
            assert_eq!(admin.post(&purge_path(place), json!({ "purge_up_to_event_id": event })).await, wrong);
            assert_eq!(admin.post(&format!("{}/{}", purge_path(place), enc(&event)), json!({})).await, wrong);
        }
        for id in ["nope", ""] {
            let unknown = error("M_NOT_FOUND", &format!("purge id '{id}' not found"));
            assert_eq!(admin.get(&format!("/_synapse/admin/v1/purge_history_status/{id}")).await, (404, unknown));
        }
        assert_eq!(code(&admin.get(&purge_path(&id)).await), (405, "M_UNRECOGNIZED"));
        assert_eq!(admin.get(&path(&id, "")).await.status, 200);
        assert_eq!(bodies(&timeline(&admin, &id, "dir=f").await), ["m"]);
    }
}
