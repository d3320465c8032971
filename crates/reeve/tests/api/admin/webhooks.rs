//! Webhooks: their life, what they send, and who may set them up. The receivers are played by the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Response};
use reeve_model::encoding::{base64, from_base64};
use reeve_model::{HappeningKind, Scope, Scopes};
use reeve_testkit::{Asked, Client, Config, Engine, Reply, START_MS, Server, Web, on_both_engines, tokio};
use reeve_webhooks::rights::needs;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::common::call;
use crate::rooms_kit::{CS, create, enc, join, ok, room_path, say};
use crate::sync_kit::eventually;

const PATH: &str = "/_reeve/admin/v1/webhooks";
const TOKENS: &str = "/_reeve/admin/v1/service_tokens";
const USERS: &str = "/_synapse/admin/v2/users";
const AUDIT: &str = "/_reeve/admin/v1/audit";
const DAY: i64 = 86_400_000;
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "Webhook not found");

/// Lets the server talk to receivers of tests.
fn inside(config: &mut Config) {
    config.allowed_ranges = vec!["127.0.0.0/8".parse().unwrap()];
}

fn inside_and_open(config: &mut Config) {
    inside(config);
    config.policy.registration_enabled = true;
}

/// A receiver that responds with a status that the test can change.
struct Receiver {
    web: Web,
    status: Arc<AtomicU16>,
}

