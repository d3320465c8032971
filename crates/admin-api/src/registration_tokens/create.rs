//! Adds a registration token.

use reeve_accounts::registration::{self, NewToken, TokenName};
use reeve_app::json::{Integer, integer};
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::Scope;
use serde_json::Value;

use super::{TokenView, expiry_time, uses_allowed};

/// Maximum length of a token, in characters.
const MAX_LENGTH: i64 = 64;
/// Length of a random token, unless the request gives one.
const DEFAULT_LENGTH: i64 = 16;

body! {
    /// A registration token to create.
    pub(crate) struct CreateToken {
        /// The token: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`; random if absent.
        token?: String,
        /// The length of a random token: 1 to 64; 16 if absent.
        length?: i64,
        /// The number of accounts that can register with it; null or absent for no limit.
        uses_allowed: Option<i64>,
        /// When it expires, in milliseconds since the epoch; null or absent for never.
        expiry_time: Option<i64>,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/registration_tokens/new", handle)
        .access(Access::Admin(Scope::RegistrationWrite))
        .id("createRegistrationToken")
        .summary("Adds a registration token")
        .takes::<CreateToken>()
        .returns::<TokenView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "a value is not valid, or the token exists"),
            (400, "M_UNKNOWN", "no random token of this length is free"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body: CreateToken = call.take().await?;
    let new = NewToken {
        name: name(&body)?,
        uses_allowed: uses_allowed(&body.uses_allowed)?.flatten(),
        expiry_ts: expiry_time(&body.expiry_time, call.now)?.flatten(),
    };
    let (ctx, wanted) = (call.admin_ctx()?, new.clone());
    let token = call.write(move |tx| registration::create_token(tx, &ctx, &wanted)).await?;
    match (token, new.name) {
        (Some(token), _) => reply::ok(&TokenView::from(token)),
        (None, TokenName::Given(name)) => {
            Err(MatrixError::invalid_param(format!("Token already exists: {name}")))
        }
        (None, TokenName::Random(_)) => Err(MatrixError::internal("a random registration token was taken")),
    }
}

fn name(body: &CreateToken) -> Result<TokenName, MatrixError> {
    match body.token.value() {
        Some(Value::String(token)) if token.is_empty() || token.chars().count() > 64 => Err(
            MatrixError::invalid_param("token must not be empty and must not be longer than 64 characters"),
        ),
        Some(Value::String(token)) if !token.bytes().all(allowed) => Err(MatrixError::invalid_param(
            "token must consist only of characters matched by the regex [A-Za-z0-9-_]",
        )),
        Some(Value::String(token)) => Ok(TokenName::Given(token.clone())),
        Some(_) => Err(MatrixError::invalid_param("token must be a string")),
        None => match body.length.value().map_or(Integer::Is(DEFAULT_LENGTH), integer) {
            Integer::Is(length @ 1..=MAX_LENGTH) => {
                Ok(TokenName::Random(usize::try_from(length).unwrap_or(1)))
            }
            Integer::Is(_) | Integer::TooLarge => {
                Err(MatrixError::invalid_param("length must be greater than zero and not greater than 64"))
            }
            Integer::Not => Err(MatrixError::invalid_param("length must be an integer")),
        },
    }
}

fn allowed(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-')
}
