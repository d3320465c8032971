//! `/_matrix/client/v3/devices` and related routes.

use http::Method;
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const DEVICES: &str = "/_matrix/client/v3/devices";
const DELETE_DEVICES: &str = "/_matrix/client/v3/delete_devices";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn error(errcode: &str, error: &str) -> Value {
    json!({ "errcode": errcode, "error": error })
}

/// Logs alice in on a device of this id.
async fn log_in(server: &Server, device_id: &str) -> Client {
    let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": device_id });
    let reply = server.stranger().post("/_matrix/client/v3/login", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    server.with_token(reply.text("access_token"))
}

fn seen(device_id: &str, name: Value, ts: i64) -> Value {
    json!({
        "user_id": "@alice:test", "device_id": device_id, "display_name": name, "last_seen_ts": ts, "last_seen_ip": "127.0.0.1",
    })
}

fn unseen(device_id: &str) -> Value {
    json!({
        "user_id": "@alice:test", "device_id": device_id, "display_name": null, "last_seen_ts": null, "last_seen_ip": null,
    })
}

fn password(session: Option<&str>, user: &str) -> Value {
    let mut auth = json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": format!("{user}'s password"),
    });
    if let Some(session) = session {
        auth["session"] = json!(session);
    }
    auth
}

/// Asserts that a reply requires the password, and returns its session.
fn asked(reply: &Reply) -> String {
    let session = reply.text("session").to_owned();
    let expected = json!({ "session": session, "flows": [{ "stages": ["m.login.password"] }], "params": {} });
    assert_eq!(reply.clone(), (401, expected));
    assert!(!session.is_empty());
    session
}

