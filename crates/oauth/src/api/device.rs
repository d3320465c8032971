//! `POST /_reeve/oauth/device`

use reeve_app::{Access, Answer, Call, Limit, Route, body, reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DISABLED, settings};
use crate::device::{self, INTERVAL_MS, REQUEST_MS};
use crate::metadata::{DEVICE, DEVICE_PAGE};

body! {
    /// A request of a client on a device without a browser.
    pub(crate) struct DeviceRequest {
        client_id: String,
        /// The scope, which names the device.
        scope: String,
    }
}

/// The codes of a request.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceCodes {
    /// The code with which the client asks for tokens.
    device_code: String,
    /// The code that the person types.
    #[schema(example = "WDJB-MJHT")]
    user_code: String,
    /// The address of the page where the person types it.
    verification_uri: String,
    /// The address of the same page, with the code filled in.
    verification_uri_complete: String,
    /// The lifetime of the codes, in seconds.
    expires_in: i64,
    /// The least time between two questions of the client, in seconds.
    interval: i64,
}

pub(super) fn route() -> Route {
    Route::post(DEVICE, handle)
        .access(Access::Anybody)
        .limit(Limit::OAuthRequests)
        .id("beginOAuthOnDevice")
        .takes_form::<DeviceRequest>()
        .returns::<DeviceCodes>(200)
        .summary("Begins to sign in on a device without a browser")
        .errors(&[
            DISABLED,
            (400, "unauthorized_client", "the client has not registered for the grant type of device codes"),
            (400, "invalid_scope", "the scope lacks the API or the device"),
            (401, "invalid_client", "there is no such client"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#device-authorisation-flow")
}

async fn handle(mut call: Call) -> Answer {
    let page = settings(&call)?.url(DEVICE_PAGE);
    let body: DeviceRequest = call.take_form().await?;
    let (client_id, scope, ctx) = (body.client_id.read()?, body.scope.read()?, call.ctx());
    let begun = call.write(move |tx| device::begin(tx, &ctx, &client_id, &scope)).await?;
    reply::ok(&DeviceCodes {
        verification_uri_complete: format!("{page}?user_code={}", begun.user_code),
        verification_uri: page,
        device_code: begun.device_code,
        user_code: begun.user_code,
        expires_in: REQUEST_MS / 1000,
        interval: INTERVAL_MS / 1000,
    })
}
