//! Service tokens: their life, what they open, and what stays closed to them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use http::Method;
use reeve_app::{Access, Route};
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines, tokio};
use serde_json::{Value, json};

use crate::common::{call, filled};

const PATH: &str = "/_reeve/admin/v1/service_tokens";
const WHOAMI: &str = "/_reeve/admin/v1/whoami";
const USERS: &str = "/_synapse/admin/v2/users";
const UNKNOWN: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
const EXPIRED: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "Access token has expired");
const NO_ACCOUNT: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "A service token belongs to no account and cannot be used here");
const ABOVE: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "This account holds the scope admins:write, which you do not hold");

const SCIM_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Creates a service token; returns a client that has it.
pub(super) async fn issue(server: &Server, admin: &Client, name: &str, scopes: Scopes) -> Client {
    let reply = admin.post(PATH, json!({ "name": name, "scopes": scopes })).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    server.with_token(reply.text("secret"))
}

fn lacks(scope: Scope) -> (u16, &'static str, String) {
    (403, "M_FORBIDDEN", format!("The service token lacks the scope {scope}"))
}

pub(super) fn refusal(reply: &Reply) -> (u16, &str, String) {
    let (status, code, text) = reply.refusal();
    (status, code, text.to_owned())
}

fn only(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

/// The routes of administration with their scopes.
pub(super) fn admin_routes() -> impl Iterator<Item = (Arc<Route>, Scope)> {
    reeve::server::routes().into_iter().filter_map(|route| match route.admission.access {
        Access::Admin(scope) => Some((route, scope)),
        _ => None,
    })
}

/// Bodies with which a write about an account changes something.
fn body_of(operation: &str, user_id: &str, device_id: &str) -> Value {
    match operation {
        "putUser" => json!({ "displayname": "changed" }),
        "resetPassword" => json!({ "new_password": "changed" }),
        "setUserRatelimit" => json!({ "messages_per_second": 1 }),
        "suspendUser" => json!({ "suspend": true }),
        "redactUser" => json!({ "rooms": [] }),
        "setAdminLockUser" => json!({ "locked": true }),
        "setPasswordChange" => json!({ "required": true, "logout_devices": true }),
        "setAdminSuspendUser" => json!({ "suspended": true }),
        "createUserDevice" => json!({ "device_id": "NEW" }),
        "deleteUserDevices" => json!({ "devices": [device_id] }),
        "updateUserDevice" => json!({ "display_name": "changed" }),
        "setExperimentalFeatures" => json!({ "features": { "msc3881": true } }),
        "renewAccountValidity" => json!({ "user_id": user_id, "expiration_ts": START_MS - 1 }),
        "deleteRoom" | "deleteRoomInBackground" => json!({ "new_room_user_id": user_id }),
        "replaceScimUser" => json!({ "schemas": [SCIM_USER], "userName": "boss", "displayName": "changed" }),
        "patchScimUser" => json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "displayName", "value": "changed" }],
        }),
        _ => json!({}),
    }
}

/// Everything that the administration API shows of an account.
async fn snapshot(admin: &Client, user_id: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        format!("{USERS}/{user_id}"),
        format!("{USERS}/{user_id}/devices"),
        format!("/_synapse/admin/v1/users/{user_id}/media"),
        format!("/_synapse/admin/v1/users/{user_id}/override_ratelimit"),
        format!("/_synapse/admin/v1/experimental_features/{user_id}"),
        "/_reeve/admin/v1/audit".to_owned(),
        "/_reeve/admin/v1/jobs".to_owned(),
    ] {
        let reply = admin.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let mut body = reply.body;
        // It is written a few seconds late.
        body.as_object_mut().unwrap().remove("last_seen_ts");
        all.push(body);
    }
    all
}

