//! Deletes several devices.

use reeve_accounts::devices;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply, shape};
use reeve_model::Scope;
use serde_json::Value;

body! {
    /// The devices to delete.
    pub(crate) struct DeleteDevices {
        /// Their ids. Unknown ones are ignored.
        devices: Vec<String>,
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v2/users/{user_id}/delete_devices", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("deleteUserDevices")
        .returns::<shape::Empty>(200)
        .summary("Deletes devices of an account, with their sessions, keys and pushers")
        .takes::<DeleteDevices>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (400, "M_MISSING_PARAM", "`devices` is missing"),
            (400, "M_BAD_JSON", "`devices` is not an array of strings"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user = super::owner(&call).await?;
    let body: DeleteDevices = call.take().await?;
    body::require([body.devices.missing()])?;
    let device_ids = body.devices.value().and_then(device_ids);
    let device_ids =
        device_ids.ok_or_else(|| MatrixError::bad_json("'devices' must be an array of strings"))?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| devices::delete_all(tx, &ctx, &user.user_id, &device_ids)).await?;
    reply::empty()
}

fn device_ids(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        // Synapse takes a string for the array of its characters.
        Value::String(text) => Some(text.chars().map(String::from).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
