//! The sync of the specification.
//! <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3sync>

mod response;

pub use self::response::{Events, Joined, Left, Response, Rooms};

use std::collections::{HashMap, HashSet};

use reeve_db::ReadTx;
use reeve_model::{Membership, Millis, Pos, RoomNum, Token};
use reeve_rooms::error::Error;
use reeve_rooms::push;
use reeve_rooms::types;
use reeve_rooms::view::{ClientEvent, RoomView, View, Viewer};
use reeve_rooms::{Home, filter, membership, timeline};
use reeve_store::account_data::{self, AccountData};
use reeve_store::departures::{self, Departure};
use reeve_store::memberships::{self, InRoom};
use reeve_store::{ephemeral, events, rooms, stream};
use ruma::api::client::filter::{FilterDefinition, RoomEventFilter};
use serde_json::{Value, json};

use self::response::{PlacedState, Timeline};
use crate::data::DataEvent;
use crate::devices::{DeviceLists, KeysLeft, Room};
use crate::inbox::{self, Inbox};
use crate::room;
use crate::state::Around;

/// The number of events of a room in a response, by default and at most.
const TIMELINE: i64 = 10;
const MAX_TIMELINE: i64 = 500;
/// The maximum number of presences in one response.
const MAX_PRESENCE: i64 = 1000;

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The position up to which it knows everything; `None` if it knows nothing.
    pub since: Option<Token>,
    /// The filter of events.
    pub filter: FilterDefinition,
    /// True if it wants the whole state of all rooms.
    pub full_state: bool,
    /// True if it wants the state after the timeline instead of before it.
    pub state_after: StateAfter,
}

/// The place of the state of rooms in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateAfter {
    /// In `state`, as of before the timeline.
    #[default]
    No,
    /// In `state_after`, as of after the timeline.
    Yes,
    /// The same, under its name before the specification.
    Unstable,
}

/// A response, and the rooms to watch until there is another.
#[derive(Debug)]
pub struct Look {
    /// The response.
    pub response: Response,
    /// The position up to which it is complete.
    pub upto: Pos,
    /// The rooms that the user has joined.
    pub rooms: Vec<RoomNum>,
    /// The position up to which the request acknowledges to-device messages, if there are any.
    pub acknowledged: Option<Pos>,
}

/// The client's knowledge at the beginning of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Nothing.
    Nothing,
    /// Everything up to a position.
    Known,
    /// Things that were undone by restoring a backup. The response is that to an unknowing client, and makes the client
    /// forget: each timeline is a new one, rooms that the user is not in are named, and all devices are marked as
    /// changed.
    Undone,
}

/// One look at the database for a request.
struct Sync<'v, 't, 'c> {
    view: &'v View<'t, 'c>,
    viewer: &'v Viewer,
    request: &'v Request,
    origin: Origin,
    /// The position up to which the client knows everything; 0 if it knows nothing.
    since: Pos,
    upto: Pos,
    now: Millis,
    receipts: HashSet<RoomNum>,
    typing: HashSet<RoomNum>,
    room_data: HashMap<String, Vec<AccountData>>,
}

