//! Several processes on one database, which is then PostgreSQL.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future;
use reeve_testkit::{Client, Engine, Server, tokio};
use serde_json::json;

use crate::keys_kit::{claim, one_time_keys, upload};
use crate::rooms_kit::*;
use crate::sync_kit::eventually;

/// Maximum time until the other process sees a change.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs a test with two processes.
fn on_two<Fut: Future<Output = ()>>(test: impl FnOnce(Server, Server) -> Fut) {
    Server::run(
        Engine::Postgres,
        |_| (),
        async |first| {
            let second = first.beside().await;
            tokio::time::timeout(PATIENCE, test(first, second)).await.unwrap();
        },
    );
}

/// The same client at another process.
fn at_other(client: &Client, server: &Server) -> Client {
    let mut other = server.with_token(client.token.as_deref().unwrap());
    other.user_id.clone_from(&client.user_id);
    other.device_id.clone_from(&client.device_id);
    other
}

#[test]
fn a_rule_of_retention_runs_once_a_day() {
    on_two(async |first, second| {
        let admin = first.admin().await;
        let schedule = async |server: &Server| {
            let app = server.app();
            reeve_retention::schedule(&app.db, &app.retention, app.clock.now()).await.unwrap();
        };
        schedule(&first).await;
        for day in 1..4 {
            first.clock.advance(86_400_000);
            // Addresses of clients, and pictures of previews, one after the other.
            for _ in 0..3 {
                future::join_all((0..6).map(|n| schedule(if n % 2 == 0 { &first } else { &second }))).await;
                let jobs = ok(admin.get("/_reeve/admin/v1/jobs?kind=retention").await);
                for job in list(&jobs, "/jobs") {
                    first.app().jobs.wait(at(job, "/id"), PATIENCE).await.unwrap();
                }
                // The first may be over before the last of the calls.
                let runs = list(&jobs, "/jobs").len() - 2 * (day - 1);
                assert!((1..=2).contains(&runs), "{jobs}");
            }
            let jobs = ok(admin.get("/_reeve/admin/v1/jobs?kind=retention").await);
            let mut rules: Vec<&str> = list(&jobs, "/jobs").iter().map(|job| at(job, "/subject")).collect();
            rules.sort_unstable();
            let expected = ["ip_addresses", "preview_media"].map(|rule| vec![rule; day]).concat();
            assert_eq!(rules, expected, "{jobs}");
        }
    });
}

#[test]
fn a_key_is_given_once() {
    on_two(async |first, second| {
        const KEYS: usize = 120;
        let alice = first.user("alice").await;
        let ids: Vec<String> = (0..KEYS).map(|n| format!("k{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        upload(&alice, json!({ "one_time_keys": one_time_keys(&ids) })).await;
        let bob = first.user("bob").await;
        let claimers = (0..8).map(|n| if n % 2 == 0 { bob.clone() } else { at_other(&bob, &second) });
        let claimed = future::join_all(claimers.map(async |client| {
            let mut claimed = Vec::new();
            loop {
                match &*claim(&client, &alice).await {
                    "" => return claimed,
                    id => claimed.push(id.to_owned()),
                }
            }
        }));
        let claimed = claimed.await;
        assert!(claimed.iter().filter(|some| !some.is_empty()).count() > 1, "one took them all");
        let claimed: Vec<&String> = claimed.iter().flatten().collect();
        assert_eq!(claimed.len(), KEYS);
        assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), KEYS, "a key was given twice");
    });
}

