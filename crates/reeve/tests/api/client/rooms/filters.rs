//! `user/{userId}/filter`.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

on_both_engines! {
    async fn a_filter_is_kept_and_read(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let path = format!("{CS}/user/@alice:test/filter");
        let whole = json!({
            "event_fields": ["type", "content"], "event_format": "client", "presence": { "not_types": ["*"] },
            "account_data": { "types": ["m.*"] },
            "room": {
                "rooms": ["!x:test"], "not_rooms": [], "include_leave": true,
                "timeline": { "limit": 5, "types": ["m.room.message"], "not_senders": ["@spam:test"], "contains_url": true },
                "state": { "lazy_load_members": true, "include_redundant_members": false },
                "ephemeral": { "types": [] }, "account_data": {},
            },
        });
        let reply = ok(alice.post(&path, whole.clone()).await);
        let id = at(&reply, "/filter_id");
        assert!(!id.is_empty() && !id.starts_with('{'));
        assert_eq!(alice.get(&format!("{path}/{}", enc(id))).await, (200, whole));
        assert_eq!(alice.post(&path, json!({})).await.status, 200);
        for reply in [bob.get(&format!("{path}/{}", enc(id))).await, bob.post(&path, json!({})).await] {
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
        }
        assert_eq!(code(&alice.get(&format!("{path}/987654")).await), (404, "M_NOT_FOUND"));
        for bad in [
            json!({ "room": 1 }), json!({ "room": { "timeline": { "limit": "x" } } }), json!({ "event_format": "bogus" }),
            json!({ "room": { "timeline": { "types": "m.room.message" } } }), json!({ "presence": { "senders": ["bob"] } }),
            json!({ "room": { "rooms": [1] } }), json!({ "event_fields": 1 }),
        ] {
            let reply = alice.post(&path, bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        // It is used by its id.
        let room = create(&alice, json!({})).await;
        let reply = ok(alice.post(&path, json!({ "room": { "timeline": { "types": ["m.room.name"] } } })).await);
        let first = sync_with(&alice, &format!("filter={}", enc(at(&reply, "/filter_id")))).await;
        assert!(timeline(&first, &room).is_empty());
        let unknown = alice.get(&format!("{CS}/sync?filter=987654")).await;
        assert!(matches!(unknown.status, 400 | 404), "{}", unknown.body);
    }
}
