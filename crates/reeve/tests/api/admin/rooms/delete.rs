//! `DELETE v1/rooms/{room_id}` and `DELETE v2/rooms/{room_id}` with its status.

use http::Method;
use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use super::{current_state, delete, error, path, room, texts, timeline};
use crate::rooms_kit::{
    CS, add_alias, at, bodies, code, create, enc, invite, join, joined_rooms, leave, list, now, of_state, ok,
    say, sync, sync_since, try_send,
};
use crate::sync_kit::eventually;

const V2: &str = "/_synapse/admin/v2/rooms";

fn v2(room: &str) -> String {
    format!("{V2}/{}", enc(room))
}

/// The result of deleting a room without members.
fn nobody() -> Value {
    json!({ "kicked_users": [], "failed_to_kick_users": [], "local_aliases": [], "new_room_id": null })
}

/// The members that the room loses: `@alice:test` created it, `@bob:test` joined, `@carol:test` is invited,
/// `@dave:test` has left.
struct People {
    admin: Client,
    alice: Client,
    bob: Client,
    carol: Client,
    dave: Client,
    room: String,
}

async fn people(server: &Server) -> People {
    let admin = server.admin().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (carol, dave) = (server.user("carol").await, server.user("dave").await);
    let body = json!({ "preset": "public_chat", "visibility": "public", "name": "Doomed", "room_alias_name": "doomed" });
    let room = create(&alice, body).await;
    join(&bob, &room).await;
    join(&dave, &room).await;
    leave(&dave, &room).await;
    invite(&alice, &room, "@carol:test").await;
    add_alias(&bob, &room, "second").await;
    say(&alice, &room, "hello").await;
    People { admin, alice, bob, carol, dave, room }
}

/// Where an alias points to; blank if nowhere.
async fn alias(client: &Client, alias: &str) -> String {
    client.get(&format!("{CS}/directory/room/{}", enc(alias))).await.text("room_id").to_owned()
}

async fn published(client: &Client) -> Vec<String> {
    let body = ok(client.get(&format!("{CS}/publicRooms")).await);
    list(&body, "/chunk").iter().map(|room| at(room, "/room_id").to_owned()).collect()
}

/// The status of a deletion when it is over.
async fn over(admin: &Client, id: &str) -> Value {
    let path = format!("{V2}/delete_status/{id}");
    let reply =
        eventually(admin, &path, |reply| ["complete", "failed"].contains(&reply.text("status"))).await;
    reply.body
}

