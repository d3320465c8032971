//! To-device messages.

use reeve_model::Pos;
use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;
use crate::sync_kit::*;

const SLIDE: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// The numbers in the to-device messages of a sync.
fn numbers(sync: &Value) -> Vec<i64> {
    list(sync, "/to_device/events").iter().map(|event| event["content"]["n"].as_i64().unwrap()).collect()
}

async fn tell(client: &Client, to: &Client, n: i64) {
    to_device(client, &to.user_id, &to.device_id, "org.example.n", json!({ "n": n })).await;
}

/// Returns the number of messages in the database.
async fn kept(server: &reeve_testkit::Server, client: &Client) -> usize {
    let (user_id, device_id) = (client.user_id.clone(), client.device_id.clone());
    let read = server.app().db.read(move |tx| -> Result<_, reeve_db::DbError> {
        let num = reeve_store::users::num(tx, &user_id)?.unwrap();
        Ok(reeve_store::to_device::pending(tx, num, &device_id, Pos::ZERO, 1000)?.len())
    });
    read.await.unwrap()
}

on_both_engines! {
    async fn messages_come_until_they_are_acknowledged(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let since = now(&alice).await;
        for n in 0..3 {
            tell(&bob, &alice, n).await;
        }
        let came = sync_since(&alice, &since).await;
        assert_eq!(numbers(&came), [0, 1, 2]);
        let event = json!({ "type": "org.example.n", "sender": "@bob:test", "content": { "n": 0 } });
        assert_eq!(came["to_device"]["events"][0], event);
        // The response may have been lost: a repeated request returns them again.
        assert_eq!(numbers(&sync_since(&alice, &since).await), [0, 1, 2]);
        tell(&bob, &alice, 3).await;
        let after = sync_since(&alice, &next(&came)).await;
        assert_eq!(numbers(&after), [3]);
        assert_eq!(kept(&server, &alice).await, 1);
        assert_eq!(numbers(&sync_since(&alice, &next(&after)).await), [] as [i64; 0]);
        assert_eq!(kept(&server, &alice).await, 0);
        // Acknowledged messages are deleted, for every position.
        assert_eq!(numbers(&sync(&alice).await), [] as [i64; 0]);
        // A first sync has what waits.
        tell(&bob, &alice, 4).await;
        assert_eq!(numbers(&sync(&alice).await), [4]);
    }

    async fn many_come_in_parts(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let mut since = now(&alice).await;
        for n in 0..250 {
            tell(&bob, &alice, n).await;
        }
        say(&alice, &room, "meanwhile").await;
        let (mut came, mut said) = (Vec::new(), 0);
        for expected in [100, 100, 50, 0] {
            // With time to wait there is none to lose while more is there.
            let wait = if expected == 0 { 0 } else { 30_000 };
            let sync = sync_with(&alice, &format!("timeout={wait}&since={}", enc(&since))).await;
            assert_eq!(numbers(&sync).len(), expected);
            came.extend(numbers(&sync));
            said += bodies(timeline(&sync, &room)).len();
            since = next(&sync);
        }
        assert_eq!(came, (0..250).collect::<Vec<_>>());
        assert_eq!((said, kept(&server, &alice).await), (1, 0));
        // Such a token leads through the history as well.
        let page = messages(&alice, &room, &format!("dir=b&from={}&limit=1", enc(&since))).await;
        assert_eq!(bodies(list(&page, "/chunk")), ["meanwhile"]);
    }

    async fn to_one_device_or_all(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let (one, two) = (now(&alice).await, now(&phone).await);
        tell(&bob, &phone, 1).await;
        to_device(&bob, "@alice:test", "*", "org.example.n", json!({ "n": 2 })).await;
        let body = json!({ "messages": {
            "@alice:test": { "*": { "n": 3 }, phone.device_id.clone(): { "n": 4 }, "UNKNOWN": { "n": 5 } },
            "@nobody:test": { "*": { "n": 6 } }, "@x:elsewhere": { "*": { "n": 7 } },
        } });
        assert_eq!(bob.put(&format!("{CS}/sendToDevice/org.example.n/{}", txn()), body).await, (200, json!({})));
        assert_eq!(numbers(&sync_since(&alice, &one).await), [2, 3]);
        assert_eq!(numbers(&sync_since(&phone, &two).await), [1, 2, 4]);
    }

    async fn the_same_transaction_is_sent_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let other = server.log_in("bob", "bob's password").await;
        let since = now(&alice).await;
        let body = |n: i64| json!({ "messages": { "@alice:test": { alice.device_id.clone(): { "n": n } } } });
        for _ in 0..2 {
            ok(bob.put(&format!("{CS}/sendToDevice/org.example.n/same"), body(1)).await);
        }
        // Of another device, or of another type, it is another transaction.
        ok(other.put(&format!("{CS}/sendToDevice/org.example.n/same"), body(2)).await);
        ok(bob.put(&format!("{CS}/sendToDevice/org.example.m/same"), body(3)).await);
        assert_eq!(numbers(&sync_since(&alice, &since).await), [1, 2, 3]);
    }

    async fn they_outlive_a_restart(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let since = now(&alice).await;
        tell(&bob, &alice, 1).await;
        server.restart(|_| {}).await;
        let alice = server.with_token(alice.token.as_deref().unwrap());
        assert_eq!(numbers(&sync_since(&alice, &since).await), [1]);
    }

    async fn who_waits_is_woken(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let came = woken(&alice, |sync| !numbers(sync).is_empty(), tell(&bob, &alice, 1)).await;
        assert_eq!(numbers(&came), [1]);
    }

    async fn through_sliding_sync(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let slide = async |pos: &str, to_device: Value| {
            let path = if pos.is_empty() { SLIDE.to_owned() } else { format!("{SLIDE}?pos={pos}") };
            ok(alice.post(&path, json!({ "extensions": { "to_device": to_device } })).await)
        };
        for n in 0..3 {
            tell(&bob, &alice, n).await;
        }
        let of = |answer: &Value| numbers(&answer["extensions"]);
        let first = slide("", json!({ "enabled": true, "limit": 2 })).await;
        assert_eq!(of(&first), [0, 1]);
        let at_first = at(&first, "/extensions/to_device/next_batch");
        // Messages that are not acknowledged are returned again, whatever the rest of the position.
        let again = slide(at(&first, "/pos"), json!({ "enabled": true })).await;
        assert_eq!(of(&again), [0, 1, 2]);
        assert_eq!(kept(&server, &alice).await, 3);
        let rest = slide(at(&again, "/pos"), json!({ "enabled": true, "since": at_first })).await;
        assert_eq!((of(&rest), kept(&server, &alice).await), (vec![2], 1));
        let since = at(&rest, "/extensions/to_device/next_batch");
        let none = slide("", json!({ "enabled": true, "since": since })).await;
        assert_eq!((of(&none), kept(&server, &alice).await), (vec![], 0));
        let bad = json!({ "extensions": { "to_device": { "enabled": true, "since": "x" } } });
        assert_eq!(code(&alice.post(SLIDE, bad).await), (400, "M_INVALID_PARAM"));
    }

    async fn they_go_with_the_device(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        tell(&bob, &alice, 1).await;
        ok(alice.post(&format!("{CS}/logout"), json!({})).await);
        assert_eq!(kept(&server, &alice).await, 0);
        // A device that returns under the same name is a new one.
        let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": alice.device_id });
        let reply = ok(server.stranger().post(&format!("{CS}/login"), body).await);
        let back = server.with_token(at(&reply, "/access_token"));
        assert_eq!(numbers(&sync(&back).await), [] as [i64; 0]);
    }

    async fn very_many_push_the_oldest_out(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        tell(&bob, &alice, 0).await;
        // As if many had arrived since.
        let device_id = alice.device_id.clone();
        server.app().db.write(move |tx| -> Result<(), reeve_db::DbError> {
            for _ in 1..20_000 {
                let pos = reeve_store::stream::next(tx)?;
                reeve_store::to_device::put(tx, "@alice:test", Some(&device_id), pos, r#"{"content":{"n":1}}"#)?;
            }
            Ok(())
        }).await.unwrap();
        assert_eq!(numbers(&sync(&alice).await)[..2], [0, 1]);
        tell(&bob, &alice, 2).await;
        tell(&bob, &alice, 3).await;
        assert_eq!(numbers(&sync(&alice).await)[..2], [1, 1]);
    }

    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        let path = format!("{CS}/sendToDevice/m.x/{}", txn());
        for (body, expected) in [
            (json!({}), "M_MISSING_PARAM"),
            (json!({ "messages": [] }), "M_BAD_JSON"),
            (json!({ "messages": { "@alice:test": "x" } }), "M_BAD_JSON"),
            (json!({ "messages": { "@alice:test": { "*": 1 } } }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&alice.put(&path, body.clone()).await), (400, expected), "{body}");
        }
        let many: serde_json::Map<_, _> = (0..5001).map(|n| (format!("D{n}"), json!({}))).collect();
        let reply = alice.put(&path, json!({ "messages": { "@alice:test": many } })).await;
        assert_eq!(code(&reply), (413, "M_TOO_LARGE"));
        // Shadow-banned accounts reach devices.
        let admin = server.admin().await;
        let since = now(&alice).await;
        ok(admin.post("/_synapse/admin/v1/users/@alice:test/shadow_ban", json!({})).await);
        tell(&alice, &alice, 1).await;
        assert_eq!(numbers(&sync_since(&alice, &since).await), [1]);
    }

    async fn large_ones_come_in_parts(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let mut since = now(&alice).await;
        let content = |n: i64, length: usize| json!({ "n": n, "filling": "x".repeat(length) });
        for n in 0..20 {
            to_device(&bob, "@alice:test", "*", "org.example.n", content(n, 60_000)).await;
        }
        let mut came = Vec::new();
        for expected in [18, 2, 0] {
            let sync = sync_since(&alice, &since).await;
            assert_eq!(numbers(&sync).len(), expected);
            came.extend(numbers(&sync));
            since = next(&sync);
        }
        assert_eq!(came, (0..20).collect::<Vec<_>>());
        let body = json!({ "messages": { "@alice:test": { "*": content(0, 65_536) } } });
        let reply = bob.put(&format!("{CS}/sendToDevice/org.example.n/{}", txn()), body).await;
        assert_eq!(code(&reply), (413, "M_TOO_LARGE"));
    }

    async fn a_new_device_gets_none_of_an_old_one(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        for n in 0..3 {
            tell(&bob, &phone, n).await;
        }
        ok(phone.post(&format!("{CS}/logout"), json!({})).await);
        let admin = server.admin().await;
        let body = json!({ "device_id": phone.device_id });
        assert_eq!(admin.post("/_synapse/admin/v2/users/@alice:test/devices", body).await.status, 201);
        tell(&bob, &phone, 3).await;
        let log_in = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" },
            "password": "alice's password", "device_id": phone.device_id,
        });
        let token = ok(alice.post(&format!("{CS}/login"), log_in).await);
        let phone = server.with_token(at(&token, "/access_token"));
        assert_eq!(numbers(&sync(&phone).await), [3]);
        // Nor later, while and after the others are deleted.
        let clear = || server.app().db.write(reeve_accounts::to_device::delete_orphaned);
        assert_eq!((clear().await.unwrap(), clear().await.unwrap()), (true, false));
        assert_eq!(numbers(&sync(&phone).await), [3]);
    }
}
