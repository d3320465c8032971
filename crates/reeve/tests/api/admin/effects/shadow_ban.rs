//! Shadow-bans: requests of the banned user succeed without effect, with some exceptions.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

async fn shadow_ban(admin: &Client, user_id: &str) {
    ok(admin.post(&format!("/_synapse/admin/v1/users/{user_id}/shadow_ban"), json!({})).await);
}

async fn lift(admin: &Client, user_id: &str) {
    ok(admin.delete(&format!("/_synapse/admin/v1/users/{user_id}/shadow_ban")).await);
}

/// The invented id in a response, of the form of a real one.
fn invented(reply: Reply) -> String {
    let body = ok(reply);
    let id = at(&body, "/event_id").to_owned();
    assert!(id.starts_with('$') && id.len() == 44, "{id}");
    id
}

on_both_engines! {
    async fn messages_go_nowhere(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let (own, of_bob) = (now(&alice).await, now(&bob).await);
        shadow_ban(&admin, "@alice:test").await;
        let path = room_path(&room, "send/m.room.message/hidden");
        let content = json!({ "msgtype": "m.text", "body": "hidden" });
        let id = invented(alice.put(&path, content.clone()).await);
        // Again with the same transaction: the same lie.
        assert_eq!(invented(alice.put(&path, content).await), id);
        for client in [&alice, &bob] {
            assert_eq!(try_event(client, &room, &id).await.refusal().0, 404);
            let page = messages(client, &room, "dir=b&limit=50").await;
            assert!(bodies(list(&page, "/chunk")).is_empty(), "{page}");
        }
        let came = sync_since(&bob, &of_bob).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
        let came = sync_since(&alice, &own).await;
        assert!(timeline(&came, &room).is_empty(), "{came}");
        // Afterwards all is as before, and what was hidden stays so.
        lift(&admin, "@alice:test").await;
        say(&alice, &room, "real").await;
        assert_eq!(bodies(timeline(&sync_since(&bob, &of_bob).await, &room)), ["real"]);
    }

    async fn other_events_go_nowhere(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let said = say(&alice, &room, "mine").await;
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": said, "key": "x" } });
        let redaction = room_path(&room, &format!("redact/{}/{}", enc(&said), txn()));
        let (sent, redacted, stated) = tokio::join!(
            try_send(&alice, &room, "m.reaction", reaction),
            alice.put(&redaction, json!({})),
            try_state(&alice, &room, "m.room.topic", "", json!({ "topic": "hidden" })),
        );
        for reply in [sent, redacted, stated] {
            let id = invented(reply);
            assert_eq!(try_event(&alice, &room, &id).await.refusal().0, 404);
        }
        assert_eq!(event(&bob, &room, &said).await["content"]["body"], "mine");
        assert_eq!(code(&bob.get(&state_path(&room, "m.room.topic", "")).await), (404, "M_NOT_FOUND"));
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "join").is_empty(), "{came}");
    }

    async fn invitations_go_nowhere(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let reply = alice.post(&room_path(&room, "invite"), json!({ "user_id": "@bob:test" })).await;
        assert_eq!(reply, (200, json!({})));
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "invite").is_empty(), "{came}");
        assert_eq!(membership(&alice, &room, "@bob:test").await, "");
        let join = bob.post(&format!("{CS}/join/{}", enc(&room)), json!({})).await;
        assert_eq!(join.refusal().0, 403, "{}", join.body);
        let counted = admin.get("/_synapse/admin/v1/users/@alice:test/sent_invite_count?from_ts=0").await;
        assert_eq!(counted, (200, json!({ "invite_count": 0 })));
    }

    async fn rooms_are_real_but_without_guests(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let alone = create(&alice, json!({ "preset": "public_chat", "name": "Alone" })).await;
        join(&bob, &alone).await;
        assert_eq!(state(&bob, &alone, "m.room.name", "").await, json!({ "name": "Alone" }));
        let with_guests = create(&alice, json!({ "invite": ["@bob:test"], "is_direct": true })).await;
        assert!(joined_rooms(&alice).await.contains(&with_guests));
        assert_eq!(membership(&alice, &with_guests, "@bob:test").await, "");
        let came = sync_since(&bob, &since).await;
        assert!(rooms_in(&came, "invite").is_empty(), "{came}");
    }

    async fn coming_and_going_are_real(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (open, invited) = (create_public(&bob).await, create(&bob, json!({ "invite": ["@alice:test"] })).await);
        let door = create(&bob, json!({ "initial_state": [
            { "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } },
        ] })).await;
        shadow_ban(&admin, "@alice:test").await;
        join(&alice, &open).await;
        assert_eq!(membership(&bob, &open, "@alice:test").await, "join");
        leave(&alice, &open).await;
        assert_eq!(membership(&bob, &open, "@alice:test").await, "leave");
        leave(&alice, &invited).await;
        assert_eq!(membership(&bob, &invited, "@alice:test").await, "leave");
        ok(alice.post(&format!("{CS}/knock/{}", enc(&door)), json!({})).await);
        assert_eq!(membership(&bob, &door, "@alice:test").await, "knock");
    }

    async fn typing_is_not_shown(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        shadow_ban(&admin, "@alice:test").await;
        let since = now(&bob).await;
        let body = json!({ "typing": true, "timeout": 30_000 });
        assert_eq!(alice.put(&room_path(&room, "typing/@alice:test"), body).await, (200, json!({})));
        let came = sync_since(&bob, &since).await;
        assert!(ephemeral(&came, &room, "m.typing").is_null(), "{came}");
        // Acts other than messages work as usual.
        let said = say(&bob, &room, "m").await;
        receipt(&alice, &room, "m.read", &said, json!({})).await;
        let came = sync_until(&bob, &since, |sync| !ephemeral(sync, &room, "m.receipt").is_null()).await;
        assert!(ephemeral(&came, &room, "m.receipt")[&said]["m.read"]["@alice:test"].is_object(), "{came}");
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        let data = alice.get(&format!("{CS}/user/@alice:test/account_data/org.example.a")).await;
        assert_eq!(data, (200, json!({ "a": 1 })));
    }

    async fn a_new_name_does_not_reach_rooms(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let profile = format!("{CS}/profile/@alice:test");
        let set = |key: &'static str, value: &'static str| {
            let (alice, profile) = (alice.clone(), profile.clone());
            async move { assert_eq!(alice.put(&format!("{profile}/{key}"), json!({ key: value })).await, (200, json!({}))) }
        };
        set("displayname", "Hidden").await;
        set("avatar_url", "mxc://test/hidden").await;
        let whole = json!({ "displayname": "Hidden", "avatar_url": "mxc://test/hidden" });
        assert_eq!(bob.get(&profile).await, (200, whole));
        let member = state(&bob, &room, "m.room.member", "@alice:test").await;
        assert_eq!((&member["displayname"], member.get("avatar_url").unwrap_or(&Value::Null)), (&json!("alice"), &Value::Null));
        assert!(rooms_in(&sync_since(&bob, &since).await, "join").is_empty());
        // A name that an administrator gives does.
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "displayname": "Given" })).await);
        let came = sync_until(&bob, &since, |sync| !timeline(sync, &room).is_empty()).await;
        assert_eq!(content(of_state(timeline(&came, &room), "m.room.member", "@alice:test"))["displayname"], "Given");
    }

    async fn a_name_for_one_room_is_dropped(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, other) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &room).await;
        shadow_ban(&admin, "@alice:test").await;
        ok(alice.put(&format!("{CS}/profile/@alice:test/displayname"), json!({ "displayname": "Hidden" })).await);
        let loud = json!({ "membership": "join", "displayname": "Loud", "avatar_url": "mxc://test/loud", "reason": "r" });
        for (room, name) in [(&room, "alice"), (&other, "Hidden")] {
            let sent = ok(try_state(&alice, room, "m.room.member", "@alice:test", loud.clone()).await);
            // The remaining effects are real.
            let event = event(&bob, room, at(&sent, "/event_id")).await;
            let expected = json!({ "membership": "join", "displayname": name, "reason": "r" });
            assert_eq!(event["content"], expected);
            assert_eq!(state(&bob, room, "m.room.member", "@alice:test").await, expected);
        }
        let gone = json!({ "membership": "leave", "displayname": "Loud" });
        ok(try_state(&alice, &other, "m.room.member", "@alice:test", gone).await);
        assert_eq!(state(&bob, &other, "m.room.member", "@alice:test").await, json!({ "membership": "leave" }));
        lift(&admin, "@alice:test").await;
        ok(try_state(&alice, &room, "m.room.member", "@alice:test", loud.clone()).await);
        assert_eq!(state(&bob, &room, "m.room.member", "@alice:test").await, loud);
    }

    async fn an_upgrade_goes_nowhere(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let version = default_version(&alice).await;
        let body = ok(alice.post(&room_path(&room, "upgrade"), json!({ "new_version": version })).await);
        let replacement = at(&body, "/replacement_room");
        assert!(!replacement.is_empty(), "{body}");
        assert_eq!(code(&bob.get(&state_path(&room, "m.room.tombstone", "")).await), (404, "M_NOT_FOUND"));
        assert!(!joined_rooms(&alice).await.iter().any(|room| room == replacement));
        let details = admin.get(&format!("/_synapse/admin/v1/rooms/{}", enc(replacement))).await;
        assert_ne!(details.status, 200, "{}", details.body);
        assert!(rooms_in(&sync_since(&bob, &since).await, "join").is_empty());
    }

    async fn what_is_forbidden_stays_forbidden(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, foreign) = (create_public(&bob).await, create(&bob, json!({})).await);
        join(&alice, &room).await;
        shadow_ban(&admin, "@alice:test").await;
        let kick = alice.post(&room_path(&room, "kick"), json!({ "user_id": "@bob:test" })).await;
        assert_eq!(code(&kick), (403, "M_FORBIDDEN"));
        let entering = alice.post(&format!("{CS}/join/{}", enc(&foreign)), json!({})).await;
        assert_eq!(code(&entering), (403, "M_FORBIDDEN"));
        assert_eq!(membership(&bob, &room, "@bob:test").await, "join");
    }

    async fn it_holds_for_every_session_at_once(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let login = ok(admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await);
        let puppet = server.with_token(at(&login, "/access_token"));
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        say(&puppet, &room, "before").await;
        say(&phone, &room, "before").await;
        let since = now(&bob).await;
        shadow_ban(&admin, "@alice:test").await;
        let message = json!({ "msgtype": "m.text", "body": "hidden" });
        for session in [&alice, &phone, &puppet] {
            invented(try_send(session, &room, "m.room.message", message.clone()).await);
        }
        assert!(rooms_in(&sync_since(&bob, &since).await, "join").is_empty());
        lift(&admin, "@alice:test").await;
        for session in [&alice, &phone, &puppet] {
            say(session, &room, "after").await;
        }
        assert_eq!(bodies(timeline(&sync_since(&bob, &since).await, &room)), ["after", "after", "after"]);
    }

    async fn the_banned_one_still_hears(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let name = unique_name(&alice).await;
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        shadow_ban(&admin, "@alice:test").await;
        let since = now(&alice).await;
        let came = woken(&alice, |sync| !timeline(sync, &room).is_empty(), async { say(&bob, &room, "heard").await; }).await;
        assert_eq!(bodies(timeline(&came, &room)), ["heard"]);
        assert_eq!(unread(&sync_since(&alice, &since).await, &room), (1, 0));
        directory_until(&bob, &name, "@alice:test", true).await;
    }
}
