//! Media in the bin.

use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use super::{BIN, WEEK_MS, acts, delete, keep_house, missing, over};
use crate::client::media::{UPLOAD, download_path, not_found, objects, upload};
use crate::rooms_kit::{list, ok};
use crate::sync_kit::eventually;

fn in_bin(media_id: &str) -> String {
    format!("{BIN}/media/{media_id}")
}

async fn restore(admin: &Client, media_id: &str) -> reeve_testkit::Reply {
    admin.post(&format!("{BIN}/media/{media_id}/restore"), json!({})).await
}

/// Deletes an upload as an administrator.
async fn bin(admin: &Client, media_id: &str) {
    let reply = delete(admin, &format!("/_synapse/admin/v1/media/test/{media_id}")).await;
    assert_eq!(reply, (200, json!({ "deleted_media": [media_id], "total": 1 })));
}

/// The media ids of a page of the bin, and its `next_token`.
async fn page(admin: &Client, query: &str) -> (Vec<String>, Value) {
    let body = ok(admin.get(&format!("{BIN}/media?{query}")).await);
    let ids = list(&body, "/media").iter().map(|media| media["media_id"].as_str().unwrap().to_owned());
    (ids.collect(), body["next_token"].clone())
}

/// The number of uploads of an account, and their size, as lists and statistics show them.
async fn usage(admin: &Client, user_id: &str) -> (Value, Value, Value) {
    let listed = ok(admin.get(&format!("/_synapse/admin/v1/users/{user_id}/media")).await);
    let all = ok(admin.get("/_synapse/admin/v1/statistics/users/media").await);
    let mine =
        list(&all, "/users").iter().find(|user| user["user_id"] == user_id).cloned().unwrap_or_default();
    (listed["total"].clone(), mine["media_count"].clone(), mine["media_length"].clone())
}

async fn counts(server: &Server) -> (i64, i64) {
    let totals = server.app().db.read(reeve_store::media_users::totals).await.unwrap();
    (totals.media, totals.bytes)
}

const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63,
    0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60,
    0x82,
];

