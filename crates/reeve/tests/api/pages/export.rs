//! Archives of the account.

use reeve_testkit::{START_MS, form, forms, on_both_engines};
use serde_json::json;

use super::*;
use crate::export_kit::{Opened, over};

const EXPORT: &str = "/_reeve/pages/account/export";
const OWN: &str = "/_reeve/client/v1/exports";

on_both_engines! {
    async fn from_the_order_to_the_download(server: Server) {
        let alice = server.user("alice").await;
        let mut browser = server.signed_in("alice").await;
        let asked = browser.get(EXPORT).await;
        assert!(page(&asked, 200).contains("It is kept for 7 days"));
        for (password, says) in [("", "Enter your present password."), ("wrong", "The password is wrong.")] {
            let values = [("password", password), ("media", ""), ("history", "yes")];
            let refused = browser.submit(&asked, EXPORT, &values).await;
            assert!(page(&refused, 403).contains(says), "{}", refused.html());
            let fields = form(&refused, EXPORT).fields;
            assert_eq!((&*fields["media"], &*fields["history"]), ("", "yes"));
        }
        assert_eq!(alice.get(OWN).await, (200, json!({ "exports": [] })));
        let values = [("password", "alice's password"), ("media", ""), ("history", "yes")];
        let ordered = browser.submit(&asked, EXPORT, &values).await;
        let ordered = browser.follow(ordered).await;
        assert!(page(&ordered, 200).contains("The archive is being made."), "{}", ordered.html());
        let export = alice.get(OWN).await.body["exports"][0].clone();
        assert_eq!((&export["history"], &export["media"]), (&json!(true), &json!(false)));
        let path = format!("{OWN}/{}", export["id"].as_str().unwrap());
        over(&alice, &path).await;

        let ready = browser.get(EXPORT).await;
        assert!(page(&ready, 200).contains("Ready") && ready.html().contains("1 MB"), "{}", ready.html());
        let action = format!("{EXPORT}/{}/download", export["id"].as_str().unwrap());
        let refused = browser.submit(&ready, &action, &[("password", "wrong")]).await;
        assert!(page(&refused, 403).contains("The password is wrong."));
        let made = browser.submit(&ready, &action, &[("password", "alice's password")]).await;
        let link = continues(&made).to_owned();
        assert!(link.starts_with("/_reeve/export/rvx_"), "{link}");
        let archive = Opened::new(&browser.get(&link).await.bytes);
        assert_eq!(archive.json("account.json")["user_id"], json!("@alice:test"));
        assert_eq!(archive.lines("browsers.jsonl"), [json!({
            "signed_in_ts": START_MS, "last_seen_ts": START_MS, "ip": "127.0.0.1", "user_agent": "testkit",
        })]);

        // One a day.
        let orders = forms(&ready).into_iter().filter(|form| form.action.starts_with(&format!("{EXPORT}?"))).count();
        assert_eq!(orders, 1);
        let again = browser.submit(&ready, &format!("{EXPORT}?"), &values).await;
        assert!(page(&again, 400).contains("An archive was ordered lately."), "{}", again.html());
        // Somebody else's.
        server.create("bob", false).await;
        let mut of_bob = server.signed_in("bob").await;
        let token = form(&of_bob.get(EXPORT).await, EXPORT).fields["form_token"].clone();
        let reply = of_bob.post(&action, &[("form_token", &*token), ("password", "bob's password")]).await;
        assert!(page(&reply, 400).contains("cannot be downloaded now"));
    }

    #[config(|config| config.exports.own = false)]
    async fn servers_that_make_none(server: Server) {
        server.create("alice", false).await;
        let mut browser = server.signed_in("alice").await;
        let asked = browser.get(EXPORT).await;
        assert!(page(&asked, 200).contains("makes no archives") && forms(&asked).is_empty());
        let logout = browser.get("/_reeve/pages/logout").await;
        let token = form(&logout, "/_reeve/pages/logout").fields["form_token"].clone();
        let fields = [("form_token", &*token), ("password", "alice's password")];
        let refused = browser.post(EXPORT, &fields).await;
        assert!(page(&refused, 400).contains("This server does not make exports for users"));
    }
}
