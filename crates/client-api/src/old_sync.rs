//! Synchronisation as in the first clients, still used by simple bots.
//! <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3events>

use std::time::Duration;

use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Membership, Millis, Pos, RoomNum, Token};
use reeve_rooms::position::Positions;
use reeve_rooms::timeline::{self, Range};
use reeve_rooms::view::{ClientEvent, RoomView, View, Viewer};
use reeve_rooms::{Error, ephemeral, membership};
use reeve_store::account_data::{self, AccountData};
use reeve_store::events::{self, Event};
use reeve_store::memberships::{self, InRoom};
use reeve_store::rooms;
use reeve_store::stream;
use ruma::api::client::filter::RoomEventFilter;
use serde_json::{Map, Value, json};

use crate::rooms::{open, token, v3, viewer};
use crate::shapes;

/// Default and maximum number of messages of a room.
const MESSAGES: i64 = 10;
const MAX_MESSAGES: i64 = 100;
/// Maximum number of events, including state, of all rooms in a response together. The room that exceeds it is
/// the last.
const MAX_EVENTS: usize = 50_000;
/// Number of events in a response of `/events`.
const CHUNK: usize = 100;
/// Default time that `/events` waits, in milliseconds.
const WAIT_MS: i64 = 30_000;
/// Maximum number of presences in a response.
const MAX_PRESENCE: i64 = 1000;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "initialSync", initial_sync)
            .access(Access::Guest)
            .summary("Returns the rooms, account data and presence of an account")
            .description(
                "Deprecated: `/sync` replaces it. Rooms with the latest activity come first; a response that would be \
                 very long leaves out the others.",
            )
            .id("initialSync")
            .returns::<shapes::sync::InitialSync>(200)
            .query([
                Param::integer("limit", "maximum number of messages of each room; 10 by default"),
                Param::boolean("archived", "`true` to include rooms that were left"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3initialsync"),
        v3(Method::GET, "rooms/{room_id}/initialSync", room_initial_sync)
            .access(Access::Guest)
            .summary("Returns the state of a room and its latest messages")
            .id("roomInitialSync")
            .returns::<shapes::sync::RoomInitialSync>(200)
            .query([Param::integer("limit", "maximum number of messages; 10 by default")])
            .errors(&[(403, "M_FORBIDDEN", "the account may not read the room")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidinitialsync"),
        v3(Method::GET, "events", new_events)
            .access(Access::Guest)
            .summary("Waits for new events")
            .description("Deprecated: `/sync` replaces it.")
            .id("getEvents")
            .returns::<shapes::sync::EventChunk>(200)
            .query([
                Param::text("from", "`end` of the last response; now by default"),
                Param::integer("timeout", "time to wait for events, in milliseconds; 30000 by default"),
                Param::text("room_id", "a room that the account may read: only its events are returned"),
            ])
            .errors(&[(403, "M_FORBIDDEN", "the account may not read the room")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3events"),
        v3(Method::GET, "events/{event_id}", one_event)
            .access(Access::Guest)
            .id("getOneEvent")
            .returns::<shape::ClientEvent>(200)
            .summary("Returns an event")
            .description("Deprecated: `/rooms/{room_id}/event/{event_id}` replaces it.")
            .errors(&[(404, "M_NOT_FOUND", "there is no such event, or it is not visible")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3eventseventid"),
    ]
}

fn limit(call: &Call) -> Result<i64, MatrixError> {
    Ok(call.query.integer("limit")?.unwrap_or(MESSAGES).clamp(0, MAX_MESSAGES))
}

fn data(found: &[AccountData]) -> Result<Vec<Value>, Error> {
    let one = |data: &AccountData| {
        let content: Value = serde_json::from_str(&data.content).map_err(Error::internal)?;
        Ok(json!({ "type": data.data_type, "content": content }))
    };
    found.iter().map(one).collect()
}

fn visibility(is_published: bool) -> &'static str {
    if is_published { "public" } else { "private" }
}

/// The visible part of a room: its state and latest messages.
struct Snapshot {
    state: Vec<ClientEvent>,
    messages: Vec<ClientEvent>,
    start: Token,
    end: Token,
}

impl Snapshot {
    fn of(room: &RoomView<'_, '_, '_>, tx: &ReadTx<'_>, limit: i64) -> Result<Self, Error> {
        let current = stream::current(tx)?;
        let last = room.state_pos(current).min(current);
        let end = room.view.token(last)?;
        let range = Range { from: Some(end.clone()), to: None, backwards: true, limit };
        let page = timeline::messages(room, tx, &range, &RoomEventFilter::default())?;
        let mut messages = page.chunk;
        messages.reverse();
        let state = room.show_state(&events::all_state_at(tx, room.room.num, last)?)?;
        let start = page.end.map_or_else(|| room.view.token(Pos::ZERO), Ok)?;
        Ok(Self { state, messages, start, end })
    }

    fn into_json(self) -> Map<String, Value> {
        let messages =
            json!({ "chunk": self.messages, "start": self.start.to_string(), "end": self.end.to_string() });
        Map::from_iter([("state".to_owned(), json!(self.state)), ("messages".to_owned(), messages)])
    }
}

async fn room_initial_sync(call: Call) -> Answer {
    let (viewer, room_id, now, limit) = (viewer(&call)?, call.param("room_id"), call.now, limit(&call)?);
    let body = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            let mut body = Snapshot::of(&room, tx, limit)?.into_json();
            body.insert("room_id".to_owned(), json!(room.room.room_id));
            body.insert("visibility".to_owned(), json!(visibility(room.room.published)));
            body.insert(
                "account_data".to_owned(),
                json!(data(&account_data::of_room(tx, viewer.user_num, &room_id)?)?),
            );
            if memberships::find(tx, &viewer.user_id, room.room.num)?.is_some() {
                body.insert("membership".to_owned(), json!(room.membership_at(Pos::END)));
            }
            Ok(body)
        })
        .await?;
    reply::ok(&body)
}

async fn initial_sync(call: Call) -> Answer {
    let (viewer, now, limit) = (viewer(&call)?, call.now, limit(&call)?);
    let archived = call.query.boolean("archived")?.unwrap_or(false);
    let presence = call.app.home.settings.presence;
    let body = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let mut mine: Vec<InRoom> = memberships::of_user(tx, &viewer.user_id)?;
            let wanted = |room: &InRoom| match room.member.membership {
                Membership::Join | Membership::Invite => true,
                Membership::Leave | Membership::Ban => archived && !room.member.forgotten,
                Membership::Knock => false,
            };
            mine.retain(wanted);
            mine.sort_by_key(|room| std::cmp::Reverse((room.last_pos, room.member.room_num)));
            let all_data = account_data::of_user(tx, viewer.user_num)?;
            let (mut found, mut size) = (Vec::new(), 0);
            for in_room in mine {
                if size > MAX_EVENTS {
                    break;
                }
                if let Some((room, events)) = room_info(tx, &view, &viewer, &in_room, limit, &all_data)? {
                    size += events;
                    found.push(room);
                }
            }
            let global: Vec<AccountData> =
                all_data.into_iter().filter(|data| data.room_id.is_empty()).collect();
            Ok(json!({
                "end": view.token(stream::current(tx)?)?.to_string(),
                "rooms": found,
                "presence": if presence { presences(tx, &view, &viewer, now)? } else { Vec::new() },
                "account_data": data(&global)?,
                "receipts": [],
            }))
        })
        .await?;
    reply::ok(&body)
}

/// Returns a room of `/initialSync`, and the number of its events.
fn room_info(
    tx: &ReadTx<'_>,
    view: &View<'_, '_>,
    viewer: &Viewer,
    in_room: &InRoom,
    limit: i64,
    all_data: &[AccountData],
) -> Result<Option<(Value, usize)>, Error> {
    let Some(room) = rooms::by_num(tx, in_room.member.room_num)? else { return Ok(None) };
    let shown = view.room(&room)?;
    let membership = in_room.member.membership;
    let mut info = Map::new();
    let mut size = 1;
    if membership == Membership::Invite {
        let Some(invite) = events::by_pos(tx, in_room.member.event_pos)? else { return Ok(None) };
        if view.ignores(&invite.sender) || membership::blocks_invites(tx, viewer.user_num)? {
            return Ok(None);
        }
        info.insert("inviter".to_owned(), json!(invite.sender));
        info.insert("invite".to_owned(), json!(shown.show_plain(&invite)?));
    } else if shown.ever_joined() {
        let snapshot = Snapshot::of(&shown, tx, limit)?;
        size += snapshot.state.len() + snapshot.messages.len();
        info = snapshot.into_json();
        let of_room: Vec<AccountData> =
            all_data.iter().filter(|data| data.room_id == room.room_id).cloned().collect();
        info.insert("account_data".to_owned(), json!(data(&of_room)?));
    } else {
        return Ok(None);
    }
    info.insert("room_id".to_owned(), json!(room.room_id));
    info.insert("membership".to_owned(), json!(membership));
    info.insert("visibility".to_owned(), json!(visibility(room.published)));
    Ok(Some((Value::Object(info), size)))
}

fn presences(
    tx: &ReadTx<'_>,
    view: &View<'_, '_>,
    viewer: &Viewer,
    now: Millis,
) -> Result<Vec<Value>, Error> {
    let found = reeve_store::ephemeral::changed_presence(tx, &viewer.user_id, Pos::ZERO, MAX_PRESENCE)?;
    let shown = found
        .into_iter()
        .filter(|presence| presence.presence != "offline" && !view.ignores(&presence.user_id))
        .map(|presence| {
            let mut content = ephemeral::presence_content(&presence, now);
            if let Some(content) = content.as_object_mut() {
                content.insert("user_id".to_owned(), json!(presence.user_id));
            }
            json!({ "type": "m.presence", "sender": presence.user_id, "content": content })
        });
    Ok(shown.collect())
}

async fn one_event(call: Call) -> Answer {
    let (viewer, event_id, now) = (viewer(&call)?, call.param("event_id"), call.now);
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let not_found = || Error::NotFound("Event not found.");
            let room_num = events::find(tx, &event_id)?.ok_or_else(not_found)?.room_num;
            let room = rooms::by_num(tx, room_num)?.ok_or_else(not_found)?;
            let view = View::of(tx, viewer.clone(), now)?;
            Ok(timeline::event(&view.room(&room)?, tx, &event_id)?.1)
        })
        .await?;
    reply::ok(&found)
}

