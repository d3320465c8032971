//! `rooms/{roomId}/hierarchy`: a space and its rooms.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn path(room: &str, query: &str) -> String {
    format!("/_matrix/client/v1/rooms/{}/hierarchy{query}", enc(room))
}

async fn space(client: &Client, preset: &str) -> String {
    create(client, json!({ "preset": preset, "creation_content": { "type": "m.space" } })).await
}

async fn put_in(client: &Client, space: &str, child: &str, more: Value) {
    let mut content = json!({ "via": ["test"] });
    for (key, value) in more.as_object().unwrap() {
        content[key] = value.clone();
    }
    set_state(client, space, "m.space.child", child, content).await;
}

async fn rooms(client: &Client, room: &str, query: &str) -> Vec<String> {
    let body = ok(client.get(&path(room, query)).await);
    list(&body, "/rooms").iter().map(|room| at(room, "/room_id").to_owned()).collect()
}

on_both_engines! {
    async fn a_space_and_its_rooms(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (root, sub) = (space(&alice, "public_chat").await, space(&alice, "public_chat").await);
        let named = create(&alice, json!({ "preset": "public_chat", "name": "Name", "topic": "Topic", "room_alias_name": "pub" })).await;
        let (deep, private) = (create_public(&alice).await, create(&alice, json!({ "name": "Private" })).await);
        put_in(&alice, &root, &named, json!({ "order": "a", "suggested": true })).await;
        put_in(&alice, &root, &sub, json!({ "order": "b" })).await;
        put_in(&alice, &root, &private, json!({ "order": "c" })).await;
        put_in(&alice, &sub, &deep, json!({})).await;
        let all = [&root, &named, &sub, &deep, &private].map(Clone::clone);
        assert_eq!(rooms(&alice, &root, "").await, all);
        let body = ok(alice.get(&path(&root, "")).await);
        let (first, second) = (&body["rooms"][0], &body["rooms"][1]);
        assert_eq!((at(first, "/room_type"), list(first, "/children_state").len()), ("m.space", 3));
        let child = &list(first, "/children_state")[0];
        assert_eq!((at(child, "/type"), at(child, "/sender")), ("m.space.child", "@alice:test"));
        assert!(child["state_key"].is_string() && child["content"]["via"].is_array() && child["origin_server_ts"].is_i64());
        for (key, value) in [
            ("name", json!("Name")), ("topic", json!("Topic")), ("canonical_alias", json!("#pub:test")), ("num_joined_members", json!(1)),
            ("join_rule", json!("public")), ("guest_can_join", json!(false)), ("world_readable", json!(false)), ("children_state", json!([])),
        ] {
            assert_eq!(second[key], value, "{key}: {second}");
        }
        // A user who is not in the private room does not see it.
        assert_eq!(rooms(&bob, &root, "").await, all[..4]);
        assert_eq!(rooms(&alice, &root, "?suggested_only=true").await, [root.clone(), named.clone()]);
        assert_eq!(rooms(&alice, &root, "?max_depth=1").await, [&root, &named, &sub, &private].map(Clone::clone));
        let page = ok(alice.get(&path(&root, "?limit=2")).await);
        assert_eq!(list(&page, "/rooms").len(), 2);
        let rest = ok(alice.get(&path(&root, &format!("?limit=10&from={}", enc(at(&page, "/next_batch"))))).await);
        assert_eq!((list(&rest, "/rooms").len(), rest.get("next_batch")), (3, None));
    }

    async fn what_is_in_a_space_and_what_not(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (root, one, two) = (space(&alice, "public_chat").await, create_public(&alice).await, create_public(&alice).await);
        put_in(&alice, &root, &one, json!({})).await;
        put_in(&alice, &root, &two, json!({})).await;
        // A child without a way to it is none; a ring is walked once.
        set_state(&alice, &root, "m.space.child", &two, json!({})).await;
        let ring = space(&alice, "public_chat").await;
        put_in(&alice, &root, &ring, json!({})).await;
        put_in(&alice, &ring, &root, json!({})).await;
        let seen = rooms(&alice, &root, "").await;
        assert_eq!((seen.len(), &seen[0]), (3, &root));
        assert!(seen.contains(&one) && seen.contains(&ring));
        let private = space(&alice, "private_chat").await;
        for room in [&*private, "!unknown:test"] {
            assert_eq!(code(&bob.get(&path(room, "")).await), (403, "M_FORBIDDEN"), "{room}");
        }
        // The invited may look, and those whom a restricted room would let in.
        invite(&alice, &private, "@bob:test").await;
        assert_eq!(rooms(&bob, &private, "").await, std::slice::from_ref(&private));
        let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": root }] });
        let restricted = create(&alice, json!({ "room_version": "11", "initial_state": [{ "type": "m.room.join_rules", "content": rule }] })).await;
        put_in(&alice, &root, &restricted, json!({})).await;
        assert!(!rooms(&bob, &root, "").await.contains(&restricted));
        join(&bob, &root).await;
        assert!(rooms(&bob, &root, "").await.contains(&restricted));
        for bad in ["?limit=x", "?max_depth=x", "?from=nonsense"] {
            assert_eq!(alice.get(&path(&root, bad)).await.status, 400, "{bad}");
        }
    }

    async fn the_summary_of_one_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Name", "room_alias_name": "pub" })).await;
        let path = |room: &str| format!("/_matrix/client/v1/room_summary/{}", enc(room));
        for name in [&*room, "#pub:test"] {
            let body = ok(bob.get(&path(name)).await);
            assert_eq!((at(&body, "/room_id"), at(&body, "/name"), &body["num_joined_members"]), (&*room, "Name", &json!(1)));
            assert_eq!((at(&body, "/join_rule"), &body["world_readable"]), ("public", &json!(false)));
        }
        assert_eq!(at(&ok(alice.get(&path(&room)).await), "/membership"), "join");
        let private = create(&alice, json!({})).await;
        for nothing in [&*private, "!unknown:test", "#nothing:test"] {
            assert!(matches!(bob.get(&path(nothing)).await.status, 400 | 403 | 404), "{nothing}");
        }
    }
}
