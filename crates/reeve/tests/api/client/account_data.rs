//! `/_matrix/client/v3/user/{userId}/account_data/{type}`.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

const DATA: &str = "/_matrix/client/v3/user/@alice:test/account_data";

on_both_engines! {
    async fn what_is_put_is_read(server: Server) {
        let alice = server.user("alice").await;
        let unset = (404, json!({ "errcode": "M_NOT_FOUND", "error": "Account data not found" }));
        assert_eq!(alice.get(&format!("{DATA}/org.x")).await, unset);
        let long = "t".repeat(300);
        for (data_type, content) in [
            ("org.x", json!({ "a": [1, 0.1, null, { "b": "ä\u{1F600}" }], "c": 9_007_199_254_740_993_i64 })),
            ("org.x", json!({})),
            ("", json!({ "blank": true })),
            ("a%2Fb", json!({ "slash": 1 })),
            ("%C3%A4", json!({ "letters": 1 })),
            (&*long, json!({ "long": "x".repeat(200_000) })),
            ("m.ignored_user_list", json!({ "ignored_users": { "@bob:test": {} } })),
            ("m.ignored_user_list", json!({ "ignored_users": 1 })),
        ] {
            let path = format!("{DATA}/{data_type}");
            assert_eq!(alice.put(&path, content.clone()).await, (200, json!({})), "{data_type}");
            assert_eq!(alice.get(&path).await, (200, content), "{data_type}");
        }
        let old = "/_matrix/client/r0/user/%40alice%3Atest/account_data/org.x";
        assert_eq!(alice.get(old).await, (200, json!({})));
        // Administrators see it.
        let admin = server.admin().await;
        let seen = admin.get("/_synapse/admin/v1/users/@alice:test/accountdata").await;
        assert_eq!(seen.body["account_data"]["global"]["a/b"], json!({ "slash": 1 }));
        for method in [Method::DELETE, Method::POST] {
            let reply = alice.send(method, &format!("{DATA}/org.x"), &[], "{}").await;
            assert_eq!(reply.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
        }
    }

    async fn what_is_refused(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        server.create("bob", false).await;
        for id in ["@bob:test", "@nobody:test", "@alice:other", "alice", "", "@ALICE:test"] {
            let path = format!("/_matrix/client/v3/user/{id}/account_data/m.fully_read");
            let get = (403, "M_FORBIDDEN", "Cannot get account data for other users.");
            assert_eq!(alice.get(&path).await.refusal(), get, "{id}");
            assert_eq!(admin.get(&path).await.refusal(), get, "{id}");
            let put = (403, "M_FORBIDDEN", "Cannot add account data for other users.");
            assert_eq!(alice.send(Method::PUT, &path, &[], "{").await.refusal(), put, "{id}");
        }
        for (data_type, instead) in [
            ("m.fully_read", "/rooms/!roomId:server.name/read_markers"), ("m.push_rules", "/pushrules"),
        ] {
            let reply = alice.put(&format!("{DATA}/{data_type}"), json!({})).await;
            let text = format!("Cannot set {data_type} through this API. Use {instead}");
            assert_eq!(reply.refusal(), (405, "M_BAD_JSON", &*text));
        }
        let put = |body: &'static str| {
            let alice = alice.clone();
            async move { alice.send(Method::PUT, &format!("{DATA}/org.x"), &[], body).await }
        };
        assert_eq!(put("").await.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        assert_eq!(put("[]").await.refusal(), (400, "M_BAD_JSON", "Content must be a JSON object."));
        let nul = (400, "M_INVALID_PARAM", "Content must not contain NUL characters");
        assert_eq!(put("{\"a\":\"\\u0000\"}").await.refusal(), nul);
        let ignores = json!({ "ignored_users": { "@bob:test": {}, "@alice:test": {} } });
        let reply = alice.put(&format!("{DATA}/m.ignored_user_list"), ignores).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "You cannot ignore yourself"));
        for data_type in ["org.x", "m.ignored_user_list", "m.fully_read"] {
            let reply = alice.get(&format!("{DATA}/{data_type}")).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND", "Account data not found"));
        }
    }

    async fn suspended_accounts_keep_their_data(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await;
        assert_eq!(alice.put(&format!("{DATA}/org.x"), json!({ "a": 1 })).await, (200, json!({})));
        assert_eq!(alice.get(&format!("{DATA}/org.x")).await, (200, json!({ "a": 1 })));
    }
}