async fn ids(client: &Client) -> Vec<String> {
    let list = client.get(DEVICES).await.body;
    list["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["device_id"].as_str().unwrap().to_owned())
        .collect()
}

on_both_engines! {
    async fn listed_and_read(server: Server) {
        server.create("alice", false).await;
        let b = log_in(&server, "b").await;
        for id in ["a/b", "B"] {
            log_in(&server, id).await;
        }
        // The request itself is seen at once.
        let list = json!({ "devices": [unseen("B"), unseen("a/b"), seen("b", Value::Null, START_MS)] });
        for path in [DEVICES, "/_matrix/client/r0/devices", "/_matrix/client/unstable/devices"] {
            assert_eq!(b.get(path).await, (200, list.clone()), "{path}");
            assert_eq!(b.get(&format!("{path}/b")).await, (200, seen("b", Value::Null, START_MS)), "{path}");
            assert_eq!(b.get(&format!("{path}/a%2Fb")).await, (200, unseen("a/b")), "{path}");
            for unknown in ["", "NOPE", "A"] {
                let reply = b.get(&format!("{path}/{unknown}")).await;
                assert_eq!(reply, (404, error("M_NOT_FOUND", "Not found")), "{path}/{unknown}");
            }
        }
        assert_eq!(b.get("/_matrix/client/v1/devices").await.refusal().1, "M_UNRECOGNIZED");
        assert_eq!(b.post(DEVICES, json!({})).await.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
        assert_eq!(b.delete(DEVICES).await.status, 405);
        assert_eq!(b.post(&format!("{DEVICES}/b"), json!({})).await.status, 405);
        // Written or not, and again later.
        server.clock.advance(120_000);
        server.app().seen.flush(&server.app().db).await.unwrap();
        assert_eq!(b.get(&format!("{DEVICES}/b")).await, (200, seen("b", Value::Null, START_MS + 120_000)));
        // Other people's devices are not shown.
        let bob = server.user("bob").await;
        assert_eq!(ids(&bob).await, [&*bob.device_id]);
        assert_eq!(bob.get(&format!("{DEVICES}/b")).await.status, 404);
    }

    async fn renamed(server: Server) {
        server.create("alice", false).await;
        let alice = log_in(&server, "b").await;
        let path = format!("{DEVICES}/b");
        for (body, name) in [
            (json!({ "display_name": "Phone" }), json!("Phone")),
            (json!({}), json!("Phone")),
            (json!({ "display_name": null, "x": 1 }), json!("Phone")),
            (json!({ "display_name": "" }), json!("")),
            (json!({ "display_name": "  " }), json!("  ")),
            (json!({ "display_name": "ä".repeat(100) }), json!("ä".repeat(100))),
        ] {
            assert_eq!(alice.put(&path, body.clone()).await, (200, json!({})), "{body}");
            assert_eq!(alice.get(&path).await, (200, seen("b", name, START_MS)), "{body}");
        }
        let unknown = format!("{DEVICES}/NOPE");
        for path in [&path, &unknown] {
            let too_long = error("M_TOO_LARGE", "Device display name is too long (max 100)");
            assert_eq!(alice.put(path, json!({ "display_name": "x".repeat(101) })).await, (400, too_long));
            for bad in [json!(1), json!(["x"]), json!(false)] {
                let refused = error("M_BAD_JSON", "'display_name' must be a string");
                assert_eq!(alice.put(path, json!({ "display_name": bad })).await, (400, refused));
            }
            let not_json = error("M_NOT_JSON", "Content not JSON.");
            assert_eq!(alice.send(Method::PUT, path, &[], "").await, (400, not_json));
            assert_eq!(alice.put(path, json!([])).await, (400, error("M_BAD_JSON", "Content must be a JSON object.")));
        }
        for body in [json!({ "display_name": "x" }), json!({}), json!({ "display_name": null })] {
            assert_eq!(alice.put(&unknown, body).await, (404, error("M_NOT_FOUND", "Not found")));
        }
        assert_eq!(alice.put("/_matrix/client/r0/devices/b", json!({ "display_name": "old" })).await, (200, json!({})));
    }

    async fn deleted_with_the_password(server: Server) {
        server.create("alice", false).await;
        let (alice, other) = (log_in(&server, "A").await, log_in(&server, "B").await);
        let path = format!("{DEVICES}/B");
        // No body, and what cannot be read as one, do not authenticate.
        for body in ["", "{", "{}", r#"{"auth":null}"#, r#"{"auth":{}}"#] {
            asked(&alice.send(Method::DELETE, &path, &[], body).await);
        }
        let not_object = error("M_BAD_JSON", "Content must be a JSON object.");
        assert_eq!(alice.send(Method::DELETE, &path, &[], "[]").await, (400, not_object));
        let delete = |client: &Client, path: &str, auth: Value| {
            let (client, path, body) = (client.clone(), path.to_owned(), json!({ "auth": auth }).to_string());
            async move { client.send(Method::DELETE, &path, &[], body).await }
        };
        let session = asked(&alice.delete(&path).await);
        let mut wrong = password(Some(&session), "alice");
        wrong["password"] = json!("wrong");
        let refused = json!({
            "session": session, "flows": [{ "stages": ["m.login.password"] }], "params": {}, "completed": [],
            "errcode": "M_FORBIDDEN", "error": "Invalid username or password",
        });
        assert_eq!(delete(&alice, &path, wrong).await, (401, refused));
        server.create("bob", false).await;
        assert_eq!(delete(&alice, &path, password(None, "bob")).await, (403, error("M_FORBIDDEN", "Invalid auth")));
        // A session is for one operation.
        let changed = error("M_UNKNOWN", "Requested operation has changed during the UI authentication session.");
        let elsewhere = delete(&alice, &format!("{DEVICES}/A"), password(Some(&session), "alice")).await;
        assert_eq!(elsewhere, (403, changed));
        assert_eq!(ids(&alice).await, ["A", "B"]);
        assert_eq!(other.get(WHOAMI).await.status, 200);
        assert_eq!(delete(&alice, &path, password(Some(&session), "alice")).await, (200, json!({})));
        assert_eq!(ids(&alice).await, ["A"]);
        let gone = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": false });
        assert_eq!(other.get(WHOAMI).await, (401, gone.clone()));
        // A device that is not there is authenticated for too.
        asked(&alice.delete(&path).await);
        assert_eq!(delete(&alice, &path, password(None, "alice")).await, (200, json!({})));
        // One's own.
        let own = "/_matrix/client/r0/devices/A";
        asked(&alice.delete(own).await);
        assert_eq!(delete(&alice, own, password(None, "alice")).await, (200, json!({})));
        assert_eq!(alice.get(WHOAMI).await, (401, gone));
    }

    async fn several_deleted_with_the_password(server: Server) {
        server.create("alice", false).await;
        let alice = log_in(&server, "A").await;
        let (b, c) = (log_in(&server, "B").await, log_in(&server, "C").await);
        // Errors of the body come before authentication.
        for (body, code, text) in [
            ("", "M_NOT_JSON", "Content not JSON."),
            ("{", "M_NOT_JSON", "Content not JSON."),
            ("[]", "M_BAD_JSON", "Content must be a JSON object."),
            ("{}", "M_MISSING_PARAM", "Missing params: ['devices']"),
            (r#"{"devices":"B"}"#, "M_BAD_JSON", "'devices' must be an array of strings"),
            (r#"{"devices":null}"#, "M_BAD_JSON", "'devices' must be an array of strings"),
            (r#"{"devices":{}}"#, "M_BAD_JSON", "'devices' must be an array of strings"),
            (r#"{"devices":["B",1]}"#, "M_BAD_JSON", "'devices' must be an array of strings"),
        ] {
            assert_eq!(alice.send(Method::POST, DELETE_DEVICES, &[], body).await, (400, error(code, text)), "{body}");
        }
        asked(&alice.post(DELETE_DEVICES, json!({ "devices": [] })).await);
        let session = asked(&alice.post(DELETE_DEVICES, json!({ "devices": ["A"] })).await);
        // The devices of the last request count.
        let body = json!({ "devices": ["B", "B", "NOPE"], "auth": password(Some(&session), "alice") });
        assert_eq!(alice.post(DELETE_DEVICES, body).await, (200, json!({})));
        assert_eq!(ids(&alice).await, ["A", "C"]);
        assert_eq!((b.get(WHOAMI).await.status, c.get(WHOAMI).await.status), (401, 200));
        let body = json!({ "devices": ["A", "C"], "auth": password(None, "alice") });
        assert_eq!(alice.post("/_matrix/client/r0/delete_devices", body).await, (200, json!({})));
        assert_eq!((alice.get(WHOAMI).await.status, c.get(WHOAMI).await.status), (401, 401));
        // A user's own acts are not in the audit log.
        let admin = server.admin().await;
        assert_eq!(admin.get("/_reeve/admin/v1/audit").await, (200, json!({ "entries": [] })));
    }

    async fn as_somebody_else(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        log_in(&server, "A").await;
        let login = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let puppet = server.with_token(login.text("access_token"));
        assert_eq!(puppet.get(DEVICES).await, (200, json!({ "devices": [unseen("A")] })));
        // It needs the password of the account, not the administrator's.
        let delete = |auth: Value| {
            let puppet = puppet.clone();
            async move { puppet.post(DELETE_DEVICES, json!({ "devices": ["A"], "auth": auth })).await }
        };
        assert_eq!(delete(password(None, "admin")).await, (403, error("M_FORBIDDEN", "Invalid auth")));
        assert_eq!(delete(password(None, "alice")).await, (200, json!({})));
        assert_eq!(puppet.get(DEVICES).await, (200, json!({ "devices": [] })));
        // Not the device of the administrator.
        assert_eq!(admin.get(WHOAMI).await.status, 200);
    }

    #[config(|config| config.policy.guests = true)]
    async fn as_a_guest(server: Server) {
        let reply = server.stranger().post("/_matrix/client/v3/register?kind=guest", json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let guest = server.with_token(reply.text("access_token"));
        assert_eq!(ids(&guest).await, ["guest_device"]);
        let path = format!("{DEVICES}/guest_device");
        assert_eq!(guest.get(&path).await.status, 200);
        assert_eq!(guest.put(&path, json!({ "display_name": "x" })).await, (200, json!({})));
        let refused = (403, error("M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
        assert_eq!(guest.delete(&path).await, refused);
        assert_eq!(guest.post(DELETE_DEVICES, json!({ "devices": [] })).await, refused);
    }
}
