//! `/_reeve/admin/v1/reports`: reports as work.

use futures_util::future::join_all;
use http::Method;
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use crate::client::media::{download_path, upload};
use crate::rooms_kit::*;
use crate::sync_kit::eventually;

const REPORTS: &str = "/_reeve/admin/v1/reports";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "Report not found");

/// A room of alice's with bob, and what alice reported: a message of bob's, the room, and bob.
struct Scene {
    admin: Client,
    alice: Client,
    bob: Client,
    room: String,
    event: String,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let (admin, alice, bob) =
            (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let event = say(&bob, &room, "rude").await;
        report_event(&alice, &room, &event).await;
        server.clock.advance(1);
        ok(alice.post(&room_path(&room, "report"), json!({ "reason": "noise" })).await);
        server.clock.advance(1);
        report_user(&alice, "@bob:test").await;
        Self { admin, alice, bob, room, event }
    }
}

async fn report_event(client: &Client, room: &str, event: &str) {
    let body = json!({ "reason": "spam", "score": -50 });
    ok(client.post(&room_path(room, &format!("report/{}", enc(event))), body).await);
}

async fn report_user(client: &Client, user_id: &str) {
    ok(client.post(&format!("{CS}/users/{user_id}/report"), json!({ "reason": "rude" })).await);
}

/// The path of the newest report of a kind.
async fn newest(admin: &Client, kind: &str) -> String {
    let page = ok(admin.get(&format!("{REPORTS}?kind={kind}&limit=1")).await);
    format!("{REPORTS}/{kind}/{}", page["reports"][0]["id"])
}

/// Kinds and reporters of a page of the list, and its total.
async fn found(admin: &Client, query: &str) -> (String, i64) {
    let page = ok(admin.get(&format!("{REPORTS}?{query}")).await);
    let shown =
        list(&page, "/reports").iter().map(|report| format!("{}{}", &at(report, "/kind")[..1], report["id"]));
    (shown.collect::<Vec<_>>().join(" "), page["total"].as_i64().unwrap())
}

async fn act(client: &Client, report: &str, body: Value) -> Reply {
    client.post(&format!("{report}/acts"), body).await
}

/// The acts in the audit log on a target, the oldest first, with their changes.
async fn audited(admin: &Client, target: &str) -> Vec<(String, Value)> {
    let log = ok(admin.get(&format!("/_reeve/admin/v1/audit?target={}", enc(target))).await);
    let entries = list(&log, "/entries").iter().rev();
    entries.map(|entry| (at(entry, "/action").to_owned(), entry["changes"].clone())).collect()
}

