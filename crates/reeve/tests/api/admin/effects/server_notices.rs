//! Server notices: a room in which the server writes to one account.

use reeve_testkit::{Config, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const SEND: &str = "/_synapse/admin/v1/send_server_notice";

/// Notices are off unless the settings name an account for them; here it is `notices`.
fn with_notices(config: &mut Config) {
    config.policy.notices_localpart = Some("notices".to_owned());
}

fn notice(text: &str) -> Value {
    json!({ "user_id": "@alice:test", "content": { "msgtype": "m.text", "body": text } })
}

on_both_engines! {
    async fn off(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let reply = admin.post(SEND, notice("Hello")).await;
        assert_eq!(reply.refusal(), (400, "M_UNKNOWN", "Server notices are not enabled on this server"));
        let reply = admin.post(SEND, json!({})).await;
        assert_eq!(reply.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['user_id', 'content']"));
    }

    #[config(with_notices)]
    async fn nobody_takes_the_name_of_the_sender(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let (account, available) = ("/_synapse/admin/v2/users/@notices:test", "/_synapse/admin/v1/username_available?username=notices");
        let reserved = (400, "M_EXCLUSIVE", "This user ID is reserved.");
        assert_eq!(admin.put(account, json!({ "password": "mine" })).await.refusal(), reserved);
        assert_eq!(admin.get(available).await.refusal(), reserved);
        ok(admin.post(SEND, notice("Hello")).await);
        // It is there now, and like another one.
        assert_eq!(admin.get(available).await.refusal(), reserved);
        let changed = ok(admin.put(account, json!({ "avatar_url": "mxc://test/a" })).await);
        assert_eq!(changed["avatar_url"], "mxc://test/a");
    }

    #[config(with_notices)]
    async fn sent_and_seen(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let since = now(&alice).await;
        let sent = ok(admin.post(SEND, notice("Hello")).await);
        let came = sync_since(&alice, &since).await;
        let room = rooms_in(&came, "invite")[0].clone();
        let stripped = list(section(&came, "invite", &room), "/invite_state/events");
        let own = of_state(stripped, "m.room.member", "@alice:test").unwrap();
        assert_eq!(at(own, "/sender"), "@notices:test");
        join(&alice, &room).await;
        let page = messages(&alice, &room, "dir=b&limit=50").await;
        let message = of_kind(list(&page, "/chunk"), "m.room.message").unwrap();
        assert_eq!((at(message, "/event_id"), at(message, "/sender")), (at(&sent, "/event_id"), "@notices:test"));
        assert_eq!(message["content"], json!({ "msgtype": "m.text", "body": "Hello" }));
        // Clients show such rooms apart.
        let tags = room_data(&sync(&alice).await, &room, "m.tag").clone();
        assert!(tags["tags"].get("m.server_notice").is_some(), "{tags}");
        // The next notice uses the same room.
        let since = now(&alice).await;
        ok(admin.post(SEND, notice("Again")).await);
        let came = sync_since(&alice, &since).await;
        assert_eq!((bodies(timeline(&came, &room)), rooms_in(&came, "invite")), (vec!["Again"], vec![]));
    }

    #[config(with_notices)]
    async fn the_same_transaction_is_sent_once(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{SEND}/once");
        let first = ok(admin.put(&path, notice("Hello")).await);
        assert_eq!(ok(admin.put(&path, notice("Hello")).await), first);
        let room = rooms_in(&sync(&alice).await, "invite")[0].clone();
        join(&alice, &room).await;
        let (all, _) = all_messages(&alice, &room, "dir=b").await;
        assert_eq!(bodies(&all), ["Hello"]);
        let other = ok(admin.put(&format!("{SEND}/twice"), notice("Hello")).await);
        assert_ne!(other, first);
    }

    #[config(with_notices)]
    async fn the_room_cannot_be_refused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        ok(admin.post(SEND, notice("Hello")).await);
        let room = rooms_in(&sync(&alice).await, "invite")[0].clone();
        let refused = alice.post(&room_path(&room, "leave"), json!({})).await;
        assert_eq!(code(&refused), (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"));
        // One who has accepted may go, and is called back by the next notice.
        join(&alice, &room).await;
        leave(&alice, &room).await;
        ok(admin.post(SEND, notice("Again")).await);
        assert_eq!(rooms_in(&sync(&alice).await, "invite").len(), 1);
    }

    #[config(with_notices)]
    async fn what_is_refused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let to = |user_id: &str| json!({ "user_id": user_id, "content": 5, "type": 5 });
        let with = |key: &str, value: Value| {
            let mut body = notice("x");
            body[key] = value;
            body
        };
        for (body, refusal) in [
            (json!({}), (400, "M_MISSING_PARAM", "Missing params: ['user_id', 'content']")),
            (json!({ "user_id": "@alice:test" }), (400, "M_MISSING_PARAM", "Missing params: ['content']")),
            (to("bad"), (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'")),
            (to("@alice:other"), (400, "M_UNKNOWN", "Server notices can only be sent to local users")),
            (to("@nobody:test"), (404, "M_NOT_FOUND", "User not found")),
            (with("user_id", json!(5)), (400, "M_BAD_JSON", "'user_id' must be a string")),
            (with("user_id", json!(null)), (400, "M_BAD_JSON", "'user_id' must be a string")),
            (to("@alice:test"), (400, "M_UNKNOWN", "'type' not a string type")),
            (with("type", json!(null)), (400, "M_UNKNOWN", "'type' not a string type")),
            (with("state_key", json!(5)), (400, "M_UNKNOWN", "'state_key' not a string type")),
            (with("content", json!(5)), (400, "M_BAD_JSON", "'content' must be an object")),
            (with("content", json!(null)), (400, "M_BAD_JSON", "'content' must be an object")),
            (with("content", json!({})), (400, "M_UNKNOWN", "'body' not in content")),
            (with("content", json!({ "body": "x" })), (400, "M_UNKNOWN", "'msgtype' not in content")),
            (with("content", json!({ "body": 5 })), (400, "M_UNKNOWN", "'msgtype' not in content")),
            (with("content", json!({ "body": 5, "msgtype": 6 })), (400, "M_UNKNOWN", "'body' not a string type")),
            (with("content", json!({ "body": "x", "msgtype": 6 })), (400, "M_UNKNOWN", "'msgtype' not a string type")),
            (with("type", json!("m.room.member")), (400, "M_UNKNOWN", "Memberships cannot be sent as notices")),
        ] {
            assert_eq!(admin.post(SEND, body.clone()).await.refusal(), refusal, "{body}");
            assert_eq!(admin.put(&format!("{SEND}/txn"), body.clone()).await.refusal(), refusal, "{body}");
        }
        assert_eq!(rooms_in(&sync(&alice).await, "invite"), Vec::<String>::new());
        // A notice with a known transaction id is not checked again.
        let sent = ok(admin.put(&format!("{SEND}/txn"), notice("x")).await);
        assert_eq!(ok(admin.put(&format!("{SEND}/txn"), to("@nobody:test")).await), sent);
        ok(admin.post(SEND, with("state_key", json!(null))).await);
        assert_eq!(alice.post(SEND, notice("x")).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
    }

    #[config(with_notices)]
    async fn other_events_than_messages(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        ok(admin.post(SEND, notice("Hello")).await);
        let room = rooms_in(&sync(&alice).await, "invite")[0].clone();
        join(&alice, &room).await;
        let since = now(&alice).await;
        let body = json!({
            "user_id": "@alice:test", "type": "m.room.topic", "state_key": "", "content": { "topic": "Maintenance" },
        });
        ok(admin.post(SEND, body).await);
        let came = sync_since(&alice, &since).await;
        assert_eq!(content(of_state(timeline(&came, &room), "m.room.topic", ""))["topic"], "Maintenance");
        let reply = try_send(&alice, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "Thanks" })).await;
        assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
    }

    #[config(|config| {
        with_notices(config);
        config.rooms.notices.auto_join = true;
        "Operator".clone_into(&mut config.rooms.notices.display_name);
        config.rooms.notices.avatar_url = Some("mxc://test/face".to_owned());
        "News".clone_into(&mut config.rooms.notices.room_name);
        config.rooms.notices.room_topic = Some("About this server".to_owned());
        config.rooms.notices.room_avatar_url = Some("mxc://test/room".to_owned());
    })]
    async fn as_the_settings_say(server: Server) {
        let mut server = server;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        ok(admin.post(SEND, notice("Hello")).await);
        let came = sync(&alice).await;
        assert_eq!(rooms_in(&came, "invite"), Vec::<String>::new());
        let room = joined_rooms(&alice).await.remove(0);
        assert_eq!(bodies(timeline(&came, &room)), ["Hello"]);
        assert!(room_data(&came, &room, "m.tag")["tags"].get("m.server_notice").is_some());
        for (kind, key, value) in [
            ("m.room.name", "name", "News"), ("m.room.topic", "topic", "About this server"), ("m.room.avatar", "url", "mxc://test/room"),
        ] {
            assert_eq!(state(&alice, &room, kind, "").await, json!({ key: value }));
        }
        let sender = state(&alice, &room, "m.room.member", "@notices:test").await;
        assert_eq!(sender, json!({ "membership": "join", "displayname": "Operator", "avatar_url": "mxc://test/face" }));
        // One who left is there again with the next notice; the room and its sender follow the settings.
        leave(&alice, &room).await;
        let (token, of_alice) = (admin.token.clone().unwrap(), alice.token.clone().unwrap());
        server.restart(|config| {
            "Staff".clone_into(&mut config.rooms.notices.display_name);
            "More news".clone_into(&mut config.rooms.notices.room_name);
            config.rooms.notices.room_topic = None;
            config.rooms.notices.room_avatar_url = Some("mxc://test/other".to_owned());
        }).await;
        let (admin, alice) = (server.with_token(&token), server.with_token(&of_alice));
        ok(admin.post(SEND, notice("Again")).await);
        assert_eq!(joined_rooms(&alice).await, std::slice::from_ref(&room));
        for (kind, key, value) in [
            ("m.room.name", "name", "More news"), ("m.room.topic", "topic", "About this server"), ("m.room.avatar", "url", "mxc://test/other"),
        ] {
            assert_eq!(state(&alice, &room, kind, "").await, json!({ key: value }));
        }
        let profile = ok(alice.get(&format!("{CS}/profile/@notices:test")).await);
        assert_eq!(profile, json!({ "displayname": "Staff", "avatar_url": "mxc://test/face" }));
        // The next notice changes nothing except its message.
        let since = now(&alice).await;
        ok(admin.post(SEND, notice("Third")).await);
        let came = sync_since(&alice, &since).await;
        let news: Vec<&Value> = timeline(&came, &room).iter().filter(|event| event["state_key"] != "@notices:test").collect();
        assert_eq!(news.len(), 1, "{came}");
        // The deactivated are brought nowhere.
        server.create("gone", false).await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await);
        let mut body = notice("x");
        body["user_id"] = json!("@gone:test");
        ok(admin.post(SEND, body).await);
        let left = ok(admin.get("/_synapse/admin/v1/users/@gone:test/joined_rooms").await);
        assert_eq!(left["total"], 0);
    }
}
