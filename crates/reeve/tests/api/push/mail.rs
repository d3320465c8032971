//! Notifications by e-mail, to a mail server played by the tests.

use reeve_testkit::{Client, START_MS, Server, Smtp, on_both_engines};
use serde_json::json;

use super::{two, until};
use crate::mail_kit::{header, through};
use crate::rooms_kit::{CS, create, join, receipt, say, set_state};

const MINUTE: i64 = 60_000;
const UNSUBSCRIBE: &str = "https://matrix.example.org/_synapse/client/unsubscribe";

/// Gives the client an address, and a pusher that writes to it.
async fn set_pusher(server: &Server, client: &Client, address: &str) {
    let body = json!({ "threepids": [{ "medium": "email", "address": address }] });
    let admin = server.log_in("admin", "admin's password").await;
    assert_eq!(admin.put(&format!("/_synapse/admin/v2/users/{}", client.user_id), body).await.status, 200);
    let body = json!({
        "kind": "email", "app_id": "m.email", "pushkey": address, "app_display_name": "Mail",
        "device_display_name": address, "lang": "en", "data": {},
    });
    assert_eq!(client.post(&format!("{CS}/pushers/set"), body).await, (200, json!({})));
}

/// Alice, who gets mail, and Bob, in a room of two.
async fn with_mail(server: &mut Server) -> (Smtp, Client, Client, String) {
    let smtp = Smtp::start().await;
    server.restart(through(smtp.address.port())).await;
    server.create("admin", true).await;
    let (alice, bob, room) = two(server).await;
    set_pusher(server, &alice, "alice@x.org").await;
    (smtp, alice, bob, room)
}

const DUE_SQL: &str = "SELECT coalesce(due_ts, 0), failures FROM deliveries ORDER BY target_num LIMIT 1";
static DUE: reeve_db::Statement = reeve_db::Statement::new("tests::DUE", DUE_SQL, DUE_SQL);

/// When the only pusher looks again, in minutes since the beginning, and how often it failed.
async fn due(server: &Server) -> (i64, i64) {
    let found = server.app().db.read(|tx| {
        tx.query_one(&DUE, &reeve_db::params![], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))
    });
    let (due, failures) = found.await.unwrap();
    (if due == 0 { 0 } else { (due - START_MS) / MINUTE }, failures)
}

async fn until_due(server: &Server, minutes: i64) {
    until(&format!("due in minute {minutes}"), async || due(server).await == (minutes, 0)).await;
}

