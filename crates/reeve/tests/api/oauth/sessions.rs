//! Sessions that began with OAuth 2.0, elsewhere: what ends them, and what they cannot do.

use reeve_testkit::{Server, on_both_engines};
use serde_json::json;

use crate::keys_kit::{CrossSigning, cross_sign};
use crate::oauth_kit::*;

const INVALID: (u16, &str) = (400, "invalid_grant");
const UPLOAD: &str = "/_matrix/client/v3/keys/device_signing/upload";

/// Asserts that neither token of a session works, and that the table of sessions forgot it.
async fn is_over(server: &Server, client_id: &str, session: &Session, device_id: &'static str) {
    assert!(!session.is_alive().await, "{device_id}");
    assert_eq!(error(&refresh(server, client_id, &session.refresh_token).await), INVALID, "{device_id}");
    let left = server.app().db.read(move |tx| {
        let num = reeve_store::users::num(tx, "@alice:test")?.unwrap();
        reeve_store::oauth_sessions::find(tx, num, device_id)
    });
    assert_eq!(left.await.unwrap(), None, "{device_id}");
}

on_both_engines! {
    #[config(enabled)]
    async fn what_ends_a_session(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;

        let phone = session(&server, &mut alice, &client_id, "PHONE").await;
        assert_eq!(phone.client.post("/_matrix/client/v3/logout", json!({})).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;

        let phone = session(&server, &mut alice, &client_id, "PHONE").await;
        let path = "/_synapse/admin/v2/users/@alice:test/devices/PHONE";
        assert_eq!(admin.delete(path).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;

        let phone = session(&server, &mut alice, &client_id, "PHONE").await;
        let path = "/_synapse/admin/v2/users/@alice:test/delete_devices";
        assert_eq!(admin.post(path, json!({ "devices": ["PHONE"] })).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;

        let (phone, laptop) = (
            session(&server, &mut alice, &client_id, "PHONE").await,
            session(&server, &mut alice, &client_id, "LAPTOP").await,
        );
        assert_eq!(laptop.client.post("/_matrix/client/v3/logout/all", json!({})).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;
        is_over(&server, &client_id, &laptop, "LAPTOP").await;

        let mut alice = person(&server, "alice").await;
        let phone = session(&server, &mut alice, &client_id, "PHONE").await;
        let reset = json!({ "new_password": "alice's password" });
        assert_eq!(admin.post("/_synapse/admin/v1/reset_password/@alice:test", reset).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;

        let mut alice = person(&server, "alice").await;
        let phone = session(&server, &mut alice, &client_id, "PHONE").await;
        assert_eq!(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await.status, 200);
        is_over(&server, &client_id, &phone, "PHONE").await;
    }

    #[config(enabled)]
    async fn a_lock_or_an_end_of_validity_lets_the_session_rest(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let first = session(&server, &mut alice, &client_id, "PHONE").await;
        let path = "/_synapse/admin/v2/users/@alice:test";
        assert_eq!(admin.put(path, json!({ "locked": true })).await.status, 200);
        let reply = first.client.get(WHOAMI).await;
        assert_eq!((reply.status, reply.text("errcode"), &reply.body["soft_logout"]), (401, "M_USER_LOCKED", &json!(true)));
        let second = Session::of(&server, &refresh(&server, &client_id, &first.refresh_token).await);
        assert_eq!(second.client.get(WHOAMI).await.text("errcode"), "M_USER_LOCKED");
        assert_eq!(admin.put(path, json!({ "locked": false })).await.status, 200);
        assert!(second.is_alive().await);
        let term = json!({ "user_id": "@alice:test", "expiration_ts": reeve_testkit::START_MS - 1 });
        assert_eq!(admin.post("/_synapse/admin/v1/account_validity/validity", term).await.status, 200);
        assert_eq!(second.client.get(WHOAMI).await.text("errcode"), "ORG_MATRIX_EXPIRED_ACCOUNT");
    }

    // Its client does not learn passwords, so that it is not asked for them.
    #[config(|config| {
        enabled(config);
        config.policy.login_via_existing_session = true;
    })]
    async fn nothing_asks_for_the_password(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let session = session(&server, &mut alice, &client_id, "PHONE").await;
        let auth = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password" });
        let refused = (403, "M_FORBIDDEN", "This client signed in with OAuth 2.0: use the page of your account, in a browser");
        for auth in [json!(null), auth] {
            for (path, body) in [
                ("/_matrix/client/v3/delete_devices", json!({ "devices": ["PHONE"], "auth": auth })),
                ("/_matrix/client/v3/account/password", json!({ "new_password": "another password", "auth": auth })),
                ("/_matrix/client/v3/account/deactivate", json!({ "auth": auth })),
                ("/_matrix/client/v1/login/get_token", json!({ "auth": auth })),
            ] {
                assert_eq!(session.client.post(path, body).await.refusal(), refused, "{path}");
            }
        }
        let path = "/_matrix/client/v3/devices/PHONE";
        assert_eq!(session.client.delete(path).await.refusal(), refused);
        // Requests without authentication go on.
        assert_eq!(session.client.put(path, json!({ "display_name": "Phone" })).await.status, 200);
        assert_eq!(session.client.get(path).await.text("display_name"), "Phone");
    }

    #[config(enabled)]
    async fn cross_signing_keys_are_reset_on_a_page(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let mut session = session(&server, &mut alice, &client_id, "PHONE").await;
        "@alice:test".clone_into(&mut session.client.user_id);
        "PHONE".clone_into(&mut session.client.device_id);
        let client = &session.client;
        cross_sign(client).await;
        let other = CrossSigning::new(client);
        let asked = client.post(UPLOAD, other.body()).await;
        let id = asked.text("session").to_owned();
        let url = json!({ "url": "https://matrix.test/_reeve/pages/account?action=org.matrix.cross_signing_reset" });
        let wanted = json!({
            "session": id,
            "flows": [{ "stages": ["m.oauth"] }, { "stages": ["org.matrix.cross_signing_reset"] }],
            "params": { "m.oauth": url, "org.matrix.cross_signing_reset": url },
        });
        assert_eq!(asked, (401, wanted.clone()));
        // A password does not help, and neither does asking again.
        let mut again = other.body();
        for auth in [
            json!({ "session": id }),
            json!({ "session": id, "type": "m.oauth" }),
            json!({ "session": id, "type": "m.login.password", "user": "alice", "password": "alice's password" }),
        ] {
            again["auth"] = auth;
            assert_eq!(client.post(UPLOAD, again.clone()).await, (401, wanted.clone()));
        }
        // The page leads to the form, which asks for the password.
        let page = alice.open("/_reeve/pages/account?action=org.matrix.cross_signing_reset").await;
        let reset = page.header("location").to_owned();
        assert_eq!(alice.open(&reset).await.status, 200);
        assert_eq!(alice.submit(&reset, &[("password", "alice's password")]).await.status, 303);
        again["auth"] = json!({ "session": id });
        assert_eq!(client.post(UPLOAD, again).await, (200, json!({})));
        // Once.
        let third = CrossSigning::new(client);
        assert_eq!(client.post(UPLOAD, third.body()).await.status, 401);
    }
}
