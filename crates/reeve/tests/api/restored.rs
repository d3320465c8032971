//! A server whose database is restored from a backup: clients with later positions, and how they continue.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;
use crate::sync_kit::*;

const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// More events of each room than a test makes.
fn all() -> Value {
    json!({ "room": { "timeline": { "limit": 200 } } })
}

/// A request of sliding sync for all rooms and the new to-device messages.
fn sliding(since: Option<&str>) -> Value {
    json!({
        "lists": { "all": { "ranges": [[0, 99]], "required_state": [], "timeline_limit": 100 } },
        "extensions": { "to_device": { "enabled": true, "since": since } },
    })
}

/// The tokens of a client.
struct Tokens {
    since: String,
    pos: String,
    to_device: String,
}

async fn tokens(client: &Client) -> Tokens {
    let slid = ok(client.post(&format!("{SLIDING}?timeout=0"), sliding(None)).await);
    Tokens {
        since: now(client).await,
        pos: at(&slid, "/pos").to_owned(),
        to_device: at(&slid, "/extensions/to_device/next_batch").to_owned(),
    }
}

async fn slide(client: &Client, pos: &str, since: &str) -> Reply {
    client.post(&format!("{SLIDING}?timeout=0&pos={}", enc(pos)), sliding(Some(since))).await
}

fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

on_both_engines! {
    async fn what_a_backup_undoes_is_forgotten(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let kept = tokens(&bob).await;
        let backup = server.backup().await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        say_many(&alice, &room, "undone", 20).await;
        to_device(&alice, "@bob:test", &bob.device_id, "org.example.undone", json!({})).await;
        let gone = create_public(&bob).await;
        let mut undone = vec![tokens(&bob).await];
        server.restart(|_| ()).await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        // A restart undoes nothing.
        say(&alice, &room, "more").await;
        let came = since_filtered(&bob, &undone[0].since, &all()).await;
        assert_eq!((rooms_in(&came, "join"), bodies(timeline(&came, &room))), (vec![room.clone()], vec!["more"]));
        assert_eq!(joined(&came, &room)["timeline"]["limited"], false);
        let came = ok(slide(&bob, &undone[0].pos, &undone[0].to_device).await);
        assert_eq!(bodies(list(&came["rooms"][&room], "/timeline")), ["more"]);
        // Of the epoch that began with the restart, the backup knows nothing.
        undone.push(tokens(&bob).await);

        server.restore(&backup).await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        upload_keys(&alice).await;
        say_many(&alice, &room, "new", 30).await;
        let new = texts("new", 30);

        // Tokens from before the backup continue from there.
        let came = since_filtered(&bob, &kept.since, &all()).await;
        assert_eq!(bodies(timeline(&came, &room)), new);
        assert_eq!(joined(&came, &room)["timeline"]["limited"], false);
        let came = ok(slide(&bob, &kept.pos, &kept.to_device).await);
        assert_eq!(bodies(list(&came["rooms"][&room], "/timeline")), new);

        for token in &undone {
            to_device(&alice, "@bob:test", &bob.device_id, "org.example.kept", json!({})).await;
            // Continuing from an undone position starts from the beginning.
            let came = since_filtered(&bob, &token.since, &all()).await;
            assert_eq!(rooms_in(&came, "join"), [&*room], "nothing is left of {gone}");
            assert_eq!(bodies(timeline(&came, &room)), new);
            assert_eq!(joined(&came, &room)["timeline"]["limited"], true);
            assert!(of_kind(list(joined(&came, &room), "/timeline/events"), "m.room.create").is_some());
            assert_eq!(at(&list(&came, "/to_device/events")[0], "/type"), "org.example.kept");
            assert!(list(&came, "/device_lists/changed").contains(&json!("@alice:test")), "{came}");
            // The next position is as good as any.
            let none = since_filtered(&bob, &next(&came), &all()).await;
            assert_eq!(rooms_in(&none, "join"), [] as [String; 0]);

            let refused = slide(&bob, &token.pos, &token.to_device).await;
            assert_eq!(code(&refused), (400, "M_UNKNOWN_POS"));
            let page = messages(&bob, &room, &format!("dir=b&limit=30&from={}", enc(&token.since))).await;
            let newest: Vec<&str> = bodies(list(&page, "/chunk")).into_iter().rev().collect();
            assert_eq!(newest, new);
            let changes = format!("{CS}/keys/changes?from={}&to={}", enc(&token.since), enc(&next(&came)));
            assert!(list(&ok(bob.get(&changes).await), "/changed").contains(&json!("@alice:test")));
            let notified = ok(bob.get(&format!("{CS}/notifications?from={}", enc(&token.since))).await);
            assert_eq!(list(&notified, "/notifications").len(), 30);
        }
    }

    async fn messages_to_devices_are_not_acknowledged_by_what_was_undone(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let backup = server.backup().await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        say_many(&alice, &room, "undone", 20).await;
        let undone = tokens(&bob).await;
        server.restore(&backup).await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        to_device(&alice, "@bob:test", &bob.device_id, "org.example.kept", json!({})).await;
        let first = ok(bob.post(&format!("{SLIDING}?timeout=0"), sliding(Some(&undone.to_device))).await);
        let events = list(&first, "/extensions/to_device/events");
        assert_eq!((events.len(), at(&events[0], "/type")), (1, "org.example.kept"));
        let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/D/events";
        for (token, status) in [(&*undone.to_device, 404), ("nonsense", 400)] {
            assert_eq!(bob.post(path, json!({ "next_batch": token })).await.status, status);
        }
    }

    async fn tokens_from_before_there_were_epochs_go_on(server: Server) {
        let mut server = server;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        // As the database was before the first epoch.
        server.app().db.write(epochs::forget).await.unwrap();
        let old = tokens(&bob).await;
        assert!(!format!("{}{}{}", old.since, old.pos, old.to_device).contains('.'));
        // Positions in the message queue were plain numbers.
        let plain = old.to_device.trim_start_matches('s');
        server.restart(|_| ()).await;
        let (alice, bob) = (server.again(&alice), server.again(&bob));
        to_device(&alice, "@bob:test", &bob.device_id, "org.example.new", json!({})).await;
        say(&alice, &room, "new").await;
        let came = ok(slide(&bob, &old.pos, plain).await);
        assert_eq!(bodies(list(&came["rooms"][&room], "/timeline")), ["new"]);
        assert_eq!(list(&came, "/extensions/to_device/events").len(), 1);
        let came = since_filtered(&bob, &old.since, &all()).await;
        assert_eq!(bodies(timeline(&came, &room)), ["new"]);
        let (_, epoch) = came["next_batch"].as_str().unwrap().split_once('.').unwrap();
        // Positions that such a token could not have are none of this database.
        let forged = format!("s{}", i64::MAX);
        let came = since_filtered(&bob, &forged, &all()).await;
        assert_eq!(joined(&came, &room)["timeline"]["limited"], true);
        assert!(next(&came).ends_with(epoch));
    }
}

mod epochs {
    use reeve_db::{DbError, Tx, params};

    reeve_db::statements! {
        FORGET = "DELETE FROM stream_epochs";
    }

    /// Forgets all epochs.
    pub(super) fn forget(tx: &mut Tx<'_>) -> Result<(), DbError> {
        tx.execute(&FORGET, &params![])?;
        Ok(())
    }
}
