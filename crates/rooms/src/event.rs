//! Making events: complete, signed, checked against the rules of the room, and appended to its history.
//! <https://spec.matrix.org/v1.18/server-server-api/#pdus>

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use reeve_db::{ReadTx, Tx};
use reeve_model::{Membership, Millis, Pos};
use reeve_store::events::{self, Event};
use reeve_store::memberships::{self, Member};
use reeve_store::rooms::{self, Room};
use reeve_store::{account_data, notifications, pushers, silences, stream, users};
use ruma::canonical_json::redact_content_in_place;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::room_version_rules::RoomVersionRules;
use ruma::signatures::{JsonError, hash_and_sign_event, reference_hash};
use ruma::state_res::{
    auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, RoomId, UserId,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::types;
use crate::upgrade::personal;
use crate::{Home, membership, push, version, words};

/// Why a deactivated account is kept out of rooms.
pub(crate) const DEACTIVATED: &str = "This account has been deactivated";
/// The largest event, in bytes of its canonical JSON.
pub const MAX_EVENT: usize = 65_535;
/// The longest type, state key, sender and room id, in bytes.
const MAX_KEY: usize = 255;
/// How deep content may nest.
const MAX_DEPTH: usize = 100;

/// An event that somebody wants to send.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its type.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Who sends it.
    pub sender: String,
    /// Its content.
    pub content: Map<String, Value>,
    /// The event that it redacts.
    pub redacts: Option<String>,
    /// Whether an administrator of the server ordered it, past the rules of the room.
    pub ordered: bool,
}

impl Draft {
    /// A message-like event.
    pub fn message(event_type: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { event_type: event_type.to_owned(), sender: sender.to_owned(), content, ..Self::default() }
    }

    /// A state event.
    pub fn state(event_type: &str, state_key: &str, sender: &str, content: Map<String, Value>) -> Self {
        Self { state_key: Some(state_key.to_owned()), ..Self::message(event_type, sender, content) }
    }
}

/// The rules of a room's version.
pub fn rules(room: &Room) -> Result<RoomVersionRules, Error> {
    version::rules(&room.version).ok_or_else(|| Error::internal(format!("room version {}", room.version)))
}

/// The content of a stored event, without what a redaction took away.
pub fn content(event: &Event, rules: &RoomVersionRules) -> Result<Map<String, Value>, Error> {
    #[derive(serde::Deserialize)]
    struct Wire {
        content: Map<String, Value>,
    }
    let Wire { content } = serde_json::from_str(&event.json).map_err(Error::internal)?;
    if event.redacted_by.is_none() {
        return Ok(content);
    }
    let mut content = canonical(&content)?;
    redact_content_in_place(&mut content, &rules.redaction, &event.event_type);
    plain(&content)
}

/// The content of an event that is not redacted, as it is stored.
fn raw_content(event: &Event) -> Result<Box<RawValue>, Error> {
    #[derive(serde::Deserialize)]
    struct Wire<'e> {
        #[serde(borrow)]
        content: &'e RawValue,
    }
    let Wire { content } = serde_json::from_str(&event.json).map_err(Error::internal)?;
    Ok(content.to_owned())
}

/// The content as canonical JSON; refuses what canonical JSON cannot express.
fn canonical(content: &Map<String, Value>) -> Result<CanonicalJsonObject, Error> {
    match CanonicalJsonValue::try_from(Value::Object(content.clone())) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(Error::internal("an object became something else")),
        Err(error) => Err(Error::BadContent(format!("Content is not valid canonical JSON: {error}"))),
    }
}

fn plain(content: &CanonicalJsonObject) -> Result<Map<String, Value>, Error> {
    match serde_json::to_value(content) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Error::internal("canonical JSON is not JSON")),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// An event in the form in which the authorisation rules look at it.
