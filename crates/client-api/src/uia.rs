//! User-interactive authentication: repeated proof of identity before a dangerous operation, and the stages of
//! a registration.
//! <https://spec.matrix.org/v1.18/client-server-api/#user-interactive-authentication-api>

use reeve_accounts::registration;
use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Call, MatrixError, body};
use reeve_db::{DbError, Tx};
use reeve_model::{Millis, UserNum, random};
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
    /// The account that authenticates; none while registering.
    user_num: Option<UserNum>,
    /// Parts of the first request that later requests need not repeat.
    #[serde(default)]
    pub(crate) remembered: Object,
}

/// A session whose stages are all passed.
pub(crate) struct Passed {
    /// Its id.
    pub(crate) session: String,
}

/// Requires a proof that the owner of the caller's account is there. Returns `Ok` once it was given.
pub(crate) async fn owner(call: &Call, auth: &Key<Option<AnyObject>>) -> Result<(), MatrixError> {
    let flows = login::stages(&call.app.policy).map(|stage| vec![stage]).collect::<Vec<_>>();
    let passed = run(call, auth, &flows, Some(call.user()?.num), Object::new()).await?;
    finish(call, &passed).await
}

/// Requires the stages of a registration. `remembered` is stored with a new session.
pub(crate) async fn registration(
    call: &Call,
    auth: &Key<Option<AnyObject>>,
    stages: Vec<Stage>,
    remembered: Object,
) -> Result<Passed, MatrixError> {
    run(call, auth, &[stages], None, remembered).await
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
    flows: &[Vec<Stage>],
    user_num: Option<UserNum>,
    remembered: Object,
) -> Result<Passed, MatrixError> {
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
        match pass(call, stage, &auth, &session, &details).await {
            Ok(()) => {}
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
        return Ok(Passed { session });
    }
    store(call, &session, &details).await?;
    Err(missing(&session, flows, Some(&details.completed), None))
}

/// Tries to pass one stage. A 401 means that it can be tried again.
async fn pass(
    call: &Call,
    stage: Stage,
    auth: &Object,
    session: &str,
    details: &Details,
) -> Result<(), MatrixError> {
    match stage {
        Stage::Dummy => Ok(()),
        Stage::Password => login::password::pass(call, auth, details.user_num).await,
        Stage::RegistrationToken => {
            let refused =
                |errcode: &'static str, error: &'static str| Err(MatrixError::new(401, errcode, error));
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
            if usable { Ok(()) } else { refused("M_UNAUTHORIZED", "Invalid registration token") }
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
