//! `POST /_synapse/admin/v1/users/{user_id}/login`: the properties of login-as tokens.

use http::Method;
use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const DEAD: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");

async fn login_as(server: &Server, admin: &Client, body: Value) -> Client {
    let reply = admin.post("/_synapse/admin/v1/users/@u:test/login", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    server.with_token(reply.text("access_token"))
}

on_both_engines! {
    async fn refusals(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        let at = |id: &str| format!("/_synapse/admin/v1/users/{id}/login");
        let remote = "Only local users can be logged in as";
        let integer = "'valid_until_ms' parameter must be an int";
        for (id, body, status, code, text) in [
            ("@x:other", json!({}), 400, "M_UNKNOWN", remote),
            ("bad", json!({}), 400, "M_UNKNOWN", remote),
            ("x:test", json!({}), 400, "M_INVALID_PARAM", "Expected UserID string to start with '@'"),
            ("@nobody:test", json!({}), 404, "M_NOT_FOUND", "User not found"),
            ("@u:test", json!({ "valid_until_ms": "1" }), 400, "M_UNKNOWN", integer),
            ("@u:test", json!({ "valid_until_ms": true }), 400, "M_UNKNOWN", integer),
            ("@u:test", json!({ "valid_until_ms": 1.0 }), 400, "M_UNKNOWN", integer),
            ("@u:test", json!({ "valid_until_ms": u64::MAX }), 400, "M_INVALID_PARAM", integer),
            ("@admin:test", json!({}), 400, "M_UNKNOWN", "Cannot use admin API to login as self"),
            ("@admin:test", json!({ "valid_until_ms": "1" }), 400, "M_UNKNOWN", integer),
        ] {
            assert_eq!(admin.post(&at(id), body.clone()).await.refusal(), (status, code, text), "{id} {body}");
        }
        assert_eq!(admin.send(Method::POST, &at("@u:test"), &[], "").await.status, 200);
    }

    async fn acts_as_the_account_and_leaves_no_device(server: Server) {
        let admin = server.admin().await;
        let user = server.user("u").await;
        let puppet = login_as(&server, &admin, json!({ "valid_until_ms": null })).await;
        let other = login_as(&server, &admin, json!({})).await;
        assert_ne!(puppet.token, other.token);
        assert_eq!(puppet.get(WHOAMI).await, (200, json!({ "user_id": "@u:test", "is_guest": false })));
        for client in [&user, &admin] {
            let devices = client.get("/_matrix/client/v3/devices").await;
            assert_eq!(devices.body["devices"].as_array().unwrap().len(), 1);
        }
        assert_eq!(puppet.get("/_synapse/admin/v2/users").await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
        admin.put("/_synapse/admin/v1/users/@u:test/admin", json!({ "admin": true })).await;
        assert_eq!(puppet.get("/_synapse/admin/v2/users").await.status, 200);
        // The owner of the token is seen, and is the actor in the audit log.
        puppet.put("/_synapse/admin/v2/users/@x:test", json!({})).await;
        let audit = admin.get("/_reeve/admin/v1/audit?action=user.create&target=@x:test").await;
        assert_eq!(audit.body["entries"][0]["actor"], "@admin:test", "{}", audit.body);
        let mut puppet = puppet;
        "puppet".clone_into(&mut puppet.user_agent);
        server.clock.advance(200_000);
        puppet.get(WHOAMI).await;
        let agents = |whois: Value| whois["devices"][""]["sessions"][0]["connections"].to_string().contains("puppet");
        assert!(agents(admin.get("/_synapse/admin/v1/whois/@admin:test").await.body));
        assert!(!agents(admin.get("/_synapse/admin/v1/whois/@u:test").await.body));
    }

    async fn expires(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        let puppet = login_as(&server, &admin, json!({ "valid_until_ms": START_MS + 1000 })).await;
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
        server.clock.advance(1001);
        let expired = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Access token has expired", "soft_logout": true });
        assert_eq!(puppet.get(WHOAMI).await, (401, expired.clone()));
        assert_eq!(puppet.post("/_matrix/client/v3/logout", json!({})).await, (200, json!({})));
        assert_eq!(puppet.get(WHOAMI).await.refusal(), DEAD);
        let past = login_as(&server, &admin, json!({ "valid_until_ms": -1 })).await;
        assert_eq!(past.get(WHOAMI).await, (401, expired));
    }

    async fn what_ends_it_and_what_does_not(server: Server) {
        let admin = server.admin().await;
        let second = server.log_in("admin", "admin's password").await;
        let user = server.user("u").await;
        let puppet = login_as(&server, &admin, json!({})).await;
        let alive = || async { puppet.get(WHOAMI).await.status == 200 };
        let logout = |client: &Client, path: &'static str| {
            let client = client.clone();
            async move { assert_eq!(client.post(path, json!({})).await, (200, json!({}))) }
        };
        // The account's own doings do not.
        logout(&user, "/_matrix/client/v3/logout/all").await;
        assert!(alive().await);
        admin.post("/_synapse/admin/v1/reset_password/@u:test", json!({ "new_password": "new" })).await;
        assert!(alive().await);
        let user = server.log_in("u", "new").await;
        admin.delete(&format!("/_synapse/admin/v2/users/@u:test/devices/{}", user.device_id)).await;
        assert!(alive().await);
        assert_eq!(user.get(WHOAMI).await.refusal(), DEAD);
        // Logging out everywhere with it ends the account's sessions, and not itself.
        let user = server.log_in("u", "new").await;
        logout(&puppet, "/_matrix/client/v3/logout/all").await;
        assert_eq!(user.get(WHOAMI).await.refusal(), DEAD);
        assert!(alive().await);
        // The administrator's session may end, but not all of them.
        logout(&admin, "/_matrix/client/v3/logout").await;
        assert!(alive().await);
        second.put("/_synapse/admin/v2/users/@u:test", json!({ "locked": true })).await;
        assert_eq!(puppet.get(WHOAMI).await.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        second.put("/_synapse/admin/v2/users/@u:test", json!({ "locked": false })).await;
        assert!(alive().await);
        logout(&second, "/_matrix/client/v3/logout/all").await;
        assert_eq!(puppet.get(WHOAMI).await.refusal(), DEAD);

        let admin = server.log_in("admin", "admin's password").await;
        let puppet = login_as(&server, &admin, json!({})).await;
        let other = login_as(&server, &admin, json!({})).await;
        logout(&puppet, "/_matrix/client/v3/logout").await;
        assert_eq!(puppet.get(WHOAMI).await.refusal(), DEAD);
        assert_eq!(other.get(WHOAMI).await.status, 200);
        admin.post("/_synapse/admin/v1/reset_password/@admin:test", json!({ "new_password": "new" })).await;
        assert_eq!(other.get(WHOAMI).await.refusal(), DEAD);
        assert_eq!(admin.get(WHOAMI).await.status, 200);

        // The deactivation of the account ends it, and it cannot be had any more.
        let puppet = login_as(&server, &admin, json!({})).await;
        admin.post("/_synapse/admin/v1/deactivate/@u:test", json!({})).await;
        assert_eq!(puppet.get(WHOAMI).await.refusal(), DEAD);
        let reply = admin.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        assert_eq!(reply.refusal(), (403, "M_USER_DEACTIVATED", "This account has been deactivated"));
    }

    async fn it_ends_with_the_rights_of_who_asked_for_it(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        server.create("boss", true).await;
        server.create("other", true).await;
        let ends: [(&str, &str, Value); 4] = [
            ("PUT", "/_synapse/admin/v1/users/@boss:test/admin", json!({ "admin": false })),
            ("PUT", "/_synapse/admin/v2/users/@boss:test", json!({ "locked": true })),
            ("PUT", "/_synapse/admin/v1/suspend/@boss:test", json!({ "suspend": true })),
            ("POST", "/_synapse/admin/v1/deactivate/@boss:test", json!({})),
        ];
        for (method, path, body) in ends {
            let fresh = json!({ "admin": true, "locked": false });
            assert_eq!(admin.put("/_synapse/admin/v2/users/@boss:test", fresh).await.status, 200);
            admin.put("/_synapse/admin/v1/suspend/@boss:test", json!({ "suspend": false })).await;
            let boss = server.log_in("boss", "boss's password").await;
            let puppet = login_as(&server, &boss, json!({})).await;
            // Acting as another administrator, who asks for one more: it is still the same person's.
            let reply = boss.post("/_synapse/admin/v1/users/@other:test/login", json!({})).await;
            let other = server.with_token(reply.text("access_token"));
            let further = login_as(&server, &other, json!({})).await;
            let reply = other.post("/_synapse/admin/v1/users/@boss:test/login", json!({})).await;
            assert_eq!(reply.refusal(), (400, "M_UNKNOWN", "Cannot use admin API to login as self"));
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(admin.send(method, path, &[], body.to_string()).await.status, 200, "{path}");
            for client in [&puppet, &other, &further] {
                assert_eq!(client.get(WHOAMI).await.refusal(), DEAD, "{path}");
            }
            let promote = other.put("/_synapse/admin/v1/users/@boss:test/admin", json!({ "admin": true })).await;
            assert_eq!(promote.refusal(), DEAD, "{path}");
        }
    }

    async fn the_actor_is_the_administrator_who_asked_for_it(server: Server) {
        server.create("boss", true).await;
        server.create("other", true).await;
        let boss = server.log_in("boss", "boss's password").await;
        let reply = boss.post("/_synapse/admin/v1/users/@other:test/login", json!({})).await;
        let other = server.with_token(reply.text("access_token"));
        let demotion = json!({ "admin": false });
        let of = |name: &str| format!("/_synapse/admin/v1/users/@{name}:test/admin");
        let refusal = (400, "M_UNKNOWN", "You may not demote yourself.");
        assert_eq!(other.put(&of("boss"), demotion.clone()).await.refusal(), refusal);
        let put = other.put("/_synapse/admin/v2/users/@boss:test", demotion.clone()).await;
        assert_eq!(put.refusal(), refusal);
        let lock = other.put("/_matrix/client/v1/admin/lock/@boss:test", json!({ "locked": true })).await;
        assert_eq!(lock.refusal(), (403, "M_FORBIDDEN", "You may not lock or suspend yourself"));
        let block = "/_synapse/admin/v1/rooms/!unknown:test/block";
        assert_eq!(other.put(block, json!({ "block": true })).await.status, 200);
        assert_eq!(boss.get(block).await, (200, json!({ "block": true, "user_id": "@boss:test" })));
        assert_eq!(other.put(&of("other"), demotion).await.status, 200);
    }

    async fn it_ends_when_the_administrator_expires(server: Server) {
        let admin = server.admin().await;
        server.create("u", true).await;
        server.create("boss", true).await;
        let boss = server.log_in("boss", "boss's password").await;
        let puppet = login_as(&server, &boss, json!({})).await;
        let validity = "/_synapse/admin/v1/account_validity/validity";
        let expires = |ts: i64| json!({ "user_id": "@boss:test", "expiration_ts": ts });
        assert_eq!(admin.post(validity, expires(START_MS + 1000)).await.status, 200);
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
        server.clock.advance(1000);
        let expired = (403, "ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired");
        assert_eq!(puppet.get(WHOAMI).await.refusal(), expired);
        assert_eq!(puppet.post(validity, expires(START_MS + 9000)).await.refusal(), expired);
        assert_eq!(admin.post(validity, expires(START_MS + 9000)).await.status, 200);
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
    }

    async fn a_suspended_administrator_cannot_have_it(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        server.create("boss", true).await;
        let boss = server.log_in("boss", "boss's password").await;
        admin.put("/_synapse/admin/v1/suspend/@boss:test", json!({ "suspend": true })).await;
        let reply = boss.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        let text = "Logging in as others while account is suspended is not allowed.";
        assert_eq!(reply.refusal(), (403, "M_USER_SUSPENDED", text));
    }

    async fn restrictions_of_the_account_apply(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        let puppet = login_as(&server, &admin, json!({})).await;
        admin.put("/_synapse/admin/v1/suspend/@u:test", json!({ "suspend": true })).await;
        let reply = puppet.put("/_matrix/client/v3/profile/@u:test/displayname", json!({ "displayname": "x" })).await;
        let text = "Updating profile while account is suspended is not allowed.";
        assert_eq!(reply.refusal(), (403, "M_USER_SUSPENDED", text));
        // Authentication asks for the password of the account, not the administrator's.
        let auth = |name: &str| json!({ "type": "m.login.password", "user": name, "password": format!("{name}'s password") });
        let change = |auth: Value| json!({ "new_password": "new", "auth": auth });
        let reply = puppet.post("/_matrix/client/v3/account/password", change(auth("admin"))).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Invalid auth"));
        assert_eq!(puppet.post("/_matrix/client/v3/account/password", change(auth("u"))).await.status, 200);
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
    }
}
