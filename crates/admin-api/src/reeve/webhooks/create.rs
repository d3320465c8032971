//! Creates a webhook.

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;
use reeve_webhooks::Error;
use reeve_webhooks::deeds::{self, NewWebhook};

use super::super::read::{not_strings, refuse_unknown};
use super::{IssuedWebhook, MAY_NOT_READ, events};

body! {
    /// A webhook to create.
    pub(crate) struct CreateWebhook {
        /// The name, which never changes: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
        #[schema(example = "billing")]
        name: String,
        /// Its purpose, in at most 500 characters.
        description?: String,
        /// The `https` or `http` URL to which it sends, in at most 2048 bytes, without user name, password and fragment.
        #[schema(example = "https://billing.example.org/reeve")]
        url: String,
        /// The events that it sends, at least one; all that there are if this is absent. The caller must be able to read them.
        #[schema(example = json!(["account.created", "account.deactivated"]))]
        events?: Vec<String>,
        /// False to send nothing for now; true by default.
        enabled?: bool,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post(super::PATH, handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("createWebhook")
        .summary("Creates a webhook, and returns its secret")
        .description(
            "It sends what happens from now on. The secret cannot be read again. Unknown keys are refused.",
        )
        .takes::<CreateWebhook>()
        .returns::<IssuedWebhook>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "a key, an event, the name or the URL is not valid"),
            (400, "M_TOO_LARGE", "the server has as many webhooks as `webhooks.max` allows"),
            MAY_NOT_READ,
            (409, "M_UNKNOWN", "a webhook has the name"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<CreateWebhook>().await?;
    refuse_unknown(&body.unknown)?;
    body::require([body.name.missing(), body.url.missing()])?;
    let new = NewWebhook {
        name: body.name.read()?,
        description: body.description.read()?.unwrap_or_default(),
        destination: call.app.webhooks.destination(&body.url.read()?)?,
        kinds: match body.events.read_or(not_strings)? {
            Some(words) => events::kinds(&words)?,
            None => events::all(),
        },
        enabled: body.enabled.read()?.unwrap_or(true),
    };
    let (ctx, most) = (call.admin_ctx()?, call.app.webhooks.max());
    let issued = call.write(move |tx| -> Result<_, Error> {
        let issued = deeds::create(tx, &ctx, &new, most)?;
        IssuedWebhook::new(tx, ctx.scopes, issued)
    });
    Ok(reply::json(StatusCode::CREATED, &issued.await?))
}
