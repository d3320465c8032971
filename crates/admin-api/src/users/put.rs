//! Creates or changes an account.

use http::StatusCode;
use reeve_accounts::put::{self, Change};
use reeve_app::body::{Body, Key};
use reeve_app::json::Object;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Scope, id};
use reeve_store::external_ids::ExternalId;
use serde_json::Value;

use super::view::UserView;
use crate::target;

/// Maximum length of a password, in characters.
const MAX_PASSWORD: usize = 512;

body! {
    /// The wanted state of an account. Absent keys are not changed; unknown keys are ignored, so that a response of
    /// GET can be sent back.
    pub(crate) struct PutUser {
        /// Ends the sessions of the account unless `logout_devices` is false.
        password: Option<String>,
        logout_devices?: bool,
        /// Empty for none; a new account without one gets its localpart.
        displayname: Option<String>,
        /// Empty for none.
        avatar_url: Option<String>,
        /// All third-party ids: others are removed.
        threepids: Option<Vec<PutThreepid>>,
        /// All external ids: others are removed.
        external_ids: Option<Vec<PutExternalId>>,
        admin?: bool,
        deactivated?: bool,
        locked?: bool,
        /// `bot`, `support` or a type from the settings; null for none.
        user_type: Option<String>,
    }

    /// A third-party id.
    pub(crate) struct PutThreepid {
        /// `email` or `msisdn`.
        medium: String,
        address: String,
    }

    /// An external id.
    pub(crate) struct PutExternalId {
        auth_provider: String,
        external_id: String,
    }
}

pub(crate) fn route() -> Route {
    Route::put("/_synapse/admin/v2/users/{user_id}", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("putUser")
        .summary("Creates or changes an account, atomically")
        .description("Returns 201 if the account is new and 200 if it existed.")
        .takes::<PutUser>()
        .returns::<UserView>(200)
        .returns::<UserView>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id or a value is not valid"),
            (400, "M_UNKNOWN", "the account is on another server, or a value is not valid"),
            (400, "M_BAD_JSON", "a value has the wrong type"),
            (400, "M_MISSING_PARAM", "a third-party or external id is incomplete"),
            (400, "M_INVALID_USERNAME", "the name is not allowed for a new account"),
            (400, "M_EXCLUSIVE", "the name is reserved for the account that sends server notices"),
            (400, "M_USER_IN_USE", "the name is taken in a different case"),
            (403, "M_FORBIDDEN", "passwords cannot be changed on this server"),
            (403, "M_USER_DEACTIVATED", "the account is erased and cannot get a new name or avatar"),
            (409, "M_UNKNOWN", "an external id belongs to another account"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::shape(&call)?;
    let body: PutUser = call.take().await?;
    if !id::domain_is(&user_id, &call.app.server_name) {
        return Err(MatrixError::unknown("This endpoint can only be used with local users"));
    }
    let (mut change, password) = change(&body, &call)?;
    if let Some(password) = password {
        change.password_hash = Some(call.app.hasher.hash(&password).await?);
    }
    let (ctx, app) = (call.admin_ctx()?, std::sync::Arc::clone(&call.app));
    let wanted = user_id.clone();
    let put = call.write(move |tx| put::put(tx, &ctx, &app.policy, &wanted, &change)).await?;
    if let Some(job) = &put.job {
        call.app.jobs.wait(job, super::JOB_WAIT).await?;
    }
    let user = call.read(move |tx| UserView::find(tx, &user_id)).await?;
    let user = user.ok_or_else(|| MatrixError::not_found("User not found"))?;
    Ok(reply::json(if put.created { StatusCode::CREATED } else { StatusCode::OK }, &user))
}

/// Checks that do not read the account, in the order of their errors. Returns the password separately, since it
/// has to be hashed first.
fn change(body: &PutUser, call: &Call) -> Result<(Change, Option<String>), MatrixError> {
    let threepids = pairs(&body.threepids, |threepid| [threepid.medium, threepid.address])?;
    let external_ids = pairs(&body.external_ids, |id| [id.auth_provider, id.external_id])?;
    let user_type = match body.user_type.value() {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(user_type)) if call.app.policy.knows_user_type(user_type) => {
            Some(Some(user_type.clone()))
        }
        Some(_) => return Err(MatrixError::unknown("Invalid user type")),
    };
    let not_boolean = |name| MatrixError::bad_json(format!("Param '{name}' must be a boolean, if given"));
    let admin = body.admin.read_or(not_boolean)?;
    let password = body.password.read_or(|_| invalid_password())?;
    if password.as_ref().is_some_and(|password| password.chars().count() > MAX_PASSWORD) {
        return Err(invalid_password());
    }
    let not_boolean = |name| MatrixError::unknown(format!("'{name}' parameter is not of type boolean"));
    let logout_devices = body.logout_devices.read_or(not_boolean)?.unwrap_or(true);
    let deactivated = body.deactivated.read_or(not_boolean)?;
    let locked = body.locked.read_or(not_boolean)?;
    if deactivated == Some(true) && locked == Some(true) {
        return Err(MatrixError::unknown("An user can't be deactivated and locked"));
    }
    let change = Change {
        displayname: body.displayname.value().into(),
        avatar_url: body.avatar_url.value().into(),
        threepids,
        external_ids: external_ids.map(|pairs| {
            pairs
                .into_iter()
                .map(|(auth_provider, external_id)| ExternalId { auth_provider, external_id })
                .collect()
        }),
        admin,
        password_hash: None,
        end_sessions: logout_devices.then(|| super::spared(call)),
        deactivated,
        locked,
        user_type,
    };
    Ok((change, password))
}

fn invalid_password() -> MatrixError {
    MatrixError::unknown("Invalid password")
}

/// Returns a list of objects with two strings each. A string in place of the list lacks the keys; an empty object
/// counts as an empty list, as clients of the API expect.
fn pairs<T: Body>(
    list: &Key<Option<Vec<T>>>,
    keys: fn(T) -> [Key<String>; 2],
) -> Result<Option<Vec<(String, String)>>, MatrixError> {
    let items = match list.value() {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(Value::Object(object)) if object.is_empty() => return Ok(Some(Vec::new())),
        Some(Value::String(text)) if text.is_empty() => return Ok(Some(Vec::new())),
        Some(Value::String(_) | Value::Object(_)) => {
            let keys = keys(T::of(Object::new()));
            return Err(MatrixError::missing_params(&keys.map(|key| key.name())));
        }
        Some(_) => return Err(MatrixError::bad_json(format!("'{}' must be a list", list.name()))),
    };
    let pair = |item: &Value| {
        let Value::Object(item) = item else {
            return Err(MatrixError::bad_json(format!("Each of '{}' must be an object", list.name())));
        };
        let [first, second] = keys(T::of(item.clone()));
        body::require([first.missing(), second.missing()])?;
        let not_texts =
            |_| MatrixError::bad_json(format!("'{}' and '{}' must be strings", first.name(), second.name()));
        Ok((first.read_or(not_texts)?, second.read_or(not_texts)?))
    };
    items.iter().map(pair).collect::<Result<_, _>>().map(Some)
}
