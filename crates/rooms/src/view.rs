//! The view of a room's history for one user: the visible events, and their form.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-history-visibility>
//!
//! The history visibility and the viewer's membership at the time of an event decide if the event is visible. Both
//! change seldom, so that all their values are read once for a room, and each event is decided from these. Events that
//! are bundled with another one are decided in the same way, each by itself.

mod bundle;

use reeve_db::{DbError, ReadTx};
use reeve_model::{Membership, Millis, Pos, Token, UserNum};
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use reeve_store::stream::Span;
use reeve_store::{account_data, memberships, transactions, users};
use ruma::room_version_rules::RoomVersionRules;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};

use crate::error::Error;
use crate::event;
use crate::position::Positions;
use crate::types;

/// An event in the form of the API.
/// <https://spec.matrix.org/v1.18/client-server-api/#room-event-format>
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ClientEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its content.
    pub content: Box<RawValue>,
    /// Its id.
    pub event_id: String,
    /// The user who sent it.
    pub sender: String,
    /// The time, in milliseconds.
    pub origin_server_ts: Millis,
    /// Its state key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_key: Option<String>,
    /// The event that it redacts, at the place of older room versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacts: Option<String>,
    /// Its room, if the response does not name it elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// Data that the server adds.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub unsigned: Map<String, Value>,
}

impl ClientEvent {
    /// Returns the event as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Returns the content of a stored event as JSON text, and the event that it redacts.
fn wire(stored: &Event, rules: &RoomVersionRules) -> Result<(Box<RawValue>, Option<String>), Error> {
    #[derive(Deserialize)]
    struct Wire {
        content: Box<RawValue>,
        redacts: Option<String>,
    }
    if stored.redacted_by.is_some() {
        let content = event::content(stored, rules)?;
        return Ok((serde_json::value::to_raw_value(&content).map_err(Error::internal)?, None));
    }
    let wire: Wire = serde_json::from_str(&stored.json).map_err(Error::internal)?;
    if stored.event_type != types::REDACTION {
        return Ok((wire.content, None));
    }
    // Room versions differ in the place of this key; clients get it in both places.
    let mut content: Map<String, Value> =
        serde_json::from_str(wire.content.get()).map_err(Error::internal)?;
    let inside = content.get("redacts").and_then(Value::as_str).map(str::to_owned);
    let redacts = wire.redacts.or(inside);
    if let Some(redacts) = &redacts {
        content.insert("redacts".to_owned(), json!(redacts));
    }
    Ok((serde_json::value::to_raw_value(&content).map_err(Error::internal)?, redacts))
}

/// The user for whom the history is read.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// The user id.
    pub user_id: String,
    /// The number of the account.
    pub user_num: UserNum,
    /// The device, or a substitute for a session without device.
    pub device_id: String,
}

/// One look at the database for a viewer. Facts about senders are kept for all rooms.
pub struct View<'t, 'c> {
    /// The transaction.
    pub tx: &'t ReadTx<'c>,
    /// The viewer; `None` for an administrator, who sees everything unchanged.
    pub viewer: Option<Viewer>,
    now: Millis,
    erased: RefCell<HashMap<String, bool>>,
    ignored: BTreeSet<String>,
    /// The same as a JSON array, unless it is empty.
    excluded: Option<String>,
    positions: OnceCell<Positions>,
}

impl<'t, 'c> View<'t, 'c> {
    /// Begins a look for a user, at a time in milliseconds.
    pub fn of(tx: &'t ReadTx<'c>, viewer: Viewer, now: Millis) -> Result<Self, DbError> {
        let ignored = ignored(tx, viewer.user_num)?;
        // Clients can store any list. No user id contains U+0000, and PostgreSQL refuses it in JSON.
        let excluded: Vec<&String> = ignored.iter().filter(|user_id| !user_id.contains('\0')).collect();
        let excluded = (!excluded.is_empty()).then(|| json!(excluded).to_string());
        let (erased, positions) = (RefCell::default(), OnceCell::new());
        Ok(Self { tx, viewer: Some(viewer), now, erased, ignored, excluded, positions })
    }

    /// Begins a look for an administrator, who sees everything.
    pub fn of_admin(tx: &'t ReadTx<'c>, now: Millis) -> Self {
        let (erased, positions) = (RefCell::default(), OnceCell::new());
        Self { tx, viewer: None, now, erased, ignored: BTreeSet::new(), excluded: None, positions }
    }

