//! Events in the form of the authorisation rules.

use reeve_model::Millis;
use reeve_store::events::Event;
use reeve_store::rooms::Room;
use ruma::events::TimelineEventType;
use ruma::room_version_rules::RoomVersionRules;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;

use super::content::{content, raw_content};
use crate::error::Error;

/// An event in the form of the authorisation rules.
#[derive(Debug)]
pub(super) struct Pdu {
    pub(super) event_id: OwnedEventId,
    pub(super) room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    ts: MilliSecondsSinceUnixEpoch,
    event_type: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    /// The events that it follows; blank for a stored event, of which the rules do not ask for them.
    pub(super) prev_events: Vec<OwnedEventId>,
}

impl ruma::state_res::Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }
    fn room_id(&self) -> Option<&RoomId> {
        self.room_id.as_deref()
    }
    fn sender(&self) -> &UserId {
        &self.sender
    }
    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.ts
    }
    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }
    fn content(&self) -> &RawValue {
        &self.content
    }
    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }
    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }
    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        // The rules ask for them only in state resolution, to compare events of other servers.
        Box::new(std::iter::empty())
    }
    fn redacts(&self) -> Option<&OwnedEventId> {
        None
    }
    fn rejected(&self) -> bool {
        false
    }
}

/// The type of an event, and its state key, if it is a state event.
#[derive(Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) event_type: &'a str,
    pub(super) state_key: Option<&'a str>,
}

fn millis(ts: Millis) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(
        u64::try_from(ts.get()).ok().and_then(|ts| ts.try_into().ok()).unwrap_or_default(),
    )
}

impl Pdu {
    pub(super) fn new(
        event_id: OwnedEventId,
        room_id: Option<&str>,
        kind: Kind<'_>,
        sender: &str,
        ts: Millis,
        content: Box<RawValue>,
    ) -> Result<Self, Error> {
        Ok(Self {
            event_id,
            room_id: room_id.and_then(|id| RoomId::parse(id).ok()),
            sender: UserId::parse(sender).map_err(Error::internal)?,
            ts: millis(ts),
            event_type: TimelineEventType::from(kind.event_type),
            content,
            state_key: kind.state_key.map(str::to_owned),
            prev_events: Vec::new(),
        })
    }

    pub(super) fn stored(event: &Event, room: &Room, rules: &RoomVersionRules) -> Result<Self, Error> {
        let event_id = OwnedEventId::try_from(event.event_id.as_str()).map_err(Error::internal)?;
        let kind = Kind { event_type: &event.event_type, state_key: event.state_key.as_deref() };
        let content = if event.redacted_by.is_none() {
            raw_content(event)?
        } else {
            serde_json::value::to_raw_value(&content(event, rules)?).map_err(Error::internal)?
        };
        Self::new(event_id, Some(&room.room_id), kind, &event.sender, event.ts, content)
    }
}
