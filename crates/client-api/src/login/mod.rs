//! Login.
//! <https://spec.matrix.org/v1.18/client-server-api/#login>

mod credentials;
pub(crate) mod password;
mod token;

use std::sync::Arc;

use reeve_accounts::Policy;
use reeve_accounts::login::{self, Proof};
use reeve_accounts::sessions::{Issued, NewSession};
use reeve_app::body::{Key, Omittable};
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply};
use reeve_model::User;
use serde_json::{Value, json};

use crate::shapes;
use crate::stage::Stage;
use crate::well_known;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#login";

body! {
    /// A login.
    #[schema(example = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": "alice" },
        "password": "a long passphrase",
        "initial_device_display_name": "Alice's laptop",
    }))]
    pub(crate) struct Login {
        kind = "type": String,
        identifier: Option<AnyObject>,
        user: Option<String>,
        password: Option<String>,
        /// The older form of an identifier, with the address.
        #[schema(ignore)]
        medium: Option<String>,
        #[schema(ignore)]
        address: Option<String>,
        token: Option<String>,
        device_id: Option<String>,
        initial_device_display_name: Option<String>,
        refresh_token?: bool,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v3/login", flows)
            .also("/_matrix/client/r0/login")
            .access(Access::Anybody)
            .id("getLoginFlows")
            .returns::<shapes::account::LoginFlows>(200)
            .summary("Lists the login methods")
            .spec(SPEC),
        Route::post("/_matrix/client/v3/login", log_in)
            .also("/_matrix/client/r0/login")
            .access(Access::Anybody)
            .limit(Limit::Login)
            .id("login")
            .takes::<Login>()
            .returns::<shapes::account::LoggedIn>(200)
            .summary("Logs in with a password or a login token")
            .errors(&[
                (400, "M_INVALID_PARAM", "the request is incomplete or of an unknown type"),
                (400, "M_UNKNOWN", "a value is not valid, or login with passwords is disabled"),
                (400, "M_MISSING_PARAM", "a key is missing"),
                (400, "M_TOO_LARGE", "the name of the device is too long"),
                (400, "M_FORBIDDEN", "another account has the device id"),
                (401, "M_USER_LOCKED", "the account is locked"),
                (403, "M_FORBIDDEN", "the credentials are wrong"),
                (403, "M_USER_DEACTIVATED", "the account is deactivated"),
            ])
            .spec(SPEC),
    ]
}

/// The login methods. A further one is a file of its own and a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Token,
    Password,
}

impl Method {
    /// The methods, in the order of the flows.
    const ALL: [Self; 2] = [Self::Token, Self::Password];

    /// Returns the `type` of a login.
    const fn kind(self) -> &'static str {
        match self {
            Self::Token => token::KIND,
            Self::Password => password::KIND,
        }
    }

    /// Returns the flow that offers the method; `None` if the settings disable it.
    fn flow(self, policy: &Policy) -> Option<Value> {
        match self {
            Self::Token => token::flow(policy),
            Self::Password => password::flow(policy),
        }
    }

    /// Returns the stage of user-interactive authentication with the same proof; `None` if there is none, or the
    /// settings disable it.
    fn stage(self, policy: &Policy) -> Option<Stage> {
        match self {
            Self::Token => None,
            Self::Password => password::stage(policy),
        }
    }

    /// Checks what can be checked of a login before it is in a transaction.
    async fn prove(self, call: &Call, body: &Login, new: &NewSession) -> Result<Proof, MatrixError> {
        match self {
            Self::Token => token::prove(call, body),
            Self::Password => password::prove(call, body, new).await,
        }
    }
}

/// Returns the stages of user-interactive authentication, each of which proves that the owner of an account is there.
pub(crate) fn stages(policy: &Policy) -> impl Iterator<Item = Stage> {
    Method::ALL.into_iter().filter_map(|method| method.stage(policy))
}

async fn flows(call: Call) -> Answer {
    let flows: Vec<Value> = Method::ALL.iter().filter_map(|method| method.flow(&call.app.policy)).collect();
    reply::ok(&json!({ "flows": flows }))
}

async fn log_in(mut call: Call) -> Answer {
    let body: Login = call.take().await?;
    let new = NewSession {
        refreshable: refreshable(&body.refresh_token)?,
        device_id: body.device_id.read_or(bad_parameter)?,
        initial_device_display_name: body.initial_device_display_name.read_or(bad_parameter)?,
    };
    let kind = body.kind.read_or(bad_parameter)?;
    let method = Method::ALL.into_iter().find(|method| method.kind() == kind);
    let method = method.ok_or_else(|| MatrixError::invalid_param("Invalid login submission"))?;
    let proof = method.prove(&call, &body, &new).await?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let outcome = call.write(move |tx| login::log_in(tx, &ctx, &app.policy, &proof, &new)).await?;
    let (user, issued) = outcome?;
    let mut answer = session_body(&user, &issued, &call);
    if let Some(document) = well_known::document(&call) {
        answer.insert("well_known".to_owned(), document);
    }
    reply::ok(&answer)
}

/// Returns the error for a value of another type in the options of a session.
pub(crate) fn bad_parameter(name: &str) -> MatrixError {
    MatrixError::invalid_param(format!("Bad parameter: {name}"))
}

/// Returns true if a new session shall have a refresh token.
pub(crate) fn refreshable(key: &Key<Omittable<bool>>) -> Result<bool, MatrixError> {
    let wrong = |name| MatrixError::unknown(format!("`{name}` should be true or false."));
    Ok(key.read_or(wrong)?.unwrap_or(false))
}

/// Returns the response for a new session.
pub(crate) fn session_body(user: &User, issued: &Issued, call: &Call) -> Object {
    let mut answer = Object::new();
    answer.insert("user_id".to_owned(), json!(user.user_id));
    answer.insert("home_server".to_owned(), json!(&*call.app.server_name));
    answer.insert("access_token".to_owned(), json!(issued.access_token));
    answer.insert("device_id".to_owned(), json!(issued.device_id));
    if let Some(expires_in_ms) = issued.expires_in_ms {
        answer.insert("expires_in_ms".to_owned(), json!(expires_in_ms));
    }
    if let Some(refresh_token) = &issued.refresh_token {
        answer.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    answer
}
