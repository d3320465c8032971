//! Accounts and sessions.

use utoipa::ToSchema;

use super::server::WellKnown;

/// A new account, and its session unless `inhibit_login` was sent.
#[derive(ToSchema)]
pub(crate) struct NewAccount {
    user_id: String,
    home_server: String,
    access_token: Option<String>,
    device_id: Option<String>,
    expires_in_ms: Option<i64>,
    refresh_token: Option<String>,
}

/// The availability of a name.
#[derive(ToSchema)]
pub(crate) struct Available {
    available: bool,
}

/// The validity of a token.
#[derive(ToSchema)]
pub(crate) struct TokenValidity {
    valid: bool,
}

/// The login methods.
#[derive(ToSchema)]
pub(crate) struct LoginFlows {
    flows: Vec<LoginFlow>,
}

/// A login method.
#[derive(ToSchema)]
pub(crate) struct LoginFlow {
    #[schema(rename = "type")]
    kind: String,
    get_login_token: Option<bool>,
}

/// A new session.
#[derive(ToSchema)]
pub(crate) struct LoggedIn {
    user_id: String,
    home_server: String,
    access_token: String,
    device_id: String,
    expires_in_ms: Option<i64>,
    refresh_token: Option<String>,
    well_known: Option<WellKnown>,
}

/// A token with which another device logs in.
#[derive(ToSchema)]
pub(crate) struct LoginToken {
    login_token: String,
    expires_in_ms: i64,
}

/// New tokens.
#[derive(ToSchema)]
pub(crate) struct Refreshed {
    access_token: String,
    #[schema(required)]
    refresh_token: Option<String>,
    #[schema(required)]
    expires_in_ms: Option<i64>,
}

/// The account that a token acts as.
#[derive(ToSchema)]
pub(crate) struct WhoAmI {
    user_id: String,
    is_guest: bool,
    device_id: Option<String>,
}

/// The result for third-party ids at identity servers.
#[derive(ToSchema)]
pub(crate) struct Unbound {
    id_server_unbind_result: String,
}

/// Third-party ids.
#[derive(ToSchema)]
pub(crate) struct Threepids {
    threepids: Vec<Threepid>,
}

/// A third-party id.
#[derive(ToSchema)]
pub(crate) struct Threepid {
    medium: String,
    address: String,
    validated_at: i64,
    added_at: i64,
}

/// A proof that an e-mail address is somebody's, which is begun.
#[derive(ToSchema)]
pub(crate) struct BegunProof {
    /// Its id.
    sid: String,
}

/// The presence of a user.
#[derive(ToSchema)]
pub(crate) struct Presence {
    presence: String,
    last_active_ago: Option<i64>,
    currently_active: Option<bool>,
    status_msg: Option<String>,
}

/// A token that proves a user id to another service.
#[derive(ToSchema)]
pub(crate) struct OpenIdToken {
    access_token: String,
    token_type: String,
    matrix_server_name: String,
    /// In seconds.
    expires_in: i64,
}

/// The user id that a token proves.
#[derive(ToSchema)]
pub(crate) struct OpenIdUser {
    sub: String,
}
