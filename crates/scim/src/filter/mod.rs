//! Filters: the whole grammar of RFC 7644, bound to the attributes of a type of resources, and compared with resources as
//! clients see them.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.2>

mod parse;

use std::cmp::Ordering;

use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde_json::Value;

use self::parse::raw;
pub(crate) use self::parse::{Operator, Raw, RawFilter, path};
use crate::attribute::{self, Attribute, Kind};
use crate::error::invalid_filter;
use crate::place::{Name, Place, Resource, is_key_not_kept};
use crate::times;

/// The values that a filter looks at: those of an attribute of a resource, or of a key of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    extension: Option<&'static str>,
    pub(crate) attribute: &'static Attribute,
    pub(crate) key: Option<&'static Attribute>,
}

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// One of the values compares so.
    Compare(Values, Operator, Value),
    /// There is a value.
    Present(Values),
    /// One of the values, which are objects, is selected by another filter.
    Within(Values, Box<Filter>),
    /// The other filter does not select it.
    Not(Box<Filter>),
    /// All filters select it; without any, everything is selected.
    And(Vec<Filter>),
    /// A filter selects it; without any, nothing is selected.
    Or(Vec<Filter>),
}

/// Reads a filter on resources.
pub(crate) fn parse(resource: Resource, text: &str) -> Result<Filter, MatrixError> {
    bind(Scope::Resource(resource), &raw(text)?)
}

/// Binds a filter by which a path of PATCH chooses among the values of an attribute. Comparisons with keys that are not kept do
/// not count: a value that was sent with them lacks them.
pub(crate) fn choosing(attribute: &'static Attribute, filter: &RawFilter) -> Result<Filter, MatrixError> {
    bind(Scope::Choice(attribute), filter)
}

/// The things that a filter selects.
#[derive(Clone, Copy)]
enum Scope {
    Resource(Resource),
    Values(&'static Attribute),
    Choice(&'static Attribute),
}

/// Returns the values that a path of a filter names; `None` if they are never kept.
fn values(scope: Scope, path: &str) -> Result<Option<Values>, MatrixError> {
    let unknown = || invalid_filter(format!("The filter names the unknown attribute '{path}'"));
    match scope {
        Scope::Resource(resource) => match Place::parse(resource, path).ok_or_else(unknown)? {
            Place::Kept { extension, attribute, key } => Ok(Some(Values { extension, attribute, key })),
            Place::NotKept => Ok(None),
            Place::Extension(_) => Err(unknown()),
        },
        Scope::Values(parent) | Scope::Choice(parent) => match attribute::find(parent.keys(), path) {
            Some(attribute) => Ok(Some(Values { extension: None, attribute, key: None })),
            None if is_key_not_kept(parent.name, path) => Ok(None),
            None => Err(unknown()),
        },
    }
}

fn bind(scope: Scope, filter: &RawFilter) -> Result<Filter, MatrixError> {
    let not_kept = match scope {
        Scope::Resource(_) | Scope::Values(_) => Filter::Or(Vec::new()),
        Scope::Choice(_) => Filter::And(Vec::new()),
    };
    let all = |parts: &[RawFilter]| parts.iter().map(|part| bind(scope, part)).collect::<Result<Vec<_>, _>>();
    Ok(match filter {
        Raw::Compare(path, operator, value) => match values(scope, path)? {
            Some(values) => Filter::Compare(values, *operator, value.clone()),
            None if *operator == Operator::Ne => Filter::And(Vec::new()),
            None => not_kept,
        },
        Raw::Present(path) => values(scope, path)?.map_or(not_kept, Filter::Present),
        Raw::Within(path, inner) => match values(scope, path)? {
            Some(values) if values.key.is_none() && !values.attribute.keys().is_empty() => {
                Filter::Within(values, Box::new(bind(Scope::Values(values.attribute), inner)?))
            }
            Some(_) => return Err(invalid_filter(format!("'{path}' has no values with keys"))),
            None => not_kept,
        },
        Raw::Not(inner) => Filter::Not(Box::new(bind(scope, inner)?)),
        Raw::And(parts) => Filter::And(all(parts)?),
        Raw::Or(parts) => Filter::Or(all(parts)?),
    })
}

impl Values {
    /// Returns the values in an object. An object with a key `value` stands for it where a filter names no key.
    fn of<'v>(&self, object: &'v Object) -> Vec<&'v Value> {
        let object = match self.extension {
            Some(extension) => object.get(extension).and_then(Value::as_object),
            None => Some(object),
        };
        let values: &[Value] = match object.and_then(|object| object.get(self.attribute.name)) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(values)) => values,
            Some(value) => std::slice::from_ref(value),
        };
        let key = self.key.map_or("value", |key| key.name);
        values
            .iter()
            .filter_map(|value| match value {
                Value::Object(object) => object.get(key),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    Some(value)
                }
            })
            .filter(|value| !value.is_null())
            .collect()
    }

    /// Returns the names of the attribute and key.
    pub(crate) fn name(&self) -> Name {
        (self.attribute.name, self.key.map(|key| key.name))
    }

    /// Returns the attribute whose values are compared.
    pub(crate) fn compared(&self) -> &'static Attribute {
        let value = || attribute::find(self.attribute.keys(), "value");
        self.key.or_else(value).unwrap_or(self.attribute)
    }
}

