//! `/_synapse/admin/v2/users/{user_id}/devices` and related routes.

use http::Method;
use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

const DEVICES: &str = "/_synapse/admin/v2/users/@alice:test/devices";
const DELETE_DEVICES: &str = "/_synapse/admin/v2/users/@alice:test/delete_devices";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn device(id: &str, name: Value) -> Value {
    json!({
        "user_id": "@alice:test", "device_id": id, "display_name": name, "last_seen_user_agent": null,
        "last_seen_ts": null, "last_seen_ip": null, "dehydrated": false,
    })
}

async fn create(admin: &Client, body: Value) {
    assert_eq!(admin.post(DEVICES, body).await, (201, json!({})));
}

async fn ids(admin: &Client) -> Vec<String> {
    let list = admin.get(DEVICES).await.body;
    let devices = list["devices"].as_array().unwrap();
    assert_eq!(list["total"], devices.len());
    devices.iter().map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

async fn audited(admin: &Client, action: &str) -> Vec<Value> {
    let log = admin.get(&format!("/_reeve/admin/v1/audit?action={action}&target=@alice:test")).await.body;
    log["entries"].as_array().unwrap().iter().map(|entry| entry["changes"].clone()).collect()
}

on_both_engines! {
    async fn created_listed_read(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        assert_eq!(admin.get(DEVICES).await, (200, json!({ "devices": [], "total": 0 })));
        create(&admin, json!({ "device_id": "b" })).await;
        create(&admin, json!({ "device_id": "B", "display_name": "ä".repeat(100) })).await;
        create(&admin, json!({ "device_id": "a/ä", "display_name": null })).await;
        // One that exists stays as it is.
        create(&admin, json!({ "device_id": "b", "display_name": "new" })).await;
        let (first, second) = (device("B", json!("ä".repeat(100))), device("a/ä", Value::Null));
        let list = json!({ "devices": [first, second, device("b", Value::Null)], "total": 3 });
        assert_eq!(admin.get(DEVICES).await, (200, list));
        assert_eq!(admin.get(&format!("{DEVICES}/a%2F%C3%A4")).await, (200, second));
        assert_eq!(audited(&admin, "device.create").await, [
            json!({ "device_id": "a/ä", "display_name": null }),
            json!({ "device_id": "B", "display_name": "ä".repeat(100) }),
            json!({ "device_id": "b", "display_name": null }),
        ]);
        // A login that names it adopts it.
        let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": "b" });
        assert_eq!(server.stranger().post("/_matrix/client/v3/login", body).await.text("device_id"), "b");
        assert_eq!(ids(&admin).await, ["B", "a/ä", "b"]);
        // Deactivated accounts have no devices, but can be given some.
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        assert_eq!(ids(&admin).await, [""; 0]);
        create(&admin, json!({ "device_id": "b" })).await;
        assert_eq!(ids(&admin).await, ["b"]);
    }

    async fn last_seen(server: Server) {
        let (admin, mut alice) = (server.admin().await, server.user("alice").await);
        assert_eq!(admin.get(DEVICES).await.body["devices"][0], device(&alice.device_id, Value::Null));
        alice.user_agent = String::from("Phone/2");
        alice.get(WHOAMI).await;
        let mut seen = device(&alice.device_id, Value::Null);
        seen["last_seen_user_agent"] = json!("Phone/2");
        seen["last_seen_ts"] = json!(START_MS);
        seen["last_seen_ip"] = json!("127.0.0.1");
        // At once, and after it was written.
        for _ in 0..2 {
            assert_eq!(admin.get(DEVICES).await.body, json!({ "devices": [seen], "total": 1 }));
            assert_eq!(admin.get(&format!("{DEVICES}/{}", alice.device_id)).await, (200, seen.clone()));
            server.app().seen.flush(&server.app().db).await.unwrap();
        }
        // Acts of an administrator as another user do not count as seen.
        let puppet = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        server.clock.advance(1_000_000);
        server.with_token(puppet.text("access_token")).get(WHOAMI).await;
        assert_eq!(admin.get(DEVICES).await.body, json!({ "devices": [seen], "total": 1 }));
    }

    async fn renamed(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{DEVICES}/{}", alice.device_id);
        let name = |admin: Client, path: String| async move { admin.get(&path).await.body["display_name"].clone() };
        for (body, expected) in [
            (json!({ "display_name": "Phone" }), json!("Phone")),
            (json!({}), json!("Phone")),
            (json!({ "display_name": null }), json!("Phone")),
            (json!({ "display_name": "Phone" }), json!("Phone")),
            (json!({ "display_name": "" }), json!("")),
            (json!({ "display_name": "ä".repeat(100) }), json!("ä".repeat(100))),
        ] {
            assert_eq!(admin.put(&path, body.clone()).await, (200, json!({})), "{body}");
            assert_eq!(name(admin.clone(), path.clone()).await, expected, "{body}");
        }
        assert_eq!(admin.send(Method::PUT, &path, &[], "").await, (200, json!({})));
        assert_eq!(audited(&admin, "device.update").await.len(), 3);
        let too_long = json!({ "errcode": "M_TOO_LARGE", "error": "Device display name is too long (max 100)" });
        let unknown = format!("{DEVICES}/NOPE");
        for path in [&path, &unknown] {
            assert_eq!(admin.put(path, json!({ "display_name": "x".repeat(101) })).await, (400, too_long.clone()));
            let text = "'display_name' must be a string";
            assert_eq!(admin.put(path, json!({ "display_name": 1 })).await.refusal(), (400, "M_BAD_JSON", text));
            assert_eq!(admin.put(path, json!([])).await.refusal().1, "M_BAD_JSON");
            assert_eq!(admin.send(Method::PUT, path, &[], "{").await.refusal().1, "M_NOT_JSON");
        }
        assert_eq!(admin.put(&unknown, json!({})).await, (200, json!({})));
        let not_found = json!({ "errcode": "M_NOT_FOUND", "error": "Not found" });
        assert_eq!(admin.put(&unknown, json!({ "display_name": "x" })).await, (404, not_found));
    }

    async fn deleted_with_all_that_hangs_on_them(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let (mut tokens, mut sessions) = (Vec::new(), Vec::new());
        for device_id in ["A", "B", "C", "D"] {
            let body = json!({
                "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": device_id,
                "refresh_token": true,
            });
            let login = server.stranger().post("/_matrix/client/v3/login", body).await;
            let session = server.with_token(login.text("access_token"));
            let pusher = json!({
                "kind": "http", "app_id": "app", "pushkey": device_id, "app_display_name": "App",
                "device_display_name": "Phone", "lang": "en", "data": { "url": "https://push.test/_matrix/push/v1/notify" },
            });
            assert_eq!(session.post("/_matrix/client/v3/pushers/set", pusher).await, (200, json!({})));
            tokens.push(login.text("refresh_token").to_owned());
            sessions.push(session);
        }
        let alive = |n: usize| {
            let (session, token, stranger) = (sessions[n].clone(), tokens[n].clone(), server.stranger());
            async move {
                let dead = session.get(WHOAMI).await;
                if dead.status == 401 {
                    assert_eq!(dead.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
                    assert_eq!(dead.body["soft_logout"], false);
                    let refresh = json!({ "refresh_token": token });
                    assert_eq!(stranger.post("/_matrix/client/v3/refresh", refresh).await.status, 401);
                }
                dead.status == 200
            }
        };
        let pushkeys = || {
            let admin = admin.clone();
            async move {
                let list = admin.get("/_synapse/admin/v1/users/@alice:test/pushers").await.body;
                list["pushers"].as_array().unwrap().iter().map(|p| p["pushkey"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            }
        };
        for path in [format!("{DEVICES}/A"), format!("{DEVICES}/A"), format!("{DEVICES}/NOPE"), format!("{DEVICES}/")] {
            assert_eq!(admin.send(Method::DELETE, &path, &[], "garbage").await, (200, json!({})), "{path}");
        }
        assert_eq!(ids(&admin).await, ["B", "C", "D"]);
        assert_eq!(pushkeys().await, ["B", "C", "D"]);
        assert!(!alive(0).await && alive(1).await);
        let body = json!({ "devices": ["B", "C", "B", "NOPE", ""] });
        assert_eq!(admin.post(DELETE_DEVICES, body.clone()).await, (200, json!({})));
        assert_eq!(admin.post(DELETE_DEVICES, body).await, (200, json!({})));
        assert_eq!(admin.post(DELETE_DEVICES, json!({ "devices": [] })).await, (200, json!({})));
        assert_eq!(ids(&admin).await, ["D"]);
        assert_eq!(pushkeys().await, ["D"]);
        assert!(!alive(1).await && !alive(2).await && alive(3).await);
        // A string counts as the list of its characters.
        assert_eq!(admin.post(DELETE_DEVICES, json!({ "devices": "xDx" })).await, (200, json!({})));
        assert_eq!(ids(&admin).await, [""; 0]);
        assert_eq!(audited(&admin, "device.delete").await, [
            json!({ "device_ids": ["D"] }), json!({ "device_ids": ["B", "C"] }), json!({ "device_ids": ["A"] }),
        ]);
        assert_eq!(server.app().db.read(|tx| -> Result<_, reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@alice:test")?.unwrap();
            Ok((reeve_store::pushers::count_of_user(tx, num)?, reeve_store::devices::of_user(tx, num)?.len()))
        }).await.unwrap(), (0, 0));
    }

    async fn devices_of_others_stay(server: Server) {
        let admin = server.admin().await;
        for name in ["alice", "bob"] {
            server.create(name, false).await;
        }
        let mut sessions = Vec::new();
        for name in ["alice", "bob"] {
            let password = format!("{name}'s password");
            let body = json!({ "type": "m.login.password", "user": name, "password": password, "device_id": "same" });
            let login = server.stranger().post("/_matrix/client/v3/login", body).await;
            sessions.push(server.with_token(login.text("access_token")));
        }
        assert_eq!(admin.delete(&format!("{DEVICES}/same")).await, (200, json!({})));
        assert_eq!(sessions[0].get(WHOAMI).await.status, 401);
        assert_eq!(sessions[1].get(WHOAMI).await.status, 200);
    }

    async fn the_first_refusal_is_the_documented_one(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let at = |id: &str, rest: &str| format!("/_synapse/admin/v2/users/{id}/{rest}");
        let operations = [
            (Method::GET, "devices"), (Method::POST, "devices"), (Method::POST, "delete_devices"),
            (Method::GET, "devices/X"), (Method::PUT, "devices/X"), (Method::DELETE, "devices/X"),
        ];
        for (method, rest) in operations {
            let remote = if (&method, rest) == (&Method::POST, "devices") {
                "Can only create devices for local users"
            } else {
                "Can only lookup local users"
            };
            for (id, status, code, text) in [
                ("", 400, "M_INVALID_PARAM", "Expected UserID string to start with '@'"),
                ("alice", 400, "M_INVALID_PARAM", "Expected UserID string to start with '@'"),
                ("@alice", 400, "M_INVALID_PARAM", "Expected UserID of the form '@localname:domain'"),
                ("@alice:other", 400, "M_UNKNOWN", remote),
                ("@alice:TEST", 400, "M_UNKNOWN", remote),
                ("@nobody:test", 404, "M_NOT_FOUND", "Unknown user"),
                ("@Alice:test", 404, "M_NOT_FOUND", "Unknown user"),
            ] {
                // The body is invalid, too, but is checked later.
                let reply = admin.send(method.clone(), &at(id, rest), &[], "{").await;
                assert_eq!(reply, (status, json!({ "errcode": code, "error": text })), "{method} {id} {rest}");
            }
        }
        for path in [at("@alice:test", "devices"), at("@alice:test", "delete_devices")] {
            assert_eq!(admin.send(Method::POST, &path, &[], "").await.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
            assert_eq!(admin.post(&path, json!([])).await.refusal(), (400, "M_BAD_JSON", "Content must be a JSON object."));
        }
        let missing = (400, "M_UNKNOWN", "Missing device_id");
        for falsy in [json!({}), json!({ "device_id": null }), json!({ "device_id": "" }), json!({ "device_id": [] }), json!({ "device_id": 0 })] {
            assert_eq!(admin.post(DEVICES, falsy).await.refusal(), missing);
        }
        for (body, code, text) in [
            (json!({ "device_id": 1 }), "M_UNKNOWN", "device_id must be a string"),
            (json!({ "device_id": ["x"], "display_name": 1 }), "M_UNKNOWN", "device_id must be a string"),
            (json!({ "device_id": "x".repeat(513) }), "M_INVALID_PARAM", "device_id cannot be longer than 512 characters."),
            (json!({ "device_id": "x", "display_name": 1 }), "M_BAD_JSON", "'display_name' must be a string"),
            (json!({ "device_id": "x", "display_name": "x".repeat(101) }), "M_TOO_LARGE", "Device display name is too long (max 100)"),
        ] {
            assert_eq!(admin.post(DEVICES, body).await, (400, json!({ "errcode": code, "error": text })));
        }
        let missing = json!({ "errcode": "M_MISSING_PARAM", "error": "Missing params: ['devices']" });
        assert_eq!(admin.post(DELETE_DEVICES, json!({})).await, (400, missing));
        for bad in [json!(null), json!(1), json!({}), json!([1]), json!(["x", null])] {
            let reply = admin.post(DELETE_DEVICES, json!({ "devices": bad })).await;
            assert_eq!(reply.refusal(), (400, "M_BAD_JSON", "'devices' must be an array of strings"));
        }
        for unknown in ["NOPE", "", "a%2Fb"] {
            let reply = admin.get(&format!("{DEVICES}/{unknown}")).await;
            assert_eq!(reply, (404, json!({ "errcode": "M_NOT_FOUND", "error": "Not found" })));
        }
        assert_eq!(ids(&admin).await, [alice.device_id]);
        // The longest allowed id.
        create(&admin, json!({ "device_id": "🦀".repeat(512) })).await;
    }
}
