//! `POST /_reeve/oauth/device`, the page where people type the code, and the token endpoint with device codes

use reeve_testkit::{Reply, Server, on_both_engines};
use serde_json::json;

use crate::oauth_kit::*;

const PAGE: &str = "/_reeve/pages/device";
const ANSWER: &str = "/_reeve/pages/device/answer";

/// A request of a client.
struct Begun {
    device_code: String,
    user_code: String,
}

async fn begin(server: &Server, client_id: &str, device_id: &str) -> Begun {
    let scope = scope(device_id);
    let reply = form(&server.stranger(), DEVICE, &[("client_id", client_id), ("scope", &scope)]).await;
    let (device_code, user_code) = (reply.text("device_code").to_owned(), reply.text("user_code").to_owned());
    let wanted = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": "https://matrix.test/_reeve/pages/device",
        "verification_uri_complete": format!("https://matrix.test/_reeve/pages/device?user_code={user_code}"),
        "expires_in": 1800,
        "interval": 5,
    });
    assert_eq!(reply, (200, wanted));
    Begun { device_code, user_code }
}

async fn poll(server: &Server, client_id: &str, device_code: &str) -> Reply {
    let fields = [("grant_type", DEVICE_GRANT), ("client_id", client_id), ("device_code", device_code)];
    form(&server.stranger(), TOKEN, &fields).await
}

/// Types a code on the page, and answers.
async fn answer(person: &mut Person, user_code: &str, answer: &str) -> Reply {
    assert_eq!(person.open(PAGE).await.status, 200);
    let found = person.submit(PAGE, &[("user_code", user_code)]).await;
    assert_eq!(found.status, 200, "{}", found.body);
    person.submit(ANSWER, &[("user_code", user_code), ("answer", answer)]).await
}

