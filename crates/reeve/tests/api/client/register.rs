//! `/_matrix/client/v3/register`: names, passwords, sessions and guests. Registration tokens have a separate
//! file.

use reeve_testkit::{Client, Config, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::mail_kit::{self, addresses, by_email, confirm, expect, set_address, sid, with_mail};

pub(super) const REGISTER: &str = "/_matrix/client/v3/register";
const AVAILABLE: &str = "/_matrix/client/v3/register/available";

pub(super) fn open(config: &mut Config) {
    config.policy.registration_enabled = true;
}

fn open_to_guests(config: &mut Config) {
    config.policy.guests = true;
}

fn open_and_limited(config: &mut Config) {
    open(config);
    config.policy.guests = true;
    config.rate_limits.enabled = true;
}

fn dummy() -> Value {
    json!({ "type": "m.login.dummy" })
}

fn keys(reply: &Reply) -> Vec<&str> {
    let mut keys: Vec<&str> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

async fn register(client: &Client, name: &str) -> Reply {
    client.post(REGISTER, json!({ "username": name, "password": "pw", "auth": dummy() })).await
}

on_both_engines! {
    #[config(open)]
    async fn somebody_registers_in_one_request(server: Server) {
        let stranger = server.stranger();
        let reply = register(&stranger, "ann").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(keys(&reply), ["access_token", "device_id", "home_server", "user_id"]);
        assert_eq!((reply.text("user_id"), reply.text("home_server")), ("@ann:test", "test"));
        let ann = server.with_token(reply.text("access_token"));
        let whoami = ann.get("/_matrix/client/v3/account/whoami").await;
        let device_id = reply.text("device_id");
        assert_eq!(whoami, (200, json!({ "user_id": "@ann:test", "is_guest": false, "device_id": device_id })));
        assert_eq!(ann.get("/_matrix/client/v3/profile/@ann:test").await, (200, json!({ "displayname": "ann" })));
        server.log_in("ann", "pw").await;
        let old = stranger.post("/_matrix/client/r0/register", json!({})).await;
        assert_eq!(old.status, 401);
        assert_eq!(stranger.get(REGISTER).await.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    #[config(open)]
    async fn somebody_registers_step_by_step(server: Server) {
        let stranger = server.stranger();
        let empty = stranger.post(REGISTER, json!({})).await;
        assert_eq!((empty.status, keys(&empty)), (401, vec!["flows", "params", "session"]));
        assert_eq!(empty.body["flows"], json!([{ "stages": ["m.login.dummy"] }]));
        assert_eq!(empty.body["params"], json!({}));
        // Name and password are remembered; those sent later win.
        let first = stranger.post(REGISTER, json!({ "username": "Bob", "password": "first" })).await;
        let session = first.text("session");
        assert_eq!((first.status, session.len()), (401, 24));
        let auth = json!({ "type": "m.login.dummy", "session": session });
        let done = stranger.post(REGISTER, json!({ "auth": auth })).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@bob:test"));
        server.log_in("bob", "first").await;
        // The session is over.
        let again = stranger.post(REGISTER, json!({ "auth": auth })).await;
        assert_eq!(again.refusal(), (400, "M_UNKNOWN", &*format!("Unknown session ID: {session}")));

        let first = stranger.post(REGISTER, json!({ "username": "c1", "password": "p1" })).await;
        let auth = json!({ "type": "m.login.dummy", "session": first.text("session") });
        let done = stranger.post(REGISTER, json!({ "username": "c2", "password": "p2", "auth": auth })).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@c2:test"));
        server.log_in("c2", "p2").await;
        // An unfinished session reserves nothing, and cannot be completed once the name is taken.
        let first = stranger.post(REGISTER, json!({ "username": "dan", "password": "p1" })).await;
        assert_eq!(register(&stranger, "dan").await.status, 200);
        let auth = json!({ "type": "m.login.dummy", "session": first.text("session") });
        let late = stranger.post(REGISTER, json!({ "auth": auth })).await;
        assert_eq!(late.refusal(), (400, "M_USER_IN_USE", "User ID already taken."));
        // The session of another operation.
        let gone = server.user("gone").await;
        let other = gone.post("/_matrix/client/v3/account/deactivate", json!({})).await;
        let auth = json!({ "type": "m.login.dummy", "session": other.text("session") });
        let reply = stranger.post(REGISTER, json!({ "username": "x", "auth": auth })).await;
        let text = "Requested operation has changed during the UI authentication session.";
        assert_eq!(reply.refusal(), (403, "M_UNKNOWN", text));
    }

    #[config(open)]
    async fn what_registration_refuses(server: Server) {
        let stranger = server.stranger();
        server.create("taken", false).await;
        let post = |body: Value| {
            let stranger = stranger.clone();
            async move { stranger.post(REGISTER, body).await }
        };
        let long = "x".repeat(513);
        for (body, status, code, text) in [
            (json!([]), 400, "M_BAD_JSON", "Content must be a JSON object."),
            (json!({ "auth": [] }), 400, "M_BAD_JSON", "'auth' must be an object"),
            (json!({ "auth": { "type": 1 } }), 400, "M_BAD_JSON", "'type' must be a string"),
            (json!({ "auth": { "session": 1 } }), 400, "M_BAD_JSON", "'session' must be a string"),
            (json!({ "auth": { "session": "nosuch" } }), 400, "M_UNKNOWN", "Unknown session ID: nosuch"),
            (json!({ "auth": { "type": "m.login.password" } }), 400, "M_INVALID_PARAM", "Invalid login submission"),
            (json!({ "refresh_token": 1, "username": 1 }), 400, "M_UNKNOWN", "`refresh_token` should be true or false."),
            (json!({ "refresh_token": null }), 400, "M_UNKNOWN", "`refresh_token` should be true or false."),
            (json!({ "username": 1, "password": 1 }), 400, "M_UNKNOWN", "Invalid username"),
            (json!({ "username": null }), 400, "M_UNKNOWN", "Invalid username"),
            (json!({ "username": long }), 400, "M_UNKNOWN", "Invalid username"),
            (json!({ "username": "A b", "password": 1 }), 400, "M_UNKNOWN", "Invalid password"),
            (json!({ "password": long }), 400, "M_UNKNOWN", "Invalid password"),
            (json!({ "device_id": 1 }), 400, "M_INVALID_PARAM", "Bad parameter: device_id"),
            (json!({ "device_id": long }), 400, "M_INVALID_PARAM", "device_id cannot be longer than 512 characters."),
            (json!({ "initial_device_display_name": "x".repeat(101) }), 400, "M_TOO_LARGE", "Device display name is too long (max 100)"),
            (json!({ "username": "taken" }), 400, "M_USER_IN_USE", "User ID already taken."),
            (json!({ "username": "TAKEN" }), 400, "M_USER_IN_USE", "User ID already taken."),
            (json!({ "username": "" }), 400, "M_INVALID_USERNAME", "User ID cannot be empty"),
            (json!({ "username": "_a" }), 400, "M_INVALID_USERNAME", "User ID may not begin with _"),
            (json!({ "username": "1234" }), 400, "M_INVALID_USERNAME", "Numeric user IDs are reserved for guest users."),
            (json!({ "username": "a".repeat(250) }), 400, "M_INVALID_USERNAME", "User ID may not be longer than 255 characters"),
            (json!({ "username": "a", "auth": dummy() }), 400, "M_MISSING_PARAM", "Missing params: password"),
            (json!({ "username": "a", "password": "", "auth": dummy() }), 400, "M_MISSING_PARAM", "Missing params: password"),
            (json!({ "username": "a", "password": null, "auth": dummy() }), 400, "M_MISSING_PARAM", "Missing params: password"),
        ] {
            assert_eq!(post(body.clone()).await.refusal(), (status, code, text), "{body}");
        }
        for name in ["@x:test", "a b", "é", "a\0b"] {
            let text = "User ID can only contain characters a-z, 0-9, or '=_-./+'";
            assert_eq!(post(json!({ "username": name })).await.refusal(), (400, "M_INVALID_USERNAME", text), "{name}");
        }
        let no_body = stranger.send(http::Method::POST, REGISTER, &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        for kind in ["bogus", ""] {
            let reply = stranger.post(&format!("{REGISTER}?kind={kind}"), json!({})).await;
            let text = format!("Do not understand membership kind: {kind}");
            assert_eq!(reply.refusal(), (400, "M_UNRECOGNIZED", &*text));
        }
        let text = "An access token should not be provided on requests to /register (except if type is m.login.application_service)";
        let someone = server.with_token("anything").post(REGISTER, json!({})).await;
        assert_eq!(someone.refusal(), (400, "M_UNKNOWN", text));
        let someone = stranger.post(&format!("{REGISTER}?access_token=x"), json!({})).await;
        assert_eq!(someone.refusal(), (400, "M_UNKNOWN", text));
        // Nothing was made by any of these.
        assert_eq!(server.stranger().get("/_matrix/client/v3/profile/@a:test").await.status, 404);
    }

    async fn registration_is_off_by_default(server: Server) {
        let stranger = server.stranger();
        let off = (403, "M_FORBIDDEN", "Registration has been disabled");
        assert_eq!(stranger.post(REGISTER, json!({})).await.refusal(), off);
        assert_eq!(register(&stranger, "a").await.refusal(), off);
        assert_eq!(stranger.post(&format!("{REGISTER}?kind=user"), json!({})).await.refusal(), off);
        assert_eq!(stranger.get(AVAILABLE).await.refusal(), off);
        let guests = (403, "M_FORBIDDEN", "Guest access is disabled");
        assert_eq!(stranger.post(&format!("{REGISTER}?kind=guest"), json!({})).await.refusal(), guests);
    }

    #[config(open)]
    async fn the_session_of_a_registration(server: Server) {
        let stranger = server.stranger();
        let all = stranger.post(REGISTER, json!({
            "username": "a", "password": "pw", "auth": dummy(), "device_id": "DEV",
            "initial_device_display_name": "Phone", "refresh_token": true, "bind_email": true,
        })).await;
        assert_eq!(keys(&all), ["access_token", "device_id", "expires_in_ms", "home_server", "refresh_token", "user_id"]);
        assert_eq!((all.text("device_id"), &all.body["expires_in_ms"]), ("DEV", &json!(300_000)));
        let device = server.with_token(all.text("access_token")).get("/_matrix/client/v3/devices/DEV").await;
        assert_eq!(device.text("display_name"), "Phone");
        for inhibit in [json!(true), json!("yes"), json!(1)] {
            let name = format!("n{}", inhibit.to_string().trim_matches('"'));
            let body = json!({ "username": name, "password": "pw", "auth": dummy(), "inhibit_login": inhibit });
            let reply = stranger.post(REGISTER, body).await;
            assert_eq!(reply, (200, json!({ "user_id": format!("@{name}:test"), "home_server": "test" })));
        }
        // An empty device id requests a new device.
        let blank = json!({ "username": "b", "password": "pw", "auth": dummy(), "device_id": "" });
        assert_eq!(stranger.post(REGISTER, blank).await.text("device_id").len(), 10);
        // An account without a chosen name gets a number.
        let reply = stranger.post(REGISTER, json!({ "password": "pw", "auth": dummy() })).await;
        let number = reply.text("user_id").trim_start_matches('@').trim_end_matches(":test");
        assert!(number.parse::<u32>().is_ok(), "{}", reply.body);
        server.log_in(number, "pw").await;
    }

    #[config(open_to_guests)]
    async fn guests(server: Server) {
        let path = format!("{REGISTER}?kind=guest");
        let stranger = server.stranger();
        let body = json!({ "initial_device_display_name": "Web", "inhibit_login": true, "refresh_token": "?", "username": "x" });
        let reply = server.with_token("anything").post(&path, body).await;
        assert_eq!(keys(&reply), ["access_token", "device_id", "home_server", "user_id"]);
        assert_eq!(reply.text("device_id"), "guest_device");
        let user_id = reply.text("user_id").to_owned();
        let number = user_id.trim_start_matches('@').trim_end_matches(":test");
        assert!(number.parse::<u32>().is_ok(), "{user_id}");
        let guest = server.with_token(reply.text("access_token"));
        let whoami = guest.get("/_matrix/client/v3/account/whoami").await;
        assert_eq!(whoami, (200, json!({ "user_id": user_id, "is_guest": true, "device_id": "guest_device" })));
        let profile = format!("/_matrix/client/v3/profile/{user_id}");
        assert_eq!(guest.get(&profile).await, (200, json!({ "displayname": number })));
        assert_eq!(guest.put(&format!("{profile}/displayname"), json!({ "displayname": "G" })).await, (200, json!({})));
        let refused = (403, "M_GUEST_ACCESS_FORBIDDEN", "Guest access not allowed");
        let put = |path: String, body: Value| { let guest = guest.clone(); async move { guest.put(&path, body).await } };
        assert_eq!(put(format!("{profile}/avatar_url"), json!({ "avatar_url": "mxc://a/b" })).await.refusal(), refused);
        assert_eq!(put(format!("{profile}/m.tz"), json!({ "m.tz": "x" })).await.refusal(), refused);
        assert_eq!(guest.get("/_matrix/client/v3/pushers").await.refusal(), refused);
        let data = format!("/_matrix/client/v3/user/{user_id}/account_data/a");
        assert_eq!(guest.get(&data).await.refusal(), refused);
        assert_eq!(guest.get("/_matrix/client/v3/capabilities").await.status, 200);
        let second = stranger.post(&path, json!({})).await;
        assert_ne!(second.text("user_id"), user_id);
        let no_body = stranger.send(http::Method::POST, &path, &[], "").await;
        assert_eq!(no_body.refusal(), (400, "M_NOT_JSON", "Content not JSON."));
        let long = json!({ "initial_device_display_name": "x".repeat(101) });
        let text = "Device display name is too long (max 100)";
        assert_eq!(stranger.post(&path, long).await.refusal(), (400, "M_TOO_LARGE", text));
    }

    #[config(open)]
    async fn many_at_once_never_share_a_name(server: Server) {
        let same = (0..8).map(|_| { let client = server.stranger(); async move { register(&client, "one").await } });
        let replies = futures_util::future::join_all(same).await;
        let made = replies.iter().filter(|reply| reply.status == 200).count();
        let taken = (400, "M_USER_IN_USE", "User ID already taken.");
        assert_eq!(made, 1);
        assert_eq!(replies.iter().filter(|reply| reply.refusal() == taken).count(), 7);
        let body = json!({ "password": "pw", "auth": dummy() });
        let numbered = (0..8).map(|_| {
            let (client, body) = (server.stranger(), body.clone());
            async move { client.post(REGISTER, body).await }
        });
        let replies = futures_util::future::join_all(numbered).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        let names: std::collections::HashSet<&str> = replies.iter().map(|reply| reply.text("user_id")).collect();
        assert_eq!(names.len(), 8);
    }

    #[config(open_and_limited)]
    async fn accounts_are_limited_by_address(server: Server) {
        let stranger = server.stranger();
        // Only accounts that are made count: requests that are refused or not complete are free.
        for _ in 0..10 {
            assert_eq!(stranger.post(REGISTER, json!({})).await.status, 401);
            assert_eq!(stranger.post(REGISTER, json!({ "username": "" })).await.status, 400);
        }
        for name in ["a", "b"] {
            assert_eq!(register(&stranger, name).await.status, 200);
        }
        assert_eq!(stranger.post(&format!("{REGISTER}?kind=guest"), json!({})).await.status, 200);
        let reply = register(&stranger, "c").await;
        let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 5883 });
        assert_eq!(reply, (429, body));
        assert_eq!(reply.header("retry-after"), "6");
        server.clock.advance(5883);
        assert_eq!(register(&stranger, "c").await.status, 200);
    }

    #[config(open)]
    async fn is_a_name_available(server: Server) {
        let stranger = server.stranger();
        server.create("taken", false).await;
        let get = |query: &'static str| {
            let stranger = stranger.clone();
            async move { stranger.get(&format!("{AVAILABLE}{query}")).await }
        };
        assert_eq!(get("?username=free").await, (200, json!({ "available": true })));
        assert_eq!(get("?username=free&username=taken").await, (200, json!({ "available": true })));
        for (query, code, text) in [
            ("", "M_MISSING_PARAM", "Missing string query parameter 'username'"),
            ("?username=%C3%A9", "M_UNKNOWN", "Query parameter 'username' must be ascii"),
            ("?username=Free", "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
            ("?username=", "M_INVALID_USERNAME", "User ID cannot be empty"),
            ("?username=_a", "M_INVALID_USERNAME", "User ID may not begin with _"),
            ("?username=taken", "M_USER_IN_USE", "User ID already taken."),
            ("?username=12", "M_INVALID_USERNAME", "Numeric user IDs are reserved for guest users."),
        ] {
            assert_eq!(get(query).await.refusal(), (400, code, text), "{query}");
        }
        assert_eq!(stranger.get("/_matrix/client/r0/register/available?username=a").await.status, 200);
        // A token is not looked at.
        assert_eq!(server.with_token("nobody").get(&format!("{AVAILABLE}?username=a")).await.status, 200);
    }

    #[config(open)]
    async fn an_address_can_come_with_the_account(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let stranger = server.stranger();
        let begun = stranger.post(REGISTER, json!({ "username": "ann", "password": "pw" })).await;
        let flows = json!([{ "stages": ["m.login.dummy"] }, { "stages": ["m.login.email.identity"] }]);
        assert_eq!((begun.status, &begun.body["flows"]), (401, &flows));
        let id = sid(&stranger, mail_kit::REGISTER, "Ann@X.org", "s").await;
        let mail = expect(&smtp, "ann@x.org", "[Example] Confirm your e-mail address").await;
        let mut auth = by_email(&id, "s");
        auth["session"] = begun.body["session"].clone();
        let early = stranger.post(REGISTER, json!({ "auth": auth })).await;
        assert_eq!(early.refusal(), (401, "M_THREEPID_AUTH_FAILED", "The e-mail address is not confirmed"));
        confirm(&server, &mail).await.unwrap();
        let done = stranger.post(REGISTER, json!({ "auth": auth })).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@ann:test"), "{}", done.body);
        assert_eq!(addresses(&server.with_token(done.text("access_token"))).await, ["ann@x.org"]);
        // The proof is used up. Nobody is told of the first session.
        let again = stranger.post(REGISTER, json!({ "username": "ann2", "password": "pw", "auth": by_email(&id, "s") })).await;
        assert_eq!((again.status, again.text("errcode")), (401, "M_THREEPID_AUTH_FAILED"));
        assert_eq!(register(&stranger, "bob").await.status, 200);
        assert_eq!(smtp.waiting().await, 0);
    }

    #[config(|config| { open(config); config.policy.registration_requires_email = true; })]
    async fn an_address_can_be_required(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |config| config.policy.registration_requires_token = true).await;
        let (admin, stranger) = (server.admin().await, server.stranger());
        let token = json!({ "token": "open-sesame" });
        assert_eq!(admin.post("/_synapse/admin/v1/registration_tokens/new", token).await.status, 200);
        let begun = stranger.post(REGISTER, json!({ "username": "ann", "password": "pw" })).await;
        let flows = json!([{ "stages": ["m.login.registration_token", "m.login.email.identity"] }]);
        assert_eq!((begun.status, &begun.body["flows"]), (401, &flows));
        let session = begun.body["session"].clone();
        let pass = async |mut auth: Value| {
            auth["session"] = session.clone();
            stranger.post(REGISTER, json!({ "auth": auth })).await
        };
        let id = sid(&stranger, mail_kit::REGISTER, "ann@x.org", "s").await;
        confirm(&server, &smtp.mail().await).await.unwrap();
        assert_eq!(pass(by_email(&id, "s")).await.body["completed"], json!(["m.login.email.identity"]));
        assert_eq!(pass(dummy()).await.status, 401);
        // Another account gets the address before the last stage.
        server.create("bob", false).await;
        set_address(&admin, "@bob:test", "ann@x.org").await;
        let last = json!({ "type": "m.login.registration_token", "token": "open-sesame" });
        assert_eq!(pass(last.clone()).await.refusal(), (400, "M_THREEPID_IN_USE", "This address is already in use"));
        set_address(&admin, "@bob:test", "bob@x.org").await;
        smtp.mail().await;
        let done = pass(last).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@ann:test"), "{}", done.body);
        assert_eq!(addresses(&server.with_token(done.text("access_token"))).await, ["ann@x.org"]);
        // Administrators need none.
        let body = json!({ "password": "pw" });
        assert_eq!(admin.put("/_synapse/admin/v2/users/@carl:test", body).await.status, 201);
    }

    #[config(open)]
    async fn a_proof_for_another_purpose_registers_nobody(server: Server) {
        let mut server = server;
        let smtp = with_mail(&mut server, |_| ()).await;
        let stranger = server.stranger();
        let added = sid(&stranger, mail_kit::ADD, "ann@x.org", "s").await;
        confirm(&server, &smtp.mail().await).await.unwrap();
        let wrong = (401, "M_THREEPID_AUTH_FAILED", "The e-mail address is not confirmed");
        for (sid, secret) in [(&*added, "s"), ("nothing", "s")] {
            let body = json!({ "username": "ann", "password": "pw", "auth": by_email(sid, secret) });
            assert_eq!(stranger.post(REGISTER, body).await.refusal(), wrong, "{sid}");
        }
        assert_eq!(stranger.get(&format!("{AVAILABLE}?username=ann")).await.status, 200);
        let closed = (403, "M_FORBIDDEN", "Registration has been disabled");
        server.restart(|config| config.policy.registration_enabled = false).await;
        let reply = mail_kit::ask(&server.stranger(), mail_kit::REGISTER, "a@x.org", "s", 1).await;
        assert_eq!(reply.refusal(), closed);
    }
}