impl Receiver {
    async fn start() -> Self {
        let status = Arc::new(AtomicU16::new(204));
        let answered = Arc::clone(&status);
        let web = Web::start(move |_| {
            Response::builder().status(answered.load(Ordering::SeqCst)).body("".into()).unwrap()
        });
        Self { web: web.await, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Its next message, which one of the secrets signs.
    async fn told(&self, secret: &str) -> Told {
        Told::of(&self.web.asked().await, secret)
    }
}

/// A message that a receiver got.
#[derive(Debug, PartialEq)]
struct Told {
    id: String,
    body: Value,
}

impl Told {
    fn of(asked: &Asked, secret: &str) -> Self {
        assert_eq!((asked.method.as_str(), &*asked.target), ("POST", "/hook"));
        let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/json");
        let id = header("webhook-id");
        assert!(signatures(asked).contains(&signature(asked, secret)), "{asked:?}");
        Self { id, body: asked.json() }
    }

    fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    fn target(&self) -> &str {
        self.body["data"]["target"].as_str().unwrap()
    }

    fn position(&self) -> i64 {
        self.body["data"]["position"].as_i64().unwrap()
    }
}

/// The signatures in a request.
fn signatures(asked: &Asked) -> Vec<String> {
    asked.headers["webhook-signature"].to_str().unwrap().split(' ').map(str::to_owned).collect()
}

/// The signature of a request with a secret.
fn signature(asked: &Asked, secret: &str) -> String {
    let key = from_base64(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    for name in ["webhook-id", "webhook-timestamp"] {
        mac.update(asked.headers[name].as_bytes());
        mac.update(b".");
    }
    mac.update(&asked.body);
    format!("v1,{}", base64(&mac.finalize().into_bytes()))
}

/// Creates a webhook; returns its secret.
async fn set_up(admin: &Client, name: &str, receiver: &Receiver, events: Value) -> String {
    let body = json!({ "name": name, "url": receiver.web.url("/hook"), "events": events });
    let reply = admin.post(PATH, body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.text("secret").to_owned()
}

async fn put_user(admin: &Client, name: &str, body: Value) {
    let reply = admin.put(&format!("{USERS}/@{name}:test"), body).await;
    assert!(reply.status < 202, "{}", reply.body);
}

async fn get(admin: &Client, name: &str) -> Value {
    ok(admin.get(&format!("{PATH}/{name}")).await)
}

/// Waits until a webhook shows something.
async fn shows(admin: &Client, name: &str, what: impl Fn(&Value) -> bool) -> Value {
    eventually(admin, &format!("{PATH}/{name}"), |reply| what(&reply.body)).await.body
}

/// Waits until nothing waits for a webhook.
async fn idle(admin: &Client, name: &str) -> Value {
    shows(admin, name, |webhook| webhook["waiting"] == 0).await
}

/// Waits until so many tries have failed in a row, and lets the pause go by.
async fn fails(server: &Server, admin: &Client, name: &str, failures: i64) {
    let webhook = shows(admin, name, |webhook| webhook["failures"] == failures).await;
    server.clock.advance(webhook["next_try_ts"].as_i64().unwrap() - server.clock.now().get());
}

/// A service token with these scopes.
async fn service(server: &Server, admin: &Client, name: &str, scopes: Scopes) -> Client {
    let reply = admin.post(TOKENS, json!({ "name": name, "scopes": scopes })).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    server.with_token(reply.text("secret"))
}

async fn acts(admin: &Client, target: &str) -> Vec<(String, Value)> {
    let log = ok(admin.get(&format!("{AUDIT}?target={target}")).await);
    let entries = log["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| (entry["action"].as_str().unwrap().to_owned(), entry["changes"].clone())).collect()
}

fn refusal(reply: &Reply) -> (u16, &str, String) {
    let (status, code, text) = reply.refusal();
    (status, code, text.to_owned())
}

on_both_engines! {
    #[config(inside)]
    async fn from_creation_to_deletion(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(PATH).await, (200, json!({ "webhooks": [] })));
        let receiver = Receiver::start().await;
        let url = receiver.web.url("/hook?key=hidden");
        let created = admin.post(PATH, json!({
            "name": "billing", "description": "Bills accounts", "url": url,
            "events": ["account.deactivated", "account.created", "account.created"],
        })).await;
        let secret = created.text("secret").to_owned();
        assert!(secret.starts_with("whsec_") && from_base64(&secret[6..]).unwrap().len() == 32, "{secret}");
        let position = created.body["position"].clone();
        let mut shown = json!({
            "name": "billing", "description": "Bills accounts", "url": url, "enabled": true,
            "events": ["account.created", "account.deactivated"],
            "created_by_kind": "user", "created_by": "@admin:test", "created_ts": START_MS,
            "position": position, "waiting": 0, "failures": 0, "failing_since_ts": null, "next_try_ts": null,
        });
        let mut issued = shown.clone();
        issued["secret"] = json!(secret);
        assert_eq!(created, (201, issued));
        let one = format!("{PATH}/billing");
        assert_eq!(admin.get(&one).await, (200, shown.clone()));
        assert_eq!(admin.get(PATH).await, (200, json!({ "webhooks": [shown.clone()] })));

        let change = json!({ "description": "x", "events": ["job.ended"], "enabled": false, "url": receiver.web.url("/hook") });
        for (key, value) in change.as_object().unwrap() {
            shown[key] = value.clone();
        }
        assert_eq!(admin.put(&one, change.clone()).await, (200, shown.clone()));
        assert_eq!(admin.put(&one, change).await, (200, shown.clone()), "nothing changes");
        assert_eq!(admin.put(&one, json!({})).await, (200, shown.clone()));

        assert_eq!(admin.delete(&one).await, (200, json!({})));
        for reply in [
            admin.get(&one).await,
            admin.put(&one, json!({})).await,
            admin.delete(&one).await,
            admin.post(&format!("{one}/rotate"), json!({})).await,
            admin.post(&format!("{one}/test"), json!({})).await,
            admin.post(&format!("{one}/replay"), json!({ "position": 0 })).await,
            admin.get(&format!("{one}/dead_letters")).await,
            admin.post(&format!("{one}/dead_letters/1/retry"), json!({})).await,
            admin.delete(&format!("{one}/dead_letters/1")).await,
        ] {
            assert_eq!(reply.refusal(), MISSING);
        }
        let origin = receiver.web.url("");
        assert_eq!(acts(&admin, "billing").await, [
            ("webhook.create".to_owned(), json!({
                "description": "Bills accounts", "origin": origin,
                "events": ["account.created", "account.deactivated"], "enabled": true,
            })),
            ("webhook.update".to_owned(), json!({ "description": "x", "origin": origin, "events": ["job.ended"], "enabled": false })),
            ("webhook.delete".to_owned(), json!({})),
        ]);
        let log = admin.get(AUDIT).await.body.to_string();
        assert!(!log.contains("whsec_") && !log.contains("hidden"), "{log}");
        // The name can be given again.
        set_up(&admin, "billing", &receiver, json!(["job.ended"])).await;
        let all = admin.post(PATH, json!({ "name": "all", "url": receiver.web.url("/hook") })).await;
        assert_eq!(all.body["events"].as_array().unwrap().len(), HappeningKind::WORDS.len());
    }

    #[config(inside)]
    async fn refusals(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        set_up(&admin, "taken", &receiver, json!(["job.ended"])).await;
        let good = json!({ "name": "new", "url": "https://example.org/hook" });
        let name = "The name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; server, cli and system are taken";
        let inside = "The address is not on the public internet, and outgoing.allow_ranges does not have it";
        let scheme = "The URL must be an http or https URL";
        let parts = "The URL must have neither a user name, nor a password, nor a fragment";
        let long = format!("https://example.org/{}", "x".repeat(2048));
        let cases = [
            (json!({ "name": "taken" }), 409, "M_UNKNOWN", "A webhook of this name exists"),
            (json!({ "name": "" }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": "a b" }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": "x".repeat(65) }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": 1 }), 400, "M_BAD_JSON", "'name' must be a string"),
            (json!({ "description": "x".repeat(501) }), 400, "M_INVALID_PARAM", "The description is too long (max 500)"),
            (json!({ "description": null }), 400, "M_BAD_JSON", "'description' must be a string"),
            (json!({ "events": [] }), 400, "M_INVALID_PARAM", "A webhook needs an event"),
            (json!({ "events": ["account.eaten"] }), 400, "M_INVALID_PARAM", "'account.eaten' is not an event"),
            (json!({ "events": ["webhook.test"] }), 400, "M_INVALID_PARAM", "'webhook.test' is not an event"),
            (json!({ "events": "account.created" }), 400, "M_BAD_JSON", "'events' must be a list of strings"),
            (json!({ "events": [1] }), 400, "M_BAD_JSON", "'events' must be a list of strings"),
            (json!({ "enabled": "yes" }), 400, "M_BAD_JSON", "'enabled' must be a boolean"),
            (json!({ "url": 1 }), 400, "M_BAD_JSON", "'url' must be a string"),
            (json!({ "url": "" }), 400, "M_INVALID_PARAM", "The URL is not valid"),
            (json!({ "url": "example.org" }), 400, "M_INVALID_PARAM", "The URL is not valid"),
            (json!({ "url": "https://" }), 400, "M_INVALID_PARAM", "The URL is not valid"),
            (json!({ "url": long }), 400, "M_INVALID_PARAM", "The URL is too long (max 2048)"),
            (json!({ "url": "ftp://example.org/" }), 400, "M_INVALID_PARAM", scheme),
            (json!({ "url": "file:///etc/passwd" }), 400, "M_INVALID_PARAM", scheme),
            (json!({ "url": "https://u:p@example.org/" }), 400, "M_INVALID_PARAM", parts),
            (json!({ "url": "https://u@example.org/" }), 400, "M_INVALID_PARAM", parts),
            (json!({ "url": "https://example.org/#x" }), 400, "M_INVALID_PARAM", parts),
            (json!({ "url": "http://10.0.0.1/" }), 400, "M_INVALID_PARAM", inside),
            (json!({ "url": "http://[::1]:8008/" }), 400, "M_INVALID_PARAM", inside),
            (json!({ "url": "http://169.254.169.254/" }), 400, "M_INVALID_PARAM", inside),
            (json!({ "url": "http://0x0a000001/" }), 400, "M_INVALID_PARAM", inside),
            (json!({ "secret": "whsec_eA==" }), 400, "M_INVALID_PARAM", "Unknown key 'secret'"),
        ];
        let before = (admin.get(AUDIT).await.body, admin.get(PATH).await.body);
        for (wrong, status, code, text) in cases {
            let mut body = good.clone();
            body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            assert_eq!(admin.post(PATH, body).await.refusal(), (status, code, text), "{wrong}");
            if wrong.get("name").is_none() {
                assert_eq!(admin.put(&format!("{PATH}/taken"), wrong.clone()).await.refusal(), (status, code, text), "{wrong}");
            }
        }
        assert_eq!(admin.post(PATH, json!({})).await.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['name', 'url']"));
        let rename = admin.put(&format!("{PATH}/taken"), json!({ "name": "other" })).await;
        assert_eq!(rename.refusal(), (400, "M_INVALID_PARAM", "Unknown key 'name'"));
        let either = "Either 'position' or 'from_ts' must be given";
        let position = "The position must be from 0 to that of the newest event";
        for (path, body, text) in [
            ("rotate", json!({ "overlap_ms": -1 }), "The overlap must be from 0 to 30 days"),
            ("rotate", json!({ "overlap_ms": 30 * DAY + 1 }), "The overlap must be from 0 to 30 days"),
            ("rotate", json!({ "overlap": 1 }), "Unknown key 'overlap'"),
            ("replay", json!({}), either),
            ("replay", json!({ "position": 0, "from_ts": 0 }), either),
            ("replay", json!({ "position": -1 }), position),
            ("replay", json!({ "position": i64::from(i32::MAX) }), position),
            ("replay", json!({ "after": 1 }), "Unknown key 'after'"),
        ] {
            let reply = admin.post(&format!("{PATH}/taken/{path}"), body.clone()).await;
            assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", text), "{path} {body}");
        }
        let reply = admin.post(&format!("{PATH}/taken/replay"), json!({ "position": "0" })).await;
        assert_eq!(reply.refusal(), (400, "M_BAD_JSON", "'position' must be an integer"));
        for path in ["x", "1", "-1", "99999999999999999999"] {
            let one = format!("{PATH}/taken/dead_letters/{path}");
            for reply in [admin.delete(&one).await, admin.post(&format!("{one}/retry"), json!({})).await] {
                assert_eq!(reply.refusal(), (404, "M_NOT_FOUND", "Dead letter not found"));
            }
        }
        for path in [format!("{PATH}?from=1"), format!("{PATH}?from=1_x"), format!("{PATH}/taken/dead_letters?from=x")] {
            assert_eq!(admin.get(&path).await.refusal().1, "M_INVALID_PARAM", "{path}");
        }
        assert_eq!((admin.get(AUDIT).await.body, admin.get(PATH).await.body), before);
        assert_eq!(receiver.web.waiting().await, 0);
    }

    #[config(|config| {
        inside(config);
        config.webhooks.max = 3;
    })]
    async fn there_are_not_too_many(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        for name in ["w0", "w1", "w2"] {
            set_up(&admin, name, &receiver, json!(["job.ended"])).await;
        }
        let body = json!({ "name": "w3", "url": receiver.web.url("/hook") });
        let refused = admin.post(PATH, body.clone()).await;
        assert_eq!(refused.refusal(), (400, "M_TOO_LARGE", "The server cannot have more than 3 webhooks"));
        let (mut names, mut from) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("{PATH}?limit=2{from}")).await.body;
            names.extend(page["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.get("next_token") else { break };
            from = format!("&from={}", next.as_str().unwrap());
        }
        assert_eq!(names, ["w2", "w1", "w0"]);
        admin.delete(&format!("{PATH}/w1")).await;
        assert_eq!(admin.post(PATH, body).await.status, 201);
    }

    #[config(inside)]
    async fn readers_see_no_secret_in_a_url(server: Server) {
        let admin = server.admin().await;
        for (name, url) in [
            ("path", "https://hooks.example.org:8443/services/T0/a-secret"),
            ("query", "https://hooks.example.org/?key=a-secret"),
            ("plain", "https://hooks.example.org/in"),
        ] {
            let body = json!({ "name": name, "url": url, "events": ["account.created"] });
            let created = admin.post(PATH, body).await;
            assert_eq!((created.status, created.text("url")), (201, url));
            assert_eq!(get(&admin, name).await["url"], url);
        }
        let token = json!({ "name": "reader", "scopes": ["webhooks:read"] });
        let reader = server.with_token(admin.post(TOKENS, token).await.text("secret"));
        let shown = ["https://hooks.example.org/in", "https://hooks.example.org/?key…", "https://hooks.example.org:8443/serv…"];
        let all = ok(reader.get(PATH).await);
        let urls: Vec<&str> = all["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["url"].as_str().unwrap()).collect();
        assert_eq!(urls, shown);
        for (name, url) in ["plain", "query", "path"].into_iter().zip(shown) {
            assert_eq!(get(&reader, name).await["url"], url);
        }
        assert!(ok(admin.get(PATH).await)["webhooks"][2]["url"].as_str().unwrap().ends_with("/a-secret"));
    }

    #[config(inside_and_open)]
    async fn what_happens_is_told(server: Server) {
        let receiver = Receiver::start().await;
        let admin = server.admin().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = create(&alice, json!({ "preset": "public_chat" })).await;
        join(&bob, &room).await;
        let event = say(&alice, &room, "hello").await;
        let media = crate::client::media::upload(&alice, "text/plain", "bytes").await;
        let created = admin.post(PATH, json!({ "name": "all", "url": receiver.web.url("/hook") })).await;
        let secret = created.text("secret").to_owned();
        server.clock.advance(1234);

        put_user(&admin, "carol", json!({ "password": "a secret password", "displayname": "Carol" })).await;
        let told = receiver.told(&secret).await;
        let log = ok(admin.get(&format!("{AUDIT}?limit=1")).await);
        let position = told.position();
        assert_eq!(told, Told {
            id: format!("msg_{position}_{}", START_MS + 1234),
            body: json!({
                "type": "account.created",
                "timestamp": "2023-11-14T22:13:21.234Z",
                "data": {
                    "position": position,
                    "target": "@carol:test",
                    "actor": { "kind": "user", "id": "@admin:test" },
                    "action": "user.create",
                    "audit_id": log["entries"][0]["id"],
                    "details": { "admin": false, "user_type": null, "displayname": "Carol", "locked": false, "deactivated": false },
                },
            }),
        });
        let mut last = position;
        let mut expect = async |kinds: &[&str], target: &str| {
            let mut all = Vec::new();
            for kind in kinds {
                let told = receiver.told(&secret).await;
                assert_eq!((told.kind(), told.target()), (*kind, target));
                assert!(told.position() > last, "{told:?} after {last}");
                last = told.position();
                all.push(told.body["data"].clone());
            }
            all
        };
        // Acts of administrators.
        put_user(&admin, "carol", json!({ "displayname": "C", "locked": true, "admin": true })).await;
        expect(&["account.admin_granted", "account.locked", "account.changed"], "@carol:test").await;
        put_user(&admin, "carol", json!({ "locked": false, "admin": false, "password": "another" })).await;
        expect(&["account.admin_revoked", "account.unlocked", "account.password_changed"], "@carol:test").await;
        let change = "/_reeve/admin/v1/users/@carol:test/password_change";
        ok(admin.put(change, json!({ "required": true })).await);
        expect(&["account.changed"], "@carol:test").await;
        ok(admin.post("/_synapse/admin/v1/reset_password/@carol:test", json!({ "new_password": "a third" })).await);
        expect(&["account.password_changed", "account.changed"], "@carol:test").await;
        // A new account is one happening, also with addresses and external ids.
        put_user(&admin, "gwen", json!({
            "threepids": [{ "medium": "email", "address": "gwen@example.org" }],
            "external_ids": [{ "auth_provider": "p", "external_id": "gwen" }],
        })).await;
        let gwen = expect(&["account.created"], "@gwen:test").await;
        assert_eq!(gwen[0]["details"]["threepids"], json!([["email", "gwen@example.org"]]));
        for (suspend, kind) in [(true, "account.suspended"), (false, "account.unsuspended")] {
            ok(admin.put("/_synapse/admin/v1/suspend/@carol:test", json!({ "suspend": suspend })).await);
            expect(&[kind], "@carol:test").await;
        }
        ok(admin.post("/_synapse/admin/v1/users/@carol:test/shadow_ban", json!({})).await);
        expect(&["account.shadow_banned"], "@carol:test").await;
        ok(admin.delete("/_synapse/admin/v1/users/@carol:test/shadow_ban").await);
        expect(&["account.shadow_unbanned"], "@carol:test").await;
        for (role, kind) in [
            (json!("owner"), "account.admin_granted"),
            (Value::Null, "account.admin_revoked"),
            (json!("support"), "account.changed"),
            (Value::Null, "account.changed"),
        ] {
            ok(admin.put("/_reeve/admin/v1/users/@carol:test/role", json!({ "role": role })).await);
            expect(&[kind], "@carol:test").await;
        }
        ok(admin.post("/_synapse/admin/v1/users/@carol:test/login", json!({})).await);
        expect(&["account.impersonated"], "@carol:test").await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@carol:test", json!({ "erase": true })).await);
        let both = expect(&["account.deactivated", "job.ended"], "@carol:test").await;
        assert_eq!(both[1], json!({
            "position": both[1]["position"], "target": "@carol:test",
            "actor": { "kind": "job", "id": "deactivate_user" }, "action": null, "audit_id": null,
            "details": { "job_id": both[0]["details"]["job"], "kind": "deactivate_user", "state": "complete", "error": null },
        }));
        put_user(&admin, "carol", json!({ "deactivated": false, "password": "a third" })).await;
        expect(&["account.reactivated", "account.password_changed"], "@carol:test").await;
        for (what, kind) in [("quarantine", "media.quarantined"), ("unquarantine", "media.unquarantined")] {
            ok(admin.post(&format!("/_synapse/admin/v1/media/{what}/test/{media}"), json!({})).await);
            expect(&[kind], &media).await;
        }
        ok(admin.delete(&format!("/_synapse/admin/v1/media/test/{media}")).await);
        expect(&["media.deleted"], &media).await;
        for (block, kind) in [(true, "room.blocked"), (false, "room.unblocked")] {
            ok(admin.put(&format!("/_synapse/admin/v1/rooms/{}/block", enc(&room)), json!({ "block": block })).await);
            expect(&[kind], &room).await;
        }
        admin.post(TOKENS, json!({ "name": "bot", "scopes": ["users:read"] })).await;
        ok(admin.put(&format!("{TOKENS}/bot"), json!({ "description": "x" })).await);
        ok(admin.post(&format!("{TOKENS}/bot/rotate"), json!({})).await);
        ok(admin.delete(&format!("{TOKENS}/bot")).await);
        expect(&["service_token.created", "service_token.changed", "service_token.rotated", "service_token.deleted"], "bot").await;
        // Acts of people.
        ok(bob.post(&room_path(&room, &format!("report/{}", enc(&event))), json!({ "reason": "rude", "score": -1 })).await);
        let report = expect(&["event.reported"], &event).await;
        assert_eq!((&report[0]["actor"]["id"], &report[0]["details"]), (
            &json!("@bob:test"),
            &json!({ "room_id": room, "event_id": event, "sender": "@alice:test", "reason": "rude", "score": -1 }),
        ));
        ok(bob.post(&room_path(&room, "report"), json!({ "reason": "loud" })).await);
        expect(&["room.reported"], &room).await;
        ok(bob.post(&format!("{CS}/users/@alice:test/report"), json!({ "reason": "rude" })).await);
        expect(&["user.reported"], "@alice:test").await;
        let other = create(&bob, json!({})).await;
        let made = expect(&["room.created"], &other).await;
        assert_eq!(made[0]["actor"], json!({ "kind": "user", "id": "@bob:test" }));
        ok(call(&admin, &Method::DELETE, &format!("/_synapse/admin/v1/rooms/{}", enc(&other))).await);
        expect(&["room.deleted", "job.ended"], &other).await;
        let registered = server.stranger().post(&format!("{CS}/register"), json!({
            "username": "dora", "password": "dora's password", "auth": { "type": "m.login.dummy" },
        })).await;
        assert_eq!(registered.status, 200, "{}", registered.body);
        let own = expect(&["account.created", "account.logged_in"], "@dora:test").await;
        assert_eq!(own[0]["actor"], json!({ "kind": "user", "id": "@dora:test" }));
        assert_eq!((&own[0]["action"], &own[0]["audit_id"]), (&Value::Null, &Value::Null));
        assert_eq!(own[1]["details"], json!({ "device_id": registered.text("device_id"), "display_name": null, "ip": "127.0.0.1" }));
        let dora = server.log_in("dora", "dora's password").await;
        expect(&["account.logged_in"], "@dora:test").await;
        // Logging in again on the same device is nothing new.
        ok(server.stranger().post(&format!("{CS}/login"), json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "dora" },
            "password": "dora's password", "device_id": dora.device_id,
        })).await);
        let dora = server.log_in("dora", "dora's password").await;
        expect(&["account.logged_in"], "@dora:test").await;
        // In a browser, and again in the same.
        let mut browser = server.signed_in("dora").await;
        let own = expect(&["account.logged_in"], "@dora:test").await;
        assert_eq!(own[0]["details"], json!({ "browser": true, "ip": "127.0.0.1" }));
        let logout = browser.get("/_reeve/pages/logout").await;
        let token = reeve_testkit::form(&logout, "/_reeve/pages/logout").fields["form_token"].clone();
        let fields = [("form_token", &*token), ("username", "dora"), ("password", "dora's password")];
        assert_eq!(browser.post("/_reeve/pages/login", &fields).await.status, 303);
        let auth = |password: &str| json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "dora" }, "password": password,
        });
        ok(dora.put(&format!("{CS}/profile/@dora:test/displayname"), json!({ "displayname": "D" })).await);
        expect(&["account.changed"], "@dora:test").await;
        ok(dora.post(&format!("{CS}/account/password"), json!({ "new_password": "new", "auth": auth("dora's password") })).await);
        expect(&["account.password_changed"], "@dora:test").await;
        ok(dora.post(&format!("{CS}/account/deactivate"), json!({ "auth": auth("new") })).await);
        let gone = expect(&["account.deactivated"], "@dora:test").await;
        assert_eq!(gone[0]["actor"]["id"], "@dora:test");
        assert_eq!(receiver.told(&secret).await.kind(), "job.ended");
    }

    #[config(inside)]
    async fn only_what_is_wanted_is_told_and_no_secret(server: Server) {
        let admin = server.admin().await;
        let count = async || {
            let count = |tx: &reeve_db::ReadTx<'_>| reeve_store::happenings::first_since(tx, reeve_model::Millis::ZERO);
            server.app().db.read(count).await.unwrap()
        };
        put_user(&admin, "early", json!({})).await;
        assert_eq!(count().await, None, "nothing is kept without a webhook");
        let receiver = Receiver::start().await;
        let secret = set_up(&admin, "log", &receiver, json!(["administration.other"])).await;
        put_user(&admin, "bob", json!({ "password": "hidden password" })).await;
        assert_eq!(count().await, None, "no webhook wants it");
        let tokens = "/_synapse/admin/v1/registration_tokens";
        ok(admin.post(&format!("{tokens}/new"), json!({ "token": "hidden" })).await);
        ok(admin.put(&format!("{tokens}/hidden"), json!({ "uses_allowed": 3 })).await);
        ok(admin.delete(&format!("{tokens}/hidden")).await);
        for action in ["registration_token.create", "registration_token.update", "registration_token.delete"] {
            let told = receiver.told(&secret).await;
            let data = &told.body["data"];
            assert_eq!((told.kind(), &data["action"], &data["target"]), ("administration.other", &json!(action), &Value::Null));
            assert!(!told.body.to_string().contains("hidden"), "{told:?}");
        }
        set_up(&admin, "second", &receiver, json!(["job.ended"])).await;
        let told = receiver.told(&secret).await;
        assert_eq!((told.target(), &told.body["data"]["action"]), ("second", &json!("webhook.create")));
        let told = told.body.to_string();
        assert!(!told.contains("whsec_") && !told.contains("hook\""), "{told}");
        // What nobody can be told of any more is deleted.
        ok(admin.delete(&format!("{PATH}/log")).await);
        assert!(count().await.is_some());
        ok(admin.delete(&format!("{PATH}/second")).await);
        server.app().webhooks.prune().await.unwrap();
        assert_eq!(count().await, None);
    }

    #[config(inside)]
    async fn a_receiver_that_fails_half_of_the_time_gets_everything_in_order(server: Server) {
        let admin = server.admin().await;
        let number = AtomicUsize::new(0);
        let web = Web::start(move |_| {
            let fails = number.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            Response::builder().status(if fails { 500 } else { 200 }).body("".into()).unwrap()
        });
        let receiver = Receiver { web: web.await, status: Arc::default() };
        let steady = Receiver::start().await;
        let secret = set_up(&admin, "flaky", &receiver, json!(["account.created"])).await;
        let other = set_up(&admin, "steady", &steady, json!(["account.created"])).await;
        let names: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
        for name in &names {
            put_user(&admin, name, json!({})).await;
        }
        let mut ids = Vec::new();
        for name in &names {
            // One does not wait for the other.
            let smooth = steady.told(&other).await;
            let failed = receiver.told(&secret).await;
            assert_eq!((failed.target(), &smooth), (&*format!("@{name}:test"), &failed));
            fails(&server, &admin, "flaky", 1).await;
            let again = receiver.told(&secret).await;
            assert_eq!(again, failed, "a repetition has the same id and the same body");
            ids.push(again.id);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), names.len());
        let done = idle(&admin, "flaky").await;
        assert_eq!((&done["failures"], &done["failing_since_ts"], &done["next_try_ts"]), (&json!(0), &Value::Null, &Value::Null));
        assert_eq!((receiver.web.waiting().await, steady.web.waiting().await), (0, 0));
        let metrics = server.stranger().get("/metrics").await;
        let metrics = metrics.body.as_str().unwrap_or_default();
        for line in [
            "reeve_webhook_deliveries_total{kind=\"event\",outcome=\"failed\"} 10",
            "reeve_webhook_deliveries_total{kind=\"event\",outcome=\"delivered\"} 20",
        ] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
    }

    #[config(inside)]
    async fn a_restart_loses_nothing(server: Server) {
        let mut server = server;
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        receiver.answers(503);
        let secret = set_up(&admin, "w", &receiver, json!(["account.created"])).await;
        put_user(&admin, "u0", json!({})).await;
        let first = receiver.told(&secret).await;
        put_user(&admin, "u1", json!({})).await;
        shows(&admin, "w", |webhook| webhook["failures"] == 1).await;
        receiver.answers(200);
        server.restart(|_| ()).await;
        let admin = server.again(&admin);
        server.clock.advance(1000);
        assert_eq!(receiver.told(&secret).await, first);
        assert_eq!(receiver.told(&secret).await.target(), "@u1:test");
        put_user(&admin, "u2", json!({})).await;
        assert_eq!(receiver.told(&secret).await.target(), "@u2:test");
    }

    #[config(inside)]
    async fn dead_letters_and_replay(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        receiver.answers(500);
        let secret = set_up(&admin, "w", &receiver, json!(["account.created"])).await;
        for name in ["u0", "u1"] {
            put_user(&admin, name, json!({})).await;
        }
        let letters = format!("{PATH}/w/dead_letters");
        assert_eq!(admin.get(&letters).await, (200, json!({ "dead_letters": [] })));
        let mut positions = Vec::new();
        for _ in 0..2 {
            positions.push(receiver.told(&secret).await.position());
            shows(&admin, "w", |webhook| webhook["failures"] == 1).await;
            server.clock.advance(DAY);
            receiver.told(&secret).await;
            eventually(&admin, &letters, |reply| reply.body["dead_letters"][0]["position"] == *positions.last().unwrap()).await;
        }
        let reason = "the receiver returned 500 Internal Server Error";
        let letter = |n: usize, failed_ts: i64, reason: &str| json!({
            "position": positions[n], "type": "account.created", "happened_ts": START_MS, "failed_ts": failed_ts, "reason": reason,
        });
        let both = json!([letter(1, START_MS + 2 * DAY, reason), letter(0, START_MS + DAY, reason)]);
        assert_eq!(admin.get(&letters).await, (200, json!({ "dead_letters": both })));
        let first = admin.get(&format!("{letters}?limit=1")).await.body;
        assert_eq!(first["dead_letters"], json!([both[0]]));
        let second = admin.get(&format!("{letters}?limit=1&from={}", first["next_token"].as_str().unwrap())).await;
        assert_eq!(second, (200, json!({ "dead_letters": [both[1]] })));
        let webhook = get(&admin, "w").await;
        assert_eq!((&webhook["waiting"], &webhook["failures"]), (&json!(0), &json!(0)));

        // One is tried again, in vain and with success; the other is deleted.
        let one = format!("{letters}/{}", positions[0]);
        receiver.answers(400);
        let failed = "the receiver returned 400 Bad Request";
        assert_eq!(admin.post(&format!("{one}/retry"), json!({})).await, (200, json!({ "delivered": false, "reason": failed })));
        assert_eq!(receiver.told(&secret).await.position(), positions[0]);
        let listed = admin.get(&letters).await.body;
        assert_eq!(listed["dead_letters"][1], letter(0, START_MS + 2 * DAY, failed));
        receiver.answers(200);
        assert_eq!(admin.post(&format!("{one}/retry"), json!({})).await, (200, json!({ "delivered": true, "reason": null })));
        assert_eq!(receiver.told(&secret).await.target(), "@u0:test");
        assert_eq!(admin.post(&format!("{one}/retry"), json!({})).await.status, 404);
        assert_eq!(admin.delete(&format!("{letters}/{}", positions[1])).await, (200, json!({})));
        assert_eq!(admin.get(&letters).await, (200, json!({ "dead_letters": [] })));

        // A replay from a position, from a time, and to the end.
        let replay = async |body: Value| ok(admin.post(&format!("{PATH}/w/replay"), body).await);
        put_user(&admin, "u2", json!({})).await;
        let third = receiver.told(&secret).await;
        let replayed = replay(json!({ "position": positions[0] })).await;
        assert_eq!((&replayed["position"], &replayed["waiting"]), (&json!(positions[0]), &json!(2)));
        assert_eq!(receiver.told(&secret).await.position(), positions[1]);
        assert_eq!(receiver.told(&secret).await, third);
        idle(&admin, "w").await;
        replay(json!({ "from_ts": START_MS + 2 * DAY })).await;
        assert_eq!(receiver.told(&secret).await, third);
        idle(&admin, "w").await;
        replay(json!({ "position": 0 })).await;
        for target in ["@u0:test", "@u1:test", "@u2:test"] {
            assert_eq!(receiver.told(&secret).await.target(), target);
        }
        let done = idle(&admin, "w").await;
        receiver.answers(500);
        put_user(&admin, "u3", json!({})).await;
        let skipped = receiver.told(&secret).await;
        shows(&admin, "w", |webhook| webhook["failures"] == 1).await;
        receiver.answers(200);
        let skipping = replay(json!({ "position": skipped.position() })).await;
        assert_eq!((&skipping["waiting"], &skipping["failures"]), (&json!(0), &json!(0)));
        assert!(skipping["position"].as_i64() > done["position"].as_i64());
        replay(json!({ "from_ts": START_MS + 3 * DAY })).await;
        put_user(&admin, "u4", json!({})).await;
        assert_eq!(receiver.told(&secret).await.target(), "@u4:test");
        let entries: Vec<String> = acts(&admin, "w").await.into_iter().map(|(action, _)| action).collect();
        assert_eq!(entries, [
            "webhook.create", "webhook.retry", "webhook.retry", "webhook.delete_dead_letter",
            "webhook.replay", "webhook.replay", "webhook.replay", "webhook.replay", "webhook.replay",
        ]);

        // What is too old is gone, with its dead letters.
        receiver.answers(410);
        put_user(&admin, "u5", json!({})).await;
        receiver.told(&secret).await;
        eventually(&admin, &letters, |reply| reply.body["dead_letters"].as_array().unwrap().len() == 1).await;
        server.clock.advance(30 * DAY + 1);
        server.app().webhooks.prune().await.unwrap();
        assert_eq!(admin.get(&letters).await, (200, json!({ "dead_letters": [] })));
        assert_eq!(replay(json!({ "position": 0 })).await["waiting"], 0);
    }

    #[config(inside)]
    async fn secrets_are_rotated(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        let first = set_up(&admin, "w", &receiver, json!(["account.created"])).await;
        let rotate = async |body: Value| {
            let reply = admin.post(&format!("{PATH}/w/rotate"), body).await;
            assert_eq!((reply.status, reply.text("name")), (200, "w"), "{}", reply.body);
            reply.text("secret").to_owned()
        };
        // Signatures of the newest secret come first.
        let mut names = (0..).map(|n| format!("u{n}"));
        let mut signs = async |secrets: &[&String]| {
            put_user(&admin, &names.next().unwrap(), json!({})).await;
            let asked = receiver.web.asked().await;
            let expected: Vec<String> = secrets.iter().map(|secret| signature(&asked, secret)).collect();
            assert_eq!(signatures(&asked), expected);
        };
        signs(&[&first]).await;
        let second = rotate(json!({})).await;
        signs(&[&second, &first]).await;
        server.clock.advance(DAY - 1);
        signs(&[&second, &first]).await;
        let third = rotate(json!({ "overlap_ms": 10 })).await;
        signs(&[&third, &second, &first]).await;
        server.clock.advance(1);
        signs(&[&third, &second]).await;
        let fourth = rotate(json!({ "overlap_ms": 0 })).await;
        signs(&[&fourth]).await;
        for _ in 0..4 {
            rotate(json!({})).await;
        }
        let full = admin.post(&format!("{PATH}/w/rotate"), json!({})).await;
        let text = "Five secrets are valid: rotate with an overlap of 0, or later";
        assert_eq!(full.refusal(), (400, "M_INVALID_PARAM", text));
        let last = rotate(json!({ "overlap_ms": 0 })).await;
        signs(&[&last]).await;
        assert!(!admin.get(AUDIT).await.body.to_string().contains("whsec_"));
        assert!(!admin.get(PATH).await.body.to_string().contains("whsec_"));
    }

    #[config(inside)]
    async fn disabled_gone_and_tested(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        let secret = set_up(&admin, "w", &receiver, json!(["account.created"])).await;
        let one = format!("{PATH}/w");
        ok(admin.put(&one, json!({ "enabled": false })).await);
        put_user(&admin, "u0", json!({})).await;
        let test = async || ok(admin.post(&format!("{PATH}/w/test"), json!({})).await);
        assert_eq!(test().await, json!({ "delivered": true, "reason": null }));
        let told = receiver.told(&secret).await;
        assert_eq!((told.kind(), &told.body["data"]), ("webhook.test", &json!({ "webhook": "w" })));
        assert!(told.id.starts_with("msg_test_"), "{told:?}");
        assert_eq!(get(&admin, "w").await["waiting"], 1);
        // It is told what happened meanwhile.
        ok(admin.put(&one, json!({ "enabled": true })).await);
        assert_eq!(receiver.told(&secret).await.target(), "@u0:test");

        receiver.answers(410);
        put_user(&admin, "u1", json!({})).await;
        put_user(&admin, "u2", json!({})).await;
        assert_eq!(receiver.told(&secret).await.target(), "@u1:test");
        let gone = shows(&admin, "w", |webhook| webhook["enabled"] == false).await;
        assert_eq!((&gone["waiting"], &gone["failures"]), (&json!(1), &json!(0)));
        let letters = ok(admin.get(&format!("{one}/dead_letters")).await);
        assert_eq!(letters["dead_letters"][0]["reason"], "the receiver returned 410 Gone");
        let log = ok(admin.get(&format!("{AUDIT}?target=w&limit=1")).await);
        let entry = &log["entries"][0];
        assert_eq!((&entry["actor_kind"], &entry["actor"], &entry["action"], &entry["changes"]), (
            &json!("server"), &json!("server"), &json!("webhook.update"),
            &json!({ "enabled": false, "reason": "the receiver returned 410 Gone" }),
        ));
        receiver.answers(302);
        assert_eq!(test().await, json!({ "delivered": false, "reason": "the receiver returned 302 Found" }));
        receiver.told(&secret).await;
        receiver.answers(204);
        ok(admin.put(&one, json!({ "enabled": true })).await);
        assert_eq!(receiver.told(&secret).await.target(), "@u2:test");

        // A new URL holds from the next try on, which comes at once.
        receiver.answers(500);
        put_user(&admin, "u3", json!({})).await;
        receiver.told(&secret).await;
        shows(&admin, "w", |webhook| webhook["failures"] == 1).await;
        let moved = Receiver::start().await;
        ok(admin.put(&one, json!({ "url": moved.web.url("/hook") })).await);
        assert_eq!(moved.told(&secret).await.target(), "@u3:test");
        idle(&admin, "w").await;
        assert_eq!(receiver.web.waiting().await, 0);
    }

    #[config(inside)]
    async fn one_that_is_deleted_in_the_middle_of_a_request_is_gone(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        // Deleted while it waits for the next try.
        receiver.answers(500);
        let secret = set_up(&admin, "waits", &receiver, json!(["account.created"])).await;
        put_user(&admin, "u0", json!({})).await;
        receiver.told(&secret).await;
        shows(&admin, "waits", |webhook| webhook["failures"] == 1).await;
        ok(admin.delete(&format!("{PATH}/waits")).await);
        // Deleted while the receiver thinks.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let slow = Web::start(move |_| {
            begun.send(()).unwrap();
            tokio::task::block_in_place(|| released.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap());
            Response::builder().status(500).body("".into()).unwrap()
        });
        let slow = Receiver { web: slow.await, status: Arc::default() };
        set_up(&admin, "slow", &slow, json!(["account.created"])).await;
        put_user(&admin, "u1", json!({})).await;
        begins.recv().await.unwrap();
        ok(admin.delete(&format!("{PATH}/slow")).await);
        release.send(()).unwrap();
        slow.web.asked().await;
        server.clock.advance(DAY);
        // A later one is told later things only.
        receiver.answers(200);
        let secret = set_up(&admin, "slow", &receiver, json!(["account.created"])).await;
        put_user(&admin, "u2", json!({})).await;
        assert_eq!(receiver.told(&secret).await.target(), "@u2:test");
        assert_eq!(idle(&admin, "slow").await["failures"], 0);
        assert_eq!((receiver.web.waiting().await, slow.web.waiting().await), (0, 0));
        assert_eq!(admin.get(&format!("{PATH}/slow/dead_letters")).await, (200, json!({ "dead_letters": [] })));
    }

    async fn a_receiver_inside_the_network_is_not_reached(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        // The address of a name is known when a request is made.
        let url = receiver.web.url("/hook").replace("127.0.0.1", "localhost");
        let created = admin.post(PATH, json!({ "name": "w", "url": url, "events": ["account.created"] })).await;
        assert_eq!(created.status, 201, "{}", created.body);
        put_user(&admin, "u0", json!({})).await;
        shows(&admin, "w", |webhook| webhook["failures"] == 1).await;
        let test = ok(admin.post(&format!("{PATH}/w/test"), json!({})).await);
        let reason = "the receiver is not on the public internet, and outgoing.allow_ranges does not have its address";
        assert_eq!(test, json!({ "delivered": false, "reason": reason }));
        assert_eq!(receiver.web.waiting().await, 0);
    }

    #[config(inside)]
    async fn nobody_sends_out_what_they_may_not_read(server: Server) {
        let admin = server.admin().await;
        let receiver = Receiver::start().await;
        let url = receiver.web.url("/hook");
        // One event of each set of scopes.
        let mut some: Vec<(&str, &[Scope])> = Vec::new();
        for (word, kind) in HappeningKind::WORDS {
            if !some.iter().any(|(_, scopes)| *scopes == needs(*kind)) {
                some.push((word, needs(*kind)));
                set_up(&admin, word, &receiver, json!([word])).await;
            }
        }
        for (n, (word, scope)) in Scope::WORDS.iter().enumerate() {
            // Every scope but one, and webhooks:write with one.
            let all_but = Scopes::ALL.iter().filter(|other| other != scope).collect::<Scopes>();
            let with_one = [*scope, Scope::WebhooksWrite, Scope::WebhooksRead].into_iter().collect::<Scopes>();
            for (name, scopes) in [("without", all_but), ("with", with_one)] {
                let caller = service(&server, &admin, &format!("{name}{n}"), scopes).await;
                for (event, needed) in &some {
                    let what = format!("{name} {word}: {event}");
                    let lacks = needed.iter().find(|scope| !scopes.contains(**scope));
                    let expected = if scopes.contains(Scope::WebhooksWrite) {
                        lacks.map(|scope| format!("You cannot send out {event}: that needs the scope {scope}, which you do not hold"))
                    } else {
                        Some("The service token lacks the scope webhooks:write".to_owned())
                    };
                    let name = format!("w{n}{event}");
                    let one = format!("{PATH}/{event}");
                    let replies = [
                        caller.post(PATH, json!({ "name": name, "url": url, "events": [event] })).await,
                        caller.put(&one, json!({ "url": url })).await,
                        caller.post(&format!("{one}/replay"), json!({ "position": 0 })).await,
                        caller.post(&format!("{one}/rotate"), json!({ "overlap_ms": 0 })).await,
                    ];
                    for reply in &replies {
                        match &expected {
                            Some(text) => assert_eq!(refusal(reply), (403, "M_FORBIDDEN", text.clone()), "{what}"),
                            None => assert!(reply.status < 202, "{what}: {}", reply.body),
                        }
                    }
                    if expected.is_none() {
                        ok(admin.delete(&format!("{PATH}/{name}")).await);
                    }
                }
                let reads = caller.get(PATH).await.status;
                assert_eq!(reads == 200, scopes.contains(Scope::WebhooksRead), "{name} {word}");
            }
        }
        // A webhook for more than the caller may read cannot be led elsewhere, nor widened.
        let narrow = [Scope::WebhooksWrite, Scope::UsersRead].into_iter().collect();
        let caller = service(&server, &admin, "narrow", narrow).await;
        assert_eq!(caller.post(PATH, json!({ "name": "own", "url": url, "events": ["account.logged_in"] })).await.status, 201);
        for (name, body) in [
            ("own", json!({ "events": ["account.logged_in", "job.ended"] })),
            ("job.ended", json!({ "events": ["account.logged_in"] })),
            ("job.ended", json!({ "enabled": false })),
        ] {
            let reply = caller.put(&format!("{PATH}/{name}"), body).await;
            let text = "You cannot send out job.ended: that needs the scope server:read, which you do not hold";
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", text));
        }
        let all = caller.post(PATH, json!({ "name": "all", "url": url })).await;
        assert_eq!(all.refusal().0, 403, "all events are meant");
        for path in ["test", "dead_letters/1/retry"] {
            assert_eq!(caller.post(&format!("{PATH}/job.ended/{path}"), json!({})).await.refusal().0, 403, "{path}");
        }
        // A webhook would outlive a token that expires.
        let reply = admin.post(TOKENS, json!({ "name": "brief", "scopes": Scopes::ALL, "expires_ts": START_MS + DAY })).await;
        let brief = server.with_token(reply.text("secret"));
        let text = "A service token that expires cannot set up a webhook, which would outlive it";
        let reply = brief.post(PATH, json!({ "name": "brief", "url": url })).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", text));
        assert_eq!(brief.put(&format!("{PATH}/own"), json!({ "enabled": false })).await.refusal(), (403, "M_FORBIDDEN", text));
        assert_eq!(brief.delete(&format!("{PATH}/own")).await, (200, json!({})), "deleting takes nothing out");
    }
}