    /// Returns positions and tokens, as this look sees them.
    pub fn positions(&self) -> Result<&Positions, DbError> {
        if let Some(known) = self.positions.get() {
            return Ok(known);
        }
        let read = Positions::of(self.tx)?;
        Ok(self.positions.get_or_init(|| read))
    }

    /// Returns the token of a position.
    pub fn token(&self, pos: Pos) -> Result<Token, DbError> {
        Ok(self.positions()?.token(pos))
    }

    /// Returns true if a token's position belongs to this database's past.
    pub fn knows(&self, token: &Token) -> Result<bool, DbError> {
        self.positions()?.knows(self.tx, token)
    }

    /// Returns the position from which a page begins: that of its token; the newest, if it was undone.
    pub fn start(&self, token: &Token) -> Result<Pos, DbError> {
        self.positions()?.start(self.tx, token)
    }

    /// Returns the users whom the viewer ignores.
    pub fn ignored(&self) -> &BTreeSet<String> {
        &self.ignored
    }

    /// Returns true if the viewer ignores a user.
    pub fn ignores(&self, user_id: &str) -> bool {
        self.ignored.contains(user_id)
    }

    /// Returns the view of a room.
    pub fn room(&self, room: &Room) -> Result<RoomView<'_, 't, 'c>, Error> {
        let rules = event::rules(room)?;
        let (mut memberships, mut visibility) = (Vec::new(), Vec::new());
        if let Some(viewer) = &self.viewer {
            for event in events::history(self.tx, room.num, types::MEMBER, &viewer.user_id)? {
                memberships.extend(event.membership.map(|membership| (event.pos, membership)));
            }
            for event in events::history(self.tx, room.num, types::HISTORY_VISIBILITY, "")? {
                let content = event::content(&event, &rules)?;
                let value = content.get("history_visibility").and_then(Value::as_str).unwrap_or("shared");
                visibility.push((event.pos, value.to_owned()));
            }
            // Of a forgotten room, the viewer sees only the end.
            if matches!(memberships.last(), Some((_, Membership::Leave | Membership::Ban)))
                && memberships::find(self.tx, &viewer.user_id, room.num)?
                    .is_some_and(|member| member.forgotten)
            {
                memberships.drain(..memberships.len() - 1);
            }
        }
        let stretches = match &self.viewer {
            Some(_) => stretches(&memberships, &visibility),
            None => vec![(Pos::ZERO, true)],
        };
        Ok(RoomView { view: self, room: room.clone(), rules, memberships, visibility, stretches })
    }

    fn is_erased(&self, user_id: &str) -> Result<bool, DbError> {
        if let Some(known) = self.erased.borrow().get(user_id) {
            return Ok(*known);
        }
        let erased = users::is_erased(self.tx, user_id)?;
        self.erased.borrow_mut().insert(user_id.to_owned(), erased);
        Ok(erased)
    }
}

/// Returns the users whom an account ignores.
pub fn ignored(tx: &ReadTx<'_>, user_num: UserNum) -> Result<BTreeSet<String>, DbError> {
    let Some(content) = account_data::find(tx, user_num, "", "m.ignored_user_list")? else {
        return Ok(BTreeSet::new());
    };
    let content: Value = serde_json::from_str(&content).unwrap_or_default();
    let users = content.get("ignored_users").and_then(Value::as_object);
    Ok(users.map(|users| users.keys().cloned().collect()).unwrap_or_default())
}

/// The view of a room for a viewer.
pub struct RoomView<'v, 't, 'c> {
    /// The look at the database.
    pub view: &'v View<'t, 'c>,
    /// The room.
    pub room: Room,
    /// The rules of its version.
    pub rules: RoomVersionRules,
    /// The viewer's own membership events, and the memberships in them.
    memberships: Vec<(Pos, Membership)>,
    /// The events that set the history visibility, and the values in them.
    visibility: Vec<(Pos, String)>,
    /// The stretches of the history: the position after which each begins, and true if the viewer may see the events in
    /// it.
    stretches: Vec<(Pos, bool)>,
}

/// Returns the value that holds at a position.
fn at<T>(values: &[(Pos, T)], pos: Pos) -> Option<&T> {
    let index = values.partition_point(|(from, _)| *from <= pos).checked_sub(1)?;
    values.get(index).map(|(_, value)| value)
}

/// Returns true if an event is at a position.
fn has<T>(events: &[(Pos, T)], pos: Pos) -> bool {
    events.binary_search_by_key(&pos, |(at, _)| *at).is_ok()
}