/// All that a room leaves behind when it is purged: nothing.
async fn assert_gone(people: &People) {
    let People { admin, alice, bob, carol, dave, room } = people;
    for rest in ["", "/members", "/state"] {
        assert_eq!(admin.get(&path(room, rest)).await, (404, error("M_NOT_FOUND", "Room not found")));
    }
    assert_eq!(ok(admin.get(&path(room, "/messages")).await)["chunk"], json!([]));
    assert_eq!(ok(admin.get(super::ROOMS).await)["total_rooms"], 0);
    for client in [alice, bob, carol, dave] {
        assert_eq!(joined_rooms(client).await, Vec::<String>::new());
        let memberships =
            ok(admin.get(&format!("/_synapse/admin/v1/users/{}/memberships", client.user_id)).await);
        assert_eq!(memberships["memberships"], json!({}));
        let first = sync(client).await;
        for part in ["join", "invite", "leave"] {
            assert!(first["rooms"][part].get(room).is_none(), "{part}: {first}");
        }
    }
    for name in ["#doomed:test", "#second:test"] {
        let reply = alice.get(&format!("{CS}/directory/room/{}", enc(name))).await;
        assert_eq!(code(&reply), (404, "M_NOT_FOUND"));
    }
    assert_eq!(published(alice).await, Vec::<String>::new());
    let refused = try_send(alice, room, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await;
    assert!([403, 404].contains(&refused.status), "{}", refused.body);
    let refused = bob.post(&format!("{CS}/join/{}", enc(room)), json!({})).await;
    assert!([403, 404].contains(&refused.status), "{}", refused.body);
}

on_both_engines! {
    async fn at_once(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, bob, carol, dave, room } = &people;
        let since = [now(alice).await, now(bob).await, now(carol).await, now(dave).await];
        let body = ok(delete(admin, &path(room, ""), &json!({})).await);
        assert_eq!(texts(&body, "/kicked_users"), ["@alice:test", "@bob:test", "@carol:test"]);
        let rest = (&body["failed_to_kick_users"], &body["local_aliases"], &body["new_room_id"]);
        assert_eq!(rest, (&json!([]), &json!([]), &json!(null)));
        // Clients that continue to sync drop the room; users who left before receive nothing.
        for (client, since) in [alice, bob, carol].into_iter().zip(&since) {
            let sync = sync_since(client, since).await;
            assert!(sync["rooms"]["leave"].get(room).is_some(), "{}: {sync}", client.user_id);
            assert!(sync["rooms"]["join"].get(room).is_none() && sync["rooms"]["invite"].get(room).is_none());
        }
        assert!(sync_since(dave, &since[3]).await["rooms"]["leave"].get(room).is_none());
        assert_gone(&people).await;
        assert_eq!(delete(admin, &path(room, ""), &json!({})).await, (200, nobody()));
        assert_eq!(admin.get(&path(room, "/block")).await, (200, json!({ "block": false })));
    }

    async fn emptied_and_kept(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, bob, room: id, .. } = &people;
        let since = now(bob).await;
        let body = ok(delete(admin, &path(id, ""), &json!({ "purge": false })).await);
        assert_eq!(texts(&body, "/kicked_users"), ["@alice:test", "@bob:test", "@carol:test"]);
        let left = sync_since(bob, &since).await;
        let timeline_ = left["rooms"]["leave"][id]["timeline"]["events"].as_array().unwrap();
        let own = of_state(timeline_, "m.room.member", "@bob:test").unwrap();
        assert_eq!((at(own, "/content/membership"), at(own, "/sender")), ("leave", "@bob:test"));
        let kept = room(admin, id).await;
        assert_eq!((&kept["joined_members"], &kept["creator"]), (&json!(0), &json!("@alice:test")));
        assert_eq!(admin.get(&path(id, "/members")).await, (200, json!({ "members": [], "total": 0 })));
        assert_eq!(bodies(&timeline(admin, id, "dir=f").await), ["hello"]);
        assert_eq!(alias(alice, "#doomed:test").await, *id);
        assert_eq!(published(alice).await, Vec::<String>::new());
        for client in [alice, bob] {
            assert_eq!(joined_rooms(client).await, Vec::<String>::new());
            let first = sync(client).await;
            assert!(first["rooms"]["leave"].get(id).is_none(), "it is forgotten: {first}");
        }
        assert_eq!(alice.get(&format!("{CS}/rooms/{}/messages?dir=b", enc(id))).await.status, 403);
        // It can be done again, and for good.
        assert_eq!(delete(admin, &path(id, ""), &json!({ "purge": false })).await, (200, nobody()));
        assert_eq!(room(admin, id).await["joined_members"], 0);
        assert_eq!(delete(admin, &path(id, ""), &json!({ "purge": true })).await, (200, nobody()));
        assert_gone(&people).await;
    }

    async fn and_blocked(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, dave, room, .. } = &people;
        assert_eq!(delete(admin, &path(room, ""), &json!({ "block": true })).await.status, 200);
        assert_eq!(admin.get(&path(room, "/block")).await, (200, json!({ "block": true, "user_id": "@admin:test" })));
        for client in [alice, dave, admin] {
            let reply = client.post(&format!("{CS}/join/{}", enc(room)), json!({})).await;
            assert_eq!(reply, (403, error("M_UNKNOWN", "This room has been blocked on this server")));
        }
        // Rooms that the server does not know can be blocked on the way.
        assert_eq!(delete(admin, &path("!far:elsewhere", ""), &json!({ "block": true })).await, (200, nobody()));
        assert_eq!(admin.get(&path("!far:elsewhere", "/block")).await, (200, json!({ "block": true, "user_id": "@admin:test" })));
    }

    async fn and_moved_to_another_room(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, bob, carol, room: id, .. } = &people;
        let herald = server.user("herald").await;
        let body = json!({ "purge": false, "message": "bye all", "room_name": "Notice", "new_room_user_id": "@herald:test" });
        let body = ok(delete(admin, &path(id, ""), &body).await);
        let new = at(&body, "/new_room_id").to_owned();
        assert_eq!(texts(&body, "/kicked_users"), ["@alice:test", "@bob:test", "@carol:test"]);
        assert_eq!(texts(&body, "/local_aliases"), ["#doomed:test", "#second:test"]);
        for name in ["#doomed:test", "#second:test"] {
            assert_eq!(alias(alice, name).await, new);
        }
        let entry = room(admin, &new).await;
        for (key, value) in [("name", json!("Notice")), ("creator", json!("@herald:test")), ("join_rules", json!("public")), ("public", json!(false))] {
            assert_eq!(entry[key], value, "{key}");
        }
        for client in [alice, bob, &herald] {
            assert_eq!(joined_rooms(client).await, std::slice::from_ref(&new), "{}", client.user_id);
        }
        assert_eq!(joined_rooms(carol).await, Vec::<String>::new(), "who was only invited stays out");
        let events = timeline(admin, &new, "dir=f").await;
        assert_eq!(bodies(&events), ["bye all"]);
        assert_eq!(at(events.iter().find(|event| event["type"] == "m.room.message").unwrap(), "/sender"), "@herald:test");
        // Only its maker speaks there.
        let refused = try_send(alice, &new, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await;
        assert_eq!(code(&refused), (403, "M_FORBIDDEN"));
        assert!(of_state(&current_state(admin, &new).await, "m.room.power_levels", "").is_some());
        say(&herald, &new, "more").await;
    }

    async fn and_moved_to_a_room_of_nobody(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, bob, room: id, .. } = &people;
        let body = ok(delete(admin, &path(id, ""), &json!({ "new_room_user_id": "@nobody:test" })).await);
        let new = at(&body, "/new_room_id").to_owned();
        let entry = room(admin, &new).await;
        assert_eq!((&entry["creator"], &entry["joined_members"]), (&json!("@nobody:test"), &json!(3)));
        for client in [alice, bob] {
            assert_eq!(joined_rooms(client).await, std::slice::from_ref(&new), "{}", client.user_id);
        }
        // No account is created.
        assert_eq!(admin.get("/_synapse/admin/v2/users/@nobody:test").await.status, 404);
        let other = create(alice, json!({ "preset": "public_chat" })).await;
        let begun = ok(delete(admin, &v2(&other), &json!({ "new_room_user_id": "@nobody:test" })).await);
        let done = over(admin, at(&begun, "/delete_id")).await;
        assert_eq!((&done["status"], &done["shutdown_room"]["kicked_users"]), (&json!("complete"), &json!(["@alice:test"])));
    }

    async fn the_words_of_the_other_room(server: Server) {
        let people = people(&server).await;
        let People { admin, bob, room: id, .. } = &people;
        let body = ok(delete(admin, &path(id, ""), &json!({ "new_room_user_id": "@dave:test" })).await);
        let new = at(&body, "/new_room_id").to_owned();
        assert_eq!(room(admin, &new).await["name"], "Content Violation Notification");
        let text = "Sharing illegal content on this server is not permitted and rooms in violation will be blocked.";
        assert_eq!(bodies(&timeline(admin, &new, "dir=f").await), [text]);
        assert_eq!(alias(bob, "#doomed:test").await, new, "an alias outlives the room that it moved away from");
        assert_eq!(admin.get(&path(id, "")).await.status, 404);
    }

    async fn people_in_every_state_are_removed(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create(&alice, json!({ "preset": "public_chat" })).await;
        for name in ["suspended", "locked"] {
            server.create(name, false).await;
            let body = json!({ "user_id": format!("@{name}:test") });
            ok(admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&id)), body).await);
        }
        admin.put("/_synapse/admin/v1/suspend/@suspended:test", json!({ "suspend": true })).await;
        admin.put("/_synapse/admin/v2/users/@locked:test", json!({ "locked": true })).await;
        let body = ok(delete(&admin, &path(&id, ""), &json!({ "purge": false })).await);
        assert_eq!(texts(&body, "/kicked_users"), ["@alice:test", "@locked:test", "@suspended:test"]);
        assert_eq!(body["failed_to_kick_users"], json!([]));
        assert_eq!(room(&admin, &id).await["joined_members"], 0);
    }

    async fn in_the_background(server: Server) {
        let people = people(&server).await;
        let People { admin, room, .. } = &people;
        let status = format!("{}/delete_status", v2(room));
        let none = error("M_NOT_FOUND", &format!("No delete task for room_id '{room}' found"));
        assert_eq!(admin.get(&status).await, (404, none));
        let begun = ok(delete(admin, &v2(room), &json!({})).await);
        let id = at(&begun, "/delete_id").to_owned();
        assert_eq!((begun.as_object().unwrap().len(), id.is_empty()), (1, false));
        let done = over(admin, &id).await;
        assert_eq!(texts(&done, "/shutdown_room/kicked_users"), ["@alice:test", "@bob:test", "@carol:test"]);
        let mut result = nobody();
        result["kicked_users"] = done["shutdown_room"]["kicked_users"].clone();
        let wanted = json!({ "delete_id": id, "room_id": room, "status": "complete", "shutdown_room": result });
        assert_eq!(done, wanted);
        assert_eq!(admin.get(&status).await, (200, json!({ "results": [wanted] })));
        assert_gone(&people).await;
        // Again, on a deleted room. Jobs queued in the same millisecond have no order.
        server.clock.advance(1);
        let again = ok(delete(admin, &v2(room), &json!({})).await);
        let id = at(&again, "/delete_id").to_owned();
        let second = json!({ "delete_id": id, "room_id": room, "status": "complete", "shutdown_room": nobody() });
        assert_eq!(over(admin, &id).await, second);
        assert_eq!(admin.get(&status).await, (200, json!({ "results": [wanted, second] })));
        let tasks = ok(admin.get(&format!("/_synapse/admin/v1/scheduled_tasks?resource_id={}", enc(room))).await);
        let tasks = list(&tasks, "/scheduled_tasks");
        assert_eq!(tasks.len(), 2);
        for (key, value) in [
            ("id", json!(wanted["delete_id"])), ("action", json!("shutdown_and_purge_room")), ("status", json!("complete")),
            ("resource_id", json!(room)), ("result", wanted["shutdown_room"].clone()), ("error", json!(null)),
        ] {
            assert_eq!(tasks[0][key], value, "{key}");
        }
    }

    async fn in_the_background_with_everything(server: Server) {
        let people = people(&server).await;
        let People { admin, alice, room: id, .. } = &people;
        server.create("herald", false).await;
        let body = json!({
            "purge": false, "block": true, "message": "m", "room_name": "N", "new_room_user_id": "@herald:test", "force_purge": false,
        });
        let begun = ok(delete(admin, &v2(id), &body).await);
        let done = over(admin, at(&begun, "/delete_id")).await;
        assert_eq!(done["status"], "complete");
        let new = at(&done, "/shutdown_room/new_room_id").to_owned();
        assert_eq!(texts(&done, "/shutdown_room/local_aliases"), ["#doomed:test", "#second:test"]);
        assert_eq!(joined_rooms(alice).await, std::slice::from_ref(&new));
        assert_eq!(room(admin, &new).await["name"], "N");
        assert_eq!(room(admin, id).await["joined_members"], 0);
        assert_eq!(admin.get(&path(id, "/block")).await, (200, json!({ "block": true, "user_id": "@admin:test" })));
    }

    async fn it_survives_a_restart(server: Server) {
        let mut server = server;
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let id = create(&alice, json!({ "preset": "public_chat" })).await;
        for n in 0..20 {
            let member = server.user(&format!("member{n}")).await;
            join(&member, &id).await;
        }
        let begun = ok(delete(&admin, &v2(&id), &json!({})).await);
        let token = admin.token.clone().unwrap();
        server.restart(|_| ()).await;
        let admin = server.with_token(&token);
        let done = over(&admin, at(&begun, "/delete_id")).await;
        assert_eq!((&done["status"], list(&done, "/shutdown_room/kicked_users").len()), (&json!("complete"), 21));
        assert_eq!(admin.get(&path(&id, "")).await.status, 404);
    }

    async fn refusals(server: Server) {
        let people = people(&server).await;
        let People { admin, room: id, .. } = &people;
        let given = |name: &str| error("M_BAD_JSON", &format!("Param '{name}' must be a boolean, if given"));
        let own = |name: &str| error("M_UNKNOWN", &format!("User must be our own: {name}"));
        for place in [path(id, ""), v2(id)] {
            for (body, refusal) in [
                ("", error("M_NOT_JSON", "Content not JSON.")),
                ("{", error("M_NOT_JSON", "Content not JSON.")),
                ("[]", error("M_BAD_JSON", "Content must be a JSON object.")),
                (r#"{"purge":1}"#, given("purge")),
                (r#"{"purge":null}"#, given("purge")),
                (r#"{"block":"true"}"#, given("block")),
                (r#"{"force_purge":1}"#, given("force_purge")),
                (r#"{"new_room_user_id":"bad"}"#, own("bad")),
                (r#"{"new_room_user_id":"@x:elsewhere"}"#, own("@x:elsewhere")),
            ] {
                assert_eq!(admin.send(Method::DELETE, &place, &[], body).await, (400, refusal), "{place} {body}");
            }
            assert_eq!(delete(admin, &place, &json!({ "new_room_user_id": 1 })).await.status, 400);
            let malformed = format!("@{}:test", "x".repeat(300));
            let refused = delete(admin, &place, &json!({ "new_room_user_id": malformed })).await;
            assert_eq!(refused, (400, own(&malformed)));
        }
        assert_eq!(room(admin, id).await["joined_members"], 2, "nothing happened");
        for bad in ["bad", "#doomed:test", ""] {
            let refusal = (400, error("M_UNKNOWN", &format!("{bad} is not a legal room ID")));
            assert_eq!(delete(admin, &path(bad, ""), &json!({})).await, refusal);
            assert_eq!(delete(admin, &v2(bad), &json!({ "block": true })).await, refusal);
            assert_eq!(admin.get(&format!("{}/delete_status", v2(bad))).await, refusal);
        }
        for unknown in ["nope", "", "!room:test"] {
            let refusal = error("M_NOT_FOUND", &format!("delete id '{unknown}' not found"));
            assert_eq!(admin.get(&format!("{V2}/delete_status/{unknown}")).await, (404, refusal));
        }
        assert_eq!(delete(admin, &path("!nope:test", ""), &json!({})).await, (200, nobody()));
    }
}
