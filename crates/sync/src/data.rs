//! Account data in the form of the API.

use reeve_rooms::error::Error;
use reeve_store::account_data::AccountData;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A piece of account data. Stored content is passed on unparsed, since it may be long.
#[derive(Debug, Serialize)]
pub(crate) struct DataEvent {
    #[serde(rename = "type")]
    data_type: String,
    content: Box<RawValue>,
}

impl DataEvent {
    /// Wraps stored account data.
    pub(crate) fn stored(data: AccountData) -> Result<Self, Error> {
        let content = RawValue::from_string(data.content).map_err(Error::internal)?;
        Ok(Self { data_type: data.data_type, content })
    }

    /// Wraps content that was made for the client.
    pub(crate) fn made(data_type: &str, content: &Value) -> Result<Self, Error> {
        let content = to_raw_value(content).map_err(Error::internal)?;
        Ok(Self { data_type: data_type.to_owned(), content })
    }
}
