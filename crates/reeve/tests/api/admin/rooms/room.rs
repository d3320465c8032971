//! `GET v1/rooms/{room_id}`.

use reeve_testkit::on_both_engines;
use serde_json::json;

use super::{current_state, error, path, room};
use crate::rooms_kit::{
    CS, add_alias, at, create, create_public, default_version, enc, forget, invite, join, kick, leave, ok,
    room_path, set_state,
};

on_both_engines! {
    async fn all_that_is_known(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        server.log_in("alice", "alice's password").await;
        let id = create(&alice, json!({
            "name": "Named", "topic": "About", "preset": "public_chat", "visibility": "public", "room_alias_name": "named",
            "creation_content": { "type": "m.space", "m.federate": false },
            "initial_state": [
                { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
                { "type": "m.room.guest_access", "content": { "guest_access": "forbidden" } },
                { "type": "m.room.avatar", "content": { "url": "mxc://test/avatar" } },
            ],
        })).await;
        join(&bob, &id).await;
        invite(&alice, &id, "@admin:test").await;
        assert_eq!(room(&admin, &id).await, json!({
            "room_id": id, "name": "Named", "canonical_alias": "#named:test", "joined_members": 2,
            "join_rules": "public", "guest_access": "forbidden", "history_visibility": "shared",
            "state_events": current_state(&admin, &id).await.len(), "avatar": "mxc://test/avatar", "topic": "About",
            "room_type": "m.space", "joined_local_members": 2, "version": default_version(&alice).await,
            "creator": "@alice:test", "encryption": "m.megolm.v1.aes-sha2", "federatable": false, "public": true,
            // Two of alice, one of bob.
            "joined_local_devices": 3, "forgotten": false, "tombstoned": false, "replacement_room": null,
        }));
    }

    async fn a_bare_room(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create(&alice, json!({ "preset": "private_chat", "room_version": "10" })).await;
        assert_eq!(room(&admin, &id).await, json!({
            "room_id": id, "name": null, "canonical_alias": null, "joined_members": 1, "join_rules": "invite",
            "guest_access": "can_join", "history_visibility": "shared", "state_events": current_state(&admin, &id).await.len(),
            "avatar": null, "topic": null, "room_type": null, "joined_local_members": 1, "version": "10",
            "creator": "@alice:test", "encryption": null, "federatable": true, "public": false,
            "joined_local_devices": 1, "forgotten": false, "tombstoned": false, "replacement_room": null,
        }));
    }

    async fn it_is_never_stale(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let id = create_public(&alice).await;
        let events = current_state(&admin, &id).await.len();
        set_state(&alice, &id, "m.room.name", "", json!({ "name": "One" })).await;
        set_state(&alice, &id, "m.room.topic", "", json!({ "topic": "Two" })).await;
        set_state(&alice, &id, "m.room.avatar", "", json!({ "url": "mxc://test/three" })).await;
        let alias = add_alias(&alice, &id, "four").await;
        set_state(&alice, &id, "m.room.canonical_alias", "", json!({ "alias": alias })).await;
        ok(alice.put(&format!("{CS}/directory/list/room/{}", enc(&id)), json!({ "visibility": "public" })).await);
        let now = room(&admin, &id).await;
        let said = (&now["name"], &now["topic"], &now["avatar"], &now["canonical_alias"], &now["public"]);
        assert_eq!(said, (&json!("One"), &json!("Two"), &json!("mxc://test/three"), &json!("#four:test"), &json!(true)));
        assert_eq!(now["state_events"], events + 4);
        // A second value of the same state is not one more; a blank one is a value.
        set_state(&alice, &id, "m.room.name", "", json!({ "name": "" })).await;
        set_state(&alice, &id, "m.room.canonical_alias", "", json!({})).await;
        let now = room(&admin, &id).await;
        assert_eq!((&now["name"], &now["canonical_alias"], &now["state_events"]), (&json!(""), &json!(null), &json!(events + 4)));
        join(&bob, &id).await;
        assert_eq!(room(&admin, &id).await["joined_members"], 2);
        kick(&alice, &id, "@bob:test").await;
        let now = room(&admin, &id).await;
        assert_eq!((&now["joined_members"], &now["state_events"]), (&json!(1), &json!(events + 5)));
    }

    async fn left_and_forgotten(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let id = create_public(&alice).await;
        join(&bob, &id).await;
        let facts = async || {
            let now = room(&admin, &id).await;
            (now["joined_members"].as_i64().unwrap(), now["joined_local_devices"].as_i64().unwrap(), now["forgotten"].as_bool().unwrap())
        };
        assert_eq!(facts().await, (2, 2, false));
        leave(&alice, &id).await;
        forget(&alice, &id).await;
        assert_eq!(facts().await, (1, 1, false));
        leave(&bob, &id).await;
        assert_eq!(facts().await, (0, 0, false));
        forget(&bob, &id).await;
        assert_eq!(facts().await, (0, 0, true));
        let now = room(&admin, &id).await;
        assert_eq!((&now["creator"], &now["version"]), (&json!("@alice:test"), &json!(default_version(&alice).await)));
    }

    async fn replaced_by_another(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create_public(&alice).await;
        let upgraded = ok(alice.post(&room_path(&id, "upgrade"), json!({ "new_version": "11" })).await);
        let (old, new) = (room(&admin, &id).await, room(&admin, at(&upgraded, "/replacement_room")).await);
        assert_eq!((&old["tombstoned"], &old["replacement_room"]), (&json!(true), &upgraded["replacement_room"]));
        assert_eq!((&new["tombstoned"], &new["replacement_room"], &new["version"]), (&json!(false), &json!(null), &json!("11")));
    }

    async fn unknown_rooms(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        create(&alice, json!({ "room_alias_name": "beta" })).await;
        for unknown in ["!nope:test", "bad", "#beta:test", "", "!", "!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            for rest in ["", "/members", "/state"] {
                let reply = admin.get(&path(unknown, rest)).await;
                assert_eq!(reply, (404, error("M_NOT_FOUND", "Room not found")), "{unknown}{rest}");
            }
        }
        let nowhere = error("M_UNRECOGNIZED", "Unrecognized request");
        assert_eq!(admin.get(&path("!nope:test", "/")).await, (404, nowhere.clone()));
        assert_eq!(admin.get(&path("!nope:test", "/media")).await, (404, nowhere.clone()));
        assert_eq!(admin.post(&path("!nope:test", "/delete"), json!({})).await, (404, nowhere.clone()));
        assert_eq!(admin.get("/_synapse/admin/v2/rooms").await, (404, nowhere.clone()));
        assert_eq!(admin.get("/_synapse/admin/v2/rooms/!nope:test").await, (405, nowhere.clone()));
        assert_eq!(admin.put(&path("!nope:test", ""), json!({})).await, (405, nowhere));
    }
}
