//! Global account data: settings that clients store on the server.
//! <https://spec.matrix.org/v1.18/client-server-api/#client-config>

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::UserNum;
use reeve_store::account_data;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::policy::Limits;

/// The room id of global account data.
const GLOBAL: &str = "";

/// Returns the endpoint at which clients change a type that the server itself maintains; `None` for other types.
pub fn changed_elsewhere(data_type: &str) -> Option<&'static str> {
    match data_type {
        "m.fully_read" => Some("/rooms/!roomId:server.name/read_markers"),
        "m.push_rules" => Some("/pushrules"),
        _ => None,
    }
}

/// Returns true if the content would make users ignore themselves.
pub fn ignores(data_type: &str, content: &Map<String, Value>, user_id: &str) -> bool {
    data_type == "m.ignored_user_list"
        && content
            .get("ignored_users")
            .and_then(Value::as_object)
            .is_some_and(|users| users.contains_key(user_id))
}

/// Returns the content of one type; `None` if it was never set.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum, data_type: &str) -> Result<Option<Value>, DbError> {
    let Some(content) = account_data::find(tx, user_num, GLOBAL, data_type)? else { return Ok(None) };
    let content = serde_json::from_str(&content);
    content.map(Some).map_err(|error| DbError::Internal(format!("account data is not JSON: {error}")))
}

/// The longest type and the longest room id, in bytes.
const MAX_TYPE_LEN: usize = 512;
const MAX_ROOM_ID_LEN: usize = 255;

/// Replaces the content of one type for a room, or globally if the room id is blank.
pub fn put(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    room_id: &str,
    data_type: &str,
    content: &Map<String, Value>,
) -> Result<(), Error> {
    if data_type.len() > MAX_TYPE_LEN {
        return Err(Error::too_long("The type of account data", MAX_TYPE_LEN));
    }
    if room_id.len() > MAX_ROOM_ID_LEN {
        return Err(Error::too_long("A room id", MAX_ROOM_ID_LEN));
    }
    let content = serde_json::to_string(content)
        .map_err(|error| DbError::Internal(format!("account data cannot be written as JSON: {error}")))?;
    let Some(totals) = account_data::put(tx, user_num, room_id, data_type, &content)? else { return Ok(()) };
    if totals.entries > limits.account_data {
        return Err(Error::too_many("An account", limits.account_data, "pieces of account data"));
    }
    if totals.bytes > limits.account_data_bytes {
        let most = limits.account_data_bytes;
        return Err(Error::TooLong { what: "The account data of an account", most });
    }
    Ok(())
}

/// Replaces the global content of one type.
pub fn set(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    data_type: &str,
    content: &Map<String, Value>,
) -> Result<(), Error> {
    put(tx, limits, user_num, GLOBAL, data_type, content)
}
