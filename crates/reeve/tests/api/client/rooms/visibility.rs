//! History visibility: the events that joined, invited, former and never-joined users can read.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

async fn set_visibility(client: &Client, room: &str, value: &str) {
    set_state(client, room, "m.room.history_visibility", "", json!({ "history_visibility": value })).await;
}

async fn room_with(client: &Client, value: &str) -> String {
    let event = json!({ "type": "m.room.history_visibility", "content": { "history_visibility": value } });
    create(client, json!({ "preset": "public_chat", "initial_state": [event] })).await
}

/// The messages one sees, oldest first; nothing if one may not ask.
async fn seen(client: &Client, room: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let reply = client.get(&room_path(room, "messages?dir=b&limit=100")).await;
    if reply.status == 200 {
        texts = bodies(list(&reply.body, "/chunk")).into_iter().map(str::to_owned).collect();
        texts.reverse();
    } else {
        assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
    }
    texts
}

/// For each of these events, true if it can be read by its id.
async fn readable(client: &Client, room: &str, events: &[&str]) -> Vec<bool> {
    let mut seen = Vec::new();
    for event in events {
        let reply = try_event(client, room, event).await;
        assert!(matches!(reply.status, 200 | 403 | 404), "{}", reply.body);
        let context = client.get(&room_path(room, &format!("context/{}?limit=0", enc(event)))).await;
        assert_eq!(context.status == 200, reply.status == 200, "{}", context.body);
        seen.push(reply.status == 200);
    }
    seen
}

