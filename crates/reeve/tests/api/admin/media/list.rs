//! `GET v1/users/{user_id}/media` and `GET v1/media/{server_name}/{media_id}`.

use std::cmp::Ordering;

use http::Method;
use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use super::{delete, download, error, info, media, of_user, several};
use crate::client::media::{UPLOAD, upload};

const ORDERS: [&str; 8] = [
    "media_id",
    "upload_name",
    "created_ts",
    "last_access_ts",
    "media_length",
    "media_type",
    "quarantined_by",
    "safe_from_quarantine",
];

async fn page(admin: &Client, query: &str) -> Value {
    let reply = admin.get(&of_user("@alice:test", query)).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    reply.body
}

fn ids(page: &Value) -> Vec<String> {
    let media = page["media"].as_array().unwrap();
    media.iter().map(|media| media["media_id"].as_str().unwrap().to_owned()).collect()
}

/// Uploads of which many are alike in each respect.
async fn many(server: &Server, admin: &Client, alice: &Client) {
    for number in 0..24 {
        let name = ["", "?filename=a", "?filename=b.txt"][number % 3];
        let media_type = ["text/plain", "image/png"][number % 2];
        let body = vec![b'x'; 1 + number % 4];
        let path = format!("{UPLOAD}{name}");
        let reply = alice.send(Method::POST, &path, &[("content-type", media_type)], body).await;
        let media_id = reply.text("content_uri").rsplit('/').next().unwrap().to_owned();
        if number % 5 == 0 {
            assert_eq!(admin.post(&media(&format!("protect/{media_id}")), json!({})).await, (200, json!({})));
        }
        if number % 6 == 1 {
            assert_eq!(download(alice, &media_id).await.status, 200);
        }
        if number % 4 == 3 {
            server.clock.advance(1000);
        }
    }
    server.app().media.flush().await.unwrap();
    // One of the four contents; protected uploads of it stay as they are.
    let some = ids(&page(admin, "?order_by=media_length&limit=1").await).remove(0);
    let unprotected = admin.post(&media(&format!("unprotect/{some}")), json!({})).await;
    assert_eq!(unprotected, (200, json!({})));
    assert_eq!(admin.post(&media(&format!("quarantine/test/{some}")), json!({})).await, (200, json!({})));
}

/// Ascending, without a value last.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => a.as_i64().cmp(&b.as_i64()),
    }
}

