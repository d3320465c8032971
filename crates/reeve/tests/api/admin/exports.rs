//! `/_reeve/admin/v1/users/{user_id}/export`, `/_reeve/admin/v1/exports` and `/_reeve/export/{token}`.

use std::io::Read as _;
use std::iter;

use http::{Method, Response};
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, START_MS, Server, Web, check_generated, on_both_engines};
use serde_json::{Value, json};

use super::service_tokens::issue;
use crate::client::media::{objects, upload};
use crate::export_kit::{Opened, download, insert, link, opened, order, over};
use crate::rooms_kit::*;
use crate::sync_kit::{eventually, set_data};

const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "Export not found");
const BAD_LINK: (u16, &str, &str) = (404, "M_NOT_FOUND", "The link is not valid or has ended");
const DAY_MS: i64 = 86_400_000;
/// Bytes that begin as a picture does.
const PNG: &[u8; 18] = b"\x89PNG\r\n\x1a\nnot really";

fn of_user(user_id: &str) -> String {
    format!("/_reeve/admin/v1/users/{user_id}/exports")
}

/// Orders an export that no worker takes before a time; returns its path.
async fn waiting(server: &Server, user_id: &'static str, until: i64) -> String {
    insert(server, "later", user_id, false, until).await;
    "/_reeve/admin/v1/exports/later".to_owned()
}

/// The entries of the audit log about an account whose action begins with `user.export`, the oldest first.
async fn audited(admin: &Client, user_id: &str) -> Vec<(String, Value)> {
    let log = ok(admin.get(&format!("/_reeve/admin/v1/audit?target={user_id}")).await);
    let mut acts: Vec<(String, Value)> = list(&log, "/entries")
        .iter()
        .filter(|entry| at(entry, "/action").starts_with("user.export"))
        .map(|entry| (at(entry, "/action").to_owned(), entry["changes"].clone()))
        .collect();
    acts.reverse();
    acts
}

#[test]
fn the_schema_of_archives_is_up_to_date() {
    check_generated("docs/export-schema.json", &format!("{:#}\n", reeve_export::schema()));
}

