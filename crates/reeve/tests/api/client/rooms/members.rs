//! `rooms/{roomId}/members` and `joined_members`.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

/// `user membership`, sorted.
async fn members(client: &Client, room: &str, query: &str) -> Vec<String> {
    let body = ok(client.get(&room_path(room, &format!("members{query}"))).await);
    let mut seen: Vec<String> = list(&body, "/chunk")
        .iter()
        .map(|event| format!("{} {}", at(event, "/state_key"), at(event, "/content/membership")))
        .collect();
    seen.sort_unstable();
    seen
}

on_both_engines! {
    async fn members_by_membership(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        for client in [&bob, &carol] {
            join(client, &room).await;
        }
        leave(&carol, &room).await;
        server.create("dave", false).await;
        invite(&alice, &room, "@dave:test").await;
        ban(&alice, &room, "@erin:test").await;
        let all = ["@alice:test join", "@bob:test join", "@carol:test leave", "@dave:test invite", "@erin:test ban"];
        for client in [&alice, &bob] {
            assert_eq!(members(client, &room, "").await, all);
        }
        assert_eq!(members(&alice, &room, "?membership=join").await, all[..2]);
        assert_eq!(members(&alice, &room, "?membership=invite").await, all[3..4]);
        assert_eq!(members(&alice, &room, "?membership=knock").await, all[..0]);
        assert_eq!(members(&alice, &room, "?not_membership=leave").await, [all[0], all[1], all[3], all[4]]);
        let body = ok(alice.get(&room_path(&room, "members?membership=ban")).await);
        let event = &body["chunk"][0];
        assert_eq!((at(event, "/type"), at(event, "/sender"), at(event, "/room_id")), ("m.room.member", "@alice:test", &*room));
        assert!(event["event_id"].is_string() && event["origin_server_ts"].is_i64());
        // One who left sees them as they were.
        set_state(&alice, &room, "m.room.join_rules", "", json!({ "join_rule": "invite" })).await;
        kick(&alice, &room, "@bob:test").await;
        assert_eq!(members(&carol, &room, "?membership=join").await, all[..2]);
        let stranger = server.user("stranger").await;
        assert_eq!(code(&stranger.get(&room_path(&room, "members")).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&stranger.get(&room_path("!unknown:test", "members")).await), (403, "M_FORBIDDEN"));
    }

    async fn members_at_a_position(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "x").await;
        let before = enc(&now(&alice).await);
        join(&bob, &room).await;
        let after = enc(&now(&alice).await);
        leave(&bob, &room).await;
        assert_eq!(members(&alice, &room, &format!("?at={before}")).await, ["@alice:test join"]);
        assert_eq!(members(&alice, &room, &format!("?at={after}")).await, ["@alice:test join", "@bob:test join"]);
        assert_eq!(members(&alice, &room, &format!("?at={after}&not_membership=leave")).await.len(), 2);
        assert_eq!(members(&alice, &room, "").await, ["@alice:test join", "@bob:test leave"]);
        assert_eq!(alice.get(&room_path(&room, "members?at=nonsense")).await.status, 400);
    }

    async fn joined_members_with_their_profiles(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        ok(bob.put(&format!("{CS}/profile/@bob:test/avatar_url"), json!({ "avatar_url": "mxc://test/b" })).await);
        join(&bob, &room).await;
        join(&carol, &room).await;
        leave(&carol, &room).await;
        let body = ok(alice.get(&room_path(&room, "joined_members")).await);
        let joined = body["joined"].as_object().unwrap();
        assert_eq!(joined.len(), 2, "{body}");
        assert_eq!(at(&joined["@bob:test"], "/display_name"), "bob");
        assert_eq!(at(&joined["@bob:test"], "/avatar_url"), "mxc://test/b");
        assert!(joined["@alice:test"].get("avatar_url").is_none_or(Value::is_null));
        for client in [&carol, &server.user("stranger").await] {
            assert_eq!(code(&client.get(&room_path(&room, "joined_members")).await), (403, "M_FORBIDDEN"));
        }
    }
}
