//! The rights of an account in each state, cell by cell, and clients that are slow or idle.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;
use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// The states of an account, each with its difference from an ordinary one.
const STATES: [&str; 8] =
    ["normal", "deactivated", "locked", "suspended", "shadow_banned", "expired", "guest", "password_change"];

async fn put_into(admin: &Client, name: &str, state: &str) {
    let id = format!("@{name}:test");
    let reply = match state {
        "normal" | "guest" => return,
        "deactivated" => admin.post(&format!("/_synapse/admin/v1/deactivate/{id}"), json!({})).await,
        "locked" => admin.put(&format!("/_synapse/admin/v2/users/{id}"), json!({ "locked": true })).await,
        "suspended" => {
            admin.put(&format!("/_synapse/admin/v1/suspend/{id}"), json!({ "suspend": true })).await
        }
        "password_change" => {
            admin
                .put(&format!("/_reeve/admin/v1/users/{id}/password_change"), json!({ "required": true }))
                .await
        }
        "shadow_banned" => admin.post(&format!("/_synapse/admin/v1/users/{id}/shadow_ban"), json!({})).await,
        _ => {
            let body = json!({ "user_id": id, "expiration_ts": START_MS - 1 });
            admin.post("/_synapse/admin/v1/account_validity/validity", body).await
        }
    };
    assert_eq!(reply.status, 200, "{state}: {}", reply.body);
}

/// `(status, errcode)`; the code is blank on success.
fn outcome(reply: &reeve_testkit::Reply) -> (u16, String) {
    (reply.status, reply.text("errcode").to_owned())
}

