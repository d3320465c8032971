//! `GET v1/rooms`.

use std::cmp::Ordering;

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use super::{ROOMS, current_state, error};
use crate::rooms_kit::{add_alias, at, create, default_version, enc, join, leave, list, ok, set_state};

/// The orders of a list, the key that each uses, and true if it is ascending.
const ORDERS: [(&str, &str, bool); 15] = [
    ("alphabetical", "name", true),
    ("size", "joined_members", false),
    ("name", "name", true),
    ("canonical_alias", "canonical_alias", true),
    ("joined_members", "joined_members", false),
    ("joined_local_members", "joined_local_members", false),
    ("version", "version", false),
    ("creator", "creator", true),
    ("encryption", "encryption", true),
    ("federatable", "federatable", true),
    ("public", "public", true),
    ("join_rules", "join_rules", true),
    ("guest_access", "guest_access", true),
    ("history_visibility", "history_visibility", true),
    ("state_events", "state_events", false),
];

async fn page(admin: &Client, query: &str) -> Value {
    ok(admin.get(&format!("{ROOMS}?{query}")).await)
}

fn ids(page: &Value) -> Vec<String> {
    list(page, "/rooms").iter().map(|room| at(room, "/room_id").to_owned()).collect()
}

/// Which rooms a query finds, in order of their ids; the total must agree.
async fn found(admin: &Client, query: &str) -> Vec<String> {
    let page = page(admin, query).await;
    let mut ids = ids(&page);
    assert_eq!(page["total_rooms"], ids.len(), "{query}");
    ids.sort();
    ids
}

fn sorted<'a>(rooms: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut rooms: Vec<String> = rooms.into_iter().cloned().collect();
    rooms.sort();
    rooms
}

/// Ascending: rooms without a value come last.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        _ => a.as_str().unwrap().cmp(b.as_str().unwrap()),
    }
}

/// Rooms of many kinds, of three people.
async fn variety(alice: &Client, bob: &Client, carol: &Client) -> Vec<String> {
    let initial = |kind: &str, content: Value| json!([{ "type": kind, "state_key": "", "content": content }]);
    let encryption = initial("m.room.encryption", json!({ "algorithm": "m.megolm.v1.aes-sha2" }));
    let open = initial("m.room.history_visibility", json!({ "history_visibility": "world_readable" }));
    let guests = initial("m.room.guest_access", json!({ "guest_access": "forbidden" }));
    let knock = initial("m.room.join_rules", json!({ "join_rule": "knock" }));
    let space = json!({ "type": "m.space", "m.federate": false });
    let published = json!({
        "preset": "public_chat", "visibility": "public", "name": "Beta", "room_alias_name": "zeta",
    });
    let aliased = json!({ "preset": "public_chat", "name": "Beta", "room_alias_name": "Eta" });
    let mut rooms = Vec::new();
    for (creator, body) in [
        (alice, json!({})),
        (alice, published),
        (alice, json!({ "name": "alpha", "room_version": "10", "initial_state": encryption })),
        (bob, json!({ "name": "Äther", "room_version": "9", "creation_content": space })),
        (bob, json!({ "name": "beta", "room_version": "11", "initial_state": open })),
        (bob, aliased),
        (bob, json!({ "preset": "private_chat", "initial_state": knock })),
        (carol, json!({ "name": "100%", "preset": "public_chat", "initial_state": guests })),
    ] {
        rooms.push(create(creator, body).await);
    }
    join(bob, &rooms[1]).await;
    join(carol, &rooms[1]).await;
    join(alice, &rooms[5]).await;
    // The last one has no members.
    leave(carol, &rooms[7]).await;
    rooms
}

