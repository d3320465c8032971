//! Roles: what they open, who gives them, and whom their holders cannot touch.

use http::Method;
use reeve_app::Access;
use reeve_model::{BuiltInRole, Scope, Scopes};
use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use super::service_tokens::{admin_routes, refusal};
use crate::common::{call, filled};

const ROLES: &str = "/_reeve/admin/v1/roles";
const WHOAMI: &str = "/_reeve/admin/v1/whoami";
const USERS: &str = "/_synapse/admin/v2/users";
const LAST_OWNER: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "The last owner of the server cannot be demoted, deactivated, locked or suspended");

fn role_of(user_id: &str) -> String {
    format!("/_reeve/admin/v1/users/{user_id}/role")
}

fn account(user_id: &str) -> String {
    format!("{USERS}/{user_id}")
}

fn above(scope: Scope) -> (u16, &'static str, String) {
    (403, "M_FORBIDDEN", format!("This account holds the scope {scope}, which you do not hold"))
}

fn lacks(scope: Scope) -> (u16, &'static str, String) {
    (403, "M_FORBIDDEN", format!("Your role lacks the scope {scope}"))
}

/// Creates an account with a role, and logs it in.
async fn holder(server: &Server, admin: &Client, name: &str, role: &str) -> Client {
    let client = server.user(name).await;
    let reply = admin.put(&role_of(&format!("@{name}:test")), json!({ "role": role })).await;
    assert_eq!((reply.status, reply.text("role")), (200, role), "{}", reply.body);
    client
}