impl Filter {
    /// Returns true if the filter selects a resource, or an object among the values of an attribute.
    pub(crate) fn selects(&self, object: &Object) -> bool {
        match self {
            Self::Compare(values, operator, wanted) => {
                let found = values.of(object);
                match (operator, wanted) {
                    (Operator::Eq, Value::Null) => found.is_empty(),
                    (Operator::Ne, Value::Null) => !found.is_empty(),
                    // Without a value nothing is equal.
                    (Operator::Ne, wanted) => {
                        !found.iter().any(|value| compare(values.compared(), Operator::Eq, value, wanted))
                    }
                    (operator, wanted) => {
                        found.iter().any(|value| compare(values.compared(), *operator, value, wanted))
                    }
                }
            }
            Self::Present(values) => {
                if values.key.is_some() || values.attribute.keys().is_empty() {
                    return values.of(object).iter().any(|value| value.as_str() != Some(""));
                }
                match object.get(values.attribute.name) {
                    None | Some(Value::Null) => false,
                    Some(Value::Array(found)) => !found.is_empty(),
                    Some(_) => true,
                }
            }
            Self::Within(values, inner) => {
                let found = object.get(values.attribute.name);
                let found = match found {
                    Some(Value::Array(found)) => found.as_slice(),
                    Some(found) => std::slice::from_ref(found),
                    None => &[],
                };
                found.iter().filter_map(Value::as_object).any(|object| inner.selects(object))
            }
            Self::Not(inner) => !inner.selects(object),
            Self::And(parts) => parts.iter().all(|part| part.selects(object)),
            Self::Or(parts) => parts.iter().any(|part| part.selects(object)),
        }
    }

    /// Returns true if the filter looks at an attribute.
    pub(crate) fn names(&self, attribute: &str) -> bool {
        match self {
            Self::Compare(values, ..) | Self::Present(values) | Self::Within(values, _) => {
                values.attribute.name == attribute
            }
            Self::Not(inner) => inner.names(attribute),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.names(attribute)),
        }
    }

    /// Returns lookups that together find all resources that the filter can select, if there are any: `lookup` returns the one
    /// that finds those with a value, if values of the attribute can be looked up.
    pub(crate) fn lookups<L>(&self, lookup: &impl Fn(Name, &str) -> Option<L>) -> Option<Vec<L>> {
        self.lookups_in(None, lookup)
    }

    /// Returns lookups as [`Filter::lookups`] does, of a filter on the values of an attribute if there is a parent.
    fn lookups_in<L>(
        &self,
        parent: Option<&'static str>,
        lookup: &impl Fn(Name, &str) -> Option<L>,
    ) -> Option<Vec<L>> {
        match self {
            Self::Compare(values, Operator::Eq, Value::String(text)) => {
                let name =
                    parent.map_or_else(|| values.name(), |parent| (parent, Some(values.attribute.name)));
                lookup(name, text).map(|found| vec![found])
            }
            Self::Within(values, inner) => inner.lookups_in(Some(values.attribute.name), lookup),
            Self::And(parts) => parts.iter().find_map(|part| part.lookups_in(parent, lookup)),
            Self::Or(parts) => {
                let each: Option<Vec<Vec<L>>> =
                    parts.iter().map(|part| part.lookups_in(parent, lookup)).collect();
                each.map(|each| each.into_iter().flatten().collect())
            }
            Self::Compare(..) | Self::Present(_) | Self::Not(_) => None,
        }
    }
}

