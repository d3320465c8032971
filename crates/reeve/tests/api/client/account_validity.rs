//! `/_matrix/client/unstable/account_validity/…`: owners renew their accounts by the link in a mail.

use reeve_accounts::{Error, validity};
use reeve_model::Ctx;
use reeve_store::validity::Renewal;
use reeve_testkit::{Client, Config, START_MS, Server, Smtp, on_both_engines};
use serde_json::json;

use crate::mail_kit::{expect, set_address, token, with_mail};
use crate::rooms_kit::ok;

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const RENEW: &str = "/_matrix/client/unstable/account_validity/renew";
const SEND: &str = "/_matrix/client/unstable/account_validity/send_mail";
const SUBJECT: &str = "[Example] Your account is about to expire";
const EXPIRED: (u16, &str, &str) = (403, "ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired");
const DAY_MS: i64 = 86_400_000;

/// Accounts are valid for 30 days, and their owners are reminded 7 days before.
fn expires(config: &mut Config) {
    config.policy.account_validity_period_ms = Some(30 * DAY_MS);
    config.policy.account_validity_remind_ms = Some(7 * DAY_MS);
}

/// Reminds owners, as housekeeping does; returns true if there may be more.
async fn remind(server: &Server) -> bool {
    let app = server.app();
    let (ctx, policy) = (Ctx::system(&server.clock, &app.server_name, "test"), app.policy.clone());
    app.db.write(move |tx| validity::remind(tx, &ctx, &policy)).await.unwrap()
}

/// Renews an account, as the page of a link does.
async fn renew(server: &Server, token: &str) -> Result<Renewal, String> {
    let app = server.app();
    let (ctx, policy) = (Ctx::system(&server.clock, &app.server_name, "test"), app.policy.clone());
    let token = token.to_owned();
    let renewed = app.db.write(move |tx| validity::renew(tx, &ctx, &policy, &token)).await;
    renewed.map_err(|error: Error| error.to_string())
}

async fn set_validity(admin: &Client, name: &str, days: i64, reminded: bool) {
    let expiration_ts = START_MS + days * DAY_MS;
    let body = json!({
        "user_id": format!("@{name}:test"), "expiration_ts": expiration_ts, "enable_renewal_emails": reminded,
    });
    ok(admin.post("/_synapse/admin/v1/account_validity/validity", body).await);
}

/// A server that sends mail, an administrator who never expires, and Alice, who has an address and 30 days.
async fn people(server: &mut Server) -> (Smtp, Client, Client) {
    let smtp = with_mail(server, expires).await;
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    set_address(&admin, &alice.user_id, "alice@x.org").await;
    for name in ["admin", "alice"] {
        set_validity(&admin, name, if name == "admin" { 1000 } else { 30 }, true).await;
    }
    (smtp, admin, alice)
}