on_both_engines! {
    async fn no_rooms(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(ROOMS).await, (200, json!({ "offset": 0, "rooms": [], "total_rooms": 0 })));
    }

    async fn what_an_entry_says(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({
            "name": "Named", "topic": "About", "preset": "public_chat", "visibility": "public",
            "room_alias_name": "named", "creation_content": { "type": "m.space", "m.federate": false },
            "initial_state": [
                { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
                { "type": "m.room.guest_access", "content": { "guest_access": "can_join" } },
            ],
        })).await;
        join(&bob, &room).await;
        let entry = json!({
            "room_id": room, "name": "Named", "canonical_alias": "#named:test", "joined_members": 2,
            "joined_local_members": 2, "version": default_version(&alice).await, "creator": "@alice:test",
            "encryption": "m.megolm.v1.aes-sha2", "federatable": false, "public": true, "join_rules": "public",
            "guest_access": "can_join", "history_visibility": "shared",
            "state_events": current_state(&admin, &room).await.len(), "room_type": "m.space",
        });
        assert_eq!(page(&admin, "").await, json!({ "offset": 0, "rooms": [entry], "total_rooms": 1 }));
    }

    async fn an_entry_of_a_bare_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({ "preset": "private_chat" })).await;
        let entry = json!({
            "room_id": room, "name": null, "canonical_alias": null, "joined_members": 1, "joined_local_members": 1,
            "version": default_version(&alice).await, "creator": "@alice:test", "encryption": null,
            "federatable": true, "public": false, "join_rules": "invite", "guest_access": "can_join",
            "history_visibility": "shared", "state_events": current_state(&admin, &room).await.len(), "room_type": null,
        });
        assert_eq!(page(&admin, "").await["rooms"], json!([entry]));
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Now" })).await;
        set_state(&alice, &room, "m.room.guest_access", "", json!({ "guest_access": "forbidden" })).await;
        let now = page(&admin, "").await["rooms"][0].clone();
        assert_eq!((&now["name"], &now["guest_access"]), (&json!("Now"), &json!("forbidden")));
    }

    async fn every_order(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        variety(&alice, &bob, &carol).await;
        let all = page(&admin, "").await;
        assert_eq!(all["total_rooms"], 8);
        for (order, key, ascending) in ORDERS {
            let mut rooms = list(&all, "/rooms").to_vec();
            rooms.sort_by(|a, b| {
                compare(&a[key], &b[key]).then_with(|| at(a, "/room_id").cmp(at(b, "/room_id")))
            });
            for (dir, reversed) in [("", false), ("&dir=f", false), ("&dir=b", true)] {
                let mut wanted: Vec<&Value> = rooms.iter().collect();
                // The tie-break turns with the order.
                if ascending == reversed {
                    wanted.reverse();
                }
                let values = |rooms: &[&Value]| -> Vec<(Value, String)> {
                    rooms.iter().map(|room| (room[key].clone(), at(room, "/room_id").to_owned())).collect()
                };
                let got = page(&admin, &format!("order_by={order}{dir}")).await;
                let got: Vec<&Value> = list(&got, "/rooms").iter().collect();
                assert_eq!(values(&got), values(&wanted), "{order}{dir}");
            }
        }
        let by_name = page(&admin, "order_by=alphabetical").await;
        assert_eq!(ids(&by_name), ids(&all), "by name unless asked otherwise");
    }

    async fn pages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for n in 0..7 {
            create(&alice, json!({ "name": format!("room {}", n % 3) })).await;
        }
        for order in ["order_by=name", "order_by=name&dir=b", "order_by=state_events", "search_term=room"] {
            let all = ids(&page(&admin, order).await);
            assert_eq!(all.len(), 7, "{order}");
            for limit in [1, 2, 3, 7, 100] {
                let (mut from, mut got) = (0, Vec::new());
                loop {
                    let page = page(&admin, &format!("{order}&limit={limit}&from={from}")).await;
                    assert_eq!((&page["offset"], &page["total_rooms"]), (&json!(from), &json!(7)));
                    let prev = (from > 0).then(|| json!((from - limit).max(0)));
                    assert_eq!(page.get("prev_batch"), prev.as_ref(), "{order} {limit} {from}");
                    got.extend(ids(&page));
                    let Some(next) = page.get("next_batch") else { break };
                    assert_eq!(next, from + limit);
                    from += limit;
                }
                assert_eq!(got, all, "{order} {limit}");
            }
        }
    }

    async fn edges_of_pages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for _ in 0..3 {
            create(&alice, json!({})).await;
        }
        let empty = |offset: i64, more: Value| {
            let mut page = json!({ "offset": offset, "rooms": [], "total_rooms": 3 });
            page.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            page
        };
        assert_eq!(page(&admin, "limit=0").await, empty(0, json!({ "next_batch": 0 })));
        assert_eq!(page(&admin, "limit=0&from=2").await, empty(2, json!({ "next_batch": 2, "prev_batch": 2 })));
        assert_eq!(page(&admin, "limit=2&from=3").await, empty(3, json!({ "prev_batch": 1 })));
        assert_eq!(page(&admin, "limit=2&from=100").await, empty(100, json!({ "prev_batch": 98 })));
        let odd = page(&admin, "limit=2&from=1").await;
        assert_eq!((odd.get("next_batch"), odd.get("prev_batch")), (None, Some(&json!(0))));
        assert_eq!(ids(&odd).len(), 2);
        assert_eq!(ids(&page(&admin, "limit=9223372036854775807").await).len(), 3);
        assert_eq!(ids(&page(&admin, "limit=1&from=9223372036854775807").await).len(), 0);
    }

    async fn search(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let crab = json!({ "name": "Quiet", "room_alias_name": "Crab_Party", "topic": "unfindable" });
        let mut rooms = Vec::new();
        for body in [json!({ "name": "Rust Users" }), json!({ "name": "100% pure" }), json!({ "name": "a_b" }),
            json!({ "name": "aXb" }), crab, json!({}), json!({ "name": "Straße 東京" })] {
            rooms.push(create(&alice, body).await);
        }
        add_alias(&alice, &rooms[5], "secondary").await;
        let id = rooms[3].clone();
        let cases: [(&str, &[usize]); 24] = [
            ("Rust", &[0]), ("rust", &[0]), ("UST US", &[0]), ("t u", &[0]), ("Rust Users", &[0]),
            // Nothing has a meaning of its own.
            ("%", &[1]), ("0% p", &[1]), ("_", &[2, 4]), ("a_b", &[2]), ("a?b", &[]), ("a*b", &[]), ("\\", &[]), ("'", &[]), ("\"", &[]),
            ("crab", &[4]), ("B_PART", &[4]), ("#crab", &[]), (":test", &[]), ("party:", &[]),
            ("東京", &[6]), ("straße", &[6]),
            ("unfindable", &[]), ("alice", &[]), ("secondary", &[]),
        ];
        for (term, wanted) in cases {
            let wanted = sorted(wanted.iter().map(|&n| &rooms[n]));
            assert_eq!(found(&admin, &format!("search_term={}", enc(term))).await, wanted, "{term}");
        }
        for (term, wanted) in [(id.clone(), vec![id.clone()]), (id[1..].to_owned(), vec![]), (id[..9].to_owned(), vec![]), (format!("{id}x"), vec![])] {
            assert_eq!(found(&admin, &format!("search_term={}", enc(&term))).await, wanted, "{term}");
        }
        // The first of two counts, and a new name is found at once.
        assert_eq!(found(&admin, "search_term=rust&search_term=pure").await, vec![rooms[0].clone()]);
        set_state(&alice, &rooms[0], "m.room.name", "", json!({ "name": "Go Users" })).await;
        assert_eq!(found(&admin, "search_term=rust").await, Vec::<String>::new());
        assert_eq!(found(&admin, "search_term=go%20us").await, vec![rooms[0].clone()]);
    }

    async fn filters(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let rooms = variety(&alice, &bob, &carol).await;
        // Published, without members.
        let lost = json!({ "preset": "public_chat", "visibility": "public", "room_alias_name": "lost" });
        let lost = create(&alice, lost).await;
        leave(&alice, &lost).await;
        let all = sorted(rooms.iter().chain([&lost]));
        let published = [rooms[1].clone(), lost.clone()];
        let empty = [rooms[7].clone(), lost.clone()];
        let only = |wanted: &dyn Fn(&String) -> bool| -> Vec<String> { all.iter().filter(|room| wanted(room)).cloned().collect() };
        assert_eq!(found(&admin, "").await, all);
        assert_eq!(found(&admin, "public_rooms=true").await, only(&|room| published.contains(room)));
        assert_eq!(found(&admin, "public_rooms=false").await, only(&|room| !published.contains(room)));
        assert_eq!(found(&admin, "empty_rooms=true").await, only(&|room| empty.contains(room)));
        assert_eq!(found(&admin, "empty_rooms=false").await, only(&|room| !empty.contains(room)));
        assert_eq!(found(&admin, "public_rooms=true&empty_rooms=true").await, vec![lost.clone()]);
        assert_eq!(found(&admin, "public_rooms=true&empty_rooms=false").await, vec![rooms[1].clone()]);
        // A search is narrowed by filters, not widened.
        let beta = sorted([&rooms[1], &rooms[4], &rooms[5]]);
        assert_eq!(found(&admin, "search_term=beta").await, beta);
        assert_eq!(found(&admin, "search_term=beta&public_rooms=true").await, vec![rooms[1].clone()]);
        assert_eq!(found(&admin, "search_term=beta&public_rooms=false").await, sorted([&rooms[4], &rooms[5]]));
        assert_eq!(found(&admin, "search_term=beta&empty_rooms=false").await, beta);
        assert_eq!(found(&admin, "search_term=beta&empty_rooms=true").await, Vec::<String>::new());
        let limited = page(&admin, "search_term=beta&limit=2").await;
        assert_eq!((&limited["total_rooms"], &limited["next_batch"]), (&json!(3), &json!(2)));
    }

    async fn bad_queries(server: Server) {
        let admin = server.admin().await;
        let orders = "Query parameter 'order_by' must be one of ['alphabetical', 'size', 'name', 'canonical_alias', \
            'joined_members', 'joined_local_members', 'version', 'creator', 'encryption', 'federatable', 'public', \
            'join_rules', 'guest_access', 'history_visibility', 'state_events']";
        let dirs = "Query parameter 'dir' must be one of ['b', 'f']";
        for (query, text) in [
            ("order_by=x", orders), ("order_by=", orders), ("order_by=room_id", orders), ("order_by=Name", orders),
            ("dir=x", dirs), ("dir=", dirs), ("dir=F", dirs),
            ("limit=-1", "Query parameter limit must be a positive integer."),
            ("from=-1", "Query parameter from must be a positive integer."),
            ("limit=x", "Query parameter limit must be an integer"),
            ("limit=", "Query parameter limit must be an integer"),
            ("limit=99999999999999999999", "Query parameter limit must be an integer"),
            ("from=1.5", "Query parameter from must be an integer"),
            ("search_term=", "search_term cannot be an empty string"),
            ("public_rooms=x", "Boolean query parameter 'public_rooms' must be one of ['true', 'false']"),
            ("empty_rooms=", "Boolean query parameter 'empty_rooms' must be one of ['true', 'false']"),
        ] {
            assert_eq!(admin.get(&format!("{ROOMS}?{query}")).await, (400, error("M_INVALID_PARAM", text)), "{query}");
        }
        assert_eq!(ok(admin.get(&format!("{ROOMS}?from=0&limit=50&order_by=name&dir=f&other=x")).await)["total_rooms"], 0);
    }
}
