//! `/_reeve/pages/renew/…`: owners renew accounts that expire.

use reeve_accounts::validity;
use reeve_model::Ctx;
use reeve_testkit::{START_MS, on_both_engines};
use serde_json::json;

use super::{continues, page};
use crate::mail_kit::{expect, set_address, token, with_mail};
use crate::rooms_kit::ok;

const DAY_MS: i64 = 86_400_000;

on_both_engines! {
    async fn an_owner_renews_the_account(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| {
            config.policy.account_validity_period_ms = Some(30 * DAY_MS);
            config.policy.account_validity_remind_ms = Some(7 * DAY_MS);
        })
        .await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, "@alice:test", "alice@x.org").await;
        let body = json!({ "user_id": "@alice:test", "expiration_ts": START_MS + DAY_MS });
        ok(admin.post("/_synapse/admin/v1/account_validity/validity", body).await);
        let (app, ctx) = (server.app(), Ctx::system(&server.clock, &server.app().server_name, "test"));
        let policy = app.policy.clone();
        app.db.write(move |tx| validity::remind(tx, &ctx, &policy)).await.unwrap();
        let token = token(&expect(&smtp, "alice@x.org", "[Example] Your account is about to expire").await, "renew");
        let link = format!("/_reeve/pages/renew/{token}");
        // The account has expired when the person reads the mail.
        server.clock.advance(2 * DAY_MS);
        let mut browser = server.browser();
        let shown = browser.get(&link).await;
        for text in ["Keep your account?", "@alice:test", "2023-11-15 22:13 UTC"] {
            assert!(page(&shown, 200).contains(text), "{text}: {}", shown.html());
        }
        assert_eq!(alice.get("/_matrix/client/v3/account/whoami").await.status, 403, "programs open links, too");
        for _ in 0..2 {
            let reply = browser.submit(&shown, &link, &[]).await;
            assert_eq!(continues(&reply), format!("{link}?lang=en"));
            let done = browser.follow(reply).await;
            let text = page(&done, 200);
            assert!(text.contains("Your account was renewed") && text.contains("2023-12-16 22:13 UTC"), "{text}");
        }
        assert_eq!(alice.get("/_matrix/client/v3/account/whoami").await.status, 200);
        // Synapse's path leads here.
        let old = format!("/_matrix/client/unstable/account_validity/renew?token={token}");
        let reply = browser.get(&old).await;
        assert_eq!(continues(&reply), link);
        assert!(page(&browser.get("/_reeve/pages/renew/unknown").await, 404).contains("This link cannot be used"));
    }
}
