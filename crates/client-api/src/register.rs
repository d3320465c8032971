//! Registration.
//! <https://spec.matrix.org/v1.18/client-server-api/#account-registration-and-management>

use std::sync::Arc;

use reeve_accounts::emails::Proof;
use reeve_accounts::password::Verdict;
use reeve_accounts::policy::WeakPassword;
use reeve_accounts::registration::{self, Email, FirstSession, Permission};
use reeve_accounts::sessions::{self, Issued, NewSession};
use reeve_accounts::users::{self, NewUser};
use reeve_accounts::{Error, Policy};
use reeve_app::body::{Key, Readable};
use reeve_app::json::{self, Object};
use reeve_app::limits::{Bucket, Source};
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Param, Route, auth, body, reply};
use reeve_model::User;
use serde_json::{Value, json};

use crate::login::{bad_parameter, refreshable, session_body};
use crate::shapes;
use crate::stage::Stage;
use crate::uia;

/// Maximum length of a name and of a password that are processed, in characters.
const MAX_TEXT: usize = 512;
/// The device of a guest's only session.
const GUEST_DEVICE: &str = "guest_device";

body! {
    /// A new account.
    pub(crate) struct Registration {
        username?: String,
        password: Option<String>,
        device_id: Option<String>,
        initial_device_display_name: Option<String>,
        inhibit_login: Option<bool>,
        refresh_token?: bool,
        auth: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/_matrix/client/v3/register", handle)
            .also("/_matrix/client/r0/register")
            .access(Access::Anybody)
            .limit(Limit::Registration)
            .id("register")
            .takes::<Registration>()
            .returns::<shapes::account::NewAccount>(200)
            .interactive()
            .summary("Creates an account or a guest account")
            .query([Param::word("kind", &["user", "guest"], "`user` (default) or `guest`")])
            .errors(&[
                (400, "M_UNKNOWN", "a value is not valid, or an access token was sent"),
                (400, "M_INVALID_USERNAME", "the name is not allowed"),
                (400, "M_EXCLUSIVE", "the name is reserved for the account that sends server notices"),
                (400, "M_USER_IN_USE", "an account has the name"),
                (400, "M_MISSING_PARAM", "the password is missing"),
                (400, "M_PASSWORD_TOO_SHORT", "the password is shorter than the server requires"),
                (400, "M_PASSWORD_NO_DIGIT", "the password lacks a digit, which the server requires"),
                (400, "M_PASSWORD_NO_SYMBOL", "the password lacks a symbol, which the server requires"),
                (
                    400,
                    "M_PASSWORD_NO_UPPERCASE",
                    "the password lacks an uppercase letter, which the server requires",
                ),
                (
                    400,
                    "M_PASSWORD_NO_LOWERCASE",
                    "the password lacks a lowercase letter, which the server requires",
                ),
                (400, "M_WEAK_PASSWORD", "the password is the name of the account"),
                (400, "M_TOO_LARGE", "the name of the device is too long"),
                (400, "M_UNRECOGNIZED", "`kind` is neither `user` nor `guest`"),
                (400, "M_THREEPID_IN_USE", "an account got the e-mail address meanwhile"),
                (401, "M_UNAUTHORIZED", "the registration token cannot be used"),
                (
                    403,
                    "M_THREEPID_AUTH_FAILED",
                    "the proof of the e-mail address was used meanwhile, or its time is over",
                ),
                (403, "M_FORBIDDEN", "registration, or registration of guests, is disabled"),
                (429, "M_LIMIT_EXCEEDED", "too many registrations or attempts from this address"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3register"),
    ]
}

async fn handle(mut call: Call) -> Answer {
    // A name with NUL is refused as an invalid name, not as an invalid body.
    let body: Registration = call.take_with_nul(&["username"]).await?;
    check_auth(&body.auth)?;
    call.app.limiter.peek(Bucket::Registration(Source::of(&call.ip)), call.now)?;
    match call.query.utf8("kind")?.as_deref() {
        None | Some("user") => user(&call, &body).await,
        Some("guest") => guest(&call, &body).await,
        Some(other) => {
            let text = format!("Do not understand membership kind: {other}");
            Err(MatrixError::bad_request("M_UNRECOGNIZED", text))
        }
    }
}

/// Checks the form of `auth`, before anything else.
fn check_auth(auth: &Key<Option<AnyObject>>) -> Result<(), MatrixError> {
    let Some(auth) = auth.read()? else { return Ok(()) };
    for key in ["type", "session"] {
        if auth.get(key).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(MatrixError::bad_json(format!("'{key}' must be a string")));
        }
    }
    Ok(())
}

async fn guest(call: &Call, body: &Registration) -> Answer {
    if !call.app.policy.guests {
        return Err(MatrixError::forbidden("Guest access is disabled"));
    }
    let session = NewSession {
        device_id: Some(GUEST_DEVICE.to_owned()),
        initial_device_display_name: body.initial_device_display_name.read_or(bad_parameter)?,
        refreshable: false,
    };
    sessions::check(&session)?;
    let account = NewUser { is_guest: true, ..NewUser::default() };
    let new = registration::Registration {
        account,
        numbered: true,
        first: Some(FirstSession::Device(session)),
        permission: Permission::Free,
        email: None,
        needs_email: false,
    };
    make(call, new).await
}

async fn user(call: &Call, body: &Registration) -> Answer {
    let session = NewSession {
        refreshable: refreshable(&body.refresh_token)?,
        device_id: body.device_id.read_or(bad_parameter)?,
        initial_device_display_name: body.initial_device_display_name.read_or(bad_parameter)?,
    };
    let given_name = text(&body.username, "Invalid username")?.map(|name| name.to_lowercase());
    if !matches!(auth::token(&call.headers, &call.query), Ok(None)) {
        return Err(MatrixError::unknown(
            "An access token should not be provided on requests to /register \
             (except if type is m.login.application_service)",
        ));
    }
    let policy = &call.app.policy;
    if !policy.registration_enabled {
        return Err(MatrixError::forbidden("Registration has been disabled"));
    }
    let password = text(&body.password, "Invalid password")?.filter(|password| !password.is_empty());
    if let Some(password) = &password {
        let user_id = given_name.as_deref().map(|name| call.ctx().user_id(name));
        policy.password_rules.check(password, user_id.as_deref()).map_err(Error::from)?;
    }
    sessions::check(&session)?;
    let earlier = uia::remembered(call, &body.auth).await?;
    let remembered_text = |key: &str| earlier.get(key).and_then(Value::as_str).map(str::to_owned);
    let renamed = given_name.is_some() && given_name != remembered_text("username");
    let name = given_name.or_else(|| remembered_text("username"));
    if let Some(name) = name.clone() {
        let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
        call.app.db.read(move |tx| users::check_name(tx, &ctx, &app.policy, &name)).await?;
    }

    // A request that begins a session is stored, its password as a hash. For every other request the password
    // is hashed only after its stage has passed.
    let begins = body.auth.value().and_then(|auth| auth.get("session")).is_none_or(Value::is_null);
    let mut password_hash = None;
    let mut remembered = Object::new();
    if begins {
        if let Some(password) = &password {
            let hash = call.app.hasher.hash(password).await?;
            remembered.insert("password_hash".to_owned(), json!(hash));
            password_hash = Some(hash);
        }
        if let Some(name) = &name {
            remembered.insert("username".to_owned(), json!(name));
        }
    }
    let passed = uia::registration(call, &body.auth, flows(policy), remembered).await?;

    let password_hash = match (password_hash, password) {
        (Some(hash), _) => hash,
        (None, Some(password)) => call.app.hasher.hash(&password).await?,
        (None, None) => {
            let hash = remembered_text("password_hash")
                .ok_or_else(|| MatrixError::bad_request("M_MISSING_PARAM", "Missing params: password"))?;
            // The password was sent before the name.
            if let Some(name) = name.as_deref().filter(|_| renamed)
                && call.app.hasher.verify(name, Some(&hash)).await? != Verdict::Wrong
            {
                return Err(Error::WeakPassword(WeakPassword::Name).into());
            }
            hash
        }
    };
    let numbered = name.is_none();
    let account = NewUser {
        displayname: name.clone(),
        localpart: name.unwrap_or_default(),
        password_hash: Some(password_hash),
        ..NewUser::default()
    };
    let logs_in = !body.inhibit_login.value().is_some_and(json::truthy);
    let session = Some(session).filter(|_| logs_in);
    let new = registration::Registration {
        account,
        numbered,
        first: session.map(FirstSession::Device),
        permission: Permission::Session {
            id: passed.session,
            needs_token: policy.registration_requires_token,
        },
        email: passed.email.map(|sid| Email::Proven(Proof::Confirmed(sid))),
        needs_email: policy.registration_requires_email,
    };
    make(call, new).await
}

/// Returns the flows of a registration. An e-mail address is possible where the server sends e-mail.
fn flows(policy: &Policy) -> Vec<Vec<Stage>> {
    let needs_email = policy.registration_requires_email;
    let takes_email = needs_email || policy.mail.enabled;
    let token = policy.registration_requires_token.then_some(Stage::RegistrationToken);
    let last = [(!needs_email).then_some(Stage::Dummy), takes_email.then_some(Stage::Email)];
    last.into_iter().flatten().map(|last| token.into_iter().chain([last]).collect()).collect()
}

/// Creates an account and its first session. It counts against the limit of the address.
pub async fn create_account(
    call: &Call,
    new: registration::Registration,
) -> Result<(User, Option<Issued>), MatrixError> {
    call.app.limiter.check(Bucket::Registration(Source::of(&call.ip)), call.now)?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.write(move |tx| registration::register(tx, &ctx, &app.policy, &new)).await
}

async fn make(call: &Call, new: registration::Registration) -> Answer {
    let (user, issued) = create_account(call, new).await?;
    match issued {
        Some(issued) => reply::ok(&session_body(&user, &issued, call)),
        None => reply::ok(&json!({ "user_id": user.user_id, "home_server": &*call.app.server_name })),
    }
}

/// Returns a string that is not too long; `None` if there is none.
fn text<T>(key: &Key<T>, refusal: &'static str) -> Result<Option<String>, MatrixError>
where
    T: Readable<Read = Option<String>>,
{
    let text = key.read_or(|_| MatrixError::unknown(refusal))?;
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT) {
        return Err(MatrixError::unknown(refusal));
    }
    Ok(text)
}
