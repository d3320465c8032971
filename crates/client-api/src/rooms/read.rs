//! Room reads: history, context, single events, members.

use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_model::{Membership, Millis, Pos};
use reeve_rooms::timeline::{self, Range};
use reeve_rooms::types;
use reeve_rooms::view::View;
use reeve_rooms::{Error, event, lookup};
use reeve_store::events;
use serde_json::{Map, Value, json};

use super::{event_filter, open, token, v3, viewer};

use crate::shapes;

const FORBIDDEN: (u16, &str, &str) = (403, "M_FORBIDDEN", "the account may not read the room");
const BAD_FILTER: (u16, &str, &str) = (400, "M_BAD_JSON", "the filter is not valid");
const NO_EVENT: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such event, or it is not visible");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "rooms/{room_id}/messages", messages)
            .access(Access::Guest)
            .id("getRoomEvents")
            .returns::<shapes::rooms::History>(200)
            .summary("Returns a page of the history")
            .query([
                Param::text("from", "the token to begin at"),
                Param::text("to", "the token to stop at"),
                Param::direction("`b` for backward in time, `f` for forward"),
                Param::integer("limit", "maximum number of events; 10 by default"),
                Param::text("filter", "a filter for events, as JSON"),
            ])
            .errors(&[FORBIDDEN, BAD_FILTER])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidmessages"),
        v3(Method::GET, "rooms/{room_id}/context/{event_id}", context)
            .access(Access::Guest)
            .id("getEventContext")
            .query([
                Param::integer("limit", "maximum number of events around it; 10 by default"),
                Param::text("filter", "a filter for events, as JSON"),
            ])
            .returns::<shapes::rooms::Surroundings>(200)
            .summary("Returns an event and its context")
            .errors(&[FORBIDDEN, BAD_FILTER, NO_EVENT])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidcontexteventid"),
        v3(Method::GET, "rooms/{room_id}/event/{event_id}", one_event)
            .access(Access::Guest)
            .id("getOneRoomEvent")
            .returns::<shape::ClientEvent>(200)
            .summary("Returns an event")
            .errors(&[NO_EVENT])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomideventeventid"),
        v3(Method::GET, "rooms/{room_id}/members", members)
            .access(Access::Guest)
            .id("getMembersByRoom")
            .returns::<shapes::rooms::Members>(200)
            .summary("Returns the membership events of a room")
            .query([
                Param::text("at", "the position in the history"),
                Param::word(
                    "membership",
                    &["join", "invite", "knock", "leave", "ban"],
                    "only these memberships",
                ),
                Param::word(
                    "not_membership",
                    &["join", "invite", "knock", "leave", "ban"],
                    "all but these memberships",
                ),
            ])
            .errors(&[FORBIDDEN])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidmembers"),
        v3(Method::GET, "rooms/{room_id}/joined_members", joined_members)
            .access(Access::Guest)
            .id("getJoinedMembersByRoom")
            .returns::<shapes::rooms::JoinedMembers>(200)
            .summary("Lists the joined members of a room")
            .errors(&[FORBIDDEN])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3roomsroomidjoined_members"),
        Route::get("/_matrix/client/v1/rooms/{room_id}/timestamp_to_event", timestamp_to_event)
            .access(Access::User)
            .id("getEventByTimestamp")
            .returns::<shapes::rooms::EventAtTime>(200)
            .summary("Returns the event nearest to a time")
            .query([
                Param::integer("ts", "the time in milliseconds").required(),
                Param::direction("`f` for the first event after it, `b` for the last before").required(),
            ])
            .errors(&[FORBIDDEN, NO_EVENT])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event"),
    ]
}

async fn messages(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let filter = event_filter(&call)?;
    let limit = call.query.integer("limit")?.unwrap_or(10);
    let backwards = call.query.backwards()?.unwrap_or(false);
    let range = Range { from: token(&call, "from")?, to: token(&call, "to")?, backwards, limit };
    let page = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            timeline::messages(&room, tx, &range, &filter)
        })
        .await?;
    let mut body = json!({ "start": page.start.to_string() });
    if let Some(body) = body.as_object_mut() {
        body.insert("chunk".to_owned(), json!(page.chunk));
        if let Some(end) = page.end {
            body.insert("end".to_owned(), json!(end.to_string()));
        }
        if !page.state.is_empty() {
            body.insert("state".to_owned(), json!(page.state));
        }
    }
    reply::ok(&body)
}

async fn context(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let (event_id, filter) = (call.param("event_id"), event_filter(&call)?);
    let limit = call.query.integer("limit")?.unwrap_or(10);
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = lookup::find_room(tx, &room_id).map_err(|_| Error::NotFound("Event not found."))?;
            timeline::context(&view.room(&room)?, tx, &event_id, limit, &filter)
        })
        .await?;
    reply::ok(&json!({
        "event": found.event,
        "events_before": found.before,
        "events_after": found.after,
        "start": found.start.to_string(),
        "end": found.end.to_string(),
        "state": found.state,
    }))
}

async fn one_event(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let event_id = call.param("event_id");
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = lookup::find_room(tx, &room_id).map_err(|_| Error::NotFound("Event not found."))?;
            Ok(timeline::event(&view.room(&room)?, tx, &event_id)?.1)
        })
        .await?;
    reply::ok(&found)
}

async fn members(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let (wanted, not_wanted) = (call.query.utf8("membership")?, call.query.utf8("not_membership")?);
    let at = token(&call, "at")?;
    let chunk = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            let at = match &at {
                Some(at) if view.knows(at)? => at.pos,
                Some(_) | None => Pos::PRESENT,
            };
            let at = room.state_pos(at);
            let mut found = events::state_of_type_at(tx, room.room.num, types::MEMBER, at)?;
            found.retain(|event| {
                let membership = event.membership.map(Membership::as_str);
                (wanted.is_none() || membership == wanted.as_deref())
                    && (not_wanted.is_none() || membership != not_wanted.as_deref())
            });
            room.show_state(&found)
        })
        .await?;
    reply::ok(&json!({ "chunk": chunk }))
}

async fn joined_members(call: Call) -> Answer {
    let (user_id, room_id) = (call.user()?.user_id.clone(), call.param("room_id"));
    let joined = call
        .read(move |tx| -> Result<_, Error> {
            let room = lookup::joined_room(tx, &room_id, &user_id)?;
            let rules = event::rules(&room)?;
            let mut joined = Map::new();
            for member in events::state_of_type_at(tx, room.num, types::MEMBER, Pos::PRESENT)? {
                if member.membership != Some(Membership::Join) {
                    continue;
                }
                let content = event::content(&member, &rules)?;
                let mut profile = Map::new();
                for (key, name) in [("displayname", "display_name"), ("avatar_url", "avatar_url")] {
                    profile.insert(name.to_owned(), content.get(key).cloned().unwrap_or(Value::Null));
                }
                joined.insert(member.state_key.unwrap_or_default(), Value::Object(profile));
            }
            Ok(joined)
        })
        .await?;
    reply::ok(&json!({ "joined": joined }))
}

async fn timestamp_to_event(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let ts = Millis::new(call.query.required_integer("ts")?);
    let backwards = call
        .query
        .backwards()?
        .ok_or_else(|| MatrixError::bad_request("M_MISSING_PARAM", "Missing params: ['dir']"))?;
    let event = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            timeline::at_time(&room, tx, ts, backwards)
        })
        .await?;
    reply::ok(&json!({ "event_id": event.event_id, "origin_server_ts": event.ts }))
}
