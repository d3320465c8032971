//! The changes of a group that a body asks for.

use std::collections::HashSet;

use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde_json::Value;

use crate::error::{invalid_filter, invalid_value, mutability};
use crate::filter::{Operator, Raw, RawFilter};
use crate::patch::{self, Act, Operation};
use crate::place::Resource;
use crate::read;

/// The maximum length of a name, in characters.
const MAX_NAME: usize = 255;

/// A change of the members of a group, by their ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Members {
    Add(Vec<String>),
    Remove(Vec<String>),
    /// These and no others.
    Set(Vec<String>),
}

/// A step towards the wanted members of a group. A step that is taken again changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Add(String),
    Remove(String),
}

/// Returns the steps that lead to the members after some changes, one for each user: the last change that names a user counts.
/// `present` returns the present members, which are read only if others than the named users are concerned.
pub(super) fn steps(
    changes: &[Members],
    present: impl FnOnce() -> Result<Vec<String>, MatrixError>,
) -> Result<Vec<Step>, MatrixError> {
    let mut named: HashSet<&str> = HashSet::new();
    let mut from_last: Vec<Vec<Step>> = Vec::new();
    for members in changes.iter().rev() {
        match members {
            Members::Add(ids) => {
                let new = ids.iter().filter(|id| named.insert(id.as_str()));
                from_last.push(new.cloned().map(Step::Add).collect());
            }
            Members::Remove(ids) => {
                let new = ids.iter().filter(|id| named.insert(id.as_str()));
                from_last.push(new.cloned().map(Step::Remove).collect());
            }
            Members::Set(ids) => {
                let present = present()?;
                let new: Vec<&String> = ids.iter().filter(|id| named.insert(id.as_str())).collect();
                let had: HashSet<&String> = present.iter().collect();
                let add = new.into_iter().filter(|id| !had.contains(id)).cloned().map(Step::Add);
                let others = present.iter().filter(|id| !named.contains(id.as_str()));
                from_last.push(others.cloned().map(Step::Remove).chain(add).collect());
                // Earlier changes do not matter.
                break;
            }
        }
    }
    Ok(from_last.into_iter().rev().flatten().collect())
}

/// The changes of a group. `None` leaves an attribute as it is; within it, `None` removes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) external_id: Option<Option<String>>,
    /// One after the other.
    pub(super) members: Vec<Members>,
}

impl Change {
    /// Reads a group.
    pub(super) fn of_body(group: &Object) -> Result<Self, MatrixError> {
        let name =
            read::text(group, "displayName")?.ok_or_else(|| invalid_value("'displayName' is missing"))?;
        let members = read::objects(group, "members")?;
        Ok(Self {
            name: Some(checked_name(&name)?),
            external_id: read::external_id(group)?,
            members: match members {
                Some(members) => vec![Members::Set(ids(&members)?)],
                None => Vec::new(),
            },
        })
    }

    /// Reads operations.
    pub(super) fn of_operations(operations: Vec<Operation>) -> Result<Self, MatrixError> {
        let mut change = Self::default();
        for operation in operations {
            let is_explicit = operation.path.is_some();
            for (path, part) in patch::single(operation)? {
                let Some(target) = patch::target(Resource::Group, &path, is_explicit)? else { continue };
                let value = part.value.filter(|value| !value.is_null());
                let text = match &value {
                    Some(Value::String(text)) => Some(text.clone()),
                    Some(_) | None => None,
                };
                let not_a_text = || invalid_value(format!("'{path}' must be a string"));
                match (target.attribute.name, part.act) {
                    ("displayName", Act::Add | Act::Replace) => {
                        change.name = Some(checked_name(&text.ok_or_else(not_a_text)?)?);
                    }
                    ("externalId", Act::Remove) => change.external_id = Some(None),
                    ("externalId", Act::Add | Act::Replace) => {
                        if value.is_some() && text.is_none() {
                            return Err(not_a_text());
                        }
                        change.external_id = Some(read::checked_external_id(text)?);
                    }
                    ("members", act) if target.key.is_none() => {
                        change.members.push(members(act, target.filter.as_ref(), value.as_ref())?);
                    }
                    (_, Act::Add | Act::Replace | Act::Remove) => return Err(mutability(&path)),
                }
            }
        }
        Ok(change)
    }
}

fn members(act: Act, filter: Option<&RawFilter>, value: Option<&Value>) -> Result<Members, MatrixError> {
    let listed = match value {
        Some(value) => Some(ids(&read::entries(value, "members")?)?),
        None => None,
    };
    match (act, filter) {
        (Act::Remove, Some(filter)) => {
            let text = "'members' can be filtered by 'value eq' alone, joined by 'or'";
            Ok(Members::Remove(compared(filter).ok_or_else(|| invalid_filter(text))?))
        }
        (Act::Add | Act::Replace, Some(_)) => Err(mutability("members")),
        (Act::Add, None) => Ok(Members::Add(listed.unwrap_or_default())),
        (Act::Replace, None) => Ok(Members::Set(listed.unwrap_or_default())),
        // RFC 7644 gives a removal no value; Entra ID lists whom it removes.
        (Act::Remove, None) => match listed {
            Some(listed) => Ok(Members::Remove(listed)),
            None => Ok(Members::Set(Vec::new())),
        },
    }
}

