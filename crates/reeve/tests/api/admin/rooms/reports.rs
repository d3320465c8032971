//! `v1/event_reports`: reports of events.

use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

use super::{delete, error, path};
use crate::rooms_kit::{at, code, create, create_public, enc, join, list, ok, redact, room_path, say};

const REPORTS: &str = "/_synapse/admin/v1/event_reports";

async fn report(client: &Client, room: &str, event: &str, body: Value) {
    ok(client.post(&room_path(room, &format!("report/{}", enc(event))), body).await);
}

async fn reasons(admin: &Client, query: &str) -> Vec<String> {
    let page = ok(admin.get(&format!("{REPORTS}?{query}")).await);
    list(&page, "/event_reports").iter().map(|report| at(report, "/reason").to_owned()).collect()
}

on_both_engines! {
    async fn what_a_report_says(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        assert_eq!(admin.get(REPORTS).await, (200, json!({ "event_reports": [], "total": 0 })));
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Loud", "room_alias_name": "loud" })).await;
        join(&bob, &room).await;
        let event = say(&alice, &room, "rude").await;
        report(&bob, &room, &event, json!({ "reason": "spam", "score": -100 })).await;
        server.clock.advance(1);
        report(&alice, &room, &event, json!({})).await;
        let page = ok(admin.get(REPORTS).await);
        assert_eq!((&page["total"], page.get("next_token")), (&json!(2), None));
        let entry = |index: usize| page["event_reports"][index].clone();
        let (newest, oldest) = (entry(0), entry(1));
        assert!(newest["id"].as_i64().unwrap() > oldest["id"].as_i64().unwrap());
        assert_eq!(oldest, json!({
            "id": oldest["id"], "received_ts": START_MS, "room_id": room, "event_id": event, "user_id": "@bob:test",
            "score": -100, "reason": "spam", "sender": "@alice:test", "canonical_alias": "#loud:test", "name": "Loud",
        }));
        assert_eq!((&newest["score"], &newest["reason"], &newest["user_id"]), (&json!(null), &json!(null), &json!("@alice:test")));
        // One report shows the event too, as it was sent.
        redact(&alice, &room, &event).await;
        let mut one = ok(admin.get(&format!("{REPORTS}/{}", oldest["id"])).await);
        let event_json = one.as_object_mut().unwrap().remove("event_json").unwrap();
        assert_eq!(one, oldest);
        assert_eq!(event_json["content"], json!({ "msgtype": "m.text", "body": "rude" }));
        for key in ["auth_events", "depth", "hashes", "origin_server_ts", "prev_events", "room_id", "sender", "signatures", "type"] {
            assert!(event_json.get(key).is_some(), "{key}");
        }
    }

    async fn by_filters_and_pages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let mut rooms = Vec::new();
        for (n, author, reporter) in [(0, &alice, &bob), (1, &bob, &alice), (2, &carol, &bob), (3, &bob, &carol), (4, &bob, &bob)] {
            if n % 3 == 0 {
                let room = create_public(&alice).await;
                join(&bob, &room).await;
                join(&carol, &room).await;
                rooms.push(room);
            }
            let room = rooms.last().unwrap();
            let event = say(author, room, "x").await;
            server.clock.advance(1);
            report(reporter, room, &event, json!({ "reason": n.to_string() })).await;
        }
        let (first, second) = (enc(&rooms[0]), enc(&rooms[1]));
        for (query, wanted) in [
            ("", "43210"), ("dir=b", "43210"), ("dir=f", "01234"), ("limit=2", "43"), ("limit=2&from=1", "32"),
            ("limit=2&from=4", "0"), ("from=5", ""), ("limit=0", ""),
            ("user_id=@bob:test", "420"), ("user_id=bob", "420"), ("user_id=nobody", ""), ("user_id=", "43210"), ("user_id=_ob", ""),
            ("user_id=%25", ""), ("event_sender_user_id=@bob:test", "431"), ("event_sender_user_id=bob", ""),
            ("user_id=carol&event_sender_user_id=@bob:test", "3"), ("user_id=alice&event_sender_user_id=@carol:test", ""),
        ] {
            assert_eq!(reasons(&admin, query).await.concat(), wanted, "{query}");
        }
        assert_eq!(reasons(&admin, &format!("room_id={first}")).await.concat(), "210");
        assert_eq!(reasons(&admin, &format!("room_id={}", &second[..second.len() - 1])).await.concat(), "43");
        assert_eq!(reasons(&admin, &format!("room_id={first}&user_id=bob&dir=f")).await.concat(), "02");
        for (query, total, token) in [
            ("limit=2", 5, json!(2)), ("limit=2&from=2", 5, json!(4)), ("limit=2&from=3", 5, json!(null)), ("limit=0", 5, json!(0)),
            ("user_id=bob&limit=1", 3, json!(1)), ("from=100", 5, json!(null)),
        ] {
            let page = ok(admin.get(&format!("{REPORTS}?{query}")).await);
            assert_eq!((&page["total"], &page["next_token"]), (&json!(total), &token), "{query}");
        }
        for (query, text) in [
            ("dir=x", "Query parameter 'dir' must be one of ['b', 'f']"), ("limit=-1", "Query parameter limit must be a positive integer."),
            ("from=x", "Query parameter from must be an integer"),
        ] {
            assert_eq!(admin.get(&format!("{REPORTS}?{query}")).await, (400, error("M_INVALID_PARAM", text)));
        }
        let ascii = error("M_UNKNOWN", "Query parameter 'user_id' must be ascii");
        assert_eq!(admin.get(&format!("{REPORTS}?user_id=%C3%A4")).await, (400, ascii));
    }

    async fn done_with(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let event = say(&alice, &room, "x").await;
        for reason in ["a", "b"] {
            report(&alice, &room, &event, json!({ "reason": reason })).await;
        }
        let page = ok(admin.get(&format!("{REPORTS}?dir=f")).await);
        let one = format!("{REPORTS}/{}", page["event_reports"][0]["id"]);
        let unknown = (404, error("M_NOT_FOUND", "Event report not found"));
        assert_eq!(admin.delete(&one).await, (200, json!({})));
        assert_eq!(admin.delete(&one).await, unknown);
        assert_eq!(admin.get(&one).await, unknown);
        assert_eq!(reasons(&admin, "").await, ["b"]);
        for id in ["0", "999999"] {
            assert_eq!(admin.get(&format!("{REPORTS}/{id}")).await, unknown);
            assert_eq!(admin.delete(&format!("{REPORTS}/{id}")).await, unknown);
        }
        let text = "The report_id parameter must be a string representing a positive integer.";
        for id in ["-1", "abc", "1.5", ""] {
            assert_eq!(admin.get(&format!("{REPORTS}/{id}")).await, (400, error("M_INVALID_PARAM", text)), "{id}");
            assert_eq!(admin.delete(&format!("{REPORTS}/{id}")).await, (400, error("M_INVALID_PARAM", text)), "{id}");
        }
        assert_eq!(code(&admin.post(REPORTS, json!({})).await), (405, "M_UNRECOGNIZED"));
        // With the room goes what was reported of it.
        assert_eq!(delete(&admin, &path(&room, ""), &json!({})).await.status, 200);
        assert_eq!(admin.get(REPORTS).await, (200, json!({ "event_reports": [], "total": 0 })));
    }

    async fn what_cannot_be_reported(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let stranger = server.user("stranger").await;
        let (room, other) = (create(&alice, json!({ "preset": "private_chat" })).await, create_public(&alice).await);
        let event = say(&alice, &room, "x").await;
        let unseen = "Unable to report event: it does not exist or you aren't able to see it.";
        for (who, room, event) in [(&stranger, &*room, &*event), (&alice, &*room, "$nope"), (&alice, &*other, &*event), (&alice, "!nope:test", &*event)] {
            let reply = who.post(&room_path(room, &format!("report/{}", enc(event))), json!({ "reason": "x" })).await;
            assert_eq!(reply, (404, error("M_NOT_FOUND", unseen)));
        }
        for (body, text) in [
            (json!({ "reason": 1 }), "Param 'reason' must be a string"), (json!({ "reason": null }), "Param 'reason' must be a string"),
            (json!({ "score": "x" }), "Param 'score' must be an integer"),
        ] {
            let reply = alice.post(&room_path(&room, &format!("report/{}", enc(&event))), body).await;
            assert_eq!(reply, (400, error("M_BAD_JSON", text)));
        }
        assert_eq!(ok(admin.get(REPORTS).await)["total"], 0);
    }
}
