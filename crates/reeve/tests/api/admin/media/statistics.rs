//! `GET v1/statistics/users/media`.

use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use super::{delete, error, of_user};
use crate::client::media::upload;

const STATISTICS: &str = "/_synapse/admin/v1/statistics/users/media";

async fn names(admin: &Client, query: &str) -> Vec<String> {
    let reply = admin.get(&format!("{STATISTICS}?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    let users = reply.body["users"].as_array().unwrap();
    users
        .iter()
        .map(|user| user["user_id"].as_str().unwrap()[1..].split(':').next().unwrap().to_owned())
        .collect()
}

fn row(name: &str, displayname: &str, media_count: i64, media_length: i64) -> Value {
    let displayname = Some(displayname).filter(|name| !name.is_empty());
    json!({
        "user_id": format!("@{name}:test"), "displayname": displayname,
        "media_count": media_count, "media_length": media_length,
    })
}

/// Accounts by name, display name, and the lengths of what they upload, each account a second later.
async fn people(server: &Server) -> Client {
    let admin = server.admin().await;
    for (name, displayname, lengths) in [
        ("anna", "Zoe", &[5_usize, 5][..]),
        ("bert", "", &[1, 2, 3]),
        ("carl", "Äpfel", &[100]),
        ("dora", "Bert", &[2, 2, 2]),
        ("emil", "Nobody", &[]),
    ] {
        let client = server.user(name).await;
        let path = format!("/_matrix/client/v3/profile/@{name}:test/displayname");
        // An account is called by its name at first.
        let body = json!({ "displayname": displayname });
        assert_eq!(client.put(&path, body).await.status, 200);
        for (index, length) in lengths.iter().enumerate() {
            upload(&client, "text/plain", vec![b'a' + u8::try_from(index).unwrap(); *length]).await;
        }
        server.clock.advance(1000);
    }
    admin
}

on_both_engines! {
    async fn orders_and_pages(server: Server) {
        let admin = people(&server).await;
        let all = [row("anna", "Zoe", 2, 10), row("bert", "", 3, 6), row("carl", "Äpfel", 1, 100), row("dora", "Bert", 3, 6)];
        assert_eq!(admin.get(STATISTICS).await, (200, json!({ "users": all, "total": 4 })));
        for (query, expected) in [
            ("dir=b", "dora carl bert anna"),
            ("order_by=user_id&dir=f", "anna bert carl dora"),
            ("order_by=media_count", "carl anna bert dora"),
            ("order_by=media_count&dir=b", "bert dora anna carl"),
            ("order_by=media_length", "bert dora anna carl"),
            ("order_by=media_length&dir=b", "carl anna bert dora"),
            ("order_by=displayname", "dora anna carl bert"),
            ("order_by=displayname&dir=b", "bert carl anna dora"),
        ] {
            assert_eq!(names(&admin, query).await.join(" "), expected, "{query}");
            // The same where accounts are searched for, and in a span of time.
            let found = names(&admin, &format!("{query}&search_term=r")).await.join(" ");
            let expected_found: Vec<&str> = expected.split(' ').filter(|name| *name != "anna").collect();
            assert_eq!(found, expected_found.join(" "), "{query}");
            assert_eq!(names(&admin, &format!("{query}&from_ts=1")).await.join(" "), expected, "{query}");
        }
        let page = admin.get(&format!("{STATISTICS}?from=1&limit=2")).await;
        assert_eq!(page, (200, json!({ "users": all[1..3], "total": 4, "next_token": 3 })));
        let page = admin.get(&format!("{STATISTICS}?from=3&limit=2")).await;
        assert_eq!(page, (200, json!({ "users": all[3..], "total": 4 })));
        assert_eq!(delete(&admin, &of_user("@anna:test", "?limit=1")).await.status, 200);
        assert_eq!(delete(&admin, &of_user("@carl:test", "")).await.status, 200);
        let rest = [row("anna", "Zoe", 1, 5), all[1].clone(), all[3].clone()];
        assert_eq!(admin.get(STATISTICS).await, (200, json!({ "users": rest, "total": 3 })));
    }

    async fn searches_and_spans(server: Server) {
        let admin = people(&server).await;
        for (term, expected) in [
            ("bert", "bert dora"), ("BER", "bert dora"), ("Zo", "anna"), ("pfel", "carl"), ("nobody", ""), ("%25", ""),
            ("_", ""), (":test", ""),
        ] {
            assert_eq!(names(&admin, &format!("search_term={term}")).await.join(" "), expected, "{term}");
        }
        let at = |n: i64| START_MS + 1000 * n;
        // Both ends belong to a span.
        for (query, expected) in [
            (format!("from_ts={}", at(1)), vec![row("bert", "", 3, 6), row("carl", "Äpfel", 1, 100), row("dora", "Bert", 3, 6)]),
            (format!("until_ts={}", at(0)), vec![row("anna", "Zoe", 2, 10)]),
            (format!("from_ts={}&until_ts={}", at(1), at(2)), vec![row("bert", "", 3, 6), row("carl", "Äpfel", 1, 100)]),
            (format!("from_ts={}&search_term=bert", at(2)), vec![row("dora", "Bert", 3, 6)]),
            (format!("from_ts={}", at(4)), vec![]),
        ] {
            let total = expected.len();
            let reply = admin.get(&format!("{STATISTICS}?{query}")).await;
            assert_eq!(reply, (200, json!({ "users": expected, "total": total })), "{query}");
        }
    }

    async fn refusals(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(STATISTICS).await, (200, json!({ "users": [], "total": 0 })));
        for (query, text) in [
            ("order_by=age", "Query parameter 'order_by' must be one of ['media_length', 'media_count', 'user_id', 'displayname']"),
            ("from=-1", "Query parameter from must be a positive integer."),
            ("limit=x", "Query parameter limit must be an integer"),
            ("from_ts=-1", "Query parameter from_ts must be a positive integer."),
            ("from_ts=5&until_ts=5", "Query parameter until_ts must be greater than from_ts."),
            ("until_ts=0", "Query parameter until_ts must be greater than from_ts."),
            ("search_term=", "Query parameter search_term cannot be an empty string."),
            ("dir=x", "Query parameter 'dir' must be one of ['b', 'f']"),
        ] {
            let reply = admin.get(&format!("{STATISTICS}?{query}")).await;
            assert_eq!(reply, (400, error("M_INVALID_PARAM", text)), "{query}");
        }
        let reply = admin.get(&format!("{STATISTICS}?search_term=%C3%A4")).await;
        assert_eq!(reply, (400, error("M_UNKNOWN", "Query parameter 'search_term' must be ascii")));
    }
}
