//! `/_reeve/pages/reset`: a new password for people who lost theirs.

use reeve_testkit::{Reply, Server, form, on_both_engines};
use serde_json::json;

use super::{ACCOUNT, LOGIN, asks_to_sign_in, continues, page};
use crate::mail_kit::{expect, set_address, token, with_mail};
use crate::rooms_kit::{CS, ok};

const RESET: &str = "/_reeve/pages/reset";
const CHOOSE: &str = "[Example] Choose a new password";

fn link(token: &str) -> String {
    format!("{RESET}/{token}")
}

/// Asks for a mail in a new browser.
async fn ask(server: &Server, address: &str) -> Reply {
    let mut browser = server.browser();
    let shown = browser.get(RESET).await;
    browser.submit(&shown, RESET, &[("email", address)]).await
}

/// The two entries of a new password.
fn entries<'a>(new: &'a str, again: &'a str) -> [(&'static str, &'a str); 2] {
    [("new_password", new), ("again", again)]
}

/// Alice, who has an address.
async fn people(server: &Server) {
    let admin = server.admin().await;
    server.create("alice", false).await;
    set_address(&admin, "@alice:test", "alice@x.org").await;
}

on_both_engines! {
    async fn a_lost_password_is_set(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| config.policy.password_rules.min_length = 8).await;
        people(&server).await;
        let (alice, mut signed_in) = (server.log_in("alice", "alice's password").await, server.signed_in("alice").await);
        for _ in 0..2 {
            expect(&smtp, "alice@x.org", "[Example] New sign-in to your account").await;
        }
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        assert!(page(&login, 200).contains("href=\"/_reeve/pages/reset?lang=en\""), "{}", login.html());
        let asked = ask(&server, " Alice@X.org ").await;
        assert!(page(&asked, 200).contains("A mail was sent to Alice@X.org."), "{}", asked.html());
        let mail = expect(&smtp, "alice@x.org", CHOOSE).await;
        let token = token(&mail, "reset");
        let shown = browser.get(&link(&token)).await;
        for text in ["the account @alice:test", "at least 8 characters", "All your browsers and clients are signed out"] {
            assert!(page(&shown, 200).contains(text), "{text}: {}", shown.html());
        }
        for (values, text) in [
            (entries("", ""), "Enter a new password."),
            (entries("a good one", "another one"), "The two entries of the new password differ."),
            (entries("short", "short"), "The password is too short: it needs 8 characters."),
            (entries("@alice:test", "@alice:test"), "The password must not be your name."),
        ] {
            let refused = browser.submit(&shown, &link(&token), &values).await;
            assert!(page(&refused, 400).contains(text), "{text}: {}", refused.html());
        }
        assert_eq!(alice.get(&format!("{CS}/account/whoami")).await.status, 200);
        let done = browser.submit(&shown, &link(&token), &entries("a good one", "a good one")).await;
        assert_eq!(continues(&done), format!("{RESET}?done=yes&lang=en"));
        assert!(page(&browser.follow(done).await, 200).contains("Your password was changed. Sign in with it."));
        expect(&smtp, "alice@x.org", "[Example] Your password was changed").await;
        assert_eq!(alice.get(&format!("{CS}/account/whoami")).await.status, 401);
        assert!(asks_to_sign_in(&signed_in.get(ACCOUNT).await));
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await), "the person signs in with the new password");
        server.log_in("alice", "a good one").await;
        // The link is used up, also for a second click.
        let again = browser.submit(&shown, &link(&token), &entries("a good one", "a good one")).await;
        assert!(page(&again, 404).contains("This link cannot be used"));
        assert!(again.html().contains("Choose a new password"), "{}", again.html());
    }

    async fn the_page_says_nothing_about_the_address(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        let (known, unknown) = (ask(&server, "alice@x.org").await, ask(&server, "nobody@x.org").await);
        let plain = |reply: &Reply, address: &str| page(reply, 200).replace(address, "ADDRESS");
        assert_eq!(plain(&known, "alice@x.org"), plain(&unknown, "nobody@x.org"));
        let mut subjects = Vec::new();
        for _ in 0..2 {
            let mail = smtp.mail().await;
            subjects.push((mail.to.clone(), crate::mail_kit::header(&mail, "Subject")));
        }
        subjects.sort();
        let none = "[Example] No account has this e-mail address";
        let wanted = [("alice@x.org", CHOOSE), ("nobody@x.org", none)];
        assert_eq!(subjects, wanted.map(|(to, subject)| (to.to_owned(), subject.to_owned())));
        // A form that is sent twice causes one mail.
        ask(&server, "alice@x.org").await;
        ask(&server, "nobody@x.org").await;
        assert_eq!(smtp.waiting().await, 0);
        let bad = ask(&server, "alice").await;
        assert!(page(&bad, 400).contains("This is not an e-mail address."));
        assert_eq!(form(&bad, RESET).fields["email"], "alice");
        server.restart(|config| config.policy.mail.hides_addresses = false).await;
        let told = ask(&server, "other@x.org").await;
        assert!(page(&told, 400).contains("No account has this address."));
    }

    async fn a_required_change_needs_another_password(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        let admin = server.log_in("admin", "admin's password").await;
        let path = "/_reeve/admin/v1/users/@alice:test/password_change";
        ok(admin.put(path, json!({ "required": true })).await);
        ask(&server, "alice@x.org").await;
        let token = token(&expect(&smtp, "alice@x.org", CHOOSE).await, "reset");
        let mut browser = server.browser();
        let shown = browser.get(&link(&token)).await;
        let old = "alice's password";
        let same = browser.submit(&shown, &link(&token), &entries(old, old)).await;
        assert!(page(&same, 400).contains("The new password must differ from the present one."));
        let done = browser.submit(&shown, &link(&token), &entries("new", "new")).await;
        assert_eq!(continues(&done), format!("{RESET}?done=yes&lang=en"));
        assert_eq!(ok(admin.get(path).await), json!({ "required": false }));
    }

    async fn links_end(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        let admin = server.log_in("admin", "admin's password").await;
        let mut browser = server.browser();
        let mut shown = Vec::new();
        for _ in 0..3 {
            ask(&server, "alice@x.org").await;
            let token = token(&expect(&smtp, "alice@x.org", CHOOSE).await, "reset");
            shown.push((browser.get(&link(&token)).await, token));
            server.clock.advance(60_000);
        }
        // Each of them works until one is used: then all are over.
        let (page_of_last, last) = shown.pop().unwrap();
        let done = browser.submit(&page_of_last, &link(&last), &entries("new", "new")).await;
        assert_eq!(done.status, 303);
        for (shown, token) in shown {
            page(&browser.submit(&shown, &link(&token), &entries("newer", "newer")).await, 404);
        }
        expect(&smtp, "alice@x.org", "[Example] Your password was changed").await;
        // The address moves to another account.
        ask(&server, "alice@x.org").await;
        let moved = token(&expect(&smtp, "alice@x.org", CHOOSE).await, "reset");
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "alice@x.org").await;
        page(&browser.get(&link(&moved)).await, 404);
        expect(&smtp, "alice@x.org", "[Example] The e-mail addresses of your account were changed").await;
        // The time is over.
        server.clock.advance(60_000);
        ask(&server, "alice@x.org").await;
        let late = token(&expect(&smtp, "alice@x.org", CHOOSE).await, "reset");
        let shown = browser.get(&link(&late)).await;
        server.clock.advance(3_600_000);
        page(&browser.submit(&shown, &link(&late), &entries("newer", "newer")).await, 404);
        server.log_in("bob", "bob's password").await;
    }

    async fn mails_are_limited(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| {
            config.rate_limits.enabled = true;
            config.rate_limits.email_recipient.burst = 1;
        })
        .await;
        assert_eq!(ask(&server, "one@x.org").await.status, 200);
        smtp.mail().await;
        server.clock.advance(60_000);
        page(&ask(&server, "one@x.org").await, 429);
        assert_eq!(ask(&server, "two@x.org").await.status, 200);
    }

    async fn without_a_mail_server(server: Server) {
        let mut browser = server.browser();
        let shown = browser.get(RESET).await;
        assert!(page(&shown, 200).contains("This server sets no passwords by mail."));
        assert!(!page(&browser.get(LOGIN).await, 200).contains("/_reeve/pages/reset"));
        page(&browser.get(&link("x")).await, 200);
        let token = form(&browser.get(LOGIN).await, LOGIN).fields["form_token"].clone();
        let fields = [("email", "a@x.org"), ("form_token", &*token)];
        page(&browser.post(RESET, &fields).await, 403);
    }
}
