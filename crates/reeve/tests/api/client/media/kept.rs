//! Storage of uploads: deleted, quarantined, protected, downloaded, created by the server itself.

use reeve_db::DbError;
use reeve_media::deeds::{self, Progress};
use reeve_model::{Actor, Ctx};
use reeve_store::media::{self, NewMedia, QuarantineChange};
use reeve_store::media_users;
use reeve_testkit::{START, Server, on_both_engines};
use serde_json::json;

use super::{download_path, known, not_found, objects, upload};

fn ctx(server: &Server) -> Ctx {
    let actor = Some(Actor::User("@admin:test".into()));
    Ctx { actor, ..Ctx::system(&server.clock, &server.app().server_name, "test") }
}

async fn delete(server: &Server, media_id: &str) {
    let (media, ctx) = (known(server, media_id).await.unwrap(), ctx(server));
    let deleted = server.app().db.write(move |tx| deeds::delete(tx, &ctx, &media)).await;
    assert!(deleted.unwrap());
}

async fn quarantine(server: &Server, media_id: &str) -> i64 {
    let Some(media) = known(server, media_id).await else { return 0 };
    let ctx = ctx(server);
    let quarantined = server
        .app()
        .db
        .write(move |tx| deeds::quarantine(tx, &ctx, std::slice::from_ref(&media), Progress::default()));
    let (changed, rest) = quarantined.await.unwrap();
    assert_eq!(rest, None);
    changed
}

async fn release(server: &Server, media_id: &str) -> i64 {
    let (media_id, ctx) = (media_id.to_owned(), ctx(server));
    server.app().db.write(move |tx| deeds::unquarantine(tx, &ctx, &media_id)).await.unwrap()
}

async fn usage(server: &Server, name: &str) -> (i64, i64) {
    let user_id = format!("@{name}:test");
    let usage = server.app().db.read(move |tx| {
        let num = reeve_store::users::num(tx, &user_id)?.unwrap();
        media_users::of_user(tx, num)
    });
    let usage = usage.await.unwrap();
    (usage.media_count, usage.media_length)
}

