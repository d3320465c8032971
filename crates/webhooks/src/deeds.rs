//! Webhooks: creating, changing and deleting them, their secrets, and their dead letters.

use reeve_accounts::audit;
use reeve_accounts::names;
use reeve_db::{ReadTx, Tx};
use reeve_model::encoding::base64;
use reeve_model::{Actor, Ctx, DeliveryKind, HappeningKind, Millis, Pos, WebhookNum, random};
use reeve_store::deliveries::{self, State};
use reeve_store::webhooks::{self, DeadLetter, Terms, Webhook};
use reeve_store::{happenings, stream};
use serde_json::{Map, Value, json};
use url::Url;

use crate::error::Error;
use crate::message::{self, Message};
use crate::rights;

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;
/// Maximum number of valid secrets: each makes a signature with each message.
const MAX_SECRETS: usize = 5;
/// The largest number of waiting happenings that is counted.
pub const MAX_WAITING: i64 = 1000;
/// The time for which former secrets stay valid after a rotation, unless it says otherwise, in milliseconds.
pub const OVERLAP_MS: i64 = 24 * 3600 * 1000;
/// The longest such time, in milliseconds.
pub const MAX_OVERLAP_MS: i64 = 30 * OVERLAP_MS;
/// The number of characters after the origin of a URL that are shown to those who may not use it.
const SHOWN: usize = 5;

/// A URL that passed the checks that are possible before a request.
#[derive(Clone, Debug)]
pub struct Destination(pub(crate) Url);

/// A webhook with a new secret, which nobody can read again.
#[derive(Clone)]
pub struct Issued {
    /// The webhook.
    pub webhook: Webhook,
    /// The secret.
    pub secret: String,
}

/// Returns the webhook of a name.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<Webhook, Error> {
    webhooks::find(tx, name)?.ok_or(Error::NotFound)
}

/// Returns a URL for readers who may not use it: its origin, and the first characters of the rest, which may hold a secret.
pub fn shortened(url: &str) -> String {
    let origin = origin(url);
    let rest = url.strip_prefix(&origin).unwrap_or_default();
    let shown: String = rest.chars().take(SHOWN).collect();
    if shown.len() < rest.len() { format!("{origin}{shown}…") } else { origin + rest }
}

/// Returns scheme, host and port of a URL; blank if it is none.
fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// The progress of a webhook.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The state of its delivery.
    pub delivery: State<Pos>,
    /// The number of happenings that it was not told yet, counted up to [`MAX_WAITING`].
    pub waiting: i64,
}

/// Returns the progress of a webhook.
pub fn progress(tx: &ReadTx<'_>, num: WebhookNum) -> Result<Progress, Error> {
    let delivery: State<Pos> = deliveries::state(tx, DeliveryKind::Webhook, num)?;
    let waiting = happenings::waiting(tx, num, delivery.cursor, MAX_WAITING)?;
    Ok(Progress { delivery, waiting })
}

fn check(terms: &Terms) -> Result<(), Error> {
    if terms.description.chars().count() > MAX_DESCRIPTION {
        return Err(Error::Bad("The description is too long (max 500)"));
    }
    if terms.kinds.is_empty() {
        return Err(Error::Bad("A webhook needs an event"));
    }
    Ok(())
}

/// The values of a new webhook.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its name, which never changes.
    pub name: String,
    /// Its purpose, for people.
    pub description: String,
    /// The URL of the receiver.
    pub destination: Destination,
    /// The kinds of happenings that it wants, each once, in the order of [`HappeningKind`].
    pub kinds: Vec<HappeningKind>,
    /// False if nothing is sent for now.
    pub enabled: bool,
}

/// Creates a webhook, which is told what happens from now on. `most` is the largest number of webhooks.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, new: &NewWebhook, most: i64) -> Result<Issued, Error> {
    if !names::is_plain(&new.name) {
        return Err(Error::Bad(names::RULE));
    }
    let terms = Terms {
        description: new.description.clone(),
        url: new.destination.0.to_string(),
        kinds: new.kinds.clone(),
        enabled: new.enabled,
    };
    check(&terms)?;
    rights::check(tx, ctx, &terms.kinds)?;
    if webhooks::find(tx, &new.name)?.is_some() {
        return Err(Error::Exists);
    }
    if webhooks::count(tx)? >= most {
        return Err(Error::TooMany(most));
    }
    let by = ctx.actor.as_ref().unwrap_or(&Actor::Server);
    // The entry about the creation comes first, so that a webhook is not told of itself.
    audit::record(tx, ctx, "webhook.create", &new.name, &Value::Object(changes(None, &terms)))?;
    let pos = stream::current(tx)?;
    let num = webhooks::insert(tx, &new.name, &terms, by, pos, ctx.now)?.ok_or(Error::Exists)?;
    let secret = new_secret(tx, ctx, num)?;
    Ok(Issued { webhook: find(tx, &new.name)?, secret })
}

