//! Changing the password, and what the end of sessions does to browsers.

use reeve_accounts::policy::PasswordRules;
use reeve_testkit::{Client, Reply, Server, form, on_both_engines};
use serde_json::json;

use super::*;

const PASSWORD: &str = "/_reeve/pages/account/password";
const RIGHT: [(&str, &str); 3] =
    [("password", "alice's password"), ("new_password", "another one"), ("again", "another one")];

/// Returns true if alice can sign in with a password.
async fn has_password(server: &Server, password: &str) -> bool {
    server.browser().sign_in("alice", password).await.status == 303
}

async fn is_logged_in(client: &Client) -> bool {
    client.get("/_matrix/client/v3/account/whoami").await.status == 200
}

fn shows(reply: &Reply, text: &str) {
    assert!(reply.html().contains(text), "there is no {text:?} in {}", reply.html());
}

async fn require(admin: &Client) {
    let path = "/_reeve/admin/v1/users/@alice:test/password_change";
    assert_eq!(admin.put(path, json!({ "required": true })).await.status, 200);
}

on_both_engines! {
    #[config(|config| config.policy.password_rules = PasswordRules { require_digit: true, ..PasswordRules::default() })]
    async fn what_is_refused_changes_nothing(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        let asked = browser.get(PASSWORD).await;
        page(&asked, 200);
        shows(&asked, "at least 8 characters");
        shows(&asked, "It needs a digit.");
        shows(&asked, "autocomplete=\"new-password\"");
        for (password, new, again, status, says) in [
            ("", "passw0rds", "passw0rds", 403, "Enter your present password."),
            ("wrong", "passw0rds", "passw0rds", 403, "The password is wrong."),
            ("alice's password", "", "", 400, "Enter a new password."),
            ("alice's password", "passw0rds", "", 400, "The two entries of the new password differ."),
            ("alice's password", "passw0rds", "passw0rdz", 400, "The two entries of the new password differ."),
            ("alice's password", "0123456", "0123456", 400, "The password is too short: it needs 8 characters."),
            ("alice's password", "passwords", "passwords", 400, "The password needs a digit."),
            // A rule is told without telling whether the present password is right.
            ("wrong", "passwords", "passwords", 400, "The password needs a digit."),
        ] {
            let values = [("password", password), ("new_password", new), ("again", again)];
            let refused = browser.submit(&asked, PASSWORD, &values).await;
            page(&refused, status);
            shows(&refused, says);
            assert_eq!(form(&refused, PASSWORD).fields["new_password"], "", "{says}");
        }
        assert!(has_password(&server, "alice's password").await && !has_password(&server, "passw0rds").await);
    }

    async fn a_new_password_can_end_all_other_sessions(server: Server) {
        let (alice, mut other) = (server.user("alice").await, server.signed_in("alice").await);
        let mut browser = server.signed_in("alice").await;
        let asked = browser.get(PASSWORD).await;
        assert_eq!(form(&asked, PASSWORD).fields["end_sessions"], "yes", "it is checked");
        let keep: Vec<(&str, &str)> = RIGHT.into_iter().chain([("end_sessions", "")]).collect();
        let changed = browser.submit(&asked, PASSWORD, &keep).await;
        let changed = browser.follow(changed).await;
        page(&changed, 200);
        shows(&changed, "Your password was changed.");
        assert!(has_password(&server, "another one").await && !has_password(&server, "alice's password").await);
        assert!(is_logged_in(&alice).await);
        page(&other.get(ACCOUNT).await, 200);

        let values = [("password", "another one"), ("new_password", "a third one"), ("again", "a third one")];
        assert_eq!(browser.submit(&asked, PASSWORD, &values).await.status, 303);
        assert!(!is_logged_in(&alice).await);
        assert!(asks_to_sign_in(&other.get(ACCOUNT).await));
        page(&browser.get(ACCOUNT).await, 200);
    }

    async fn a_required_change(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let mut inside = server.signed_in("alice").await;
        require(&admin).await;
        let mut browser = server.browser();
        let login = browser.get(&format!("{LOGIN}?to=%2F_reeve%2Fpages%2Faccount%2Fsessions")).await;
        let values = [("username", "alice"), ("password", "alice's password")];
        let reply = browser.submit(&login, LOGIN, &values).await;
        assert_eq!(continues(&reply), format!("{PASSWORD}?to=%2F%5Freeve%2Fpages%2Faccount%2Fsessions"));
        let asked = browser.follow(reply).await;
        page(&asked, 200);
        shows(&asked, "You must change your password");
        // Until then the person can look, and sign out.
        for browser in [&mut browser, &mut inside] {
            let account = browser.get(ACCOUNT).await;
            page(&account, 200);
            shows(&account, "You must change your password");
            let profile = browser.get("/_reeve/pages/account/profile").await;
            let refused = browser.submit(&profile, "/_reeve/pages/account/profile", &[("displayname", "A")]).await;
            page(&refused, 403);
            shows(&refused, "You must change your password before you can do this");
        }
        let same: Vec<(&str, &str)> = vec![
            ("password", "alice's password"), ("new_password", "alice's password"), ("again", "alice's password"),
        ];
        let refused = browser.submit(&asked, PASSWORD, &same).await;
        page(&refused, 400);
        shows(&refused, "The new password must differ from the present one.");
        assert_eq!(form(&refused, PASSWORD).fields["to"], "/_reeve/pages/account/sessions");
        let changed = browser.submit(&refused, PASSWORD, &RIGHT).await;
        assert_eq!(continues(&changed), "/_reeve/pages/account/sessions");
        let account = browser.get(ACCOUNT).await;
        assert!(!account.html().contains("You must change"), "{}", account.html());
        assert!(asks_to_sign_in(&inside.get(ACCOUNT).await));
        // Signing out needs no change.
        require(&admin).await;
        let logout = browser.get("/_reeve/pages/logout").await;
        assert_eq!(browser.submit(&logout, "/_reeve/pages/logout", &[]).await.status, 303);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));
    }

    async fn acts_elsewhere_end_sessions_of_browsers(server: Server) {
        let admin = server.admin().await;
        let alice = server.user("alice").await;
        let path = "/_synapse/admin/v1/reset_password/@alice:test";
        let reset = |logout: bool| json!({ "new_password": "alice's password", "logout_devices": logout });
        let mut browser = server.signed_in("alice").await;
        assert_eq!(admin.post(path, reset(false)).await.status, 200);
        page(&browser.get(ACCOUNT).await, 200);
        assert_eq!(admin.post(path, reset(true)).await.status, 200);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "an administrator's reset");
        assert!(!is_logged_in(&alice).await);

        let alice = server.log_in("alice", "alice's password").await;
        let change = |logout: bool| json!({
            "new_password": "alice's password", "logout_devices": logout,
            "auth": {
                "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" }, "password": "alice's password",
            },
        });
        let mut browser = server.signed_in("alice").await;
        assert_eq!(alice.post("/_matrix/client/v3/account/password", change(false)).await.status, 200);
        page(&browser.get(ACCOUNT).await, 200);
        assert_eq!(alice.post("/_matrix/client/v3/account/password", change(true)).await.status, 200);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "a change in a client");
        assert!(is_logged_in(&alice).await);

        let mut browser = server.signed_in("alice").await;
        assert_eq!(alice.post("/_matrix/client/v3/logout/all", json!({})).await.status, 200);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "logout from all");

        let mut browser = server.signed_in("alice").await;
        let everywhere = "/_reeve/admin/v1/users/@alice:test/password_change";
        assert_eq!(admin.put(everywhere, json!({ "required": false, "logout_devices": true })).await.status, 200);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "an administrator's logout");
    }
}
