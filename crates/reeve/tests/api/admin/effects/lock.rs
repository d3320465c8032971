//! Locked accounts in the view of other users.

use reeve_testkit::{Client, on_both_engines};
use serde_json::json;

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn lock(admin: &Client, locked: bool) {
    ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": locked })).await);
}

on_both_engines! {
    async fn they_stay_where_they_are(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let since = now(&alice).await;
        lock(&admin, true).await;
        for path in [room_path(&room, "messages?dir=b"), format!("{CS}/sync"), format!("{CS}/joined_rooms")] {
            let reply = alice.get(&path).await;
            assert_eq!(reply.refusal(), (401, "M_USER_LOCKED", "User account has been locked"), "{path}");
            assert_eq!(reply.body["soft_logout"], true);
        }
        let reply = try_send(&alice, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "no" })).await;
        assert_eq!(reply.refusal().1, "M_USER_LOCKED");
        assert_eq!(membership(&bob, &room, "@alice:test").await, "join");
        assert_eq!(bob.get(&format!("{CS}/profile/@alice:test")).await, (200, json!({ "displayname": "alice" })));
        say(&bob, &room, "meanwhile").await;
        let other = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        // After unlocking, the session continues.
        lock(&admin, false).await;
        let came = sync_since(&alice, &since).await;
        assert_eq!((bodies(timeline(&came, &room)), rooms_in(&came, "invite")), (vec!["meanwhile"], vec![other]));
        say(&alice, &room, "back").await;
    }

    async fn they_are_not_found(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let name = unique_name(&alice).await;
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        directory_until(&bob, &name, "@alice:test", true).await;
        lock(&admin, true).await;
        directory_until(&bob, &name, "@alice:test", false).await;
        lock(&admin, false).await;
        directory_until(&bob, &name, "@alice:test", true).await;
    }

    async fn administrators_still_change_them(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, other) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &room).await;
        lock(&admin, true).await;
        let since = now(&bob).await;
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "displayname": "Given" })).await);
        let came = sync_until(&bob, &since, |sync| !timeline(sync, &room).is_empty()).await;
        assert_eq!(content(of_state(timeline(&came, &room), "m.room.member", "@alice:test"))["displayname"], "Given");
        let joined = admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&other)), json!({ "user_id": "@alice:test" })).await;
        assert_eq!(joined, (200, json!({ "room_id": other })));
        assert_eq!(membership(&bob, &other, "@alice:test").await, "join");
    }
}