on_both_engines! {
    async fn what_stays_unread_is_mailed(server: Server) {
        let mut server = server;
        let (smtp, alice, bob, room) = with_mail(&mut server).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Tea & <cake>" })).await;
        say(&bob, &room, "hello <alice>").await;
        until_due(&server, 10).await;
        server.clock.advance(10 * MINUTE);
        let mail = smtp.mail().await;
        assert_eq!((&*mail.from, &*mail.to), ("noreply@example.org", "alice@x.org"));
        assert_eq!(header(&mail, "From"), "Reeve <noreply@example.org>");
        assert_eq!(header(&mail, "Subject"), "[Example] bob wrote in Tea & <cake>");
        assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
        assert_eq!(header(&mail, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        assert!(header(&mail, "List-Unsubscribe").starts_with(&format!("<{UNSUBSCRIBE}?user_id=%40alice%3Atest")));
        for part in ["Hello alice,", "Tea & <cake>\r\n", "bob: hello <alice>", "<b>bob</b>: hello &lt;alice&gt;"] {
            assert!(mail.message.contains(part), "{part}: {}", mail.message);
        }
        // The next mail about the room waits; and the one after that longer.
        until_due(&server, 0).await;
        say(&bob, &room, "2").await;
        until_due(&server, 20).await;
        say(&bob, &room, "3").await;
        server.clock.advance(10 * MINUTE);
        let mail = smtp.mail().await;
        assert_eq!(header(&mail, "Subject"), "[Example] New messages in Tea & <cake>");
        assert!(mail.message.contains("bob: 2\r\n  bob: 3\r\n") && !mail.message.contains("hello"), "{}", mail.message);
        until_due(&server, 0).await;
        say(&bob, &room, "4").await;
        until_due(&server, 40).await;
        // Another room does not wait for that one. Its mail contains all messages.
        let other = create(&bob, json!({ "preset": "public_chat", "name": "Other" })).await;
        join(&alice, &other).await;
        say(&bob, &other, "5").await;
        until_due(&server, 30).await;
        server.clock.advance(10 * MINUTE);
        let mail = smtp.mail().await;
        assert_eq!(header(&mail, "Subject"), "[Example] New messages in 2 rooms");
        until_due(&server, 0).await;
        // After two days without mails it starts from the beginning.
        server.clock.advance(2 * 24 * 60 * MINUTE);
        say(&bob, &room, "6").await;
        until_due(&server, 30 + 2 * 24 * 60 + 10).await;
        assert_eq!(smtp.waiting().await, 0);
    }

    async fn names_do_not_break_lines(server: Server) {
        let mut server = server;
        let (smtp, alice, bob, room) = with_mail(&mut server).await;
        let name = "Bob\r\n.\r\nForged: http://evil.example/";
        let member = json!({ "membership": "join", "displayname": name });
        set_state(&bob, &room, "m.room.member", &bob.user_id, member).await;
        set_state(&alice, &room, "m.room.name", "", json!({ "name": "Tea\n\nhttp://evil.example/login" })).await;
        say(&bob, &room, "hello").await;
        until_due(&server, 10).await;
        server.clock.advance(10 * MINUTE);
        let mail = smtp.mail().await;
        let is_forged = |line: &str| line.starts_with("Forged") || line.starts_with("http://evil");
        assert_eq!(mail.message.lines().find(|line| is_forged(line)), None, "{}", mail.message);
        assert!(mail.message.contains("Tea  http://evil.example/login"), "{}", mail.message);
    }

    async fn what_was_read_is_not_mailed(server: Server) {
        let mut server = server;
        let (smtp, alice, bob, room) = with_mail(&mut server).await;
        let event = say(&bob, &room, "hello").await;
        until_due(&server, 10).await;
        receipt(&alice, &room, "m.read", &event, json!({})).await;
        until_due(&server, 0).await;
        server.clock.advance(11 * MINUTE);
        say(&bob, &room, "later").await;
        until_due(&server, 21).await;
        server.clock.advance(10 * MINUTE);
        let mail = smtp.mail().await;
        assert!(mail.message.contains("bob: later") && !mail.message.contains("hello"), "{}", mail.message);
    }

    async fn a_mail_that_is_refused_is_sent_again(server: Server) {
        let mut server = server;
        let (smtp, _alice, bob, room) = with_mail(&mut server).await;
        smtp.set_closed(true);
        say(&bob, &room, "hello").await;
        until_due(&server, 10).await;
        server.clock.advance(10 * MINUTE);
        assert_eq!(smtp.mail().await.message, "");
        until("the failure is noted", async || due(&server).await.1 == 1).await;
        smtp.set_closed(false);
        server.clock.advance(1000);
        assert!(smtp.mail().await.message.contains("bob: hello"));
        until_due(&server, 0).await;
    }

    async fn no_more_mails(server: Server) {
        let mut server = server;
        let (smtp, alice, bob, room) = with_mail(&mut server).await;
        let pushers = format!("{CS}/pushers");
        for method in [http::Method::GET, http::Method::POST] {
            say(&bob, &room, "hello").await;
            until("the pusher waits", async || due(&server).await.0 > 0).await;
            server.clock.advance(10 * MINUTE);
            let link = header(&smtp.mail().await, "List-Unsubscribe");
            let query = link.strip_prefix(&format!("<{UNSUBSCRIBE}?")).unwrap().strip_suffix('>').unwrap();
            let path = format!("/_synapse/client/unsubscribe?{query}");
            let stranger = server.stranger();
            for wrong in [path.replace("token=", "token=x"), path.replace("alice%40x", "bob%40x"), path.replace("%40alice", "%40bob")] {
                let reply = stranger.get(&wrong).await;
                assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "The link is not valid"), "{wrong}");
            }
            assert_eq!(alice.get(&pushers).await.body["pushers"].as_array().unwrap().len(), 1);
            let reply = stranger.send(method, &path, &[], "List-Unsubscribe=One-Click").await;
            assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"));
            assert_eq!(alice.get(&pushers).await, (200, json!({ "pushers": [] })));
            set_pusher(&server, &alice, "alice@x.org").await;
        }
    }

    async fn without_a_mail_server(server: Server) {
        let alice = server.user("alice").await;
        let body = json!({
            "kind": "email", "app_id": "m.email", "pushkey": "alice@x.org", "app_display_name": "Mail",
            "device_display_name": "mail", "lang": "en", "data": {},
        });
        let reply = alice.post(&format!("{CS}/pushers/set"), body).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "This server sends no e-mail"));
    }
}