/// New events, and the rooms to listen to until there are more.
struct News {
    events: Vec<ClientEvent>,
    end: Pos,
    rooms: Vec<RoomNum>,
}

async fn new_events(call: Call) -> Answer {
    let (viewer, room_id) = (viewer(&call)?, call.query.utf8("room_id")?);
    let wait = call.query.integer("timeout")?.unwrap_or(WAIT_MS).unsigned_abs();
    let wait = Duration::from_millis(wait).min(crate::sync::MAX_WAIT);
    let from = token(&call, "from")?;
    let (positions, start) = call
        .read(move |tx| -> Result<_, DbError> {
            let positions = Positions::of(tx)?;
            let start = match &from {
                Some(from) => positions.start(tx, from)?,
                None => stream::current(tx)?,
            };
            Ok((positions, start))
        })
        .await?;
    // Listening begins before the first read, so that nothing is missed between the two.
    let listener = call.app.notifier.listen(&viewer.user_id, viewer.user_num);
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    let mut from = start;
    loop {
        let (viewer, room_id) = (viewer.clone(), room_id.clone());
        let (now, position) = (call.app.clock.now(), call.app.notifier.position());
        let news = call
            .read_authorised(move |tx| {
                let view = View::of(tx, viewer.clone(), now)?;
                match &room_id {
                    Some(room_id) => of_room(tx, &view, room_id, from),
                    None => of_all(tx, &view, &viewer, from),
                }
            })
            .await?;
        from = news.end;
        let answer = || {
            reply::ok(&json!({
                "chunk": news.events,
                "start": positions.token(start).to_string(),
                "end": positions.token(news.end).to_string(),
            }))
        };
        if !news.events.is_empty() || wait.is_zero() {
            return answer();
        }
        listener.watch_rooms(news.rooms.clone(), news.end.max(position));
        let mut stopping = call.app.stopping();
        tokio::select! {
            () = listener.news() => {}
            () = &mut deadline => return answer(),
            _ = stopping.wait_for(|stopping| *stopping) => return answer(),
        }
    }
}

