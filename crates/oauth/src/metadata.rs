//! The metadata of this server as an authorisation server (RFC 8414).
//! <https://spec.matrix.org/v1.18/client-server-api/#server-metadata-discovery>

use reeve_accounts::Policy;
use reeve_app::OAuthSettings;
use reeve_model::ResponseMode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::client::GrantType;

/// The path of the page at which clients begin.
pub const AUTHORIZE: &str = "/_reeve/pages/authorize";
/// The path of the page where people type the code that a client on another device shows.
pub const DEVICE_PAGE: &str = "/_reeve/pages/device";
/// The path of the page where people manage their account.
pub const ACCOUNT: &str = "/_reeve/pages/account";
/// The path at which clients get tokens.
pub(crate) const TOKEN: &str = "/_reeve/oauth/token";
/// The path at which clients register.
pub(crate) const REGISTER: &str = "/_reeve/oauth/register";
/// The path at which clients revoke tokens.
pub(crate) const REVOKE: &str = "/_reeve/oauth/revoke";
/// The path at which clients on devices without a browser begin.
pub(crate) const DEVICE: &str = "/_reeve/oauth/device";

/// The actions that the page of the account supports; for older clients, those about devices also under their former names.
const ACTIONS: [&str; 9] = [
    "org.matrix.profile",
    "org.matrix.devices_list",
    "org.matrix.device_view",
    "org.matrix.device_delete",
    "org.matrix.account_deactivate",
    RESET,
    "org.matrix.sessions_list",
    "org.matrix.session_view",
    "org.matrix.session_end",
];
/// The action that lets the person reset the cross-signing keys.
const RESET: &str = "org.matrix.cross_signing_reset";

/// The metadata of this server as an authorisation server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    registration_endpoint: String,
    device_authorization_endpoint: String,
    #[schema(value_type = Vec<String>)]
    response_types_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    response_modes_supported: [&'static str; 2],
    #[schema(value_type = Vec<String>)]
    grant_types_supported: [&'static str; 3],
    #[schema(value_type = Vec<String>)]
    code_challenge_methods_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    token_endpoint_auth_methods_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    prompt_values_supported: Vec<&'static str>,
    /// True: responses name the issuer (RFC 9207).
    authorization_response_iss_parameter_supported: bool,
    account_management_uri: String,
    #[schema(value_type = Vec<String>)]
    account_management_actions_supported: [&'static str; 9],
}

impl ServerMetadata {
    /// Returns the metadata under these settings.
    pub fn new(settings: &OAuthSettings, policy: &Policy) -> Self {
        let mut prompts = vec!["none", "login", "consent", "select_account"];
        if policy.registration_enabled {
            prompts.push("create");
        }
        Self {
            issuer: settings.issuer(),
            authorization_endpoint: settings.url(AUTHORIZE),
            token_endpoint: settings.url(TOKEN),
            revocation_endpoint: settings.url(REVOKE),
            registration_endpoint: settings.url(REGISTER),
            device_authorization_endpoint: settings.url(DEVICE),
            response_types_supported: ["code"],
            response_modes_supported: [ResponseMode::Query.as_str(), ResponseMode::Fragment.as_str()],
            grant_types_supported: GrantType::ALL.map(GrantType::as_str),
            code_challenge_methods_supported: ["S256"],
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint_auth_methods_supported: ["none"],
            prompt_values_supported: prompts,
            authorization_response_iss_parameter_supported: true,
            account_management_uri: settings.url(ACCOUNT),
            account_management_actions_supported: ACTIONS,
        }
    }
}

/// Returns the address of the page where a person lets the cross-signing keys be reset.
pub fn reset_url(settings: &OAuthSettings) -> String {
    format!("{}?action={RESET}", settings.url(ACCOUNT))
}
