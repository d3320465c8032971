//! Finding: messages by words, events by time, people by name.

use std::time::Duration;

use reeve_model::{JobState, Millis, Pos};
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

async fn search(client: &Client, criteria: Value) -> Value {
    let body = json!({ "search_categories": { "room_events": criteria } });
    ok(client.post(&format!("{CS}/search"), body).await)["search_categories"]["room_events"].clone()
}

fn found(results: &Value) -> Vec<&str> {
    list(results, "/results").iter().map(|found| at(found, "/result/event_id")).collect()
}

async fn people(client: &Client, term: &str) -> Vec<String> {
    let reply: Reply =
        client.post(&format!("{CS}/user_directory/search"), json!({ "search_term": term })).await;
    let body = ok(reply);
    assert_eq!(body["limited"], false, "{body}");
    let mut seen: Vec<String> =
        list(&body, "/results").iter().map(|user| at(user, "/user_id").to_owned()).collect();
    seen.sort_unstable();
    seen
}

on_both_engines! {
    async fn messages_are_found_by_their_words(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, other) = (create_public(&alice).await, create(&alice, json!({ "name": "garden room" })).await);
        join(&bob, &room).await;
        let one = say(&alice, &room, "The Garden is open").await;
        server.clock.advance(10);
        let two = say(&bob, &room, "a garden party, and more").await;
        server.clock.advance(10);
        let hidden = say(&alice, &other, "my secret garden").await;
        say(&alice, &room, "nothing to do with it").await;
        let recent = |term: &str| json!({ "search_term": term, "order_by": "recent" });
        let results = search(&alice, recent("garden")).await;
        assert_eq!(found(&results)[..2], [&*hidden, &*two]);
        assert!(found(&results).contains(&&*one));
        let result = &results["results"][0]["result"];
        assert_eq!((at(result, "/room_id"), at(result, "/content/body")), (&*other, "my secret garden"));
        // Only where one is.
        assert_eq!(found(&search(&bob, recent("garden")).await), [&*two, &*one]);
        assert_eq!(found(&search(&bob, recent("GARDEN open")).await), [&*one]);
        assert_eq!(found(&search(&bob, recent("weather")).await), [""; 0]);
        let mut narrow = recent("garden");
        narrow["filter"] = json!({ "rooms": [room], "senders": ["@bob:test"] });
        assert_eq!(found(&search(&alice, narrow).await), [&*two]);
        let mut named = recent("garden");
        named["keys"] = json!(["content.name"]);
        assert_eq!(at(&search(&alice, named).await, "/results/0/result/type"), "m.room.name");
        let ranked = search(&bob, json!({ "search_term": "garden" })).await;
        assert_eq!(list(&ranked, "/results").len(), 2);
        assert_eq!(ranked["count"], 2);
        // What is redacted is not found; what was edited is found by its new words.
        redact(&bob, &room, &two).await;
        assert_eq!(found(&search(&bob, recent("garden")).await), [&*one]);
    }

    async fn results_come_with_context_in_pages_and_groups(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let mut sent = Vec::new();
        for number in 0..5 {
            say(&bob, &room, &format!("before {number}")).await;
            sent.push(say(&alice, &room, &format!("needle {number}")).await);
            say(&bob, &room, &format!("after {number}")).await;
            server.clock.advance(10);
        }
        let criteria = json!({
            "search_term": "needle", "order_by": "recent", "filter": { "limit": 3 }, "groupings": { "group_by": [{ "key": "room_id" }] },
            "event_context": { "before_limit": 1, "after_limit": 1, "include_profile": true }, "include_state": true,
        });
        let first = search(&alice, criteria.clone()).await;
        assert_eq!(found(&first), [&*sent[4], &*sent[3], &*sent[2]]);
        let context = &first["results"][0]["context"];
        assert_eq!(bodies(list(context, "/events_before")), ["before 4"]);
        assert_eq!(bodies(list(context, "/events_after")), ["after 4"]);
        assert_eq!(at(&context["profile_info"]["@bob:test"], "/displayname"), "bob");
        assert!(of_kind(list(&first["state"][&room], ""), "m.room.create").is_some());
        assert_eq!(list(&first["groups"]["room_id"][&room], "/results").len(), 3);
        let body = json!({ "search_categories": { "room_events": criteria } });
        let path = format!("{CS}/search?next_batch={}", enc(at(&first, "/next_batch")));
        let second = ok(alice.post(&path, body).await);
        assert_eq!(found(&second["search_categories"]["room_events"]), [&*sent[1], &*sent[0]]);
    }

    async fn what_is_no_search(server: Server) {
        let alice = server.user("alice").await;
        let path = format!("{CS}/search");
        for bad in [
            json!({}), json!({ "search_categories": { "room_events": {} } }), json!({ "search_categories": 1 }),
            json!({ "search_categories": { "room_events": { "search_term": 1 } } }),
            json!({ "search_categories": { "room_events": { "search_term": "x", "order_by": "bogus" } } }),
        ] {
            let reply = alice.post(&path, bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        // Odd words are words.
        create(&alice, json!({})).await;
        for term in ["\"", "*", "' OR 1=1", "%", "a AND", "NEAR(", "äöü", "\u{1f600}"] {
            search(&alice, json!({ "search_term": term })).await;
        }
    }

    async fn events_are_found_by_their_time(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let mut sent = Vec::new();
        for number in 0..4 {
            server.clock.advance(1000);
            sent.push(say(&alice, &room, &format!("{number}")).await);
        }
        let mut times = Vec::new();
        for id in &sent {
            times.push(event(&alice, &room, id).await["origin_server_ts"].as_i64().unwrap());
        }
        let path = |ts: i64, dir: &str| format!("/_matrix/client/v1/rooms/{}/timestamp_to_event?ts={ts}&dir={dir}", enc(&room));
        for (ts, dir, place) in [
            (times[1], "f", 1), (times[1], "b", 1), (times[1] + 1, "f", 2), (times[2] - 1, "b", 1), (times[3] + 100_000, "b", 3),
        ] {
            let expected = json!({ "event_id": sent[place], "origin_server_ts": times[place] });
            assert_eq!(alice.get(&path(ts, dir)).await, (200, expected), "{ts} {dir}");
        }
        let first = ok(alice.get(&path(0, "f")).await);
        assert_eq!(at(&event(&alice, &room, at(&first, "/event_id")).await, "/type"), "m.room.create");
        for (ts, dir) in [(0, "b"), (times[3] + 1, "f")] {
            assert_eq!(code(&alice.get(&path(ts, dir)).await), (404, "M_NOT_FOUND"), "{ts} {dir}");
        }
        assert_eq!(code(&bob.get(&path(times[1], "f")).await), (403, "M_FORBIDDEN"));
        for bad in ["", "?ts=x&dir=f", "?ts=1&dir=x", "?dir=f"] {
            let path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event{bad}", enc(&room));
            assert_eq!(alice.get(&path).await.status, 400, "{bad}");
        }
    }

    async fn people_are_found_among_those_one_may_know(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let admin = server.admin().await;
        ok(bob.put(&format!("{CS}/profile/@bob:test/displayname"), json!({ "displayname": "Robert Tables" })).await);
        ok(bob.put(&format!("{CS}/profile/@bob:test/avatar_url"), json!({ "avatar_url": "mxc://test/b" })).await);
        // Not before they meet: in a public room, or in a private one they share.
        assert_eq!(people(&alice, "tables").await, Vec::<String>::new());
        let private = create(&alice, json!({})).await;
        bring(&alice, &private, &bob).await;
        create_public(&carol).await;
        // The directory may follow a moment later.
        for _ in 0..100 {
            if people(&alice, "tables").await == ["@bob:test"] && people(&alice, "carol").await == ["@carol:test"] {
                break;
            }
        }
        for term in ["tables", "ROBERT", "rob", "bob", "@bob:test"] {
            assert_eq!(people(&alice, term).await, ["@bob:test"], "{term}");
        }
        assert_eq!(people(&alice, "carol").await, ["@carol:test"]);
        assert_eq!(people(&carol, "tables").await, Vec::<String>::new());
        let body = ok(alice.post(&format!("{CS}/user_directory/search"), json!({ "search_term": "tables" })).await);
        let expected = json!({ "user_id": "@bob:test", "display_name": "Robert Tables", "avatar_url": "mxc://test/b" });
        assert_eq!(list(&body, "/results"), [expected]);
        // Who is locked, or no more, is not found.
        ok(admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "locked": true })).await);
        ok(admin.post("/_synapse/admin/v1/deactivate/@carol:test", json!({})).await);
        for _ in 0..100 {
            if people(&alice, "tables").await.is_empty() && people(&alice, "carol").await.is_empty() {
                break;
            }
        }
        assert_eq!(people(&alice, "tables").await, Vec::<String>::new());
        assert_eq!(people(&alice, "carol").await, Vec::<String>::new());
    }

    async fn how_many_people_are_shown(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        for number in 0..4 {
            join(&server.user(&format!("bob{number}")).await, &room).await;
        }
        let path = format!("{CS}/user_directory/search");
        let mut body = json!({});
        for _ in 0..100 {
            body = ok(alice.post(&path, json!({ "search_term": "bob", "limit": 2 })).await);
            if body["limited"] == true {
                break;
            }
        }
        assert_eq!((list(&body, "/results").len(), &body["limited"]), (2, &json!(true)));
        for bad in [json!({}), json!({ "search_term": 1 }), json!({ "search_term": "x", "limit": "y" })] {
            let reply = alice.post(&path, bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }

    async fn words_of_every_script_are_found(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let shanghai = say(&alice, &room, "\u{6211}\u{5bb6}\u{5728}\u{4e0a}\u{6d77}\u{4e1c}\u{8fb9}\u{3002}").await;
        let party = say(&alice, &room, "done\u{1f389} at last, Ren\u{e9}").await;
        let rene = say(&alice, &room, "Rene, STRASSE \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}").await;
        let reversed = say(&alice, &room, "\u{6d77}\u{4e0a}").await;
        for (term, expected) in [
            ("\u{4e0a}\u{6d77}", vec![&shanghai]),
            ("\u{6d77}\u{4e0a}", vec![&reversed]),
            ("\u{4e1c}", vec![&shanghai]),
            ("\u{1f389}", vec![&party]),
            ("done", vec![&party]),
            ("rene", vec![&rene, &party]),
            ("REN\u{c9}", vec![&rene, &party]),
            ("stra\u{df}e", vec![&rene]),
            ("\u{1f469}", vec![&rene]),
            ("\u{1f468}\u{1f469}\u{1f467}", vec![&rene]),
            ("last rene", vec![&party]),
            ("\u{4e0a}\u{6d77} rene", vec![]),
        ] {
            let results = search(&alice, json!({ "search_term": term, "order_by": "recent" })).await;
            assert_eq!(found(&results), expected, "{term}");
        }
        let results = search(&alice, json!({ "search_term": "\u{4e0a}\u{6d77}, \u{1f389}" })).await;
        assert_eq!(results["highlights"], json!(["\u{4e0a}\u{6d77}", "\u{1f389}"]));
    }

    async fn nothing_tells_of_events_that_one_does_not_see(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (private, room) = (create(&alice, json!({})).await, create(&alice, json!({
            "preset": "public_chat",
            "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
        })).await);
        say(&alice, &private, "needle in private").await;
        say(&alice, &room, "needle before bob came").await;
        join(&bob, &room).await;
        let seen = say(&alice, &room, "needle for bob").await;
        let criteria = json!({ "search_term": "needle", "order_by": "recent", "filter": { "limit": 1 } });
        let results = search(&bob, criteria.clone()).await;
        assert_eq!((found(&results), results.get("next_batch"), &results["count"]), (vec![&*seen], None, &json!(1)));
        // Where there is more to see, the list goes on.
        let second = say(&alice, &room, "another needle").await;
        let results = search(&bob, criteria.clone()).await;
        assert_eq!(found(&results), [&*second]);
        let path = format!("{CS}/search?next_batch={}", enc(at(&results, "/next_batch")));
        let rest = ok(bob.post(&path, json!({ "search_categories": { "room_events": criteria } })).await);
        let rest = &rest["search_categories"]["room_events"];
        assert_eq!((found(rest), rest.get("next_batch")), (vec![&*seen], None));
    }

    async fn the_context_of_what_was_found_is_whole(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "one").await;
        say(&alice, &room, "needle").await;
        // A member who comes after the found event has a name as well.
        join(&bob, &room).await;
        say(&bob, &room, "three").await;
        let context = json!({ "before_limit": 1, "after_limit": 2, "include_profile": true });
        let results = search(&alice, json!({ "search_term": "needle", "event_context": context })).await;
        let context = &results["results"][0]["context"];
        assert_eq!(bodies(list(context, "/events_before")), ["one"]);
        assert_eq!((list(context, "/events_after").len(), bodies(list(context, "/events_after"))), (2, vec!["three"]));
        assert_eq!(context["profile_info"], json!({ "@alice:test": { "displayname": "alice" }, "@bob:test": { "displayname": "bob" } }));
        let earlier = messages(&alice, &room, &format!("dir=b&limit=1&from={}", enc(at(context, "/start")))).await;
        assert_eq!(list(&earlier, "/chunk").len(), 1);
        let later = messages(&alice, &room, &format!("dir=f&from={}", enc(at(context, "/end")))).await;
        assert!(list(&later, "/chunk").is_empty());
        // It comes with its defaults where nothing is said of it, and not where it was not asked for.
        let results = search(&alice, json!({ "search_term": "needle", "event_context": {} })).await;
        let context = &results["results"][0]["context"];
        assert!(list(context, "/events_before").len() == 5 && !at(context, "/start").is_empty() && !at(context, "/end").is_empty());
        let results = search(&alice, json!({ "search_term": "needle" })).await;
        assert!(results["results"][0].get("context").is_none());
    }

    async fn words_from_before_are_indexed_later(server: Server) {
        let alice = server.user("alice").await;
        let (room, gone) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        let old = say(&alice, &room, "an old needle").await;
        let redacted = say(&alice, &room, "a redacted needle").await;
        let purged = say(&alice, &gone, "a purged needle").await;
        redact(&alice, &room, &redacted).await;
        let ids = [old.clone(), redacted, purged.clone()];
        let job = server.app().db.write(move |tx| -> Result<_, reeve_db::DbError> {
            for id in &ids {
                let event = reeve_store::events::find(tx, id)?.unwrap();
                reeve_store::events::forget_words(tx, event.pos)?;
                if *id == purged {
                    reeve_store::rooms::set_purged(tx, event.room_num, event.pos.next())?;
                }
            }
            reeve_jobs::enqueue(tx, "index_words", "", "{\"before\":9223372036854775807}", 0, Millis::ZERO)
        });
        let job = job.await.unwrap();
        assert_eq!(found(&search(&alice, json!({ "search_term": "needle" })).await), [""; 0]);
        server.app().jobs.wake();
        let job = server.app().jobs.wait(&job, Duration::from_secs(20)).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Complete, "{job:?}");
        assert_eq!(found(&search(&alice, json!({ "search_term": "needle" })).await), [&*old]);
        let indexed = server.app().db.read(|tx| reeve_store::events::search(tx, "needle", Pos::END, 10)).await.unwrap();
        assert_eq!(indexed.len(), 1, "neither what is redacted nor what is purged");
    }

    async fn people_are_found_without_accents(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        for (client, name) in [(&bob, "Ren\u{e9} \u{141}uczak"), (&carol, "Rene Plain")] {
            ok(client.put(&format!("{CS}/profile/{}/displayname", client.user_id), json!({ "displayname": name })).await);
        }
        for (term, expected) in [
            ("Rene", vec!["@bob:test", "@carol:test"]), ("ren\u{e9}", vec!["@bob:test", "@carol:test"]), ("Lucz", vec!["@bob:test"]),
            ("\u{141}UCZ", vec!["@bob:test"]), ("plain", vec!["@carol:test"]),
        ] {
            assert_eq!(people(&alice, term).await, expected, "{term}");
        }
        // Administrators search for what is written.
        let admin = server.admin().await;
        let named = |term: &str| format!("/_synapse/admin/v2/users?name={}", enc(term));
        assert_eq!(admin.get(&named("Rene")).await.body["total"], 1);
        assert_eq!(admin.get(&named("ren\u{e9}")).await.body["total"], 1);
    }
}