fn new_secret(tx: &mut Tx<'_>, ctx: &Ctx, num: WebhookNum) -> Result<String, Error> {
    let secret = format!("{}{}", message::SECRET, base64(&random::bytes::<32>()));
    webhooks::insert_secret(tx, num, &secret, ctx.now)?;
    Ok(secret)
}

/// The changes of a webhook; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its purpose, for people.
    pub description: Option<String>,
    /// The URL of the receiver.
    pub destination: Option<Destination>,
    /// The kinds of happenings that it wants.
    pub kinds: Option<Vec<HappeningKind>>,
    /// False if nothing is sent.
    pub enabled: Option<bool>,
}

/// Changes a webhook and returns it; a pause after failures ends. The actor must be able to read all that the webhook
/// wants, before and afterwards: the change may lead it elsewhere.
pub fn change(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, change: &Change) -> Result<Webhook, Error> {
    let before = find(tx, name)?;
    let url = change.destination.as_ref().map(|destination| destination.0.to_string());
    let terms = Terms {
        description: change.description.clone().unwrap_or_else(|| before.terms.description.clone()),
        url: url.unwrap_or_else(|| before.terms.url.clone()),
        kinds: change.kinds.clone().unwrap_or_else(|| before.terms.kinds.clone()),
        enabled: change.enabled.unwrap_or(before.terms.enabled),
    };
    check(&terms)?;
    rights::check(tx, ctx, &before.terms.kinds)?;
    rights::check(tx, ctx, &terms.kinds)?;
    if terms != before.terms {
        let changes = changes(Some(&before.terms), &terms);
        audit::record(tx, ctx, "webhook.update", name, &Value::Object(changes))?;
        webhooks::update(tx, before.num, &terms)?;
        deliveries::hurry(tx, DeliveryKind::Webhook, before.num, ctx.now)?;
    }
    Ok(Webhook { terms, ..before })
}

/// Returns the webhook of a name, for an act that needs the right to read all that it wants.
fn to_use(tx: &ReadTx<'_>, ctx: &Ctx, name: &str) -> Result<Webhook, Error> {
    let webhook = find(tx, name)?;
    rights::check(tx, ctx, &webhook.terms.kinds)?;
    Ok(webhook)
}

/// Gives a webhook a new secret. The former ones sign, too, for a time in milliseconds, at most [`MAX_OVERLAP_MS`].
pub fn rotate(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, overlap_ms: i64) -> Result<Issued, Error> {
    if !(0..=MAX_OVERLAP_MS).contains(&overlap_ms) {
        return Err(Error::Bad("The overlap must be from 0 to 30 days"));
    }
    let webhook = to_use(tx, ctx, name)?;
    if overlap_ms == 0 {
        webhooks::delete_secrets(tx, webhook.num)?;
    } else {
        webhooks::end_secrets(tx, webhook.num, ctx.now.plus(overlap_ms))?;
    }
    if webhooks::secrets(tx, webhook.num, ctx.now)?.len() >= MAX_SECRETS {
        return Err(Error::Bad("Five secrets are valid: rotate with an overlap of 0, or later"));
    }
    let secret = new_secret(tx, ctx, webhook.num)?;
    audit::record(tx, ctx, "webhook.rotate", name, &json!({ "overlap_ms": overlap_ms }))?;
    Ok(Issued { webhook, secret })
}

/// Deletes a webhook with all that waits for it.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, name: &str) -> Result<(), Error> {
    let webhook = find(tx, name)?;
    webhooks::delete(tx, webhook.num)?;
    audit::record(tx, ctx, "webhook.delete", name, &json!({}))?;
    Ok(())
}

/// The position from which a replay sends everything again.
#[derive(Clone, Copy, Debug)]
pub enum ReplayFrom {
    /// A position: what comes after it is sent.
    Position(Pos),
    /// A time: what happened then or later is sent.
    Time(Millis),
}

