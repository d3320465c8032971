//! `/_synapse/admin/v1/register` and `/_synapse/admin/v1/username_available`.

use reeve_testkit::{Client, Config, Reply, on_both_engines};
use serde_json::{Value, json};

const REGISTER: &str = "/_synapse/admin/v1/register";
const AVAILABLE: &str = "/_synapse/admin/v1/username_available";
const SECRET: &str = "s3cret";

fn with_secret(config: &mut Config) {
    config.policy.registration_shared_secret = Some(SECRET.to_owned());
}

async fn nonce(client: &Client) -> String {
    let reply = client.get(REGISTER).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.text("nonce").to_owned()
}

/// The message authentication code of a request.
fn mac(secret: &str, parts: &[&str]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(parts.join("\0").as_bytes());
    reeve_model::encoding::hex(&mac.finalize().into_bytes())
}

/// A request with a fresh nonce and the right code for an ordinary account, changed.
async fn body(client: &Client, changes: Value) -> Value {
    let nonce = nonce(client).await;
    let mac = mac(SECRET, &[&nonce, "New", "pw", "notadmin"]);
    let mut body = json!({ "nonce": nonce, "username": "New", "password": "pw", "mac": mac });
    let object = body.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        if value == "absent" {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    body
}

async fn register(client: &Client, changes: Value) -> Reply {
    client.post(REGISTER, body(client, changes).await).await
}

on_both_engines! {
    #[config(with_secret)]
    async fn an_account_is_made(server: Server) {
        let stranger = server.stranger();
        let hex = nonce(&stranger).await;
        assert!(hex.len() == 128 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{hex}");
        let reply = register(&stranger, json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let (token, device_id) = (reply.text("access_token").to_owned(), reply.text("device_id").to_owned());
        let whole = json!({ "user_id": "@new:test", "home_server": "test", "access_token": token, "device_id": device_id });
        assert_eq!(reply.body, whole);
        let whoami = server.with_token(&token).get("/_matrix/client/v3/account/whoami").await;
        assert_eq!(whoami.text("device_id"), device_id);
        server.log_in("new", "pw").await;
        let admin = server.admin().await;
        let account = admin.get("/_synapse/admin/v2/users/@new:test").await;
        let facts = (account.text("displayname"), &account.body["admin"], &account.body["user_type"]);
        assert_eq!(facts, ("New", &json!(false), &json!(null)));
        let log = admin.get("/_reeve/admin/v1/audit?target=@new:test").await;
        let entry = &log.body["entries"][0];
        assert_eq!((&entry["action"], &entry["actor"]), (&json!("user.create"), &json!("shared secret")));
        assert_eq!(entry["actor_kind"], "service");
        // A token that is sent is not looked at.
        assert_eq!(server.with_token("nobody").get(REGISTER).await.status, 200);
    }

    #[config(with_secret)]
    async fn an_administrator_is_made(server: Server) {
        let stranger = server.stranger();
        // "false" is a text that is not empty, hence true.
        for (name, flag) in [("a", json!(true)), ("b", json!("false")), ("c", json!(1))] {
            let nonce = nonce(&stranger).await;
            let mac = mac(SECRET, &[&nonce, name, "pw", "admin", "bot"]);
            let reply = stranger.post(REGISTER, json!({
                "nonce": nonce, "username": name, "password": "pw", "mac": mac, "admin": flag, "user_type": "bot",
                "displayname": "", "inhibit_login": true,
            })).await;
            assert_eq!(reply, (200, json!({ "user_id": format!("@{name}:test"), "home_server": "test" })));
        }
        let a = server.log_in("a", "pw").await;
        let account = a.get("/_synapse/admin/v2/users/@a:test").await;
        let facts = (&account.body["displayname"], &account.body["admin"], account.text("user_type"));
        assert_eq!(facts, (&json!(null), &json!(true), "bot"));
    }

    #[config(with_secret)]
    async fn its_session(server: Server) {
        let stranger = server.stranger();
        let reply = register(&stranger, json!({
            "device_id": "D", "initial_device_display_name": "Script", "refresh_token": true, "displayname": "Name",
            "user_type": "",
        })).await;
        assert_eq!((reply.text("device_id"), &reply.body["expires_in_ms"]), ("D", &json!(300_000)), "{}", reply.body);
        let refreshed = stranger.post("/_matrix/client/v3/refresh", json!({ "refresh_token": reply.text("refresh_token") })).await;
        let new = server.with_token(refreshed.text("access_token"));
        assert_eq!(new.get("/_matrix/client/v3/devices/D").await.text("display_name"), "Script");
        assert_eq!(new.get("/_matrix/client/v3/profile/@new:test").await, (200, json!({ "displayname": "Name" })));
    }

    #[config(with_secret)]
    async fn what_is_refused_and_in_which_order(server: Server) {
        let stranger = server.stranger();
        server.create("taken", false).await;
        let long = "x".repeat(513);
        let (unknown, name, password) = ("unrecognised nonce", "Invalid username", "Invalid password");
        for (changes, status, code, text) in [
            (json!({ "nonce": "absent", "username": 1 }), 400, "M_BAD_JSON", "nonce must be specified"),
            (json!({ "nonce": "nosuch", "username": 1 }), 400, "M_UNKNOWN", unknown),
            (json!({ "nonce": [] }), 400, "M_UNKNOWN", unknown),
            (json!({ "nonce": null }), 400, "M_UNKNOWN", unknown),
            (json!({ "username": "absent", "password": 1 }), 400, "M_BAD_JSON", "username must be specified"),
            (json!({ "username": 1, "password": 1 }), 400, "M_UNKNOWN", name),
            (json!({ "username": null }), 400, "M_UNKNOWN", name),
            (json!({ "username": long }), 400, "M_UNKNOWN", name),
            (json!({ "username": "a\0b", "password": "absent" }), 400, "M_UNKNOWN", name),
            (json!({ "password": "absent", "user_type": 1 }), 400, "M_BAD_JSON", "password must be specified"),
            (json!({ "password": 1, "user_type": 1 }), 400, "M_UNKNOWN", password),
            (json!({ "password": long }), 400, "M_UNKNOWN", password),
            (json!({ "password": "\0" }), 400, "M_UNKNOWN", password),
            (json!({ "user_type": "robot", "mac": "absent" }), 400, "M_UNKNOWN", "Invalid user type"),
            (json!({ "user_type": 1 }), 400, "M_UNKNOWN", "Invalid user type"),
            (json!({ "mac": "absent", "refresh_token": 1 }), 400, "M_BAD_JSON", "mac must be specified"),
            (json!({ "mac": "x", "refresh_token": 1 }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "mac": "ä" }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "mac": 1 }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "admin": true }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "user_type": "bot" }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "username": "new" }), 403, "M_UNKNOWN", "HMAC incorrect"),
            (json!({ "refresh_token": 1 }), 400, "M_UNKNOWN", "refresh_token must be a boolean"),
            (json!({ "initial_device_display_name": "x".repeat(101) }), 400, "M_TOO_LARGE", "Device display name is too long (max 100)"),
            (json!({ "displayname": "x".repeat(257) }), 400, "M_UNKNOWN", "Displayname is too long (max 256)"),
        ] {
            assert_eq!(register(&stranger, changes.clone()).await.refusal(), (status, code, text), "{changes}");
        }
        for (name, code, text) in [
            ("Taken", "M_USER_IN_USE", "User ID already taken."),
            ("a b", "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
            ("", "M_INVALID_USERNAME", "User ID cannot be empty"),
            ("_x", "M_INVALID_USERNAME", "User ID may not begin with _"),
            ("123", "M_INVALID_USERNAME", "Numeric user IDs are reserved for guest users."),
        ] {
            let nonce = nonce(&stranger).await;
            let mac = mac(SECRET, &[&nonce, name, "pw", "notadmin"]);
            let body = json!({ "nonce": nonce, "username": name, "password": "pw", "mac": mac });
            assert_eq!(stranger.post(REGISTER, body).await.refusal(), (400, code, text), "{name}");
        }
        let no_body = stranger.send(http::Method::POST, REGISTER, &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        let list = stranger.send(http::Method::POST, REGISTER, &[], "[]").await;
        assert_eq!(list.refusal(), (400, "M_BAD_JSON", "Content must be a JSON object."));
        // None of them made the account.
        assert_eq!(stranger.get("/_matrix/client/v3/profile/@new:test/displayname").await.status, 404);
    }

    #[config(with_secret)]
    async fn a_nonce_is_good_once_and_for_a_minute(server: Server) {
        let mut server = server;
        let stranger = server.stranger();
        let unknown = (400, "M_UNKNOWN", "unrecognised nonce");
        let used = body(&stranger, json!({ "inhibit_login": true })).await;
        assert_eq!(stranger.post(REGISTER, used.clone()).await.status, 200);
        assert_eq!(stranger.post(REGISTER, used).await.refusal(), unknown);
        // Also a refused request uses it up.
        let mut wrong = body(&stranger, json!({ "mac": "x" })).await;
        assert_eq!(stranger.post(REGISTER, wrong.clone()).await.refusal().0, 403);
        wrong["mac"] = json!("y");
        assert_eq!(stranger.post(REGISTER, wrong).await.refusal(), unknown);
        let (late, kept) = (body(&stranger, json!({})).await, body(&stranger, json!({})).await);
        server.clock.advance(59_999);
        // It outlives a restart.
        server.restart(|_| {}).await;
        let stranger = server.stranger();
        let reply = stranger.post(REGISTER, kept).await;
        assert_eq!(reply.refusal(), (400, "M_USER_IN_USE", "User ID already taken."));
        server.clock.advance(1);
        assert_eq!(stranger.post(REGISTER, late).await.refusal(), unknown);
    }

    async fn without_a_secret(server: Server) {
        let stranger = server.stranger();
        let off = (400, "M_UNKNOWN", "Shared secret registration is not enabled");
        assert_eq!(stranger.get(REGISTER).await.refusal(), off);
        assert_eq!(stranger.send(http::Method::POST, REGISTER, &[], "{").await.refusal(), off);
    }

    async fn is_a_name_available(server: Server) {
        let admin = server.admin().await;
        server.create("taken", false).await;
        server.create("gone", false).await;
        admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({ "erase": true })).await;
        let get = |query: &'static str| {
            let admin = admin.clone();
            async move { admin.get(&format!("{AVAILABLE}{query}")).await }
        };
        // Registration is off, which does not matter here.
        assert_eq!(get("?username=free").await, (200, json!({ "available": true })));
        assert_eq!(get("?username=free&username=taken").await, (200, json!({ "available": true })));
        for (query, code, text) in [
            ("", "M_MISSING_PARAM", "Missing string query parameter 'username'"),
            ("?username=%C3%A9", "M_UNKNOWN", "Query parameter 'username' must be ascii"),
            ("?username=Free", "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
            ("?username=@free:test", "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
            ("?username=", "M_INVALID_USERNAME", "User ID cannot be empty"),
            ("?username=_a", "M_INVALID_USERNAME", "User ID may not begin with _"),
            ("?username=taken", "M_USER_IN_USE", "User ID already taken."),
            ("?username=gone", "M_USER_IN_USE", "User ID already taken."),
            ("?username=12", "M_INVALID_USERNAME", "Numeric user IDs are reserved for guest users."),
        ] {
            assert_eq!(get(query).await, (400, json!({ "errcode": code, "error": text })), "{query}");
        }
        let long = format!("{AVAILABLE}?username={}", "a".repeat(250));
        let text = "User ID may not be longer than 255 characters";
        assert_eq!(admin.get(&long).await.refusal(), (400, "M_INVALID_USERNAME", text));
    }
}