on_both_engines! {
    async fn an_archive_has_everything(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({
            "threepids": [{ "medium": "email", "address": "alice@example.org" }],
            "external_ids": [{ "auth_provider": "oidc", "external_id": "alice-1" }],
        })).await);
        ok(admin.put("/_matrix/client/v1/admin/lock/@alice:test", json!({ "locked": true })).await);
        ok(admin.put("/_matrix/client/v1/admin/lock/@alice:test", json!({ "locked": false })).await);
        set_data(&alice, "org.example.color", json!({ "color": "red" })).await;
        let room = create(&alice, json!({ "preset": "public_chat", "name": "Tea" })).await;
        let alias = add_alias(&alice, &room, "tea").await;
        join(&bob, &room).await;
        set_room_data(&alice, &room, "org.example.mood", json!({ "mood": "good" })).await;
        let hello = say(&alice, &room, "hello").await;
        let answer = say(&bob, &room, "hi alice").await;
        let secret = say(&alice, &room, "my secret").await;
        let redaction = redact(&alice, &room, &secret).await;
        receipt(&alice, &room, "m.read", &answer, json!({})).await;
        let picture = upload(&alice, "image/png", *PNG).await;
        let page = upload(&alice, "text/html", "<script>1</script>").await;
        let theirs = upload(&bob, "text/plain", "the file of bob").await;
        let withdrawn = upload(&alice, "image/png", "withdrawn by admins").await;
        ok(admin.post(&format!("/_synapse/admin/v1/media/quarantine/test/{withdrawn}"), json!({})).await);
        ok(alice.post(&format!("{CS}/pushers/set"), json!({
            "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
            "device_display_name": "Phone", "lang": "en", "data": { "url": "https://push.example/_matrix/push/v1/notify" },
        })).await);
        ok(alice.post(&room_path(&room, &format!("report/{}", enc(&answer))), json!({ "reason": "rude", "score": -10 })).await);
        ok(alice.post(&format!("{CS}/users/@bob:test/report"), json!({ "reason": "bob is rude" })).await);
        ok(bob.post(&room_path(&room, &format!("report/{}", enc(&hello))), json!({ "reason": "reason of the reporter" })).await);
        ok(bob.post(&format!("{CS}/users/@alice:test/report"), json!({ "reason": "open reason" })).await);
        let reports = ok(admin.get("/_reeve/admin/v1/reports?kind=event").await);
        let about = list(&reports, "/reports").iter().find(|report| report["reporter"] == "@bob:test" || report["user_id"] == "@bob:test");
        let report_id = about.unwrap()["id"].clone();
        ok(admin.put(&format!("/_reeve/admin/v1/reports/event/{report_id}"), json!({ "resolution": "dismissed", "changes": 0 })).await);
        // Sightings are written every few seconds.
        server.app().seen.flush(&server.app().db).await.unwrap();

        let archive = opened(&admin, "@alice:test", json!({ "history": true })).await;
        let files = [format!("media/{picture}.png"), format!("media/{page}.bin")];
        let mut expected = vec![
            "account.json", "account_data.jsonl", "audit.jsonl", "browsers.jsonl", "connections.jsonl", "devices.jsonl", "history.jsonl", "index.html",
            "manifest.json", "media.jsonl", "memberships.jsonl", "messages.jsonl", "push_rules.json", "pushers.jsonl",
            "reports.jsonl", "reports_about.jsonl", "schema.json", &files[0], &files[1],
        ];
        expected.sort_unstable();
        assert_eq!(archive.names(), expected);

        assert_eq!(archive.json("account.json"), json!({
            "user_id": "@alice:test", "created_ts": START_MS, "displayname": "alice", "avatar_url": null,
            "profile_fields": {}, "user_type": null, "role": null, "is_guest": false, "deactivated": false, "erased": false,
            "locked": false, "suspended": false, "shadow_banned": false, "appservice_id": null, "has_password": true,
            "consent": { "version": null, "notice_sent": null, "ts": null }, "expiration_ts": null, "last_seen_ts": START_MS,
            "threepids": [{ "medium": "email", "address": "alice@example.org", "validated_at": START_MS, "added_at": START_MS }],
            "external_ids": [{ "auth_provider": "oidc", "external_id": "alice-1" }],
            "experimental_features": {}, "rate_limit": null, "presence": archive.json("account.json")["presence"],
            "room_aliases": [{ "alias": alias, "room_id": room }],
        }));
        assert_eq!(archive.lines("devices.jsonl"), [json!({
            "device_id": alice.device_id, "display_name": null, "created_ts": START_MS, "last_seen_ts": START_MS,
            "last_seen_ip": "127.0.0.1", "last_seen_user_agent": "testkit",
        })]);
        assert_eq!(archive.lines("connections.jsonl"), [json!({
            "ip": "127.0.0.1", "user_agent": "testkit", "device_id": alice.device_id, "last_seen_ts": START_MS,
        })]);
        assert_eq!(archive.lines("pushers.jsonl"), [json!({
            "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App", "device_display_name": "Phone",
            "profile_tag": "", "lang": "en", "data": { "url": "https://push.example/_matrix/push/v1/notify" },
            "device_id": alice.device_id, "enabled": true,
        })]);
        assert_eq!(archive.lines("account_data.jsonl"), [
            json!({ "room_id": null, "type": "org.example.color", "content": { "color": "red" } }),
            json!({ "room_id": room, "type": "org.example.mood", "content": { "mood": "good" } }),
        ]);
        assert!(archive.json("push_rules.json")["global"]["override"].is_array());
        let joined = archive.lines("memberships.jsonl");
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0], json!({
            "room_id": room, "membership": "join", "forgotten": false, "name": "Tea",
            "changes": [{ "event_id": joined[0]["changes"][0]["event_id"], "membership": "join", "ts": START_MS, "sender": "@alice:test" }],
            "receipts": [{ "type": "m.read", "thread_id": null, "event_id": answer, "ts": START_MS }],
        }));

        let sent = archive.lines("messages.jsonl");
        assert!(sent.iter().all(|event| event["sender"] == "@alice:test" && event["room_id"] == json!(room)));
        let messages: Vec<&Value> = sent.iter().filter(|event| event["type"] == "m.room.message").collect();
        assert_eq!(ids(&sent).iter().filter(|id| [&*hello, &*secret, &*redaction].contains(id)).count(), 3);
        assert_eq!(messages.iter().map(|event| &event["content"]).collect::<Vec<_>>(), [
            &json!({ "msgtype": "m.text", "body": "hello" }), &json!({}),
        ]);
        assert_eq!(messages[1]["unsigned"]["redacted_by"], json!(redaction));
        assert!(sent.iter().any(|event| event["type"] == "m.room.name" && event["content"]["name"] == "Tea"));
        let seen = archive.lines("history.jsonl");
        // The redacted one has no text.
        assert_eq!(bodies(&seen), ["hello", "hi alice", ""]);
        assert_eq!(seen.iter().filter(|event| event["sender"] == "@alice:test").collect::<Vec<_>>(), sent.iter().collect::<Vec<_>>());

        let uploads = archive.lines("media.jsonl");
        let named = |media_id: &str| uploads.iter().find(|upload| upload["media_id"] == media_id).unwrap();
        assert_eq!(uploads.len(), 3);
        assert_eq!(*named(&picture), json!({
            "media_id": picture, "name": null, "type": "image/png", "length": PNG.len(), "sha256": named(&picture)["sha256"],
            "created_ts": START_MS, "last_access_ts": null, "preview_of": null, "quarantined": false, "file": files[0],
        }));
        assert_eq!((&named(&withdrawn)["quarantined"], &named(&withdrawn)["file"]), (&json!(true), &Value::Null));
        assert_eq!(archive.bytes(&files[0]), PNG);
        assert_eq!(archive.bytes(&files[1]), b"<script>1</script>");

        let no = Value::Null;
        assert_eq!(archive.lines("reports.jsonl"), [
            json!({ "kind": "event", "ts": START_MS, "room_id": room, "event_id": answer, "user_id": no, "reason": "rude",
                    "score": -10, "state": "open", "resolution": no }),
            json!({ "kind": "user", "ts": START_MS, "room_id": no, "event_id": no, "user_id": "@bob:test", "reason": "bob is rude",
                    "score": no, "state": "open", "resolution": no }),
        ]);
        // Those who reported are not named, nor what they wrote, and what is under way is not told.
        assert_eq!(archive.lines("reports_about.jsonl"), [
            json!({ "kind": "event", "room_id": room, "event_id": hello, "resolution": "dismissed" }),
        ]);
        let acts = archive.lines("audit.jsonl");
        assert!(acts.iter().all(|act| act["actor_kind"] == "user" && act["by_person"] == false && act["ip"] == no), "{acts:?}");
        let actions: Vec<&str> = acts.iter().map(|act| at(act, "/action")).collect();
        assert!(actions.contains(&"user.export") && actions.len() >= 3, "{actions:?}");

        let manifest = archive.json("manifest.json");
        assert_eq!(manifest["began_ts"], json!(START_MS));
        let entries: Vec<(&str, u64)> = list(&manifest, "/files").iter().map(|file| (at(file, "/name"), file["entries"].as_u64().unwrap())).collect();
        for (name, entries) in entries {
            assert_eq!(archive.lines(name).len() as u64, entries, "{name}");
        }
        assert_eq!((&manifest["history"], &manifest["media"], &manifest["missing_media"]), (&json!(true), &json!(true), &json!(0)));
        assert!(archive.text("index.html").contains("@alice:test"));

        // Nothing of others.
        let all = archive.all();
        for foreign in ["@admin:test", "reason of the reporter", "open reason", "the file of bob", &*theirs, "my secret", "withdrawn by admins", "$argon2"] {
            assert!(!all.contains(foreign), "{foreign} is in the archive");
        }
    }

    async fn only_what_the_person_may_see(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let private = create(&bob, json!({ "preset": "private_chat" })).await;
        say(&bob, &private, "of a room of others").await;
        let room = create(&bob, json!({
            "preset": "public_chat",
            "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
        })).await;
        say_many(&bob, &room, "before", 3).await;
        join(&alice, &room).await;
        say_many(&bob, &room, "during", 250).await;
        say(&alice, &room, "of alice").await;
        leave(&alice, &room).await;
        say(&bob, &room, "after").await;
        join(&alice, &room).await;
        say(&bob, &room, "again").await;
        kick(&bob, &room, "@alice:test").await;
        say(&bob, &room, "later").await;
        let archive = opened(&admin, "@alice:test", json!({ "history": true, "media": false })).await;
        let seen = archive.lines("history.jsonl");
        let mut expected: Vec<String> = (0..250).map(|n| format!("during{n}")).collect();
        expected.extend(["of alice".to_owned(), "again".to_owned()]);
        assert_eq!(bodies(&seen), expected);
        let stays: Vec<&Value> = seen.iter().filter(|event| event["type"] == "m.room.member" && event["state_key"] == "@alice:test").collect();
        assert_eq!(stays.len(), 4);
        let membership = &archive.lines("memberships.jsonl")[0];
        assert_eq!((&membership["membership"], &membership["name"]), (&json!("leave"), &Value::Null));
        assert_eq!(list(membership, "/changes").iter().map(|change| at(change, "/sender")).collect::<Vec<_>>(), ["@alice:test", "@alice:test", "@alice:test", "@bob:test"]);
        assert_eq!(bodies(&archive.lines("messages.jsonl")), ["of alice"]);
        // Without history, there is nothing that others wrote.
        let archive = opened(&admin, "@alice:test", json!({ "media": false })).await;
        assert!(!archive.names().contains(&"history.jsonl") && !archive.all().contains("during"));
        // A room that was forgotten is not seen any more, but what the person wrote is theirs.
        forget(&alice, &room).await;
        let archive = opened(&admin, "@alice:test", json!({ "history": true })).await;
        assert_eq!(bodies(&archive.lines("history.jsonl")), Vec::<&str>::new());
        assert_eq!(bodies(&archive.lines("messages.jsonl")), ["of alice"]);
    }

    async fn long_lists_are_whole(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        say_many(&alice, &room, "m", 450).await;
        for n in 0..25 {
            create(&alice, json!({ "name": format!("r{n}") })).await;
        }
        for n in 0..205 {
            set_data(&alice, &format!("org.example.{n:03}"), json!({ "n": n })).await;
            upload(&alice, "text/plain", format!("file {n}")).await;
        }
        let archive = opened(&admin, "@alice:test", json!({ "history": true })).await;
        let expected: Vec<String> = (0..450).map(|n| format!("m{n}")).collect();
        assert_eq!(bodies(&archive.lines("messages.jsonl")), expected);
        assert_eq!(archive.lines("history.jsonl"), archive.lines("messages.jsonl"));
        assert_eq!(archive.lines("memberships.jsonl").len(), 26);
        assert_eq!(archive.lines("account_data.jsonl").len(), 205);
        let uploads = archive.lines("media.jsonl");
        assert_eq!(uploads.len(), 205);
        let mut contents: Vec<&str> = uploads.iter().map(|upload| archive.text(at(upload, "/file"))).collect();
        contents.sort_unstable();
        contents.dedup();
        assert_eq!(contents.len(), 205);
    }

    async fn an_encrypted_archive_needs_the_key(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let identity = age::x25519::Identity::generate();
        let reply = download(&admin, "@alice:test", json!({ "recipient": identity.to_public().to_string() })).await;
        assert_eq!(reply.header("content-disposition"), "attachment; filename=\"export-alice.zip.age\"");
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert!(reply.bytes.starts_with(b"age-encryption.org/v1\n"));
        let decryptor = age::Decryptor::new(&reply.bytes[..]).unwrap();
        let mut zip = Vec::new();
        decryptor.decrypt(iter::once(&identity as &dyn age::Identity)).unwrap().read_to_end(&mut zip).unwrap();
        assert_eq!(Opened::new(&zip).json("account.json")["user_id"], json!("@alice:test"));
        let other = age::x25519::Identity::generate();
        let decryptor = age::Decryptor::new(&reply.bytes[..]).unwrap();
        assert!(decryptor.decrypt(iter::once(&other as &dyn age::Identity)).is_err());
    }

    async fn orders_are_checked(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        server.create("boss", true).await;
        let path = |user_id: &str| format!("/_reeve/admin/v1/users/{user_id}/export");
        for (user_id, body, status, code, text) in [
            ("@alice:test", json!({ "histroy": true }), 400, "M_INVALID_PARAM", "Unknown key 'histroy'"),
            ("@alice:test", json!({ "history": 1 }), 400, "M_BAD_JSON", "'history' must be a boolean"),
            ("@alice:test", json!({ "media": null }), 400, "M_BAD_JSON", "'media' must be a boolean"),
            ("@alice:test", json!({ "recipient": "age1x" }), 400, "M_INVALID_PARAM", "The recipient must be an X25519 recipient of age (age1…)"),
            ("@alice:test", json!({ "recipient": "ssh-ed25519 AAAA" }), 400, "M_INVALID_PARAM", "The recipient must be an X25519 recipient of age (age1…)"),
            ("alice", json!({}), 400, "M_INVALID_PARAM", ""),
            ("@alice:elsewhere", json!({}), 400, "M_UNKNOWN", "Only local users have exports"),
            ("@nobody:test", json!({}), 404, "M_NOT_FOUND", "User not found"),
        ] {
            let reply = admin.post(&path(user_id), body.clone()).await;
            let (got_status, got_code, got_text) = reply.refusal();
            assert_eq!((got_status, got_code), (status, code), "{user_id} {body}");
            assert!(text.is_empty() || got_text == text, "{got_text}");
        }
        assert_eq!(admin.get(&of_user("@alice:test")).await, (200, json!({ "exports": [] })));
        assert_eq!(admin.get(&of_user("@nobody:test")).await.refusal(), (404, "M_NOT_FOUND", "User not found"));
        assert_eq!(admin.get("/_reeve/admin/v1/exports/x").await.refusal(), MISSING);
        assert_eq!(admin.delete("/_reeve/admin/v1/exports/x").await.refusal(), MISSING);
        assert_eq!(admin.post("/_reeve/admin/v1/exports/x/link", json!({})).await.refusal(), MISSING);
        // Each scope by which a part could be read is needed.
        let needed = [Scope::UsersRead, Scope::MessagesRead, Scope::MediaRead, Scope::ReportsRead, Scope::AuditRead];
        for (n, lacking) in needed.into_iter().enumerate() {
            let scopes = needed.into_iter().chain([Scope::UsersWrite]).filter(|scope| *scope != lacking).collect();
            let service = issue(&server, &admin, &format!("s{n}"), scopes).await;
            let text = format!("This needs the scope {lacking}");
            assert_eq!(service.post(&path("@alice:test"), json!({})).await.refusal(), (403, "M_FORBIDDEN", &*text));
        }
        let enough: Scopes = needed.into_iter().chain([Scope::UsersWrite]).collect();
        let service = issue(&server, &admin, "enough", enough).await;
        let above = service.post(&path("@boss:test"), json!({})).await;
        assert_eq!((above.status, above.text("errcode")), (403, "M_FORBIDDEN"));
        assert!(audited(&admin, "@alice:test").await.is_empty() && audited(&admin, "@boss:test").await.is_empty());
        let made = over(&admin, &order(&service, "@alice:test", json!({})).await).await;
        assert_eq!((&made["requested_by_kind"], &made["requested_by"], &made["own"]), (&json!("service"), &json!("enough"), &json!(false)));
        // Nor is a link made for those who may not read everything.
        let writer = issue(&server, &admin, "writer", [Scope::UsersWrite].into_iter().collect()).await;
        let id = at(&made, "/id");
        let refused = writer.post(&format!("/_reeve/admin/v1/exports/{id}/link"), json!({})).await;
        assert_eq!(refused.refusal(), (403, "M_FORBIDDEN", "This needs the scope users:read"));
    }

    async fn one_order_at_a_time(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let path = waiting(&server, "@alice:test", START_MS + 1000).await;
        let again = admin.post("/_reeve/admin/v1/users/@alice:test/export", json!({})).await;
        assert_eq!(again.refusal(), (409, "M_UNKNOWN", "An export of this account is not over"));
        assert_eq!(admin.post(&format!("{path}/link"), json!({})).await.refusal(), (409, "M_UNKNOWN", "The export is waiting"));
        // It is due later.
        server.clock.advance(1000);
        assert_eq!(over(&admin, &path).await["state"], json!("ready"));
        server.clock.advance(1);
        let second = over(&admin, &order(&admin, "@alice:test", json!({})).await).await;
        let all = ok(admin.get(&of_user("@alice:test")).await);
        assert_eq!(ids_of(&all), [at(&second, "/id"), "later"]);
        let page = ok(admin.get(&format!("{}?limit=1", of_user("@alice:test"))).await);
        assert_eq!(ids_of(&page), [at(&second, "/id")]);
        let next = ok(admin.get(&format!("{}?limit=1&from={}", of_user("@alice:test"), at(&page, "/next_token"))).await);
        assert_eq!((ids_of(&next), next.get("next_token")), (vec!["later"], None));
        assert_eq!(admin.get(&format!("{}?from=x", of_user("@alice:test"))).await.status, 400);
    }

    #[config(|config| config.allowed_ranges = vec!["127.0.0.0/8".parse().unwrap()])]
    async fn administrators_come_before_people_and_nobody_waits_for_ever(server: Server) {
        let admin = server.admin().await;
        for name in ["alice", "bob", "carol", "dave", "eve"] {
            server.create(name, false).await;
        }
        let web = Web::start(|_| Response::builder().status(204).body("".into()).unwrap()).await;
        let webhook = json!({ "name": "ends", "url": web.url("/hook"), "events": ["job.ended"] });
        assert_eq!(admin.post("/_reeve/admin/v1/webhooks", webhook).await.status, 201);
        let now = START_MS + 3 * DAY_MS;
        for (id, user_id, own, due) in [
            ("a", "@alice:test", true, now - 1000),
            ("b", "@bob:test", true, now - 2000),
            ("c", "@carol:test", false, now - 10),
            ("d", "@dave:test", true, now - DAY_MS),
            // One who waited nearly as long.
            ("e", "@eve:test", true, now - DAY_MS + 1),
        ] {
            insert(&server, id, user_id, own, due).await;
        }
        server.clock.advance(3 * DAY_MS);
        let mut written = Vec::new();
        for _ in 0..5 {
            written.push(at(&web.asked().await.json(), "/data/target").to_owned());
        }
        assert_eq!(written, ["@dave:test", "@carol:test", "@eve:test", "@bob:test", "@alice:test"]);
    }

    async fn links_end(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let path = order(&admin, "@alice:test", json!({})).await;
        let export = over(&admin, &path).await;
        assert_eq!(export, json!({
            "id": export["id"], "user_id": "@alice:test", "own": false, "requested_by_kind": "user", "requested_by": "@admin:test",
            "history": false, "media": true, "recipient": null, "state": "ready", "error": null, "created_ts": START_MS,
            "completed_ts": START_MS, "ends_ts": START_MS + 7 * DAY_MS, "length": export["length"], "sha256": export["sha256"],
            "link_until_ts": null,
        }));
        let first = link(&admin, &path).await;
        let nobody = server.stranger();
        let whole = nobody.get(&first).await;
        assert_eq!(whole.status, 200);
        assert_eq!(Opened::new(&whole.bytes).json("manifest.json")["export_id"], export["id"]);
        for (name, value) in [
            ("content-type", "application/zip"),
            ("content-disposition", "attachment; filename=\"export-alice.zip\""),
            ("cache-control", "private, no-store"),
            ("content-security-policy", "sandbox; default-src 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("accept-ranges", "bytes"),
            ("x-robots-tag", "noindex"),
        ] {
            assert_eq!(whole.header(name), value, "{name}");
        }
        // A download that broke off goes on.
        let etag = whole.header("etag").to_owned();
        let part = nobody.send(Method::GET, &first, &[("range", "bytes=100-"), ("if-range", &etag)], "").await;
        assert_eq!((part.status, &part.bytes[..]), (206, &whole.bytes[100..]));
        assert_eq!(part.header("content-range"), format!("bytes 100-{}/{}", whole.bytes.len() - 1, whole.bytes.len()));
        assert_eq!(nobody.send(Method::GET, &first, &[("range", "bytes=999999999-")], "").await.status, 416);
        // A new link ends the former one.
        let second = link(&admin, &path).await;
        assert_ne!(first, second);
        assert_eq!(nobody.get(&first).await.refusal(), BAD_LINK);
        assert_eq!(nobody.get("/_reeve/export/rvx_unknown").await.refusal(), BAD_LINK);
        assert_eq!(over(&admin, &path).await["link_until_ts"], json!(START_MS + DAY_MS));
        // Continuations are not audited again, but the first use of a link is.
        let id = export["id"].clone();
        let length = export["length"].clone();
        let order = ("user.export".to_owned(), json!({ "export": id, "history": false, "media": true, "encrypted": false }));
        let linked = ("user.export_link".to_owned(), json!({ "export": id, "until_ts": START_MS + DAY_MS }));
        let downloaded = ("user.export_download".to_owned(), json!({ "export": id, "length": length }));
        assert_eq!(audited(&admin, "@alice:test").await, [order.clone(), linked.clone(), downloaded.clone(), linked.clone()]);
        nobody.send(Method::GET, &second, &[("range", "bytes=5-")], "").await;
        assert_eq!(audited(&admin, "@alice:test").await, [order, linked.clone(), downloaded.clone(), linked, downloaded]);
        server.clock.advance(DAY_MS - 1);
        assert_eq!(nobody.get(&second).await.status, 200);
        server.clock.advance(1);
        assert_eq!(nobody.get(&second).await.refusal(), BAD_LINK);
        // A link does not last longer than the archive.
        server.clock.advance(6 * DAY_MS - 1000);
        let last = ok(admin.post(&format!("{path}/link"), json!({})).await);
        assert_eq!(last["until_ts"], json!(START_MS + 7 * DAY_MS));
        assert_eq!(nobody.get(at(&last, "/path")).await.status, 200);
        server.clock.advance(1000);
        assert_eq!(nobody.get(at(&last, "/path")).await.refusal(), BAD_LINK);
        assert_eq!(admin.get(&path).await.refusal(), MISSING);
        // The archive is removed by itself.
        eventually(&admin, &of_user("@alice:test"), |reply| reply.body == json!({ "exports": [] })).await;
        assert_eq!(objects(&server).await, 0);
    }

    async fn a_link_rests_while_its_maker_has_no_right_to_it(server: Server) {
        let (admin, nobody) = (server.admin().await, server.stranger());
        for (name, is_admin) in [("alice", false), ("bob", false), ("boss", true)] {
            server.create(name, is_admin).await;
        }
        let boss = server.log_in("boss", "boss's password").await;
        let path = order(&boss, "@alice:test", json!({})).await;
        over(&boss, &path).await;
        let made = link(&boss, &path).await;
        let role = |name: &str| format!("/_reeve/admin/v1/users/@{name}:test/role");
        let suspend = "/_synapse/admin/v1/suspend/@boss:test".to_owned();
        let lock = "/_matrix/client/v1/admin/lock/@boss:test".to_owned();
        let change = "/_reeve/admin/v1/users/@boss:test/password_change".to_owned();
        for (path, without, with) in [
            (role("boss"), json!({ "role": "moderator" }), json!({ "role": "administrator" })),
            (role("boss"), json!({ "role": null }), json!({ "role": "administrator" })),
            // The account of the archive is above the maker.
            (role("alice"), json!({ "role": "owner" }), json!({ "role": null })),
            (suspend, json!({ "suspend": true }), json!({ "suspend": false })),
            (lock, json!({ "locked": true }), json!({ "locked": false })),
            (change, json!({ "required": true }), json!({ "required": false })),
        ] {
            assert_eq!(nobody.get(&made).await.status, 200, "before {path} {without}");
            ok(admin.put(&path, without.clone()).await);
            assert_eq!(nobody.get(&made).await.refusal(), BAD_LINK, "{path} {without}");
            ok(admin.put(&path, with).await);
        }
        assert_eq!(nobody.get(&made).await.status, 200);
        ok(admin.post("/_synapse/admin/v1/deactivate/@boss:test", json!({})).await);
        assert_eq!(nobody.get(&made).await.refusal(), BAD_LINK);
        // Others can make another one.
        assert_eq!(nobody.get(&link(&admin, &path).await).await.status, 200);

        // A link of a service token depends on that token alone, whatever its secret.
        let scopes: Scopes = [
            Scope::UsersWrite, Scope::UsersRead, Scope::MessagesRead, Scope::MediaRead, Scope::ReportsRead, Scope::AuditRead,
        ].into_iter().collect();
        let robot = issue(&server, &admin, "robot", scopes).await;
        let path = order(&robot, "@bob:test", json!({})).await;
        over(&admin, &path).await;
        let made = link(&robot, &path).await;
        let token = "/_reeve/admin/v1/service_tokens/robot";
        ok(admin.post(&format!("{token}/rotate"), json!({ "overlap_ms": 0 })).await);
        assert_eq!(nobody.get(&made).await.status, 200);
        for (without, with) in [
            (json!({ "scopes": scopes.without(Scope::UsersWrite) }), json!({ "scopes": scopes })),
            (json!({ "scopes": scopes.without(Scope::AuditRead) }), json!({ "scopes": scopes })),
        ] {
            ok(admin.put(token, without.clone()).await);
            assert_eq!(nobody.get(&made).await.refusal(), BAD_LINK, "{without}");
            ok(admin.put(token, with).await);
            assert_eq!(nobody.get(&made).await.status, 200);
        }
        ok(admin.put(token, json!({ "expires_ts": START_MS + 1000 })).await);
        assert_eq!(nobody.get(&made).await.status, 200);
        server.clock.advance(1000);
        assert_eq!(nobody.get(&made).await.refusal(), BAD_LINK);
        ok(admin.put(token, json!({ "expires_ts": null })).await);
        assert_eq!(nobody.get(&made).await.status, 200);
        ok(admin.delete(token).await);
        assert_eq!(nobody.get(&made).await.refusal(), BAD_LINK);
    }

    async fn deleted_archives_are_gone(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let path = order(&admin, "@alice:test", json!({})).await;
        over(&admin, &path).await;
        let link = link(&admin, &path).await;
        assert_eq!(objects(&server).await, 1);
        assert_eq!(admin.delete(&path).await, (200, json!({})));
        assert_eq!(objects(&server).await, 0);
        assert_eq!(admin.get(&link).await.refusal(), BAD_LINK);
        let deleted = ok(admin.get(&path).await);
        assert_eq!((&deleted["state"], &deleted["length"], &deleted["link_until_ts"]), (&json!("deleted"), &Value::Null, &Value::Null));
        assert_eq!(admin.delete(&path).await.refusal(), (409, "M_UNKNOWN", "The export is deleted"));
        assert_eq!(admin.post(&format!("{path}/link"), json!({})).await.refusal(), (409, "M_UNKNOWN", "The export is deleted"));
        let acts = audited(&admin, "@alice:test").await;
        assert_eq!(acts.last().unwrap().0, "user.export_delete");
        // One that waits is called off.
        let path = waiting(&server, "@alice:test", START_MS + 1000).await;
        assert_eq!(admin.delete(&path).await, (200, json!({})));
        server.clock.advance(1000);
        over(&admin, &order(&admin, "@alice:test", json!({})).await).await;
        assert_eq!(ok(admin.get(&path).await)["state"], json!("deleted"));
        // The record of it ends after a day.
        server.clock.advance(DAY_MS);
        assert_eq!(admin.get(&path).await.refusal(), MISSING);
    }

    async fn erasing_deletes_archives(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        say(&alice, &room, "hello").await;
        let path = order(&admin, "@alice:test", json!({})).await;
        over(&admin, &path).await;
        let link = link(&admin, &path).await;
        let later = waiting(&server, "@alice:test", START_MS + 1_000_000).await;
        // An account that is deactivated keeps its archives.
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await);
        assert_eq!(admin.get(&link).await.status, 200);
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await);
        assert_eq!(admin.get(&link).await.refusal(), BAD_LINK);
        for path in [&path, &later] {
            assert_eq!(admin.get(path).await.refusal(), MISSING);
        }
        assert_eq!(objects(&server).await, 0);
        // What is left can be exported.
        let archive = opened(&admin, "@alice:test", json!({})).await;
        let account = archive.json("account.json");
        assert_eq!((&account["erased"], &account["displayname"], &account["has_password"]), (&json!(true), &Value::Null, &json!(false)));
        assert_eq!(bodies(&archive.lines("messages.jsonl")), ["hello"]);
        assert_eq!(at(&archive.lines("memberships.jsonl")[0], "/membership"), "leave");
        assert!(archive.lines("devices.jsonl").is_empty() && archive.lines("account_data.jsonl").is_empty());
    }

    #[config(|config| config.exports.max_bytes = 100_000)]
    async fn an_archive_that_is_too_large_fails(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        upload(&alice, "text/plain", vec![b'x'; 100_000]).await;
        let path = order(&admin, "@alice:test", json!({})).await;
        let failed = over(&admin, &path).await;
        let text = "the archive is larger than the settings allow (exports.max_bytes); without media it is smaller";
        assert_eq!((&failed["state"], &failed["error"], &failed["length"]), (&json!("too_large"), &json!(text), &Value::Null));
        // Nothing of it stays but the upload.
        assert_eq!(objects(&server).await, 1);
        let smaller = over(&admin, &order(&admin, "@alice:test", json!({ "media": false })).await).await;
        assert_eq!(smaller["state"], json!("ready"));
    }

    async fn what_was_deleted_meanwhile_is_counted(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let media_id = upload(&alice, "text/plain", "lost").await;
        upload(&alice, "text/plain", "kept").await;
        // The bytes are lost, as those of an upload that is deleted while the archive is written.
        let found = server.app().db.read(move |tx| reeve_store::media::find(tx, &media_id)).await.unwrap().unwrap();
        let (head, tail) = found.object.split_at(2);
        std::fs::remove_file(server.media_folder().join(head).join(tail)).unwrap();
        let archive = opened(&admin, "@alice:test", json!({})).await;
        assert_eq!(archive.json("manifest.json")["missing_media"], json!(1));
        assert_eq!(archive.lines("media.jsonl").len(), 2);
        assert_eq!(archive.names().iter().filter(|name| name.starts_with("media/")).count(), 1);
        assert!(archive.text("index.html").contains("1 uploads were deleted"));
    }
}

fn ids_of(page: &Value) -> Vec<&str> {
    list(page, "/exports").iter().map(|export| at(export, "/id")).collect()
}