/// Returns the ids with which a filter on members compares.
fn compared(filter: &RawFilter) -> Option<Vec<String>> {
    match filter {
        Raw::Compare(name, Operator::Eq, Value::String(id)) if name.eq_ignore_ascii_case("value") => {
            Some(vec![id.clone()])
        }
        Raw::Or(parts) => parts.iter().map(compared).collect::<Option<Vec<_>>>().map(|parts| parts.concat()),
        Raw::Compare(..) | Raw::Present(_) | Raw::Within(..) | Raw::Not(_) | Raw::And(_) => None,
    }
}

fn ids(entries: &[Object]) -> Result<Vec<String>, MatrixError> {
    let id = |entry: &Object| {
        let id = read::text(entry, "value")?.filter(|id| !id.is_empty());
        id.ok_or_else(|| invalid_value("Each of 'members' needs a 'value'"))
    };
    entries.iter().map(id).collect()
}

fn checked_name(name: &str) -> Result<String, MatrixError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(invalid_value(format!("'displayName' must have 1 to {MAX_NAME} characters")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::PATCH;

    fn change(operations: Value) -> Result<Change, String> {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        let operations = patch::operations(body.as_object().unwrap());
        operations.and_then(Change::of_operations).map_err(|error| error.errcode.into_owned())
    }

    #[test]
    fn members_are_added_and_removed() {
        let some = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        for (operation, wanted) in [
            (
                json!({ "op": "add", "path": "members", "value": [{ "value": "a" }] }),
                Members::Add(some(&["a"])),
            ),
            (json!({ "op": "Add", "value": { "members": [{ "value": "a" }] } }), Members::Add(some(&["a"]))),
            (json!({ "op": "replace", "path": "members", "value": [] }), Members::Set(Vec::new())),
            (json!({ "op": "remove", "path": "members" }), Members::Set(Vec::new())),
            (
                json!({ "op": "Remove", "path": "members", "value": [{ "value": "a" }] }),
                Members::Remove(some(&["a"])),
            ),
            (json!({ "op": "remove", "path": "members[value eq \"a\"]" }), Members::Remove(some(&["a"]))),
            (
                json!({ "op": "remove", "path": "members[value eq \"a\" or value eq \"b\"]" }),
                Members::Remove(some(&["a", "b"])),
            ),
        ] {
            assert_eq!(change(json!([operation])).unwrap().members, [wanted], "{operation}");
        }
        let several = change(json!([
            { "op": "replace", "value": { "id": "x", "displayName": "D", "externalId": "E" } },
            { "op": "remove", "path": "externalId" },
        ]));
        let several = several.unwrap();
        assert_eq!((several.name.as_deref(), several.external_id), (Some("D"), Some(None)));
    }

    #[test]
    fn steps_lead_to_the_wanted_members() {
        let some = |ids: &str| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (add, remove, set) = (
            |ids: &str| Members::Add(some(ids)),
            |ids: &str| Members::Remove(some(ids)),
            |ids: &str| Members::Set(some(ids)),
        );
        for (changes, present, wanted) in [
            (vec![], None, ""),
            (vec![add("a b a")], None, "+a +b"),
            (vec![add("a"), add("b")], None, "+a +b"),
            (vec![add("a b"), remove("a")], None, "+b -a"),
            (vec![remove("a"), add("a")], None, "+a"),
            (vec![set("a b")], Some("b c"), "-c +a"),
            (vec![set("")], Some("b c"), "-b -c"),
            (vec![add("x"), set("a"), add("b"), remove("c")], Some("b d"), "-d +a +b -c"),
            (vec![set("a b"), remove("b")], Some("b c"), "-c +a -b"),
            (vec![set("a"), set("b")], Some("b c"), "-c"),
        ] {
            let read = || Ok(some(present.expect("the present members need not be read")));
            let found: Vec<String> = steps(&changes, read)
                .unwrap()
                .iter()
                .map(|step| match step {
                    Step::Add(id) => format!("+{id}"),
                    Step::Remove(id) => format!("-{id}"),
                })
                .collect();
            assert_eq!(found.join(" "), wanted, "{changes:?}");
        }
    }

    #[test]
    fn what_groups_do_not_have_is_refused() {
        for (operation, code) in [
            (json!({ "op": "add", "path": "nonsense", "value": 1 }), "invalidPath"),
            (json!({ "op": "add", "path": "title", "value": 1 }), "invalidPath"),
            (json!({ "op": "remove", "path": "members[type eq \"User\"]" }), "invalidFilter"),
            (json!({ "op": "replace", "path": "members.value", "value": "a" }), "mutability"),
            (json!({ "op": "add", "path": "members", "value": [{}] }), "invalidValue"),
            (json!({ "op": "remove", "path": "displayName" }), "mutability"),
            (json!({ "op": "replace", "path": "displayName", "value": " " }), "invalidValue"),
            (json!({ "op": "replace", "path": "displayName", "value": 1 }), "invalidValue"),
        ] {
            assert_eq!(change(json!([operation])).unwrap_err(), code, "{operation}");
        }
    }
}
