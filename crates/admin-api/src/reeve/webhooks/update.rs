//! Changes the terms of a webhook.

use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;
use reeve_webhooks::Error;
use reeve_webhooks::deeds::{self, Change};

use super::super::read::{not_strings, refuse_unknown};
use super::{MAY_NOT_READ, MISSING, WebhookView, events};

body! {
    /// The new values of a webhook. Absent keys are not changed.
    pub(crate) struct UpdateWebhook {
        /// Its purpose, in at most 500 characters.
        description?: String,
        /// The `https` or `http` URL to which it sends, in at most 2048 bytes, without user name, password and fragment.
        #[schema(example = "https://billing.example.org/reeve")]
        url?: String,
        /// All events that it sends, at least one.
        #[schema(example = json!(["account.created"]))]
        events?: Vec<String>,
        /// False to send nothing; what happens meanwhile is sent when it is enabled.
        enabled?: bool,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::WebhooksWrite))
        .id("updateWebhook")
        .summary("Changes the description, URL and events of a webhook, enables or disables it")
        .description(
            "The caller must be able to read every event that the webhook sends before and afterwards. A pause after failures \
             ends. Unknown keys are refused.",
        )
        .takes::<UpdateWebhook>()
        .returns::<WebhookView>(200)
        .errors(&[(400, "M_INVALID_PARAM", "a key, an event or the URL is not valid"), MAY_NOT_READ, MISSING])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<UpdateWebhook>().await?;
    refuse_unknown(&body.unknown)?;
    let url = body.url.read()?;
    let change = Change {
        description: body.description.read()?,
        destination: url.map(|url| call.app.webhooks.destination(&url)).transpose()?,
        kinds: body.events.read_or(not_strings)?.map(|words| events::kinds(&words)).transpose()?,
        enabled: body.enabled.read()?,
    };
    let (ctx, name) = (call.admin_ctx()?, call.param("webhook"));
    let changed = call.write(move |tx| -> Result<_, Error> {
        let webhook = deeds::change(tx, &ctx, &name, &change)?;
        WebhookView::new(tx, ctx.scopes, webhook)
    });
    reply::ok(&changed.await?)
}
