//! `POST /_matrix/media/v3/upload`.

use std::time::Duration;

use http::Method;
use reeve_testkit::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use reeve_testkit::tokio::net::TcpStream;
use reeve_testkit::{Config, START, Server, on_both_engines};
use serde_json::json;

use super::{UPLOAD, download_path, files, known, objects, send, upload};

fn small(config: &mut Config) {
    config.media.max_upload_bytes = 1000;
    config.media.max_bytes_per_account = Some(1500);
    config.media.max_bytes = Some(2000);
}

fn impatient(config: &mut Config) {
    config.http.body_timeout = Duration::from_millis(200);
}

/// Sends the beginning of an upload over a new connection; returns the connection.
async fn begin(server: &Server, token: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head =
        format!("POST {UPLOAD} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n{headers}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

on_both_engines! {
    async fn what_is_known_of_an_upload(server: Server) {
        let alice = server.user("alice").await;
        let path = format!("{UPLOAD}?filename=Krieg%20%26%20Frieden%00.txt");
        let reply = send(&alice, &path, "text/plain", "hello").await;
        let media_id = reply.text("content_uri").strip_prefix("mxc://test/").unwrap().to_owned();
        assert_eq!(reply, (200, json!({ "content_uri": format!("mxc://test/{media_id}") })));
        assert!(media_id.len() == 24 && media_id.bytes().all(|b| b.is_ascii_alphanumeric()));
        let media = known(&server, &media_id).await.unwrap();
        assert_eq!(
            (&*media.user_id, &*media.media_type, media.media_length, media.upload_name.as_deref(), media.created_ts),
            ("@alice:test", "text/plain", 5, Some("Krieg & Frieden.txt"), START)
        );
        assert_eq!((media.last_access_ts, media.quarantined_by, media.url_cache), (None, None, None));
        assert_eq!((media.safe_from_quarantine, media.authenticated), (false, true));
        assert_eq!(media.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        for old in ["/_matrix/media/r0/upload", "/_matrix/media/v1/upload"] {
            assert_eq!(send(&alice, old, "text/plain", "hello").await.status, 200);
        }
        let untyped = alice.send(Method::POST, UPLOAD, &[], "x").await;
        let untyped = untyped.text("content_uri").rsplit('/').next().unwrap().to_owned();
        let untyped = known(&server, &untyped).await.unwrap();
        assert_eq!((&*untyped.media_type, untyped.upload_name), ("application/octet-stream", None));
        let empty = upload(&alice, "text/plain", "").await;
        let reply = alice.get(&download_path(&empty)).await;
        assert_eq!((reply.status, reply.bytes.len(), reply.header("content-length")), (200, 0, "0"));
        assert_eq!(objects(&server).await, 3, "equal bytes are kept once");
    }

    async fn large_files_arrive_whole(server: Server) {
        let alice = server.user("alice").await;
        let bytes: Vec<u8> = (0..3_000_017_u32).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
        let media_id = upload(&alice, "application/octet-stream", bytes.clone()).await;
        let reply = alice.get(&download_path(&media_id)).await;
        assert!(reply.bytes == bytes, "the bytes differ");
    }

    #[config(small)]
    async fn limits(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let config = alice.get("/_matrix/client/v1/media/config").await;
        assert_eq!(config, (200, json!({ "m.upload.size": 1000 })));
        assert_eq!(alice.get("/_matrix/media/v3/config").await, (200, json!({ "m.upload.size": 1000 })));
        let too_large = (413, "M_TOO_LARGE", "Upload request body is too large");
        assert_eq!(send(&alice, UPLOAD, "x/y", vec![0; 1001]).await.refusal(), too_large);
        // Without a length.
        let chunked = "transfer-encoding: chunked\r\nconnection: close";
        let mut body = b"3e9\r\n".to_vec();
        body.extend(vec![b'x'; 1001]);
        body.extend(b"\r\n0\r\n\r\n");
        let stream = begin(&server, alice.token.as_ref().unwrap(), chunked, &body).await;
        let said = answer(stream).await;
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("M_TOO_LARGE"), "{said}");
        upload(&alice, "x/y", vec![1; 1000]).await;
        let full = (403, "M_FORBIDDEN", "You have reached your limit of uploads");
        assert_eq!(send(&alice, UPLOAD, "x/y", vec![2; 501]).await.refusal(), full);
        upload(&alice, "x/y", vec![2; 500]).await;
        // Bytes that are stored already do not count for the server, but for the account.
        upload(&bob, "x/y", vec![2; 500]).await;
        let full = (403, "M_FORBIDDEN", "This server has no more room for uploads");
        assert_eq!(send(&bob, UPLOAD, "x/y", vec![3; 501]).await.refusal(), full);
        upload(&bob, "x/y", vec![3; 500]).await;
        // The server is full, but has these.
        upload(&server.user("carol").await, "x/y", vec![3; 500]).await;
        assert_eq!(objects(&server).await, 3);
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.media = reeve_app::limits::RateLimit { per_second: 1.0, burst: 2 };
    })]
    async fn not_too_often(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        upload(&alice, "x/y", "1").await;
        upload(&alice, "x/y", "2").await;
        let refused = send(&alice, UPLOAD, "x/y", "3").await;
        assert_eq!((refused.status, &refused.body["errcode"]), (429, &json!("M_LIMIT_EXCEEDED")));
        assert_eq!(alice.post("/_matrix/media/v1/create", json!({})).await.status, 429);
        let limit = json!({ "messages_per_second": 0, "burst_count": 0 });
        admin.post("/_synapse/admin/v1/users/@alice:test/override_ratelimit", limit).await;
        upload(&alice, "x/y", "3").await;
    }

    async fn what_breaks_off_leaves_nothing(server: Server) {
        let alice = server.user("alice").await;
        let token = alice.token.clone().unwrap();
        let long = vec![b'x'; 700_000];
        for (headers, body) in [
            ("content-length: 1000000", &long[..]),
            ("content-length: 10", b"short"),
            ("transfer-encoding: chunked", b"5\r\nhello\r\n"),
            ("transfer-encoding: chunked", b"5\r\nhello\r\nrubbish"),
        ] {
            let mut stream = begin(&server, &token, headers, body).await;
            stream.shutdown().await.unwrap();
            let said = answer(stream).await;
            assert!(!said.starts_with("HTTP/1.1 200"), "{headers}: {said}");
        }
        assert_eq!(objects(&server).await, 0);
        let totals = server.app().db.read(reeve_store::media_users::totals).await.unwrap();
        assert_eq!(totals, reeve_store::media_users::Totals::default());
    }

    #[config(impatient)]
    async fn who_pauses_too_long_is_left(server: Server) {
        let alice = server.user("alice").await;
        let token = alice.token.clone().unwrap();
        let stream = begin(&server, &token, "content-length: 10\r\nconnection: close", b"12345").await;
        let said = answer(stream).await;
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("took too long"), "{said}");
        assert_eq!(objects(&server).await, 0);
    }

    async fn who_may_upload(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let guest = server.user("guest").await;
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let guest = reeve_store::users::find(tx, "@guest:test")?.unwrap();
            reeve_store::users::update(tx, &guest, &reeve_model::User { is_guest: true, ..guest.clone() })
        }).await.unwrap();
        let media_id = upload(&alice, "text/plain", "hello").await;
        assert_eq!(send(&guest, UPLOAD, "x/y", "x").await.status, 403);
        assert_eq!(guest.get(&download_path(&media_id)).await.body, json!("hello"));
        admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await;
        assert_eq!(send(&alice, UPLOAD, "x/y", "x").await.status, 200);
        assert_eq!(alice.get(&download_path(&media_id)).await.status, 200);
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await;
        assert_eq!(send(&alice, UPLOAD, "x/y", "x").await.status, 401);
        // Uploads outlive their account.
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await;
        assert_eq!(guest.get(&download_path(&media_id)).await.status, 200);
        assert_eq!(files(&server.media_folder()), 2);
    }
}
