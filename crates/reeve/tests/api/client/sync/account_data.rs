//! Account data, tags and push rules in sync.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

on_both_engines! {
    async fn global(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let (since, of_bob) = (now(&phone).await, now(&bob).await);
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        set_data(&alice, "org.example.b", json!({ "b": 1 })).await;
        set_data(&alice, "org.example.a", json!({ "a": 2 })).await;
        let came = sync_since(&phone, &since).await;
        assert_eq!(global_data(&came, "org.example.a"), &json!({ "a": 2 }));
        assert_eq!(global_data(&came, "org.example.b"), &json!({ "b": 1 }));
        // Once; then only what changes.
        let after = sync_since(&phone, &next(&came)).await;
        assert_eq!(list(&after, "/account_data/events"), [] as [Value; 0]);
        set_data(&alice, "org.example.b", json!({})).await;
        let after = sync_since(&phone, &next(&came)).await;
        assert_eq!(global_data(&after, "org.example.b"), &json!({}));
        assert!(global_data(&after, "org.example.a").is_null(), "{after}");
        // An initial sync has all of it, and other users have none.
        let first = sync(&phone).await;
        assert_eq!(global_data(&first, "org.example.a"), &json!({ "a": 2 }));
        assert!(list(&sync_since(&bob, &of_bob).await, "/account_data/events").is_empty());
    }

    async fn of_a_room(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let phone = server.log_in("alice", "alice's password").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let (since, of_bob) = (now(&phone).await, now(&bob).await);
        set_room_data(&alice, &room, "org.example.a", json!({ "a": 1 })).await;
        let came = sync_since(&phone, &since).await;
        assert_eq!(room_data(&came, &room, "org.example.a"), &json!({ "a": 1 }));
        assert!(timeline(&came, &room).is_empty(), "{came}");
        assert!(rooms_in(&sync_since(&phone, &next(&came)).await, "join").is_empty());
        assert!(rooms_in(&sync_since(&bob, &of_bob).await, "join").is_empty());
        assert_eq!(room_data(&sync(&phone).await, &room, "org.example.a"), &json!({ "a": 1 }));
    }

    async fn tags(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let tag = |name: &str| format!("{CS}/user/@alice:test/rooms/{}/tags/{}", enc(&room), enc(name));
        let since = now(&alice).await;
        ok(alice.put(&tag("m.favourite"), json!({ "order": 0.5 })).await);
        ok(alice.put(&tag("u.work"), json!({})).await);
        let came = sync_since(&alice, &since).await;
        let both = json!({ "tags": { "m.favourite": { "order": 0.5 }, "u.work": {} } });
        assert_eq!(room_data(&came, &room, "m.tag"), &both);
        assert_eq!(room_data(&sync(&alice).await, &room, "m.tag"), &both);
        ok(alice.delete(&tag("m.favourite")).await);
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(room_data(&came, &room, "m.tag"), &json!({ "tags": { "u.work": {} } }));
        ok(alice.delete(&tag("u.work")).await);
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(room_data(&came, &room, "m.tag"), &json!({ "tags": {} }));
    }

    async fn push_rules(server: Server) {
        let alice = server.user("alice").await;
        let since = now(&alice).await;
        let rule = json!({ "pattern": "cheese", "actions": ["notify"] });
        ok(alice.put(&format!("{CS}/pushrules/global/content/cheese"), rule).await);
        let came = sync_since(&alice, &since).await;
        let content = &global_data(&came, "m.push_rules")["global"]["content"];
        let rule = list(content, "").iter().find(|rule| rule["rule_id"] == "cheese").unwrap();
        assert_eq!((&rule["pattern"], &rule["enabled"], &rule["default"]), (&json!("cheese"), &json!(true), &json!(false)));
        let after = sync_since(&alice, &next(&came)).await;
        assert!(global_data(&after, "m.push_rules").is_null(), "{after}");
        ok(alice.delete(&format!("{CS}/pushrules/global/content/cheese")).await);
        let after = sync_since(&alice, &next(&came)).await;
        let content = &global_data(&after, "m.push_rules")["global"]["content"];
        assert!(list(content, "").iter().all(|rule| rule["rule_id"] != "cheese"), "{after}");
    }

    async fn ignored_users(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        for guest in [&bob, &carol] {
            join(guest, &room).await;
        }
        set_level(&alice, &room, "@bob:test", 50).await;
        let ignore = |users: Value| {
            let alice = alice.clone();
            async move { set_data(&alice, "m.ignored_user_list", json!({ "ignored_users": users })).await }
        };
        ignore(json!({ "@bob:test": {} })).await;
        let since = now(&alice).await;
        say(&bob, &room, "unwanted").await;
        say(&carol, &room, "welcome").await;
        set_state(&bob, &room, "m.room.topic", "", json!({ "topic": "By bob" })).await;
        let private = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let came = sync_since(&alice, &since).await;
        assert_eq!(bodies(timeline(&came, &room)), ["welcome"]);
        assert!(section(&came, "invite", &private).is_null(), "{came}");
        // State of ignored senders is visible, too.
        let topic = &state_after(joined(&came, &room))[&("m.room.topic".to_owned(), String::new())];
        assert_eq!(topic["topic"], "By bob");
        assert!(section(&sync(&alice).await, "invite", &private).is_null());
        // Messages are hidden in a first sync as well, until the mind changes.
        assert_eq!(bodies(timeline(&sync(&alice).await, &room)), ["welcome"]);
        ignore(json!({})).await;
        let since = now(&alice).await;
        say(&bob, &room, "forgiven").await;
        assert_eq!(bodies(timeline(&sync_since(&alice, &since).await, &room)), ["forgiven"]);
        assert_eq!(rooms_in(&sync(&alice).await, "invite"), [private]);
    }
}
