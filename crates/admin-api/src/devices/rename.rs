//! Renames a device.

use reeve_accounts::devices;
use reeve_app::{Access, Answer, Call, Route, body, reply, shape};
use reeve_model::Scope;

body! {
    /// The new name.
    pub(crate) struct RenameDevice {
        /// At most 100 characters; absent or null to change nothing.
        display_name: Option<String>,
    }
}

pub(crate) fn route() -> Route {
    Route::put("/_synapse/admin/v2/users/{user_id}/devices/{device_id}", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("updateUserDevice")
        .returns::<shape::Empty>(200)
        .summary("Renames a device of an account")
        .description("Without a name nothing is changed, even if the device does not exist.")
        .may_take::<RenameDevice>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (400, "M_BAD_JSON", "`display_name` is not a string"),
            (400, "M_TOO_LARGE", "`display_name` is too long"),
            (404, "M_NOT_FOUND", "there is no such account or no such device"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user = super::owner(&call).await?;
    let Some(display_name) = call.take::<RenameDevice>().await?.display_name.read()? else {
        return reply::empty();
    };
    let (ctx, device_id) = (call.admin_ctx()?, call.param("device_id"));
    call.write(move |tx| devices::rename(tx, &ctx, &user.user_id, &device_id, &display_name)).await?;
    reply::empty()
}
