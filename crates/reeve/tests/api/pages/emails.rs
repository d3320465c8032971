//! E-mail addresses: the page of the account, and the page of the link in a mail.

use reeve_testkit::{Browser, Server, form, on_both_engines};
use serde_json::json;

use super::{continues, page};
use crate::mail_kit::{ADD, RESET, addresses, ask, by_password, expect, set_address, sid, token, with_mail};
use crate::rooms_kit::{CS, ok};

const EMAILS: &str = "/_reeve/pages/account/emails";
/// The beginning of the action of the form that adds an address.
const ADDS: &str = "/_reeve/pages/account/emails?";
const REMOVES: &str = "/_reeve/pages/account/emails/remove";
const CONFIRM: &str = "[Example] Confirm your e-mail address";

fn link(token: &str) -> String {
    format!("/_reeve/pages/email/{token}")
}

/// Adds an address on the page of Alice's account.
async fn add(browser: &mut Browser, address: &str) {
    let emails = browser.get(EMAILS).await;
    let values = [("email", address), ("password", "alice's password")];
    let sent = browser.submit(&emails, ADDS, &values).await;
    assert_eq!(continues(&sent), format!("{EMAILS}?done=sent&lang=en"));
}

/// Opens the page of a link in another browser, and confirms; returns the page after that.
async fn confirm(server: &Server, token: &str, status: u16) -> String {
    let mut browser = server.browser();
    let shown = browser.get(&link(token)).await;
    page(&shown, 200);
    let reply = browser.submit(&shown, &link(token), &[]).await;
    let reply = browser.follow(reply).await;
    page(&reply, status).to_owned()
}

