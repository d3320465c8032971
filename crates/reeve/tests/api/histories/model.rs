//! A model of a room, derived from its events alone, and of its rules.

use std::collections::BTreeMap;

use reeve_testkit::Client;
use ruma::canonical_json::redact_content_in_place;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::room_version_rules::RoomVersionRules;
use ruma::state_res::check_state_dependent_auth_rules;
use ruma::{
    CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    RoomVersionId, UserId,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::rooms_kit::{at, list, messages, ok, room_path};

/// Type and state key.
pub(crate) type Key = (String, String);
/// The ids of the events that are the state.
pub(crate) type StateIds = BTreeMap<Key, String>;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) event_id: String,
    pub(crate) kind: String,
    pub(crate) state_key: Option<String>,
    pub(crate) sender: String,
    pub(crate) content: Value,
}

impl Fact {
    pub(crate) fn of(json: &Value) -> Self {
        Self {
            event_id: at(json, "/event_id").to_owned(),
            kind: at(json, "/type").to_owned(),
            state_key: json["state_key"].as_str().map(str::to_owned),
            sender: at(json, "/sender").to_owned(),
            content: json["content"].clone(),
        }
    }

    pub(crate) fn key(&self) -> Option<Key> {
        self.state_key.clone().map(|key| (self.kind.clone(), key))
    }
}

/// An event that a user wants to send.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) state_key: Option<String>,
    pub(crate) sender: String,
    pub(crate) content: Value,
}

/// A room.
pub(crate) struct History {
    pub(crate) room_id: String,
    pub(crate) rules: RoomVersionRules,
    /// Everything that happened, the oldest first.
    pub(crate) events: Vec<Fact>,
    pub(crate) state: BTreeMap<Key, Fact>,
}

impl History {
    /// A room as its creator finds it.
    pub(crate) async fn new(creator: &Client, room_id: String, version: &str) -> Self {
        let rules = RoomVersionId::try_from(version).unwrap().rules().unwrap();
        let page = messages(creator, &room_id, "dir=f&limit=100").await;
        let mut room = Self { room_id, rules, events: Vec::new(), state: BTreeMap::new() };
        for event in list(&page, "/chunk") {
            room.push(Fact::of(event));
        }
        room
    }

    /// Adds what happened.
    pub(crate) fn push(&mut self, event: Fact) {
        if let Some(key) = event.key() {
            self.state.insert(key, event.clone());
        }
        self.events.push(event);
    }

    pub(crate) fn get(&self, kind: &str, key: &str) -> Option<&Fact> {
        self.state.get(&(kind.to_owned(), key.to_owned()))
    }

    fn content(&self, kind: &str, key: &str) -> Value {
        self.get(kind, key).map_or(Value::Null, |event| event.content.clone())
    }

    /// The membership of a user; empty if there is none.
    pub(crate) fn membership(&self, user_id: &str) -> &str {
        self.get("m.room.member", user_id).map_or("", |event| at(&event.content, "/membership"))
    }

    /// Everybody who is in.
    pub(crate) fn joined(&self) -> Vec<String> {
        let members = self.state.values().filter(|event| event.kind == "m.room.member");
        let joined = members.filter(|event| event.content["membership"] == "join");
        joined.filter_map(|event| event.state_key.clone()).collect()
    }

    /// True if a user is or ever was a member.
    pub(crate) fn was_joined(&self, user_id: &str) -> bool {
        let mut own = self
            .events
            .iter()
            .filter(|event| event.kind == "m.room.member" && event.state_key.as_deref() == Some(user_id));
        own.any(|event| event.content["membership"] == "join")
    }

    pub(crate) fn visibility(&self) -> String {
        at(&self.content("m.room.history_visibility", ""), "/history_visibility").to_owned()
    }

    pub(crate) fn join_rule(&self) -> String {
        at(&self.content("m.room.join_rules", ""), "/join_rule").to_owned()
    }

    pub(crate) fn powers(&self) -> Value {
        self.content("m.room.power_levels", "")
    }

    /// True if a user has the power to redact events of others.
    pub(crate) fn may_redact(&self, user_id: &str) -> bool {
        let create = self.get("m.room.create", "").unwrap();
        let creators = list(&create.content, "/additional_creators");
        if self.rules.authorization.explicitly_privilege_room_creators
            && (create.sender == user_id || creators.contains(&json!(user_id)))
        {
            return true;
        }
        let powers = self.powers();
        let own = powers["users"][user_id].as_i64().or(powers["users_default"].as_i64()).unwrap_or(0);
        own >= powers["redact"].as_i64().unwrap_or(50)
    }

