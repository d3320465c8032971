//! PATCH: operations on a resource as clients see it.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.5.2>

use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde_json::{Value, json};

use crate::attribute::{self, Attribute, Mutability};
use crate::error::{invalid_path, invalid_syntax, invalid_value, mutability, no_target, too_many};
use crate::filter::{self, Filter, Operator, Raw, RawFilter};
use crate::place::{Place, Resource, is_key_not_kept};
use crate::read;
use crate::schema::PATCH;

/// The maximum number of operations in a request.
const MAX_OPERATIONS: usize = 200;
/// Keys that are always read-only. Some identity providers send them with values.
const IGNORED: &[&str] = &["schemas", "id", "meta"];

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Add,
    Replace,
    Remove,
}

/// An operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) act: Act,
    pub(crate) path: Option<String>,
    pub(crate) value: Option<Value>,
}

/// Reads the operations of a body. Their names are read in any case, since some identity providers capitalise them.
pub(crate) fn operations(body: &Object) -> Result<Vec<Operation>, MatrixError> {
    read::check_schema(body, PATCH)?;
    let listed = read::get(body, "Operations").and_then(Value::as_array);
    let listed = listed.filter(|listed| !listed.is_empty());
    let listed = listed.ok_or_else(|| invalid_syntax("'Operations' must be a list that is not empty"))?;
    if listed.len() > MAX_OPERATIONS {
        return Err(too_many(format!("A request cannot have more than {MAX_OPERATIONS} operations")));
    }
    let operation = |listed: &Value| {
        let listed =
            listed.as_object().ok_or_else(|| invalid_syntax("Each of 'Operations' must be an object"))?;
        let act = match read::text(listed, "op")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "add" => Act::Add,
            "replace" => Act::Replace,
            "remove" => Act::Remove,
            other => {
                return Err(invalid_syntax(format!("'op' must be add, replace or remove, not '{other}'")));
            }
        };
        let path = read::text(listed, "path")?.filter(|path| !path.is_empty());
        let value = read::get(listed, "value").cloned();
        if act == Act::Remove && path.is_none() {
            return Err(no_target("'remove' needs a 'path'"));
        }
        if act != Act::Remove && value.is_none() {
            return Err(invalid_value(format!("'{}' needs a 'value'", word(act))));
        }
        Ok(Operation { act, path, value })
    };
    listed.iter().map(operation).collect()
}

fn word(act: Act) -> &'static str {
    match act {
        Act::Add => "add",
        Act::Replace => "replace",
        Act::Remove => "remove",
    }
}

/// Returns the operations on single places that an operation stands for: without a path, its value has a key for each.
pub(crate) fn single(operation: Operation) -> Result<Vec<(String, Operation)>, MatrixError> {
    if let Some(path) = operation.path.clone() {
        return Ok(vec![(path, operation)]);
    }
    let Some(Value::Object(values)) = operation.value else {
        return Err(invalid_value("Without a 'path', 'value' must be an object"));
    };
    let is_ignored = |key: &str| IGNORED.iter().any(|ignored| ignored.eq_ignore_ascii_case(key));
    let parts = values.into_iter().filter(|(key, _)| !is_ignored(key));
    Ok(parts
        .map(|(key, value)| (key, Operation { act: operation.act, path: None, value: Some(value) }))
        .collect())
}

/// The target of an operation.
pub(crate) struct Target {
    pub(crate) attribute: &'static Attribute,
    pub(crate) filter: Option<RawFilter>,
    pub(crate) key: Option<&'static Attribute>,
}

