//! `/_reeve/admin/v1/users/{user_id}/password_change`: the required change of a password, and what is closed until then.

use http::Method;
use reeve_accounts::Policy;
use reeve_accounts::password_change::{self, Chosen, Reset};
use reeve_testkit::{Client, Reply, Server, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::{CS, create, enc, ok, room_path, say, try_send};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const PASSWORD: &str = "/_matrix/client/v3/account/password";
const USERS: &str = "/_reeve/admin/v1/users";
const RESET: &str = "/_synapse/admin/v1/reset_password/@alice:test";
const FIRST: (u16, &str, &str) = (403, "M_FORBIDDEN", "You must change your password before you can do this");

fn path(name: &str) -> String {
    format!("{USERS}/@{name}:test/password_change")
}

async fn require(admin: &Client, name: &str, required: bool) {
    let reply = admin.put(&path(name), json!({ "required": required })).await;
    assert_eq!(reply, (200, json!({ "required": required })));
}

async fn is_required(admin: &Client, name: &str) -> bool {
    ok(admin.get(&path(name)).await)["required"].as_bool().unwrap()
}

/// Changes the password of a client's account, and keeps its other sessions.
async fn change(client: &Client, name: &str, old: &str, new: &str) -> Reply {
    let auth = json!({ "type": "m.login.password", "user": name, "password": old });
    client.post(PASSWORD, json!({ "new_password": new, "logout_devices": false, "auth": auth })).await
}

/// The actions and changes of the audit entries about an account, the oldest first.
async fn audited(admin: &Client, name: &str) -> Vec<(String, Value)> {
    let log = ok(admin.get(&format!("/_reeve/admin/v1/audit?target=@{name}:test")).await);
    let entries = log["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| (entry["action"].as_str().unwrap().to_owned(), entry["changes"].clone())).collect()
}

fn deed(action: &str, changes: Value) -> (String, Value) {
    (action.to_owned(), changes)
}

async fn act_as(server: &Server, admin: &Client, name: &str) -> Client {
    let reply = admin.post(&format!("/_synapse/admin/v1/users/@{name}:test/login"), json!({})).await;
    server.with_token(reply.text("access_token"))
}

on_both_engines! {
    async fn until_the_password_is_changed(server: Server) {
        let (admin, before) = (server.admin().await, server.user("alice").await);
        let room = create(&before, json!({})).await;
        let event = say(&before, &room, "hello").await;
        let reset = json!({ "new_password": "given", "require_change": true });
        assert_eq!(admin.post(RESET, reset).await, (200, json!({})));
        assert_eq!(before.get(WHOAMI).await.status, 401);
        assert!(is_required(&admin, "alice").await);

        // A client starts and reads.
        let alice = server.log_in("alice", "given").await;
        for path in [
            WHOAMI.to_owned(), format!("{CS}/capabilities"), format!("{CS}/sync"), format!("{CS}/pushrules/"), format!("{CS}/devices"),
            format!("{CS}/account/3pid"), format!("{CS}/profile/@alice:test"), room_path(&room, "messages?dir=b"),
            room_path(&room, &format!("event/{}", enc(&event))), "/_synapse/admin/v1/whois/@alice:test".to_owned(),
        ] {
            assert_eq!(alice.get(&path).await.status, 200, "{path}");
        }
        for (path, body) in [
            ("user/@alice:test/filter", json!({})), ("keys/query", json!({ "device_keys": { "@alice:test": [] } })), ("keys/upload", json!({})),
            ("publicRooms", json!({})), ("user_directory/search", json!({ "search_term": "a" })),
            ("search", json!({ "search_categories": { "room_events": { "search_term": "hello" } } })),
        ] {
            let reply = alice.post(&format!("{CS}/{path}"), body).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        }
        assert_eq!(alice.post("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", json!({})).await.status, 200);

        // Nothing else.
        assert_eq!(try_send(&alice, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await.refusal(), FIRST);
        let name = format!("{CS}/profile/@alice:test/displayname");
        assert_eq!(alice.put(&name, json!({ "displayname": "A" })).await.refusal(), FIRST);
        assert_eq!(alice.post(&format!("{CS}/createRoom"), json!({})).await.refusal(), FIRST);
        assert_eq!(alice.post(&format!("{CS}/account/deactivate"), json!({})).await.refusal(), FIRST);
        assert_eq!(alice.get(&format!("{CS}/profile/@alice:test")).await.body["displayname"], "alice");

        // The password must be another one, and a wrong one does not tell whether it is.
        let same = (400, "M_WEAK_PASSWORD", "The new password must differ from the present one");
        assert_eq!(change(&alice, "alice", "given", "given").await.refusal(), same);
        assert_eq!(change(&alice, "alice", "guess", "given").await.status, 401);
        assert!(is_required(&admin, "alice").await);
        assert_eq!(change(&alice, "alice", "given", "chosen").await, (200, json!({})));
        assert!(!is_required(&admin, "alice").await);
        say(&alice, &room, "again").await;
        // From then on the same password may be given again.
        assert_eq!(change(&alice, "alice", "chosen", "chosen").await, (200, json!({})));
        assert_eq!(audited(&admin, "alice").await, [
            deed("user.password", json!({ "password": true, "password_change_required": true })),
        ]);
    }

    async fn it_is_set_and_ended_without_a_new_password(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        assert!(!is_required(&admin, "alice").await);
        let name = format!("{CS}/profile/@alice:test/displayname");
        require(&admin, "alice", true).await;
        require(&admin, "alice", true).await;
        assert_eq!(alice.put(&name, json!({ "displayname": "A" })).await.refusal(), FIRST);
        assert_eq!(ok(admin.get(&format!("{USERS}?password_change_required=true")).await)["users"][0]["name"], "@alice:test");
        require(&admin, "alice", false).await;
        assert_eq!(alice.put(&name, json!({ "displayname": "A" })).await.status, 200);
        assert_eq!(audited(&admin, "alice").await, [
            deed("user.update", json!({ "password_change_required": true })), deed("user.update", json!({ "password_change_required": false })),
        ]);
        // With the end of the sessions.
        let ending = json!({ "required": true, "logout_devices": true });
        assert_eq!(admin.put(&path("alice"), ending).await, (200, json!({ "required": true })));
        assert_eq!(alice.get(WHOAMI).await.status, 401);
        assert_eq!(audited(&admin, "alice").await[2..], [
            deed("user.update", json!({ "password_change_required": true })), deed("user.logout", json!({})),
        ]);
        let alice = server.log_in("alice", "alice's password").await;
        assert_eq!(alice.post(&format!("{CS}/logout"), json!({})).await.status, 200);
    }

    async fn what_ends_it(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        let user = "/_synapse/admin/v2/users/@alice:test";
        for (method, path, body) in [
            (Method::POST, RESET, json!({ "new_password": "a" })),
            (Method::PUT, user, json!({ "password": "b" })),
            (Method::POST, RESET, json!({ "new_password": "c", "require_change": false })),
        ] {
            require(&admin, "alice", true).await;
            let reply = admin.send(method, path, &[], body.to_string()).await;
            assert_eq!(reply.status, 200, "{body}: {}", reply.body);
            assert!(!is_required(&admin, "alice").await, "{body}");
        }
        // A change of something else does not.
        require(&admin, "alice", true).await;
        assert_eq!(admin.put(user, json!({ "displayname": "A", "locked": true })).await.status, 200);
        assert_eq!(admin.put(user, json!({ "locked": false })).await.status, 200);
        server.log_in("alice", "c").await;
        assert!(is_required(&admin, "alice").await);
        // There is no password to change after a deactivation.
        assert_eq!(admin.put(user, json!({ "deactivated": true })).await.status, 200);
        assert!(!is_required(&admin, "alice").await);
    }

    async fn what_was_compared_must_still_be_stored(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        require(&admin, "alice", true).await;
        let hash = reeve_model::session::hash_token(alice.token.as_deref().unwrap());
        let ctx = reeve_model::Ctx::system(&server.clock, &server.app().server_name, "test");
        let db = server.app().db.clone();
        let change = move |differs_from: Option<String>| {
            let (db, ctx) = (db.clone(), ctx.clone());
            async move {
                db.write(move |tx| -> Result<_, reeve_db::DbError> {
                    let session = reeve_store::access_tokens::find(tx, &hash)?.unwrap();
                    let chosen = Chosen { hash: "new".to_owned(), differs_from: differs_from.clone(), end_sessions: None };
                    let done = password_change::change(tx, &ctx, &Policy::default(), &session.user, &chosen);
                    Ok((done.err().map(|error| error.to_string()), reeve_store::users::password_hash(tx, session.user.num)?))
                }).await.unwrap()
            }
        };
        let meanwhile = Some("The password was changed meanwhile: try again".to_owned());
        let (refused, stored) = change(None).await;
        assert_eq!(refused, meanwhile);
        assert_eq!(change(Some("another".to_owned())).await, (meanwhile, stored.clone()));
        assert!(is_required(&admin, "alice").await);
        assert_eq!(change(stored).await, (None, Some("new".to_owned())));
        assert!(!is_required(&admin, "alice").await);
    }

    async fn what_is_refused(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        admin.put("/_synapse/admin/v2/users/@bare:test", json!({})).await;
        let yes = json!({ "required": true });
        for (id, body, refusal) in [
            ("bad", yes.clone(), (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'")),
            ("@x:other", yes.clone(), (400, "M_UNKNOWN", "Only local users have a password")),
            ("@nobody:test", yes.clone(), (404, "M_NOT_FOUND", "User not found")),
            ("@bare:test", yes, (400, "M_UNKNOWN", "The account has no password to change")),
            ("@alice:test", json!({}), (400, "M_MISSING_PARAM", "Missing params: ['required']")),
            ("@alice:test", json!({ "required": 1 }), (400, "M_BAD_JSON", "'required' must be a boolean")),
            ("@alice:test", json!({ "required": true, "logout_devices": 1 }), (400, "M_BAD_JSON", "'logout_devices' must be a boolean")),
            ("@alice:test", json!({ "required": true, "x": 1 }), (400, "M_INVALID_PARAM", "Unknown key 'x'")),
        ] {
            let reply = admin.put(&format!("{USERS}/{id}/password_change"), body.clone()).await;
            assert_eq!(reply.refusal(), refusal, "{id} {body}");
        }
        for (id, refusal) in [
            ("@x:other", (400, "M_UNKNOWN", "Only local users have a password")), ("@nobody:test", (404, "M_NOT_FOUND", "User not found")),
        ] {
            assert_eq!(admin.get(&format!("{USERS}/{id}/password_change")).await.refusal(), refusal, "{id}");
        }
        let odd = json!({ "new_password": "x", "require_change": 1 });
        assert_eq!(admin.post(RESET, odd).await.refusal(), (400, "M_BAD_JSON", "'require_change' must be a boolean"));
        assert!(!is_required(&admin, "alice").await && !is_required(&admin, "bare").await);
        server.log_in("alice", "alice's password").await;
        // To end it is always possible.
        require(&admin, "bare", false).await;
        assert_eq!(audited(&admin, "alice").await, []);
    }

    #[config(|config| config.policy.password_enabled = false)]
    async fn nobody_is_shut_out_where_passwords_cannot_be_changed(server: Server) {
        for (name, is_admin) in [("admin", true), ("boss", true), ("alice", false)] {
            server.create(name, is_admin).await;
        }
        let (admin, boss) = (server.with_token("admin"), server.with_token("boss"));
        // It was required when passwords could be changed.
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            for (user_id, token) in [("@admin:test", "admin"), ("@boss:test", "boss")] {
                let user = reeve_store::users::find(tx, user_id)?.unwrap();
                reeve_store::access_tokens::insert(tx, &reeve_store::access_tokens::NewAccessToken {
                    token_hash: &reeve_model::session::hash_token(token), owner_num: user.num, acting_num: user.num,
                    device_id: None, valid_until_ts: None, created_ts: reeve_model::Millis::ZERO, unconfirmed: false,
                })?;
                let after = reeve_model::User { password_change_required: true, ..user.clone() };
                reeve_store::users::update(tx, &user, &after)?;
            }
            Ok(())
        }).await.unwrap();
        let off = (403, "M_FORBIDDEN", "Password change disabled");
        for name in ["boss", "alice"] {
            assert_eq!(admin.put(&path(name), json!({ "required": true })).await.refusal(), off, "{name}");
        }
        let reset = json!({ "new_password": "given", "require_change": true });
        assert_eq!(admin.post(RESET, reset).await.refusal(), off);
        assert!(!is_required(&admin, "alice").await);
        let ctx = reeve_model::Ctx::system(&server.clock, &server.app().server_name, "test");
        server.app().db.write(move |tx| -> Result<(), reeve_db::DbError> {
            let policy = Policy { password_enabled: false, ..Policy::default() };
            let alice = reeve_store::users::find(tx, "@alice:test")?.unwrap();
            let before = reeve_store::users::password_hash(tx, alice.num)?;
            let reset = Reset { hash: "new".to_owned(), require_change: true, end_sessions: None };
            let refused = password_change::reset(tx, &ctx, &policy, &alice, &reset);
            assert!(matches!(refused, Err(reeve_accounts::Error::PasswordChangeDisabled)), "{refused:?}");
            assert_eq!(reeve_store::users::password_hash(tx, alice.num)?, before);
            Ok(())
        }).await.unwrap();
        // What was required rests: they write, and hold their rights, which end as always.
        assert!(is_required(&admin, "admin").await);
        let room = create(&admin, json!({})).await;
        say(&admin, &room, "hello").await;
        let puppet = act_as(&server, &admin, "alice").await;
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
        ok(boss.put("/_reeve/admin/v1/users/@admin:test/role", json!({ "role": null })).await);
        assert_eq!(puppet.get(WHOAMI).await.status, 401);
        // To end it is always possible.
        ok(boss.put(&path("admin"), json!({ "required": false })).await);
        assert!(!is_required(&boss, "admin").await);
    }

    async fn an_administrator_has_no_rights_until_then(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        server.create("boss", true).await;
        let boss = server.log_in("boss", "boss's password").await;
        let puppet = act_as(&server, &boss, "alice").await;
        assert_eq!(puppet.get(WHOAMI).await.status, 200);
        require(&admin, "boss", true).await;
        for path in ["/_synapse/admin/v2/users", "/_reeve/admin/v1/whoami", "/_reeve/admin/v1/audit"] {
            assert_eq!(boss.get(path).await.refusal(), FIRST, "{path}");
        }
        assert_eq!(boss.put(&path("boss"), json!({ "required": false })).await.refusal(), FIRST);
        // Nor is there more of others than for anybody.
        assert_eq!(boss.get("/_synapse/admin/v1/whois/@alice:test").await.status, 403);
        assert_eq!(boss.get("/_synapse/admin/v1/whois/@boss:test").await.status, 200);
        // Tokens with which others are acted as end, as with the right to have them.
        assert_eq!(puppet.get(WHOAMI).await.status, 401);
        assert_eq!(change(&boss, "boss", "boss's password", "chosen").await.status, 200);
        assert_eq!(boss.get("/_synapse/admin/v2/users").await.status, 200);
    }

    async fn acting_as_an_account_is_not_restricted(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create(&alice, json!({})).await;
        let early = act_as(&server, &admin, "alice").await;
        require(&admin, "alice", true).await;
        let late = act_as(&server, &admin, "alice").await;
        for puppet in [&early, &late] {
            say(puppet, &room, "by an administrator").await;
        }
        assert_eq!(try_send(&alice, &room, "m.room.message", json!({ "msgtype": "m.text", "body": "x" })).await.refusal(), FIRST);
    }

    #[config(|config| config.policy.notices_localpart = Some("notices".to_owned()))]
    async fn nobody_gets_a_password_for_the_account_of_notices(server: Server) {
        let (admin, _alice) = (server.admin().await, server.user("alice").await);
        let notice = json!({ "user_id": "@alice:test", "content": { "msgtype": "m.text", "body": "x" } });
        assert_eq!(admin.post("/_synapse/admin/v1/send_server_notice", notice).await.status, 200);
        let reserved = (400, "M_EXCLUSIVE", "This user ID is reserved.");
        let reset = "/_synapse/admin/v1/reset_password/@notices:test";
        assert_eq!(admin.post(reset, json!({ "new_password": "x" })).await.refusal(), reserved);
        let user = "/_synapse/admin/v2/users/@notices:test";
        assert_eq!(admin.put(user, json!({ "password": "x", "displayname": "N" })).await.refusal(), reserved);
        assert_eq!(admin.get(user).await.body["displayname"], "Server Notices");
        let none = (400, "M_UNKNOWN", "The account has no password to change");
        assert_eq!(admin.put(&path("notices"), json!({ "required": true })).await.refusal(), none);
        let login = json!({ "type": "m.login.password", "user": "notices", "password": "x" });
        assert_eq!(server.stranger().post("/_matrix/client/v3/login", login).await.status, 403);
    }
}
