//! To-device messages.
//! <https://spec.matrix.org/v1.18/client-server-api/#send-to-device-messaging>

use std::collections::BTreeMap;

use http::Method;
use reeve_accounts::to_device;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply, shape};
use reeve_store::transactions::Key;
use serde_json::Value;

use crate::rooms::{device_key, v3};

body! {
    /// Messages by device by user.
    pub(crate) struct ToDevice {
        messages: BTreeMap<String, BTreeMap<String, AnyObject>>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::PUT, "sendToDevice/{event_type}/{txn_id}", send)
            .also("/_matrix/client/unstable/sendToDevice/{event_type}/{txn_id}")
            .access(Access::Guest)
            .limit(Limit::ToDevice)
            .id("sendToDevice")
            .takes::<ToDevice>()
            .returns::<shape::Empty>(200)
            .summary("Sends messages to devices, once for each transaction id")
            .description(
                "A message is queued until a sync of the device acknowledges it. If the queue of a device exceeds its \
                 limit, the oldest are dropped. Messages to devices that do not exist are lost.",
            )
            .errors(&[
                (400, "M_BAD_JSON", "`messages` is not an object of objects of objects"),
                (
                    413,
                    "M_TOO_LARGE",
                    "there are more than 5000 messages, one is longer than 64 KiB, or the total size for all devices \
                     is more than 16 MiB",
                ),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid"),
    ]
}

async fn send(mut call: Call) -> Answer {
    let body: ToDevice = call.take().await?;
    body::require([body.messages.missing()])?;
    let messages = body
        .messages
        .value()
        .and_then(Value::as_object)
        .ok_or_else(|| MatrixError::bad_json("'messages' must be an object of objects of objects"))?;
    let (user, event_type) = (call.user()?, call.param("event_type"));
    let messages = to_device::read(&user.user_id, &event_type, messages)?;
    let (user_num, device_id) = (user.num, device_key(&call)?);
    let key =
        Key { user_num, device_id, scope: format!("to_device {event_type}"), txn_id: call.param("txn_id") };
    let (ctx, limits) = (call.ctx(), call.app.policy.limits);
    call.write(move |tx| to_device::send(tx, &ctx, &limits, &key, &messages)).await?;
    reply::empty()
}
