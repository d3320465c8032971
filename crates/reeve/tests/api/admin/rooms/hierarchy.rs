//! `GET v1/rooms/{room_id}/hierarchy`.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use super::{error, path};
use crate::rooms_kit::{at, create, default_version, enc, list, ok, set_state};

async fn child(client: &Client, space: &str, child: &str, order: &str) {
    set_state(client, space, "m.space.child", child, json!({ "via": ["test"], "order": order })).await;
}

async fn names(admin: &Client, space: &str, query: &str) -> (Vec<String>, Value) {
    let body = ok(admin.get(&path(space, &format!("/hierarchy{query}"))).await);
    let names = list(&body, "/rooms").iter().map(|room| at(room, "/name").to_owned()).collect();
    (names, body)
}

/// A space `top` with the private rooms `sub` (a space, with `leaf` in it), `one` and `two`, in this order.
async fn tree(alice: &Client) -> (String, String) {
    let space = json!({ "type": "m.space" });
    let top = create(alice, json!({ "name": "top", "creation_content": space })).await;
    let sub = create(alice, json!({ "name": "sub", "creation_content": space })).await;
    let leaf = create(alice, json!({ "name": "leaf" })).await;
    let one = create(alice, json!({ "name": "one" })).await;
    let two = create(alice, json!({ "name": "two", "preset": "public_chat" })).await;
    child(alice, &top, &two, "c").await;
    child(alice, &top, &one, "b").await;
    child(alice, &top, &sub, "a").await;
    child(alice, &sub, &leaf, "a").await;
    // Round in a circle, away from here, and no longer.
    child(alice, &sub, &top, "b").await;
    child(alice, &top, "!far:elsewhere", "d").await;
    set_state(alice, &top, "m.space.child", "!gone:test", json!({})).await;
    (top, one)
}

on_both_engines! {
    async fn every_room_of_a_tree(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (top, one) = tree(&alice).await;
        let (all, body) = names(&admin, &top, "").await;
        assert_eq!(all, ["top", "sub", "leaf", "one", "two"]);
        assert_eq!(body.get("next_batch"), None);
        let root = &body["rooms"][0];
        for (key, value) in [
            ("room_id", json!(top)), ("name", json!("top")), ("num_joined_members", json!(1)), ("world_readable", json!(false)),
            ("room_type", json!("m.space")), ("join_rule", json!("invite")), ("room_version", json!(default_version(&alice).await)),
        ] {
            assert_eq!(root[key], value, "{key}");
        }
        let mut keys: Vec<&str> = list(root, "/children_state").iter().map(|event| at(event, "/content/order")).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b", "c", "d"], "what is no longer a child is not told");
        let event = &root["children_state"][0];
        for key in ["type", "state_key", "content", "sender", "origin_server_ts"] {
            assert!(event.get(key).is_some(), "{key}");
        }
        assert_eq!(list(&body, "/rooms").last().unwrap()["children_state"], json!([]));
        // A room that is not a space is returned alone.
        assert_eq!(names(&admin, &one, "").await.0, ["one"]);
    }

    async fn depth_and_pages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (top, _) = tree(&alice).await;
        assert_eq!(names(&admin, &top, "?max_depth=0").await.0, ["top"]);
        assert_eq!(names(&admin, &top, "?max_depth=1").await.0, ["top", "sub", "one", "two"]);
        for limit in [1, 2, 3, 50] {
            let (mut all, mut from) = (Vec::new(), String::new());
            for _ in 0..10 {
                let (page, body) = names(&admin, &top, &format!("?limit={limit}{from}")).await;
                assert!(page.len() <= limit);
                all.extend(page);
                match body.get("next_batch").and_then(Value::as_str) {
                    Some(next) => from = format!("&from={}", enc(next)),
                    None => break,
                }
            }
            assert_eq!(all, ["top", "sub", "leaf", "one", "two"], "{limit}");
        }
    }

    async fn bad_queries(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (top, _) = tree(&alice).await;
        for (query, text) in [
            ("from=junk", "Unknown pagination token"),
            ("limit=-1", "Query parameter limit must be a positive integer."),
            ("limit=x", "Query parameter limit must be an integer"),
            ("max_depth=-1", "Query parameter max_depth must be a positive integer."),
            ("max_depth=x", "Query parameter max_depth must be an integer"),
        ] {
            let reply = admin.get(&path(&top, &format!("/hierarchy?{query}"))).await;
            assert_eq!(reply, (400, error("M_INVALID_PARAM", text)), "{query}");
        }
        assert_eq!(admin.get(&path("!nope:test", "/hierarchy")).await, (404, error("M_NOT_FOUND", "Room not found")));
    }
}