#[test]
fn two_processes_send_each_event_in_order() {
    Server::run(Engine::Postgres, inside, async |first| {
        const USERS_EACH: usize = 20;
        let second = first.beside().await;
        let admin = first.admin().await;
        let receiver = Receiver::start().await;
        let secret = set_up(&admin, "w", &receiver, json!(["account.created"])).await;
        let other = second.with_token(admin.token.as_deref().unwrap());
        let creators = [("a", &admin), ("b", &other)].map(async |(name, client)| {
            for n in 0..USERS_EACH {
                put_user(client, &format!("{name}{n}"), json!({})).await;
            }
        });
        let told = async {
            let mut all: Vec<Told> = Vec::new();
            while all.len() < 2 * USERS_EACH {
                let told = receiver.told(&secret).await;
                let last = all.last().map_or(0, Told::position);
                assert!(told.position() >= last, "{told:?} after {last}");
                if told.position() > last {
                    all.push(told);
                }
            }
            all
        };
        let (_, told) = future::join(future::join_all(creators), told).await;
        let mut targets: Vec<&str> = told.iter().map(Told::target).collect();
        targets.sort_unstable();
        targets.dedup();
        assert_eq!(targets.len(), 2 * USERS_EACH);
        // One process ends, the other goes on.
        drop(second);
        put_user(&admin, "last", json!({})).await;
        assert_eq!(receiver.told(&secret).await.target(), "@last:test");
    });
}

#[test]
fn the_scopes_of_events_are_documented() {
    let page = include_str!("../../../../../docs/operation.md");
    let quoted =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut documented = Vec::new();
    for row in page
        .lines()
        .skip_while(|line| !line.starts_with("| events |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let (events, scopes) = (quoted(cells[0]), quoted(cells[1]));
        documented.extend(events.into_iter().map(|event| (event, scopes.clone())));
    }
    let words = |kind| needs(kind).iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected: Vec<(String, Vec<String>)> =
        HappeningKind::WORDS.iter().map(|(word, kind)| ((*word).to_owned(), words(*kind))).collect();
    assert_eq!(documented, expected);
}
