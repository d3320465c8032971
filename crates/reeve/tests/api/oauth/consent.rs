//! `/_reeve/pages/consent/{request}`

use reeve_testkit::{on_both_engines, unescaped};
use serde_json::json;

use crate::oauth_kit::*;

on_both_engines! {
    #[config(enabled)]
    async fn what_a_person_is_told(server: Server) {
        let alice = server.user("alice").await;
        let sent = changed(json!({
            "client_name": "<b>My App</b>",
            "client_name#de": "Meine App",
            "policy_uri": "https://example.com/policy",
            "tos_uri": "https://example.com/terms",
            "tos_uri#de": "https://example.com/de/terms",
        }));
        let client_id = register(&server, sent).await;
        let mut browser = person(&server, "alice").await;
        let path = asked(&mut browser, &authorize(&client_id, &[])).await;
        let page = browser.open(&path).await;
        assert!(page.html().contains("&lt;b&gt;My App&lt;"), "{}", page.html());
        let text = unescaped(page.html());
        for part in [
            "<bdi>example.com</bdi>", "<bdi>app.example.com</bdi>", "<bdi>@alice:test</bdi>", "<code>PHONE</code>",
            "https://example.com/policy", "https://example.com/terms",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Nothing is loaded from elsewhere, and the form ends at this server or at the client.
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://app.example.com;"), "{policy}");
        assert!(policy.contains("default-src 'none'") && policy.contains("img-src 'self' data:"), "{policy}");
        let german = browser.open(&format!("{path}?lang=de")).await;
        let text = unescaped(german.html());
        assert!(text.contains("Meine App") && text.contains("https://example.com/de/terms"), "{text}");
        // A session that ends is named.
        let request = authorize(&client_id, &[("scope", &scope(&alice.device_id))]);
        let path = asked(&mut browser, &request).await;
        let page = browser.open(&path).await;
        assert!(page.html().contains(&format!("<bdi>{}</bdi>", alice.device_id)), "{}", page.body);
    }

    // A client may do what its account may.
    #[config(enabled)]
    async fn administrators_are_told_what_they_give_away(server: Server) {
        server.create("admin", true).await;
        server.create("alice", false).await;
        let (client_id, scope) = (register(&server, metadata()).await, scope("TV"));
        for (name, wanted) in [("admin", true), ("alice", false)] {
            let mut browser = person(&server, name).await;
            let path = asked(&mut browser, &authorize(&client_id, &[])).await;
            let page = browser.open(&path).await;
            assert_eq!(page.html().contains("Administer this server"), wanted, "{name}: {}", page.html());
            let fields = [("client_id", &*client_id), ("scope", &*scope)];
            let begun = form(&server.stranger(), DEVICE, &fields).await;
            assert_eq!(browser.open("/_reeve/pages/device").await.status, 200);
            let page = browser.submit("/_reeve/pages/device", &[("user_code", begun.text("user_code"))]).await;
            assert_eq!(page.status, 200);
            assert_eq!(page.html().contains("Administer this server"), wanted, "{name}: {}", page.html());
        }
    }

    #[config(enabled)]
    async fn both_answers(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let location = allow(&mut alice, &authorize(&client_id, &[])).await;
        assert!(location.starts_with(&format!("{REDIRECT}#code=rvc_")), "{location}");
        let found = fields(&location, '#');
        assert_eq!((&*found["state"], &*found["iss"], found.len()), ("a state", ISSUER, 3));
        let path = asked(&mut alice, &authorize(&client_id, &[("response_mode", "")])).await;
        let reply = alice.submit(&path, &[("answer", "refuse")]).await;
        assert_eq!(reply.status, 303);
        let found = fields(reply.header("location"), '?');
        assert_eq!((&*found["error"], &*found["state"], &*found["iss"]), ("access_denied", "a state", ISSUER));
        // An answer is final.
        for answer in ["allow", "refuse"] {
            assert_eq!(alice.submit(&path, &[("answer", answer)]).await.status, 404, "{answer}");
        }
        assert_eq!(alice.open(&path).await.status, 404);
        assert_eq!(alice.open("/_reeve/pages/consent/unknown").await.status, 404);
        let path = asked(&mut alice, &authorize(&client_id, &[])).await;
        assert_eq!(alice.submit(&path, &[("answer", "perhaps")]).await.status, 400);
        assert_eq!(alice.submit(&path, &[]).await.status, 400);
        server.clock.advance(30 * 60 * 1000);
        assert_eq!(alice.submit(&path, &[("answer", "allow")]).await.status, 404);
    }

    // Only a page that was shown to the same browser answers for its account.
    #[config(enabled)]
    async fn another_site_answers_for_nobody(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let path = asked(&mut alice, &authorize(&client_id, &[])).await;
        for token in ["", "forged"] {
            let reply = alice.submit(&path, &[("answer", "allow"), ("form_token", token)]).await;
            assert_eq!(reply.status, 403, "{token}");
        }
        let mut stranger = stranger(&server);
        stranger.open("/_reeve/pages/login").await;
        assert_eq!(stranger.submit(&path, &[("answer", "allow")]).await.status, 401);
        // It still waits.
        assert_eq!(alice.submit(&path, &[("answer", "allow")]).await.status, 303);
    }

    #[config(enabled)]
    async fn another_account_can_answer(server: Server) {
        server.create("alice", false).await;
        server.create("bob", false).await;
        let client_id = register(&server, metadata()).await;
        let mut browser = person(&server, "alice").await;
        let path = asked(&mut browser, &authorize(&client_id, &[])).await;
        let reply = browser.submit(&path, &[("answer", "switch")]).await;
        assert_eq!((reply.status, reply.header("location")), (303, &*path));
        assert!(browser.open(&path).await.header("location").starts_with("/_reeve/pages/login?to="));
        browser.sign_in("bob").await;
        let reply = browser.open(&path).await;
        assert!(reply.html().contains("@bob:test"));
        let reply = browser.submit(&path, &[("answer", "allow")]).await;
        let code = fields(reply.header("location"), '#')["code"].clone();
        let session = Session::of(&server, &exchange(&server, &client_id, &code, &[]).await);
        assert_eq!(session.client.get(WHOAMI).await.text("user_id"), "@bob:test");
    }

    #[config(enabled)]
    async fn a_client_can_ask_for_a_new_sign_in(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        server.clock.advance(1000);
        let path = asked(&mut alice, &authorize(&client_id, &[("prompt", "login")])).await;
        // The old session is not enough, whatever the form says.
        let reply = alice.submit(&path, &[("answer", "allow")]).await;
        assert_eq!((reply.status, reply.header("location")), (303, &*path));
        alice.submit(&path, &[("answer", "switch")]).await;
        alice.sign_in("alice").await;
        let page = alice.open(&path).await;
        assert!(page.html().contains("value=\"allow\""), "{}", page.body);
        let reply = alice.submit(&path, &[("answer", "allow")]).await;
        assert!(reply.header("location").starts_with(REDIRECT), "{}", reply.header("location"));
    }

    #[config(enabled)]
    async fn whoever_must_change_the_password_does_that_first(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let path = "/_reeve/admin/v1/users/@alice:test/password_change";
        assert_eq!(admin.put(path, json!({ "required": true })).await.status, 200);
        let path = asked(&mut alice, &authorize(&client_id, &[])).await;
        let page = alice.open(&path).await;
        assert!(unescaped(page.html()).contains("/_reeve/pages/account/password?to="), "{}", page.body);
        assert_eq!(alice.submit(&path, &[("answer", "allow")]).await.status, 403);
    }
}
