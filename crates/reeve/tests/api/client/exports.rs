//! `/_reeve/client/v1/exports`.

use reeve_db::DbError;
use reeve_model::{ExportState, Millis};
use reeve_store::exports::{self, Claim};
use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

use crate::client::media::{objects, upload};
use crate::export_kit::{self, Opened, download, insert, over};
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
        download(&admin, "@alice:test", json!({})).await;
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

    async fn a_new_password_ends_the_link(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = export_kit::order(&admin, "@alice:test", json!({})).await;
        over(&admin, &path).await;
        let theirs = export_kit::link(&admin, &path).await;
        let path = order(&alice, "alice", json!({})).await;
        over(&alice, &path).await;
        let link = async || {
            let made = ok(alice.post(&format!("{path}/link"), json!({ "auth": auth("alice") })).await);
            at(&made, "/path").to_owned()
        };
        let own = link().await;
        let body = json!({ "new_password": "alice's password", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        assert_eq!(server.stranger().get(&own).await.status, 404);
        assert_eq!(server.stranger().get(&theirs).await.status, 200);
        assert_eq!(server.stranger().get(&link().await).await.status, 200);
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

    #[config(|config| config.exports.own_interval_ms = 2 * DAY_MS)]
    async fn an_order_that_failed_counts(server: Server) {
        let alice = server.user("alice").await;
        // It is not due yet.
        insert(&server, "failed", "@alice:test", true, START_MS + 1000).await;
        server.app().db.write(|tx| -> Result<(), DbError> {
            let claim = Claim { num: exports::find(tx, "failed")?.unwrap().num, name: "test".to_owned() };
            exports::claim(tx, &claim, Millis::MAX)?;
            assert!(exports::fail(tx, &claim, ExportState::Failed, "broken", Millis::new(START_MS + 7 * DAY_MS))?);
            Ok(())
        }).await.unwrap();
        let again = || alice.post(EXPORTS, json!({ "auth": auth("alice") }));
        assert_eq!(again().await.body["retry_after_ms"], json!(2 * DAY_MS + 1000));
        server.clock.advance(2 * DAY_MS + 999);
        assert_eq!(again().await.body["retry_after_ms"], json!(1));
        server.clock.advance(1);
        assert_eq!(again().await.status, 201);
    }

    #[config(|config| config.exports.link_ms = 7 * DAY_MS)]
    async fn a_new_archive_replaces_the_former_one(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        download(&admin, "@alice:test", json!({})).await;
        let first = order(&alice, "alice", json!({})).await;
        over(&alice, &first).await;
        let made = ok(alice.post(&format!("{first}/link"), json!({ "auth": auth("alice") })).await);
        assert_eq!(objects(&server).await, 2);
        server.clock.advance(DAY_MS);
        // The former one stays until the new one is complete.
        insert(&server, "second", "@alice:test", true, START_MS + DAY_MS + 1).await;
        assert_eq!(ok(alice.get(&first).await)["state"], json!("ready"));
        server.clock.advance(1);
        let second = format!("{EXPORTS}/second");
        assert_eq!(over(&alice, &second).await["state"], json!("ready"));
        assert_eq!(alice.get(&first).await.status, 404);
        assert_eq!(server.stranger().get(at(&made, "/path")).await.status, 404);
        let mine = ok(alice.get(EXPORTS).await);
        assert_eq!((mine["exports"].as_array().unwrap().len(), at(&mine, "/exports/0/id")), (1, "second"));
        // That of the administrator stays.
        assert_eq!(ok(admin.get("/_reeve/admin/v1/users/@alice:test/exports").await)["exports"].as_array().unwrap().len(), 2);
        assert_eq!(objects(&server).await, 2);
    }

    #[config(|config| config.exports.max_bytes = 100_000)]
    async fn what_was_too_large_is_not_ordered_again(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        upload(&alice, "text/plain", vec![b'x'; 100_000]).await;
        let path = order(&alice, "alice", json!({})).await;
        assert_eq!(over(&alice, &path).await["state"], json!("too_large"));
        let again = |mut body: Value| {
            body["auth"] = auth("alice");
            alice.post(EXPORTS, body)
        };
        assert_eq!(again(json!({ "media": false })).await.body["retry_after_ms"], json!(DAY_MS));
        server.clock.advance(DAY_MS);
        for as_large in [json!({}), json!({ "history": true })] {
            let refused = again(as_large).await;
            assert_eq!((refused.status, &refused.body["retry_after_ms"]), (429, &json!(6 * DAY_MS)));
        }
        // Deleting it makes no difference.
        assert_eq!(alice.delete(&path).await.refusal(), (409, "M_UNKNOWN", "The export is too_large"));
        let smaller = order(&alice, "alice", json!({ "media": false, "history": true })).await;
        assert_eq!(over(&alice, &smaller).await["state"], json!("ready"));
        server.clock.advance(DAY_MS);
        assert_eq!(again(json!({})).await.body["retry_after_ms"], json!(5 * DAY_MS));
        // An administrator who has made room can end that.
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(admin.delete(&format!("/_reeve/admin/v1/exports/{id}")).await, (200, json!({})));
        let last = order(&alice, "alice", json!({})).await;
        // The smaller one stays, since this one failed as well.
        assert_eq!(over(&alice, &last).await["state"], json!("too_large"));
        assert_eq!(ok(alice.get(&smaller).await)["state"], json!("ready"));
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