on_both_engines! {
    async fn an_address_is_added_and_removed(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        let mut browser = server.signed_in("alice").await;
        let emails = browser.get(EMAILS).await;
        assert!(page(&emails, 200).contains("Your account has no e-mail address."));
        for (values, status, text) in [
            ([("email", "alice"), ("password", "alice's password")], 400, "This is not an e-mail address."),
            ([("email", "alice@x.org"), ("password", "wrong")], 403, "The password is wrong."),
            ([("email", "alice@x.org"), ("password", "")], 403, "Enter your present password."),
        ] {
            let reply = browser.submit(&emails, ADDS, &values).await;
            assert!(page(&reply, status).contains(text), "{text}: {}", reply.html());
            assert_eq!(form(&reply, ADDS).fields["email"], values[0].1);
        }
        add(&mut browser, "Alice@X.org").await;
        assert!(page(&browser.get(&format!("{EMAILS}?done=sent")).await, 200).contains("A mail was sent to the address."));
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert_eq!(addresses(&alice).await.len(), 0);
        let token = token(&mail, "email");
        let mut elsewhere = server.browser();
        let shown = elsewhere.get(&link(&token)).await;
        for text in ["Confirm your e-mail address", "the account @alice:test:", "alice@x.org"] {
            assert!(page(&shown, 200).contains(text), "{text}: {}", shown.html());
        }
        assert_eq!(addresses(&alice).await.len(), 0, "programs open links, too");
        // A second click changes nothing.
        for _ in 0..2 {
            let reply = elsewhere.submit(&shown, &link(&token), &[]).await;
            assert_eq!(continues(&reply), format!("{}?lang=en", link(&token)));
            let done = elsewhere.follow(reply).await;
            let text = page(&done, 200);
            assert!(text.contains("It was added to the account @alice:test.") && !text.contains("<form"), "{text}");
        }
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);

        let emails = browser.get(EMAILS).await;
        let wrong = browser.submit(&emails, REMOVES, &[("password", "wrong")]).await;
        assert!(page(&wrong, 403).contains("The password is wrong."));
        let removed = browser.submit(&emails, REMOVES, &[("password", "alice's password")]).await;
        assert_eq!(continues(&removed), format!("{EMAILS}?done=removed&lang=en"));
        assert!(page(&browser.follow(removed).await, 200).contains("The address was removed."));
        assert_eq!(addresses(&alice).await.len(), 0);
        expect(&smtp, "alice@x.org", "[Example] The e-mail addresses of your account were changed").await;
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn a_form_that_is_sent_twice_causes_one_mail(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        add(&mut browser, "alice@x.org").await;
        add(&mut browser, "alice@x.org").await;
        expect(&smtp, "alice@x.org", CONFIRM).await;
        server.clock.advance(60_000);
        add(&mut browser, "alice@x.org").await;
        let second = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert_eq!(smtp.waiting().await, 0);
        assert!(confirm(&server, &token(&second, "email"), 200).await.contains("It was added"));
        // One's own address, and then the one of somebody else.
        let emails = browser.get(EMAILS).await;
        let values = [("email", "alice@x.org"), ("password", "alice's password")];
        let reply = browser.submit(&emails, ADDS, &values).await;
        assert!(page(&reply, 400).contains("This address is in use."));
        let admin = server.admin().await;
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "bob@x.org").await;
        add(&mut browser, "bob@x.org").await;
        expect(&smtp, "bob@x.org", "[Example] Your e-mail address is in use").await;
    }

    #[config(|config| config.policy.mail.next_link_hosts = vec!["app.example.org".to_owned()])]
    async fn a_client_goes_on_after_the_page(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        let next = "https://app.example.org/?a=1&b=%22";
        let body = json!({ "client_secret": "s", "email": "alice@x.org", "send_attempt": 1, "next_link": next });
        let id = ok(alice.post(ADD, body).await)["sid"].clone();
        let token = token(&expect(&smtp, "alice@x.org", CONFIRM).await, "email");
        let done = confirm(&server, &token, 200).await;
        assert!(done.contains("Go back to the app, and continue there."), "{done}");
        let escaped = next.replace('&', "&amp;").replace('/', "&#x2f;");
        assert!(done.contains(&format!("href=\"{escaped}\"")), "{done}");
        let auth = by_password("alice", "alice's password");
        let body = json!({ "sid": id, "client_secret": "s", "auth": auth });
        assert_eq!(alice.post(&format!("{CS}/account/3pid/add"), body).await, (200, json!({})));
        // The proof is used up, and the link with it.
        let mut browser = server.browser();
        assert!(page(&browser.get(&link(&token)).await, 404).contains("This link cannot be used"));
    }

    async fn links_that_are_of_no_use(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut browser = server.browser();
        for unknown in ["", "x", "%00", "..%2f", &"x".repeat(3000)] {
            let reply = browser.get(&link(unknown)).await;
            assert!(matches!(reply.status, 400 | 404), "{unknown}: {}", reply.status);
            page(&reply, reply.status);
        }
        // One that has ended, and one that a newer mail replaced.
        sid(&alice, ADD, "one@x.org", "s").await;
        let first = token(&smtp.mail().await, "email");
        let shown = browser.get(&link(&first)).await;
        assert_eq!(ask(&alice, ADD, "one@x.org", "s", 2).await.status, 200);
        let second = token(&smtp.mail().await, "email");
        let late = browser.submit(&shown, &link(&first), &[]).await;
        assert!(page(&late, 404).contains("This link cannot be used"));
        page(&browser.get(&link(&second)).await, 200);
        server.clock.advance(3_600_000);
        page(&browser.get(&link(&second)).await, 404);
        // A link to another page is none here.
        set_address(&admin, "@alice:test", "alice@x.org").await;
        let reset = browser.get("/_reeve/pages/reset").await;
        browser.submit(&reset, "/_reeve/pages/reset", &[("email", "alice@x.org")]).await;
        let chosen = token(&smtp.mail().await, "reset");
        page(&browser.get(&link(&chosen)).await, 404);
        sid(&alice, RESET, "alice@x.org", "s").await;
        let confirmed = token(&smtp.mail().await, "email");
        page(&browser.get(&format!("/_reeve/pages/reset/{confirmed}")).await, 404);
        page(&browser.get(&format!("/_reeve/pages/renew/{confirmed}")).await, 404);
        // A form of another site.
        let forged = browser.post(&link(&confirmed), &[("form_token", "x")]).await;
        page(&forged, 403);
        let opened = browser.get(&link(&confirmed)).await;
        assert!(page(&opened, 200).contains("An app wants to set a new password for the account @alice:test"));
        // The account goes between the mail and the click.
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        let gone = browser.submit(&opened, &link(&confirmed), &[]).await;
        page(&gone, 404);
    }

    async fn another_account_gets_the_address_first(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| config.policy.limits.email_addresses = 1).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut browser = server.signed_in("alice").await;
        add(&mut browser, "both@x.org").await;
        let token = token(&expect(&smtp, "both@x.org", CONFIRM).await, "email");
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "both@x.org").await;
        let taken = confirm(&server, &token, 400).await;
        assert!(taken.contains("Another account got this address meanwhile."), "{taken}");
        assert_eq!(addresses(&alice).await.len(), 0);
        set_address(&admin, "@bob:test", "bob@x.org").await;
        set_address(&admin, "@alice:test", "alice@x.org").await;
        let full = confirm(&server, &token, 400).await;
        assert!(full.contains("The account has too many e-mail addresses."), "{full}");
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
    }

    async fn a_new_password_ends_the_links_that_add_addresses(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        // Somebody else knows the password, and has begun to add an address.
        let mut thief = server.signed_in("alice").await;
        add(&mut thief, "thief@x.org").await;
        let first = token(&expect(&smtp, "thief@x.org", CONFIRM).await, "email");
        let shown = thief.get(&link(&first)).await;
        page(&shown, 200);
        let body = json!({ "new_password": "given", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        page(&thief.submit(&shown, &link(&first), &[]).await, 404);
        assert_eq!(addresses(&alice).await.len(), 0);
        // What a client asked for needs the new password besides.
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        let second = token(&expect(&smtp, "alice@x.org", CONFIRM).await, "email");
        let body = json!({ "new_password": "again", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        assert!(confirm(&server, &second, 200).await.contains("Go back to the app"));
        let body = |password: &str| json!({ "sid": id, "client_secret": "s", "auth": by_password("alice", password) });
        assert_eq!(alice.post(&format!("{CS}/account/3pid/add"), body("given")).await.status, 401);
        assert_eq!(alice.post(&format!("{CS}/account/3pid/add"), body("again")).await, (200, json!({})));
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
    }

    async fn an_account_that_cannot_get_the_address_any_more(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut browser = server.signed_in("alice").await;
        add(&mut browser, "alice@x.org").await;
        let token = token(&expect(&smtp, "alice@x.org", CONFIRM).await, "email");
        let mut elsewhere = server.browser();
        let shown = elsewhere.get(&link(&token)).await;
        let lock = async |locked: bool| {
            ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": locked })).await);
        };
        lock(true).await;
        let refused = elsewhere.submit(&shown, &link(&token), &[]).await;
        assert!(page(&refused, 401).contains("The account is locked"), "{}", refused.html());
        lock(false).await;
        assert_eq!(addresses(&alice).await.len(), 0);
        server.restart(|config| config.policy.mail.own_addresses = false).await;
        let mut elsewhere = server.again_in(&elsewhere);
        page(&elsewhere.submit(&shown, &link(&token), &[]).await, 403);
        // Nothing is lost if it was a mistake.
        server.restart(|config| config.policy.mail.own_addresses = true).await;
        assert_eq!(addresses(&server.again(&alice)).await.len(), 0);
        let done = server.again_in(&elsewhere).submit(&shown, &link(&token), &[]).await;
        assert_eq!(continues(&done), format!("{}?lang=en", link(&token)));
        assert_eq!(addresses(&server.again(&alice)).await, ["alice@x.org"]);
    }

    async fn some_people_cannot_change_addresses(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, "@alice:test", "alice@x.org").await;
        let mut browser = server.signed_in("alice").await;
        expect(&smtp, "alice@x.org", "[Example] New sign-in to your account").await;
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        let emails = browser.get(EMAILS).await;
        assert!(!page(&emails, 200).contains(REMOVES) && emails.html().contains("Add an address"));
        let token = form(&emails, ADDS).fields["form_token"].clone();
        let fields = [("address", "alice@x.org"), ("password", "alice's password"), ("form_token", &*token)];
        page(&browser.post(REMOVES, &fields).await, 403);
        server.restart(|config| config.policy.mail.own_addresses = false).await;
        let mut browser = server.again_in(&browser);
        let emails = browser.get(EMAILS).await;
        assert!(page(&emails, 200).contains("The people who run this server add addresses."));
        let fields = [("email", "new@x.org"), ("password", "alice's password"), ("form_token", &*token)];
        page(&browser.post(EMAILS, &fields).await, 403);
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn the_page_speaks_the_language_of_the_browser(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        sid(&alice, ADD, "alice@x.org", "s").await;
        let token = token(&smtp.mail().await, "email");
        let mut browser = server.browser();
        "de".clone_into(&mut browser.languages);
        let shown = browser.get(&link(&token)).await;
        assert!(page(&shown, 200).contains("<html lang=\"de\">") && shown.html().contains("Bestätigen Sie"));
        assert!(page(&browser.get(&format!("{}?lang=en", link(&token))).await, 200).contains("<html lang=\"en\">"));
    }
}
