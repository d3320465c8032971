//! `/_reeve/pages/register`: making an account.

use reeve_app::limits::RateLimit;
use reeve_testkit::{Browser, Reply, Server, form, forms, on_both_engines};
use serde_json::json;

use super::*;
use crate::mail_kit::{self, addresses, expect, set_address, token, with_mail};
use crate::oauth_kit;
use crate::rooms_kit::{CS, enc, ok};

const SESSIONS: &str = "/_reeve/pages/account/sessions";
/// The same in the links of pages.
const TO_SESSIONS: &str = "&amp;to=%2F%5Freeve%2Fpages%2Faccount%2Fsessions";
const CREATE: &str = "[Example] Create your account";

fn link(token: &str) -> String {
    format!("{REGISTER}/{token}")
}

/// The fields of a new account.
fn entries<'a>(username: &'a str, password: &'a str) -> [(&'static str, &'a str); 2] {
    [("username", username), ("password", password)]
}

/// Makes an account with the password `a good one` in a new browser; returns the response to the form.
async fn register(server: &Server, name: &str) -> (Browser, Reply) {
    let mut browser = server.browser();
    let shown = browser.get(REGISTER).await;
    let reply = browser.submit(&shown, REGISTER, &entries(name, "a good one")).await;
    (browser, reply)
}

/// Asks for a mail in a new browser, which wants to continue at its sessions.
async fn ask(server: &Server, address: &str) -> Reply {
    let mut browser = server.browser();
    let shown = browser.get(&format!("{REGISTER}?to={}", enc(SESSIONS))).await;
    browser.submit(&shown, REGISTER, &[("email", address)]).await
}

/// True if there is an account of this name.
async fn exists(server: &Server, name: &str) -> bool {
    server.stranger().get(&format!("{CS}/profile/@{name}:test")).await.status == 200
}

