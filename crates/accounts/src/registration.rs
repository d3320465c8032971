//! Who may make an account: registration tokens, and the nonces of shared-secret registration.

use reeve_db::{DbError, Tx};
use reeve_model::{Ctx, random};
use reeve_store::registration_tokens::{self as tokens, RegistrationToken};
use reeve_store::registration_nonces as nonces;
use serde_json::{Map, json};

use crate::audit;
use crate::error::Error;

/// How long a nonce of shared-secret registration is good, in milliseconds.
const NONCE_LIFETIME_MS: i64 = 60_000;
/// How often a name is made up for a token before giving up. Short names run out.
const TRIES: usize = 20;

/// A registration token to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its name, or of how many characters a random one shall be.
    pub name: TokenName,
    /// How many accounts it is good for; `None` for any number.
    pub uses_allowed: Option<i64>,
    /// When it expires, in milliseconds; `None` for never.
    pub expiry_ts: Option<i64>,
}

/// How a registration token is named.
#[derive(Clone, Debug)]
pub enum TokenName {
    /// As given.
    Given(String),
    /// With so many random characters.
    Random(usize),
}

/// Adds a registration token; `None` if there is one of this name.
pub fn create_token(tx: &mut Tx<'_>, ctx: &Ctx, new: &NewToken) -> Result<Option<RegistrationToken>, Error> {
    let mut insert = |name: &str| tokens::insert(tx, name, new.uses_allowed, new.expiry_ts);
    let token = match &new.name {
        TokenName::Given(name) => {
            if !insert(name)? {
                return Ok(None);
            }
            name.clone()
        }
        TokenName::Random(length) => {
            let mut found = None;
            for _ in 0..TRIES {
                let name = random::secret(*length);
                if insert(&name)? {
                    found = Some(name);
                    break;
                }
            }
            found.ok_or(Error::Refused("No token of this length is free"))?
        }
    };
    let changes = json!({ "uses_allowed": new.uses_allowed, "expiry_time": new.expiry_ts });
    audit::record(tx, ctx, "registration_token.create", &token, &changes)?;
    let (uses_allowed, expiry_ts) = (new.uses_allowed, new.expiry_ts);
    Ok(Some(RegistrationToken { token, uses_allowed, pending: 0, completed: 0, expiry_ts }))
}

/// What a registration token shall be good for; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenChange {
    /// How many accounts; `Some(None)` for any number.
    pub uses_allowed: Option<Option<i64>>,
    /// Until when, in milliseconds; `Some(None)` for ever.
    pub expiry_ts: Option<Option<i64>>,
}

/// Changes a registration token and answers how it is then; `None` if there is none.
pub fn update_token(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    token: &str,
    change: TokenChange,
) -> Result<Option<RegistrationToken>, Error> {
    let Some(before) = tokens::find(tx, token)? else { return Ok(None) };
    let after = RegistrationToken {
        uses_allowed: change.uses_allowed.unwrap_or(before.uses_allowed),
        expiry_ts: change.expiry_ts.unwrap_or(before.expiry_ts),
        ..before.clone()
    };
    let mut changes = Map::new();
    if after.uses_allowed != before.uses_allowed {
        changes.insert("uses_allowed".to_owned(), json!(after.uses_allowed));
    }
    if after.expiry_ts != before.expiry_ts {
        changes.insert("expiry_time".to_owned(), json!(after.expiry_ts));
    }
    if !changes.is_empty() {
        tokens::set_limits(tx, token, after.uses_allowed, after.expiry_ts)?;
        audit::record(tx, ctx, "registration_token.update", token, &changes.into())?;
    }
    Ok(Some(after))
}

/// Deletes a registration token; answers whether it was there.
pub fn delete_token(tx: &mut Tx<'_>, ctx: &Ctx, token: &str) -> Result<bool, Error> {
    let deleted = tokens::delete(tx, token)?;
    if deleted {
        audit::record(tx, ctx, "registration_token.delete", token, &json!({}))?;
    }
    Ok(deleted)
}

/// Hands out a nonce for shared-secret registration: 128 hexadecimal digits, good once.
pub fn new_nonce(tx: &mut Tx<'_>, now: i64) -> Result<String, DbError> {
    let nonce = hex(&random::bytes::<64>());
    nonces::insert(tx, &nonce, now.saturating_add(NONCE_LIFETIME_MS))?;
    Ok(nonce)
}

/// Uses a nonce up; answers whether it was good.
pub fn take_nonce(tx: &mut Tx<'_>, nonce: &str, now: i64) -> Result<bool, DbError> {
    nonces::take(tx, nonce, now)
}

/// Forgets what has expired.
pub fn prune(tx: &mut Tx<'_>, now: i64) -> Result<(), DbError> {
    nonces::prune(tx, now)?;
    Ok(())
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
