//! Users who block invites.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;
use crate::sync_kit::*;

const CONFIG: &str = "m.invite_permission_config";
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";

on_both_engines! {
    async fn invites_are_refused_and_those_there_are_hidden(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (early, room) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        invite(&alice, &early, "@bob:test").await;
        let lists = json!({ "lists": { "all": { "ranges": [[0, 9]], "required_state": [], "timeline_limit": 1 } } });
        let slid = ok(bob.post(SLIDING, lists.clone()).await);
        assert_eq!(slid["lists"]["all"]["count"], 1);
        set_data(&bob, CONFIG, json!({ "default_action": "block" })).await;
        let blocked = (403, "M_INVITE_BLOCKED");
        let path = room_path(&room, "invite");
        assert_eq!(code(&alice.post(&path, json!({ "user_id": "@bob:test" })).await), blocked);
        let content = json!({ "membership": "invite" });
        assert_eq!(code(&try_state(&alice, &room, "m.room.member", "@bob:test", content).await), blocked);
        let before = joined_rooms(&alice).await;
        let reply = alice.post(&format!("{CS}/createRoom"), json!({ "invite": ["@bob:test"] })).await;
        assert_eq!(code(&reply), blocked);
        assert_eq!(joined_rooms(&alice).await, before, "nothing is left behind");
        assert_eq!(membership(&alice, &room, "@bob:test").await, "");
        // An invite that arrived before is hidden in every kind of sync.
        assert_eq!(rooms_in(&sync(&bob).await, "invite"), [""; 0]);
        assert_eq!(ok(bob.post(SLIDING, lists.clone()).await)["lists"]["all"]["count"], 0);
        let old = ok(bob.get(&format!("{CS}/initialSync")).await);
        assert!(list(&old, "/rooms").is_empty());
        // It can still be accepted, and others see it.
        assert_eq!(membership(&alice, &early, "@bob:test").await, "invite");
        // A server administrator can still add the user to any room.
        join(&admin, &create_public(&admin).await).await;
        let closed = create(&admin, json!({})).await;
        ok(admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&closed)), json!({ "user_id": "@bob:test" })).await);
        // Anything but `block` lets invites through again.
        for other in [json!({}), json!({ "default_action": "allow" }), json!({ "default_action": 1 })] {
            set_data(&bob, CONFIG, other).await;
            assert_eq!(rooms_in(&sync(&bob).await, "invite"), [&*early]);
        }
        invite(&alice, &room, "@bob:test").await;
    }

    async fn the_shadow_banned_are_refused_like_others(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        set_data(&bob, CONFIG, json!({ "default_action": "block" })).await;
        ok(admin.post("/_synapse/admin/v1/users/@alice:test/shadow_ban", json!({})).await);
        let reply = alice.post(&room_path(&room, "invite"), json!({ "user_id": "@bob:test" })).await;
        assert_eq!(code(&reply), (403, "M_INVITE_BLOCKED"));
    }
}
