//! Mails to people. A deed queues a mail in its transaction, so that none is lost and none tells of something that did not
//! happen; it is sent afterwards. Nothing is queued for an account that is deactivated, and what waits is deleted with it.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Language, Millis, User, UserNum};
use reeve_store::mails::StoredMail;
use reeve_store::{mails as stored, pushers, threepids};
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// Maximum number of addresses of one account that are told something, and of addresses that a mail names.
const MAX_TOLD: usize = 20;

/// The contents of a mail. It is stored as JSON until it is sent, so a field that is added later has a default.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Letter {
    /// Asks to confirm an address, to register an account with it.
    ConfirmRegistration {
        /// The token of the link.
        token: String,
    },
    /// Leads to the page on which an account with the address is registered.
    CompleteRegistration {
        /// The token of the link.
        token: String,
    },
    /// Asks to confirm an address that is to be added to an account.
    ConfirmAddress {
        /// The token of the link.
        token: String,
        /// The account; `None` if the client did not say which.
        user_id: Option<String>,
    },
    /// Asks to confirm that a client may set a new password for an account.
    ConfirmReset {
        /// The token of the link.
        token: String,
        /// The account.
        user_id: String,
    },
    /// Leads to the page on which a new password for an account is chosen.
    ChoosePassword {
        /// The token of the link.
        token: String,
        /// The account.
        user_id: String,
    },
    /// Says that an account has the address, with which somebody wanted to register.
    AlreadyRegistered {
        /// The account.
        user_id: String,
    },
    /// Says that an account has the address, which somebody wanted to add to another one.
    AlreadyAdded {
        /// The account.
        user_id: String,
    },
    /// Says that no account has the address, with which somebody wanted to choose a new password.
    NoAccount,
    /// Tells of a new device, or a new browser.
    SignedIn {
        /// The account.
        user_id: String,
        /// The time.
        ts: Millis,
        /// The address of the client.
        ip: Option<String>,
        /// The name that the client gave itself.
        client: Option<String>,
    },
    /// Tells that the password was changed.
    PasswordChanged {
        /// The account.
        user_id: String,
        /// The time.
        ts: Millis,
        /// True if an administrator changed it.
        by_administrator: bool,
    },
    /// Tells that addresses were added to an account, or removed.
    AddressesChanged {
        /// The account.
        user_id: String,
        /// The time.
        ts: Millis,
        /// The addresses that it did not have before.
        added: Vec<String>,
        /// The addresses that it does not have any more.
        removed: Vec<String>,
        /// True if an administrator changed them.
        by_administrator: bool,
    },
    /// Reminds that an account will expire, with a link that renews it.
    Expiring {
        /// The account.
        user_id: String,
        /// The time at which it expires.
        expiration_ts: Millis,
        /// The token of the link.
        token: String,
    },
}

/// The recipient of a mail.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    /// The address.
    pub(crate) address: String,
    /// The account that the mail is about.
    pub(crate) user_num: Option<UserNum>,
    /// The language.
    pub(crate) language: Language,
}

/// Queues a mail, which is of no use from `ends_ts` on.
pub(crate) fn queue(
    tx: &mut Tx<'_>,
    to: Recipient,
    letter: &Letter,
    now: Millis,
    ends_ts: Option<Millis>,
) -> Result<(), DbError> {
    let letter = serde_json::to_string(letter)
        .map_err(|error| DbError::Internal(format!("a mail cannot be stored: {error}")))?;
    let Recipient { address, user_num, language } = to;
    stored::insert(tx, &StoredMail { address, user_num, language, letter, created_ts: now, ends_ts })
}

/// Returns the e-mail addresses of an account, the oldest first.
pub fn addresses(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<String>, DbError> {
    let all = threepids::of_user(tx, user_num)?.into_iter();
    Ok(all.filter(|threepid| threepid.medium == "email").map(|threepid| threepid.address).collect())
}

/// Returns the language of the person of an account: that of the newest pusher which has one that this server writes.
pub(crate) fn known_language(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<Language>, DbError> {
    let pushers = pushers::of_user(tx, user_num)?;
    Ok(pushers.iter().rev().find_map(|pusher| Language::of_tag(&pusher.lang)))
}

/// Sends a letter about an account to some addresses.
pub(crate) fn tell(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    addresses: &[String],
    letter: &Letter,
) -> Result<(), DbError> {
    if !policy.mail.enabled || user.deactivated || addresses.is_empty() {
        return Ok(());
    }
    let language = known_language(tx, user.num)?.unwrap_or(policy.mail.language);
    for address in addresses.iter().take(MAX_TOLD) {
        let to = Recipient { address: address.clone(), user_num: Some(user.num), language };
        queue(tx, to, letter, ctx.now, None)?;
    }
    Ok(())
}

/// Tells the person of an account that somebody signed in on a new device, or in a new browser; `client` is its name, for people.
pub fn signed_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    client: Option<&str>,
) -> Result<(), DbError> {
    if !policy.mail.notices.sign_in {
        return Ok(());
    }
    let letter = Letter::SignedIn {
        user_id: user.user_id.clone(),
        ts: ctx.now,
        ip: ctx.ip.as_deref().map(str::to_owned),
        client: client.map(str::to_owned),
    };
    let addresses = addresses(tx, user.num)?;
    tell(tx, ctx, policy, user, &addresses, &letter)
}

/// Tells the person of an account that the password was changed.
pub(crate) fn password_changed(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
) -> Result<(), DbError> {
    if !policy.mail.notices.password {
        return Ok(());
    }
    let (user_id, by_administrator) = (user.user_id.clone(), is_by_administrator(ctx, user));
    let letter = Letter::PasswordChanged { user_id, ts: ctx.now, by_administrator };
    let addresses = addresses(tx, user.num)?;
    tell(tx, ctx, policy, user, &addresses, &letter)
}

/// Tells the addresses that an account had before what changed of its addresses.
pub(crate) fn addresses_changed(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    before: &[String],
) -> Result<(), DbError> {
    if !policy.mail.notices.addresses {
        return Ok(());
    }
    let after = addresses(tx, user.num)?;
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter().filter(|address| !others.contains(address)).take(MAX_TOLD).cloned().collect()
    };
    let (added, removed) = (without(&after, before), without(before, &after));
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let (user_id, by_administrator) = (user.user_id.clone(), is_by_administrator(ctx, user));
    let letter = Letter::AddressesChanged { user_id, ts: ctx.now, added, removed, by_administrator };
    tell(tx, ctx, policy, user, before, &letter)
}

/// Returns true if somebody else than the person of an account acts.
fn is_by_administrator(ctx: &Ctx, user: &User) -> bool {
    ctx.actor.is_some() && !ctx.is_by(&user.user_id)
}
