//! Devices of the account.
//! <https://spec.matrix.org/v1.18/client-server-api/#device-management>

use reeve_app::body::{Body, Key};
use reeve_app::json::Object;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, body, reply};
use reeve_model::Millis;
use reeve_store::devices::{self, Device};
use serde::Serialize;
use serde_json::json;

use crate::shapes;
use crate::uia::{self, Authentication};

const ONE: &str = "/_matrix/client/v3/devices/{device_id}";
const ONE_OLD: &str = "/_matrix/client/r0/devices/{device_id}";
const ONE_UNSTABLE: &str = "/_matrix/client/unstable/devices/{device_id}";

/// A device in responses. Every key is always present; unknown values are null.
#[derive(Debug, Serialize)]
struct DeviceView {
    user_id: String,
    device_id: String,
    display_name: Option<String>,
    last_seen_ts: Option<i64>,
    last_seen_ip: Option<String>,
}

body! {
    /// The name of a device.
    pub(crate) struct DeviceName {
        display_name: Option<String>,
    }

    /// Devices to delete.
    pub(crate) struct DevicesToDelete {
        devices: Vec<String>,
        auth: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v3/devices", list)
            .also("/_matrix/client/r0/devices")
            .also("/_matrix/client/unstable/devices")
            .access(Access::Guest)
            .id("getDevices")
            .returns::<shapes::devices::Devices>(200)
            .summary("Lists the devices of the account")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3devices"),
        Route::read(ONE, get)
            .also(ONE_OLD)
            .also(ONE_UNSTABLE)
            .access(Access::Guest)
            .id("getDevice")
            .returns::<shapes::devices::Device>(200)
            .summary("Returns a device of the account")
            .errors(&[(404, "M_NOT_FOUND", "there is no such device")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3devicesdeviceid"),
        Route::put(ONE, rename)
            .also(ONE_OLD)
            .also(ONE_UNSTABLE)
            .access(Access::Guest)
            .id("updateDevice")
            .takes::<DeviceName>()
            .returns::<shape::Empty>(200)
            .summary("Renames a device of the account")
            .errors(&[
                (400, "M_BAD_JSON", "`display_name` is not a string"),
                (400, "M_TOO_LARGE", "`display_name` is longer than 100 characters"),
                (404, "M_NOT_FOUND", "there is no such device"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3devicesdeviceid"),
        Route::delete(ONE, delete)
            .also(ONE_OLD)
            .also(ONE_UNSTABLE)
            .access(Access::User)
            .id("deleteDevice")
            .may_take::<Authentication>()
            .returns::<shape::Empty>(200)
            .interactive()
            .summary("Deletes a device of the account, with its session, keys and pushers")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#delete_matrixclientv3devicesdeviceid"),
        Route::post("/_matrix/client/v3/delete_devices", delete_many)
            .also("/_matrix/client/r0/delete_devices")
            .also("/_matrix/client/unstable/delete_devices")
            .access(Access::User)
            .id("deleteDevices")
            .takes::<DevicesToDelete>()
            .returns::<shape::Empty>(200)
            .interactive()
            .summary("Deletes devices of the account, with their sessions, keys and pushers")
            .errors(&[
                (400, "M_MISSING_PARAM", "`devices` is missing"),
                (400, "M_BAD_JSON", "`devices` is not an array of strings"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3delete_devices"),
    ]
}

fn view(user_id: &str, device: Device) -> DeviceView {
    DeviceView {
        user_id: user_id.to_owned(),
        device_id: device.device_id,
        display_name: device.display_name,
        last_seen_ts: device.last_seen_ts.map(Millis::get),
        last_seen_ip: device.last_seen_ip,
    }
}

fn list(call: &Reading<'_>) -> Answer {
    let user = call.user()?;
    let mut devices = devices::of_user(call.tx, user.num)?;
    reeve_accounts::devices::see(&mut devices, &call.app.seen.lately(user.num));
    let devices: Vec<DeviceView> = devices.into_iter().map(|device| view(&user.user_id, device)).collect();
    reply::ok(&json!({ "devices": devices }))
}

fn get(call: &Reading<'_>) -> Answer {
    let user = call.user()?;
    let mut device = devices::find(call.tx, user.num, call.params.get("device_id"))?;
    reeve_accounts::devices::see(device.as_mut_slice(), &call.app.seen.lately(user.num));
    let device = device.ok_or_else(|| MatrixError::not_found("Not found"))?;
    reply::ok(&view(&user.user_id, device))
}

async fn rename(mut call: Call) -> Answer {
    let display_name = call.take::<DeviceName>().await?.display_name.read()?;
    let (ctx, user, device_id) = (call.ctx(), call.user()?.clone(), call.param("device_id"));
    if let Some(name) = display_name {
        call.write(move |tx| reeve_accounts::devices::rename(tx, &ctx, &user.user_id, &device_id, &name))
            .await?;
    } else {
        let device = call.read(move |tx| devices::find(tx, user.num, &device_id)).await?;
        device.ok_or_else(|| MatrixError::not_found("Not found"))?;
    }
    reply::empty()
}

async fn delete(mut call: Call) -> Answer {
    // Clients that do not authenticate yet send no body, or something other than JSON.
    let body: Authentication = match call.take().await {
        Err(error) if error.errcode == "M_NOT_JSON" => Authentication::of(Object::new()),
        body => body?,
    };
    let device_ids = vec![call.param("device_id")];
    finish(call, &body.auth, device_ids).await
}

async fn delete_many(mut call: Call) -> Answer {
    let body: DevicesToDelete = call.take().await?;
    let not_texts = |name| MatrixError::bad_json(format!("'{name}' must be an array of strings"));
    let device_ids = body.devices.read_or(not_texts)?;
    finish(call, &body.auth, device_ids).await
}

async fn finish(call: Call, auth: &Key<Option<AnyObject>>, device_ids: Vec<String>) -> Answer {
    uia::owner(&call, auth).await?;
    let (ctx, user) = (call.ctx(), call.user()?.clone());
    call.write(move |tx| reeve_accounts::devices::delete_all(tx, &ctx, &user.user_id, &device_ids)).await?;
    reply::empty()
}