/// Returns the stretches of the history, by the events that decide it.
fn stretches(memberships: &[(Pos, Membership)], visibility: &[(Pos, String)]) -> Vec<(Pos, bool)> {
    let moves = memberships.iter().map(|(pos, _)| *pos);
    let changes = visibility.iter().map(|(pos, _)| *pos);
    let mut starts: Vec<Pos> = moves.chain(changes).chain([Pos::ZERO]).collect();
    starts.sort_unstable();
    starts.dedup();
    // The end of the viewer's last stay in the room.
    let last_join = memberships.iter().rposition(|(_, membership)| *membership == Membership::Join);
    let last_end =
        last_join.map_or(Pos::ZERO, |join| memberships.get(join + 1).map_or(Pos::END, |(pos, _)| *pos));
    let is_open = |pos| {
        let membership = at(memberships, pos);
        membership == Some(&Membership::Join)
            || match at(visibility, pos).map(String::as_str) {
                Some("world_readable") => true,
                Some("invited") => membership == Some(&Membership::Invite),
                Some("joined") => false,
                // The specification's default is `shared`: visible to all who are in the room then or later.
                _ => pos < last_end,
            }
    };
    starts.into_iter().map(|pos| (pos, is_open(pos))).collect()
}

impl RoomView<'_, '_, '_> {
    /// Returns the viewer's membership after the event at a position; `leave` if there was none.
    pub fn membership_at(&self, pos: Pos) -> Membership {
        at(&self.memberships, pos).copied().unwrap_or(Membership::Leave)
    }

    /// Returns true if the viewer has ever joined.
    pub fn ever_joined(&self) -> bool {
        self.memberships.iter().any(|(_, membership)| *membership == Membership::Join)
    }

    /// Returns true if everybody may read the room at present.
    pub fn is_world_readable(&self) -> bool {
        at(&self.visibility, Pos::END).is_some_and(|value| value == "world_readable")
    }

    /// Returns the index of the stretch that contains an event right after a position.
    fn stretch(&self, pos: Pos) -> usize {
        self.stretches.partition_point(|(from, _)| *from <= pos).saturating_sub(1)
    }

    /// Returns true if the viewer may see an event right after a position.
    fn is_open(&self, pos: Pos) -> bool {
        self.stretches.get(self.stretch(pos)).is_some_and(|(_, open)| *open)
    }

    /// Returns the position nearest to `pos` at which the viewer may know the state: itself, else the next, else the
    /// last before it; 0 if there is none. A visible stretch ends with the event that ends it.
    pub fn state_pos(&self, pos: Pos) -> Pos {
        let here = self.stretch(pos);
        let (past, to_come) = self.stretches.split_at((here + 1).min(self.stretches.len()));
        if past.last().is_some_and(|(_, open)| *open) {
            return pos;
        }
        if let Some((from, _)) = to_come.iter().find(|(_, open)| *open) {
            return *from;
        }
        let last = past.iter().rposition(|(_, open)| *open);
        last.and_then(|last| past.get(last + 1)).map_or(Pos::ZERO, |(from, _)| *from)
    }

    /// Returns the newest position up to `pos` that may be visible.
    pub fn newest_seen(&self, pos: Pos) -> Pos {
        let here = self.stretch(pos.prev());
        let ends_here = self.stretches.get(here + 1).is_some_and(|(next, _)| *next == pos);
        match self.stretches.get(here) {
            // The first event of a stretch may be visible even if the rest is not.
            Some((from, false)) if !ends_here => *from,
            Some(_) | None => pos,
        }
    }

    /// Returns the position from `pos` on after which the oldest event follows that may be visible; `None` if there is none.
    pub fn oldest_seen(&self, pos: Pos) -> Option<Pos> {
        let here = self.stretch(pos);
        if self.is_open(pos) {
            return Some(pos);
        }
        // The event with which a stretch ends may be visible even if the rest is not.
        self.stretches.get(here + 1).map(|(next, _)| next.prev().max(pos))
    }

    /// Divides a span of the stream and returns the parts that the viewer may see, or those that are hidden.
    fn parts(&self, span: Span, seen: bool) -> Vec<Span> {
        let ends = self.stretches.iter().skip(1).map(|(next, _)| *next).chain([Pos::END]);
        let stretches = self.stretches.iter().zip(ends).filter(|((_, open), _)| *open == seen);
        let parts =
            stretches.map(|((from, _), end)| Span { after: span.after.max(*from), upto: span.upto.min(end) });
        parts.filter(|part| part.after < part.upto).collect()
    }

    /// Returns true if the viewer may see an event. Purged events are visible to nobody.
    pub fn sees(&self, event: &Event) -> bool {
        let pos = event.pos;
        if event.room_num != self.room.num || pos < self.room.purged_pos {
            return false;
        }
        // The viewer's own membership events are always visible. An event that changes the history visibility is
        // visible by the old or the new value.
        self.is_open(pos.prev())
            || has(&self.memberships, pos)
            || (has(&self.visibility, pos) && self.is_open(pos))
    }

    /// Returns true if an event is shown to the viewer, who may see it and does not ignore its sender.
    pub fn shows(&self, event: &Event) -> bool {
        self.sees(event) && (event.state_key.is_some() || !self.view.ignores(&event.sender))
    }

    /// Returns an event in the viewer's form; `None` if it is not visible.
    pub fn show(&self, event: &Event) -> Result<Option<ClientEvent>, Error> {
        if !self.shows(event) {
            return Ok(None);
        }
        let mut shown = self.show_plain(event)?;
        self.bundle(event, &mut shown)?;
        Ok(Some(shown))
    }

    /// Returns an event in the viewer's form, without a check of its visibility and without bundled events.
    pub fn show_plain(&self, event: &Event) -> Result<ClientEvent, Error> {
        let replaced = events::replaced_by(self.view.tx, event)?;
        self.show_with(event, replaced.as_ref())
    }

    /// Returns an event in the viewer's form, with the state that it replaced.
    fn show_with(&self, event: &Event, replaced: Option<&Event>) -> Result<ClientEvent, Error> {
        let mut shown = self.format(self.without_erased(event)?.as_ref())?;
        let unsigned = &mut shown.unsigned;
        unsigned.insert("age".to_owned(), json!(self.view.now.since(event.ts)));
        if let Some(viewer) = &self.view.viewer {
            unsigned.insert("membership".to_owned(), json!(self.membership_at(event.pos)));
            if viewer.user_id == event.sender
                && let Some(txn_id) =
                    transactions::of_event(self.view.tx, event.pos, viewer.user_num, &viewer.device_id)?
            {
                unsigned.insert("transaction_id".to_owned(), Value::String(txn_id));
            }
        }
        if let Some(replaced) = replaced {
            unsigned.insert("replaces_state".to_owned(), json!(replaced.event_id));
            if self.is_open(event.pos.prev()) || self.sees(replaced) {
                let content = event::content(self.without_erased(replaced)?.as_ref(), &self.rules)?;
                unsigned.insert("prev_content".to_owned(), Value::Object(content));
                unsigned.insert("prev_sender".to_owned(), json!(replaced.sender));
            }
        }
        if let Some(redacted_by) = &event.redacted_by
            && let Some(redaction) = events::find(self.view.tx, redacted_by)?
            && self.shows(&redaction)
        {
            let mut because = self.format(self.without_erased(&redaction)?.as_ref())?;
            because.unsigned.insert("age".to_owned(), json!(self.view.now.since(redaction.ts)));
            unsigned.insert("redacted_by".to_owned(), json!(redacted_by));
            unsigned.insert("redacted_because".to_owned(), because.to_value());
        }
        Ok(shown)
    }

    /// Returns state events in the viewer's form. A viewer who knows the state of a room knows all of it.
    pub fn show_state(&self, state: &[Event]) -> Result<Vec<ClientEvent>, Error> {
        let replaced = events::replaced_by_each(self.view.tx, self.room.num, state)?;
        state.iter().map(|event| self.show_with(event, replaced.get(&event.pos))).collect()
    }

    /// Returns an event without its content if its sender was erased, unless the viewer was in the room then.
    fn without_erased<'e>(&self, event: &'e Event) -> Result<Cow<'e, Event>, Error> {
        // People's own messages are theirs: an export has them also of an erased account.
        let hidden = self.view.viewer.as_ref().is_some_and(|viewer| viewer.user_id != event.sender)
            && self.membership_at(event.pos.prev()) != Membership::Join
            && self.view.is_erased(&event.sender)?;
        Ok(if hidden {
            Cow::Owned(Event { redacted_by: Some(String::new()), ..event.clone() })
        } else {
            Cow::Borrowed(event)
        })
    }

    fn format(&self, event: &Event) -> Result<ClientEvent, Error> {
        let (content, redacts) = wire(event, &self.rules)?;
        Ok(ClientEvent {
            event_type: event.event_type.clone(),
            content,
            event_id: event.event_id.clone(),
            sender: event.sender.clone(),
            origin_server_ts: event.ts,
            state_key: event.state_key.clone(),
            redacts,
            room_id: Some(self.room.room_id.clone()),
            unsigned: Map::new(),
        })
    }
}
