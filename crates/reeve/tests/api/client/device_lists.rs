//! Device-list changes in syncs.

use http::Method;
use reeve_testkit::{Client, on_both_engines};
use serde_json::json;

use crate::keys_kit::*;
use crate::rooms_kit::*;
use crate::sync_kit::*;

const SLIDE: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const NOBODY: [&str; 0] = [];

/// The changes that a client receives step by step.
struct Watcher<'a> {
    client: &'a Client,
    since: String,
    pos: String,
}

impl<'a> Watcher<'a> {
    async fn new(client: &'a Client) -> Self {
        let body = json!({ "extensions": { "e2ee": { "enabled": true } } });
        let first = ok(client.post(SLIDE, body).await);
        assert_eq!(first["extensions"]["e2ee"]["device_lists"], json!({ "changed": [], "left": [] }));
        Self { client, since: now(client).await, pos: at(&first, "/pos").to_owned() }
    }

    /// Asserts the changes since the last sync, by both kinds of sync.
    async fn learns(&mut self, who: &[&str], gone: &[&str]) {
        let sync = sync_since(self.client, &self.since).await;
        assert_eq!((changed(&sync), left(&sync)), (who.to_vec(), gone.to_vec()), "{sync}");
        self.since = next(&sync);
        let body = json!({ "extensions": { "e2ee": { "enabled": true } } });
        let answer = ok(self.client.post(&format!("{SLIDE}?pos={}", self.pos), body).await);
        let lists = &answer["extensions"]["e2ee"];
        assert_eq!((changed(lists), left(lists)), (who.to_vec(), gone.to_vec()), "{answer}");
        at(&answer, "/pos").clone_into(&mut self.pos);
    }
}

