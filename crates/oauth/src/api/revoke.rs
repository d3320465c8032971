//! `POST /_reeve/oauth/revoke`

use reeve_app::limits::{Bucket, Source};
use reeve_app::{Access, Answer, Call, Limit, Route, body, reply, shape};

use super::{DISABLED, settings};
use crate::metadata::REVOKE;
use crate::revocation;

body! {
    /// A token to revoke.
    pub(crate) struct TokenRevocation {
        /// An access token or a refresh token.
        token: String,
        /// Not needed: the server knows its tokens.
        token_type_hint?: String,
        client_id?: String,
    }
}

pub(super) fn route() -> Route {
    Route::post(REVOKE, handle)
        .access(Access::Anybody)
        .limit(Limit::OAuthFailed)
        .id("revokeOAuthToken")
        .takes_form::<TokenRevocation>()
        .returns::<shape::Empty>(200)
        .summary("Ends the session of a token, and deletes its device")
        .description("A token that is unknown, or ended before, is no error.")
        .errors(&[DISABLED])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#token-revocation")
}

async fn handle(mut call: Call) -> Answer {
    settings(&call)?;
    let body: TokenRevocation = call.take_form().await?;
    body.token_type_hint.read()?;
    let (token, client_id) = (body.token.read()?, body.client_id.read()?);
    let is_known = call.write(move |tx| revocation::revoke(tx, &token, client_id.as_deref())).await?;
    if !is_known {
        call.app.limiter.check(Bucket::OAuthFailed(Source::of(&call.ip)), call.now)?;
    }
    reply::empty()
}
