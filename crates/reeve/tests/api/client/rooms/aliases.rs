//! Aliases: `directory/room`, `rooms/{roomId}/aliases`, and the canonical alias.

use http::Method;
use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

fn path(alias: &str) -> String {
    format!("{CS}/directory/room/{}", enc(alias))
}

on_both_engines! {
    async fn an_alias_is_made_found_and_removed(server: Server) {
        let (alice, bob, stranger) = (server.user("alice").await, server.user("bob").await, server.stranger());
        let room = create_public(&alice).await;
        let put = alice.put(&path("#pub:test"), json!({ "room_id": room })).await;
        assert_eq!(put, (200, json!({})));
        // Everybody may ask, without a token too.
        for client in [&alice, &bob, &stranger] {
            assert_eq!(client.get(&path("#pub:test")).await, (200, json!({ "room_id": room, "servers": ["test"] })));
        }
        let old = bob.get(&format!("/_matrix/client/r0/directory/room/{}", enc("#pub:test"))).await;
        assert_eq!(old.text("room_id"), room);
        let again = alice.put(&path("#pub:test"), json!({ "room_id": room })).await;
        assert_eq!(again.status, 409, "{}", again.body);
        assert_eq!(code(&alice.get(&path("#Pub:test")).await), (404, "M_NOT_FOUND"));
        assert_eq!(alice.delete(&path("#pub:test")).await, (200, json!({})));
        for reply in [alice.get(&path("#pub:test")).await, alice.delete(&path("#pub:test")).await] {
            assert_eq!(code(&reply), (404, "M_NOT_FOUND"));
        }
        let free = create(&bob, json!({})).await;
        assert_eq!(add_alias(&bob, &free, "pub").await, "#pub:test");
    }

    async fn what_is_no_alias(server: Server) {
        let alice = server.user("alice").await;
        let room = create(&alice, json!({})).await;
        for bad in ["pub", "#pub", "@alice:test", "!x:test"] {
            assert_eq!(alice.put(&path(bad), json!({ "room_id": room })).await.status, 400, "{bad}");
            assert_eq!(alice.get(&path(bad)).await.status, 400, "{bad}");
        }
        for body in [json!({}), json!({ "room_id": 1 }), json!({ "room_id": "bad" })] {
            let reply = alice.put(&path("#a:test"), body.clone()).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.body);
        }
        let long = format!("#{}:test", "x".repeat(250));
        assert_eq!(alice.put(&path(&long), json!({ "room_id": room })).await.status, 400);
        let remote = alice.put(&path("#a:elsewhere"), json!({ "room_id": room })).await;
        assert_eq!(remote.status / 100, 4, "{}", remote.body);
        assert_eq!(alice.get(&path("#a:test")).await.status, 404);
        let unnamed = alice.send(Method::PUT, &path("#a:test"), &[], "{").await;
        assert_eq!(code(&unnamed), (400, "M_NOT_JSON"));
        assert_eq!(code(&server.stranger().put(&path("#a:test"), json!({ "room_id": room })).await), (401, "M_MISSING_TOKEN"));
    }

    async fn who_may_remove_an_alias(server: Server) {
        let (alice, bob, carol, admin) =
            (server.user("alice").await, server.user("bob").await, server.user("carol").await, server.admin().await);
        let room = create_public(&alice).await;
        for client in [&bob, &carol] {
            join(client, &room).await;
        }
        let alias = add_alias(&bob, &room, "bobs").await;
        assert_eq!(code(&carol.delete(&path(&alias)).await), (403, "M_FORBIDDEN"));
        // The one who made it, the powerful of the room, administrators.
        for client in [&bob, &alice, &admin] {
            assert_eq!(client.delete(&path(&alias)).await, (200, json!({})));
            add_alias(&bob, &room, "bobs").await;
        }
    }

    async fn the_scope_of_rooms_opens_every_room(server: Server) {
        let (alice, admin) = (server.user("alice").await, server.admin().await);
        let (reader, writer) = (server.user("reader").await, server.user("writer").await);
        let room = create(&alice, json!({})).await;
        for (client, scope) in [(&reader, "rooms:read"), (&writer, "rooms:write")] {
            let name = scope.replace(':', "-");
            assert_eq!(admin.put(&format!("/_reeve/admin/v1/roles/{name}"), json!({ "scopes": [scope] })).await.status, 201);
            let role = format!("/_reeve/admin/v1/users/{}/role", client.user_id);
            assert_eq!(admin.put(&role, json!({ "role": name })).await.status, 200);
        }
        let token = async |name: &str, scope: &str| {
            let body = json!({ "name": name, "scopes": [scope] });
            server.with_token(admin.post("/_reeve/admin/v1/service_tokens", body).await.text("secret"))
        };
        let (reading, writing) = (token("reading", "rooms:read").await, token("writing", "rooms:write").await);
        let listing = format!("{CS}/directory/list/room/{}", enc(&room));
        let is_published = async || ok(alice.get(&listing).await)["visibility"] == "public";
        add_alias(&alice, &room, "hers").await;

        // The scope of reading shows the aliases, and changes nothing.
        for client in [&reader, &reading] {
            assert_eq!(client.get(&room_path(&room, "aliases")).await, (200, json!({ "aliases": ["#hers:test"] })));
            assert_eq!(code(&client.get(&room_path("!unknown:test", "aliases")).await), (404, "M_NOT_FOUND"));
            assert_eq!(code(&client.delete(&path("#hers:test")).await), (403, "M_FORBIDDEN"));
            assert_eq!(code(&client.put(&listing, json!({})).await), (403, "M_FORBIDDEN"));
        }
        assert_eq!(code(&reader.put(&path("#x:test"), json!({ "room_id": room })).await), (403, "M_FORBIDDEN"));
        assert!(!is_published().await);
        // The scope of writing changes everything. An alias belongs to an account.
        assert_eq!(code(&writer.get(&room_path(&room, "aliases")).await), (403, "M_FORBIDDEN"));
        assert_eq!(writer.put(&path("#made:test"), json!({ "room_id": room })).await, (200, json!({})));
        assert_eq!(code(&writing.put(&path("#x:test"), json!({ "room_id": room })).await), (403, "M_FORBIDDEN"));
        for (client, alias, visibility) in [(&writer, "#hers:test", "public"), (&writing, "#made:test", "private")] {
            assert_eq!(client.delete(&path("#unknown:test")).await.status, 404);
            assert_eq!(client.delete(&path(alias)).await, (200, json!({})));
            assert_eq!(client.put(&listing, json!({ "visibility": visibility })).await, (200, json!({})));
            assert_eq!(is_published().await, visibility == "public");
        }
        assert_eq!(code(&writing.put(&format!("{CS}/directory/list/room/{}", enc("!unknown:test")), json!({})).await), (404, "M_NOT_FOUND"));
        // What was done by right of a scope is in the audit log.
        let log = ok(admin.get(&format!("/_reeve/admin/v1/audit?target={}", enc(&room))).await);
        let entries = log["entries"].as_array().unwrap().iter().rev();
        let acts: Vec<_> = entries.map(|entry| (entry["action"].clone(), entry["actor"].clone(), entry["changes"].clone())).collect();
        assert_eq!(acts, [
            (json!("room.create_alias"), json!("@writer:test"), json!({ "alias": "#made:test" })),
            (json!("room.delete_alias"), json!("@writer:test"), json!({ "alias": "#hers:test" })),
            (json!("room.publish"), json!("@writer:test"), json!({})),
            (json!("room.delete_alias"), json!("writing"), json!({ "alias": "#made:test" })),
            (json!("room.unpublish"), json!("writing"), json!({})),
        ]);
    }

    async fn the_aliases_of_a_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        let list_path = room_path(&room, "aliases");
        assert_eq!(alice.get(&list_path).await, (200, json!({ "aliases": [] })));
        for name in ["b", "a"] {
            add_alias(&alice, &room, name).await;
        }
        let mut seen = ok(alice.get(&list_path).await)["aliases"].as_array().unwrap().clone();
        seen.sort_by_key(ToString::to_string);
        assert_eq!(seen, ["#a:test", "#b:test"]);
        let old = alice.get(&format!("/_matrix/client/r0/rooms/{}/aliases", enc(&room))).await;
        assert_eq!(list(&old.body, "/aliases").len(), 2);
        assert_eq!(code(&bob.get(&list_path).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&bob.get(&room_path("!unknown:test", "aliases")).await).0 / 100, 4);
        set_state(&alice, &room, "m.room.history_visibility", "", json!({ "history_visibility": "world_readable" })).await;
        assert_eq!(list(&ok(bob.get(&list_path).await), "/aliases").len(), 2);
    }

    async fn a_canonical_alias_must_lead_to_the_room(server: Server) {
        let alice = server.user("alice").await;
        let (room, other) = (create(&alice, json!({})).await, create(&alice, json!({})).await);
        add_alias(&alice, &room, "here").await;
        add_alias(&alice, &room, "also").await;
        add_alias(&alice, &other, "there").await;
        let kind = "m.room.canonical_alias";
        let whole = json!({ "alias": "#here:test", "alt_aliases": ["#also:test"] });
        set_state(&alice, &room, kind, "", whole.clone()).await;
        assert_eq!(state(&alice, &room, kind, "").await, whole);
        for bad in [
            json!({ "alias": "#nothing:test" }), json!({ "alias": "#there:test" }),
            json!({ "alt_aliases": ["#there:test"] }), json!({ "alt_aliases": ["#nothing:test"] }),
        ] {
            assert_eq!(code(&try_state(&alice, &room, kind, "", bad.clone()).await), (400, "M_BAD_ALIAS"), "{bad}");
        }
        for bad in [json!({ "alias": "here" }), json!({ "alt_aliases": ["bad"] })] {
            assert_eq!(try_state(&alice, &room, kind, "", bad.clone()).await.status, 400, "{bad}");
        }
        // Those that stay are not looked at again.
        ok(alice.delete(&path("#also:test")).await);
        assert_eq!(state(&alice, &room, kind, "").await["alias"], "#here:test");
        for none in [json!({}), json!({ "alias": "" })] {
            set_state(&alice, &room, kind, "", none).await;
        }
    }
}
