//! Suspension: the account can read and leave, but not send.

use http::Method;
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn suspend(admin: &Client, suspend: bool) {
    ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": suspend })).await);
}

fn refused(reply: &Reply, what: &str) {
    let text = format!("{what} while account is suspended is not allowed.");
    assert_eq!(reply.refusal(), (403, "M_USER_SUSPENDED", &*text));
}

on_both_engines! {
    async fn nothing_is_sent(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, own) = (create_public(&bob).await, create_public(&alice).await);
        join(&alice, &room).await;
        let said = say(&bob, &room, "m").await;
        suspend(&admin, true).await;
        let since = now(&bob).await;
        let message = json!({ "msgtype": "m.text", "body": "no" });
        let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": said, "key": "x" } });
        let sending = "Sending messages";
        refused(&try_send(&alice, &room, "m.room.message", message.clone()).await, sending);
        refused(&try_send(&alice, &room, "m.reaction", reaction).await, sending);
        refused(&try_state(&alice, &own, "m.room.topic", "", json!({ "topic": "no" })).await, sending);
        refused(&alice.post(&format!("{CS}/createRoom"), json!({})).await, sending);
        assert!(rooms_in(&sync_since(&bob, &since).await, "join").is_empty());
        assert_eq!(joined_rooms(&alice).await.len(), 2);
        // A login-as token is restricted, too.
        let login = ok(admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await);
        let puppet = server.with_token(at(&login, "/access_token"));
        refused(&try_send(&puppet, &room, "m.room.message", message).await, sending);
        suspend(&admin, false).await;
        say(&alice, &room, "again").await;
        assert_eq!(bodies(timeline(&sync_since(&bob, &since).await, &room)), ["again"]);
    }

    async fn nobody_is_invited_and_no_room_is_entered(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (own, open) = (create_public(&alice).await, create_public(&bob).await);
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let door = create(&bob, json!({ "initial_state": [
            { "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } },
        ] })).await;
        suspend(&admin, true).await;
        let post = |path: String, body: Value| {
            let alice = alice.clone();
            async move { alice.post(&path, body).await }
        };
        refused(&post(room_path(&own, "invite"), json!({ "user_id": "@bob:test" })).await, "Sending invites");
        for room in [&open, &invited] {
            refused(&post(format!("{CS}/join/{}", enc(room)), json!({})).await, "Joining rooms");
            refused(&post(room_path(room, "join"), json!({})).await, "Joining rooms");
        }
        refused(&post(format!("{CS}/knock/{}", enc(&door)), json!({})).await, "Knocking on rooms");
        // Nor is anybody brought in against it.
        let forced = admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&open)), json!({ "user_id": "@alice:test" })).await;
        refused(&forced, "Joining rooms");
        assert_eq!(joined_rooms(&alice).await, [own]);
    }

    async fn nobody_is_banned(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        suspend(&admin, true).await;
        refused(&alice.post(&room_path(&room, "ban"), json!({ "user_id": "@bob:test" })).await, "Changing membership");
        assert_eq!(membership(&bob, &room, "@bob:test").await, "join");
    }

    async fn listening_and_going_are_free(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, invited) = (create_public(&bob).await, create(&bob, json!({ "invite": ["@alice:test"] })).await);
        join(&alice, &room).await;
        suspend(&admin, true).await;
        let since = now(&alice).await;
        let said = say(&bob, &room, "m").await;
        assert_eq!(bodies(timeline(&sync_since(&alice, &since).await, &room)), ["m"]);
        let of_bob = now(&bob).await;
        receipt(&alice, &room, "m.read", &said, json!({})).await;
        typing(&alice, &room, true).await;
        let both = |sync: &Value| !ephemeral(sync, &room, "m.receipt").is_null() || !ephemeral(sync, &room, "m.typing").is_null();
        sync_until(&bob, &of_bob, both).await;
        set_data(&alice, "org.example.a", json!({})).await;
        server.log_in("alice", "alice's password").await;
        leave(&alice, &invited).await;
        leave(&alice, &room).await;
        assert_eq!((membership(&bob, &invited, "@alice:test").await, membership(&bob, &room, "@alice:test").await), ("leave".to_owned(), "leave".to_owned()));
    }

    async fn only_own_words_are_taken_back(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (mine, his) = (say(&alice, &room, "mine").await, say(&bob, &room, "his").await);
        suspend(&admin, true).await;
        let path = |id: &str| room_path(&room, &format!("redact/{}/{}", enc(id), txn()));
        let refusal = alice.put(&path(&his), json!({})).await;
        let text = "You can only redact your own events while account is suspended.";
        assert_eq!(refusal.refusal(), (403, "M_USER_SUSPENDED", text));
        ok(alice.put(&path(&mine), json!({})).await);
        assert_eq!(event(&bob, &room, &mine).await["content"], json!({}));
        assert_eq!(event(&bob, &room, &his).await["content"]["body"], "his");
    }

    async fn a_name_given_by_others_stays_out_of_rooms(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        suspend(&admin, true).await;
        let path = format!("{CS}/profile/@alice:test/displayname");
        refused(&alice.put(&path, json!({ "displayname": "A" })).await, "Updating profile");
        refused(&alice.send(Method::DELETE, &path, &[], "").await, "Updating profile");
        let since = now(&bob).await;
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "displayname": "Given" })).await);
        assert_eq!(bob.get(&path).await, (200, json!({ "displayname": "Given" })));
        let came = sync_with(&bob, &format!("timeout=500&since={}", enc(&since))).await;
        assert!(timeline(&came, &room).is_empty(), "{came}");
        assert_eq!(state(&bob, &room, "m.room.member", "@alice:test").await["displayname"], "alice");
    }
}