#[test]
fn everybody_sees_one_order() {
    on_two(async |first, second| {
        const EACH: usize = 25;
        let (alice, bob) = (first.user("alice").await, second.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let whole = filter(&json!({ "room": { "timeline": { "limit": 100 } } }));
        let watch = async |client: &Client, since: String| {
            let (mut since, mut seen) = (since, Vec::new());
            while seen.len() < 2 * EACH {
                let query = format!("timeout=5000&since={}&{whole}", enc(&since));
                let sync = sync_with(client, &query).await;
                seen.extend(bodies(timeline(&sync, &room)).into_iter().map(ToOwned::to_owned));
                since = next(&sync);
            }
            seen
        };
        let (at_first, at_second) = (now(&alice).await, now(&bob).await);
        let sending = future::join(say_many(&alice, &room, "a", EACH), say_many(&bob, &room, "b", EACH));
        let watching = future::join(watch(&alice, at_first), watch(&bob, at_second));
        let (_, (of_alice, of_bob)) = future::join(sending, watching).await;
        assert_eq!(of_alice, of_bob);
        for (prefix, other) in [("a", "b"), ("b", "a")] {
            let own: Vec<&String> = of_alice.iter().filter(|text| !text.starts_with(other)).collect();
            assert_eq!(
                own,
                (0..EACH).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
            );
        }
    });
}

#[test]
fn a_transaction_is_one() {
    on_two(async |first, second| {
        let alice = first.user("alice").await;
        let room = create_public(&alice).await;
        let other = at_other(&alice, &second);
        let path = room_path(&room, &format!("send/m.room.message/{}", txn()));
        let body = json!({ "msgtype": "m.text", "body": "once" });
        let sent =
            future::join_all([&alice, &other, &alice, &other].map(|client| client.put(&path, body.clone())))
                .await;
        let ids: BTreeSet<String> = sent.into_iter().map(|reply| ok(reply)["event_id"].to_string()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(bodies(timeline(&sync(&other).await, &room)), ["once"]);
    });
}

#[test]
fn a_lock_holds_everywhere() {
    on_two(async |first, second| {
        let (admin, alice) = (first.admin().await, second.user("alice").await);
        let lock = async |locked: bool| {
            let path = "/_synapse/admin/v2/users/@alice:test";
            assert_eq!(admin.put(path, json!({ "locked": locked })).await.status, 200);
        };
        let whoami = format!("{CS}/account/whoami");
        assert_eq!(alice.get(&whoami).await.status, 200);
        lock(true).await;
        assert_eq!(code(&alice.get(&whoami).await), (401, "M_USER_LOCKED"));
        lock(false).await;
        assert_eq!(alice.get(&whoami).await.status, 200);
    });
}

#[test]
fn who_waits_at_one_is_there_for_all() {
    on_two(async |first, second| {
        let (alice, bob, carol) =
            (first.user("alice").await, second.user("bob").await, second.user("carol").await);
        let phone = second.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        let presence = |who: &str| format!("{CS}/presence/{who}/status");
        // One device may wait for two minutes at the first process; another sets itself offline at the second.
        sync_with(&alice, "timeout=120000").await;
        sync_with(&phone, "timeout=0&set_presence=offline").await;
        assert_eq!(at(&ok(bob.get(&presence("@alice:test")).await), "/presence"), "online");
        sync(&bob).await;
        first.clock.advance(61_000);
        eventually(&carol, &presence("@bob:test"), |reply| reply.text("presence") == "offline").await;
        assert_eq!(at(&ok(bob.get(&presence("@alice:test")).await), "/presence"), "online");
        first.clock.advance(120_000);
        eventually(&carol, &presence("@alice:test"), |reply| reply.text("presence") == "offline").await;
    });
}

#[test]
fn the_same_is_said_at_both_at_once() {
    on_two(async |first, second| {
        const SENT: usize = 120;
        let alice = first.user("alice").await;
        let other = at_other(&alice, &second);
        let room = create_public(&alice).await;
        let senders = [&alice, &other].into_iter().cycle().take(SENT);
        let sent = future::join_all(senders.map(|client| say(client, &room, "the same"))).await;
        assert_eq!(sent.into_iter().collect::<BTreeSet<_>>().len(), SENT);
    });
}

/// Each process answers with what is committed, whichever has written it.
#[test]
fn selections_are_the_same_everywhere() {
    on_two(async |first, second| {
        let admin = first.admin().await;
        let admins = [admin.clone(), at_other(&admin, &second)];
        let totals = async || {
            future::join_all(admins.iter().map(async |admin| {
                let reply = admin.get("/_reeve/admin/v1/users?suspended=true&limit=3").await;
                (reply.body["total"].as_u64().unwrap(), reply.body["users"].as_array().unwrap().len())
            }))
            .await
        };
        assert_eq!(totals().await, [(0, 0); 2]);
        for round in 1..=8 {
            let suspend = admins.iter().enumerate().map(async |(at, admin)| {
                let name = format!("u{round}x{at}");
                admin.put(&format!("/_synapse/admin/v2/users/@{name}:test"), json!({})).await;
                let suspended = json!({ "suspend": true });
                let reply = admin.put(&format!("/_synapse/admin/v1/suspend/@{name}:test"), suspended).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                // Its own writes are seen by the process that wrote them.
                let found = admin.get(&format!("/_reeve/admin/v1/users?suspended=true&name={name}")).await;
                assert_eq!(found.body["total"], 1, "{}", found.body);
            });
            future::join_all(suspend).await;
            let count = 2 * round;
            let page = usize::try_from(count.min(3)).unwrap();
            assert_eq!(totals().await, [(count, page); 2]);
        }
    });
}
