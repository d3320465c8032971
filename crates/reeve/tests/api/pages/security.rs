//! Properties of every page: forms of other sites, strangers, headers, escaping.

use http::Method;
use reeve_app::{Access, Family, Route};
use reeve_testkit::{Client, Server, form, forms, on_both_engines};
use serde_json::{Value, json};

use super::*;
use crate::common::filled;

/// Returns the routes of pages with a method.
fn routes(method: &Method) -> Vec<std::sync::Arc<Route>> {
    let mut routes = reeve::server::routes();
    routes.retain(|route| route.family() == Family::Page && route.method == *method);
    assert!(routes.len() > 5, "{method}");
    routes
}

/// Returns what forms could change of an account.
async fn snapshot(server: &Server, admin: &Client, alice: &Client) -> Vec<Value> {
    let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
    let now = server.clock.now();
    let browsers =
        server.app().db.read(move |tx| reeve_store::browser_sessions::of_user(tx, num, now)).await.unwrap();
    let hash = server.app().db.read(move |tx| reeve_store::users::password_hash(tx, num)).await.unwrap();
    // Before the rest, since it shows in the list of devices.
    let whoami = alice.get("/_matrix/client/v3/account/whoami").await.body;
    let mut all = vec![json!(browsers.len()), json!(hash), whoami];
    for path in [
        "/_synapse/admin/v2/users/@alice:test",
        "/_synapse/admin/v2/users/@alice:test/devices",
        "/_reeve/admin/v1/users/@alice:test/exports",
        "/_reeve/admin/v1/audit",
    ] {
        let reply = admin.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        all.push(reply.body);
    }
    all
}

/// Returns the names and values that make a form of a route complete, so that only its token is missing.
fn fields(route: &Route) -> Vec<(&'static str, &'static str)> {
    let password = ("password", "alice's password");
    match route.doc.id {
        "signIn" => vec![("username", "alice"), password],
        "registerByPage" | "registerByLink" => vec![("username", "mallory"), password],
        "savePassword" => {
            vec![password, ("new_password", "another one"), ("again", "another one"), ("end_sessions", "yes")]
        }
        "saveProfile" => vec![("displayname", "Mallory")],
        "addEmail" => vec![("email", "mallory@example.org"), password],
        "askForRecovery" => vec![("email", "alice@example.org")],
        "recoverPassword" => vec![("new_password", "another one"), ("again", "another one")],
        "deactivateByPage" => vec![("sure", "yes"), ("erase", "yes"), password],
        _ => vec![password],
    }
}

