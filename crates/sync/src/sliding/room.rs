//! The choice of what is sent of one room: its timeline, its state, and its description.

use std::collections::HashSet;

use reeve_db::ReadTx;
use reeve_model::{Membership, Pos, RoomNum};
use reeve_rooms::error::Error;
use reeve_rooms::types;
use reeve_rooms::view::RoomView;
use reeve_rooms::{event, push, timeline as stripped};
use reeve_store::events::{self, Event};
use reeve_store::rooms;
use reeve_store::sliding::{Known, Standing};
use reeve_store::stream::Span;
use ruma::api::client::filter::RoomEventFilter;
use serde_json::Value;

use super::Sync;
use super::answer::{Answer, Hero, Room, Sent};
use super::connection::Changes;
use super::lists::Eligible;
use super::wanted::Wanted;
use crate::room::{self, Timeline, needed};

/// The number of known events that means all events of a room.
const ALL_EVENTS: i64 = i64::MAX;

/// A room as the client knows it, and as it is.
#[derive(Clone, Copy)]
struct Basis<'r> {
    /// The client's knowledge; `None` if the room is new to it.
    known: Option<&'r Known>,
    /// True if the room is a direct chat now.
    is_dm: bool,
}

impl Basis<'_> {
    /// The value of `is_dm` for the client, if it is new to it.
    fn new_is_dm(self) -> Option<bool> {
        let is_new = self.known.map_or(self.is_dm, |known| known.is_dm != self.is_dm);
        is_new.then_some(self.is_dm)
    }
}

/// The facts from which the state for the client follows.
struct StateNews<'r> {
    wanted: &'r Wanted,
    /// The state that the client wanted before; `None` if the room is new to it.
    old: Option<&'r Wanted>,
    /// State events since the client last looked.
    changed: &'r [Event],
    /// The positions of the membership events that the client has.
    members: &'r [Pos],
    timeline: &'r Timeline,
    until: Pos,
}

/// A part of a timeline.
struct Part {
    timeline: Timeline,
    /// True if it goes further back than the client asked for before.
    expanded: bool,
    /// The number of the newest events that the client knows with it.
    known: i64,
}

fn count(events: &[Event]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}

