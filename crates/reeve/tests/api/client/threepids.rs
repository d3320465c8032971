//! `/_matrix/client/v3/account/3pid/…` and `…/email/requestToken`: people confirm e-mail addresses, and add and remove them.

use reeve_testkit::{Client, Config, Reply, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use crate::mail_kit::{
    ADD, REGISTER, RESET, addresses, ask, by_password, confirm, expect, header, set_address, sid, token,
    until_failed, with_mail,
};
use crate::rooms_kit::{CS, ok};

const ADDED: &str = "/_matrix/client/v3/account/3pid/add";
const DELETE: &str = "/_matrix/client/v3/account/3pid/delete";
const CONFIRM: &str = "[Example] Confirm your e-mail address";
const NOT_CONFIRMED: (u16, &str, &str) =
    (403, "M_THREEPID_AUTH_FAILED", "The e-mail address is not confirmed");
const IN_USE: (u16, &str, &str) = (400, "M_THREEPID_IN_USE", "This address is already in use");

/// Adds a confirmed address to the account of a client, whose password is known.
async fn add(client: &Client, sid: &str, secret: &str) -> Reply {
    let name = client.user_id.trim_start_matches('@').split(':').next().unwrap();
    let auth = by_password(name, &format!("{name}'s password"));
    client.post(ADDED, json!({ "sid": sid, "client_secret": secret, "auth": auth })).await
}

fn open(config: &mut Config) {
    config.policy.registration_enabled = true;
}

async fn remove(client: &Client, address: &str) -> Reply {
    client.post(DELETE, json!({ "medium": "email", "address": address })).await
}

reeve_db::statements! {
    VALIDATIONS = "SELECT count(*) FROM email_validations";
    MAILS = "SELECT count(*) FROM mails m JOIN deliveries d ON d.kind = 'mail' AND d.target_num = m.num";
}

/// The numbers of proofs, complete or not, and of mails that wait.
async fn stored(server: &Server) -> (i64, i64) {
    let count = server.app().db.read(|tx| -> Result<_, reeve_db::DbError> {
        let of = |statement| tx.query_one(statement, &[], |row| row.get::<i64>(0));
        Ok((of(&VALIDATIONS)?, of(&MAILS)?))
    });
    count.await.unwrap()
}

on_both_engines! {
    async fn an_address_is_added_and_removed(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let id = sid(&alice, ADD, " Alice@X.org ", "a-secret").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
        assert!(mail.message.contains("to the account @alice:test."), "{}", mail.message);
        assert!(mail.message.contains("until 2023-11-14 23:13:20 UTC"), "{}", mail.message);
        // The one who adds it proves to be there, as for other dangerous operations.
        let body = json!({ "sid": id, "client_secret": "a-secret" });
        let reply = alice.post(ADDED, body).await;
        assert_eq!((reply.status, &reply.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
        assert_eq!(add(&alice, &id, "a-secret").await.refusal(), NOT_CONFIRMED);
        confirm(&server, &mail).await.unwrap();
        confirm(&server, &mail).await.unwrap();
        for (client, sid, secret) in [(&alice, &*id, "another"), (&alice, "another", "a-secret"), (&bob, &*id, "a-secret")] {
            assert_eq!(add(client, sid, secret).await.refusal(), NOT_CONFIRMED, "{sid} {secret}");
        }
        assert_eq!(add(&alice, &id, "a-secret").await, (200, json!({})));
        let list = ok(alice.get(&format!("{CS}/account/3pid")).await);
        let entry = json!({ "medium": "email", "address": "alice@x.org", "validated_at": START_MS, "added_at": START_MS });
        assert_eq!(list, json!({ "threepids": [entry] }));
        assert_eq!(ok(admin.get("/_synapse/admin/v1/threepid/email/users/alice@x.org").await)["user_id"], "@alice:test");
        // The proof is used up.
        assert_eq!(add(&alice, &id, "a-secret").await.refusal(), NOT_CONFIRMED);
        assert_eq!(confirm(&server, &mail).await.unwrap_err(), "This link is not valid, or not any more");

        for other in ["bob@x.org", "alice@x.org.example"] {
            assert_eq!(remove(&alice, other).await, (200, json!({ "id_server_unbind_result": "no-support" })));
        }
        assert_eq!(remove(&bob, "alice@x.org").await.status, 200);
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
        assert_eq!(remove(&alice, "ALICE@x.org").await, (200, json!({ "id_server_unbind_result": "no-support" })));
        assert_eq!(addresses(&alice).await, [] as [Value; 0]);
        expect(&smtp, "alice@x.org", "[Example] The e-mail addresses of your account were changed").await;
    }

    async fn a_client_that_asks_without_a_token_uses_the_proof_with_one(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        let id = sid(&server.stranger(), ADD, "alice@x.org", "s").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert!(mail.message.contains("to an account on test."), "{}", mail.message);
        confirm(&server, &mail).await.unwrap();
        assert_eq!(add(&alice, &id, "s").await, (200, json!({})));
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
    }

    async fn a_greater_number_sends_another_mail(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        let first = expect(&smtp, "alice@x.org", CONFIRM).await;
        for attempt in [1, 0, -1] {
            let reply = ask(&alice, ADD, "alice@x.org", "s", attempt).await;
            assert_eq!(reply, (200, json!({ "sid": id })), "{attempt}");
        }
        // Another address, secret, purpose or account is another proof.
        let other = sid(&alice, ADD, "alice@x.org", "t").await;
        assert_ne!(other, id);
        expect(&smtp, "alice@x.org", CONFIRM).await;
        let bob = server.user("bob").await;
        assert!(![&id, &other].contains(&&sid(&bob, ADD, "alice@x.org", "s").await));
        expect(&smtp, "alice@x.org", CONFIRM).await;
        let reset = sid(&alice, RESET, "alice@x.org", "s").await;
        assert!(![&id, &other].contains(&&reset));
        expect(&smtp, "alice@x.org", "[Example] No account has this e-mail address").await;
        // The link of the last mail counts.
        assert_eq!(ask(&alice, ADD, "alice@x.org", "s", 2).await, (200, json!({ "sid": id })));
        let second = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert_ne!(token(&first, "email"), token(&second, "email"));
        assert!(confirm(&server, &first).await.is_err());
        confirm(&server, &second).await.unwrap();
        // What is confirmed needs no other mail.
        assert_eq!(ask(&alice, ADD, "alice@x.org", "s", 3).await, (200, json!({ "sid": id })));
        assert_eq!(add(&alice, &id, "s").await, (200, json!({})));
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn links_and_proofs_end(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let alice = server.user("alice").await;
        sid(&alice, ADD, "alice@x.org", "s").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        server.clock.advance(3_600_000);
        assert_eq!(confirm(&server, &mail).await.unwrap_err(), "This link is not valid, or not any more");
        // A new proof with the same secret begins, since the other one is over.
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        server.clock.advance(3_599_999);
        confirm(&server, &mail).await.unwrap();
        server.clock.advance(48 * 3_600_000);
        assert_eq!(add(&alice, &id, "s").await.refusal(), NOT_CONFIRMED);
        let now = server.clock.now();
        server.app().db.write(move |tx| reeve_accounts::emails::prune(tx, now)).await.unwrap();
        assert_eq!(stored(&server).await.0, 0);
    }

    #[config(open)]
    async fn nothing_tells_a_client_whether_an_account_has_an_address(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        set_address(&admin, &alice.user_id, "alice@x.org").await;
        let stranger = server.stranger();
        let in_use = "[Example] Your e-mail address is in use";
        for (client, path, known, unknown) in [
            (&stranger, REGISTER, "[Example] You have an account already", CONFIRM),
            (&bob, ADD, in_use, CONFIRM),
            (&stranger, ADD, in_use, CONFIRM),
            (&stranger, RESET, "[Example] Confirm that you want a new password", "[Example] No account has this e-mail address"),
        ] {
            let reply = ask(client, path, "alice@x.org", "s", 1).await;
            let other = ask(client, path, "nobody@x.org", "s", 1).await;
            for reply in [&reply, &other] {
                assert_eq!((reply.status, reply.text("sid").len()), (200, 24), "{path}: {}", reply.body);
                assert_eq!(reply.body.as_object().unwrap().len(), 1, "{path}");
            }
            let mut subjects = Vec::new();
            for _ in 0..2 {
                let mail = smtp.mail().await;
                subjects.push((mail.to.clone(), header(&mail, "Subject")));
            }
            subjects.sort();
            let wanted = [("alice@x.org".to_owned(), known.to_owned()), ("nobody@x.org".to_owned(), unknown.to_owned())];
            assert_eq!(subjects, wanted, "{path}");
            // A proof that cannot be completed looks like one that is not complete yet.
            if path == ADD && client.token.is_some() {
                assert_eq!(add(client, reply.text("sid"), "s").await.refusal(), NOT_CONFIRMED);
            }
        }
        // One's own address is no secret.
        assert_eq!(ask(&alice, ADD, "alice@x.org", "s", 1).await.refusal(), IN_USE);
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(|config| { open(config); config.policy.mail.hides_addresses = false; })]
    async fn the_operator_can_let_clients_know(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, &alice.user_id, "alice@x.org").await;
        let stranger = server.stranger();
        for path in [REGISTER, ADD] {
            assert_eq!(ask(&stranger, path, "alice@x.org", "s", 1).await.refusal(), IN_USE, "{path}");
        }
        let not_found = (400, "M_THREEPID_NOT_FOUND", "Email not found");
        assert_eq!(ask(&stranger, RESET, "bob@x.org", "s", 1).await.refusal(), not_found);
        assert_eq!((smtp.waiting().await, stored(&server).await), (0, (0, 0)));
    }

    async fn an_address_that_another_account_got_meanwhile(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let id = sid(&alice, ADD, "both@x.org", "s").await;
        confirm(&server, &expect(&smtp, "both@x.org", CONFIRM).await).await.unwrap();
        let other = sid(&bob, ADD, "both@x.org", "s").await;
        confirm(&server, &expect(&smtp, "both@x.org", CONFIRM).await).await.unwrap();
        assert_eq!(add(&bob, &other, "s").await, (200, json!({})));
        assert_eq!(add(&alice, &id, "s").await.refusal(), IN_USE);
        assert_eq!((addresses(&alice).await.len(), addresses(&bob).await), (0, vec![json!("both@x.org")]));
    }

    async fn others_cannot_displace_a_confirmed_address(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (alice, stranger) = (server.user("alice").await, server.stranger());
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        confirm(&server, &expect(&smtp, "alice@x.org", CONFIRM).await).await.unwrap();
        for number in 0..21 {
            server.clock.advance(1);
            sid(&stranger, RESET, "alice@x.org", &format!("s{number}")).await;
            expect(&smtp, "alice@x.org", "[Example] No account has this e-mail address").await;
        }
        assert_eq!(stored(&server).await.0, 20);
        assert_eq!(add(&alice, &id, "s").await, (200, json!({})));
    }

    async fn what_belongs_to_a_deactivated_account_goes_at_once(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        sid(&alice, ADD, "alice@x.org", "s").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        // This one waits, since the mail server takes none.
        smtp.set_closed(true);
        sid(&alice, ADD, "other@x.org", "s").await;
        assert_eq!(smtp.mail().await.message, "");
        sid(&bob, ADD, "bob@x.org", "s").await;
        assert_eq!(smtp.mail().await.message, "");
        until_failed(&server, 2).await;
        assert_eq!(stored(&server).await, (3, 2));
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await);
        assert_eq!(stored(&server).await, (1, 1));
        assert_eq!(confirm(&server, &mail).await.unwrap_err(), "This link is not valid, or not any more");
        smtp.set_closed(false);
        server.clock.advance(60_000);
        expect(&smtp, "bob@x.org", CONFIRM).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(|config| config.policy.mail.next_link_hosts = vec!["app.example.org".to_owned()])]
    async fn bad_requests_are_refused(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, open).await;
        let alice = server.user("alice").await;
        let good = json!({ "client_secret": "a.B=_-9", "email": "a@x.org", "send_attempt": 1 });
        let with = |key: &str, value: Value| {
            let mut body = good.clone();
            body[key] = value;
            body
        };
        let without = |key: &str| {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(key);
            body
        };
        let secret = "'client_secret' must have 1 to 255 letters, digits and characters of .=_-";
        let link = "'next_link' must be an http or https URL";
        let address = "'email' is not an e-mail address";
        let long = "x".repeat(256);
        for path in [ADD, REGISTER, RESET] {
            for (body, code, text) in [
                (json!({}), "M_MISSING_PARAM", "Missing params: ['client_secret', 'email', 'send_attempt']"),
                (without("send_attempt"), "M_MISSING_PARAM", "Missing params: ['send_attempt']"),
                (with("client_secret", json!(1)), "M_BAD_JSON", "'client_secret' must be a string"),
                (with("client_secret", json!("")), "M_INVALID_PARAM", secret),
                (with("client_secret", json!("a b")), "M_INVALID_PARAM", secret),
                (with("client_secret", json!("ä")), "M_INVALID_PARAM", secret),
                (with("client_secret", json!(long)), "M_INVALID_PARAM", secret),
                (with("email", json!("a")), "M_INVALID_PARAM", address),
                (with("email", json!("a@x.org\r\nBcc: b@x.org")), "M_INVALID_PARAM", address),
                (with("email", json!("a@x.org,b@x.org")), "M_INVALID_PARAM", address),
                (with("email", json!(format!("{long}@x.org"))), "M_INVALID_PARAM", address),
                (with("send_attempt", json!("1")), "M_BAD_JSON", "'send_attempt' must be an integer"),
                (with("next_link", json!("javascript:alert(1)")), "M_INVALID_PARAM", link),
                (with("next_link", json!("/page")), "M_INVALID_PARAM", link),
                (with("next_link", json!(format!("https://app.example.org/{}", "x".repeat(2048)))), "M_INVALID_PARAM", link),
            ] {
                assert_eq!(alice.post(path, body.clone()).await.refusal(), (400, code, text), "{path}: {body}");
            }
        }
        let name = "'sid' must have 1 to 255 letters, digits and characters of .=_-";
        let reply = add(&alice, "a/b", "s").await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", name));
        for (body, code, text) in [
            (json!({ "medium": "email" }), "M_MISSING_PARAM", "Missing params: ['address']"),
            (json!({ "medium": "fax", "address": "1" }), "M_INVALID_PARAM", "'fax' is not a valid value for 'medium'"),
            (json!({ "medium": "email", "address": "a" }), "M_UNKNOWN", "Unable to parse email address"),
        ] {
            assert_eq!(alice.post(DELETE, body).await.refusal(), (400, code, text));
        }
        assert_eq!((smtp.waiting().await, stored(&server).await), (0, (0, 0)));

        // A link to another host is left out.
        for (number, (link, kept)) in [
            ("https://evil.example/", None),
            ("https://app.example.org@evil.example/", None),
            ("https://app.example.org.evil.example/", None),
            ("https://user@app.example.org/", None),
            ("https://APP.example.org/a?b=c#d", Some("https://app.example.org/a?b=c#d")),
        ]
        .into_iter()
        .enumerate()
        {
            let mut body = with("next_link", json!(link));
            body["email"] = json!(format!("a{number}@x.org"));
            assert_eq!(alice.post(ADD, body).await.status, 200, "{link}");
            let (token, now) = (token(&smtp.mail().await, "email"), server.clock.now());
            let found = server.app().db.read(move |tx| reeve_accounts::emails::open(tx, &token, now)).await;
            assert_eq!(found.unwrap().next_link.as_deref(), kept, "{link}");
        }
    }

    async fn mails_are_limited(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| {
            config.rate_limits.enabled = true;
            let limits = &mut config.rate_limits;
            (limits.email_recipient.burst, limits.email_account.burst, limits.email_requests.burst) = (2, 3, 6);
            (limits.login_address.burst, limits.login_account.burst) = (100, 100);
        })
        .await;
        let (alice, stranger) = (server.user("alice").await, server.stranger());
        let limited = |reply: &Reply| (reply.status, reply.text("errcode").to_owned()) == (429, "M_LIMIT_EXCEEDED".to_owned());
        // Two mails to an address, known or not; what causes none is not counted.
        for secret in ["a", "b"] {
            assert_eq!(ask(&stranger, RESET, "one@x.org", secret, 1).await.status, 200);
            assert_eq!(ask(&stranger, RESET, "one@x.org", secret, 1).await.status, 200);
            smtp.mail().await;
        }
        assert!(limited(&ask(&stranger, RESET, "one@x.org", "c", 1).await));
        assert!(limited(&ask(&stranger, RESET, "one@x.org", "a", 2).await));
        assert_eq!(ask(&stranger, RESET, "one@x.org", "a", 1).await.status, 200);
        // Six requests of a client; the two that were refused count.
        assert_eq!(ask(&stranger, RESET, "two@x.org", "a", 1).await.status, 200);
        assert_eq!(ask(&stranger, RESET, "three@x.org", "a", 1).await.status, 200);
        assert!(limited(&ask(&stranger, RESET, "four@x.org", "a", 1).await));
        // Three mails for an account.
        server.restart(|config| config.rate_limits.email_requests.burst = 100).await;
        let alice = server.again(&alice);
        for name in ["a", "b", "c"] {
            assert_eq!(ask(&alice, ADD, &format!("{name}@x.org"), "s", 1).await.status, 200);
        }
        assert!(limited(&ask(&alice, ADD, "d@x.org", "s", 1).await));
        server.clock.advance(24 * 3_600_000);
        assert_eq!(ask(&alice, ADD, "d@x.org", "s", 1).await.status, 200);
    }

    async fn an_account_has_a_limited_number_of_addresses(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| config.policy.limits.email_addresses = 1).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, &alice.user_id, "one@x.org").await;
        let id = sid(&alice, ADD, "two@x.org", "s").await;
        confirm(&server, &expect(&smtp, "two@x.org", CONFIRM).await).await.unwrap();
        let text = "An account cannot have more than 1 e-mail addresses";
        assert_eq!(add(&alice, &id, "s").await.refusal(), (400, "M_TOO_LARGE", text));
        assert_eq!(addresses(&alice).await, ["one@x.org"]);
    }

    async fn addresses_can_be_the_business_of_administrators(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_address(&admin, &alice.user_id, "alice@x.org").await;
        let id = sid(&alice, ADD, "two@x.org", "s").await;
        confirm(&server, &expect(&smtp, "two@x.org", CONFIRM).await).await.unwrap();
        let capability = async |client: &Client| {
            let reply = ok(client.get(&format!("{CS}/capabilities")).await);
            reply["capabilities"]["m.3pid_changes"]["enabled"].as_bool().unwrap()
        };
        assert!(capability(&alice).await);
        server.restart(|config| config.policy.mail.own_addresses = false).await;
        let alice = server.again(&alice);
        assert!(!capability(&alice).await);
        let refused = (403, "M_FORBIDDEN", "Addresses are changed by administrators on this server");
        assert_eq!(ask(&alice, ADD, "three@x.org", "s", 1).await.refusal(), refused);
        assert_eq!(add(&alice, &id, "s").await.refusal(), refused);
        assert_eq!(remove(&alice, "alice@x.org").await.refusal(), refused);
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn a_suspended_account_adds_addresses_and_removes_none(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        confirm(&server, &expect(&smtp, "alice@x.org", CONFIRM).await).await.unwrap();
        assert_eq!(add(&alice, &id, "s").await, (200, json!({})));
        let refused = (403, "M_USER_SUSPENDED", "A suspended account cannot remove addresses");
        assert_eq!(remove(&alice, "alice@x.org").await.refusal(), refused);
        assert_eq!(addresses(&alice).await, ["alice@x.org"]);
    }

    #[config(open)]
    async fn without_a_mail_server(server: Server) {
        let alice = server.user("alice").await;
        let refused = (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "This server sends no e-mail");
        for path in [ADD, REGISTER, RESET] {
            assert_eq!(ask(&alice, path, "a@x.org", "s", 1).await.refusal(), refused, "{path}");
        }
        assert_eq!(stored(&server).await, (0, 0));
    }

    async fn there_is_no_identity_server_and_no_telephone(server: Server) {
        let (alice, stranger) = (server.user("alice").await, server.stranger());
        let telephone = (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "This server checks no telephone numbers");
        for path in ["register", "account/password", "account/3pid"] {
            let body = json!({ "client_secret": "s", "country": "GB", "phone_number": "07700900001", "send_attempt": 1 });
            let reply = stranger.post(&format!("{CS}/{path}/msisdn/requestToken"), body).await;
            assert_eq!(reply.refusal(), telephone, "{path}");
        }
        let untrusted = (400, "M_SERVER_NOT_TRUSTED", "This server works with no identity server");
        let creds = json!({ "client_secret": "s", "id_server": "x.org", "id_access_token": "t", "sid": "1" });
        assert_eq!(alice.post(&format!("{CS}/account/3pid/bind"), creds.clone()).await.refusal(), untrusted);
        let body = json!({ "three_pid_creds": creds });
        assert_eq!(alice.post(&format!("{CS}/account/3pid"), body).await.refusal(), untrusted);
        let body = json!({ "medium": "email", "address": "a@x.org" });
        let reply = alice.post(&format!("{CS}/account/3pid/unbind"), body).await;
        assert_eq!(reply, (200, json!({ "id_server_unbind_result": "no-support" })));
    }

    async fn own_changes_end_pushers_and_are_not_in_the_audit_log(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = sid(&alice, ADD, "alice@x.org", "s").await;
        confirm(&server, &expect(&smtp, "alice@x.org", CONFIRM).await).await.unwrap();
        assert_eq!(add(&alice, &id, "s").await, (200, json!({})));
        // What people do to their own accounts is not in the audit log.
        let log = ok(admin.get("/_reeve/admin/v1/audit?target=@alice:test").await);
        assert_eq!(log["entries"], json!([]));
        // The e-mail pusher goes with the address.
        let pusher = json!({
            "kind": "email", "app_id": "m.email", "pushkey": "alice@x.org", "app_display_name": "Mail",
            "device_display_name": "mail", "lang": "en", "data": {},
        });
        assert_eq!(alice.post(&format!("{CS}/pushers/set"), pusher).await, (200, json!({})));
        assert_eq!(remove(&alice, "alice@x.org").await.status, 200);
        assert_eq!(alice.get(&format!("{CS}/pushers")).await, (200, json!({ "pushers": [] })));
    }
}
