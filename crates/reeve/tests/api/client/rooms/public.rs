//! The list of public rooms: `publicRooms` and `directory/list/room`.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

const LIST: &str = "/_matrix/client/v3/publicRooms";

fn names(reply: &Value) -> Vec<&str> {
    list(reply, "/chunk").iter().map(|room| at(room, "/name")).collect()
}

fn setting(room: &str) -> String {
    format!("{CS}/directory/list/room/{}", enc(room))
}

/// Listed rooms, the first with the most members.
async fn listed(creator: &Client, others: &[&Client], names: &[&str]) -> Vec<String> {
    let mut rooms = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let room = create(
            creator,
            json!({ "visibility": "public", "name": name, "topic": format!("about {name}") }),
        )
        .await;
        for other in others.iter().skip(number) {
            join(other, &room).await;
        }
        rooms.push(room);
    }
    rooms
}

on_both_engines! {
    async fn what_the_list_says_of_a_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        assert_eq!(alice.get(LIST).await, (200, json!({ "chunk": [], "total_room_count_estimate": 0 })));
        let room = create(&alice, json!({
            "visibility": "public", "preset": "public_chat", "name": "Name", "topic": "Topic", "room_alias_name": "pub",
            "initial_state": [
                { "type": "m.room.avatar", "content": { "url": "mxc://test/a" } },
                { "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } },
                { "type": "m.room.guest_access", "content": { "guest_access": "can_join" } },
            ],
            "creation_content": { "type": "m.space" },
        })).await;
        join(&bob, &room).await;
        let body = ok(bob.get(LIST).await);
        assert_eq!((list(&body, "/chunk").len(), &body["total_room_count_estimate"]), (1, &json!(1)));
        let entry = &body["chunk"][0];
        for (key, value) in [
            ("room_id", json!(room)), ("name", json!("Name")), ("topic", json!("Topic")), ("canonical_alias", json!("#pub:test")),
            ("avatar_url", json!("mxc://test/a")), ("num_joined_members", json!(2)), ("world_readable", json!(true)),
            ("guest_can_join", json!(true)), ("join_rule", json!("public")), ("room_type", json!("m.space")),
        ] {
            assert_eq!(entry[key], value, "{key}");
        }
        assert_eq!(ok(alice.post(LIST, json!({})).await)["chunk"], body["chunk"]);
        let plain = create(&alice, json!({ "visibility": "public" })).await;
        let body = ok(alice.get(LIST).await);
        let entry = list(&body, "/chunk").iter().find(|entry| entry["room_id"] == *plain).unwrap();
        assert_eq!((&entry["world_readable"], &entry["guest_can_join"]), (&json!(false), &json!(false)));
        for key in ["name", "topic", "avatar_url", "canonical_alias", "room_type"] {
            assert!(entry.get(key).is_none_or(Value::is_null), "{key}: {entry}");
        }
    }

    async fn rooms_are_listed_and_taken_off(server: Server) {
        let (alice, bob, admin) = (server.user("alice").await, server.user("bob").await, server.admin().await);
        let room = create(&alice, json!({ "preset": "public_chat", "name": "R" })).await;
        let stranger = server.stranger();
        assert_eq!(stranger.get(&setting(&room)).await, (200, json!({ "visibility": "private" })));
        assert!(names(&ok(alice.get(LIST).await)).is_empty());
        assert_eq!(alice.put(&setting(&room), json!({ "visibility": "public" })).await, (200, json!({})));
        assert_eq!(stranger.get(&setting(&room)).await, (200, json!({ "visibility": "public" })));
        assert_eq!(names(&ok(alice.get(LIST).await)), ["R"]);
        join(&bob, &room).await;
        assert_eq!(bob.put(&setting(&room), json!({ "visibility": "private" })).await.status, 403);
        assert_eq!(admin.put(&setting(&room), json!({ "visibility": "private" })).await, (200, json!({})));
        assert!(names(&ok(alice.get(LIST).await)).is_empty());
        for body in [json!({ "visibility": "hidden" }), json!({ "visibility": 1 })] {
            let reply = alice.put(&setting(&room), body.clone()).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.body);
        }
        assert_eq!(code(&alice.get(&setting("!unknown:test")).await), (404, "M_NOT_FOUND"));
        for (client, refusal) in [(&alice, (403, "M_FORBIDDEN")), (&admin, (404, "M_NOT_FOUND"))] {
            let reply = client.put(&setting("!unknown:test"), json!({ "visibility": "public" })).await;
            assert_eq!(code(&reply), refusal);
        }
        // Changes are visible at once.
        alice.put(&setting(&room), json!({ "visibility": "public" })).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "New" })).await;
        leave(&bob, &room).await;
        let body = ok(alice.get(LIST).await);
        assert_eq!((names(&body), &body["chunk"][0]["num_joined_members"]), (vec!["New"], &json!(1)));
    }

    async fn pages_of_rooms(server: Server) {
        let (alice, bob, carol, dave) =
            (server.user("alice").await, server.user("bob").await, server.user("carol").await, server.user("dave").await);
        listed(&alice, &[&bob, &carol, &dave], &["a", "b", "c", "d"]).await;
        // The largest come first.
        assert_eq!(names(&ok(alice.get(LIST).await)), ["a", "b", "c", "d"]);
        let first = ok(alice.get(&format!("{LIST}?limit=2")).await);
        assert_eq!((names(&first), &first["total_room_count_estimate"]), (vec!["a", "b"], &json!(4)));
        assert!(first.get("prev_batch").is_none());
        let since = enc(at(&first, "/next_batch"));
        let second = ok(alice.get(&format!("{LIST}?limit=2&since={since}")).await);
        assert_eq!(names(&second), ["c", "d"]);
        assert!(second.get("next_batch").is_none());
        let back = ok(alice.get(&format!("{LIST}?limit=2&since={}", enc(at(&second, "/prev_batch")))).await);
        assert_eq!(names(&back), ["a", "b"]);
        let by_post = ok(alice.post(LIST, json!({ "limit": 2, "since": at(&first, "/next_batch") })).await);
        assert_eq!(names(&by_post), ["c", "d"]);
        for bad in ["limit=x", "limit=-1", "since=nonsense"] {
            assert_eq!(alice.get(&format!("{LIST}?{bad}")).await.status, 400, "{bad}");
        }
    }

    async fn rooms_are_searched(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        listed(&alice, &[&bob], &["Garden Club", "Tea", "garden tools"]).await;
        let space = create(&alice, json!({ "visibility": "public", "name": "All gardens", "creation_content": { "type": "m.space" } })).await;
        create(&alice, json!({ "visibility": "public", "room_alias_name": "gardenalias" })).await;
        create(&alice, json!({ "preset": "public_chat", "name": "garden unlisted" })).await;
        let found = async |body: Value| {
            let body = ok(alice.post(LIST, body).await);
            let mut names: Vec<String> = names(&body).into_iter().map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        let all = ["", "All gardens", "Garden Club", "garden tools"];
        assert_eq!(found(json!({ "filter": { "generic_search_term": "garden" } })).await, all);
        assert_eq!(found(json!({ "filter": { "generic_search_term": "GARDEN" } })).await, all);
        assert_eq!(found(json!({ "filter": { "generic_search_term": "about tea" } })).await, ["Tea"]);
        assert_eq!(found(json!({ "filter": { "generic_search_term": "nothing" } })).await, Vec::<String>::new());
        assert_eq!(found(json!({ "filter": { "room_types": ["m.space"] } })).await, ["All gardens"]);
        assert_eq!(found(json!({ "filter": { "room_types": [null] } })).await, ["", "Garden Club", "Tea", "garden tools"]);
        assert_eq!(found(json!({ "filter": { "room_types": [null, "m.space"], "generic_search_term": "gardens" } })).await, ["All gardens"]);
        assert_eq!(found(json!({ "filter": {} })).await.len(), 5);
        leave(&alice, &space).await;
        // A room without members is not listed.
        assert_eq!(found(json!({ "filter": { "room_types": ["m.space"] } })).await, Vec::<String>::new());
    }
}
