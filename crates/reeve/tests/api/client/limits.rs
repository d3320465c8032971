//! Limits of storage per account, and rate limits of acts that affect others.

use reeve_app::limits::RateLimit;
use reeve_testkit::{Client, Config, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;
use crate::sync_kit::*;

/// Little of everything.
fn small(config: &mut Config) {
    let limits = &mut config.policy.limits;
    (limits.account_data, limits.account_data_bytes) = (3, 1000);
    (limits.devices, limits.one_time_keys) = (2, 3);
    (limits.key_backups, limits.backed_up_keys, limits.key_backup_bytes) = (2, 2, 2000);
    (limits.pushers, limits.push_rules, limits.filters) = (2, 0, 2);
    (limits.aliases_per_account, limits.aliases_per_room, limits.reports) = (3, 2, 2);
    (limits.waiting_messages, limits.waiting_message_bytes) = (3, 1000);
    limits.waiting_message_bytes_per_account = 1200;
}

fn seldom(config: &mut Config) {
    config.rate_limits.enabled = true;
    config.rate_limits.message = RateLimit { per_second: 1000.0, burst: 1000 };
}

fn refused(reply: &Reply, status: u16, text: &str) {
    assert_eq!(reply.refusal(), (status, "M_TOO_LARGE", text));
}

fn limited(reply: &Reply) {
    assert_eq!(code(reply), (429, "M_LIMIT_EXCEEDED"), "{}", reply.body);
    assert!(reply.body["retry_after_ms"].as_i64().unwrap() > 0);
}

async fn tell(client: &Client, to: &Client, n: usize, length: usize) {
    let content = json!({ "n": n, "x": "x".repeat(length) });
    to_device(client, &to.user_id, &to.device_id, "org.example.n", content).await;
}

fn numbers(sync: &Value) -> Vec<i64> {
    list(sync, "/to_device/events").iter().map(|event| event["content"]["n"].as_i64().unwrap()).collect()
}

async fn unlimited(admin: &Client, user_id: &str) {
    let limit = json!({ "messages_per_second": 0, "burst_count": 0 });
    ok(admin.post(&format!("/_synapse/admin/v1/users/{user_id}/override_ratelimit"), limit).await);
}

on_both_engines! {
    #[config(small)]
    async fn account_data(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let put = async |rest: &str, content: Value| alice.put(&format!("{CS}/user/@alice:test/{rest}"), content).await;
        let of_room = |kind: &str| format!("rooms/{room}/{kind}");
        ok(put("account_data/org.a", json!({ "x": "y".repeat(400) })).await);
        ok(put(&of_room("account_data/org.b"), json!({ "x": "y".repeat(400) })).await);
        // In all rooms together, and none: tags, too.
        let long = "The account data of an account cannot have more than 1000 bytes";
        refused(&put("account_data/org.c", json!({ "x": "y".repeat(400) })).await, 413, long);
        refused(&put("account_data/org.a", json!({ "x": "y".repeat(700) })).await, 413, long);
        ok(put(&of_room("tags/u.t"), json!({})).await);
        let many = "An account cannot have more than 3 pieces of account data";
        refused(&put("account_data/org.c", json!({})).await, 400, many);
        refused(&put("rooms/!other:test/tags/u.t", json!({})).await, 400, many);
        // A refused request changes nothing, and a request that needs no more room is allowed.
        assert_eq!(alice.get(&format!("{CS}/user/@alice:test/account_data/org.c")).await.status, 404);
        ok(put("account_data/org.a", json!({ "x": "z".repeat(400) })).await);
        assert_eq!(global_data(&sync(&alice).await, "org.a")["x"], "z".repeat(400));
        ok(put("account_data/org.a", json!({})).await);
        ok(put(&of_room("account_data/org.b"), json!({ "x": "y".repeat(700) })).await);
        // Data managed by the server can still change.
        let event = say(&alice, &room, "m").await;
        ok(alice.post(&room_path(&room, "read_markers"), json!({ "m.fully_read": event })).await);
        // Each has room of their own, and a type has an end.
        ok(bob.put(&format!("{CS}/user/@bob:test/account_data/org.a"), json!({ "x": "y".repeat(400) })).await);
        let path = format!("{CS}/user/@bob:test/account_data/{}", "a".repeat(513));
        assert_eq!(code(&bob.put(&path, json!({})).await), (413, "M_TOO_LARGE"));
    }

    #[config(small)]
    async fn what_goes_makes_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let put = async |path: &str| alice.put(&format!("{CS}/user/@alice:test/{path}"), json!({ "x": "y".repeat(200) })).await;
        for kind in ["a", "b", "c"] {
            ok(put(&format!("rooms/{room}/account_data/{kind}")).await);
        }
        assert_eq!(put("account_data/d").await.status, 400);
        ok(admin.send(http::Method::DELETE, &format!("/_synapse/admin/v1/rooms/{room}"), &[], r#"{"bin":false}"#).await);
        for kind in ["d", "e", "f"] {
            ok(put(&format!("account_data/{kind}")).await);
        }
        assert_eq!(put("account_data/g").await.status, 400);
    }

    #[config(small)]
    async fn devices_and_their_keys(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let phone = server.log_in("alice", "alice's password").await;
        let many = "An account cannot have more than 2 devices";
        let log_in = |device: Value| json!({
            "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": device,
        });
        let login = format!("{CS}/login");
        refused(&server.stranger().post(&login, log_in(Value::Null)).await, 400, many);
        let devices = "/_synapse/admin/v2/users/@alice:test/devices";
        refused(&admin.post(devices, json!({ "device_id": "NEW" })).await, 400, many);
        // Its own devices it can use again, and make room.
        let again = ok(server.stranger().post(&login, log_in(json!(phone.device_id))).await);
        ok(server.with_token(at(&again, "/access_token")).post(&format!("{CS}/logout"), json!({})).await);
        ok(server.stranger().post(&login, log_in(Value::Null)).await);

        upload_keys(&alice).await;
        upload(&alice, json!({ "one_time_keys": one_time_keys(&["a", "b", "c"]) })).await;
        let reply = alice.post(&format!("{CS}/keys/upload"), json!({ "one_time_keys": one_time_keys(&["d"]) })).await;
        refused(&reply, 400, "A device cannot have more than 3 one-time keys of an algorithm");
        let other = json!({ "curve25519:a": "x", "curve25519:b": "x", "curve25519:c": "x" });
        let counts = upload(&alice, json!({ "one_time_keys": other })).await;
        assert_eq!(counts, json!({ "curve25519": 3, "signed_curve25519": 3 }));
        let very_many = Value::Object((0..11).map(|n| (format!("algorithm{n}:a"), json!("x"))).collect());
        let reply = alice.post(&format!("{CS}/keys/upload"), json!({ "one_time_keys": very_many })).await;
        refused(&reply, 400, "A device cannot have more than 10 algorithms of one-time keys");
    }

    #[config(small)]
    async fn backups_of_keys(server: Server) {
        let alice = server.user("alice").await;
        let path = format!("{CS}/room_keys/version");
        let body = |length: usize| json!({ "algorithm": "a", "auth_data": { "x": "x".repeat(length) } });
        refused(&alice.post(&path, body(70_000)).await, 413, "'auth_data' cannot have more than 65536 bytes");
        ok(alice.post(&path, body(1)).await);
        ok(alice.post(&path, body(1)).await);
        refused(&alice.post(&path, body(1)).await, 400, "An account cannot have more than 2 backups");
        ok(alice.delete(&format!("{path}/1")).await);
        ok(alice.post(&path, body(1)).await);
        let put = async |session: &str, length: usize| {
            let key = json!({
                "first_message_index": 1, "forwarded_count": 0, "is_verified": false,
                "session_data": { "ciphertext": "x".repeat(length) },
            });
            alice.put(&format!("{CS}/room_keys/keys/!r:test/{session}?version=3"), key).await
        };
        ok(put("a", 1).await);
        ok(put("b", 1).await);
        refused(&put("c", 1).await, 400, "An account cannot have more than 2 backed up keys");
        ok(put("b", 1).await);
        refused(&put("b", 20_000).await, 413, "A room key cannot have more than 16384 bytes");
        assert_eq!(code(&put(&"b".repeat(256), 1).await), (413, "M_TOO_LARGE"));
        let long = "The backups of an account cannot have more than 2000 bytes";
        ok(alice.delete(&format!("{CS}/room_keys/keys/!r:test/a?version=3")).await);
        refused(&put("c", 2000).await, 413, long);
        ok(put("c", 1800).await);
        // Old backups have keys, too, until they go.
        ok(alice.delete(&format!("{CS}/room_keys/keys/!r:test/b?version=3")).await);
        ok(alice.delete(&format!("{path}/2")).await);
        ok(alice.post(&path, body(1)).await);
        let key = |length: usize| json!({
            "first_message_index": 1, "forwarded_count": 0, "is_verified": false,
            "session_data": { "ciphertext": "x".repeat(length) },
        });
        let newest = format!("{CS}/room_keys/keys/!r:test/d?version=4");
        refused(&alice.put(&newest, key(300)).await, 413, long);
        ok(alice.delete(&format!("{CS}/room_keys/keys?version=3")).await);
        ok(alice.put(&newest, key(1900)).await);
    }

    #[config(small)]
    async fn pushers_rules_and_filters(server: Server) {
        let alice = server.user("alice").await;
        let set = async |key: &str| {
            let body = json!({
                "kind": "http", "app_id": "org.app", "pushkey": key, "app_display_name": "App",
                "device_display_name": "Phone", "lang": "en",
                "data": { "url": "https://push.example/_matrix/push/v1/notify" },
            });
            alice.post(&format!("{CS}/pushers/set"), body).await
        };
        ok(set("a").await);
        ok(set("b").await);
        refused(&set("c").await, 400, "An account cannot have more than 2 pushers");
        ok(set("b").await);

        let rule = |name: &str| format!("{CS}/pushrules/global/override/{name}");
        let reply = alice.put(&rule("own"), json!({ "actions": ["notify"], "conditions": [] })).await;
        refused(&reply, 400, "An account cannot have more than 0 push rules");
        // Those that there are can be changed.
        ok(alice.put(&rule(".m.rule.master/enabled"), json!({ "enabled": true })).await);

        let filter = async |limit: usize, name: String| {
            let filter = json!({ "room": { "timeline": { "limit": limit } }, "event_fields": [name] });
            alice.post(&format!("{CS}/user/@alice:test/filter"), filter).await
        };
        ok(filter(1, "a".to_owned()).await);
        let second = ok(filter(2, "a".to_owned()).await);
        refused(&filter(3, "a".to_owned()).await, 400, "An account cannot have more than 2 filters");
        assert_eq!(ok(filter(2, "a".to_owned()).await), second);
        refused(&filter(1, "a".repeat(70_000)).await, 413, "A filter cannot have more than 65536 bytes");
    }

    #[config(small)]
    async fn aliases_and_reports(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (one, two) = (create_public(&alice).await, create_public(&alice).await);
        let add = async |name: &str, room: &str| {
            alice.put(&format!("{CS}/directory/room/{}", enc(&format!("#{name}:test"))), json!({ "room_id": room })).await
        };
        ok(add("a", &one).await);
        ok(add("b", &one).await);
        refused(&add("c", &one).await, 400, "A room cannot have more than 2 aliases");
        ok(add("c", &two).await);
        refused(&add("d", &two).await, 400, "An account cannot have more than 3 aliases");
        let reply = alice.post(&format!("{CS}/createRoom"), json!({ "room_alias_name": "d" })).await;
        refused(&reply, 400, "An account cannot have more than 3 aliases");
        ok(alice.delete(&format!("{CS}/directory/room/{}", enc("#c:test"))).await);
        ok(alice.post(&format!("{CS}/createRoom"), json!({ "room_alias_name": "d" })).await);

        let event = say(&alice, &one, "m").await;
        join(&bob, &one).await;
        let reason = json!({ "reason": "spam" });
        for path in [
            room_path(&one, &format!("report/{}", enc(&event))),
            room_path(&one, "report"),
            format!("{CS}/users/@alice:test/report"),
        ] {
            ok(bob.post(&path, reason.clone()).await);
            ok(bob.post(&path, reason.clone()).await);
            refused(&bob.post(&path, reason.clone()).await, 400, "An account cannot have more than 2 unread reports");
            ok(alice.post(&path, reason.clone()).await);
        }
        // Reports of unknown users are not stored.
        for _ in 0..3 {
            assert_eq!(alice.post(&format!("{CS}/users/@nobody:test/report"), reason.clone()).await, (200, json!({})));
        }
        ok(alice.post(&format!("{CS}/users/@alice:test/report"), reason.clone()).await);
        let admin = server.admin().await;
        let reports = ok(admin.get("/_synapse/admin/v1/event_reports?dir=f&user_id=@bob:test").await);
        ok(admin.delete(&format!("/_synapse/admin/v1/event_reports/{}", reports["event_reports"][0]["id"])).await);
        ok(bob.post(&room_path(&one, &format!("report/{}", enc(&event))), reason).await);
    }

    #[config(small)]
    async fn messages_to_devices(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        for n in 0..5 {
            tell(&bob, &alice, n, 1).await;
        }
        let came = sync(&alice).await;
        assert_eq!(numbers(&came), [2, 3, 4], "the oldest of too many go");
        sync_since(&alice, &next(&came)).await;
        for (n, length) in [(5, 300), (6, 300), (7, 300)] {
            tell(&bob, &alice, n, length).await;
        }
        let came = sync(&alice).await;
        assert_eq!(numbers(&came), [5, 6, 7]);
        tell(&bob, &alice, 8, 900).await;
        assert_eq!(numbers(&sync(&alice).await), [7, 8], "the oldest of too long ones go");
        // Messages of unknown devices are not stored.
        to_device(&bob, "@nobody:test", "*", "org.example.n", json!({ "n": 1 })).await;
        to_device(&bob, "@alice:test", "NONE", "org.example.n", json!({ "n": 1 })).await;
        assert_eq!(numbers(&sync(&alice).await), [7, 8]);
        // Two devices share what may wait for the account.
        let another = json!({ "device_id": "OTHER" });
        assert_eq!(admin.post("/_synapse/admin/v2/users/@alice:test/devices", another).await.status, 201);
        tell(&bob, &alice, 9, 300).await;
        tell(&bob, &alice, 10, 300).await;
        tell(&bob, &alice, 11, 300).await;
        assert_eq!(numbers(&sync(&alice).await), [10, 11]);
    }

    async fn one_request_to_very_many_devices(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        for n in 0..300 {
            let body = json!({ "device_id": format!("D{n}") });
            assert_eq!(admin.post("/_synapse/admin/v2/users/@alice:test/devices", body).await.status, 201);
        }
        let body = json!({ "messages": { "@alice:test": { "*": { "x": "x".repeat(60_000) } } } });
        let reply = bob.put(&format!("{CS}/sendToDevice/org.example.n/{}", txn()), body).await;
        refused(&reply, 413, "The messages of a request cannot have more than 16777216 bytes");
        assert_eq!(list(&sync(&alice).await, "/to_device/events").len(), 0);
    }

    #[config(|config| { seldom(config); config.rate_limits.joins.burst = 3; config.rate_limits.joins_per_room.burst = 2; })]
    async fn joins(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        unlimited(&admin, "@alice:test").await;
        let mut rooms = Vec::new();
        for _ in 0..4 {
            rooms.push(create_public(&alice).await);
        }
        let private = create(&alice, json!({})).await;
        let try_join = async |client: &Client, room: &str| client.post(&format!("{CS}/join/{}", enc(room)), json!({})).await;
        // Failed requests are not counted, and neither are joins of joined rooms.
        for _ in 0..5 {
            assert_eq!(code(&try_join(&bob, &private).await), (403, "M_FORBIDDEN"));
            assert_eq!(try_join(&bob, "!unknown:test").await.status, 403);
        }
        for room in [&rooms[0], &rooms[0], &rooms[0], &rooms[1]] {
            ok(try_join(&bob, room).await);
        }
        let member = state_path(&rooms[2], "m.room.member", "@bob:test");
        ok(bob.put(&member, json!({ "membership": "join" })).await);
        limited(&try_join(&bob, &rooms[3]).await);
        limited(&bob.put(&state_path(&rooms[3], "m.room.member", "@bob:test"), json!({ "membership": "join" })).await);
        ok(bob.put(&member, json!({ "membership": "join", "displayname": "B" })).await);
        // A room accepts a number of joins, of all users together.
        let (carol, dora) = (server.user("carol").await, server.user("dora").await);
        ok(try_join(&carol, &rooms[0]).await);
        limited(&try_join(&dora, &rooms[0]).await);
        ok(try_join(&dora, &rooms[1]).await);
        server.clock.advance(1000);
        ok(try_join(&dora, &rooms[0]).await);
        unlimited(&admin, "@bob:test").await;
        ok(try_join(&bob, &rooms[3]).await);
    }

    #[config(|config| {
        seldom(config);
        config.rate_limits.invites_per_sender.burst = 4;
        config.rate_limits.invites_per_recipient.burst = 2;
        config.rate_limits.invites_per_room.burst = 3;
    })]
    async fn invites(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        for name in ["a", "b", "c", "d", "e"] {
            server.create(name, false).await;
        }
        let try_invite = async |client: &Client, room: &str, name: &str| {
            client.post(&room_path(room, "invite"), json!({ "user_id": format!("@{name}:test") })).await
        };
        let room = create_public(&alice).await;
        for _ in 0..5 {
            assert_eq!(code(&try_invite(&bob, &room, "a").await), (403, "M_FORBIDDEN"), "it costs nobody anything");
        }
        ok(try_invite(&alice, &room, "a").await);
        ok(try_invite(&alice, &room, "b").await);
        ok(alice.put(&state_path(&room, "m.room.member", "@c:test"), json!({ "membership": "invite" })).await);
        limited(&try_invite(&alice, &room, "d").await);
        limited(&alice.put(&state_path(&room, "m.room.member", "@d:test"), json!({ "membership": "invite" })).await);
        // The sender has one more, for another room.
        let create = async |client: &Client, names: &[&str]| {
            let invite: Vec<String> = names.iter().map(|name| format!("@{name}:test")).collect();
            client.post(&format!("{CS}/createRoom"), json!({ "invite": invite })).await
        };
        limited(&create(&alice, &["d", "e"]).await);
        ok(create(&alice, &["a"]).await);
        limited(&create(&alice, &["d"]).await);
        // By now too many invited that one.
        limited(&create(&bob, &["a"]).await);
        ok(create(&bob, &["b", "c", "d"]).await);
        let many = "Cannot invite so many users at once";
        assert_eq!(create(&bob, &["a", "b", "c", "d", "e"]).await.refusal(), (400, "M_UNKNOWN", many));
        server.clock.advance(400_000);
        ok(create(&bob, &["a"]).await);
        unlimited(&admin, "@bob:test").await;
        ok(create(&bob, &["a", "b", "c", "d", "e"]).await);
    }

    #[config(|config| {
        seldom(config);
        config.policy.registration_enabled = true;
        let twice = RateLimit { per_second: 0.01, burst: 2 };
        let limits = &mut config.rate_limits;
        (limits.profile, limits.room_creation, limits.reports, limits.to_device) = (twice, twice, twice, twice);
        limits.registration_attempts = twice;
    })]
    async fn other_deeds(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        let create = format!("{CS}/createRoom");
        ok(alice.post(&room_path(&room, "upgrade"), json!({ "new_version": "10" })).await);
        limited(&alice.post(&create, json!({})).await);
        limited(&alice.post(&room_path(&room, "upgrade"), json!({ "new_version": "11" })).await);
        let profile = |key: &str| format!("{CS}/profile/@alice:test/{key}");
        ok(alice.put(&profile("displayname"), json!({ "displayname": "A" })).await);
        ok(alice.put(&profile("org.example.x"), json!({ "org.example.x": 1 })).await);
        limited(&alice.put(&profile("avatar_url"), json!({ "avatar_url": "mxc://test/x" })).await);
        limited(&alice.delete(&profile("org.example.x")).await);
        let report = |user: &str| format!("{CS}/users/{user}/report");
        ok(alice.post(&report("@admin:test"), json!({ "reason": "x" })).await);
        ok(alice.post(&report("@nobody:test"), json!({ "reason": "x" })).await);
        limited(&alice.post(&report("@admin:test"), json!({ "reason": "x" })).await);
        limited(&alice.post(&room_path(&room, "report"), json!({ "reason": "x" })).await);
        let send = || format!("{CS}/sendToDevice/org.example.n/{}", txn());
        ok(alice.put(&send(), json!({ "messages": {} })).await);
        ok(alice.put(&send(), json!({ "messages": {} })).await);
        limited(&alice.put(&send(), json!({ "messages": {} })).await);
        // An exempted account is allowed, and no account is locked out for ever.
        unlimited(&admin, "@alice:test").await;
        ok(alice.post(&create, json!({})).await);
        ok(alice.put(&send(), json!({ "messages": {} })).await);
        // Registrations are counted from the first request on.
        let stranger = server.stranger();
        let register = format!("{CS}/register");
        assert_eq!(stranger.post(&register, json!({ "username": "x", "password": "long enough 1" })).await.status, 401);
        assert_eq!(stranger.post(&register, json!({ "username": "Ä" })).await.status, 400);
        limited(&stranger.post(&register, json!({ "username": "x", "password": "long enough 1" })).await);
        server.clock.advance(100_000);
        assert_eq!(stranger.post(&register, json!({ "username": "x", "password": "long enough 1" })).await.status, 401);
    }
}
