//! Cross-signing: `/_matrix/client/v3/keys/{device_signing,signatures}/upload`.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;

const UPLOAD: &str = "/_matrix/client/v3/keys/device_signing/upload";
const SIGN: &str = "/_matrix/client/v3/keys/signatures/upload";
const ALLOW: &str = "/_synapse/admin/v1/users/@alice:test/_allow_cross_signing_replacement_without_uia";

/// Uploads with the password.
async fn authenticated(client: &Client, mut body: Value) -> Reply {
    let identifier = json!({ "type": "m.id.user", "user": client.user_id });
    let name = client.user_id.trim_start_matches('@').trim_end_matches(":test");
    body["auth"] = json!({ "type": "m.login.password", "identifier": identifier, "password": format!("{name}'s password") });
    client.post(UPLOAD, body).await
}

async fn master_of(client: &Client, user_id: &str) -> String {
    let found = query(client, user_id).await;
    let keys = found["master_keys"][user_id]["keys"].as_object().cloned().unwrap_or_default();
    keys.values().next().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_asked_for_password(reply: &Reply) {
    assert_eq!((reply.status, &reply.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
}

on_both_engines! {
    async fn the_first_come_freely_and_others_do_not(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let first = cross_sign(&alice).await;
        let found = query(&alice, "@alice:test").await;
        assert_eq!(found["master_keys"], json!({ "@alice:test": first.master_key() }));
        assert_eq!(found["self_signing_keys"], json!({ "@alice:test": first.self_signing_key() }));
        assert_eq!(found["user_signing_keys"], json!({ "@alice:test": first.user_signing_key() }));
        // Her signatures of other users are private.
        let seen = query(&bob, "@alice:test").await;
        assert_eq!(seen["self_signing_keys"], found["self_signing_keys"]);
        assert_eq!(seen["user_signing_keys"], json!({}));
        // The same again, whole or in part.
        for body in [first.body(), json!({ "master_key": first.master_key() }), json!({})] {
            assert_eq!(alice.post(UPLOAD, body).await, (200, json!({})));
        }
        // Other keys, or one of them.
        let second = CrossSigning::new(&alice);
        is_asked_for_password(&alice.post(UPLOAD, second.body()).await);
        let part = CrossSigning { self_signing: Signer::new(), ..first };
        is_asked_for_password(&alice.post(UPLOAD, part.body()).await);
        assert_eq!(query(&alice, "@alice:test").await, found);
        assert_eq!(authenticated(&alice, part.body()).await, (200, json!({})));
        assert_eq!(query(&alice, "@alice:test").await["self_signing_keys"]["@alice:test"], part.self_signing_key());
        // A new master key makes what the old one signed worthless.
        assert_eq!(authenticated(&alice, json!({ "master_key": second.master_key() })).await, (200, json!({})));
        let found = query(&alice, "@alice:test").await;
        assert_eq!(found["master_keys"]["@alice:test"], second.master_key());
        assert_eq!((&found["self_signing_keys"], &found["user_signing_keys"]), (&json!({}), &json!({})));
    }

    async fn an_administrator_allows_one_replacement(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let none = (404, "M_NOT_FOUND", "User has no master cross-signing key");
        assert_eq!(admin.post(ALLOW, json!({})).await.refusal(), none);
        cross_sign(&alice).await;
        let until = reeve_testkit::START_MS + 600_000;
        assert_eq!(admin.post(ALLOW, json!({})).await, (200, json!({ "updatable_without_uia_before_ms": until })));
        let second = CrossSigning::new(&alice);
        assert_eq!(alice.post(UPLOAD, second.body()).await, (200, json!({})));
        assert_eq!(master_of(&alice, "@alice:test").await, second.master.public);
        // Once, and not for ever.
        let third = CrossSigning::new(&alice);
        is_asked_for_password(&alice.post(UPLOAD, third.body()).await);
        ok(admin.post(ALLOW, json!({})).await);
        server.clock.advance(599_999);
        let again = json!({ "updatable_without_uia_before_ms": until + 599_999 });
        assert_eq!(admin.post(ALLOW, json!({})).await, (200, again));
        server.clock.advance(600_000);
        is_asked_for_password(&alice.post(UPLOAD, third.body()).await);
        ok(admin.post(ALLOW, json!({})).await);
        server.clock.advance(599_999);
        assert_eq!(alice.post(UPLOAD, third.body()).await, (200, json!({})));
        let log = admin.get("/_reeve/admin/v1/audit?action=user.allow_cross_signing_replacement").await;
        assert_eq!(list(&log.body, "/entries").len(), 4);
        assert_eq!(log.body["entries"][0]["target"], "@alice:test");
        // With the account go its keys.
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        assert_eq!(admin.post(ALLOW, json!({})).await.refusal(), none);
        let found = query(&admin, "@alice:test").await;
        assert_eq!((&found["device_keys"], &found["master_keys"]), (&json!({ "@alice:test": {} }), &json!({})));
    }

    async fn devices_and_keys_share_their_names(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let keys = CrossSigning::new(&alice);
        let devices = "/_synapse/admin/v2/users/@alice:test/devices";
        let device = |id: &str| json!({ "device_id": id });
        assert_eq!(admin.post(devices, device(&keys.self_signing.public)).await.status, 201);
        assert_eq!(alice.post(UPLOAD, keys.body()).await.refusal(), (403, "M_FORBIDDEN", "Key ID in use"));
        assert_eq!(query(&alice, "@alice:test").await["master_keys"], json!({}));
        let keys = cross_sign(&alice).await;
        let in_use = (400, "M_FORBIDDEN", "The device ID is in use");
        assert_eq!(admin.post(devices, device(&keys.master.public)).await.refusal(), in_use);
        let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "device_id": keys.user_signing.public });
        assert_eq!(server.stranger().post(&format!("{CS}/login"), body).await.refusal(), in_use);
        // The name of another user's device is allowed.
        let path = "/_synapse/admin/v2/users/@admin:test/devices";
        assert_eq!(admin.post(path, device(&keys.master.public)).await.status, 201);
    }

    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        let keys = CrossSigning::new(&alice);
        let master = |key: &str, value: Value| {
            let mut body = keys.body();
            body["master_key"][key] = value;
            body
        };
        let mut other = keys.body();
        other["self_signing_key"] = CrossSigning::new(&alice).self_signing_key();
        let mut unsigned = keys.body();
        unsigned["user_signing_key"].as_object_mut().unwrap().remove("signatures");
        for (body, expected) in [
            (json!({}), "M_MISSING_PARAM"),
            (json!({ "self_signing_key": keys.self_signing_key() }), "M_MISSING_PARAM"),
            (json!({ "master_key": 1 }), "M_BAD_JSON"),
            (json!({ "master_key": {} }), "M_BAD_JSON"),
            (master("user_id", json!("@bob:test")), "M_INVALID_PARAM"),
            (master("usage", json!(["self_signing"])), "M_INVALID_PARAM"),
            (master("usage", json!("master")), "M_BAD_JSON"),
            (master("keys", json!({})), "M_INVALID_PARAM"),
            (master("keys", json!({ "ed25519:a": "b" })), "M_INVALID_PARAM"),
            (master("keys", json!({ "ed25519:a": "a", "ed25519:b": "b" })), "M_INVALID_PARAM"),
            (master("keys", json!({ "ed25519:a": 1 })), "M_BAD_JSON"),
            (master("signatures", json!({ "@alice:test": 1 })), "M_BAD_JSON"),
            (other, "M_INVALID_SIGNATURE"),
            (unsigned, "M_INVALID_SIGNATURE"),
        ] {
            assert_eq!(code(&alice.post(UPLOAD, body.clone()).await), (400, expected), "{body}");
        }
        assert_eq!(query(&alice, "@alice:test").await["master_keys"], json!({}));
    }

    async fn signatures_that_are_right(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let device = upload_keys(&alice).await;
        let (alices, bobs) = (cross_sign(&alice).await, cross_sign(&bob).await);
        let own_device = alices.self_signing.sign("@alice:test", &alices.self_signing.public, &device_keys(&alice, &device));
        let own_master = device.sign("@alice:test", &alice.device_id, &alices.master_key());
        let bobs_master = alices.user_signing.sign("@alice:test", &alices.user_signing.public, &bobs.master_key());
        let body = json!({
            "@alice:test": { alice.device_id.clone(): own_device, alices.master.public.clone(): own_master },
            "@bob:test": { bobs.master.public.clone(): bobs_master },
        });
        // Doing it again does no harm.
        for _ in 0..2 {
            assert_eq!(alice.post(SIGN, body.clone()).await, (200, json!({ "failures": {} })));
        }
        let signers = |signed: &Value, user_id: &str| -> Vec<String> {
            signed["signatures"][user_id].as_object().into_iter().flat_map(serde_json::Map::keys).cloned().collect()
        };
        for viewer in [&alice, &bob, &carol] {
            let found = query(viewer, "@alice:test").await;
            let keys = &found["device_keys"]["@alice:test"][&alice.device_id];
            let mut expected = [format!("ed25519:{}", alice.device_id), format!("ed25519:{}", alices.self_signing.public)];
            expected.sort();
            let mut own = signers(keys, "@alice:test");
            own.sort();
            assert_eq!(own, expected, "{found}");
            let master = signers(&found["master_keys"]["@alice:test"], "@alice:test");
            assert_eq!(master, [format!("ed25519:{}", alice.device_id)], "{found}");
        }
        // Only she sees her signatures of other users.
        let mine = query(&alice, "@bob:test").await;
        let expected = [format!("ed25519:{}", alices.user_signing.public)];
        assert_eq!(signers(&mine["master_keys"]["@bob:test"], "@alice:test"), expected);
        for viewer in [&bob, &carol] {
            assert_eq!(query(viewer, "@bob:test").await["master_keys"]["@bob:test"], bobs.master_key());
        }
        // New keys have new signatures: those of the old are deleted.
        upload_keys(&alice).await;
        let found = query(&alice, "@alice:test").await;
        let keys = &found["device_keys"]["@alice:test"][&alice.device_id];
        assert_eq!(signers(keys, "@alice:test"), [format!("ed25519:{}", alice.device_id)]);
        assert_eq!(authenticated(&alice, CrossSigning::new(&alice).body()).await.status, 200);
        assert_eq!(query(&alice, "@bob:test").await["master_keys"]["@bob:test"], bobs.master_key());
    }

    async fn signatures_that_are_not(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let device = upload_keys(&alice).await;
        let keys = device_keys(&alice, &device);
        let (alices, bobs) = (cross_sign(&alice).await, cross_sign(&bob).await);
        let by = |signer: &Signer, object: &Value| signer.sign("@alice:test", &signer.public, object);
        let mut other_keys = keys.clone();
        other_keys["algorithms"] = json!([]);
        let mut wrong = keys.clone();
        let name = format!("ed25519:{}", alices.self_signing.public);
        wrong["signatures"]["@alice:test"][&name] = json!("c2lnbmF0dXJl");
        let failure = |reply: &Value, user_id: &str, target: &str| {
            reply["failures"][user_id][target]["errcode"].as_str().unwrap_or_default().to_owned()
        };
        for (user_id, target, object, expected) in [
            // Not by the key that signs devices, or not rightly, or something else.
            ("@alice:test", alice.device_id.as_str(), keys.clone(), "M_INVALID_SIGNATURE"),
            ("@alice:test", &alice.device_id, by(&alices.user_signing, &keys), "M_INVALID_SIGNATURE"),
            ("@alice:test", &alice.device_id, wrong, "M_INVALID_SIGNATURE"),
            ("@alice:test", &alice.device_id, by(&alices.self_signing, &other_keys), "M_INVALID_SIGNATURE"),
            ("@alice:test", "OTHER", by(&alices.self_signing, &keys), "M_NOT_FOUND"),
            ("@alice:test", &alices.master.public, alices.master_key(), "M_INVALID_SIGNATURE"),
            ("@alice:test", &alices.master.public, by(&Signer::new(), &alices.master_key()), "M_INVALID_SIGNATURE"),
            ("@alice:test", &alices.self_signing.public, alices.self_signing_key(), "M_NOT_FOUND"),
            ("@bob:test", &bobs.master.public, by(&alices.self_signing, &bobs.master_key()), "M_INVALID_SIGNATURE"),
            ("@bob:test", &bobs.self_signing.public, by(&alices.user_signing, &bobs.self_signing_key()), "M_NOT_FOUND"),
            ("@nobody:test", "x", json!({}), "M_NOT_FOUND"),
        ] {
            let reply = ok(alice.post(SIGN, json!({ user_id: { target: object } })).await);
            assert_eq!(failure(&reply, user_id, target), expected, "{reply}");
        }
        // Those that are right are stored beside.
        let body = json!({ "@alice:test": { alice.device_id.clone(): by(&alices.self_signing, &keys), "OTHER": keys } });
        let reply = ok(alice.post(SIGN, body).await);
        assert_eq!(failure(&reply, "@alice:test", "OTHER"), "M_NOT_FOUND");
        assert_eq!(reply["failures"]["@alice:test"].as_object().unwrap().len(), 1);
        let found = query(&bob, "@alice:test").await;
        let signed = &found["device_keys"]["@alice:test"][&alice.device_id]["signatures"]["@alice:test"];
        assert!(signed[&name].is_string(), "{found}");
        for body in [json!({ "@alice:test": [] }), json!({ "@alice:test": { "X": 1 } })] {
            assert_eq!(code(&alice.post(SIGN, body.clone()).await), (400, "M_BAD_JSON"), "{body}");
        }
    }
}
