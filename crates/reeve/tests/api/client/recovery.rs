//! `/_matrix/client/v3/account/password` for people who lost their password: a mail proves that an address is theirs.

use reeve_testkit::{Client, Reply, Server, Smtp, on_both_engines};
use serde_json::{Value, json};

use crate::mail_kit::{
    ADD, RESET, by_email, by_password, confirm, expect, set_address, sid, until_failed, with_mail,
};
use crate::rooms_kit::{CS, ok};

const PASSWORD: &str = "/_matrix/client/v3/account/password";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const CONFIRM: &str = "[Example] Confirm that you want a new password";
const CHANGED: &str = "[Example] Your password was changed";
const NOT_CONFIRMED: (u16, &str, &str) =
    (401, "M_THREEPID_AUTH_FAILED", "The e-mail address is not confirmed");

/// Sets a password, in a request of one stage.
async fn set(client: &Client, auth: Value, password: &str) -> Reply {
    client.post(PASSWORD, json!({ "new_password": password, "auth": auth })).await
}

/// An administrator, and Alice, who has an address.
async fn people(server: &Server) -> (Client, Client) {
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    set_address(&admin, &alice.user_id, "alice@x.org").await;
    (admin, alice)
}

/// The id of a proof with the secret `s`, which is confirmed.
async fn proof(server: &Server, smtp: &Smtp) -> String {
    let id = sid(&server.stranger(), RESET, "Alice@x.org", "s").await;
    confirm(server, &expect(smtp, "alice@x.org", CONFIRM).await).await.unwrap();
    id
}