/// Returns the news of one room that the viewer can read.
fn of_room(tx: &ReadTx<'_>, view: &View<'_, '_>, room_id: &str, from: Pos) -> Result<News, Error> {
    let room = open(view, tx, room_id)?;
    let current = stream::current(tx)?;
    let most = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    let found = events::after(tx, room.room.num, from, current, most)?;
    let end = found.last().filter(|_| found.len() == CHUNK).map_or(current, |last| last.pos);
    let mut shown = Vec::new();
    for event in &found {
        shown.extend(room.show(event)?);
    }
    Ok(News { events: shown, end: end.max(from), rooms: vec![room.room.num] })
}

/// Returns the news of all rooms that the viewer has joined, and changes of the viewer's membership in others.
fn of_all(tx: &ReadTx<'_>, view: &View<'_, '_>, viewer: &Viewer, from: Pos) -> Result<News, Error> {
    let current = stream::current(tx)?;
    let most = i64::try_from(CHUNK).unwrap_or(i64::MAX).saturating_add(1);
    let joined = memberships::of_user_in(tx, &viewer.user_id, Membership::Join)?;
    let mut found: Vec<Event> = Vec::new();
    for in_room in joined.iter().filter(|room| room.last_pos > from) {
        found.extend(events::after(tx, in_room.member.room_num, from, current, most)?);
        if found.len() > 10 * CHUNK {
            found.sort_by_key(|event| event.pos);
            found.truncate(CHUNK + 1);
        }
    }
    for moved in memberships::changed_of_user(tx, &viewer.user_id, from)? {
        if moved.member.membership == Membership::Join || moved.member.forgotten {
            continue;
        }
        let Some(event) = events::by_pos(tx, moved.member.event_pos)? else { continue };
        let is_invite = moved.member.membership == Membership::Invite;
        if !is_invite || !(view.ignores(&event.sender) || membership::blocks_invites(tx, viewer.user_num)?) {
            found.push(event);
        }
    }
    found.sort_by_key(|event| event.pos);
    let more = found.len() > CHUNK;
    found.truncate(CHUNK);
    let end = found.last().filter(|_| more).map_or(current, |last| last.pos);
    let mut shown = Vec::new();
    for event in &found {
        let Some(room) = rooms::by_num(tx, event.room_num)? else { continue };
        shown.extend(view.room(&room)?.show(event)?);
    }
    let rooms = joined.into_iter().map(|room| room.member.room_num).collect();
    Ok(News { events: shown, end: end.max(from), rooms })
}
