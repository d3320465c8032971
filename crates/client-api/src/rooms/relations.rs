//! Relations, threads, and rooms in spaces.

use reeve_app::{Access, Answer, Call, Param, Route, reply};
use reeve_model::Pos;
use reeve_rooms::preview;
use reeve_rooms::spaces::{self, Hierarchy};
use reeve_rooms::timeline::{self, Range, Related};
use reeve_rooms::view::View;
use reeve_rooms::{Error, lookup};
use serde_json::json;

use super::{open, token, viewer};

use crate::shapes;

/// The kinds of thread lists, with true for only threads that the account participated in.
const INCLUDE: [(&str, bool); 2] = [("all", false), ("participated", true)];
/// Default and maximum number of rooms of a space in a page.
const HIERARCHY: i64 = 50;

pub(crate) fn routes() -> Vec<Route> {
    let relations = |id: &'static str, rest: &str| {
        let path = format!("rooms/{{room_id}}/relations/{{event_id}}{rest}");
        Route::get(&format!("/_matrix/client/v1/{path}"), relations)
            .also(&format!("/_matrix/client/unstable/{path}"))
            .access(Access::User)
            .id(id)
            .returns::<shapes::rooms::Relations>(200)
            .summary("Returns the events that relate to an event")
            .query([
                Param::text("from", "the token to begin at"),
                Param::text("to", "the token to stop at"),
                Param::direction("`b` (default) for the newest first, `f` for the oldest"),
                Param::integer("limit", "maximum number of events; 5 by default"),
                Param::boolean("recurse", "`true` to include events that relate to related events"),
            ])
            .errors(&[
                (403, "M_FORBIDDEN", "the account may not read the room"),
                (404, "M_NOT_FOUND", "there is no such event, or it is not visible"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidrelationseventid")
    };
    vec![
        relations("getRelatingEvents", ""),
        relations("getRelatingEventsWithRelType", "/{rel_type}"),
        relations("getRelatingEventsWithRelTypeAndEventType", "/{rel_type}/{event_type}"),
        Route::get("/_matrix/client/v1/rooms/{room_id}/threads", threads)
            .access(Access::User)
            .id("getThreadRoots")
            .returns::<shapes::rooms::Threads>(200)
            .summary("Lists the threads of a room, the latest first")
            .errors(&[(403, "M_FORBIDDEN", "the account may not read the room")])
            .query([
                Param::choice("include", &INCLUDE, "`all` (default) or `participated`"),
                Param::text("from", "the token to begin at"),
                Param::integer("limit", "maximum number of threads; 10 by default"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidthreads"),
        Route::get("/_matrix/client/v1/rooms/{room_id}/hierarchy", hierarchy)
            .access(Access::User)
            .id("getSpaceHierarchy")
            .returns::<shapes::rooms::Space>(200)
            .summary("Lists the rooms of a space")
            .query([
                Param::text("from", "the token to begin at"),
                Param::integer("limit", "maximum number of rooms; 50 by default"),
                Param::integer("max_depth", "maximum depth"),
                Param::boolean("suggested_only", "`true` to return only suggested rooms"),
            ])
            .errors(&[(403, "M_FORBIDDEN", "the account may not read the room")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidhierarchy"),
        Route::get("/_matrix/client/v1/room_summary/{room_id_or_alias}", summary)
            .also("/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}")
            .also("/_matrix/client/unstable/im.nheko.summary/rooms/{room_id_or_alias}/summary")
            .access(Access::Optional)
            .id("getRoomSummary")
            .returns::<shapes::rooms::RoomPresentation>(200)
            .summary("Returns the summary of a room")
            .errors(&[(404, "M_NOT_FOUND", "there is no such room, or its summary is not public")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1room_summaryroomidoralias"),
    ]
}

async fn relations(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let given = |name: &str| Some(call.param(name)).filter(|value| !value.is_empty());
    let related = Related {
        rel_type: given("rel_type"),
        event_type: given("event_type"),
        recurse: call.query.boolean("recurse")?.unwrap_or(false),
    };
    let range = Range {
        from: token(&call, "from")?,
        to: token(&call, "to")?,
        backwards: call.query.backwards()?.unwrap_or(true),
        limit: call.query.integer("limit")?.unwrap_or(5),
    };
    let (event_id, recursed) = (call.param("event_id"), related.recurse);
    let page = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            timeline::relations(&room, tx, &event_id, &related, &range)
        })
        .await?;
    let mut body = json!({ "chunk": page.chunk });
    if let Some(body) = body.as_object_mut() {
        if page.start.pos > Pos::ZERO && call.query.has("from") {
            body.insert("prev_batch".to_owned(), json!(page.start.to_string()));
        }
        if let Some(end) = page.end {
            body.insert("next_batch".to_owned(), json!(end.to_string()));
        }
        if recursed {
            body.insert("recursion_depth".to_owned(), json!(3));
        }
    }
    reply::ok(&body)
}

async fn threads(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let (from, limit) = (token(&call, "from")?, call.query.integer("limit")?.unwrap_or(10));
    let participated = call.query.choice("include", &INCLUDE)?.unwrap_or(false);
    let (chunk, next) = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let room = open(&view, tx, &room_id)?;
            timeline::threads(&room, tx, from.as_ref(), limit, participated)
        })
        .await?;
    let mut body = json!({ "chunk": chunk });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next_batch".to_owned(), json!(next.to_string()));
    }
    reply::ok(&body)
}

async fn hierarchy(call: Call) -> Answer {
    let (viewer, room_id, now) = (viewer(&call)?, call.param("room_id"), call.now);
    let limit = call.query.integer("limit")?.unwrap_or(HIERARCHY).clamp(1, HIERARCHY);
    let from = call.query.utf8("from")?.filter(|from| !from.is_empty());
    let from = from
        .map(|from| from.parse::<usize>())
        .transpose()
        .map_err(|_| reeve_app::MatrixError::invalid_param("Unknown pagination token"))?;
    let wanted = Hierarchy {
        max_depth: call.query.integer("max_depth")?,
        suggested_only: call.query.boolean("suggested_only")?.unwrap_or(false),
        limit: usize::try_from(limit).unwrap_or(1),
        from: from.unwrap_or(0),
    };
    let (rooms, next) = call
        .read(move |tx| -> Result<_, Error> {
            let refused = || {
                Error::Forbidden(format!(
                    "User {} not in room {room_id}, and room previews are disabled",
                    viewer.user_id
                ))
            };
            let room = lookup::find_room(tx, &room_id).map_err(|_| refused())?;
            if !preview::may_preview(tx, &viewer.user_id, &room)? {
                return Err(refused());
            }
            let view = View::of(tx, viewer.clone(), now)?;
            spaces::hierarchy(&view, Some(&viewer), &room, &wanted)
        })
        .await?;
    let mut body = json!({ "rooms": rooms });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next_batch".to_owned(), json!(next.to_string()));
    }
    reply::ok(&body)
}

async fn summary(call: Call) -> Answer {
    let user_id = call.optional_session().map(|session| session.user.user_id.clone());
    let named = call.param("room_id_or_alias");
    let summary = call
        .read(move |tx| -> Result<_, Error> { spaces::room_summary(tx, user_id.as_deref(), &named) })
        .await?;
    reply::ok(&summary)
}
