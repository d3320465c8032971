//! Simplified sliding sync: `POST unstable/org.matrix.simplified_msc3575/sync`.

use std::time::Duration;

use http::Method;
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

async fn try_slide(client: &Client, query: &str, body: &Value) -> Reply {
    client.post(&format!("{SLIDING}?{query}"), body.clone()).await
}

/// The first response of a connection.
async fn slide(client: &Client, body: &Value) -> Value {
    ok(try_slide(client, "timeout=0", body).await)
}

/// The next response, without waiting.
async fn slide_on(client: &Client, last: &Value, body: &Value) -> Value {
    ok(try_slide(client, &format!("timeout=0&pos={}", enc(at(last, "/pos"))), body).await)
}

/// Continues with long polls until a response has the expected data.
async fn slide_until(client: &Client, last: &Value, body: &Value, what: impl Fn(&Value) -> bool) -> Value {
    let mut pos = at(last, "/pos").to_owned();
    for _ in 0..20 {
        let came = ok(try_slide(client, &format!("timeout=1000&pos={}", enc(&pos)), body).await);
        if what(&came) {
            return came;
        }
        at(&came, "/pos").clone_into(&mut pos);
    }
    panic!("it never came");
}

/// One list `all` of the rooms up to this index, with a few messages of each.
fn upto(last: usize) -> Value {
    json!({ "lists": { "all": { "ranges": [[0, last]], "required_state": [], "timeline_limit": 3 } } })
}

/// One list of all rooms with a filter.
fn with_filter(filter: &Value) -> Value {
    let mut body = upto(99);
    body["lists"]["all"]["filters"] = filter.clone();
    body
}

/// One list of all rooms with this state.
fn with_state(state: &Value) -> Value {
    let mut body = upto(99);
    body["lists"]["all"]["required_state"] = state.clone();
    body
}

/// All rooms, and one extension.
fn with_extension(name: &str) -> Value {
    let mut body = upto(99);
    body["extensions"] = json!({ name: { "enabled": true } });
    body
}

/// The rooms in a response, in order.
fn rooms(answer: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        answer["rooms"].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default();
    ids.sort();
    ids
}

fn sorted(rooms: &[&String]) -> Vec<String> {
    let mut rooms: Vec<String> = rooms.iter().map(|room| (*room).clone()).collect();
    rooms.sort();
    rooms
}

/// The timeline of a room in a response.
fn said<'a>(answer: &'a Value, room: &str) -> Vec<&'a str> {
    bodies(list(&answer["rooms"][room], "/timeline"))
}

async fn named(client: &Client, name: &str) -> String {
    create(client, json!({ "preset": "public_chat", "name": name })).await
}

