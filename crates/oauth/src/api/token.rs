//! `POST /_reeve/oauth/token`

use std::sync::Arc;

use reeve_app::limits::{Bucket, Source};
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DISABLED, needed, settings};
use crate::client::GrantType;
use crate::device;
use crate::error::Error;
use crate::grant::{self, Exchange, Tokens};
use crate::metadata::TOKEN;

body! {
    /// A code or token that a client exchanges for the tokens of a session.
    pub(crate) struct TokenRequest {
        /// `authorization_code`, `refresh_token` or `urn:ietf:params:oauth:grant-type:device_code`.
        grant_type: String,
        client_id: String,
        /// The code, with `authorization_code`.
        code?: String,
        /// The redirect URI of the request, with `authorization_code`.
        redirect_uri?: String,
        /// The secret whose digest was in the request, with `authorization_code`.
        code_verifier?: String,
        /// The refresh token, with `refresh_token`.
        refresh_token?: String,
        /// The device code, with the grant type of device codes.
        device_code?: String,
    }
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct OAuthTokens {
    access_token: String,
    /// `Bearer`.
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[schema(example = "urn:matrix:client:api:* urn:matrix:client:device:QBUAZIFURK")]
    scope: String,
}

impl From<Tokens> for OAuthTokens {
    fn from(Tokens { issued, scope }: Tokens) -> Self {
        Self {
            access_token: issued.access_token,
            token_type: "Bearer",
            expires_in: issued.expires_in_ms.map(|ms| ms / 1000),
            refresh_token: issued.refresh_token,
            scope,
        }
    }
}

pub(super) fn route() -> Route {
    Route::post(TOKEN, handle)
        .access(Access::Anybody)
        .limit(Limit::OAuthFailed)
        .id("getOAuthTokens")
        .takes_form::<TokenRequest>()
        .returns::<OAuthTokens>(200)
        .summary("Exchanges a code or a refresh token for the tokens of a session")
        .description(
            "A code or refresh token that was used before ends the session that came from it. A refresh token can be exchanged \
             again until one of the new tokens is used, in case the response was lost.",
        )
        .errors(&[
            DISABLED,
            (400, "invalid_grant", "the code or token is unknown, used, expired or for another client, or the verifier is wrong"),
            (400, "unauthorized_client", "the client has not registered for the grant type"),
            (400, "unsupported_grant_type", "the grant type is unknown"),
            (400, "invalid_scope", "the scope of the request is not one of Matrix any more"),
            (400, "authorization_pending", "the person has not answered yet"),
            (400, "slow_down", "the client asks too often: the interval is five seconds longer from now on"),
            (400, "access_denied", "the person refused"),
            (400, "expired_token", "the device code has expired"),
            (401, "invalid_client", "there is no such client"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#grant-types")
}

async fn handle(mut call: Call) -> Answer {
    settings(&call)?;
    let body: TokenRequest = call.take_form().await?;
    match exchange(&call, &body).await {
        Ok(tokens) => reply::ok(&OAuthTokens::from(tokens)),
        Err(error) => {
            if is_counted(&error.errcode) {
                call.app.limiter.check(Bucket::OAuthFailed(Source::of(&call.ip)), call.now)?;
            }
            Err(error)
        }
    }
}

/// Returns true if a refusal with this code counts as a failure. Neither a form that lacks a field does, nor a question whether the
/// person has answered; one that comes too early does, since each question writes.
fn is_counted(code: &str) -> bool {
    matches!(code, "invalid_grant" | "invalid_client" | "unauthorized_client" | "expired_token" | "slow_down")
}

async fn exchange(call: &Call, body: &TokenRequest) -> Result<Tokens, MatrixError> {
    let (grant_type, client_id) = (body.grant_type.read()?, body.client_id.read()?);
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let outcome = match GrantType::named(&grant_type).ok_or(Error::GrantType)? {
        GrantType::Code => {
            let given = Exchange {
                client_id,
                code: needed(&body.code)?,
                redirect_uri: needed(&body.redirect_uri)?,
                code_verifier: needed(&body.code_verifier)?,
            };
            call.write(move |tx| grant::exchange(tx, &ctx, &app.policy, &given)).await?
        }
        GrantType::Refresh => {
            let token = needed(&body.refresh_token)?;
            call.write(move |tx| grant::refresh(tx, &ctx, &app.policy, &client_id, &token)).await?
        }
        GrantType::Device => {
            let code = needed(&body.device_code)?;
            call.write(move |tx| device::poll(tx, &ctx, &app.policy, &client_id, &code)).await?
        }
    };
    outcome.map_err(MatrixError::from)
}
