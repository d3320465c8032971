//! To-device messages.
//! <https://spec.matrix.org/v1.18/client-server-api/#send-to-device-messaging>
//!
//! A message stays until a sync of the device acknowledges it. A device that is never used again gets messages without
//! end, so the oldest are deleted when there are very many.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Pos, UserNum};
use reeve_store::to_device::Queued;
use reeve_store::transactions::{self, Key};
use reeve_store::{devices, stream, to_device};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::policy::Limits;

/// The maximum number of messages in one request. One to all devices of a user counts once.
const MAX_MESSAGES: usize = 5000;
/// The maximum number of bytes that one request adds to all queues together.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The maximum length of the content of a message, in bytes.
const MAX: usize = 64 * 1024;
/// The size at which a page of messages ends, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;
/// The number of messages to deleted devices that one step deletes.
const DELETED_AT_ONCE: i64 = 1000;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    user_id: String,
    /// The device; `None` for all devices of the account.
    device_id: Option<String>,
    /// The whole event, as JSON.
    event: String,
}

/// Reads the messages of a request: contents by user id and device, which is `*` for all.
pub fn read(sender: &str, event_type: &str, messages: &Map<String, Value>) -> Result<Vec<Message>, Error> {
    let mut found = Vec::new();
    for (user_id, of_user) in messages {
        let of_user = of_user
            .as_object()
            .ok_or_else(|| Error::BadKeys("'messages' must be an object of objects of objects".to_owned()))?;
        for (device_id, content) in of_user {
            if !content.is_object() {
                return Err(Error::BadKeys("'messages' must be an object of objects of objects".to_owned()));
            }
            if content.to_string().len() > MAX {
                return Err(Error::MessageTooLong);
            }
            found.push(Message {
                user_id: user_id.clone(),
                device_id: Some(device_id.clone()).filter(|device_id| device_id != "*"),
                event: json!({ "type": event_type, "sender": sender, "content": content }).to_string(),
            });
        }
    }
    if found.len() > MAX_MESSAGES {
        return Err(Error::TooManyMessages);
    }
    // A message to one device comes before one to all devices, which that device then does not get.
    found.sort_by_key(|message| message.device_id.is_none());
    Ok(found)
}

/// Sends messages, unless an earlier request with this key did. Messages to unknown devices are dropped.
pub fn send(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    limits: &Limits,
    key: &Key,
    messages: &[Message],
) -> Result<(), Error> {
    if !transactions::begin(tx, key, ctx.now)? || messages.is_empty() {
        return Ok(());
    }
    let pos = stream::next(tx)?;
    let mut bytes = 0_usize;
    for Message { user_id, device_id, event } in messages {
        for Queued { user_num, device_id, seq, upto_bytes } in
            to_device::put(tx, user_id, device_id.as_deref(), pos, event)?
        {
            bytes = bytes.saturating_add(event.len());
            let (seq, upto_bytes) =
                (seq - limits.waiting_messages, upto_bytes - room(tx, limits, user_num, upto_bytes)?);
            if seq > 0 || upto_bytes > 0 {
                to_device::delete_first(tx, user_num, &device_id, seq, upto_bytes)?;
            }
        }
        if bytes > MAX_BYTES {
            return Err(Error::too_long("The messages of a request", MAX_BYTES));
        }
    }
    Ok(())
}

/// Returns the maximum size of the queue of a device, in bytes: its share of the limit of the account. `used` is the
/// present size of the queue. Devices are counted only where that can matter.
fn room(tx: &ReadTx<'_>, limits: &Limits, user_num: UserNum, used: i64) -> Result<i64, DbError> {
    let of_account = limits.waiting_message_bytes_per_account;
    if used <= of_account / limits.devices.max(1) {
        return Ok(limits.waiting_message_bytes);
    }
    let devices = devices::count_of_user(tx, user_num, limits.devices)?.max(1);
    Ok(limits.waiting_message_bytes.min(of_account / devices))
}

/// A page of messages.
#[derive(Debug)]
pub struct Page {
    /// The messages, in order.
    pub messages: Vec<to_device::Message>,
    /// True if there may be more.
    pub has_more: bool,
}

/// Returns the messages of a device after a position: at most `limit`, and not many more bytes than a page has.
pub fn page(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    after: Pos,
    limit: i64,
) -> Result<Page, DbError> {
    let mut messages = to_device::pending(tx, user_num, device_id, after, limit)?;
    let is_full = i64::try_from(messages.len()).is_ok_and(|count| count >= limit);
    let mut bytes = 0;
    let fit = messages.iter().take_while(|message| {
        let is_open = bytes < PAGE_BYTES;
        bytes += message.event.len();
        is_open
    });
    let fit = fit.count();
    let is_cut = fit < messages.len();
    messages.truncate(fit);
    Ok(Page { messages, has_more: is_full || is_cut })
}

/// Deletes a part of the messages to deleted devices; returns true if there may be more.
pub fn delete_orphaned(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    to_device::delete_orphaned(tx, DELETED_AT_ONCE)
}
