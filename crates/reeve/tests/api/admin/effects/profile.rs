//! Propagation of names and avatars to rooms.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const ALICE: &str = "/_synapse/admin/v2/users/@alice:test";

on_both_engines! {
    async fn given_by_an_administrator(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (one, two, left) = (create_public(&bob).await, create_public(&bob).await, create_public(&bob).await);
        for room in [&one, &two, &left] {
            join(&alice, room).await;
        }
        leave(&alice, &left).await;
        let mut since = now(&bob).await;
        for (change, name, avatar) in [
            (json!({ "displayname": "Given" }), json!("Given"), Value::Null),
            (json!({ "avatar_url": "mxc://test/a" }), json!("Given"), json!("mxc://test/a")),
        ] {
            ok(admin.put(ALICE, change).await);
            let start = since.clone();
            for room in [&one, &two] {
                let came = sync_until(&bob, &start, |sync| !timeline(sync, room).is_empty()).await;
                let event = of_state(timeline(&came, room), "m.room.member", "@alice:test").unwrap();
                assert_eq!((at(event, "/sender"), at(event, "/content/membership")), ("@alice:test", "join"));
                let key = |key: &str| event["content"].get(key).cloned().unwrap_or_default();
                assert_eq!((key("displayname"), key("avatar_url")), (name.clone(), avatar.clone()));
                assert_eq!(event["unsigned"]["prev_content"]["membership"], "join");
                assert!(timeline(&came, &left).is_empty(), "{came}");
            }
            since = now(&bob).await;
        }
        // An unchanged profile creates no event.
        ok(admin.put(ALICE, json!({ "displayname": "Given", "avatar_url": "mxc://test/a", "user_type": "bot" })).await);
        let came = sync_with(&bob, &format!("timeout=500&since={}", enc(&since))).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        // The change does not count as an act of the account.
        assert_eq!(membership(&bob, &left, "@alice:test").await, "leave");
    }

    async fn not_while_suspended(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        let since = now(&bob).await;
        let changed = ok(admin.put(ALICE, json!({ "displayname": "Given" })).await);
        assert_eq!(changed["displayname"], "Given");
        let came = sync_with(&bob, &format!("timeout=500&since={}", enc(&since))).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        assert_eq!(state(&bob, &room, "m.room.member", "@alice:test").await["displayname"], "alice");
    }

    async fn chosen_by_oneself(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let since = now(&bob).await;
        rename(&alice, "Alicia").await;
        let came = sync_until(&bob, &since, |sync| !timeline(sync, &room).is_empty()).await;
        let event = of_state(timeline(&came, &room), "m.room.member", "@alice:test").unwrap();
        assert_eq!(event["content"]["displayname"], "Alicia");
        assert_eq!(event["unsigned"]["prev_content"]["displayname"], "alice");
        // The same again makes no event; none at all does.
        let since = next(&came);
        rename(&alice, "Alicia").await;
        let none = sync_with(&bob, &format!("timeout=500&since={}", enc(&since))).await;
        assert!(rooms_in(&none, "join").is_empty(), "{none}");
        rename(&alice, "").await;
        let came = sync_until(&bob, &since, |sync| !timeline(sync, &room).is_empty()).await;
        let event = of_state(timeline(&came, &room), "m.room.member", "@alice:test").unwrap();
        assert!(event["content"].get("displayname").is_none_or(Value::is_null), "{event}");
    }

    async fn new_rooms_begin_with_it(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        ok(admin.put(ALICE, json!({ "displayname": "Given", "avatar_url": "mxc://test/a" })).await);
        let room = create_public(&alice).await;
        let expected = json!({ "membership": "join", "displayname": "Given", "avatar_url": "mxc://test/a" });
        assert_eq!(state(&alice, &room, "m.room.member", "@alice:test").await, expected);
        let other = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let member = state(&bob, &other, "m.room.member", "@alice:test").await;
        assert_eq!((&member["membership"], &member["displayname"]), (&json!("invite"), &json!("Given")));
        join(&alice, &other).await;
        assert_eq!(state(&bob, &other, "m.room.member", "@alice:test").await, expected);
    }

    async fn it_goes_on_after_a_restart(server: Server) {
        let mut server = server;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..25 {
            let room = create_public(&bob).await;
            join(&alice, &room).await;
            rooms.push(room);
        }
        ok(admin.put(ALICE, json!({ "displayname": "Given" })).await);
        server.restart(|_| {}).await;
        let bob = server.with_token(bob.token.as_deref().unwrap());
        for room in &rooms {
            let path = state_path(room, "m.room.member", "@alice:test");
            eventually(&bob, &path, |reply| reply.text("displayname") == "Given").await;
        }
    }
}
