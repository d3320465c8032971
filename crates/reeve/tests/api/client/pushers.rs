//! `/_matrix/client/v3/pushers`.

use reeve_model::{Millis, Pos};
use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

const PUSHERS: &str = "/_matrix/client/v3/pushers";
const SET: &str = "/_matrix/client/v3/pushers/set";

fn pusher(changes: Value) -> Value {
    let mut body = json!({
        "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
        "device_display_name": "Phone", "lang": "en",
        "data": { "url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only", "extra": { "a": 1 } },
    });
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

/// The fields of a pusher in a list.
fn listed(changes: Value) -> Value {
    let mut shown = pusher(changes);
    let shown_object = shown.as_object_mut().unwrap();
    shown_object.remove("append");
    shown_object.entry("profile_tag").or_insert(json!(""));
    shown
}

async fn list(client: &Client) -> Value {
    client.get(PUSHERS).await.body["pushers"].clone()
}

on_both_engines! {
    async fn set_replaced_and_taken_away(server: Server) {
        let alice = server.user("alice").await;
        assert_eq!(alice.get(PUSHERS).await, (200, json!({ "pushers": [] })));
        assert_eq!(alice.post(SET, pusher(json!({}))).await, (200, json!({})));
        assert_eq!(alice.get("/_matrix/client/r0/pushers").await, (200, json!({ "pushers": [listed(json!({}))] })));
        let changes = json!({ "lang": "de", "profile_tag": "t", "append": true });
        assert_eq!(alice.post(SET, pusher(changes.clone())).await.status, 200);
        server.clock.advance(1);
        alice.post(SET, pusher(json!({ "pushkey": "second" }))).await;
        assert_eq!(list(&alice).await, json!([listed(changes), listed(json!({ "pushkey": "second" }))]));
        // All sessions of the account see them.
        let other = server.log_in("alice", "alice's password").await;
        assert_eq!(list(&other).await, list(&alice).await);
        for _ in 0..2 {
            let reply = other.post(SET, json!({ "kind": null, "app_id": "org.app", "pushkey": "key" })).await;
            assert_eq!(reply, (200, json!({})));
        }
        assert_eq!(list(&alice).await, json!([listed(json!({ "pushkey": "second" }))]));
        // Administrators see them too.
        let admin = server.admin().await;
        let seen = admin.get("/_synapse/admin/v1/users/@alice:test/pushers").await;
        assert_eq!((&seen.body["total"], &seen.body["pushers"][0]["pushkey"]), (&json!(1), &json!("second")));
    }

    async fn a_device_has_one_owner_unless_it_says_otherwise(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        alice.post(SET, pusher(json!({}))).await;
        bob.post(SET, pusher(json!({ "append": true }))).await;
        assert_eq!(list(&alice).await, json!([listed(json!({}))]));
        bob.post(SET, pusher(json!({ "app_id": "org.other" }))).await;
        assert_eq!(list(&alice).await, json!([listed(json!({}))]));
        bob.post(SET, pusher(json!({ "append": false }))).await;
        assert_eq!(list(&alice).await, json!([]));
        assert_eq!(list(&bob).await.as_array().unwrap().len(), 2);
        // Another user's pusher cannot be deleted.
        alice.post(SET, json!({ "kind": null, "app_id": "org.app", "pushkey": "key" })).await;
        assert_eq!(list(&bob).await.as_array().unwrap().len(), 2);
    }

    async fn pushers_go_with_their_session(server: Server) {
        let alice = server.user("alice").await;
        let second = server.log_in("alice", "alice's password").await;
        alice.post(SET, pusher(json!({ "pushkey": "1" }))).await;
        second.post(SET, pusher(json!({ "pushkey": "2" }))).await;
        assert_eq!(second.post("/_matrix/client/v3/logout", json!({})).await.status, 200);
        assert_eq!(list(&alice).await, json!([listed(json!({ "pushkey": "1" }))]));
        let admin = server.admin().await;
        let body = json!({ "new_password": "new" });
        admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await;
        let alice = server.log_in("alice", "new").await;
        assert_eq!(list(&alice).await, json!([]));
    }

    #[config(|config| crate::mail_kit::through(1)(config))]
    async fn by_email(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        server.create("bob", false).await;
        for (name, address) in [("alice", "a@x.org"), ("bob", "b@x.org")] {
            let body = json!({ "threepids": [{ "medium": "email", "address": address }] });
            assert_eq!(admin.put(&format!("/_synapse/admin/v2/users/@{name}:test"), body).await.status, 200);
        }
        let email = |address: &str| json!({ "kind": "email", "app_id": "m.email", "pushkey": address, "data": {} });
        let unknown = (400, "M_THREEPID_NOT_FOUND", "Email not found");
        for address in ["b@x.org", "nobody@x.org", "not an address"] {
            assert_eq!(alice.post(SET, pusher(email(address))).await.refusal(), unknown, "{address}");
        }
        assert_eq!(alice.post(SET, pusher(email("A@x.org"))).await, (200, json!({})));
        assert_eq!(list(&alice).await, json!([listed(email("a@x.org"))]));
        let app = pusher(json!({ "kind": "email", "pushkey": "a@x.org" }));
        assert_eq!(alice.post(SET, app).await.refusal().1, "M_INVALID_PARAM");
        alice.post(SET, json!({ "kind": null, "app_id": "m.email", "pushkey": "A@X.org" })).await;
        assert_eq!(list(&alice).await, json!([]));
        // It goes with the address.
        alice.post(SET, pusher(email("a@x.org"))).await;
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "threepids": [] })).await;
        assert_eq!(list(&alice).await, json!([]));
    }

    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        let missing = |keys: &str| format!("Missing params: [{keys}]");
        let all = missing("'kind', 'app_id', 'app_display_name', 'device_display_name', 'pushkey', 'lang', 'data'");
        let some = missing("'app_display_name', 'device_display_name', 'pushkey', 'lang', 'data'");
        let path = "Config Error: 'url' must have a path of '/_matrix/push/v1/notify'";
        let url = "Config Error: 'url' required in data for HTTP pusher";
        for (body, code, text) in [
            (json!([]), "M_BAD_JSON", "Content must be a JSON object."),
            (json!({}), "M_MISSING_PARAM", &*all),
            (json!({ "kind": null, "app_id": "a" }), "M_MISSING_PARAM", &*some),
            (pusher(json!({ "data": null })), "M_MISSING_PARAM", "Config Error: 'data' key can not be null for HTTP pusher"),
            (pusher(json!({ "data": {} })), "M_MISSING_PARAM", url),
            (pusher(json!({ "data": [] })), "M_MISSING_PARAM", url),
            (pusher(json!({ "data": { "url": 1 } })), "M_MISSING_PARAM", "Config Error: 'url' must be a string"),
            (pusher(json!({ "data": { "url": "https://x/notify" } })), "M_MISSING_PARAM", path),
            (pusher(json!({ "data": { "url": "junk" } })), "M_MISSING_PARAM", path),
            (pusher(json!({ "data": { "url": "ftp://x/_matrix/push/v1/notify" } })), "M_INVALID_PARAM", "'url' must be an HTTP URL"),
            (pusher(json!({ "kind": "sms" })), "M_INVALID_PARAM", "'kind' must be 'http', 'email' or null"),
            (pusher(json!({ "kind": 1 })), "M_INVALID_PARAM", "'kind' must be a string"),
            (pusher(json!({ "app_id": 1 })), "M_INVALID_PARAM", "'app_id' must be a string"),
            (pusher(json!({ "pushkey": [] })), "M_INVALID_PARAM", "'pushkey' must be a string"),
            (pusher(json!({ "lang": {} })), "M_INVALID_PARAM", "'lang' must be a string"),
            (pusher(json!({ "profile_tag": 1 })), "M_INVALID_PARAM", "'profile_tag' must be a string"),
            (pusher(json!({ "append": "yes" })), "M_INVALID_PARAM", "'append' must be a boolean"),
            (pusher(json!({ "app_id": "a".repeat(65) })), "M_INVALID_PARAM", "'app_id' must not be longer than 64 characters"),
            (pusher(json!({ "pushkey": "ä".repeat(257) })), "M_INVALID_PARAM", "'pushkey' must not be longer than 512 bytes"),
            (json!({ "kind": null, "app_id": 1, "pushkey": "k" }), "M_INVALID_PARAM", "'app_id' must be a string"),
        ] {
            assert_eq!(alice.post(SET, body.clone()).await.refusal(), (400, code, text), "{body}");
        }
        let no_body = alice.send(http::Method::POST, SET, &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        assert_eq!(list(&alice).await, json!([]));
        let longest = pusher(json!({ "app_id": "a".repeat(64), "pushkey": "ä".repeat(256) }));
        assert_eq!(alice.post(SET, longest).await.status, 200);
    }

    async fn a_session_without_device_sets_none(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let puppet = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let puppet = server.with_token(puppet.text("access_token"));
        let refused = (403, "M_FORBIDDEN", "A session without a device cannot set pushers");
        assert_eq!(puppet.post(SET, pusher(json!({}))).await.refusal(), refused);
        assert_eq!(list(&alice).await, json!([]));
        // One that has none, from before, goes with all sessions.
        alice.post(SET, pusher(json!({}))).await;
        let set = server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@alice:test")?.unwrap();
            let mut pusher = reeve_store::pushers::of_user(tx, num)?.pop().unwrap();
            (pusher.device_id, pusher.pushkey) = (None, "without device".to_owned());
            reeve_store::pushers::put(tx, num, &pusher, Pos::ZERO, Millis::ZERO)
        });
        set.await.unwrap();
        assert_eq!(list(&alice).await.as_array().unwrap().len(), 2);
        admin.post("/_synapse/admin/v1/reset_password/@alice:test", json!({ "new_password": "new" })).await;
        assert_eq!(list(&server.log_in("alice", "new").await).await, json!([]));
    }

    async fn not_too_many_and_not_too_long(server: Server) {
        let alice = server.user("alice").await;
        for n in 0..100 {
            assert_eq!(alice.post(SET, pusher(json!({ "pushkey": n.to_string() }))).await.status, 200);
        }
        let many = (400, "M_TOO_LARGE", "An account cannot have more than 100 pushers");
        assert_eq!(alice.post(SET, pusher(json!({ "pushkey": "more" }))).await.refusal(), many);
        assert_eq!(alice.post(SET, pusher(json!({ "pushkey": "7", "lang": "de" }))).await.status, 200);
        for key in ["app_display_name", "device_display_name", "lang", "profile_tag"] {
            let text = format!("'{key}' must not be longer than 512 bytes");
            let reply = alice.post(SET, pusher(json!({ "pushkey": "7", key: "x".repeat(513) }))).await;
            assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", &*text));
        }
        let data = json!({ "url": "https://push.example/_matrix/push/v1/notify", "x": "x".repeat(16_384) });
        let reply = alice.post(SET, pusher(json!({ "pushkey": "7", "data": data }))).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "'data' must not be longer than 16384 bytes"));
    }
}
