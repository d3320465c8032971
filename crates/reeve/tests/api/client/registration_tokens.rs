//! Registration with a registration token.

use reeve_testkit::{Client, Config, Reply, START_MS, on_both_engines};
use serde_json::{Value, json};

use super::register::REGISTER;

const TOKENS: &str = "/_synapse/admin/v1/registration_tokens";
const VALIDITY: &str = "/_matrix/client/v1/register/m.login.registration_token/validity";

fn by_token(config: &mut Config) {
    config.policy.registration_enabled = true;
    config.policy.registration_requires_token = true;
}

fn limited(config: &mut Config) {
    by_token(config);
    config.rate_limits.enabled = true;
}

async fn create(admin: &Client, token: &str, uses_allowed: Value) {
    let reply =
        admin.post(&format!("{TOKENS}/new"), json!({ "token": token, "uses_allowed": uses_allowed })).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// `(pending, completed)` of a token.
async fn counts(admin: &Client, token: &str) -> (Value, Value) {
    let body = admin.get(&format!("{TOKENS}/{token}")).await.body;
    (body["pending"].clone(), body["completed"].clone())
}

async fn begin(client: &Client, name: &str) -> String {
    let reply = client.post(REGISTER, json!({ "username": name, "password": "pw" })).await;
    assert_eq!(reply.body["flows"], json!([{ "stages": ["m.login.registration_token", "m.login.dummy"] }]));
    reply.text("session").to_owned()
}

async fn give(client: &Client, session: &str, token: Value) -> Reply {
    let auth = json!({ "type": "m.login.registration_token", "session": session, "token": token });
    client.post(REGISTER, json!({ "auth": auth })).await
}

async fn finish(client: &Client, session: &str) -> Reply {
    client.post(REGISTER, json!({ "auth": { "type": "m.login.dummy", "session": session } })).await
}

async fn is_valid(client: &Client, token: &str) -> Value {
    client.get(&format!("{VALIDITY}?token={token}")).await.body["valid"].clone()
}

/// The 401 of a stage that was passed or refused.
fn under_way(session: &str, completed: Value, refusal: Option<(&str, &str)>) -> (u16, Value) {
    let mut body = json!({
        "session": session, "params": {}, "completed": completed,
        "flows": [{ "stages": ["m.login.registration_token", "m.login.dummy"] }],
    });
    if let Some((code, text)) = refusal {
        body["errcode"] = json!(code);
        body["error"] = json!(text);
    }
    (401, body)
}

on_both_engines! {
    #[config(by_token)]
    async fn a_token_is_used(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "one", json!(1)).await;
        let session = begin(&stranger, "a").await;
        let passed = under_way(&session, json!(["m.login.registration_token"]), None);
        assert_eq!(give(&stranger, &session, json!("one")).await, passed);
        assert_eq!(counts(&admin, "one").await, (json!(1), json!(0)));
        // Once per session.
        assert_eq!(give(&stranger, &session, json!("one")).await, passed);
        assert_eq!(counts(&admin, "one").await, (json!(1), json!(0)));
        // Pending registrations count as used.
        assert_eq!(is_valid(&stranger, "one").await, json!(false));
        let other = begin(&stranger, "b").await;
        let refused = under_way(&other, json!([]), Some(("M_UNAUTHORIZED", "Invalid registration token")));
        assert_eq!(give(&stranger, &other, json!("one")).await, refused);
        let done = finish(&stranger, &session).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@a:test"));
        assert_eq!(counts(&admin, "one").await, (json!(0), json!(1)));
        server.log_in("a", "pw").await;
        // The other session cannot end without a token.
        let reply = finish(&stranger, &other).await;
        assert_eq!(reply, under_way(&other, json!(["m.login.dummy"]), None));
    }

    #[config(by_token)]
    async fn the_stages_come_in_any_order(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "t", json!(null)).await;
        let session = begin(&stranger, "a").await;
        assert_eq!(finish(&stranger, &session).await.status, 401);
        let done = give(&stranger, &session, json!("t")).await;
        assert_eq!((done.status, done.text("user_id")), (200, "@a:test"));
        assert_eq!(counts(&admin, "t").await, (json!(0), json!(1)));
    }

    #[config(by_token)]
    async fn tokens_that_are_refused(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "good", json!(null)).await;
        create(&admin, "other", json!(null)).await;
        create(&admin, "never", json!(0)).await;
        let old = json!({ "token": "old", "expiry_time": START_MS });
        assert_eq!(admin.post(&format!("{TOKENS}/new"), old).await.status, 200);
        let session = begin(&stranger, "a").await;
        let invalid = Some(("M_UNAUTHORIZED", "Invalid registration token"));
        let long = "x".repeat(100);
        for (token, refusal) in [
            (json!("nosuch"), invalid),
            (json!(""), invalid),
            (json!(long), invalid),
            (json!("never"), invalid),
            (json!("old"), invalid),
            (json!(1), Some(("M_INVALID_PARAM", "Registration token must be a string"))),
            (json!(null), Some(("M_INVALID_PARAM", "Registration token must be a string"))),
        ] {
            assert_eq!(give(&stranger, &session, token.clone()).await, under_way(&session, json!([]), refusal), "{token}");
        }
        let auth = json!({ "type": "m.login.registration_token", "session": session });
        let refusal = Some(("M_MISSING_PARAM", "Missing registration token"));
        assert_eq!(stranger.post(REGISTER, json!({ "auth": auth })).await, under_way(&session, json!([]), refusal));
        let auth = json!({ "type": "m.login.registration_token", "token": "good" });
        let reply = stranger.post(REGISTER, json!({ "auth": auth })).await;
        let refusal = Some(("M_MISSING_PARAM", "Missing UIA session"));
        assert_eq!(reply, under_way(reply.text("session"), json!([]), refusal));
        // One session, one token.
        give(&stranger, &session, json!("good")).await;
        let refusal = Some(("M_INVALID_PARAM", "Registration token has changed"));
        let changed = under_way(&session, json!(["m.login.registration_token"]), refusal);
        assert_eq!(give(&stranger, &session, json!("other")).await, changed);
        assert_eq!(counts(&admin, "other").await, (json!(0), json!(0)));
        // A bad name counts nothing.
        let auth = json!({ "type": "m.login.registration_token", "session": session, "token": "good" });
        let bad = stranger.post(REGISTER, json!({ "username": "_", "auth": auth })).await;
        assert_eq!(bad.refusal(), (400, "M_INVALID_USERNAME", "User ID may not begin with _"));
        assert_eq!(counts(&admin, "good").await, (json!(1), json!(0)));
        // Where tokens are wanted, the dummy alone makes no account.
        let auth = json!({ "type": "m.login.dummy" });
        let reply = stranger.post(REGISTER, json!({ "username": "b", "password": "p", "auth": auth })).await;
        assert_eq!(reply, under_way(reply.text("session"), json!(["m.login.dummy"]), None));
    }

    #[config(by_token)]
    async fn a_deleted_token_makes_no_account(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "t", json!(1)).await;
        let session = begin(&stranger, "a").await;
        give(&stranger, &session, json!("t")).await;
        assert_eq!(admin.delete(&format!("{TOKENS}/t")).await, (200, json!({})));
        // Also if a token of the same name is made.
        create(&admin, "t", json!(1)).await;
        let reply = finish(&stranger, &session).await;
        let body = json!({ "errcode": "M_UNAUTHORIZED", "error": "Invalid registration token" });
        assert_eq!(reply, (401, body));
        assert_eq!(counts(&admin, "t").await, (json!(0), json!(0)));
        assert_eq!(admin.get("/_synapse/admin/v2/users/@a:test").await.status, 404);
    }

    #[config(by_token)]
    async fn what_is_not_finished_is_given_back(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "t", json!(1)).await;
        let session = begin(&stranger, "a").await;
        give(&stranger, &session, json!("t")).await;
        let prune = || {
            let now = server.clock.now();
            let app = std::sync::Arc::clone(server.app());
            async move {
                app.db.write(move |tx| -> Result<(), reeve_db::DbError> {
                    reeve_accounts::registration::prune(tx, now)?;
                    reeve_client_api::prune(tx, now)?;
                    Ok(())
                }).await.unwrap();
            }
        };
        prune().await;
        assert_eq!(counts(&admin, "t").await, (json!(1), json!(0)));
        server.clock.advance(48 * 3600 * 1000 + 1);
        prune().await;
        assert_eq!(counts(&admin, "t").await, (json!(0), json!(0)));
        let text = format!("Unknown session ID: {session}");
        assert_eq!(finish(&stranger, &session).await.refusal(), (400, "M_UNKNOWN", &*text));
        assert_eq!(is_valid(&stranger, "t").await, json!(true));
    }

    #[config(by_token)]
    async fn the_last_use_has_one_winner(server: Server) {
        let admin = server.admin().await;
        create(&admin, "t", json!(3)).await;
        let tries = (0..8).map(|number| {
            let client = server.stranger();
            async move {
                let session = begin(&client, &format!("n{number}")).await;
                give(&client, &session, json!("t")).await;
                // The same token twice at once, in one session.
                futures_util::future::join(
                    give(&client, &session, json!("t")), give(&client, &session, json!("t")),
                ).await;
                finish(&client, &session).await.status
            }
        });
        let statuses = futures_util::future::join_all(tries).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
        assert_eq!(counts(&admin, "t").await, (json!(0), json!(3)));
    }

    #[config(by_token)]
    async fn is_a_token_valid(server: Server) {
        let (admin, stranger) = (server.admin().await, server.stranger());
        create(&admin, "t", json!(null)).await;
        create(&admin, "never", json!(0)).await;
        let soon = json!({ "token": "soon", "expiry_time": START_MS + 10 });
        assert_eq!(admin.post(&format!("{TOKENS}/new"), soon).await.status, 200);
        assert_eq!(stranger.get(&format!("{VALIDITY}?token=t&token=x")).await, (200, json!({ "valid": true })));
        for token in ["", "nosuch", "never", &"x".repeat(200)] {
            let reply = stranger.get(&format!("{VALIDITY}?token={token}")).await;
            assert_eq!(reply, (200, json!({ "valid": false })), "{token}");
        }
        assert_eq!(is_valid(&stranger, "soon").await, json!(true));
        server.clock.advance(10);
        assert_eq!(is_valid(&stranger, "soon").await, json!(false));
        let missing = (400, "M_MISSING_PARAM", "Missing string query parameter 'token'");
        assert_eq!(stranger.get(VALIDITY).await.refusal(), missing);
        let ascii = (400, "M_UNKNOWN", "Query parameter 'token' must be ascii");
        assert_eq!(stranger.get(&format!("{VALIDITY}?token=%C3%A4")).await.refusal(), ascii);
        let old = "/_matrix/client/v3/register/m.login.registration_token/validity?token=t";
        assert_eq!(stranger.get(old).await.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    async fn validity_while_registration_is_off(server: Server) {
        let off = (403, "M_FORBIDDEN", "Registration has been disabled");
        assert_eq!(server.stranger().get(VALIDITY).await.refusal(), off);
        assert_eq!(server.stranger().get(&format!("{VALIDITY}?token=t")).await.refusal(), off);
    }

    #[config(limited)]
    async fn guessing_tokens_is_slow(server: Server) {
        let stranger = server.stranger();
        for _ in 0..5 {
            assert_eq!(is_valid(&stranger, "guess").await, json!(false));
        }
        let reply = stranger.get(&format!("{VALIDITY}?token=guess")).await;
        let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 10_000 });
        assert_eq!(reply, (429, body));
        server.clock.advance(10_000);
        assert_eq!(is_valid(&stranger, "guess").await, json!(false));
    }
}
