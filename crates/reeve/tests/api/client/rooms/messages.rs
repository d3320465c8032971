//! `rooms/{roomId}/messages`, `context` and `event`.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;

on_both_engines! {
    async fn pages_back_and_forth_reach_both_ends(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let sent = say_many(&alice, &room, "m", 23).await;
        for limit in [1, 3, 7, 10, 100] {
            let (mut back, pages) = all_messages(&alice, &room, &format!("dir=b&limit={limit}")).await;
            let (forth, _) = all_messages(&alice, &room, &format!("dir=f&limit={limit}")).await;
            assert!(limit > 20 || pages > 20 / limit, "{limit}: {pages}");
            back.reverse();
            assert_eq!(ids(&back), ids(&forth), "{limit}");
            assert_eq!(at(&forth[0], "/type"), "m.room.create");
            assert_eq!(ids(&forth[forth.len() - 23..]), sent, "{limit}");
        }
        let page = messages(&alice, &room, "dir=b").await;
        assert_eq!(list(&page, "/chunk").len(), 10);
        assert!(page["start"].is_string() && page["end"].is_string());
        assert_eq!(at(&page, "/chunk/0/event_id"), sent[22]);
        // From a page's `start` the same page is returned; from its `end` one can page back.
        let again = messages(&alice, &room, &format!("dir=b&from={}", enc(at(&page, "/start")))).await;
        assert_eq!(ids(list(&again, "/chunk")), ids(list(&page, "/chunk")));
        let turned = messages(&alice, &room, &format!("dir=f&limit=10&from={}", enc(at(&page, "/end")))).await;
        let mut turned: Vec<Value> = list(&turned, "/chunk").to_vec();
        turned.reverse();
        assert_eq!(ids(&turned), ids(list(&page, "/chunk")));
    }

    async fn the_end_is_where_there_is_no_more(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let first = messages(&alice, &room, "dir=b&limit=1000").await;
        let (events, _) = all_messages(&alice, &room, "dir=b&limit=1000").await;
        assert_eq!(at(events.last().unwrap(), "/type"), "m.room.create");
        // New events come after a position at the front.
        let start = at(&first, "/start").to_owned();
        let id = say(&alice, &room, "new").await;
        let news = messages(&alice, &room, &format!("dir=f&from={}", enc(&start))).await;
        assert_eq!(ids(list(&news, "/chunk")), [id]);
    }

    async fn positions_of_sync_are_positions_here(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        let old = say_many(&alice, &room, "old", 5).await;
        let query = filter(&json!({ "room": { "timeline": { "limit": 3 } } }));
        let first = sync_with(&alice, &query).await;
        let part = joined(&first, &room);
        assert_eq!((ids(timeline(&first, &room)), &part["timeline"]["limited"]), (vec![&*old[2], &*old[3], &*old[4]], &json!(true)));
        let back = enc(at(part, "/timeline/prev_batch"));
        let before = messages(&alice, &room, &format!("dir=b&limit=2&from={back}")).await;
        assert_eq!(ids(list(&before, "/chunk")), [&*old[1], &*old[0]]);
        // `to` ends a walk.
        say_many(&alice, &room, "new", 4).await;
        let next = next(&first);
        let between = messages(&alice, &room, &format!("dir=b&to={}", enc(&next))).await;
        assert_eq!(bodies(list(&between, "/chunk")), ["new3", "new2", "new1", "new0"]);
        let between = messages(&alice, &room, &format!("dir=f&from={back}&to={}", enc(&next))).await;
        assert_eq!(bodies(list(&between, "/chunk")), ["old2", "old3", "old4"]);
    }

    async fn filters_and_limits(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        say_many(&alice, &room, "a", 3).await;
        say_many(&bob, &room, "b", 3).await;
        send(&bob, &room, "com.x.one", json!({})).await;
        send(&bob, &room, "com.x.two", json!({ "url": "mxc://test/x" })).await;
        let kinds = async |wanted: Value| {
            let (events, _) = all_messages(&alice, &room, &format!("dir=b&limit=2&{}", filter(&wanted))).await;
            events.iter().map(|event| at(event, "/type").to_owned()).collect::<Vec<_>>()
        };
        let wanted = filter(&json!({ "senders": ["@bob:test"], "types": ["m.room.message"] }));
        let (events, _) = all_messages(&alice, &room, &format!("dir=f&{wanted}")).await;
        assert_eq!(bodies(&events), ["b0", "b1", "b2"]);
        let wanted = filter(&json!({ "not_senders": ["@bob:test"], "types": ["m.room.message"] }));
        let (events, _) = all_messages(&alice, &room, &format!("dir=f&{wanted}")).await;
        assert_eq!(bodies(&events), ["a0", "a1", "a2"]);
        assert_eq!(kinds(json!({ "types": ["com.x.*"] })).await, ["com.x.two", "com.x.one"]);
        assert_eq!(kinds(json!({ "types": ["com.x.*"], "not_types": ["*.one"] })).await, ["com.x.two"]);
        assert_eq!(kinds(json!({ "contains_url": true })).await, ["com.x.two"]);
        assert_eq!(kinds(json!({ "types": [] })).await, Vec::<String>::new());
        assert_eq!(kinds(json!({ "not_types": ["m.*"], "contains_url": false })).await, ["com.x.one"]);
        let limited = messages(&alice, &room, &format!("dir=b&limit=100&{}", filter(&json!({ "limit": 2 })))).await;
        assert!(!list(&limited, "/chunk").is_empty());
        for bad in ["{", "{\"types\":1}", "{\"limit\":\"x\"}"] {
            let reply = alice.get(&room_path(&room, &format!("messages?dir=b&filter={}", enc(bad)))).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }

    async fn members_come_along_when_asked_for(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        for client in [&bob, &carol] {
            join(client, &room).await;
        }
        say(&bob, &room, "b").await;
        say(&carol, &room, "c").await;
        let lazy = filter(&json!({ "lazy_load_members": true }));
        let page = messages(&alice, &room, &format!("dir=b&limit=1&{lazy}")).await;
        let state = list(&page, "/state");
        assert_eq!(state.len(), 1, "{page}");
        assert!(of_state(state, "m.room.member", "@carol:test").is_some());
    }

    async fn what_is_asked_wrongly(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        for query in ["dir=x", "dir=b&limit=x", "dir=b&limit=-1", "dir=b&from=nonsense", "dir=b&to=nonsense", "dir=B"] {
            let reply = alice.get(&room_path(&room, &format!("messages?{query}"))).await;
            assert_eq!(reply.status, 400, "{query}: {}", reply.body);
        }
        for nowhere in ["!unknown:test", "!unknown"] {
            let reply = alice.get(&room_path(nowhere, "messages?dir=b")).await;
            assert!(matches!(reply.status, 400 | 403 | 404), "{}", reply.body);
        }
        assert_eq!(code(&server.stranger().get(&room_path(&room, "messages?dir=b")).await), (401, "M_MISSING_TOKEN"));
    }

    async fn one_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, other) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        let id = say(&alice, &room, "x").await;
        let whole = event(&alice, &room, &id).await;
        assert_eq!((at(&whole, "/content/body"), at(&whole, "/room_id")), ("x", &*room));
        for (client, room, id) in [
            (&alice, &other, &*id), (&alice, &room, "$unknown"), (&alice, &room, "bad"),
            (&alice, &room, "$0123456789012345678901234567890123456789012"),
        ] {
            let reply = try_event(client, room, id).await;
            assert!(matches!(code(&reply), (400, _) | (404, "M_NOT_FOUND")), "{id}: {}", reply.body);
        }
        // Those who may not see it learn no more than that.
        assert!(matches!(code(&try_event(&bob, &room, &id).await), (403, "M_FORBIDDEN") | (404, "M_NOT_FOUND")));
    }

    async fn around_an_event(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let sent = say_many(&alice, &room, "m", 12).await;
        let path = |id: &str, query: &str| room_path(&room, &format!("context/{}?{query}", enc(id)));
        let middle = ok(alice.get(&path(&sent[5], "limit=6")).await);
        assert_eq!((at(&middle, "/event/event_id"), at(&middle, "/event/content/body")), (&*sent[5], "m5"));
        let (before, after) = (list(&middle, "/events_before"), list(&middle, "/events_after"));
        assert_eq!(before.len() + after.len(), 6, "{middle}");
        assert_eq!(ids(before), [&*sent[4], &*sent[3], &*sent[2]]);
        assert_eq!(ids(after), [&*sent[6], &*sent[7], &*sent[8]]);
        let state = list(&middle, "/state");
        assert!(of_kind(state, "m.room.create").is_some() && of_state(state, "m.room.member", "@alice:test").is_some());
        // Its positions can be used in both directions.
        let back = messages(&alice, &room, &format!("dir=b&limit=1&from={}", enc(at(&middle, "/start")))).await;
        assert_eq!(ids(list(&back, "/chunk")), [&*sent[1]]);
        let forth = messages(&alice, &room, &format!("dir=f&limit=1&from={}", enc(at(&middle, "/end")))).await;
        assert_eq!(ids(list(&forth, "/chunk")), [&*sent[9]]);
        let alone = ok(alice.get(&path(&sent[5], "limit=0")).await);
        assert_eq!((list(&alone, "/events_before").len(), list(&alone, "/events_after").len()), (0, 0));
        let last = ok(alice.get(&path(&sent[11], "limit=4")).await);
        assert!(list(&last, "/events_after").is_empty());
        let filtered = ok(alice.get(&path(&sent[5], &format!("limit=4&{}", filter(&json!({ "types": ["m.room.create"] }))))).await);
        assert!(list(&filtered, "/events_after").is_empty());
        for (client, id) in [(&alice, "$unknown"), (&bob, &*sent[5])] {
            let reply = client.get(&path(id, "")).await;
            assert!(matches!(reply.status, 403 | 404), "{id}: {}", reply.body);
        }
    }

    async fn state_around_an_event_is_that_of_then(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "topic": "one" })).await;
        let id = say(&alice, &room, "then").await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "two" })).await;
        let context = ok(alice.get(&room_path(&room, &format!("context/{}?limit=0", enc(&id)))).await);
        assert_eq!(of_kind(list(&context, "/state"), "m.room.topic").unwrap()["content"]["topic"], "one");
    }

    async fn those_who_left_see_until_then(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        say(&alice, &room, "seen").await;
        leave(&bob, &room).await;
        let hidden = say(&alice, &room, "hidden").await;
        let (events, _) = all_messages(&bob, &room, "dir=b").await;
        assert_eq!(bodies(&events), ["seen"]);
        assert_eq!(at(&events[0], "/content/membership"), "leave");
        let (events, _) = all_messages(&bob, &room, "dir=f").await;
        assert_eq!(bodies(&events), ["seen"]);
        assert!(matches!(try_event(&bob, &room, &hidden).await.status, 403 | 404));
    }
}
