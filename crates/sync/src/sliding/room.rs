//! One room in an answer.

use std::collections::HashSet;

use reeve_db::ReadTx;
use reeve_model::{Membership, Pos, RoomNum};
use reeve_rooms::error::Error;
use reeve_rooms::types;
use reeve_rooms::view::{ClientEvent, RoomView};
use reeve_rooms::{event, push, timeline as stripped};
use reeve_store::departures::Departure;
use reeve_store::events::{self, Event};
use reeve_store::rooms;
use reeve_store::sliding::{Known, Standing};
use ruma::api::client::filter::RoomEventFilter;
use serde::Serialize;
use serde_json::Value;

use super::Sync;
use super::connection::Changes;
use super::lists::Eligible;
use super::wanted::Wanted;
use crate::room::{self, Timeline, needed};

/// Stands for all events of a room.
const ALL_EVENTS: i64 = i64::MAX;

/// Somebody after whom a room without name is called.
#[derive(Debug, Serialize)]
struct Hero {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

/// A room. What is left out has not changed; of a room that the client did not know, it is not set.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Room {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heroes: Option<Vec<Hero>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_dm: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unstable_expanded_timeline: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_state: Option<Vec<ClientEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<ClientEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_state: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_live: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bump_stamp: Option<Pos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joined_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight_count: Option<i64>,
}

impl Room {
    /// A room that is no more, and that the user was made to leave.
    pub(crate) fn departed(departure: &Departure) -> Result<Self, Error> {
        let left: Option<ClientEvent> =
            departure.event.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let left: Vec<ClientEvent> = left.into_iter().collect();
        Ok(Self {
            required_state: Some(left.clone()),
            num_live: Some(left.len()),
            timeline: Some(left),
            limited: Some(false),
            bump_stamp: Some(departure.pos),
            ..Self::default()
        })
    }

    /// How many events it has.
    pub(crate) fn size(&self) -> usize {
        let of = |events: Option<&Vec<ClientEvent>>| events.map_or(0, Vec::len);
        of(self.timeline.as_ref()) + of(self.required_state.as_ref())
    }
}

/// What extensions need to know of a room in an answer.
#[derive(Debug)]
pub(crate) struct Told {
    /// Up to where the client knew it; `None` if not at all.
    pub(crate) since: Option<Pos>,
    /// The events in its timeline.
    pub(crate) event_ids: HashSet<String>,
}

/// A room in an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) room: Room,
    pub(crate) told: Told,
}

/// A part of a timeline, and what is to be said about it.
struct Part {
    timeline: Timeline,
    expanded: bool,
    /// How many of the newest events the client knows with it.
    known: i64,
}

fn count(events: &[Event]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}

