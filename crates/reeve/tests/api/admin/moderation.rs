//! Suspension, shadow-bans, rate limits, account validity and experimental features.

use http::Method;
use reeve_testkit::{Client, Reply, START_MS, on_both_engines};
use serde_json::{Value, json};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const SUSPEND: &str = "/_synapse/admin/v1/suspend";
const VALIDITY: &str = "/_synapse/admin/v1/account_validity/validity";
const FEATURES: &str = "/_synapse/admin/v1/experimental_features";

fn error(errcode: &str, error: &str) -> Value {
    json!({ "errcode": errcode, "error": error })
}

fn shadow_ban(id: &str) -> String {
    format!("/_synapse/admin/v1/users/{id}/shadow_ban")
}

fn ratelimit(id: &str) -> String {
    format!("/_synapse/admin/v1/users/{id}/override_ratelimit")
}

async fn flag(admin: &Client, flag: &str) -> Value {
    admin.get("/_synapse/admin/v2/users/@alice:test").await.body[flag].clone()
}

/// The audit entries of `@alice:test`, the oldest first.
async fn audited(admin: &Client) -> Vec<(String, Value)> {
    let log = admin.get("/_reeve/admin/v1/audit?target=@alice:test").await.body;
    let entries = log["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| (entry["action"].as_str().unwrap().to_owned(), entry["changes"].clone())).collect()
}

fn deed(action: &str, changes: Value) -> (String, Value) {
    (action.to_owned(), changes)
}

/// The number of allowed actions out of some, and the last response.
async fn act(client: &Client, times: usize) -> (usize, Reply) {
    let (mut passed, mut last) = (0, None);
    for n in 0..times {
        let body = json!({ "displayname": format!("alice {n}") });
        let reply = client.put("/_matrix/client/v3/profile/@alice:test/displayname", body).await;
        passed += usize::from(reply.status == 200);
        last = Some(reply);
    }
    (passed, last.unwrap())
}

on_both_engines! {
    async fn suspended(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{SUSPEND}/@alice:test");
        let rename = |client: Client| async move {
            client.put("/_matrix/client/v3/profile/@alice:test/displayname", json!({ "displayname": "A" })).await
        };
        for _ in 0..2 {
            assert_eq!(admin.put(&path, json!({ "suspend": true })).await, (200, json!({ "user_@alice:test_suspended": true })));
            assert_eq!(flag(&admin, "suspended").await, true);
            let refused = error("M_USER_SUSPENDED", "Updating profile while account is suspended is not allowed.");
            assert_eq!(rename(alice.clone()).await, (403, refused));
            assert_eq!(alice.get(WHOAMI).await.status, 200);
        }
        for _ in 0..2 {
            assert_eq!(admin.put(&path, json!({ "suspend": false })).await, (200, json!({ "user_@alice:test_suspended": false })));
            assert_eq!(flag(&admin, "suspended").await, false);
            assert_eq!(rename(alice.clone()).await, (200, json!({})));
        }
        assert_eq!(audited(&admin).await, [
            deed("user.suspend", json!({ "suspended": true })), deed("user.unsuspend", json!({ "suspended": false })),
        ]);
        let put = |id: &'static str, body: &'static str| {
            let admin = admin.clone();
            async move { admin.send(Method::PUT, &format!("{SUSPEND}/{id}"), &[], body).await }
        };
        let sigil = error("M_INVALID_PARAM", "Expected UserID string to start with '@'");
        assert_eq!(put("alice:test", "{").await, (400, sigil));
        let domain = error("M_INVALID_PARAM", "Expected UserID of the form '@localname:domain'");
        assert_eq!(put("@alice", "{").await, (400, domain));
        assert_eq!(put("@alice:other", "{").await, (400, error("M_UNKNOWN", "Can only suspend local users")));
        assert_eq!(put("@nobody:test", "{").await, (404, error("M_NOT_FOUND", "User not found")));
        assert_eq!(put("@alice:test", "").await, (400, error("M_NOT_JSON", "Content not JSON.")));
        assert_eq!(put("@alice:test", "[]").await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        assert_eq!(put("@alice:test", "{}").await, (400, error("M_MISSING_PARAM", "Missing params: ['suspend']")));
        for bad in [r#"{"suspend":1}"#, r#"{"suspend":"true"}"#, r#"{"suspend":null}"#] {
            assert_eq!(put("@alice:test", bad).await, (400, error("M_BAD_JSON", "'suspend' must be a boolean")), "{bad}");
        }
        assert_eq!(admin.post(&path, json!({ "suspend": true })).await, (405, error("M_UNRECOGNIZED", "Unrecognized request")));
    }

    async fn shadow_banned(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let path = shadow_ban("@alice:test");
        for _ in 0..2 {
            assert_eq!(admin.send(Method::POST, &path, &[], "garbage").await, (200, json!({})));
            assert_eq!(flag(&admin, "shadow_banned").await, true);
        }
        for _ in 0..2 {
            assert_eq!(admin.delete(&path).await, (200, json!({})));
            assert_eq!(flag(&admin, "shadow_banned").await, false);
        }
        assert_eq!(audited(&admin).await, [
            deed("user.shadow_ban", json!({ "shadow_banned": true })),
            deed("user.shadow_unban", json!({ "shadow_banned": false })),
        ]);
        for method in [Method::POST, Method::DELETE] {
            let remote = error("M_UNKNOWN", "Only local users can be shadow-banned");
            for id in ["", "bad", "@bad", "@alice:other", "@alice:TEST"] {
                assert_eq!(admin.send(method.clone(), &shadow_ban(id), &[], "").await, (400, remote.clone()), "{id}");
            }
            let sigil = error("M_INVALID_PARAM", "Expected UserID string to start with '@'");
            assert_eq!(admin.send(method.clone(), &shadow_ban("x:test"), &[], "").await, (400, sigil));
            let missing = error("M_UNKNOWN", "No row found (users)");
            assert_eq!(admin.send(method.clone(), &shadow_ban("@nobody:test"), &[], "").await, (404, missing));
        }
        let get = admin.get(&path).await;
        assert_eq!(get, (405, error("M_UNRECOGNIZED", "Unrecognized request")));
    }

    async fn ratelimit_overrides(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let path = ratelimit("@alice:test");
        assert_eq!(admin.get(&path).await, (200, json!({})));
        let both = json!({ "messages_per_second": 5, "burst_count": 7 });
        for _ in 0..2 {
            assert_eq!(admin.post(&path, both.clone()).await, (200, both.clone()));
            assert_eq!(admin.get(&path).await, (200, both.clone()));
        }
        // An absent value is 0; earlier values are not kept.
        for (body, stored) in [
            (r#"{"burst_count":3}"#, json!({ "messages_per_second": 0, "burst_count": 3 })),
            (r#"{"messages_per_second":9223372036854775807}"#, json!({ "messages_per_second": i64::MAX, "burst_count": 0 })),
            ("{}", json!({ "messages_per_second": 0, "burst_count": 0 })),
            ("", json!({ "messages_per_second": 0, "burst_count": 0 })),
        ] {
            assert_eq!(admin.send(Method::POST, &path, &[], body).await, (200, stored.clone()), "{body}");
            assert_eq!(admin.get(&path).await, (200, stored), "{body}");
        }
        for _ in 0..2 {
            assert_eq!(admin.delete(&path).await, (200, json!({})));
            assert_eq!(admin.get(&path).await, (200, json!({})));
        }
        assert_eq!(audited(&admin).await, [
            deed("ratelimit.set", both),
            deed("ratelimit.set", json!({ "messages_per_second": 0, "burst_count": 3 })),
            deed("ratelimit.set", json!({ "messages_per_second": i64::MAX, "burst_count": 0 })),
            deed("ratelimit.set", json!({ "messages_per_second": 0, "burst_count": 0 })),
            deed("ratelimit.delete", json!({})),
        ]);
        let bad = |text: &str| error("M_INVALID_PARAM", &format!("{text} parameter must be a positive int"));
        for (body, text) in [
            (r#"{"messages_per_second":-1}"#, "-1"),
            (r#"{"messages_per_second":"1"}"#, "'1'"),
            (r#"{"messages_per_second":true}"#, "True"),
            (r#"{"messages_per_second":null}"#, "None"),
            (r#"{"messages_per_second":1.0}"#, "1.0"),
            (r#"{"messages_per_second":9223372036854775808}"#, "9223372036854775808"),
            (r#"{"burst_count":-1}"#, "-1"),
            (r#"{"burst_count":false}"#, "False"),
            (r#"{"burst_count":-2,"messages_per_second":-1}"#, "-1"),
        ] {
            assert_eq!(admin.send(Method::POST, &path, &[], body).await, (400, bad(text)), "{body}");
        }
        assert_eq!(admin.send(Method::POST, &path, &[], "{").await, (400, error("M_NOT_JSON", "Content not JSON.")));
        assert_eq!(admin.post(&path, json!([])).await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        assert_eq!(admin.get(&path).await, (200, json!({})));
        for (method, text) in [
            (Method::GET, "Can only look up local users"),
            (Method::POST, "Only local users can be ratelimited"),
            (Method::DELETE, "Only local users can be ratelimited"),
        ] {
            for id in ["", "bad", "@bad", "@alice:other"] {
                let reply = admin.send(method.clone(), &ratelimit(id), &[], "{").await;
                assert_eq!(reply, (400, error("M_UNKNOWN", text)), "{method} {id}");
            }
            for id in ["nobody:test", "@nobody:test"] {
                let reply = admin.send(method.clone(), &ratelimit(id), &[], "{").await;
                assert_eq!(reply, (404, error("M_NOT_FOUND", "User not found")), "{method} {id}");
            }
        }
    }

    #[config(|config| config.rate_limits.enabled = true)]
    async fn ratelimit_overrides_hold_at_once(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let login = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let puppet = server.with_token(login.text("access_token"));
        let refused = |reply: Reply, ms: i64| {
            let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": ms });
            assert_eq!(reply.header("retry-after"), (ms.div_euclid(1000) + i64::from(ms % 1000 > 0)).to_string());
            assert_eq!(reply, (429, body));
        };
        let set = |id: &'static str, body: Value| {
            let admin = admin.clone();
            async move { assert_eq!(admin.post(&ratelimit(id), body).await.status, 200) }
        };
        // The common limit, then one of the account's own.
        let (passed, last) = act(&alice, 12).await;
        assert_eq!(passed, 10);
        refused(last, 5000);
        set("@alice:test", json!({ "messages_per_second": 1, "burst_count": 2 })).await;
        server.clock.advance(20_000);
        let (passed, last) = act(&alice, 3).await;
        assert_eq!(passed, 2);
        refused(last, 1000);
        server.clock.advance(1000);
        assert_eq!(act(&alice, 2).await.0, 1);
        // A login-as token has the limit of the account, unless the administrator is unlimited.
        assert_eq!(act(&puppet, 1).await.0, 0);
        set("@admin:test", json!({})).await;
        assert_eq!(act(&puppet, 20).await.0, 20);
        assert_eq!(act(&alice, 1).await.0, 0);
        // Without a burst nothing is let through.
        set("@alice:test", json!({ "messages_per_second": 10 })).await;
        server.clock.advance(20_000);
        let (passed, last) = act(&alice, 2).await;
        assert_eq!(passed, 0);
        refused(last, 100);
        // 0 is no limit at all.
        set("@alice:test", json!({ "burst_count": 1 })).await;
        assert_eq!(act(&alice, 20).await.0, 20);
        assert_eq!(admin.delete(&ratelimit("@alice:test")).await.status, 200);
        assert_eq!(act(&alice, 12).await.0, 10);
    }

    async fn account_validity(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let set = |body: Value| {
            let admin = admin.clone();
            async move { admin.post(VALIDITY, body).await }
        };
        assert_eq!(set(json!({})).await, (400, error("M_UNKNOWN", "Missing property 'user_id' in the request body")));
        for (body, text) in [
            (json!({ "user_id": 1 }), "'user_id' must be a string"),
            (json!({ "user_id": "@alice:test" }), "'expiration_ts' is needed, since accounts do not expire on this server"),
            (json!({ "user_id": "@alice:test", "expiration_ts": null }), "'expiration_ts' must be an integer"),
            (json!({ "user_id": "@alice:test", "expiration_ts": "1" }), "'expiration_ts' must be an integer"),
            (json!({ "user_id": "@alice:test", "expiration_ts": u64::MAX }), "'expiration_ts' must be an integer"),
            (json!({ "user_id": "@alice:test", "expiration_ts": 1, "enable_renewal_emails": 1 }), "'enable_renewal_emails' must be a boolean"),
        ] {
            assert_eq!(set(body).await, (400, error("M_BAD_JSON", text)));
        }
        assert_eq!(set(json!([])).await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        let long = json!({ "user_id": format!("@{}:test", "x".repeat(250)), "expiration_ts": 1 });
        assert_eq!(set(long).await, (400, error("M_INVALID_PARAM", "User ID may not be longer than 255 characters")));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        let until = |ts: i64| json!({ "user_id": "@alice:test", "expiration_ts": ts });
        for _ in 0..2 {
            assert_eq!(set(until(START_MS + 1000)).await, (200, json!({ "expiration_ts": START_MS + 1000 })));
        }
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        server.clock.advance(1000);
        assert_eq!(alice.get(WHOAMI).await, (403, error("ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired")));
        // Logging in and out still work.
        let again = server.log_in("alice", "alice's password").await;
        assert_eq!(again.get(WHOAMI).await.status, 403);
        assert_eq!(again.post("/_matrix/client/v3/logout", json!({})).await, (200, json!({})));
        assert_eq!(set(until(START_MS + 5000)).await, (200, json!({ "expiration_ts": START_MS + 5000 })));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        assert_eq!(audited(&admin).await, [
            deed("account_validity.set", json!({ "expiration_ts": START_MS + 1000, "renewal_emails": true })),
            deed("account_validity.set", json!({ "expiration_ts": START_MS + 5000, "renewal_emails": true })),
        ]);
        // The account need not exist yet.
        let body = json!({ "user_id": "@bob:test", "expiration_ts": START_MS, "enable_renewal_emails": false });
        assert_eq!(set(body).await, (200, json!({ "expiration_ts": START_MS })));
        assert_eq!(server.user("bob").await.get(WHOAMI).await.status, 403);
    }

    #[config(|config| config.policy.account_validity_period_ms = Some(10_000))]
    async fn account_validity_with_a_period(server: Server) {
        let admin = server.admin().await;
        let reply = admin.post(VALIDITY, json!({ "user_id": "@x:test" })).await;
        assert_eq!(reply, (200, json!({ "expiration_ts": START_MS + 10_000 })));
        // New accounts have one period.
        let body = json!({ "password": "alice's password" });
        assert_eq!(admin.put("/_synapse/admin/v2/users/@alice:test", body).await.status, 201);
        let alice = server.log_in("alice", "alice's password").await;
        server.clock.advance(9999);
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        server.clock.advance(1);
        assert_eq!(alice.get(WHOAMI).await.status, 403);
    }

    async fn experimental_features(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{FEATURES}/@alice:test");
        let all = |a: bool, b: bool, c: bool| json!({ "features": { "msc3881": a, "msc3575": b, "msc4222": c } });
        assert_eq!(admin.get(&path).await, (200, all(false, false, false)));
        assert_eq!(admin.get(&format!("{FEATURES}/@nobody:test")).await, (200, all(false, false, false)));
        let put = |features: Value| {
            let (admin, path) = (admin.clone(), path.clone());
            async move { admin.put(&path, json!({ "features": features })).await }
        };
        assert_eq!(put(json!({ "msc3881": true, "msc4222": false })).await, (200, json!({})));
        assert_eq!(admin.get(&path).await, (200, all(true, false, false)));
        assert_eq!(put(json!({ "msc4222": true })).await, (200, json!({})));
        assert_eq!(put(json!({ "msc4222": true })).await, (200, json!({})));
        assert_eq!(admin.get(&path).await, (200, all(true, false, true)));
        // The account sees it, and nobody else does.
        let of = |client: Client| async move {
            client.get("/_matrix/client/versions").await.body["unstable_features"]["org.matrix.msc3881"].clone()
        };
        assert_eq!(of(alice.clone()).await, true);
        assert_eq!((of(admin.clone()).await, of(server.stranger()).await), (json!(false), json!(false)));
        assert_eq!(put(json!({ "msc3881": false })).await, (200, json!({})));
        assert_eq!(of(alice).await, false);
        assert_eq!(audited(&admin).await, [
            deed("experimental_features.set", json!({ "msc3881": true })),
            deed("experimental_features.set", json!({ "msc4222": true })),
            deed("experimental_features.set", json!({ "msc3881": false })),
        ]);
        let nothing = error("M_UNKNOWN", "You must provide features to set.");
        for falsy in [json!({}), json!(null), json!([]), json!(false), json!("")] {
            assert_eq!(put(falsy).await, (400, nothing.clone()));
        }
        assert_eq!(admin.put(&path, json!({})).await, (400, nothing));
        let unknown = error("M_UNKNOWN", "'foo' is not recognised as a valid experimental feature.");
        assert_eq!(put(json!({ "msc3575": true, "foo": true })).await, (400, unknown));
        let bad = error("M_BAD_JSON", "'features' must be an object of booleans");
        for value in [json!(["msc3881"]), json!("x"), json!({ "msc3575": 1 }), json!({ "msc3575": true, "msc3881": null })] {
            assert_eq!(put(value).await, (400, bad.clone()));
        }
        assert_eq!(admin.get(&path).await, (200, all(false, false, true)));
        // The body is checked before the user id.
        for (id, get, put) in [
            ("bad", error("M_INVALID_PARAM", "Expected UserID string to start with '@'"), error("M_INVALID_PARAM", "Expected UserID string to start with '@'")),
            (
                "@x:other",
                error("M_UNKNOWN", "User must be local to check what experimental features are enabled."),
                error("M_UNKNOWN", "User must be local to enable experimental features."),
            ),
        ] {
            let path = format!("{FEATURES}/{id}");
            assert_eq!(admin.get(&path).await, (400, get));
            assert_eq!(admin.send(Method::PUT, &path, &[], "{").await, (400, error("M_NOT_JSON", "Content not JSON.")));
            assert_eq!(admin.put(&path, json!({})).await, (400, put));
        }
        let body = json!({ "features": { "msc3881": true } });
        let missing = error("M_NOT_FOUND", "User not found");
        assert_eq!(admin.put(&format!("{FEATURES}/@nobody:test"), body).await, (404, missing));
    }
}
