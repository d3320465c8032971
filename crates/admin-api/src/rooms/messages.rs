//! The history of a room: pages, context, the event nearest to a time, and single events as they are stored.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_model::{Millis, Pos, Scope, Token};
use reeve_rooms::timeline::{self, Range};
use reeve_rooms::view::{ClientEvent, View};
use reeve_rooms::{Error, filter};
use reeve_store::{events, rooms, stream};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A page of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomMessages {
    /// The events, as clients get them.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    chunk: Vec<ClientEvent>,
    start: String,
    /// The `from` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    /// The membership events of the senders, if the filter asks for them.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<ClientEvent>,
}

/// An event and its context.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventContext {
    /// The newest first.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    events_before: Vec<ClientEvent>,
    #[schema(value_type = shape::ClientEvent)]
    event: ClientEvent,
    /// The oldest first.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    events_after: Vec<ClientEvent>,
    /// The state after the last event.
    #[schema(value_type = Vec<shape::ClientEvent>)]
    state: Vec<ClientEvent>,
    start: String,
    end: String,
}

/// An event near a time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NearestEvent {
    event_id: String,
    /// The time at which it was sent, in milliseconds.
    origin_server_ts: i64,
}

/// An event as it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FetchedEvent {
    /// The federation format, including redacted content.
    #[schema(value_type = Object)]
    event: Value,
}

const BAD_FILTER: (u16, &str, &str) = (400, "M_NOT_JSON", "the filter is not valid");

pub(crate) fn messages() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/messages", handle_messages)
        .access(Access::Admin(Scope::MessagesRead))
        .id("listRoomMessagesAsAdmin")
        .summary("Returns a page of a room's history, regardless of its visibility")
        .query([
            Param::text(
                "from",
                "the token to begin at; the oldest or the newest event by default, depending on `dir`",
            ),
            Param::text("to", "the token to stop at"),
            Param::direction("`f` forward in time (the default) or `b` backward"),
            Param::integer("limit", "maximum number of events; 10 by default"),
            Param::text("filter", "a filter for events, as JSON"),
        ])
        .returns::<RoomMessages>(200)
        .errors(&[BAD_FILTER, (400, "M_UNKNOWN", "`from` or `to` is not a token")])
}

pub(crate) fn context() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/context/{event_id}", handle_context)
        .access(Access::Admin(Scope::MessagesRead))
        .id("getRoomContextAsAdmin")
        .summary("Returns an event and its context")
        .query([
            Param::integer("limit", "maximum number of events around it; 10 by default"),
            Param::text("filter", "a filter for events, as JSON"),
        ])
        .returns::<EventContext>(200)
        .errors(&[BAD_FILTER, (404, "M_NOT_FOUND", "there is no such event in the room")])
}

pub(crate) fn timestamp_to_event() -> Route {
    Route::get("/_synapse/admin/v1/rooms/{room_id}/timestamp_to_event", handle_timestamp)
        .access(Access::Admin(Scope::MessagesRead))
        .id("getEventByTimestampAsAdmin")
        .summary("Finds the event of a room nearest to a time")
        .query([
            Param::integer("ts", "the time in milliseconds").required(),
            Param::direction(
                "`f` for the first event at or after the time (the default) or `b` for the last at or before it",
            ),
        ])
        .returns::<NearestEvent>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such event")])
}

pub(crate) fn fetch_event() -> Route {
    Route::get("/_synapse/admin/v1/fetch_event/{event_id}", handle_fetch)
        .access(Access::Admin(Scope::MessagesRead))
        .id("fetchEvent")
        .summary("Returns an event as it is stored, even if redacted")
        .returns::<FetchedEvent>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such event")])
}

fn token(call: &Call, name: &str) -> Result<Option<Token>, MatrixError> {
    let Some(text) = call.query.utf8(name)? else { return Ok(None) };
    let invalid = || MatrixError::unknown(format!("'{name}' parameter is invalid"));
    Token::parse(&text).map(Some).ok_or_else(invalid)
}

fn filter_text(call: &Call) -> Result<String, MatrixError> {
    let text = call.query.utf8("filter")?.filter(|text| !text.is_empty());
    Ok(text.unwrap_or_else(|| "{}".to_owned()))
}

