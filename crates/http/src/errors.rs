//! The schemas of errors in the OpenAPI document.

use serde_json::{Value, json};

/// Returns the schema of errors of Matrix.
pub(crate) fn matrix_error() -> Value {
    json!({
        "type": "object",
        "required": ["errcode", "error"],
        "properties": {
            "errcode": { "type": "string", "description": "The error code, for programs." },
            "error": { "type": "string", "description": "The error text, for people." },
            "soft_logout": {
                "type": "boolean",
                "description": "With 401: true if the client may keep its data and log in again.",
            },
            "retry_after_ms": {
                "type": "integer",
                "description": "With 429: the time after which to retry, in milliseconds.",
            },
        },
    })
}

/// Returns the schema of errors of SCIM.
pub(crate) fn scim_error() -> Value {
    json!({
        "type": "object",
        "required": ["schemas", "status", "detail"],
        "properties": {
            "schemas": { "type": "array", "items": { "type": "string" } },
            "status": { "type": "string", "description": "The HTTP status." },
            "scimType": { "type": "string", "description": "The kind of error, for programs." },
            "detail": { "type": "string", "description": "The error text, for people." },
        },
    })
}

/// Returns the schema of errors of OAuth 2.0.
pub(crate) fn oauth_error() -> Value {
    json!({
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {
            "error": { "type": "string", "description": "The error code, for programs." },
            "error_description": { "type": "string", "description": "The error text, for developers." },
        },
    })
}

/// Returns the schema of the response to user-interactive authentication that is not complete.
pub(crate) fn interactive() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["session", "flows", "params"],
        "properties": {
            "session": text,
            "flows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["stages"],
                    "properties": { "stages": { "type": "array", "items": text } },
                },
            },
            "params": { "type": "object" },
            "completed": { "type": "array", "items": text },
            "errcode": { "type": "string", "description": "The error code of the last stage." },
            "error": text,
        },
    })
}
