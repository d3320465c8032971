//! Guests: the rooms that they can join, and what happens when guest access ends.

use reeve_testkit::{Client, Config, on_both_engines};
use serde_json::json;

use crate::rooms_kit::*;

fn open(config: &mut Config) {
    config.policy.guests = true;
}

async fn guest(stranger: &Client, server_client: impl Fn(&str) -> Client) -> Client {
    let body = ok(stranger.post(&format!("{CS}/register?kind=guest"), json!({})).await);
    let mut guest = server_client(at(&body, "/access_token"));
    at(&body, "/user_id").clone_into(&mut guest.user_id);
    guest
}

on_both_engines! {
    #[config(open)]
    async fn guests_come_in_where_they_may(server: Server) {
        let alice = server.user("alice").await;
        let guest = guest(&server.stranger(), |token| server.with_token(token)).await;
        let closed = create_public(&alice).await;
        set_state(&alice, &closed, "m.room.guest_access", "", json!({ "guest_access": "forbidden" })).await;
        let reply = guest.post(&format!("{CS}/join/{}", enc(&closed)), json!({})).await;
        assert_eq!(reply.status, 403, "{}", reply.body);
        let room = create_public(&alice).await;
        set_state(&alice, &room, "m.room.guest_access", "", json!({ "guest_access": "can_join" })).await;
        join(&guest, &room).await;
        let id = say(&guest, &room, "hello").await;
        assert_eq!(at(&event(&alice, &room, &id).await, "/sender"), guest.user_id);
        assert_eq!(code(&guest.post(&format!("{CS}/createRoom"), json!({})).await).0, 403);
        assert_eq!(membership(&alice, &room, &guest.user_id).await, "join");
        // When the door is shut they are out.
        set_state(&alice, &room, "m.room.guest_access", "", json!({ "guest_access": "forbidden" })).await;
        let mut now = String::new();
        for _ in 0..100 {
            now = membership(&alice, &room, &guest.user_id).await;
            if now == "leave" {
                break;
            }
        }
        assert_eq!(now, "leave");
        let reply = try_send(&guest, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await;
        assert_eq!(reply.status, 403, "{}", reply.body);
    }

    #[config(open)]
    async fn guests_read_what_the_world_may_read(server: Server) {
        let alice = server.user("alice").await;
        let guest = guest(&server.stranger(), |token| server.with_token(token)).await;
        let room = create_public(&alice).await;
        say(&alice, &room, "x").await;
        assert_eq!(guest.get(&room_path(&room, "messages?dir=b")).await.status, 403);
        set_state(&alice, &room, "m.room.history_visibility", "", json!({ "history_visibility": "world_readable" })).await;
        say(&alice, &room, "y").await;
        let seen = messages(&guest, &room, "dir=b&limit=1").await;
        assert_eq!(bodies(list(&seen, "/chunk")), ["y"]);
        ok(guest.get(&room_path(&room, "state")).await);
    }
}