on_both_engines! {
    #[config(enabled)]
    async fn a_person_allows_it_elsewhere(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let is_code = |code: &str| code.len() == 9 && code.bytes().enumerate().all(|(place, byte)| if place == 4 { byte == b'-' } else { b"BCDFGHJKLMNPQRSTVWXZ".contains(&byte) });
        assert!(is_code(&begun.user_code), "{}", begun.user_code);
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "authorization_pending"));
        // The code in the link is only filled in: the person confirms it, and sees what it leads to.
        let mut alice = person(&server, "alice").await;
        let page = alice.open(&format!("{PAGE}?user_code={}", begun.user_code)).await;
        assert!(page.html().contains(&format!("value=\"{}\"", begun.user_code)), "{}", page.body);
        let typed = begun.user_code.to_lowercase().replace('-', " ");
        let page = alice.submit(PAGE, &[("user_code", &typed)]).await;
        let text = page.html();
        for part in ["My App", "<bdi>example.com</bdi>", "@alice:test", "<code>TV</code>", &begun.user_code] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let done = alice.submit(ANSWER, &[("user_code", &typed), ("answer", "allow")]).await;
        assert_eq!(done.status, 200, "{}", done.body);
        let reply = poll(&server, &client_id, &begun.device_code).await;
        let session = Session::of(&server, &reply);
        assert_eq!((reply.text("token_type"), reply.text("scope"), &reply.body["expires_in"]), ("Bearer", &*scope("TV"), &json!(300)));
        let me = json!({ "user_id": "@alice:test", "is_guest": false, "device_id": "TV" });
        assert_eq!(session.client.get(WHOAMI).await, (200, me));
        // A code is used once, by both.
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "invalid_grant"));
        assert_eq!(alice.submit(PAGE, &[("user_code", &typed)]).await.status, 400);
        assert!(session.is_alive().await);
    }

    #[config(enabled)]
    async fn a_person_refuses(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        assert_eq!(answer(&mut alice, &begun.user_code, "refuse").await.status, 200);
        let again = [("user_code", &*begun.user_code), ("answer", "allow")];
        assert_eq!(alice.submit(ANSWER, &again).await.status, 404);
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "access_denied"));
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "invalid_grant"));
    }

    #[config(enabled)]
    async fn nobody_answers(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        server.clock.advance(30 * 60 * 1000);
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "expired_token"));
        assert_eq!(alice.open(PAGE).await.status, 200);
        let page = alice.submit(PAGE, &[("user_code", &begun.user_code)]).await;
        assert_eq!(page.status, 400);
        assert!(page.html().contains("aria-invalid=\"true\""), "{}", page.body);
    }

    #[config(enabled)]
    async fn a_client_that_asks_too_often_waits_longer(server: Server) {
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        for (wait, code) in [
            (0, "authorization_pending"), (4999, "slow_down"), (9999, "slow_down"), (15_000, "authorization_pending"),
            (14_999, "slow_down"), (20_000, "authorization_pending"),
        ] {
            server.clock.advance(wait);
            assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, code), "{wait}");
        }
    }

    // Each question writes.
    #[config(limited)]
    async fn a_client_that_never_waits_is_refused(server: Server) {
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "authorization_pending"));
        for _ in 0..10 {
            assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "slow_down"));
        }
        let reply = poll(&server, &client_id, &begun.device_code).await;
        assert_eq!(error(&reply), (429, "temporarily_unavailable"));
    }

    #[config(enabled)]
    async fn who_may_begin(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let plain = register(&server, changed(json!({ "grant_types": ["authorization_code"] }))).await;
        let other = register(&server, changed(json!({ "client_name": "Other" }))).await;
        let (stranger, scope) = (server.stranger(), scope("TV"));
        for (client, scope, refusal) in [
            (&*plain, &*scope, (400, "unauthorized_client")),
            ("unknown", &*scope, (401, "invalid_client")),
            (&*client_id, "openid", (400, "invalid_scope")),
            (&*client_id, "", (400, "invalid_request")),
            ("", &*scope, (400, "invalid_request")),
        ] {
            let reply = form(&stranger, DEVICE, &[("client_id", client), ("scope", scope)]).await;
            assert_eq!(error(&reply), refusal, "{client} {scope}");
        }
        // A code is for its client.
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        assert_eq!(answer(&mut alice, &begun.user_code, "allow").await.status, 200);
        assert_eq!(error(&poll(&server, &other, &begun.device_code).await), (400, "invalid_grant"));
        assert_eq!(error(&poll(&server, &client_id, "rvd_unknown").await), (400, "invalid_grant"));
        assert_eq!(poll(&server, &client_id, &begun.device_code).await.status, 200);
    }

    #[config(enabled)]
    async fn an_account_that_cannot_log_in_gets_no_session(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        assert_eq!(answer(&mut alice, &begun.user_code, "allow").await.status, 200);
        let lock = |locked: bool| admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": locked }));
        assert_eq!(lock(true).await.status, 200);
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "invalid_grant"));
        assert_eq!(lock(false).await.status, 200);
        assert_eq!(poll(&server, &client_id, &begun.device_code).await.status, 200);
        // The end of all sessions is also that of those which are about to begin.
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        assert_eq!(answer(&mut alice, &begun.user_code, "allow").await.status, 200);
        let reset = json!({ "new_password": "another password" });
        assert_eq!(admin.post("/_synapse/admin/v1/reset_password/@alice:test", reset).await.status, 200);
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "invalid_grant"));
    }

    #[config(limited)]
    async fn guesses_are_limited_by_account(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        assert_eq!(alice.open(PAGE).await.status, 200);
        for _ in 0..5 {
            assert_eq!(alice.submit(PAGE, &[("user_code", "BBBB-BBBB")]).await.status, 400);
        }
        for (path, answer) in [(PAGE, ""), (ANSWER, "allow")] {
            let fields = [("user_code", &*begun.user_code), ("answer", answer)];
            assert_eq!(alice.submit(path, &fields).await.status, 429, "{path}");
        }
        server.clock.advance(10_000);
        assert_eq!(alice.submit(PAGE, &[("user_code", &begun.user_code)]).await.status, 200);
    }

    #[config(enabled)]
    async fn another_site_answers_for_nobody(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let begun = begin(&server, &client_id, "TV").await;
        let mut alice = person(&server, "alice").await;
        let fields = [("user_code", &*begun.user_code), ("answer", "allow"), ("form_token", "forged")];
        assert_eq!(alice.submit(ANSWER, &fields).await.status, 403);
        let reply = stranger(&server).open(PAGE).await;
        assert!(reply.header("location").starts_with("/_reeve/pages/login?to="), "{}", reply.header("location"));
        assert_eq!(error(&poll(&server, &client_id, &begun.device_code).await), (400, "authorization_pending"));
    }
}
