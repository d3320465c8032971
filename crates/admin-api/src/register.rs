//! Registration with a shared secret, for scripts, before there is an administrator.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use reeve_accounts::Policy;
use reeve_accounts::registration::{self, FirstSession, Permission, Registration};
use reeve_accounts::sessions::NewSession;
use reeve_accounts::users::NewUser;
use reeve_app::body::Key;
use reeve_app::json::truthy;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::encoding::hex;
use reeve_model::{Actor, Scopes};
use serde::Serialize;
use serde_json::Value;
use sha1::Sha1;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

const PATH: &str = "/_synapse/admin/v1/register";
/// Maximum length of a name and of a password, in characters.
const MAX_TEXT: usize = 512;
/// The actor in the audit log.
const ACTOR: &str = "shared secret";

/// The nonce that a registration is authenticated with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nonce {
    /// Valid for one request within a minute.
    nonce: String,
}

body! {
    /// The account to create.
    pub(crate) struct Register {
        /// The nonce from GET.
        nonce: String,
        /// The localpart.
        username: String,
        password: String,
        /// The HMAC-SHA1, with the secret as key, of nonce, username, password, `admin` or `notadmin`, and, unless
        /// it is empty, the user type, separated by NUL; in hexadecimal digits.
        mac: String,
        /// By default the localpart; empty for none.
        displayname: Option<String>,
        admin: Option<bool>,
        /// `bot`, `support` or a type from the settings.
        user_type: Option<String>,
        /// True to create no session.
        inhibit_login: Option<bool>,
        device_id: Option<String>,
        initial_device_display_name: Option<String>,
        /// True to return a refresh token.
        refresh_token?: bool,
    }
}

/// The account and its first session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    user_id: String,
    home_server: String,
    /// Absent if `inhibit_login` was true, as are the next keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Absent if the access token does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<i64>,
    /// Absent unless requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(PATH, nonce)
            .access(Access::SharedSecret)
            .id("getRegistrationNonce")
            .summary("Returns a nonce for registration with the shared secret")
            .returns::<Nonce>(200)
            .errors(&[(400, "M_UNKNOWN", "the settings have no shared secret")]),
        Route::post(PATH, register)
            .access(Access::SharedSecret)
            .id("registerWithSharedSecret")
            .summary("Creates an account with the shared secret")
            .description("Every request with a nonce uses it up, even if it is refused.")
            .takes::<Register>()
            .returns::<Registered>(200)
            .errors(&[
                (400, "M_BAD_JSON", "a key is missing"),
                (400, "M_UNKNOWN", "the settings have no shared secret, or a value is not valid"),
                (400, "M_INVALID_USERNAME", "the name is not allowed"),
                (400, "M_EXCLUSIVE", "the name is reserved for the account that sends server notices"),
                (400, "M_USER_IN_USE", "an account has the name"),
                (400, "M_TOO_LARGE", "the name of the device is too long"),
                (403, "M_UNKNOWN", "the secret is wrong"),
            ]),
    ]
}

fn secret(policy: &Policy) -> Result<&str, MatrixError> {
    let secret = policy.registration_shared_secret.as_deref();
    secret.ok_or_else(|| MatrixError::unknown("Shared secret registration is not enabled"))
}

async fn nonce(call: Call) -> Answer {
    secret(&call.app.policy)?;
    let ctx = call.ctx();
    let nonce = call.write(move |tx| registration::new_nonce(tx, &ctx)).await?;
    reply::ok(&Nonce { nonce })
}

