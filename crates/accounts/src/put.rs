//! Creating or changing an account in one act, as the Synapse admin API does.

use reeve_db::Tx;
use reeve_model::{Ctx, User, UserType, id};
use reeve_store::external_ids::ExternalId;
use reeve_store::users;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::password_change::{self, Reset};
use crate::policy::Policy;
use crate::sessions::Spared;
use crate::users::{NewUser, check_name, create_silently, record};
use crate::{account, audit, deactivate, external_ids, rights, roles, threepids};

/// A JSON value where a string is expected. The deed knows the kind of the value, since clients of the Synapse admin API
/// expect its refusal after others that need the database, and not in all cases: where [`put`] creates the account, null
/// is no display name, and an avatar of another type is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StringField {
    /// The key is missing.
    #[default]
    Absent,
    /// Null.
    Null,
    /// A string.
    Text(String),
    /// Another type.
    Other,
}

impl From<Option<&Value>> for StringField {
    /// Returns the kind of the value of a key; `None` if the key is missing.
    fn from(value: Option<&Value>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Null) => Self::Null,
            Some(Value::String(text)) => Self::Text(text.clone()),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Self::Other,
        }
    }
}

/// The changes of an account by an administrator; an absent value, or `None`, changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The display name; blank removes it.
    pub displayname: StringField,
    /// The avatar; blank removes it.
    pub avatar_url: StringField,
    /// All third-party ids (medium and address).
    pub threepids: Option<Vec<(String, String)>>,
    /// All external ids.
    pub external_ids: Option<Vec<ExternalId>>,
    /// True if it administers the server.
    pub admin: Option<bool>,
    /// The hash of a new password.
    pub password_hash: Option<String>,
    /// The session that stays when a new password ends the others; `None` if all stay.
    pub end_sessions: Option<Spared>,
    /// True if it is deactivated.
    pub deactivated: Option<bool>,
    /// True if it is locked.
    pub locked: Option<bool>,
    /// Its type; `Some(None)` removes it.
    pub user_type: Option<Option<UserType>>,
}

/// The outcome of [`put`].
#[derive(Clone, Debug)]
pub struct Put {
    /// True if the account is new.
    pub created: bool,
    /// The job that deletes the data of a deactivated account.
    pub job: Option<String>,
}

/// Creates or changes an account in one transaction. The checks come in the order in which clients of the Synapse admin
/// API expect the first refusal.
pub fn put(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user_id: &str,
    change: &Change,
) -> Result<Put, Error> {
    match users::find(tx, user_id)? {
        Some(user) => modify(tx, ctx, policy, &user, change),
        None => create_from(tx, ctx, policy, user_id, change),
    }
}

fn create_from(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user_id: &str,
    change: &Change,
) -> Result<Put, Error> {
    let localpart = id::localpart(user_id).to_owned();
    check_name(tx, ctx, policy, &localpart)?;
    let displayname = match &change.displayname {
        StringField::Absent | StringField::Null => Some(localpart.clone()),
        StringField::Text(text) => Some(text.clone()),
        StringField::Other => return Err(Error::NotAString("displayname")),
    };
    let avatar_url = match &change.avatar_url {
        StringField::Text(text) => Some(text.clone()),
        StringField::Absent | StringField::Null | StringField::Other => None,
    };
    let user = create_silently(
        tx,
        ctx,
        policy,
        &NewUser {
            localpart,
            displayname,
            avatar_url,
            password_hash: change.password_hash.clone(),
            admin: change.admin.unwrap_or_default(),
            user_type: change.user_type.clone().flatten(),
            is_guest: false,
            locked: change.locked.unwrap_or_default(),
            deactivated: change.deactivated.unwrap_or_default(),
        },
    )?;
    let mut linked = Map::new();
    if let Some(wanted) = &change.threepids
        && keep_threepids(tx, ctx, policy, &user, wanted)?
    {
        linked.insert("threepids".to_owned(), json!(wanted));
    }
    if let Some(wanted) = &change.external_ids {
        if (1..wanted.len())
            .any(|at| wanted.get(at).is_some_and(|id| wanted.iter().take(at).any(|other| other == id)))
        {
            return Err(Error::ExternalIdInUse);
        }
        if external_ids::replace(tx, &user, wanted)? {
            linked.insert("external_ids".to_owned(), pairs(wanted));
        }
    }
    record(tx, ctx, &user, linked)?;
    Ok(Put { created: true, job: None })
}

/// External ids as the audit log shows them: pairs of provider and id.
fn pairs(external_ids: &[ExternalId]) -> Value {
    external_ids.iter().map(|id| json!([id.auth_provider, id.external_id])).collect()
}

/// Replaces the third-party ids of an account; a deactivated one has none. Returns true if anything changed.
fn keep_threepids(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    wanted: &[(String, String)],
) -> Result<bool, Error> {
    if user.deactivated {
        threepids::check(wanted)?;
        return Ok(false);
    }
    threepids::replace(tx, ctx, policy, user, wanted)
}

fn modify(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, before: &User, change: &Change) -> Result<Put, Error> {
    rights::check_may_change(tx, ctx, before)?;
    let revived;
    let before = if before.deactivated && change.deactivated == Some(false) {
        revived = deactivate::reactivate(tx, ctx, before)?;
        &revived
    } else {
        before
    };
    let mut after = before.clone();
    match &change.displayname {
        StringField::Absent => {}
        StringField::Text(text) if text.is_empty() => after.displayname = None,
        StringField::Text(text) => {
            account::check_displayname(text.trim())?;
            after.displayname = Some(text.trim().to_owned());
        }
        StringField::Null | StringField::Other => return Err(Error::NotAString("displayname")),
    }
    let mut linked = Map::new();
    if let Some(wanted) = &change.threepids
        && keep_threepids(tx, ctx, policy, before, wanted)?
    {
        linked.insert("threepids".to_owned(), json!(wanted));
    }
    if let Some(wanted) = &change.external_ids
        && external_ids::replace(tx, before, wanted)?
    {
        linked.insert("external_ids".to_owned(), pairs(wanted));
    }
    match &change.avatar_url {
        StringField::Absent => {}
        StringField::Text(text) => {
            account::check_avatar_url(text)?;
            after.avatar_url = Some(text.clone()).filter(|url| !url.is_empty());
        }
        StringField::Null | StringField::Other => return Err(Error::NotAString("avatar_url")),
    }
    if let Some(admin) = change.admin {
        roles::set_admin(&mut after, admin);
    }
    if let Some(locked) = change.locked {
        after.locked = locked;
    }
    if let Some(user_type) = &change.user_type {
        after.user_type.clone_from(user_type);
    }
    account::apply(tx, ctx, before, &after)?;
    if change.password_hash.is_some() && !policy.password_enabled {
        return Err(Error::PasswordChangeDisabled);
    }
    let mut changed = account::changes(before, &after);
    changed.append(&mut linked);
    if !changed.is_empty() {
        audit::record(tx, ctx, "user.update", &after.user_id, &Value::Object(changed))?;
    }
    if let Some(hash) = &change.password_hash {
        let reset =
            Reset { hash: hash.clone(), require_change: false, end_sessions: change.end_sessions.clone() };
        password_change::reset(tx, ctx, policy, &after, &reset)?;
    }
    let job = match change.deactivated {
        Some(true) if !before.deactivated => Some(deactivate::deactivate(tx, ctx, policy, &after, false)?),
        Some(_) | None => None,
    };
    Ok(Put { created: false, job })
}
