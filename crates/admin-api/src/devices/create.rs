//! Creates a device without a session.

use reeve_accounts::devices;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, json, reply};
use reeve_model::Scope;
use serde_json::{Value, json};
use utoipa::ToSchema;

body! {
    /// The device to create.
    pub(crate) struct NewDevice {
        /// At most 512 characters.
        device_id: String,
        /// At most 100 characters.
        display_name: Option<String>,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v2/users/{user_id}/devices", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("createUserDevice")
        .summary("Creates a device without a session, unless it exists")
        .description("A login that names the device uses it. An existing device is not changed.")
        .takes::<NewDevice>()
        .returns::<DeviceCreated>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed, or the device id too long"),
            (400, "M_UNKNOWN", "the account is on another server, or `device_id` is missing or not a string"),
            (400, "M_BAD_JSON", "`display_name` is not a string"),
            (
                400,
                "M_TOO_LARGE",
                "`display_name` is too long, or the account has reached its limit of devices",
            ),
            (400, "M_FORBIDDEN", "a cross-signing key of the account has this name"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

/// An empty object: the device exists.
#[derive(Debug, ToSchema)]
pub(crate) struct DeviceCreated {}

async fn handle(mut call: Call) -> Answer {
    let user = super::owner_or(&call, "Can only create devices for local users").await?;
    let body: NewDevice = call.take().await?;
    let device_id = match body.device_id.value() {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        Some(other) if json::truthy(other) => return Err(MatrixError::unknown("device_id must be a string")),
        Some(_) | None => return Err(MatrixError::unknown("Missing device_id")),
    };
    if device_id.chars().count() > devices::MAX_DEVICE_ID {
        return Err(MatrixError::invalid_param("device_id cannot be longer than 512 characters."));
    }
    let display_name = body.display_name.read()?;
    let (ctx, limits) = (call.admin_ctx()?, call.app.policy.limits);
    call.write(move |tx| {
        devices::create(tx, &ctx, &limits, &user.user_id, &device_id, display_name.as_deref())
    })
    .await?;
    Ok(reply::json(http::StatusCode::CREATED, &json!({})))
}