on_both_engines! {
    #[config(open)]
    async fn no_form_of_another_site_is_taken(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut browser = server.signed_in("alice").await;
        let mut other = server.browser();
        let login = other.get(LOGIN).await;
        let foreign = form(&login, LOGIN).fields["form_token"].clone();
        let own = browser.get("/_reeve/pages/logout").await;
        let own = form(&own, "/_reeve/pages/logout").fields["form_token"].clone();
        assert_ne!(own, foreign);
        // The cookie itself is no token.
        let cookie = browser.cookie().to_owned();
        let before = snapshot(&server, &admin, &alice).await;
        for route in routes(&Method::POST) {
            let path = filled(route.path());
            for token in [None, Some(""), Some("x"), Some(&*foreign), Some(&*cookie)] {
                let mut fields = fields(&route);
                fields.extend(token.map(|token| ("form_token", token)));
                let reply = browser.post(&path, &fields).await;
                assert_eq!(reply.status, 403, "{path} with {token:?}: {}", reply.html());
                assert!(reply.html().contains("The form is not from a page of this browser"), "{path}");
                // Without a cookie no token fits.
                let mut nobody = server.browser();
                let reply = nobody.post(&path, &fields).await;
                let refused = if route.admission.access == Access::SignedIn { 401 } else { 403 };
                assert_eq!(reply.status, refused, "{path} with {token:?}");
            }
            assert_eq!(snapshot(&server, &admin, &alice).await, before, "{path}");
        }
        page(&browser.get(ACCOUNT).await, 200);
        // A form that is none, or has a field twice.
        for (kind, body) in [("application/json", "{}"), ("text/plain", "displayname=x")] {
            let cookie = format!("__Host-reeve={}", browser.cookie());
            let headers = [("cookie", &*cookie), ("content-type", kind)];
            let reply = server.stranger().send(Method::POST, "/_reeve/pages/account/profile", &headers, body).await;
            assert_eq!(reply.status, 400, "{kind}");
        }
        let twice = [("form_token", &*own), ("displayname", "a"), ("displayname", "b")];
        assert_eq!(browser.post("/_reeve/pages/account/profile", &twice).await.status, 400);
        assert_eq!(snapshot(&server, &admin, &alice).await, before);
        // With the token of the browser it is taken.
        let right = [("form_token", &*own), ("displayname", "Alice A.")];
        assert_eq!(browser.post("/_reeve/pages/account/profile", &right).await.status, 303);
        assert_ne!(snapshot(&server, &admin, &alice).await, before);
    }

    #[config(open)]
    async fn strangers_sign_in_first(server: Server) {
        for route in routes(&Method::GET) {
            let path = filled(route.path());
            let reply = server.browser().get(&path).await;
            if route.admission.access == Access::SignedIn {
                let to = path.replace('/', "%2F");
                assert_eq!(continues(&reply), format!("{LOGIN}?to={to}"), "{path}");
                // A cookie that this server did not set, or of a session that is over.
                let mut browser = server.browser();
                browser.cookies.insert("__Host-reeve".to_owned(), "x".repeat(43));
                assert!(asks_to_sign_in(&browser.get(&path).await), "{path}");
            } else {
                assert!(!matches!(reply.status, 401 | 403 | 500), "{path}: {}", reply.status);
            }
        }
        let reply = server.browser().get("/_reeve/pages/account/session?device_id=A%26B").await;
        assert_eq!(continues(&reply), format!("{LOGIN}?to=%2F_reeve%2Fpages%2Faccount%2Fsession%3Fdevice_id%3DA%2526B"));
    }

    async fn a_token_of_a_client_is_no_session_of_a_browser(server: Server) {
        let alice = server.user("alice").await;
        assert!(asks_to_sign_in(&alice.get(ACCOUNT).await));
        // Nor the other way round.
        let browser = server.signed_in("alice").await;
        let reply = server.with_token(browser.cookie()).get("/_matrix/client/v3/account/whoami").await;
        assert_eq!(reply.refusal().1, "M_UNKNOWN_TOKEN");
        let cookie = format!("__Host-reeve={}", browser.cookie());
        let headers = [("cookie", &*cookie)];
        let reply = server.stranger().send(Method::GET, "/_matrix/client/v3/account/whoami", &headers, "").await;
        assert_eq!(reply.refusal().1, "M_MISSING_TOKEN");
    }

    async fn headers_of_every_page(server: Server) {
        server.create("alice", false).await;
        let mut signed_in = server.signed_in("alice").await;
        let mut nobody = server.browser();
        let mut replies = Vec::new();
        for route in routes(&Method::GET) {
            let path = filled(route.path());
            for browser in [&mut signed_in, &mut nobody] {
                replies.push((path.clone(), browser.get(&path).await));
            }
        }
        replies.push(("none".to_owned(), nobody.get("/_reeve/pages/none").await));
        replies.push(("form".to_owned(), nobody.post(LOGIN, &[]).await));
        let put = server.stranger().put(LOGIN, json!({})).await;
        assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD, OPTIONS, POST"));
        replies.push(("put".to_owned(), put));
        replies.push(("options".to_owned(), server.stranger().send(Method::OPTIONS, LOGIN, &[], "").await));
        for (path, reply) in replies {
            let policy = reply.header("content-security-policy");
            for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            for (name, value) in [
                ("x-frame-options", "DENY"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
                ("access-control-allow-origin", ""),
            ] {
                assert_eq!(reply.header(name), value, "{path}: {name}");
            }
            assert!(reply.header("cache-control").contains("no-store"), "{path}");
            assert!(!reply.header("x-request-id").is_empty(), "{path}");
        }
    }

    async fn the_cookie_is_for_this_host_and_not_for_scripts(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.browser();
        let login = browser.get(LOGIN).await;
        let values = [("username", "alice"), ("password", "alice's password")];
        let signed_in = browser.submit(&login, LOGIN, &values).await;
        for reply in [&login, &signed_in] {
            let cookie = reply.header("set-cookie");
            assert!(cookie.starts_with("__Host-reeve="), "{cookie}");
            for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
                assert!(cookie.contains(part), "{cookie}");
            }
        }
        assert_eq!(browser.get(ACCOUNT).await.header("set-cookie"), "", "it is given once");
    }

    async fn texts_of_people_are_escaped(server: Server) {
        const NAME: &str = "<script>alert(1)</script>\"'&";
        let alice = server.user("alice").await;
        let name = json!({ "displayname": NAME });
        assert_eq!(alice.put("/_matrix/client/v3/profile/@alice:test/displayname", name).await.status, 200);
        let device = format!("/_matrix/client/v3/devices/{}", alice.device_id);
        assert_eq!(alice.put(&device, json!({ "display_name": NAME })).await.status, 200);
        let mut browser = server.browser();
        browser.set_user_agent(NAME);
        assert_eq!(browser.sign_in("alice", "alice's password").await.status, 303);
        let session = format!("{ACCOUNT}/session?device_id={}", alice.device_id);
        for path in [ACCOUNT, "/_reeve/pages/account/profile", "/_reeve/pages/account/sessions", &*session] {
            let reply = browser.get(path).await;
            let text = page(&reply, 200);
            assert!(!text.contains("<script") && text.contains("&lt;script&gt;alert(1)"), "{path}: {text}");
        }
        let profile = browser.get("/_reeve/pages/account/profile").await;
        assert_eq!(form(&profile, "/_reeve/pages/account/profile").fields["displayname"], NAME);
        // A name that was entered comes back as it was.
        let login = server.browser().sign_in(NAME, "x").await;
        assert_eq!(form(&login, LOGIN).fields["username"], NAME);
        for (path, shown) in [("/_reeve/pages/<script>", 404), ("/_reeve/pages/account?lang=<script>", 200)] {
            let text = browser.get(&path.replace('<', "%3C").replace('>', "%3E")).await;
            assert!(!page(&text, shown).contains("<script"), "{path}");
        }
    }

    async fn nothing_is_in_a_page_that_the_policy_forbids(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        let mut seen = 0;
        for route in routes(&Method::GET) {
            let reply = browser.get(&filled(route.path())).await;
            if reply.status != 200 || !reply.header("content-type").starts_with("text/html") {
                continue;
            }
            let text = reply.html();
            for forbidden in ["<script", "<style", " style=", "javascript:", " onclick", " onload", "http://", "https://"] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", route.path());
            }
            for form in forms(&reply) {
                assert!(form.fields.contains_key("form_token"), "{}: {form:?}", route.path());
            }
            seen += 1;
        }
        assert!(seen > 6, "{seen}");
    }

    async fn errors_are_pages(server: Server) {
        let mut browser = server.browser();
        let missing = browser.get("/_reeve/pages/nothing").await;
        let text = page(&missing, 404);
        assert!(text.contains("This page does not exist") && text.contains(missing.header("x-request-id")), "{text}");
        assert!(!text.contains("M_UNRECOGNIZED"), "{text}");
        page(&browser.get("/_reeve/pages/assets/none.css").await, 404);
        let large = "x".repeat(2_000_000);
        page(&browser.post(LOGIN, &[("username", &*large)]).await, 413);
        // The session of a form that was open has ended.
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        let profile = browser.get("/_reeve/pages/account/profile").await;
        let mut elsewhere = browser.clone();
        let logout = elsewhere.get("/_reeve/pages/logout").await;
        elsewhere.submit(&logout, "/_reeve/pages/logout", &[]).await;
        let reply = browser.submit(&profile, "/_reeve/pages/account/profile", &[("displayname", "A")]).await;
        assert!(page(&reply, 401).contains("You are signed out") && reply.html().contains(LOGIN));
    }
}
