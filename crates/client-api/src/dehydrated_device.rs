//! Dehydrated devices: they receive room keys while the user has no other device.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>

use http::Method;
use reeve_accounts::dehydrated::{self, NewDevice};
use reeve_accounts::keys::{Sent, Upload};
use reeve_accounts::to_device;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Endpoint, MatrixError, Route, body, reply};
use reeve_model::{Pos, Token};
use reeve_rooms::position::Positions;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rooms::not_text;
use crate::shapes;

const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const EVENTS: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events";
const PROPOSAL: &str = "https://github.com/matrix-org/matrix-spec-proposals/pull/3814";
const NONE: (u16, &str, &str) = (404, "M_NOT_FOUND", "the account has no such dehydrated device");
/// Maximum number of messages in a response.
const MAX_EVENTS: i64 = 100;

body! {
    /// A dehydrated device.
    pub(crate) struct NewDehydratedDevice {
        device_id: String,
        device_data: AnyObject,
        initial_device_display_name: Option<String>,
        device_keys: Option<AnyObject>,
        one_time_keys: Option<AnyObject>,
        fallback_keys: Option<AnyObject>,
        /// The older name of the fallback keys.
        #[schema(ignore)]
        old_fallback_keys = "org.matrix.msc2732.fallback_keys": Option<AnyObject>,
    }

    /// The token of the next page.
    pub(crate) struct After {
        next_batch: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let route = |endpoint: Endpoint| endpoint.access(Access::User).spec(PROPOSAL);
    vec![
        route(Route::put(PATH, put))
            .id("putDehydratedDevice")
            .takes::<NewDehydratedDevice>()
            .returns::<shapes::devices::DeviceId>(200)
            .summary("Stores a dehydrated device")
            .errors(&[
                (400, "M_BAD_JSON", "the keys are malformed"),
                (400, "M_FORBIDDEN", "another device has the id"),
            ]),
        route(Route::get(PATH, get))
            .id("getDehydratedDevice")
            .returns::<shapes::devices::DehydratedDevice>(200)
            .summary("Returns the dehydrated device")
            .errors(&[NONE]),
        route(Route::delete(PATH, delete))
            .id("deleteDehydratedDevice")
            .returns::<shapes::devices::DeviceId>(200)
            .summary("Deletes the dehydrated device")
            .errors(&[NONE]),
        route(Route::of(Method::POST, EVENTS, events))
            .before_password_change()
            .id("getDehydratedDeviceEvents")
            .may_take::<After>()
            .returns::<shapes::devices::DeviceMessages>(200)
            .summary("Returns the messages to the dehydrated device")
            .description(
                "They are kept until the device is deleted, so that a client can request them again.",
            )
            .errors(&[NONE]),
    ]
}

async fn put(mut call: Call) -> Answer {
    let body: NewDehydratedDevice = call.take().await?;
    let user = call.user()?.clone();
    let device_id = body.device_id.read_or(not_text)?;
    body::require([body.device_data.missing()])?;
    let sent = Sent {
        device_keys: body.device_keys.value(),
        one_time_keys: body.one_time_keys.value(),
        fallback_keys: body.fallback_keys.value(),
        old_fallback_keys: body.old_fallback_keys.value(),
    };
    let device = NewDevice {
        display_name: body.initial_device_display_name.read_or(not_text)?,
        device_data: body.device_data.read()?,
        keys: Upload::read(sent, &user.user_id, &device_id)?,
        device_id,
    };
    let (ctx, answer) = (call.ctx(), json!({ "device_id": device.device_id }));
    let limits = call.app.policy.limits;
    call.write(move |tx| dehydrated::put(tx, &ctx, &limits, &user, &device)).await?;
    reply::ok(&answer)
}

async fn get(call: Call) -> Answer {
    let num = call.user()?.num;
    let device = call.read(move |tx| dehydrated::find(tx, num)).await?;
    let device_data: Value = serde_json::from_str(&device.device_data).map_err(MatrixError::internal)?;
    reply::ok(&json!({ "device_id": device.device_id, "device_data": device_data }))
}

async fn delete(call: Call) -> Answer {
    let num = call.user()?.num;
    let device_id = call.write(move |tx| dehydrated::delete(tx, num)).await?;
    reply::ok(&json!({ "device_id": device_id }))
}

/// Messages, and the token of the next page.
#[derive(serde::Serialize)]
struct Batch {
    events: Vec<Box<RawValue>>,
    next_batch: String,
}

async fn events(mut call: Call) -> Answer {
    let since = match call.take::<After>().await?.next_batch.read_or(not_text)? {
        None => None,
        Some(token) => {
            let token = Token::parse(&token);
            Some(token.ok_or_else(|| MatrixError::invalid_param("Invalid token: 'next_batch'"))?)
        }
    };
    let (num, wanted) = (call.user()?.num, call.param("device_id"));
    let (found, next) = call
        .read(move |tx| -> Result<_, reeve_accounts::Error> {
            let device_id = dehydrated::find(tx, num)?.device_id;
            if device_id != wanted {
                return Err(reeve_accounts::Error::KeyNotFound("No such dehydrated device"));
            }
            let positions = Positions::of(tx)?;
            let since = match &since {
                Some(since) if positions.knows(tx, since)? => since.pos,
                Some(_) | None => Pos::ZERO,
            };
            let found = to_device::page(tx, num, &device_id, since, MAX_EVENTS)?.messages;
            let next = positions.token(found.last().map_or(since, |last| last.pos));
            Ok((found, next))
        })
        .await?;
    let next_batch = next.to_string();
    let events =
        found.into_iter().map(|found| RawValue::from_string(found.event).map_err(MatrixError::internal));
    reply::ok(&Batch { events: events.collect::<Result<_, _>>()?, next_batch })
}
