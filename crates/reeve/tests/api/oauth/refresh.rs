//! `POST /_reeve/oauth/token` with refresh tokens

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::oauth_kit::*;

const INVALID: (u16, &str) = (400, "invalid_grant");
const MATRIX_REFRESH: &str = "/_matrix/client/v3/refresh";

on_both_engines! {
    #[config(enabled)]
    async fn tokens_are_exchanged_for_new_ones(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let first = session(&server, &mut alice, &client_id, "PHONE").await;
        let reply = refresh(&server, &client_id, &first.refresh_token).await;
        assert_eq!((reply.text("token_type"), reply.text("scope"), &reply.body["expires_in"]), ("Bearer", &*scope("PHONE"), &json!(300)));
        let lost = Session::of(&server, &reply);
        assert_ne!(lost.refresh_token, first.refresh_token);
        // The response was lost: the old tokens work until a new one is used.
        assert!(first.is_alive().await);
        let second = Session::of(&server, &refresh(&server, &client_id, &first.refresh_token).await);
        assert!(second.is_alive().await);
        assert!(!first.is_alive().await && !lost.is_alive().await);
        server.clock.advance(300_001);
        let third = Session::of(&server, &refresh(&server, &client_id, &second.refresh_token).await);
        assert!(third.is_alive().await);
    }

    #[config(enabled)]
    async fn a_stolen_refresh_token_ends_the_session(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let (phone, laptop) = (
            session(&server, &mut alice, &client_id, "PHONE").await,
            session(&server, &mut alice, &client_id, "LAPTOP").await,
        );
        let thief = Session::of(&server, &refresh(&server, &client_id, &phone.refresh_token).await);
        assert!(thief.is_alive().await);
        let reply = refresh(&server, &client_id, &phone.refresh_token).await;
        assert_eq!((error(&reply), reply.text("error_description")), (INVALID, "The refresh token was used before, so its session has ended"));
        assert!(!thief.is_alive().await && laptop.is_alive().await);
        assert_eq!(error(&refresh(&server, &client_id, &thief.refresh_token).await), INVALID);
        // The number of exchanges makes no difference.
        let mut tokens = laptop.refresh_token.clone();
        for _ in 0..5 {
            let next = Session::of(&server, &refresh(&server, &client_id, &tokens).await);
            assert!(next.is_alive().await);
            tokens = next.refresh_token;
        }
        assert_eq!(error(&refresh(&server, &client_id, &laptop.refresh_token).await), INVALID);
        assert_eq!(error(&refresh(&server, &client_id, &tokens).await), INVALID);
    }

    #[config(enabled)]
    async fn a_refresh_token_is_for_its_client(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let other = register(&server, changed(json!({ "client_name": "Other" }))).await;
        let mut alice = person(&server, "alice").await;
        let session = session(&server, &mut alice, &client_id, "PHONE").await;
        let reply = refresh(&server, &other, &session.refresh_token).await;
        assert_eq!((error(&reply), reply.text("error_description")), (INVALID, "The refresh token is not for this client"));
        // Neither is it one of the Matrix endpoint, nor the other way round.
        let reply = server.stranger().post(MATRIX_REFRESH, json!({ "refresh_token": session.refresh_token })).await;
        assert_eq!(reply.refusal(), (401, "M_UNKNOWN_TOKEN", "The refresh token is not for this client"));
        let body = json!({ "type": "m.login.password", "user": "alice", "password": "alice's password", "refresh_token": true });
        let login = server.stranger().post("/_matrix/client/v3/login", body).await;
        assert_eq!(error(&refresh(&server, &client_id, login.text("refresh_token")).await), INVALID);
        assert!(session.is_alive().await);
        assert_eq!(server.with_token(login.text("access_token")).get(WHOAMI).await.status, 200);
        assert_eq!(refresh(&server, &client_id, &session.refresh_token).await.status, 200);
        let reply = server.stranger().post(MATRIX_REFRESH, json!({ "refresh_token": login.text("refresh_token") })).await;
        assert_eq!(reply.status, 200);
    }

    #[config(|config| {
        enabled(config);
        config.policy.refresh_token_lifetime_ms = Some(600_000);
    })]
    async fn a_session_that_nobody_uses_ends(server: Server) {
        server.create("alice", false).await;
        let client_id = register(&server, metadata()).await;
        let mut alice = person(&server, "alice").await;
        let first = session(&server, &mut alice, &client_id, "PHONE").await;
        server.clock.advance(600_000);
        let second = Session::of(&server, &refresh(&server, &client_id, &first.refresh_token).await);
        server.clock.advance(600_001);
        let reply = refresh(&server, &client_id, &second.refresh_token).await;
        assert_eq!((error(&reply), reply.text("error_description")), (INVALID, "The supplied refresh token has expired"));
    }
}
