//! Account data for rooms, and tags.
//! <https://spec.matrix.org/v1.18/client-server-api/#client-config>,
//! <https://spec.matrix.org/v1.18/client-server-api/#room-tagging>

use reeve_accounts::Limits;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::UserNum;
use reeve_store::account_data;
use serde_json::{Map, Value, json};

use crate::error::Error;

/// The type of the account data that holds the tags of a room.
pub const TAGS: &str = "m.tag";
/// The maximum number of tags that a room can have.
const MAX_TAGS: usize = 100;
/// The longest tag, in bytes.
const MAX_TAG: usize = 255;

/// Returns the content of one type for a room; `None` if it was never set.
pub fn find(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
) -> Result<Option<Value>, DbError> {
    let Some(content) = account_data::find(tx, user_num, room_id, data_type)? else { return Ok(None) };
    let content = serde_json::from_str(&content);
    content.map(Some).map_err(|error| DbError::Internal(format!("account data is not JSON: {error}")))
}

/// Replaces the content of one type for a room.
pub fn set(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
    content: &Map<String, Value>,
) -> Result<(), Error> {
    Ok(reeve_accounts::account_data::put(tx, limits, user_num, room_id, data_type, content)?)
}

/// Returns the tags of a room.
pub fn tags(tx: &ReadTx<'_>, user_num: UserNum, room_id: &str) -> Result<Map<String, Value>, DbError> {
    let content = find(tx, user_num, room_id, TAGS)?;
    Ok(content.and_then(|content| content.get("tags")?.as_object().cloned()).unwrap_or_default())
}

/// Sets a tag of a room; `None` removes it.
pub fn set_tag(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    room_id: &str,
    tag: &str,
    content: Option<Map<String, Value>>,
) -> Result<(), Error> {
    if tag.len() > MAX_TAG {
        return Err(Error::Invalid("The tag is too long".to_owned()));
    }
    let mut tags = tags(tx, user_num, room_id)?;
    match content {
        Some(content) => drop(tags.insert(tag.to_owned(), Value::Object(content))),
        None => {
            if tags.shift_remove(tag).is_none() {
                return Ok(());
            }
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(Error::Invalid("Too many tags".to_owned()));
    }
    let content = Map::from_iter([("tags".to_owned(), json!(tags))]);
    set(tx, limits, user_num, room_id, TAGS, &content)
}
