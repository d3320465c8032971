//! `POST /_reeve/oauth/register`

use http::StatusCode;
use reeve_app::body::{Key, Readable};
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DISABLED, settings};
use crate::client::ClientMetadata;
use crate::error::Error;
use crate::metadata::REGISTER;
use crate::registration::{self, Sent};

/// Maximum size of a registration, in bytes.
const MAX_BODY: usize = 64 * 1024;

body! {
    /// The metadata of a client. Names and addresses can also be given for languages, as in `client_name#fr`. Keys that the
    /// server does not understand are ignored.
    #[schema(example = json!({
        "client_name": "My App",
        "client_uri": "https://example.com/",
        "redirect_uris": ["https://app.example.com/callback"],
        "token_endpoint_auth_method": "none",
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "application_type": "web",
    }))]
    pub(crate) struct ClientRegistration {
        /// The name, of at most 100 characters.
        client_name: Option<String>,
        /// The web page of the client, with https. All other addresses are at its host or a subdomain.
        client_uri: String,
        logo_uri: Option<String>,
        tos_uri: Option<String>,
        policy_uri: Option<String>,
        redirect_uris: Option<Vec<String>>,
        /// Only `none`.
        token_endpoint_auth_method: Option<String>,
        response_types: Option<Vec<String>>,
        grant_types: Option<Vec<String>>,
        /// `web` (default) or `native`.
        application_type: Option<String>,
        ..more
    }
}

/// A registered client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegisteredClient {
    /// The id of the client. Equal metadata has the same.
    client_id: String,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

pub(super) fn route() -> Route {
    Route::post(REGISTER, handle)
        .access(Access::Anybody)
        .limit(Limit::OAuthRequests)
        .max_body(|_| MAX_BODY)
        .id("registerOAuthClient")
        .takes::<ClientRegistration>()
        .returns::<RegisteredClient>(201)
        .summary("Registers a client")
        .description("A client that nobody uses is deleted after a while, so clients register whenever somebody signs in.")
        .errors(&[
            DISABLED,
            (400, "invalid_client_metadata", "a value is not valid"),
            (400, "invalid_redirect_uri", "a redirect URI is not valid for the kind of client"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#client-registration")
}

/// Reads a value, or refuses one of another type.
fn read<T: Readable>(key: &Key<Option<T>>) -> Result<Option<T::Read>, MatrixError> {
    key.read_or(|name| Error::BadMetadata(format!("'{name}' must be {}", T::WHAT)).into())
}

async fn handle(mut call: Call) -> Answer {
    settings(&call)?;
    let body: ClientRegistration = call.take().await?;
    let wrong = |name: &str| MatrixError::from(Error::BadMetadata(format!("'{name}' must be a string")));
    let client_uri =
        if body.client_uri.missing().is_some() { None } else { Some(body.client_uri.read_or(wrong)?) };
    let metadata = registration::check(Sent {
        client_name: read(&body.client_name)?,
        client_uri,
        logo_uri: read(&body.logo_uri)?,
        tos_uri: read(&body.tos_uri)?,
        policy_uri: read(&body.policy_uri)?,
        redirect_uris: read(&body.redirect_uris)?,
        token_endpoint_auth_method: read(&body.token_endpoint_auth_method)?,
        response_types: read(&body.response_types)?,
        grant_types: read(&body.grant_types)?,
        application_type: read(&body.application_type)?,
        more: body.more,
    })?;
    let (ctx, kept) = (call.ctx(), metadata.clone());
    let client_id = call.write(move |tx| registration::register(tx, &ctx, &kept)).await?;
    Ok(reply::json(StatusCode::CREATED, &RegisteredClient { client_id, metadata }))
}