/// Sends a PUT whose body arrives only after `meanwhile`, when the caller was authenticated long ago.
async fn put_slowly(
    server: &Server,
    admin: &Client,
    service: &Client,
    path: &str,
    meanwhile: impl Future<Output = Reply>,
) -> String {
    let name = service.get(WHOAMI).await.text("name").to_owned();
    server.clock.advance(1000);
    let (address, token, path) = (server.address(), service.token.clone().unwrap(), path.to_owned());
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{",
    );
    stream.write_all(head.as_bytes()).unwrap();
    let now = server.clock.now().get();
    crate::sync_kit::eventually(admin, &format!("{PATH}/{name}"), |reply| reply.body["last_used_ts"] == now)
        .await;
    let reply = meanwhile.await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    tokio::task::spawn_blocking(move || {
        stream.write_all(b"}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

on_both_engines! {
    async fn from_creation_to_deletion(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(PATH).await, (200, json!({ "service_tokens": [] })));
        let expires_ts = START_MS + 86_400_000;
        let created = admin.post(PATH, json!({
            "name": "provisioning", "description": "Creates accounts", "scopes": ["users:write", "users:read"],
            "networks": ["127.0.0.1", "10.1.0.0/8"], "expires_ts": expires_ts,
        })).await;
        let secret = created.text("secret").to_owned();
        assert!(secret.starts_with("rvs_") && secret.len() == 44, "{secret}");
        let mut shown = json!({
            "name": "provisioning", "description": "Creates accounts", "scopes": ["users:read", "users:write"],
            "networks": ["127.0.0.1", "10.0.0.0/8"], "created_by_kind": "user", "created_by": "@admin:test",
            "created_ts": START_MS, "expires_ts": expires_ts, "last_used_ts": null, "last_used_ip": null,
        });
        let mut issued = shown.clone();
        issued["secret"] = json!(secret);
        assert_eq!(created, (201, issued));
        let one = format!("{PATH}/provisioning");
        assert_eq!(admin.get(&one).await, (200, shown.clone()));
        assert_eq!(admin.get(PATH).await, (200, json!({ "service_tokens": [shown] })));

        let service = server.with_token(&secret);
        server.clock.advance(1);
        let put = service.put(&format!("{USERS}/@u:test"), json!({ "displayname": "U" })).await;
        assert_eq!(put.status, 201, "{}", put.body);
        shown["last_used_ts"] = json!(START_MS + 1);
        shown["last_used_ip"] = json!("127.0.0.1");
        assert_eq!(admin.get(&one).await, (200, shown.clone()));
        let newest = admin.get("/_reeve/admin/v1/audit?limit=1").await.body["entries"][0].clone();
        let of = |key: &str| newest[key].as_str().unwrap().to_owned();
        assert_eq!(
            [of("actor_kind"), of("actor"), of("action"), of("target"), of("ip")],
            ["service", "provisioning", "user.create", "@u:test", "127.0.0.1"]
        );

        let change = json!({ "description": "x", "scopes": ["users:read"], "networks": [], "expires_ts": null });
        for (key, value) in change.as_object().unwrap() {
            shown[key] = value.clone();
        }
        assert_eq!(admin.put(&one, change.clone()).await, (200, shown.clone()));
        assert_eq!(admin.put(&one, change).await, (200, shown.clone()), "nothing changes");
        assert_eq!(admin.put(&one, json!({})).await, (200, shown.clone()));
        let refused = service.put(&format!("{USERS}/@v:test"), json!({})).await;
        assert_eq!(refusal(&refused), lacks(Scope::UsersWrite));
        assert_eq!(service.get(USERS).await.status, 200);

        assert_eq!(admin.delete(&one).await, (200, json!({})));
        assert_eq!(service.get(USERS).await.refusal(), UNKNOWN);
        let missing = (404, "M_NOT_FOUND", "Service token not found");
        assert_eq!(admin.get(&one).await.refusal(), missing);
        assert_eq!(admin.put(&one, json!({})).await.refusal(), missing);
        assert_eq!(admin.delete(&one).await.refusal(), missing);
        assert_eq!(admin.post(&format!("{one}/rotate"), json!({})).await.refusal(), missing);

        let log = admin.get("/_reeve/admin/v1/audit?target=provisioning").await.body;
        let acts: Vec<(&str, &Value)> = log["entries"].as_array().unwrap().iter()
            .map(|entry| (entry["action"].as_str().unwrap(), &entry["changes"])).collect();
        assert_eq!(acts, [
            ("service_token.delete", &json!({})),
            ("service_token.update", &json!({ "description": "x", "scopes": ["users:read"], "networks": [], "expires_ts": null })),
            ("service_token.create", &json!({
                "description": "Creates accounts", "scopes": ["users:read", "users:write"],
                "networks": ["127.0.0.1", "10.0.0.0/8"], "expires_ts": expires_ts,
            })),
        ]);
        assert!(!admin.get("/_reeve/admin/v1/audit").await.body.to_string().contains("rvs_"));
    }

    async fn refusals(server: Server) {
        let admin = server.admin().await;
        issue(&server, &admin, "taken", only(&[Scope::UsersRead])).await;
        let good = json!({ "name": "new", "scopes": ["users:read"] });
        let long = "x".repeat(501);
        let name = "The name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; server, cli and system are taken";
        let many: Vec<String> = (0..101).map(|n| format!("10.0.0.{n}")).collect();
        let cases = [
            (json!({ "name": "taken" }), 409, "M_UNKNOWN", "A service token of this name exists"),
            (json!({ "name": "" }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": "a b" }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": ".." }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": "x".repeat(65) }), 400, "M_INVALID_PARAM", name),
            (json!({ "name": 1 }), 400, "M_BAD_JSON", "'name' must be a string"),
            (json!({ "description": long }), 400, "M_INVALID_PARAM", "The description is too long (max 500)"),
            (json!({ "description": null }), 400, "M_BAD_JSON", "'description' must be a string"),
            (json!({ "scopes": [] }), 400, "M_INVALID_PARAM", "A service token needs a scope"),
            (json!({ "scopes": ["users:eat"] }), 400, "M_INVALID_PARAM", "'users:eat' is not a scope"),
            (json!({ "scopes": "users:read" }), 400, "M_BAD_JSON", "'scopes' must be a list of strings"),
            (json!({ "networks": ["10.0.0.0/33"] }), 400, "M_INVALID_PARAM", "'10.0.0.0/33' is neither an address nor a network"),
            (json!({ "networks": [1] }), 400, "M_BAD_JSON", "'networks' must be a list of strings"),
            (json!({ "networks": many }), 400, "M_INVALID_PARAM", "A service token cannot have more than 100 networks"),
            (json!({ "expires_ts": START_MS }), 400, "M_INVALID_PARAM", "The expiry must not be in the past"),
            (json!({ "expires_ts": "soon" }), 400, "M_BAD_JSON", "'expires_ts' must be an integer or null"),
            (json!({ "network": [] }), 400, "M_INVALID_PARAM", "Unknown key 'network'"),
        ];
        let before = snapshot(&admin, "@admin:test").await;
        let list = admin.get(PATH).await.body;
        for (wrong, status, code, text) in cases {
            let mut body = good.clone();
            body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            assert_eq!(admin.post(PATH, body).await.refusal(), (status, code, text), "{wrong}");
            if wrong.get("name").is_none() {
                assert_eq!(admin.put(&format!("{PATH}/taken"), wrong.clone()).await.refusal(), (status, code, text), "{wrong}");
            }
        }
        assert_eq!(admin.post(PATH, json!({})).await.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['name', 'scopes']"));
        let rename = admin.put(&format!("{PATH}/taken"), json!({ "name": "other" })).await;
        assert_eq!(rename.refusal(), (400, "M_INVALID_PARAM", "Unknown key 'name'"));
        let rotate = |body: Value| {
            let admin = admin.clone();
            async move { admin.post(&format!("{PATH}/taken/rotate"), body).await }
        };
        for wrong in [-1, 30 * 86_400_000_i64 + 1] {
            let text = "The overlap must be from 0 to 30 days";
            assert_eq!(rotate(json!({ "overlap_ms": wrong })).await.refusal(), (400, "M_INVALID_PARAM", text));
        }
        assert_eq!(rotate(json!({ "overlap_ms": "1" })).await.refusal(), (400, "M_BAD_JSON", "'overlap_ms' must be an integer"));
        assert_eq!(rotate(json!({ "overlap": 1 })).await.refusal(), (400, "M_INVALID_PARAM", "Unknown key 'overlap'"));
        assert_eq!((snapshot(&admin, "@admin:test").await, admin.get(PATH).await.body), (before, list));
    }

    async fn pages(server: Server) {
        let admin = server.admin().await;
        for n in 0..5 {
            issue(&server, &admin, &format!("t{n}"), only(&[Scope::UsersRead])).await;
            server.clock.advance(n % 2);
        }
        let mut names = Vec::new();
        let mut from = String::new();
        loop {
            let page = admin.get(&format!("{PATH}?limit=2{from}")).await.body;
            names.extend(page["service_tokens"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.get("next_token") else { break };
            from = format!("&from={}", next.as_str().unwrap());
        }
        assert_eq!(names, ["t4", "t3", "t2", "t1", "t0"]);
        let wrong = admin.get(&format!("{PATH}?from=1_x")).await;
        assert_eq!(wrong.refusal().1, "M_INVALID_PARAM");
    }

    async fn a_scope_opens_its_routes_and_no_others(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        let mut services = Vec::new();
        for (word, scope) in Scope::WORDS {
            services.push((*scope, issue(&server, &admin, &word.replace(':', "-"), only(&[*scope])).await));
        }
        for (route, needed) in admin_routes() {
            let path = filled(route.path());
            for (scope, service) in &services {
                let what = format!("{} {path} with {scope}", route.method);
                let reply = call(service, &route.method, &path).await;
                if *scope != needed {
                    let (status, code, text) = lacks(needed);
                    assert!(reply.is_refused((status, code, &text)), "{what}: {}", reply.body);
                    continue;
                }
                match route.doc.id {
                    // These are acts of an account.
                    "loginAsUser" => {
                        let text = "Only an account can log in as another one";
                        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", text), "{what}");
                    }
                    // Its archive has parts that need other scopes.
                    "exportUser" => {
                        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "This needs the scope users:read"), "{what}");
                    }
                    "makeRoomAdmin" => assert_eq!(reply.refusal(), NO_ACCOUNT, "{what}"),
                    _ => assert!(!matches!(reply.status, 401 | 403), "{what}: {} {}", reply.status, reply.body),
                }
            }
        }
        let all = issue(&server, &admin, "all", Scopes::ALL).await;
        for route in reeve::server::routes() {
            let path = filled(route.path());
            let what = format!("{} {path}", route.method);
            match route.admission.access {
                Access::Guest | Access::User => {
                    assert_eq!(call(&all, &route.method, &path).await.refusal(), NO_ACCOUNT, "{what}");
                }
                // Without a token it is for people who lost their password.
                Access::Optional if route.doc.id == "changePassword" => {
                    assert_eq!(call(&all, &route.method, &path).await.refusal(), NO_ACCOUNT, "{what}");
                }
                Access::Optional | Access::AnyAdmin => {
                    for (_, service) in &services {
                        let reply = call(service, &route.method, &path).await;
                        assert!(!matches!(reply.status, 401 | 403), "{what}: {} {}", reply.status, reply.body);
                    }
                }
                Access::SelfOr(needed) => {
                    for (scope, service) in &services {
                        let reply = call(service, &route.method, &path).await;
                        if *scope == needed {
                            assert!(!matches!(reply.status, 401 | 403), "{what}: {} {}", reply.status, reply.body);
                        } else {
                            assert_eq!(refusal(&reply), lacks(needed), "{what} with {scope}");
                        }
                    }
                }
                // Pages know browsers only.
                Access::Anybody | Access::SharedSecret | Access::Admin(_) | Access::Page | Access::SignedIn => {}
            }
        }
    }

    async fn tokens_that_cannot_be_used(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let with = |name: &'static str, more: Value| {
            let (server, admin) = (&server, admin.clone());
            async move {
                let mut body = json!({ "name": name, "scopes": Scopes::ALL });
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                let reply = admin.post(PATH, body).await;
                server.with_token(reply.text("secret"))
            }
        };
        let expired = with("expired", json!({ "expires_ts": START_MS + 1000 })).await;
        let elsewhere = with("elsewhere", json!({ "networks": ["10.0.0.0/8", "::1"] })).await;
        let here = with("here", json!({ "networks": ["10.0.0.0/8", "127.0.0.0/8"] })).await;
        let deleted = with("deleted", json!({})).await;
        admin.delete(&format!("{PATH}/deleted")).await;
        let unknown = server.with_token("rvs_unknown");
        assert_eq!((expired.get(WHOAMI).await.status, here.get(WHOAMI).await.status), (200, 200));
        server.clock.advance(1000);
        let wrong_network = (403, "M_FORBIDDEN", "This service token cannot be used from your address");
        for route in reeve::server::routes() {
            let path = filled(route.path());
            let what = format!("{} {path}", route.method);
            if !route.admission.reads_token() {
                continue;
            }
            for (client, expected) in
                [(&expired, EXPIRED), (&elsewhere, wrong_network), (&deleted, UNKNOWN), (&unknown, UNKNOWN)]
            {
                let reply = call(client, &route.method, &path).await;
                assert!(reply.is_refused(expected), "{what}: {} {}", reply.status, reply.body);
            }
        }
        assert_eq!(expired.get(WHOAMI).await.body["soft_logout"], false);
        assert_eq!(admin.get(&format!("{PATH}/elsewhere")).await.body["last_used_ts"], Value::Null);
        // An expired token can be prolonged, and a session's token is none.
        assert_eq!(admin.put(&format!("{PATH}/expired"), json!({ "expires_ts": null })).await.status, 200);
        assert_eq!(expired.get(WHOAMI).await.status, 200);
    }

    async fn rotation(server: Server) {
        let admin = server.admin().await;
        let first = issue(&server, &admin, "bot", only(&[Scope::UsersRead])).await;
        let rotate = |body: Value| {
            let (server, admin) = (&server, admin.clone());
            async move {
                let reply = admin.post(&format!("{PATH}/bot/rotate"), body).await;
                assert_eq!((reply.status, reply.text("name")), (200, "bot"), "{}", reply.body);
                server.with_token(reply.text("secret"))
            }
        };
        let second = rotate(json!({})).await;
        assert_eq!(first.get(WHOAMI).await.body["expires_ts"], START_MS + 86_400_000);
        assert_eq!(second.get(WHOAMI).await.body["expires_ts"], Value::Null);
        let third = rotate(json!({ "overlap_ms": 2 * 86_400_000_i64 })).await;
        server.clock.advance(86_400_000 - 1);
        assert_eq!([first.get(WHOAMI).await.status, second.get(WHOAMI).await.status, third.get(WHOAMI).await.status], [200; 3]);
        server.clock.advance(1);
        assert_eq!(first.get(WHOAMI).await.refusal(), EXPIRED, "a later rotation prolongs nothing");
        assert_eq!([second.get(WHOAMI).await.status, third.get(WHOAMI).await.status], [200; 2]);
        let fourth = rotate(json!({ "overlap_ms": 0 })).await;
        assert_eq!([second.get(WHOAMI).await.refusal(), third.get(WHOAMI).await.refusal()], [UNKNOWN; 2]);
        assert_eq!(fourth.get(WHOAMI).await.status, 200);
        // Secrets that have ended are deleted at last.
        let fifth = rotate(json!({ "overlap_ms": 1 })).await;
        server.clock.advance(1);
        let now = server.clock.now();
        server.app().db.write(move |tx| reeve_accounts::service_tokens::prune(tx, now)).await.unwrap();
        assert_eq!((fourth.get(WHOAMI).await.refusal(), fifth.get(WHOAMI).await.status), (UNKNOWN, 200));
        let log = admin.get("/_reeve/admin/v1/audit?target=bot&limit=1").await.body;
        assert_eq!((&log["entries"][0]["action"], &log["entries"][0]["changes"]), (&json!("service_token.rotate"), &json!({ "overlap_ms": 1 })));
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.service_tokens = reeve_app::limits::RateLimit { per_second: 2.0, burst: 3 };
    })]
    async fn the_rate_limit(server: Server) {
        let admin = server.admin().await;
        let (bot, other) = (issue(&server, &admin, "bot", only(&[Scope::UsersWrite])).await, issue(&server, &admin, "other", only(&[Scope::UsersRead])).await);
        let path = format!("{USERS}/@u:test");
        for _ in 0..3 {
            assert!(bot.put(&path, json!({})).await.status < 202);
        }
        let limited = bot.put(&path, json!({ "displayname": "too much" })).await;
        assert_eq!(limited.refusal(), (429, "M_LIMIT_EXCEEDED", "Too Many Requests"));
        assert_eq!(limited.body["retry_after_ms"], 500);
        assert_eq!(bot.get(WHOAMI).await.status, 429);
        assert_eq!(admin.get(&path).await.body["displayname"], "u");
        assert_eq!(other.get(USERS).await.status, 200, "each token has its own limit");
        server.clock.advance(500);
        assert_eq!(bot.put(&path, json!({})).await.status, 200);
        assert_eq!(admin.get(USERS).await.status, 200);
    }

    async fn a_request_loses_against_what_takes_its_rights(server: Server) {
        let admin = server.admin().await;
        server.create("boss", true).await;
        server.create("u", false).await;
        let path = |name: &str| format!("{USERS}/{name}");
        let bot = issue(&server, &admin, "bot", only(&[Scope::UsersWrite])).await;
        let won = put_slowly(&server, &admin, &bot, &path("@fine:test"), admin.get(PATH)).await;
        assert!(won.starts_with("HTTP/1.1 201"), "{won}");
        let lost = put_slowly(&server, &admin, &bot, &path("@late:test"), async {
            admin.delete(&format!("{PATH}/bot")).await
        }).await;
        assert!(lost.starts_with("HTTP/1.1 401") && lost.contains("M_UNKNOWN_TOKEN"), "{lost}");
        assert_eq!(admin.get(&path("@late:test")).await.status, 404);

        let bot = issue(&server, &admin, "rotated", only(&[Scope::UsersWrite])).await;
        let lost = put_slowly(&server, &admin, &bot, &path("@late:test"), async {
            admin.post(&format!("{PATH}/rotated/rotate"), json!({ "overlap_ms": 0 })).await
        }).await;
        assert!(lost.starts_with("HTTP/1.1 401"), "{lost}");

        let end = server.clock.now().get() + 60_000;
        let brief = json!({ "name": "brief", "scopes": ["users:write"], "expires_ts": end });
        let bot = server.with_token(admin.post(PATH, brief).await.text("secret"));
        let lost = put_slowly(&server, &admin, &bot, &path("@late:test"), async {
            server.clock.advance(60_000);
            admin.get(PATH).await
        }).await;
        assert!(lost.starts_with("HTTP/1.1 401") && lost.contains("M_UNKNOWN_TOKEN"), "{lost}");

        // A scope that only the act needs is lost as well.
        let bot = issue(&server, &admin, "narrowed", Scopes::ALL).await;
        let lost = put_slowly(&server, &admin, &bot, &path("@boss:test"), async {
            let fewer: Scopes = Scopes::ALL.without(Scope::AdminsWrite).iter().collect();
            admin.put(&format!("{PATH}/narrowed"), json!({ "scopes": fewer })).await
        }).await;
        assert!(lost.starts_with("HTTP/1.1 403") && lost.contains("admins:write"), "{lost}");
        assert_eq!(admin.get(&path("@late:test")).await.status, 404);
    }

    async fn the_accounts_of_administrators_are_protected(server: Server) {
        let admin = server.admin().await;
        server.create("boss", true).await;
        let boss = server.log_in("boss", "boss's password").await;
        let upload = boss.send(Method::POST, "/_matrix/media/v3/upload", &[("content-type", "text/plain")], "text").await;
        assert_eq!(upload.status, 200);
        boss.put(&format!("{USERS}/@boss:test"), json!({
            "threepids": [{ "medium": "email", "address": "boss@example.org" }],
            "external_ids": [{ "auth_provider": "p", "external_id": "boss" }],
        })).await;
        server.create("u", false).await;
        let service = issue(&server, &admin, "most", Scopes::ALL.without(Scope::AdminsWrite).iter().collect()).await;
        let before = snapshot(&admin, "@boss:test").await;
        let mut tried = 0;
        for (route, scope) in admin_routes() {
            let id = route.doc.id;
            let about_an_account = route.path().contains("{user_id}")
                || matches!(id, "renewAccountValidity" | "deleteRoom" | "deleteRoomInBackground");
            if route.method == Method::GET || scope == Scope::AdminsWrite || !about_an_account {
                continue;
            }
            let path = route.path().replace("{user_id}", "@boss:test").replace("{device_id}", &boss.device_id).replace("{room_id}", "!x:test");
            let body = body_of(id, "@boss:test", &boss.device_id);
            let reply = service.send(route.method.clone(), &path, &[], body.to_string()).await;
            let expected = match id {
                "setAdminLockUser" | "setAdminSuspendUser" => (403, "M_FORBIDDEN", "The user is another administrator"),
                _ => ABOVE,
            };
            assert!(reply.is_refused(expected), "{} {path}: {}", route.method, reply.body);
            assert_eq!(snapshot(&admin, "@boss:test").await, before, "{} {path}", route.method);
            tried += 1;
        }
        assert!(tried >= 20, "{tried}");
        let boss_path = format!("{USERS}/@boss:test");
        for body in [
            json!({}), json!({ "admin": false }), json!({ "deactivated": true }), json!({ "locked": true }),
            json!({ "password": "x" }), json!({ "threepids": [] }), json!({ "external_ids": [] }),
        ] {
            assert_eq!(service.put(&boss_path, body.clone()).await.refusal(), ABOVE, "{body}");
        }
        // Nor is an address taken from them.
        let take = json!({ "threepids": [{ "medium": "email", "address": "Boss@Example.org" }] });
        assert_eq!(service.put(&format!("{USERS}/@u:test"), take).await.refusal(), ABOVE);
        assert_eq!(snapshot(&admin, "@boss:test").await, before);
        // Callers who hold all scopes may change them.
        let full = issue(&server, &admin, "full", Scopes::ALL).await;
        assert_eq!(full.put(&boss_path, json!({ "displayname": "B", "admin": false })).await.status, 200);
        assert_eq!(service.put(&boss_path, json!({ "displayname": "C" })).await.status, 200);
    }

    async fn an_act_needs_its_scope_by_every_route(server: Server) {
        let admin = server.admin().await;
        server.create("u", false).await;
        let writer = issue(&server, &admin, "writer", only(&[Scope::UsersWrite])).await;
        let path = format!("{USERS}/@u:test");
        let account = admin.put(&path, json!({ "avatar_url": "mxc://test/u" })).await.body;
        let acts = [
            (json!({ "admin": true }), Scope::AdminsWrite),
            (json!({ "deactivated": true }), Scope::UsersDeactivate),
            (json!({ "locked": true }), Scope::UsersModerate),
        ];
        for (act, scope) in &acts {
            let needs = format!("This needs the scope {scope}");
            let mut body = json!({ "displayname": "changed" });
            body.as_object_mut().unwrap().extend(act.as_object().unwrap().clone());
            assert_eq!(writer.put(&path, body.clone()).await.refusal(), (403, "M_FORBIDDEN", &*needs), "{body}");
            assert_eq!(writer.put(&format!("{USERS}/@new:test"), body.clone()).await.refusal(), (403, "M_FORBIDDEN", &*needs), "{body}");
        }
        assert_eq!(admin.get(&path).await.body, account);
        assert_eq!(admin.get(&format!("{USERS}/@new:test")).await.status, 404);
        // An account can be sent back as it was read.
        assert_eq!(writer.put(&path, account.clone()).await, (200, account));
        for (n, (act, scope)) in acts.into_iter().enumerate() {
            // The flag gives every scope.
            let scopes = if scope == Scope::AdminsWrite { Scopes::ALL } else { only(&[Scope::UsersWrite, scope]) };
            let both = issue(&server, &admin, &format!("both{n}"), scopes).await;
            server.create(&format!("u{n}"), false).await;
            assert_eq!(both.put(&format!("{USERS}/@u{n}:test"), act).await.status, 200, "{scope}");
        }
        let back = json!({ "deactivated": false });
        let needs = (403, "M_FORBIDDEN", "This needs the scope users:deactivate");
        assert_eq!(writer.put(&format!("{USERS}/@u1:test"), back).await.refusal(), needs);
        assert_eq!(writer.put(&format!("{USERS}/@u2:test"), json!({ "locked": false })).await.refusal().0, 403);
    }

    async fn nobody_grants_more_than_they_hold(server: Server) {
        let admin = server.admin().await;
        let minter = issue(&server, &admin, "minter", only(&[Scope::ServicesRead, Scope::ServicesWrite, Scope::UsersRead])).await;
        let cannot = (403, "M_FORBIDDEN", "You cannot grant the scope users:write, which you do not hold");
        let wanted = json!({ "name": "more", "scopes": ["users:read", "users:write"] });
        assert_eq!(minter.post(PATH, wanted).await.refusal(), cannot);
        assert_eq!(minter.get(&format!("{PATH}/more")).await.status, 404);
        let less = issue(&server, &minter, "less", only(&[Scope::UsersRead])).await;
        assert_eq!(less.get(USERS).await.status, 200);
        let shown = minter.get(&format!("{PATH}/less")).await;
        assert_eq!((shown.text("created_by_kind"), shown.text("created_by")), ("service", "minter"));
        assert_eq!(minter.put(&format!("{PATH}/less"), json!({ "scopes": ["users:write"] })).await.refusal(), cannot);
        // The secret of a token that holds more would give more.
        issue(&server, &admin, "writer", only(&[Scope::UsersRead, Scope::UsersWrite])).await;
        let writer = format!("{PATH}/writer");
        let before = admin.get(&writer).await;
        for change in [json!({ "networks": ["10.0.0.0/8"] }), json!({ "description": "x" }), json!({ "expires_ts": START_MS + 1 })] {
            assert_eq!(minter.put(&writer, change).await.refusal(), cannot);
        }
        assert_eq!(minter.post(&format!("{writer}/rotate"), json!({})).await.refusal(), cannot);
        assert_eq!(admin.get(&writer).await.body, before.body);
        // Nor is it narrowed, rotated, and left for others to widen again.
        assert_eq!(minter.put(&writer, json!({ "scopes": ["users:read"] })).await.refusal(), cannot);
        assert_eq!(admin.get(&writer).await.body, before.body);
        assert_eq!(minter.delete(&writer).await.status, 200);
    }

    async fn no_token_gives_away_more_than_its_terms(server: Server) {
        let admin = server.admin().await;
        let end = START_MS + 3_600_000;
        let bound = json!({
            "name": "bound", "scopes": ["services:read", "services:write", "users:read"],
            "networks": ["127.0.0.0/8", "::1"], "expires_ts": end,
        });
        let bound = server.with_token(admin.post(PATH, bound).await.text("secret"));
        let beyond =
            (403, "M_FORBIDDEN", "A service token cannot give away more time or other networks than it has");
        let own = format!("{PATH}/bound");
        let before = admin.get(&own).await;
        for change in [
            json!({ "expires_ts": null }),
            json!({ "expires_ts": end + 1 }),
            json!({ "networks": [] }),
            json!({ "networks": ["127.0.0.1", "10.0.0.0/8"] }),
        ] {
            assert_eq!(bound.put(&own, change.clone()).await.refusal(), beyond, "{change}");
        }
        assert_eq!(admin.get(&own).await.body["networks"], before.body["networks"]);
        for (expires_ts, networks) in
            [(json!(null), json!(["127.0.0.1"])), (json!(end), json!([])), (json!(end), json!(["0.0.0.0/0"]))]
        {
            let child = json!({
                "name": "child", "scopes": ["users:read"], "networks": networks, "expires_ts": expires_ts,
            });
            assert_eq!(bound.post(PATH, child).await.refusal(), beyond);
            assert_eq!(admin.get(&format!("{PATH}/child")).await.status, 404);
        }
        issue(&server, &admin, "free", only(&[Scope::UsersRead])).await;
        assert_eq!(bound.post(&format!("{PATH}/free/rotate"), json!({})).await.refusal(), beyond);
        assert_eq!(bound.put(&format!("{PATH}/free"), json!({ "description": "x" })).await.refusal(), beyond);
        let child = json!({
            "name": "child", "scopes": ["users:read"], "networks": ["127.1.0.0/16"], "expires_ts": end,
        });
        assert_eq!(bound.post(PATH, child).await.status, 201);
        assert_eq!(bound.put(&own, json!({ "networks": ["127.0.0.1"] })).await.status, 200);
        assert_eq!(bound.post(&format!("{own}/rotate"), json!({})).await.status, 200);
    }

    async fn who_a_caller_is(server: Server) {
        let (admin, user) = (server.admin().await, server.user("user").await);
        let all: Vec<&str> = Scope::WORDS.iter().map(|(word, _)| *word).collect();
        let whoami = json!({ "kind": "user", "name": "@admin:test", "role": "owner", "scopes": all, "expires_ts": null });
        assert_eq!(admin.get(WHOAMI).await, (200, whoami));
        assert_eq!(user.get(WHOAMI).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
        let body = json!({ "name": "bot", "scopes": ["audit:read"], "expires_ts": START_MS + 5 });
        let bot = server.with_token(admin.post(PATH, body).await.text("secret"));
        let whoami = json!({ "kind": "service", "name": "bot", "role": null, "scopes": ["audit:read"], "expires_ts": START_MS + 5 });
        assert_eq!(bot.get(WHOAMI).await, (200, whoami));
    }

    async fn the_last_use_is_written(server: Server) {
        let admin = server.admin().await;
        let bot = issue(&server, &admin, "bot", only(&[Scope::UsersRead])).await;
        for _ in 0..3 {
            server.clock.advance(1000);
            assert_eq!(bot.get(USERS).await.status, 200);
        }
        let mut server = server;
        server.restart(|_| ()).await;
        let admin = server.again(&admin);
        let shown = admin.get(&format!("{PATH}/bot")).await.body;
        assert_eq!((&shown["last_used_ts"], &shown["last_used_ip"]), (&json!(START_MS + 3000), &json!("127.0.0.1")));
    }

    #[config(|config| config.policy.notices_localpart = Some("notices".to_owned()))]
    async fn acts_without_an_account(server: Server) {
        let (admin, user) = (server.admin().await, server.user("u").await);
        let bot = issue(&server, &admin, "bot", Scopes::ALL).await;
        let notice = json!({ "user_id": "@u:test", "content": { "msgtype": "m.text", "body": "hi" } });
        let sent = bot.put("/_synapse/admin/v1/send_server_notice/1", notice.clone()).await;
        assert_eq!(sent.status, 200, "{}", sent.body);
        let again = bot.put("/_synapse/admin/v1/send_server_notice/1", notice.clone()).await;
        assert_eq!(again.body, sent.body, "the transaction id is known");
        let other = issue(&server, &admin, "other", Scopes::ALL).await;
        let another = other.put("/_synapse/admin/v1/send_server_notice/1", notice).await;
        assert_ne!(another.body, sent.body, "each token has its own");
        let redact = json!({ "rooms": [], "use_admin": true });
        assert_eq!(bot.post("/_synapse/admin/v1/user/@u:test/redact", redact).await.refusal(), NO_ACCOUNT);
        assert_eq!(bot.post("/_synapse/admin/v1/user/@u:test/redact", json!({ "rooms": [] })).await.status, 200);
        let room = crate::rooms_kit::create(&user, json!({})).await;
        server.create("v", false).await;
        let join = bot.post(&format!("/_synapse/admin/v1/join/{}", crate::rooms_kit::enc(&room)), json!({ "user_id": "@v:test" })).await;
        assert_eq!((join.status, join.refusal().1), (403, "M_FORBIDDEN"));
        let public = crate::rooms_kit::create_public(&user).await;
        let join = bot.post(&format!("/_synapse/admin/v1/join/{}", crate::rooms_kit::enc(&public)), json!({ "user_id": "@v:test" })).await;
        assert_eq!(join.status, 200, "{}", join.body);
        let block = format!("/_synapse/admin/v1/rooms/{}/block", crate::rooms_kit::enc(&public));
        assert_eq!(bot.put(&block, json!({ "block": true })).await.status, 200);
        assert_eq!(admin.get(&block).await, (200, json!({ "block": true, "user_id": "bot" })));
    }
}
