//! Deletes a device.

use reeve_accounts::devices;
use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;

pub(crate) fn route() -> Route {
    Route::delete("/_synapse/admin/v2/users/{user_id}/devices/{device_id}", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("deleteUserDevice")
        .returns::<shape::Empty>(200)
        .summary("Deletes a device of an account, with its session, keys and pushers")
        .description("A device that does not exist is not an error. The body is not read.")
        .errors(crate::target::ERRORS)
}

async fn handle(call: Call) -> Answer {
    let user = super::owner(&call).await?;
    let (ctx, device_ids) = (call.admin_ctx()?, [call.param("device_id")]);
    call.write(move |tx| devices::delete_all(tx, &ctx, &user.user_id, &device_ids)).await?;
    reply::empty()
}
