//! `/_reeve/client/v1/exports`.

use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

use crate::client::media::objects;
use crate::export_kit::{Opened, over};
use crate::rooms_kit::{at, ok};

const EXPORTS: &str = "/_reeve/client/v1/exports";
const DAY_MS: i64 = 86_400_000;

fn auth(name: &str) -> Value {
    json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": format!("{name}'s password"),
    })
}

async fn order(client: &Client, name: &str, mut body: Value) -> String {
    body["auth"] = auth(name);
    let reply = client.post(EXPORTS, body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    format!("{EXPORTS}/{}", reply.text("id"))
}

on_both_engines! {
    async fn people_get_their_own(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        // The password is asked for, to order and to get the link.
        let asked = alice.post(EXPORTS, json!({})).await;
        assert_eq!((asked.status, &asked.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
        assert_eq!(alice.get(EXPORTS).await, (200, json!({ "exports": [] })));
        let path = order(&alice, "alice", json!({ "history": true, "media": false })).await;
        let export = over(&alice, &path).await;
        assert_eq!(export, json!({
            "id": export["id"], "history": true, "media": false, "recipient": null, "state": "ready", "created_ts": START_MS,
            "completed_ts": START_MS, "ends_ts": START_MS + 7 * DAY_MS, "length": export["length"], "sha256": export["sha256"],
        }));
        assert_eq!(alice.get(EXPORTS).await, (200, json!({ "exports": [export] })));
        assert_eq!(alice.post(&format!("{path}/link"), json!({})).await.status, 401);
        let made = ok(alice.post(&format!("{path}/link"), json!({ "auth": auth("alice") })).await);
        assert_eq!(made["until_ts"], json!(START_MS + DAY_MS));
        let link = at(&made, "/path").to_owned();
        let archive = Opened::new(&server.stranger().get(&link).await.bytes);
        assert_eq!(archive.json("account.json")["user_id"], json!("@alice:test"));
        // It is of nobody else's business, but administrators know of it.
        let missing = (404, "M_NOT_FOUND", "Export not found");
        assert_eq!(bob.get(&path).await.refusal(), missing);
        assert_eq!(bob.delete(&path).await.refusal(), missing);
        assert_eq!(bob.post(&format!("{path}/link"), json!({ "auth": auth("bob") })).await.refusal(), missing);
        let known = ok(admin.get("/_reeve/admin/v1/users/@alice:test/exports").await);
        assert_eq!((&known["exports"][0]["own"], &known["exports"][0]["requested_by"]), (&json!(true), &json!("@alice:test")));
        // An administrator's are not shown to the person.
        crate::export_kit::download(&admin, "@alice:test", json!({})).await;
        assert_eq!(alice.get(EXPORTS).await.body["exports"].as_array().unwrap().len(), 1);
        // A link of one's own rests while the account is locked.
        ok(admin.put("/_matrix/client/v1/admin/lock/@alice:test", json!({ "locked": true })).await);
        assert_eq!(server.stranger().get(&link).await.status, 404);
        ok(admin.put("/_matrix/client/v1/admin/lock/@alice:test", json!({ "locked": false })).await);
        assert_eq!(server.stranger().get(&link).await.status, 200);
        // What people do to their own account is not administration.
        let log = ok(admin.get("/_reeve/admin/v1/audit?target=@alice:test").await);
        let acts: Vec<&str> = log["entries"].as_array().unwrap().iter().map(|entry| at(entry, "/actor")).collect();
        assert!(acts.iter().all(|actor| *actor == "@admin:test"), "{log}");
    }

    async fn one_a_day(server: Server) {
        let alice = server.user("alice").await;
        let path = order(&alice, "alice", json!({})).await;
        over(&alice, &path).await;
        let again = || alice.post(EXPORTS, json!({ "auth": auth("alice") }));
        let refused = again().await;
        assert_eq!((refused.status, refused.text("errcode"), &refused.body["retry_after_ms"]), (429, "M_LIMIT_EXCEEDED", &json!(DAY_MS)));
        // Nor after deleting it.
        assert_eq!(alice.delete(&path).await, (200, json!({})));
        assert_eq!(objects(&server).await, 0);
        assert_eq!(alice.delete(&path).await.refusal(), (409, "M_UNKNOWN", "The export is deleted"));
        server.clock.advance(DAY_MS - 1);
        assert_eq!(again().await.body["retry_after_ms"], json!(1));
        server.clock.advance(1);
        assert_eq!(again().await.status, 201);
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for (body, status, code) in [
            (json!({ "history": "yes" }), 400, "M_BAD_JSON"),
            (json!({ "media": null }), 400, "M_BAD_JSON"),
            (json!({ "recipient": 1 }), 400, "M_BAD_JSON"),
        ] {
            let reply = alice.post(EXPORTS, body.clone()).await;
            assert_eq!((reply.status, reply.text("errcode")), (status, code), "{body}");
        }
        let reply = alice.post(EXPORTS, json!({ "recipient": "age1", "auth": auth("alice") })).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "The recipient must be an X25519 recipient of age (age1…)"));
        let wrong = alice.post(EXPORTS, json!({ "auth": { "type": "m.login.password", "user": "alice", "password": "x" } })).await;
        assert_eq!((wrong.status, wrong.text("errcode")), (401, "M_FORBIDDEN"));
        assert_eq!(alice.get(EXPORTS).await, (200, json!({ "exports": [] })));
        assert_eq!(alice.get(&format!("{EXPORTS}?from=x")).await.status, 400);
        // An administrator who acts as the account is not its owner, whatever password they know.
        let token = ok(admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await);
        let acting = server.with_token(at(&token, "/access_token"));
        let refused = acting.post(EXPORTS, json!({ "auth": auth("alice") })).await;
        assert_eq!(refused.refusal(), (403, "M_FORBIDDEN", "An administrator who acts as a user cannot prove to be that user"));
        let path = order(&alice, "alice", json!({})).await;
        over(&alice, &path).await;
        for refused in [acting.post(&format!("{path}/link"), json!({ "auth": auth("alice") })).await, acting.delete(&path).await] {
            assert_eq!(refused.status, 403, "{}", refused.body);
        }
    }

    #[config(|config| config.exports.own = false)]
    async fn a_server_may_make_none(server: Server) {
        let alice = server.user("alice").await;
        let reply = alice.post(EXPORTS, json!({ "auth": auth("alice") })).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "This server does not make exports for users"));
    }
}
