//! Rate limits of sending, and overrides for single accounts.

use std::time::Duration;

use reeve_model::clock::monotonic;
use reeve_testkit::{Client, Config, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

fn limited(config: &mut Config) {
    config.rate_limits.enabled = true;
}

async fn set(admin: &Client, limit: Value) {
    ok(admin.post("/_synapse/admin/v1/users/@alice:test/override_ratelimit", limit).await);
}

/// The number of allowed messages out of some, and the last response.
async fn send_many(client: &Client, room: &str, times: usize) -> (usize, Reply) {
    let (mut passed, mut last) = (0, None);
    for _ in 0..times {
        let reply =
            try_send(client, room, "m.room.message", json!({ "msgtype": "m.text", "body": "m" })).await;
        passed += usize::from(reply.status == 200);
        last = Some(reply);
    }
    (passed, last.unwrap())
}

fn too_many(milliseconds: i64) -> Value {
    json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": milliseconds })
}

on_both_engines! {
    #[config(limited)]
    async fn of_an_account(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        set(&admin, json!({ "messages_per_second": 1, "burst_count": 2 })).await;
        server.clock.advance(100_000);
        let before = monotonic();
        let (passed, last) = send_many(&alice, &room, 3).await;
        assert_eq!((passed, last.header("retry-after")), (2, "1"));
        // A client that retries at once is delayed.
        assert!(before.elapsed() >= Duration::from_millis(500));
        assert_eq!(last, (429, too_many(1000)));
        server.clock.advance(1000);
        assert_eq!(send_many(&alice, &room, 2).await.0, 1);
        // No burst: nothing at all. No rate: no limit.
        set(&admin, json!({ "messages_per_second": 10 })).await;
        server.clock.advance(100_000);
        let (passed, last) = send_many(&alice, &room, 2).await;
        assert_eq!(passed, 0);
        assert_eq!(last, (429, too_many(100)));
        set(&admin, json!({})).await;
        assert_eq!(send_many(&alice, &room, 30).await.0, 30);
        ok(admin.delete("/_synapse/admin/v1/users/@alice:test/override_ratelimit").await);
        server.clock.advance(1_000_000);
        assert_eq!(send_many(&alice, &room, 12).await.0, 10);
        let all = messages(&alice, &room, "dir=b&limit=100").await;
        assert_eq!(bodies(list(&all, "/chunk")).len(), 2 + 1 + 30 + 10);
    }

    #[config(limited)]
    async fn all_kinds_of_deeds_share_it(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        server.create("bob", false).await;
        let room = create_public(&alice).await;
        let message = say(&alice, &room, "m").await;
        set(&admin, json!({ "messages_per_second": 1, "burst_count": 0 })).await;
        let (post, put) = (
            [
                (format!("{CS}/createRoom"), json!({})),
                (room_path(&room, "invite"), json!({ "user_id": "@bob:test" })),
                (room_path(&room, "ban"), json!({ "user_id": "@bob:test" })),
                (room_path(&room, "leave"), json!({})),
            ],
            [
                (state_path(&room, "m.room.topic", ""), json!({ "topic": "T" })),
                (room_path(&room, &format!("redact/{}/x", enc(&message))), json!({})),
                (format!("{CS}/profile/@alice:test/displayname"), json!({ "displayname": "A" })),
            ],
        );
        for (path, body) in post {
            assert_eq!(code(&alice.post(&path, body).await), (429, "M_LIMIT_EXCEEDED"), "{path}");
        }
        for (path, body) in put {
            assert_eq!(code(&alice.put(&path, body).await), (429, "M_LIMIT_EXCEEDED"), "{path}");
        }
        // Listening is free, and so are receipts, typing and account data.
        ok(alice.get(&format!("{CS}/sync?timeout=0")).await);
        receipt(&alice, &room, "m.read", &message, json!({})).await;
        typing(&alice, &room, true).await;
        ok(alice.put(&format!("{CS}/user/@alice:test/account_data/org.example.a"), json!({})).await);
        // Acts of administrators on the account do not count.
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "displayname": "Given" })).await);
        assert_eq!(membership(&alice, &room, "@bob:test").await, "");
    }

    #[config(limited)]
    async fn a_repeated_transaction_is_free(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        set(&admin, json!({ "messages_per_second": 1, "burst_count": 1 })).await;
        server.clock.advance(100_000);
        let path = room_path(&room, "send/m.room.message/same");
        let content = json!({ "msgtype": "m.text", "body": "m" });
        let first = ok(alice.put(&path, content.clone()).await);
        assert_eq!(ok(alice.put(&path, content).await), first);
    }
}
