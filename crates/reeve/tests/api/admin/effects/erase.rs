//! Erasure: earlier members keep the messages; later ones see redacted events.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

/// A room in which alice sent a message when bob was a member and carol was not yet, and then was erased.
struct Erased {
    room: String,
    message: String,
    answer: String,
    bob: Client,
    carol: Client,
    admin: Client,
}

async fn erase(admin: &Client) {
    ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await);
    let path = "/_synapse/admin/v1/users/@alice:test/joined_rooms";
    eventually(admin, path, |reply| reply.body["total"] == 0).await;
}

async fn erased(server: &reeve_testkit::Server) -> Erased {
    let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
    let room = create_public(&bob).await;
    join(&alice, &room).await;
    let message = say(&alice, &room, "secret").await;
    let answer = thread(&alice, &room, &message, "more secrets").await;
    set_level(&bob, &room, "@alice:test", 50).await;
    set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "By alice" })).await;
    let carol = server.user("carol").await;
    erase(&admin).await;
    join(&carol, &room).await;
    Erased { room, message, answer, bob, carol, admin }
}

on_both_engines! {
    async fn one_event(server: Server) {
        let all = erased(&server).await;
        let kept = event(&all.bob, &all.room, &all.message).await;
        assert_eq!(kept["content"], json!({ "msgtype": "m.text", "body": "secret" }));
        let pruned = event(&all.carol, &all.room, &all.message).await;
        assert_eq!((&pruned["content"], at(&pruned, "/sender")), (&json!({}), "@alice:test"));
        assert!(pruned["unsigned"].get("redacted_because").is_none(), "{pruned}");
    }

    async fn pages(server: Server) {
        let all = erased(&server).await;
        for dir in ["b", "f"] {
            let (kept, _) = all_messages(&all.bob, &all.room, &format!("dir={dir}")).await;
            assert!(bodies(&kept).contains(&"secret"), "{kept:?}");
            let (pruned, _) = all_messages(&all.carol, &all.room, &format!("dir={dir}")).await;
            let of_alice: Vec<&Value> = pruned.iter().filter(|event| event["sender"] == "@alice:test").collect();
            assert!(of_alice.len() >= 4, "{pruned:?}");
            for event in of_alice {
                match at(event, "/type") {
                    "m.room.message" => assert_eq!(event["content"], json!({})),
                    "m.room.member" => {
                        assert!(event["content"]["membership"].is_string(), "{event}");
                        assert!(event["content"].get("displayname").is_none_or(Value::is_null), "{event}");
                    }
                    _ => {}
                }
            }
        }
    }

    async fn the_context(server: Server) {
        let all = erased(&server).await;
        let path = room_path(&all.room, &format!("context/{}?limit=10", enc(&all.message)));
        let kept = ok(all.bob.get(&path).await);
        assert_eq!(kept["event"]["content"]["body"], "secret");
        let pruned = ok(all.carol.get(&path).await);
        assert_eq!(pruned["event"]["content"], json!({}));
        assert!(!pruned.to_string().contains("secret"), "{pruned}");
        // From the neighbour's side.
        let path = room_path(&all.room, &format!("context/{}?limit=10", enc(&all.answer)));
        let pruned = ok(all.carol.get(&path).await);
        assert!(!pruned.to_string().contains("secret"), "{pruned}");
    }

    async fn a_sync(server: Server) {
        let all = erased(&server).await;
        let long = json!({ "room": { "timeline": { "limit": 50 } } });
        let kept = sync_filtered(&all.bob, &long).await;
        assert!(bodies(timeline(&kept, &all.room)).contains(&"secret"), "{kept}");
        for limit in [5, 50] {
            let short = json!({ "room": { "timeline": { "limit": limit } } });
            let pruned = sync_filtered(&all.carol, &short).await;
            assert!(!pruned.to_string().contains("secret"), "{pruned}");
        }
        let pruned = sync_filtered(&all.carol, &long).await;
        let shown = timeline(&pruned, &all.room).iter().find(|event| event["event_id"] == all.message.as_str()).unwrap();
        assert_eq!(shown["content"], json!({}));
        let sliding = json!({ "lists": { "all": { "ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 50 } } });
        let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
        let pruned = ok(all.carol.post(path, sliding.clone()).await);
        assert!(!pruned.to_string().contains("secret"), "{pruned}");
        assert!(ok(all.bob.post(path, sliding).await).to_string().contains("secret"));
    }

    async fn threads_relations_and_search(server: Server) {
        let all = erased(&server).await;
        let unstable = format!("/_matrix/client/v1/rooms/{}", enc(&all.room));
        for path in [format!("{unstable}/relations/{}", enc(&all.message)), format!("{unstable}/threads")] {
            let kept = ok(all.bob.get(&path).await);
            assert!(kept.to_string().contains("secrets"), "{path}: {kept}");
            let pruned = ok(all.carol.get(&path).await);
            assert!(!list(&pruned, "/chunk").is_empty() && !pruned.to_string().contains("secret"), "{path}: {pruned}");
        }
        let body = json!({ "search_categories": { "room_events": { "search_term": "secret" } } });
        let kept = ok(all.bob.post(&format!("{CS}/search"), body.clone()).await);
        assert!(!list(&kept, "/search_categories/room_events/results").is_empty(), "{kept}");
        let pruned = ok(all.carol.post(&format!("{CS}/search"), body).await);
        let results = list(&pruned, "/search_categories/room_events/results");
        assert!(!json!(results).to_string().contains("secret"), "{pruned}");
    }

    async fn state_and_membership_stay(server: Server) {
        let all = erased(&server).await;
        for client in [&all.bob, &all.carol] {
            assert_eq!(state(client, &all.room, "m.room.topic", "").await["topic"], "By alice");
            assert_eq!(membership(client, &all.room, "@alice:test").await, "leave");
        }
        let profile = all.bob.get(&format!("{CS}/profile/@alice:test")).await;
        assert_eq!(code(&profile), (404, "M_NOT_FOUND"));
        // The last member event does not contain the name.
        let member = state(&all.bob, &all.room, "m.room.member", "@alice:test").await;
        assert!(member.get("displayname").is_none_or(Value::is_null), "{member}");
    }

    async fn later_words_of_others_are_not_touched(server: Server) {
        let all = erased(&server).await;
        let said = say(&all.bob, &all.room, "open").await;
        assert_eq!(event(&all.carol, &all.room, &said).await["content"]["body"], "open");
    }

    async fn back_to_life(server: Server) {
        let all = erased(&server).await;
        assert_eq!(event(&all.carol, &all.room, &all.message).await["content"], json!({}));
        let body = json!({ "deactivated": false, "password": "new password" });
        assert_eq!(ok(all.admin.put("/_synapse/admin/v2/users/@alice:test", body).await)["erased"], false);
        assert_eq!(event(&all.carol, &all.room, &all.message).await["content"]["body"], "secret");
    }

    async fn who_went_and_came_back_keeps_what_was_said_to_them(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let dan = server.user("dan").await;
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        join(&dan, &room).await;
        let first = say(&alice, &room, "first").await;
        leave(&dan, &room).await;
        let second = say(&alice, &room, "second").await;
        erase(&admin).await;
        // Even from outside, he sees what he had heard.
        assert_eq!(event(&dan, &room, &first).await["content"]["body"], "first");
        join(&dan, &room).await;
        assert_eq!(event(&dan, &room, &first).await["content"]["body"], "first");
        assert_eq!(event(&dan, &room, &second).await["content"], json!({}));
        let (all, _) = all_messages(&dan, &room, "dir=b").await;
        assert_eq!(bodies(&all), ["", "first"]);
    }

    async fn without_erasure_nothing_is_hidden(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let said = say(&alice, &room, "kept").await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        let carol = server.user("carol").await;
        join(&carol, &room).await;
        assert_eq!(event(&carol, &room, &said).await["content"]["body"], "kept");
        // Erased after all.
        erase(&admin).await;
        assert_eq!(event(&carol, &room, &said).await["content"], json!({}));
        assert_eq!(event(&bob, &room, &said).await["content"]["body"], "kept");
    }
}