impl Sync<'_, '_, '_> {
    /// A room, if there is news about it.
    pub(crate) fn room(
        &self,
        tx: &ReadTx<'_>,
        eligible: &Eligible<'_>,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let standing = eligible.standing;
        let is_dm = self.direct.contains(&standing.room_id);
        // With another membership than the client knows, a room is as good as new.
        let known = self.known(standing).filter(|known| known.upto >= standing.since_pos);
        if let Some(known) = known {
            let latest =
                if standing.membership == Membership::Join { standing.last_pos } else { standing.event_pos };
            let is_same = known.upto >= latest
                && known.is_dm == is_dm
                && (standing.membership != Membership::Join
                    || (eligible.limit <= known.timeline && !self.own_receipts.contains(&standing.room_num)));
            if is_same && self.connection.wanted_of(known).covers(&eligible.wanted) {
                return Ok(None);
            }
        }
        let Some(room) = rooms::by_num(tx, standing.room_num)? else { return Ok(None) };
        match standing.membership {
            Membership::Invite | Membership::Knock => {
                self.stripped(tx, eligible, &room, (known, is_dm), changes)
            }
            // Who only declined an invite, or was refused, learns that it is gone, and nothing of the room.
            Membership::Leave | Membership::Ban if !standing.was_in => {
                self.gone(tx, eligible, &room, changes)
            }
            Membership::Join | Membership::Leave | Membership::Ban => {
                self.seen(tx, eligible, &room, (known, is_dm), changes)
            }
        }
    }

    /// What the client knows of a room from now on, but for its state.
    fn now_known(&self, standing: &Standing, timeline: i64, is_dm: bool) -> Known {
        let room_num = standing.room_num;
        Known { room_num, version: 0, upto: self.upto, timeline, wanted: 0, is_dm }
    }

    /// A room to which the user is invited, or has asked to be.
    fn stripped(
        &self,
        tx: &ReadTx<'_>,
        eligible: &Eligible<'_>,
        room: &rooms::Room,
        (known, is_dm): (Option<&Known>, bool),
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let standing = eligible.standing;
        let view = self.view.room(room)?;
        let renewed = known.is_none_or(|known| known.upto < standing.event_pos);
        let redirected = known.map_or(is_dm, |known| known.is_dm != is_dm);
        changes.tell(
            self.connection,
            self.now_known(standing, 0, is_dm),
            eligible.wanted.clone(),
            Vec::new(),
        );
        if !renewed && !redirected {
            return Ok(None);
        }
        let mut told = Room { is_dm: redirected.then_some(is_dm), ..Room::default() };
        if renewed {
            told.initial = known.is_none().then_some(true);
            told.name = rooms::shown(room.name.as_ref()).cloned().map(Some);
            told.avatar = rooms::shown(room.avatar_url.as_ref()).cloned().map(Some);
            told.bump_stamp = Some(standing.event_pos);
            told.invite_state = Some(stripped::stripped_state(&view, tx, self.own())?);
        }
        let since = known.map(|known| known.upto);
        Ok(Some(Answer { room: told, told: Told { since, event_ids: HashSet::new() } }))
    }

    /// A room that the user was invited to, and never was in.
    fn gone(
        &self,
        tx: &ReadTx<'_>,
        eligible: &Eligible<'_>,
        room: &rooms::Room,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let standing = eligible.standing;
        let view = self.view.room(room)?;
        let pos = standing.event_pos.min(self.upto);
        let timeline = room::timeline(&view, tx, pos.prev(), pos, 1, &RoomEventFilter::default())?;
        let own = events::state_at(tx, room.num, types::MEMBER, self.own(), pos)?;
        let own: Vec<Event> =
            own.into_iter().filter(|own| eligible.wanted.matches(own, self.own())).collect();
        let known = self.now_known(standing, ALL_EVENTS, self.direct.contains(&standing.room_id));
        changes.tell(self.connection, known, eligible.wanted.clone(), Vec::new());
        let live = timeline.stored.iter().filter(|event| self.is_live(event)).count();
        let told = Room {
            initial: Some(true),
            required_state: Some(room::for_client(&view, &own)?),
            prev_batch: Some(self.view.token(timeline.start)?.to_string()),
            num_live: Some(live),
            bump_stamp: Some(pos),
            timeline: Some(timeline.events),
            ..Room::default()
        };
        Ok(Some(Answer { room: told, told: Told { since: None, event_ids: HashSet::new() } }))
    }

    fn is_live(&self, event: &Event) -> bool {
        self.since.is_some_and(|since| event.pos > since)
    }

    /// A room that the user is in, or has left.
    fn seen(
        &self,
        tx: &ReadTx<'_>,
        eligible: &Eligible<'_>,
        room: &rooms::Room,
        (known, is_dm): (Option<&Known>, bool),
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let (standing, wanted) = (eligible.standing, &eligible.wanted);
        let view = self.view.room(room)?;
        let is_joined = standing.membership == Membership::Join;
        let until = if is_joined { self.upto } else { standing.event_pos.min(self.upto) };
        // Up to where the user knows the state: who was in the room before may be told of a ban later on.
        let state_until = view.state_pos(until);
        let old = known.map(|known| self.connection.wanted_of(known));
        // Whoever left after what the client knows of the room gets to know the rest of it, and that it was the end.
        let from = match known {
            Some(known) => known.upto,
            None if is_joined => Pos::ZERO,
            None => self.known(standing).map_or(Pos::ZERO, |known| known.upto),
        };
        let part = part(tx, &view, eligible, (from, until), known)?;
        let changed = match known {
            Some(known) if known.upto < until => {
                events::state_changed(tx, room.num, known.upto, state_until)?
            }
            _ => Vec::new(),
        };
        let mut members = match known {
            Some(known) => self.connection.members_of(tx, known)?,
            None => Vec::new(),
        };
        let mut state = self.state(
            tx,
            room.num,
            (wanted, old.as_ref()),
            &part.timeline,
            (&changed, &members),
            state_until,
        )?;
        if known.is_none() && !is_joined && wanted.is_lazy() {
            // Nothing else says that one left, unless the timeline does.
            let own = events::state_at(tx, room.num, types::MEMBER, self.own(), until)?;
            state.extend(own.filter(|own| state.iter().all(|event| event.pos != own.pos)));
        }
        if !wanted.has_all_members() {
            members.extend(
                state.iter().filter(|event| event.event_type == types::MEMBER).map(|event| event.pos),
            );
        }
        let knows = match old {
            // What it knows beyond what it wants stays known as long as it does not change.
            Some(mut old)
                if !changed
                    .iter()
                    .any(|event| old.matches(event, self.own()) && !wanted.matches(event, self.own())) =>
            {
                old.merge(wanted);
                old
            }
            _ => wanted.clone(),
        };
        changes.tell(self.connection, self.now_known(standing, part.known, is_dm), knows, members);
        let redirected = known.map_or(is_dm, |known| known.is_dm != is_dm);
        let is_news = known.is_none()
            || redirected
            || !part.timeline.events.is_empty()
            || part.timeline.limited
            || !state.is_empty()
            || changed.iter().any(|event| shows(&event.event_type))
            || self.own_receipts.contains(&room.num);
        if !is_news {
            return Ok(None);
        }
        let event_ids = part.timeline.stored.iter().map(|event| event.event_id.clone()).collect();
        let mut told = Room {
            is_dm: redirected.then_some(is_dm),
            initial: known.is_none().then_some(true),
            required_state: Some(room::for_client(&view, &state)?),
            ..Room::default()
        };
        self.describe(tx, &view, standing, (&mut told, &changed, &part.timeline), (known, state_until))?;
        if is_joined {
            let unread = push::unread(tx, room, self.own(), self.view.ignored())?.total();
            told.notification_count = Some(unread.notification_count);
            told.highlight_count = Some(unread.highlight_count);
        }
        told.unstable_expanded_timeline = part.expanded.then_some(true);
        told.limited = Some(part.timeline.limited);
        told.num_live = Some(part.timeline.stored.iter().filter(|event| self.is_live(event)).count());
        told.prev_batch = Some(self.view.token(part.timeline.start)?.to_string());
        told.timeline = Some(part.timeline.events);
        let since = known.map(|known| known.upto);
        Ok(Some(Answer { room: told, told: Told { since, event_ids } }))
    }

    /// The state that is due: all that is wanted of a new room, else what changed, and what was not wanted before.
    fn state(
        &self,
        tx: &ReadTx<'_>,
        room_num: RoomNum,
        (wanted, old): (&Wanted, Option<&Wanted>),
        timeline: &Timeline,
        (changed, told): (&[Event], &[Pos]),
        until: Pos,
    ) -> Result<Vec<Event>, Error> {
        let own = self.own();
        let lazy = wanted.is_lazy();
        let mut state = match old {
            None => wanted.gather(tx, room_num, own, until)?,
            Some(old) => {
                let is_due = |event: &&Event| {
                    wanted.matches(event, own)
                        || (lazy && !timeline.limited && event.event_type == types::MEMBER)
                };
                let mut state: Vec<Event> = changed.iter().filter(is_due).cloned().collect();
                if !old.covers(wanted) {
                    let more = wanted.gather(tx, room_num, own, until)?;
                    state.extend(more.into_iter().filter(|event| !old.matches(event, own)));
                }
                state
            }
        };
        if lazy {
            let mut there: HashSet<Pos> = state.iter().map(|event| event.pos).collect();
            there.extend(told);
            for user_id in needed(&timeline.stored) {
                let member = events::state_at(tx, room_num, types::MEMBER, user_id, until)?;
                state.extend(member.filter(|member| there.insert(member.pos)));
            }
        }
        let mut seen = HashSet::new();
        state.retain(|event| seen.insert(event.pos));
        Ok(state)
    }

    /// Adds what a room is called, how many are in it, and where it stands among others, if that is news.
    fn describe(
        &self,
        tx: &ReadTx<'_>,
        view: &RoomView<'_, '_, '_>,
        standing: &Standing,
        (told, changed, timeline): (&mut Room, &[Event], &Timeline),
        (known, until): (Option<&Known>, Pos),
    ) -> Result<(), Error> {
        let (room, is_joined) = (&view.room, standing.membership == Membership::Join);
        let is_new = known.is_none();
        let has_changed = |event_type: &str| changed.iter().any(|event| event.event_type == event_type);
        let name = text_at(tx, view, (types::NAME, "name"), until)?;
        if is_new && name.is_some() || has_changed(types::NAME) {
            told.name = Some(name.clone());
        }
        let avatar = || text_at(tx, view, (types::AVATAR, "url"), until);
        if has_changed(types::AVATAR) {
            told.avatar = Some(avatar()?);
        } else if is_new {
            told.avatar = avatar()?.map(Some);
        }
        if !is_joined {
            told.bump_stamp = Some(standing.event_pos);
            return Ok(());
        }
        if name.is_none() && (is_new || has_changed(types::MEMBER) || has_changed(types::NAME)) {
            told.heroes = Some(self.heroes(tx, view)?);
        }
        told.joined_count = Some(room.joined_members);
        told.invited_count = Some(room.invited_members);
        let after = known.map_or(Pos::ZERO, |known| known.upto);
        if is_new || timeline.limited || !timeline.events.is_empty() {
            let latest = events::latest_activity(tx, room.num, after, until)?;
            told.bump_stamp = latest.or(is_new.then_some(standing.since_pos));
        }
        Ok(())
    }

    fn heroes(&self, tx: &ReadTx<'_>, view: &RoomView<'_, '_, '_>) -> Result<Vec<Hero>, Error> {
        let mut heroes = Vec::new();
        for user_id in room::heroes(tx, &view.room, self.own())? {
            let (mut displayname, mut avatar_url) = (None, None);
            if let Some(member) = events::state_at(tx, view.room.num, types::MEMBER, &user_id, self.upto)? {
                displayname = text(&member, view, "displayname")?;
                avatar_url = text(&member, view, "avatar_url")?;
            }
            heroes.push(Hero { user_id, displayname, avatar_url });
        }
        Ok(heroes)
    }
}