/// Returns the target of a path; `None` if it is not kept. A read-only attribute is refused if the request names it in a `path`, and
/// not kept if it is one of many keys.
pub(crate) fn target(
    resource: Resource,
    path: &str,
    is_explicit: bool,
) -> Result<Option<Target>, MatrixError> {
    let raw = filter::path(path)?;
    let unknown = || invalid_path(format!("The path '{path}' names an unknown attribute"));
    let (attribute, mut key) = match Place::parse(resource, &raw.name).ok_or_else(unknown)? {
        Place::NotKept => return Ok(None),
        // All attributes of extensions are read-only.
        Place::Extension(_) | Place::Kept { extension: Some(_), .. } => {
            return if is_explicit { Err(mutability(path)) } else { Ok(None) };
        }
        Place::Kept { extension: None, attribute, key } => (attribute, key),
    };
    if attribute.mutability == Mutability::ReadOnly {
        return if is_explicit { Err(mutability(path)) } else { Ok(None) };
    }
    if raw.filter.is_some() && !attribute.is_multi {
        return Err(invalid_path(format!("'{}' has one value", attribute.name)));
    }
    if let Some(name) = &raw.key {
        key = attribute::find(attribute.keys(), name);
        if key.is_none() {
            return if is_key_not_kept(attribute.name, name) { Ok(None) } else { Err(unknown()) };
        }
    }
    Ok(Some(Target { attribute, filter: raw.filter, key }))
}

/// Applies operations to a user as clients see it. The result is read like the body of a PUT that has all attributes.
pub(crate) fn apply(user: &mut Object, operations: Vec<Operation>) -> Result<(), MatrixError> {
    for operation in operations {
        let is_explicit = operation.path.is_some();
        for (path, part) in single(operation)? {
            if let Some(target) = target(Resource::User, &path, is_explicit)? {
                apply_one(user, &target, part)?;
            }
        }
    }
    Ok(())
}

/// Returns an object with the password that operations set, if they do.
pub(crate) fn password(operations: &[Operation]) -> Result<Object, MatrixError> {
    let mut found = Object::new();
    for operation in operations {
        let is_explicit = operation.path.is_some();
        for (path, part) in single(operation.clone())? {
            let target = target(Resource::User, &path, is_explicit)?;
            if target.is_some_and(|target| target.attribute.mutability == Mutability::WriteOnly) {
                found.insert("password".to_owned(), part.value.unwrap_or_default());
            }
        }
    }
    Ok(found)
}

fn apply_one(user: &mut Object, target: &Target, operation: Operation) -> Result<(), MatrixError> {
    let Target { attribute, filter, key } = target;
    let name = attribute.name;
    let value = operation.value.filter(|value| !value.is_null());
    // Null is no value.
    let act = if value.is_none() { Act::Remove } else { operation.act };
    if act == Act::Remove && attribute.is_required {
        return Err(mutability(name));
    }
    if attribute.is_multi {
        let entries = read::objects(user, name)?.unwrap_or_default();
        let filter = filter.as_ref().map(|raw| filter::choosing(attribute, raw).map(|bound| (raw, bound)));
        let change = Change { attribute, key: *key, act, filter: filter.transpose()? };
        user.insert(name.to_owned(), json!(change.of(entries, value)?));
        return Ok(());
    }
    match (key, act, value) {
        (None, Act::Remove, _) => {
            user.insert(name.to_owned(), Value::Null);
        }
        (None, Act::Add, Some(Value::Object(more))) if !attribute.keys().is_empty() => {
            let mut whole = user.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            whole.extend(more);
            user.insert(name.to_owned(), Value::Object(whole));
        }
        (None, Act::Add | Act::Replace, Some(value)) => {
            user.insert(name.to_owned(), value);
        }
        (Some(key), act, value) => {
            let mut whole = user.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            let value = value.filter(|_| act != Act::Remove).unwrap_or(Value::Null);
            whole.insert(key.name.to_owned(), value);
            user.insert(name.to_owned(), Value::Object(whole));
        }
        (None, Act::Add | Act::Replace, None) => {}
    }
    Ok(())
}

/// A change of an attribute with several values.
struct Change<'a> {
    attribute: &'static Attribute,
    key: Option<&'static Attribute>,
    act: Act,
    /// The filter that chooses among the values, as written and bound.
    filter: Option<(&'a RawFilter, Filter)>,
}

