//! `GET v1/room/{room_id}/media`, and its quarantine.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

use super::texts;
use crate::rooms_kit::{create_public, enc, ok, redact, say, send, set_state};

fn media_path(room: &str) -> String {
    format!("/_synapse/admin/v1/room/{}/media", enc(room))
}

on_both_engines! {
    async fn what_events_point_to(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        assert_eq!(admin.get(&media_path(&room)).await, (200, json!({ "local": [], "remote": [] })));
        let picture = json!({ "msgtype": "m.image", "body": "p", "url": "mxc://test/one", "info": { "thumbnail_url": "mxc://test/two" } });
        send(&alice, &room, "m.room.message", picture).await;
        send(&alice, &room, "m.sticker", json!({ "body": "s", "url": "mxc://test/three", "info": {} })).await;
        set_state(&alice, &room, "m.room.avatar", "", json!({ "url": "mxc://test/four" })).await;
        let far = json!({ "msgtype": "m.file", "body": "f", "url": "mxc://elsewhere/five" });
        let far = send(&alice, &room, "m.room.message", far).await;
        say(&alice, &room, "look at mxc://test/six").await;
        for body in [json!(1), json!({}), json!("https://test/seven")] {
            send(&alice, &room, "m.room.message", json!({ "msgtype": "m.image", "body": "b", "url": body })).await;
        }
        redact(&alice, &room, &far).await;
        for query in ["", "?from=0&limit=1&order_by=x&dir=b"] {
            let media = ok(admin.get(&format!("{}{query}", media_path(&room))).await);
            let mut local = texts(&media, "/local");
            local.dedup();
            assert_eq!(local, ["mxc://test/four", "mxc://test/one", "mxc://test/three", "mxc://test/two"]);
            assert_eq!(texts(&media, "/remote"), ["mxc://elsewhere/five"]);
        }
        for unknown in ["!nope:test", "bad", ""] {
            assert_eq!(admin.get(&media_path(unknown)).await, (200, json!({ "local": [], "remote": [] })));
        }
    }

    async fn quarantine_of_nothing(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        for id in [&*room, "!nope:test", "bad"] {
            for body in ["", "{}", "garbage"] {
                let path = format!("{}/quarantine", media_path(id));
                assert_eq!(admin.send(Method::POST, &path, &[], body).await, (200, json!({ "num_quarantined": 0 })));
            }
        }
    }
}
