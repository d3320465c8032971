//! Changing the passwords of accounts, and requiring that their people do.

use reeve_db::{ReadTx, Tx};
use reeve_model::{ActorKind, Ctx, User, UserNum};
use reeve_store::exports::{self, By};
use reeve_store::{email_validations, users};
use serde_json::{Value, json};

use crate::error::Error;
use crate::policy::Policy;
use crate::sessions::{self, Spared};
use crate::{account, audit, mails, rights};

/// A new password that an administrator sets.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Its hash, which was made before the transaction.
    pub hash: String,
    /// True if the person must change it before doing anything else that writes.
    pub require_change: bool,
    /// The session that stays when the others end; `None` if all stay.
    pub end_sessions: Option<Spared>,
}

/// Replaces the password of an account, for an administrator.
pub fn reset(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, user: &User, reset: &Reset) -> Result<(), Error> {
    replace(tx, ctx, policy, user, &reset.hash, reset.require_change)?;
    end_sessions(tx, user, reset.end_sessions.as_ref())
}

/// A new password that a person chose.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its hash, which was made before the transaction.
    pub hash: String,
    /// The stored hash that the password does not match. `None` if it was not compared, since nothing requires a change.
    pub differs_from: Option<String>,
    /// The session that stays when the others end; `None` if all stay.
    pub end_sessions: Option<Spared>,
}

/// Replaces the password of an account by one that its person chose. A required change is done then, and is refused with the
/// password that the account has.
pub fn change(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    chosen: &Chosen,
) -> Result<(), Error> {
    if user.password_change_required && users::password_hash(tx, user.num)? != chosen.differs_from {
        return Err(Error::Refused("The password was changed meanwhile: try again"));
    }
    replace(tx, ctx, policy, user, &chosen.hash, false)?;
    end_sessions(tx, user, chosen.end_sessions.as_ref())
}

/// Requires that the person of an account changes the password before doing anything else that writes, or ends that. Returns
/// the account.
pub fn require(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user_id: &str,
    required: bool,
) -> Result<User, Error> {
    let before = rights::to_change(tx, ctx, user_id)?;
    if required {
        check_has_password(tx, policy, &before)?;
    }
    let after = User { password_change_required: required, ..before.clone() };
    account::store(tx, ctx, "user.update", &before, &after)?;
    Ok(after)
}

/// Replaces the hash of an unchanged password by one of the present kind and cost, unless it is not the stored one any more.
/// Returns the hash that is stored then, if it is one of this password.
pub fn renew_hash(tx: &mut Tx<'_>, num: UserNum, old: &str, new: &str) -> Result<String, Error> {
    if users::password_hash(tx, num)?.as_deref() == Some(old) {
        users::set_password_hash(tx, num, Some(new))?;
        return Ok(new.to_owned());
    }
    Ok(old.to_owned())
}

/// Refuses if nobody could change the password of an account: the person would be shut out.
fn check_has_password(tx: &ReadTx<'_>, policy: &Policy, user: &User) -> Result<(), Error> {
    if !policy.password_enabled {
        return Err(Error::PasswordChangeDisabled);
    }
    users::password_hash(tx, user.num)?.map(drop).ok_or(Error::NoPassword)
}

fn replace(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    hash: &str,
    require_change: bool,
) -> Result<(), Error> {
    if policy.is_of_server(user) {
        return Err(Error::NameReserved);
    }
    if require_change && !policy.password_enabled {
        return Err(Error::PasswordChangeDisabled);
    }
    users::set_password_hash(tx, user.num, Some(hash))?;
    let after = User { password_change_required: require_change, ..user.clone() };
    account::apply(tx, ctx, user, &after)?;
    let mut changes = account::changes(user, &after);
    changes.insert("password".to_owned(), json!(true));
    audit::record(tx, ctx, "user.password", &user.user_id, &Value::Object(changes))?;
    // Links by which the password could be set again were made for the former one. With it, somebody else may also have begun to add
    // an address, by which the new one could be set.
    email_validations::delete_links(tx, user.num)?;
    // So may the link to an archive of the account have been made.
    let by_person = By { kind: ActorKind::User, id: user.user_id.clone() };
    exports::end_links(tx, user.num, &by_person)?;
    mails::password_changed(tx, ctx, policy, user)?;
    Ok(())
}

fn end_sessions(tx: &mut Tx<'_>, user: &User, spared: Option<&Spared>) -> Result<(), Error> {
    Ok(spared.map_or(Ok(()), |spared| sessions::end_all(tx, user.num, spared))?)
}