#[derive(Debug)]
struct Pdu {
    event_id: OwnedEventId,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    ts: MilliSecondsSinceUnixEpoch,
    event_type: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
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
    fn new(
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

    fn stored(event: &Event, room: &Room, rules: &RoomVersionRules) -> Result<Self, Error> {
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
struct State<'t, 'c> {
    tx: &'t ReadTx<'c>,
    room: &'t Room,
    rules: &'t RoomVersionRules,
    known: RefCell<Known>,
    failure: RefCell<Option<Error>>,
}

impl<'t, 'c> State<'t, 'c> {
    fn new(tx: &'t ReadTx<'c>, room: &'t Room, rules: &'t RoomVersionRules) -> Self {
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
}

/// Checks the shape of a draft: what must hold whatever the room.
fn check_shape(draft: &Draft) -> Result<(), Error> {
    if draft.event_type.len() > MAX_KEY {
        return Err(Error::TooLarge("'type' is too large"));
    }
    if draft.state_key.as_ref().is_some_and(|key| key.len() > MAX_KEY) {
        return Err(Error::TooLarge("'state_key' is too large"));
    }
    if draft.content.values().map(depth).max().unwrap_or(0) > MAX_DEPTH {
        return Err(Error::BadContent("Content is nested too deeply".to_owned()));
    }
    if draft.event_type == types::POWER_LEVELS && draft.state_key.as_deref() == Some("") {
        membership::check_levels(&draft.content)?;
    }
    Ok(())
}

/// A signed event that is not stored yet.
struct Signed {
    event_id: OwnedEventId,
    json: String,
}

fn sign(
    home: &Home,
    room_id: Option<&str>,
    draft: &Draft,
    (prev_events, auth_events): (&[String], &[String]),
    depth: i64,
    now: Millis,
    rules: &RoomVersionRules,
) -> Result<Signed, Error> {
    let mut content = canonical(&draft.content)?;
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let list = |ids: &[String]| CanonicalJsonValue::Array(ids.iter().map(|id| text(id)).collect());
    let number = |number: i64| {
        ruma::Int::try_from(number)
            .map(CanonicalJsonValue::Integer)
            .map_err(|_| Error::internal("a number beyond canonical JSON"))
    };
    let mut event = CanonicalJsonObject::new();
    if let Some(redacts) = &draft.redacts {
        if rules.redaction.content_field_redacts {
            content.insert("redacts".to_owned(), text(redacts));
        } else {
            event.insert("redacts".to_owned(), text(redacts));
        }
    }
    event.insert("auth_events".to_owned(), list(auth_events));
    event.insert("prev_events".to_owned(), list(prev_events));
    event.insert("content".to_owned(), CanonicalJsonValue::Object(content));
    event.insert("depth".to_owned(), number(depth)?);
    event.insert("origin_server_ts".to_owned(), number(now.get())?);
    event.insert("sender".to_owned(), text(&draft.sender));
    event.insert("type".to_owned(), text(&draft.event_type));
    if let Some(state_key) = &draft.state_key {
        event.insert("state_key".to_owned(), text(state_key));
    }
    if let Some(room_id) = room_id {
        event.insert("room_id".to_owned(), text(room_id));
    }
    hash_and_sign_event(&home.server_name, home.key.pair(), &mut event, &rules.redaction)
        .map_err(unsigned)?;
    let hash = reference_hash(&event, rules).map_err(unsigned)?;
    let json = serde_json::to_string(&event).map_err(Error::internal)?;
    if json.len() > MAX_EVENT {
        return Err(Error::TooLarge("event too large"));
    }
    let event_id = OwnedEventId::try_from(format!("${hash}")).map_err(Error::internal)?;
    Ok(Signed { event_id, json })
}

/// Why an event cannot be signed.
fn unsigned(error: JsonError) -> Error {
    match error {
        JsonError::PduTooLarge => Error::TooLarge("event too large"),
        error => Error::internal(error),
    }
}

/// The room that a create event begins, and that event. In rooms of version 12 and later the event gives the room its
/// id.
pub fn begin(
    tx: &mut Tx<'_>,
    home: &Home,
    version: &str,
    room_id: &str,
    draft: &Draft,
    now: Millis,
) -> Result<(Room, Event), Error> {
    let rules = version::rules(version).ok_or(Error::UnsupportedVersion)?;
    check_shape(draft)?;
    let by_event = rules.authorization.room_create_event_id_as_room_id;
    let (mut now, mut room_id) = (now, room_id.to_owned());
    let signed = loop {
        let signed = sign(home, (!by_event).then_some(&room_id), draft, (&[], &[]), 1, now, &rules)?;
        if !by_event {
            break signed;
        }
        room_id = format!("!{}", signed.event_id.as_str().trim_start_matches('$'));
        if rooms::num(tx, &room_id)?.is_none() {
            break signed;
        }
        // Somebody created two rooms that are alike within a millisecond: only the time can tell them apart.
        now = now.plus(1);
    };
    let key = (draft.event_type.as_str(), draft.state_key.as_deref());
    let raw = serde_json::value::to_raw_value(&draft.content).map_err(Error::internal)?;
    let mut pdu = Pdu::new(signed.event_id.clone(), &room_id, key, &draft.sender, now, raw)?;
    if by_event {
        pdu.room_id = None;
    }
    let nothing = |_: &ruma::EventId| None::<Arc<Pdu>>;
    check_state_independent_auth_rules(&rules.authorization, pdu, nothing).map_err(Error::BadContent)?;
    let federatable = draft.content.get("m.federate").and_then(Value::as_bool).unwrap_or(true);
    let room_type = draft.content.get("type").and_then(Value::as_str).map(str::to_owned);
    let mut room = Room {
        room_id,
        version: version.to_owned(),
        creator: draft.sender.clone(),
        created_ts: now,
        federatable,
        ..Room::default()
    };
    room.num = rooms::insert(tx, &room)?;
    let before = room.clone();
    room.room_type = room_type;
    let event = store(tx, home, &mut room, draft, signed, now)?;
    rooms::update(tx, &before, &room)?;
    Ok((room, event))
}

/// Appends an event to a room, if its rules allow it. `room` is as read in this transaction, and moves along. A deactivated
/// account is in no room: it cannot join, and declines every invite at once.
pub fn append(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: &Draft,
    now: Millis,
) -> Result<Event, Error> {
    let Some((user_id, membership)) = comes_closer(draft) else {
        return append_one(tx, home, room, draft, now);
    };
    let deactivated = users::find(tx, user_id)?.is_some_and(|user| user.deactivated);
    if deactivated && membership != Membership::Invite {
        return Err(Error::forbidden(DEACTIVATED));
    }
    let event = append_one(tx, home, room, draft, now)?;
    if deactivated {
        let content = Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
        append_one(tx, home, room, &Draft::state(types::MEMBER, user_id, user_id, content), now)?;
        memberships::forget(tx, user_id, room.num)?;
    }
    Ok(event)
}

/// The user whom an event brings into a room or nearer to it, and the membership that it gives.
fn comes_closer(draft: &Draft) -> Option<(&str, Membership)> {
    let user_id = draft.state_key.as_deref().filter(|_| draft.event_type == types::MEMBER)?;
    let membership = draft.content.get("membership")?.as_str()?.parse().ok()?;
    match membership {
        Membership::Join | Membership::Invite | Membership::Knock => Some((user_id, membership)),
        Membership::Leave | Membership::Ban => None,
    }
}

fn append_one(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: &Draft,
    now: Millis,
) -> Result<Event, Error> {
    check_shape(draft)?;
    let rules = rules(room)?;
    let raw = serde_json::value::to_raw_value(&draft.content).map_err(Error::internal)?;
    let sender = UserId::parse(&draft.sender).map_err(Error::internal)?;
    let event_type = TimelineEventType::from(draft.event_type.as_str());
    let auth_types =
        auth_types_for_event(&event_type, &sender, draft.state_key.as_deref(), &raw, &rules.authorization)
            .map_err(Error::BadContent)?;
    let signed = {
        let state = State::new(tx, room, &rules);
        let mut auth_events = Vec::with_capacity(auth_types.len());
        for (event_type, state_key) in &auth_types {
            if let Some(event) = state.look_up(&event_type.to_string(), state_key)? {
                auth_events.push(event.event_id.to_string());
            }
        }
        let prev_events = [room.last_event_id.clone()];
        let links = (prev_events.as_slice(), auth_events.as_slice());
        let signed = sign(home, Some(&room.room_id), draft, links, room.depth + 1, now, &rules)?;
        let key = (draft.event_type.as_str(), draft.state_key.as_deref());
        let mut pdu = Pdu::new(signed.event_id.clone(), &room.room_id, key, &draft.sender, now, raw)?;
        pdu.prev_events =
            prev_events.iter().filter_map(|id| OwnedEventId::try_from(id.as_str()).ok()).collect();
        let allowed = check_state_dependent_auth_rules(&rules.authorization, pdu, |event_type, state_key| {
            state.get(event_type, state_key)
        });
        if let Some(failure) = state.failure.into_inner() {
            return Err(failure);
        }
        if !draft.ordered {
            allowed.map_err(Error::Forbidden)?;
        }
        signed
    };
    let before = room.clone();
    let event = store(tx, home, room, draft, signed, now)?;
    rooms::update(tx, &before, room)?;
    Ok(event)
}

/// Stores a signed event as the newest of its room, with all that follows from it.
fn store(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    draft: &Draft,
    signed: Signed,
    now: Millis,
) -> Result<Event, Error> {
    let pos = stream::next(tx)?;
    let text = |key: &str| draft.content.get(key).and_then(Value::as_str).map(str::to_owned);
    let relation = draft.content.get("m.relates_to").and_then(Value::as_object);
    let related = |key: &str| relation?.get(key)?.as_str().map(str::to_owned);
    let (mut rel_type, mut relates_to) = (related("rel_type"), related("event_id"));
    // Nothing relates to an event of another room: who sees that one need not see this one.
    if let Some(target) = &relates_to
        && rel_type.is_some()
        && events::room_of(tx, target)? != Some(room.num)
    {
        (rel_type, relates_to) = (None, None);
    }
    let is_member = draft.event_type == types::MEMBER && draft.state_key.is_some();
    let mut event = Event {
        pos,
        room_num: room.num,
        event_id: signed.event_id.to_string(),
        event_type: draft.event_type.clone(),
        state_key: draft.state_key.clone(),
        sender: draft.sender.clone(),
        ts: now,
        membership: text("membership").filter(|_| is_member).and_then(|membership| membership.parse().ok()),
        until_pos: draft.state_key.as_ref().map(|_| Pos::END),
        relates_to: relates_to.filter(|_| rel_type.is_some()),
        rel_type,
        redacted_by: None,
        notifies: 0,
        json: signed.json,
    };
    if let Some(state_key) = &event.state_key {
        match events::state(tx, room.num, &event.event_type, state_key)? {
            Some(old) => events::replace(tx, old.pos, pos)?,
            None => room.state_events += 1,
        }
    }
    room.last_event_id.clone_from(&event.event_id);
    room.depth += 1;
    room.last_pos = pos;
    if event.state_key.as_deref() == Some("") {
        summarise(room, &event.event_type, &draft.content);
    }
    if let (Some(user_id), Some(membership)) = (&event.state_key, event.membership) {
        move_member(tx, home, room, user_id, membership, &draft.content, pos)?;
    }
    event.notifies = push::note(tx, home, room, &event, &draft.content)?;
    events::insert(tx, &event)?;
    if event.rel_type.as_deref() == Some(types::THREAD)
        && let Some(root) = &event.relates_to
    {
        events::add_reply(tx, root, room.num, pos)?;
    }
    if let Some(text) = words::text(&draft.event_type, &draft.content) {
        events::index_words(tx, pos, text)?;
    }
    Ok(event)
}

/// Keeps what lists show of a room in step with its state.
pub(crate) fn summarise(room: &mut Room, event_type: &str, content: &Map<String, Value>) {
    // A blank name, topic or avatar is a value; `rooms::shown` takes it for none.
    let any = |key: &str| content.get(key).and_then(Value::as_str).map(str::to_owned);
    let text = |key: &str| any(key).filter(|text| !text.is_empty());
    match event_type {
        types::NAME => room.name = any("name"),
        types::TOPIC => room.topic = any("topic"),
        types::AVATAR => room.avatar_url = any("url"),
        types::CANONICAL_ALIAS => room.canonical_alias = text("alias"),
        types::ENCRYPTION => room.encryption = text("algorithm"),
        types::JOIN_RULES => room.join_rule = text("join_rule"),
        types::GUEST_ACCESS => room.guest_access = text("guest_access"),
        types::HISTORY_VISIBILITY => room.history_visibility = text("history_visibility"),
        _ => {}
    }
}

fn move_member(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    user_id: &str,
    membership: Membership,
    content: &Map<String, Value>,
    pos: Pos,
) -> Result<(), Error> {
    let old = memberships::find(tx, user_id, room.num)?;
    let before = old.as_ref().map(|old| old.membership);
    let (joins, was_joined) = (membership == Membership::Join, before == Some(Membership::Join));
    if joins && !was_joined {
        personal::copy(tx, home, room, user_id)?;
    }
    let count = |what| i64::from(membership == what) - i64::from(before == Some(what));
    room.joined_members += count(Membership::Join);
    room.invited_members += count(Membership::Invite);
    let since_pos = old.as_ref().filter(|old| old.membership == membership).map_or(pos, |old| old.since_pos);
    let (own_rules, pushes) = match users::num(tx, user_id)? {
        Some(num) if joins => (
            account_data::find(tx, num, "", push::DATA_TYPE)?.is_some(),
            pushers::count_of_user(tx, num)? > 0,
        ),
        _ => (false, false),
    };
    let member = Member {
        user_id: user_id.to_owned(),
        room_num: room.num,
        membership,
        event_pos: pos,
        since_pos,
        forgotten: false,
    };
    if was_joined && !joins {
        silences::end(tx, &[user_id.to_owned()], room.num, pos)?;
    }
    Ok(memberships::put(tx, &member, own_rules, pushes, &push::names::words_of(user_id, content))?)
}

/// Marks an event as redacted by another, and undoes what follows from its content.
pub fn redact(tx: &mut Tx<'_>, room: &mut Room, target: &Event, redaction: &Event) -> Result<(), Error> {
    if target.redacted_by.is_some() {
        return Ok(());
    }
    events::set_redacted(tx, target.pos, &redaction.event_id)?;
    events::forget_words(tx, target.pos)?;
    notifications::delete(tx, target.pos)?;
    if target.rel_type.as_deref() == Some(types::THREAD)
        && let Some(root) = &target.relates_to
    {
        events::lose_reply(tx, root)?;
    }
    if target.until_pos == Some(Pos::END) && target.state_key.as_deref() == Some("") {
        let redacted = Event { redacted_by: Some(redaction.event_id.clone()), ..target.clone() };
        let before = room.clone();
        summarise(room, &target.event_type, &content(&redacted, &rules(room)?)?);
        rooms::update(tx, &before, room)?;
    }
    Ok(())
}

/// The content of a piece of state that holds at present.
pub fn state_content(
    tx: &ReadTx<'_>,
    room: &Room,
    event_type: &str,
    state_key: &str,
) -> Result<Option<Map<String, Value>>, Error> {
    let Some(event) = events::state(tx, room.num, event_type, state_key)? else { return Ok(None) };
    content(&event, &rules(room)?).map(Some)
}
