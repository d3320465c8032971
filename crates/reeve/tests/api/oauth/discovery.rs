//! Discovery of OAuth 2.0.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::oauth_kit::*;

const METADATA: [&str; 4] = [
    "/_matrix/client/v1/auth_metadata",
    "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];
const ISSUER_PATH: &str = "/_matrix/client/unstable/org.matrix.msc2965/auth_issuer";

on_both_engines! {
    #[config(|config| {
        enabled(config);
        config.policy.registration_enabled = true;
    })]
    async fn metadata_of_the_server(server: Server) {
        let wanted = json!({
            "issuer": "https://matrix.test/",
            "authorization_endpoint": "https://matrix.test/_reeve/pages/authorize",
            "token_endpoint": "https://matrix.test/_reeve/oauth/token",
            "revocation_endpoint": "https://matrix.test/_reeve/oauth/revoke",
            "registration_endpoint": "https://matrix.test/_reeve/oauth/register",
            "device_authorization_endpoint": "https://matrix.test/_reeve/oauth/device",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
            "authorization_response_iss_parameter_supported": true,
            "account_management_uri": "https://matrix.test/_reeve/pages/account",
            "account_management_actions_supported": [
                "org.matrix.profile", "org.matrix.devices_list", "org.matrix.device_view", "org.matrix.device_delete",
                "org.matrix.account_deactivate", "org.matrix.cross_signing_reset",
                "org.matrix.sessions_list", "org.matrix.session_view", "org.matrix.session_end",
            ],
        });
        for path in METADATA {
            let reply = server.stranger().get(path).await;
            assert_eq!(reply.header("cache-control"), "public, max-age=600", "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
            assert_eq!(reply, (200, wanted.clone()), "{path}");
        }
        assert_eq!(server.stranger().get(ISSUER_PATH).await, (200, json!({ "issuer": ISSUER })));
    }

    #[config(enabled)]
    async fn people_make_accounts_only_where_registration_is_open(server: Server) {
        let reply = server.stranger().get(METADATA[0]).await;
        assert_eq!(reply.body["prompt_values_supported"], json!(["none", "login", "consent", "select_account"]));
    }

    async fn a_server_without_oauth_says_so(server: Server) {
        let unrecognized = (404, "M_UNRECOGNIZED", "Unrecognized request");
        for path in METADATA.into_iter().chain([ISSUER_PATH]) {
            assert_eq!(server.stranger().get(path).await.refusal(), unrecognized, "{path}");
        }
        assert_eq!(server.stranger().post(REGISTER, metadata()).await.status, 404);
        let fields = [("grant_type", "refresh_token"), ("client_id", "x"), ("scope", "x"), ("token", "x")];
        for path in [TOKEN, REVOKE, DEVICE] {
            assert_eq!(form(&server.stranger(), path, &fields).await.status, 404, "{path}");
        }
        let mut browser = stranger(&server);
        assert_eq!(browser.open(&authorize("x", &[])).await.status, 404);
    }
}