fn bad_filter() -> MatrixError {
    MatrixError::bad_request("M_NOT_JSON", "Query parameter filter must be a valid JSON object")
}

async fn handle_messages(call: Call) -> Answer {
    let (room_id, now) = (call.param("room_id"), call.now);
    let (from, to) = (token(&call, "from")?, token(&call, "to")?);
    let limit = call.query.integer("limit")?.unwrap_or(10);
    let backwards = call.query.backwards()?.unwrap_or(false);
    let filter = filter::parse(&filter_text(&call)?).map_err(|_| bad_filter())?;
    let range = Range { from, to, backwards, limit };
    let page = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of_admin(tx, now);
            let Some(room) = rooms::find(tx, &room_id)? else {
                let start = match &range.from {
                    Some(from) => from.clone(),
                    None => view.token(if range.backwards { stream::current(tx)? } else { Pos::ZERO })?,
                };
                let start = start.to_string();
                return Ok(RoomMessages { chunk: Vec::new(), start, end: None, state: Vec::new() });
            };
            let page = timeline::messages(&view.room(&room)?, tx, &range, &filter)?;
            Ok(RoomMessages {
                chunk: page.chunk,
                start: page.start.to_string(),
                end: page.end.map(|end| end.to_string()),
                state: page.state,
            })
        })
        .await?;
    reply::ok(&page)
}

async fn handle_context(call: Call) -> Answer {
    let (room_id, event_id, now) = (call.param("room_id"), call.param("event_id"), call.now);
    let limit = call.query.integer("limit")?.unwrap_or(10);
    let filter = filter::parse(&filter_text(&call)?).map_err(|_| bad_filter())?;
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let room = rooms::find(tx, &room_id)?.ok_or(Error::NotFound("Event not found."))?;
            let view = View::of_admin(tx, now);
            timeline::context(&view.room(&room)?, tx, &event_id, limit, &filter)
        })
        .await?;
    reply::ok(&EventContext {
        events_before: found.before,
        event: found.event,
        events_after: found.after,
        state: found.state,
        start: found.start.to_string(),
        end: found.end.to_string(),
    })
}

async fn handle_timestamp(call: Call) -> Answer {
    let room_id = call.param("room_id");
    let (now, ts) = (call.now, Millis::new(call.query.required_integer("ts")?));
    let backwards = call.query.backwards()?.unwrap_or(false);
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let Some(room) = rooms::find(tx, &room_id)? else { return Ok(None) };
            match timeline::at_time(&View::of_admin(tx, now).room(&room)?, tx, ts, backwards) {
                Ok(event) => Ok(Some(event)),
                Err(Error::NotFound(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await?;
    let Some(event) = found else {
        let direction = if backwards { "BACKWARDS" } else { "FORWARDS" };
        let text = format!("Unable to find event from {ts} in direction Direction.{direction}");
        return Err(MatrixError::not_found(text));
    };
    reply::ok(&NearestEvent { event_id: event.event_id, origin_server_ts: event.ts.get() })
}

/// Returns an event in the federation format. `unsigned` is the data added by this server.
pub(crate) fn stored(
    tx: &reeve_db::ReadTx<'_>,
    event_id: &str,
    unsigned: impl Fn(Millis) -> Value,
) -> Result<Option<Map<String, Value>>, Error> {
    let Some(event) = events::find(tx, event_id)? else { return Ok(None) };
    let Some(room) = rooms::by_num(tx, event.room_num)? else { return Ok(None) };
    let mut json: Map<String, Value> = serde_json::from_str(&event.json).map_err(Error::internal)?;
    // The create event that gives a room its id does not contain the id.
    json.insert("room_id".to_owned(), Value::String(room.room_id));
    json.insert("unsigned".to_owned(), unsigned(event.ts));
    Ok(Some(json))
}

async fn handle_fetch(call: Call) -> Answer {
    let (event_id, now) = (call.param("event_id"), call.now);
    let event = call
        .read(move |tx| -> Result<_, Error> {
            let age = |ts| json!({ "age": now.since(ts) });
            let mut event = stored(tx, &event_id, age)?.ok_or(Error::NotFound("Event not found"))?;
            event.insert("event_id".to_owned(), Value::String(event_id.clone()));
            Ok(Value::Object(event))
        })
        .await?;
    reply::ok(&FetchedEvent { event })
}
