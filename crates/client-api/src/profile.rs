//! Profiles.
//! <https://spec.matrix.org/v1.18/client-server-api/#profiles>

use reeve_accounts::profile::{self, BadKey, Change, Field};
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, Endpoint, Head, Limit, MatrixError, Reading, Route, reply};
use reeve_model::{Scope, id};
use ruma::ServerName;
use serde_json::{Map, Value};

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#profiles";
const SUSPENDED: &str = "Updating profile while account is suspended is not allowed.";

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::read("/_matrix/client/v3/profile/{user_id}", read)
            .also("/_matrix/client/r0/profile/{user_id}")
            .access(Access::Optional)
            .id("getUserProfile")
            .returns::<AnyObject>(200)
            .summary("Returns the profile of an account")
            .errors(&[
                (400, "M_INVALID_PARAM", "the user id is malformed"),
                (404, "M_NOT_FOUND", "there is no such account, or its profile is empty"),
            ])
            .spec(SPEC),
    ];
    // These two have separate paths: they are older than the others, and guests may set display names.
    for (key, setter, [get, put, take]) in [
        ("displayname", Access::Guest, ["getDisplayName", "setDisplayName", "deleteDisplayName"]),
        ("avatar_url", Access::User, ["getAvatarUrl", "setAvatarUrl", "deleteAvatarUrl"]),
    ] {
        let aliased =
            |endpoint: Endpoint| endpoint.also(&format!("/_matrix/client/r0/profile/{{user_id}}/{key}"));
        let path = format!("/_matrix/client/v3/profile/{{user_id}}/{key}");
        routes.extend([
            reading(aliased(Route::read(&path, move |call| read_field(call, Some(key))))).id(get),
            changing(aliased(Route::put(&path, move |call| set(call, Some(key)))), setter)
                .id(put)
                .limit(Limit::Name)
                .takes::<AnyObject>()
                .summary("Sets the display name or the avatar"),
            changing(aliased(Route::delete(&path, move |call| delete(call, Some(key)))), Access::User)
                .id(take)
                .limit(Limit::Name)
                .summary("Removes the display name or the avatar"),
        ]);
    }
    let path = "/_matrix/client/v3/profile/{user_id}/{key}";
    routes.extend([
        reading(Route::read(path, |call| read_field(call, None))).id("getProfileField"),
        changing(Route::put(path, |call| set(call, None)), Access::User)
            .id("setProfileField")
            .takes::<AnyObject>()
            .summary("Sets a field of a profile"),
        changing(Route::delete(path, |call| delete(call, None)), Access::User)
            .id("deleteProfileField")
            .summary("Removes a field of a profile"),
    ]);
    routes
}

fn reading(endpoint: Endpoint) -> Route {
    endpoint
        .access(Access::Optional)
        .returns::<AnyObject>(200)
        .summary("Returns one field of a profile")
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id or the name of the field is malformed"),
            (400, "M_KEY_TOO_LARGE", "the name of the field is too long"),
            (404, "M_NOT_FOUND", "there is no such account, or the field is not set"),
        ])
        .spec(SPEC)
}

