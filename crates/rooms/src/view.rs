//! What somebody sees of a room: which events, and in which form.
//! <https://spec.matrix.org/v1.18/client-server-api/#room-history-visibility>
//!
//! Who may see an event is decided by the history visibility and the viewer's membership when it was sent. Both change
//! seldom, so that all their values are read once for a room, and each event is decided from these.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};

use reeve_db::{DbError, ReadTx};
use reeve_model::Token;
use reeve_store::events::{self, Event};
use reeve_store::rooms::Room;
use reeve_store::{account_data, transactions, users};
use ruma::room_version_rules::RoomVersionRules;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::event;
use crate::position::Positions;

/// How many referencing events are bundled with an event.
const MOST_REFERENCES: i64 = 100;

/// An event in the form in which clients get it.
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
    /// Who sent it.
    pub sender: String,
    /// When, in milliseconds.
    pub origin_server_ts: i64,
    /// Its state key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_key: Option<String>,
    /// The event that it redacts, where older room versions have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacts: Option<String>,
    /// Its room, where the answer does not say it elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// What the server adds.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub unsigned: Map<String, Value>,
}

impl ClientEvent {
    /// The event as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The content of a stored event as JSON text, and what it redacts.
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
    if stored.event_type != "m.room.redaction" {
        return Ok((wire.content, None));
    }
    // Room versions differ in where they have it; clients find it in both places.
    let mut content: Map<String, Value> =
        serde_json::from_str(wire.content.get()).map_err(Error::internal)?;
    let inside = content.get("redacts").and_then(Value::as_str).map(str::to_owned);
    let redacts = wire.redacts.or(inside);
    if let Some(redacts) = &redacts {
        content.insert("redacts".to_owned(), json!(redacts));
    }
    Ok((serde_json::value::to_raw_value(&content).map_err(Error::internal)?, redacts))
}

/// Who looks.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// The user id.
    pub user_id: String,
    /// The number of the account.
    pub user_num: i64,
    /// The device, or what stands for it where a session has none.
    pub device_id: String,
}

/// One look at the database by somebody; what it learns about senders holds for all rooms.
pub struct View<'t, 'c> {
    /// What it reads.
    pub tx: &'t ReadTx<'c>,
    /// Who looks; `None` for an administrator, who sees everything as it is.
    pub viewer: Option<Viewer>,
    now: i64,
    erased: RefCell<HashMap<String, bool>>,
    ignored: BTreeSet<String>,
    positions: OnceCell<Positions>,
}

impl<'t, 'c> View<'t, 'c> {
    /// A look by a user, at a time in milliseconds.
    pub fn of(tx: &'t ReadTx<'c>, viewer: Viewer, now: i64) -> Result<Self, DbError> {
        let ignored = ignored(tx, viewer.user_num)?;
        let (erased, positions) = (RefCell::default(), OnceCell::new());
        Ok(Self { tx, viewer: Some(viewer), now, erased, ignored, positions })
    }

    /// A look by an administrator, who sees everything.
    pub fn of_admin(tx: &'t ReadTx<'c>, now: i64) -> Self {
        let (erased, positions) = (RefCell::default(), OnceCell::new());
        Self { tx, viewer: None, now, erased, ignored: BTreeSet::new(), positions }
    }

    /// Positions and tokens, as this look sees them.
    pub fn positions(&self) -> Result<&Positions, DbError> {
        if let Some(known) = self.positions.get() {
            return Ok(known);
        }
        let read = Positions::of(self.tx)?;
        Ok(self.positions.get_or_init(|| read))
    }

    /// The token of a position.
    pub fn token(&self, pos: i64) -> Result<Token, DbError> {
        Ok(self.positions()?.token(pos))
    }

    /// Whether a token's position belongs to this database's past.
    pub fn knows(&self, token: &Token) -> Result<bool, DbError> {
        self.positions()?.knows(self.tx, token)
    }

    /// The position from which a page begins: that of its token; the newest, if it was undone.
    pub fn start(&self, token: &Token) -> Result<i64, DbError> {
        self.positions()?.start(self.tx, token)
    }

    /// Whom the viewer ignores.
    pub fn ignored(&self) -> &BTreeSet<String> {
        &self.ignored
    }

    /// Whether the viewer wants to see nothing of a user.
    pub fn ignores(&self, user_id: &str) -> bool {
        self.ignored.contains(user_id)
    }

