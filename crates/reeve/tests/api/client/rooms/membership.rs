//! Join, invite, leave, kick, ban, knock, forget.

use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

const FORBIDDEN: (u16, &str) = (403, "M_FORBIDDEN");

async fn try_join(client: &Client, room: &str) -> Reply {
    client.post(&format!("{CS}/join/{}", enc(room)), json!({})).await
}

async fn try_deed(client: &Client, room: &str, deed: &str, user_id: &str) -> Reply {
    client.post(&room_path(room, deed), json!({ "user_id": user_id })).await
}

async fn join_rule(client: &Client, room: &str, rule: Value) {
    set_state(client, room, "m.room.join_rules", "", rule).await;
}

on_both_engines! {
    async fn public_rooms_are_joined_by_id_and_alias(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        let alias = add_alias(&alice, &room, "pub").await;
        let whole = (200, json!({ "room_id": room }));
        assert_eq!(try_join(&bob, &alias).await, whole);
        assert_eq!(carol.post(&room_path(&room, "join"), json!({ "reason": "because" })).await, whole);
        let member = state(&alice, &room, "m.room.member", "@carol:test").await;
        assert_eq!(member, json!({ "membership": "join", "displayname": "carol", "reason": "because" }));
        // Once more changes nothing.
        let before = messages(&alice, &room, "dir=b&limit=1").await;
        assert_eq!(try_join(&bob, &room).await, whole);
        assert_eq!(ids(list(&messages(&alice, &room, "dir=b&limit=1").await, "/chunk")), ids(list(&before, "/chunk")));
        let first = sync(&bob).await;
        assert!(joined(&first, &room).is_object());
        assert_eq!(joined_rooms(&bob).await, [room]);
    }

    async fn what_cannot_be_joined(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({})).await;
        assert_eq!(code(&try_join(&bob, &room).await), FORBIDDEN);
        assert_eq!(code(&try_join(&bob, "#nothing:test").await), (404, "M_NOT_FOUND"));
        for room in ["!unknown:test", "!0123456789012345678901234567890123456789012"] {
            assert_eq!(code(&try_join(&bob, room).await), FORBIDDEN, "{room}");
        }
        for bad in ["bad", "@bob:test", "%20", "+a:test"] {
            let reply = bob.post(&format!("{CS}/join/{bad}"), json!({})).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
        join_rule(&alice, &room, json!({ "join_rule": "private" })).await;
        assert_eq!(code(&try_join(&bob, &room).await), FORBIDDEN);
        assert_eq!(code(&server.stranger().post(&format!("{CS}/join/{}", enc(&room)), json!({})).await), (401, "M_MISSING_TOKEN"));
    }

    async fn invitations(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create(&alice, json!({ "name": "Den" })).await;
        let since = now(&bob).await;
        let body = json!({ "user_id": "@bob:test", "reason": "come" });
        assert_eq!(alice.post(&room_path(&room, "invite"), body).await, (200, json!({})));
        let news = sync_until(&bob, &since, |sync| sync["rooms"]["invite"].get(&room).is_some()).await;
        let shown = list(&news["rooms"]["invite"][&room], "/invite_state/events");
        let own = of_state(shown, "m.room.member", "@bob:test").unwrap();
        assert_eq!((at(own, "/sender"), at(own, "/content/membership"), at(own, "/content/reason")), ("@alice:test", "invite", "come"));
        assert_eq!(of_kind(shown, "m.room.name").unwrap()["content"], json!({ "name": "Den" }));
        for kind in ["m.room.create", "m.room.join_rules"] {
            assert!(of_kind(shown, kind).is_some(), "{kind}");
        }
        // Invited users see no more than that, and cannot invite.
        assert_eq!(code(&bob.get(&room_path(&room, "members")).await), FORBIDDEN);
        assert_eq!(code(&try_deed(&bob, &room, "invite", "@carol:test").await), FORBIDDEN);
        join(&bob, &room).await;
        assert_eq!(code(&try_deed(&alice, &room, "invite", "@bob:test").await), FORBIDDEN);
        assert_eq!(code(&try_deed(&carol, &room, "invite", "@carol:test").await), FORBIDDEN);
        change_levels(&alice, &room, json!({ "invite": 30 })).await;
        assert_eq!(code(&try_deed(&bob, &room, "invite", "@carol:test").await), FORBIDDEN);
        set_level(&alice, &room, "@bob:test", 30).await;
        invite(&bob, &room, "@carol:test").await;
        leave(&carol, &room).await;
        assert_eq!(membership(&alice, &room, "@carol:test").await, "leave");
        assert_eq!(code(&try_join(&carol, &room).await), FORBIDDEN);
        for bad in [json!({}), json!({ "user_id": 1 }), json!({ "user_id": "carol" }), json!([])] {
            let reply = alice.post(&room_path(&room, "invite"), bad.clone()).await;
            assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        }
    }

    async fn leaving(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        assert_eq!(bob.post(&room_path(&room, "leave"), json!({ "reason": "tired" })).await, (200, json!({})));
        assert_eq!(joined_rooms(&bob).await, Vec::<String>::new());
        let member = state(&alice, &room, "m.room.member", "@bob:test").await;
        assert_eq!((at(&member, "/membership"), at(&member, "/reason")), ("leave", "tired"));
        let news = sync_since(&bob, &since).await;
        assert!(news["rooms"]["leave"].get(&room).is_some(), "{news}");
        let reply = carol.post(&room_path(&room, "leave"), json!({})).await;
        assert!(matches!(reply.status, 403 | 404), "{}", reply.body);
        assert_eq!(code(&carol.post(&room_path("!unknown:test", "leave"), json!({})).await).0 / 100, 4);
        // The last one leaves too.
        leave(&alice, &room).await;
        assert_eq!(code(&try_send(&alice, &room, "m.room.message", json!({})).await), FORBIDDEN);
    }

    async fn kicking(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        for client in [&bob, &carol] {
            join(client, &room).await;
        }
        assert_eq!(code(&try_deed(&bob, &room, "kick", "@carol:test").await), FORBIDDEN);
        set_level(&alice, &room, "@bob:test", 50).await;
        assert_eq!(code(&try_deed(&bob, &room, "kick", "@alice:test").await), FORBIDDEN);
        let body = json!({ "user_id": "@carol:test", "reason": "noise" });
        assert_eq!(bob.post(&room_path(&room, "kick"), body).await, (200, json!({})));
        let member = ok(alice.get(&format!("{}?format=event", state_path(&room, "m.room.member", "@carol:test"))).await);
        assert_eq!((at(&member, "/sender"), &member["content"]["membership"]), ("@bob:test", &json!("leave")));
        assert_eq!(member["content"]["reason"], "noise");
        // Those who are not there cannot be kicked; the invited can.
        for gone in ["@carol:test", "@nobody:test"] {
            assert_eq!(code(&try_deed(&bob, &room, "kick", gone).await), FORBIDDEN, "{gone}");
        }
        join(&carol, &room).await;
        set_level(&alice, &room, "@carol:test", 50).await;
        assert_eq!(code(&try_deed(&bob, &room, "kick", "@carol:test").await), FORBIDDEN);
        server.create("dave", false).await;
        invite(&alice, &room, "@dave:test").await;
        kick(&bob, &room, "@dave:test").await;
        assert_eq!(membership(&alice, &room, "@dave:test").await, "leave");
        for bad in [json!({}), json!({ "user_id": 1 })] {
            assert_eq!(alice.post(&room_path(&room, "kick"), bad.clone()).await.status, 400, "{bad}");
        }
    }

    async fn banning(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        assert_eq!(code(&try_deed(&bob, &room, "ban", "@alice:test").await), FORBIDDEN);
        let body = json!({ "user_id": "@bob:test", "reason": "spam" });
        assert_eq!(alice.post(&room_path(&room, "ban"), body).await, (200, json!({})));
        let member = state(&alice, &room, "m.room.member", "@bob:test").await;
        assert_eq!((at(&member, "/membership"), at(&member, "/reason")), ("ban", "spam"));
        assert_eq!(try_join(&bob, &room).await.status, 403);
        assert_eq!(code(&try_deed(&alice, &room, "invite", "@bob:test").await).0, 403);
        assert_eq!(bob.post(&room_path(&room, "leave"), json!({})).await.status, 403);
        // Users can be banned before they ever join.
        ban(&alice, &room, "@nobody:test").await;
        assert_eq!(membership(&alice, &room, "@nobody:test").await, "ban");
        unban(&alice, &room, "@bob:test").await;
        assert_eq!(membership(&alice, &room, "@bob:test").await, "leave");
        assert_eq!(try_deed(&alice, &room, "unban", "@bob:test").await.status / 100, 4);
        join(&bob, &room).await;
        assert_eq!(try_deed(&alice, &room, "unban", "@bob:test").await.status / 100, 4);
        assert_eq!(membership(&alice, &room, "@bob:test").await, "join");
        set_level(&alice, &room, "@bob:test", 49).await;
        assert_eq!(code(&try_deed(&bob, &room, "unban", "@nobody:test").await), FORBIDDEN);
    }

    async fn lifting_a_ban_that_was_never_there(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&alice).await;
        for stranger in ["@carol:test", "@nobody:test", "@far:elsewhere"] {
            assert_eq!(try_deed(&alice, &room, "unban", stranger).await, (200, json!({})), "{stranger}");
            assert_eq!(membership(&alice, &room, stranger).await, "", "{stranger}");
            assert_eq!(code(&try_deed(&bob, &room, "unban", stranger).await), FORBIDDEN, "{stranger}");
        }
        assert_eq!(joined(&sync_since(&alice, &since).await, &room), &Value::Null);
        for _ in 0..2 {
            assert_eq!(code(&try_deed(&alice, &room, "unban", "@bob:test").await), (403, "M_BAD_STATE"));
            bob.post(&room_path(&room, "leave"), json!({})).await;
        }
    }

    async fn every_step_from_every_membership(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        // The membership after an act of the user, or of a moderator; empty if it is refused.
        let after = |from: &str, deed: &str| match (from, deed) {
            ("none" | "invite" | "leave" | "join", "join") => "join",
            ("invite" | "join" | "leave", "leave") | ("invite" | "join", "kick") | ("ban", "unban") => "leave",
            ("none" | "leave" | "invite", "invite") => "invite",
            (_, "ban") => "ban",
            _ => "",
        };
        for from in ["none", "invite", "join", "leave", "ban"] {
            for deed in ["join", "leave", "invite", "kick", "ban", "unban"] {
                if (from, deed) == ("none", "unban") {
                    continue;
                }
                let room = create_public(&alice).await;
                match from {
                    "invite" => invite(&alice, &room, "@bob:test").await,
                    "join" => join(&bob, &room).await,
                    "leave" => {
                        join(&bob, &room).await;
                        leave(&bob, &room).await;
                    }
                    "ban" => ban(&alice, &room, "@bob:test").await,
                    _ => {}
                }
                let reply = match deed {
                    "join" => try_join(&bob, &room).await,
                    "leave" => bob.post(&room_path(&room, "leave"), json!({})).await,
                    _ => try_deed(&alice, &room, deed, "@bob:test").await,
                };
                let (expected, what) = (after(from, deed), format!("{from} → {deed}: {}", reply.body));
                // Leaving a room that was left may succeed.
                if expected.is_empty() {
                    assert_eq!(reply.status / 100, 4, "{what}");
                } else if (from, deed) != ("leave", "leave") {
                    assert_eq!(reply.status, 200, "{what}");
                }
                let now = membership(&alice, &room, "@bob:test").await;
                let stays = if from == "none" { "" } else { from };
                assert_eq!(now, if expected.is_empty() { stays } else { expected }, "{what}");
            }
        }
    }

    async fn knocking(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let knock = async |client: &Client, room: &str| {
            client.post(&format!("{CS}/knock/{}", enc(room)), json!({ "reason": "please" })).await
        };
        let room = create(&alice, json!({ "room_version": "11", "name": "Den" })).await;
        assert_eq!(code(&knock(&bob, &room).await), FORBIDDEN);
        join_rule(&alice, &room, json!({ "join_rule": "knock" })).await;
        assert_eq!(code(&try_join(&bob, &room).await), FORBIDDEN);
        assert_eq!(knock(&bob, &room).await, (200, json!({ "room_id": room })));
        let member = state(&alice, &room, "m.room.member", "@bob:test").await;
        assert_eq!((at(&member, "/membership"), at(&member, "/reason")), ("knock", "please"));
        let first = sync(&bob).await;
        let shown = list(&first["rooms"]["knock"][&room], "/knock_state/events");
        assert_eq!(of_kind(shown, "m.room.name").unwrap()["content"], json!({ "name": "Den" }));
        assert_eq!(code(&try_join(&bob, &room).await), FORBIDDEN);
        // Let in.
        invite(&alice, &room, "@bob:test").await;
        join(&bob, &room).await;
        assert_eq!(knock(&bob, &room).await.status, 403);
        // Refused, and withdrawn.
        ok(knock(&carol, &room).await);
        kick(&alice, &room, "@carol:test").await;
        assert_eq!(membership(&alice, &room, "@carol:test").await, "leave");
        ok(knock(&carol, &room).await);
        leave(&carol, &room).await;
        assert_eq!(membership(&alice, &room, "@carol:test").await, "leave");
        ban(&alice, &room, "@carol:test").await;
        assert_eq!(knock(&carol, &room).await.status, 403);
        let alias = add_alias(&alice, &room, "door").await;
        let dave = server.user("dave").await;
        ok(knock(&dave, &alias).await);
        assert_eq!(code(&knock(&dave, "#nothing:test").await), (404, "M_NOT_FOUND"));
        assert_eq!(code(&knock(&dave, "!unknown:test").await), FORBIDDEN);
        assert_eq!(knock(&dave, "bad").await.status, 400);
        // Rooms of version 6 do not know it.
        let old = create_version(&alice, "6").await;
        assert_eq!(knock(&dave, &old).await.status / 100, 4);
    }

    async fn members_of_another_room_may_join(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let club = create_public(&alice).await;
        join(&bob, &club).await;
        for version in ["8", "9", "10", "11", "12"] {
            let room = create(&alice, json!({ "room_version": version })).await;
            let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
            join_rule(&alice, &room, json!({ "join_rule": "restricted", "allow": allow })).await;
            join(&bob, &room).await;
            let member = state(&alice, &room, "m.room.member", "@bob:test").await;
            assert_eq!(member["join_authorised_via_users_server"], "@alice:test", "{version}");
            assert_eq!(code(&try_join(&carol, &room).await), FORBIDDEN, "{version}");
            invite(&alice, &room, "@carol:test").await;
            join(&carol, &room).await;
            let member = state(&alice, &room, "m.room.member", "@carol:test").await;
            assert!(member.get("join_authorised_via_users_server").is_none(), "{version}: {member}");
            leave(&carol, &room).await;
            // A user who left the club cannot join again, and neither can a banned one.
            assert_eq!(code(&try_join(&carol, &room).await), FORBIDDEN, "{version}");
            ban(&alice, &room, "@bob:test").await;
            assert_eq!(try_join(&bob, &room).await.status, 403, "{version}");
        }
        // No member may invite, so no member can authorise the join.
        let room = create(&alice, json!({ "room_version": "11", "power_level_content_override": { "invite": 101 } })).await;
        let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
        join_rule(&alice, &room, json!({ "join_rule": "restricted", "allow": allow })).await;
        assert_eq!(try_join(&bob, &room).await.status / 100, 4);
        // A rule without conditions allows nobody.
        let room = create(&alice, json!({ "room_version": "11" })).await;
        for allow in [json!([]), json!([{ "type": "com.other", "room_id": club }]), json!("x")] {
            join_rule(&alice, &room, json!({ "join_rule": "restricted", "allow": allow })).await;
            assert!(matches!(try_join(&bob, &room).await.status, 403 | 404), "{allow}");
        }
    }

    async fn members_of_another_room_may_join_and_others_knock(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let club = create_public(&alice).await;
        join(&bob, &club).await;
        let room = create(&alice, json!({ "room_version": "10" })).await;
        let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
        join_rule(&alice, &room, json!({ "join_rule": "knock_restricted", "allow": allow })).await;
        join(&bob, &room).await;
        assert_eq!(code(&try_join(&carol, &room).await), FORBIDDEN);
        ok(carol.post(&format!("{CS}/knock/{}", enc(&room)), json!({})).await);
        assert_eq!(membership(&alice, &room, "@carol:test").await, "knock");
        // Version 9 does not know the rule.
        let old = create(&alice, json!({ "room_version": "9" })).await;
        join_rule(&alice, &old, json!({ "join_rule": "knock_restricted", "allow": allow })).await;
        assert_eq!(try_join(&bob, &old).await.status, 403);
    }

    async fn forgetting(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let path = room_path(&room, "forget");
        assert_eq!(code(&bob.post(&path, json!({})).await), (400, "M_UNKNOWN"));
        leave(&bob, &room).await;
        assert!(!list(&messages(&bob, &room, "dir=b").await, "/chunk").is_empty());
        assert_eq!(bob.post(&path, json!({})).await, (200, json!({})));
        assert_eq!(code(&bob.get(&room_path(&room, "messages?dir=b")).await), FORBIDDEN);
        assert_eq!(code(&bob.get(&room_path(&room, "state")).await), FORBIDDEN);
        let left = sync_with(&bob, &filter(&json!({ "room": { "include_leave": true } }))).await;
        assert!(left["rooms"]["leave"].get(&room).is_none());
        // Joining again brings it all back.
        join(&bob, &room).await;
        assert!(!list(&messages(&bob, &room, "dir=b").await, "/chunk").is_empty());
        // An invitation that was declined, and a ban, can be forgotten too.
        let carol = server.user("carol").await;
        invite(&alice, &room, "@carol:test").await;
        leave(&carol, &room).await;
        forget(&carol, &room).await;
        ban(&alice, &room, "@bob:test").await;
        forget(&bob, &room).await;
        assert_eq!(try_join(&bob, &room).await.status, 403);
    }

    async fn joined_rooms_are_listed(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        assert_eq!(bob.get(&format!("{CS}/joined_rooms")).await, (200, json!({ "joined_rooms": [] })));
        let mut rooms = vec![create_public(&alice).await, create_public(&alice).await, create_public(&alice).await];
        for room in &rooms {
            join(&bob, room).await;
        }
        let other = create(&alice, json!({ "invite": ["@bob:test"] })).await;
        let mut seen = joined_rooms(&bob).await;
        seen.sort_unstable();
        rooms.sort_unstable();
        assert_eq!(seen, rooms);
        join(&bob, &other).await;
        leave(&bob, &rooms[0]).await;
        ban(&alice, &rooms[1], "@bob:test").await;
        let mut seen = joined_rooms(&bob).await;
        seen.sort_unstable();
        let mut left = vec![rooms[2].clone(), other];
        left.sort_unstable();
        assert_eq!(seen, left);
    }
}