impl Change<'_> {
    /// Returns the values after the change.
    fn of(&self, mut entries: Vec<Object>, value: Option<Value>) -> Result<Vec<Object>, MatrixError> {
        let chooses = |entry: &Object| self.filter.as_ref().is_none_or(|(_, filter)| filter.selects(entry));
        let name = self.attribute.name;
        match (self.act, self.key, value) {
            (Act::Remove, Some(key), _) => {
                for entry in entries.iter_mut().filter(|entry| chooses(entry)) {
                    entry.shift_remove(key.name);
                }
            }
            (Act::Remove, None, None) => entries.retain(|entry| !chooses(entry)),
            // RFC 7644 gives a removal no value; Entra ID lists what it removes.
            (Act::Remove, None, Some(value)) => {
                let listed = read::entries(&value, name)?;
                entries.retain(|entry| !(chooses(entry) && listed.iter().any(|other| is_same(entry, other))));
            }
            (Act::Add, None, Some(value)) if self.filter.is_none() => {
                for entry in read::entries(&value, name)? {
                    if !entries.iter().any(|known| is_same(known, &entry)) {
                        entries.push(entry);
                    }
                }
            }
            (Act::Replace, None, Some(value)) if self.filter.is_none() => {
                entries = read::entries(&value, name)?;
            }
            (Act::Add | Act::Replace, key, Some(value)) => {
                let new = match key {
                    Some(key) => Object::from_iter([(key.name.to_owned(), value)]),
                    None => read::entries(&value, name)?.into_iter().next().unwrap_or_default(),
                };
                if !entries.iter().any(chooses) {
                    entries.push(self.implied()?);
                }
                for entry in entries.iter_mut().filter(|entry| chooses(entry)) {
                    entry.extend(new.clone());
                }
            }
            (Act::Add | Act::Replace, _, None) => {}
        }
        Ok(entries)
    }

    /// Returns the value that the filter describes, which identity providers expect to be made if there is none.
    fn implied(&self) -> Result<Object, MatrixError> {
        let Some((raw, filter)) = &self.filter else { return Ok(Object::new()) };
        let mut made = Object::new();
        let mut parts = vec![*raw];
        while let Some(part) = parts.pop() {
            match part {
                Raw::Compare(name, Operator::Eq, value) => {
                    let key = attribute::find(self.attribute.keys(), name);
                    made.insert(key.map_or(name.as_str(), |key| key.name).to_owned(), value.clone());
                }
                Raw::And(more) => parts.extend(more),
                Raw::Compare(..) | Raw::Present(_) | Raw::Within(..) | Raw::Not(_) | Raw::Or(_) => {}
            }
        }
        if filter.selects(&made) {
            Ok(made)
        } else {
            Err(no_target(format!("No value of '{}' is selected", self.attribute.name)))
        }
    }
}