/// A client with a service token that has some scopes.
async fn service(server: &Server, admin: &Client, name: &str, scopes: Scopes) -> Client {
    let body = json!({ "name": name, "scopes": scopes });
    let reply = admin.post("/_reeve/admin/v1/service_tokens", body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    server.with_token(reply.text("secret"))
}

fn name(path: &str) -> &str {
    path.strip_prefix(REPORTS).unwrap().strip_prefix('/').unwrap()
}

async fn restrict(admin: &Client, user_id: &str, body: Value) {
    ok(admin.put(&format!("/_synapse/admin/v2/users/{user_id}"), body).await);
}

on_both_engines! {
    async fn what_a_report_says(server: Server) {
        let Scene { admin, alice, room, event, .. } = Scene::new(&server).await;
        let page = ok(admin.get(REPORTS).await);
        let id = |index: usize| page["reports"][index]["id"].clone();
        let expected = |kind: &str, id: Value, ts: i64, more: Value| {
            let mut report = json!({
                "kind": kind, "id": id, "received_ts": START_MS + ts, "reporter": "@alice:test", "score": null, "room_id": null,
                "event_id": null, "reported_user": null, "state": "open", "assignee": null, "resolution": null, "changes": 0,
            });
            report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            report
        };
        let of_user = expected("user", id(0), 2, json!({ "reason": "rude", "reported_user": "@bob:test" }));
        let of_room = expected("room", id(1), 1, json!({ "reason": "noise", "room_id": room }));
        let of_event = expected("event", id(2), 0, json!({
            "reason": "spam", "score": -50, "room_id": room, "event_id": event, "reported_user": "@bob:test",
        }));
        assert_eq!(page, json!({ "reports": [of_user, of_room, of_event], "total": 3 }));
        for (kind, mut report) in [("user", of_user), ("room", of_room)] {
            report["notes"] = json!([]);
            report["event"] = Value::Null;
            assert_eq!(admin.get(&newest(&admin, kind).await).await, (200, report));
        }
        // The event is shown as it was sent, even if it is redacted.
        redact(&alice, &room, &event).await;
        let one = ok(admin.get(&newest(&admin, "event").await).await);
        assert_eq!((at(&one, "/event/content/body"), at(&one, "/event/sender")), ("rude", "@bob:test"));
        for (path, wrong) in [
            ("event/999999", MISSING), ("room/0", MISSING), ("user/99999999999999999999", MISSING),
            ("event/x", (400, "M_INVALID_PARAM", "The report_id parameter must be a string representing a positive integer.")),
            ("events/1", (400, "M_INVALID_PARAM", "'events' is not a kind of report, which are event, room and user")),
        ] {
            assert_eq!(admin.get(&format!("{REPORTS}/{path}")).await.refusal(), wrong, "{path}");
            let put = admin.put(&format!("{REPORTS}/{path}"), json!({ "changes": 0 })).await;
            assert_eq!(put.refusal(), wrong, "{path}");
            let note = admin.post(&format!("{REPORTS}/{path}/notes"), json!({ "note": "x" })).await;
            assert_eq!(note.refusal(), wrong, "{path}");
            assert_eq!(act(&admin, &format!("{REPORTS}/{path}"), json!({ "act": "redact", "changes": 0 })).await.refusal(), wrong);
        }
        // What the API of Synapse says is the same as before.
        let listed = ok(admin.get("/_synapse/admin/v1/event_reports").await);
        let keys: Vec<&String> = listed["event_reports"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys, [
            "id", "received_ts", "room_id", "event_id", "user_id", "score", "reason", "sender", "canonical_alias", "name",
        ]);
    }

    async fn from_open_to_resolved(server: Server) {
        let Scene { admin, .. } = Scene::new(&server).await;
        server.create("moderator", true).await;
        for kind in ["event", "room", "user"] {
            let report = newest(&admin, kind).await;
            let mut shown = ok(admin.get(&report).await);
            let details = shown.as_object_mut().unwrap();
            details.remove("notes");
            details.remove("event");
            for (change, state) in [
                (json!({ "assignee": "@moderator:test" }), "assigned"),
                (json!({ "resolution": "dismissed" }), "resolved"),
                (json!({ "resolution": "duplicate", "assignee": "@admin:test" }), "resolved"),
                (json!({ "assignee": null }), "resolved"),
                (json!({ "resolution": null }), "open"),
                (json!({ "resolution": "acted", "assignee": "@admin:test" }), "resolved"),
                (json!({ "resolution": null }), "assigned"),
            ] {
                let mut body = change.clone();
                body["changes"] = shown["changes"].clone();
                for (key, value) in change.as_object().unwrap() {
                    shown[key] = value.clone();
                }
                shown["changes"] = json!(shown["changes"].as_i64().unwrap() + 1);
                shown["state"] = json!(state);
                assert_eq!(admin.put(&report, body.clone()).await, (200, shown.clone()), "{change}");
                let late = admin.put(&report, body).await;
                let text = format!("The report was changed by somebody else. The number of its changes is {}", shown["changes"]);
                assert_eq!(late.refusal(), (409, "M_UNKNOWN", &*text), "{change}");
            }
            // A change that changes nothing is not counted.
            for same in [json!({}), json!({ "assignee": "@admin:test" }), json!({ "resolution": null })] {
                let mut body = same;
                body["changes"] = json!(7);
                assert_eq!(admin.put(&report, body).await, (200, shown.clone()));
            }
            let acts = audited(&admin, name(&report)).await;
            assert_eq!(acts.len(), 7);
            assert_eq!(acts[2], ("report.update".to_owned(), json!({ "assignee": "@admin:test", "resolution": "duplicate" })));
        }
    }

    async fn changes_that_are_refused(server: Server) {
        let Scene { admin, .. } = Scene::new(&server).await;
        for who in ["locked", "gone", "demoted"] {
            server.create(who, who != "demoted").await;
        }
        restrict(&admin, "@locked:test", json!({ "locked": true })).await;
        restrict(&admin, "@gone:test", json!({ "deactivated": true })).await;
        let report = newest(&admin, "event").await;
        let before = ok(admin.get(&report).await);
        let assignee = "The assignee must be an account in use whose role holds reports:write";
        for (body, wrong) in [
            (json!({}), (400, "M_MISSING_PARAM", "Missing params: ['changes']")),
            (json!({ "changes": "0" }), (400, "M_BAD_JSON", "'changes' must be an integer")),
            (json!({ "changes": 1 }), (409, "M_UNKNOWN", "The report was changed by somebody else. The number of its changes is 0")),
            (json!({ "changes": 0, "state": "resolved" }), (400, "M_INVALID_PARAM", "Unknown key 'state'")),
            (json!({ "changes": 0, "resolution": "ignored" }), (400, "M_INVALID_PARAM", "'ignored' is not a resolution")),
            (json!({ "changes": 0, "resolution": 1 }), (400, "M_BAD_JSON", "'resolution' must be a string or null")),
            (json!({ "changes": 0, "assignee": false }), (400, "M_BAD_JSON", "'assignee' must be a string or null")),
            (json!({ "changes": 0, "assignee": "" }), (400, "M_INVALID_PARAM", assignee)),
            (json!({ "changes": 0, "assignee": "@nobody:test" }), (400, "M_INVALID_PARAM", assignee)),
            (json!({ "changes": 0, "assignee": "@demoted:test" }), (400, "M_INVALID_PARAM", assignee)),
            (json!({ "changes": 0, "assignee": "@locked:test" }), (400, "M_INVALID_PARAM", assignee)),
            (json!({ "changes": 0, "assignee": "@gone:test" }), (400, "M_INVALID_PARAM", assignee)),
            (json!({ "changes": 0, "assignee": "@bob:test", "resolution": "acted" }), (400, "M_INVALID_PARAM", assignee)),
        ] {
            assert_eq!(admin.put(&report, body.clone()).await.refusal(), wrong, "{body}");
        }
        assert_eq!(admin.get(&report).await, (200, before));
        assert_eq!(audited(&admin, name(&report)).await, []);
    }

    async fn filters_and_totals(server: Server) {
        let Scene { admin, alice, bob, room, event } = Scene::new(&server).await;
        let other = create_public(&bob).await;
        let said = say(&alice, &room, "x").await;
        server.clock.advance(1);
        report_event(&bob, &room, &said).await;
        ok(bob.post(&room_path(&other, "report"), json!({ "reason": "mine" })).await);
        report_user(&bob, "@alice:test").await;
        report_event(&alice, &room, &event).await;
        // The newest first; at the same time by kind and number, downward.
        let all = "u2 r2 e3 e2 u1 r1 e1";
        assert_eq!(found(&admin, "").await, (all.to_owned(), 7));
        for (path, body) in [
            ("user/1", json!({ "assignee": "@admin:test" })), ("event/2", json!({ "assignee": "@admin:test" })),
            ("event/3", json!({ "resolution": "acted" })), ("room/2", json!({ "assignee": "@admin:test", "resolution": "duplicate" })),
        ] {
            let mut body = body;
            body["changes"] = json!(0);
            ok(admin.put(&format!("{REPORTS}/{path}"), body).await);
        }
        let (room, other) = (enc(&room), enc(&other));
        for (query, wanted) in [
            (String::new(), all), ("kind=event".into(), "e3 e2 e1"), ("kind=room".into(), "r2 r1"), ("kind=user".into(), "u2 u1"),
            ("state=open".into(), "u2 r1 e1"), ("state=assigned".into(), "e2 u1"), ("state=resolved".into(), "r2 e3"),
            ("assignee=@admin:test".into(), "r2 e2 u1"), ("assignee=@alice:test".into(), ""),
            ("assignee=@admin:test&state=assigned".into(), "e2 u1"), ("assignee=@admin:test&state=resolved".into(), "r2"),
            ("reporter=@alice:test".into(), "e3 u1 r1 e1"), ("reporter=@bob:test&kind=event".into(), "e2"),
            ("reporter=alice".into(), ""), ("reported_user=@bob:test".into(), "e3 u1 e1"),
            ("reported_user=@alice:test&reporter=@bob:test".into(), "u2 e2"), ("reported_user=@bob:test&state=open".into(), "e1"),
            (format!("room_id={room}"), "e3 e2 r1 e1"), (format!("room_id={other}"), "r2"), ("room_id=!no:test".into(), ""),
            (format!("room_id={room}&kind=event&state=open"), "e1"), (format!("room_id={room}&reported_user=@bob:test"), "e3 e1"),
            (format!("from_ts={}", START_MS + 2), "u2 r2 e3 e2 u1"), (format!("until_ts={}", START_MS + 2), "r1 e1"),
            (format!("from_ts={}&until_ts={}", START_MS + 1, START_MS + 3), "u1 r1"),
            (format!("from_ts={}&kind=event", START_MS + 1), "e3 e2"), (format!("until_ts={START_MS}"), ""),
        ] {
            let total = i64::try_from(wanted.split_whitespace().count()).unwrap();
            assert_eq!(found(&admin, &query).await, (wanted.to_owned(), total), "{query}");
            // Page by page there are the same, with the same total.
            let (mut pages, mut from) = (Vec::new(), String::new());
            loop {
                let page = ok(admin.get(&format!("{REPORTS}?limit=1&{query}{from}")).await);
                assert_eq!(page["total"], total, "{query}");
                pages.extend(list(&page, "/reports").iter().map(|report| format!("{}{}", &at(report, "/kind")[..1], report["id"])));
                let Some(next) = page.get("next_token") else { break };
                from = format!("&from={}", next.as_str().unwrap());
            }
            assert_eq!(pages.join(" "), wanted, "{query}");
        }
        let not_a_token = "Query parameter 'from' must be a next_token of this list";
        for (query, text) in [
            ("kind=device", "Query parameter 'kind' must be one of ['event', 'room', 'user']"),
            ("state=closed", "Query parameter 'state' must be one of ['open', 'assigned', 'resolved']"),
            ("kind=user&room_id=!a:test", "A report of a user has no room"),
            ("kind=room&reported_user=@bob:test", "A report of a room has no reported user"),
            ("state=open&assignee=@admin:test", "An open report has no assignee"),
            ("from=1", not_a_token), ("from=1_2", not_a_token), ("from=1_device_2", not_a_token), ("from=x_event_2", not_a_token),
        ] {
            assert_eq!(admin.get(&format!("{REPORTS}?{query}")).await.refusal(), (400, "M_INVALID_PARAM", text), "{query}");
        }
        for query in ["limit=x", "from_ts=x", "until_ts=-1"] {
            assert_eq!(code(&admin.get(&format!("{REPORTS}?{query}")).await), (400, "M_INVALID_PARAM"), "{query}");
        }
    }

    async fn notes(server: Server) {
        let Scene { admin, room, .. } = Scene::new(&server).await;
        let bot = service(&server, &admin, "bot", [Scope::ReportsWrite].into_iter().collect()).await;
        let (event, user) = (newest(&admin, "event").await, newest(&admin, "user").await);
        let add = async |client: &Client, report: &str, note: &str| {
            let reply = client.post(&format!("{report}/notes"), json!({ "note": note })).await;
            assert_eq!(reply, (201, json!({})), "{note}");
        };
        add(&admin, &event, "first").await;
        server.clock.advance(5);
        let long = "ä".repeat(4000);
        add(&bot, &event, &long).await;
        add(&admin, &user, "of a user").await;
        let at_first = START_MS + 2;
        assert_eq!(ok(admin.get(&event).await)["notes"], json!([
            { "ts": at_first, "author_kind": "user", "author": "@admin:test", "note": "first" },
            { "ts": at_first + 5, "author_kind": "service", "author": "bot", "note": long },
        ]));
        assert_eq!(audited(&admin, name(&event)).await, [("report.note".to_owned(), json!({})), ("report.note".to_owned(), json!({}))]);
        let length = "A note must have 1 to 4000 characters";
        for (body, wrong) in [
            (json!({}), (400, "M_MISSING_PARAM", "Missing params: ['note']")),
            (json!({ "note": 1 }), (400, "M_BAD_JSON", "'note' must be a string")),
            (json!({ "note": " \n" }), (400, "M_INVALID_PARAM", length)),
            (json!({ "note": "x".repeat(4001) }), (400, "M_INVALID_PARAM", length)),
            (json!({ "note": "x", "author": "@bob:test" }), (400, "M_INVALID_PARAM", "Unknown key 'author'")),
        ] {
            assert_eq!(admin.post(&format!("{event}/notes"), body.clone()).await.refusal(), wrong, "{body}");
        }
        for n in 2..100 {
            add(&admin, &event, &n.to_string()).await;
        }
        let more = admin.post(&format!("{event}/notes"), json!({ "note": "too many" })).await;
        assert_eq!(more.refusal(), (400, "M_TOO_LARGE", "A report cannot have more than 100 notes"));
        assert_eq!(list(&ok(admin.get(&event).await), "/notes").len(), 100);
        // They go with their report.
        let stored = async || {
            let ids = [("event", name(&event)), ("user", name(&user))];
            let ids = ids.map(|(kind, path)| reeve_store::report_work::ReportId {
                kind: kind.parse().unwrap(), id: path.split_once('/').unwrap().1.parse().unwrap(),
            });
            server.app().db.read(move |tx| {
                ids.into_iter().map(|id| reeve_store::report_work::count_notes(tx, id)).collect::<Result<Vec<_>, _>>()
            }).await.unwrap()
        };
        assert_eq!(stored().await, [100, 1]);
        let synapse = user.replace("/_reeve/admin/v1/reports/user", "/_synapse/admin/v1/user_reports");
        ok(admin.delete(&synapse).await);
        assert_eq!((stored().await, admin.get(&user).await.refusal()), (vec![100, 0], MISSING));
        ok(admin.send(Method::DELETE, &format!("/_synapse/admin/v1/rooms/{}", enc(&room)), &[], json!({ "bin": false }).to_string()).await);
        assert_eq!((stored().await, admin.get(&event).await.refusal()), (vec![0, 0], MISSING));
        // The report of the room outlives it.
        assert_eq!(found(&admin, "").await, ("r1".to_owned(), 1));
    }

    async fn notes_go_with_a_report_of_an_event(server: Server) {
        let Scene { admin, .. } = Scene::new(&server).await;
        let event = newest(&admin, "event").await;
        assert_eq!(admin.post(&format!("{event}/notes"), json!({ "note": "x" })).await.status, 201);
        ok(admin.delete(&event.replace("/_reeve/admin/v1/reports/event", "/_synapse/admin/v1/event_reports")).await);
        assert_eq!(admin.get(&event).await.refusal(), MISSING);
        let id = reeve_store::report_work::ReportId { kind: reeve_model::ReportKind::Event, id: name(&event)[6..].parse().unwrap() };
        let left = server.app().db.read(move |tx| reeve_store::report_work::notes(tx, id)).await.unwrap();
        assert_eq!(left, []);
    }

    async fn acts_and_their_audit(server: Server) {
        let Scene { admin, alice, bob, room, event } = Scene::new(&server).await;
        let bytes = upload(&bob, "text/plain", "bad").await;
        let copy = upload(&alice, "text/plain", "bad").await;
        let content = json!({ "msgtype": "m.file", "body": "bad", "url": format!("mxc://test/{bytes}") });
        let file = send(&bob, &room, "m.room.message", content).await;
        server.clock.advance(1);
        let first = newest(&admin, "event").await;
        report_event(&alice, &room, &file).await;
        let second = newest(&admin, "event").await;

        let reply = ok(act(&admin, &first, json!({ "act": "redact", "changes": 0, "reason": "rules" })).await);
        assert_eq!((at(&reply, "/state"), &reply["changes"]), ("open", &json!(0)), "without `resolve` the report stays");
        let shown = crate::rooms_kit::event(&alice, &room, &event).await;
        assert_eq!(shown["content"], json!({}));
        assert_eq!(at(&shown, "/unsigned/redacted_because/content/reason"), "rules");
        assert_eq!(at(&shown, "/unsigned/redacted_because/sender"), "@bob:test");
        // Again it changes nothing more, and resolves the report.
        let reply = ok(act(&admin, &first, json!({ "act": "redact", "changes": 0, "resolve": true })).await);
        assert_eq!((at(&reply, "/resolution"), at(&reply, "/state"), &reply["changes"]), ("acted", "resolved", &json!(1)));

        ok(act(&admin, &second, json!({ "act": "quarantine", "changes": 0 })).await);
        assert_eq!((bob.get(&download_path(&bytes)).await.status, alice.get(&download_path(&copy)).await.status), (404, 404));
        ok(act(&admin, &second, json!({ "act": "ban", "changes": 0, "reason": "files" })).await);
        assert_eq!(membership(&alice, &room, "@bob:test").await, "ban");
        let reply = ok(act(&admin, &second, json!({ "act": "ban", "changes": 0 })).await);
        assert_eq!(at(&reply, "/kind"), "event", "a ban that is there stays");

        let user = newest(&admin, "user").await;
        let reply = ok(act(&admin, &user, json!({ "act": "suspend", "changes": 0, "resolve": true })).await);
        assert_eq!(at(&reply, "/resolution"), "acted");
        assert_eq!(ok(admin.get("/_synapse/admin/v2/users/@bob:test").await)["suspended"], true);
        ok(act(&admin, &second, json!({ "act": "suspend", "changes": 0 })).await);

        let on = |event: &str| json!({ "room_id": room, "event_id": event, "user_id": "@bob:test" });
        let entry = |act: &str, on: Value, reason: Value, resolved: bool| {
            ("report.act".to_owned(), json!({ "act": act, "on": on, "reason": reason, "resolved": resolved }))
        };
        assert_eq!(audited(&admin, name(&first)).await, [
            entry("redact", on(&event), json!("rules"), false), entry("redact", on(&event), Value::Null, true),
        ]);
        assert_eq!(audited(&admin, name(&second)).await, [
            entry("quarantine", on(&file), Value::Null, false), entry("ban", on(&file), json!("files"), false),
            entry("ban", on(&file), Value::Null, false), entry("suspend", on(&file), Value::Null, false),
        ]);
        assert_eq!(audited(&admin, name(&user)).await, [entry("suspend", json!({ "user_id": "@bob:test" }), Value::Null, true)]);
        // The acts have their own entries, too, from the same requests.
        assert_eq!(audited(&admin, &room).await, [("room.ban".to_owned(), json!({ "user_id": "@bob:test", "by": "@alice:test" }))]);
        assert_eq!(audited(&admin, &bytes).await, [("media.quarantine".to_owned(), json!({ "user_id": "@bob:test" }))]);
        let of_bob: Vec<_> = audited(&admin, "@bob:test").await;
        assert_eq!(of_bob, [("user.suspend".to_owned(), json!({ "suspended": true }))]);
    }

    async fn every_act_needs_its_scope(server: Server) {
        let Scene { admin, alice, bob, room, .. } = Scene::new(&server).await;
        let media = upload(&bob, "text/plain", "bad").await;
        let content = json!({ "msgtype": "m.file", "body": "bad", "url": format!("mxc://test/{media}") });
        let event = send(&bob, &room, "m.room.message", content).await;
        server.clock.advance(1);
        report_event(&alice, &room, &event).await;
        let report = newest(&admin, "event").await;
        let before = ok(admin.get(&report).await);
        let mut bots = Vec::new();
        for (word, scope) in Scope::WORDS {
            let both: Scopes = [Scope::ReportsWrite, *scope].into_iter().collect();
            bots.push((*scope, service(&server, &admin, &format!("and-{}", word.replace(':', "-")), both).await));
        }
        let acts = [
            ("redact", Scope::UsersModerate), ("ban", Scope::RoomsWrite), ("suspend", Scope::UsersModerate),
            ("quarantine", Scope::MediaWrite),
        ];
        for (word, needed) in acts {
            for (scope, bot) in bots.iter().filter(|(scope, _)| *scope != needed) {
                let reply = act(bot, &report, json!({ "act": word, "changes": 0, "resolve": true })).await;
                let text = format!("This needs the scope {needed}");
                assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", &*text), "{word} with {scope}");
            }
            let all = Scopes::ALL.without(Scope::ReportsWrite);
            let without = service(&server, &admin, &format!("without-{word}"), all).await;
            let reply = act(&without, &report, json!({ "act": word, "changes": 0 })).await;
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "The service token lacks the scope reports:write"));
        }
        for client in [&alice, &bob] {
            let reply = act(client, &report, json!({ "act": "redact", "changes": 0 })).await;
            assert_eq!(code(&reply), (403, "M_FORBIDDEN"));
            assert_eq!(code(&client.get(REPORTS).await), (403, "M_FORBIDDEN"));
        }
        assert_eq!(admin.get(&report).await, (200, before));
        assert_eq!((membership(&alice, &room, "@bob:test").await, bob.get(&download_path(&media)).await.status), ("join".to_owned(), 200));
        assert_eq!(audited(&admin, name(&report)).await, []);
        // With its scope, and no more, each is done.
        for (word, needed) in acts {
            let (_, bot) = bots.iter().find(|(scope, _)| *scope == needed).unwrap();
            ok(act(bot, &report, json!({ "act": word, "changes": 0 })).await);
        }
        assert_eq!(audited(&admin, name(&report)).await.len(), acts.len());
        let (_, bot) = &bots[0];
        let reply = bot.put(&report, json!({ "changes": 0, "assignee": "@admin:test" })).await;
        assert_eq!(reply.body["state"], "assigned", "a program may assign a person");
    }

    async fn acts_that_are_refused(server: Server) {
        let Scene { admin, alice, bob, room, event } = Scene::new(&server).await;
        let (of_event, of_room, of_user) = (newest(&admin, "event").await, newest(&admin, "room").await, newest(&admin, "user").await);
        let no_media = (404, "M_NOT_FOUND", "The event has no media that this server stores");
        let no_reason = (400, "M_INVALID_PARAM", "This act takes no reason");
        let before = (ok(admin.get(REPORTS).await), timeline_of(&alice, &room).await);
        for (report, body, wrong) in [
            (&of_event, json!({ "changes": 0 }), (400, "M_MISSING_PARAM", "Missing params: ['act']")),
            (&of_event, json!({ "act": "redact" }), (400, "M_MISSING_PARAM", "Missing params: ['changes']")),
            (&of_event, json!({ "act": "erase", "changes": 0 }), (400, "M_INVALID_PARAM", "'erase' is not an act")),
            (&of_event, json!({ "act": 1, "changes": 0 }), (400, "M_BAD_JSON", "'act' must be a string")),
            (&of_event, json!({ "act": "ban", "changes": 0, "room": "x" }), (400, "M_INVALID_PARAM", "Unknown key 'room'")),
            (&of_event, json!({ "act": "ban", "changes": 0, "resolve": 1 }), (400, "M_BAD_JSON", "'resolve' must be a boolean")),
            (&of_event, json!({ "act": "ban", "changes": 0, "reason": null }), (400, "M_BAD_JSON", "'reason' must be a string")),
            (&of_event, json!({ "act": "ban", "changes": 1 }),
                (409, "M_UNKNOWN", "The report was changed by somebody else. The number of its changes is 0")),
            (&of_event, json!({ "act": "suspend", "changes": 0, "reason": "x" }), no_reason),
            (&of_event, json!({ "act": "quarantine", "changes": 0, "reason": "x" }), no_reason),
            (&of_event, json!({ "act": "quarantine", "changes": 0, "resolve": true }), no_media),
        ] {
            assert_eq!(act(&admin, report, body.clone()).await.refusal(), wrong, "{body}");
        }
        for (report, kind, acts) in [
            (&of_room, "room", &["redact", "ban", "suspend", "quarantine"][..]), (&of_user, "user", &["redact", "ban", "quarantine"]),
        ] {
            for word in acts {
                let reply = act(&admin, report, json!({ "act": word, "changes": 0, "resolve": true })).await;
                let text = format!("The act '{word}' cannot be done on a report of kind '{kind}'");
                assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", &*text));
            }
        }
        let whole = "x".repeat(70_000);
        let large = act(&admin, &of_event, json!({ "act": "redact", "changes": 0, "reason": whole, "resolve": true })).await;
        assert_eq!(code(&large), (413, "M_TOO_LARGE"));
        // Protected uploads stay, and so does what is not stored here.
        let media = upload(&bob, "text/plain", "good").await;
        ok(admin.post(&format!("/_synapse/admin/v1/media/protect/{media}"), json!({})).await);
        for (url, wrong) in [
            (format!("mxc://test/{media}"), (403, "M_FORBIDDEN", "The media of the event is protected from quarantine")),
            ("mxc://test/unknown".to_owned(), no_media), (format!("mxc://other/{media}"), no_media),
        ] {
            let file = send(&bob, &room, "m.room.message", json!({ "msgtype": "m.file", "body": "x", "url": url })).await;
            server.clock.advance(1);
            report_event(&alice, &room, &file).await;
            let report = newest(&admin, "event").await;
            assert_eq!(act(&admin, &report, json!({ "act": "quarantine", "changes": 0, "resolve": true })).await.refusal(), wrong);
            ok(admin.delete(&report.replace("/_reeve/admin/v1/reports/event", "/_synapse/admin/v1/event_reports")).await);
            redact(&bob, &room, &file).await;
        }
        assert_eq!(bob.get(&download_path(&media)).await.status, 200);
        assert_eq!(ok(admin.get(REPORTS).await), before.0);
        let (after, shown) = (timeline_of(&alice, &room).await, &before.1);
        assert_eq!(after.iter().filter(|id| shown.contains(id)).count(), shown.len());
        // What was purged cannot be redacted; its sender can be banned.
        say(&alice, &room, "later").await;
        let upto = say(&alice, &room, "latest").await;
        let body = json!({ "purge_up_to_event_id": upto, "delete_local_events": true });
        ok(admin.post(&format!("/_synapse/admin/v1/purge_history/{}", enc(&room)), body).await);
        eventually(&admin, &format!("/_synapse/admin/v1/fetch_event/{}", enc(&event)), |reply| reply.status == 404).await;
        for word in ["redact", "quarantine"] {
            let reply = act(&admin, &of_event, json!({ "act": word, "changes": 0, "resolve": true })).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND", "The reported event is not stored any more"));
        }
        assert_eq!(ok(admin.get(&of_event).await)["event"], Value::Null);
        ok(act(&admin, &of_event, json!({ "act": "ban", "changes": 0, "resolve": true })).await);
        // With the room goes the report.
        ok(admin.send(Method::DELETE, &format!("/_synapse/admin/v1/rooms/{}", enc(&room)), &[], json!({}).to_string()).await);
        assert_eq!(act(&admin, &of_event, json!({ "act": "suspend", "changes": 1 })).await.refusal(), MISSING);
        assert_eq!(ok(admin.get("/_synapse/admin/v2/users/@bob:test").await)["suspended"], false);
    }

    async fn whom_acts_can_reach(server: Server) {
        let Scene { admin, alice, bob, room, .. } = Scene::new(&server).await;
        let carol = server.user("carol").await;
        join(&carol, &room).await;
        let scopes = Scopes::ALL.without(Scope::AdminsWrite);
        let bot = service(&server, &admin, "bot", scopes).await;
        join(&admin, &room).await;
        let media = upload(&admin, "text/plain", "x").await;
        let content = json!({ "msgtype": "m.file", "body": "x", "url": format!("mxc://test/{media}") });
        let of_admin = send(&admin, &room, "m.room.message", content).await;
        server.clock.advance(1);
        report_event(&alice, &room, &of_admin).await;
        let report = newest(&admin, "event").await;
        let protected = (403, "M_FORBIDDEN", "This account holds the scope admins:write, which you do not hold");
        for word in ["redact", "ban", "suspend", "quarantine"] {
            let reply = act(&bot, &report, json!({ "act": word, "changes": 0, "resolve": true })).await;
            assert_eq!(reply.refusal(), protected, "{word}");
        }
        let reply = act(&admin, &report, json!({ "act": "suspend", "changes": 0, "resolve": true })).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "You may not lock or suspend yourself"));
        assert_eq!(ok(admin.get(&report).await)["changes"], 0);

        // Nobody can be banned by people with less power.
        let of_alice = say(&alice, &room, "mine").await;
        server.clock.advance(1);
        report_event(&bob, &room, &of_alice).await;
        let report = newest(&admin, "event").await;
        let reply = act(&bot, &report, json!({ "act": "ban", "changes": 0, "resolve": true })).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Nobody in the room has the power to ban the user"));
        assert_eq!((membership(&alice, &room, "@alice:test").await, &*ok(admin.get(&report).await)["state"].to_string()), ("join".to_owned(), "\"open\""));

        // An administrator with power in the room bans in their own name.
        set_level(&alice, &room, "@admin:test", 60).await;
        let of_carol = say(&carol, &room, "x").await;
        server.clock.advance(1);
        report_event(&bob, &room, &of_carol).await;
        let of_carol = newest(&admin, "event").await;
        ok(act(&admin, &of_carol, json!({ "act": "ban", "changes": 0 })).await);
        let bans = audited(&admin, &room).await;
        assert_eq!(bans.last().unwrap().1, json!({ "user_id": "@carol:test", "by": "@admin:test" }));

        // Shadow-banned, suspended, locked: what they said before can be dealt with.
        let mut reports = Vec::new();
        for (name, how) in [("shady", json!({})), ("idle", json!({ "suspended": true })), ("shut", json!({ "locked": true }))] {
            let client = server.user(name).await;
            join(&client, &room).await;
            let said = say(&client, &room, "x").await;
            server.clock.advance(1);
            report_event(&alice, &room, &said).await;
            match name {
                "shady" => _ = ok(admin.post("/_synapse/admin/v1/users/@shady:test/shadow_ban", json!({})).await),
                "idle" => _ = ok(admin.put("/_synapse/admin/v1/suspend/@idle:test", json!({ "suspend": true })).await),
                _ => restrict(&admin, &format!("@{name}:test"), how).await,
            }
            reports.push((name, said, newest(&admin, "event").await));
        }
        for (name, said, report) in &reports {
            for word in ["redact", "ban", "suspend"] {
                ok(act(&bot, report, json!({ "act": word, "changes": 0 })).await);
            }
            let user_id = format!("@{name}:test");
            assert_eq!(membership(&alice, &room, &user_id).await, "ban");
            assert_eq!(crate::rooms_kit::event(&alice, &room, said).await["content"], json!({}));
            assert_eq!(ok(admin.get(&format!("/_synapse/admin/v2/users/{user_id}")).await)["suspended"], true);
        }
        // Deactivated, and erased: there is nobody to suspend, and the rest works.
        for (name, erase) in [("left", false), ("erased", true)] {
            let client = server.user(name).await;
            join(&client, &room).await;
            let said = say(&client, &room, "x").await;
            server.clock.advance(1);
            report_event(&alice, &room, &said).await;
            let report = newest(&admin, "event").await;
            ok(admin.post(&format!("/_synapse/admin/v1/deactivate/@{name}:test"), json!({ "erase": erase })).await);
            let reply = act(&bot, &report, json!({ "act": "suspend", "changes": 0, "resolve": true })).await;
            assert_eq!(code(&reply), (403, "M_USER_DEACTIVATED"));
            ok(act(&bot, &report, json!({ "act": "redact", "changes": 0 })).await);
            ok(act(&bot, &report, json!({ "act": "ban", "changes": 0, "resolve": true })).await);
            assert_eq!(membership(&alice, &room, &format!("@{name}:test")).await, "ban");
        }
    }

    async fn of_two_moderators_one_wins(server: Server) {
        let Scene { admin, alice, room, event, .. } = Scene::new(&server).await;
        let mut moderators = vec![admin.clone()];
        for name in ["m1", "m2", "m3"] {
            server.create(name, true).await;
            moderators.push(server.log_in(name, &format!("{name}'s password")).await);
        }
        let report = newest(&admin, "event").await;
        let taken = join_all(moderators.iter().map(|moderator| {
            moderator.put(&report, json!({ "changes": 0, "assignee": moderator.user_id }))
        })).await;
        let winner = taken.iter().position(|reply| reply.status == 200).unwrap();
        for (index, reply) in taken.iter().enumerate().filter(|(index, _)| *index != winner) {
            let text = "The report was changed by somebody else. The number of its changes is 1";
            assert_eq!(reply.refusal(), (409, "M_UNKNOWN", text), "{index}");
        }
        let now = ok(admin.get(&report).await);
        assert_eq!((&now["assignee"], &now["changes"]), (&json!(moderators[winner].user_id), &json!(1)));
        // An act with `resolve` is done by one, and nothing of the others' acts stays.
        let acts = ["redact", "ban", "suspend", "redact"];
        let done = join_all(moderators.iter().zip(acts).map(|(moderator, word)| {
            act(moderator, &report, json!({ "act": word, "changes": 1, "resolve": true }))
        })).await;
        let winners: Vec<usize> = (0..4).filter(|index| done[*index].status == 200).collect();
        assert_eq!(winners.len(), 1, "{:?}", done.iter().map(|reply| &reply.body).collect::<Vec<_>>());
        for reply in done.iter().filter(|reply| reply.status != 200) {
            assert_eq!(code(reply), (409, "M_UNKNOWN"));
        }
        let happened = [
            ("redact", crate::rooms_kit::event(&alice, &room, &event).await["content"] == json!({})),
            ("ban", membership(&alice, &room, "@bob:test").await == "ban"),
            ("suspend", ok(admin.get("/_synapse/admin/v2/users/@bob:test").await)["suspended"] == true),
        ];
        let happened: Vec<&str> = happened.iter().filter(|(_, happened)| *happened).map(|(word, _)| *word).collect();
        assert_eq!(happened, [acts[winners[0]]]);
        let log = audited(&admin, name(&report)).await;
        assert_eq!(log.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>(), ["report.update", "report.act"]);
        // Notes at the same time all stay.
        let notes = join_all((0..8).map(|n| {
            let (moderator, path) = (&moderators[n % 4], format!("{report}/notes"));
            async move { moderator.post(&path, json!({ "note": n.to_string() })).await.status }
        })).await;
        assert_eq!(notes, [201; 8]);
        assert_eq!(list(&ok(admin.get(&report).await), "/notes").len(), 8);
    }

    async fn a_quarantine_of_many_copies_resolves_at_the_end(server: Server) {
        let Scene { admin, alice, bob, room, .. } = Scene::new(&server).await;
        let media = upload(&bob, "text/plain", "bad").await;
        // More than one transaction quarantines.
        for _ in 0..26 {
            let some = join_all((0..20).map(|_| upload(&alice, "text/plain", "bad"))).await;
            assert_eq!(some.len(), 20);
        }
        let content = json!({ "msgtype": "m.file", "body": "bad", "url": format!("mxc://test/{media}") });
        let event = send(&bob, &room, "m.room.message", content).await;
        server.clock.advance(1);
        report_event(&alice, &room, &event).await;
        let report = newest(&admin, "event").await;
        let reply = ok(act(&admin, &report, json!({ "act": "quarantine", "changes": 0, "resolve": true })).await);
        assert_eq!((at(&reply, "/resolution"), &reply["changes"]), ("acted", &json!(1)));
        let log = ok(admin.get("/_reeve/admin/v1/audit?action=media.quarantine&limit=1000").await);
        assert_eq!(list(&log, "/entries").len(), 521);
        assert_eq!(audited(&admin, name(&report)).await.len(), 1);
    }

    #[config(|config| config.policy.limits.reports = 1)]
    async fn resolved_reports_leave_room_for_others(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        report_user(&alice, "@admin:test").await;
        let path = format!("{CS}/users/@admin:test/report");
        let full = alice.post(&path, json!({ "reason": "x" })).await;
        assert_eq!(full.refusal(), (400, "M_TOO_LARGE", "An account cannot have more than 1 unread reports"));
        let report = newest(&admin, "user").await;
        ok(admin.put(&report, json!({ "changes": 0, "assignee": "@admin:test" })).await);
        assert_eq!(alice.post(&path, json!({ "reason": "x" })).await.status, 400);
        ok(admin.put(&report, json!({ "changes": 1, "resolution": "dismissed" })).await);
        report_user(&alice, "@admin:test").await;
        // A report that is opened again counts again, whatever there is by then.
        ok(admin.put(&report, json!({ "changes": 2, "resolution": null })).await);
        assert_eq!(found(&admin, "state=resolved").await, (String::new(), 0));
        assert_eq!(alice.post(&path, json!({ "reason": "x" })).await.status, 400);
    }
}

/// The ids of all events that a member sees.
async fn timeline_of(client: &Client, room: &str) -> Vec<String> {
    let (events, _) = all_messages(client, room, "dir=b").await;
    ids(&events).into_iter().map(str::to_owned).collect()
}