    /// A room, as the viewer sees it.
    pub fn room(&self, room: &Room) -> Result<RoomView<'_, 't, 'c>, Error> {
        let rules = event::rules(room)?;
        let (mut memberships, mut visibility) = (Vec::new(), Vec::new());
        if let Some(viewer) = &self.viewer {
            for event in events::history(self.tx, room.num, "m.room.member", &viewer.user_id)? {
                memberships.push((event.pos, event.membership.unwrap_or_default()));
            }
            for event in events::history(self.tx, room.num, "m.room.history_visibility", "")? {
                let content = event::content(&event, &rules)?;
                let value = content.get("history_visibility").and_then(Value::as_str).unwrap_or("shared");
                visibility.push((event.pos, value.to_owned()));
            }
        }
        Ok(RoomView { view: self, room: room.clone(), rules, memberships, visibility })
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

/// Whom an account ignores.
pub fn ignored(tx: &ReadTx<'_>, user_num: i64) -> Result<BTreeSet<String>, DbError> {
    let Some(content) = account_data::find(tx, user_num, "", "m.ignored_user_list")? else {
        return Ok(BTreeSet::new());
    };
    let content: Value = serde_json::from_str(&content).unwrap_or_default();
    let users = content.get("ignored_users").and_then(Value::as_object);
    Ok(users.map(|users| users.keys().cloned().collect()).unwrap_or_default())
}

/// A room, as somebody sees it.
pub struct RoomView<'v, 't, 'c> {
    /// The look that it belongs to.
    pub view: &'v View<'t, 'c>,
    /// The room.
    pub room: Room,
    /// The rules of its version.
    pub rules: RoomVersionRules,
    memberships: Vec<(i64, String)>,
    visibility: Vec<(i64, String)>,
}

/// The value that holds at a position.
fn at(values: &[(i64, String)], pos: i64) -> Option<&str> {
    values.iter().rev().find(|(from, _)| *from <= pos).map(|(_, value)| value.as_str())
}

