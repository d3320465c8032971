//! Sessions under concurrency and unlucky orders, and what ends them.

use http::Method;
use reeve_accounts::password::Verdict;
use reeve_store::users;
use reeve_testkit::tokio::task::{JoinHandle, spawn, yield_now};
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const LOGIN: &str = "/_matrix/client/v3/login";
const REFRESH: &str = "/_matrix/client/v3/refresh";
const LOGOUT: &str = "/_matrix/client/v3/logout";
const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";
const PASSWORD: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const WRONG: (u16, &str, &str) = (403, "M_FORBIDDEN", "Invalid username or password");
const DEAD: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
const NO_REFRESH: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "refresh token does not exist");
const LIMITED: (u16, &str, &str) = (429, "M_LIMIT_EXCEEDED", "Too Many Requests");

fn credentials(name: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "user": name, "password": password })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

/// Logs in with a refresh token; returns both tokens.
async fn refreshable(server: &Server) -> (Client, String) {
    let body = with(credentials("alice", "alice's password"), "refresh_token", json!(true));
    let reply = server.stranger().post(LOGIN, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    (server.with_token(reply.text("access_token")), reply.text("refresh_token").to_owned())
}

async fn refresh(server: &Server, token: &str) -> Reply {
    server.stranger().post(REFRESH, json!({ "refresh_token": token })).await
}

/// Keeps the only hashing thread busy for a second or more: a hash names its own cost.
async fn keep_hashing(server: &Server) -> JoinHandle<()> {
    let hasher = server.app().hasher.clone();
    let busy = spawn(async move {
        let costly = format!("$argon2id$v=19$m=16384,t=2,p=1$c2FsdHNhbHQ${}", "A".repeat(43));
        assert_eq!(hasher.verify("x", Some(&costly)).await.unwrap(), Verdict::Wrong);
    });
    while server.app().hasher.waiting() == 0 {
        yield_now().await;
    }
    busy
}

/// Sends a request and waits until it waits for its turn to hash.
async fn queue(
    server: &Server,
    client: &Client,
    path: &'static str,
    body: Value,
    ip: u8,
) -> JoinHandle<Reply> {
    let (client, before) = (client.clone(), server.app().hasher.waiting());
    let reply = spawn(async move {
        let ip = format!("10.0.0.{ip}");
        client.send(Method::POST, path, &[("x-forwarded-for", &ip)], body.to_string()).await
    });
    while server.app().hasher.waiting() == before && !reply.is_finished() {
        yield_now().await;
    }
    reply
}

async fn lock(admin: &Client, locked: bool) {
    let reply = admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": locked })).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

fn patient(config: &mut reeve_testkit::Config) {
    config.hashing.wait = std::time::Duration::from_mins(2);
    config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

on_both_engines! {
    #[config(patient)]
    async fn a_password_that_changes_while_it_is_compared(server: Server) {
        let alice = server.user("alice").await;
        let busy = keep_hashing(&server).await;
        let login = queue(&server, &server.stranger(), LOGIN, credentials("alice", "alice's password"), 1).await;
        let body = json!({ "new_password": "new", "auth": credentials("alice", "alice's password") });
        let change = queue(&server, &alice, PASSWORD, body, 1).await;
        // Unknown accounts take as much time.
        let nobody = queue(&server, &server.stranger(), LOGIN, credentials("nobody", "x"), 1).await;
        assert!(!nobody.is_finished());
        server.app().db.write(|tx| {
            let num = users::num(tx, "@alice:test")?.unwrap();
            users::set_password_hash(tx, num, Some("$argon2id$another"))?;
            reeve_accounts::sessions::end_all(tx, num, &reeve_accounts::sessions::Spared::default())
        }).await.unwrap();
        assert!(!login.is_finished() && !change.is_finished() && !nobody.is_finished());
        assert_eq!(login.await.unwrap().refusal(), WRONG);
        assert_eq!(change.await.unwrap().refusal(), DEAD);
        assert_eq!(nobody.await.unwrap().refusal(), WRONG);
        busy.await.unwrap();
        let hash = server.app().db.read(|tx| users::password_hash(tx, users::num(tx, "@alice:test")?.unwrap())).await;
        assert_eq!(hash.unwrap().as_deref(), Some("$argon2id$another"));
    }

    #[config(|config| {
        patient(config);
        config.rate_limits.enabled = true;
    })]
    async fn guesses_that_are_sent_all_at_once(server: Server) {
        server.create("alice", false).await;
        let busy = keep_hashing(&server).await;
        let mut guesses = Vec::new();
        for ip in 0..6 {
            let password = if ip == 5 { "alice's password" } else { "wrong" };
            guesses.push(queue(&server, &server.stranger(), LOGIN, credentials("alice", password), ip).await);
        }
        assert!(guesses.iter().all(|guess| !guess.is_finished()));
        for (number, guess) in guesses.into_iter().enumerate() {
            let refusal = if number < 3 { WRONG } else { LIMITED };
            assert_eq!(guess.await.unwrap().refusal(), refusal, "{number}");
        }
        busy.await.unwrap();
    }

    #[config(|config| config.rate_limits.enabled = true)]
    async fn interactive_authentication_is_limited_like_logins(server: Server) {
        let alice = server.user("alice").await;
        let change = |password: &str| json!({ "new_password": "new", "auth": credentials("alice", password) });
        for _ in 0..3 {
            assert_eq!(alice.post(PASSWORD, change("x")).await.refusal(), (401, WRONG.1, WRONG.2));
        }
        assert_eq!(alice.post(PASSWORD, change("alice's password")).await.refusal(), LIMITED);
        let reply = server.stranger().post(LOGIN, credentials("alice", "alice's password")).await;
        assert_eq!(reply.refusal(), LIMITED);
        server.clock.advance(20_000);
        assert_eq!(alice.post(PASSWORD, change("alice's password")).await, (200, json!({})));
    }

    async fn the_first_refusal_of_a_login(server: Server) {
        let refresh = "`refresh_token` should be true or false.";
        for (body, code, text) in [
            (json!({ "refresh_token": 1 }), "M_UNKNOWN", refresh),
            (json!({ "refresh_token": 1, "type": "m.login.foo" }), "M_UNKNOWN", refresh),
            (json!({ "type": "m.login.password" }), "M_INVALID_PARAM", "Bad parameter: password"),
            (json!({ "type": "m.login.password", "identifier": 1 }), "M_INVALID_PARAM", "Bad parameter: password"),
        ] {
            assert_eq!(server.stranger().post(LOGIN, body.clone()).await.refusal(), (400, code, text), "{body}");
        }
    }

    #[config(|config| config.policy.password_enabled = false)]
    async fn without_passwords(server: Server) {
        server.create("admin", true).await;
        assert_eq!(server.stranger().get(LOGIN).await, (200, json!({ "flows": [] })));
        let reply = server.stranger().post(LOGIN, credentials("admin", "admin's password")).await;
        assert_eq!(reply.refusal(), (400, "M_UNKNOWN", "Password login has been disabled."));
    }

    async fn a_new_password_leaves_the_session_that_set_it(server: Server) {
        server.create("alice", false).await;
        let (mine, my_refresh) = refreshable(&server).await;
        let (other, other_refresh) = refreshable(&server).await;
        let body = json!({ "new_password": "new", "auth": credentials("alice", "alice's password") });
        assert_eq!(mine.post(PASSWORD, body).await, (200, json!({})));
        assert_eq!(other.get(WHOAMI).await.refusal(), DEAD);
        assert_eq!(refresh(&server, &other_refresh).await.refusal(), NO_REFRESH);
        assert_eq!(mine.get("/_matrix/client/v3/devices").await.body["devices"].as_array().unwrap().len(), 1);
        // It continues when its access token has expired.
        server.clock.advance(300_001);
        assert_eq!(mine.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Access token has expired"));
        let again = refresh(&server, &my_refresh).await;
        assert_eq!(server.with_token(again.text("access_token")).get(WHOAMI).await.status, 200, "{}", again.body);
    }

    async fn what_ends_refreshing(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let (session, token) = refreshable(&server).await;
        let device_id = session.get(WHOAMI).await.text("device_id").to_owned();
        // A lock does not, but the new token is no better than the old.
        lock(&admin, true).await;
        let reply = refresh(&server, &token).await;
        assert_eq!(reply.status, 200);
        let locked = server.with_token(reply.text("access_token"));
        assert_eq!(locked.get(WHOAMI).await.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        lock(&admin, false).await;
        assert_eq!(locked.get(WHOAMI).await.status, 200);

        let token = reply.text("refresh_token").to_owned();
        let path = format!("/_synapse/admin/v2/users/@alice:test/devices/{device_id}");
        assert_eq!(admin.delete(&path).await.status, 200);
        assert_eq!(refresh(&server, &token).await.refusal(), NO_REFRESH);

        let (session, token) = refreshable(&server).await;
        assert_eq!(session.post(LOGOUT, json!({})).await, (200, json!({})));
        assert_eq!(refresh(&server, &token).await.refusal(), NO_REFRESH);

        let (_, token) = refreshable(&server).await;
        assert_eq!(alice.post("/_matrix/client/v3/logout/all", json!({})).await, (200, json!({})));
        assert_eq!(refresh(&server, &token).await.refusal(), NO_REFRESH);

        let (_, token) = refreshable(&server).await;
        let reset = json!({ "new_password": "alice's password" });
        admin.post("/_synapse/admin/v1/reset_password/@alice:test", reset).await;
        assert_eq!(refresh(&server, &token).await.refusal(), NO_REFRESH);

        let (_, token) = refreshable(&server).await;
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        assert_eq!(refresh(&server, &token).await.refusal(), NO_REFRESH);
    }

    async fn an_admin_who_resets_a_password_spares_no_session_of_others(server: Server) {
        server.create("admin", true).await;
        let body = with(credentials("admin", "admin's password"), "device_id", json!("SAME"));
        let reply = server.stranger().post(LOGIN, body).await;
        let admin = server.with_token(reply.text("access_token"));
        server.create("alice", false).await;
        let mut body = with(credentials("alice", "alice's password"), "device_id", json!("SAME"));
        body["refresh_token"] = json!(true);
        let reply = server.stranger().post(LOGIN, body).await;
        let alice = server.with_token(reply.text("access_token"));
        let reset = admin.post("/_synapse/admin/v1/reset_password/@alice:test", json!({ "new_password": "x" })).await;
        assert_eq!(reset.status, 200);
        assert_eq!(alice.get(WHOAMI).await.refusal(), DEAD);
        assert_eq!(refresh(&server, reply.text("refresh_token")).await.refusal(), NO_REFRESH);
    }

    async fn who_may_log_out(server: Server) {
        let admin = server.admin().await;
        let [locked, expired, guest] = [server.user("a").await, server.user("b").await, server.user("c").await];
        admin.put("/_synapse/admin/v2/users/@a:test", json!({ "locked": true })).await;
        let body = json!({ "user_id": "@b:test", "expiration_ts": START_MS - 1 });
        admin.post("/_synapse/admin/v1/account_validity/validity", body).await;
        server.app().db.write(|tx| {
            let guest = users::find(tx, "@c:test")?.unwrap();
            users::update(tx, &guest, &reeve_model::User { is_guest: true, ..guest.clone() })
        }).await.unwrap();
        assert_eq!(locked.post(LOGOUT, json!({})).await, (200, json!({})));
        assert_eq!(expired.post("/_matrix/client/v3/logout/all", json!({})).await, (200, json!({})));
        for path in [LOGOUT, "/_matrix/client/r0/logout/all"] {
            let reply = guest.post(path, json!({})).await;
            assert_eq!(reply.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
        }
        admin.put("/_synapse/admin/v2/users/@a:test", json!({ "locked": false })).await;
        for client in [locked, expired] {
            assert_eq!(client.get(WHOAMI).await.refusal(), DEAD);
        }
        let device_id = &guest.device_id;
        let me = json!({ "user_id": "@c:test", "is_guest": true, "device_id": device_id });
        assert_eq!(guest.get(WHOAMI).await, (200, me));
        assert_eq!(server.stranger().post(LOGOUT, json!({})).await.refusal(), (401, "M_MISSING_TOKEN", "Missing access token"));
    }

    #[config(|config| {
        config.policy.login_via_existing_session = true;
        config.rate_limits.enabled = true;
        config.rate_limits.login_address.burst = 100;
        config.rate_limits.login_account.burst = 100;
    })]
    async fn a_login_token_is_used_up_by_any_outcome(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let invalid = (403, "M_FORBIDDEN", "Invalid login token");
        let auth = json!({ "auth": credentials("alice", "alice's password") });
        let token = || async {
            server.clock.advance(60_000);
            let reply = alice.post(GET_TOKEN, auth.clone()).await;
            assert_eq!(reply, (200, json!({ "login_token": reply.text("login_token"), "expires_in_ms": 120_000 })));
            json!({ "type": "m.login.token", "token": reply.text("login_token") })
        };
        let login = |body: Value| server.stranger().post_owned(LOGIN, body);

        let body = token().await;
        // One a minute, which is checked before anything else.
        assert_eq!(alice.post(GET_TOKEN, auth.clone()).await.refusal(), LIMITED);
        assert_eq!(alice.send(Method::POST, GET_TOKEN, &[], "garbage").await.refusal(), LIMITED);
        lock(&admin, true).await;
        assert_eq!(login(body.clone()).await.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        lock(&admin, false).await;
        assert_eq!(login(body).await.refusal(), invalid);

        let body = token().await;
        let long = with(body.clone(), "device_id", json!("x".repeat(513)));
        let text = "device_id cannot be longer than 512 characters.";
        assert_eq!(login(long).await.refusal(), (400, "M_INVALID_PARAM", text));
        assert_eq!(login(body).await.refusal(), invalid);

        let body = token().await;
        server.clock.advance(120_001);
        assert_eq!(login(body).await.refusal(), invalid);

        let body = with(with(token().await, "device_id", json!("D")), "refresh_token", json!(true));
        let reply = login(body).await;
        let shape = json!({
            "user_id": "@alice:test", "home_server": "test", "device_id": "D", "expires_in_ms": 300_000,
            "access_token": reply.text("access_token"), "refresh_token": reply.text("refresh_token"),
        });
        assert_eq!(reply, (200, shape));

        let body = token().await;
        assert_eq!(alice.post("/_matrix/client/v3/logout/all", json!({})).await, (200, json!({})));
        assert_eq!(login(body).await.refusal(), invalid);
        assert_eq!(login(json!({ "type": "m.login.token" })).await.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['token']"));
        assert_eq!(login(json!({ "type": "m.login.token", "token": 1 })).await.refusal(), invalid);
    }

    async fn deactivated_through_a_login_as_token(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let reply = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let puppet = server.with_token(reply.text("access_token"));
        // Only the last request counts: an earlier `erase` of the session is forgotten.
        let asked = puppet.post(DEACTIVATE, json!({ "erase": true })).await;
        assert_eq!(asked.status, 401);
        let auth = with(credentials("alice", "alice's password"), "session", asked.body["session"].clone());
        let reply = puppet.post(DEACTIVATE, json!({ "auth": auth })).await;
        assert_eq!(reply, (200, json!({ "id_server_unbind_result": "success" })));
        for client in [puppet, alice] {
            assert_eq!(client.get(WHOAMI).await.refusal(), DEAD);
        }
        let reply = server.stranger().post(LOGIN, credentials("alice", "alice's password")).await;
        assert_eq!(reply.refusal(), WRONG);
        let user = admin.get("/_synapse/admin/v2/users/@alice:test").await.body;
        let state = (&user["deactivated"], &user["erased"], &user["displayname"]);
        assert_eq!(state, (&json!(true), &json!(false), &json!("alice")));
    }

    async fn stages_that_are_not_asked_for(server: Server) {
        let alice = server.user("alice").await;
        let change = |auth: Value| alice.post_owned(PASSWORD, json!({ "new_password": "new", "auth": auth }));
        let reply = change(json!({ "type": "m.login.dummy" })).await;
        let session = reply.text("session").to_owned();
        assert_eq!(session.len(), 24);
        let flows = json!([{ "stages": ["m.login.password"] }]);
        let body = json!({ "session": session, "flows": flows, "params": {}, "completed": ["m.login.dummy"] });
        assert_eq!(reply, (401, body.clone()));
        // It was passed, but not the stage that the operation needs; the session continues and ends with
        // success.
        assert_eq!(change(json!({ "session": session })).await, (401, body));
        let right = with(credentials("alice", "alice's password"), "session", json!(session));
        assert_eq!(change(right.clone()).await, (200, json!({})));
        let again = (400, "M_UNKNOWN".to_owned(), format!("Unknown session ID: {session}"));
        let reply = change(right).await;
        assert_eq!(reply.refusal(), (again.0, &*again.1, &*again.2));
        server.log_in("alice", "new").await;
    }
}
