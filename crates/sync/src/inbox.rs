//! Messages to the device that looks.

use reeve_accounts::to_device as deeds;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::Pos;
use reeve_rooms::error::Error;
use reeve_rooms::view::Viewer;
use reeve_store::to_device;
use serde_json::value::RawValue;

/// How many messages one answer has at most. The rest follows with the next.
pub const MAX: i64 = 100;

/// Messages to a device, in order.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The messages, whole events.
    pub(crate) events: Vec<Box<RawValue>>,
    /// The position up to which these are all.
    pub(crate) upto: Pos,
    /// The position up to which the client has messages that are still kept here, if there are any.
    pub(crate) acknowledged: Option<Pos>,
}

impl Inbox {
    /// The messages in `(since, upto]`, the oldest first, as many as the limit lets through.
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
            _ => None,
        };
        let (found, has_more) = deeds::page(tx, num, device_id, after, limit)?;
        let upto = match found.last() {
            Some((pos, _)) if has_more => *pos,
            _ => upto.max(after),
        };
        let events =
            found.into_iter().map(|(_, event)| RawValue::from_string(event).map_err(Error::internal));
        Ok(Self { events: events.collect::<Result<_, _>>()?, upto, acknowledged })
    }
}

/// Deletes the messages that a client has by now.
pub fn acknowledge(tx: &mut Tx<'_>, viewer: &Viewer, upto: Pos) -> Result<(), DbError> {
    to_device::delete_upto(tx, viewer.user_num, &viewer.device_id, upto)
}