/// Asserts that a page says what is wrong with a field: in the summary, and at the field.
fn refuses(reply: &Reply, field: &str, says: &str) {
    let text = page(reply, 400);
    for part in [says, "role=\"alert\"", "aria-invalid=\"true\"", &format!("href=\"#{field}\"")] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

on_both_engines! {
    #[config(open)]
    async fn an_account_is_made_and_its_person_is_signed_in(server: Server) {
        let mut browser = server.browser();
        let login = browser.get(&format!("{LOGIN}?to={}", enc(SESSIONS))).await;
        let there = format!("href=\"{REGISTER}?lang=en{TO_SESSIONS}\"");
        assert!(page(&login, 200).contains(&there), "{}", login.html());
        let shown = browser.get(&format!("{REGISTER}?to={}", enc(SESSIONS))).await;
        let back = format!("href=\"{LOGIN}?lang=en{TO_SESSIONS}\"");
        for part in ["<h1>Create an account</h1>", "your user ID is @alice:test", "must not be your name", &*back] {
            assert!(page(&shown, 200).contains(part), "{part}: {}", shown.html());
        }
        let fields: Vec<String> = form(&shown, REGISTER).fields.into_keys().collect();
        assert_eq!(fields, ["form_token", "password", "to", "username"]);
        let before = browser.clone();
        let made = browser.submit(&shown, REGISTER, &entries(" Ann ", "ann's password")).await;
        assert_eq!(continues(&made), SESSIONS);
        assert_ne!(browser.cookie(), before.cookie(), "a session begins with a new cookie");
        assert!(page(&browser.get(ACCOUNT).await, 200).contains("@ann:test"));
        let mut before = before;
        assert!(asks_to_sign_in(&before.get(ACCOUNT).await));
        let ann = server.log_in("ann", "ann's password").await;
        assert_eq!(ann.get(&format!("{CS}/profile/@ann:test")).await, (200, json!({ "displayname": "ann" })));
        // Somebody who has signed in needs no account.
        assert_eq!(continues(&browser.get(&format!("{REGISTER}?to={}", enc(SESSIONS))).await), SESSIONS);
        assert_eq!(continues(&browser.get(REGISTER).await), ACCOUNT);
    }

    #[config(open)]
    async fn people_continue_at_pages_of_this_server_only(server: Server) {
        let (_, made) = register(&server, "ann").await;
        assert_eq!(continues(&made), ACCOUNT);
        for (name, to) in [("bob", "https://evil.example/"), ("carl", "//evil.example/"), ("dora", "/_reeve/../x")] {
            let mut browser = server.browser();
            let shown = browser.get(&format!("{REGISTER}?to={}", enc(to))).await;
            assert_eq!(form(&shown, REGISTER).fields["to"], "", "{to}");
            // The field of the form is as little trusted as the link.
            let [username, password] = entries(name, "a good one");
            let made = browser.submit(&shown, REGISTER, &[username, password, ("to", to)]).await;
            assert_eq!(continues(&made), ACCOUNT, "{to}");
        }
    }

    #[config(|config| {
        open(config);
        config.policy.notices_localpart = Some("notices".to_owned());
        config.policy.password_rules.min_length = 8;
        config.policy.password_rules.require_digit = true;
    })]
    async fn what_is_refused(server: Server) {
        server.create("taken", false).await;
        let mut browser = server.browser();
        let shown = browser.get(REGISTER).await;
        for part in ["at least 8 characters", "It needs a digit."] {
            assert!(page(&shown, 200).contains(part), "{part}: {}", shown.html());
        }
        let (good, long_name, long) = ("a good 1", "a".repeat(250), "1".repeat(513));
        let (taken, bad) = ("This user name is taken.", "This cannot be a user name");
        for (username, password, field, says) in [
            ("", good, "username", "Enter a user name."),
            ("taken", good, "username", taken),
            ("TAKEN", good, "username", taken),
            ("notices", good, "username", taken),
            ("_ann", good, "username", bad),
            ("an n", good, "username", bad),
            ("änn", good, "username", bad),
            ("@ann:test", good, "username", bad),
            ("12345678", good, "username", bad),
            (&*long_name, good, "username", bad),
            ("ann-0000", "", "password", "Enter a password."),
            ("ann-0000", "short 1", "password", "The password is too short: it needs 8 characters."),
            ("ann-0000", "without one", "password", "The password needs a digit."),
            ("ann-0000", "Ann-0000", "password", "The password must not be your name."),
            ("ann-0000", &*long, "password", "The password is too long: it can have 512 characters."),
        ] {
            let reply = browser.submit(&shown, REGISTER, &entries(username, password)).await;
            refuses(&reply, field, says);
            let fields = form(&reply, REGISTER).fields;
            assert_eq!((&*fields["username"], &*fields["password"]), (username, ""));
            assert!(password.is_empty() || !reply.html().contains(password), "{password}");
        }
        // All that is wrong is said at once.
        let reply = browser.submit(&shown, REGISTER, &entries("_ann", "short")).await;
        refuses(&reply, "username", bad);
        refuses(&reply, "password", "The password is too short");
        for name in ["ann-0000", "_ann", "12345678"] {
            assert!(!exists(&server, name).await, "{name}");
        }
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));
        let made = browser.submit(&reply, REGISTER, &entries("ann-0000", good)).await;
        assert_eq!(continues(&made), ACCOUNT);
    }

    #[config(|config| {
        open(config);
        config.policy.registration_requires_token = true;
    })]
    async fn a_registration_token_is_used(server: Server) {
        let (admin, tokens) = (server.admin().await, "/_synapse/admin/v1/registration_tokens");
        for name in ["once", "never"] {
            let body = json!({ "token": name, "uses_allowed": i32::from(name == "once") });
            ok(admin.post(&format!("{tokens}/new"), body).await);
        }
        let mut browser = server.browser();
        let shown = browser.get(REGISTER).await;
        let with = |token: &'static str| {
            let [username, password] = entries("ann", "a good one");
            [username, password, ("registration_token", token)]
        };
        let missing = browser.submit(&shown, REGISTER, &with("")).await;
        refuses(&missing, "registration_token", "Enter a registration token.");
        for wrong in ["nothing", "never"] {
            let reply = browser.submit(&shown, REGISTER, &with(wrong)).await;
            refuses(&reply, "registration_token", "This registration token cannot be used.");
            assert_eq!(form(&reply, REGISTER).fields["registration_token"], wrong);
        }
        assert!(!exists(&server, "ann").await);
        let counts = async || {
            let body = ok(admin.get(&format!("{tokens}/once")).await);
            (body["pending"].clone(), body["completed"].clone())
        };
        // What is refused for another reason uses nothing.
        let [_, password, token] = with("once");
        refuses(&browser.submit(&shown, REGISTER, &[password, token]).await, "username", "Enter a user name.");
        assert_eq!(counts().await, (json!(0), json!(0)));
        let made = browser.submit(&shown, REGISTER, &with(" once ")).await;
        assert_eq!(continues(&made), ACCOUNT);
        assert_eq!(counts().await, (json!(0), json!(1)));
        let mut other = server.browser();
        let shown = other.get(REGISTER).await;
        let values = [("username", "bob"), ("password", "a good one"), ("registration_token", "once")];
        let used = other.submit(&shown, REGISTER, &values).await;
        refuses(&used, "registration_token", "This registration token cannot be used.");
        assert!(!exists(&server, "bob").await);
    }

    async fn registration_is_closed_by_default(server: Server) {
        let says = "Nobody can create an account here";
        let mut browser = server.browser();
        let shown = browser.get(REGISTER).await;
        assert!(page(&shown, 403).contains(says) && forms(&shown).is_empty(), "{}", shown.html());
        assert!(page(&browser.get(&link("x")).await, 403).contains(says));
        let login = browser.get(LOGIN).await;
        assert!(!page(&login, 200).contains(REGISTER), "{}", login.html());
        let token = form(&login, LOGIN).fields["form_token"].clone();
        let fields = [("username", "ann"), ("password", "a good one"), ("form_token", token.as_str())];
        for path in [REGISTER, &link("x")] {
            assert!(page(&browser.post(path, &fields).await, 403).contains(says), "{path}");
        }
        assert!(!exists(&server, "ann").await);
        server.create("alice", false).await;
        assert_eq!(continues(&server.signed_in("alice").await.get(REGISTER).await), ACCOUNT);
    }

    #[config(|config| {
        open(config);
        config.rate_limits.enabled = true;
        config.rate_limits.registration = RateLimit { per_second: 0.1, burst: 2 };
    })]
    async fn accounts_are_limited_by_address(server: Server) {
        let (mut browser, made) = register(&server, "ann").await;
        assert_eq!(continues(&made), ACCOUNT);
        page(&browser.get(ACCOUNT).await, 200);
        // Only accounts that are made count.
        page(&register(&server, "ann").await.1, 400);
        page(&register(&server, "_").await.1, 400);
        assert_eq!(continues(&register(&server, "bob").await.1), ACCOUNT);
        let (_, limited) = register(&server, "carl").await;
        assert!(page(&limited, 429).contains("Too many requests"));
        assert_eq!(limited.header("retry-after"), "10");
        assert!(!exists(&server, "carl").await);
        server.clock.advance(10_000);
        assert_eq!(continues(&register(&server, "carl").await.1), ACCOUNT);
    }

    #[config(|config| {
        open(config);
        config.rate_limits.enabled = true;
        config.rate_limits.registration_attempts = RateLimit { per_second: 0.1, burst: 2 };
    })]
    async fn attempts_are_limited_by_address(server: Server) {
        for _ in 0..2 {
            page(&register(&server, "_").await.1, 400);
        }
        let (_, limited) = register(&server, "ann").await;
        assert!(page(&limited, 429).contains("Too many requests"));
        assert!(!exists(&server, "ann").await);
        server.clock.advance(10_000);
        assert_eq!(continues(&register(&server, "ann").await.1), ACCOUNT);
    }

    #[config(|config| {
        open(config);
        oauth_kit::enabled(config);
    })]
    async fn a_client_asks_for_a_new_account(server: Server) {
        let client_id = oauth_kit::register(&server, oauth_kit::metadata()).await;
        let request = oauth_kit::authorize(&client_id, &[("prompt", "create")]);
        let mut browser = server.browser();
        let reply = browser.get(&request).await;
        let shown = browser.follow(reply).await;
        let made = browser.submit(&shown, REGISTER, &entries("ann", "a good one")).await;
        assert!(continues(&made).starts_with("/_reeve/pages/consent/"), "{}", continues(&made));
        let consent = browser.follow(made).await;
        assert!(page(&consent, 200).contains("My App") && consent.html().contains("@ann:test"));
        // Somebody who has signed in is asked at once.
        let reply = browser.get(&request).await;
        assert!(page(&browser.follow(reply).await, 200).contains("My App"));
    }

    #[config(open)]
    async fn an_address_can_come_with_the_account(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let mut browser = server.browser();
        let shown = browser.get(REGISTER).await;
        assert!(page(&shown, 200).contains("E-mail address (optional)"));
        let with = |name: &'static str, address: &'static str| {
            let [username, password] = entries(name, "a good one");
            [username, password, ("email", address)]
        };
        let bad = browser.submit(&shown, REGISTER, &with("ann", "ann")).await;
        refuses(&bad, "email", "This is not an e-mail address.");
        assert_eq!(form(&bad, REGISTER).fields["email"], "ann");
        assert!(!exists(&server, "ann").await);
        let made = browser.submit(&shown, REGISTER, &with("ann", " Ann@X.org ")).await;
        assert_eq!(continues(&made), ACCOUNT);
        let mail = expect(&smtp, "ann@x.org", "[Example] Confirm your e-mail address").await;
        let ann = server.log_in("ann", "a good one").await;
        assert_eq!(addresses(&ann).await.len(), 0, "nobody has proved that it is Ann's");
        mail_kit::confirm(&server, &mail).await.unwrap();
        assert_eq!(addresses(&ann).await, ["ann@x.org"]);
        // Without an address there is no mail.
        assert_eq!(continues(&register(&server, "bob").await.1), ACCOUNT);
        assert_eq!(smtp.waiting().await, 0);
        // The address of somebody else: only its person learns of it, unless the settings say otherwise.
        let mut other = server.browser();
        let shown = other.get(REGISTER).await;
        assert_eq!(continues(&other.submit(&shown, REGISTER, &with("carl", "ann@x.org")).await), ACCOUNT);
        expect(&smtp, "ann@x.org", "[Example] Your e-mail address is in use").await;
        server.restart(|config| config.policy.mail.hides_addresses = false).await;
        let mut other = server.browser();
        let shown = other.get(REGISTER).await;
        let told = other.submit(&shown, REGISTER, &with("dora", "ann@x.org")).await;
        refuses(&told, "email", "This address is in use.");
        assert!(!exists(&server, "dora").await);
        // Where administrators alone add addresses, nobody is asked for one.
        server.restart(|config| config.policy.mail.own_addresses = false).await;
        let shown = server.browser().get(REGISTER).await;
        assert!(!form(&shown, REGISTER).fields.contains_key("email"), "{}", shown.html());
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(|config| {
        open(config);
        config.policy.registration_requires_email = true;
        config.policy.registration_requires_token = true;
    })]
    async fn an_address_is_proved_first_where_it_is_required(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let admin = server.admin().await;
        ok(admin.post("/_synapse/admin/v1/registration_tokens/new", json!({ "token": "open-sesame" })).await);
        let mut browser = server.browser();
        let shown = browser.get(&format!("{REGISTER}?to={}", enc(SESSIONS))).await;
        let back = format!("href=\"{LOGIN}?lang=en{TO_SESSIONS}\"");
        assert!(page(&shown, 200).contains(&back), "{}", shown.html());
        let fields: Vec<String> = form(&shown, REGISTER).fields.into_keys().collect();
        assert_eq!(fields, ["email", "form_token", "to"]);
        let bad = ask(&server, "ann").await;
        refuses(&bad, "email", "This is not an e-mail address.");
        assert_eq!(form(&bad, REGISTER).fields["email"], "ann");
        assert_eq!(form(&bad, REGISTER).fields["to"], SESSIONS);
        let asked = ask(&server, " Ann@X.org ").await;
        assert!(page(&asked, 200).contains("A mail was sent to Ann@X.org."), "{}", asked.html());
        let token = token(&expect(&smtp, "ann@x.org", CREATE).await, "register");
        // It is no link to another page.
        for other in ["email", "reset", "renew"] {
            page(&browser.get(&format!("/_reeve/pages/{other}/{token}")).await, 404);
        }
        // Any browser opens the link, which does nothing by itself.
        let mut browser = server.browser();
        let shown = browser.get(&link(&token)).await;
        assert!(page(&shown, 200).contains("<bdi>ann@x.org</bdi>"), "{}", shown.html());
        let fields: Vec<String> = form(&shown, &link(&token)).fields.into_keys().collect();
        assert_eq!(fields, ["form_token", "password", "registration_token", "username"]);
        let with = |name: &'static str, key: &'static str| {
            let [username, password] = entries(name, "a good one");
            [username, password, ("registration_token", key)]
        };
        let wrong = browser.submit(&shown, &link(&token), &with("admin", "x")).await;
        refuses(&wrong, "username", "This user name is taken.");
        refuses(&wrong, "registration_token", "This registration token cannot be used.");
        assert!(!exists(&server, "ann").await);
        let made = browser.submit(&wrong, &link(&token), &with("ann", "open-sesame")).await;
        assert_eq!(continues(&made), SESSIONS, "where the person wanted to continue");
        assert!(page(&browser.get(ACCOUNT).await, 200).contains("@ann:test"));
        let used = server.browser().get(&link(&token)).await;
        assert!(page(&used, 404).contains("This link cannot be used"));
        assert!(used.html().contains(&format!("href=\"{REGISTER}?lang=en\"").replace('/', "&#x2f;")), "{}", used.html());
        assert_eq!(smtp.waiting().await, 0, "nobody is told of the first session");
        assert_eq!(addresses(&server.log_in("ann", "a good one").await).await, ["ann@x.org"]);
        expect(&smtp, "ann@x.org", "[Example] New sign-in to your account").await;
        // Clients prove an address in their own way.
        let body = json!({ "username": "bob", "password": "a good one", "auth": { "type": "m.login.dummy" } });
        assert_eq!(server.stranger().post(&format!("{CS}/register"), body).await.status, 401);
    }

    #[config(|config| {
        open(config);
        config.policy.registration_requires_email = true;
    })]
    async fn links_to_the_page_end(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let admin = server.admin().await;
        // A form that is sent twice causes one mail.
        ask(&server, "ann@x.org").await;
        ask(&server, "ann@x.org").await;
        let first = token(&expect(&smtp, "ann@x.org", CREATE).await, "register");
        assert_eq!(smtp.waiting().await, 0);
        let mut browser = server.browser();
        let shown = browser.get(&link(&first)).await;
        // Another account gets the address between the mail and the click.
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "ann@x.org").await;
        let taken = browser.submit(&shown, &link(&first), &entries("ann", "a good one")).await;
        assert!(page(&taken, 400).contains("Another account got this address meanwhile."), "{}", taken.html());
        assert!(!exists(&server, "ann").await);
        // The page says nothing of that to others.
        let asked = ask(&server, "ann@x.org").await;
        assert!(page(&asked, 200).contains("A mail was sent to ann@x.org."));
        assert_eq!(smtp.waiting().await, 0, "the same form, within a minute");
        server.clock.advance(60_000);
        page(&ask(&server, "ann@x.org").await, 200);
        expect(&smtp, "ann@x.org", "[Example] You have an account already").await;
        set_address(&admin, "@bob:test", "bob@x.org").await;
        expect(&smtp, "ann@x.org", "[Example] The e-mail addresses of your account were changed").await;
        server.clock.advance(3_600_000);
        let late = browser.submit(&shown, &link(&first), &entries("ann", "a good one")).await;
        assert!(page(&late, 404).contains("This link cannot be used"));
        assert!(!exists(&server, "ann").await);
        // A form of another site.
        ask(&server, "carl@x.org").await;
        let second = token(&expect(&smtp, "carl@x.org", CREATE).await, "register");
        let [username, password] = entries("carl", "a good one");
        page(&browser.post(&link(&second), &[username, password, ("form_token", "x")]).await, 403);
        server.restart(|config| config.policy.mail.hides_addresses = false).await;
        refuses(&ask(&server, "bob@x.org").await, "email", "This address is in use.");
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(open)]
    async fn the_page_speaks_the_language_of_the_browser(server: Server) {
        let mut browser = server.browser();
        "de".clone_into(&mut browser.languages);
        let shown = browser.get(REGISTER).await;
        assert!(page(&shown, 200).contains("<h1>Ein Konto anlegen</h1>"), "{}", shown.html());
        let refused = browser.submit(&shown, REGISTER, &[]).await;
        refuses(&refused, "username", "Geben Sie einen Benutzernamen ein.");
    }
}
