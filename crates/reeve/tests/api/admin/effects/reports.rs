//! Reports of users, from the reporter to the administrator.

use reeve_testkit::{Client, on_both_engines};
use serde_json::json;

use crate::rooms_kit::*;

const REPORTS: &str = "/_synapse/admin/v1/user_reports";

async fn report(client: &Client, user_id: &str, reason: &str) {
    let reply = client.post(&format!("{CS}/users/{user_id}/report"), json!({ "reason": reason })).await;
    assert_eq!(reply, (200, json!({})), "{user_id}");
}

/// The reasons in a page of reports.
async fn reasons(admin: &Client, query: &str) -> Vec<String> {
    let page = ok(admin.get(&format!("{REPORTS}?{query}")).await);
    list(&page, "/user_reports").iter().map(|report| at(report, "/reason").to_owned()).collect()
}

on_both_engines! {
    async fn from_report_to_list(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        assert_eq!(admin.get(&format!("{REPORTS}?target_user_id=@bob:test")).await, (200, json!({ "user_reports": [], "total": 0 })));
        report(&alice, "@bob:test", "Rude").await;
        server.clock.advance(10);
        report(&bob, "@alice:test", "Ruder").await;
        server.clock.advance(10);
        report(&alice, "@alice:test", "").await;
        // Reports of unknown users are not stored.
        report(&alice, "@nobody:test", "x").await;
        let of_alice = ok(admin.get(&format!("{REPORTS}?user_id=@alice:test")).await);
        assert_eq!(of_alice["total"], 2);
        let newest = &list(&of_alice, "/user_reports")[0];
        let (id, received) = (newest["id"].as_i64().unwrap(), newest["received_ts"].as_i64().unwrap());
        let expected = json!({
            "id": id, "received_ts": received, "target_user_id": "@alice:test", "user_id": "@alice:test", "reason": "",
        });
        assert_eq!(*newest, expected);
        assert_eq!(reasons(&admin, "user_id=@alice:test&dir=f").await, ["Rude", ""]);
        assert_eq!(reasons(&admin, "target_user_id=@alice:test").await, ["", "Ruder"]);
        assert_eq!(reasons(&admin, "target_user_id=@alice:test&user_id=@bob:test").await, ["Ruder"]);
        let page = ok(admin.get(&format!("{REPORTS}?user_id=@alice:test&limit=1")).await);
        assert_eq!((list(&page, "/user_reports").len(), &page["total"], &page["next_token"]), (1, &json!(2), &json!(1)));
        assert_eq!(reasons(&admin, "user_id=@alice:test&limit=1&from=1").await, ["Rude"]);
        // A single one, and deleted.
        let path = format!("{REPORTS}/{id}");
        assert_eq!(admin.get(&path).await, (200, expected));
        assert_eq!(admin.delete(&path).await, (200, json!({})));
        let missing = (404, "M_NOT_FOUND", "User report not found");
        assert_eq!(admin.delete(&path).await.refusal(), missing);
        assert_eq!(admin.get(&path).await.refusal(), missing);
        assert_eq!(reasons(&admin, "user_id=@alice:test").await, ["Rude"]);
    }

    async fn what_is_refused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{CS}/users/@alice:test/report");
        assert_eq!(alice.post(&path, json!({})).await.refusal().0, 400);
        assert_eq!(alice.post(&path, json!({ "reason": 1 })).await.refusal().0, 400);
        let long = alice.post(&path, json!({ "reason": "x".repeat(1001) })).await;
        assert_eq!(long.refusal(), (400, "M_BAD_JSON", "Reason must be less than 1000 characters"));
        ok(alice.post(&path, json!({ "reason": "x".repeat(1000) })).await);
        let number = (400, "M_INVALID_PARAM", "The report_id parameter must be a string representing a positive integer.");
        for id in ["abc", "-1", "1.5"] {
            assert_eq!(admin.get(&format!("{REPORTS}/{id}")).await.refusal(), number, "{id}");
        }
        assert_eq!(admin.get(&format!("{REPORTS}/99999999")).await.refusal(), (404, "M_NOT_FOUND", "User report not found"));
        for (query, text) in [
            ("limit=-1", "Query parameter limit must be a positive integer."),
            ("from=x", "Query parameter from must be an integer"),
            ("dir=up", "Query parameter 'dir' must be one of ['b', 'f']"),
        ] {
            assert_eq!(admin.get(&format!("{REPORTS}?{query}")).await.refusal(), (400, "M_INVALID_PARAM", text), "{query}");
        }
    }

    async fn of_events_and_rooms(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Garden" })).await;
        join(&bob, &room).await;
        let said = say(&alice, &room, "weeds").await;
        let body = json!({ "reason": "Weeds", "score": -50 });
        assert_eq!(bob.post(&room_path(&room, &format!("report/{}", enc(&said))), body).await, (200, json!({})));
        let page = ok(admin.get(&format!("/_synapse/admin/v1/event_reports?room_id={}", enc(&room))).await);
        let entry = &list(&page, "/event_reports")[0];
        let key = |key: &str| entry[key].clone();
        assert_eq!(
            (key("user_id"), key("sender"), key("event_id"), key("reason"), key("score"), key("name")),
            (json!("@bob:test"), json!("@alice:test"), json!(said), json!("Weeds"), json!(-50), json!("Garden")),
        );
        // The report remains when the event is no longer visible.
        redact(&alice, &room, &said).await;
        let details = ok(admin.get(&format!("/_synapse/admin/v1/event_reports/{}", entry["id"])).await);
        assert_eq!(details["event_json"]["sender"], "@alice:test");
        ok(bob.post(&room_path(&room, "report"), json!({ "reason": "The room" })).await);
        let missing = bob.post(&room_path(&room, "report/$nothing"), json!({ "reason": "x" })).await;
        assert_eq!(missing.refusal().0, 404, "{}", missing.body);
        assert_eq!(page["total"], 1);
    }
}
