//! Reports of events, rooms and users.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

on_both_engines! {
    async fn events_are_reported_by_those_who_see_them(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let id = say(&alice, &room, "rude").await;
        let path = |id: &str| room_path(&room, &format!("report/{}", enc(id)));
        for body in [json!({ "reason": "rude", "score": -100 }), json!({ "reason": "" }), json!({})] {
            assert_eq!(bob.post(&path(&id), body).await, (200, json!({})));
        }
        for (client, id) in [(&carol, &*id), (&bob, "$unknown")] {
            let reply = client.post(&path(id), json!({ "reason": "x" })).await;
            assert!(matches!(code(&reply), (404, "M_NOT_FOUND") | (200, _)), "{id}: {}", reply.body);
        }
        for bad in [json!({ "reason": 1 }), json!({ "score": "x" })] {
            let reply = bob.post(&path(&id), bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        // The administrators see what was reported, by whom, and nothing of what was not.
        let admin = server.admin().await;
        let reports = ok(admin.get("/_synapse/admin/v1/event_reports?dir=f").await);
        assert_eq!(reports["total"], 3, "{reports}");
        let first = &reports["event_reports"][0];
        assert_eq!((at(first, "/user_id"), at(first, "/event_id"), at(first, "/reason")), ("@bob:test", &*id, "rude"));
        assert_eq!((&first["score"], at(first, "/sender"), at(first, "/room_id")), (&json!(-100), "@alice:test", &*room));
    }

    async fn rooms_and_people_are_reported(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let path = room_path(&room, "report");
        assert_eq!(bob.post(&path, json!({ "reason": "spam" })).await, (200, json!({})));
        let unknown = bob.post(&room_path("!unknown:test", "report"), json!({ "reason": "spam" })).await;
        assert!(matches!(code(&unknown), (404, "M_NOT_FOUND") | (200, _)), "{}", unknown.body);
        let path = |user: &str| format!("{CS}/users/{user}/report");
        assert_eq!(bob.post(&path("@alice:test"), json!({ "reason": "spam" })).await, (200, json!({})));
        let unknown = bob.post(&path("@nobody:test"), json!({ "reason": "spam" })).await;
        assert!(matches!(unknown.status, 200 | 404), "{}", unknown.body);
        for bad in [json!({}), json!({ "reason": 1 })] {
            assert_eq!(bob.post(&path("@alice:test"), bad.clone()).await.status, 400, "{bad}");
            assert_eq!(bob.post(&room_path(&room, "report"), bad.clone()).await.status, 400, "{bad}");
        }
    }
}
