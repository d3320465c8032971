//! Quarantine: of one upload, of an account's, of a room's; protection from it; and the list of changes.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use super::{download, error, info, media, several};
use crate::client::media::{not_found, upload};
use crate::rooms_kit::{create, enc, send};

const CHANGES: &str = "/_synapse/admin/v1/media/quarantine_changes";

async fn quarantine(admin: &Client, id: &str) {
    assert_eq!(admin.post(&media(&format!("quarantine/test/{id}")), json!({})).await, (200, json!({})));
}

async fn release(admin: &Client, id: &str) {
    assert_eq!(admin.post(&media(&format!("unquarantine/test/{id}")), json!({})).await, (200, json!({})));
}

async fn protect(admin: &Client, id: &str) {
    assert_eq!(admin.post(&media(&format!("protect/{id}")), json!({})).await, (200, json!({})));
}

/// The account that quarantined it.
async fn by(admin: &Client, id: &str) -> Value {
    info(admin, id).await["quarantined_by"].clone()
}

fn change(id: &str, quarantined: bool) -> Value {
    json!({ "origin": "test", "media_id": id, "quarantined": quarantined })
}

on_both_engines! {
    async fn by_content(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (first, second) = (upload(&alice, "text/plain", "bad").await, upload(&bob, "text/plain", "bad").await);
        let other = upload(&alice, "text/plain", "good").await;
        quarantine(&admin, &first).await;
        // Nobody can read it, including other uploaders of the same bytes.
        for (client, id) in [(&alice, &first), (&bob, &second), (&admin, &first)] {
            not_found(&download(client, id).await);
        }
        assert_eq!(download(&bob, &other).await.status, 200);
        assert_eq!((by(&admin, &first).await, by(&admin, &second).await), (json!("@admin:test"), json!("@admin:test")));
        // A new upload of the same bytes is quarantined, too.
        let again = upload(&bob, "text/plain", "bad").await;
        not_found(&download(&bob, &again).await);
        release(&admin, &second).await;
        for id in [&first, &second, &again] {
            assert_eq!((download(&alice, id).await.status, by(&admin, id).await), (200, Value::Null));
        }
        for path in ["quarantine/test/unknown", "quarantine/other/x", "unquarantine/test/unknown", "unquarantine/other/x"] {
            assert_eq!(admin.post(&media(path), json!({})).await, (200, json!({})), "{path}");
        }
    }

    async fn protected(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let ids = several(&server, &alice, 2).await;
        let same = upload(&server.user("bob").await, "text/plain", format!("{} wrote this as number 0", alice.user_id)).await;
        protect(&admin, &ids[0]).await;
        quarantine(&admin, &ids[0]).await;
        assert_eq!((by(&admin, &ids[0]).await, by(&admin, &same).await), (Value::Null, Value::Null));
        // Of others with the same bytes it is spared.
        quarantine(&admin, &same).await;
        assert_eq!((by(&admin, &ids[0]).await, by(&admin, &same).await), (Value::Null, json!("@admin:test")));
        let reply = admin.post(&media(&format!("unprotect/{}", ids[0])), json!({})).await;
        assert_eq!(reply, (200, json!({})));
        quarantine(&admin, &ids[0]).await;
        assert_eq!(by(&admin, &ids[0]).await, json!("@admin:test"));
        for path in ["protect/unknown", "unprotect/unknown"] {
            let unknown = error("M_UNKNOWN", "No row found (local_media_repository)");
            assert_eq!(admin.post(&media(path), json!({})).await, (404, unknown), "{path}");
        }
    }

    async fn of_an_account(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let ids = several(&server, &alice, 5).await;
        let copy = upload(&bob, "text/plain", format!("{} wrote this as number 4", alice.user_id)).await;
        let others = several(&server, &bob, 1).await;
        protect(&admin, &ids[0]).await;
        quarantine(&admin, &ids[1]).await;
        let of = |user_id: &str| format!("/_synapse/admin/v1/user/{user_id}/media/quarantine");
        // Three of alice's, and bob's copy of one of them.
        assert_eq!(admin.post(&of("@alice:test"), json!({})).await, (200, json!({ "num_quarantined": 4 })));
        assert_eq!(admin.post(&of("@alice:test"), json!({})).await, (200, json!({ "num_quarantined": 0 })));
        for unknown in ["@nobody:test", "@x:other", "bad"] {
            assert_eq!(admin.post(&of(unknown), json!({})).await, (200, json!({ "num_quarantined": 0 })), "{unknown}");
        }
        for id in [&ids[1], &ids[2], &ids[3], &ids[4], &copy] {
            assert_eq!(by(&admin, id).await, json!("@admin:test"));
        }
        assert_eq!((by(&admin, &ids[0]).await, by(&admin, &others[0]).await), (Value::Null, Value::Null));
    }

    async fn of_a_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let ids = several(&server, &alice, 4).await;
        let room = create(&alice, json!({})).await;
        let url = |id: &str| format!("mxc://test/{id}");
        for content in [
            json!({ "msgtype": "m.image", "body": "a", "url": url(&ids[0]), "info": { "thumbnail_url": url(&ids[1]) } }),
            json!({ "msgtype": "m.file", "body": "b", "file": { "url": url(&ids[2]) } }),
            json!({ "msgtype": "m.image", "body": "c", "url": "mxc://other/abc" }),
            json!({ "msgtype": "m.image", "body": "d", "url": "mxc://test/unknown" }),
        ] {
            send(&alice, &room, "m.room.message", content).await;
        }
        protect(&admin, &ids[1]).await;
        let path = format!("/_synapse/admin/v1/room/{}/media/quarantine", enc(&room));
        assert_eq!(admin.post(&path, json!({})).await, (200, json!({ "num_quarantined": 2 })));
        assert_eq!(admin.post(&path, json!({})).await, (200, json!({ "num_quarantined": 0 })));
        not_found(&download(&alice, &ids[0]).await);
        not_found(&download(&alice, &ids[2]).await);
        for spared in [&ids[1], &ids[3]] {
            assert_eq!(download(&alice, spared).await.status, 200);
        }
    }

    async fn changes(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let ids = several(&server, &alice, 2).await;
        assert_eq!(admin.get(CHANGES).await, (200, json!({ "next_batch": 0, "changes": [] })));
        quarantine(&admin, &ids[0]).await;
        quarantine(&admin, &ids[1]).await;
        // Requests without effect are not logged.
        quarantine(&admin, &ids[0]).await;
        release(&admin, &ids[0]).await;
        let all = [change(&ids[0], true), change(&ids[1], true), change(&ids[0], false)];
        assert_eq!(admin.get(CHANGES).await, (200, json!({ "next_batch": 3, "changes": all })));
        let last = json!({ "next_batch": 3, "changes": all[1..] });
        assert_eq!(admin.get(&format!("{CHANGES}?from=1")).await, (200, last));
        assert_eq!(admin.get(&format!("{CHANGES}?from=3")).await, (200, json!({ "next_batch": 3, "changes": [] })));
        for bad in ["4", "-1", "x"] {
            let reply = admin.get(&format!("{CHANGES}?from={bad}")).await;
            assert_eq!((reply.refusal().0, reply.refusal().1), (400, "M_INVALID_PARAM"), "{bad}");
        }
    }

    async fn changes_by_the_hundred(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for _ in 0..150 {
            upload(&alice, "text/plain", "same").await;
        }
        let path = "/_synapse/admin/v1/user/@alice:test/media/quarantine";
        assert_eq!(admin.post(path, json!({})).await, (200, json!({ "num_quarantined": 150 })));
        let first = admin.get(CHANGES).await.body;
        assert_eq!((&first["next_batch"], first["changes"].as_array().unwrap().len()), (&json!(100), 100));
        let second = admin.get(&format!("{CHANGES}?from=100")).await.body;
        assert_eq!((&second["next_batch"], second["changes"].as_array().unwrap().len()), (&json!(150), 50));
    }
}
