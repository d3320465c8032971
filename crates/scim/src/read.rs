//! Bodies of requests. Names of attributes are compared in any case of letters.

use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde_json::Value;

use crate::error::{invalid_syntax, invalid_value};

/// The maximum length of an external id, in bytes.
const MAX_EXTERNAL_ID: usize = 1000;

/// Returns the value of a key, in any case of letters.
pub(crate) fn get<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| {
        let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    })
}

/// Refuses a body whose `schemas` lack this one.
pub(crate) fn check_schema(object: &Object, schema: &str) -> Result<(), MatrixError> {
    let schemas = get(object, "schemas").and_then(Value::as_array);
    let has = schemas.is_some_and(|schemas| {
        schemas.iter().any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(schema)))
    });
    if has { Ok(()) } else { Err(invalid_syntax(format!("'schemas' must have '{schema}'"))) }
}

/// Returns a text; `None` if the key is absent, null inside if it is null.
pub(crate) fn nullable_text(object: &Object, name: &str) -> Result<Option<Option<String>>, MatrixError> {
    match get(object, name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) => Ok(Some(Some(text.clone()))),
        Some(_) => Err(invalid_value(format!("'{name}' must be a string"))),
    }
}

/// Returns a text; null counts as absent.
pub(crate) fn text(object: &Object, name: &str) -> Result<Option<String>, MatrixError> {
    Ok(nullable_text(object, name)?.flatten())
}

/// Returns the external id of a resource; `None` if the key is absent, `None` inside if it is null or blank.
pub(crate) fn external_id(object: &Object) -> Result<Option<Option<String>>, MatrixError> {
    nullable_text(object, "externalId")?.map(checked_external_id).transpose()
}

/// Returns an external id, as [`external_id`] does; an error if it is too long.
pub(crate) fn checked_external_id(id: Option<String>) -> Result<Option<String>, MatrixError> {
    if id.as_ref().is_some_and(|id| id.len() > MAX_EXTERNAL_ID) {
        return Err(invalid_value(format!("'externalId' must have at most {MAX_EXTERNAL_ID} bytes")));
    }
    Ok(id.filter(|id| !id.is_empty()))
}

/// Returns the objects of an attribute with several values; `None` if the key is absent. One value need not be in a list,
/// and a text stands for an object with that `value`.
pub(crate) fn objects(object: &Object, name: &str) -> Result<Option<Vec<Object>>, MatrixError> {
    get(object, name).map(|value| entries(value, name)).transpose()
}

/// Returns the objects in a value, as [`objects`] does.
pub(crate) fn entries(value: &Value, name: &str) -> Result<Vec<Object>, MatrixError> {
    let entry = |value: &Value| match value {
        Value::Object(object) => Ok(object.clone()),
        Value::String(text) => Ok(Object::from_iter([("value".to_owned(), Value::String(text.clone()))])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(invalid_value(format!("Each of '{name}' must be an object")))
        }
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(entry).collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Ok(vec![entry(value)?]),
    }
}
