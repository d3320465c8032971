//! Long polling: any change ends the wait at once.

use reeve_testkit::{Server, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;
use crate::sync_kit::*;

/// Returns the number of reads that the database has run.
async fn reads(server: &Server) -> u64 {
    let metrics = server.stranger().get("/metrics").await;
    let mut lines = metrics.body.as_str().unwrap().lines();
    let count = lines.find_map(|line| line.strip_prefix("reeve_db_run_seconds_count{kind=\"read\"} "));
    count.unwrap().parse().unwrap()
}

on_both_engines! {
    async fn what_was_deleted_keeps_nobody_awake(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let (before, since) = (now(&alice).await, now(&carol).await);
        to_device(&bob, &alice.user_id, &alice.device_id, "org.example.n", json!({})).await;
        let came = sync_since(&alice, &before).await;
        assert_eq!(list(&came, "/to_device/events").len(), 1);
        let newest = server.app().db.read(reeve_store::stream::current).await.unwrap();
        while server.app().notifier.position() < newest {
            tokio::task::yield_now().await;
        }
        // Acknowledged, the message is deleted, and with it what had the newest position.
        sync_since(&alice, &next(&came)).await;
        let count = reads(&server).await;
        let nothing = sync_with(&carol, &format!("timeout=2000&since={}", enc(&since))).await;
        assert_eq!(list(&nothing, "/device_lists/changed"), [] as [Value; 0]);
        // The stream is looked at up to ten times a second.
        let more = reads(&server).await - count;
        assert!(more < 60, "{more} reads while nothing happened");
    }

    async fn who_has_lost_the_session_is_told_nothing_more(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        server.create("bob", false).await;
        let password = json!({ "new_password": "another password" });
        for (method, path, body) in [
            ("PUT", "/_synapse/admin/v2/users/@bob:test", json!({ "locked": true })),
            ("POST", "/_synapse/admin/v1/reset_password/@bob:test", password.clone()),
            ("DELETE", "/_synapse/admin/v2/users/@bob:test/devices/PHONE", json!({})),
        ] {
            admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "locked": false, "password": "bob's password" })).await;
            let login = json!({
                "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "bob" },
                "password": "bob's password", "device_id": "PHONE",
            });
            let reply = server.stranger().post(&format!("{CS}/login"), login).await;
            let mut bob = server.with_token(reply.text("access_token"));
            "@bob:test".clone_into(&mut bob.user_id);
            join(&bob, &room).await;
            let since = now(&bob).await;
            let sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
            let lists = json!({ "lists": { "all": { "ranges": [[0, 9]], "required_state": [], "timeline_limit": 1 } } });
            let first = ok(bob.post(&format!("{sliding}?timeout=0"), lists.clone()).await);
            let slide = format!("{sliding}?timeout=20000&pos={}", enc(at(&first, "/pos")));
            let sync = format!("{CS}/sync?timeout=20000&since={}", enc(&since));
            let events = format!("{CS}/events?timeout=20000&from={}", enc(&since));
            let waiting = async { tokio::join!(bob.get(&sync), bob.get(&events), bob.post(&slide, lists)) };
            let deed = async {
                // Gives the polls time to arrive, though they need not.
                ok(admin.get(&format!("{CS}/account/whoami")).await);
                let method = http::Method::from_bytes(method.as_bytes()).unwrap();
                assert_eq!(admin.send(method, path, &[], body.to_string()).await.status, 200, "{path}");
                say(&alice, &room, "a secret").await;
            };
            let ((by_sync, by_events, by_sliding), ()) = tokio::join!(waiting, deed);
            for reply in [by_sync, by_events, by_sliding] {
                assert_eq!(reply.status, 401, "{path}: {}", reply.body);
            }
        }
    }

    async fn events_wake(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let has = |kind: &'static str| {
            let room = room.clone();
            move |sync: &Value| of_kind(timeline(sync, &room), kind).is_some()
        };
        woken(&alice, has("m.room.message"), async { say(&bob, &room, "m").await; }).await;
        woken(&alice, has("m.room.message"), async { say(&alice, &room, "my own").await; }).await;
        woken(&alice, has("org.example.thing"), async { send(&bob, &room, "org.example.thing", json!({})).await; }).await;
        woken(&bob, has("m.room.name"), async { set_state(&alice, &room, "m.room.name", "", json!({ "name": "N" })).await; }).await;
        woken(&alice, has("m.room.member"), async { rename(&bob, "Bobby").await }).await;
        let said = say(&bob, &room, "x").await;
        woken(&alice, has("m.room.redaction"), async { redact(&bob, &room, &said).await; }).await;
    }

    async fn memberships_wake(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let here = |part: &'static str| {
            let room = room.clone();
            move |sync: &Value| !sync["rooms"][part][&room].is_null()
        };
        woken(&bob, here("invite"), invite(&alice, &room, "@bob:test")).await;
        let phone = server.log_in("bob", "bob's password").await;
        woken(&phone, here("join"), join(&bob, &room)).await;
        woken(&bob, here("leave"), kick(&alice, &room, "@bob:test")).await;
        woken(&bob, here("invite"), invite(&alice, &room, "@bob:test")).await;
        woken(&phone, here("leave"), leave(&bob, &room)).await;
        let mine = |sync: &Value| !rooms_in(sync, "join").is_empty();
        woken(&phone, mine, async { create(&bob, json!({})).await; }).await;
    }

    async fn ephemeral_things_wake(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let said = say(&alice, &room, "m").await;
        let answer = say(&bob, &room, "n").await;
        let has = |kind: &'static str| {
            let room = room.clone();
            move |sync: &Value| !ephemeral(sync, &room, kind).is_null()
        };
        woken(&alice, has("m.typing"), typing(&bob, &room, true)).await;
        woken(&alice, has("m.receipt"), receipt(&bob, &room, "m.read", &said, json!({}))).await;
        woken(&phone, has("m.receipt"), receipt(&alice, &room, "m.read.private", &answer, json!({}))).await;
        let path = format!("{CS}/presence/@bob:test/status");
        let away = |sync: &Value| list(sync, "/presence/events").iter().any(|event| event["content"]["status_msg"] == "Away");
        woken(&alice, away, async {
            ok(bob.put(&path, json!({ "presence": "unavailable", "status_msg": "Away" })).await);
        }).await;
    }

    async fn keys_are_counted_when_the_wait_ends(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        upload(&alice, json!({
            "one_time_keys": one_time_keys(&["a", "b", "c"]), "fallback_keys": one_time_keys(&["f"]),
        })).await;
        let sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
        let wanted = json!({ "extensions": { "e2ee": { "enabled": true } } });
        let (since, first) = (now(&alice).await, ok(alice.post(sliding, wanted.clone()).await));
        let query = format!("timeout=6000&since={}", enc(&since));
        let path = format!("{sliding}?timeout=6000&pos={}", enc(at(&first, "/pos")));
        let (came, slid, ()) = tokio::join!(
            sync_with(&alice, &query),
            alice.post(&path, wanted),
            async {
                while server.app().notifier.waiting() < 2 {
                    ok(bob.get(&format!("{CS}/account/whoami")).await);
                }
                for _ in 0..4 {
                    claim(&bob, &alice).await;
                }
                upload(&alice, json!({ "one_time_keys": one_time_keys(&["d", "e"]) })).await;
            },
        );
        let slid = ok(slid);
        for keys in [&came, &slid["extensions"]["e2ee"]] {
            let counts = (&keys["device_one_time_keys_count"], &keys["device_unused_fallback_key_types"]);
            assert_eq!(counts, (&json!({ "signed_curve25519": 2 }), &json!([])));
        }
    }

    async fn account_data_wakes(server: Server) {
        let alice = server.user("alice").await;
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        let global = |kind: &'static str| move |sync: &Value| !global_data(sync, kind).is_null();
        let of_room = |kind: &'static str| {
            let room = room.clone();
            move |sync: &Value| !room_data(sync, &room, kind).is_null()
        };
        woken(&phone, global("org.example.a"), set_data(&alice, "org.example.a", json!({}))).await;
        woken(&phone, of_room("org.example.b"), set_room_data(&alice, &room, "org.example.b", json!({}))).await;
        let tag = format!("{CS}/user/@alice:test/rooms/{}/tags/u.x", enc(&room));
        woken(&phone, of_room("m.tag"), async { ok(alice.put(&tag, json!({})).await); }).await;
        woken(&phone, of_room("m.tag"), async { ok(alice.delete(&tag).await); }).await;
        let rule = format!("{CS}/pushrules/global/content/x");
        woken(&phone, global("m.push_rules"), async {
            ok(alice.put(&rule, json!({ "pattern": "x", "actions": ["notify"] })).await);
        }).await;
        let said = say(&alice, &room, "m").await;
        woken(&phone, of_room("m.fully_read"), async {
            ok(alice.post(&room_path(&room, "read_markers"), json!({ "m.fully_read": said })).await);
        }).await;
    }

    async fn what_is_none_of_ones_business_does_not(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let shared = create_public(&alice).await;
        join(&bob, &shared).await;
        let elsewhere = create_public(&bob).await;
        let mut since = now(&alice).await;
        since = next(&sync_since(&alice, &since).await);
        let query = format!("timeout=700&since={}", enc(&since));
        let (came, ()) = tokio::join!(sync_with(&alice, &query), async {
            say(&bob, &elsewhere, "m").await;
            set_data(&bob, "org.example.a", json!({})).await;
            set_room_data(&bob, &shared, "org.example.a", json!({})).await;
        });
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        assert_eq!(list(&came, "/account_data/events"), [] as [Value; 0]);
        // A position that waited in vain is as good as any.
        say(&bob, &shared, "now").await;
        assert_eq!(bodies(timeline(&sync_since(&alice, &next(&came)).await, &shared)), ["now"]);
    }

    async fn many_wait_for_one(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let mut waiting = Vec::new();
        for number in 0..8 {
            let guest = server.user(&format!("guest{number}")).await;
            join(&guest, &room).await;
            waiting.push(guest);
        }
        let mut polls = Vec::new();
        for guest in waiting {
            let room = room.clone();
            let since = now(&guest).await;
            polls.push(tokio::spawn(async move {
                sync_until(&guest, &since, |sync| !bodies(timeline(sync, &room)).is_empty()).await
            }));
        }
        say(&alice, &room, "all of you").await;
        for poll in polls {
            assert_eq!(bodies(timeline(&poll.await.unwrap(), &room)), ["all of you"]);
        }
    }
}