async fn register(mut call: Call) -> Answer {
    secret(&call.app.policy)?;
    let body: Register = call.take_with_nul(&["username", "password"]).await?;
    let nonce = take_nonce(&call, &body.nonce).await?;
    let username = required_text(&body.username, "Invalid username")?;
    let password = required_text(&body.password, "Invalid password")?;
    let policy = &call.app.policy;
    let user_type = match body.user_type.value() {
        None | Some(Value::Null) => None,
        Some(Value::String(user_type)) if user_type.is_empty() || policy.knows_user_type(user_type) => {
            Some(user_type.clone()).filter(|user_type| !user_type.is_empty())
        }
        Some(_) => return Err(MatrixError::unknown("Invalid user type")),
    };
    let admin = body.admin.value().is_some_and(truthy);
    let given = body.mac.value().ok_or_else(|| MatrixError::bad_json("mac must be specified"))?;
    let mut parts = vec![&*nonce, &*username, &*password, if admin { "admin" } else { "notadmin" }];
    parts.extend(user_type.as_deref());
    let wanted = mac(secret(policy)?, &parts)?;
    if !given.as_str().is_some_and(|given| bool::from(given.as_bytes().ct_eq(wanted.as_bytes()))) {
        return Err(MatrixError::new(403, "M_UNKNOWN", "HMAC incorrect"));
    }
    let session = session(&body)?;
    let displayname = body.displayname.read_or(not_text)?.unwrap_or_else(|| username.clone());
    let account = NewUser {
        localpart: username.to_lowercase(),
        displayname: Some(displayname),
        password_hash: Some(call.app.hasher.hash(&password).await?),
        admin,
        user_type,
        ..NewUser::default()
    };
    let session = Some(session).filter(|_| !body.inhibit_login.value().is_some_and(truthy));
    let registration = Registration {
        account,
        numbered: false,
        first: session.map(FirstSession::Device),
        permission: Permission::Free,
        email: None,
        needs_email: false,
    };
    make(&call, registration).await
}

/// Consumes the nonce of a request, in a separate transaction: it is used up even if the request is refused.
async fn take_nonce(call: &Call, nonce: &Key<String>) -> Result<String, MatrixError> {
    let nonce = nonce.value().ok_or_else(|| MatrixError::bad_json("nonce must be specified"))?;
    let unknown = || MatrixError::unknown("unrecognised nonce");
    let nonce = nonce.as_str().ok_or_else(unknown)?.to_owned();
    let (wanted, ctx) = (nonce.clone(), call.ctx());
    let good = call.write(move |tx| registration::take_nonce(tx, &ctx, &wanted)).await?;
    if good { Ok(nonce) } else { Err(unknown()) }
}

fn not_text(name: &str) -> MatrixError {
    MatrixError::invalid_param(format!("{name} must be a string"))
}

fn required_text(key: &Key<String>, refusal: &'static str) -> Result<String, MatrixError> {
    match key.value() {
        None => Err(MatrixError::bad_json(format!("{} must be specified", key.name()))),
        Some(Value::String(text)) if text.chars().count() <= MAX_TEXT && !text.contains('\0') => {
            Ok(text.clone())
        }
        Some(_) => Err(MatrixError::unknown(refusal)),
    }
}

fn session(body: &Register) -> Result<NewSession, MatrixError> {
    let not_boolean = |name| MatrixError::unknown(format!("{name} must be a boolean"));
    let refreshable = body.refresh_token.read_or(not_boolean)?.unwrap_or(false);
    Ok(NewSession {
        device_id: body.device_id.read_or(not_text)?,
        initial_device_display_name: body.initial_device_display_name.read_or(not_text)?,
        refreshable,
    })
}

/// Returns the message authentication code of a request, in hexadecimal digits.
fn mac(secret: &str, parts: &[&str]) -> Result<String, MatrixError> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).map_err(MatrixError::internal)?;
    mac.update(parts.join("\0").as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

async fn make(call: &Call, new: Registration) -> Answer {
    let (ctx, app) = (call.ctx_of(Actor::Service(Arc::from(ACTOR)), Scopes::ALL), Arc::clone(&call.app));
    let (user, issued) = call.write(move |tx| registration::register(tx, &ctx, &app.policy, &new)).await?;
    let home_server = call.app.server_name.to_string();
    let registered = Registered {
        user_id: user.user_id,
        home_server,
        access_token: None,
        device_id: None,
        expires_in_ms: None,
        refresh_token: None,
    };
    reply::ok(&match issued {
        None => registered,
        Some(issued) => Registered {
            access_token: Some(issued.access_token),
            device_id: Some(issued.device_id),
            expires_in_ms: issued.expires_in_ms,
            refresh_token: issued.refresh_token,
            ..registered
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        // Computed with Python's hmac.
        let code = mac("secret", &["abcd", "User", "pw", "notadmin"]).unwrap();
        assert_eq!(code, "576034be7523b530206b2cd5b36c05ff5a97c4cb");
        let code = mac("secret", &["abcd", "User", "pw", "admin", "bot"]).unwrap();
        assert_eq!(code, "f7be81a4f6834e97d8a68f161ce2e6048785c202");
    }
}