on_both_engines! {
    async fn a_role_opens_the_routes_of_its_scopes_and_no_others(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        let mut holders = Vec::new();
        for (word, role) in BuiltInRole::WORDS {
            holders.push(((*word).to_owned(), role.scopes(), holder(&server, &admin, &format!("b-{word}"), word).await));
        }
        for (word, scope) in Scope::WORDS {
            let name = word.replace(':', "-");
            assert_eq!(admin.put(&format!("{ROLES}/{name}"), json!({ "scopes": [scope] })).await.status, 201);
            let scopes: Scopes = [*scope].into_iter().collect();
            let client = holder(&server, &admin, &format!("o-{name}"), &name).await;
            assert_eq!(client.get(WHOAMI).await.body["scopes"], json!(scopes));
            holders.push((name, scopes, client));
        }
        let mut refused = 0;
        for (route, needed) in admin_routes() {
            let path = filled(route.path());
            for (role, scopes, client) in &holders {
                let reply = call(client, &route.method, &path).await;
                let what = format!("{} {path} with {role}: {} {}", route.method, reply.status, reply.body);
                let (status, code, text) = lacks(needed);
                let is_refused = reply.is_refused((status, code, &text));
                if scopes.contains(needed) {
                    assert!(!matches!(reply.status, 401) && !is_refused, "{what}");
                } else {
                    assert!(is_refused, "{what}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 1000, "{refused}");
        for route in reeve::server::routes() {
            let Access::SelfOr(needed) = route.admission.access else { continue };
            if route.doc.id == "deleteRoomAlias" {
                // There is no such alias, for anybody.
                continue;
            }
            for (role, scopes, client) in &holders {
                let reply = call(client, &route.method, &filled(route.path())).await;
                assert_eq!(reply.status != 403, scopes.contains(needed), "{} with {role}", route.path());
            }
        }
    }

    async fn roles_are_read_and_set(server: Server) {
        let admin = server.admin().await;
        let list = admin.get(ROLES).await.body;
        let names: Vec<&str> = list["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["owner", "administrator", "moderator", "support", "auditor"]);
        let desk = json!({ "description": "Passwords", "scopes": ["users:write", "users:read"] });
        let shown = json!({ "name": "desk", "description": "Passwords", "scopes": ["users:read", "users:write"], "built_in": false });
        let one = format!("{ROLES}/desk");
        assert_eq!(admin.put(&one, desk.clone()).await, (201, shown.clone()));
        assert_eq!(admin.put(&one, desk).await, (200, shown.clone()));
        assert_eq!(admin.get(&one).await, (200, shown.clone()));
        assert_eq!(admin.get(ROLES).await.body["roles"][5], shown);
        assert_eq!(admin.get(&format!("{ROLES}/support")).await.body["built_in"], true);

        server.user("u").await;
        let path = role_of("@u:test");
        assert_eq!(admin.get(&path).await, (200, json!({ "role": null, "scopes": [] })));
        let held = json!({ "role": "desk", "scopes": ["users:read", "users:write"] });
        assert_eq!(admin.put(&path, json!({ "role": "desk" })).await, (200, held.clone()));
        assert_eq!(admin.get(&path).await, (200, held));
        assert_eq!(admin.delete(&one).await.refusal(), (409, "M_UNKNOWN", "Accounts hold this role"));
        // The administrator flag is the role of an owner. Clients that send back what they read change nothing.
        let mut read = admin.get(&account("@u:test")).await.body;
        assert_eq!(read["admin"], false);
        read["displayname"] = json!("U");
        read["avatar_url"] = json!("");
        assert_eq!(admin.put(&account("@u:test"), read).await.status, 200);
        assert_eq!(admin.get(&path).await.body["role"], "desk");
        assert_eq!(admin.put(&account("@u:test"), json!({ "admin": true })).await.status, 200);
        assert_eq!(admin.get(&path).await.body["role"], "owner");
        assert_eq!(admin.delete(&one).await.status, 200);
        assert_eq!(admin.put(&account("@u:test"), json!({ "admin": false })).await.status, 200);
        assert_eq!(admin.get(&path).await.body["role"], Value::Null);
        assert_eq!(admin.put(&path, json!({ "role": "owner" })).await.status, 200);
        assert_eq!(admin.get(&account("@u:test")).await.body["admin"], true);
        assert_eq!(admin.put(&path, json!({ "role": null })).await, (200, json!({ "role": null, "scopes": [] })));
        assert_eq!(admin.get(&account("@u:test")).await.body["admin"], false);
        let log = admin.get("/_reeve/admin/v1/audit?limit=20").await.body;
        let acts: Vec<String> = log["entries"].as_array().unwrap().iter()
            .map(|entry| format!("{} {} {}", entry["action"].as_str().unwrap(), entry["target"].as_str().unwrap(), entry["changes"]))
            .collect();
        assert_eq!(acts, [
            "user.role @u:test {\"admin\":false}",
            "user.role @u:test {\"admin\":true}",
            "user.update @u:test {\"admin\":false}",
            "role.delete desk {}",
            "user.update @u:test {\"admin\":true,\"role\":null}",
            "user.update @u:test {\"displayname\":\"U\"}",
            "user.role @u:test {\"role\":\"desk\"}",
            "role.create desk {\"description\":\"Passwords\",\"scopes\":[\"users:read\",\"users:write\"]}",
        ]);
    }

    async fn nobody_gives_what_they_do_not_hold_or_touches_those_above(server: Server) {
        let admin = server.admin().await;
        let deputy = holder(&server, &admin, "deputy", "administrator").await;
        let helper = holder(&server, &admin, "helper", "support").await;
        holder(&server, &admin, "judge", "moderator").await;
        server.user("u").await;
        let cannot = (403, "M_FORBIDDEN", "You cannot grant the scope sessions:impersonate, which you do not hold");
        for (path, body) in [
            (role_of("@u:test"), json!({ "role": "owner" })),
            (account("@u:test"), json!({ "admin": true })),
            (account("@new:test"), json!({ "admin": true })),
            (format!("{ROLES}/all"), json!({ "scopes": Scopes::ALL })),
        ] {
            assert_eq!(deputy.put(&path, body).await.refusal(), cannot, "{path}");
        }
        assert_eq!(deputy.put("/_synapse/admin/v1/users/@u:test/admin", json!({ "admin": true })).await.refusal(), cannot);
        assert_eq!(admin.get(&account("@new:test")).await.status, 404);
        assert_eq!(deputy.put(&role_of("@u:test"), json!({ "role": "moderator" })).await.status, 200);
        assert_eq!(deputy.put(&role_of("@u:test"), json!({ "role": "administrator" })).await.status, 200);
        assert_eq!(deputy.put(&role_of("@u:test"), json!({ "role": null })).await.status, 200);
        assert_eq!(deputy.put(&format!("{ROLES}/few"), json!({ "scopes": ["users:read"] })).await.status, 201);
        // A role with a scope that the caller lacks is neither changed nor deleted.
        assert_eq!(admin.put(&format!("{ROLES}/most"), json!({ "scopes": ["server:write"] })).await.status, 201);
        let missing = (403, "M_FORBIDDEN", "You cannot grant the scope server:write, which you do not hold");
        assert_eq!(deputy.put(&format!("{ROLES}/most"), json!({ "scopes": ["users:read"] })).await.refusal(), missing);
        assert_eq!(deputy.delete(&format!("{ROLES}/most")).await.refusal(), missing);
        // Accounts above.
        let new = json!({ "password": "stolen", "logout_devices": true });
        assert_eq!(refusal(&deputy.put(&account("@admin:test"), new.clone()).await), above(Scope::SessionsImpersonate));
        assert_eq!(refusal(&deputy.put(&role_of("@admin:test"), json!({ "role": null })).await), above(Scope::SessionsImpersonate));
        assert_eq!(refusal(&helper.put(&account("@judge:test"), new.clone()).await), above(Scope::UsersModerate));
        assert_eq!(refusal(&helper.put(&account("@deputy:test"), new.clone()).await), above(Scope::UsersModerate));
        assert_eq!(helper.put(&account("@u:test"), new.clone()).await.status, 200);
        assert_eq!(deputy.put(&account("@judge:test"), new).await.status, 200);
        // Nor does anybody take their own rights away.
        let own = (400, "M_UNKNOWN", "You may not demote yourself.");
        assert_eq!(deputy.put(&role_of("@deputy:test"), json!({ "role": "support" })).await.refusal(), own);
        assert_eq!(deputy.put(&role_of("@deputy:test"), json!({ "role": "administrator" })).await.status, 200);
    }

    async fn the_last_owner_stays(server: Server) {
        let admin = server.admin().await;
        let root = admin.post("/_reeve/admin/v1/service_tokens", json!({ "name": "root", "scopes": Scopes::ALL })).await;
        let root = server.with_token(root.text("secret"));
        let shown = async || {
            let mut account = admin.get(&account("@admin:test")).await.body;
            // It is written a few seconds late.
            account.as_object_mut().unwrap().remove("last_seen_ts");
            account
        };
        let before = shown().await;
        let refused = async |client: &Client, method: Method, path: &str, body: Value| {
            let reply = client.send(method, path, &[], body.to_string()).await;
            assert_eq!(reply.refusal(), LAST_OWNER, "{path} {body}");
        };
        for body in [json!({ "admin": false }), json!({ "locked": true }), json!({ "deactivated": true })] {
            refused(&root, Method::PUT, &account("@admin:test"), body).await;
        }
        refused(&root, Method::PUT, &role_of("@admin:test"), json!({ "role": "support" })).await;
        refused(&root, Method::PUT, "/_synapse/admin/v1/users/@admin:test/admin", json!({ "admin": false })).await;
        refused(&root, Method::PUT, "/_synapse/admin/v1/suspend/@admin:test", json!({ "suspend": true })).await;
        refused(&root, Method::POST, "/_synapse/admin/v1/deactivate/@admin:test", json!({})).await;
        refused(&admin, Method::POST, "/_synapse/admin/v1/deactivate/@admin:test", json!({ "erase": true })).await;
        let auth = json!({ "auth": {
            "type": "m.login.password", "password": "admin's password", "identifier": { "type": "m.id.user", "user": "admin" },
        }});
        refused(&admin, Method::POST, "/_matrix/client/v3/account/deactivate", auth).await;
        assert_eq!(shown().await, before);
        // An owner who cannot log in does not count.
        server.create("second", true).await;
        assert_eq!(root.put(&account("@second:test"), json!({ "locked": true })).await.status, 200);
        refused(&root, Method::PUT, &account("@admin:test"), json!({ "admin": false })).await;
        assert_eq!(root.put(&account("@second:test"), json!({ "locked": false })).await.status, 200);
        assert_eq!(root.put(&account("@admin:test"), json!({ "admin": false })).await.status, 200);
        refused(&root, Method::PUT, &account("@second:test"), json!({ "admin": false })).await;
    }

    async fn two_owners_cannot_demote_each_other(server: Server) {
        let admin = server.admin().await;
        let root = admin.post("/_reeve/admin/v1/service_tokens", json!({ "name": "root", "scopes": Scopes::ALL })).await;
        let root = server.with_token(root.text("secret"));
        server.create("second", true).await;
        let (first, second) = (role_of("@admin:test"), role_of("@second:test"));
        for _ in 0..10 {
            let none = json!({ "role": null });
            let replies = tokio_join(root.put(&first, none.clone()), root.put(&second, none)).await;
            let mut statuses = replies.map(|reply| reply.status);
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 403]);
            for path in [&first, &second] {
                assert_eq!(root.put(path, json!({ "role": "owner" })).await.status, 200);
            }
        }
    }

    async fn a_changed_role_counts_at_once(server: Server) {
        let admin = server.admin().await;
        let role = format!("{ROLES}/desk");
        admin.put(&role, json!({ "scopes": ["users:read", "sessions:impersonate"] })).await;
        let desk = holder(&server, &admin, "desk", "desk").await;
        let u = server.user("u").await;
        let token = desk.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        let as_u = server.with_token(token.text("access_token"));
        assert_eq!(as_u.get("/_matrix/client/v3/account/whoami").await.body["user_id"], "@u:test");
        // Its rights do not grow with those of the account as which it acts.
        assert_eq!(admin.put(&role_of("@u:test"), json!({ "role": "moderator" })).await.status, 200);
        assert_eq!(as_u.get(WHOAMI).await.body["scopes"], json!(["users:read"]));
        assert_eq!(refusal(&as_u.get("/_synapse/admin/v1/event_reports").await), lacks(Scope::ReportsRead));
        assert_eq!(u.get("/_synapse/admin/v1/event_reports").await.status, 200);
        assert_eq!(refusal(&desk.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await), above(Scope::UsersModerate));
        assert_eq!(admin.put(&role_of("@u:test"), json!({ "role": null })).await.status, 200);
        // Without the scope its login-as tokens end.
        assert_eq!(admin.put(&role, json!({ "scopes": ["users:read", "users:write"] })).await.status, 200);
        assert_eq!(as_u.get("/_matrix/client/v3/account/whoami").await.status, 401);
        assert_eq!(refusal(&desk.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await), lacks(Scope::SessionsImpersonate));
        assert_eq!(desk.put(&account("@u:test"), json!({ "displayname": "x" })).await.status, 200);
        admin.put(&role, json!({ "scopes": ["users:read", "sessions:impersonate"] })).await;
        assert_eq!(as_u.get("/_matrix/client/v3/account/whoami").await.status, 401);
        let token = desk.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        let as_u = server.with_token(token.text("access_token"));
        assert_eq!(admin.put(&role_of("@desk:test"), json!({ "role": "support" })).await.status, 200);
        assert_eq!(as_u.get("/_matrix/client/v3/account/whoami").await.status, 401);
        assert_eq!(desk.get(WHOAMI).await.body["role"], "support");
        assert_eq!(admin.put(&role_of("@desk:test"), json!({ "role": null })).await.status, 200);
        assert_eq!(desk.get(WHOAMI).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
    }

    async fn bad_input_changes_nothing(server: Server) {
        let admin = server.admin().await;
        let u = server.user("u").await;
        let (one, role) = (format!("{ROLES}/r"), role_of("@u:test"));
        let (list, log) = (admin.get(ROLES).await.body, admin.get("/_reeve/admin/v1/audit").await.body);
        let invalid = |text: &'static str| (400, "M_INVALID_PARAM", text);
        let rule = invalid("The name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; server, cli and system are taken");
        let read = json!({ "scopes": ["users:read"] });
        for (path, body, expected) in [
            (&one, json!({}), (400, "M_MISSING_PARAM", "Missing params: ['scopes']")),
            (&one, json!({ "scopes": [] }), invalid("A role needs a scope")),
            (&one, json!({ "scopes": ["users:all"] }), invalid("'users:all' is not a scope")),
            (&one, json!({ "scopes": "users:read" }), (400, "M_BAD_JSON", "'scopes' must be a list of strings")),
            (&one, json!({ "scopes": ["users:read"], "name": "x" }), invalid("Unknown key 'name'")),
            (&one, json!({ "scopes": ["users:read"], "description": "x".repeat(501) }), invalid("The description is too long (max 500)")),
            (&format!("{ROLES}/a%20b"), read.clone(), rule),
            (&format!("{ROLES}/-a"), read.clone(), rule),
            (&format!("{ROLES}/cli"), read.clone(), rule),
            (&format!("{ROLES}/{}", "a".repeat(65)), read.clone(), rule),
            (&format!("{ROLES}/support"), read.clone(), (403, "M_FORBIDDEN", "This role is built in")),
            (&role, json!({}), (400, "M_MISSING_PARAM", "Missing params: ['role']")),
            (&role, json!({ "role": 1 }), (400, "M_BAD_JSON", "'role' must be a string")),
            (&role, json!({ "role": "king" }), (404, "M_NOT_FOUND", "Role not found")),
            (&role, json!({ "role": "support", "x": 1 }), invalid("Unknown key 'x'")),
            (&role_of("@nobody:test"), json!({ "role": "support" }), (404, "M_NOT_FOUND", "User not found")),
            (&role_of("@u:elsewhere"), json!({ "role": "support" }), (400, "M_UNKNOWN", "Only local users can have a role")),
        ] {
            assert_eq!(admin.put(path, body.clone()).await.refusal(), expected, "{path} {body}");
        }
        assert_eq!(admin.delete(&one).await.refusal(), (404, "M_NOT_FOUND", "Role not found"));
        assert_eq!(admin.delete(&format!("{ROLES}/owner")).await.refusal(), (403, "M_FORBIDDEN", "This role is built in"));
        assert_eq!(u.put(&one, read.clone()).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
        assert_eq!((admin.get(ROLES).await.body, admin.get("/_reeve/admin/v1/audit").await.body), (list, log));
        for n in 0..100 {
            assert_eq!(admin.put(&format!("{ROLES}/r{n}"), read.clone()).await.status, 201);
        }
        let full = (400, "M_TOO_LARGE", "A server cannot have more than 100 roles of its own");
        assert_eq!(admin.put(&one, read.clone()).await.refusal(), full);
        assert_eq!(admin.put(&format!("{ROLES}/r7"), json!({ "scopes": ["users:write"] })).await.status, 200);
    }
}

/// Sends two requests at once.
async fn tokio_join<T>(first: impl Future<Output = T>, second: impl Future<Output = T>) -> [T; 2] {
    let (first, second) = reeve_testkit::tokio::join!(first, second);
    [first, second]
}
