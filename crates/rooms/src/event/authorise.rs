//! Authorisation of events by the rules of their room and its present state.
//! <https://spec.matrix.org/v1.18/server-server-api/#authorization-rules>

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use reeve_db::ReadTx;
use reeve_store::events;
use reeve_store::rooms::Room;
use ruma::UserId;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::room_version_rules::RoomVersionRules;
use ruma::state_res::{auth_types_for_event, check_state_dependent_auth_rules};
use serde_json::value::RawValue;

use super::Draft;
use super::pdu::Pdu;
use crate::error::Error;

/// Pieces of state by type and state key, as far as they were read.
type Known = HashMap<(String, String), Option<Arc<Pdu>>>;

/// The state of a room, read when the rules ask for it.
pub(super) struct State<'t, 'c> {
    tx: &'t ReadTx<'c>,
    room: &'t Room,
    rules: &'t RoomVersionRules,
    known: RefCell<Known>,
    failure: RefCell<Option<Error>>,
}

impl<'t, 'c> State<'t, 'c> {
    pub(super) fn new(tx: &'t ReadTx<'c>, room: &'t Room, rules: &'t RoomVersionRules) -> Self {
        Self { tx, room, rules, known: RefCell::default(), failure: RefCell::default() }
    }

    fn look_up(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Pdu>>, Error> {
        let key = (event_type.to_owned(), state_key.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = events::state(self.tx, self.room.num, event_type, state_key)?;
        let found = found.map(|event| Pdu::stored(&event, self.room, self.rules)).transpose()?.map(Arc::new);
        self.known.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    fn get(&self, event_type: &StateEventType, state_key: &str) -> Option<Arc<Pdu>> {
        self.look_up(&event_type.to_string(), state_key).unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            None
        })
    }

    /// Returns the ids of the state events by which a draft is checked. `raw` is its content.
    pub(super) fn auth_events(&self, draft: &Draft, raw: &RawValue) -> Result<Vec<String>, Error> {
        let sender = UserId::parse(&draft.sender).map_err(Error::internal)?;
        let event_type = TimelineEventType::from(draft.event_type.as_str());
        let state_key = draft.state_key.as_deref();
        let auth_types =
            auth_types_for_event(&event_type, &sender, state_key, raw, &self.rules.authorization)
                .map_err(Error::BadContent)?;
        let mut auth_events = Vec::with_capacity(auth_types.len());
        for (event_type, state_key) in &auth_types {
            if let Some(event) = self.look_up(&event_type.to_string(), state_key)? {
                auth_events.push(event.event_id.to_string());
            }
        }
        Ok(auth_events)
    }

    /// Refuses an event that the state does not allow.
    pub(super) fn authorise(&self, event: &Pdu) -> Result<(), Error> {
        let allowed =
            check_state_dependent_auth_rules(&self.rules.authorization, event, |event_type, state_key| {
                self.get(event_type, state_key)
            });
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => allowed.map_err(Error::Forbidden),
        }
    }
}