impl RoomView<'_, '_, '_> {
    /// The viewer's membership after the event at a position; `leave` if never in touch with the room.
    pub fn membership_at(&self, pos: i64) -> &str {
        at(&self.memberships, pos).unwrap_or("leave")
    }

    /// The viewer's present membership.
    pub fn membership(&self) -> &str {
        self.membership_at(i64::MAX)
    }

    /// Whether the viewer has ever joined.
    pub fn ever_joined(&self) -> bool {
        self.memberships.iter().any(|(_, membership)| membership == "join")
    }

    /// Whether everybody may read the room at present.
    pub fn is_world_readable(&self) -> bool {
        at(&self.visibility, i64::MAX) == Some("world_readable")
    }

    /// The last position of which the viewer may know the state: that of leaving, for who left.
    pub fn last_known_pos(&self) -> i64 {
        if self.membership() == "join" {
            return i64::MAX;
        }
        let mut last = 0;
        for (index, (_, membership)) in self.memberships.iter().enumerate() {
            if membership == "join" {
                last = self.memberships.get(index + 1).map_or(i64::MAX, |(pos, _)| *pos);
            }
        }
        last
    }

    /// Whether the viewer may see an event. What was purged nobody sees.
    pub fn sees(&self, event: &Event) -> bool {
        let pos = event.pos;
        if pos < self.room.purged_pos {
            return false;
        }
        let Some(viewer) = &self.view.viewer else { return true };
        // An event that changes visibility or the own membership is seen if it is by the old or the new value.
        let moves_self =
            event.event_type == "m.room.member" && event.state_key.as_deref() == Some(&viewer.user_id);
        let moves_visibility = event.event_type == "m.room.history_visibility" && event.state_key.is_some();
        let memberships =
            [self.membership_at(pos - 1), self.membership_at(if moves_self { pos } else { pos - 1 })];
        let visibility = |pos| at(&self.visibility, pos).unwrap_or("shared");
        let rules = [visibility(pos - 1), visibility(if moves_visibility { pos } else { pos - 1 })];
        let joined_later = || {
            self.memberships.iter().enumerate().any(|(index, (_, membership))| {
                membership == "join" && self.memberships.get(index + 1).is_none_or(|(until, _)| *until > pos)
            })
        };
        memberships.contains(&"join")
            || (moves_self && matches!(self.membership_at(pos), "invite" | "leave" | "ban" | "knock"))
            || rules.into_iter().any(|rule| match rule {
                "world_readable" => true,
                "invited" => memberships.contains(&"invite"),
                "joined" => false,
                // The specification's default.
                _ => joined_later(),
            })
    }

    /// An event in the viewer's form; `None` if it must not be seen.
    pub fn show(&self, event: &Event) -> Result<Option<ClientEvent>, Error> {
        if !self.sees(event) || (event.state_key.is_none() && self.view.ignores(&event.sender)) {
            return Ok(None);
        }
        let mut shown = self.show_plain(event)?;
        self.bundle(event, &mut shown)?;
        Ok(Some(shown))
    }

    /// An event in the viewer's form, without looking whether they may see it and without what relates to it.
    pub fn show_plain(&self, event: &Event) -> Result<ClientEvent, Error> {
        let replaced = events::replaced_by(self.view.tx, event)?;
        self.show_with(event, replaced.as_ref())
    }

    /// An event in the viewer's form, with the state that it replaced.
    fn show_with(&self, event: &Event, replaced: Option<&Event>) -> Result<ClientEvent, Error> {
        let hidden = match &self.view.viewer {
            Some(_) if self.membership_at(event.pos - 1) != "join" => self.view.is_erased(&event.sender)?,
            _ => false,
        };
        let mut shown = if hidden {
            let pruned = Event { redacted_by: Some(String::new()), ..event.clone() };
            self.format(&pruned)?
        } else {
            self.format(event)?
        };
        let unsigned = &mut shown.unsigned;
        unsigned.insert("age".to_owned(), json!(self.view.now.saturating_sub(event.ts)));
        if let Some(viewer) = &self.view.viewer {
            let membership = self.membership_at(event.pos).to_owned();
            unsigned.insert("membership".to_owned(), Value::String(membership));
            if viewer.user_id == event.sender
                && let Some(txn_id) =
                    transactions::of_event(self.view.tx, &event.event_id, viewer.user_num, &viewer.device_id)?
            {
                unsigned.insert("transaction_id".to_owned(), Value::String(txn_id));
            }
        }
        if let Some(replaced) = replaced {
            unsigned.insert("replaces_state".to_owned(), json!(replaced.event_id));
            unsigned.insert("prev_content".to_owned(), Value::Object(event::content(replaced, &self.rules)?));
            unsigned.insert("prev_sender".to_owned(), json!(replaced.sender));
        }
        if let Some(redacted_by) = &event.redacted_by
            && let Some(redaction) = events::find(self.view.tx, redacted_by)?
        {
            let mut because = self.format(&redaction)?;
            because.unsigned.insert("age".to_owned(), json!(self.view.now.saturating_sub(redaction.ts)));
            unsigned.insert("redacted_by".to_owned(), json!(redacted_by));
            unsigned.insert("redacted_because".to_owned(), because.to_value());
        }
        Ok(shown)
    }

    /// State events in the viewer's form. Who knows the state of a room knows all of it.
    pub fn show_state(&self, state: &[Event]) -> Result<Vec<ClientEvent>, Error> {
        let replaced = events::replaced_by_each(self.view.tx, self.room.num, state)?;
        state.iter().map(|event| self.show_with(event, replaced.get(&event.pos))).collect()
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

    /// Adds what relates to an event.
    /// <https://spec.matrix.org/v1.18/client-server-api/#aggregations-of-child-events>
    fn bundle(&self, event: &Event, shown: &mut ClientEvent) -> Result<(), Error> {
        let tx = self.view.tx;
        if event.redacted_by.is_some() || !events::is_related(tx, &event.event_id)? {
            return Ok(());
        }
        let mut relations = Map::new();
        if event.state_key.is_none() && event.rel_type.as_deref() != Some("m.replace") {
            if let Some(edit) = self.latest_edit(event)? {
                let edit = self.show_plain(&edit)?;
                relations.insert("m.replace".to_owned(), edit.to_value());
            }
            if event.rel_type.as_deref() != Some("m.thread")
                && let Some(thread) = self.thread_summary(event)?
            {
                relations.insert("m.thread".to_owned(), thread);
            }
        }
        let references = events::by_relation(tx, &event.event_id, "m.reference", i64::MAX, MOST_REFERENCES)?;
        let chunk: Vec<Value> = references
            .iter()
            .rev()
            .filter(|event| {
                event.redacted_by.is_none() && self.sees(event) && !self.view.ignores(&event.sender)
            })
            .map(|event| json!({ "event_id": event.event_id }))
            .collect();
        if !chunk.is_empty() {
            relations.insert("m.reference".to_owned(), json!({ "chunk": chunk }));
        }
        if !relations.is_empty() {
            shown.unsigned.insert("m.relations".to_owned(), Value::Object(relations));
        }
        Ok(())
    }

    /// The newest valid edit of an event.
    fn latest_edit(&self, event: &Event) -> Result<Option<Event>, Error> {
        let edits = events::by_relation(self.view.tx, &event.event_id, "m.replace", i64::MAX, 20)?;
        Ok(edits.into_iter().find(|edit| {
            edit.redacted_by.is_none()
                && edit.sender == event.sender
                && edit.event_type == event.event_type
                && edit.state_key.is_none()
        }))
    }

    /// What is bundled with an event that a thread hangs on.
    pub fn thread_summary(&self, root: &Event) -> Result<Option<Value>, Error> {
        let tx = self.view.tx;
        let Some(thread) = events::thread(tx, &root.event_id)?.filter(|thread| thread.replies > 0) else {
            return Ok(None);
        };
        let Some(latest) = events::latest_relation(tx, &root.event_id, "m.thread")? else { return Ok(None) };
        let mut shown = self.show_plain(&latest)?;
        if let Some(edit) = self.latest_edit(&latest)? {
            let edit = self.show_plain(&edit)?.to_value();
            shown.unsigned.insert("m.relations".to_owned(), json!({ "m.replace": edit }));
        }
        let participated = match &self.view.viewer {
            Some(viewer) => {
                root.sender == viewer.user_id
                    || events::is_related_by(tx, &root.event_id, "m.thread", &viewer.user_id)?
            }
            None => false,
        };
        Ok(Some(json!({
            "latest_event": shown.to_value(),
            "count": thread.replies,
            "current_user_participated": participated,
        })))
    }
}
