//! Counts of a user's rooms and invites for administrators.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn about_alice(admin: &Client, what: &str) -> Value {
    ok(admin.get(&format!("/_synapse/admin/v1/users/@alice:test/{what}")).await)
}

on_both_engines! {
    async fn rooms_and_memberships(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        assert_eq!(about_alice(&admin, "joined_rooms").await, json!({ "joined_rooms": [], "total": 0 }));
        assert_eq!(about_alice(&admin, "memberships").await, json!({ "memberships": {} }));
        let (own, left, banned, forgotten) = (
            create_public(&alice).await, create_public(&bob).await, create_public(&bob).await, create_public(&bob).await,
        );
        for room in [&left, &banned, &forgotten] {
            join(&alice, room).await;
        }
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let door = create(&bob, json!({ "initial_state": [
            { "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } },
        ] })).await;
        ok(alice.post(&format!("{CS}/knock/{}", enc(&door)), json!({})).await);
        let rooms = about_alice(&admin, "joined_rooms").await;
        let mut joined: Vec<&str> = list(&rooms, "/joined_rooms").iter().map(|room| room.as_str().unwrap()).collect();
        joined.sort_unstable();
        let mut expected = vec![&*own, &*left, &*banned, &*forgotten];
        expected.sort_unstable();
        assert_eq!((joined, &rooms["total"]), (expected, &json!(4)));
        leave(&alice, &left).await;
        ban(&bob, &banned, "@alice:test").await;
        leave(&alice, &forgotten).await;
        forget(&alice, &forgotten).await;
        assert_eq!(about_alice(&admin, "joined_rooms").await, json!({ "joined_rooms": [own], "total": 1 }));
        let all = about_alice(&admin, "memberships").await;
        let expected = json!({
            own: "join", left: "leave", banned: "ban", forgotten: "leave", invited: "invite", door: "knock",
        });
        assert_eq!(all, json!({ "memberships": expected }));
        // Unknown users.
        for id in ["bad", "@nobody:test", ""] {
            let path = format!("/_synapse/admin/v1/users/{id}");
            let none = admin.get(&format!("{path}/joined_rooms")).await;
            assert_eq!(none, (200, json!({ "joined_rooms": [], "total": 0 })), "{id}");
            assert_eq!(admin.get(&format!("{path}/memberships")).await, (200, json!({ "memberships": {} })), "{id}");
        }
    }

    async fn invitations_sent(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let count = |from: i64| {
            let admin = admin.clone();
            async move { about_alice(&admin, &format!("sent_invite_count?from_ts={from}")).await }
        };
        assert_eq!(count(0).await, json!({ "invite_count": 0 }));
        let room = create(&alice, json!({ "invite": ["@bob:test"] })).await;
        leave(&bob, &room).await;
        // Again counts again; what others do does not count.
        invite(&alice, &room, "@bob:test").await;
        create(&bob, json!({ "invite": ["@alice:test"] })).await;
        assert_eq!(count(0).await, json!({ "invite_count": 2 }));
        server.clock.advance(1000);
        let later = server.clock.now().get();
        assert_eq!(count(later).await, json!({ "invite_count": 0 }));
        kick(&alice, &room, "@bob:test").await;
        invite(&alice, &room, "@bob:test").await;
        assert_eq!((count(later).await, count(0).await), (json!({ "invite_count": 1 }), json!({ "invite_count": 3 })));
        let path = "/_synapse/admin/v1/users/@alice:test/sent_invite_count";
        let missing = admin.get(path).await;
        assert_eq!(missing.refusal(), (400, "M_MISSING_PARAM", "Missing required integer query parameter from_ts"));
        assert_eq!(admin.get(&format!("{path}?from_ts=x")).await.refusal().1, "M_INVALID_PARAM");
        let nobody = admin.get("/_synapse/admin/v1/users/bad/sent_invite_count?from_ts=0").await;
        assert_eq!(nobody, (200, json!({ "invite_count": 0 })));
    }

    async fn rooms_ever_entered(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let count = |from: i64| {
            let admin = admin.clone();
            async move {
                about_alice(&admin, &format!("cumulative_joined_room_count?from_ts={from}")).await
                    ["cumulative_joined_room_count"].clone()
            }
        };
        assert_eq!(count(0).await, 0);
        let (own, other) = (create_public(&alice).await, create_public(&bob).await);
        join(&alice, &other).await;
        leave(&alice, &other).await;
        join(&alice, &other).await;
        leave(&alice, &other).await;
        create(&bob, json!({ "invite": ["@alice:test"] })).await;
        assert_eq!(count(0).await, 2);
        server.clock.advance(1000);
        let later = server.clock.now().get();
        assert_eq!(count(later).await, 0);
        // A new name is a new join event.
        join(&bob, &own).await;
        let since = now(&bob).await;
        rename(&alice, "Alicia").await;
        sync_until(&bob, &since, |sync| !timeline(sync, &own).is_empty()).await;
        assert_eq!(count(later).await, 1);
        let missing = admin.get("/_synapse/admin/v1/users/@alice:test/cumulative_joined_room_count").await;
        assert_eq!(missing.refusal(), (400, "M_MISSING_PARAM", "Missing required integer query parameter from_ts"));
    }

    async fn data_of_an_account(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let said = say(&alice, &room, "m").await;
        set_data(&alice, "m.direct", json!({ "@bob:test": [room] })).await;
        set_room_data(&alice, &room, "org.example.a", json!({})).await;
        ok(alice.post(&room_path(&room, "read_markers"), json!({ "m.fully_read": said })).await);
        ok(alice.put(&format!("{CS}/user/@alice:test/rooms/{}/tags/u.x", enc(&room)), json!({})).await);
        let data = about_alice(&admin, "accountdata").await;
        assert_eq!(data, json!({ "account_data": {
            "global": { "m.direct": { "@bob:test": [room] } },
            "rooms": { room: { "org.example.a": {}, "m.fully_read": { "event_id": said } } },
        } }));
    }

    async fn there_is_no_search_that_tells_hashes(server: Server) {
        let admin = server.admin().await;
        let reply = admin.get("/_synapse/admin/v1/search_users/@admin:test?term=a").await;
        assert_eq!(reply.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }
}
