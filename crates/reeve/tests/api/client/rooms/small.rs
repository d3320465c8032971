//! Small room routes for clients.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

on_both_engines! {
    async fn third_party_networks_are_none(server: Server) {
        let alice = server.user("alice").await;
        assert_eq!(alice.get(&format!("{CS}/thirdparty/protocols")).await, (200, json!({})));
    }

    async fn malformed_ids_are_refused_everywhere(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        for bad in ["bad", "@alice:test", "$x", "%20"] {
            for rest in [
                "messages?dir=b", "state", "state/m.room.name/", "members", "joined_members", "aliases", "event/$x", "context/$x",
            ] {
                let reply = alice.get(&format!("{CS}/rooms/{bad}/{rest}")).await;
                assert!(matches!(reply.status, 400 | 403 | 404), "{bad} {rest}: {}", reply.body);
                assert!(reply.text("errcode").starts_with("M_"), "{bad} {rest}: {}", reply.body);
            }
            for rest in ["join", "leave", "invite", "kick", "ban", "unban", "upgrade", "report"] {
                let body = json!({ "user_id": "@bob:test", "new_version": "11", "reason": "x" });
                let reply = alice.post(&format!("{CS}/rooms/{bad}/{rest}"), body).await;
                assert!(matches!(reply.status, 400 | 403 | 404), "{bad} {rest}: {}", reply.body);
            }
            for rest in ["read_markers", "receipt/m.read/$x"] {
                let reply = alice.post(&format!("{CS}/rooms/{bad}/{rest}"), json!({ "m.read": "$x" })).await;
                assert_eq!(code(&reply), (400, "M_INVALID_PARAM"), "{bad} {rest}");
            }
        }
        for bad in ["bob", "@bob", "!x:test", "@bob:", ""] {
            for rest in ["invite", "kick", "ban", "unban"] {
                let reply = alice.post(&room_path(&room, rest), json!({ "user_id": bad })).await;
                assert!(matches!(reply.status, 400 | 403 | 404), "{bad} {rest}: {}", reply.body);
            }
        }
        say(&alice, &room, "well").await;
    }

    async fn old_paths_work_too(server: Server) {
        let alice = server.user("alice").await;
        let body = ok(alice.post("/_matrix/client/r0/createRoom", json!({ "preset": "public_chat" })).await);
        let room = at(&body, "/room_id");
        let old = |rest: &str| format!("/_matrix/client/r0/rooms/{}/{rest}", enc(room));
        let sent = ok(alice.put(&old("send/m.room.message/1"), json!({ "msgtype": "m.text", "body": "x" })).await);
        for rest in ["messages?dir=b", "state", "members", "joined_members", "aliases", &format!("event/{}", at(&sent, "/event_id"))] {
            assert_eq!(alice.get(&old(rest)).await.status, 200, "{rest}");
        }
        assert_eq!(alice.get("/_matrix/client/r0/sync").await.status, 200);
        assert_eq!(alice.get("/_matrix/client/r0/joined_rooms").await, (200, json!({ "joined_rooms": [room] })));
    }

    async fn everything_is_there_after_a_restart(server: Server) {
        let mut server = server;
        let alice = server.user("alice").await;
        let room = create(&alice, json!({ "name": "Name", "room_alias_name": "pub", "visibility": "public" })).await;
        let sent = say_many(&alice, &room, "m", 3).await;
        react(&alice, &room, &sent[0], "+1").await;
        let since = now(&alice).await;
        let token = alice.token.clone().unwrap();
        server.restart(|_| ()).await;
        let alice = server.with_token(&token);
        let (events, _) = all_messages(&alice, &room, "dir=f").await;
        assert_eq!(bodies(&events).into_iter().filter(|body| body.starts_with('m')).count(), 3);
        assert_eq!(state(&alice, &room, "m.room.name", "").await, json!({ "name": "Name" }));
        assert_eq!(alice.get(&format!("{CS}/directory/room/{}", enc("#pub:test"))).await.text("room_id"), room);
        let later = say(&alice, &room, "later").await;
        let news = sync_since(&alice, &since).await;
        assert_eq!(ids(timeline(&news, &room)), [later]);
    }
}
