//! `/_matrix/client/v3/profile`.

use http::Method;
use reeve_testkit::{Config, on_both_engines};
use serde_json::{Value, json};

const ALICE: &str = "/_matrix/client/v3/profile/@alice:test";
const BOB: &str = "/_matrix/client/v3/profile/@bob:test";

fn limited(config: &mut Config) {
    config.rate_limits.enabled = true;
}

fn not_found() -> (u16, Value) {
    (404, json!({ "errcode": "M_NOT_FOUND", "error": "Profile was not found" }))
}

on_both_engines! {
    async fn names_and_avatars(server: Server) {
        let (alice, stranger) = (server.user("alice").await, server.stranger());
        assert_eq!(stranger.get(ALICE).await, (200, json!({ "displayname": "alice" })));
        assert_eq!(stranger.get(&format!("{ALICE}/avatar_url")).await, not_found());
        let put = |key: &'static str, value: Value| {
            let alice = alice.clone();
            async move { alice.put(&format!("{ALICE}/{key}"), json!({ key: value, "other": 1 })).await }
        };
        assert_eq!(put("displayname", json!("  Alice A. ")).await, (200, json!({})));
        assert_eq!(put("avatar_url", json!("http://x")).await, (200, json!({})));
        let whole = json!({ "displayname": "Alice A.", "avatar_url": "http://x" });
        for path in [ALICE, "/_matrix/client/r0/profile/@alice:test", "/_matrix/client/v3/profile/%40alice%3Atest"] {
            assert_eq!(stranger.get(path).await, (200, whole.clone()));
        }
        let name = stranger.get("/_matrix/client/r0/profile/@alice:test/displayname").await;
        assert_eq!(name, (200, json!({ "displayname": "Alice A." })));
        let longest = "ä".repeat(256);
        assert_eq!(put("displayname", json!(longest)).await.status, 200);
        assert_eq!(put("avatar_url", json!("x".repeat(1000))).await.status, 200);
        let too_long = [
            ("displayname", "ä".repeat(257), "Displayname is too long (max 256)"),
            ("avatar_url", "x".repeat(1001), "Avatar URL is too long (max 1000)"),
        ];
        for (key, value, text) in too_long {
            assert_eq!(put(key, json!(value)).await.refusal(), (400, "M_UNKNOWN", text));
        }
        assert_eq!(alice.get(&format!("{ALICE}/displayname")).await, (200, json!({ "displayname": longest })));
        // Blanks are a name, nothing is none.
        assert_eq!(put("displayname", json!("  ")).await.status, 200);
        assert_eq!(alice.get(&format!("{ALICE}/displayname")).await, (200, json!({ "displayname": "" })));
        assert_eq!(put("displayname", json!("")).await.status, 200);
        assert_eq!(put("avatar_url", json!("")).await.status, 200);
        assert_eq!(alice.get(&format!("{ALICE}/displayname")).await, not_found());
        assert_eq!(alice.get(ALICE).await, not_found());
        // The administration API sees the same.
        let admin = server.admin().await;
        put("displayname", json!("A")).await;
        let account = admin.get("/_synapse/admin/v2/users/@alice:test").await;
        assert_eq!((account.text("displayname"), &account.body["avatar_url"]), ("A", &json!(null)));
        for key in ["displayname", "avatar_url"] {
            assert_eq!(alice.delete(&format!("{ALICE}/{key}")).await, (200, json!({})));
            assert_eq!(alice.delete(&format!("{ALICE}/{key}")).await, (200, json!({})));
        }
        assert_eq!(alice.get(ALICE).await, not_found());
    }

    async fn other_fields(server: Server) {
        let (alice, stranger) = (server.user("alice").await, server.stranger());
        alice.delete(&format!("{ALICE}/displayname")).await;
        let tz = format!("{ALICE}/m.tz");
        assert_eq!(stranger.get(&tz).await, not_found());
        let values = [
            json!("Europe/London"), json!(5), json!(-1.5), json!(0.123_456_789_012_345_7), json!(null), json!([1, { "a": true }]),
            json!({ "b": 1, "a": { "c": "ä\n" } }), json!(9_007_199_254_740_993_i64), json!(u64::MAX),
        ];
        for value in values {
            assert_eq!(alice.put(&tz, json!({ "m.tz": value, "x": 1 })).await, (200, json!({})));
            assert_eq!(stranger.get(&tz).await, (200, json!({ "m.tz": value })));
            assert_eq!(stranger.get(ALICE).await, (200, json!({ "m.tz": value })));
        }
        assert_eq!(alice.put(&format!("{ALICE}/nodots"), json!({ "nodots": 1 })).await.status, 200);
        alice.put(&format!("{ALICE}/displayname"), json!({ "displayname": "A" })).await;
        let whole = json!({ "displayname": "A", "nodots": 1, "m.tz": u64::MAX });
        assert_eq!(stranger.get(ALICE).await, (200, whole));
        assert_eq!(alice.delete(&tz).await, (200, json!({})));
        assert_eq!(alice.delete(&tz).await, (200, json!({})));
        assert_eq!(stranger.get(&tz).await, not_found());
        // Only under v3.
        let old = alice.put("/_matrix/client/r0/profile/@alice:test/m.tz", json!({ "m.tz": 1 })).await;
        assert_eq!(old.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
        let twice = alice.send(Method::PUT, &tz, &[], "{\"m.tz\":1,\"m.tz\":2}").await;
        assert_eq!(twice.status, 200);
        assert_eq!(stranger.get(&tz).await, (200, json!({ "m.tz": 2 })));
    }

    async fn a_profile_has_a_size(server: Server) {
        let alice = server.user("alice").await;
        alice.delete(&format!("{ALICE}/displayname")).await;
        let put = |key: &'static str, length: usize| {
            let alice = alice.clone();
            async move { alice.put(&format!("{ALICE}/{key}"), json!({ key: "x".repeat(length) })).await }
        };
        let too_large = (400, "M_PROFILE_TOO_LARGE", "Profile too large");
        assert_eq!(put("com.x.big", 65_520).await.refusal(), too_large);
        assert_eq!(alice.get(ALICE).await, not_found());
        assert_eq!(put("com.x.big", 65_519).await, (200, json!({})));
        assert_eq!(put("displayname", 1).await.refusal(), too_large);
        assert_eq!(put("a", 1).await.refusal(), too_large);
        assert_eq!(alice.get(&format!("{ALICE}/displayname")).await, not_found());
        // A change that makes it smaller is always allowed.
        assert_eq!(put("com.x.big", 10).await.status, 200);
        assert_eq!(put("displayname", 1).await.status, 200);
    }

    async fn what_is_refused_and_in_which_order(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        server.create("bob", false).await;
        let long = "a".repeat(256);
        let user = (400, "M_INVALID_PARAM", "Invalid user id");
        let grammar = (400, "M_INVALID_PARAM", "Field name does not follow Common Namespaced Identifier Grammar");
        let not_json = (400, "M_NOT_JSON", "Content not JSON.");
        let remote = (400, "M_UNKNOWN", "User is not hosted on this homeserver");
        let string = |key: &str| format!("'{key}' must be a string");
        let (name_string, avatar_string) = (string("displayname"), string("avatar_url"));
        for (path, body, refusal) in [
            ("alice:test/displayname", "{", user),
            ("@alice/displayname", "{", user),
            ("/displayname", "{", user),
            ("alice/Bad", "{", user),
            (&*format!("@bob:test/{long}"), "{", (400, "M_KEY_TOO_LARGE", "Field name too long")),
            ("@bob:test/", "{", (400, "M_INVALID_PARAM", "Field name too short")),
            ("@bob:test/Upper", "{", grammar),
            ("@bob:test/with%20space", "{", grammar),
            ("@bob:test/a%2Fb", "{", grammar),
            ("@bob:test/%C3%A9", "{", grammar),
            ("@bob:test/displayname", "", not_json),
            ("@bob:test/m.tz", "{", not_json),
            ("@bob:test/m.tz", "[]", (400, "M_BAD_JSON", "Content must be a JSON object.")),
            ("@bob:test/displayname", "{}", (400, "M_MISSING_PARAM", "Missing key 'displayname'")),
            ("@bob:test/avatar_url", "{}", (400, "M_MISSING_PARAM", "Missing key 'avatar_url'")),
            ("@bob:test/m.tz", "{}", (400, "M_MISSING_PARAM", "Missing key 'm.tz'")),
            ("@bob:test/displayname", "{\"displayname\":null}", (400, "M_INVALID_PARAM", &*name_string)),
            ("@bob:test/displayname", "{\"displayname\":1}", (400, "M_INVALID_PARAM", &*name_string)),
            ("@bob:test/avatar_url", "{\"avatar_url\":[]}", (400, "M_INVALID_PARAM", &*avatar_string)),
            ("@bob:other/displayname", "{\"displayname\":\"x\"}", remote),
            ("@bob:TEST/m.tz", "{\"m.tz\":1}", remote),
            ("@bob:test/displayname", "{\"displayname\":\"x\"}", (403, "M_FORBIDDEN", "Cannot set another user's displayname")),
            ("@bob:test/avatar_url", "{\"avatar_url\":\"x\"}", (403, "M_FORBIDDEN", "Cannot set another user's avatar_url")),
            ("@bob:test/m.tz", "{\"m.tz\":1}", (403, "M_FORBIDDEN", "Cannot set another user's profile")),
            ("@nobody:test/m.tz", "{\"m.tz\":1}", (403, "M_FORBIDDEN", "Cannot set another user's profile")),
        ] {
            let reply = alice.send(Method::PUT, &format!("/_matrix/client/v3/profile/{path}"), &[], body.to_owned()).await;
            assert_eq!(reply.refusal(), refusal, "{path} {body}");
        }
        for (path, refusal) in [
            ("alice:test/displayname", user), ("@bob:test/Upper", grammar), ("@bob:other/m.tz", remote),
            ("@bob:test/m.tz", (403, "M_FORBIDDEN", "Cannot set another user's profile")),
            ("@bob:test/displayname", (403, "M_FORBIDDEN", "Cannot set another user's displayname")),
        ] {
            assert_eq!(alice.delete(&format!("/_matrix/client/v3/profile/{path}")).await.refusal(), refusal, "{path}");
        }
        for path in [
            "alice:test", "@alice", "", "alice/displayname", "@/m.tz", "@alice:", "@alice:a:b", "@alice:te%20st/displayname",
            "@alice:test%2F/avatar_url",
        ] {
            assert_eq!(alice.get(&format!("/_matrix/client/v3/profile/{path}")).await.refusal(), user, "{path}");
        }
        assert_eq!(alice.get(&format!("{BOB}/Upper")).await.refusal(), grammar);
        assert_eq!(alice.get(&format!("{BOB}/{long}")).await.refusal(), (400, "M_KEY_TOO_LARGE", "Field name too long"));
        for id in ["@nobody:test", "@alice:other", "@ALICE:test", "@alice:TEST"] {
            for key in ["", "/displayname", "/avatar_url", "/m.tz"] {
                assert_eq!(alice.get(&format!("/_matrix/client/v3/profile/{id}{key}")).await, not_found(), "{id}{key}");
            }
        }
        // An administrator receives the error that there is no such account.
        let nobody = "/_matrix/client/v3/profile/@nobody:test";
        for (key, value) in [("displayname", json!("x")), ("m.tz", json!(1))] {
            let reply = admin.put(&format!("{nobody}/{key}"), json!({ key: value })).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND", "User not found"));
        }
        assert_eq!(alice.get(BOB).await, (200, json!({ "displayname": "bob" })));
        assert_eq!(alice.put(BOB, json!({})).await.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
        let slash = alice.get(&format!("{BOB}/displayname/")).await;
        assert_eq!(slash.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    async fn administrators_change_others(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        assert_eq!(admin.put(&format!("{ALICE}/displayname"), json!({ "displayname": "B" })).await, (200, json!({})));
        assert_eq!(admin.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": "UTC" })).await, (200, json!({})));
        assert_eq!(alice.get(ALICE).await, (200, json!({ "displayname": "B", "m.tz": "UTC" })));
        assert_eq!(admin.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": "UTC" })).await, (200, json!({})));
        assert_eq!(admin.delete(&format!("{ALICE}/m.tz")).await, (200, json!({})));
        // Each change is in the audit log, once; what people do to themselves is not.
        alice.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": 1 })).await;
        alice.put(&format!("{ALICE}/displayname"), json!({ "displayname": "C" })).await;
        let log = admin.get("/_reeve/admin/v1/audit?target=@alice:test").await;
        let deeds: Vec<(&Value, &Value)> = log.body["entries"].as_array().unwrap().iter()
            .map(|entry| (&entry["action"], &entry["changes"])).collect();
        let update = json!("user.update");
        assert_eq!(deeds, [
            (&update, &json!({ "profile_field": "m.tz", "value": null })),
            (&update, &json!({ "profile_field": "m.tz", "value": "UTC" })),
            (&update, &json!({ "displayname": "B" })),
        ]);
    }

    async fn profiles_of_accounts_in_every_state(server: Server) {
        let (alice, admin, stranger) = (server.user("alice").await, server.admin().await, server.stranger());
        alice.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": 1 })).await;
        let whole = (200, json!({ "displayname": "alice", "m.tz": 1 }));
        admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await;
        assert_eq!(alice.get(ALICE).await, whole);
        let suspended = (403, "M_USER_SUSPENDED", "Updating profile while account is suspended is not allowed.");
        for key in ["displayname", "avatar_url", "m.tz"] {
            assert_eq!(alice.put(&format!("{ALICE}/{key}"), json!({ key: "x" })).await.refusal(), suspended, "{key}");
            assert_eq!(alice.delete(&format!("{ALICE}/{key}")).await.refusal(), suspended, "{key}");
            assert_eq!(alice.put(&format!("{BOB}/{key}"), json!({ key: "x" })).await.refusal(), suspended, "{key}");
        }
        assert_eq!(alice.get(ALICE).await, whole);
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await;
        assert_eq!(stranger.get(ALICE).await, whole);
        assert_eq!(alice.get(ALICE).await.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        assert_eq!(stranger.get(ALICE).await, whole);
        assert_eq!(server.with_token("nobody").get(ALICE).await.refusal().1, "M_UNKNOWN_TOKEN");
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await;
        for key in ["", "/displayname", "/avatar_url", "/m.tz"] {
            assert_eq!(stranger.get(&format!("{ALICE}{key}")).await, not_found(), "{key}");
        }
    }

    #[config(limited)]
    async fn names_and_avatars_share_a_limit(server: Server) {
        let alice = server.user("alice").await;
        for number in 0..5 {
            let (name, avatar) = (json!({ "displayname": format!("a{number}") }), json!({ "avatar_url": "mxc://a/b" }));
            assert_eq!(alice.put(&format!("{ALICE}/displayname"), name).await.status, 200);
            assert_eq!(alice.put(&format!("{ALICE}/avatar_url"), avatar).await.status, 200);
        }
        let reply = alice.put(&format!("{ALICE}/displayname"), json!({ "displayname": "late" })).await;
        let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 5000 });
        assert_eq!(reply, (429, body));
        // Nothing was changed, other fields are not limited, and it passes.
        assert_eq!(alice.get(&format!("{ALICE}/displayname")).await, (200, json!({ "displayname": "a4" })));
        for _ in 0..12 {
            assert_eq!(alice.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": 1 })).await.status, 200);
        }
        server.clock.advance(5000);
        assert_eq!(alice.put(&format!("{ALICE}/displayname"), json!({ "displayname": "x" })).await.status, 200);
    }

    async fn profiles_outlive_a_restart(server: Server) {
        let mut server = server;
        let alice = server.user("alice").await;
        alice.put(&format!("{ALICE}/m.tz"), json!({ "m.tz": ["a"] })).await;
        server.restart(|_| {}).await;
        assert_eq!(server.stranger().get(ALICE).await, (200, json!({ "displayname": "alice", "m.tz": ["a"] })));
    }
}
