//! User-interactive authentication: repeated proof of identity before a dangerous operation, and the stages of
//! a registration.
//! <https://spec.matrix.org/v1.18/client-server-api/#user-interactive-authentication-api>

use reeve_accounts::emails::{self, Credentials};
use reeve_accounts::registration;
use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Call, MatrixError, body};
use reeve_db::{DbError, Tx};
use reeve_model::{EmailPurpose, Millis, UserNum, random};
use reeve_oauth::metadata;
use reeve_store::oauth_sessions;
use reeve_store::uia_sessions;
use reeve_store::uia_sessions::UiaSession;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::login;
use crate::stage::Stage;

/// Lifetime of a session, in milliseconds.
const LIFETIME_MS: i64 = 48 * 3600 * 1000;

/// Maximum number of expired sessions deleted in one transaction.
const PRUNE_AT_ONCE: i64 = 500;

body! {
    /// User-interactive authentication.
    pub(crate) struct Authentication {
        auth: Option<AnyObject>,
    }
}

/// The data of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The stages passed.
    completed: Vec<Stage>,
    /// The account that authenticates; none while registering, and for somebody without a session.
    user_num: Option<UserNum>,
    /// The id of the proof by which the stage of an e-mail address was passed.
    #[serde(default)]
    email: Option<String>,
    /// Parts of the first request that later requests need not repeat.
    #[serde(default)]
    pub(crate) remembered: Object,
}

/// A session whose stages are all passed.
pub(crate) struct Passed {
    /// Its id.
    pub(crate) session: String,
    /// The id of the proof of an e-mail address, if that was one of the stages.
    pub(crate) email: Option<String>,
}