/// Returns true if two values of an attribute are about the same thing.
fn is_same(one: &Object, other: &Object) -> bool {
    let value = |object: &Object| {
        read::get(object, "value")
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase))
    };
    value(one) == value(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MATRIX_USER;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    /// Returns some attributes of a user after operations, or the code of the error.
    fn patched(listed: Value) -> Result<Value, String> {
        let mut user = object(json!({
            "id": "@alice:test",
            "userName": "alice",
            "displayName": "Alice",
            "active": true,
            "emails": [{ "value": "a@x.org", "type": "work" }],
        }));
        let body = object(json!({ "schemas": [PATCH], "Operations": listed }));
        let done = operations(&body).and_then(|operations| apply(&mut user, operations));
        done.map(|()| json!(user)).map_err(|error| error.errcode.into_owned())
    }

    #[test]
    fn operations_change_attributes() {
        for (operation, key, wanted) in [
            (json!({ "op": "replace", "path": "displayName", "value": "A" }), "displayName", json!("A")),
            (json!({ "op": "Replace", "path": "DISPLAYNAME", "value": "A" }), "displayName", json!("A")),
            (json!({ "op": "remove", "path": "displayName" }), "displayName", json!(null)),
            (json!({ "op": "add", "value": { "displayName": "A", "id": "x" } }), "displayName", json!("A")),
            (json!({ "op": "Replace", "value": { "active": "False" } }), "active", json!("False")),
            (
                json!({ "op": "add", "path": "name.formatted", "value": "A" }),
                "name",
                json!({ "formatted": "A" }),
            ),
            (json!({ "op": "add", "value": { "name.formatted": "A" } }), "name", json!({ "formatted": "A" })),
            (json!({ "op": "add", "path": "name.givenName", "value": "A" }), "name", Value::Null),
            (json!({ "op": "add", "path": "title", "value": "A" }), "title", Value::Null),
            (
                json!({ "op": "replace", "path": "emails[primary eq true].value", "value": "b@x.org" }),
                "emails",
                json!([{ "value": "b@x.org", "type": "work" }]),
            ),
            (
                json!({ "op": "add", "path": "emails", "value": [{ "value": "A@x.org" }, { "value": "b@x.org" }] }),
                "emails",
                json!([{ "value": "a@x.org", "type": "work" }, { "value": "b@x.org" }]),
            ),
            (
                json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "b@x.org" }),
                "emails",
                json!([{ "value": "b@x.org", "type": "work" }]),
            ),
            (
                json!({ "op": "add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1" }),
                "phoneNumbers",
                json!([{ "type": "mobile", "value": "1" }]),
            ),
            (
                json!({ "op": "replace", "path": "emails", "value": { "value": "c@x.org" } }),
                "emails",
                json!([{ "value": "c@x.org" }]),
            ),
            (json!({ "op": "remove", "path": "emails[value eq \"a@x.org\"]" }), "emails", json!([])),
            (
                json!({ "op": "remove", "path": "emails", "value": [{ "value": "a@x.org" }] }),
                "emails",
                json!([]),
            ),
            (json!({ "op": "remove", "path": "emails" }), "emails", json!([])),
        ] {
            let user = patched(json!([operation])).unwrap();
            assert_eq!(user.get(key).cloned().unwrap_or_default(), wanted, "{operation}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        for (operation, code) in [
            (json!({ "op": "replace", "path": "nonsense", "value": 1 }), "invalidPath"),
            (json!({ "op": "replace", "value": { "nonsense": 1 } }), "invalidPath"),
            (json!({ "op": "replace", "path": "emails[", "value": 1 }), "invalidPath"),
            (json!({ "op": "replace", "path": "displayName[type eq \"x\"]", "value": 1 }), "invalidPath"),
            (json!({ "op": "replace", "path": "id", "value": "x" }), "mutability"),
            (json!({ "op": "replace", "path": "groups", "value": [] }), "mutability"),
            (json!({ "op": "replace", "path": "meta.created", "value": "x" }), "mutability"),
            (json!({ "op": "replace", "path": MATRIX_USER, "value": { "locked": true } }), "mutability"),
            (json!({ "op": "remove", "path": MATRIX_USER }), "mutability"),
            (json!({ "op": "remove", "path": "active" }), "mutability"),
            (json!({ "op": "remove", "path": "userName" }), "mutability"),
            (json!({ "op": "remove" }), "noTarget"),
            (json!({ "op": "replace", "path": "emails[value co \"zzz\"].value", "value": "x" }), "noTarget"),
            (json!({ "op": "replace", "path": "displayName" }), "invalidValue"),
            (json!({ "op": "replace", "value": "x" }), "invalidValue"),
            (json!({ "op": "move", "path": "displayName" }), "invalidSyntax"),
            (json!(1), "invalidSyntax"),
        ] {
            assert_eq!(patched(json!([operation])).unwrap_err(), code, "{operation}");
        }
        assert_eq!(patched(json!([])).unwrap_err(), "invalidSyntax");
        let many = vec![json!({ "op": "replace", "path": "displayName", "value": "A" }); MAX_OPERATIONS + 1];
        assert_eq!(patched(json!(many)).unwrap_err(), "tooMany");
    }
}
