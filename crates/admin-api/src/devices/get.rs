//! Reads one device.

use reeve_http::{Answer, Call, MatrixError, Route, reply};

use super::view::DeviceView;

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v2/users/{user_id}/devices/{device_id}", handle)
        .summary("Reads one device of an account")
        .returns::<DeviceView>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
            (404, "M_NOT_FOUND", "there is no such account or no such device"),
        ])
}

async fn handle(call: Call) -> Answer {
    let user = super::owner(&call).await?;
    let device = DeviceView::one(&call, &user, call.param("device_id")).await?;
    reply::ok(&device.ok_or_else(|| MatrixError::not_found("Not found"))?)
}
