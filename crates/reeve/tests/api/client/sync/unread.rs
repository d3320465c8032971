//! Unread counts, by the push rules.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

/// A room of alice and two others, all read.
async fn three_people(alice: &Client, bob: &Client, carol: &Client) -> String {
    let room = create_public(alice).await;
    join(bob, &room).await;
    join(carol, &room).await;
    room
}

/// The unread messages of a room now.
async fn unread_now(client: &Client, room: &str) -> (i64, i64) {
    unread(&sync(client).await, room)
}

async fn mention(client: &Client, room: &str, text: &str, mentions: Value) -> String {
    let content = json!({ "msgtype": "m.text", "body": text, "m.mentions": mentions });
    send(client, room, "m.room.message", content).await
}

fn by_thread() -> Value {
    json!({ "room": { "timeline": { "unread_thread_notifications": true } } })
}

on_both_engines! {
    async fn messages_count_until_they_are_read(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        assert_eq!(unread_now(&alice, &room).await, (0, 0));
        let since = now(&alice).await;
        let said = say_many(&bob, &room, "m", 3).await;
        let came = sync_since(&alice, &since).await;
        assert_eq!(unread(&came, &room), (3, 0));
        // The sender has read their own message.
        assert_eq!((unread_now(&bob, &room).await, unread_now(&carol, &room).await), ((0, 0), (3, 0)));
        receipt(&alice, &room, "m.read", &said[1], json!({})).await;
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(joined(&came, &room)["unread_notifications"]["notification_count"], 1, "{came}");
        receipt(&alice, &room, "m.read.private", &said[2], json!({})).await;
        let came = sync_since(&alice, &next(&came)).await;
        assert_eq!(joined(&came, &room)["unread_notifications"]["notification_count"], 0, "{came}");
        assert_eq!((unread_now(&alice, &room).await, unread_now(&carol, &room).await), ((0, 0), (3, 0)));
        // They stay read.
        say(&bob, &room, "again").await;
        assert_eq!(unread_now(&alice, &room).await, (1, 0));
    }

    async fn the_counts_come_with_a_first_sync_and_after_a_restart(server: Server) {
        let mut server = server;
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        say_many(&bob, &room, "m", 2).await;
        server.restart(|_| {}).await;
        let alice = server.with_token(alice.token.as_deref().unwrap());
        assert_eq!(unread_now(&alice, &room).await, (2, 0));
    }

    async fn mentions_are_highlighted(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        mention(&bob, &room, "Look", json!({ "user_ids": ["@alice:test"] })).await;
        assert_eq!((unread_now(&alice, &room).await, unread_now(&carol, &room).await), ((1, 1), (1, 0)));
        mention(&bob, &room, "Look again", json!({ "user_ids": ["@carol:test"] })).await;
        assert_eq!((unread_now(&alice, &room).await, unread_now(&carol, &room).await), ((2, 1), (2, 1)));
        // The whole room, by those who may.
        mention(&bob, &room, "Everybody", json!({ "room": true })).await;
        assert_eq!(unread_now(&carol, &room).await, (3, 1));
        let last = mention(&alice, &room, "Everybody", json!({ "room": true })).await;
        assert_eq!(unread_now(&carol, &room).await, (4, 2));
        receipt(&carol, &room, "m.read", &last, json!({})).await;
        assert_eq!(unread_now(&carol, &room).await, (0, 0));
    }

    async fn what_does_not_count(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        let said = say(&bob, &room, "m").await;
        react(&bob, &room, &said, "👍").await;
        edit(&bob, &room, &said, "n").await;
        send(&bob, &room, "m.room.message", json!({ "msgtype": "m.notice", "body": "beep" })).await;
        send(&bob, &room, "org.example.thing", json!({ "body": "x" })).await;
        rename(&bob, "Bob the Second").await;
        assert_eq!(unread_now(&alice, &room).await, (1, 0));
    }

    async fn rules_of_ones_own(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        let rules = format!("{CS}/pushrules/global");
        let keyword = json!({ "pattern": "cheese", "actions": ["notify", { "set_tweak": "highlight" }] });
        ok(alice.put(&format!("{rules}/content/cheese"), keyword).await);
        say(&bob, &room, "I like CHEESE").await;
        assert_eq!(unread_now(&alice, &room).await, (1, 1));
        // A room that is silent.
        ok(alice.put(&format!("{rules}/room/{}", enc(&room)), json!({ "actions": [] })).await);
        say(&bob, &room, "anybody?").await;
        assert_eq!((unread_now(&alice, &room).await, unread_now(&carol, &room).await), ((1, 1), (2, 0)));
        ok(alice.delete(&format!("{rules}/room/{}", enc(&room))).await);
        // A user whose rules mute the room.
        ok(alice.put(&format!("{rules}/sender/@bob:test"), json!({ "actions": [] })).await);
        say(&bob, &room, "hello?").await;
        say(&carol, &room, "hello").await;
        assert_eq!(unread_now(&alice, &room).await, (2, 1));
        // No notifications at all.
        ok(alice.put(&format!("{rules}/override/.m.rule.master/enabled"), json!({ "enabled": true })).await);
        say(&carol, &room, "cheese").await;
        assert_eq!(unread_now(&alice, &room).await, (2, 1));
    }

    async fn silent_for_a_while(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        let rules = format!("{CS}/pushrules/global");
        let silence = format!("{rules}/room/{}", enc(&room));
        let keyword = json!({ "pattern": "cheese", "actions": ["notify", { "set_tweak": "highlight" }] });
        ok(alice.put(&format!("{rules}/content/cheese"), keyword).await);
        // The notifications of alice, newest last: each event, and true if it is highlighted.
        let (mut told, mut is_silent): (Vec<(String, bool)>, bool) = (Vec::new(), false);
        // Each letter is an act: (m)essage, (c)heese, mention of (a)lice, message by (h)erself, (s)ilencing or
        // its end, (r)eading all, reading up to (b)efore the last notification, (l)eaving and rejoining.
        for (number, deed) in "mmsmcmammsmcsmsmmbsmrmmsmmlmmasmslmmcsmmhmsmsmamcbmslsmm".chars().enumerate() {
            let text = format!("message {number}");
            match deed {
                'm' => {
                    let id = say(&bob, &room, &text).await;
                    if !is_silent {
                        told.push((id, false));
                    }
                }
                'c' => told.push((say(&bob, &room, &format!("{text} of cheese")).await, true)),
                'a' => told.push((mention(&bob, &room, &text, json!({ "user_ids": ["@alice:test"] })).await, true)),
                'h' => {
                    say(&alice, &room, &text).await;
                    told.clear();
                }
                's' if is_silent => {
                    ok(alice.delete(&silence).await);
                    is_silent = false;
                }
                's' => {
                    ok(alice.put(&silence, json!({ "actions": [] })).await);
                    is_silent = true;
                }
                'r' => {
                    let last = say(&bob, &room, &text).await;
                    receipt(&alice, &room, "m.read", &last, json!({})).await;
                    told.clear();
                }
                'b' => {
                    if let [.., (before, _), _] = &*told {
                        receipt(&alice, &room, "m.read", before, json!({})).await;
                        told.drain(..told.len() - 1);
                    }
                }
                _ => {
                    leave(&alice, &room).await;
                    say(&bob, &room, &text).await;
                    join(&alice, &room).await;
                    told.clear();
                }
            }
            let count = |of: &[(String, bool)]| i64::try_from(of.len()).unwrap();
            let standing_out: Vec<_> = told.iter().filter(|(_, stands_out)| *stands_out).cloned().collect();
            let expected = (count(&told), count(&standing_out));
            assert_eq!(unread_now(&alice, &room).await, expected, "after {deed} at {number}");
            let by_message = server.app().db.read(|tx| -> Result<i64, reeve_rooms::Error> {
                let alice = reeve_store::users::find(tx, "@alice:test")?.unwrap();
                reeve_rooms::alerts::badge(tx, &alice, false)
            });
            assert_eq!(by_message.await.unwrap(), expected.0, "after {deed} at {number}");
            let page = ok(alice.get(&format!("{CS}/notifications?limit=50")).await);
            let listed = list(&page, "/notifications").iter().filter(|listed| listed["read"] == false);
            let listed: Vec<&str> = listed.map(|listed| at(listed, "/event/event_id")).collect();
            let expected: Vec<&str> = told.iter().rev().map(|(id, _)| &**id).collect();
            assert_eq!(listed, expected, "after {deed} at {number}");
        }
        assert_eq!(unread_now(&carol, &room).await.1, 0);
    }

    async fn threads_are_counted_apart_on_demand(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        let root = say(&alice, &room, "root").await;
        let since = now(&alice).await;
        let main = say(&bob, &room, "main").await;
        thread(&bob, &room, &root, "in thread").await;
        let relates_to = json!({ "rel_type": "m.thread", "event_id": root });
        let last = send(&bob, &room, "m.room.message", json!({
            "msgtype": "m.text", "body": "!", "m.mentions": { "user_ids": ["@alice:test"] }, "m.relates_to": relates_to,
        })).await;
        // All together, or apart.
        let together = sync_since(&alice, &since).await;
        assert_eq!(unread(&together, &room), (3, 1));
        assert!(joined(&together, &room).get("unread_thread_notifications").is_none(), "{together}");
        for apart in [since_filtered(&alice, &since, &by_thread()).await, sync_filtered(&alice, &by_thread()).await] {
            assert_eq!(unread(&apart, &room), (1, 0));
            assert_eq!(counts(&joined(&apart, &room)["unread_thread_notifications"][&root]), (2, 1));
        }
        // A receipt in the thread is for the thread, one in the main line for that, and one for neither is for all.
        receipt(&alice, &room, "m.read", &last, json!({ "thread_id": root })).await;
        let apart = sync_filtered(&alice, &by_thread()).await;
        assert_eq!(unread(&apart, &room), (1, 0));
        assert_eq!(counts(&joined(&apart, &room)["unread_thread_notifications"][&root]), (0, 0));
        let more = thread(&bob, &room, &root, "more").await;
        receipt(&alice, &room, "m.read", &main, json!({ "thread_id": "main" })).await;
        let apart = sync_filtered(&alice, &by_thread()).await;
        assert_eq!(unread(&apart, &room), (0, 0));
        assert_eq!(counts(&joined(&apart, &room)["unread_thread_notifications"][&root]), (1, 0));
        receipt(&alice, &room, "m.read", &more, json!({})).await;
        let apart = sync_filtered(&alice, &by_thread()).await;
        assert_eq!(counts(&joined(&apart, &room)["unread_thread_notifications"][&root]), (0, 0));
        assert_eq!(unread_now(&alice, &room).await, (0, 0));
    }

    async fn of_two(server: Server) {
        // In a room of two, every message notifies; the counts are the same.
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "trusted_private_chat", "is_direct": true, "invite": ["@bob:test"] })).await;
        join(&bob, &room).await;
        let said = send(&bob, &room, "m.room.encrypted", json!({
            "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "y", "sender_key": "z", "device_id": "D",
        })).await;
        assert_eq!(unread_now(&alice, &room).await, (1, 0));
        receipt(&alice, &room, "m.read", &said, json!({})).await;
        assert_eq!(unread_now(&alice, &room).await, (0, 0));
    }

    async fn whom_one_ignores_does_not_count(server: Server) {
        let (alice, bob, carol) = (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        let room = three_people(&alice, &bob, &carol).await;
        let root = say(&alice, &room, "root").await;
        say(&bob, &room, "one").await;
        thread(&bob, &room, &root, "two").await;
        mention(&bob, &room, "three", json!({ "user_ids": ["@alice:test"] })).await;
        let said = say(&carol, &room, "four").await;
        let other = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        let badge = async |by_room: bool| {
            let read = server.app().db.read(move |tx| -> Result<i64, reeve_rooms::Error> {
                let alice = reeve_store::users::find(tx, "@alice:test")?.unwrap();
                reeve_rooms::alerts::badge(tx, &alice, by_room)
            });
            read.await.unwrap()
        };
        let sliding = async || {
            let body = json!({ "lists": { "all": { "ranges": [[0, 9]], "timeline_limit": 1, "required_state": [] } } });
            let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
            let told = ok(alice.post(path, body).await);
            counts(&told["rooms"][&room])
        };
        assert_eq!((unread_now(&alice, &room).await, sliding().await), ((4, 1), (4, 1)));
        assert_eq!((badge(true).await, badge(false).await), (2, 5));
        set_data(&alice, "m.ignored_user_list", json!({ "ignored_users": { "@bob:test": {} } })).await;
        assert_eq!((unread_now(&alice, &room).await, sliding().await), ((1, 0), (1, 0)));
        let apart = sync_filtered(&alice, &by_thread()).await;
        assert_eq!(joined(&apart, &room).get("unread_thread_notifications").cloned().unwrap_or(json!({})), json!({}));
        assert_eq!((badge(true).await, badge(false).await), (1, 1));
        receipt(&alice, &room, "m.read", &said, json!({ "thread_id": "main" })).await;
        assert_eq!((badge(true).await, badge(false).await), (0, 0));
        // Nor in a thread that was read further than the room.
        thread(&carol, &room, &root, "five").await;
        thread(&bob, &room, &root, "six").await;
        assert_eq!((badge(true).await, badge(false).await), (1, 1));
        drop(other);
    }
}