on_both_engines! {
    async fn devices_and_keys(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let (bob, carol) = (server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        assert_eq!(changed(&sync(&alice).await), NOBODY);
        let mut alices = Watcher::new(&alice).await;
        alices.learns(&[], &[]).await;
        // Of strangers one learns nothing.
        upload_keys(&carol).await;
        alices.learns(&[], &[]).await;
        let signer = upload_keys(&bob).await;
        alices.learns(&["@bob:test"], &[]).await;
        // The same keys again are not a change; one-time keys are not visible to others.
        upload(&bob, json!({ "device_keys": device_keys(&bob, &signer), "one_time_keys": one_time_keys(&["a"]) })).await;
        alices.learns(&[], &[]).await;
        let phone = server.log_in("bob", "bob's password").await;
        alices.learns(&["@bob:test"], &[]).await;
        ok(bob.put(&format!("{CS}/devices/{}", phone.device_id), json!({ "display_name": "Phone" })).await);
        alices.learns(&["@bob:test"], &[]).await;
        ok(bob.put(&format!("{CS}/devices/{}", phone.device_id), json!({ "display_name": "Phone" })).await);
        alices.learns(&[], &[]).await;
        ok(phone.post(&format!("{CS}/logout"), json!({})).await);
        alices.learns(&["@bob:test"], &[]).await;
        cross_sign(&bob).await;
        alices.learns(&["@bob:test"], &[]).await;
        // One's own, too.
        upload_keys(&alice).await;
        alices.learns(&["@alice:test"], &[]).await;
        // Changes by administrators.
        let devices = "/_synapse/admin/v2/users/@bob:test/devices";
        assert_eq!(admin.post(devices, json!({ "device_id": "NEW" })).await.status, 201);
        alices.learns(&["@bob:test"], &[]).await;
        assert_eq!(admin.post(devices, json!({ "device_id": "NEW" })).await.status, 201);
        alices.learns(&[], &[]).await;
        ok(admin.put(&format!("{devices}/NEW"), json!({ "display_name": "x" })).await);
        alices.learns(&["@bob:test"], &[]).await;
        ok(admin.delete(&format!("{devices}/NEW")).await);
        alices.learns(&["@bob:test"], &[]).await;
        ok(admin.delete(&format!("{devices}/NEW")).await);
        alices.learns(&[], &[]).await;
        let body = json!({ "devices": [bob.device_id] });
        ok(admin.post("/_synapse/admin/v2/users/@bob:test/delete_devices", body).await);
        alices.learns(&["@bob:test"], &[]).await;
        // Deactivated users.
        ok(admin.post("/_synapse/admin/v1/deactivate/@bob:test", json!({})).await);
        eventually(&admin, "/_synapse/admin/v1/users/@bob:test/joined_rooms", |reply| reply.body["total"] == 0).await;
        alices.learns(&[], &["@bob:test"]).await;
        assert_eq!(query(&alice, "@bob:test").await["master_keys"], json!({}));
    }

    async fn coming_and_going(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let carol = server.user("carol").await;
        let (one, two) = (create_public(&alice).await, create_public(&carol).await);
        let mut alices = Watcher::new(&alice).await;
        join(&bob, &one).await;
        alices.learns(&["@bob:test"], &[]).await;
        rename(&bob, "Robert").await;
        say(&bob, &one, "hello").await;
        alices.learns(&[], &[]).await;
        // All members of a room that is joined.
        join(&bob, &two).await;
        alices.learns(&[], &[]).await;
        join(&alice, &two).await;
        alices.learns(&["@bob:test", "@carol:test"], &[]).await;
        // Another room is still shared.
        leave(&bob, &two).await;
        alices.learns(&[], &[]).await;
        kick(&alice, &one, "@bob:test").await;
        alices.learns(&[], &["@bob:test"]).await;
        invite(&alice, &one, "@bob:test").await;
        alices.learns(&[], &[]).await;
        // Left and joined again: the keys may have changed meanwhile.
        join(&bob, &one).await;
        leave(&bob, &one).await;
        alices.learns(&[], &[]).await;
        join(&bob, &one).await;
        alices.learns(&["@bob:test"], &[]).await;
        leave(&bob, &one).await;
        join(&bob, &one).await;
        alices.learns(&["@bob:test"], &[]).await;
        // One goes oneself.
        leave(&alice, &two).await;
        alices.learns(&[], &["@carol:test"]).await;
        leave(&alice, &one).await;
        alices.learns(&[], &["@bob:test"]).await;
        // Declining an invitation ends nothing.
        invite(&carol, &two, "@alice:test").await;
        alices.learns(&[], &[]).await;
        leave(&alice, &two).await;
        alices.learns(&[], &[]).await;
        // A room that is deleted.
        let three = create_public(&alice).await;
        join(&bob, &three).await;
        alices.learns(&["@bob:test"], &[]).await;
        let reply = admin.send(Method::DELETE, &format!("/_synapse/admin/v2/rooms/{three}"), &[], "{}").await;
        let status = format!("/_synapse/admin/v2/rooms/delete_status/{}", reply.text("delete_id"));
        eventually(&admin, &status, |reply| reply.text("status") == "complete").await;
        alices.learns(&[], &["@bob:test"]).await;
    }

    async fn who_waits_is_woken(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let upload = async { drop(upload_keys(&bob).await) };
        let came = woken(&alice, |sync| !changed(sync).is_empty(), upload).await;
        assert_eq!(changed(&came), ["@bob:test"]);
    }

    async fn signatures(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (alices, bobs) = (cross_sign(&alice).await, cross_sign(&bob).await);
        let (mut phones, mut bob_sees) = (Watcher::new(&phone).await, Watcher::new(&bob).await);
        let key = alices.user_signing.sign("@alice:test", &alices.user_signing.public, &bobs.master_key());
        let body = json!({ "@bob:test": { bobs.master.public.clone(): key } });
        assert_eq!(ok(alice.post(&format!("{CS}/keys/signatures/upload"), body).await), json!({ "failures": {} }));
        // Signatures of other users concern only the signer's own devices.
        phones.learns(&["@bob:test"], &[]).await;
        bob_sees.learns(&[], &[]).await;
    }

    async fn who_came_after_one_left_is_nobody_one_knew(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let since = now(&alice).await;
        leave(&alice, &room).await;
        join(&carol, &room).await;
        // That it is a ban by now changes nothing.
        ban(&bob, &room, "@alice:test").await;
        assert_eq!(left(&sync_since(&alice, &since).await), ["@bob:test"]);
    }
}
