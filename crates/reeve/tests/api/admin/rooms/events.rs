//! Reads by administrators in rooms that they are not in: members, state, messages, context and single events.

use reeve_testkit::{START_MS, on_both_engines};
use serde_json::json;

use super::{current_state, delete, error, path, texts, timeline};
use crate::rooms_kit::{
    add_alias, all_messages, at, ban, bodies, code, create, create_public, enc, filter, ids, invite, join,
    leave, list, of_state, ok, redact, room_path, say, say_many, set_state, state_path,
};

on_both_engines! {
    async fn members(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let (dave, erin) = (server.user("dave").await, server.user("erin").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        leave(&carol, &room).await;
        invite(&alice, &room, &dave.user_id).await;
        ban(&alice, &room, &erin.user_id).await;
        for query in ["", "?from=0&limit=1&order_by=x&dir=b"] {
            let body = ok(admin.get(&path(&room, &format!("/members{query}"))).await);
            assert_eq!(texts(&body, "/members"), ["@alice:test", "@bob:test"]);
            assert_eq!((&body["total"], body.as_object().unwrap().len()), (&json!(2), 2));
        }
        leave(&alice, &room).await;
        leave(&bob, &room).await;
        assert_eq!(admin.get(&path(&room, "/members")).await, (200, json!({ "members": [], "total": 0 })));
    }

    async fn state(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat", "name": "One" })).await;
        let name = set_state(&alice, &room, "m.room.name", "", json!({ "name": "Two" })).await;
        set_state(&alice, &room, "org.example", "a", json!({ "n": 1 })).await;
        set_state(&alice, &room, "org.example", "b", json!({ "n": 2 })).await;
        let all = current_state(&admin, &room).await;
        let own = ok(alice.get(&room_path(&room, "state")).await);
        let sorted = |events: &[serde_json::Value]| {
            let mut ids: Vec<String> = ids(events).into_iter().map(str::to_owned).collect();
            ids.sort();
            ids
        };
        assert_eq!(sorted(&all), sorted(own.as_array().unwrap()));
        let event = of_state(&all, "m.room.name", "").unwrap();
        for (key, value) in [
            ("event_id", json!(name)), ("content", json!({ "name": "Two" })), ("room_id", json!(room)), ("state_key", json!("")),
            ("sender", json!("@alice:test")), ("origin_server_ts", json!(START_MS)), ("type", json!("m.room.name")),
        ] {
            assert_eq!(event[key], value, "{key}");
        }
        let of_type = async |kind: &str| {
            let body = ok(admin.get(&path(&room, &format!("/state?type={kind}"))).await);
            list(&body, "/state").len()
        };
        assert_eq!(of_type("m.room.name").await, 1);
        assert_eq!(of_type("org.example").await, 2);
        assert_eq!(of_type("org").await, 0);
        assert_eq!(of_type("").await, all.len());
    }

    async fn messages_from_both_ends(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        // Other users who are not in the room cannot read it.
        let hidden = json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }]);
        let room = create(&alice, json!({ "preset": "private_chat", "initial_state": hidden })).await;
        say_many(&alice, &room, "m", 12).await;
        let (own, _) = all_messages(&alice, &room, "dir=b&limit=100").await;
        let own: Vec<&str> = ids(&own).into_iter().rev().collect();
        for limit in [1, 3, 10, 100] {
            let forward = timeline(&admin, &room, &format!("dir=f&limit={limit}")).await;
            assert_eq!(ids(&forward), own, "{limit}");
            let mut backward = timeline(&admin, &room, &format!("dir=b&limit={limit}")).await;
            backward.reverse();
            assert_eq!(ids(&backward), own, "{limit}");
        }
        // Forward, ten at a time, unless asked otherwise.
        let page = ok(admin.get(&path(&room, "/messages")).await);
        assert_eq!(ids(list(&page, "/chunk")), own[..10]);
        // The page has a token for each of its ends.
        let last = ok(admin.get(&path(&room, "/messages?dir=b&limit=2")).await);
        assert_eq!(bodies(list(&last, "/chunk")), ["m11", "m10"]);
        let end = enc(at(&last, "/end"));
        let before = ok(admin.get(&path(&room, &format!("/messages?dir=b&limit=2&from={end}"))).await);
        assert_eq!(bodies(list(&before, "/chunk")), ["m9", "m8"]);
        let again = ok(admin.get(&path(&room, &format!("/messages?dir=f&limit=2&from={end}"))).await);
        assert_eq!(bodies(list(&again, "/chunk")), ["m10", "m11"]);
    }

    async fn messages_by_filters(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        say_many(&alice, &room, "a", 3).await;
        say_many(&bob, &room, "b", 3).await;
        let said = json!({ "types": ["m.room.message"] });
        assert_eq!(bodies(&timeline(&admin, &room, &format!("limit=2&{}", filter(&said))).await), ["a0", "a1", "a2", "b0", "b1", "b2"]);
        let of_bob = json!({ "types": ["m.room.message"], "senders": ["@bob:test"] });
        assert_eq!(bodies(&timeline(&admin, &room, &format!("dir=b&{}", filter(&of_bob))).await), ["b2", "b1", "b0"]);
        let nothing = json!({ "not_senders": ["@alice:test", "@bob:test"] });
        assert_eq!(timeline(&admin, &room, &format!("dir=b&{}", filter(&nothing))).await.len(), 0);
        let none = ok(admin.get(&path(&room, "/messages?dir=b&limit=0")).await);
        assert_eq!(none["chunk"], json!([]));
        for (query, status, errcode) in [
            ("dir=x", 400, "M_INVALID_PARAM"), ("limit=x", 400, "M_INVALID_PARAM"), ("limit=-1", 400, "M_INVALID_PARAM"),
            ("filter=junk", 400, "M_NOT_JSON"), ("filter={", 400, "M_NOT_JSON"),
        ] {
            let query = query.replace('{', "%7B");
            let reply = admin.get(&path(&room, &format!("/messages?{query}"))).await;
            assert_eq!(code(&reply), (status, errcode), "{query}");
        }
        assert_eq!(admin.get(&path(&room, "/messages?from=junk")).await, (400, error("M_UNKNOWN", "'from' parameter is invalid")));
        assert_eq!(admin.get(&path(&room, "/messages?to=junk")).await, (400, error("M_UNKNOWN", "'to' parameter is invalid")));
        assert_eq!(ok(admin.get(&path("!nope:test", "/messages")).await)["chunk"], json!([]));
    }

    async fn redacted_messages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let event = say(&alice, &room, "secret").await;
        let before = ok(admin.get(&format!("/_synapse/admin/v1/fetch_event/{}", enc(&event))).await);
        redact(&alice, &room, &event).await;
        let all = timeline(&admin, &room, "dir=b").await;
        let pruned = all.iter().find(|one| at(one, "/event_id") == event).unwrap();
        assert_eq!(pruned["content"], json!({}));
        assert_eq!(at(pruned, "/unsigned/redacted_because/type"), "m.room.redaction");
        let context = ok(admin.get(&path(&room, &format!("/context/{}", enc(&event)))).await);
        assert_eq!(context["event"]["content"], json!({}));
        // Where one event is looked into, it is as it was sent.
        let after = ok(admin.get(&format!("/_synapse/admin/v1/fetch_event/{}", enc(&event))).await);
        assert_eq!(after["event"]["content"], json!({ "msgtype": "m.text", "body": "secret" }));
        assert_eq!(after["event"]["content"], before["event"]["content"]);
    }

    async fn context(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat" })).await;
        let events = say_many(&alice, &room, "m", 7).await;
        let around = async |query: &str| ok(admin.get(&path(&room, &format!("/context/{}{query}", enc(&events[3])))).await);
        let context = around("?limit=4").await;
        assert_eq!(at(&context, "/event/event_id"), events[3]);
        assert_eq!(bodies(list(&context, "/events_before")), ["m2", "m1"]);
        assert_eq!(bodies(list(&context, "/events_after")), ["m4", "m5"]);
        assert!(of_state(list(&context, "/state"), "m.room.member", "@alice:test").is_some());
        let (start, end) = (enc(at(&context, "/start")), enc(at(&context, "/end")));
        let before = ok(admin.get(&path(&room, &format!("/messages?dir=b&limit=1&from={start}"))).await);
        assert_eq!(bodies(list(&before, "/chunk")), ["m0"]);
        let after = ok(admin.get(&path(&room, &format!("/messages?dir=f&limit=5&from={end}"))).await);
        assert_eq!(bodies(list(&after, "/chunk")), ["m6"]);
        let alone = around("?limit=0").await;
        assert_eq!((&alone["events_before"], &alone["events_after"]), (&json!([]), &json!([])));
        let whole = around("").await;
        assert_eq!(list(&whole, "/events_before").len() + list(&whole, "/events_after").len(), 8, "five before at most, three after");
        let said = around(&format!("?limit=100&{}", filter(&json!({ "types": ["m.room.message"] })))).await;
        assert_eq!(bodies(list(&said, "/events_before")), ["m2", "m1", "m0"]);
        assert_eq!(list(&said, "/events_before").len(), 3);
    }

    async fn context_of_nothing(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (room, other) = (create_public(&alice).await, create_public(&alice).await);
        let event = say(&alice, &room, "m").await;
        let unknown = error("M_NOT_FOUND", "Event not found.");
        for (place, event) in [(&*room, "$nope"), (&*room, "bad"), ("!nope:test", &*event), ("bad", &*event)] {
            assert_eq!(admin.get(&path(place, &format!("/context/{}", enc(event)))).await, (404, unknown.clone()), "{place} {event}");
        }
        assert_eq!(admin.get(&path(&other, &format!("/context/{}", enc(&event)))).await.status, 404);
        for (query, text) in [
            ("limit=-1", "Query parameter limit must be a positive integer."), ("limit=x", "Query parameter limit must be an integer"),
        ] {
            let reply = admin.get(&path(&room, &format!("/context/{}?{query}", enc(&event)))).await;
            assert_eq!(reply, (400, error("M_INVALID_PARAM", text)));
        }
    }

    async fn by_time(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat" })).await;
        let mut events = Vec::new();
        for n in 0..3 {
            server.clock.advance(1000);
            events.push(say(&alice, &room, &format!("m{n}")).await);
        }
        let at_time = async |query: String| admin.get(&path(&room, &format!("/timestamp_to_event{query}"))).await;
        for (after, dir, wanted) in [
            (1000, "", Some(0)), (1000, "&dir=f", Some(0)), (1000, "&dir=b", Some(0)), (1001, "&dir=f", Some(1)), (1999, "&dir=b", Some(0)),
            (2500, "&dir=f", Some(2)), (3000, "", Some(2)), (90_000, "&dir=b", Some(2)), (3001, "&dir=f", None), (3001, "", None), (-1, "&dir=b", None),
        ] {
            let reply = at_time(format!("?ts={}{dir}", START_MS + after)).await;
            match wanted {
                Some(n) => {
                    let time = START_MS + 1000 * (i64::try_from(n).unwrap() + 1);
                    assert_eq!(reply, (200, json!({ "event_id": events[n], "origin_server_ts": time })), "{after}{dir}");
                }
                None => assert_eq!(code(&reply), (404, "M_NOT_FOUND"), "{after}{dir}"),
            }
        }
        let missing = error("M_MISSING_PARAM", "Missing required integer query parameter ts");
        assert_eq!(at_time(String::new()).await, (400, missing.clone()));
        assert_eq!(at_time("?dir=f".to_owned()).await, (400, missing));
        assert_eq!(at_time("?ts=x".to_owned()).await, (400, error("M_INVALID_PARAM", "Query parameter ts must be an integer")));
        assert_eq!(at_time("?ts=-1".to_owned()).await, (400, error("M_INVALID_PARAM", "Query parameter ts must be a positive integer.")));
        assert_eq!(at_time("?ts=1&dir=x".to_owned()).await, (400, error("M_INVALID_PARAM", "Query parameter 'dir' must be one of ['b', 'f']")));
        assert_eq!(code(&admin.get(&path("!nope:test", "/timestamp_to_event?ts=1")).await), (404, "M_NOT_FOUND"));
    }

    async fn one_event(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat" })).await;
        let (first, second) = (say(&alice, &room, "m").await, say(&alice, &room, "n").await);
        let fetch = async |event: &str| admin.get(&format!("/_synapse/admin/v1/fetch_event/{}", enc(event))).await;
        let body = ok(fetch(&second).await);
        let event = &body["event"];
        for (key, value) in [
            ("event_id", json!(second)), ("room_id", json!(room)), ("sender", json!("@alice:test")), ("type", json!("m.room.message")),
            ("content", json!({ "msgtype": "m.text", "body": "n" })), ("origin_server_ts", json!(START_MS)), ("prev_events", json!([first])),
        ] {
            assert_eq!(event[key], value, "{key}");
        }
        assert!(!list(event, "/auth_events").is_empty());
        assert!(event["depth"].as_i64().unwrap() > 1);
        assert!(!at(event, "/hashes/sha256").is_empty());
        assert!(!event["signatures"]["test"].as_object().unwrap().is_empty());
        assert_eq!(event.get("state_key"), None);
        let member = at(of_state(&current_state(&admin, &room).await, "m.room.member", "@alice:test").unwrap(), "/event_id").to_owned();
        assert_eq!(ok(fetch(&member).await)["event"]["state_key"], "@alice:test");
        for unknown in ["$nope", "bad", ""] {
            assert_eq!(fetch(unknown).await, (404, error("M_NOT_FOUND", "Event not found")), "{unknown}");
        }
    }

    async fn forward_extremities(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let alias = add_alias(&alice, &room, "place").await;
        let event = say(&alice, &room, "m").await;
        for name in [&room, &alias] {
            let body = ok(admin.get(&path(name, "/forward_extremities?from=0&limit=1&dir=f&order_by=x")).await);
            assert_eq!((&body["count"], list(&body, "/results").len()), (&json!(1), 1));
            assert_eq!(body["results"][0]["event_id"], json!(event));
            assert_eq!(body["results"][0]["received_ts"], START_MS);
            assert!(body["results"][0]["depth"].is_i64());
            assert_eq!(delete(&admin, &path(name, "/forward_extremities"), &json!({})).await, (200, json!({ "deleted": 0 })));
        }
        assert_eq!(admin.get(&path("!nope:test", "/forward_extremities")).await, (200, json!({ "count": 0, "results": [] })));
        let alias = error("M_NOT_FOUND", "Room alias #nope:test not found");
        assert_eq!(admin.get(&path("#nope:test", "/forward_extremities")).await, (404, alias));
        let bad = error("M_UNKNOWN", "bad was not legal room ID or room alias");
        assert_eq!(admin.get(&path("bad", "/forward_extremities")).await, (400, bad));
        // The room continues.
        say(&alice, &room, "n").await;
        assert_eq!(alice.get(&state_path(&room, "m.room.create", "")).await.status, 200);
    }
}
