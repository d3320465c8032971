//! TURN servers for calls.

use reeve_app::{Turn, TurnCredentials};
use reeve_testkit::{Config, START_MS, on_both_engines};
use serde_json::json;

use crate::rooms_kit::*;

fn with(config: &mut Config, credentials: TurnCredentials, guests: bool) {
    let uris = vec!["turn:turn.example.org?transport=udp".to_owned()];
    config.discovery.turn = Some(Turn { uris, credentials, lifetime_ms: 86_400_000, guests });
    config.policy.guests = true;
}

fn secret(config: &mut Config) {
    with(
        config,
        TurnCredentials::Secret("n0t4ctuAllymatr1Xd0TorgSshar3d5ecret4obvIousreAsons".to_owned()),
        false,
    );
}

fn fixed(config: &mut Config) {
    with(config, TurnCredentials::Fixed { username: "user".to_owned(), password: "pass".to_owned() }, true);
}

on_both_engines! {
    async fn there_is_none(server: Server) {
        let alice = server.user("alice").await;
        assert_eq!(alice.get(&format!("{CS}/voip/turnServer")).await, (200, json!({})));
    }

    #[config(secret)]
    async fn made_from_a_secret(server: Server) {
        let alice = server.user("alice").await;
        let until = START_MS / 1000 + 86_400;
        let expected = json!({
            "username": format!("{until}:@alice:test"),
            // printf 1700086400:@alice:test | openssl dgst -sha1 -hmac SECRET -binary | base64
            "password": "cJ+yfUMzr7FuyL613gCuGFbcYxM=",
            "uris": ["turn:turn.example.org?transport=udp"],
            "ttl": 86_400,
        });
        assert_eq!(alice.get(&format!("{CS}/voip/turnServer")).await, (200, expected));
        let guest = ok(server.stranger().post(&format!("{CS}/register?kind=guest"), json!({})).await);
        let guest = server.with_token(at(&guest, "/access_token"));
        assert_eq!(guest.get(&format!("{CS}/voip/turnServer")).await, (200, json!({})));
    }

    #[config(fixed)]
    async fn the_same_for_everybody(server: Server) {
        let guest = ok(server.stranger().post(&format!("{CS}/register?kind=guest"), json!({})).await);
        let guest = server.with_token(at(&guest, "/access_token"));
        let expected = json!({
            "username": "user", "password": "pass", "uris": ["turn:turn.example.org?transport=udp"], "ttl": 86_400,
        });
        assert_eq!(guest.get(&format!("{CS}/voip/turnServer")).await, (200, expected));
    }
}
