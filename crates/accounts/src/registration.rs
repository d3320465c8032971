//! Registration of accounts without an administrator.

use reeve_db::{DbError, Tx};
use reeve_model::encoding::hex;
use reeve_model::{Ctx, Millis, User, random};
use reeve_store::registration_tokens::{self as tokens, RegistrationToken};
use reeve_store::{registration_nonces as nonces, threepids as addresses, uia_sessions};
use serde_json::{Map, json};

use crate::audit;
use crate::browser_sessions::{self, NewBrowser};
use crate::emails::{self, Proof, Request};
use crate::error::Error;
use crate::policy::Policy;
use crate::sessions::{self, Issued, NewSession};
use crate::threepids::EMAIL;
use crate::users::{self, NewUser};

/// The lifetime of a nonce of shared-secret registration, in milliseconds.
const NONCE_LIFETIME_MS: i64 = 60_000;
/// The number of pending uses of tokens that one transaction returns.
const PRUNE_ROWS: i64 = 500;
/// The number of attempts to find a random name for a token. There are few short names.
const TRIES: usize = 20;

/// A registration token to create.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its name, or the length of a random name.
    pub name: TokenName,
    /// The number of accounts that can be created with it; `None` for any number.
    pub uses_allowed: Option<i64>,
    /// The time of its expiry; `None` for never.
    pub expiry_ts: Option<Millis>,
}

/// The name of a new registration token.
#[derive(Clone, Debug)]
pub enum TokenName {
    /// As given.
    Given(String),
    /// A random one of so many characters.
    Random(usize),
}

/// Adds a registration token; returns `None` if there is one of this name.
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

/// The changes of a registration token; `None` keeps a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenChange {
    /// The number of accounts that can be created with it; `Some(None)` for any number.
    pub uses_allowed: Option<Option<i64>>,
    /// The time of its expiry; `Some(None)` for never.
    pub expiry_ts: Option<Option<Millis>>,
}

/// Changes a registration token and returns it; `None` if there is none.
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

/// Deletes a registration token; returns true if it existed.
pub fn delete_token(tx: &mut Tx<'_>, ctx: &Ctx, token: &str) -> Result<bool, Error> {
    let deleted = tokens::delete(tx, token)?;
    if deleted {
        audit::record(tx, ctx, "registration_token.delete", token, &json!({}))?;
    }
    Ok(deleted)
}

/// Issues a nonce for shared-secret registration: 128 hexadecimal digits, valid once.
pub fn new_nonce(tx: &mut Tx<'_>, ctx: &Ctx) -> Result<String, DbError> {
    let nonce = hex(&random::bytes::<64>());
    nonces::insert(tx, &nonce, ctx.now.plus(NONCE_LIFETIME_MS))?;
    Ok(nonce)
}

/// Uses up a nonce; returns true if it was valid.
pub fn take_nonce(tx: &mut Tx<'_>, ctx: &Ctx, nonce: &str) -> Result<bool, DbError> {
    nonces::take(tx, nonce, ctx.now)
}

/// Reserves a use of a registration token for an authentication session, which has until a time in milliseconds to
/// create its account. A repetition for the same token changes nothing. Returns true if the token can be used.
pub fn reserve(tx: &mut Tx<'_>, ctx: &Ctx, session: &str, token: &str, until: Millis) -> Result<bool, Error> {
    match tokens::find_use(tx, session)? {
        Some(held) if held == token => Ok(true),
        Some(_) => Err(Error::RegistrationTokenChanged),
        None => {
            let usable = tokens::take(tx, token, ctx.now)?;
            if usable {
                tokens::insert_use(tx, session, token, until)?;
            }
            Ok(usable)
        }
    }
}

/// Gives back a batch of the uses of registration tokens whose sessions have expired, and deletes old nonces; returns false if
/// there were no such uses.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    nonces::prune(tx, now)?;
    let expired = tokens::expired_uses(tx, now, PRUNE_ROWS)?;
    for session in &expired {
        if let Some(token) = tokens::delete_use(tx, session)? {
            tokens::give_back(tx, &token)?;
        }
    }
    Ok(!expired.is_empty())
}

/// The permission by which somebody registers.
#[derive(Clone)]
pub enum Permission {
    /// None is needed.
    Free,
    /// An authentication session that was completed, which ends with the registration.
    Session {
        /// Its id.
        id: String,
        /// True if it must hold a use of a registration token.
        needs_token: bool,
    },
    /// A registration token, of which the registration is a use.
    Token(String),
}

/// The first session of a new account.
#[derive(Clone)]
pub enum FirstSession {
    /// One on a device.
    Device(NewSession),
    /// One in a browser.
    Browser(NewBrowser),
}

/// The e-mail address of a new account.
#[derive(Clone)]
pub enum Email {
    /// One that its person has proved to be theirs. The account has it from the start.
    Proven(Proof),
    /// One that its person has not proved yet. This request is made for the new account, which gets the address when it is confirmed.
    Claimed(Request),
}

/// A registration.
#[derive(Clone)]
pub struct Registration {
    /// The account.
    pub account: NewUser,
    /// True if the account is named by the next free number instead of its localpart.
    pub numbered: bool,
    /// Its first session; `None` if it has to log in.
    pub first: Option<FirstSession>,
    /// The permission.
    pub permission: Permission,
    /// Its e-mail address.
    pub email: Option<Email>,
    /// True if it must have one that is proved.
    pub needs_email: bool,
}

/// Uses up a permission to register.
fn use_up(tx: &mut Tx<'_>, ctx: &Ctx, permission: &Permission) -> Result<(), Error> {
    match permission {
        Permission::Free => {}
        Permission::Session { id, needs_token } => {
            match tokens::delete_use(tx, id)? {
                Some(token) => tokens::complete(tx, &token)?,
                // An administrator deleted the token meanwhile.
                None if *needs_token => return Err(Error::BadRegistrationToken),
                None => {}
            }
            uia_sessions::delete(tx, id)?;
        }
        Permission::Token(token) => {
            if !tokens::take(tx, token, ctx.now)? {
                return Err(Error::BadRegistrationToken);
            }
            tokens::complete(tx, token)?;
        }
    }
    Ok(())
}

/// Creates an account and its first session in one transaction.
pub fn register(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    new: &Registration,
) -> Result<(User, Option<Issued>), Error> {
    use_up(tx, ctx, &new.permission)?;
    let address = match &new.email {
        Some(Email::Proven(proof)) => Some(emails::take(tx, ctx, proof)?),
        Some(Email::Claimed(_)) | None if new.needs_email => return Err(Error::EmailNotConfirmed),
        Some(Email::Claimed(_)) | None => None,
    };
    let user = if new.numbered {
        users::create_numbered(tx, ctx, policy, &new.account)?
    } else {
        users::create(tx, ctx, policy, &new.account)?
    };
    let issued = match &new.first {
        Some(FirstSession::Device(session)) => Some(sessions::create(tx, ctx, policy, &user, session)?),
        Some(FirstSession::Browser(browser)) => {
            browser_sessions::begin(tx, ctx, policy, &user, browser)?;
            None
        }
        None => None,
    };
    // After the session, of which nobody needs to be told.
    if let Some(address) = address {
        addresses::put(tx, user.num, EMAIL, &address, ctx.now)?;
    }
    if let Some(Email::Claimed(request)) = &new.email {
        emails::begin(tx, ctx, policy, &Request { user_num: Some(user.num), ..request.clone() })?;
    }
    Ok((user, issued))
}