impl Sync<'_, '_, '_> {
    /// Returns a room, if something in it is new to the client.
    pub(crate) fn room(
        &self,
        tx: &ReadTx<'_>,
        eligible: &Eligible<'_>,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let standing = eligible.standing;
        let is_dm = self.direct.contains(&standing.room_id);
        // A room with another membership than the client knows is sent like a new one.
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
                self.stripped(tx, eligible, &room, Basis { known, is_dm }, changes)
            }
            // A user who only declined an invite, or was refused, sees nothing else of the room.
            Membership::Leave | Membership::Ban if !standing.was_in => {
                self.gone(tx, eligible, &room, changes)
            }
            Membership::Join | Membership::Leave | Membership::Ban => {
                self.seen(tx, eligible, &room, Basis { known, is_dm }, changes)
            }
        }
    }

    /// The client's knowledge of a room from now on, except for its state.
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
        basis @ Basis { known, is_dm }: Basis<'_>,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let standing = eligible.standing;
        let view = self.view.room(room)?;
        let renewed = known.is_none_or(|known| known.upto < standing.event_pos);
        let new_is_dm = basis.new_is_dm();
        changes.record(
            self.connection,
            self.now_known(standing, 0, is_dm),
            eligible.wanted.clone(),
            Vec::new(),
        );
        if !renewed && new_is_dm.is_none() {
            return Ok(None);
        }
        let mut answer = Room { is_dm: new_is_dm, ..Room::default() };
        if renewed {
            answer.initial = known.is_none().then_some(true);
            answer.name = rooms::shown(room.name.as_ref()).cloned().map(Some);
            answer.avatar = rooms::shown(room.avatar_url.as_ref()).cloned().map(Some);
            answer.bump_stamp = Some(standing.event_pos);
            answer.invite_state = Some(stripped::stripped_state(&view, tx, self.own())?);
        }
        let since = known.map(|known| known.upto);
        Ok(Some(Answer { room: answer, sent: Sent { since, event_ids: HashSet::new() } }))
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
        changes.record(self.connection, known, eligible.wanted.clone(), Vec::new());
        let live = timeline.stored.iter().filter(|event| self.is_live(event)).count();
        let answer = Room {
            initial: Some(true),
            required_state: Some(room::for_client(&view, &own)?),
            prev_batch: Some(self.view.token(timeline.start)?.to_string()),
            num_live: Some(live),
            bump_stamp: Some(pos),
            timeline: Some(timeline.events),
            ..Room::default()
        };
        Ok(Some(Answer { room: answer, sent: Sent { since: None, event_ids: HashSet::new() } }))
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
        basis @ Basis { known, is_dm }: Basis<'_>,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, Error> {
        let (standing, wanted) = (eligible.standing, &eligible.wanted);
        let view = self.view.room(room)?;
        let is_joined = standing.membership == Membership::Join;
        let until = if is_joined { self.upto } else { standing.event_pos.min(self.upto) };
        // The position up to which the user may know the state: a former member may learn of a later ban.
        let state_until = view.state_pos(until);
        let old = known.map(|known| self.connection.wanted_of(known));
        // A user who left after what the client knows of the room gets the rest of it, and the end.
        let from = match known {
            Some(known) => known.upto,
            None if is_joined => Pos::ZERO,
            None => self.known(standing).map_or(Pos::ZERO, |known| known.upto),
        };
        let part = part(tx, &view, eligible, Span { after: from, upto: until }, known)?;
        let changed = match known {
            Some(known) if known.upto < until => {
                events::state_changed(tx, room.num, known.upto, state_until)?
            }
            Some(_) | None => Vec::new(),
        };
        let known_members = match known {
            Some(known) => self.connection.members_of(tx, known)?,
            None => Vec::new(),
        };
        let news = StateNews {
            wanted,
            old: old.as_ref(),
            changed: &changed,
            members: &known_members,
            timeline: &part.timeline,
            until: state_until,
        };
        let mut state = self.state(tx, room.num, &news)?;
        if known.is_none() && !is_joined && wanted.is_lazy() {
            // Without the own membership event, a timeline may not show that the user left.
            let own = events::state_at(tx, room.num, types::MEMBER, self.own(), until)?;
            state.extend(own.filter(|own| state.iter().all(|event| event.pos != own.pos)));
        }
        let mut members = known_members.clone();
        if !wanted.has_all_members() {
            members.extend(
                state.iter().filter(|event| event.event_type == types::MEMBER).map(|event| event.pos),
            );
        }
        // State that the client knows and no longer wants stays known until it changes.
        let own = self.own();
        let lost =
            |old: &Wanted| changed.iter().any(|event| old.matches(event, own) && !wanted.matches(event, own));
        let knows = match &old {
            Some(old) if !lost(old) => {
                let mut knows = old.clone();
                knows.merge(wanted);
                knows
            }
            Some(_) | None => wanted.clone(),
        };
        changes.record(self.connection, self.now_known(standing, part.known, is_dm), knows, members);
        let new_is_dm = basis.new_is_dm();
        let is_news = known.is_none()
            || new_is_dm.is_some()
            || !part.timeline.events.is_empty()
            || part.timeline.limited
            || !state.is_empty()
            || changed.iter().any(|event| shows(&event.event_type))
            || self.own_receipts.contains(&room.num);
        if !is_news {
            return Ok(None);
        }
        let event_ids = part.timeline.stored.iter().map(|event| event.event_id.clone()).collect();
        let mut answer = Room {
            is_dm: new_is_dm,
            initial: known.is_none().then_some(true),
            required_state: Some(room::for_client(&view, &state)?),
            ..self.description(tx, &view, standing, known, &news)?
        };
        if is_joined {
            let unread = push::unread(tx, room, self.own(), self.view.ignored())?.total();
            answer.notification_count = Some(unread.notification_count);
            answer.highlight_count = Some(unread.highlight_count);
        }
        answer.unstable_expanded_timeline = part.expanded.then_some(true);
        answer.limited = Some(part.timeline.limited);
        answer.num_live = Some(part.timeline.stored.iter().filter(|event| self.is_live(event)).count());
        answer.prev_batch = Some(self.view.token(part.timeline.start)?.to_string());
        answer.timeline = Some(part.timeline.events);
        let since = known.map(|known| known.upto);
        Ok(Some(Answer { room: answer, sent: Sent { since, event_ids } }))
    }

    /// Returns the state for the client: all that it wants of a new room; else changes, and what it did not want
    /// before.
    fn state(&self, tx: &ReadTx<'_>, room_num: RoomNum, news: &StateNews<'_>) -> Result<Vec<Event>, Error> {
        let StateNews { wanted, old, changed, members, timeline, until } = *news;
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
            there.extend(members);
            for user_id in needed(&timeline.stored) {
                let member = events::state_at(tx, room_num, types::MEMBER, user_id, until)?;
                state.extend(member.filter(|member| there.insert(member.pos)));
            }
        }
        let mut seen = HashSet::new();
        state.retain(|event| seen.insert(event.pos));
        Ok(state)
    }

    /// Returns the name, avatar, numbers of members and place in the list, as far as they are new to the client.
    fn description(
        &self,
        tx: &ReadTx<'_>,
        view: &RoomView<'_, '_, '_>,
        standing: &Standing,
        known: Option<&Known>,
        news: &StateNews<'_>,
    ) -> Result<Room, Error> {
        let mut answer = Room::default();
        let StateNews { changed, timeline, until, .. } = *news;
        let (room, is_joined) = (&view.room, standing.membership == Membership::Join);
        let is_new = known.is_none();
        let has_changed = |event_type: &str| changed.iter().any(|event| event.event_type == event_type);
        let name = text_at(tx, view, types::NAME, "name", until)?;
        if is_new && name.is_some() || has_changed(types::NAME) {
            answer.name = Some(name.clone());
        }
        let avatar = || text_at(tx, view, types::AVATAR, "url", until);
        if has_changed(types::AVATAR) {
            answer.avatar = Some(avatar()?);
        } else if is_new {
            answer.avatar = avatar()?.map(Some);
        }
        if !is_joined {
            answer.bump_stamp = Some(standing.event_pos);
            return Ok(answer);
        }
        if name.is_none() && (is_new || has_changed(types::MEMBER) || has_changed(types::NAME)) {
            answer.heroes = Some(self.heroes(tx, view)?);
        }
        answer.joined_count = Some(room.joined_members);
        answer.invited_count = Some(room.invited_members);
        let after = known.map_or(Pos::ZERO, |known| known.upto);
        if is_new || timeline.limited || !timeline.events.is_empty() {
            let latest = events::latest_activity(tx, room.num, after, until)?;
            answer.bump_stamp = latest.or(is_new.then_some(standing.since_pos));
        }
        Ok(answer)
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

/// Returns the part of the timeline in a span of the stream, or more if the client now asks for a longer timeline.
fn part(
    tx: &ReadTx<'_>,
    view: &RoomView<'_, '_, '_>,
    eligible: &Eligible<'_>,
    Span { after: from, upto: until }: Span,
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

/// Returns a text of the state after the event at a position.
fn text_at(
    tx: &ReadTx<'_>,
    view: &RoomView<'_, '_, '_>,
    event_type: &str,
    key: &str,
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

/// True if a change of state of this type changes how a room looks in a list.
fn shows(event_type: &str) -> bool {
    matches!(event_type, types::NAME | types::AVATAR | types::MEMBER)
}
