//! `/_synapse/admin/v2/users` and related routes.

use reeve_model::Millis;
use reeve_testkit::{Client, START_MS, on_both_engines};
use serde_json::{Value, json};

const USERS: &str = "/_synapse/admin/v2/users";

fn new_user(name: &str) -> Value {
    json!({
        "name": format!("@{name}:test"), "admin": false, "deactivated": false, "locked": false,
        "shadow_banned": false, "creation_ts": START_MS / 1000, "appservice_id": null,
        "consent_server_notice_sent": null, "consent_version": null, "consent_ts": null, "user_type": null,
        "is_guest": false, "suspended": false, "displayname": name, "avatar_url": null, "threepids": [],
        "external_ids": [], "erased": false, "last_seen_ts": null,
    })
}

fn with(mut user: Value, changes: Value) -> Value {
    user.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    user
}

async fn put(admin: &Client, name: &str, body: Value) -> reeve_testkit::Reply {
    admin.put(&format!("{USERS}/@{name}:test"), body).await
}

async fn get(admin: &Client, name: &str) -> Value {
    admin.get(&format!("{USERS}/@{name}:test")).await.body
}

on_both_engines! {
    async fn created_and_read(server: Server) {
        let admin = server.admin().await;
        assert_eq!(put(&admin, "n", json!({})).await, (201, new_user("n")));
        assert_eq!(put(&admin, "n", json!({})).await, (200, new_user("n")));
        assert_eq!(get(&admin, "n").await, new_user("n"));
        let reply = admin.get(&format!("{USERS}/@nobody:test")).await;
        assert_eq!(reply, (404, json!({ "errcode": "M_NOT_FOUND", "error": "User not found" })));
        let reply = admin.get(&format!("{USERS}/@n:other")).await;
        assert_eq!(reply, (400, json!({ "errcode": "M_UNKNOWN", "error": "Can only look up local users" })));
    }

    async fn created_with_everything(server: Server) {
        let admin = server.admin().await;
        let body = json!({
            "displayname": " Ann ", "avatar_url": "mxc://x/y", "admin": true, "user_type": "bot", "locked": true,
            "password": "pw", "threepids": [{ "medium": "email", "address": "FoO@BaR.Com" }],
            "external_ids": [{ "auth_provider": "p", "external_id": "e" }], "shadow_banned": true, "erased": true,
        });
        let whole = with(new_user("n"), json!({
            "displayname": " Ann ", "avatar_url": "mxc://x/y", "admin": true, "user_type": "bot", "locked": true,
            "threepids": [{ "medium": "email", "address": "foo@bar.com", "validated_at": START_MS, "added_at": START_MS }],
            "external_ids": [{ "auth_provider": "p", "external_id": "e" }],
        }));
        assert_eq!(put(&admin, "n", body).await, (201, whole.clone()));
        assert_eq!(get(&admin, "n").await, whole);
        // A new account starts as it is asked for, also deactivated.
        let reply = put(&admin, "x", json!({ "deactivated": true, "password": "pw" })).await;
        assert_eq!(reply, (201, with(new_user("x"), json!({ "deactivated": true }))));
        // As if it had been deactivated a moment later: without addresses, which must be valid all the same.
        let with_address = |medium: &str| json!({
            "deactivated": true, "threepids": [{ "medium": medium, "address": "y@b.c" }],
            "external_ids": [{ "auth_provider": "p", "external_id": "y" }],
        });
        let refused = put(&admin, "y", with_address("fax")).await;
        assert_eq!(refused.refusal(), (400, "M_INVALID_PARAM", "'fax' is not a valid value for 'medium'"));
        let reply = put(&admin, "y", with_address("email")).await;
        assert_eq!(reply, (201, with(new_user("y"), json!({
            "deactivated": true, "external_ids": [{ "auth_provider": "p", "external_id": "y" }],
        }))));
        let found = admin.get("/_synapse/admin/v1/threepid/email/users/y@b.c").await;
        assert_eq!(found.refusal(), (404, "M_NOT_FOUND", "User not found"));
    }

    async fn names_that_new_accounts_cannot_have(server: Server) {
        let admin = server.admin().await;
        let long = "a".repeat(250);
        for (name, code, text) in [
            ("A", "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
            ("", "M_INVALID_USERNAME", "User ID cannot be empty"),
            ("_a", "M_INVALID_USERNAME", "User ID may not begin with _"),
            (&*long, "M_INVALID_USERNAME", "User ID may not be longer than 255 characters"),
            ("123", "M_INVALID_USERNAME", "Numeric user IDs are reserved for guest users."),
        ] {
            assert_eq!(put(&admin, name, json!({})).await.refusal(), (400, code, text), "{name}");
        }
        assert_eq!(put(&admin, "a%2Fb", json!({})).await.text("name"), "@a/b:test");
    }

    async fn the_first_refusal_is_the_documented_one(server: Server) {
        let admin = server.admin().await;
        let at = |id: &str| format!("{USERS}/{id}");
        let sigil = (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'");
        assert_eq!(admin.put(&at("x"), json!([])).await.refusal(), sigil);
        let remote = admin.send(http::Method::PUT, &at("@x:other"), &[], "{").await;
        assert_eq!(remote.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        let text = "This endpoint can only be used with local users";
        assert_eq!(admin.put(&at("@x:other"), json!({ "admin": 1 })).await.refusal(), (400, "M_UNKNOWN", text));
        let boolean = |key: &str| format!("'{key}' parameter is not of type boolean");
        let cases = [
            (json!({ "threepids": [{}] }), "M_MISSING_PARAM", "Missing params: ['medium', 'address']".to_owned()),
            (json!({ "threepids": "x" }), "M_MISSING_PARAM", "Missing params: ['medium', 'address']".to_owned()),
            (json!({ "threepids": [{ "medium": "email" }] }), "M_MISSING_PARAM", "Missing params: ['address']".to_owned()),
            (json!({ "threepids": [1] }), "M_BAD_JSON", "Each of 'threepids' must be an object".to_owned()),
            (json!({ "external_ids": [{}] }), "M_MISSING_PARAM", "Missing params: ['auth_provider', 'external_id']".to_owned()),
            (json!({ "user_type": "" }), "M_UNKNOWN", "Invalid user type".to_owned()),
            (json!({ "user_type": "Bot" }), "M_UNKNOWN", "Invalid user type".to_owned()),
            (json!({ "admin": null }), "M_BAD_JSON", "Param 'admin' must be a boolean, if given".to_owned()),
            (json!({ "admin": 1 }), "M_BAD_JSON", "Param 'admin' must be a boolean, if given".to_owned()),
            (json!({ "password": 1 }), "M_UNKNOWN", "Invalid password".to_owned()),
            (json!({ "password": "x".repeat(513) }), "M_UNKNOWN", "Invalid password".to_owned()),
            (json!({ "logout_devices": null }), "M_UNKNOWN", boolean("logout_devices")),
            (json!({ "deactivated": null }), "M_UNKNOWN", boolean("deactivated")),
            (json!({ "locked": 0 }), "M_UNKNOWN", boolean("locked")),
            (json!({ "locked": true, "deactivated": true }), "M_UNKNOWN", "An user can't be deactivated and locked".to_owned()),
        ];
        server.create("n", false).await;
        // Each body fails at its own check and at all later ones: the earliest is reported, and nothing changes.
        let mut late = json!({ "displayname": 1, "avatar_url": 1 });
        for (body, code, text) in cases.iter().rev() {
            late = with(late, body.clone());
            for name in ["n", "new"] {
                assert_eq!(put(&admin, name, body.clone()).await.refusal(), (400, *code, &**text), "{body}");
                if body.get("threepids").is_none() {
                    assert_eq!(put(&admin, name, late.clone()).await.refusal(), (400, *code, &**text), "{late}");
                }
            }
        }
        assert_eq!(get(&admin, "n").await, new_user("n"));
        assert_eq!(admin.get(&at("@new:test")).await.status, 404);
    }

    async fn a_change_is_all_or_nothing(server: Server) {
        let admin = server.admin().await;
        let id = json!([{ "auth_provider": "p", "external_id": "e" }]);
        put(&admin, "m", json!({ "external_ids": id })).await;
        put(&admin, "n", json!({ "threepids": [{ "medium": "email", "address": "a@b.c" }] })).await;
        let before = get(&admin, "n").await;
        let in_use = (409, "M_UNKNOWN", "External id is already in use.");
        let body = json!({ "displayname": "new", "external_ids": id, "avatar_url": "mxc://x/y" });
        assert_eq!(put(&admin, "n", body.clone()).await.refusal(), in_use);
        assert_eq!(put(&admin, "fresh", body).await.refusal(), in_use);
        let medium = (400, "M_INVALID_PARAM", "'foo' is not a valid value for 'medium'");
        let body = json!({ "displayname": "new", "threepids": [{ "medium": "foo", "address": "x" }] });
        assert_eq!(put(&admin, "n", body.clone()).await.refusal(), medium);
        assert_eq!(put(&admin, "fresh", body).await.refusal(), medium);
        let email = (400, "M_UNKNOWN", "Unable to parse email address");
        let body = json!({ "threepids": [{ "medium": "email", "address": "x" }] });
        assert_eq!(put(&admin, "n", body).await.refusal(), email);
        for (body, text) in [
            (json!({ "displayname": null }), "'displayname' must be a string"),
            (json!({ "displayname": "new", "avatar_url": null }), "'avatar_url' must be a string"),
        ] {
            assert_eq!(put(&admin, "n", body).await.refusal(), (400, "M_INVALID_PARAM", text));
        }
        for (body, text) in [
            (json!({ "displayname": "x".repeat(257) }), "Displayname is too long (max 256)"),
            (json!({ "avatar_url": "x".repeat(1001) }), "Avatar URL is too long (max 1000)"),
        ] {
            assert_eq!(put(&admin, "n", body.clone()).await.refusal(), (400, "M_UNKNOWN", text));
            assert_eq!(put(&admin, "fresh", body).await.refusal(), (400, "M_UNKNOWN", text));
        }
        assert_eq!(get(&admin, "n").await, before);
        assert_eq!(admin.get(&format!("{USERS}/@fresh:test")).await.status, 404);
        let self_demotion = (400, "M_UNKNOWN", "You may not demote yourself.");
        assert_eq!(put(&admin, "admin", json!({ "admin": false })).await.refusal(), self_demotion);
    }

    async fn changed_field_by_field(server: Server) {
        let admin = server.admin().await;
        put(&admin, "n", json!({})).await;
        for (body, key, value) in [
            (json!({ "displayname": "  Ann  " }), "displayname", json!("Ann")),
            (json!({ "displayname": "   " }), "displayname", json!("")),
            (json!({ "displayname": "" }), "displayname", json!(null)),
            (json!({ "avatar_url": "notmxc" }), "avatar_url", json!("notmxc")),
            (json!({ "avatar_url": "" }), "avatar_url", json!(null)),
            (json!({ "admin": true }), "admin", json!(true)),
            (json!({ "admin": false }), "admin", json!(false)),
            (json!({ "locked": true }), "locked", json!(true)),
            (json!({ "locked": false }), "locked", json!(false)),
            (json!({ "user_type": "support" }), "user_type", json!("support")),
            (json!({ "user_type": null }), "user_type", json!(null)),
            (json!({ "password": null }), "locked", json!(false)),
            (json!({ "threepids": null, "external_ids": null }), "threepids", json!([])),
            (json!({ "threepids": {}, "external_ids": {} }), "external_ids", json!([])),
        ] {
            let reply = put(&admin, "n", body.clone()).await;
            assert_eq!((reply.status, reply.body.get(key)), (200, Some(&value)), "{body}");
            assert_eq!(get(&admin, "n").await.get(key), Some(&value), "{body}");
        }
    }

    async fn threepids_are_replaced(server: Server) {
        let admin = server.admin().await;
        let email = |address: &str| json!({ "medium": "email", "address": address });
        let stored = |medium: &str, address: &str, at: i64| {
            json!({ "medium": medium, "address": address, "validated_at": at, "added_at": at })
        };
        let body = json!({ "threepids": [email("a@b.c"), { "medium": "msisdn", "address": "4477" }, email("a@b.c")] });
        let reply = put(&admin, "n", body).await;
        let both = json!([stored("email", "a@b.c", START_MS), stored("msisdn", "4477", START_MS)]);
        assert_eq!(reply.body["threepids"], both);
        server.clock.advance(1000);
        // Unchanged ids keep their times; an address in a different case is new.
        let reply = put(&admin, "n", json!({ "threepids": [email("a@b.c")] })).await;
        assert_eq!(reply.body["threepids"], json!([stored("email", "a@b.c", START_MS)]));
        let reply = put(&admin, "n", json!({ "threepids": [email("A@b.c")] })).await;
        assert_eq!(reply.body["threepids"], json!([stored("email", "a@b.c", START_MS + 1000)]));
        // An address of another account is moved to this one.
        let reply = put(&admin, "m", json!({ "threepids": [email("a@b.c")] })).await;
        assert_eq!(reply.body["threepids"], json!([stored("email", "a@b.c", START_MS + 1000)]));
        assert_eq!(get(&admin, "n").await["threepids"], json!([]));
        let found = admin.get("/_synapse/admin/v1/threepid/email/users/a@b.c").await;
        assert_eq!(found, (200, json!({ "user_id": "@m:test" })));
        // Folded before the sign, in lower case behind it.
        let reply = put(&admin, "m", json!({ "threepids": [email(" Stra\u{df}E\u{3a3}@\u{c4}X.org ")] })).await;
        assert_eq!(reply.body["threepids"][0]["address"], "strasse\u{3c3}@\u{e4}x.org");
    }

    async fn external_ids_are_replaced(server: Server) {
        let admin = server.admin().await;
        let id = |provider: &str, id: &str| json!({ "auth_provider": provider, "external_id": id });
        let lookup = "/_synapse/admin/v1/auth_providers/p/users/1";
        put(&admin, "n", json!({ "external_ids": [id("p", "1"), id("p", "2")] })).await;
        assert_eq!(admin.get(lookup).await, (200, json!({ "user_id": "@n:test" })));
        let reply = put(&admin, "n", json!({ "external_ids": [id("q", "1"), id("p", "2"), id("p", "2")] })).await;
        assert_eq!(reply.body["external_ids"], json!([id("p", "2"), id("q", "1")]));
        assert_eq!(admin.get(lookup).await.refusal(), (404, "M_NOT_FOUND", "User not found"));
        assert_eq!(put(&admin, "m", json!({ "external_ids": [id("p", "1")] })).await.status, 201);
        assert_eq!(admin.get(lookup).await, (200, json!({ "user_id": "@m:test" })));
        let twice = json!({ "external_ids": [id("x", "1"), id("x", "1")] });
        assert_eq!(put(&admin, "k", twice).await.refusal(), (409, "M_UNKNOWN", "External id is already in use."));
    }

    async fn a_record_can_be_sent_back(server: Server) {
        let admin = server.admin().await;
        put(&admin, "n", json!({ "threepids": [{ "medium": "email", "address": "a@b.c" }], "avatar_url": "mxc://x/y" })).await;
        let mut record = get(&admin, "n").await;
        record["id"] = json!("@n:test");
        record["creation_ts_ms"] = json!(1);
        assert_eq!(put(&admin, "n", record.clone()).await.status, 200);
        record.as_object_mut().unwrap().retain(|key, _| !matches!(&**key, "id" | "creation_ts_ms"));
        assert_eq!(get(&admin, "n").await, record);
    }

    async fn passwords(server: Server) {
        let admin = server.admin().await;
        let user = server.user("u").await;
        let whoami = "/_matrix/client/v3/account/whoami";
        put(&admin, "u", json!({ "password": "second", "logout_devices": false })).await;
        assert_eq!(user.get(whoami).await.status, 200);
        let second = server.log_in("u", "second").await;
        put(&admin, "u", json!({ "password": "third" })).await;
        for session in [&user, &second] {
            assert_eq!(session.get(whoami).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        }
        let reset = "/_synapse/admin/v1/reset_password/@u:test";
        let third = server.log_in("u", "third").await;
        for (body, code, text) in [
            (json!({}), "M_MISSING_PARAM", "Missing params: ['new_password']"),
            (json!({ "new_password": 1 }), "M_BAD_JSON", "'new_password' must be a string"),
        ] {
            assert_eq!(admin.post(reset, body).await.refusal(), (400, code, text));
        }
        let unknown = (404, "M_NOT_FOUND", "Unknown user");
        for id in ["@nobody:test", "@x:other"] {
            let reply = admin.post(&format!("/_synapse/admin/v1/reset_password/{id}"), json!({ "new_password": "p" })).await;
            assert_eq!(reply.refusal(), unknown);
        }
        let keep = json!({ "new_password": "fourth", "logout_devices": 0 });
        assert_eq!(admin.post(reset, keep).await, (200, json!({})));
        assert_eq!(third.get(whoami).await.status, 200);
        assert_eq!(admin.post(reset, json!({ "new_password": "fifth", "logout_devices": "no" })).await.status, 200);
        assert_eq!(third.get(whoami).await.status, 401);
        server.log_in("u", "fifth").await;
        // An administrator who changes the own password keeps the session, and no other.
        let elsewhere = server.log_in("admin", "admin's password").await;
        put(&admin, "admin", json!({ "password": "new" })).await;
        assert_eq!(admin.get(whoami).await.status, 200);
        assert_eq!(elsewhere.get(whoami).await.status, 401);
    }

    #[config(|config| config.policy.password_enabled = false)]
    async fn passwords_can_be_switched_off(server: Server) {
        server.create("admin", true).await;
        let admin = server.with_token("T");
        server.app().db.write(|tx| -> Result<(), reeve_db::DbError> {
            let num = reeve_store::users::num(tx, "@admin:test")?.unwrap();
            reeve_store::access_tokens::insert(tx, &reeve_store::access_tokens::NewAccessToken {
                token_hash: &reeve_model::session::hash_token("T"),
                owner_num: num, acting_num: num, device_id: None, valid_until_ts: None, created_ts: Millis::ZERO, unconfirmed: false,
            })
        }).await.unwrap();
        let off = (403, "M_FORBIDDEN", "Password change disabled");
        assert_eq!(put(&admin, "admin", json!({ "password": "x", "displayname": "new" })).await.refusal(), off);
        assert_eq!(get(&admin, "admin").await["displayname"], "admin");
        let path = "/_synapse/admin/v1/reset_password/@admin:test";
        assert_eq!(admin.post(path, json!({ "new_password": "x" })).await.refusal(), off);
    }

    async fn the_admin_flag(server: Server) {
        let admin = server.admin().await;
        let user = server.user("u").await;
        let at = |id: &str| format!("/_synapse/admin/v1/users/{id}/admin");
        assert_eq!(admin.get(&at("@u:test")).await, (200, json!({ "admin": false })));
        assert_eq!(admin.get(&at("@nobody:test")).await, (200, json!({ "admin": false })));
        let remote = (400, "M_UNKNOWN", "Only local users can be admins of this homeserver");
        assert_eq!(admin.get(&at("@x:other")).await.refusal(), remote);
        assert_eq!(admin.put(&at("@x:other"), json!({})).await.refusal(), (400, "M_MISSING_PARAM", "Missing params: ['admin']"));
        assert_eq!(admin.put(&at("@x:other"), json!({ "admin": true })).await.refusal(), remote);
        for (value, flag) in [(json!("false"), true), (json!(0), false), (json!(1), true), (json!(null), false), (json!([1]), true), (json!(""), false), (json!(true), true)] {
            assert_eq!(admin.put(&at("@u:test"), json!({ "admin": value })).await, (200, json!({})));
            assert_eq!(admin.get(&at("@u:test")).await, (200, json!({ "admin": flag })), "{value}");
        }
        assert_eq!(user.get(&at("@u:test")).await.status, 200);
        assert_eq!(admin.put(&at("@admin:test"), json!({ "admin": true })).await.status, 200);
        let refusal = (400, "M_UNKNOWN", "You may not demote yourself.");
        assert_eq!(admin.put(&at("@admin:test"), json!({ "admin": false })).await.refusal(), refusal);
        let reply = admin.put(&at("@nobody:test"), json!({ "admin": true })).await;
        assert_eq!(reply, (404, json!({ "errcode": "M_UNKNOWN", "error": "No row found (users)" })));
    }

    async fn deactivated(server: Server) {
        let admin = server.admin().await;
        let user = server.user("u").await;
        put(&admin, "u", json!({
            "threepids": [{ "medium": "email", "address": "u@x.org" }], "avatar_url": "mxc://x/y",
            "external_ids": [{ "auth_provider": "p", "external_id": "e" }], "user_type": "bot",
        })).await;
        user.put("/_matrix/client/v3/user/@u:test/account_data/m.direct", json!({ "a": 1 })).await;
        admin.post("/_synapse/admin/v1/users/@u:test/override_ratelimit", json!({ "messages_per_second": 1, "burst_count": 2 })).await;
        let puppet = admin.post("/_synapse/admin/v1/users/@u:test/login", json!({})).await;
        let puppet = server.with_token(puppet.text("access_token"));
        let at = |id: &str| format!("/_synapse/admin/v1/deactivate/{id}");
        assert_eq!(admin.post(&at("@x:other"), json!({})).await.refusal(), (400, "M_UNKNOWN", "Can only deactivate local users"));
        let unknown = admin.send(http::Method::POST, &at("@nobody:test"), &[], "{bad").await;
        assert_eq!(unknown.refusal(), (404, "M_NOT_FOUND", "User not found"));
        for bad in [json!({ "erase": 1 }), json!({ "erase": null })] {
            let refusal = (400, "M_BAD_JSON", "Param 'erase' must be a boolean, if given");
            assert_eq!(admin.post(&at("@u:test"), bad).await.refusal(), refusal);
        }
        assert_eq!(user.get("/_matrix/client/v3/account/whoami").await.status, 200);
        let done = json!({ "id_server_unbind_result": "success" });
        let reply = admin.send(http::Method::POST, &at("@u:test"), &[], "").await;
        assert_eq!(reply, (200, done.clone()));
        let dead = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
        assert_eq!(user.get("/_matrix/client/v3/account/whoami").await.refusal(), dead);
        assert_eq!(puppet.get("/_matrix/client/v3/account/whoami").await.refusal(), dead);
        let after = get(&admin, "u").await;
        for (key, value) in [
            ("deactivated", json!(true)), ("erased", json!(false)), ("displayname", json!("u")), ("user_type", json!("bot")),
            ("avatar_url", json!("mxc://x/y")), ("threepids", json!([])),
            ("external_ids", json!([{ "auth_provider": "p", "external_id": "e" }])),
        ] {
            assert_eq!(after[key], value, "{key}");
        }
        let devices = admin.get("/_synapse/admin/v2/users/@u:test/devices").await;
        assert_eq!(devices, (200, json!({ "devices": [], "total": 0 })));
        let data = admin.get("/_synapse/admin/v1/users/@u:test/accountdata").await;
        assert_eq!(data, (200, json!({ "account_data": { "global": {}, "rooms": {} } })));
        let limit = admin.get("/_synapse/admin/v1/users/@u:test/override_ratelimit").await;
        assert_eq!(limit, (200, json!({ "messages_per_second": 1, "burst_count": 2 })));
        let jobs = admin.get("/_reeve/admin/v1/jobs?subject=@u:test").await;
        assert_eq!(jobs.body["jobs"][0]["state"], "complete", "{}", jobs.body);
        assert_eq!(jobs.body["jobs"][0]["done"], 1, "{}", jobs.body);
        let login = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "u" }, "password": "u's password" });
        let reply = server.stranger().post("/_matrix/client/v3/login", login).await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", "Invalid username or password"));
        let taken = admin.get("/_synapse/admin/v1/username_available?username=u").await;
        assert_eq!(taken.refusal(), (400, "M_USER_IN_USE", "User ID already taken."));
        // Again, and erased later.
        assert_eq!(admin.post(&at("@u:test"), json!({ "erase": true })).await, (200, done.clone()));
        let after = get(&admin, "u").await;
        assert_eq!((&after["erased"], &after["displayname"], &after["avatar_url"]), (&json!(true), &json!(null), &json!(null)));
        assert_eq!(admin.post(&at("@u:test"), json!({ "erase": false })).await, (200, done));
        assert_eq!(get(&admin, "u").await["erased"], true);
        let profile = server.stranger().get("/_matrix/client/v3/profile/@u:test").await;
        assert_eq!(profile.status, 404);
        // Back again, without a password until one is set.
        let reply = put(&admin, "u", json!({ "deactivated": false })).await;
        assert_eq!((reply.status, &reply.body["deactivated"], &reply.body["erased"]), (200, &json!(false), &json!(false)));
        assert_eq!(put(&admin, "u", json!({ "password": "again" })).await.status, 200);
        server.log_in("u", "again").await;
        let reply = put(&admin, "u", json!({ "deactivated": true, "password": "lost" })).await;
        assert_eq!((reply.status, &reply.body["deactivated"]), (200, &json!(true)));
    }

    async fn listed(server: Server) {
        let admin = server.admin().await;
        for (name, body) in [
            ("ann", json!({ "displayname": "Ärger 100%" })),
            ("bob", json!({ "displayname": "", "user_type": "bot" })),
            ("cat", json!({ "locked": true })),
            ("dan", json!({ "admin": true })),
        ] {
            put(&admin, name, body).await;
        }
        put(&admin, "eve", json!({})).await;
        put(&admin, "eve", json!({ "deactivated": true })).await;
        let list = |query: &'static str| {
            let admin = admin.clone();
            async move {
                let reply = admin.get(&format!("/_synapse/admin/{query}")).await;
                assert_eq!(reply.status, 200, "{query}: {}", reply.body);
                let names = reply.body["users"].as_array().unwrap().iter();
                let names: Vec<String> = names.map(|user| user["name"].as_str().unwrap().replace(":test", "")).collect();
                (names.join(" "), reply.body["total"].as_i64().unwrap(), reply.body.get("next_token").cloned())
            }
        };
        for (query, names, total, next) in [
            ("v2/users", "@admin @ann @bob @dan", 4, None),
            ("v3/users", "@admin @ann @bob @dan @eve", 5, None),
            ("v3/users?deactivated=true", "@eve", 1, None),
            ("v3/users?deactivated=false", "@admin @ann @bob @dan", 4, None),
            ("v2/users?deactivated=true", "@admin @ann @bob @dan @eve", 5, None),
            ("v2/users?locked=true", "@admin @ann @bob @cat @dan", 5, None),
            ("v2/users?admins=true", "@admin @dan", 2, None),
            ("v2/users?admins=false", "@ann @bob", 2, None),
            ("v2/users?not_user_type=bot", "@admin @ann @dan", 3, None),
            ("v2/users?not_user_type=", "@bob", 1, None),
            ("v2/users?not_user_type=&not_user_type=bot", "", 0, None),
            ("v2/users?not_user_type=other", "@admin @ann @bob @dan", 4, None),
            ("v2/users?dir=b", "@dan @bob @ann @admin", 4, None),
            ("v2/users?limit=2", "@admin @ann", 4, Some("2")),
            ("v2/users?limit=2&from=2", "@bob @dan", 4, None),
            ("v2/users?limit=2&from=1", "@ann @bob", 4, Some("3")),
            ("v2/users?limit=0", "", 4, Some("0")),
            ("v2/users?from=10", "", 4, None),
            ("v2/users?limit=99999999", "@admin @ann @bob @dan", 4, None),
            ("v2/users?order_by=displayname", "@admin @dan @ann @bob", 4, None),
            ("v2/users?order_by=displayname&dir=b", "@bob @ann @dan @admin", 4, None),
            ("v2/users?order_by=user_type", "@bob @admin @ann @dan", 4, None),
            ("v2/users?order_by=admin&dir=b", "@admin @dan @ann @bob", 4, None),
            ("v2/users?order_by=creation_ts&dir=b", "@admin @ann @bob @dan", 4, None),
            ("v2/users?name=%C3%84RG", "@ann", 1, None),
            ("v2/users?name=0%25", "@ann", 1, None),
            ("v2/users?name=%25", "@ann", 1, None),
            ("v2/users?name=_", "", 0, None),
            ("v2/users?name=test", "", 0, None),
            ("v2/users?name=AN", "@ann @dan", 2, None),
            ("v2/users?user_id=N:T", "@admin @ann @dan", 3, None),
            ("v2/users?user_id=nomatch", "", 0, None),
            ("v2/users?user_id=nomatch&name=bob", "@bob", 1, None),
            ("v2/users?name=&user_id=&from=0", "@admin @ann @bob @dan", 4, None),
        ] {
            assert_eq!(list(query).await, (names.to_owned(), total, next.map(Value::from)), "{query}");
        }
        let reply = admin.get("/_synapse/admin/v2/users?name=bob").await;
        assert_eq!(reply, (200, json!({ "users": [{
            "name": "@bob:test", "user_type": "bot", "is_guest": false, "admin": false, "deactivated": false,
            "shadow_banned": false, "displayname": null, "avatar_url": null, "creation_ts": START_MS, "erased": false,
            "last_seen_ts": null, "locked": false,
        }], "total": 1 })));
    }

    async fn list_parameters_are_checked_in_order(server: Server) {
        let admin = server.admin().await;
        let orders = "['name', 'displayname', 'is_guest', 'admin', 'deactivated', 'user_type', 'avatar_url', \
                      'shadow_banned', 'creation_ts', 'last_seen_ts', 'locked']";
        let boolean = |name: &str| format!("Boolean query parameter '{name}' must be one of ['true', 'false']");
        let mut query = String::new();
        for (part, code, text) in [
            ("not_user_type=%C3%A4", "M_UNKNOWN", "Query parameter 'not_user_type' must be ascii".to_owned()),
            ("dir=x", "M_INVALID_PARAM", "Query parameter 'dir' must be one of ['b', 'f']".to_owned()),
            ("order_by=x", "M_INVALID_PARAM", format!("Query parameter 'order_by' must be one of {orders}")),
            ("admins=1", "M_INVALID_PARAM", boolean("admins")),
            ("locked=", "M_INVALID_PARAM", boolean("locked")),
            ("deactivated=True", "M_INVALID_PARAM", boolean("deactivated")),
            ("guests=True", "M_INVALID_PARAM", boolean("guests")),
            ("name=%FF", "M_UNKNOWN", "Query parameter 'name' must be utf-8".to_owned()),
            ("user_id=%C3%A4", "M_UNKNOWN", "Query parameter 'user_id' must be ascii".to_owned()),
            ("limit=-1", "M_INVALID_PARAM", "Query parameter limit must be a positive integer.".to_owned()),
            ("from=9223372036854775808", "M_INVALID_PARAM", "Query parameter from must be an integer".to_owned()),
        ] {
            query = format!("{part}&{query}");
            for version in ["v2", "v3"] {
                let reply = admin.get(&format!("/_synapse/admin/{version}/users?{query}")).await;
                assert_eq!(reply.refusal(), (400, code, &*text), "{query}");
            }
        }
    }
}
