//! JSON objects in requests, and the values of their keys.

use reeve_model::MatrixError;
use serde_json::{Map, Value};

/// A JSON object from a request.
pub type Object = Map<String, Value>;

/// Reads a body that must be a JSON object. These keys may contain NUL characters. Of equal keys the last wins.
pub(crate) fn object(body: &[u8], may: &[&str]) -> Result<Object, MatrixError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| MatrixError::bad_request("M_NOT_JSON", "Content not JSON."))?;
    let Value::Object(object) = value else {
        return Err(MatrixError::bad_json("Content must be a JSON object."));
    };
    let refused =
        |(key, value): (&String, &Value)| !may.contains(&&**key) && (key.contains('\0') || has_nul(value));
    if object.iter().any(refused) {
        return Err(MatrixError::invalid_param("Content must not contain NUL characters"));
    }
    Ok(object)
}

/// Returns true if a string contains NUL, which neither database can store. The depth is bounded by the JSON reader.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(object) => object.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns true if Python would consider the value true. Some keys of the admin API are read this way.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// Returns the value in Python's notation, as some messages of the admin API show it.
pub fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(python_repr).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let pair = |(key, value): (&String, &Value)| {
                format!("{}: {}", python_repr(&Value::String(key.clone())), python_repr(value))
            };
            format!("{{{}}}", object.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The value of an integer key in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// An integer that fits.
    Is(i64),
    /// An integer, but too large to be stored.
    TooLarge,
    /// Something else; a boolean or `1.0` is not an integer.
    Not,
}

/// Reads an integer.
pub fn integer(value: &Value) -> Integer {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(number) => Integer::Is(number),
            None if number.is_u64() || number.as_f64().is_some_and(|float| float.abs() > 9.2e18) => {
                Integer::TooLarge
            }
            None => Integer::Not,
        },
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Integer::Not,
    }
}