on_both_engines! {
    async fn requests_that_begin_at_once_are_all_answered(server: Server) {
        let bob = server.user("bob").await;
        let room = create(&bob, json!({})).await;
        let body = upto(99);
        let begun = futures_util::future::join_all((0..20).map(|_| slide(&bob, &body))).await;
        assert!(begun.iter().all(|answer| rooms(answer) == [&*room]));
        // One connection is left; from the others nothing can go on.
        let mut going = 0;
        for answer in &begun {
            let reply = try_slide(&bob, &format!("timeout=0&pos={}", enc(at(answer, "/pos"))), &body).await;
            if reply.status == 200 {
                going += 1;
            } else {
                assert_eq!(code(&reply), (400, "M_UNKNOWN_POS"));
            }
        }
        assert_eq!(going, 1);
    }

    async fn a_deleted_room_is_left(server: Server) {
        let (admin, bob) = (server.admin().await, server.user("bob").await);
        let (kept, doomed) = (create(&bob, json!({})).await, create(&bob, json!({})).await);
        let known = slide(&bob, &upto(99)).await;
        assert_eq!(rooms(&known), sorted(&[&kept, &doomed]));
        let path = format!("/_synapse/admin/v1/rooms/{}", enc(&doomed));
        ok(admin.send(Method::DELETE, &path, &[], "{}".to_owned()).await);
        let told = slide_on(&bob, &known, &upto(99)).await;
        assert_eq!((rooms(&told), &told["lists"]["all"]["count"]), (vec![doomed.clone()], &json!(1)));
        for part in ["timeline", "required_state"] {
            let event = &told["rooms"][&doomed][part][0];
            let own = (at(event, "/type"), at(event, "/state_key"), at(event, "/content/membership"));
            assert_eq!(own, ("m.room.member", "@bob:test", "leave"), "{part}: {told}");
        }
        assert_eq!(rooms(&slide_on(&bob, &told, &upto(99)).await), Vec::<String>::new());
        assert_eq!(rooms(&slide(&bob, &upto(99)).await), sorted(&[&kept]));
    }

    async fn the_newest_rooms_first(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (old, middle, new) = (named(&alice, "old").await, named(&alice, "middle").await, named(&alice, "new").await);
        join(&bob, &old).await;
        let first = slide(&alice, &upto(1)).await;
        // Bob's joining has moved the old room up.
        assert_eq!(rooms(&first), sorted(&[&old, &new]));
        assert_eq!(first["lists"]["all"]["count"], 3);
        let room = &first["rooms"][&old];
        assert_eq!((&room["initial"], &room["name"]), (&json!(true), &json!("old")));
        assert_eq!((&room["joined_count"], &room["invited_count"]), (&json!(2), &json!(0)));
        assert_eq!(list(room, "/timeline").len(), 3);
        assert_eq!((&room["limited"], room["num_live"].as_i64().unwrap_or(0)), (&json!(true), 0));
        assert!(room["bump_stamp"].is_i64() && room["prev_batch"].is_string(), "{room}");
        assert!(list(room, "/required_state").is_empty(), "{room}");
        // A larger window has the rest, and what was sent is not sent again.
        let more = slide_on(&alice, &first, &upto(9)).await;
        assert_eq!(rooms(&more), [middle]);
        assert_eq!(more["lists"]["all"]["count"], 3);
    }

    async fn what_came_since(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (room, quiet) = (named(&alice, "room").await, named(&alice, "quiet").await);
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        assert_eq!(rooms(&first), sorted(&[&room, &quiet]));
        let none = slide_on(&alice, &first, &upto(9)).await;
        assert_eq!(rooms(&none), [] as [String; 0]);
        say_many(&bob, &room, "m", 2).await;
        let came = slide_on(&alice, &none, &upto(9)).await;
        assert_eq!(rooms(&came), [&*room]);
        assert_eq!(said(&came, &room), ["m0", "m1"]);
        let part = &came["rooms"][&room];
        assert_ne!(part["initial"], true);
        assert_ne!(part["limited"], true);
        assert_eq!(part["num_live"], 2);
        // More than the limit is a gap, closed by pages.
        say_many(&bob, &room, "n", 5).await;
        let came = slide_on(&alice, &came, &upto(9)).await;
        assert_eq!((said(&came, &room), &came["rooms"][&room]["limited"]), (vec!["n2", "n3", "n4"], &json!(true)));
        let from = enc(at(&came["rooms"][&room], "/prev_batch"));
        let page = messages(&alice, &room, &format!("dir=b&limit=3&from={from}")).await;
        assert_eq!(bodies(list(&page, "/chunk")), ["n1", "n0", "m1"]);
    }

    async fn a_room_moves_into_the_window(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let old = named(&alice, "old").await;
        join(&bob, &old).await;
        let new = named(&alice, "new").await;
        let first = slide(&alice, &upto(0)).await;
        assert_eq!(rooms(&first), [new]);
        say(&bob, &old, "look").await;
        let came = slide_on(&alice, &first, &upto(0)).await;
        assert_eq!(rooms(&came), [&*old]);
        let part = &came["rooms"][&old];
        assert_eq!((&part["initial"], &part["name"]), (&json!(true), &json!("old")));
        assert_eq!((said(&came, &old), &part["num_live"]), (vec!["look"], &json!(1)));
    }

    async fn polls_are_woken(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let body = upto(9);
        let mut last = slide(&alice, &body).await;
        for text in ["one", "two"] {
            last = slide_on(&alice, &last, &body).await;
            let query = format!("timeout=30000&pos={}", enc(at(&last, "/pos")));
            let both = async { tokio::join!(try_slide(&alice, &query, &body), say(&bob, &room, text)).0 };
            last = ok(tokio::time::timeout(Duration::from_secs(20), both).await.unwrap());
            assert_eq!(said(&last, &room), [text]);
        }
        // No change: a response all the same, and the position advances.
        let query = format!("timeout=200&pos={}", enc(at(&last, "/pos")));
        let vain = ok(try_slide(&alice, &query, &body).await);
        assert_eq!(rooms(&vain), [] as [String; 0]);
        // The first response of a connection never waits.
        let other = json!({ "conn_id": "other" });
        let first = tokio::time::timeout(Duration::from_secs(20), try_slide(&alice, "timeout=60000", &other)).await;
        ok(first.unwrap());
    }

    async fn state_that_is_asked_for(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = named(&alice, "room").await;
        for guest in [&bob, &carol] {
            join(guest, &room).await;
        }
        set_state(&alice, &room, "org.example.shelf", "left", json!({ "n": 1 })).await;
        set_state(&alice, &room, "org.example.shelf", "right", json!({ "n": 2 })).await;
        say_many(&bob, &room, "m", 3).await;
        let of = |state: Value| {
            let (alice, room) = (alice.clone(), room.clone());
            async move {
                let answer = slide(&alice, &with_state(&state)).await;
                let events = list(&answer["rooms"][&room], "/required_state").iter();
                let mut keys: Vec<String> =
                    events.map(|event| format!("{} {}", at(event, "/type"), at(event, "/state_key"))).collect();
                keys.sort();
                keys
            }
        };
        assert_eq!(of(json!([])).await, [] as [String; 0]);
        assert_eq!(of(json!([["m.room.name", ""], ["m.room.topic", ""]])).await, ["m.room.name "]);
        assert_eq!(of(json!([["m.room.member", "$ME"]])).await, ["m.room.member @alice:test"]);
        // Those who are in the timeline, and oneself beside them.
        assert_eq!(of(json!([["m.room.member", "$LAZY"]])).await, ["m.room.member @bob:test"]);
        assert_eq!(
            of(json!([["m.room.member", "$LAZY"], ["m.room.member", "$ME"]])).await,
            ["m.room.member @alice:test", "m.room.member @bob:test"],
        );
        assert_eq!(of(json!([["org.example.shelf", "*"]])).await, ["org.example.shelf left", "org.example.shelf right"]);
        assert_eq!(of(json!([["m.room.member", "@carol:test"]])).await, ["m.room.member @carol:test"]);
        let all = of(json!([["*", "*"]])).await;
        for key in ["m.room.create ", "m.room.member @carol:test", "m.room.power_levels ", "org.example.shelf left"] {
            assert!(all.contains(&key.to_owned()), "{key}: {all:?}");
        }
    }

    async fn state_that_changes(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = named(&alice, "before").await;
        for guest in [&bob, &carol] {
            join(guest, &room).await;
        }
        say_many(&bob, &room, "m", 3).await;
        let body = with_state(&json!([["m.room.name", ""], ["m.room.topic", ""], ["m.room.member", "$LAZY"]]));
        let first = slide(&alice, &body).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "after" })).await;
        set_state(&alice, &room, "org.example.thing", "", json!({})).await;
        let came = slide_on(&alice, &first, &body).await;
        let part = &came["rooms"][&room];
        assert_eq!(part["name"], "after");
        let state = list(part, "/required_state");
        assert_eq!(content(of_state(state, "m.room.name", "")), &json!({ "name": "after" }));
        assert!(of_kind(state, "org.example.thing").is_none() && of_kind(state, "m.room.topic").is_none(), "{part}");
        // The member event of a first-time sender is included, that of a known one is not.
        say(&carol, &room, "by carol").await;
        say(&bob, &room, "by bob").await;
        let came = slide_on(&alice, &came, &body).await;
        assert_eq!(keys_of(list(&came["rooms"][&room], "/required_state"), "m.room.member"), ["@carol:test"]);
    }

    async fn a_longer_timeline(server: Server) {
        let alice = server.user("alice").await;
        let room = named(&alice, "room").await;
        say_many(&alice, &room, "m", 6).await;
        let mut body = upto(9);
        body["lists"]["all"]["timeline_limit"] = json!(1);
        let first = slide(&alice, &body).await;
        assert_eq!(said(&first, &room), ["m5"]);
        body["lists"]["all"]["timeline_limit"] = json!(4);
        let longer = slide_on(&alice, &first, &body).await;
        assert_eq!(said(&longer, &room), ["m2", "m3", "m4", "m5"]);
        let part = &longer["rooms"][&room];
        assert_eq!(part["unstable_expanded_timeline"], true, "{part}");
        assert_eq!(part["num_live"].as_i64().unwrap_or(0), 0);
        // Once.
        let after = slide_on(&alice, &longer, &body).await;
        assert_eq!(rooms(&after), [] as [String; 0]);
    }

    async fn subscriptions(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (wanted, other) = (named(&alice, "wanted").await, named(&alice, "other").await);
        let foreign = create(&bob, json!({ "name": "bob's own" })).await;
        let room = json!({ "required_state": [["m.room.name", ""]], "timeline_limit": 5 });
        let body = json!({ "room_subscriptions": { wanted.clone(): room, foreign.clone(): room, "!nowhere:test": room } });
        let first = slide(&alice, &body).await;
        assert_eq!(rooms(&first), [&*wanted]);
        assert_eq!(keys_of(list(&first["rooms"][&wanted], "/required_state"), "m.room.name"), [""]);
        say(&alice, &wanted, "here").await;
        say(&alice, &other, "there").await;
        let came = slide_on(&alice, &first, &body).await;
        assert_eq!((rooms(&came), said(&came, &wanted)), (vec![wanted.clone()], vec!["here"]));
        // With a list, the larger of both holds.
        let mut both = upto(9);
        both["lists"]["all"]["timeline_limit"] = json!(1);
        both["room_subscriptions"] = json!({ wanted.clone(): room });
        // A new start under the same name would end the other connection.
        both["conn_id"] = json!("both");
        let first = slide(&alice, &both).await;
        assert_eq!((list(&first["rooms"][&wanted], "/timeline").len(), list(&first["rooms"][&other], "/timeline").len()), (5, 1));
        // Rooms that the user cannot see cannot be subscribed to, whatever happened there.
        say(&bob, &foreign, "secret").await;
        assert_eq!(rooms(&slide_on(&alice, &came, &body).await), [] as [String; 0]);
    }

    async fn invitations(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let first = slide(&alice, &upto(9)).await;
        let room = create(&bob, json!({ "name": "Secret", "invite": ["@alice:test"] })).await;
        say(&bob, &room, "not yet").await;
        let came = slide_on(&alice, &first, &upto(9)).await;
        let part = &came["rooms"][&room];
        assert_eq!((&part["initial"], &part["name"]), (&json!(true), &json!("Secret")));
        let stripped = list(part, "/invite_state");
        assert_eq!(content(of_state(stripped, "m.room.member", "@alice:test"))["membership"], "invite");
        only_own_is_whole(stripped, "@alice:test");
        assert_eq!(content(of_state(stripped, "m.room.name", "")), &json!({ "name": "Secret" }));
        assert!(list(part, "/timeline").is_empty(), "{part}");
        // Joined, it is a room like others.
        join(&alice, &room).await;
        let came = slide_on(&alice, &came, &with_state(&json!([["m.room.create", ""]]))).await;
        let part = &came["rooms"][&room];
        assert!(of_kind(list(part, "/required_state"), "m.room.create").is_some(), "{part}");
        assert!(of_state(list(part, "/timeline"), "m.room.member", "@alice:test").is_some(), "{part}");
        assert!(part.get("invite_state").is_none_or(Value::is_null), "{part}");
    }

    async fn filters(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let plain = named(&alice, "plain").await;
        let direct = create(&alice, json!({ "is_direct": true, "invite": ["@bob:test"] })).await;
        set_data(&alice, "m.direct", json!({ "@bob:test": [direct] })).await;
        let secret = create(&alice, json!({ "initial_state": [{
            "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" },
        }] })).await;
        let space = create(&alice, json!({ "creation_content": { "type": "m.space" } })).await;
        set_state(&alice, &space, "m.space.child", &plain, json!({ "via": ["test"] })).await;
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        for (room, tag) in [(&plain, "m.favourite"), (&secret, "m.lowpriority")] {
            ok(alice.put(&format!("{CS}/user/@alice:test/rooms/{}/tags/{tag}", enc(room)), json!({})).await);
        }
        for (filter, expected) in [
            (json!({}), vec![&plain, &direct, &secret, &space, &invited]),
            (json!({ "is_dm": true }), vec![&direct]),
            (json!({ "is_dm": false }), vec![&plain, &secret, &space, &invited]),
            (json!({ "is_encrypted": true }), vec![&secret]),
            (json!({ "is_invite": true }), vec![&invited]),
            (json!({ "is_invite": false }), vec![&plain, &direct, &secret, &space]),
            (json!({ "room_types": ["m.space"] }), vec![&space]),
            (json!({ "room_types": [null], "is_invite": false }), vec![&plain, &direct, &secret]),
            (json!({ "not_room_types": ["m.space"], "is_invite": false }), vec![&plain, &direct, &secret]),
            (json!({ "tags": ["m.favourite", "m.lowpriority"] }), vec![&plain, &secret]),
            (json!({ "tags": ["m.favourite", "m.lowpriority"], "not_tags": ["m.lowpriority"] }), vec![&plain]),
            (json!({ "is_encrypted": false, "is_dm": false, "is_invite": false }), vec![&plain, &space]),
        ] {
            let answer = slide(&alice, &with_filter(&filter)).await;
            assert_eq!(rooms(&answer), sorted(&expected), "{filter}");
            assert_eq!(answer["lists"]["all"]["count"], expected.len(), "{filter}");
        }
        let answer = slide(&alice, &upto(99)).await;
        assert_eq!(answer["rooms"][&direct]["is_dm"], true);
        assert_ne!(answer["rooms"][&plain]["is_dm"], true);
    }

    async fn filters_by_space(server: Server) {
        let alice = server.user("alice").await;
        let (inside, outside) = (named(&alice, "inside").await, named(&alice, "outside").await);
        let space = create(&alice, json!({ "creation_content": { "type": "m.space" } })).await;
        set_state(&alice, &space, "m.space.child", &inside, json!({ "via": ["test"] })).await;
        let answer = slide(&alice, &with_filter(&json!({ "spaces": [space, "!unknown:test"] }))).await;
        assert_eq!(rooms(&answer), [inside], "{outside} is not in it");
    }

    async fn two_lists(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let joined = named(&alice, "joined").await;
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let body = json!({ "lists": {
            "rooms": { "ranges": [[0, 9]], "required_state": [], "timeline_limit": 1, "filters": { "is_invite": false } },
            "invites": { "ranges": [[0, 9]], "required_state": [], "timeline_limit": 1, "filters": { "is_invite": true } },
        } });
        let answer = slide(&alice, &body).await;
        assert_eq!(rooms(&answer), sorted(&[&joined, &invited]));
        assert_eq!((&answer["lists"]["rooms"]["count"], &answer["lists"]["invites"]["count"]), (&json!(1), &json!(1)));
        // Several ranges in one list.
        for name in ["a", "b", "c"] {
            named(&alice, name).await;
        }
        let body = json!({ "lists": { "all": {
            "ranges": [[0, 0], [3, 3]], "required_state": [], "timeline_limit": 1, "filters": { "is_invite": false },
        } } });
        let answer = slide(&alice, &body).await;
        let names: Vec<&Value> = answer["rooms"].as_object().unwrap().values().map(|room| &room["name"]).collect();
        assert!(names.len() == 2 && names.contains(&&json!("c")) && names.contains(&&json!("joined")), "{names:?}");
    }

    async fn heroes_name_a_room_without_name(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        ok(bob.put(&format!("{CS}/profile/@bob:test/avatar_url"), json!({ "avatar_url": "mxc://test/bob" })).await);
        let (unnamed, with_name) = (create_public(&alice).await, named(&alice, "name").await);
        join(&bob, &unnamed).await;
        join(&bob, &with_name).await;
        let answer = slide(&alice, &upto(9)).await;
        let hero = json!({ "user_id": "@bob:test", "displayname": "bob", "avatar_url": "mxc://test/bob" });
        assert_eq!(answer["rooms"][&unnamed]["heroes"], json!([hero]));
        assert!(answer["rooms"][&unnamed].get("name").is_none_or(Value::is_null), "{answer}");
        assert!(list(&answer["rooms"][&with_name], "/heroes").is_empty(), "{answer}");
    }

    async fn left_and_thrown_out(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (stays, left, kicked) = (named(&alice, "stays").await, named(&alice, "left").await, named(&alice, "kicked").await);
        for room in [&stays, &left, &kicked] {
            join(&bob, room).await;
        }
        let body = with_state(&json!([["m.room.member", "$ME"]]));
        let first = slide(&bob, &body).await;
        assert_eq!(first["lists"]["all"]["count"], 3);
        leave(&bob, &left).await;
        kick(&alice, &kicked, "@bob:test").await;
        say(&alice, &left, "unheard").await;
        say(&alice, &kicked, "unheard").await;
        let came = slide_on(&bob, &first, &body).await;
        assert_eq!(rooms(&came), sorted(&[&left, &kicked]));
        for room in [&left, &kicked] {
            let own = list(&came["rooms"][room], "/timeline").iter()
                .rfind(|event| event["type"] == "m.room.member" && event["state_key"] == "@bob:test");
            assert_eq!(content(own)["membership"], "leave", "{came}");
            assert_eq!(said(&came, room), [] as [&str; 0]);
        }
        assert_eq!(rooms(&slide_on(&bob, &came, &body).await), [] as [String; 0]);
        // A new connection has the one that was thrown out of, and not the one that was left.
        let fresh = slide(&bob, &body).await;
        assert_eq!(rooms(&fresh), sorted(&[&stays, &kicked]));
        // Back again.
        join(&bob, &left).await;
        say(&alice, &left, "welcome").await;
        let came = slide_on(&bob, &fresh, &body).await;
        assert_eq!(said(&came, &left).last(), Some(&"welcome"));
    }

    async fn thrown_out_at_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        let mut body = with_state(&json!([["m.room.member", "$LAZY"]]));
        let mut last = slide(&bob, &body).await;
        for limit in [5, 1, 0] {
            body["lists"]["all"]["timeline_limit"] = json!(limit);
            join(&bob, &room).await;
            kick(&alice, &room, "@bob:test").await;
            last = slide_on(&bob, &last, &body).await;
            let state = list(&last["rooms"][&room], "/required_state");
            let own: Vec<&Value> = state.iter().filter(|event| event["state_key"] == "@bob:test").collect();
            assert_eq!(own.len(), 1, "{last}");
            assert_eq!(own[0]["content"]["membership"], "leave");
        }
    }

    async fn positions(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        say(&bob, &room, "once").await;
        // The response may have been lost: the same position is requested again.
        let came = slide_on(&alice, &first, &upto(9)).await;
        let again = slide_on(&alice, &first, &upto(9)).await;
        assert_eq!((said(&came, &room), said(&again, &room)), (vec!["once"], vec!["once"]));
        let after = slide_on(&alice, &again, &upto(9)).await;
        assert_eq!(rooms(&after), [] as [String; 0]);
        // Positions are those of one account and one device.
        let unknown = (400, "M_UNKNOWN_POS");
        let phone = server.log_in("alice", "alice's password").await;
        for other in [&bob, &phone] {
            let reply = try_slide(other, &format!("timeout=0&pos={}", enc(at(&after, "/pos"))), &upto(9)).await;
            assert_eq!(code(&reply), unknown, "{}", reply.body);
        }
        for pos in ["nonsense", "0", "99999/s1_2_3", "%C3%A9"] {
            let reply = try_slide(&alice, &format!("timeout=0&pos={pos}"), &upto(9)).await;
            assert_eq!(reply.status, 400, "{pos}: {}", reply.body);
        }
        // A client that has lost the position starts again.
        assert_eq!(slide(&alice, &upto(9)).await["rooms"][&room]["initial"], true);
    }

    async fn connections_are_apart(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let of = |name: &str| {
            let mut body = upto(9);
            body["conn_id"] = json!(name);
            body
        };
        let one = slide(&alice, &of("one")).await;
        let two = slide(&alice, &of("two")).await;
        assert_eq!((&one["rooms"][&room]["initial"], &two["rooms"][&room]["initial"]), (&json!(true), &json!(true)));
        say(&bob, &room, "both").await;
        assert_eq!(said(&slide_on(&alice, &one, &of("one")).await, &room), ["both"]);
        assert_eq!(said(&slide_on(&alice, &two, &of("two")).await, &room), ["both"]);
    }

    async fn after_a_restart(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        say(&bob, &room, "meanwhile").await;
        server.restart(|_| {}).await;
        let alice = server.with_token(alice.token.as_deref().unwrap());
        let reply = try_slide(&alice, &format!("timeout=0&pos={}", enc(at(&first, "/pos"))), &upto(9)).await;
        // It may have forgotten the connection, but then it returns an error.
        if reply.status == 200 {
            assert_eq!(said(&reply.body, &room), ["meanwhile"]);
        } else {
            assert_eq!(code(&reply), (400, "M_UNKNOWN_POS"));
            assert_eq!(said(&slide(&alice, &upto(9)).await, &room).last(), Some(&"meanwhile"));
        }
    }

    async fn the_order_of_rooms(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let stamp = |answer: &Value| answer["rooms"][&room]["bump_stamp"].as_i64();
        let first = slide(&alice, &upto(9)).await;
        let before = stamp(&first).unwrap();
        // A message is activity, a topic or a reaction is none.
        let message = say(&bob, &room, "m").await;
        let came = slide_on(&alice, &first, &upto(9)).await;
        let after = stamp(&came).unwrap();
        assert!(after > before);
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "T" })).await;
        react(&bob, &room, &message, "x").await;
        let came = slide_on(&alice, &came, &upto(9)).await;
        assert!(stamp(&came).is_none_or(|stamp| stamp == after), "{came}");
    }

    async fn account_data(server: Server) {
        let alice = server.user("alice").await;
        let room = named(&alice, "room").await;
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        set_room_data(&alice, &room, "org.example.b", json!({ "b": 1 })).await;
        let body = with_extension("account_data");
        let data = |answer: &Value| {
            let data = &answer["extensions"]["account_data"];
            let global = content(of_kind(list(data, "/global"), "org.example.a")).clone();
            (global, content(of_kind(list(&data["rooms"][&room], ""), "org.example.b")).clone())
        };
        let first = slide(&alice, &body).await;
        assert_eq!(data(&first), (json!({ "a": 1 }), json!({ "b": 1 })));
        assert!(of_kind(list(&first, "/extensions/account_data/global"), "m.push_rules").is_some(), "{first}");
        let none = slide_on(&alice, &first, &body).await;
        assert_eq!(data(&none), (Value::Null, Value::Null));
        set_data(&alice, "org.example.a", json!({ "a": 2 })).await;
        set_room_data(&alice, &room, "org.example.b", json!({ "b": 2 })).await;
        let came = slide_on(&alice, &none, &body).await;
        assert_eq!(data(&came), (json!({ "a": 2 }), json!({ "b": 2 })));
        // Extensions that are not requested are not returned.
        let silent = slide(&alice, &upto(9)).await;
        assert!(silent["extensions"].get("account_data").is_none_or(Value::is_null), "{silent}");
    }

    async fn settings_that_follow_into_an_upgraded_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let old = create_version(&alice, "10").await;
        join(&bob, &old).await;
        ok(bob.put(&format!("{CS}/user/@bob:test/rooms/{}/tags/u.mine", enc(&old)), json!({})).await);
        ok(bob.put(&format!("{CS}/pushrules/global/room/{}", enc(&old)), json!({ "actions": [] })).await);
        set_data(&bob, "m.direct", json!({ "@alice:test": [old] })).await;
        let body = with_extension("account_data");
        let first = slide(&bob, &body).await;
        let upgraded = ok(alice.post(&room_path(&old, "upgrade"), json!({ "new_version": "11" })).await);
        let new = at(&upgraded, "/replacement_room");
        join(&bob, new).await;
        let came = slide_on(&bob, &first, &body).await;
        let data = &came["extensions"]["account_data"];
        assert_eq!(content(of_kind(list(&data["rooms"][new], ""), "m.tag")), &json!({ "tags": { "u.mine": {} } }));
        let global = list(data, "/global");
        assert_eq!(content(of_kind(global, "m.direct")), &json!({ "@alice:test": [old, new] }));
        assert_eq!(content(of_kind(global, "m.push_rules"))["global"]["room"][0]["rule_id"], new);
    }

    async fn receipts_and_typing(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let message = say(&alice, &room, "m").await;
        let mut body = with_extension("receipts");
        body["extensions"]["typing"] = json!({ "enabled": true });
        let first = slide(&alice, &body).await;
        receipt(&bob, &room, "m.read", &message, json!({})).await;
        let of = |answer: &Value, kind: &str| answer["extensions"][kind]["rooms"][&room]["content"].clone();
        let came = slide_until(&alice, &first, &body, |answer| !of(answer, "receipts").is_null()).await;
        assert!(of(&came, "receipts")[&message]["m.read"]["@bob:test"]["ts"].is_i64(), "{came}");
        typing(&bob, &room, true).await;
        let came = slide_until(&alice, &came, &body, |answer| !of(answer, "typing").is_null()).await;
        assert_eq!(of(&came, "typing"), json!({ "user_ids": ["@bob:test"] }));
        typing(&bob, &room, false).await;
        let came = slide_until(&alice, &came, &body, |answer| !of(answer, "typing").is_null()).await;
        assert_eq!(of(&came, "typing"), json!({ "user_ids": [] }));
        // Private receipts stay private.
        receipt(&bob, &room, "m.read.private", &message, json!({})).await;
        let came = slide_on(&alice, &came, &body).await;
        assert!(of(&came, "receipts")[&message].get("m.read.private").is_none(), "{came}");
    }

    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        let list = |list: Value| json!({ "lists": { "a": list } });
        let many: Value = (0..101).map(|number| {
            (number.to_string(), json!({ "ranges": [[0, 1]], "required_state": [], "timeline_limit": 1 }))
        }).collect::<serde_json::Map<String, Value>>().into();
        for body in [
            list(json!({ "ranges": [[0, 1]], "timeline_limit": 1 })),
            list(json!({ "ranges": [[0, 1]], "required_state": [] })),
            list(json!({ "ranges": [[0, 1]], "required_state": [["m.room.name"]], "timeline_limit": 1 })),
            list(json!({ "ranges": [[-1, 1]], "required_state": [], "timeline_limit": 1 })),
            list(json!({ "ranges": "all", "required_state": [], "timeline_limit": 1 })),
            json!({ "lists": [] }),
            json!({ "lists": many }),
            json!({ "room_subscriptions": { "!a:test": { "timeline_limit": "many", "required_state": [] } } }),
        ] {
            let reply = try_slide(&alice, "timeout=0", &body).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.body);
            assert!(["M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM"].contains(&reply.refusal().1), "{}", reply.body);
        }
        assert_eq!(try_slide(&server.stranger(), "timeout=0", &upto(1)).await.refusal().1, "M_MISSING_TOKEN");
    }

    async fn the_transaction_is_for_the_sending_device(server: Server) {
        let alice = server.user("alice").await;
        let phone = server.log_in("alice", "alice's password").await;
        let room = named(&alice, "room").await;
        let (own, other) = (slide(&alice, &upto(9)).await, slide(&phone, &upto(9)).await);
        let content = json!({ "msgtype": "m.text", "body": "m" });
        ok(alice.put(&room_path(&room, "send/m.room.message/my-own-id"), content).await);
        let of = |answer: &Value| list(&answer["rooms"][&room], "/timeline")[0]["unsigned"].get("transaction_id").cloned();
        assert_eq!(of(&slide_on(&alice, &own, &upto(9)).await), Some(json!("my-own-id")));
        assert_eq!(of(&slide_on(&phone, &other, &upto(9)).await), None);
    }

    async fn state_that_is_wanted_later(server: Server) {
        let alice = server.user("alice").await;
        let room = named(&alice, "name").await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "first" })).await;
        say_many(&alice, &room, "m", 3).await;
        let (name, both) = (json!([["m.room.name", ""]]), json!([["m.room.name", ""], ["m.room.topic", ""]]));
        let kinds = |answer: &Value| -> Vec<String> {
            let state = list(&answer["rooms"][&room], "/required_state").iter();
            state.map(|event| at(event, "/type").to_owned()).collect()
        };
        let first = slide(&alice, &with_state(&name)).await;
        assert_eq!(kinds(&first), ["m.room.name"]);
        // At once, and only what is new.
        let more = slide_on(&alice, &first, &with_state(&both)).await;
        assert_eq!(kinds(&more), ["m.room.topic"]);
        assert_ne!(more["rooms"][&room]["initial"], true);
        // Data that was not requested for a while and did not change is not repeated.
        let less = slide_on(&alice, &more, &with_state(&name)).await;
        let again = slide_on(&alice, &less, &with_state(&both)).await;
        assert_eq!((rooms(&less), rooms(&again)), (vec![], vec![]));
        let less = slide_on(&alice, &again, &with_state(&name)).await;
        set_state(&alice, &room, "m.room.topic", "", json!({ "topic": "second" })).await;
        let less = slide_on(&alice, &less, &with_state(&name)).await;
        assert_eq!(kinds(&less), [] as [&str; 0]);
        let again = slide_on(&alice, &less, &with_state(&both)).await;
        assert_eq!(kinds(&again), ["m.room.topic"]);
        assert_eq!(content(list(&again["rooms"][&room], "/required_state").first()), &json!({ "topic": "second" }));
    }

    async fn all_state_with_members_when_needed(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = named(&alice, "name").await;
        join(&carol, &room).await;
        join(&bob, &room).await;
        say_many(&bob, &room, "m", 3).await;
        let answer = slide(&alice, &with_state(&json!([["*", "*"], ["m.room.member", "$LAZY"]]))).await;
        let state = list(&answer["rooms"][&room], "/required_state");
        assert_eq!(keys_of(state, "m.room.member"), ["@bob:test"]);
        for kind in ["m.room.create", "m.room.name", "m.room.power_levels", "m.room.join_rules"] {
            assert_eq!(keys_of(state, kind), [""], "{kind}");
        }
    }

    async fn what_is_unread(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        assert_eq!(counts(&first["rooms"][&room]), (0, 0));
        say(&bob, &room, "one").await;
        let last = say(&bob, &room, "two").await;
        let came = slide_on(&alice, &first, &upto(9)).await;
        assert_eq!(counts(&came["rooms"][&room]), (2, 0));
        // Reading elsewhere is news, too.
        receipt(&alice, &room, "m.read", &last, json!({})).await;
        let read = slide_on(&alice, &came, &upto(9)).await;
        assert_eq!((rooms(&read), counts(&read["rooms"][&room])), (vec![room.clone()], (0, 0)));
        assert_eq!(said(&read, &room), [] as [&str; 0]);
        assert_eq!(rooms(&slide_on(&alice, &read, &upto(9)).await), [] as [String; 0]);
    }

    async fn extensions_for_some_rooms(server: Server) {
        let alice = server.user("alice").await;
        let (one, two) = (named(&alice, "one").await, named(&alice, "two").await);
        for room in [&one, &two] {
            set_room_data(&alice, room, "org.example.a", json!({ "a": 1 })).await;
        }
        let told = |answer: &Value| -> Vec<String> {
            let of_rooms = answer["extensions"]["account_data"]["rooms"].as_object();
            of_rooms.map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
        };
        let config = json!({ "required_state": [], "timeline_limit": 1 });
        for (lists, subscriptions, expected) in [
            (json!(["none"]), json!([]), vec![]),
            (json!([]), json!(["*"]), vec![two.clone()]),
            (json!([]), json!([two.clone()]), vec![two.clone()]),
            (json!(["newest"]), json!([]), vec![two.clone()]),
        ] {
            let body = json!({
                "lists": { "newest": { "ranges": [[0, 0]], "required_state": [], "timeline_limit": 1 } },
                "room_subscriptions": { two.clone(): config },
                "extensions": { "account_data": { "enabled": true, "lists": lists, "rooms": subscriptions } },
            });
            assert_eq!(told(&slide(&alice, &body).await), expected, "{body}");
        }
    }

    async fn a_room_becomes_a_direct_chat(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        assert_ne!(first["rooms"][&room]["is_dm"], true);
        set_data(&alice, "m.direct", json!({ "@bob:test": [room] })).await;
        let came = slide_on(&alice, &first, &upto(9)).await;
        assert_eq!(came["rooms"][&room]["is_dm"], true);
        set_data(&alice, "m.direct", json!({})).await;
        let came = slide_on(&alice, &came, &upto(9)).await;
        assert_eq!(came["rooms"][&room]["is_dm"], false);
        assert_eq!(rooms(&slide_on(&alice, &came, &upto(9)).await), [] as [String; 0]);
    }

    async fn an_invitation_is_declined(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&bob, json!({ "name": "Secret", "invite": ["@alice:test"] })).await;
        let body = with_state(&json!([["m.room.member", "$ME"], ["m.room.topic", ""]]));
        let first = slide(&alice, &body).await;
        assert_eq!(rooms(&first), [&*room]);
        set_state(&bob, &room, "m.room.topic", "", json!({ "topic": "unseen" })).await;
        leave(&alice, &room).await;
        let came = slide_on(&alice, &first, &body).await;
        let part = &came["rooms"][&room];
        assert_eq!(content(of_state(list(part, "/required_state"), "m.room.member", "@alice:test"))["membership"], "leave");
        assert_eq!((list(part, "/required_state").len(), list(part, "/timeline").len()), (1, 1));
        assert!(part.get("name").is_none(), "{part}");
        let after = slide_on(&alice, &came, &body).await;
        assert_eq!((rooms(&after), &after["lists"]["all"]["count"]), (vec![], &json!(0)));
    }

    async fn who_begins_anew_ends_what_was(server: Server) {
        let alice = server.user("alice").await;
        named(&alice, "room").await;
        let of = |name: String| {
            let mut body = upto(9);
            body["conn_id"] = json!(name);
            body["txn_id"] = json!("mine");
            body
        };
        let old = slide(&alice, &of("one".to_owned())).await;
        assert_eq!(old["txn_id"], "mine");
        let new = slide(&alice, &of("one".to_owned())).await;
        let gone = |answer: Value| {
            let alice = alice.clone();
            let query = format!("timeout=0&pos={}", enc(at(&answer, "/pos")));
            async move { code(&try_slide(&alice, &query, &of("one".to_owned())).await) == (400, "M_UNKNOWN_POS") }
        };
        assert!(gone(old).await);
        let new = slide_on(&alice, &new, &of("one".to_owned())).await;
        // The least used one makes room where there are very many.
        for number in 0..20 {
            slide(&alice, &of(number.to_string())).await;
        }
        assert!(gone(new).await);
    }

    async fn two_requests_from_one_position(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = named(&alice, "room").await;
        join(&bob, &room).await;
        let first = slide(&alice, &upto(9)).await;
        let (body, query) = (upto(9), format!("timeout=20000&pos={}", enc(at(&first, "/pos"))));
        // The second replaces the first, which may succeed or be refused; the second must succeed.
        let two = async {
            let second = async {
                // Until the first waits.
                while server.app().notifier.waiting() == 0 {
                    ok(alice.get(&format!("{CS}/account/whoami")).await);
                }
                let second = async { tokio::join!(try_slide(&alice, &query, &body), say(&bob, &room, "once")).0 };
                second.await
            };
            tokio::join!(try_slide(&alice, &query, &body), second).1
        };
        let second = ok(tokio::time::timeout(Duration::from_secs(20), two).await.unwrap());
        assert_eq!(said(&second, &room), ["once"]);
        say(&bob, &room, "more").await;
        assert_eq!(said(&slide_on(&alice, &second, &upto(9)).await, &room), ["more"]);
    }
}
