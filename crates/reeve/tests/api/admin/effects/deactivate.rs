//! Deactivation: rooms, invites and everything else of the account.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const JOINED: &str = "/_synapse/admin/v1/users/@alice:test/joined_rooms";
const MEMBERSHIPS: &str = "/_synapse/admin/v1/users/@alice:test/memberships";

async fn deactivate(admin: &Client) {
    let reply = admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
    assert_eq!(reply, (200, json!({ "id_server_unbind_result": "success" })));
}

/// Waits until the account is in no room.
async fn gone(admin: &Client) {
    eventually(admin, JOINED, |reply| *reply == (200, json!({ "joined_rooms": [], "total": 0 }))).await;
}

on_both_engines! {
    async fn rooms_are_left(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..5 {
            let room = create_public(&bob).await;
            join(&alice, &room).await;
            say(&alice, &room, "remains").await;
            rooms.push(room);
        }
        let since = now(&bob).await;
        deactivate(&admin).await;
        assert_eq!(alice.get(&format!("{CS}/sync?timeout=0")).await.refusal().1, "M_UNKNOWN_TOKEN");
        gone(&admin).await;
        let came = sync_since(&bob, &since).await;
        for room in &rooms {
            let own = of_state(timeline(&came, room), "m.room.member", "@alice:test").unwrap();
            assert_eq!((at(own, "/sender"), at(own, "/content/membership")), ("@alice:test", "leave"), "{came}");
            let page = messages(&bob, room, "dir=b&limit=5").await;
            assert_eq!(bodies(list(&page, "/chunk")), ["remains"]);
        }
        let all: Value = rooms.iter().map(|room| (room.clone(), json!("leave"))).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(admin.get(MEMBERSHIPS).await, (200, json!({ "memberships": all })));
    }

    async fn invitations_and_knocks_are_withdrawn(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let door = create(&bob, json!({ "initial_state": [
            { "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } },
        ] })).await;
        ok(alice.post(&format!("{CS}/knock/{}", enc(&door)), json!({})).await);
        deactivate(&admin).await;
        for room in [&invited, &door] {
            let path = state_path(room, "m.room.member", "@alice:test");
            eventually(&bob, &path, |reply| reply.text("membership") == "leave").await;
        }
        // Nothing keeps others from inviting the name, which declines at once.
        let again = create(&bob, json!({})).await;
        invite(&bob, &again, "@alice:test").await;
        assert_eq!(membership(&bob, &again, "@alice:test").await, "leave");
    }

    async fn the_leaving_goes_on_after_a_restart(server: Server) {
        let mut server = server;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..25 {
            let room = create_public(&bob).await;
            join(&alice, &room).await;
            rooms.push(room);
        }
        deactivate(&admin).await;
        server.restart(|_| {}).await;
        let (admin, bob) = (
            server.with_token(admin.token.as_deref().unwrap()), server.with_token(bob.token.as_deref().unwrap()),
        );
        gone(&admin).await;
        for room in &rooms {
            assert_eq!(membership(&bob, room, "@alice:test").await, "leave");
            // Once each.
            let (all, _) = all_messages(&bob, room, "dir=b&limit=50").await;
            let leaves = all.iter().filter(|event| event["content"]["membership"] == "leave").count();
            assert_eq!(leaves, 1, "{all:?}");
        }
    }

    async fn even_when_locked_or_suspended_or_banned(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, banned) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &room).await;
        join(&alice, &banned).await;
        ban(&bob, &banned, "@alice:test").await;
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await);
        ok(admin.post("/_synapse/admin/v1/users/@alice:test/shadow_ban", json!({})).await);
        deactivate(&admin).await;
        gone(&admin).await;
        assert_eq!(membership(&bob, &room, "@alice:test").await, "leave");
        assert_eq!(membership(&bob, &banned, "@alice:test").await, "ban");
    }

    async fn the_directory_forgets(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let name = unique_name(&alice).await;
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        directory_until(&bob, &name, "@alice:test", true).await;
        deactivate(&admin).await;
        directory_until(&bob, &name, "@alice:test", false).await;
        // Reactivated: it is found again, but is in no room.
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "deactivated": false, "password": "new password" })).await);
        let alice = server.log_in("alice", "new password").await;
        assert_eq!(joined_rooms(&alice).await, [] as [String; 0]);
        join(&alice, &room).await;
        say(&alice, &room, "back").await;
        directory_until(&bob, &name, "@alice:test", true).await;
    }

    async fn data_of_the_account_goes(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        set_data(&alice, "m.ignored_user_list", json!({ "ignored_users": { "@bob:test": {} } })).await;
        set_room_data(&alice, &room, "org.example.b", json!({ "b": 1 })).await;
        deactivate(&admin).await;
        gone(&admin).await;
        let data = admin.get("/_synapse/admin/v1/users/@alice:test/accountdata").await;
        assert_eq!(data, (200, json!({ "account_data": { "global": {}, "rooms": {} } })));
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "deactivated": false, "password": "new password" })).await);
        let alice = server.log_in("alice", "new password").await;
        // The list of ignored users is empty.
        join(&alice, &room).await;
        let since = now(&alice).await;
        say(&bob, &room, "heard").await;
        assert_eq!(bodies(timeline(&sync_since(&alice, &since).await, &room)), ["heard"]);
        assert!(global_data(&sync(&alice).await, "org.example.a").is_null());
    }

    async fn sessions_of_administrators_end_too(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let login = ok(admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await);
        let puppet = server.with_token(at(&login, "/access_token"));
        ok(puppet.get(&format!("{CS}/sync?timeout=0")).await);
        deactivate(&admin).await;
        assert_eq!(puppet.get(&format!("{CS}/sync?timeout=0")).await.refusal().1, "M_UNKNOWN_TOKEN");
    }

    async fn by_oneself(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let path = format!("{CS}/account/deactivate");
        let asked = alice.post(&path, json!({})).await;
        assert_eq!(asked.status, 401);
        let auth = json!({
            "type": "m.login.password", "session": asked.text("session"), "password": "alice's password",
            "identifier": { "type": "m.id.user", "user": "@alice:test" },
        });
        ok(alice.post(&path, json!({ "auth": auth, "erase": false })).await);
        gone(&admin).await;
        assert_eq!(membership(&bob, &room, "@alice:test").await, "leave");
    }

    async fn by_the_general_endpoint(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "deactivated": true })).await);
        gone(&admin).await;
        assert_eq!(membership(&bob, &room, "@alice:test").await, "leave");
    }

}