/// Looks for what is new to a client.
pub fn look(
    tx: &ReadTx<'_>,
    home: &Home,
    viewer: &Viewer,
    request: &Request,
    now: Millis,
) -> Result<Look, Error> {
    let view = View::of(tx, viewer.clone(), now)?;
    let (origin, known) = match &request.since {
        None => (Origin::Nothing, None),
        Some(since) if view.knows(since)? => (Origin::Known, Some(since)),
        Some(_) => (Origin::Undone, None),
    };
    let since = known.map_or(Pos::ZERO, |known| known.pos);
    let initial = known.is_none();
    let upto = stream::current(tx)?.max(since);
    let joined = memberships::of_user_in(tx, &viewer.user_id, Membership::Join)?;
    let listened = joined.iter().map(|room| room.member.room_num).collect();
    let mut data = account_data::changed(tx, viewer.user_num, since, upto)?;
    if initial {
        data = account_data::of_user(tx, viewer.user_num)?;
    }
    let (global, of_rooms): (Vec<_>, Vec<_>) = data.into_iter().partition(|data| data.room_id.is_empty());
    let mut room_data: HashMap<String, Vec<AccountData>> = HashMap::new();
    for data in of_rooms {
        room_data.entry(data.room_id.clone()).or_default().push(data);
    }
    let sync = Sync {
        view: &view,
        viewer,
        request,
        origin,
        since,
        upto,
        now,
        receipts: ephemeral::rooms_with_receipts(tx, &viewer.user_id, since)?.into_iter().collect(),
        typing: ephemeral::rooms_with_typing(tx, &viewer.user_id, since)?.into_iter().collect(),
        room_data,
    };
    let mut found = Rooms::default();
    for in_room in &joined {
        if sync.wants(&in_room.room_id)
            && let Some(joined) = sync.joined(tx, in_room)?
        {
            found.join.insert(in_room.room_id.clone(), joined);
        }
    }
    let others = if initial {
        memberships::of_user(tx, &viewer.user_id)?
    } else {
        memberships::changed_of_user(tx, &viewer.user_id, since)?
    };
    for in_room in others.iter().filter(|room| sync.wants(&room.room_id)) {
        sync.other(tx, in_room, &mut found)?;
    }
    if origin != Origin::Nothing {
        // Of a deleted room nothing is left except that the user was made to leave it.
        for departure in departures::of_user(tx, &viewer.user_id, since)? {
            if sync.wants(&departure.room_id) {
                let left = sync.departed(&departure)?;
                found.leave.insert(departure.room_id, left);
            }
        }
    }
    let inbox = Inbox::look(tx, viewer, known.map(|known| known.to_device), upto, inbox::MAX)?;
    let device_lists = if origin == Origin::Nothing {
        DeviceLists::default()
    } else {
        let rooms = joined.iter().map(|room| Room {
            num: room.member.room_num,
            since_pos: room.member.since_pos,
            last_pos: room.last_pos,
        });
        DeviceLists::between(tx, &viewer.user_id, viewer.user_num, since, upto, rooms)?
    };
    let presence = if home.settings.presence { sync.presence(tx, &joined)? } else { Vec::new() };
    let own = |event: &Value| event["sender"] == viewer.user_id.as_str();
    let next_batch = Token { to_device: inbox.upto, ..view.token(upto)? };
    let response = Response {
        next_batch: next_batch.to_string(),
        rooms: found,
        account_data: Events { events: sync.global_data(tx, global)? },
        tells_presence: presence.iter().any(|event| !own(event)),
        presence: Events { events: presence },
        to_device: Events { events: inbox.events },
        device_lists,
        keys: KeysLeft::of(tx, viewer)?,
    };
    Ok(Look { response, upto, rooms: listened, acknowledged: inbox.acknowledged })
}

