//! Dehydrated devices.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::keys_kit::*;
use crate::rooms_kit::*;

const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const DEVICES: &str = "/_synapse/admin/v2/users/@alice:test/devices";

fn device(client: &Client, id: &str) -> Value {
    json!({
        "device_id": id,
        "initial_device_display_name": "Waiting",
        "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": "secret" },
        "device_keys": keys_of_device(&client.user_id, id, &Signer::new()),
        "one_time_keys": one_time_keys(&["a"]),
        "fallback_keys": { "signed_curve25519:f": { "key": "f", "fallback": true, "signatures": {} } },
    })
}

/// The devices that an administrator sees, with whether they wait.
async fn devices(admin: &Client) -> Vec<(String, bool)> {
    let reply = ok(admin.get(DEVICES).await);
    let all = list(&reply, "/devices").iter();
    all.map(|device| (at(device, "/device_id").to_owned(), device["dehydrated"].as_bool().unwrap())).collect()
}

on_both_engines! {
    async fn it_waits_and_comes_to_life(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let none = (404, "M_NOT_FOUND", "No dehydrated device available");
        assert_eq!(alice.get(PATH).await.refusal(), none);
        assert_eq!(alice.delete(PATH).await.refusal(), none);
        assert_eq!(alice.put(PATH, device(&alice, "a-first")).await, (200, json!({ "device_id": "a-first" })));
        let data = json!({ "algorithm": "org.matrix.msc3814.v2", "device_pickle": "secret" });
        assert_eq!(alice.get(PATH).await, (200, json!({ "device_id": "a-first", "device_data": data })));
        let mut all = vec![("a-first".to_owned(), true), (alice.device_id.clone(), false)];
        all.sort();
        assert_eq!(devices(&admin).await, all);
        assert_eq!(admin.get(&format!("{DEVICES}/a-first")).await.body["dehydrated"], true);
        let found = query(&bob, "@alice:test").await;
        assert_eq!(found["device_keys"]["@alice:test"]["a-first"]["unsigned"]["device_display_name"], "Waiting");
        // A new one replaces it.
        ok(alice.put(PATH, device(&alice, "a-second")).await);
        assert_eq!(query(&bob, "@alice:test").await["device_keys"]["@alice:test"]["a-first"], Value::Null);
        // It receives messages, and keeps them for repeated requests.
        for n in 0..120 {
            to_device(&bob, "@alice:test", "*", "org.example.n", json!({ "n": n })).await;
        }
        let events = format!("{PATH}/a-second/events");
        for _ in 0..2 {
            let (mut body, mut numbers) = (json!({}), Vec::new());
            for expected in [100, 20, 0] {
                let came = ok(alice.post(&events, body).await);
                let messages = list(&came, "/events");
                assert_eq!(messages.len(), expected);
                numbers.extend(messages.iter().map(|event| event["content"]["n"].as_i64().unwrap()));
                body = json!({ "next_batch": came["next_batch"] });
            }
            assert_eq!(numbers, (0..120).collect::<Vec<_>>());
        }
        assert_eq!(code(&alice.post(&format!("{PATH}/OTHER/events"), json!({})).await), (404, "M_NOT_FOUND"));
        assert_eq!(code(&alice.post(&events, json!({ "next_batch": "x" })).await), (400, "M_INVALID_PARAM"));
        assert_eq!(alice.delete(PATH).await, (200, json!({ "device_id": "a-second" })));
        assert_eq!(devices(&admin).await, [(alice.device_id.clone(), false)]);
        assert_eq!(query(&bob, "@alice:test").await["device_keys"], json!({ "@alice:test": {} }));
    }

    async fn administrators_delete_it(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        ok(alice.put(PATH, device(&alice, "waiting")).await);
        ok(admin.delete(&format!("{DEVICES}/waiting")).await);
        assert_eq!(alice.get(PATH).await.status, 404);
        ok(alice.put(PATH, device(&alice, "waiting")).await);
    }

    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        let without = |key: &str| {
            let mut body = device(&alice, "waiting");
            body.as_object_mut().unwrap().remove(key);
            body
        };
        let mut other = device(&alice, "waiting");
        other["device_id"] = json!("other");
        for (body, expected) in [
            (without("device_id"), "M_MISSING_PARAM"), (without("device_data"), "M_MISSING_PARAM"),
            (without("device_keys"), "M_BAD_JSON"), (other, "M_BAD_JSON"),
            (device(&alice, &alice.device_id), "M_FORBIDDEN"), (device(&alice, &"x".repeat(513)), "M_INVALID_PARAM"),
        ] {
            assert_eq!(code(&alice.put(PATH, body.clone()).await), (400, expected), "{body}");
        }
        assert_eq!(alice.get(PATH).await.status, 404);
    }

    async fn who_logs_in_as_it_brings_it_to_an_end(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        ok(alice.put(PATH, device(&alice, "waiting")).await);
        let log_in = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" },
            "password": "alice's password", "device_id": "waiting",
        });
        let session = ok(alice.post(&format!("{CS}/login"), log_in).await);
        let waiting = server.with_token(at(&session, "/access_token"));
        assert_eq!(alice.get(PATH).await.status, 404);
        assert_eq!(query(&bob, "@alice:test").await["device_keys"], json!({ "@alice:test": {} }));
        // Another one that is to wait leaves the session alone; deleting the device ends it.
        ok(alice.put(PATH, device(&alice, "second")).await);
        ok(waiting.get(&format!("{CS}/account/whoami")).await);
        let admin = server.admin().await;
        ok(admin.delete(&format!("{DEVICES}/waiting")).await);
        assert_eq!(code(&waiting.get(&format!("{CS}/account/whoami")).await), (401, "M_UNKNOWN_TOKEN"));
    }
}