on_both_engines! {
    async fn bytes_go_with_their_last_upload(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (one, two) = (upload(&alice, "text/plain", "same").await, upload(&bob, "x/y", "same").await);
        let other = upload(&alice, "text/plain", "other!").await;
        assert_eq!((usage(&server, "alice").await, usage(&server, "bob").await), ((2, 10), (1, 4)));
        assert_eq!(objects(&server).await, 2);
        delete(&server, &one).await;
        not_found(&alice.get(&download_path(&one)).await);
        assert_eq!(alice.get(&download_path(&two)).await.body, json!("same"));
        assert_eq!(objects(&server).await, 2);
        delete(&server, &two).await;
        // Uploaded again before the old bytes are deleted: a new object is used.
        let again = upload(&bob, "x/y", "same").await;
        assert_eq!(objects(&server).await, 2);
        assert_eq!(alice.get(&download_path(&again)).await.body, json!("same"));
        delete(&server, &again).await;
        delete(&server, &other).await;
        assert_eq!(objects(&server).await, 0);
        assert_eq!((usage(&server, "alice").await, usage(&server, "bob").await), ((0, 0), (0, 0)));
        let totals = server.app().db.read(media_users::totals).await.unwrap();
        assert_eq!(totals, media_users::Totals::default());
    }

    async fn deleting_and_uploading_at_once_loses_nothing(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        for _ in 0..10 {
            let old = upload(&alice, "x/y", "contended").await;
            let (new, ()) = reeve_testkit::tokio::join!(upload(&bob, "x/y", "contended"), delete(&server, &old));
            server.app().media.sweep().await.unwrap();
            assert_eq!(bob.get(&download_path(&new)).await.body, json!("contended"));
            delete(&server, &new).await;
        }
        assert_eq!(objects(&server).await, 0);
    }

    async fn quarantined(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (one, two) = (upload(&alice, "x/y", "bad").await, upload(&bob, "x/y", "bad").await);
        let good = upload(&alice, "x/y", "good").await;
        let protected = upload(&bob, "x/y", "bad").await;
        let (ctx, media_id) = (ctx(&server), protected.clone());
        assert!(server.app().db.write(move |tx| deeds::protect(tx, &ctx, &media_id, true)).await.unwrap());
        assert_eq!(quarantine(&server, &one).await, 2, "equal bytes are as bad");
        assert_eq!(quarantine(&server, &one).await, 0);
        assert_eq!(quarantine(&server, &protected).await, 0);
        assert_eq!(quarantine(&server, "nothing").await, 0);
        for bad in [&one, &two] {
            assert_eq!(known(&server, bad).await.unwrap().quarantined_by.as_deref(), Some("@admin:test"));
            not_found(&alice.get(&download_path(bad)).await);
            let thumbnail = format!("/_matrix/client/v1/media/thumbnail/test/{bad}?width=9&height=9");
            not_found(&alice.get(&thumbnail).await);
        }
        assert_eq!(alice.get(&download_path(&good)).await.status, 200);
        assert_eq!(alice.get(&download_path(&protected)).await.status, 200);
        let third = upload(&alice, "x/y", "bad").await;
        assert_eq!(known(&server, &third).await.unwrap().quarantined_by.as_deref(), Some("system"));
        not_found(&alice.get(&download_path(&third)).await);
        assert_eq!(release(&server, &two).await, 3);
        for good in [&one, &two, &third] {
            assert_eq!(alice.get(&download_path(good)).await.status, 200);
        }
        let changes = server.app().db.read(|tx| media::quarantine_changes(tx, 0, 100)).await.unwrap();
        let told: Vec<(i64, &str, bool)> = changes
            .iter()
            .map(|QuarantineChange { pos, media_id, quarantined }| (*pos, &**media_id, *quarantined))
            .collect();
        let expected = [(1, &one, true), (2, &two, true), (3, &third, true), (4, &one, false), (5, &two, false), (6, &third, false)];
        assert_eq!(told, expected.map(|(pos, media_id, quarantined)| (pos, &**media_id, quarantined)));
        assert_eq!(server.app().db.read(media::newest_quarantine_change).await.unwrap(), 6);
    }

    async fn administrators_look_at_what_is_quarantined(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let bad = upload(&alice, "text/plain", "bad").await;
        let path = format!("{}?admin_unsafely_bypass_quarantine=true", download_path(&bad));
        let before = admin.get(&path).await;
        assert_eq!((before.status, before.header("cache-control")), (200, "private, max-age=86400"));
        quarantine(&server, &bad).await;
        not_found(&admin.get(&download_path(&bad)).await);
        not_found(&admin.get(&format!("{}?admin_unsafely_bypass_quarantine=false", download_path(&bad))).await);
        not_found(&alice.get(&path).await);
        let open = format!("/_matrix/media/v3/download/test/{bad}?admin_unsafely_bypass_quarantine=true");
        not_found(&admin.get(&open).await);
        let reply = admin.get(&path).await;
        assert_eq!((reply.status, &reply.body, reply.header("cache-control")), (200, &json!("bad"), "no-store"));
        let audit = admin.get("/_reeve/admin/v1/audit?limit=1").await;
        let entry = &audit.body["entries"][0];
        assert_eq!((&entry["action"], &entry["target"], &entry["actor"]), (&json!("media.bypass_quarantine"), &json!(bad), &json!("@admin:test")));
    }

    async fn when_it_was_last_downloaded(server: Server) {
        let alice = server.user("alice").await;
        let media_id = upload(&alice, "x/y", "hello").await;
        server.clock.advance(5000);
        assert_eq!(alice.get(&download_path(&media_id)).await.status, 200);
        server.app().media.flush().await.unwrap();
        assert_eq!(known(&server, &media_id).await.unwrap().last_access_ts, Some(START.plus(5000)));
        // A client with a cached copy counts as a use, too.
        server.clock.advance(5000);
        let known_already = alice.send(http::Method::GET, &download_path(&media_id), &[("if-none-match", "*")], "").await;
        assert_eq!(known_already.status, 304);
        server.app().media.flush().await.unwrap();
        assert_eq!(known(&server, &media_id).await.unwrap().last_access_ts, Some(START.plus(10_000)));
    }

    async fn what_the_server_stores_itself(server: Server) {
        let alice = server.user("alice").await;
        let user_num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
        let new = NewMedia {
            media_id: deeds::new_media_id(),
            user_num,
            media_type: "image/png".to_owned(),
            created_ts: START,
            url_cache: Some("https://test/".to_owned()),
            ..NewMedia::default()
        };
        let media_id = new.media_id.clone();
        server.app().media.add_bytes(new, b"picture").await.unwrap();
        assert_eq!(alice.get(&download_path(&media_id)).await.body, json!("picture"));
        assert_eq!(known(&server, &media_id).await.unwrap().url_cache.as_deref(), Some("https://test/"));
    }

    async fn what_cannot_be_deleted_keeps_nothing_else(server: Server) {
        let strays = 150;
        server.app().db.write(move |tx| -> Result<(), DbError> {
            (0..strays).try_for_each(|number| {
                reeve_store::media_objects::begin(tx, &format!("ab{number:03}"), START)
            })
        }).await.unwrap();
        // A folder is no file that could be deleted.
        let stuck = server.media_folder().join("ab").join("000");
        std::fs::create_dir_all(&stuck).unwrap();
        server.app().media.give_up_former().await.unwrap();
        server.app().media.sweep().await.unwrap_err();
        assert_eq!(server.app().db.read(reeve_store::media_objects::count_orphaned).await.unwrap(), 1);
        std::fs::remove_dir(&stuck).unwrap();
        assert_eq!(objects(&server).await, 0);
    }

    async fn by_the_hundred(server: Server) {
        let alice = server.user("alice").await;
        let first = upload(&alice, "x/y", "same").await;
        let blob = known(&server, &first).await.unwrap();
        let (copies, user_num) = (1200, blob.user_num);
        server.app().db.write(move |tx| -> Result<(), DbError> {
            for number in 0..copies {
                let new = NewMedia { media_id: format!("copy{number}"), user_num, ..NewMedia::default() };
                media::insert(tx, &new, blob.blob_num, 4)?;
            }
            Ok(())
        }).await.unwrap();
        let admin = server.admin().await;
        let all = json!({ "num_quarantined": copies + 1 });
        let of_alice = "/_synapse/admin/v1/user/@alice:test/media/quarantine";
        assert_eq!(admin.post(of_alice, json!({})).await, (200, all));
        assert_eq!(admin.post(of_alice, json!({})).await, (200, json!({ "num_quarantined": 0 })));
        let release = format!("/_synapse/admin/v1/media/unquarantine/test/{first}");
        assert_eq!(admin.post(&release, json!({})).await.status, 200);
        for media_id in [&*first, "copy0", "copy777", "copy1199"] {
            assert_eq!(known(&server, media_id).await.unwrap().quarantined_by, None);
        }
        // Some at a time, the one that is meant first; what is uploaded in between is quarantined, too.
        let (last, ctx) = (known(&server, "copy1199").await.unwrap(), ctx(&server));
        let mut rest = Some(Progress::default());
        let mut changed = Vec::new();
        while let Some(from) = rest {
            let (last, ctx) = (last.clone(), ctx.clone());
            let step = server.app().db.write(move |tx| deeds::quarantine(tx, &ctx, std::slice::from_ref(&last), from));
            let (more, next) = step.await.unwrap();
            if changed.is_empty() {
                let between = upload(&alice, "x/y", "same").await;
                assert_eq!(known(&server, &between).await.unwrap().quarantined_by.as_deref(), Some("system"));
                assert!(known(&server, "copy1199").await.unwrap().quarantined_by.is_some());
            }
            changed.push(more);
            rest = next;
        }
        assert_eq!(changed, [501, 500, 200]);
    }

    async fn what_was_left_is_swept(server: Server) {
        let alice = server.user("alice").await;
        upload(&alice, "x/y", "kept").await;
        let mut server = server;
        // As after a crash: the object was registered, and a part of its bytes was written.
        let folder = server.media_folder().join("ab");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cd"), "half of it").unwrap();
        server.app().db.write(|tx| reeve_store::media_objects::begin(tx, "abcd", START)).await.unwrap();
        server.app().media.sweep().await.unwrap();
        assert!(folder.join("cd").exists(), "it may be on its way yet");
        // A day later it is not; and who has the database to itself knows that at once.
        server.clock.advance(24 * 3600 * 1000 + 1);
        server.restart(|_| {}).await;
        assert_eq!(objects(&server).await, 1);
        upload(&server.with_token(&alice.token.unwrap()), "x/y", "more").await;
    }
}
