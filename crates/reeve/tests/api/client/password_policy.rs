//! `/_matrix/client/v3/password_policy`, and the passwords that users choose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reeve_accounts::policy::PasswordRules;
use reeve_testkit::{Config, on_both_engines};
use serde_json::{Value, json};
use sha1::Sha1;

use super::register::REGISTER;

const POLICY: &str = "/_matrix/client/v3/password_policy";
const PASSWORD: &str = "/_matrix/client/v3/account/password";

fn usual(config: &mut Config) {
    config.policy.registration_enabled = true;
    config.policy.password_rules = PasswordRules::default();
}

fn strict(config: &mut Config) {
    usual(config);
    config.policy.registration_shared_secret = Some("shared".to_owned());
    config.policy.password_rules = PasswordRules {
        min_length: 10,
        require_digit: true,
        require_symbol: true,
        require_lowercase: true,
        require_uppercase: true,
    };
}

/// Passwords that a strict server refuses, for an account named `weak-Name-1`, with the reasons.
fn weak() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("pw", "M_PASSWORD_TOO_SHORT", "The password is too short: it needs 10 characters"),
        ("Nine-char", "M_PASSWORD_TOO_SHORT", "The password is too short: it needs 10 characters"),
        ("No-digit-in-it", "M_PASSWORD_NO_DIGIT", "The password needs a digit"),
        (
            "NoSymbolInIt1",
            "M_PASSWORD_NO_SYMBOL",
            "The password needs a character that is neither a letter nor a digit",
        ),
        ("no-uppercase-1", "M_PASSWORD_NO_UPPERCASE", "The password needs an uppercase letter"),
        ("NO-LOWERCASE-1", "M_PASSWORD_NO_LOWERCASE", "The password needs a lowercase letter"),
        ("Weak-Name-1", "M_WEAK_PASSWORD", "The password must not be the name of the account"),
        ("@Weak-Name-1:test", "M_WEAK_PASSWORD", "The password must not be the name of the account"),
    ]
}

const STRONG: &str = "Correct horse 1";

fn dummy() -> Value {
    json!({ "type": "m.login.dummy" })
}

on_both_engines! {
    #[config(usual)]
    async fn the_usual_policy(server: Server) {
        let stranger = server.stranger();
        for path in [POLICY, "/_matrix/client/r0/password_policy", "/_matrix/client/unstable/password_policy"] {
            let usual = json!({
                "m.minimum_length": 8,
                "m.require_digit": false,
                "m.require_symbol": false,
                "m.require_lowercase": false,
                "m.require_uppercase": false,
            });
            assert_eq!(stranger.get(path).await, (200, usual), "{path}");
        }
        let seven = json!({ "username": "ann", "password": "7 chars", "auth": dummy() });
        assert_eq!(
            stranger.post(REGISTER, seven).await.refusal(),
            (400, "M_PASSWORD_TOO_SHORT", "The password is too short: it needs 8 characters")
        );
        let eight = json!({ "username": "ann", "password": "8 chars.", "auth": dummy() });
        assert_eq!(stranger.post(REGISTER, eight).await.status, 200);
    }

    #[config(strict)]
    async fn registration(server: Server) {
        let stranger = server.stranger();
        assert_eq!(stranger.get(POLICY).await.body["m.minimum_length"], 10);
        assert_eq!(stranger.get(POLICY).await.body["m.require_digit"], true);
        for (password, errcode, error) in weak() {
            // Also in the first of several requests, so that the error does not come at the end.
            for auth in [Value::Null, dummy()] {
                let body = json!({ "username": "weak-name-1", "password": password, "auth": auth });
                assert_eq!(stranger.post(REGISTER, body).await.refusal(), (400, errcode, error), "{password}");
            }
        }
        let body = json!({ "username": "weak-name-1", "password": STRONG, "auth": dummy() });
        assert_eq!(stranger.post(REGISTER, body).await.status, 200);
    }

    #[config(usual)]
    async fn a_name_that_comes_after_its_password(server: Server) {
        let stranger = server.stranger();
        let first = stranger.post(REGISTER, json!({ "password": "annabella" })).await;
        assert_eq!(first.status, 401);
        let auth = json!({ "type": "m.login.dummy", "session": first.text("session") });
        let named = stranger.post(REGISTER, json!({ "username": "Annabella", "auth": auth })).await;
        assert_eq!(named.refusal(), (400, "M_WEAK_PASSWORD", "The password must not be the name of the account"));
        let other = stranger.post(REGISTER, json!({ "username": "anna", "auth": auth })).await;
        assert_eq!((other.status, other.text("user_id")), (200, "@anna:test"));
        server.log_in("anna", "annabella").await;
    }

    #[config(strict)]
    async fn changing_a_password(server: Server) {
        let user = server.user("weak-name-1").await;
        let auth = json!({ "type": "m.login.password", "user": "weak-name-1", "password": "weak-name-1's password" });
        for (password, errcode, error) in weak() {
            for auth in [Value::Null, auth.clone()] {
                let body = json!({ "new_password": password, "auth": auth });
                assert_eq!(user.post(PASSWORD, body).await.refusal(), (400, errcode, error), "{password}");
            }
        }
        server.log_in("weak-name-1", "weak-name-1's password").await;
        let reply = user.post(PASSWORD, json!({ "new_password": STRONG, "auth": auth })).await;
        assert_eq!(reply, (200, json!({})));
        server.log_in("weak-name-1", STRONG).await;
    }

    #[config(strict)]
    async fn administrators_give_any_password(server: Server) {
        let admin = server.admin().await;
        let put = admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "password": "bob" })).await;
        assert_eq!(put.status, 201);
        server.log_in("bob", "bob").await;
        let put = admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "password": "pw" })).await;
        assert_eq!(put.status, 200);
        server.log_in("bob", "pw").await;
        let reset = admin.post("/_synapse/admin/v1/reset_password/@bob:test", json!({ "new_password": "p" })).await;
        assert_eq!(reset, (200, json!({})));
        server.log_in("bob", "p").await;

        let register = "/_synapse/admin/v1/register";
        let nonce = server.stranger().get(register).await.text("nonce").to_owned();
        let mut mac = Hmac::<Sha1>::new_from_slice(b"shared").unwrap();
        mac.update(format!("{nonce}\0carol\0pw\0notadmin").as_bytes());
        let mac = reeve_model::encoding::hex(&mac.finalize().into_bytes());
        let body = json!({ "nonce": nonce, "username": "carol", "password": "pw", "admin": false, "mac": mac });
        assert_eq!(server.stranger().post(register, body).await.status, 200);
        server.log_in("carol", "pw").await;
    }
}