on_both_engines! {
    async fn one_upload(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{UPLOAD}?filename=hello.txt");
        let reply = alice.send(Method::POST, &path, &[("content-type", "text/plain")], "hello").await;
        let media_id = reply.text("content_uri").strip_prefix("mxc://test/").unwrap();
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let mut listed = json!({
            "media_id": media_id, "media_type": "text/plain", "media_length": 5, "upload_name": "hello.txt",
            "created_ts": START_MS, "url_cache": null, "last_access_ts": null, "quarantined_by": null,
            "safe_from_quarantine": false, "user_id": "@alice:test", "authenticated": true, "sha256": sha256,
        });
        assert_eq!(page(&admin, "").await, json!({ "media": [listed], "total": 1 }));
        server.clock.advance(5000);
        assert_eq!(download(&alice, media_id).await.status, 200);
        server.app().media.flush().await.unwrap();
        listed["last_access_ts"] = json!(START_MS + 5000);
        assert_eq!(page(&admin, "").await, json!({ "media": [listed], "total": 1 }));
        listed["media_origin"] = Value::Null;
        listed["filesystem_id"] = Value::Null;
        assert_eq!(info(&admin, media_id).await, listed);
        for unknown in [format!("other/{media_id}"), "test/unknown".to_owned(), "test/".to_owned()] {
            let reply = admin.get(&media(&unknown)).await;
            assert_eq!(reply, (404, error("M_NOT_FOUND", "Unknown media")), "{unknown}");
        }
    }

    async fn orders_and_pages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        several(&server, &server.user("bob").await, 2).await;
        many(&server, &admin, &alice).await;
        let all = page(&admin, "").await;
        let all = all["media"].as_array().unwrap();
        assert_eq!(all.len(), 24);
        for key in ["quarantined_by", "last_access_ts", "upload_name"] {
            assert!(all.iter().any(|m| m[key].is_null()) && !all.iter().all(|m| m[key].is_null()), "{key}");
        }
        let sorted = |order: &str, descending: bool| -> Vec<String> {
            let mut sorted: Vec<&Value> = all.iter().collect();
            sorted.sort_by(|a, b| {
                let by_key = compare(&a[order], &b[order]);
                let by_key = if descending { by_key.reverse() } else { by_key };
                // Equals are in the order of their ids, whatever the direction.
                by_key.then_with(|| a["media_id"].as_str().cmp(&b["media_id"].as_str()))
            });
            sorted.iter().map(|media| media["media_id"].as_str().unwrap().to_owned()).collect()
        };
        for order in ORDERS {
            for (dir, descending) in [("f", false), ("b", true)] {
                let expected = sorted(order, descending);
                for limit in [1, 7, 24] {
                    let (mut found, mut from) = (Vec::new(), 0);
                    loop {
                        let query = format!("?order_by={order}&dir={dir}&limit={limit}&from={from}");
                        let page = page(&admin, &query).await;
                        assert_eq!(page["total"], 24);
                        found.extend(ids(&page));
                        let Some(next) = page["next_token"].as_i64() else { break };
                        assert_eq!(next, from + limit);
                        from = next;
                    }
                    assert_eq!(found, expected, "{order} {dir} {limit}");
                }
            }
        }
        // The newest first only if the request names no order.
        for (query, order, descending) in [
            ("", "created_ts", true), ("?limit=100", "created_ts", true), ("?order_by=created_ts", "created_ts", false),
            ("?order_by=media_length", "media_length", false), ("?dir=f", "created_ts", false), ("?dir=b", "created_ts", true),
        ] {
            assert_eq!(ids(&page(&admin, query).await), sorted(order, descending), "{query}");
        }
        assert_eq!(page(&admin, "?from=24").await, json!({ "media": [], "total": 24 }));
        assert_eq!(page(&admin, "?from=9223372036854775807").await, json!({ "media": [], "total": 24 }));
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        upload(&alice, "text/plain", "kept").await;
        let positive = |key: &str| format!("Query parameter {key} must be a positive integer.");
        let cases = [
            ("@x:other", "?limit=x", 400, error("M_UNKNOWN", "Can only look up local users")),
            ("@nobody:test", "?limit=x", 404, error("M_NOT_FOUND", "Unknown user")),
            ("@alice:test", "?from=-1&limit=-1", 400, error("M_INVALID_PARAM", &positive("from"))),
            ("@alice:test", "?limit=-1&order_by=x", 400, error("M_INVALID_PARAM", &positive("limit"))),
            ("@alice:test", "?limit=x", 400, error("M_INVALID_PARAM", "Query parameter limit must be an integer")),
            ("@alice:test", "?order_by=age&dir=x", 400, error(
                "M_INVALID_PARAM",
                "Query parameter 'order_by' must be one of ['media_id', 'upload_name', 'created_ts', 'last_access_ts', \
                 'media_length', 'media_type', 'quarantined_by', 'safe_from_quarantine']",
            )),
            ("@alice:test", "?dir=up", 400, error("M_INVALID_PARAM", "Query parameter 'dir' must be one of ['b', 'f']")),
        ];
        for (user_id, query, status, body) in cases {
            let path = of_user(user_id, query);
            assert_eq!(admin.get(&path).await, (status, body.clone()), "{path}");
            assert_eq!(delete(&admin, &path).await, (status, body), "{path}");
        }
        assert_eq!(admin.get(&of_user("alice", "")).await.status, 400);
        assert_eq!(page(&admin, "").await["total"], 1);
    }
}
