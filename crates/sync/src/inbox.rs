//! To-device messages for the viewer's device.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::Pos;
use reeve_rooms::error::Error;
use reeve_rooms::view::Viewer;
use reeve_store::to_device;
use serde_json::value::RawValue;

/// The maximum number of messages in one response. The rest follows with the next.
pub const MAX: i64 = 100;

/// Messages to a device, in order.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The messages, whole events.
    pub(crate) events: Vec<Box<RawValue>>,
    /// The position up to which these are all.
    pub(crate) upto: Pos,
    /// The position up to which the client acknowledges messages that are still stored, if there are any.
    pub(crate) acknowledged: Option<Pos>,
}

impl Inbox {
    /// Returns the messages in `(since, upto]`, the oldest first, up to the limit.
    pub(crate) fn look(
        tx: &ReadTx<'_>,
        viewer: &Viewer,
        since: Option<Pos>,
        upto: Pos,
        limit: i64,
    ) -> Result<Self, Error> {
        let (num, device_id, after) =
            (viewer.user_num, viewer.device_id.as_str(), since.unwrap_or(Pos::ZERO));
        let acknowledged = match since {
            Some(since) if to_device::has_upto(tx, num, device_id, since)? => Some(since),
            Some(_) | None => None,
        };
        let page = reeve_accounts::to_device::page(tx, num, device_id, after, limit)?;
        let upto = match page.messages.last() {
            Some(last) if page.has_more => last.pos,
            Some(_) | None => upto.max(after),
        };
        let events = page.messages.into_iter().map(|message| message.event);
        let events = events.map(|event| RawValue::from_string(event).map_err(Error::internal));
        Ok(Self { events: events.collect::<Result<_, _>>()?, upto, acknowledged })
    }
}

/// Deletes the messages that a client has acknowledged.
pub fn acknowledge(tx: &mut Tx<'_>, viewer: &Viewer, upto: Pos) -> Result<(), DbError> {
    to_device::delete_upto(tx, viewer.user_num, &viewer.device_id, upto)
}
