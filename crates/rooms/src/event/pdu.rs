//! Events in the form in which the authorisation rules read them, and the state that these look up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use reeve_db::ReadTx;
use reeve_model::Millis;
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::room_version_rules::RoomVersionRules;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;

use super::content::{content, raw_content};
use crate::error::Error;

/// An event in the form in which the authorisation rules look at it.
#[derive(Debug)]
pub(super) struct Pdu {
    pub(super) event_id: OwnedEventId,
    pub(super) room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    ts: MilliSecondsSinceUnixEpoch,
    event_type: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    pub(super) prev_events: Vec<OwnedEventId>,
    pub(super) auth_events: Vec<OwnedEventId>,
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
        Box::new(self.auth_events.iter())
    }
    fn redacts(&self) -> Option<&OwnedEventId> {
        None
    }
    fn rejected(&self) -> bool {
        false
    }
}

fn millis(ts: Millis) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(
        u64::try_from(ts.get()).ok().and_then(|ts| ts.try_into().ok()).unwrap_or_default(),
    )
}

impl Pdu {
    pub(super) fn new(
        event_id: OwnedEventId,
        room_id: &str,
        (event_type, state_key): (&str, Option<&str>),
        sender: &str,
        ts: Millis,
        content: Box<RawValue>,
    ) -> Result<Self, Error> {
        Ok(Self {
            event_id,
            room_id: RoomId::parse(room_id).ok(),
            sender: UserId::parse(sender).map_err(Error::internal)?,
            ts: millis(ts),
            event_type: TimelineEventType::from(event_type),
            content,
            state_key: state_key.map(str::to_owned),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
        })
    }

    pub(super) fn stored(event: &Event, room: &Room, rules: &RoomVersionRules) -> Result<Self, Error> {
        let event_id = OwnedEventId::try_from(event.event_id.as_str()).map_err(Error::internal)?;
        let key = (event.event_type.as_str(), event.state_key.as_deref());
        let content = if event.redacted_by.is_none() {
            raw_content(event)?
        } else {
            serde_json::value::to_raw_value(&content(event, rules)?).map_err(Error::internal)?
        };
        Self::new(event_id, &room.room_id, key, &event.sender, event.ts, content)
    }
}

/// Pieces of state by type and state key, as far as they were looked up.
type Known = HashMap<(String, String), Option<Arc<Pdu>>>;

/// The state of a room, looked up when the rules ask for it.
pub(super) struct State<'t, 'c> {
    tx: &'t ReadTx<'c>,
    room: &'t Room,
    rules: &'t RoomVersionRules,
    known: RefCell<Known>,
    pub(super) failure: RefCell<Option<Error>>,
}

impl<'t, 'c> State<'t, 'c> {
    pub(super) fn new(tx: &'t ReadTx<'c>, room: &'t Room, rules: &'t RoomVersionRules) -> Self {
        Self { tx, room, rules, known: RefCell::default(), failure: RefCell::default() }
    }

    pub(super) fn look_up(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Pdu>>, Error> {
        let key = (event_type.to_owned(), state_key.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = events::state(self.tx, self.room.num, event_type, state_key)?;
        let found = found.map(|event| Pdu::stored(&event, self.room, self.rules)).transpose()?.map(Arc::new);
        self.known.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    pub(super) fn get(&self, event_type: &StateEventType, state_key: &str) -> Option<Arc<Pdu>> {
        self.look_up(&event_type.to_string(), state_key).unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            None
        })
    }
}
