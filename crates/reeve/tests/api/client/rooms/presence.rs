//! `presence/{userId}/status`.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

fn path(user_id: &str) -> String {
    format!("{CS}/presence/{user_id}/status")
}

on_both_engines! {
    async fn presence_is_set_and_seen_by_those_who_share_a_room(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        let body = json!({ "presence": "unavailable", "status_msg": "at lunch" });
        assert_eq!(alice.put(&path("@alice:test"), body).await, (200, json!({})));
        for client in [&alice, &bob] {
            let seen = ok(client.get(&path("@alice:test")).await);
            assert_eq!((at(&seen, "/presence"), at(&seen, "/status_msg")), ("unavailable", "at lunch"));
        }
        let news = sync_until(&bob, &since, |sync| {
            list(sync, "/presence/events").iter().any(|event| event["sender"] == "@alice:test" && event["content"]["status_msg"] == "at lunch")
        }).await;
        assert_eq!(list(&news, "/presence/events")[0]["type"], "m.presence");
        // Whom one shares nothing with, one does not see.
        for user in ["@alice:test", "@nobody:test"] {
            assert!(matches!(carol.get(&path(user)).await.status, 403 | 404), "{user}");
        }
        assert_eq!(code(&bob.put(&path("@alice:test"), json!({ "presence": "online" })).await), (403, "M_FORBIDDEN"));
        ok(alice.put(&path("@alice:test"), json!({ "presence": "offline" })).await);
        assert_eq!(at(&ok(bob.get(&path("@alice:test")).await), "/presence"), "offline");
    }

    async fn what_is_no_presence(server: Server) {
        let alice = server.user("alice").await;
        for bad in [json!({}), json!({ "presence": "asleep" }), json!({ "presence": 1 }), json!({ "presence": "online", "status_msg": 1 })] {
            let reply = alice.put(&path("@alice:test"), bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }
}
