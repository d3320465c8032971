//! Signing in and out.

use reeve_app::limits::RateLimit;
use reeve_testkit::{Browser, START_MS, form, forms, on_both_engines};
use serde_json::json;

use super::*;

const DAY_MS: i64 = 86_400_000;

/// Signs in at a page from which the browser continues at another one; returns where it continues.
async fn continue_at(browser: &mut Browser, to: &str) -> String {
    let login = browser.get(&format!("{LOGIN}?to={}", crate::rooms_kit::enc(to))).await;
    let values = [("username", "alice"), ("password", "alice's password")];
    let reply = browser.submit(&login, LOGIN, &values).await;
    continues(&reply).to_owned()
}

on_both_engines! {
    async fn from_signing_in_to_signing_out(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.browser();
        let reply = browser.get(ACCOUNT).await;
        assert_eq!(continues(&reply), format!("{LOGIN}?to=%2F_reeve%2Fpages%2Faccount"));
        assert_eq!(browser.cookie(), "", "no cookie before there is a form");
        let login = browser.follow(reply).await;
        assert!(page(&login, 200).contains("<h1>Sign in</h1>"));
        assert_eq!(form(&login, LOGIN).fields["to"], ACCOUNT);
        let before = browser.cookie().to_owned();
        assert_eq!(before.len(), 43);

        let values = [("username", "Alice "), ("password", "wrong")];
        let wrong = browser.submit(&login, LOGIN, &values).await;
        let text = page(&wrong, 403);
        assert!(text.contains("The user name or the password is wrong.") && text.contains("role=\"alert\""), "{text}");
        assert!(text.contains("aria-invalid=\"true\"") && text.contains("href=\"#password\""), "{text}");
        assert_eq!(form(&wrong, LOGIN).fields["username"], "Alice");
        assert_eq!(form(&wrong, LOGIN).fields["password"], "");
        assert_eq!(browser.cookie(), before);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));

        let signed_in = browser.submit(&wrong, LOGIN, &[("password", "alice's password")]).await;
        assert_eq!(continues(&signed_in), ACCOUNT);
        let account = browser.get(ACCOUNT).await;
        assert!(page(&account, 200).contains("@alice:test"));
        assert_eq!(continues(&browser.get(LOGIN).await), ACCOUNT, "somebody has signed in");

        let logout = browser.get("/_reeve/pages/logout").await;
        page(&logout, 200);
        let signed_in = browser.clone();
        let done = browser.submit(&logout, "/_reeve/pages/logout", &[]).await;
        assert!(asks_to_sign_in(&done));
        for mut browser in [browser, signed_in] {
            assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "the session has ended, not only the cookie");
        }
    }

    async fn names_in_every_form(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let ids = json!({ "threepids": [{ "medium": "email", "address": "Alice@Example.org" }] });
        assert_eq!(admin.put("/_synapse/admin/v2/users/@alice:test", ids).await.status, 200);
        for name in ["alice", "ALICE", "@alice:test", "@Alice:TEST", " alice ", "alice@example.org", "ALICE@example.org"] {
            let reply = server.browser().sign_in(name, "alice's password").await;
            assert_eq!(continues(&reply), ACCOUNT, "{name}");
        }
        for name in ["bob", "@alice:other", "bob@example.org", "alice:test", "@", "a@", "@alice"] {
            let reply = server.browser().sign_in(name, "alice's password").await;
            assert!(page(&reply, 403).contains("The user name or the password is wrong."), "{name}");
        }
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        let empty = browser.submit(&login, LOGIN, &[]).await;
        let text = page(&empty, 400);
        assert!(text.contains("Enter your user name") && text.contains("Enter your password."), "{text}");
    }

    async fn a_session_begins_with_a_new_cookie(server: Server) {
        server.create("alice", false).await;
        let mut victim = server.browser();
        victim.get(LOGIN).await;
        // Somebody who knows the cookie of a browser before its person signs in.
        let mut attacker = victim.clone();
        let known = attacker.cookie().to_owned();
        victim.sign_in("alice", "alice's password").await;
        assert_ne!(victim.cookie(), known);
        assert!(asks_to_sign_in(&attacker.get(ACCOUNT).await));
        // Signing in again gives another one, and ends the session before.
        let mut before = victim.clone();
        let login = before.get("/_reeve/pages/logout").await;
        let token = form(&login, "/_reeve/pages/logout").fields["form_token"].clone();
        let fields = [("username", "alice"), ("password", "alice's password"), ("form_token", token.as_str())];
        assert_eq!(continues(&victim.post(LOGIN, &fields).await), ACCOUNT);
        assert_ne!(victim.cookie(), before.cookie());
        page(&victim.get(ACCOUNT).await, 200);
        assert!(asks_to_sign_in(&before.get(ACCOUNT).await));
    }

    async fn people_continue_at_pages_of_this_server_only(server: Server) {
        server.create("alice", false).await;
        let sessions = "/_reeve/pages/account/sessions?lang=de";
        assert_eq!(continue_at(&mut server.browser(), sessions).await, sessions);
        let mut signed_in = server.signed_in("alice").await;
        for to in [
            "https://evil.example/", "//evil.example/", "/\\evil.example", "/_reeve//evil.example", "/_reeve/../x", "/_matrix/x",
            "javascript:alert(1)", "/_reeve/a\r\nb", "",
        ] {
            assert_eq!(continue_at(&mut server.browser(), to).await, ACCOUNT, "{to}");
            let reply = signed_in.get(&format!("{LOGIN}?to={}", crate::rooms_kit::enc(to))).await;
            assert_eq!(continues(&reply), ACCOUNT, "{to}");
        }
        // The field of the form is as little trusted as the link.
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        let values = [("username", "alice"), ("password", "alice's password"), ("to", "https://evil.example/")];
        assert_eq!(continues(&browser.submit(&login, LOGIN, &values).await), ACCOUNT);
    }

    async fn accounts_that_cannot_be_used(server: Server) {
        let admin = server.admin().await;
        let set = |name: &str, body| {
            let (admin, path) = (admin.clone(), format!("/_synapse/admin/v2/users/@{name}:test"));
            async move { assert_eq!(admin.put(&path, body).await.status, 200) }
        };
        for name in ["locked", "gone", "expired", "guest"] {
            server.create(name, false).await;
        }
        let mut inside = Vec::new();
        for name in ["locked", "gone", "expired"] {
            inside.push(server.signed_in(name).await);
        }
        set("locked", json!({ "locked": true })).await;
        assert_eq!(admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await.status, 200);
        let body = json!({ "user_id": "@expired:test", "expiration_ts": START_MS - 1 });
        assert_eq!(admin.post("/_synapse/admin/v1/account_validity/validity", body).await.status, 200);
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let guest = reeve_store::users::find(tx, "@guest:test")?.unwrap();
            reeve_store::users::update(tx, &guest, &reeve_model::User { is_guest: true, ..guest.clone() })
        }).await.unwrap();
        for (name, says) in [
            ("locked", "This account is locked."),
            ("gone", "The user name or the password is wrong."),
            ("expired", "The validity of this account has ended."),
            ("guest", "The user name or the password is wrong."),
        ] {
            let reply = server.browser().sign_in(name, &format!("{name}'s password")).await;
            assert!(page(&reply, 403).contains(says), "{name}: {}", reply.html());
        }
        // Of those who had signed in, a lock and a deactivation end the sessions; an account that has expired waits.
        let [locked, gone, expired] = &mut inside[..] else { panic!("three") };
        assert!(asks_to_sign_in(&locked.get(ACCOUNT).await));
        assert!(asks_to_sign_in(&gone.get(ACCOUNT).await));
        assert!(page(&expired.get(ACCOUNT).await, 403).contains("The account has expired"));
        page(&expired.get(LOGIN).await, 200);
        set("locked", json!({ "locked": false })).await;
        assert!(asks_to_sign_in(&locked.get(ACCOUNT).await), "the session does not come back");
        assert_eq!(continues(&locked.sign_in("locked", "locked's password").await), ACCOUNT);
        let body = json!({ "user_id": "@expired:test", "expiration_ts": START_MS + DAY_MS });
        assert_eq!(admin.post("/_synapse/admin/v1/account_validity/validity", body).await.status, 200);
        page(&expired.get(ACCOUNT).await, 200);
    }

    async fn passwords_that_are_switched_off(server: Server) {
        let mut server = server;
        server.create("alice", false).await;
        let mut browser = server.browser();
        let before = browser.get(LOGIN).await;
        server.restart(|config| config.policy.password_enabled = false).await;
        let mut browser = server.again_in(&browser);
        let text = browser.get(LOGIN).await;
        assert!(page(&text, 200).contains("switched off") && forms(&text).is_empty(), "{}", text.html());
        let values = [("username", "alice"), ("password", "alice's password")];
        let reply = browser.submit(&before, LOGIN, &values).await;
        assert!(page(&reply, 403).contains("switched off"), "{}", reply.html());
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.login_failed = RateLimit { per_second: 0.1, burst: 2 };
        config.rate_limits.login_address = RateLimit { per_second: 0.001, burst: 4 };
    })]
    async fn limits(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.browser();
        for _ in 0..2 {
            page(&browser.sign_in("alice", "wrong").await, 403);
        }
        let limited = browser.sign_in("alice", "alice's password").await;
        assert!(page(&limited, 429).contains("Too many requests") && limited.html().contains("10 seconds"));
        assert_eq!(limited.header("retry-after"), "10");
        server.clock.advance(10_000);
        assert_eq!(continues(&browser.sign_in("alice", "alice's password").await), ACCOUNT);
        // All of them count against the address.
        page(&server.browser().sign_in("alice", "alice's password").await, 429);
    }

    async fn sessions_end_by_themselves(server: Server) {
        server.create("alice", false).await;
        let mut idle = server.signed_in("alice").await;
        let mut used = server.signed_in("alice").await;
        server.clock.advance(29 * DAY_MS);
        page(&used.get(ACCOUNT).await, 200);
        server.clock.advance(DAY_MS + 1);
        assert!(asks_to_sign_in(&idle.get(ACCOUNT).await), "nobody used it for 30 days");
        for _ in 0..2 {
            page(&used.get(ACCOUNT).await, 200);
            server.clock.advance(29 * DAY_MS);
        }
        page(&used.get(ACCOUNT).await, 200);
        server.clock.advance(2 * DAY_MS);
        assert!(asks_to_sign_in(&used.get(ACCOUNT).await), "none lives longer than 90 days");
    }

    #[config(|config| config.policy.browser_session_idle_ms = 900_000)]
    async fn a_session_that_is_used_does_not_end_soon(server: Server) {
        server.create("alice", false).await;
        let mut idle = server.signed_in("alice").await;
        let mut used = server.signed_in("alice").await;
        for _ in 0..3 {
            server.clock.advance(600_000);
            page(&used.get(ACCOUNT).await, 200);
        }
        assert!(asks_to_sign_in(&idle.get(ACCOUNT).await));
        server.clock.advance(900_000);
        assert!(asks_to_sign_in(&used.get(ACCOUNT).await));
    }

    async fn the_oldest_session_ends(server: Server) {
        server.create("alice", false).await;
        let mut oldest = server.signed_in("alice").await;
        let mut second = None;
        for number in 0..50 {
            server.clock.advance(1000);
            let browser = server.signed_in("alice").await;
            second = second.or(Some(browser));
            if number == 48 {
                page(&oldest.get(ACCOUNT).await, 200);
            }
        }
        assert!(asks_to_sign_in(&oldest.get(ACCOUNT).await));
        page(&second.unwrap().get(ACCOUNT).await, 200);
    }
}
