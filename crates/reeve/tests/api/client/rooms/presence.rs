//! `presence/{userId}/status`.

use std::time::Duration;

use reeve_model::clock::monotonic;
use reeve_testkit::{Client, on_both_engines, tokio};
use serde_json::json;

use crate::rooms_kit::*;
use crate::sync_kit::eventually;

fn path(user_id: &str) -> String {
    format!("{CS}/presence/{user_id}/status")
}

on_both_engines! {
    async fn presence_is_set_and_seen_by_those_who_share_a_room(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        let body = json!({ "presence": "unavailable", "status_msg": "at lunch" });
        assert_eq!(alice.put(&path("@alice:test"), body).await, (200, json!({})));
        for client in [&alice, &bob] {
            let seen = ok(client.get(&path("@alice:test")).await);
            assert_eq!((at(&seen, "/presence"), at(&seen, "/status_msg")), ("unavailable", "at lunch"));
        }
        let news = sync_until(&bob, &since, |sync| {
            list(sync, "/presence/events").iter().any(|event| event["sender"] == "@alice:test" && event["content"]["status_msg"] == "at lunch")
        }).await;
        assert_eq!(list(&news, "/presence/events")[0]["type"], "m.presence");
        // The presence of users without a shared room is hidden.
        for user in ["@alice:test", "@nobody:test"] {
            assert!(matches!(carol.get(&path(user)).await.status, 403 | 404), "{user}");
        }
        assert_eq!(code(&bob.put(&path("@alice:test"), json!({ "presence": "online" })).await), (403, "M_FORBIDDEN"));
        ok(alice.put(&path("@alice:test"), json!({ "presence": "offline" })).await);
        assert_eq!(at(&ok(bob.get(&path("@alice:test")).await), "/presence"), "offline");
    }

    async fn the_best_device_counts(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let seen = async || at(&ok(bob.get(&path("@alice:test")).await), "/presence").to_owned();
        let sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
        for (device, presence, best) in [
            (&alice, "online", "online"), (&phone, "offline", "online"), (&phone, "unavailable", "online"),
            (&alice, "offline", "unavailable"), (&phone, "offline", "offline"),
        ] {
            sync_with(device, &format!("timeout=0&set_presence={presence}")).await;
            assert_eq!(seen().await, best);
        }
        for (device, presence, best) in [
            (&phone, "unavailable", "unavailable"), (&alice, "online", "online"), (&phone, "offline", "online"),
            (&alice, "offline", "offline"),
        ] {
            ok(device.post(&format!("{sliding}?timeout=0&set_presence={presence}"), json!({})).await);
            assert_eq!(seen().await, best);
        }
        // A presence that is set belongs to the device, too; the status message belongs to the account.
        sync(&alice).await;
        ok(phone.put(&path("@alice:test"), json!({ "presence": "offline", "status_msg": "away" })).await);
        let status = ok(bob.get(&path("@alice:test")).await);
        assert_eq!((at(&status, "/presence"), at(&status, "/status_msg")), ("online", "away"));
        ok(alice.put(&path("@alice:test"), json!({ "presence": "offline" })).await);
        assert_eq!(seen().await, "offline");
    }

    async fn a_device_is_there_while_it_polls_and_a_little_longer(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        // This may wait for two minutes, and returns at once, since there is a change.
        sync_with(&alice, "timeout=120000").await;
        let gone = async |who: &str| {
            sync_with(&bob, "timeout=0").await;
            server.clock.advance(61_000);
            eventually(&carol, &path(who), |reply| reply.text("presence") == "offline").await;
        };
        for _ in 0..2 {
            // The same sweep finds that bob is offline.
            gone("@bob:test").await;
            assert_eq!(at(&ok(bob.get(&path("@alice:test")).await), "/presence"), "online");
        }
        gone("@alice:test").await;
    }

    async fn own_presence_ends_no_wait(server: Server) {
        let alice = server.user("alice").await;
        let phone = server.log_in("alice", "alice's password").await;
        create_public(&alice).await;
        let (since, of_phone) = (now(&alice).await, now(&phone).await);
        let began = monotonic();
        let poll = async |client: &Client, since: &str, presence: &str| {
            let query = format!("timeout=1500&set_presence={presence}&since={}", enc(since));
            let came = sync_with(client, &query).await;
            assert!(began.elapsed() > Duration::from_millis(1400), "{presence}: {came}");
            came
        };
        let (came, ..) = tokio::join!(
            poll(&alice, &since, "unavailable"),
            poll(&alice, &since, "online"),
            poll(&phone, &of_phone, "offline"),
            poll(&phone, &of_phone, "unavailable"),
            async { ok(phone.put(&path("@alice:test"), json!({ "presence": "online", "status_msg": "here" })).await) },
        );
        // It is included when other changes are returned, though.
        let own = sync_since(&phone, &of_phone).await;
        assert_eq!(at(&list(&own, "/presence/events")[0], "/content/status_msg"), "here", "{came}");
    }

    async fn what_is_no_presence(server: Server) {
        let alice = server.user("alice").await;
        for bad in [json!({}), json!({ "presence": "asleep" }), json!({ "presence": 1 }), json!({ "presence": "online", "status_msg": 1 })] {
            let reply = alice.put(&path("@alice:test"), bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }
}
