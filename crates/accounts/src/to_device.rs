//! Messages from device to device.
//! <https://spec.matrix.org/v1.18/client-server-api/#send-to-device-messaging>
//!
//! A message waits until a sync of the device acknowledges it. A device that is never used again gets messages for
//! ever, so that the oldest go when there are very many.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Pos, UserNum};
use reeve_store::to_device::Queued;
use reeve_store::transactions::{self, Key};
use reeve_store::{devices, stream, to_device};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::policy::Limits;

/// How many messages one request may send. One to all devices of somebody counts once.
const MAX_MESSAGES: usize = 5000;
/// How many bytes one request may put into all queues together.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long the content of a message may be, in bytes.
const MAX: usize = 64 * 1024;
/// A page of messages ends when it has so many bytes.
const PAGE_BYTES: usize = 1024 * 1024;
/// How many messages to devices that are gone one step deletes.
const CLEARED_AT_ONCE: i64 = 1000;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    user_id: String,
    /// `None` for all devices of the account.
    device_id: Option<String>,
    /// The whole event, as JSON.
    event: String,
}

/// Reads what is to be sent: contents by user id and device, which is `*` for all.
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
    // A message to a device comes before one to all, which that device then does not get as well.
    found.sort_by_key(|message| message.device_id.is_none());
    Ok(found)
}

/// Sends messages, unless an earlier request with this key did. Those to unknown devices are lost.
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

/// Returns how many bytes may wait for a device of an account, in whose queue `used` were counted: its part of what may
/// wait for the account. Devices are only counted where that can matter.
fn room(tx: &ReadTx<'_>, limits: &Limits, user_num: UserNum, used: i64) -> Result<i64, DbError> {
    let of_account = limits.waiting_message_bytes_per_account;
    if used <= of_account / limits.devices.max(1) {
        return Ok(limits.waiting_message_bytes);
    }
    let devices = devices::count_of_user(tx, user_num, limits.devices)?.max(1);
    Ok(limits.waiting_message_bytes.min(of_account / devices))
}

/// The messages of a device after a position, in order, with their positions: at most `limit`, and not many more bytes
/// than a page has. Answers also whether there may be more.
pub fn page(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    device_id: &str,
    after: Pos,
    limit: i64,
) -> Result<(Vec<(Pos, String)>, bool), DbError> {
    let mut found = to_device::pending(tx, user_num, device_id, after, limit)?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= limit);
    let mut bytes = 0;
    let fit = found.iter().take_while(|(_, event)| {
        let is_open = bytes < PAGE_BYTES;
        bytes += event.len();
        is_open
    });
    let fit = fit.count();
    let is_cut = fit < found.len();
    found.truncate(fit);
    Ok((found, is_full || is_cut))
}

/// Deletes a part of the messages to devices that are gone; answers whether there may be more.
pub fn clear(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    to_device::clear(tx, CLEARED_AT_ONCE)
}
