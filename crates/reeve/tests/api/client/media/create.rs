//! `POST /_matrix/media/v1/create` and `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`.

use http::Method;
use reeve_testkit::{Client, Reply, START_MS, on_both_engines, tokio};
use serde_json::json;

use super::{download_path, known, not_found, objects, upload};

const CREATE: &str = "/_matrix/media/v1/create";
const DAY_MS: i64 = 24 * 3600 * 1000;

async fn create(client: &Client) -> String {
    let reply = client.post(CREATE, json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.text("content_uri").strip_prefix("mxc://test/").unwrap().to_owned()
}

async fn put(client: &Client, media_id: &str, body: &str) -> Reply {
    let path = format!("/_matrix/media/v3/upload/test/{media_id}?filename=f.txt");
    client.send(Method::PUT, &path, &[("content-type", "text/plain")], body.to_owned()).await
}

on_both_engines! {
    async fn the_address_before_the_file(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let reply = alice.post(CREATE, json!({})).await;
        assert_eq!(reply.body["unused_expires_at"], json!(START_MS + DAY_MS));
        let media_id = reply.text("content_uri").strip_prefix("mxc://test/").unwrap().to_owned();
        let early = bob.get(&format!("{}?timeout_ms=1", download_path(&media_id))).await;
        assert_eq!(early.refusal(), (504, "M_NOT_YET_UPLOADED", "Media has not been uploaded yet"));
        // A waiting download receives the file as soon as it is uploaded.
        let waiting = tokio::spawn({
            let (bob, path) = (bob.clone(), download_path(&media_id));
            async move { bob.get(&path).await }
        });
        let theirs = put(&bob, &media_id, "mine").await;
        assert_eq!(theirs.refusal(), (403, "M_FORBIDDEN", "Only the creator of the media ID may upload to it"));
        assert_eq!(put(&alice, &media_id, "hello").await, (200, json!({})));
        let reply = waiting.await.unwrap();
        assert_eq!((reply.status, &*reply.bytes), (200, &b"hello"[..]));
        assert_eq!(reply.header("content-disposition"), "inline; filename=\"f.txt\"");
        let again = put(&alice, &media_id, "other").await;
        assert_eq!(again.refusal(), (409, "M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content"));
        assert_eq!(bob.get(&download_path(&media_id)).await.body, json!("hello"));
        let other = upload(&alice, "text/plain", "hello").await;
        assert_eq!(put(&alice, &other, "x").await.status, 409);
    }

    async fn one_of_two_wins(server: Server) {
        let alice = server.user("alice").await;
        for round in 0..5 {
            let media_id = create(&alice).await;
            let bodies = [format!("first {round}"), format!("second {round}")];
            let (one, two) = tokio::join!(put(&alice, &media_id, &bodies[0]), put(&alice, &media_id, &bodies[1]));
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409]);
            let winner = if one.status == 200 { &bodies[0] } else { &bodies[1] };
            assert_eq!(alice.get(&download_path(&media_id)).await.body, json!(winner));
        }
        assert_eq!(objects(&server).await, 5);
    }

    async fn too_late(server: Server) {
        let alice = server.user("alice").await;
        let media_id = create(&alice).await;
        server.clock.advance(DAY_MS);
        let unknown = (404, "M_NOT_FOUND", "Unknown media ID");
        assert_eq!(put(&alice, &media_id, "x").await.refusal(), unknown);
        not_found(&alice.get(&download_path(&media_id)).await);
        assert_eq!(put(&alice, "nothing", "x").await.refusal(), unknown);
        let elsewhere = format!("/_matrix/media/v3/upload/elsewhere/{media_id}");
        assert_eq!(alice.send(Method::PUT, &elsewhere, &[], "x").await.refusal(), unknown);
        assert!(known(&server, &media_id).await.is_none());
    }

    #[config(|config| config.media.max_pending = 2)]
    async fn not_too_many(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let first = create(&alice).await;
        server.clock.advance(1000);
        create(&alice).await;
        let refused = alice.post(CREATE, json!({})).await;
        assert_eq!(refused.refusal(), (429, "M_LIMIT_EXCEEDED", "Too Many Requests"));
        assert_eq!(refused.body["retry_after_ms"], json!(DAY_MS - 1000));
        create(&bob).await;
        assert_eq!(put(&alice, &first, "x").await.status, 200);
        create(&alice).await;
        server.clock.advance(DAY_MS);
        create(&alice).await;
    }
}
