//! Service tokens: credentials of administration that belong to no account and hold a part of the scopes.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Actor, Ctx, Millis, Network, Scopes, ServiceTokenNum, random, service};
use reeve_store::service_tokens::{self as store, ServiceToken, Terms};
use serde_json::{Map, Value, json};

use crate::audit;
use crate::error::Error;

/// The longest name, in characters.
const MAX_NAME: usize = 64;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;
/// The largest number of networks.
const MAX_NETWORKS: usize = 100;
/// The time for which former secrets stay valid after a rotation, unless it says otherwise, in milliseconds.
pub const OVERLAP_MS: i64 = 24 * 3600 * 1000;
/// The longest such time, in milliseconds.
pub const MAX_OVERLAP_MS: i64 = 30 * OVERLAP_MS;

/// A service token with a new secret, which nobody can read again.
#[derive(Clone)]
pub struct Issued {
    /// The token.
    pub token: ServiceToken,
    /// The secret.
    pub secret: String,
}

/// Returns the token of a name.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<ServiceToken, Error> {
    store::find(tx, name)?.ok_or(Error::ServiceTokenNotFound)
}

/// The text of the refusal of a name.
pub const BAD_NAME: &str = "The name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit";

/// Returns true if a name can be given to a service token, or to another thing that administrators name.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Checks the terms of a token.
fn check(terms: &Terms) -> Result<(), Error> {
    if terms.description.chars().count() > MAX_DESCRIPTION {
        return Err(Error::BadServiceToken("The description is too long (max 500)"));
    }
    if terms.scopes.is_empty() {
        return Err(Error::BadServiceToken("A service token needs a scope"));
    }
    if terms.networks.len() > MAX_NETWORKS {
        return Err(Error::BadServiceToken("A service token cannot have more than 100 networks"));
    }
    Ok(())
}

/// Refuses if a token with these terms can do more than the actor: if it holds another scope, or if the actor is a service
/// token that expires earlier or is bound to narrower networks.
fn check_grant(tx: &ReadTx<'_>, ctx: &Ctx, terms: &Terms) -> Result<(), Error> {
    if let Some(scope) = terms.scopes.beyond(ctx.scopes) {
        return Err(Error::CannotGrant(scope));
    }
    let Some(Actor::Service(name)) = &ctx.actor else { return Ok(()) };
    let own = find(tx, name)?.terms;
    let is_longer = own.expires_ts.is_some_and(|end| terms.expires_ts.is_none_or(|until| until > end));
    let is_inside = |network: &Network| own.networks.iter().any(|own| own.includes(network));
    let is_wider =
        !own.networks.is_empty() && (terms.networks.is_empty() || !terms.networks.iter().all(is_inside));
    if is_longer || is_wider { Err(Error::BeyondOwnTerms) } else { Ok(()) }
}

fn check_expiry(ctx: &Ctx, expires_ts: Option<Millis>) -> Result<(), Error> {
    if expires_ts.is_some_and(|expires| expires <= ctx.now) {
        return Err(Error::BadServiceToken("The expiry must not be in the past"));
    }
    Ok(())
}

/// Adds a secret to a token.
fn new_secret(tx: &mut Tx<'_>, ctx: &Ctx, num: ServiceTokenNum) -> Result<String, DbError> {
    let secret = format!("{}{}", service::PREFIX, random::secret(40));
    store::insert_secret(tx, num, &hash_token(&secret), ctx.now)?;
    Ok(secret)
}

/// Creates a token.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, terms: &Terms) -> Result<Issued, Error> {
    if !is_name(name) {
        return Err(Error::BadServiceToken(BAD_NAME));
    }
    check(terms)?;
    check_expiry(ctx, terms.expires_ts)?;
    check_grant(tx, ctx, terms)?;
    let by = ctx.actor.as_ref().unwrap_or(&Actor::Server);
    let num = store::insert(tx, name, terms, by, ctx.now)?.ok_or(Error::ServiceTokenExists)?;
    let secret = new_secret(tx, ctx, num)?;
    audit::record(tx, ctx, "service_token.create", name, &Value::Object(changes(None, terms)))?;
    Ok(Issued { token: find(tx, name)?, secret })
}

/// The changes of a token; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its purpose, for people.
    pub description: Option<String>,
    /// The scopes that it holds.
    pub scopes: Option<Scopes>,
    /// The networks from which it can be used; none for anywhere.
    pub networks: Option<Vec<Network>>,
    /// The time of its expiry; `Some(None)` for never.
    pub expires_ts: Option<Option<Millis>>,
}

/// Changes a token and returns it. The actor must be able to do all that the token can do, before and afterwards: a token
/// that was narrowed may be widened again, with secrets that the actor knows.
pub fn change(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, change: &Change) -> Result<ServiceToken, Error> {
    let before = find(tx, name)?;
    let terms = Terms {
        description: change.description.clone().unwrap_or_else(|| before.terms.description.clone()),
        scopes: change.scopes.unwrap_or(before.terms.scopes),
        networks: change.networks.clone().unwrap_or_else(|| before.terms.networks.clone()),
        expires_ts: change.expires_ts.unwrap_or(before.terms.expires_ts),
    };
    check(&terms)?;
    check_expiry(ctx, change.expires_ts.flatten())?;
    check_grant(tx, ctx, &before.terms)?;
    check_grant(tx, ctx, &terms)?;
    let changes = changes(Some(&before.terms), &terms);
    if !changes.is_empty() {
        store::update(tx, before.num, &terms)?;
        audit::record(tx, ctx, "service_token.update", name, &Value::Object(changes))?;
    }
    Ok(ServiceToken { terms, ..before })
}

/// Gives a token a new secret. The former ones stay valid for a time in milliseconds, at most [`MAX_OVERLAP_MS`]. The
/// actor, who learns the secret, must be able to do all that the token can do.
pub fn rotate(tx: &mut Tx<'_>, ctx: &Ctx, name: &str, overlap_ms: i64) -> Result<Issued, Error> {
    if !(0..=MAX_OVERLAP_MS).contains(&overlap_ms) {
        return Err(Error::BadServiceToken("The overlap must be from 0 to 30 days"));
    }
    let token = find(tx, name)?;
    check_grant(tx, ctx, &token.terms)?;
    if overlap_ms == 0 {
        store::delete_secrets(tx, token.num)?;
    } else {
        store::end_secrets(tx, token.num, ctx.now.plus(overlap_ms))?;
    }
    let secret = new_secret(tx, ctx, token.num)?;
    audit::record(tx, ctx, "service_token.rotate", name, &json!({ "overlap_ms": overlap_ms }))?;
    Ok(Issued { token, secret })
}

/// Deletes a token: its secrets are refused from then on.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, name: &str) -> Result<(), Error> {
    let token = find(tx, name)?;
    store::delete(tx, token.num)?;
    audit::record(tx, ctx, "service_token.delete", name, &json!({}))?;
    Ok(())
}

/// The values that differ, or all of a new token.
fn changes(before: Option<&Terms>, after: &Terms) -> Map<String, Value> {
    let fields = |terms: &Terms| {
        [
            ("description", json!(terms.description)),
            ("scopes", json!(terms.scopes)),
            ("networks", json!(terms.networks)),
            ("expires_ts", json!(terms.expires_ts)),
        ]
    };
    let old = before.map(fields);
    let same =
        |name: &str, value: &Value| old.iter().flatten().any(|(key, old)| *key == name && old == value);
    let new = fields(after).into_iter().filter(|(name, value)| !same(name, value));
    new.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Deletes secrets that have ended.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    store::prune(tx, now)
}