on_both_engines! {
    async fn what_newcomers_see_of_the_past(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for (value, expected) in [
            ("world_readable", vec!["before", "invited", "joined"]),
            ("shared", vec!["before", "invited", "joined"]),
            ("invited", vec!["invited", "joined"]),
            ("joined", vec!["joined"]),
        ] {
            let room = room_with(&alice, value).await;
            let before = say(&alice, &room, "before").await;
            invite(&alice, &room, "@bob:test").await;
            let invited = say(&alice, &room, "invited").await;
            join(&bob, &room).await;
            let joined = say(&alice, &room, "joined").await;
            assert_eq!(seen(&bob, &room).await, expected, "{value}");
            let by_id: Vec<bool> = ["before", "invited", "joined"].iter().map(|text| expected.contains(text)).collect();
            assert_eq!(readable(&bob, &room, &[&before, &invited, &joined]).await, by_id, "{value}");
            let (forth, _) = all_messages(&bob, &room, "dir=f&limit=3").await;
            assert_eq!(bodies(&forth), expected, "{value}");
            // The first sync shows no more than that.
            let first = sync_with(&bob, &filter(&json!({ "room": { "timeline": { "limit": 50 } } }))).await;
            assert_eq!(bodies(timeline(&first, &room)), expected, "{value}");
        }
    }

    async fn what_those_see_who_left(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for (value, expected) in [
            ("world_readable", [true, true, true]),
            ("shared", [true, true, false]),
            ("invited", [false, true, false]),
            ("joined", [false, true, false]),
        ] {
            for gone in ["leave", "kick", "ban"] {
                let room = room_with(&alice, value).await;
                let before = say(&alice, &room, "before").await;
                join(&bob, &room).await;
                let during = say(&alice, &room, "during").await;
                match gone {
                    "leave" => leave(&bob, &room).await,
                    "kick" => kick(&alice, &room, "@bob:test").await,
                    _ => ban(&alice, &room, "@bob:test").await,
                }
                let after = say(&alice, &room, "after").await;
                let mut seen = readable(&bob, &room, &[&before, &during, &after]).await;
                if value == "shared" {
                    // Some servers hide earlier history with such a change.
                    seen[0] = true;
                }
                assert_eq!(seen, expected, "{value} {gone}");
            }
        }
    }

    async fn what_strangers_see(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        for value in ["world_readable", "shared", "invited", "joined"] {
            let room = room_with(&alice, value).await;
            let id = say(&alice, &room, "x").await;
            invite(&alice, &room, "@carol:test").await;
            let after = say(&alice, &room, "y").await;
            let open = value == "world_readable";
            assert_eq!(readable(&bob, &room, &[&id, &after]).await, [open, open], "{value}");
            assert_eq!(seen(&bob, &room).await.len(), if open { 2 } else { 0 }, "{value}");
            let reply = bob.get(&room_path(&room, "state")).await;
            assert_eq!(reply.status, if open { 200 } else { 403 }, "{value}: {}", reply.body);
            let reply = bob.get(&state_path(&room, "m.room.create", "")).await;
            assert_eq!(reply.status, if open { 200 } else { 403 }, "{value}: {}", reply.body);
            // Invited users see from their invite on, if that is the setting; they can read by id, if at all.
            let carols = readable(&carol, &room, &[&id, &after]).await;
            assert_eq!(carols[0], open, "{value}");
            assert!(value != "joined" || !carols[1], "{value}");
        }
    }

    async fn visibility_is_that_of_each_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = room_with(&alice, "joined").await;
        let hidden = say(&alice, &room, "hidden").await;
        set_visibility(&alice, &room, "shared").await;
        let shared = say(&alice, &room, "shared").await;
        set_visibility(&alice, &room, "joined").await;
        let hidden_again = say(&alice, &room, "hidden again").await;
        set_visibility(&alice, &room, "world_readable").await;
        let open = say(&alice, &room, "open").await;
        join(&bob, &room).await;
        let events = [&*hidden, &*shared, &*hidden_again, &*open];
        assert_eq!(readable(&bob, &room, &events).await, [false, true, false, true]);
        assert_eq!(seen(&bob, &room).await, ["shared", "open"]);
        // A missing or invalid setting counts as `shared`.
        let room = create_public(&alice).await;
        for content in [json!({}), json!({ "history_visibility": "bogus" })] {
            set_state(&alice, &room, "m.room.history_visibility", "", content).await;
            let id = say(&alice, &room, "x").await;
            assert_eq!(readable(&bob, &room, &[&id]).await, [false]);
            join(&bob, &room).await;
            assert_eq!(readable(&bob, &room, &[&id]).await, [true]);
            leave(&bob, &room).await;
        }
    }

    async fn hidden_events_are_hidden_everywhere(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = room_with(&alice, "joined").await;
        let root = say(&alice, &room, "secret root").await;
        thread(&alice, &room, &root, "secret answer").await;
        edit(&alice, &room, &root, "secret edit").await;
        join(&bob, &room).await;
        let visible = say(&alice, &room, "visible").await;
        thread(&alice, &room, &root, "later answer").await;
        let v1 = |rest: &str| format!("/_matrix/client/v1/rooms/{}/{rest}", enc(&room));
        let mut texts = Vec::new();
        for path in [
            v1("threads"), v1(&format!("relations/{}", enc(&root))), room_path(&room, &format!("context/{}?limit=20", enc(&visible))),
            room_path(&room, "messages?dir=b&limit=50"), room_path(&room, "messages?dir=f&limit=50"), room_path(&room, &format!("event/{}", enc(&root))),
            format!("{CS}/sync"), format!("{CS}/notifications"),
        ] {
            texts.push(bob.get(&path).await.body.to_string());
        }
        let search = json!({ "search_categories": { "room_events": { "search_term": "secret" } } });
        let found = ok(bob.post(&format!("{CS}/search"), search).await);
        texts.push(found["search_categories"]["room_events"]["results"].to_string());
        for text in texts {
            assert!(!text.contains("secret"), "{text}");
        }
    }

    async fn one_sees_ones_own_comings_and_goings(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = room_with(&alice, "joined").await;
        join(&bob, &room).await;
        let page = messages(&bob, &room, "dir=b").await;
        assert_eq!(at(&page, "/chunk/0/content/membership"), "join");
        kick(&alice, &room, "@bob:test").await;
        say(&alice, &room, "hidden").await;
        let page = messages(&bob, &room, "dir=b").await;
        let own: Vec<&Value> = list(&page, "/chunk").iter().filter(|event| event["state_key"] == "@bob:test").collect();
        assert_eq!(own[0]["content"]["membership"], "leave");
        assert_eq!(bodies(list(&page, "/chunk")), [""; 0]);
    }
}