on_both_engines! {
    async fn a_lost_password_is_set(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (_admin, alice) = people(&server).await;
        let stranger = server.stranger();
        let id = sid(&stranger, RESET, "alice@x.org", "s").await;
        let mail = expect(&smtp, "alice@x.org", CONFIRM).await;
        assert!(mail.message.contains("the account @alice:test in an app"), "{}", mail.message);
        // Clients send the request again until the address is confirmed.
        let begun = stranger.post(PASSWORD, json!({ "new_password": "new" })).await;
        let (session, flows) = (begun.text("session").to_owned(), json!([{ "stages": ["m.login.email.identity"] }]));
        assert_eq!(begun, (401, json!({ "session": session, "flows": flows, "params": {} })));
        let mut auth = by_email(&id, "s");
        auth["session"] = json!(session);
        assert_eq!(set(&stranger, auth.clone(), "new").await.refusal(), NOT_CONFIRMED);
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        confirm(&server, &mail).await.unwrap();
        assert_eq!(set(&stranger, auth.clone(), "new").await, (200, json!({})));
        assert_eq!(alice.get(WHOAMI).await.status, 401);
        let notice = expect(&smtp, "alice@x.org", CHANGED).await;
        assert!(!notice.message.contains("administrator"), "{}", notice.message);
        server.log_in("alice", "new").await;
        expect(&smtp, "alice@x.org", "[Example] New sign-in to your account").await;
        // The proof is used up, and the session is over.
        assert_eq!(set(&stranger, by_email(&id, "s"), "newer").await.refusal(), NOT_CONFIRMED);
        let text = format!("Unknown session ID: {session}");
        assert_eq!(set(&stranger, auth, "newer").await.refusal(), (400, "M_UNKNOWN", &*text));
        server.log_in("alice", "new").await;
    }

    async fn bad_proofs_are_refused(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (_admin, alice) = people(&server).await;
        let id = proof(&server, &smtp).await;
        let stranger = server.stranger();
        let added = sid(&alice, ADD, "other@x.org", "s").await;
        confirm(&server, &smtp.mail().await).await.unwrap();
        let unknown = sid(&stranger, RESET, "nobody@x.org", "s").await;
        smtp.mail().await;
        for (auth, refusal) in [
            (by_email(&id, "t"), NOT_CONFIRMED),
            (by_email("nothing", "s"), NOT_CONFIRMED),
            (by_email(&added, "s"), NOT_CONFIRMED),
            (by_email(&unknown, "s"), NOT_CONFIRMED),
            (json!({ "type": "m.login.email.identity" }), (401, "M_MISSING_PARAM", "Missing param threepid_creds")),
            (
                json!({ "type": "m.login.email.identity", "threepid_creds": 1 }),
                (401, "M_INVALID_PARAM", "'threepid_creds' must be an object"),
            ),
            (
                json!({ "type": "m.login.email.identity", "threepid_creds": { "sid": id } }),
                (401, "M_MISSING_PARAM", "Missing sid or client_secret in threepid_creds"),
            ),
            (by_password("alice", "alice's password"), (400, "M_INVALID_PARAM", "Invalid login submission")),
        ] {
            assert_eq!(set(&stranger, auth.clone(), "new").await.refusal(), refusal, "{auth}");
        }
        let missing = stranger.post(PASSWORD, json!({ "auth": by_email(&id, "s") })).await;
        assert_eq!(missing.refusal(), (400, "M_MISSING_PARAM", "Missing params: password"));
        // A confirmed address opens nothing else.
        let body = json!({ "auth": by_email(&id, "s") });
        let reply = alice.post(&format!("{CS}/account/deactivate"), body).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "Invalid login submission"));
        let guest = server.user("guest").await;
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let guest = reeve_store::users::find(tx, "@guest:test")?.unwrap();
            reeve_store::users::update(tx, &guest, &reeve_model::User { is_guest: true, ..guest.clone() })
        }).await.unwrap();
        let reply = set(&guest, by_email(&id, "s"), "new").await;
        assert_eq!(reply.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed"));
        server.log_in("alice", "alice's password").await;
    }

    #[config(|config| config.policy.password_rules.min_length = 8)]
    async fn the_password_must_be_a_good_one(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        let (id, stranger) = (proof(&server, &smtp).await, server.stranger());
        let reply = set(&stranger, by_email(&id, "s"), "short").await;
        assert_eq!((reply.status, reply.text("errcode")), (400, "M_PASSWORD_TOO_SHORT"));
        let reply = set(&stranger, by_email(&id, "s"), "@alice:test").await;
        assert_eq!((reply.status, reply.text("errcode")), (400, "M_WEAK_PASSWORD"));
        // The proof is still good.
        assert_eq!(set(&stranger, by_email(&id, "s"), "long enough").await, (200, json!({})));
    }

    async fn a_required_change_is_done_by_it_and_nothing_else(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (admin, _alice) = people(&server).await;
        ok(admin.put("/_reeve/admin/v1/users/@alice:test/password_change", json!({ "required": true })).await);
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await);
        let (id, stranger) = (proof(&server, &smtp).await, server.stranger());
        let same = set(&stranger, by_email(&id, "s"), "alice's password").await;
        assert_eq!(same.refusal(), (400, "M_WEAK_PASSWORD", "The new password must differ from the present one"));
        assert_eq!(set(&stranger, by_email(&id, "s"), "new").await, (200, json!({})));
        let user = ok(admin.get("/_synapse/admin/v2/users/@alice:test").await);
        assert_eq!((&user["locked"], &user["suspended"]), (&json!(true), &json!(true)));
        let required = ok(admin.get("/_reeve/admin/v1/users/@alice:test/password_change").await);
        assert_eq!(required, json!({ "required": false }));
    }

    async fn the_other_sessions_can_stay(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (_admin, alice) = people(&server).await;
        let id = proof(&server, &smtp).await;
        let body = json!({ "new_password": "new", "logout_devices": false, "auth": by_email(&id, "s") });
        assert_eq!(server.stranger().post(PASSWORD, body).await, (200, json!({})));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
    }

    async fn a_session_can_use_a_mail_in_place_of_the_password(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (_admin, alice) = people(&server).await;
        let bob = server.user("bob").await;
        let begun = alice.post(PASSWORD, json!({ "new_password": "new" })).await;
        let flows = json!([{ "stages": ["m.login.password"] }, { "stages": ["m.login.email.identity"] }]);
        assert_eq!((begun.status, &begun.body["flows"]), (401, &flows));
        let id = proof(&server, &smtp).await;
        assert_eq!(set(&bob, by_email(&id, "s"), "new").await.refusal(), (403, "M_FORBIDDEN", "Invalid auth"));
        assert_eq!(set(&alice, by_email(&id, "s"), "new").await, (200, json!({})));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
        assert_eq!(set(&alice, by_email(&id, "s"), "newer").await.refusal(), NOT_CONFIRMED);
        server.log_in("alice", "new").await;
    }

    async fn the_account_must_still_have_the_address(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| config.policy.mail.notices.addresses = false).await;
        let (admin, alice) = people(&server).await;
        let bob = server.user("bob").await;
        let (first, stranger) = (proof(&server, &smtp).await, server.stranger());
        // Another account gets the address after the mail.
        set_address(&admin, &bob.user_id, "alice@x.org").await;
        assert_eq!(set(&stranger, by_email(&first, "s"), "new").await.refusal(), NOT_CONFIRMED);
        assert_eq!(set(&alice, by_email(&first, "s"), "new").await.refusal(), NOT_CONFIRMED);
        assert_eq!(set(&bob, by_email(&first, "s"), "new").await.refusal(), NOT_CONFIRMED);
        server.log_in("bob", "bob's password").await;
        expect(&smtp, "alice@x.org", "[Example] New sign-in to your account").await;
        // Any new password ends the other ways to set one.
        set_address(&admin, &alice.user_id, "alice@x.org").await;
        let body = json!({ "new_password": "given", "logout_devices": false });
        ok(admin.post("/_synapse/admin/v1/reset_password/@alice:test", body).await);
        let notice = expect(&smtp, "alice@x.org", CHANGED).await;
        assert!(notice.message.contains("An administrator of test changed the password"), "{}", notice.message);
        assert_eq!(set(&stranger, by_email(&first, "s"), "new").await.refusal(), NOT_CONFIRMED);
        // A deactivated account has no address.
        let id = sid(&stranger, RESET, "alice@x.org", "t").await;
        confirm(&server, &expect(&smtp, "alice@x.org", CONFIRM).await).await.unwrap();
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        assert_eq!(set(&stranger, by_email(&id, "t"), "new").await.refusal(), NOT_CONFIRMED);
    }

    async fn an_address_that_the_person_removed_proves_nothing(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let (_admin, alice) = people(&server).await;
        let id = proof(&server, &smtp).await;
        let body = json!({ "medium": "email", "address": "alice@x.org" });
        ok(alice.post(&format!("{CS}/account/3pid/delete"), body).await);
        assert_eq!(set(&alice, by_email(&id, "s"), "new").await.refusal(), NOT_CONFIRMED);
        server.log_in("alice", "alice's password").await;
    }

    async fn a_mail_is_not_lost_when_the_server_stops(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        smtp.set_closed(true);
        let id = sid(&server.stranger(), RESET, "alice@x.org", "s").await;
        assert_eq!(smtp.mail().await.message, "");
        until_failed(&server, 1).await;
        server.restart(|_| ()).await;
        smtp.set_closed(false);
        server.clock.advance(5000);
        confirm(&server, &expect(&smtp, "alice@x.org", CONFIRM).await).await.unwrap();
        assert_eq!(set(&server.stranger(), by_email(&id, "s"), "new").await, (200, json!({})));
    }

    async fn a_mail_that_comes_too_late_is_not_sent(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        people(&server).await;
        smtp.set_closed(true);
        sid(&server.stranger(), RESET, "alice@x.org", "s").await;
        assert_eq!(smtp.mail().await.message, "");
        until_failed(&server, 1).await;
        smtp.set_closed(false);
        server.clock.advance(3_600_000);
        sid(&server.stranger(), RESET, "alice@x.org", "t").await;
        expect(&smtp, "alice@x.org", CONFIRM).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(|config| config.policy.password_enabled = false)]
    async fn where_there_are_no_passwords(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let reply = server.stranger().post(RESET, json!({})).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Password change disabled"));
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn without_a_mail_server_a_token_is_needed(server: Server) {
        let reply = server.stranger().post(PASSWORD, json!({ "new_password": "new" })).await;
        assert_eq!(reply.refusal(), (401, "M_MISSING_TOKEN", "Missing access token"));
        let alice = server.user("alice").await;
        let begun = alice.post(PASSWORD, json!({ "new_password": "new" })).await;
        assert_eq!(begun.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    }
}
