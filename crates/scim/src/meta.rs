//! Attributes that resources of all types have.

use reeve_app::MatrixError;
use reeve_app::json::Object;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Facts about a resource.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meta {
    #[serde(rename = "resourceType")]
    #[schema(required = false)]
    pub(crate) resource_type: &'static str,
    /// A role has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2023-11-14T22:13:20Z")]
    pub(crate) created: Option<String>,
    /// The time of the last act of administration on it, or of its creation.
    #[serde(rename = "lastModified", skip_serializing_if = "Option::is_none")]
    #[schema(example = "2023-11-14T22:13:20Z")]
    pub(crate) last_modified: Option<String>,
    #[schema(required = false)]
    pub(crate) location: String,
    /// As in the header `ETag`. A group without its members has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// Returns a view as an object.
pub(crate) fn object(view: &impl Serialize) -> Result<Object, MatrixError> {
    match serde_json::to_value(view).map_err(MatrixError::internal)? {
        Value::Object(object) => Ok(object),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(MatrixError::internal(format!("a resource is {other}")))
        }
    }
}
