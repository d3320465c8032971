//! Properties of every route: routing, authentication, CORS, limits, and the documents generated from the
//! table.

use std::collections::HashSet;

use http::Method;
use reeve_app::{Access, Family, Route, ledger, openapi};
use reeve_model::Scope;
use reeve_testkit::{Client, Reply, check_generated, on_both_engines};
use serde_json::{Value, json};

/// A path with something in the place of each parameter.
pub(crate) fn filled(path: &str) -> String {
    path.split('/')
        .map(|segment| match segment {
            "{user_id}" | "{userId}" => "@alice:test".to_owned(),
            _ if segment.starts_with('{') => "x".to_owned(),
            _ => segment.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

pub(crate) async fn call(client: &Client, method: &Method, path: &str) -> Reply {
    client.send(method.clone(), path, &[], "{}").await
}

/// True if a refusal says whether the client may keep its data, as the specification of Matrix demands.
fn says_soft_logout(route: &Route, reply: &Reply, wanted: bool) -> bool {
    match route.family() {
        Family::Matrix => reply.body.get("soft_logout") == Some(&Value::Bool(wanted)),
        Family::Scim | Family::OAuth | Family::Page => true,
    }
}

on_both_engines! {
    async fn every_route_is_closed_to_whom_the_table_says(server: Server) {
        let admin = server.admin().await;
        let user = server.user("user").await;
        let guest = server.user("guest").await;
        let locked = server.user("locked").await;
        let expired = server.user("expired").await;
        let deactivated = server.user("gone").await;
        let (flagged, boss) = (server.user("flagged").await, server.user("boss").await);
        server.user("alice").await;

        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let guest = reeve_store::users::find(tx, "@guest:test")?.unwrap();
            reeve_store::users::update(tx, &guest, &reeve_model::User { is_guest: true, ..guest.clone() })
        }).await.unwrap();
        admin.put("/_synapse/admin/v2/users/@locked:test", json!({ "locked": true })).await;
        let body = json!({ "user_id": "@expired:test", "expiration_ts": reeve_testkit::START_MS - 1 });
        assert_eq!(admin.post("/_synapse/admin/v1/account_validity/validity", body).await.status, 200);
        admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await;
        admin.put("/_synapse/admin/v1/users/@boss:test/admin", json!({ "admin": true })).await;
        for name in ["flagged", "boss"] {
            let reply = admin.put(&format!("/_reeve/admin/v1/users/@{name}:test/password_change"), json!({ "required": true })).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        let password_change = (403, "M_FORBIDDEN", "You must change your password before you can do this");
        let valid_until = json!({ "valid_until_ms": reeve_testkit::START_MS - 1 });
        let old = admin.post("/_synapse/admin/v1/users/@user:test/login", valid_until).await;
        let old_token = server.with_token(old.text("access_token"));

        let mut seen = 0;
        for route in reeve::server::routes() {
            let path = filled(route.path());
            let what = format!("{} {path}", route.method);
            let administers = matches!(route.admission.access, Access::Admin(_) | Access::AnyAdmin);
            let by_token = administers || matches!(route.admission.access, Access::Guest | Access::User | Access::SelfOr(_));
            let may_have_token = by_token || route.admission.access == Access::Optional;
            // Calls that would end the sessions under test.
            let ends_session = path.ends_with("/logout") || path.ends_with("/logout/all");
            if by_token {
                let reply = call(&server.stranger(), &route.method, &path).await;
                assert!(reply.is_refused((401, "M_MISSING_TOKEN", "Missing access token")), "{what}: {}", reply.body);
            }
            if may_have_token {
                for unknown in [&server.with_token("nobody"), &deactivated] {
                    let reply = call(unknown, &route.method, &path).await;
                    assert!(reply.is_refused((401, "M_UNKNOWN_TOKEN", "Invalid access token passed.")), "{what}: {}", reply.body);
                    assert!(says_soft_logout(&route, &reply, false), "{what}");
                }
                if !route.admission.open_to.expired_token {
                    let reply = call(&old_token, &route.method, &path).await;
                    assert!(reply.is_refused((401, "M_UNKNOWN_TOKEN", "Access token has expired")), "{what}: {}", reply.body);
                    assert!(says_soft_logout(&route, &reply, true), "{what}");
                }
                if !route.admission.open_to.locked {
                    let reply = call(&locked, &route.method, &path).await;
                    assert!(reply.is_refused((401, "M_USER_LOCKED", "User account has been locked")), "{what}: {}", reply.body);
                    assert!(says_soft_logout(&route, &reply, true), "{what}");
                }
                if !route.admission.open_to.expired_account {
                    let reply = call(&expired, &route.method, &path).await;
                    let refusal = (403, "ORG_MATRIX_EXPIRED_ACCOUNT", "User account has expired");
                    assert!(reply.is_refused(refusal), "{what}: {}", reply.body);
                }
            }
            if administers {
                assert!(!route.admission.open_to.password_change, "{what}");
                let reply = call(&boss, &route.method, &path).await;
                assert!(reply.is_refused(password_change), "{what}: {}", reply.body);
            } else if may_have_token && !ends_session && route.doc.id != "getEvents" {
                let reply = call(&flagged, &route.method, &path).await;
                let refused = reply.is_refused(password_change);
                assert_eq!(refused, !route.admission.open_to.password_change, "{what}: {}", reply.body);
            }
            if administers || matches!(route.admission.access, Access::User | Access::SelfOr(_)) {
                let reply = call(&guest, &route.method, &path).await;
                assert!(reply.is_refused((403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed")), "{what}: {}", reply.body);
            }
            if administers {
                let reply = call(&user, &route.method, &path).await;
                assert!(reply.is_refused((403, "M_FORBIDDEN", "You are not a server admin")), "{what}: {}", reply.body);
            }
            if matches!(route.admission.access, Access::Anybody | Access::SharedSecret) {
                // The token is not even looked at.
                let reply = call(&server.with_token("nobody"), &route.method, &path).await;
                assert_ne!(reply.body.get("errcode"), Some(&json!("M_UNKNOWN_TOKEN")), "{what}: {}", reply.body);
            }
            if !ends_session {
                let reply = call(&server.stranger(), &Method::TRACE, &path).await;
                assert!(reply.is_refused((405, "M_UNRECOGNIZED", "Unrecognized request")), "{what}: {}", reply.body);
                let allowed = reply.header("allow");
                assert!(allowed.split(", ").any(|method| method == route.method.as_str()), "{what}: {allowed}");
            }
            seen += 1;
        }
        assert!(seen > 60, "the table lost its routes: {seen}");
    }

    async fn suspended_and_locked_and_shadow_banned_admins(server: Server) {
        let (admin, other) = (server.admin().await, server.user("other").await);
        admin.put("/_synapse/admin/v1/users/@other:test/admin", json!({ "admin": true })).await;
        let list = "/_synapse/admin/v2/users";
        assert_eq!(other.get(list).await.status, 200);
        admin.put("/_synapse/admin/v1/suspend/@other:test", json!({ "suspend": true })).await;
        admin.post("/_synapse/admin/v1/users/@other:test/shadow_ban", json!({})).await;
        assert_eq!(other.get(list).await.status, 200);
        admin.put("/_synapse/admin/v2/users/@other:test", json!({ "locked": true })).await;
        assert_eq!(other.get(list).await.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        admin.put("/_synapse/admin/v2/users/@other:test", json!({ "locked": false })).await;
        assert_eq!(other.get(list).await.status, 200);
        admin.put("/_synapse/admin/v1/users/@other:test/admin", json!({ "admin": false })).await;
        assert_eq!(other.get(list).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
    }

    async fn tokens_in_every_form(server: Server) {
        let admin = server.admin().await;
        let token = admin.token.clone().unwrap();
        let path = "/_synapse/admin/v2/users";
        let stranger = server.stranger();
        let with = |headers: Vec<(&'static str, String)>, path: String| {
            let stranger = stranger.clone();
            async move {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
                stranger.send(Method::GET, &path, &headers, "").await
            }
        };
        let bearer = |text: String| vec![("authorization", text)];
        assert_eq!(with(vec![], format!("{path}?access_token={token}")).await.status, 200);
        assert_eq!(with(bearer(format!("Bearer {token}")), path.to_owned()).await.status, 200);
        let mixed = with(bearer(format!("Bearer {token}")), format!("{path}?access_token={token}")).await;
        let text = "Mixing Authorization headers and access_token query parameters.";
        assert_eq!(mixed.refusal(), (401, "M_MISSING_TOKEN", text));
        let two = vec![("authorization", format!("Bearer {token}")), ("authorization", "Bearer x".to_owned())];
        let two = with(two, path.to_owned()).await;
        assert_eq!(two.refusal(), (401, "M_MISSING_TOKEN", "Too many Authorization headers."));
        for bad in [format!("bearer {token}"), format!("Bearer  {token}"), "Basic x".to_owned(), "Bearer ".to_owned(), "Bearer".to_owned(), String::new()] {
            let reply = with(bearer(bad.clone()), path.to_owned()).await;
            assert_eq!(reply.refusal(), (401, "M_MISSING_TOKEN", "Invalid Authorization header."), "{bad}");
        }
        let unknown = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
        assert_eq!(with(vec![], format!("{path}?access_token=")).await.refusal(), unknown);
        assert_eq!(with(bearer("Bearer ä".to_owned()), path.to_owned()).await.refusal(), unknown);
    }

    async fn paths_and_methods(server: Server) {
        let admin = server.admin().await;
        let nowhere = (404, "M_UNRECOGNIZED", "Unrecognized request");
        for path in [
            "/", "/_synapse/admin", "/_synapse/admin/", "/_synapse/admin/v2/%75sers", "/_synapse/admin/v9/users", "/_synapse/Admin/v2/users",
            "/_synapse/admin/V2/users", "/_synapse/admin//v2/users", "/_synapse/admin/v2/users/@admin:test/",
            "/_synapse/admin/v1/users/@admin:test", "/_synapse/admin/v3/users/@admin:test",
            "/_synapse/admin/v1/users/@admin:test/accountdataXYZ",
        ] {
            assert_eq!(admin.get(path).await.refusal(), nowhere, "{path}");
            assert_eq!(server.stranger().get(path).await.refusal(), nowhere, "{path}");
        }
        let sigil = (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'");
        assert_eq!(admin.get("/_synapse/admin/v2/users/").await.refusal(), sigil);
        assert_eq!(admin.get("/_synapse/admin/v2/users/%2540a").await.refusal(), sigil);
        let domain = (400, "M_INVALID_PARAM", "Expected UserID of the form '@localname:domain'");
        assert_eq!(admin.get("/_synapse/admin/v2/users/@a").await.refusal(), domain);
        assert_eq!(admin.get("/_synapse/admin/v2/users/%40admin%3Atest").await.status, 200);
        assert_eq!(admin.get("/_synapse/admin/v2/users/@a%00b:test").await.refusal().1, "M_INVALID_PARAM");
        assert_eq!(admin.get("/_synapse/admin/v2/users/@%ff:test").await.status, 404);
        assert_eq!(admin.get("/_synapse/admin/v2/users/@a+b:test").await.status, 404);
        let head = admin.send(Method::HEAD, "/_synapse/admin/v2/users", &[], "").await;
        assert_eq!((head.status, head.body), (200, Value::String(String::new())));
    }

    async fn cors_and_headers(server: Server) {
        let stranger = server.stranger();
        for path in ["/_synapse/admin/v2/users", "/_matrix/client/v3/login", "/nowhere", "/_synapse/admin/v1/media/x/y"] {
            let reply = stranger.send(Method::OPTIONS, path, &[("origin", "https://ui.example")], "").await;
            assert_eq!(reply.status, 204, "{path}");
            for (name, value) in [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
                ("access-control-allow-headers", "X-Requested-With, Content-Type, Authorization, Date"),
            ] {
                assert_eq!(reply.header(name), value, "{path}");
                assert_eq!(stranger.get(path).await.header(name), value, "{path}");
            }
        }
        let reply = stranger.get("/_synapse/admin/v2/users").await;
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("cache-control"), "no-cache, no-store, must-revalidate");
        assert!(reply.header("server").starts_with("Reeve/"));
        assert!(!reply.header("x-request-id").is_empty());
    }

    async fn bodies(server: Server) {
        let admin = server.admin().await;
        let path = "/_synapse/admin/v2/users/@new:test";
        let put = |body: &'static [u8]| {
            let admin = admin.clone();
            async move { admin.send(Method::PUT, path, &[], body).await }
        };
        let not_json = (400, "M_NOT_JSON", "Content not JSON.");
        for bad in [&b""[..], b"{", b"{\"a\":NaN}", b"{\"a\":\"\xff\"}", b"{\"a\":1,}"] {
            assert_eq!(put(bad).await.refusal(), not_json, "{}", String::from_utf8_lossy(bad));
        }
        let not_object = (400, "M_BAD_JSON", "Content must be a JSON object.");
        for bad in [&b"[]"[..], b"\"x\"", b"null", b"1"] {
            assert_eq!(put(bad).await.refusal(), not_object);
        }
        assert_eq!(put(b"{\"displayname\":\"a\\u0000b\"}").await.refusal().1, "M_INVALID_PARAM");
        let large = format!("{{\"displayname\":\"{}\"}}", "x".repeat(2_000_000));
        let reply = admin.send(Method::PUT, path, &[], large).await;
        assert_eq!(reply.refusal(), (413, "M_TOO_LARGE", "Request body is too large"));
        assert_eq!(admin.get(path).await.status, 404);
        // Of equal keys the last wins, unknown keys are ignored, the content type does not matter.
        let body = "{\"displayname\":\"a\",\"displayname\":\"b\",\"x\":1}";
        let reply = admin.send(Method::PUT, path, &[("content-type", "text/plain")], body).await;
        assert_eq!((reply.status, reply.text("displayname")), (201, "b"));
    }
}

#[test]
fn what_a_required_change_of_password_leaves_open() {
    let mut open = Vec::new();
    for route in reeve::server::routes() {
        let (method, admission) = (&route.method, route.admission);
        let administers = matches!(admission.access, Access::Admin(_) | Access::AnyAdmin);
        if method == Method::GET {
            assert_eq!(admission.open_to.password_change, !administers, "{}", route.path());
        } else if admission.reads_token() && admission.open_to.password_change {
            open.push(route.doc.id);
        }
    }
    open.sort_unstable();
    assert_eq!(
        open,
        [
            "changePassword",
            "defineFilter",
            "getDehydratedDeviceEvents",
            "logout",
            "logoutAll",
            "queryKeys",
            "queryPublicRooms",
            "search",
            "searchUserDirectory",
            "slidingSync",
            "uploadKeys",
        ]
    );
}

// The router serves the first, and the documents list both.
#[test]
fn no_path_has_two_routes_of_a_method() {
    let mut seen = HashSet::new();
    for route in reeve::server::routes() {
        for path in &route.paths {
            assert!(seen.insert((route.method.clone(), path.clone())), "{} {path}", route.method);
        }
    }
}

#[test]
fn the_ledger_is_up_to_date() {
    check_generated("docs/api-ledger.md", &ledger::ledger(&reeve::server::routes()));
}

#[test]
fn a_scope_that_reads_opens_only_routes_that_read() {
    let routes = reeve::server::routes();
    let document = openapi::document(&routes);
    let mut seen = HashSet::new();
    for route in routes {
        let Access::Admin(scope) = route.admission.access else { continue };
        let what = format!("{} {}: {scope}", route.method, route.path());
        // The order of a batch needs the scope of its act, too, which its deed asks for.
        let asks_more = route.path().starts_with("/_reeve/admin/v1/users/batch");
        // A search is a read with its parameters in the body.
        let searches = route.path().ends_with("/.search");
        let reads = route.method == Method::GET || asks_more || searches;
        assert_eq!(reads, scope.as_str().ends_with(":read"), "{what}");
        let operation = &document["paths"][route.path()][route.method.as_str().to_lowercase()];
        assert_eq!(operation["security"], json!([{ "accessToken": [scope] }]), "{what}");
        seen.insert(scope);
    }
    let unused: Vec<_> = Scope::WORDS.iter().filter(|(_, scope)| !seen.contains(scope)).collect();
    assert!(unused.is_empty(), "no route asks for {unused:?}");
}
