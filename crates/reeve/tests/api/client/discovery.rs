//! Discovery by clients: versions, capabilities, and the URL of the server.

use reeve_app::{Contact, Support};
use reeve_testkit::{Config, START_MS, on_both_engines};
use serde_json::{Value, json};

const VERSIONS: &str = "/_matrix/client/versions";
const CAPABILITIES: &str = "/_matrix/client/v3/capabilities";
const WELL_KNOWN: &str = "/.well-known/matrix/client";

fn public(config: &mut Config) {
    config.discovery.public_base_url = Some("https://matrix.example.org".to_owned());
}

fn supported(config: &mut Config) {
    let contact = |role, matrix_id: Option<&str>, email: &str| Contact {
        role,
        matrix_id: matrix_id.map(str::to_owned),
        email_address: Some(email.to_owned()),
    };
    config.discovery.support = Some(Support {
        contacts: vec![
            contact("m.role.admin", Some("@ada:example.org"), "ada@example.org"),
            contact("m.role.security", None, "security@example.org"),
        ],
        support_page: Some("https://example.org/help".to_owned()),
    });
}

fn without_passwords(config: &mut Config) {
    config.policy.login_via_existing_session = true;
}

fn features(msc3881: bool) -> Value {
    json!({
        "org.matrix.msc3881": msc3881,
        "org.matrix.simplified_msc3575": true,
        "uk.half-shot.msc2666.query_mutual_rooms": true,
        "uk.half-shot.msc2666.query_mutual_rooms.stable": true,
        "uk.tcpip.msc4133.stable": true,
    })
}

on_both_engines! {
    async fn versions(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let reply = server.stranger().get(VERSIONS).await;
        let versions = json!([
            "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3",
            "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13", "v1.14", "v1.15",
            "v1.16", "v1.17", "v1.18", "v1.19",
        ]);
        let whole = |msc3881| (200, json!({ "versions": versions, "unstable_features": features(msc3881) }));
        assert_eq!(reply, whole(false));
        assert_eq!(reply.header("cache-control"), "public, max-age=600, s-maxage=3600, stale-while-revalidate=600");
        assert_eq!(reply.header("vary"), "Authorization");
        let reply = alice.get(VERSIONS).await;
        assert_eq!(reply, whole(false));
        assert_eq!(reply.header("cache-control"), "no-cache, no-store, must-revalidate");
        assert_eq!(reply.header("vary"), "Authorization");
        // A feature that an administrator enabled for one account.
        let path = "/_synapse/admin/v1/experimental_features/@alice:test";
        assert_eq!(admin.put(path, json!({ "features": { "msc3881": true } })).await.status, 200);
        assert_eq!(alice.get(VERSIONS).await, whole(true));
        assert_eq!(admin.get(VERSIONS).await, whole(false));
        assert_eq!(server.stranger().get(VERSIONS).await, whole(false));
        // Locked accounts and expired tokens are accepted, but not unknown tokens.
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await;
        assert_eq!(alice.get(VERSIONS).await, whole(true));
        let old = json!({ "valid_until_ms": START_MS - 1 });
        let old = admin.post("/_synapse/admin/v1/users/@alice:test/login", old).await;
        assert_eq!(server.with_token(old.text("access_token")).get(VERSIONS).await, whole(true));
        let unknown = server.with_token("nobody").get(VERSIONS).await;
        assert_eq!(unknown.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        let v3 = server.stranger().get("/_matrix/client/v3/versions").await;
        assert_eq!(v3.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    async fn capabilities(server: Server) {
        let mut server = server;
        let alice = server.user("alice").await;
        let whole = |password: bool, login_token: bool| (200, json!({ "capabilities": {
            "m.room_versions": { "default": "12", "available": {
                "6": "stable", "7": "stable", "8": "stable", "9": "stable", "10": "stable", "11": "stable",
                "12": "stable",
            } },
            "m.change_password": { "enabled": password },
            "m.set_displayname": { "enabled": true },
            "m.set_avatar_url": { "enabled": true },
            "m.profile_fields": { "enabled": true },
            "m.3pid_changes": { "enabled": false },
            "m.get_login_token": { "enabled": login_token },
        } }));
        assert_eq!(alice.get(CAPABILITIES).await, whole(true, false));
        assert_eq!(alice.get("/_matrix/client/r0/capabilities").await, whole(true, false));
        server.restart(|config| {
            without_passwords(config);
            config.policy.password_enabled = false;
        }).await;
        let alice = server.with_token(&alice.token.unwrap());
        assert_eq!(alice.get(CAPABILITIES).await, whole(false, true));
    }

    async fn no_well_known(server: Server) {
        let reply = server.stranger().get(WELL_KNOWN).await;
        assert_eq!(reply, (404, json!({ "errcode": "M_NOT_FOUND", "error": ".well-known not available" })));
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        let post = server.stranger().post(WELL_KNOWN, json!({})).await;
        assert_eq!(post.refusal(), (405, "M_UNRECOGNIZED", "Unrecognized request"));
    }

    #[config(public)]
    async fn well_known(server: Server) {
        let document = json!({ "m.homeserver": { "base_url": "https://matrix.example.org/" } });
        let reply = server.stranger().get(WELL_KNOWN).await;
        assert_eq!(reply, (200, document.clone()));
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert_eq!(server.stranger().get(&format!("{WELL_KNOWN}/")).await, (200, document.clone()));
        server.create("alice", false).await;
        let login = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" }, "password": "alice's password",
        });
        let login = server.stranger().post("/_matrix/client/v3/login", login).await;
        assert_eq!(login.body["well_known"], document);
    }

    async fn no_support(server: Server) {
        let reply = server.stranger().get("/.well-known/matrix/support").await;
        assert_eq!((reply.status, reply.text("errcode")), (404, "M_NOT_FOUND"));
    }

    #[config(supported)]
    async fn support(server: Server) {
        let expected = json!({
            "contacts": [
                { "role": "m.role.admin", "matrix_id": "@ada:example.org", "email_address": "ada@example.org" },
                { "role": "m.role.security", "email_address": "security@example.org" },
            ],
            "support_page": "https://example.org/help",
        });
        let reply = server.stranger().get("/.well-known/matrix/support").await;
        assert_eq!(reply, (200, expected));
        assert_eq!(reply.header("access-control-allow-origin"), "*");
    }
}
