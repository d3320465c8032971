//! The caller's account: interactive authentication, password, deactivation, third-party ids.

use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

const PASSWORD: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn auth(name: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": password })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

async fn session_of(client: &Client, path: &str, body: Value) -> String {
    let reply = client.post(path, body).await;
    assert_eq!(reply.status, 401, "{}", reply.body);
    let session = reply.text("session").to_owned();
    let flows = json!([{ "stages": ["m.login.password"] }]);
    assert_eq!(reply.body, json!({ "session": session, "flows": flows, "params": {} }));
    session
}

on_both_engines! {
    async fn the_password_is_asked_for(server: Server) {
        let alice = server.user("alice").await;
        server.create("bob", false).await;
        let change = json!({ "new_password": "new" });
        for no_auth in [json!({}), json!(null)] {
            session_of(&alice, PASSWORD, with(change.clone(), "auth", no_auth)).await;
        }
        let session = session_of(&alice, PASSWORD, change.clone()).await;
        let right = auth("alice", "alice's password");
        let send = |auth: Value| alice.post_owned(PASSWORD, with(change.clone(), "auth", auth));
        let flows = json!([{ "stages": ["m.login.password"] }]);
        let goes_on = json!({ "session": session, "flows": flows, "params": {}, "completed": [] });
        assert_eq!(send(json!({ "session": session })).await, (401, goes_on.clone()));
        let wrong = with(auth("alice", "x"), "session", json!(session));
        let mut refused = goes_on;
        refused["errcode"] = json!("M_FORBIDDEN");
        refused["error"] = json!("Invalid username or password");
        assert_eq!(send(wrong).await, (401, refused.clone()));
        assert_eq!(send(with(auth("nobody", "x"), "session", json!(session))).await, (401, refused));
        for (auth, status, code, text) in [
            (json!({ "session": "nope" }), 400, "M_UNKNOWN", "Unknown session ID: nope"),
            (json!([]), 400, "M_BAD_JSON", "'auth' must be an object"),
            (json!({ "session": 1 }), 400, "M_BAD_JSON", "'session' must be a string"),
            (json!({ "type": 1 }), 400, "M_INVALID_PARAM", "Bad parameter: type"),
            (json!({ "type": "m.login.foo" }), 400, "M_INVALID_PARAM", "Invalid login submission"),
            (json!({ "type": "m.login.registration_token", "token": "x" }), 400, "M_INVALID_PARAM", "Invalid login submission"),
            (json!({ "type": "m.login.password" }), 400, "M_INVALID_PARAM", "Invalid login submission"),
            (json!({ "type": "m.login.password", "user": "alice" }), 400, "M_INVALID_PARAM", "Bad parameter: password"),
            (auth("bob", "bob's password"), 403, "M_FORBIDDEN", "Invalid auth"),
        ] {
            assert_eq!(send(auth.clone()).await.refusal(), (status, code, text), "{auth}");
        }
        // A session is for one operation and one account.
        let stolen = with(right.clone(), "session", json!(session));
        let reply = alice.post(DEACTIVATE, json!({ "auth": stolen })).await;
        let text = "Requested operation has changed during the UI authentication session.";
        assert_eq!(reply.refusal(), (403, "M_UNKNOWN", text));
        let bob = server.log_in("bob", "bob's password").await;
        let reply = bob.post(PASSWORD, with(change.clone(), "auth", with(auth("bob", "bob's password"), "session", json!(session)))).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Invalid auth"));
        server.log_in("alice", "alice's password").await;
        assert_eq!(send(with(right, "session", json!(session))).await, (200, json!({})));
        server.log_in("alice", "new").await;
    }

    async fn the_password_is_changed(server: Server) {
        let alice = server.user("alice").await;
        let other = server.log_in("alice", "alice's password").await;
        for (body, text) in [
            (json!({ "new_password": 1 }), "'new_password' must be a string of at most 512 characters"),
            (json!({ "new_password": "x".repeat(513) }), "'new_password' must be a string of at most 512 characters"),
            (json!({ "new_password": "x", "logout_devices": null }), "'logout_devices' must be a boolean"),
        ] {
            assert_eq!(alice.post(PASSWORD, body).await.refusal(), (400, "M_BAD_JSON", text));
        }
        let nothing = json!({ "auth": auth("alice", "alice's password") });
        assert_eq!(alice.post(PASSWORD, nothing).await.refusal(), (400, "M_MISSING_PARAM", "Missing params: password"));
        let keep = json!({ "new_password": "two", "logout_devices": false, "auth": auth("@ALICE:test", "alice's password") });
        assert_eq!(alice.post(PASSWORD, keep).await, (200, json!({})));
        assert_eq!(other.get(WHOAMI).await.status, 200);
        let end = json!({ "new_password": "three", "auth": auth("alice", "two") });
        assert_eq!(alice.post(PASSWORD, end).await, (200, json!({})));
        assert_eq!(other.get(WHOAMI).await.status, 401);
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        server.log_in("alice", "three").await;
    }

    async fn the_account_is_deactivated(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        for (body, text) in [
            (json!({ "erase": 1 }), "'erase' must be a boolean"),
            (json!({ "id_server": 1 }), "'id_server' must be a string"),
        ] {
            assert_eq!(alice.post(DEACTIVATE, body).await.refusal(), (400, "M_BAD_JSON", text));
        }
        session_of(&alice, DEACTIVATE, json!({})).await;
        let body = json!({ "erase": true, "auth": auth("alice", "alice's password") });
        let reply = alice.post(DEACTIVATE, body).await;
        assert_eq!(reply, (200, json!({ "id_server_unbind_result": "success" })));
        assert_eq!(alice.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        let user = admin.get("/_synapse/admin/v2/users/@alice:test").await.body;
        assert_eq!((&user["deactivated"], &user["erased"], &user["displayname"]), (&json!(true), &json!(true), &json!(null)));
    }

    async fn threepids_are_listed(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let list = "/_matrix/client/v3/account/3pid";
        assert_eq!(alice.get(list).await, (200, json!({ "threepids": [] })));
        let body = json!({ "threepids": [{ "medium": "email", "address": "a@b.c" }] });
        admin.put("/_synapse/admin/v2/users/@alice:test", body).await;
        let stored = json!([{ "medium": "email", "address": "a@b.c", "validated_at": START_MS, "added_at": START_MS }]);
        assert_eq!(alice.get(list).await, (200, json!({ "threepids": stored })));
    }
}