on_both_engines! {
    async fn an_account_is_renewed_by_its_owner(server: Server) {
        let mut server = server;
        let (smtp, admin, alice) = people(&mut server).await;
        server.clock.advance(23 * DAY_MS - 1);
        assert!(!remind(&server).await);
        assert_eq!(smtp.waiting().await, 0);
        server.clock.advance(1);
        remind(&server).await;
        let mail = expect(&smtp, "alice@x.org", SUBJECT).await;
        let text = "The account @alice:test is valid until 2023-12-14 22:13:20 UTC.";
        assert!(mail.message.contains(text), "{}", mail.message);
        // Once.
        remind(&server).await;
        let token = token(&mail, "renew");
        server.clock.advance(8 * DAY_MS);
        remind(&server).await;
        assert_eq!(alice.get(WHOAMI).await.refusal(), EXPIRED);
        let until = server.clock.now().plus(30 * DAY_MS);
        let renewed = Renewal { user_id: "@alice:test".to_owned(), expiration_ts: until, is_used: true };
        assert_eq!(renew(&server, &token).await, Ok(renewed.clone()));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        // A second click changes nothing.
        server.clock.advance(DAY_MS);
        assert_eq!(renew(&server, &token).await, Ok(renewed));
        server.clock.advance(22 * DAY_MS);
        remind(&server).await;
        let next = expect(&smtp, "alice@x.org", SUBJECT).await;
        assert!(renew(&server, &token).await.is_err(), "the newer link counts");
        renew(&server, &crate::mail_kit::token(&next, "renew")).await.unwrap();
        assert_eq!(smtp.waiting().await, 0);
        // An owner who renews is no administrator.
        let log = ok(admin.get("/_reeve/admin/v1/audit?target=@alice:test&action=account_validity.set").await);
        assert_eq!(log["entries"].as_array().unwrap().len(), 1);
    }

    async fn not_everybody_is_reminded(server: Server) {
        let mut server = server;
        let (smtp, admin, _alice) = people(&mut server).await;
        for name in ["silent", "none", "gone", "late"] {
            server.create(name, false).await;
            let validity = if name == "late" { 1 } else { 10 };
            set_validity(&admin, name, validity, name != "silent").await;
            if name != "none" {
                set_address(&admin, &format!("@{name}:test"), &format!("{name}@x.org")).await;
            }
        }
        ok(admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await);
        server.clock.advance(9 * DAY_MS);
        remind(&server).await;
        assert_eq!(smtp.waiting().await, 0);
        // An administrator who sets another time ends the link.
        set_validity(&admin, "alice", 10, true).await;
        remind(&server).await;
        let mail = expect(&smtp, "alice@x.org", SUBJECT).await;
        set_validity(&admin, "alice", 20, true).await;
        let refused = renew(&server, &token(&mail, "renew")).await;
        assert_eq!(refused, Err("This link is not valid, or not any more".to_owned()));
    }

    async fn clients_of_expired_accounts_ask_for_the_mail(server: Server) {
        let mut server = server;
        let (smtp, admin, alice) = people(&mut server).await;
        server.clock.advance(31 * DAY_MS);
        assert_eq!(alice.get(WHOAMI).await.refusal(), EXPIRED);
        assert_eq!(alice.post(SEND, json!({})).await, (200, json!({})));
        let first = expect(&smtp, "alice@x.org", SUBJECT).await;
        assert_eq!(alice.post(SEND, json!({})).await, (200, json!({})));
        let second = expect(&smtp, "alice@x.org", SUBJECT).await;
        assert!(renew(&server, &token(&first, "renew")).await.is_err());
        renew(&server, &token(&second, "renew")).await.unwrap();
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        let none = (400, "M_THREEPID_NOT_FOUND", "Email not found");
        assert_eq!(admin.post(SEND, json!({})).await.refusal(), none);
        // An administrator closes the account for good.
        set_validity(&admin, "alice", 1, false).await;
        assert_eq!(alice.get(WHOAMI).await.refusal(), EXPIRED);
        assert_eq!(alice.post(SEND, json!({})).await.refusal(), none);
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn a_link_leads_to_the_page(server: Server) {
        let stranger = server.stranger();
        let reply = stranger.get(&format!("{RENEW}?token=abc123")).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/_reeve/pages/renew/abc123"));
        let missing = stranger.get(RENEW).await;
        assert_eq!((missing.status, missing.text("errcode")), (400, "M_MISSING_PARAM"));
        let long = "x".repeat(65);
        for wrong in ["", "a/b", "..", "a%0d%0aX", &long] {
            let reply = stranger.get(&format!("{RENEW}?token={wrong}")).await;
            assert_eq!((reply.status, reply.text("errcode")), (404, "M_NOT_FOUND"), "{wrong}");
        }
    }

    #[config(|config| config.policy.account_validity_period_ms = Some(30 * DAY_MS))]
    async fn owners_renew_only_if_the_operator_wants_it(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, &alice.user_id, "alice@x.org").await;
        let refused = (400, "M_UNKNOWN", "Accounts are not renewed by mail on this server");
        assert_eq!(alice.post(SEND, json!({})).await.refusal(), refused);
        server.clock.advance(29 * DAY_MS);
        assert!(!remind(&server).await);
        assert_eq!(smtp.waiting().await, 0);
    }
}
