//! The attributes that a response shows.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.9>

use reeve_app::json::Object;
use reeve_app::query::Query;
use reeve_app::{MatrixError, Param};
use serde_json::Value;

use crate::attribute::Returned;
use crate::error::invalid_value;
use crate::place::{Place, Resource};
use crate::read;

/// The attributes that a response shows. Those that are always shown are not listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Only these.
    only: Option<Vec<Place>>,
    /// Not these.
    without: Vec<Place>,
}

impl Shown {
    pub(crate) fn params() -> [Param; 2] {
        [
            Param::text("attributes", "the attributes to return, separated by commas; all by default"),
            Param::text("excludedAttributes", "the attributes to leave out, separated by commas"),
        ]
    }

    /// Reads the query parameters.
    pub(crate) fn of_query(resource: Resource, query: &Query) -> Result<Self, MatrixError> {
        let list = |name| -> Result<Option<Vec<String>>, MatrixError> {
            let text = query.utf8(name)?.filter(|text| !text.trim().is_empty());
            Ok(text.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect()))
        };
        Self::of(resource, list("attributes")?, list("excludedAttributes")?)
    }

    /// Reads the keys of a search.
    pub(crate) fn of_body(resource: Resource, body: &Object) -> Result<Self, MatrixError> {
        let list = |name| match read::get(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(names)) => {
                let names: Option<Vec<String>> =
                    names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                names.map(Some).ok_or_else(|| invalid_value(format!("'{name}' must be a list of strings")))
            }
            Some(_) => Err(invalid_value(format!("'{name}' must be a list of strings"))),
        };
        Self::of(resource, list("attributes")?, list("excludedAttributes")?)
    }

    fn of(
        resource: Resource,
        only: Option<Vec<String>>,
        without: Option<Vec<String>>,
    ) -> Result<Self, MatrixError> {
        if only.is_some() && without.is_some() {
            return Err(invalid_value("'attributes' and 'excludedAttributes' cannot be combined"));
        }
        // Unknown attributes are never there.
        let places =
            |names: Vec<String>| names.iter().filter_map(|name| Place::parse(resource, name)).collect();
        Ok(Self { only: only.map(places), without: without.map(places).unwrap_or_default() })
    }

    /// Returns false if an attribute is not shown at all, so that it need not be read.
    pub(crate) fn has(&self, name: &str) -> bool {
        let is_it = |place: &Place| matches!(place, Place::Kept { extension: None, attribute, .. } if attribute.name == name);
        let is_whole = |place: &Place| is_it(place) && matches!(place, Place::Kept { key: None, .. });
        self.only.as_ref().is_none_or(|only| only.iter().any(is_it)) && !self.without.iter().any(is_whole)
    }

    /// Returns what is shown of a resource.
    pub(crate) fn of_resource(&self, resource: Resource, object: Object) -> Object {
        let is_always = |name: &str| {
            let attribute = resource.attribute(name);
            attribute.is_some_and(|attribute| attribute.returned == Returned::Always)
        };
        let [_, extension] = resource.schemas();
        let shown = object.into_iter().filter_map(|(name, value)| {
            if is_always(&name) {
                return Some((name, value));
            }
            match &self.only {
                Some(only) => Some((name.clone(), keep(value, &parts(only, &name)?))),
                // The extension is returned on request.
                None if name == extension => None,
                None => match parts(&self.without, &name) {
                    None => Some((name, value)),
                    Some(parts) if parts.is_empty() => None,
                    Some(parts) => Some((name, leave_out(value, &parts))),
                },
            }
        });
        let mut shown: Object = shown.collect();
        if !shown.contains_key(extension)
            && let Some(Value::Array(schemas)) = shown.get_mut("schemas")
        {
            schemas.retain(|schema| schema != extension);
        }
        shown
    }
}

/// Returns the keys of an attribute or extension that places name, none if they name all of it; `None` if they do not name it.
fn parts(places: &[Place], name: &str) -> Option<Vec<&'static str>> {
    let mut parts = Vec::new();
    let mut is_named = false;
    for place in places {
        match place {
            Place::Extension(urn) if *urn == name => return Some(Vec::new()),
            Place::Kept { extension: Some(urn), attribute, .. } if *urn == name => {
                is_named = true;
                parts.push(attribute.name);
            }
            Place::Kept { extension: None, attribute, key } if attribute.name == name => match key {
                Some(key) => {
                    is_named = true;
                    parts.push(key.name);
                }
                None => return Some(Vec::new()),
            },
            Place::Extension(_) | Place::Kept { .. } | Place::NotKept => {}
        }
    }
    is_named.then_some(parts)
}

fn each(value: Value, change: &impl Fn(&mut Object)) -> Value {
    match value {
        Value::Object(mut object) => {
            change(&mut object);
            Value::Object(object)
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|value| each(value, change)).collect()),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => value,
    }
}

/// Returns a value with some of its keys; with all if none are named.
fn keep(value: Value, keys: &[&str]) -> Value {
    if keys.is_empty() {
        return value;
    }
    each(value, &|object| object.retain(|key, _| keys.contains(&key.as_str())))
}

fn leave_out(value: Value, keys: &[&str]) -> Value {
    each(value, &|object| object.retain(|key, _| !keys.contains(&key.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(only: Option<&str>, without: Option<&str>) -> Value {
        let list = |names: Option<&str>| names.map(|names| names.split(',').map(str::to_owned).collect());
        let user = json!({
            "schemas": ["s"], "id": "i", "userName": "u", "displayName": "d",
            "emails": [{ "value": "e", "type": "work" }],
            "urn:reeve:params:scim:schemas:extension:matrix:2.0:User": { "userId": "i", "locked": false },
        });
        let user = user.as_object().cloned().unwrap();
        Value::Object(
            Shown::of(Resource::User, list(only), list(without)).unwrap().of_resource(Resource::User, user),
        )
    }

    #[test]
    fn attributes_are_chosen() {
        let always = json!({ "schemas": ["s"], "id": "i" });
        assert_eq!(shown(Some("nonsense"), None), always);
        assert_eq!(shown(Some("USERNAME"), None), json!({ "schemas": ["s"], "id": "i", "userName": "u" }));
        let emails = json!({ "schemas": ["s"], "id": "i", "emails": [{ "value": "e" }] });
        assert_eq!(shown(Some("emails.value"), None), emails);
        let urn = "urn:reeve:params:scim:schemas:extension:matrix:2.0:User";
        let own = json!({ "schemas": ["s"], "id": "i", urn: { "locked": false } });
        assert_eq!(shown(Some(&format!("{urn}:locked")), None), own);
        let without = shown(None, Some("id,userName,emails.type"));
        let wanted = json!({ "schemas": ["s"], "id": "i", "displayName": "d", "emails": [{ "value": "e" }] });
        assert_eq!(without, wanted);
        // Extensions are returned on request only.
        assert_eq!(shown(None, Some("userName,displayName,emails")), always);
        assert!(Shown::of(Resource::User, Some(Vec::new()), Some(Vec::new())).is_err());
        let some = Shown::of(Resource::Group, None, Some(vec!["members".to_owned()])).unwrap();
        assert!(!some.has("members") && some.has("displayName"));
    }
}