on_both_engines! {
    async fn it_is_gone_for_everybody(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let kept = upload(&alice, "text/plain", "kept").await;
        let id = upload(&alice, "image/png", PNG).await;
        let info = ok(admin.get(&format!("/_synapse/admin/v1/media/test/{id}")).await)["media_info"].clone();
        server.clock.advance(5);
        bin(&admin, &id).await;
        for client in [&alice, &admin] {
            not_found(&client.get(&download_path(&id)).await);
            let thumbnail = format!("/_matrix/client/v1/media/thumbnail/test/{id}?width=32&height=32");
            not_found(&client.get(&thumbnail).await);
        }
        not_found(&admin.get(&format!("{}?admin_unsafely_bypass_quarantine=true", download_path(&id))).await);
        assert_eq!(admin.get(&format!("/_synapse/admin/v1/media/test/{id}")).await.status, 404);
        assert_eq!(usage(&admin, "@alice:test").await, (json!(1), json!(1), json!(4)));
        assert_eq!(counts(&server).await.0, 1);
        // Nothing can be done with it but here.
        assert_eq!(delete(&admin, &format!("/_synapse/admin/v1/media/test/{id}")).await.status, 404);
        assert_eq!(admin.post(&format!("/_synapse/admin/v1/media/protect/{id}"), json!({})).await.status, 404);
        assert_eq!(admin.post(&format!("/_synapse/admin/v1/media/quarantine/test/{id}"), json!({})).await, (200, json!({})));
        let unused = format!("/_synapse/admin/v1/media/delete?before_ts={}", START_MS + 1_000_000);
        assert_eq!(ok(admin.post(&unused, json!({})).await)["deleted_media"], json!([kept]));
        let again = alice.send(http::Method::PUT, &format!("/_matrix/media/v3/upload/test/{id}"), &[], "x").await;
        assert_eq!(again.refusal().0, 404, "its id is not free");
        // The bytes wait.
        assert_eq!(objects(&server).await, 2);
        let body = ok(admin.get(&format!("{BIN}/media")).await);
        let one = list(&body, "/media").iter().find(|media| media["media_id"] == id.as_str()).unwrap();
        let expected = json!({
            "media_id": id, "user_id": "@alice:test", "media_type": "image/png", "media_length": PNG.len(),
            "upload_name": null, "created_ts": START_MS, "quarantined_by": null, "sha256": info["sha256"],
            "deleted_ts": START_MS + 5, "deleted_by_kind": "user", "deleted_by": "@admin:test",
            "purge_ts": START_MS + 5 + WEEK_MS,
        });
        assert_eq!(*one, expected);
        assert_eq!(acts(&admin, &id).await, ["media.delete"]);
    }

    async fn it_comes_back(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let id = upload(&alice, "text/plain", "precious").await;
        let copy = upload(&bob, "text/plain", "precious").await;
        let shown = |body: &Value| body["media"].clone();
        let before = ok(admin.get("/_synapse/admin/v1/users/@alice:test/media").await);
        bin(&admin, &id).await;
        assert_eq!(restore(&admin, &id).await, (200, json!({})));
        assert_eq!(alice.get(&download_path(&id)).await.body, json!("precious"));
        let after = ok(admin.get("/_synapse/admin/v1/users/@alice:test/media").await);
        assert_eq!(shown(&before), shown(&after));
        assert_eq!(usage(&admin, "@alice:test").await, (json!(1), json!(1), json!(8)));
        assert_eq!((counts(&server).await, objects(&server).await), ((2, 8), 1));
        assert_eq!(restore(&admin, &id).await, missing("upload"));
        assert_eq!(acts(&admin, &id).await, ["media.delete", "media.restore"]);
        // The bytes wait in the bin while nothing else has them.
        bin(&admin, &copy).await;
        bin(&admin, &id).await;
        assert_eq!((counts(&server).await, objects(&server).await), ((0, 8), 1));
        assert_eq!(restore(&admin, &copy).await, (200, json!({})));
        assert_eq!(bob.get(&download_path(&copy)).await.body, json!("precious"));
        assert_eq!(delete(&admin, &in_bin(&id)).await, (200, json!({})));
        assert_eq!(bob.get(&download_path(&copy)).await.body, json!("precious"));
        assert_eq!((counts(&server).await, objects(&server).await), ((1, 8), 1));
        assert_eq!(restore(&admin, &id).await, missing("upload"));
        assert_eq!(delete(&admin, &in_bin(&id)).await, missing("upload"));
        assert_eq!(acts(&admin, &id).await, ["media.delete", "media.restore", "media.delete", "media.purge"]);
        bin(&admin, &copy).await;
        assert_eq!(delete(&admin, &in_bin(&copy)).await, (200, json!({})));
        assert_eq!((counts(&server).await, objects(&server).await), ((0, 0), 0));
    }

    async fn quarantine_and_protection_stay(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let quarantined = upload(&alice, "text/plain", "bad").await;
        let protected = upload(&alice, "text/plain", "good").await;
        let later = upload(&alice, "text/plain", "later").await;
        let copy = upload(&bob, "text/plain", "later").await;
        let media = |rest: String| format!("/_synapse/admin/v1/media/{rest}");
        assert_eq!(admin.post(&media(format!("quarantine/test/{quarantined}")), json!({})).await.status, 200);
        assert_eq!(admin.post(&media(format!("protect/{protected}")), json!({})).await.status, 200);
        for id in [&quarantined, &protected, &later] {
            bin(&admin, id).await;
        }
        // Its bytes are quarantined while it is in the bin.
        assert_eq!(admin.post(&media(format!("quarantine/test/{copy}")), json!({})).await.status, 200);
        for id in [&quarantined, &protected, &later] {
            assert_eq!(restore(&admin, id).await, (200, json!({})));
        }
        let info = async |id: &str| {
            let info = ok(admin.get(&media(format!("test/{id}"))).await)["media_info"].clone();
            (info["quarantined_by"].clone(), info["safe_from_quarantine"].clone())
        };
        assert_eq!(info(&quarantined).await, (json!("@admin:test"), json!(false)));
        assert_eq!(info(&protected).await, (json!(null), json!(true)));
        assert_eq!(info(&later).await, (json!("system"), json!(false)));
        not_found(&alice.get(&download_path(&later)).await);
        assert_eq!(alice.get(&download_path(&protected)).await.status, 200);
    }

    async fn its_time_comes(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(upload(&alice, "text/plain", format!("number {number}")).await);
        }
        bin(&admin, &ids[0]).await;
        bin(&admin, &ids[1]).await;
        server.clock.advance(1000);
        bin(&admin, &ids[2]).await;
        server.clock.advance(WEEK_MS - 1001);
        keep_house(&server, &admin).await;
        assert_eq!((page(&admin, "").await.0.len(), objects(&server).await), (3, 3));
        server.clock.advance(1);
        keep_house(&server, &admin).await;
        assert_eq!(page(&admin, "").await, (vec![ids[2].clone()], Value::Null));
        assert_eq!(objects(&server).await, 1);
        let jobs = ok(admin.get("/_reeve/admin/v1/jobs?kind=purge_media_bin").await);
        assert_eq!((&jobs["jobs"][0]["state"], &jobs["jobs"][0]["result"]), (&json!("complete"), &json!({ "purged": 2 })));
        assert_eq!(restore(&admin, &ids[0]).await, missing("upload"));
        assert_eq!(restore(&admin, &ids[2]).await, (200, json!({})));
    }

    async fn many_are_listed_and_emptied(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(upload(if number == 2 { &bob } else { &alice }, "text/plain", format!("{number}")).await);
            bin(&admin, &ids[number]).await;
            server.clock.advance(1);
        }
        ids.reverse();
        let (first, next) = page(&admin, "limit=2").await;
        assert_eq!(first, ids[..2]);
        let (second, next) = page(&admin, &format!("limit=2&from={}", next.as_str().unwrap())).await;
        assert_eq!(second, ids[2..4]);
        let (third, next) = page(&admin, &format!("limit=2&from={}", next.as_str().unwrap())).await;
        assert_eq!((third.as_slice(), next), (&ids[4..], Value::Null));
        assert_eq!(page(&admin, "user_id=@bob:test").await, (vec![ids[2].clone()], Value::Null));
        assert_eq!(page(&admin, "user_id=@nobody:test").await, (vec![], Value::Null));
        let (two, next) = page(&admin, "user_id=@alice:test&limit=2").await;
        assert_eq!((two.as_slice(), next.is_null()), (&ids[..2], false));
        for wrong in ["limit=x", "from=x", "from=1_x"] {
            let reply = admin.get(&format!("{BIN}/media?{wrong}")).await;
            assert_eq!((reply.status, reply.text("errcode")), (400, "M_INVALID_PARAM"), "{wrong}");
        }
        // More than one step.
        for number in 0..230 {
            ids.push(upload(&alice, "text/plain", format!("{}", number % 7)).await);
        }
        let all = delete(&admin, "/_synapse/admin/v1/users/@alice:test/media?limit=1000").await;
        assert_eq!(all.body["total"], 230);
        let kept = upload(&alice, "text/plain", "3").await;
        let order = ok(delete(&admin, &format!("{BIN}/media")).await);
        assert_eq!(over(&admin, &order["job"]).await, json!({ "purged": 235 }));
        assert_eq!(page(&admin, "").await, (vec![], Value::Null));
        assert_eq!((counts(&server).await, objects(&server).await), ((1, 1), 1));
        assert_eq!(alice.get(&download_path(&kept)).await.body, json!(3));
        assert_eq!(acts(&admin, "media").await, ["media.empty_bin"]);
    }

    async fn an_erased_account_leaves_nothing(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(upload(&alice, "text/plain", format!("number {number}")).await);
        }
        let of_bob = upload(&bob, "text/plain", "bob's").await;
        for id in [&ids[0], &ids[1], &of_bob] {
            bin(&admin, id).await;
        }
        let deactivate = |erase: bool| admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": erase }));
        ok(deactivate(false).await);
        // A deactivated account keeps what it uploaded, and it can come back.
        assert_eq!(restore(&admin, &ids[0]).await, (200, json!({})));
        bin(&admin, &ids[0]).await;
        ok(deactivate(true).await);
        let path = format!("{BIN}/media?user_id=@alice:test");
        eventually(&admin, &path, |reply| list(&reply.body, "/media").is_empty()).await;
        assert_eq!(restore(&admin, &ids[0]).await, missing("upload"));
        // The rest stays as ever, and what is deleted of it now is deleted at once.
        assert_eq!(usage(&admin, "@alice:test").await.0, 1);
        bin(&admin, &ids[2]).await;
        assert_eq!(page(&admin, "").await, (vec![of_bob], Value::Null));
        assert_eq!((counts(&server).await, objects(&server).await), ((0, 5), 1));
    }

    async fn an_erased_account_gets_nothing_back(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = upload(&alice, "text/plain", "old").await;
        bin(&admin, &id).await;
        // As while the job of the erasure is under way.
        server.app().db.write(|tx| {
            let user = reeve_store::users::find(tx, "@alice:test")?.unwrap();
            let erased = reeve_model::User { deactivated: true, erased: true, ..user.clone() };
            reeve_store::users::update(tx, &user, &erased)
        }).await.unwrap();
        let refused = json!({ "errcode": "M_UNKNOWN", "error": "The account that uploaded it was erased" });
        assert_eq!(restore(&admin, &id).await, (409, refused));
        assert_eq!(page(&admin, "").await.0, [id]);
    }

    #[config(|config| config.media.max_bytes_per_account = Some(10))]
    async fn the_bin_counts_for_nobody(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = upload(&alice, "text/plain", "0123456789").await;
        bin(&admin, &id).await;
        upload(&alice, "text/plain", "9876543210").await;
        // An administrator may exceed the limit, the account may not.
        assert_eq!(restore(&admin, &id).await, (200, json!({})));
        assert_eq!(usage(&admin, "@alice:test").await, (json!(2), json!(2), json!(20)));
        let refused = alice.send(http::Method::POST, UPLOAD, &[("content-type", "text/plain")], "x").await;
        assert_eq!(refused.status, 403);
    }

    #[config(|config| config.media.bin_ms = 0)]
    async fn without_a_bin_it_is_deleted_at_once(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = upload(&alice, "text/plain", "gone").await;
        bin(&admin, &id).await;
        assert_eq!(page(&admin, "").await, (vec![], Value::Null));
        assert_eq!(objects(&server).await, 0);
        assert_eq!(restore(&admin, &id).await, missing("upload"));
    }
}