/// Sends a webhook all that it wants from a position again, or skips up to it. Returns the webhook.
pub fn replay(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, from: ReplayFrom) -> Result<Webhook, Error> {
    let webhook = to_use(tx, ctx, name)?;
    let end = stream::current(tx)?;
    let pos = match from {
        ReplayFrom::Position(pos) if pos < Pos::ZERO || pos > end => {
            return Err(Error::Bad("The position must be from 0 to that of the newest event"));
        }
        ReplayFrom::Position(pos) => pos,
        ReplayFrom::Time(ts) => happenings::first_since(tx, ts)?.map_or(end, Pos::prev),
    };
    deliveries::rewind(tx, DeliveryKind::Webhook, webhook.num, pos, ctx.now)?;
    audit::record(tx, ctx, "webhook.replay", name, &json!({ "position": pos }))?;
    Ok(webhook)
}

/// Prepares the message of a test.
pub fn test(tx: &mut Tx<'_>, ctx: &Ctx, name: &str) -> Result<Message, Error> {
    let webhook = to_use(tx, ctx, name)?;
    let secrets = webhooks::secrets(tx, webhook.num, ctx.now)?;
    audit::record(tx, ctx, "webhook.test", name, &json!({}))?;
    Ok(Message::test(webhook, secrets, ctx.now))
}

/// Prepares the message of a dead letter.
pub fn retry(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, pos: Pos) -> Result<(WebhookNum, Message), Error> {
    let webhook = to_use(tx, ctx, name)?;
    dead_letter(tx, &webhook, pos)?;
    let happening = happenings::find(tx, pos)?.ok_or(Error::DeadLetterNotFound)?;
    // The webhook may not want this kind any more.
    rights::check(tx, ctx, &[happening.kind])?;
    let secrets = webhooks::secrets(tx, webhook.num, ctx.now)?;
    audit::record(tx, ctx, "webhook.retry", name, &json!({ "position": pos }))?;
    let num = webhook.num;
    Ok((num, Message::of(webhook, &happening, secrets, ctx.now)))
}

/// Stores the end of a retry: the dead letter is deleted, or has a new reason.
pub fn store_retry(
    tx: &mut Tx<'_>,
    num: WebhookNum,
    pos: Pos,
    failure: Option<&str>,
    now: Millis,
) -> Result<(), Error> {
    // An administrator may have deleted it meanwhile.
    let existed = webhooks::delete_dead_letter(tx, num, pos)?;
    if let Some(reason) = failure.filter(|_| existed) {
        webhooks::put_dead_letter(tx, num, pos, reason, message::MAX_DEAD_LETTERS, now)?;
    }
    Ok(())
}

/// Returns the dead letter of a webhook about the happening at a position.
fn dead_letter(tx: &ReadTx<'_>, webhook: &Webhook, pos: Pos) -> Result<DeadLetter, Error> {
    webhooks::dead_letter(tx, webhook.num, pos)?.ok_or(Error::DeadLetterNotFound)
}

/// Deletes a dead letter.
pub fn delete_dead_letter(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, pos: Pos) -> Result<(), Error> {
    let webhook = find(tx, name)?;
    let letter = dead_letter(tx, &webhook, pos)?;
    webhooks::delete_dead_letter(tx, webhook.num, pos)?;
    let changes = json!({ "position": pos, "type": letter.kind });
    audit::record(tx, ctx, "webhook.delete_dead_letter", name, &changes)?;
    Ok(())
}

/// Returns the values that differ, or all of a new webhook. Of a URL only the origin is told, since the rest may be a secret.
fn changes(before: Option<&Terms>, after: &Terms) -> Map<String, Value> {
    let mut changes = Map::new();
    let mut note = |name: &str, differs: bool, value: Value| {
        if differs {
            changes.insert(name.to_owned(), value);
        }
    };
    let origin = origin(&after.url);
    let differs =
        |different: fn(&Terms, &Terms) -> bool| before.is_none_or(|before| different(before, after));
    note("description", differs(|old, new| old.description != new.description), json!(after.description));
    note("origin", differs(|old, new| old.url != new.url), json!(origin));
    note("events", differs(|old, new| old.kinds != new.kinds), json!(after.kinds));
    note("enabled", differs(|old, new| old.enabled != new.enabled), json!(after.enabled));
    changes
}
