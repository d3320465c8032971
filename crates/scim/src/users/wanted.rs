//! The wanted state of a user, as a body has it.

use reeve_accounts::threepids;
use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde_json::Value;

use crate::error::{invalid_value, of_accounts};
use crate::filter::flag;
use crate::read::{external_id, get, nullable_text, objects, text};
use crate::schema::OTHER_PHONES;

/// The maximum number of addresses of a kind.
const MAX_ADDRESSES: usize = 100;
/// The maximum length of a password, in characters.
const MAX_PASSWORD: usize = 512;

/// The wanted state of a user. `None` leaves an attribute as it is; within it, `None` removes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) user_name: Option<String>,
    pub(super) display_name: Option<Option<String>>,
    pub(super) active: Option<bool>,
    /// Canonical addresses, each once.
    pub(super) emails: Option<Vec<String>>,
    /// Numbers in digits, each once.
    pub(super) phones: Option<Vec<String>>,
    pub(super) external_id: Option<Option<String>>,
    pub(super) role: Option<Option<String>>,
}

impl Wanted {
    /// Reads a user. `before` is the present display name, if there is a user: of two attributes for it, the one that differs
    /// counts.
    pub(super) fn read(user: &Object, before: Option<&str>) -> Result<Self, MatrixError> {
        let active = match get(user, "active") {
            None | Some(Value::Null) => None,
            Some(value) => Some(flag(value).ok_or_else(|| invalid_value("'active' must be a boolean"))?),
        };
        Ok(Self {
            user_name: text(user, "userName")?,
            display_name: display_name(user, before)?,
            active,
            emails: addresses(user, "emails", |value| {
                threepids::canonical("email", value).map(Some).map_err(of_accounts)
            })?,
            phones: addresses(user, "phoneNumbers", |value| Ok(digits(value)))?,
            external_id: external_id(user)?,
            role: role(user)?,
        })
    }

    /// Reads the attributes that PATCH changed of a user. Others need not have values that a request could ask for.
    pub(super) fn read_changes(seen: &Object, patched: &Object) -> Result<Self, MatrixError> {
        let mut changes = patched.clone();
        changes.retain(|name, value| seen.get(name) != Some(value));
        let before = seen.get("displayName").and_then(Value::as_str).unwrap_or_default();
        Self::read(&changes, Some(before))
    }
}

/// Returns the password of a user.
pub(super) fn password(user: &Object) -> Result<Option<String>, MatrixError> {
    let password = text(user, "password")?.filter(|password| !password.is_empty());
    if password.as_ref().is_some_and(|password| password.chars().count() > MAX_PASSWORD) {
        return Err(invalid_value(format!("'password' must have at most {MAX_PASSWORD} characters")));
    }
    Ok(password)
}

/// Returns the display name. The parts of a name make one only for a new user.
fn display_name(user: &Object, before: Option<&str>) -> Result<Option<Option<String>>, MatrixError> {
    let clean =
        |name: Option<String>| name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let own = nullable_text(user, "displayName")?.map(clean);
    let name = match get(user, "name") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::Object(name)) if get(name, "formatted").is_some() => {
            nullable_text(name, "formatted")?.map(clean)
        }
        Some(Value::Object(name)) if before.is_none() => {
            let parts = [text(name, "givenName")?, text(name, "familyName")?];
            let parts: Vec<String> = parts.into_iter().filter_map(clean).collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty()).map(Some)
        }
        Some(Value::Object(name)) => {
            if name.is_empty() {
                Some(None)
            } else {
                None
            }
        }
        Some(_) => return Err(invalid_value("'name' must be an object")),
    };
    let given = [own, name];
    let differs = |name: &Option<String>| name.as_deref() != before;
    let changed = given.iter().flatten().find(|name| differs(name)).cloned();
    Ok(if before.is_some() { changed } else { given.into_iter().flatten().find(Option::is_some) })
}

