//! Reads one device.

use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::Scope;

use super::view::DeviceView;

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v2/users/{user_id}/devices/{device_id}", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUserDevice")
        .summary("Returns one device of an account")
        .returns::<DeviceView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (404, "M_NOT_FOUND", "there is no such account or no such device"),
        ])
}

fn handle(call: &Reading<'_>) -> Answer {
    let user = super::read_owner(call)?;
    let device = DeviceView::one(call, &user, call.params.get("device_id"))?;
    reply::ok(&device.ok_or_else(|| MatrixError::not_found("Not found"))?)
}