    /// True if the rules of the room allow an event.
    pub(crate) fn allows(&self, draft: &Draft) -> bool {
        let pdu = Pdu::new(
            &self.room_id,
            &EventId::parse("$new").unwrap(),
            (draft.kind, draft.state_key.as_deref()),
            &draft.sender,
            &draft.content,
        );
        let state = |kind: &StateEventType, key: &str| {
            let event = self.get(&kind.to_string(), key)?;
            let event_id = EventId::parse(event.event_id.as_str()).unwrap();
            let key = (event.kind.as_str(), event.state_key.as_deref());
            Some(Pdu::new(&self.room_id, &event_id, key, &event.sender, &event.content))
        };
        check_state_dependent_auth_rules(&self.rules.authorization, pdu, state).is_ok()
    }

    /// Removes the content of an event.
    pub(crate) fn redact(&mut self, event_id: &str) {
        let now = self.state.values_mut().chain(&mut self.events);
        for event in now.filter(|event| event.event_id == event_id) {
            let CanonicalJsonValue::Object(mut content) = event.content.clone().try_into().unwrap() else {
                panic!("{event:?}");
            };
            redact_content_in_place(&mut content, &self.rules.redaction, &event.kind);
            event.content = serde_json::to_value(content).unwrap();
        }
    }

    /// The state after each event, derived from the events alone.
    pub(crate) fn states(&self) -> Vec<StateIds> {
        let mut state = StateIds::new();
        let states = self.events.iter().map(|event| {
            if let Some(key) = event.key() {
                state.insert(key, event.event_id.clone());
            }
            state.clone()
        });
        states.collect()
    }

    /// The ids of the events that a user can see.
    /// <https://spec.matrix.org/v1.18/client-server-api/#room-history-visibility>
    pub(crate) fn seen_by(&self, user_id: &str) -> Vec<&str> {
        // The visibility and the membership before the first event, and after each.
        let mut times = vec![("shared", "")];
        for event in &self.events {
            let (mut visibility, mut membership) = times.last().copied().unwrap();
            match (event.kind.as_str(), event.state_key.as_deref()) {
                ("m.room.history_visibility", Some("")) => {
                    visibility = at(&event.content, "/history_visibility");
                }
                ("m.room.member", Some(key)) if key == user_id => {
                    membership = at(&event.content, "/membership");
                }
                _ => {}
            }
            times.push((visibility, membership));
        }
        let may_see = |index: usize, event: &Fact| {
            // Only the event that changes it makes a difference between the two.
            let around = &times[index..=index + 1];
            let was = |membership| around.iter().any(|time| time.1 == membership);
            let by = |visibility| around.iter().any(|time| time.0 == visibility);
            let comes_later = times[index + 1..].iter().any(|time| time.1 == "join");
            // Changes of a user's own membership are always visible to the user.
            let own = event.kind == "m.room.member" && event.state_key.as_deref() == Some(user_id);
            own || by("world_readable")
                || was("join")
                || (by("shared") && comes_later)
                || (by("invited") && was("invite"))
        };
        let seen = self.events.iter().enumerate().filter(|(index, event)| may_see(*index, event));
        seen.map(|(_, event)| event.event_id.as_str()).collect()
    }

    /// The state as the server has it.
    pub(crate) async fn stored_state(&self, reader: &Client) -> BTreeMap<Key, Fact> {
        let body = ok(reader.get(&room_path(&self.room_id, "state")).await);
        by_key(body.as_array().unwrap())
    }
}

/// State events by type and key; there must be one of each.
pub(crate) fn by_key(events: &[Value]) -> BTreeMap<Key, Fact> {
    let mut state = BTreeMap::new();
    for event in events.iter().map(Fact::of) {
        let before = state.insert(event.key().unwrap(), event);
        assert_eq!(before, None, "a piece of state twice");
    }
    state
}

/// The ids of state events.
pub(crate) fn ids(state: &BTreeMap<Key, Fact>) -> StateIds {
    state.iter().map(|(key, event)| (key.clone(), event.event_id.clone())).collect()
}

/// An event as the rules look at it.
#[derive(Debug)]
struct Pdu {
    event_id: OwnedEventId,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    kind: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    prev_events: Vec<OwnedEventId>,
}

impl Pdu {
    fn new(
        room_id: &str,
        event_id: &EventId,
        (kind, state_key): (&str, Option<&str>),
        sender: &str,
        content: &Value,
    ) -> Self {
        Self {
            event_id: event_id.to_owned(),
            room_id: RoomId::parse(room_id).ok().filter(|_| kind != "m.room.create"),
            sender: UserId::parse(sender).unwrap(),
            kind: kind.into(),
            content: to_raw_value(content).unwrap(),
            state_key: state_key.map(str::to_owned),
            prev_events: vec![EventId::parse("$before").unwrap()],
        }
    }
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
        MilliSecondsSinceUnixEpoch(0_u32.into())
    }
    fn event_type(&self) -> &TimelineEventType {
        &self.kind
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
        Box::new(std::iter::empty())
    }
    fn redacts(&self) -> Option<&OwnedEventId> {
        None
    }
    fn rejected(&self) -> bool {
        false
    }
}
