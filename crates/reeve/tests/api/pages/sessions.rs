//! The page of sessions, and what ends them.

use reeve_testkit::{Reply, attribute, form, forms, on_both_engines};
use serde_json::json;

use super::*;
use crate::rooms_kit::{enc, ok};

const SESSIONS: &str = "/_reeve/pages/account/sessions";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// Returns the actions by which sessions of browsers are ended, in the order of the page.
fn ends_of_browsers(page: &Reply) -> Vec<String> {
    let actions = forms(page).into_iter().map(|form| form.action);
    actions.filter(|action| action.ends_with("/end?lang=en") && !action.contains("device")).collect()
}

fn end_of_device(device_id: &str) -> String {
    format!("{SESSIONS}/device%3A{}/end", enc(device_id))
}

on_both_engines! {
    async fn a_list(server: Server) {
        let alice = server.user("alice").await;
        ok(alice.put(&format!("/_matrix/client/v3/devices/{}", alice.device_id), json!({ "display_name": "Phone" })).await);
        server.user("bob").await;
        server.signed_in("bob").await;
        let mut first = server.browser();
        first.set_user_agent("Browser/1");
        first.sign_in("alice", "alice's password").await;
        server.clock.advance(60_000);
        let mut second = server.browser();
        second.set_user_agent("Browser/2");
        second.sign_in("alice", "alice's password").await;
        let list = second.get(SESSIONS).await;
        let text = page(&list, 200);
        for shown in ["Phone", &alice.device_id, "testkit", "127.0.0.1", "2023-11-14 22:13 UTC", "2023-11-14 22:14 UTC"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        let (one, two) = (text.find("Browser&#x2f;1").unwrap(), text.find("Browser&#x2f;2").unwrap());
        let mark = text.find("This browser").unwrap();
        assert!(two < mark && mark < one, "the newest is first, and is the one that asks: {text}");
        assert_eq!(text.matches("This browser").count(), 1);
        let link = text.split("<h3><a").nth(1).unwrap().split('>').next().unwrap();
        let link = attribute(link, "href").unwrap();
        assert_eq!(link, format!("{ACCOUNT}/session?device_id={}", alice.device_id));
        let session = second.get(&link).await;
        assert!(page(&session, 200).contains("Phone") && session.html().contains("127.0.0.1"));
        form(&session, &end_of_device(&alice.device_id));
        let missing = second.get(&format!("{ACCOUNT}/session?device_id=NONE")).await;
        assert!(page(&missing, 200).contains("no such session") && forms(&missing).is_empty());
    }

    async fn sessions_end_one_by_one(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let other = server.log_in("alice", "alice's password").await;
        let mut old = server.signed_in("alice").await;
        server.clock.advance(1000);
        let mut browser = server.signed_in("alice").await;
        let mut of_bob = server.signed_in("bob").await;
        let list = browser.get(SESSIONS).await;
        let ended = browser.submit(&list, &end_of_device(&other.device_id), &[]).await;
        let ended = browser.follow(ended).await;
        assert!(page(&ended, 200).contains("The session was ended.") && !ended.html().contains(&other.device_id));
        assert_eq!((other.get(WHOAMI).await.status, alice.get(WHOAMI).await.status), (401, 200));
        // Again: it is gone already.
        assert_eq!(browser.submit(&list, &end_of_device(&other.device_id), &[]).await.status, 303);

        // Sessions of others are no one else's, whatever their ids.
        let token = form(&list, &end_of_device(&alice.device_id)).fields["form_token"].clone();
        let bobs = ends_of_browsers(&of_bob.get(SESSIONS).await);
        for path in [&end_of_device(&bob.device_id), &bobs[0], &format!("{SESSIONS}/none/end")] {
            assert_eq!(browser.post(path, &[("form_token", &*token)]).await.status, 303, "{path}");
        }
        assert_eq!(bob.get(WHOAMI).await.status, 200);
        page(&of_bob.get(ACCOUNT).await, 200);

        let browsers = ends_of_browsers(&list);
        let [own, other] = &browsers[..] else { panic!("two browsers: {browsers:?}") };
        assert_eq!(browser.submit(&list, other, &[]).await.status, 303);
        assert!(asks_to_sign_in(&old.get(ACCOUNT).await));
        page(&browser.get(ACCOUNT).await, 200);
        assert_eq!(browser.submit(&list, own, &[]).await.status, 303);
        assert!(asks_to_sign_in(&browser.get(ACCOUNT).await));
        assert_eq!(alice.get(WHOAMI).await.status, 200);
    }

    async fn all_others_end_at_once(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let (mut browser, mut old) = (server.signed_in("alice").await, server.signed_in("alice").await);
        let list = browser.get(SESSIONS).await;
        let ended = browser.submit(&list, &format!("{SESSIONS}/end-others"), &[]).await;
        let ended = browser.follow(ended).await;
        assert!(page(&ended, 200).contains("No client is signed in."));
        assert_eq!(ends_of_browsers(&ended).len(), 1);
        assert_eq!((alice.get(WHOAMI).await.status, bob.get(WHOAMI).await.status), (401, 200));
        assert!(asks_to_sign_in(&old.get(ACCOUNT).await));
    }

    async fn long_lists_are_cut(server: Server) {
        let alice = server.user("alice").await;
        let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
        server.app().db.write(move |tx| -> Result<(), reeve_db::DbError> {
            for number in 0..204 {
                reeve_store::devices::insert(tx, num, &format!("DEVICE{number:03}"), None, reeve_testkit::START)?;
            }
            Ok(())
        }).await.unwrap();
        ok(alice.get(WHOAMI).await);
        let mut browser = server.signed_in("alice").await;
        let list = browser.get(SESSIONS).await;
        let text = page(&list, 200);
        assert!(text.contains("5 more clients are not shown."), "{text}");
        assert!(text.contains(&alice.device_id), "the one that was seen last is there: {text}");
    }

    async fn addresses_of_browsers_are_forgotten(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        assert!(browser.get(SESSIONS).await.html().contains("127.0.0.1"));
        server.clock.advance(29 * 86_400_000);
        let run = ok(admin.post("/_reeve/admin/v1/retention/ip_addresses", json!({})).await);
        let job = format!("/_reeve/admin/v1/jobs/{}", run["job_id"].as_str().unwrap());
        crate::sync_kit::eventually(&admin, &job, |reply| reply.text("state") == "complete").await;
        assert!(!browser.get(SESSIONS).await.html().contains("127.0.0.1"));
    }
}