/// The part of the timeline that is due.
fn part(
    tx: &ReadTx<'_>,
    view: &RoomView<'_, '_, '_>,
    eligible: &Eligible<'_>,
    (from, until): (Pos, Pos),
    known: Option<&Known>,
) -> Result<Part, Error> {
    let (limit, all) = (eligible.limit, RoomEventFilter::default());
    let Some(known) = known else {
        let timeline = room::timeline(view, tx, from, until, limit, &all)?;
        let known = if timeline.limited || from > Pos::ZERO { count(&timeline.stored) } else { ALL_EVENTS };
        return Ok(Part { timeline, expanded: false, known });
    };
    let mut at_least = known.timeline;
    if limit > known.timeline && eligible.standing.membership == Membership::Join {
        let timeline = room::timeline(view, tx, Pos::ZERO, until, limit, &all)?;
        let old = timeline.stored.iter().filter(|event| event.pos <= from).count();
        at_least = if timeline.limited { limit } else { ALL_EVENTS };
        if i64::try_from(old).unwrap_or(i64::MAX) > known.timeline {
            return Ok(Part { timeline, expanded: true, known: at_least });
        }
    }
    let timeline = room::timeline(view, tx, from, until, limit, &all)?;
    let known = if timeline.limited {
        count(&timeline.stored)
    } else {
        at_least.max(known.timeline.saturating_add(count(&timeline.stored)))
    };
    Ok(Part { timeline, expanded: false, known })
}

/// A text in the state after the event at a position.
fn text_at(
    tx: &ReadTx<'_>,
    view: &RoomView<'_, '_, '_>,
    (event_type, key): (&str, &str),
    at: Pos,
) -> Result<Option<String>, Error> {
    let Some(state) = events::state_at(tx, view.room.num, event_type, "", at)? else { return Ok(None) };
    text(&state, view, key)
}

fn text(state: &Event, view: &RoomView<'_, '_, '_>, key: &str) -> Result<Option<String>, Error> {
    let content = event::content(state, &view.rules)?;
    let text = content.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    Ok(text.map(str::to_owned))
}

/// Whether a room looks otherwise in a list when state of this type changes.
fn shows(event_type: &str) -> bool {
    matches!(event_type, types::NAME | types::AVATAR | types::MEMBER)
}