on_both_engines! {
    #[config(|config| config.policy.guests = true)]
    async fn the_matrix(server: Server) {
        let admin = server.admin().await;
        for state in STATES {
            let session = if state == "guest" {
                let reply = server.stranger().post("/_matrix/client/v3/register?kind=guest", json!({})).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                let mut guest = server.with_token(reply.text("access_token"));
                reply.text("user_id").clone_into(&mut guest.user_id);
                guest
            } else {
                server.user(state).await
            };
            let id = session.user_id.clone();
            let puppet = admin.post(&format!("/_synapse/admin/v1/users/{id}/login"), json!({})).await;
            let puppet = server.with_token(puppet.text("access_token"));
            put_into(&admin, state, state).await;

            let login = json!({ "type": "m.login.password", "user": id, "password": format!("{state}'s password") });
            let login = outcome(&server.stranger().post("/_matrix/client/v3/login", login).await);
            let token = outcome(&session.get(WHOAMI).await);
            let acting = outcome(&puppet.get(WHOAMI).await);
            let again = outcome(&admin.post(&format!("/_synapse/admin/v1/users/{id}/login"), json!({})).await);
            let record = outcome(&admin.get(&format!("/_synapse/admin/v2/users/{id}")).await);
            let profile = outcome(&server.stranger().get(&format!("/_matrix/client/v3/profile/{id}")).await);
            let listed = |list: &'static str| {
                let (admin, id) = (admin.clone(), id.clone());
                async move {
                    let reply = admin.get(&format!("/_synapse/admin/{list}")).await;
                    reply.body["users"].as_array().unwrap().iter().any(|user| user["name"] == id.as_str())
                }
            };
            let lists = (listed("v2/users").await, listed("v3/users").await, listed("v2/users?guests=false").await);
            let api = outcome(&session.get("/_synapse/admin/v2/users").await);
            let name = session.put(&format!("/_matrix/client/v3/profile/{id}/displayname"), json!({ "displayname": "new" })).await;
            let name = outcome(&name);
            let logout = outcome(&session.post("/_matrix/client/v3/logout", json!({})).await);

            let ok = (200, String::new());
            let refused = |status: u16, code: &str| (status, code.to_owned());
            let unknown = refused(401, "M_UNKNOWN_TOKEN");
            let locked = refused(401, "M_USER_LOCKED");
            let expired = refused(403, "ORG_MATRIX_EXPIRED_ACCOUNT");
            let forbidden = refused(403, "M_FORBIDDEN");
            let guest = refused(403, "M_GUEST_ACCESS_FORBIDDEN");
            let (e_login, e_token, e_acting, e_lists, e_api, e_name, e_logout) = match state {
                "deactivated" => (forbidden, unknown.clone(), unknown.clone(), (false, true, false), unknown.clone(), unknown.clone(), unknown),
                "locked" => (locked.clone(), locked.clone(), locked.clone(), (false, false, false), locked.clone(), locked, ok.clone()),
                "suspended" => (ok.clone(), ok.clone(), ok.clone(), (true, true, true), forbidden, refused(403, "M_USER_SUSPENDED"), ok.clone()),
                "expired" => (ok.clone(), expired.clone(), expired.clone(), (true, true, true), expired.clone(), expired, ok.clone()),
                "password_change" => (ok.clone(), ok.clone(), ok.clone(), (true, true, true), forbidden.clone(), forbidden, ok.clone()),
                "guest" => (forbidden, ok.clone(), ok.clone(), (true, true, false), guest.clone(), ok.clone(), guest),
                _ => (ok.clone(), ok.clone(), ok.clone(), (true, true, true), forbidden, ok.clone(), ok.clone()),
            };
            assert_eq!(login, e_login, "{state}: password login");
            assert_eq!(token, e_token, "{state}: existing token");
            assert_eq!(acting, e_acting, "{state}: login-as token");
            assert_eq!(lists, e_lists, "{state}: in lists");
            assert_eq!(api, e_api, "{state}: admin API");
            assert_eq!(name, e_name, "{state}: own display name");
            assert_eq!(logout, e_logout, "{state}: logout");
            let e_again =
                if state == "deactivated" { refused(403, "M_USER_DEACTIVATED") } else { ok.clone() };
            assert_eq!((again, record, profile), (e_again, ok.clone(), ok), "{state}: login-as, record, profile");
        }
    }

    async fn flags_survive_deactivation(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        for state in ["locked", "suspended", "shadow_banned", "expired"] {
            put_into(&admin, "u", state).await;
        }
        put_into(&admin, "u", "deactivated").await;
        let reply = admin.put("/_synapse/admin/v2/users/@u:test", json!({ "deactivated": false, "password": "p" })).await;
        for flag in ["locked", "suspended", "shadow_banned"] {
            assert_eq!(reply.body[flag], Value::Bool(true), "{flag}");
        }
        admin.put("/_synapse/admin/v2/users/@u:test", json!({ "locked": false })).await;
        // The validity of an account ends with it.
        let session = server.log_in("u", "p").await;
        assert_eq!(session.get(WHOAMI).await.status, 200);
    }

    #[config(|config| config.rate_limits.enabled = true)]
    async fn the_message_limit_and_its_override(server: Server) {
        let (admin, user) = (server.admin().await, server.user("u").await);
        let send = || {
            let user = user.clone();
            async move { user.put("/_matrix/client/v3/profile/@u:test/displayname", json!({ "displayname": "n" })).await }
        };
        let set = |rate: i64, burst: i64| {
            let admin = admin.clone();
            async move {
                let body = json!({ "messages_per_second": rate, "burst_count": burst });
                let reply = admin.post("/_synapse/admin/v1/users/@u:test/override_ratelimit", body.clone()).await;
                assert_eq!(reply, (200, body));
            }
        };
        for _ in 0..10 {
            assert_eq!(send().await.status, 200);
        }
        let refused = send().await;
        assert_eq!(refused.refusal(), (429, "M_LIMIT_EXCEEDED", "Too Many Requests"));
        assert_eq!((refused.body["retry_after_ms"].as_i64(), refused.header("retry-after")), (Some(5000), "5"));
        set(0, 5).await;
        for _ in 0..20 {
            assert_eq!(send().await.status, 200);
        }
        server.clock.advance(100_000);
        set(1, 2).await;
        assert_eq!((send().await.status, send().await.status), (200, 200));
        assert_eq!(send().await.body["retry_after_ms"], 1000);
        server.clock.advance(1000);
        assert_eq!((send().await.status, send().await.status), (200, 429));
        set(10, 0).await;
        server.clock.advance(100_000);
        assert_eq!(send().await.body["retry_after_ms"], 100);
        // A login-as token falls under the account's override, unless the administrator has no limit.
        let puppet = admin.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        let puppet = server.with_token(puppet.text("access_token"));
        let path = "/_matrix/client/v3/profile/@u:test/displayname";
        assert_eq!(puppet.put(path, json!({ "displayname": "x" })).await.status, 429);
        let body = json!({ "messages_per_second": 0, "burst_count": 0 });
        admin.post("/_synapse/admin/v1/users/@admin:test/override_ratelimit", body).await;
        assert_eq!(puppet.put(path, json!({ "displayname": "x" })).await.status, 200);
        assert_eq!(admin.delete("/_synapse/admin/v1/users/@u:test/override_ratelimit").await.status, 200);
        assert_eq!(send().await.status, 200);
        // Changes by administrators are never limited.
        for _ in 0..12 {
            let reply = admin.put("/_synapse/admin/v2/users/@u:test", json!({ "displayname": "by admin" })).await;
            assert_eq!(reply.status, 200);
        }
    }

    #[config(|config| {
        config.http.header_timeout = Duration::from_millis(400);
        config.http.body_timeout = Duration::from_millis(200);
    })]
    async fn slow_clients_are_dropped(server: Server) {
        let admin = server.admin().await;
        let (address, token) = (server.address(), admin.token.clone().unwrap());
        let answers = tokio::task::spawn_blocking(move || {
            let talk = |text: String| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            };
            let head = talk("GET /health HTTP/1.1\r\nHost: x\r\n".to_owned());
            let body = talk(format!(
                "PUT /_synapse/admin/v2/users/@n:test HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{",
            ));
            (head, body)
        }).await.unwrap();
        assert!(answers.0.is_empty() || answers.0.starts_with("HTTP/1.1 408"), "{}", answers.0);
        assert!(answers.1.starts_with("HTTP/1.1 408"), "{}", answers.1);
        assert!(answers.1.contains("The request body took too long to arrive"), "{}", answers.1);
        assert_eq!(admin.get("/_synapse/admin/v2/users/@n:test").await.status, 404);
    }

    async fn idle_connections_do_not_stop_service(server: Server) {
        let admin = server.admin().await;
        let address = server.address();
        // As many as the test's limit on open files allows; each takes a handle on both sides.
        let idle = tokio::task::spawn_blocking(move || {
            (0..400).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>()
        }).await.unwrap();
        assert_eq!(admin.get("/_synapse/admin/v2/users").await.status, 200);
        let fresh = server.log_in("admin", "admin's password").await;
        assert_eq!(fresh.get(WHOAMI).await.status, 200);
        drop(idle);
    }

    async fn bodies_are_bounded_without_a_length(server: Server) {
        let admin = server.admin().await;
        let (address, token) = (server.address(), admin.token.clone().unwrap());
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let head = format!(
                "PUT /_synapse/admin/v2/users/@n:test HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            stream.write_all(head.as_bytes()).unwrap();
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            for _ in 0..40 {
                stream.write_all(chunk.as_bytes()).unwrap();
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).map(|()| String::from_utf8_lossy(&answer).into_owned())
        }).await.unwrap();
        assert_eq!(answer.unwrap(), "HTTP/1.1 413");
        assert_eq!(admin.send(Method::GET, "/_synapse/admin/v2/users/@n:test", &[], "").await.status, 404);
    }
}
