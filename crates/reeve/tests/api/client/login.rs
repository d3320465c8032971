//! `/login`.

use http::Method;
use reeve_app::limits::RateLimit;
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const WRONG: (u16, &str, &str) = (403, "M_FORBIDDEN", "Invalid username or password");

async fn try_login(server: &Server, identifier: Value, password: &str) -> Reply {
    let body = json!({ "type": "m.login.password", "identifier": identifier, "password": password });
    server.stranger().post(LOGIN, body).await
}

fn user(name: &str) -> Value {
    json!({ "type": "m.id.user", "user": name })
}

async fn put(admin: &Client, body: Value) {
    assert_eq!(admin.put("/_synapse/admin/v2/users/@u1:test", body).await.status, 200);
}

on_both_engines! {
    async fn flows(server: Server) {
        for path in [LOGIN, "/_matrix/client/r0/login"] {
            let reply = server.with_token("ignored").get(path).await;
            assert_eq!(reply, (200, json!({ "flows": [{ "type": "m.login.password" }] })));
        }
    }

    async fn with_every_kind_of_identifier(server: Server) {
        let admin = server.admin().await;
        server.create("u1", false).await;
        put(&admin, json!({ "threepids": [
            { "medium": "email", "address": "er3@x.org" }, { "medium": "msisdn", "address": "447700900001" },
        ] })).await;
        let password = "u1's password";
        for identifier in [
            user("u1"), user("@u1:test"), user("U1"), user("@U1:test"), user("@u1:TEST"),
            json!({ "type": "m.id.thirdparty", "medium": "email", "address": "ER3@X.org" }),
            json!({ "type": "m.id.phone", "country": "GB", "phone": "447700900001" }),
        ] {
            let reply = try_login(&server, identifier.clone(), password).await;
            assert_eq!((reply.status, reply.text("user_id")), (200, "@u1:test"), "{identifier}: {}", reply.body);
            let mut keys: Vec<&String> = reply.body.as_object().unwrap().keys().collect();
            keys.sort();
            assert_eq!(keys, ["access_token", "device_id", "home_server", "user_id"]);
        }
        for body in [
            json!({ "type": "m.login.password", "user": "u1", "password": password, "device_id": null }),
            json!({ "type": "m.login.password", "user": "@u1:test", "identifier": user("nobody"), "password": password }),
            json!({ "type": "m.login.password", "medium": "email", "address": "er3@x.org", "password": password }),
        ] {
            let reply = server.stranger().post("/_matrix/client/r0/login", body.clone()).await;
            assert_eq!((reply.status, reply.text("user_id")), (200, "@u1:test"), "{body}");
        }
        for identifier in [
            user("@u1:other"), user("nobody"), user("@bad"), user("u1:test"), user(" u1"),
            json!({ "type": "m.id.thirdparty", "medium": "email", "address": "no@x.org" }),
            json!({ "type": "m.id.thirdparty", "medium": "foo", "address": "x" }),
            json!({ "type": "m.id.phone", "country": "GB", "phone": "447700900002" }),
        ] {
            assert_eq!(try_login(&server, identifier.clone(), password).await.refusal(), WRONG, "{identifier}");
        }
        for wrong in ["", "x", &"x".repeat(600)] {
            assert_eq!(try_login(&server, user("u1"), wrong).await.refusal(), WRONG);
        }
    }

    async fn malformed(server: Server) {
        server.create("u1", false).await;
        let invalid = "Invalid login submission";
        let password = "Bad parameter: password";
        let no_type = "'identifier' dict has no key 'type'";
        let pw = |identifier: Value| json!({ "type": "m.login.password", "identifier": identifier, "password": "x" });
        for (body, code, text) in [
            (json!({}), "M_MISSING_PARAM", "Missing params: ['type']"),
            (json!({ "type": null }), "M_INVALID_PARAM", "Bad parameter: type"),
            (json!({ "type": "m.login.dummy" }), "M_INVALID_PARAM", invalid),
            (json!({ "type": "m.login.password", "identifier": user("u1") }), "M_INVALID_PARAM", password),
            (json!({ "type": "m.login.password", "identifier": user("nobody"), "password": 1 }), "M_INVALID_PARAM", password),
            (json!({ "type": "m.login.password", "password": "x" }), "M_INVALID_PARAM", invalid),
            (pw(json!({})), "M_INVALID_PARAM", invalid),
            (pw(json!(1)), "M_INVALID_PARAM", invalid),
            (pw(json!({ "user": "u1" })), "M_MISSING_PARAM", no_type),
            (pw(json!("u1")), "M_MISSING_PARAM", no_type),
            (pw(json!({ "type": "x" })), "M_UNKNOWN", "Unknown login identifier type"),
            (pw(json!({ "type": "m.id.user" })), "M_UNKNOWN", "User identifier is missing 'user' key"),
            (pw(json!({ "type": "m.id.user", "user": 1 })), "M_INVALID_PARAM", invalid),
            (pw(json!({ "type": "m.id.thirdparty", "medium": "email" })), "M_UNKNOWN", "Invalid thirdparty identifier"),
            (pw(json!({ "type": "m.id.thirdparty", "medium": "email", "address": "x" })), "M_UNKNOWN", "Unable to parse email address"),
            (pw(json!({ "type": "m.id.phone", "phone": "1" })), "M_INVALID_PARAM", "Invalid phone-type identifier"),
            (json!({ "type": "m.login.password", "user": 1, "password": "x" }), "M_INVALID_PARAM", invalid),
        ] {
            assert_eq!(server.stranger().post(LOGIN, body.clone()).await.refusal(), (400, code, text), "{body}");
        }
        let right = json!({ "type": "m.login.password", "user": "u1", "password": "u1's password" });
        let with = |key: &str, value: Value| {
            let mut body = right.clone();
            body[key] = value;
            body
        };
        let refresh = "`refresh_token` should be true or false.";
        for (body, code, text) in [
            (with("refresh_token", json!(null)), "M_UNKNOWN", refresh),
            (with("refresh_token", json!("true")), "M_UNKNOWN", refresh),
            (with("device_id", json!(1)), "M_INVALID_PARAM", "Bad parameter: device_id"),
            (with("device_id", json!("x".repeat(513))), "M_INVALID_PARAM", "device_id cannot be longer than 512 characters."),
            (with("initial_device_display_name", json!("x".repeat(101))), "M_TOO_LARGE", "Device display name is too long (max 100)"),
        ] {
            assert_eq!(server.stranger().post(LOGIN, body.clone()).await.refusal(), (400, code, text), "{body}");
        }
        let reply = server.stranger().post(LOGIN, with("password", json!("x"))).await;
        assert_eq!(reply.refusal(), WRONG);
        let reply = server.stranger().send(Method::POST, LOGIN, &[], "").await;
        assert_eq!(reply.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
    }

    async fn states_of_accounts(server: Server) {
        let admin = server.admin().await;
        let session = server.user("u1").await;
        let login = |password: &'static str| try_login(&server, user("u1"), password);
        put(&admin, json!({ "locked": true })).await;
        let locked = json!({ "errcode": "M_USER_LOCKED", "error": "User account has been locked", "soft_logout": true });
        assert_eq!(login("u1's password").await, (401, locked.clone()));
        assert_eq!(login("x").await.refusal(), WRONG);
        assert_eq!(session.get(WHOAMI).await, (401, locked));
        put(&admin, json!({ "locked": false })).await;
        assert_eq!(session.get(WHOAMI).await.status, 200);
        admin.put("/_synapse/admin/v1/suspend/@u1:test", json!({ "suspend": true })).await;
        admin.post("/_synapse/admin/v1/users/@u1:test/shadow_ban", json!({})).await;
        assert_eq!(login("u1's password").await.status, 200);
        put(&admin, json!({ "deactivated": true })).await;
        assert_eq!(login("u1's password").await.refusal(), WRONG);
        put(&admin, json!({ "password": "new" })).await;
        let deactivated = (403, "M_USER_DEACTIVATED", "This account has been deactivated");
        assert_eq!(login("new").await.refusal(), deactivated);
        assert_eq!(login("x").await.refusal(), WRONG);
    }

    async fn devices(server: Server) {
        server.create("u1", false).await;
        let login = |device_id: Value, name: Value| {
            server.stranger().post_owned(LOGIN, json!({
                "type": "m.login.password", "user": "u1", "password": "u1's password", "device_id": device_id,
                "initial_device_display_name": name,
            }))
        };
        let generated = login(json!(null), json!(null)).await;
        let id = generated.text("device_id");
        assert!(id.len() == 10 && id.bytes().all(|b| b.is_ascii_uppercase()), "{id}");
        let first = login(json!("D"), json!("phone")).await;
        let first = server.with_token(first.text("access_token"));
        let second = login(json!("D"), json!("other")).await;
        let second = server.with_token(second.text("access_token"));
        // Logging in on a device ends the session that it had, and keeps its name.
        assert_eq!(first.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        assert_eq!(second.get(WHOAMI).await, (200, json!({ "user_id": "@u1:test", "is_guest": false, "device_id": "D" })));
        let device = second.get("/_matrix/client/v3/devices/D").await;
        assert_eq!(device.text("display_name"), "phone");
        assert!(!login(json!(""), json!(null)).await.text("device_id").is_empty());
    }

    async fn old_hashes_are_replaced(server: Server) {
        server.create("u1", false).await;
        let stored = |server: &Server| {
            let db = server.app().db.clone();
            async move {
                db.read(|tx| reeve_store::users::password_hash(tx, reeve_store::users::num(tx, "@u1:test")?.unwrap())).await.unwrap().unwrap()
            }
        };
        let foreign = bcrypt::hash("imported", 4).unwrap();
        server.app().db.write(move |tx| {
            let user = reeve_store::users::find(tx, "@u1:test")?.unwrap();
            let flagged = reeve_model::User { password_change_required: true, ..user.clone() };
            reeve_store::users::update(tx, &user, &flagged)?;
            reeve_store::users::set_password_hash(tx, user.num, Some(&foreign))
        }).await.unwrap();
        assert_eq!(try_login(&server, user("u1"), "wrong").await.refusal(), WRONG);
        assert!(stored(&server).await.starts_with("$2"));
        assert_eq!(try_login(&server, user("u1"), "imported").await.status, 200);
        assert!(stored(&server).await.starts_with("$argon2id$"));
        assert_eq!(try_login(&server, user("u1"), "imported").await.status, 200);
        // The password is the same as before: a required change of it is not done.
        let user = server.app().db.read(|tx| reeve_store::users::find(tx, "@u1:test")).await.unwrap().unwrap();
        assert!(user.password_change_required);
    }

    #[config(|config| config.rate_limits.enabled = true)]
    async fn limits(server: Server) {
        server.create("u1", false).await;
        server.create("u2", false).await;
        let from = |ip: u8, name: &'static str, password: &'static str| {
            let body = json!({ "type": "m.login.password", "user": name, "password": password });
            let ip = format!("10.0.0.{ip}");
            let stranger = server.stranger();
            async move { stranger.send(Method::POST, LOGIN, &[("x-forwarded-for", &ip)], body.to_string()).await }
        };
        // Five from one address, whatever their results. The header of an untrusted proxy changes nothing.
        for ip in 0..5 {
            assert_eq!(from(ip, "u1", "wrong").await.status, if ip < 3 { 403 } else { 429 }, "{ip}");
        }
        let reply = from(9, "u2", "u2's password").await;
        assert_eq!(reply.refusal(), (429, "M_LIMIT_EXCEEDED", "Too Many Requests"));
        let wait = reply.body["retry_after_ms"].as_i64().unwrap();
        assert!((300_000..=334_000).contains(&wait), "{wait}");
        assert_eq!(reply.header("retry-after"), format!("{}", (wait + 999) / 1000));
        server.clock.advance(wait);
        assert_eq!(from(0, "u2", "u2's password").await.status, 200);
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.login_address = RateLimit { per_second: 1.0, burst: 10 };
        config.rate_limits.login_failed = RateLimit { per_second: 0.1, burst: 1 };
    })]
    async fn identifiers_that_are_too_long_are_not_remembered(server: Server) {
        let (name, long) = ("x".repeat(1024), "x".repeat(1025));
        assert_eq!(try_login(&server, user(&name), "x").await.refusal(), WRONG);
        assert_eq!(try_login(&server, user(&name), "x").await.status, 429);
        for identifier in [
            user(&long),
            json!({ "type": "m.id.thirdparty", "medium": long, "address": "x" }),
            json!({ "type": "m.id.thirdparty", "medium": "email", "address": format!("{long}@x.org") }),
        ] {
            for _ in 0..2 {
                assert_eq!(try_login(&server, identifier.clone(), "x").await.refusal(), WRONG);
            }
        }
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })]
    async fn a_network_of_ipv6_is_one_address(server: Server) {
        let from = |network: u8, host: u8| {
            let name = format!("nobody{network}-{host}");
            let body = json!({ "type": "m.login.password", "user": name, "password": "wrong" });
            let ip = format!("2001:db8:0:{network}::{host}");
            let stranger = server.stranger();
            async move { stranger.send(Method::POST, LOGIN, &[("x-forwarded-for", &ip)], body.to_string()).await.status }
        };
        for host in 1..=5 {
            assert_eq!(from(1, host).await, 403, "{host}");
        }
        assert_eq!(from(1, 6).await, 429);
        assert_eq!(from(2, 1).await, 403);
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })]
    async fn limits_of_an_account(server: Server) {
        server.create("u1", false).await;
        let mut ip = 0;
        let mut from = |name: &'static str, password: &'static str| {
            ip += 1;
            let body = json!({ "type": "m.login.password", "user": name, "password": password });
            let ip = format!("10.0.0.{ip}");
            let stranger = server.stranger();
            async move { stranger.send(Method::POST, LOGIN, &[("x-forwarded-for", &ip)], body.to_string()).await.status }
        };
        // Each request comes from another address: the proxy is trusted.
        for _ in 0..3 {
            assert_eq!(from("u1", "wrong").await, 403);
            assert_eq!(from("nobody", "wrong").await, 403);
        }
        // Used up: also for the right password, in every spelling, and no different for accounts that do not exist.
        assert_eq!(from("u1", "u1's password").await, 429);
        assert_eq!(from("@U1:test", "wrong").await, 429);
        assert_eq!(from("nobody", "wrong").await, 429);
        server.clock.advance(20_000);
        for _ in 0..5 {
            assert_eq!(from("u1", "u1's password").await, 200);
        }
        assert_eq!(from("u1", "u1's password").await, 429);
    }

    #[config(|config| config.policy.login_via_existing_session = true)]
    async fn login_tokens(server: Server) {
        let alice = server.user("alice").await;
        let get_token = "/_matrix/client/v1/login/get_token";
        let reply = server.stranger().get(LOGIN).await;
        assert_eq!(reply.body["flows"][0], json!({ "type": "m.login.token", "get_login_token": true }));
        let asked = alice.post(get_token, json!({})).await;
        assert_eq!(asked.status, 401);
        assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]));
        let auth = json!({ "auth": {
            "type": "m.login.password", "identifier": user("alice"), "password": "alice's password",
            "session": asked.body["session"],
        } });
        let reply = alice.post(get_token, auth).await;
        assert_eq!((reply.status, reply.body["expires_in_ms"].as_i64()), (200, Some(120_000)));
        let body = json!({ "type": "m.login.token", "token": reply.text("login_token") });
        let reply = server.stranger().post(LOGIN, body.clone()).await;
        assert_eq!((reply.status, reply.text("user_id")), (200, "@alice:test"));
        let used = (403, "M_FORBIDDEN", "Invalid login token");
        assert_eq!(server.stranger().post(LOGIN, body).await.refusal(), used);
        let body = json!({ "type": "m.login.token", "token": "x" });
        assert_eq!(server.stranger().post(LOGIN, body).await.refusal(), used);
    }

    async fn login_tokens_are_off_by_default(server: Server) {
        let alice = server.user("alice").await;
        let reply = alice.post("/_matrix/client/v1/login/get_token", json!({})).await;
        assert_eq!(reply.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
        let body = json!({ "type": "m.login.token", "token": "x" });
        let reply = server.stranger().post(LOGIN, body).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Invalid login token"));
    }

    async fn refreshed(server: Server) {
        server.create("u1", false).await;
        let refresh = |token: String| {
            let stranger = server.stranger();
            async move { stranger.post("/_matrix/client/v3/refresh", json!({ "refresh_token": token })).await }
        };
        let alive = |token: String| {
            let client = server.with_token(&token);
            async move { client.get(WHOAMI).await.status == 200 }
        };
        let pair = |reply: &Reply| {
            assert_eq!((reply.status, reply.body["expires_in_ms"].as_i64()), (200, Some(300_000)), "{}", reply.body);
            (reply.text("access_token").to_owned(), reply.text("refresh_token").to_owned())
        };
        let body = json!({ "type": "m.login.password", "user": "u1", "password": "u1's password", "refresh_token": true });
        let (access1, refresh1) = pair(&server.stranger().post(LOGIN, body).await);
        let (access2, _) = pair(&refresh(refresh1.clone()).await);
        // The response may have been lost: replaced tokens work until a new one is used.
        assert!(alive(access1.clone()).await);
        let (access3, refresh3) = pair(&refresh(refresh1).await);
        assert!(!alive(access2).await);
        assert!(alive(access3.clone()).await);
        assert!(!alive(access1).await);
        let (access4, refresh4) = pair(&refresh(refresh3).await);
        // Using the new refresh token ends the old one too.
        let (access5, refresh5) = pair(&refresh(refresh4.clone()).await);
        assert!(!alive(access3).await && alive(access4.clone()).await && alive(access5.clone()).await);
        assert!(!alive(access4).await);
        server.clock.advance(300_001);
        let expired = server.with_token(&access5).get(WHOAMI).await;
        let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Access token has expired", "soft_logout": true });
        assert_eq!(expired, (401, body));
        for (body, code, text, status) in [
            (json!({}), "M_MISSING_PARAM", "Missing params: ['refresh_token']", 400),
            (json!({ "refresh_token": 1 }), "M_INVALID_PARAM", "Invalid param: refresh_token", 400),
            (json!({ "refresh_token": "x" }), "M_UNKNOWN_TOKEN", "invalid refresh token", 401),
        ] {
            let reply = server.stranger().post("/_matrix/client/v3/refresh", body).await;
            assert_eq!(reply.refusal(), (status, code, text));
        }
        assert_eq!(server.with_token(&access5).post("/_matrix/client/v3/logout", json!({})).await.status, 200);
        let gone = (401, "M_UNKNOWN_TOKEN", "refresh token does not exist");
        for token in [refresh4, refresh5] {
            assert_eq!(refresh(token).await.refusal(), gone);
        }
    }

    async fn a_refresh_token_that_is_used_again_ends_the_session(server: Server) {
        server.create("u1", false).await;
        let body = json!({
            "type": "m.login.password", "user": "u1", "password": "u1's password", "refresh_token": true, "device_id": "D",
        });
        let log_in = || async { server.stranger().post(LOGIN, body.clone()).await };
        let refresh = |token: &str| {
            let (stranger, token) = (server.stranger(), token.to_owned());
            async move { stranger.post("/_matrix/client/v3/refresh", json!({ "refresh_token": token })).await }
        };
        let text = "The refresh token was used before, so its session has ended";
        let ended = (401, json!({ "errcode": "M_UNKNOWN_TOKEN", "error": text, "soft_logout": true }));
        let gone = (401, "M_UNKNOWN_TOKEN", "refresh token does not exist");

        // A thief was first, or the client: the other one presents a token that was exchanged.
        let first = log_in().await;
        let second = refresh(first.text("refresh_token")).await;
        let client = server.with_token(second.text("access_token"));
        assert_eq!(client.get(WHOAMI).await.status, 200);
        assert_eq!(refresh(first.text("refresh_token")).await, ended);
        let refused = client.get(WHOAMI).await;
        assert_eq!(refused.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        assert_eq!(refresh(second.text("refresh_token")).await.refusal(), gone);

        // The device stays, and a login continues with it. Tokens of the former session mean nothing to this one.
        let first = log_in().await;
        assert_eq!(first.text("device_id"), "D");
        assert_eq!(refresh(second.text("refresh_token")).await.refusal(), gone);
        let client = server.with_token(first.text("access_token"));
        assert_eq!(client.get("/_matrix/client/v3/devices").await.body["devices"].as_array().unwrap().len(), 1);

        // Both exchanged the same token, and one of the two results was taken back.
        let taken_back = refresh(first.text("refresh_token")).await;
        let other = refresh(first.text("refresh_token")).await;
        assert_eq!(server.with_token(other.text("access_token")).get(WHOAMI).await.status, 200);
        assert_eq!(refresh(taken_back.text("refresh_token")).await, ended);
        assert_eq!(server.with_token(other.text("access_token")).get(WHOAMI).await.status, 401);

        // A token that only looks like one of the session was never given out by the server.
        let first = log_in().await;
        let guessed = format!("rvr_{}", "x".repeat(48));
        assert_eq!(refresh(&guessed).await.refusal(), gone);
        assert_eq!(server.with_token(first.text("access_token")).get(WHOAMI).await.status, 200);
    }

    async fn refresh_tokens_from_before_there_were_families(server: Server) {
        server.create("u1", false).await;
        let body = json!({ "type": "m.login.password", "user": "u1", "password": "u1's password", "refresh_token": true });
        let login = server.stranger().post(LOGIN, body).await;
        let device_id = login.text("device_id").to_owned();
        let old = format!("rvr_{}", "o".repeat(40));
        let hashes = [old.clone(), login.text("access_token").to_owned()].map(|token| reeve_model::session::hash_token(&token));
        server.app().db.write(move |tx| {
            let [token_hash, access_token_hash] = &hashes;
            let user_num = reeve_store::users::num(tx, "@u1:test")?.unwrap();
            reeve_store::refresh_tokens::delete_of_device(tx, user_num, &device_id)?;
            old_tokens::insert(tx, token_hash, user_num, &device_id, access_token_hash)
        }).await.unwrap();
        let refresh = |token: String| {
            let stranger = server.stranger();
            async move { stranger.post("/_matrix/client/v3/refresh", json!({ "refresh_token": token })).await }
        };
        let new = refresh(old.clone()).await;
        let client = server.with_token(new.text("access_token"));
        assert_eq!(client.get(WHOAMI).await.status, 200);
        assert_eq!(refresh(old).await.text("error"), "The refresh token was used before, so its session has ended");
        assert_eq!(client.get(WHOAMI).await.status, 401);
    }

    #[config(|config| {
        config.policy.token_lifetime_ms = Some(1000);
        config.policy.refresh_token_lifetime_ms = Some(5000);
    })]
    async fn tokens_that_expire(server: Server) {
        server.create("u1", false).await;
        let body = json!({ "type": "m.login.password", "user": "u1", "password": "u1's password", "refresh_token": true });
        let reply = server.stranger().post(LOGIN, body).await;
        assert_eq!(reply.status, 200);
        server.clock.advance(5001);
        let body = json!({ "refresh_token": reply.text("refresh_token") });
        let refused = server.stranger().post("/_matrix/client/v3/refresh", body).await;
        let text = "The supplied refresh token has expired";
        assert_eq!(refused, (401, json!({ "errcode": "M_UNKNOWN_TOKEN", "error": text, "soft_logout": true })));
        let plain = server.log_in("u1", "u1's password").await;
        server.clock.advance(1001);
        assert_eq!(plain.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Access token has expired"));
    }

    async fn logged_out(server: Server) {
        let first = server.user("u1").await;
        let second = server.log_in("u1", "u1's password").await;
        let third = server.log_in("u1", "u1's password").await;
        assert_eq!(first.send(Method::POST, "/_matrix/client/v3/logout", &[], "garbage").await, (200, json!({})));
        let dead = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
        assert_eq!(first.get(WHOAMI).await.refusal(), dead);
        assert_eq!(second.get("/_matrix/client/v3/devices").await.body["devices"].as_array().unwrap().len(), 2);
        assert_eq!(second.post("/_matrix/client/v3/logout/all", json!({})).await, (200, json!({})));
        assert_eq!(second.get(WHOAMI).await.refusal(), dead);
        assert_eq!(third.get(WHOAMI).await.refusal(), dead);
    }

    async fn seen_in_whois_after_a_restart(server: Server) {
        let mut server = server;
        let alice = server.user("alice").await;
        alice.get(WHOAMI).await;
        server.restart(|_| {}).await;
        let alice = server.with_token(alice.token.as_deref().unwrap());
        let whois = alice.get("/_synapse/admin/v1/whois/@alice:test").await;
        let connection = json!({ "ip": "127.0.0.1", "last_seen": START_MS, "user_agent": "testkit" });
        assert_eq!(whois.body["devices"][""]["sessions"][0]["connections"], json!([connection]));
    }
}

mod old_tokens {
    use reeve_db::{DbError, Tx, params};
    use reeve_model::{TokenHash, UserNum};

    reeve_db::statements! {
        INSERT = "INSERT INTO refresh_tokens (token_hash, user_num, device_id, access_token_hash, created_ts) \
                  VALUES ($1, $2, $3, $4, 0)";
    }

    /// Stores a refresh token as servers did that knew no families.
    pub(super) fn insert(
        tx: &mut Tx<'_>,
        token_hash: &TokenHash,
        user_num: UserNum,
        device_id: &str,
        access_token_hash: &TokenHash,
    ) -> Result<(), DbError> {
        tx.execute(&INSERT, &params![token_hash, user_num, device_id, access_token_hash])?;
        Ok(())
    }
}