/// Returns the addresses of a kind, as `canonical` makes them, each once.
fn addresses(
    user: &Object,
    name: &str,
    canonical: impl Fn(&str) -> Result<Option<String>, MatrixError>,
) -> Result<Option<Vec<String>>, MatrixError> {
    let Some(listed) = objects(user, name)? else { return Ok(None) };
    if listed.len() > MAX_ADDRESSES {
        return Err(invalid_value(format!("'{name}' must have at most {MAX_ADDRESSES} values")));
    }
    let mut found: Vec<String> = Vec::new();
    for entry in &listed {
        let kind = text(entry, "type")?.unwrap_or_default();
        let is_other =
            name == "phoneNumbers" && OTHER_PHONES.iter().any(|other| other.eq_ignore_ascii_case(&kind));
        let Some(value) = text(entry, "value")?.filter(|value| !value.trim().is_empty() && !is_other) else {
            continue;
        };
        let value = canonical(&value)?;
        let value = value.ok_or_else(|| invalid_value(format!("'{name}' has a value that is not valid")))?;
        if !found.contains(&value) {
            found.push(value);
        }
    }
    Ok(Some(found))
}

/// Returns the digits of a telephone number, such as `tel:+1-201-555-0123`; `None` if it is none.
fn digits(number: &str) -> Option<String> {
    let number = number.trim();
    let number = number.strip_prefix("tel:").unwrap_or(number);
    let number = number.split(';').next().unwrap_or_default();
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '(' | ')' | ' ' | '/');
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    Some(digits).filter(|digits| number.chars().all(is_of_number) && (1..=32).contains(&digits.len()))
}

fn role(user: &Object) -> Result<Option<Option<String>>, MatrixError> {
    let Some(listed) = objects(user, "roles")? else { return Ok(None) };
    let mut names = Vec::new();
    for entry in &listed {
        names.extend(text(entry, "value")?.filter(|name| !name.is_empty() && !names.contains(name)));
    }
    let role = names.pop();
    if names.is_empty() { Ok(Some(role)) } else { Err(invalid_value("A user can have one of 'roles'")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(user: Value, before: Option<&str>) -> Wanted {
        Wanted::read(user.as_object().unwrap(), before).unwrap()
    }

    #[test]
    fn display_names() {
        for (user, before, wanted) in [
            (json!({}), None, None),
            (json!({ "displayName": " A " }), None, Some(Some("A"))),
            (json!({ "name": { "formatted": "F" } }), None, Some(Some("F"))),
            (json!({ "displayName": "A", "name": { "formatted": "F" } }), None, Some(Some("A"))),
            (json!({ "name": { "givenName": "G", "familyName": "F" } }), None, Some(Some("G F"))),
            (json!({ "name": { "givenName": "G", "familyName": "F" } }), Some("A"), None),
            (json!({ "displayName": "A", "name": { "formatted": "A" } }), Some("A"), None),
            (json!({ "displayName": "B", "name": { "formatted": "A" } }), Some("A"), Some(Some("B"))),
            (json!({ "displayName": "A", "name": { "formatted": "B" } }), Some("A"), Some(Some("B"))),
            (json!({ "displayName": null, "name": { "formatted": "A" } }), Some("A"), Some(None)),
            (json!({ "displayName": "A", "name": null }), Some("A"), Some(None)),
            (json!({ "DISPLAYNAME": "B" }), Some("A"), Some(Some("B"))),
        ] {
            let expected = wanted.map(|name| name.map(str::to_owned));
            assert_eq!(read(user.clone(), before).display_name, expected, "{user} {before:?}");
        }
    }

    #[test]
    fn other_attributes() {
        let wanted = read(
            json!({
                "active": "False",
                "emails": [{ "value": "A@X.org" }, "a@x.org", { "type": "work" }],
                "phoneNumbers": [
                    { "value": "tel:+1-201-555-0123;ext=1" },
                    { "value": "+49 (30) 1", "type": "work" },
                    { "value": "2", "type": "fax" },
                ],
                "roles": [{ "value": "support", "primary": "True" }],
                "externalId": "",
            }),
            None,
        );
        assert_eq!(wanted.active, Some(false));
        assert_eq!(wanted.emails.unwrap(), ["a@x.org"]);
        assert_eq!(wanted.phones.unwrap(), ["12015550123", "49301"]);
        assert_eq!((wanted.role, wanted.external_id), (Some(Some("support".to_owned())), Some(None)));
        for bad in [
            json!({ "active": "maybe" }),
            json!({ "emails": [{ "value": "x" }] }),
            json!({ "emails": [1] }),
            json!({ "phoneNumbers": [{ "value": "call me" }] }),
            json!({ "roles": ["a", "b"] }),
            json!({ "userName": 1 }),
            json!({ "name": "x" }),
        ] {
            assert!(Wanted::read(bad.as_object().unwrap(), None).is_err(), "{bad}");
        }
        let long = json!({ "password": "x".repeat(1000) });
        assert!(password(long.as_object().unwrap()).is_err());
    }
}
