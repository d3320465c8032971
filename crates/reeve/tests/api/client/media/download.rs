//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}`, and the older paths.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

use super::{UPLOAD, download_path, known, not_found, send, upload};

const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';";
/// The SHA-256 of `0123456789`.
const DIGITS: &str = "\"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\"";

on_both_engines! {
    async fn headers(server: Server) {
        let alice = server.user("alice").await;
        let reply = send(&alice, &format!("{UPLOAD}?filename=a%20b.txt"), "text/plain; charset=utf-8", "0123456789").await;
        let media_id = reply.text("content_uri").rsplit('/').next().unwrap().to_owned();
        for method in [Method::GET, Method::HEAD] {
            let reply = alice.send(method.clone(), &download_path(&media_id), &[], "").await;
            let body = if method == Method::GET { "0123456789" } else { "" };
            assert_eq!((reply.status, &*reply.bytes), (200, body.as_bytes()));
            for (name, value) in [
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", "10"),
                ("content-disposition", "inline; filename=\"a b.txt\""),
                ("content-security-policy", POLICY),
                ("cross-origin-resource-policy", "cross-origin"),
                ("x-content-type-options", "nosniff"),
                ("cache-control", "private, max-age=86400"),
                ("accept-ranges", "bytes"),
                ("etag", DIGITS),
                ("access-control-allow-origin", "*"),
            ] {
                assert_eq!(reply.header(name), value, "{method} {name}");
            }
        }
        let named = alice.get(&format!("{}/%C3%A4.txt", download_path(&media_id))).await;
        let disposition = "inline; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt";
        assert_eq!((named.status, named.header("content-disposition")), (200, disposition));
        let tricky = alice.get(&format!("{}/..%2F..%2Fetc%2Fpasswd%0D%0Ax", download_path(&media_id))).await;
        assert_eq!((tricky.status, tricky.header("content-disposition")), (200, "inline; filename=\"passwdx\""));
        let page = upload(&alice, "text/html", "<script>alert(1)</script>").await;
        let page = alice.get(&download_path(&page)).await;
        assert_eq!((page.header("content-type"), page.header("content-disposition")), ("text/html", "attachment"));
    }

    async fn what_it_is(server: Server) {
        let alice = server.user("alice").await;
        let png: &[u8] = b"\x89PNG\r\n\x1a\n";
        for (said, bytes, kept, disposition) in [
            // A missing type is sniffed from the bytes.
            ("application/octet-stream", png, "image/png", "inline"),
            ("", png, "image/png", "inline"),
            ("application/octet-stream", b"hello", "application/octet-stream", "attachment"),
            ("image/png", png, "image/png", "inline"),
            ("text/plain", b"hello", "text/plain", "inline"),
            // Content that contradicts its type is not shown inline.
            ("image/png", b"<script>alert(1)</script>", "image/png", "attachment"),
            ("video/mp4", png, "video/mp4", "attachment"),
            ("application/json", png, "application/json", "attachment"),
        ] {
            let media_id = upload(&alice, said, bytes).await;
            let reply = alice.get(&download_path(&media_id)).await;
            let told = (reply.header("content-type"), reply.header("content-disposition"));
            assert_eq!(told, (kept, disposition), "{said}");
            assert_eq!(known(&server, &media_id).await.unwrap().media_type, kept);
        }
    }

    async fn parts(server: Server) {
        let alice = server.user("alice").await;
        let path = download_path(&upload(&alice, "text/plain", "0123456789").await);
        let get = async |headers: &[(&str, &str)]| alice.send(Method::GET, &path, headers, "").await;
        for (range, body, said) in [
            ("bytes=0-0", "0", "bytes 0-0/10"),
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=5-500", "56789", "bytes 5-9/10"),
        ] {
            let reply = get(&[("range", range)]).await;
            assert_eq!((reply.status, &*reply.bytes), (206, body.as_bytes()), "{range}");
            assert_eq!((reply.header("content-range"), reply.header("etag")), (said, DIGITS), "{range}");
            assert_eq!(reply.header("content-length"), body.len().to_string());
        }
        for whole in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2"] {
            assert_eq!((get(&[("range", whole)]).await.status), 200, "{whole}");
        }
        let beyond = get(&[("range", "bytes=10-")]).await;
        assert_eq!(beyond.refusal(), (416, "M_UNKNOWN", "The requested range lies beyond the file"));
        assert_eq!(beyond.header("content-range"), "bytes */10");
        assert_eq!(get(&[("range", "bytes=0-0"), ("if-range", DIGITS)]).await.status, 206);
        assert_eq!(get(&[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await.status, 200);
        let weak = format!("\"x\", W/{DIGITS}");
        for known in [DIGITS, "*", &weak] {
            let reply = get(&[("if-none-match", known)]).await;
            assert_eq!((reply.status, reply.bytes.len(), reply.header("etag")), (304, 0, DIGITS), "{known}");
        }
        assert_eq!(get(&[("if-none-match", "\"other\"")]).await.status, 200);
        // A part that is longer than what is read at a time.
        let long: Vec<u8> = (0..1_000_000_u32).map(|i| u8::try_from(i % 253).unwrap()).collect();
        let path = download_path(&upload(&alice, "x/y", long.clone()).await);
        let reply = alice.send(Method::GET, &path, &[("range", "bytes=100001-900000")], "").await;
        assert!(reply.status == 206 && reply.bytes == long[100_001..=900_000], "the bytes differ");
    }

    async fn what_is_not_there(server: Server) {
        let alice = server.user("alice").await;
        let media_id = upload(&alice, "text/plain", "hello").await;
        for path in ["test/nothing", &format!("elsewhere/{media_id}"), "test/..%2F..%2Freeve.db", "test/", "/", "test/%00"] {
            for what in ["download", "thumbnail"] {
                let reply = alice.get(&format!("/_matrix/client/v1/media/{what}/{path}?width=32&height=32")).await;
                assert!(matches!(reply.refusal().0, 400 | 404), "{path}: {}", reply.body);
            }
        }
        not_found(&alice.get(&download_path("nothing")).await);
        assert_eq!(server.stranger().get(&download_path(&media_id)).await.refusal().1, "M_MISSING_TOKEN");
        // The older paths ask for no token, and so have nothing that is new.
        for version in ["v3", "r0", "v1"] {
            for client in [&alice, &server.stranger()] {
                not_found(&client.get(&format!("/_matrix/media/{version}/download/test/{media_id}")).await);
                not_found(&client.get(&format!("/_matrix/media/{version}/download/test/{media_id}/x.txt")).await);
                not_found(&client.get(&format!("/_matrix/media/{version}/thumbnail/test/{media_id}?width=9&height=9")).await);
            }
        }
        let bad = alice.get(&format!("{}?timeout_ms=x", download_path(&media_id))).await;
        assert_eq!(bad.refusal(), (400, "M_INVALID_PARAM", "Query parameter timeout_ms must be an integer"));
        assert_eq!(alice.get("/_matrix/client/v1/media/download/test").await.body["errcode"], json!("M_UNRECOGNIZED"));
    }
}
