//! Data of an account: rooms, account data, pushers, cross-signing keys.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

fn at(id: &str, rest: &str) -> String {
    format!("/_synapse/admin/v1/users/{id}/{rest}")
}

fn error(errcode: &str, error: &str) -> Value {
    json!({ "errcode": errcode, "error": error })
}

on_both_engines! {
    async fn nobody_is_in_a_room(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        for id in ["@alice:test", "@nobody:test", "@x:other", "bad", ""] {
            assert_eq!(admin.get(&at(id, "joined_rooms")).await, (200, json!({ "joined_rooms": [], "total": 0 })), "{id}");
            assert_eq!(admin.get(&at(id, "memberships")).await, (200, json!({ "memberships": {} })), "{id}");
            let reply = admin.get(&at(id, "sent_invite_count?from_ts=0")).await;
            assert_eq!(reply, (200, json!({ "invite_count": 0 })), "{id}");
            let reply = admin.get(&at(id, "cumulative_joined_room_count?from_ts=1")).await;
            assert_eq!(reply, (200, json!({ "cumulative_joined_room_count": 0 })), "{id}");
        }
        for count in ["sent_invite_count", "cumulative_joined_room_count"] {
            let missing = error("M_MISSING_PARAM", "Missing required integer query parameter from_ts");
            assert_eq!(admin.get(&at("@alice:test", count)).await, (400, missing));
            let integer = error("M_INVALID_PARAM", "Query parameter from_ts must be an integer");
            for bad in ["", "x", "1.0", "9223372036854775808"] {
                assert_eq!(admin.get(&at("bad", &format!("{count}?from_ts={bad}"))).await, (400, integer.clone()), "{bad}");
            }
            let positive = error("M_INVALID_PARAM", "Query parameter from_ts must be a positive integer.");
            assert_eq!(admin.get(&at("bad", &format!("{count}?from_ts=-1"))).await, (400, positive));
        }
    }

    async fn account_data(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = at("@alice:test", "accountdata");
        assert_eq!(admin.get(&path).await, (200, json!({ "account_data": { "global": {}, "rooms": {} } })));
        let put = |rest: &'static str, body: Value| {
            let alice = alice.clone();
            async move { alice.put(&format!("/_matrix/client/v3/user/@alice:test/{rest}"), body).await }
        };
        let ignored = json!({ "ignored_users": { "@x:test": {} } });
        assert_eq!(put("account_data/m.ignored_user_list", ignored.clone()).await, (200, json!({})));
        assert_eq!(put("account_data/empty", json!({})).await, (200, json!({})));
        // Clients cannot store any for unknown rooms; it may come from another server.
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@alice:test")?.unwrap();
            reeve_store::account_data::put(tx, num, "!r:test", "org.x", r#"{"a":[1,null]}"#)?;
            Ok(())
        }).await.unwrap();
        let expected = json!({ "account_data": {
            "global": { "m.ignored_user_list": ignored, "empty": {} },
            "rooms": { "!r:test": { "org.x": { "a": [1, null] } } },
        } });
        assert_eq!(admin.get(&path).await, (200, expected));
        for id in ["", "bad", "@bad", "@alice:other"] {
            let reply = admin.get(&at(id, "accountdata")).await;
            assert_eq!(reply, (400, error("M_UNKNOWN", "Can only look up local users")), "{id}");
        }
        for id in ["alice:test", "@nobody:test"] {
            assert_eq!(admin.get(&at(id, "accountdata")).await, (404, error("M_NOT_FOUND", "User not found")), "{id}");
        }
    }

    async fn pushers(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = at("@alice:test", "pushers");
        assert_eq!(admin.get(&path).await, (200, json!({ "pushers": [], "total": 0 })));
        let data = json!({ "url": "https://push.test/_matrix/push/v1/notify", "format": "event_id_only", "extra": [1] });
        let mut pusher = json!({
            "kind": "http", "app_id": "app", "pushkey": "key", "app_display_name": "App",
            "device_display_name": "Phone", "lang": "en", "data": data,
        });
        assert_eq!(alice.post("/_matrix/client/v3/pushers/set", pusher.clone()).await, (200, json!({})));
        pusher["profile_tag"] = json!("");
        pusher["enabled"] = json!(true);
        pusher["device_id"] = json!(alice.device_id);
        assert_eq!(admin.get(&path).await, (200, json!({ "pushers": [pusher], "total": 1 })));
        for (id, status, code, text) in [
            ("bad", 400, "M_INVALID_PARAM", "Expected UserID string to start with '@'"),
            ("@bad", 400, "M_INVALID_PARAM", "Expected UserID of the form '@localname:domain'"),
            ("@alice:other", 400, "M_UNKNOWN", "Can only look up local users"),
            ("@nobody:test", 404, "M_NOT_FOUND", "User not found"),
        ] {
            assert_eq!(admin.get(&at(id, "pushers")).await, (status, error(code, text)), "{id}");
        }
    }

    async fn no_account_has_cross_signing_keys(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let missing = error("M_NOT_FOUND", "User has no master cross-signing key");
        for id in ["@alice:test", "@nobody:test", "@x:other", "bad", ""] {
            let reply = admin.post(&at(id, "_allow_cross_signing_replacement_without_uia"), json!({})).await;
            assert_eq!(reply, (404, missing.clone()), "{id}");
        }
        let longer = at("@alice:test", "_allow_cross_signing_replacement_without_uiaX");
        assert_eq!(admin.post(&longer, json!({})).await.refusal().1, "M_UNRECOGNIZED");
    }
}