fn changing(endpoint: Endpoint, access: Access) -> Route {
    endpoint
        .access(access)
        .limit(Limit::Profile)
        .not_suspended(SUSPENDED)
        .returns::<shape::Empty>(200)
        .description("Administrators can change the profile of every account.")
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id, the name of the field or its value is malformed"),
            (400, "M_KEY_TOO_LARGE", "the name of the field is too long"),
            (400, "M_MISSING_PARAM", "the body lacks the field"),
            (400, "M_PROFILE_TOO_LARGE", "the profile would be 64 KiB or more"),
            (400, "M_UNKNOWN", "the value is too long, or the account is on another server"),
            (403, "M_FORBIDDEN", "the profile belongs to another user"),
            (403, "M_USER_DEACTIVATED", "the account is erased and cannot get a new profile"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
        .spec(SPEC)
}

fn bad_key(error: BadKey) -> MatrixError {
    match error {
        BadKey::TooLong => MatrixError::bad_request("M_KEY_TOO_LARGE", error.to_string()),
        BadKey::Empty | BadKey::Grammar => MatrixError::invalid_param(error.to_string()),
    }
}

/// Returns the user id and the field of a path; `key` is the field if the path has it as a literal.
fn target(call: &Head, key: Option<&str>) -> Result<(String, Field), MatrixError> {
    let user_id = user_id(call)?;
    let field = Field::parse(key.unwrap_or_else(|| call.params.get("key"))).map_err(bad_key)?;
    Ok((user_id, field))
}

fn user_id(call: &Head) -> Result<String, MatrixError> {
    let user_id = call.param("user_id");
    let is_valid = id::split(&user_id).is_ok_and(|(_, domain)| ServerName::parse(domain).is_ok());
    if is_valid { Ok(user_id) } else { Err(MatrixError::invalid_param("Invalid user id")) }
}

fn not_found() -> MatrixError {
    MatrixError::not_found("Profile was not found")
}

fn read(call: &Reading<'_>) -> Answer {
    let owner = profile::owner(call.tx, &user_id(call)?)?.ok_or_else(not_found)?;
    let profile = profile::read(call.tx, &owner)?;
    if profile.is_empty() { Err(not_found()) } else { reply::ok(&profile) }
}

fn read_field(call: &Reading<'_>, key: Option<&'static str>) -> Answer {
    let (user_id, field) = target(call, key)?;
    let owner = profile::owner(call.tx, &user_id)?.ok_or_else(not_found)?;
    let value = profile::read_field(call.tx, &owner, &field)?.ok_or_else(not_found)?;
    reply::ok(&Map::from_iter([(field.key().to_owned(), value)]))
}

async fn set(mut call: Call, key: Option<&'static str>) -> Answer {
    let (user_id, field) = target(&call, key)?;
    let AnyObject(mut body) = call.take().await?;
    let key = field.key();
    let Some(value) = body.shift_remove(key) else {
        return Err(MatrixError::bad_request("M_MISSING_PARAM", format!("Missing key '{key}'")));
    };
    let change = match (&field, value) {
        (Field::DisplayName, Value::String(text)) => Change::DisplayName(text),
        (Field::AvatarUrl, Value::String(text)) => Change::AvatarUrl(text),
        (Field::Custom(key), value) => Change::Custom(key.clone(), Some(value)),
        (Field::DisplayName | Field::AvatarUrl, _) => {
            return Err(MatrixError::invalid_param(format!("'{key}' must be a string")));
        }
    };
    apply(&call, user_id, &field, change).await
}

async fn delete(call: Call, key: Option<&'static str>) -> Answer {
    let (user_id, field) = target(&call, key)?;
    let change = match &field {
        Field::DisplayName => Change::DisplayName(String::new()),
        Field::AvatarUrl => Change::AvatarUrl(String::new()),
        Field::Custom(key) => Change::Custom(key.clone(), None),
    };
    apply(&call, user_id, &field, change).await
}

async fn apply(call: &Call, user_id: String, field: &Field, change: Change) -> Answer {
    if !id::domain_is(&user_id, &call.app.server_name) {
        return Err(MatrixError::unknown("User is not hosted on this homeserver"));
    }
    let (own_ctx, admin_ctx, field) = (call.ctx(), call.admin_ctx()?, field.clone());
    call.act(move |tx, session| -> Result<(), MatrixError> {
        // Changes by administrators are audited.
        let ctx = if session.user.user_id == user_id {
            &own_ctx
        } else if session.scopes.contains(Scope::UsersWrite) {
            &admin_ctx
        } else {
            return Err(not_yours(&field));
        };
        Ok(profile::change(tx, ctx, &user_id, &change)?)
    })
    .await?;
    reply::empty()
}

fn not_yours(field: &Field) -> MatrixError {
    let what = match field {
        Field::DisplayName => "displayname",
        Field::AvatarUrl => "avatar_url",
        Field::Custom(_) => "profile",
    };
    MatrixError::forbidden(format!("Cannot set another user's {what}"))
}
