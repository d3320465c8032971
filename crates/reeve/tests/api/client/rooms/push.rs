//! Push rules, and the notifications that they cause.

use std::sync::Arc;

use reeve_rooms::error::Error;
use reeve_rooms::event::{self, Draft};
use reeve_store::{account_data, rooms, users};
use reeve_testkit::{Client, START, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const RULES: &str = "/_matrix/client/v3/pushrules/global";

fn rule_ids(rules: &Value, kind: &str) -> Vec<String> {
    list(rules, &format!("/{kind}")).iter().map(|rule| at(rule, "/rule_id").to_owned()).collect()
}

async fn put(client: &Client, rule: &str, body: Value) {
    ok(client.put(&format!("{RULES}/{rule}"), body).await);
}

/// The texts one was notified of, newest first.
async fn notified(client: &Client, query: &str) -> Vec<String> {
    let body = ok(client.get(&format!("{CS}/notifications{query}")).await);
    list(&body, "/notifications").iter().map(|one| at(one, "/event/content/body").to_owned()).collect()
}

on_both_engines! {
    async fn the_rules_everybody_has(server: Server) {
        let alice = server.user("alice").await;
        let all = ok(alice.get(&format!("{CS}/pushrules/")).await);
        let rules = ok(alice.get(&format!("{RULES}/")).await);
        assert_eq!(all["global"], rules);
        for kind in ["override", "content", "room", "sender", "underride"] {
            assert!(rules[kind].is_array(), "{kind}");
        }
        let overrides = rule_ids(&rules, "override");
        assert_eq!(overrides[0], ".m.rule.master");
        for rule in [
            ".m.rule.suppress_notices", ".m.rule.invite_for_me", ".m.rule.member_event", ".m.rule.is_user_mention", ".m.rule.is_room_mention",
            ".m.rule.tombstone", ".m.rule.reaction", ".m.rule.room.server_acl", ".m.rule.suppress_edits",
            ".m.rule.contains_display_name", ".m.rule.roomnotif",
        ] {
            assert!(overrides.iter().any(|id| id == rule), "{rule}: {overrides:?}");
        }
        assert_eq!(rule_ids(&rules, "content"), [".m.rule.contains_user_name"]);
        let user_name = ok(alice.get(&format!("{RULES}/content/.m.rule.contains_user_name")).await);
        assert_eq!((&user_name["pattern"], &user_name["default"]), (&json!("alice"), &json!(true)));
        let underrides = rule_ids(&rules, "underride");
        for rule in [".m.rule.call", ".m.rule.room_one_to_one", ".m.rule.encrypted_room_one_to_one", ".m.rule.message", ".m.rule.encrypted"] {
            assert!(underrides.iter().any(|id| id == rule), "{rule}: {underrides:?}");
        }
        let master = ok(alice.get(&format!("{RULES}/override/.m.rule.master")).await);
        assert_eq!((&master["enabled"], &master["default"], &master["actions"]), (&json!(false), &json!(true), &json!([])));
        let mention = ok(alice.get(&format!("{RULES}/override/.m.rule.is_user_mention")).await);
        let condition = json!([{ "kind": "event_property_contains", "key": "content.m\\.mentions.user_ids", "value": "@alice:test" }]);
        assert_eq!(mention["conditions"], condition);
        // They are account data as well.
        let first = sync(&alice).await;
        assert_eq!(of_kind(list(&first, "/account_data/events"), "m.push_rules").unwrap()["content"], all);
    }

    async fn rules_of_ones_own(server: Server) {
        let alice = server.user("alice").await;
        let since = now(&alice).await;
        put(&alice, "content/cake", json!({ "pattern": "cake*lie", "actions": ["notify", { "set_tweak": "sound", "value": "default" }] })).await;
        let rule = ok(alice.get(&format!("{RULES}/content/cake")).await);
        let actions = json!(["notify", { "set_tweak": "sound", "value": "default" }]);
        assert_eq!(rule, json!({ "rule_id": "cake", "default": false, "enabled": true, "pattern": "cake*lie", "actions": actions }));
        let news = sync_until(&alice, &since, |sync| of_kind(list(sync, "/account_data/events"), "m.push_rules").is_some()).await;
        let rules = &of_kind(list(&news, "/account_data/events"), "m.push_rules").unwrap()["content"]["global"];
        assert_eq!(rule_ids(rules, "content")[0], "cake");
        let conditions = json!([{ "kind": "event_match", "key": "type", "pattern": "m.x" }]);
        put(&alice, "override/mine", json!({ "conditions": conditions, "actions": [] })).await;
        put(&alice, "underride/mine", json!({ "conditions": [], "actions": ["notify"] })).await;
        put(&alice, "room/!x:test", json!({ "actions": [] })).await;
        put(&alice, "sender/@bob:test", json!({ "actions": ["notify"] })).await;
        // The newest has the highest priority, unless the request names another place; a change keeps its
        // place.
        for rule in ["two", "three"] {
            put(&alice, &format!("content/{rule}"), json!({ "pattern": "x", "actions": [] })).await;
        }
        put(&alice, "content/four?after=cake", json!({ "pattern": "x", "actions": [] })).await;
        put(&alice, "content/five?before=cake", json!({ "pattern": "x", "actions": [] })).await;
        let order = async || rule_ids(&ok(alice.get(&format!("{RULES}/")).await), "content")[..5].to_vec();
        assert_eq!(order().await, ["three", "two", "five", "cake", "four"]);
        put(&alice, "content/cake", json!({ "pattern": "pie", "actions": [] })).await;
        assert_eq!(at(&ok(alice.get(&format!("{RULES}/content/cake")).await), "/pattern"), "pie");
        assert_eq!(alice.delete(&format!("{RULES}/content/cake")).await, (200, json!({})));
        for reply in [alice.get(&format!("{RULES}/content/cake")).await, alice.delete(&format!("{RULES}/content/cake")).await] {
            assert_eq!(code(&reply), (404, "M_NOT_FOUND"));
        }
    }

    async fn rules_are_placed_relative_to_others(server: Server) {
        let alice = server.user("alice").await;
        for (kind, [one, two, three], body) in [
            ("override", ["one", "two", "three"], json!({ "conditions": [], "actions": [] })),
            ("content", ["one", "two", "three"], json!({ "pattern": "x", "actions": [] })),
            ("room", ["!one:x", "!two:x", "!three:x"], json!({ "actions": [] })),
            ("sender", ["@one:x", "@two:x", "@three:x"], json!({ "actions": [] })),
            ("underride", ["one", "two", "three"], json!({ "conditions": [], "actions": [] })),
        ] {
            let order = async || {
                let rules = ok(alice.get(&format!("{RULES}/")).await);
                let own = list(&rules, &format!("/{kind}")).iter().filter(|rule| rule["default"] == false);
                own.map(|rule| at(rule, "/rule_id").to_owned()).collect::<Vec<_>>()
            };
            for rule in [one, two, three] {
                put(&alice, &format!("{kind}/{}", enc(rule)), body.clone()).await;
            }
            assert_eq!(order().await, [three, two, one], "{kind}");
            for (rule, query, expected) in [
                (three, format!("before={}", enc(one)), [two, three, one]),
                (two, format!("after={}", enc(three)), [three, two, one]),
                (two, format!("after={}", enc(one)), [three, one, two]),
                (one, format!("before={}", enc(three)), [one, three, two]),
                (one, format!("after={}", enc(three)), [three, one, two]),
                // The more important of both conditions.
                (two, format!("before={}&after={}", enc(one), enc(one)), [three, two, one]),
                (one, format!("after={}&before={}", enc(two), enc(three)), [one, three, two]),
                // A rule has no place relative to itself, and a change leaves it where it is.
                (three, format!("before={}", enc(three)), [one, three, two]),
                (two, format!("after={}", enc(two)), [one, three, two]),
                (two, "before=&after=".to_owned(), [one, three, two]),
                (three, String::new(), [one, three, two]),
            ] {
                let path = format!("{RULES}/{kind}/{}?{query}", enc(rule));
                assert_eq!(alice.put(&path, body.clone()).await, (200, json!({})), "{kind} {rule} {query}");
                assert_eq!(order().await, expected, "{kind} {rule} {query}");
            }
            // Neither a rule of another kind nor one that everybody has.
            for other in ["none", ".m.rule.master", ".m.rule.message"] {
                for place in ["before", "after"] {
                    let reply = alice.put(&format!("{RULES}/{kind}/{}?{place}={other}", enc(two)), body.clone()).await;
                    let text = format!("before/after rule not found: {other}");
                    assert_eq!(reply.refusal(), (400, "M_UNKNOWN", &*text), "{kind}");
                }
            }
            assert_eq!(order().await, [one, three, two], "{kind}");
        }
        // The master rule stays above all.
        let rules = ok(alice.get(&format!("{RULES}/")).await);
        assert_eq!(rule_ids(&rules, "override")[..4], [".m.rule.master", "one", "three", "two"]);
    }

    async fn rules_are_switched_and_changed(server: Server) {
        let alice = server.user("alice").await;
        put(&alice, "content/cake", json!({ "pattern": "cake", "actions": ["notify"] })).await;
        for rule in ["content/cake", "underride/.m.rule.message"] {
            let (enabled, actions) = (format!("{RULES}/{rule}/enabled"), format!("{RULES}/{rule}/actions"));
            assert_eq!(alice.get(&enabled).await, (200, json!({ "enabled": true })));
            assert_eq!(alice.put(&enabled, json!({ "enabled": false })).await, (200, json!({})));
            assert_eq!(alice.get(&enabled).await, (200, json!({ "enabled": false })));
            assert_eq!(ok(alice.get(&format!("{RULES}/{rule}")).await)["enabled"], false);
            assert_eq!(alice.put(&actions, json!({ "actions": [] })).await, (200, json!({})));
            assert_eq!(alice.get(&actions).await, (200, json!({ "actions": [] })));
        }
        for missing in ["content/none/enabled", "content/none/actions", "override/.m.rule.none/enabled"] {
            let path = format!("{RULES}/{missing}");
            assert_eq!(code(&alice.get(&path).await), (404, "M_NOT_FOUND"), "{missing}");
            let body = if missing.ends_with("enabled") { json!({ "enabled": true }) } else { json!({ "actions": [] }) };
            assert_eq!(code(&alice.put(&path, body).await), (404, "M_NOT_FOUND"), "{missing}");
        }
    }

    async fn what_is_no_rule(server: Server) {
        let alice = server.user("alice").await;
        let good = json!({ "pattern": "x", "actions": ["notify"] });
        for (path, body) in [
            ("content/.mine", good.clone()), ("override/.m.rule.master", json!({ "conditions": [], "actions": [] })), ("bogus/x", good.clone()),
            ("content/a%5Cb", good.clone()), ("content/x", json!({ "pattern": "x" })), ("content/x", json!({ "actions": [] })),
            ("content/x", json!({ "pattern": "x", "actions": ["explode"] })), ("content/x", json!({ "pattern": "x", "actions": "notify" })),
            ("content/x?before=none", good.clone()), ("content/x?after=none", good.clone()),
        ] {
            let reply = alice.put(&format!("{RULES}/{path}"), body.clone()).await;
            assert!(matches!(reply.status, 400 | 404), "{path} {body}: {}", reply.body);
        }
        let own = alice.delete(&format!("{RULES}/override/.m.rule.master")).await;
        assert!(matches!(own.status, 400 | 404), "{}", own.body);
        let rules = ok(alice.get(&format!("{RULES}/")).await);
        assert!(!rules.to_string().contains("\"rule_id\":\"x\""), "{rules}");
    }

    async fn one_is_notified_by_the_rules(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&server.user("carol").await, &room).await;
        put(&bob, "content/cake", json!({ "pattern": "cake", "actions": ["notify", { "set_tweak": "highlight" }] })).await;
        say(&alice, &room, "plain").await;
        say(&bob, &room, "my own").await;
        let mention = json!({ "msgtype": "m.text", "body": "you", "m.mentions": { "user_ids": ["@bob:test"] } });
        send(&alice, &room, "m.room.message", mention).await;
        say(&alice, &room, "some cake").await;
        send(&alice, &room, "m.room.message", json!({ "msgtype": "m.notice", "body": "notice" })).await;
        let last = say(&alice, &room, "last").await;
        assert_eq!(notified(&bob, "").await, ["last", "some cake", "you", "plain"]);
        assert_eq!(notified(&bob, "?only=highlight").await, ["some cake", "you"]);
        let first = ok(bob.get(&format!("{CS}/notifications?limit=3")).await);
        let entry = &first["notifications"][0];
        assert_eq!((at(entry, "/event/event_id"), at(entry, "/room_id"), &entry["read"]), (&*last, &*room, &json!(false)));
        assert!(entry["ts"].is_i64() && entry["actions"][0] == "notify", "{entry}");
        let rest = notified(&bob, &format!("?from={}", enc(at(&first, "/next_token")))).await;
        assert_eq!(rest, ["plain"]);
        receipt(&bob, &room, "m.read", &last, json!({})).await;
        let all = ok(bob.get(&format!("{CS}/notifications")).await);
        assert!(list(&all, "/notifications").iter().all(|one| one["read"] == true), "{all}");
        assert_eq!(notified(&alice, "").await, ["my own"]);
        // A room that is muted is silent.
        put(&bob, &format!("override/{}", enc(&room)), json!({
            "conditions": [{ "kind": "event_match", "key": "room_id", "pattern": room }], "actions": [],
        })).await;
        say(&alice, &room, "into the void").await;
        assert_eq!(notified(&bob, "?limit=1").await, ["last"]);
    }

    async fn patterns_are_neither_long_nor_wild(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let pattern = |pattern: &str| json!({ "pattern": pattern, "actions": ["notify"] });
        let condition = |pattern: &str| {
            json!({ "conditions": [{ "kind": "event_match", "key": "type", "pattern": pattern }], "actions": ["notify"] })
        };
        for bad in ["x".repeat(513), "?".repeat(33), "?".repeat(300_000), "*a".repeat(33)] {
            for (rule, body) in [("content/x", pattern(&bad)), ("override/x", condition(&bad)), ("underride/x", condition(&bad))] {
                assert_eq!(code(&bob.put(&format!("{RULES}/{rule}"), body).await), (400, "M_INVALID_PARAM"));
            }
        }
        put(&bob, "content/x", pattern(&"?".repeat(32))).await;
        // As a whole they are bounded as well.
        let many: Vec<_> = (0..3000).map(|n| json!({ "kind": "event_match", "key": "type", "pattern": format!("{n:0100}") })).collect();
        let reply = bob.put(&format!("{RULES}/override/many"), json!({ "conditions": many, "actions": [] })).await;
        assert_eq!(code(&reply), (413, "M_TOO_LARGE"));
        // Names and rules of members cannot prevent others from sending.
        put(&bob, "content/a", json!({ "pattern": "a", "actions": ["notify", { "set_tweak": "highlight" }] })).await;
        put(&bob, "override/name", json!({ "conditions": [{ "kind": "contains_display_name" }], "actions": ["notify"] })).await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let member = json!({ "membership": "join", "displayname": "?".repeat(50_000) });
        set_state(&bob, &room, "m.room.member", "@bob:test", member).await;
        say(&alice, &room, &"ab ".repeat(20_000)).await;
        say(&alice, &room, "b a!").await;
        assert_eq!(notified(&bob, "?only=highlight").await, ["b a!"]);
    }

    async fn rules_that_cannot_be_read_are_none(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        say(&alice, &room, "before").await;
        put(&bob, "content/x", json!({ "pattern": "x", "actions": [] })).await;
        let spoil = server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@bob:test")?.unwrap();
            reeve_store::account_data::put(tx, num, "", "m.push_rules", "[]")?;
            Ok(())
        });
        spoil.await.unwrap();
        say(&alice, &room, "after").await;
        assert_eq!(notified(&bob, "").await, ["before"]);
    }

    async fn the_list_goes_on_behind_what_does_not_notify(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        let root = say(&carol, &room, "one").await;
        thread(&carol, &room, &root, "two").await;
        put(&bob, "sender/@alice:test", json!({ "actions": [] })).await;
        say_many(&alice, &room, "silent", 4).await;
        let mention = json!({ "msgtype": "m.text", "body": "three", "m.mentions": { "user_ids": ["@bob:test"] } });
        let three = send(&carol, &room, "m.room.message", mention).await;
        let first = ok(bob.get(&format!("{CS}/notifications?limit=1")).await);
        assert_eq!(list(&first, "/notifications").len(), 1);
        let rest = notified(&bob, &format!("?limit=2&from={}", enc(at(&first, "/next_token")))).await;
        assert_eq!(rest, ["two", "one"]);
        // A receipt outside threads leaves what is in them.
        receipt(&bob, &room, "m.read", &three, json!({ "thread_id": "main" })).await;
        let all = ok(bob.get(&format!("{CS}/notifications")).await);
        let read: Vec<_> = list(&all, "/notifications").iter().map(|one| one["read"].as_bool().unwrap()).collect();
        assert_eq!(read, [true, false, true]);
        let highlight = json!(["notify", { "set_tweak": "highlight" }]);
        assert_eq!((&all["notifications"][0]["actions"], &all["notifications"][1]["actions"]), (&highlight, &json!(["notify"])));
        assert!(all["notifications"][0].get("profile_tag").is_none());
        // Ignored users notify nobody.
        set_data(&bob, "m.ignored_user_list", json!({ "ignored_users": { "@carol:test": {} } })).await;
        assert_eq!(notified(&bob, "").await, [] as [&str; 0]);
    }

    async fn messages_without_mentions_mention_by_name(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        rename(&bob, "Ren\u{e9} Tables").await;
        rename(&carol, "\u{4e0a}\u{6d77}").await;
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        join(&carol, &room).await;
        // One has the rules that everybody has, the other has own ones: both are mentioned in the same way.
        put(&carol, "content/cake", json!({ "pattern": "cake", "actions": [] })).await;
        for text in ["plain", "no bobs, no carols, ren\u{e9}", "BOB?", "hi ren\u{e9} tables!", "so carol", "in \u{4e0a}\u{6d77}.", "in\u{4e0a}"] {
            say(&alice, &room, text).await;
        }
        say(&bob, &room, "bob himself").await;
        assert_eq!(notified(&bob, "?only=highlight").await, ["hi ren\u{e9} tables!", "BOB?"]);
        assert_eq!(notified(&carol, "?only=highlight").await, ["in \u{4e0a}\u{6d77}.", "so carol"]);
        assert_eq!(unread(&sync(&bob).await, &room), (0, 0), "having written there, one has read it");
        assert_eq!(unread(&sync(&carol).await, &room).1, 2);
        // A message with `m.mentions` mentions nobody else.
        let said = json!({ "msgtype": "m.text", "body": "bob, carol, @room", "m.mentions": {} });
        send(&alice, &room, "m.room.message", said).await;
        let said = json!({ "msgtype": "m.text", "body": "carol", "m.mentions": { "user_ids": ["@bob:test"] } });
        send(&alice, &room, "m.room.message", said).await;
        assert_eq!(notified(&bob, "?only=highlight&limit=1").await, ["carol"]);
        assert_eq!(notified(&carol, "?only=highlight&limit=1").await, ["in \u{4e0a}\u{6d77}."]);
        // The whole room is mentioned by those who may.
        say(&bob, &room, "@room it is bob who may not").await;
        say(&alice, &room, "@room hear").await;
        for client in [&bob, &carol] {
            assert_eq!(notified(client, "?only=highlight&limit=1").await, ["@room hear"]);
        }
        // Disabled rules have no effect, and former names match nobody.
        let off = json!({ "enabled": false });
        ok(bob.put(&format!("{RULES}/content/.m.rule.contains_user_name/enabled"), off.clone()).await);
        say(&alice, &room, "bob again").await;
        rename(&carol, "Carol B").await;
        eventually(&carol, &state_path(&room, "m.room.member", "@carol:test"), |reply| reply.text("displayname") == "Carol B").await;
        say(&alice, &room, "\u{4e0a}\u{6d77}").await;
        say(&alice, &room, "tables only, carol b").await;
        assert_eq!(notified(&bob, "?only=highlight&limit=1").await, ["@room hear"]);
        assert_eq!(notified(&carol, "?only=highlight&limit=2").await, ["tables only, carol b", "@room hear"]);
        leave(&carol, &room).await;
        say(&alice, &room, "carol is gone").await;
        join(&carol, &room).await;
        assert_eq!(notified(&carol, "?only=highlight").await, [] as [&str; 0]);
    }

    async fn rules_that_were_rolled_back_are_forgotten(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        put(&bob, "content/cake", json!({ "pattern": "cake", "actions": [] })).await;
        // A transaction that sets rules, sends a message under them, and fails. Its positions are given out again.
        let (home, room_id) = (Arc::clone(&server.app().home), room.clone());
        let failed = server.app().db.write(move |tx| -> Result<(), Error> {
            let loud = json!({ "rule_id": "loud", "default": false, "enabled": true, "conditions": [], "actions": ["notify"] });
            let rules = json!({ "global": { "override": [loud] } }).to_string();
            let bob_num = users::num(tx, "@bob:test")?.unwrap();
            account_data::put(tx, bob_num, "", "m.push_rules", &rules)?;
            let content = json!({ "msgtype": "m.text", "body": "undone" }).as_object().unwrap().clone();
            let mut room = rooms::find(tx, &room_id)?.unwrap();
            event::append(tx, &home, &mut room, Draft::message("m.room.message", "@alice:test", content), START)?;
            Err(Error::NotFound("the transaction fails"))
        });
        assert!(matches!(failed.await, Err(Error::NotFound(_))));
        put(&bob, "override/quiet", json!({ "conditions": [], "actions": [] })).await;
        say(&alice, &room, "done").await;
        assert_eq!(notified(&bob, "").await, [] as [&str; 0]);
    }
}