impl Sync<'_, '_, '_> {
    fn wants(&self, room_id: &str) -> bool {
        let filter = &self.request.filter.room;
        !filter.not_rooms.iter().any(|not| not == room_id)
            && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|wanted| wanted == room_id))
    }

    fn is_initial(&self) -> bool {
        self.origin != Origin::Known
    }

    /// Returns true if a client must not append a timeline to its events.
    fn is_limited(&self, timeline: &room::Timeline) -> bool {
        timeline.limited || self.origin == Origin::Undone
    }

    fn limit(&self) -> i64 {
        filter::limit(&self.request.filter.room.timeline, TIMELINE, MAX_TIMELINE)
    }

    /// Returns a joined room, if something in it is new.
    fn joined(&self, tx: &ReadTx<'_>, in_room: &InRoom) -> Result<Option<Joined>, Error> {
        let member = &in_room.member;
        let is_new = self.is_initial() || member.since_pos > self.since;
        let has_events = in_room.last_pos > self.since;
        let has_data = self.room_data.contains_key(&in_room.room_id);
        let has_ephemeral =
            self.receipts.contains(&member.room_num) || self.typing.contains(&member.room_num);
        if !(is_new || has_events || has_data || has_ephemeral || self.request.full_state) {
            return Ok(None);
        }
        let Some(room) = rooms::by_num(tx, member.room_num)? else { return Ok(None) };
        let view = self.view.room(&room)?;
        let wanted = &self.request.filter.room;
        let own = self.viewer.user_id.as_str();
        let from = if is_new { Pos::ZERO } else { self.since };
        let timeline = self.timeline(tx, &view, from, self.upto)?;
        let moved = |event: &events::Event| event.membership.is_some();
        let has_moved = timeline.stored.iter().chain(&timeline.left_out).any(moved);
        let summary =
            (is_new || has_moved || timeline.limited).then(|| room::summary(tx, &room, own)).transpose()?;
        let around = Around {
            view: &view,
            timeline: &timeline,
            whole: is_new || self.request.full_state,
            from,
            until: self.upto,
            after: self.is_state_after(),
        };
        // A client cannot show the name of the room without the members after whom it is called.
        let mut others = summary.as_ref().map(|summary| summary.heroes.clone()).unwrap_or_default();
        others.extend(around.whole.then(|| own.to_owned()));
        let mut state = around.events(tx)?;
        if filter::is_lazy(&wanted.state) {
            around.lazily(tx, &mut state, &others)?;
        }
        let state = self.shown_state(&view, state)?;
        let unread = push::unread(tx, &room, own, self.view.ignored())?;
        let per_thread = wanted.timeline.unread_thread_notifications;
        let hidden = |user_id: &str| self.view.ignores(user_id);
        let mut ephemeral = Vec::new();
        let allows = |event_type| {
            filter::allows_room(&wanted.ephemeral, &room.room_id)
                && filter::allows_type(&wanted.ephemeral, event_type)
        };
        if allows("m.typing") && (self.typing.contains(&room.num) || (is_new && self.since > Pos::ZERO)) {
            ephemeral.push(room::typing(tx, room.num, self.now, &hidden)?);
        }
        if allows("m.receipt") && (is_new || self.receipts.contains(&room.num)) {
            ephemeral.extend(room::receipts(tx, room.num, own, from, self.upto, &hidden)?);
        }
        let account_data = self.room_data(tx, &room.room_id, is_new)?;
        let nothing = timeline.events.is_empty()
            && !timeline.limited
            && state.is_empty()
            && ephemeral.is_empty()
            && account_data.is_empty();
        // Unread counts also change by own receipts, about which the client must learn; and by nothing that is not new.
        if nothing && !is_new && !has_ephemeral {
            return Ok(None);
        }
        let state = self.place_state(state);
        Ok(Some(Joined {
            timeline: Timeline {
                prev_batch: self.view.token(timeline.start)?.to_string(),
                limited: self.is_limited(&timeline),
                events: timeline.events,
            },
            state,
            account_data: Events { events: account_data },
            ephemeral: Events { events: ephemeral },
            unread_notifications: if per_thread { unread.main } else { unread.total() },
            unread_thread_notifications: per_thread
                .then_some(unread.threads)
                .filter(|threads| !threads.is_empty()),
            summary,
        }))
    }

    /// Returns the newest events in `(from, upto]` of a room.
    fn timeline(
        &self,
        tx: &ReadTx<'_>,
        view: &RoomView<'_, '_, '_>,
        from: Pos,
        upto: Pos,
    ) -> Result<room::Timeline, Error> {
        let (wanted, nothing) = (&self.request.filter.room.timeline, RoomEventFilter::ignore_all());
        let wanted = if filter::allows_room(wanted, &view.room.room_id) { wanted } else { &nothing };
        room::timeline(view, tx, from, upto, self.limit(), wanted)
    }

    /// Returns the state of a room that passes the filter.
    fn shown_state(
        &self,
        view: &RoomView<'_, '_, '_>,
        mut state: Vec<events::Event>,
    ) -> Result<Vec<ClientEvent>, Error> {
        let wanted = &self.request.filter.room.state;
        state.retain(|event| {
            filter::allows_room(wanted, &view.room.room_id) && filter::allows_event(wanted, event)
        });
        room::for_client(view, &state)
    }

    fn place_state(&self, events: Vec<ClientEvent>) -> PlacedState {
        let events = Some(Events { events });
        match self.request.state_after {
            StateAfter::No => PlacedState { state: events, ..PlacedState::default() },
            StateAfter::Yes => PlacedState { state_after: events, ..PlacedState::default() },
            StateAfter::Unstable => PlacedState { unstable_state_after: events, ..PlacedState::default() },
        }
    }

    fn is_state_after(&self) -> bool {
        self.request.state_after != StateAfter::No
    }

    /// Returns account data for a room.
    fn room_data(&self, tx: &ReadTx<'_>, room_id: &str, is_new: bool) -> Result<Vec<DataEvent>, Error> {
        let found = if is_new && !self.is_initial() {
            account_data::of_room(tx, self.viewer.user_num, room_id)?
        } else {
            self.room_data.get(room_id).cloned().unwrap_or_default()
        };
        let wanted = &self.request.filter.room.account_data;
        found
            .into_iter()
            .filter(|data| {
                filter::allows_room(wanted, room_id) && filter::allows_type(wanted, &data.data_type)
            })
            .map(DataEvent::stored)
            .collect()
    }

    /// Returns a room that the user has not joined.
    fn other(&self, tx: &ReadTx<'_>, in_room: &InRoom, found: &mut Rooms) -> Result<(), Error> {
        let member = &in_room.member;
        match member.membership {
            Membership::Invite if membership::blocks_invites(tx, self.viewer.user_num)? => {}
            Membership::Invite | Membership::Knock => {
                let Some(room) = rooms::by_num(tx, member.room_num)? else { return Ok(()) };
                let event = events::state(tx, room.num, types::MEMBER, &self.viewer.user_id)?;
                if event.is_some_and(|event| self.view.ignores(&event.sender)) {
                    return Ok(());
                }
                let view = self.view.room(&room)?;
                let state = json!({ "events": timeline::stripped_state(&view, tx, &self.viewer.user_id)? });
                if member.membership == Membership::Invite {
                    found.invite.insert(room.room_id, json!({ "invite_state": state }));
                } else {
                    found.knock.insert(room.room_id, json!({ "knock_state": state }));
                }
            }
            Membership::Leave | Membership::Ban => {
                let wanted = self.origin != Origin::Nothing || self.request.filter.room.include_leave;
                let is_news = member.since_pos > self.since;
                if wanted
                    && is_news
                    && !(member.forgotten && self.is_initial())
                    && let Some(left) = self.left(tx, in_room)?
                {
                    found.leave.insert(in_room.room_id.clone(), left);
                }
            }
            Membership::Join => {}
        }
        Ok(())
    }

    fn left(&self, tx: &ReadTx<'_>, in_room: &InRoom) -> Result<Option<Left>, Error> {
        let Some(room) = rooms::by_num(tx, in_room.member.room_num)? else { return Ok(None) };
        let view = self.view.room(&room)?;
        let was_there = view.membership_at(self.since) == Membership::Join;
        // The client knows nothing of a room that the user joined and left meanwhile.
        let whole = self.is_initial() || self.request.full_state || !was_there;
        let from = if whole { Pos::ZERO } else { self.since };
        let until = in_room.member.since_pos.min(self.upto);
        // A user who only declined an invite sees nothing else of the room.
        let from = if view.ever_joined() { from } else { in_room.member.since_pos.prev() };
        let timeline = self.timeline(tx, &view, from, until)?;
        let after = self.is_state_after();
        let around = Around { view: &view, timeline: &timeline, whole, from, until, after };
        let own = self.viewer.user_id.as_str();
        let mut state = around.events(tx)?;
        if filter::is_lazy(&self.request.filter.room.state) {
            let others: Vec<String> = whole.then(|| own.to_owned()).into_iter().collect();
            around.lazily(tx, &mut state, &others)?;
        }
        if after {
            // The user may have been invited and have declined after the last state that the client knows.
            let is_own =
                |event: &events::Event| event.membership.is_some() && event.state_key.as_deref() == Some(own);
            state.retain(|event| !is_own(event));
            state.extend(events::state_at(tx, room.num, types::MEMBER, own, until)?);
        }
        let state = self.shown_state(&view, state)?;
        let state = self.place_state(state);
        Ok(Some(Left {
            timeline: Timeline {
                prev_batch: self.view.token(timeline.start)?.to_string(),
                limited: self.is_limited(&timeline),
                events: timeline.events,
            },
            state,
            account_data: Events { events: self.room_data(tx, &room.room_id, false)? },
        }))
    }

    fn departed(&self, departure: &Departure) -> Result<Left, Error> {
        let event =
            departure.event.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let prev_batch = self.view.token(departure.pos)?.to_string();
        let events: Vec<ClientEvent> = event.into_iter().collect();
        let state = if self.is_state_after() { events.clone() } else { Vec::new() };
        Ok(Left {
            timeline: Timeline { events, limited: false, prev_batch },
            state: self.place_state(state),
            account_data: Events { events: Vec::new() },
        })
    }

    fn global_data(&self, tx: &ReadTx<'_>, global: Vec<AccountData>) -> Result<Vec<DataEvent>, Error> {
        let wanted = &self.request.filter.account_data;
        let allows = |data_type: &str| filter::allows(wanted, data_type, None);
        let (stored_rules, others): (Vec<_>, Vec<_>) =
            global.into_iter().partition(|data| data.data_type == push::DATA_TYPE);
        let mut found = Vec::new();
        for data in others.into_iter().filter(|data| allows(&data.data_type)) {
            found.push(DataEvent::stored(data)?);
        }
        let has_rules = self.is_initial() || !stored_rules.is_empty();
        if has_rules && allows(push::DATA_TYPE) {
            let content = push::as_account_data(tx, self.viewer.user_num, &self.viewer.user_id)?;
            found.push(DataEvent::made(push::DATA_TYPE, &content)?);
        }
        Ok(found)
    }

    fn presence(&self, tx: &ReadTx<'_>, joined: &[InRoom]) -> Result<Vec<Value>, Error> {
        let wanted = &self.request.filter.presence;
        let mut changed = ephemeral::changed_presence(tx, &self.viewer.user_id, self.since, MAX_PRESENCE)?;
        // When two users begin to share a room, the presence of one of them may be older than the position.
        let news = joined.iter().filter(|room| !self.is_initial() && room.last_pos > self.since);
        for room in news {
            let since = if room.member.since_pos > self.since { Pos::ZERO } else { self.since };
            for met in ephemeral::presence_of_newcomers(tx, room.member.room_num, since, MAX_PRESENCE)? {
                if !changed.iter().any(|known| known.user_id == met.user_id) {
                    changed.push(met);
                }
            }
        }
        Ok(changed
            .into_iter()
            .filter(|presence| self.origin != Origin::Nothing || presence.presence != "offline")
            .filter(|presence| {
                filter::allows(wanted, "m.presence", Some(&presence.user_id))
                    && !self.view.ignores(&presence.user_id)
            })
            .map(|presence| {
                let content = reeve_rooms::ephemeral::presence_content(&presence, self.now);
                json!({ "type": "m.presence", "sender": presence.user_id, "content": content })
            })
            .collect())
    }
}