/// Requires a proof that the owner of the caller's account is there. Returns `Ok` once it was given. A session with OAuth 2.0
/// cannot give one, since its client does not learn passwords.
pub(crate) async fn owner(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<(), MatrixError> {
    prove_at_home(call, auth, None).await
}

/// Requires a proof that the owner of the caller's account is there, or that an e-mail address of it is theirs. Returns `Ok` once
/// it was given.
pub(crate) async fn owner_or_mailbox(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<(), MatrixError> {
    prove_at_home(call, auth, call.app.policy.mail.enabled.then_some(Stage::Email)).await
}

async fn prove_at_home(
    call: &Call,
    auth: &Key<Option<AnyObject>>,
    other: Option<Stage>,
) -> Result<(), MatrixError> {
    if began_with_oauth(call).await? { Err(only_on_pages()) } else { prove(call, auth, other).await }
}

async fn prove(call: &Call, auth: &Key<Option<AnyObject>>, other: Option<Stage>) -> Result<(), MatrixError> {
    let stages = login::stages(&call.app.policy).chain(other);
    let flows: Vec<Vec<Stage>> = stages.map(|stage| vec![stage]).collect();
    let asked = Asked { flows, user_num: Some(call.user()?.num), email: EmailPurpose::Reset };
    let passed = run(call, auth, &asked, Object::new()).await?;
    finish(call, &passed).await
}

/// Requires that the owner of the caller's account resets the cross-signing keys. In a session with OAuth 2.0 that is allowed on
/// the page of the account, which the request then finds (`cross_signing::upload`): until it does, the response names the page.
pub(crate) async fn reset(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<(), MatrixError> {
    if !began_with_oauth(call).await? {
        return prove(call, auth, None).await;
    }
    let settings = call.app.oauth.as_ref().ok_or_else(only_on_pages)?;
    Err(on_page(auth, &metadata::reset_url(settings)))
}

fn only_on_pages() -> MatrixError {
    MatrixError::forbidden("This client signed in with OAuth 2.0: use the page of your account, in a browser")
}

/// Returns the 401 response that sends a person to a page. Its session holds nothing: the permission is the account's.
/// <https://spec.matrix.org/v1.18/client-server-api/#oauth-authentication>
fn on_page(auth: &Key<Option<AnyObject>>, url: &str) -> MatrixError {
    let session = auth.value().and_then(|auth| auth.get("session")).and_then(Value::as_str);
    let session = session.map_or_else(|| random::letters(24), str::to_owned);
    let mut body = Object::new();
    body.insert("session".to_owned(), json!(session));
    // The second name is that of older clients.
    let stages = ["m.oauth", "org.matrix.cross_signing_reset"];
    body.insert("flows".to_owned(), json!(stages.map(|stage| json!({ "stages": [stage] }))));
    let params = stages.map(|stage| (stage.to_owned(), json!({ "url": url })));
    body.insert("params".to_owned(), Value::Object(Object::from_iter(params)));
    MatrixError::interactive(None, body)
}

/// Returns true if the caller's session began with OAuth 2.0.
async fn began_with_oauth(call: &Call) -> Result<bool, MatrixError> {
    let session = call.session()?;
    let (owner_num, Some(device_id)) = (session.owner_num, session.device_id.clone()) else {
        return Ok(false);
    };
    let found = call.read(move |tx| oauth_sessions::find(tx, owner_num, &device_id)).await?;
    Ok(found.is_some())
}

/// Requires a proof that an e-mail address is the caller's, who has no session.
pub(crate) async fn mailbox(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<Passed, MatrixError> {
    let flows = vec![vec![Stage::Email]];
    let asked = Asked { flows, user_num: None, email: EmailPurpose::Reset };
    run(call, auth, &asked, Object::new()).await
}

/// Requires the stages of one of the flows of a registration. `remembered` is stored with a new session.
pub(crate) async fn registration(
    call: &Call,
    auth: &Key<Option<AnyObject>>,
    flows: Vec<Vec<Stage>>,
    remembered: Object,
) -> Result<Passed, MatrixError> {
    let asked = Asked { flows, user_num: None, email: EmailPurpose::Register };
    run(call, auth, &asked, remembered).await
}

/// The proof that is asked of a client.
struct Asked {
    /// The flows, of which it passes one.
    flows: Vec<Vec<Stage>>,
    /// The account that authenticates.
    user_num: Option<UserNum>,
    /// The purpose for which an e-mail address is proved.
    email: EmailPurpose,
}

/// Returns the data of the session that a request names; empty if it names none.
pub(crate) async fn remembered(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<Object, MatrixError> {
    match auth.value().and_then(|auth| auth.get("session")).and_then(Value::as_str) {
        Some(session) => Ok(load(call, session, None).await?.remembered),
        None => Ok(Object::new()),
    }
}

/// Ends a session after the operation it was for.
pub(crate) async fn finish(call: &Call, passed: &Passed) -> Result<(), MatrixError> {
    if passed.session.is_empty() {
        return Ok(());
    }
    let session = passed.session.clone();
    call.write(move |tx| uia_sessions::delete(tx, &session)).await
}

/// Returns the 401 response with the flows, of whose stages some are missing.
fn missing(
    session: &str,
    flows: &[Vec<Stage>],
    completed: Option<&[Stage]>,
    error: Option<MatrixError>,
) -> MatrixError {
    let mut body = Object::new();
    body.insert("session".to_owned(), json!(session));
    let flows: Vec<Value> = flows.iter().map(|stages| json!({ "stages": stages })).collect();
    body.insert("flows".to_owned(), json!(flows));
    body.insert("params".to_owned(), json!({}));
    if let Some(completed) = completed {
        body.insert("completed".to_owned(), json!(completed));
    }
    let errcode = error.as_ref().map(|error| (error.errcode.to_string(), error.error.to_string()));
    MatrixError::interactive(errcode, body)
}

/// Passes a stage, and returns once all stages of one of the flows are passed.
async fn run(
    call: &Call,
    auth: &Key<Option<AnyObject>>,
    asked: &Asked,
    remembered: Object,
) -> Result<Passed, MatrixError> {
    let (flows, user_num) = (&*asked.flows, asked.user_num);
    let Some(auth) = auth.read()?.filter(|auth| !auth.is_empty()) else {
        let details = Details { user_num, remembered, ..Details::default() };
        let session = random::letters(24);
        store(call, &session, &details).await?;
        return Err(missing(&session, flows, None, None));
    };
    let given = match auth.get("session") {
        None | Some(Value::Null) => None,
        Some(Value::String(session)) => Some(session.clone()),
        Some(_) => return Err(MatrixError::bad_json("'session' must be a string")),
    };
    let (session, mut details) = match given {
        Some(session) => {
            let details = load(call, &session, user_num).await?;
            (session, details)
        }
        None => (random::letters(24), Details { user_num, remembered, ..Details::default() }),
    };
    let stage = match auth.get("type") {
        None => None,
        Some(stage @ Value::String(_)) => {
            // The one without a challenge can always be passed.
            let known = Stage::deserialize(stage).ok();
            let asked = known
                .filter(|stage| *stage == Stage::Dummy || flows.iter().any(|stages| stages.contains(stage)));
            Some(asked.ok_or_else(|| MatrixError::invalid_param("Invalid login submission"))?)
        }
        Some(_) => return Err(MatrixError::invalid_param("Bad parameter: type")),
    };
    if let Some(stage) = stage {
        match pass(call, asked, stage, &auth, &session).await {
            Ok(email) => details.email = email.or(details.email),
            Err(error) if error.status == 401 => {
                store(call, &session, &details).await?;
                return Err(missing(&session, flows, Some(&details.completed), Some(error)));
            }
            Err(error) => return Err(error),
        }
        if !details.completed.contains(&stage) {
            details.completed.push(stage);
        }
    }
    let is_passed = |stages: &Vec<Stage>| stages.iter().all(|stage| details.completed.contains(stage));
    if flows.iter().any(is_passed) {
        return Ok(Passed { session, email: details.email });
    }
    store(call, &session, &details).await?;
    Err(missing(&session, flows, Some(&details.completed), None))
}

/// Tries to pass one stage. Returns the id of the proof of an e-mail address, if the stage is one. A 401 means that it can be
/// tried again.
async fn pass(
    call: &Call,
    asked: &Asked,
    stage: Stage,
    auth: &Object,
    session: &str,
) -> Result<Option<String>, MatrixError> {
    let refused = |errcode: &'static str, error: &'static str| Err(MatrixError::new(401, errcode, error));
    match stage {
        Stage::Dummy => Ok(None),
        Stage::Password => login::password::pass(call, auth, asked.user_num).await.map(|()| None),
        Stage::Email => {
            let given = match auth.get("threepid_creds") {
                Some(Value::Object(given)) => given,
                None => return refused("M_MISSING_PARAM", "Missing param threepid_creds"),
                Some(_) => return refused("M_INVALID_PARAM", "'threepid_creds' must be an object"),
            };
            let text = |key: &str| given.get(key).and_then(Value::as_str).map(str::to_owned);
            let (Some(sid), Some(secret)) = (text("sid"), text("client_secret")) else {
                return refused("M_MISSING_PARAM", "Missing sid or client_secret in threepid_creds");
            };
            let (credentials, purpose, now) = (Credentials { sid, secret }, asked.email, call.now);
            match call.read(move |tx| emails::proven(tx, purpose, &credentials, now)).await {
                Ok(proof) if asked.user_num.is_none() || proof.user_num == asked.user_num => {
                    Ok(Some(proof.sid))
                }
                Ok(_) => Err(MatrixError::forbidden("Invalid auth")),
                Err(error) if error.status == 403 => Err(MatrixError { status: 401, ..error }),
                Err(error) => Err(error),
            }
        }
        Stage::RegistrationToken => {
            let token = match auth.get("token") {
                Some(Value::String(token)) => token.clone(),
                None => return refused("M_MISSING_PARAM", "Missing registration token"),
                Some(_) => return refused("M_INVALID_PARAM", "Registration token must be a string"),
            };
            // The use of the token is reserved for a session, so the client must know its id.
            if !auth.contains_key("session") {
                return refused("M_MISSING_PARAM", "Missing UIA session");
            }
            let (session, ctx) = (session.to_owned(), call.ctx());
            let until = ctx.now.plus(LIFETIME_MS);
            let usable =
                call.write(move |tx| registration::reserve(tx, &ctx, &session, &token, until)).await?;
            if usable { Ok(None) } else { refused("M_UNAUTHORIZED", "Invalid registration token") }
        }
    }
}

async fn load(call: &Call, session: &str, user_num: Option<UserNum>) -> Result<Details, MatrixError> {
    let (wanted, now) = (session.to_owned(), call.now);
    let Some(UiaSession { operation, details }) =
        call.read(move |tx| uia_sessions::find(tx, &wanted, now)).await?
    else {
        return Err(MatrixError::unknown(format!("Unknown session ID: {session}")));
    };
    if operation != call.operation {
        let text = "Requested operation has changed during the UI authentication session.";
        return Err(MatrixError::new(403, "M_UNKNOWN", text));
    }
    let details: Details = serde_json::from_str(&details).map_err(MatrixError::internal)?;
    if details.user_num != user_num {
        return Err(MatrixError::forbidden("Invalid auth"));
    }
    Ok(details)
}

async fn store(call: &Call, session: &str, details: &Details) -> Result<(), MatrixError> {
    let json = serde_json::to_string(details).map_err(MatrixError::internal)?;
    let (session, operation, until) =
        (session.to_owned(), call.operation.clone(), call.now.plus(LIFETIME_MS));
    call.write(move |tx| uia_sessions::put(tx, &session, &operation, &json, until)).await
}

/// Deletes a batch of abandoned sessions; returns false if there were none.
pub(crate) fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    let expired = uia_sessions::expired(tx, now, PRUNE_AT_ONCE)?;
    for session in &expired {
        uia_sessions::delete(tx, session)?;
    }
    Ok(!expired.is_empty())
}
