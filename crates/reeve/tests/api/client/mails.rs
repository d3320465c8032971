//! Mails that tell people what happens to their accounts.

use reeve_testkit::{Client, Received, Server, Smtp, on_both_engines};
use serde_json::{Value, json};

use crate::mail_kit::{by_password, decoded, expect, header, set_address, until_failed, with_mail};
use crate::rooms_kit::{CS, ok};
use crate::sync_kit::eventually;

const SIGNED_IN: &str = "[Example] New sign-in to your account";
const CHANGED: &str = "[Example] Your password was changed";
const ADDRESSES: &str = "[Example] The e-mail addresses of your account were changed";

/// A server that sends mail, an administrator, and Alice, who has an address.
async fn people(server: &mut Server) -> (Smtp, Client, Client) {
    let smtp = with_mail(server, |_| ()).await;
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    set_address(&admin, &alice.user_id, "alice@x.org").await;
    (smtp, admin, alice)
}

/// Logs Alice in, with more keys.
async fn log_in(server: &Server, more: Value) {
    let mut body = by_password("alice", "alice's password");
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ok(server.stranger().post(&format!("{CS}/login"), body).await);
}

async fn set_addresses(admin: &Client, user_id: &str, wanted: &[&str]) {
    let threepids: Vec<Value> =
        wanted.iter().map(|address| json!({ "medium": "email", "address": address })).collect();
    let reply =
        admin.put(&format!("/_synapse/admin/v2/users/{user_id}"), json!({ "threepids": threepids })).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The next two mails, by recipient.
async fn two(smtp: &Smtp) -> [Received; 2] {
    let mut mails = [decoded(smtp.mail().await), decoded(smtp.mail().await)];
    mails.sort_by(|a, b| a.to.cmp(&b.to));
    mails
}

on_both_engines! {
    async fn a_sign_in_on_a_new_device_is_told(server: Server) {
        let mut server = server;
        let (smtp, _admin, alice) = people(&mut server).await;
        log_in(&server, json!({ "device_id": "NEW", "initial_device_display_name": "A\r\n\r\n<b>telephone</b>" })).await;
        let mail = expect(&smtp, "alice@x.org", SIGNED_IN).await;
        for part in [
            "Somebody signed in to the account @alice:test on a new device",
            "Time: 2023-11-14 22:13:20 UTC\r\nAddress: 127.0.0.1\r\nClient: A    <b>telephone</b>\r\n",
            "Client: A    &lt;b&gt;telephone&lt;",
            "\r\n\r\nhttps://matrix.example.org/_reeve/pages/reset\r\n",
        ] {
            assert!(mail.message.contains(part), "{part}: {}", mail.message);
        }
        // The device is known now; and nobody is told of an administrator who acts as the account.
        log_in(&server, json!({ "device_id": "NEW" })).await;
        let device = alice.device_id.clone();
        log_in(&server, json!({ "device_id": device })).await;
        log_in(&server, json!({ "device_id": "OTHER" })).await;
        let mail = expect(&smtp, "alice@x.org", SIGNED_IN).await;
        assert!(!mail.message.contains("Client:"), "{}", mail.message);
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn mails_are_in_the_language_of_the_person(server: Server) {
        let mut server = server;
        let (smtp, admin, alice) = people(&mut server).await;
        for (key, lang) in [("1", "de-AT"), ("2", "x")] {
            let pusher = json!({
                "kind": "http", "app_id": "app", "pushkey": key, "app_display_name": "App", "device_display_name": "x",
                "lang": lang, "data": { "url": "https://push.example.org/_matrix/push/v1/notify" },
            });
            assert_eq!(alice.post(&format!("{CS}/pushers/set"), pusher).await, (200, json!({})));
            server.clock.advance(1);
        }
        log_in(&server, json!({})).await;
        let mail = expect(&smtp, "alice@x.org", "[Example] Neue Anmeldung bei Ihrem Konto").await;
        assert!(mail.message.contains("127.0.0.1"), "{}", mail.message);
        // Of others the header of the request tells, or else the settings.
        server.restart(|config| config.policy.mail.language = reeve_model::Language::German).await;
        let (admin, stranger) = (server.again(&admin), server.stranger());
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "bob@x.org").await;
        let mut body = by_password("bob", "bob's password");
        body["device_id"] = json!("B");
        ok(stranger.post(&format!("{CS}/login"), body).await);
        expect(&smtp, "bob@x.org", "[Example] Neue Anmeldung bei Ihrem Konto").await;
        let request = json!({ "client_secret": "s", "email": "nobody@x.org", "send_attempt": 1 }).to_string();
        let headers = [("accept-language", "fr, en;q=0.5, de;q=0.1")];
        let path = crate::mail_kit::RESET;
        assert_eq!(stranger.send(http::Method::POST, path, &headers, request).await.status, 200);
        expect(&smtp, "nobody@x.org", "[Example] No account has this e-mail address").await;
    }

    async fn changes_of_the_password_are_told(server: Server) {
        let mut server = server;
        let (smtp, admin, alice) = people(&mut server).await;
        let auth = by_password("alice", "alice's password");
        ok(alice.post(&format!("{CS}/account/password"), json!({ "new_password": "new", "auth": auth })).await);
        let mail = expect(&smtp, "alice@x.org", CHANGED).await;
        let own = "The password of the account @alice:test was changed (2023-11-14 22:13:20 UTC).";
        assert!(mail.message.contains(own) && mail.message.contains("/_reeve/pages/reset"), "{}", mail.message);
        let body = json!({ "new_password": "given", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        let mail = expect(&smtp, "alice@x.org", CHANGED).await;
        let theirs = "An administrator of test changed the password of the account @alice:test";
        assert!(mail.message.contains(theirs), "{}", mail.message);
        // A refused change is not told.
        let auth = by_password("alice", "wrong");
        let refused = alice.post(&format!("{CS}/account/password"), json!({ "new_password": "x", "auth": auth })).await;
        assert_eq!(refused.status, 401);
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn changes_of_addresses_are_told_to_the_former_ones(server: Server) {
        let mut server = server;
        let (smtp, admin, _alice) = people(&mut server).await;
        set_addresses(&admin, "@alice:test", &["alice@x.org", "second@x.org"]).await;
        let mail = expect(&smtp, "alice@x.org", ADDRESSES).await;
        let by = "An administrator of test changed the e-mail addresses of the account @alice:test";
        assert!(mail.message.contains(by) && mail.message.contains("\r\nAdded: second@x.org\r\n"), "{}", mail.message);
        set_addresses(&admin, "@alice:test", &["third@x.org"]).await;
        for (mail, to) in two(&smtp).await.iter().zip(["alice@x.org", "second@x.org"]) {
            assert_eq!((&*mail.to, &*header(mail, "Subject")), (to, ADDRESSES));
            for part in ["Added: third@x.org", "Removed: alice@x.org", "Removed: second@x.org"] {
                assert!(mail.message.contains(part), "{part}: {}", mail.message);
            }
        }
        // An account that loses its address to another one is told, too.
        server.create("bob", false).await;
        set_addresses(&admin, "@bob:test", &["third@x.org"]).await;
        let mail = expect(&smtp, "third@x.org", ADDRESSES).await;
        assert!(mail.message.contains("@alice:test") && !mail.message.contains("@bob:test"), "{}", mail.message);
        // The same again is no change.
        set_addresses(&admin, "@bob:test", &["third@x.org"]).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn each_notice_can_be_switched_off(server: Server) {
        let mut server = server;
        let (smtp, admin, _alice) = people(&mut server).await;
        server.restart(|config| {
            let notices = &mut config.policy.mail.notices;
            (notices.sign_in, notices.password, notices.addresses) = (false, false, false);
        }).await;
        let admin = server.again(&admin);
        log_in(&server, json!({})).await;
        let body = json!({ "new_password": "given", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        set_addresses(&admin, "@alice:test", &["other@x.org"]).await;
        server.restart(|config| config.policy.mail.notices.addresses = true).await;
        set_addresses(&server.again(&admin), "@alice:test", &["alice@x.org"]).await;
        expect(&smtp, "other@x.org", ADDRESSES).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn a_deactivated_account_is_told_nothing(server: Server) {
        let mut server = server;
        let (smtp, admin, _alice) = people(&mut server).await;
        smtp.set_closed(true);
        log_in(&server, json!({})).await;
        assert_eq!(smtp.mail().await.message, "");
        until_failed(&server, 1).await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        smtp.set_closed(false);
        server.clock.advance(60_000);
        // The next mail is another one.
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "bob@x.org").await;
        set_addresses(&admin, "@bob:test", &[]).await;
        expect(&smtp, "bob@x.org", ADDRESSES).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn mails_are_counted(server: Server) {
        let mut server = server;
        let (smtp, admin, _alice) = people(&mut server).await;
        log_in(&server, json!({})).await;
        expect(&smtp, "alice@x.org", SIGNED_IN).await;
        let line = "reeve_mail_deliveries_total{kind=\"notice\",outcome=\"delivered\"} 1";
        eventually(&admin, "/metrics", |reply| reply.body.as_str().unwrap().contains(line)).await;
    }
}
