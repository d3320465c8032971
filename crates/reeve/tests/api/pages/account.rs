//! The account: overview, actions of clients, profile, deactivation, cryptographic identity.

use reeve_testkit::{Reply, form, on_both_engines};
use serde_json::json;

use super::*;
use crate::keys_kit::{CrossSigning, Signer, cross_sign, keys_of_device};
use crate::rooms_kit::{code, create, ok};
use crate::sync_kit::eventually;

const PROFILE: &str = "/_reeve/pages/account/profile";
const DEACTIVATE: &str = "/_reeve/pages/account/deactivate";
const RESET: &str = "/_reeve/pages/account/reset-identity";
const UPLOAD: &str = "/_matrix/client/v3/keys/device_signing/upload";

fn shows(reply: &Reply, text: &str) {
    assert!(reply.html().contains(text), "there is no {text:?} in {}", reply.html());
}

on_both_engines! {
    async fn an_overview(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let ids = json!({ "threepids": [
            { "medium": "email", "address": "alice@example.org" }, { "medium": "msisdn", "address": "49123" },
        ] });
        assert_eq!(admin.put("/_synapse/admin/v2/users/@alice:test", ids).await.status, 200);
        let mut browser = server.signed_in("alice").await;
        let account = browser.get(ACCOUNT).await;
        page(&account, 200);
        for text in ["Hello, alice", "@alice:test", "alice@example.org", "2 sessions", "aria-current=\"page\""] {
            shows(&account, text);
        }
        assert!(!account.html().contains("49123"));
        // A dehydrated device is no session.
        let dehydrated = json!({
            "device_id": "DRY",
            "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": "secret" },
            "device_keys": keys_of_device("@alice:test", "DRY", &Signer::new()),
        });
        ok(alice.put("/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", dehydrated).await);
        shows(&browser.get(ACCOUNT).await, "2 sessions");
        assert!(!browser.get("/_reeve/pages/account/sessions").await.html().contains("DRY"));
    }

    async fn clients_link_to_actions(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        for (query, leads_to) in [
            ("action=org.matrix.profile", PROFILE),
            ("action=org.matrix.devices_list", "/_reeve/pages/account/sessions"),
            ("action=org.matrix.sessions_list", "/_reeve/pages/account/sessions"),
            ("action=org.matrix.device_view&device_id=A%2FB", "/_reeve/pages/account/session?device_id=A%2FB"),
            ("action=org.matrix.session_view&device_id=AB", "/_reeve/pages/account/session?device_id=AB"),
            ("action=org.matrix.device_delete&device_id=AB", "/_reeve/pages/account/session?device_id=AB"),
            ("action=org.matrix.session_end&device_id=AB", "/_reeve/pages/account/session?device_id=AB"),
            ("action=org.matrix.session_end", "/_reeve/pages/account/sessions"),
            ("action=org.matrix.account_deactivate", DEACTIVATE),
            ("action=org.matrix.cross_signing_reset", RESET),
        ] {
            let path = format!("{ACCOUNT}?{query}");
            assert_eq!(continues(&browser.get(&path).await), leads_to, "{query}");
            // Somebody who signs in first comes to the same page.
            let mut stranger = server.browser();
            let reply = stranger.get(&path).await;
            let login = stranger.follow(reply).await;
            let values = [("username", "alice"), ("password", "alice's password")];
            let signed_in = stranger.submit(&login, LOGIN, &values).await;
            assert_eq!(continues(&signed_in), path);
            assert_eq!(continues(&stranger.get(&path).await), leads_to);
        }
        page(&browser.get(&format!("{ACCOUNT}?action=org.matrix.unknown")).await, 200);
    }

    async fn a_new_display_name_is_seen_everywhere(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({})).await;
        let mut browser = server.signed_in("alice").await;
        let profile = browser.get(PROFILE).await;
        assert_eq!(form(&profile, PROFILE).fields["displayname"], "alice");
        let saved = browser.submit(&profile, PROFILE, &[("displayname", "  Alice Ärmel ")]).await;
        let saved = browser.follow(saved).await;
        page(&saved, 200);
        shows(&saved, "Your profile was saved.");
        shows(&saved, "role=\"status\"");
        assert_eq!(form(&saved, PROFILE).fields["displayname"], "Alice Ärmel");
        let name = alice.get("/_matrix/client/v3/profile/@alice:test/displayname").await;
        assert_eq!(name, (200, json!({ "displayname": "Alice Ärmel" })));
        let member = format!("/_matrix/client/v3/rooms/{}/state/m.room.member/@alice:test", crate::rooms_kit::enc(&room));
        eventually(&alice, &member, |reply| reply.text("displayname") == "Alice Ärmel").await;

        let long = "x".repeat(257);
        let refused = browser.submit(&saved, PROFILE, &[("displayname", &long)]).await;
        page(&refused, 400);
        shows(&refused, "The name is too long");
        assert_eq!(form(&refused, PROFILE).fields["displayname"], long);
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        let refused = browser.submit(&saved, PROFILE, &[("displayname", "Other")]).await;
        page(&refused, 403);
        shows(&refused, "suspended");
        assert_eq!(alice.get("/_matrix/client/v3/profile/@alice:test/displayname").await, name_of("Alice Ärmel"));
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": false })).await);
        // Without a name.
        assert_eq!(browser.submit(&saved, PROFILE, &[("displayname", "")]).await.status, 303);
        assert_eq!(alice.get("/_matrix/client/v3/profile/@alice:test/displayname").await.status, 404);
    }

    async fn deactivation(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut other = server.signed_in("alice").await;
        let mut browser = server.signed_in("alice").await;
        let asked = browser.get(DEACTIVATE).await;
        page(&asked, 200);
        shows(&asked, "for 30 days");
        let path = "/_synapse/admin/v2/users/@alice:test";
        for (values, status, says) in [
            (vec![("password", "alice's password")], 400, "Confirm that you want"),
            (vec![("sure", "yes")], 403, "Enter your present password."),
            (vec![("sure", "yes"), ("erase", "yes"), ("password", "wrong")], 403, "The password is wrong."),
        ] {
            let refused = browser.submit(&asked, DEACTIVATE, &values).await;
            page(&refused, status);
            shows(&refused, says);
            let erase = if values.contains(&("erase", "yes")) { "yes" } else { "" };
            assert_eq!(form(&refused, DEACTIVATE).fields["erase"], erase);
            assert_eq!(admin.get(path).await.body["deactivated"], false);
        }
        let values = [("sure", "yes"), ("erase", "yes"), ("password", "alice's password")];
        let done = browser.submit(&asked, DEACTIVATE, &values).await;
        page(&done, 200);
        shows(&done, "The account is deactivated");
        assert!(!done.html().contains("@alice:test"), "nobody is signed in any more");
        let account = admin.get(path).await.body;
        assert_eq!((&account["deactivated"], &account["erased"]), (&json!(true), &json!(true)));
        for browser in [&mut browser, &mut other] {
            assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));
        }
        assert_eq!(code(&alice.get("/_matrix/client/v3/account/whoami").await).0, 401);
    }

    async fn the_last_owner_stays(server: Server) {
        server.create("admin", true).await;
        let mut browser = server.signed_in("admin").await;
        let asked = browser.get(DEACTIVATE).await;
        let values = [("sure", "yes"), ("password", "admin's password")];
        let refused = browser.submit(&asked, DEACTIVATE, &values).await;
        page(&refused, 400);
        shows(&refused, "The last owner of the server cannot be");
        page(&browser.get(ACCOUNT).await, 200);
    }

    async fn a_new_cryptographic_identity(server: Server) {
        let alice = server.user("alice").await;
        let mut browser = server.signed_in("alice").await;
        shows(&browser.get(RESET).await, "no cryptographic identity");
        cross_sign(&alice).await;
        let second = CrossSigning::new(&alice);
        assert_eq!(alice.post(UPLOAD, second.body()).await.status, 401);
        let asked = browser.get(RESET).await;
        for (password, says) in [("", "Enter your present password."), ("wrong", "The password is wrong.")] {
            let refused = browser.submit(&asked, RESET, &[("password", password)]).await;
            page(&refused, 403);
            shows(&refused, says);
            assert_eq!(alice.post(UPLOAD, second.body()).await.status, 401);
        }
        let allow = [("password", "alice's password")];
        let allowed = browser.submit(&asked, RESET, &allow).await;
        let allowed = browser.follow(allowed).await;
        page(&allowed, 200);
        shows(&allowed, "2023-11-14 22:23 UTC");
        assert_eq!(alice.post(UPLOAD, second.body()).await, (200, json!({})));
        // Once, and for ten minutes.
        let third = CrossSigning::new(&alice);
        assert_eq!(alice.post(UPLOAD, third.body()).await.status, 401);
        let asked = browser.get(RESET).await;
        assert_eq!(browser.submit(&asked, RESET, &allow).await.status, 303);
        server.clock.advance(600_000);
        assert_eq!(alice.post(UPLOAD, third.body()).await.status, 401);
        assert_eq!(browser.submit(&asked, RESET, &allow).await.status, 303);
    }

    async fn an_account_without_a_password(server: Server) {
        let alice = server.user("alice").await;
        cross_sign(&alice).await;
        let mut browser = server.signed_in("alice").await;
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@alice:test")?.unwrap();
            reeve_store::users::set_password_hash(tx, num, None)
        }).await.unwrap();
        for path in [RESET, DEACTIVATE, "/_reeve/pages/account/password", "/_reeve/pages/account/export"] {
            let asked = browser.get(path).await;
            assert!(!form(&asked, path).fields.contains_key("password"), "{path}");
        }
        let asked = browser.get(RESET).await;
        assert_eq!(browser.submit(&asked, RESET, &[]).await.status, 303);
        assert_eq!(alice.post(UPLOAD, CrossSigning::new(&alice).body()).await, (200, json!({})));
    }
}

fn name_of(name: &str) -> (u16, serde_json::Value) {
    (200, json!({ "displayname": name }))
}
