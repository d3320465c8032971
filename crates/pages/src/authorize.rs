//! The address at which clients begin to sign somebody in (RFC 6749, 3.1).

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Content, Limit, MatrixError, Param, Route, reply};
use reeve_oauth::authorization::{self, Begun, Params};
use reeve_oauth::metadata::AUTHORIZE;
use serde::Serialize;

use crate::consent;
use crate::links::{REGISTER, encoded};
use crate::oauth::{ClientView, DISABLED, for_people, settings};
use crate::page;

/// The values in the page for a request that is refused.
#[derive(Serialize)]
struct Refused {
    client: ClientView,
    /// The error, in English.
    said: String,
    /// The address at which the client learns of it.
    back: String,
}

pub(crate) fn routes() -> Vec<Route> {
    let own = [
        Param::text("client_id", "the id of the client"),
        Param::text("redirect_uri", "a redirect URI of the client"),
        Param::text("response_type", "`code`"),
        Param::text("response_mode", "`query` (default) or `fragment`"),
        Param::text("scope", "the scope, which names the device"),
        Param::text("state", "a text that the client gets back"),
        Param::text("code_challenge", "the SHA-256 digest of a secret, in base64 for URLs"),
        Param::text("code_challenge_method", "`S256`"),
        Param::text(
            "prompt",
            "`create` to make an account first, `login` to sign in again, `none` to show nothing",
        ),
    ];
    vec![
        Route::get(AUTHORIZE, handle)
            .access(Access::Page)
            .limit(Limit::OAuthRequests)
            .id("authorizeOAuthClient")
            .query(page::params(own))
            .returns_other(303, Content::Nothing)
            .summary("Begins to sign somebody in for a client, and continues at the page that asks for consent")
            .description(
                "The person signs in, or makes an account, and is asked; the browser then continues at the redirect URI. An error \
                 goes there, too, if somebody has signed in in the browser, and is shown otherwise (RFC 9700, 4.11.2).",
            )
            .errors(&[
                (400, "invalid_request", "the client or the redirect URI is unknown, or the request is malformed"),
                DISABLED,
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#authorisation-code-flow"),
    ]
}

/// Returns the value of a parameter; one without a value counts as absent (RFC 6749, 3.1).
fn given(call: &Call, name: &str) -> Result<Option<String>, MatrixError> {
    Ok(call.query.utf8(name)?.filter(|value| !value.is_empty()))
}

async fn handle(call: Call) -> Answer {
    let issuer = settings(&call)?.issuer();
    call.query.without_repetition()?;
    let params = Params {
        client_id: given(&call, "client_id")?,
        redirect_uri: given(&call, "redirect_uri")?,
        response_type: given(&call, "response_type")?,
        response_mode: given(&call, "response_mode")?,
        scope: given(&call, "scope")?,
        state: given(&call, "state")?,
        code_challenge: given(&call, "code_challenge")?,
        code_challenge_method: given(&call, "code_challenge_method")?,
        prompt: given(&call, "prompt")?,
    };
    let (ctx, is_signed_in) = (call.ctx(), call.caller().browser().is_some());
    let begun = call.write(move |tx| authorization::begin(tx, &ctx, &issuer, &params, is_signed_in)).await;
    match begun.map_err(for_people)? {
        Begun::Asks { id, creates_account } => {
            let consent = consent::path(&id);
            if creates_account && call.app.policy.registration_enabled {
                page::go(&call, &format!("{REGISTER}?to={}", encoded(&consent)))
            } else {
                page::go(&call, &consent)
            }
        }
        Begun::Refused { location, is_silent, .. } if is_signed_in || is_silent => {
            reply::see_other(&location)
        }
        Begun::Refused { client, location, text, .. } => {
            let refused = Refused { client: ClientView::new(&client, &call), said: text, back: location };
            Ok(page::show(&call, StatusCode::BAD_REQUEST, "refused.html", refused))
        }
    }
}