/// Compares a value of an attribute with the one in a filter.
fn compare(attribute: &Attribute, operator: Operator, value: &Value, wanted: &Value) -> bool {
    let ordered = |ordering: Ordering| match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    };
    match (value, wanted) {
        (Value::String(value), Value::String(wanted)) => {
            if attribute.kind == Kind::DateTime
                && let (Some(value), Some(wanted)) = (times::parse(value), times::parse(wanted))
            {
                return ordered(value.cmp(&wanted));
            }
            let fold = |text: &str| if attribute.is_exact { text.to_owned() } else { text.to_lowercase() };
            let (value, wanted) = (fold(value), fold(wanted));
            match operator {
                Operator::Co => value.contains(&wanted),
                Operator::Sw => value.starts_with(&wanted),
                Operator::Ew => value.ends_with(&wanted),
                Operator::Eq | Operator::Ne | Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => {
                    ordered(value.cmp(&wanted))
                }
            }
        }
        (Value::Bool(value), wanted) => {
            flag(wanted).is_some_and(|wanted| operator == Operator::Eq && *value == wanted)
        }
        (Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_), wanted) => {
            operator == Operator::Eq && value == wanted
        }
    }
}

/// Reads a flag. Some identity providers send texts.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alice() -> Object {
        let alice = json!({
            "id": "@alice:test",
            "externalId": "A1",
            "userName": "alice@example.com",
            "displayName": "Alice",
            "active": true,
            "emails": [
                { "value": "alice@example.com", "type": "work" },
                { "value": "alice@home.org", "type": "work" },
            ],
            "roles": [],
            "meta": { "created": "2023-11-14T22:13:20Z" },
            "urn:reeve:params:scim:schemas:extension:matrix:2.0:User": { "userId": "@alice:test", "locked": false },
        });
        alice.as_object().cloned().unwrap()
    }

    #[test]
    fn filters_select() {
        let alice = alice();
        for (filter, selected) in [
            (r#"userName eq "alice@example.com""#, true),
            (r#"USERNAME Eq "ALICE@example.com""#, true),
            (r#"userName ne "bob""#, true),
            (r#"externalId eq "a1""#, false),
            (r#"externalId eq "A1""#, true),
            (r#"displayName co "LIC""#, true),
            (r#"displayName sw "al""#, true),
            (r#"displayName ew "x""#, false),
            (r"active eq true", true),
            (r#"active eq "True""#, true),
            (r"active eq false", false),
            (r"not (active eq false)", true),
            (r#"emails eq "alice@home.org""#, true),
            (r#"emails.value eq "alice@home.org""#, true),
            (r#"emails[type eq "work" and value co "home"]"#, true),
            (r#"emails[display eq "x" and value co "home"]"#, false),
            (r#"emails[type eq "home"]"#, false),
            (r"emails pr", true),
            (r"phoneNumbers pr", false),
            (r"roles pr", false),
            (r"title pr", false),
            (r"name.familyName pr", false),
            (r"displayName pr", true),
            (r"phoneNumbers eq null", true),
            (r"displayName eq null", false),
            (r#"meta.created gt "2023-11-14T22:13:19Z""#, true),
            (r#"meta.created gt "2023-11-14T23:13:20+01:00""#, false),
            (r#"meta.created ge "2023-11-14T23:13:20+01:00""#, true),
            (r#"meta.created lt "2024-01-01T00:00:00Z""#, true),
            (r#"displayName gt "Alan""#, true),
            (r#"displayName eq "x" or displayName eq "Alice" and active eq true"#, true),
            (r#"(displayName eq "x" or displayName eq "Alice") and active eq false"#, false),
            (r#"urn:ietf:params:scim:schemas:core:2.0:User:displayName eq "alice""#, true),
            (r"urn:reeve:params:scim:schemas:extension:matrix:2.0:User:locked eq false", true),
            (r"urn:reeve:params:scim:schemas:extension:matrix:2.0:User:userId pr", true),
        ] {
            assert_eq!(parse(Resource::User, filter).unwrap().selects(&alice), selected, "{filter}");
        }
    }

    #[test]
    fn malformed_filters_are_refused() {
        let deep = format!("{}active eq true{}", "(".repeat(40), ")".repeat(40));
        let wide = vec!["active eq true"; 200].join(" or ");
        let long = format!("displayName eq \"{}\"", "x".repeat(10_000));
        for filter in [
            "",
            " ",
            "active",
            "active eq",
            "active eq tru",
            "active is true",
            "nonsense eq 1",
            "userName.nonsense eq 1",
            "active eq true and",
            "active eq true nonsense",
            "(active eq true",
            "active eq true)",
            "not active eq true",
            "emails[type eq \"work\"",
            "emails[nonsense eq \"work\"]",
            "userName[type eq \"work\"]",
            "displayName eq \"x",
            "displayName eq \"\\q\"",
            "displayName eq 'x'",
            "displayName eq \u{e4}",
            &deep,
            &wide,
            &long,
        ] {
            let error = parse(Resource::User, filter).expect_err(filter);
            assert_eq!((error.status, &*error.errcode), (400, "invalidFilter"), "{filter}");
        }
    }
}
