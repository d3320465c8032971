//! Lists the devices of an account.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::DeviceView;

/// The devices of an account, by device id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceList {
    devices: Vec<DeviceView>,
    /// The number of devices.
    total: usize,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v2/users/{user_id}/devices", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserDevices")
        .summary("Lists the devices of an account")
        .returns::<DeviceList>(200)
        .errors(crate::target::ERRORS)
}

fn handle(call: &Reading<'_>) -> Answer {
    let user = super::read_owner(call)?;
    let devices = DeviceView::all(call, &user)?;
    reply::ok(&DeviceList { total: devices.len(), devices })
}
