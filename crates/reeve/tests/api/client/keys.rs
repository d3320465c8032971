//! `/_matrix/client/v3/keys/{upload,query,claim,changes}`.

use std::collections::BTreeSet;

use reeve_model::Millis;
use reeve_testkit::{on_both_engines, tokio};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";

on_both_engines! {
    async fn uploaded_and_found(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let none = json!({
            "device_keys": { "@alice:test": {} }, "master_keys": {}, "self_signing_keys": {}, "user_signing_keys": {},
            "failures": {},
        });
        assert_eq!(query(&bob, "@alice:test").await, none);
        let signer = Signer::new();
        let keys = device_keys(&alice, &signer);
        let mut uploaded = keys.clone();
        uploaded["unsigned"] = json!({ "device_display_name": "not from here" });
        assert_eq!(upload(&alice, json!({ "device_keys": uploaded })).await, json!({ "signed_curve25519": 0 }));
        let mut shown = keys.clone();
        shown["unsigned"] = json!({});
        assert_eq!(query(&bob, "@alice:test").await["device_keys"], json!({ "@alice:test": { alice.device_id.clone(): shown } }));
        // Under a name that people see.
        let device = format!("{CS}/devices/{}", alice.device_id);
        ok(alice.put(&device, json!({ "display_name": "Phone" })).await);
        shown["unsigned"] = json!({ "device_display_name": "Phone" });
        let found = json!({ "@alice:test": { alice.device_id.clone(): shown } });
        assert_eq!(query(&bob, "@alice:test").await["device_keys"], found);
        // Certain devices only; users of other servers are unknown.
        let body = json!({ "device_keys": { "@alice:test": [alice.device_id, "OTHER"], "@x:elsewhere": [], "@nobody:test": [] } });
        let reply = ok(bob.post(QUERY, body).await);
        assert_eq!(reply["device_keys"], json!({ "@alice:test": found["@alice:test"] }));
        assert_eq!(reply["failures"]["elsewhere"]["status"], 503);
        let body = json!({ "device_keys": { "@alice:test": ["OTHER"] } });
        assert_eq!(ok(bob.post(QUERY, body).await)["device_keys"], json!({ "@alice:test": {} }));
        // With the session go the keys.
        ok(alice.post(&format!("{CS}/logout"), json!({})).await);
        assert_eq!(query(&bob, "@alice:test").await, none);
    }

    async fn signatures_outlast_an_upload_without_them(server: Server) {
        let alice = server.user("alice").await;
        let (device, account) = (Signer::new(), Signer::new());
        let plain = device_keys(&alice, &device);
        let signed = account.sign("@alice:test", &account.public, &plain);
        upload(&alice, json!({ "device_keys": signed })).await;
        let shown = async || query(&alice, "@alice:test").await["device_keys"]["@alice:test"][&alice.device_id].clone();
        let before = shown().await;
        assert_eq!(before["signatures"], signed["signatures"]);
        // The same keys, signed only by the device, are not a change.
        let since = now(&alice).await;
        upload(&alice, json!({ "device_keys": plain })).await;
        assert_eq!(shown().await, before);
        assert_eq!(changed(&sync_since(&alice, &since).await), [] as [&str; 0]);
        // A signature more is added, and one by the same key replaces the old.
        let mut more = plain.clone();
        more["signatures"]["@alice:test"][format!("ed25519:{}", alice.device_id)] = json!("new");
        more["signatures"]["@bob:test"] = json!({ "ed25519:X": "x" });
        upload(&alice, json!({ "device_keys": more })).await;
        let mut expected = signed["signatures"].clone();
        expected["@alice:test"][format!("ed25519:{}", alice.device_id)] = json!("new");
        expected["@bob:test"] = json!({ "ed25519:X": "x" });
        assert_eq!(shown().await["signatures"], expected);
        assert_eq!(changed(&sync_since(&alice, &since).await), ["@alice:test"]);
        // So many are not gathered that the keys would be too long.
        for id in ["A", "B"] {
            more["signatures"] = json!({ "@alice:test": { format!("ed25519:{id}"): "x".repeat(40_000) } });
            upload(&alice, json!({ "device_keys": more })).await;
        }
        assert_eq!(shown().await["signatures"], more["signatures"]);
        // Other keys have none of the old ones' signatures.
        let other = device_keys(&alice, &Signer::new());
        upload(&alice, json!({ "device_keys": other })).await;
        assert_eq!(shown().await["signatures"], other["signatures"]);
    }

    async fn one_time_keys_count(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let first = sync(&alice).await;
        assert_eq!(first["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
        assert_eq!(first["device_unused_fallback_key_types"], json!([]));
        assert_eq!(upload(&alice, json!({})).await, json!({ "signed_curve25519": 0 }));
        let mut keys = one_time_keys(&["a", "b"]);
        keys["curve25519:c"] = json!("unsigned key");
        let counts = json!({ "curve25519": 1, "signed_curve25519": 2 });
        assert_eq!(upload(&alice, json!({ "one_time_keys": keys })).await, counts);
        // The same again, signed otherwise.
        let mut again = one_time_keys(&["a"]);
        again["signed_curve25519:a"]["signatures"] = json!({ "@alice:test": { "ed25519:X": "other" } });
        again["curve25519:c"] = json!("unsigned key");
        assert_eq!(upload(&alice, json!({ "one_time_keys": again, "fallback_keys": null })).await, counts);
        // Another under the same name: nothing of the request is done.
        let other = json!({ "signed_curve25519:a": { "key": "other", "signatures": {} }, "signed_curve25519:d": { "key": "d", "signatures": {} } });
        let reply = alice.post(UPLOAD, json!({ "one_time_keys": other })).await;
        assert_eq!(code(&reply), (400, "M_UNKNOWN"));
        assert!(reply.text("error").starts_with("One time key signed_curve25519:a already exists. Old key: {"), "{reply:?}");
        assert!(reply.text("error").contains("new key: {"), "{reply:?}");
        let fallback = json!({ "signed_curve25519:f": { "key": "f", "fallback": true, "signatures": {} } });
        assert_eq!(upload(&alice, json!({ "org.matrix.msc2732.fallback_keys": fallback })).await, counts);
        let came = sync(&alice).await;
        assert_eq!(came["device_one_time_keys_count"], counts);
        assert_eq!(came["device_unused_fallback_key_types"], json!(["signed_curve25519"]));
        // Others know nothing of it.
        assert_eq!(sync(&bob).await["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
    }

    async fn given_out_in_order_and_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        assert_eq!(claim(&bob, &alice).await, "");
        for id in ["z", "a"] {
            upload(&alice, json!({ "one_time_keys": one_time_keys(&[id]) })).await;
        }
        let fallback = |id: &str| json!({ "fallback_keys": { format!("signed_curve25519:{id}"): { "key": id, "fallback": true, "signatures": {} } } });
        upload(&alice, fallback("f")).await;
        let claimed = ok(bob.post(CLAIM, wanting(&alice)).await);
        let key = json!({ "signed_curve25519:z": { "key": "key z", "signatures": {} } });
        assert_eq!(claimed, json!({ "one_time_keys": { "@alice:test": { alice.device_id.clone(): key } }, "failures": {} }));
        assert_eq!(claim(&bob, &alice).await, "a");
        // Claimed keys stay claimed, even if their upload is repeated because its response was lost.
        let again = json!({ "one_time_keys": one_time_keys(&["z", "a"]) });
        assert_eq!(upload(&alice, again).await, json!({ "signed_curve25519": 0 }));
        let types = async || sync(&alice).await["device_unused_fallback_key_types"].clone();
        assert_eq!(types().await, json!(["signed_curve25519"]));
        for _ in 0..2 {
            assert_eq!(claim(&bob, &alice).await, "f");
            assert_eq!(types().await, json!([]));
        }
        // Uploaded again it stays used; another one is not.
        upload(&alice, fallback("f")).await;
        assert_eq!(types().await, json!([]));
        upload(&alice, fallback("g")).await;
        assert_eq!(types().await, json!(["signed_curve25519"]));
        assert_eq!(claim(&bob, &alice).await, "g");
        // Unknown people, devices and algorithms are left out.
        let body = json!({ "timeout": 10, "one_time_keys": {
            "@alice:test": { alice.device_id.clone(): "unknown", "OTHER": "signed_curve25519" },
            "@nobody:test": { "X": "signed_curve25519" }, "@x:elsewhere": { "X": "signed_curve25519" },
        } });
        let reply = ok(bob.post(CLAIM, body).await);
        assert_eq!(reply["one_time_keys"], json!({}));
        assert_eq!(reply["failures"]["elsewhere"]["status"], 503);
    }

    async fn a_device_that_begins_anew(server: Server) {
        let alice = server.user("alice").await;
        let signer = upload_keys(&alice).await;
        let fallback = json!({ "signed_curve25519:f": { "key": "f", "fallback": true, "signatures": {} } });
        upload(&alice, json!({ "one_time_keys": one_time_keys(&["a"]), "fallback_keys": fallback })).await;
        let mut keys = device_keys(&alice, &signer);
        keys["algorithms"] = json!(["m.megolm.v1.aes-sha2"]);
        assert_eq!(upload(&alice, json!({ "device_keys": keys })).await, json!({ "signed_curve25519": 1 }));
        // With different keys of its own, sessions that use the old ones would break.
        assert_eq!(claim(&server.user("bob").await, &alice).await, "a");
        let body = json!({ "device_keys": device_keys(&alice, &Signer::new()), "one_time_keys": one_time_keys(&["a", "b"]) });
        assert_eq!(upload(&alice, body).await, json!({ "signed_curve25519": 2 }));
        assert_eq!(sync(&alice).await["device_unused_fallback_key_types"], json!([]));
    }

    async fn nobody_gets_a_key_that_somebody_has(server: Server) {
        let alice = server.user("alice").await;
        let ids: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        upload(&alice, json!({ "one_time_keys": one_time_keys(&names) })).await;
        let mut claims = Vec::new();
        for _ in 0..40 {
            let (bob, alice) = (alice.clone(), alice.clone());
            claims.push(tokio::spawn(async move { claim(&bob, &alice).await }));
        }
        let mut claimed = Vec::new();
        for task in claims {
            claimed.push(task.await.unwrap());
        }
        claimed.retain(|id| !id.is_empty());
        assert_eq!(claimed.len(), 30, "{claimed:?}");
        assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
    }

    async fn what_is_refused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let good = device_keys(&alice, &Signer::new());
        let with = |key: &str, value: Value| {
            let mut keys = good.clone();
            keys[key] = value;
            json!({ "device_keys": keys })
        };
        let without = |key: &str| {
            let mut keys = good.clone();
            keys.as_object_mut().unwrap().remove(key);
            json!({ "device_keys": keys })
        };
        for (body, expected) in [
            (with("user_id", json!("@bob:test")), "M_BAD_JSON"),
            (with("device_id", json!("OTHER")), "M_BAD_JSON"),
            (json!({ "device_keys": null }), "M_INVALID_PARAM"),
            (with("user_id", json!(1)), "M_BAD_JSON"),
            (with("algorithms", json!("m.olm")), "M_BAD_JSON"),
            (with("algorithms", json!([1])), "M_BAD_JSON"),
            (with("keys", json!({ "ed25519:X": 1 })), "M_BAD_JSON"),
            (with("keys", json!([])), "M_BAD_JSON"),
            (with("signatures", json!({ "@alice:test": "x" })), "M_BAD_JSON"),
            (with("keys", json!({ "ed25519:X": "x".repeat(70_000) })), "M_BAD_JSON"),
            (without("user_id"), "M_BAD_JSON"),
            (without("device_id"), "M_BAD_JSON"),
            (without("algorithms"), "M_BAD_JSON"),
            (without("keys"), "M_BAD_JSON"),
            (without("signatures"), "M_BAD_JSON"),
            (json!({ "device_keys": [] }), "M_BAD_JSON"),
            (json!({ "one_time_keys": [] }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { "noid": "x" } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { ":a": "x" } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { "signed_curve25519:a": 1 } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { "signed_curve25519:a": {} } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { "signed_curve25519:a": { "key": "x" } } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { "signed_curve25519:a": { "key": "x", "signatures": 5 } } }), "M_BAD_JSON"),
            (
                json!({ "fallback_keys": { "signed_curve25519:a": { "key": "x", "signatures": {}, "fallback": "yes" } } }),
                "M_BAD_JSON",
            ),
            (json!({ "one_time_keys": { "signed_curve25519:a": "x".repeat(20_000) } }), "M_BAD_JSON"),
            (json!({ "one_time_keys": { format!("signed_curve25519:{}", "a".repeat(300)): "x" } }), "M_BAD_JSON"),
            (json!({ "fallback_keys": 1 }), "M_BAD_JSON"),
            (json!({ "fallback_keys": { "signed_curve25519:a": "x", "signed_curve25519:b": "y" } }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&alice.post(UPLOAD, body.clone()).await), (400, expected), "{body}");
        }
        let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let reply = alice.post(UPLOAD, json!({ "one_time_keys": one_time_keys(&many) })).await;
        assert_eq!(code(&reply), (400, "M_TOO_LARGE"));
        let many = (0..11).map(|n| (format!("algorithm{n}:f"), json!({ "key": "f", "signatures": {} })));
        let many = Value::Object(many.collect());
        let reply = alice.post(UPLOAD, json!({ "fallback_keys": many })).await;
        assert_eq!(code(&reply), (400, "M_TOO_LARGE"));
        assert_eq!(upload(&alice, json!({})).await, json!({ "signed_curve25519": 0 }));
        for (path, body, expected) in [
            (QUERY, json!({}), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": null }), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": { "@alice:test": null } }), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": { "@alice:test": {} } }), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": [] }), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": { "@alice:test": "X" } }), "M_BAD_JSON"),
            (QUERY, json!({ "device_keys": { "@alice:test": [1] } }), "M_BAD_JSON"),
            (CLAIM, json!({}), "M_BAD_JSON"),
            (CLAIM, json!({ "one_time_keys": { "@alice:test": [] } }), "M_BAD_JSON"),
            (CLAIM, json!({ "one_time_keys": { "@alice:test": { "X": 1 } } }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&alice.post(path, body.clone()).await), (400, expected), "{path} {body}");
        }
        // A login-as token has no device.
        let puppet = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let reply = server.with_token(puppet.text("access_token")).post(UPLOAD, json!({})).await;
        let text = "To upload keys, you must pass device_id when authenticating";
        assert_eq!(reply.refusal(), (400, "M_UNKNOWN", text));
    }

    async fn a_thousand_devices_at_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
        server.app().db.write(move |tx| -> Result<(), reeve_db::DbError> {
            for n in 0..1000 {
                let device_id = format!("D{n:03}");
                reeve_store::devices::insert(tx, num, &device_id, None, Millis::ZERO)?;
                reeve_store::keys::insert_one_time(tx, num, &device_id, "signed_curve25519", "a", "\"key\"")?;
            }
            Ok(())
        }).await.unwrap();
        let wanted: serde_json::Map<_, _> = (0..1000).map(|n| (format!("D{n:03}"), json!("signed_curve25519"))).collect();
        let claimed = ok(bob.post(CLAIM, json!({ "one_time_keys": { "@alice:test": wanted } })).await);
        let claimed = claimed["one_time_keys"]["@alice:test"].as_object().unwrap();
        assert_eq!(claimed.len(), 1000);
        assert!(claimed.values().all(|key| *key == json!({ "signed_curve25519:a": "key" })));
        drop(alice);
    }

    async fn whose_keys_changed(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let from = now(&alice).await;
        let changes = async |from: &str| {
            let path = format!("{CS}/keys/changes?from={}&to={}", enc(from), enc(&now(&alice).await));
            ok(alice.get(&path).await)
        };
        assert_eq!(changes(&from).await, json!({ "changed": [], "left": [] }));
        upload_keys(&bob).await;
        upload_keys(&carol).await;
        assert_eq!(changes(&from).await, json!({ "changed": ["@bob:test"], "left": [] }));
        join(&carol, &room).await;
        leave(&bob, &room).await;
        upload_keys(&alice).await;
        assert_eq!(changes(&from).await, json!({ "changed": ["@alice:test", "@carol:test"], "left": ["@bob:test"] }));
        let path = format!("{CS}/keys/changes");
        for (query, expected) in [
            ("", "M_MISSING_PARAM"), ("?from=s1", "M_MISSING_PARAM"), ("?from=x&to=s1", "M_INVALID_PARAM"),
            ("?from=s1&to=x", "M_INVALID_PARAM"),
        ] {
            assert_eq!(code(&alice.get(&format!("{path}{query}")).await), (400, expected), "{query}");
        }
    }
}
