//! Profiles: the public data of accounts.
//! <https://spec.matrix.org/v1.18/client-server-api/#profiles>

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, User};
use reeve_store::{profile_fields, users as rows};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::{account, audit, rights};

/// The size that a whole profile must stay below, as canonical JSON, in bytes.
const MAX_PROFILE: usize = 65_536;
/// The longest name of a field, in bytes.
const MAX_KEY: usize = 255;

/// A field of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `displayname`.
    DisplayName,
    /// `avatar_url`.
    AvatarUrl,
    /// Any other, with its name.
    Custom(String),
}

/// The reason why a text cannot be the name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is too long.
    #[error("Field name too long")]
    TooLong,
    /// It is empty.
    #[error("Field name too short")]
    Empty,
    /// It breaks the grammar.
    #[error("Field name does not follow Common Namespaced Identifier Grammar")]
    Grammar,
}

impl Field {
    /// Parses the name of a field.
    /// <https://spec.matrix.org/v1.18/appendices/#common-namespaced-identifier-grammar>
    pub fn parse(key: &str) -> Result<Self, BadKey> {
        if key.len() > MAX_KEY {
            return Err(BadKey::TooLong);
        }
        let Some(first) = key.bytes().next() else { return Err(BadKey::Empty) };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        if !first.is_ascii_lowercase() || !key.bytes().all(allowed) {
            return Err(BadKey::Grammar);
        }
        Ok(match key {
            "displayname" => Self::DisplayName,
            "avatar_url" => Self::AvatarUrl,
            _ => Self::Custom(key.to_owned()),
        })
    }

    /// Its name.
    pub fn key(&self) -> &str {
        match self {
            Self::DisplayName => "displayname",
            Self::AvatarUrl => "avatar_url",
            Self::Custom(key) => key,
        }
    }
}

/// A field and its new value.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The display name, trimmed; an empty text removes it.
    DisplayName(String),
    /// The avatar; an empty text removes it.
    AvatarUrl(String),
    /// Another field, with its name; `None` removes it.
    Custom(String, Option<Value>),
}

/// Returns all fields of an account that are set.
pub fn read(tx: &ReadTx<'_>, user: &User) -> Result<Map<String, Value>, DbError> {
    let mut profile = Map::new();
    for (key, value) in [("displayname", &user.displayname), ("avatar_url", &user.avatar_url)] {
        if let Some(value) = value {
            profile.insert(key.to_owned(), Value::from(value.as_str()));
        }
    }
    for (key, value) in profile_fields::of_user(tx, user.num)? {
        profile.insert(key, parse(&value)?);
    }
    Ok(profile)
}

/// Returns the value of one field; `None` if it is not set.
pub fn read_field(tx: &ReadTx<'_>, user: &User, field: &Field) -> Result<Option<Value>, DbError> {
    match field {
        Field::DisplayName => Ok(user.displayname.as_deref().map(Value::from)),
        Field::AvatarUrl => Ok(user.avatar_url.as_deref().map(Value::from)),
        Field::Custom(key) => profile_fields::find(tx, user.num, key)?.map(|value| parse(&value)).transpose(),
    }
}

fn parse(value: &str) -> Result<Value, DbError> {
    serde_json::from_str(value)
        .map_err(|error| DbError::Internal(format!("a profile field is not JSON: {error}")))
}

/// Changes one field of the profile of an account.
pub fn change(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, change: &Change) -> Result<(), Error> {
    let before = rights::to_change(tx, ctx, user_id)?;
    let mut after = before.clone();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    match change {
        Change::DisplayName(name) => {
            account::check_displayname(name.trim())?;
            // A name of spaces only is an invisible name; an empty one is no name.
            after.displayname = given(name).map(|name| name.trim().to_owned());
        }
        Change::AvatarUrl(url) => {
            account::check_avatar_url(url)?;
            after.avatar_url = given(url);
        }
        Change::Custom(key, value) => {
            let changed = match value {
                Some(_) if before.erased => return Err(Error::Deactivated),
                Some(value) => {
                    let text = value.to_string();
                    let same = profile_fields::find(tx, before.num, key)?.as_ref() == Some(&text);
                    profile_fields::put(tx, before.num, key, &text)?;
                    !same
                }
                None => profile_fields::delete(tx, before.num, key)?,
            };
            if changed {
                audit::record(
                    tx,
                    ctx,
                    "user.update",
                    user_id,
                    &json!({ "profile_field": key, "value": value }),
                )?;
            }
        }
    }
    account::store(tx, ctx, "user.update", &before, &after)?;
    let grows = !matches!(change, Change::Custom(_, None));
    if grows { check_size(read(tx, &after)?) } else { Ok(()) }
}

/// Checks the size of a whole profile.
pub(crate) fn check_size(profile: Map<String, Value>) -> Result<(), Error> {
    if Value::Object(profile).to_string().len() >= MAX_PROFILE { Err(Error::ProfileTooLarge) } else { Ok(()) }
}

/// Returns the account whose profile a user asks for; `None` if there is none or it was erased.
pub fn owner(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<User>, DbError> {
    Ok(rows::find(tx, user_id)?.filter(|user| !user.erased))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(Field::parse("displayname"), Ok(Field::DisplayName));
        assert_eq!(Field::parse("avatar_url"), Ok(Field::AvatarUrl));
        for good in ["m.tz", "nodots", "a", "com.example-1.x_y", &"a".repeat(255)] {
            assert_eq!(Field::parse(good).map(|field| field.key().to_owned()), Ok(good.to_owned()));
        }
        assert_eq!(Field::parse(""), Err(BadKey::Empty));
        assert_eq!(Field::parse(&"A".repeat(256)), Err(BadKey::TooLong));
        for bad in ["Upper", "with space", "a/b", "é", "1a", ".a", "a\0"] {
            assert_eq!(Field::parse(bad), Err(BadKey::Grammar), "{bad}");
        }
    }
}
