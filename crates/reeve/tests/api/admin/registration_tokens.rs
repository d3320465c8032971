//! `/_synapse/admin/v1/registration_tokens`.

use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

const TOKENS: &str = "/_synapse/admin/v1/registration_tokens";

fn token(name: &str, uses_allowed: Value, expiry_time: Value) -> Value {
    json!({ "token": name, "uses_allowed": uses_allowed, "pending": 0, "completed": 0, "expiry_time": expiry_time })
}

async fn new(admin: &Client, body: Value) -> reeve_testkit::Reply {
    admin.post(&format!("{TOKENS}/new"), body).await
}

on_both_engines! {
    async fn created_read_changed_and_deleted(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(TOKENS).await, (200, json!({ "registration_tokens": [] })));
        let a = token("aA0._~-", json!(null), json!(null));
        assert_eq!(new(&admin, json!({ "token": "aA0._~-", "length": null, "pending": 5 })).await, (200, a.clone()));
        let b = token("b", json!(3), json!(START_MS));
        let body = json!({ "token": "b", "uses_allowed": 3, "expiry_time": START_MS });
        assert_eq!(new(&admin, body).await, (200, b.clone()));
        assert_eq!(admin.get(&format!("{TOKENS}/aA0._~-")).await, (200, a.clone()));
        assert_eq!(admin.get(TOKENS).await, (200, json!({ "registration_tokens": [a, b] })));

        let path = format!("{TOKENS}/b");
        assert_eq!(admin.put(&path, json!({})).await, (200, b));
        let changed = token("b", json!(0), json!(START_MS + 5));
        let all = json!({ "id": "b", "token": "z", "pending": 9, "completed": 9, "uses_allowed": 0, "expiry_time": START_MS + 5 });
        assert_eq!(admin.put(&path, all).await, (200, changed.clone()));
        assert_eq!(admin.put(&path, json!({ "expiry_time": null })).await, (200, token("b", json!(0), json!(null))));
        assert_eq!(admin.put(&path, json!({ "uses_allowed": null })).await, (200, token("b", json!(null), json!(null))));
        assert_eq!(admin.get(&path).await, (200, token("b", json!(null), json!(null))));

        assert_eq!(admin.delete(&path).await, (200, json!({})));
        let gone = (404, json!({ "errcode": "M_NOT_FOUND", "error": "No such registration token: b" }));
        assert_eq!(admin.delete(&path).await, gone);
        assert_eq!(admin.get(&path).await, gone);
        assert_eq!(admin.put(&path, json!({})).await, gone);
        let refused = (400, "M_INVALID_PARAM", "uses_allowed must be a non-negative integer or null");
        assert_eq!(admin.put(&path, json!({ "uses_allowed": -1 })).await.refusal(), refused);
        let no_body = admin.send(http::Method::PUT, &path, &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        let new_path = format!("{TOKENS}/new");
        assert_eq!(admin.get(&new_path).await.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    async fn random_names(server: Server) {
        let admin = server.admin().await;
        let length = |body: Value| { let admin = admin.clone(); async move { new(&admin, body).await.text("token").len() } };
        assert_eq!(length(json!({})).await, 16);
        assert_eq!(length(json!({ "length": 1 })).await, 1);
        assert_eq!(length(json!({ "length": 64, "uses_allowed": 1 })).await, 64);
        let first = new(&admin, json!({})).await;
        let second = new(&admin, json!({})).await;
        assert_ne!(first.text("token"), second.text("token"));
        // Random tokens of one letter run out; an existing token is never created again.
        let mut seen = std::collections::HashSet::new();
        for _ in 0..80 {
            let reply = new(&admin, json!({ "length": 1 })).await;
            if reply.status == 200 {
                assert!(seen.insert(reply.text("token").to_owned()));
            } else {
                assert_eq!(reply.refusal(), (400, "M_UNKNOWN", "No token of this length is free"));
            }
        }
        assert!(seen.len() > 30, "{}", seen.len());
    }

    async fn what_is_refused_and_in_which_order(server: Server) {
        let admin = server.admin().await;
        new(&admin, json!({ "token": "there" })).await;
        let (text_length, characters) = (
            "token must not be empty and must not be longer than 64 characters",
            "token must consist only of characters matched by the regex [A-Za-z0-9-_]",
        );
        let (uses, past, integer) = (
            "uses_allowed must be a non-negative integer or null",
            "expiry_time must not be in the past",
            "expiry_time must be an integer or null",
        );
        let (length, number) =
            ("length must be greater than zero and not greater than 64", "length must be an integer");
        for (body, text) in [
            (json!({ "token": 1, "length": "x", "uses_allowed": -1 }), "token must be a string"),
            (json!({ "token": null }), "token must be a string"),
            (json!({ "token": "" }), text_length),
            (json!({ "token": "x".repeat(65) }), text_length),
            (json!({ "token": "a b" }), characters),
            (json!({ "token": "ä" }), characters),
            (json!({ "length": "1" }), number),
            (json!({ "length": null }), number),
            (json!({ "length": true }), number),
            (json!({ "length": 1.0 }), number),
            (json!({ "length": 0 }), length),
            (json!({ "length": 65 }), length),
            (json!({ "length": -1 }), length),
            (json!({ "token": "there", "uses_allowed": -1, "expiry_time": "x" }), uses),
            (json!({ "uses_allowed": "1" }), uses),
            (json!({ "uses_allowed": true }), uses),
            (json!({ "uses_allowed": 1.5 }), uses),
            (json!({ "uses_allowed": u64::MAX }), uses),
            (json!({ "token": "there", "expiry_time": START_MS - 1 }), past),
            (json!({ "expiry_time": "x" }), integer),
            (json!({ "expiry_time": false }), integer),
            (json!({ "expiry_time": 1e30 }), integer),
            (json!({ "token": "there" }), "Token already exists: there"),
        ] {
            assert_eq!(new(&admin, body.clone()).await.refusal(), (400, "M_INVALID_PARAM", text), "{body}");
        }
        let no_body = admin.send(http::Method::POST, &format!("{TOKENS}/new"), &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        let all = admin.get(TOKENS).await;
        assert_eq!(all, (200, json!({ "registration_tokens": [token("there", json!(null), json!(null))] })));
    }

    async fn lists_of_those_that_can_be_used(server: Server) {
        let admin = server.admin().await;
        for body in [
            json!({ "token": "z-any" }), json!({ "token": "none", "uses_allowed": 0 }),
            json!({ "token": "soon", "expiry_time": START_MS + 10 }), json!({ "token": "now", "expiry_time": START_MS }),
        ] {
            assert_eq!(new(&admin, body).await.status, 200);
        }
        let names = |query: &'static str| {
            let admin = admin.clone();
            async move {
                let body = admin.get(&format!("{TOKENS}{query}")).await.body;
                let tokens = body["registration_tokens"].as_array().unwrap().clone();
                tokens.iter().map(|token| token["token"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            }
        };
        assert_eq!(names("?from=0&limit=1").await, ["z-any", "none", "soon", "now"]);
        assert_eq!(names("?valid=true").await, ["z-any", "soon"]);
        assert_eq!(names("?valid=false").await, ["none", "now"]);
        server.clock.advance(10);
        assert_eq!(names("?valid=true").await, ["z-any"]);
        assert_eq!(names("?valid=false").await, ["none", "soon", "now"]);
        for bad in ["", "1", "True"] {
            let reply = admin.get(&format!("{TOKENS}?valid={bad}")).await;
            let text = "Boolean query parameter 'valid' must be one of ['true', 'false']";
            assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", text));
        }
    }

    async fn deeds_are_audited(server: Server) {
        let admin = server.admin().await;
        new(&admin, json!({ "token": "t", "uses_allowed": 2 })).await;
        admin.put(&format!("{TOKENS}/t"), json!({ "uses_allowed": 2, "expiry_time": null })).await;
        admin.put(&format!("{TOKENS}/t"), json!({ "uses_allowed": 3 })).await;
        admin.delete(&format!("{TOKENS}/t")).await;
        admin.delete(&format!("{TOKENS}/t")).await;
        let log = admin.get("/_reeve/admin/v1/audit?target=t").await;
        let deeds: Vec<(&str, &Value, &str)> = log.body["entries"].as_array().unwrap().iter()
            .map(|entry| (entry["action"].as_str().unwrap(), &entry["changes"], entry["actor"].as_str().unwrap()))
            .collect();
        assert_eq!(deeds, [
            ("registration_token.delete", &json!({}), "@admin:test"),
            ("registration_token.update", &json!({ "uses_allowed": 3 }), "@admin:test"),
            ("registration_token.create", &json!({ "uses_allowed": 2, "expiry_time": null }), "@admin:test"),
        ]);
    }
}
