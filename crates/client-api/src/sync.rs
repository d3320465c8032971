//! Synchronisation.
//! <https://spec.matrix.org/v1.18/client-server-api/#syncing>

use std::time::Duration;

use http::Method;
use reeve_accounts::filters;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::Pos;
use reeve_rooms::ephemeral::{self, Availability, Device};
use reeve_sync::devices::KeysLeft;
use reeve_sync::inbox;
use reeve_sync::v3::{self, Request, StateAfter};
use ruma::api::client::filter::FilterDefinition;
use serde_json::{Map, Value, json};

use crate::rooms::{device_key, home, token, v3 as route, viewer};
use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3sync";
const FILTERS: &str = "https://spec.matrix.org/v1.18/client-server-api/#filtering";
/// Maximum time that a request waits for changes.
pub(crate) const MAX_WAIT: Duration = Duration::from_mins(5);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "sync", sync)
            .access(Access::Guest)
            .id("sync")
            .returns::<shapes::sync::Sync>(200)
            .summary("Synchronises")
            .query([
                Param::text("since", "`next_batch` of the last response"),
                Param::text("filter", "the id of a filter, or a filter as JSON"),
                Param::boolean("full_state", "`true` to return the whole state of all rooms"),
                Param::word(
                    "set_presence",
                    &["online", "offline", "unavailable"],
                    "`online`, `offline` or `unavailable`",
                ),
                Param::integer("timeout", "time to wait for changes, in milliseconds"),
                Param::boolean(
                    "use_state_after",
                    "`true` to return the state after the timeline instead of before it",
                ),
                Param::boolean(
                    "org.matrix.msc4222.use_state_after",
                    "the unstable name of `use_state_after`",
                ),
            ])
            .errors(&[(400, "M_BAD_JSON", "the filter is not valid")])
            .spec(SPEC),
        route(Method::POST, "user/{user_id}/filter", create_filter)
            .access(Access::Guest)
            .before_password_change()
            .id("defineFilter")
            .takes::<AnyObject>()
            .returns::<shapes::sync::FilterId>(200)
            .summary("Stores a filter")
            .errors(&[
                (400, "M_TOO_LARGE", "the account has reached its limit of filters"),
                (403, "M_FORBIDDEN", "the user id is not the caller's"),
                (413, "M_TOO_LARGE", "the filter is too long"),
            ])
            .spec(FILTERS),
        route(Method::GET, "user/{user_id}/filter/{filter_id}", read_filter)
            .access(Access::Guest)
            .id("getFilter")
            .returns::<AnyObject>(200)
            .summary("Returns a stored filter")
            .errors(&[
                (403, "M_FORBIDDEN", "the filter belongs to another user"),
                (404, "M_NOT_FOUND", "there is no such filter"),
            ])
            .spec(FILTERS),
    ]
}

async fn sync(call: Call) -> Answer {
    let request = Request {
        since: token(&call, "since")?,
        filter: filter(&call).await?,
        full_state: call.query.boolean("full_state")?.unwrap_or(false),
        state_after: state_after(&call)?,
    };
    let fields = request.filter.event_fields.clone();
    let timeout =
        Duration::from_millis(call.query.integer("timeout")?.unwrap_or(0).unsigned_abs()).min(MAX_WAIT);
    touch_presence(&call, timeout).await?;
    let (home, viewer) = (home(&call), viewer(&call)?);
    let patient = request.since.is_some() && !request.full_state && !timeout.is_zero();
    // Listening begins before the first read, so that nothing is missed between the two.
    let listener = patient.then(|| call.app.notifier.listen(&viewer.user_id, viewer.user_num));
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    loop {
        let (home, viewer, request) = (home.clone(), viewer.clone(), request.clone());
        let (now, position) = (call.app.clock.now(), call.app.notifier.position());
        let mut look = call.read_authorised(move |tx| v3::look(tx, &home, &viewer, &request, now)).await?;
        acknowledge(&call, look.acknowledged).await?;
        let Some(listener) = listener.as_ref().filter(|_| look.response.is_empty()) else {
            return answer(&look.response, fields.as_deref());
        };
        listener.watch_rooms(look.rooms, look.upto.max(position));
        let mut stopping = call.app.stopping();
        tokio::select! {
            () = listener.news() => continue,
            () = &mut deadline => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        look.response.keys = keys_left(&call).await?;
        return answer(&look.response, fields.as_deref());
    }
}

/// Deletes the to-device messages that the client has received.
pub(crate) async fn acknowledge(call: &Call, upto: Option<Pos>) -> Result<(), MatrixError> {
    let Some(upto) = upto else { return Ok(()) };
    let viewer = viewer(call)?;
    call.write(move |tx| inbox::acknowledge(tx, &viewer, upto)).await
}

/// Returns a response; reduced to the event fields that the filter names, if it names any.
fn answer(response: &v3::Response, fields: Option<&[String]>) -> Answer {
    let Some(fields) = fields else { return reply::ok(response) };
    let mut answer = serde_json::to_value(response).map_err(MatrixError::internal)?;
    let fields: Vec<Vec<String>> = fields.iter().map(|field| segments(field)).collect();
    for membership in ["join", "leave"] {
        let rooms = answer.pointer_mut(&format!("/rooms/{membership}")).and_then(Value::as_object_mut);
        for room in rooms.into_iter().flatten().map(|(_, room)| room) {
            for part in ["timeline", "state", "state_after", "org.matrix.msc4222.state_after"] {
                let events = room.get_mut(part).and_then(|part| part.get_mut("events")?.as_array_mut());
                for event in events.into_iter().flatten() {
                    let mut kept = Map::new();
                    for field in &fields {
                        keep(event, field, &mut kept);
                    }
                    *event = Value::Object(kept);
                }
            }
        }
    }
    reply::ok(&answer)
}

/// Returns the keys along a dotted field path; a backslash escapes a dot.
fn segments(field: &str) -> Vec<String> {
    let mut segments = Vec::new();
    let mut segment = String::new();
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' => segments.push(std::mem::take(&mut segment)),
            '\\' => segment.extend(characters.next()),
            other => segment.push(other),
        }
    }
    segments.push(segment);
    segments
}

/// Copies the value at a field path.
fn keep(from: &Value, field: &[String], to: &mut Map<String, Value>) {
    let Some((key, rest)) = field.split_first() else { return };
    let Some(value) = from.get(key) else { return };
    if rest.is_empty() {
        to.insert(key.clone(), value.clone());
    } else if let Value::Object(inner) = to.entry(key).or_insert_with(|| json!({})) {
        keep(value, rest, inner);
    }
}

fn state_after(call: &Call) -> Result<StateAfter, MatrixError> {
    if call.query.boolean("use_state_after")?.unwrap_or(false) {
        return Ok(StateAfter::Yes);
    }
    if call.query.boolean("org.matrix.msc4222.use_state_after")?.unwrap_or(false) {
        return Ok(StateAfter::Unstable);
    }
    Ok(StateAfter::No)
}

/// Returns the filter of a request: a stored one by its id, or one given as JSON.
async fn filter(call: &Call) -> Result<FilterDefinition, MatrixError> {
    let Some(text) = call.query.utf8("filter")?.filter(|text| !text.is_empty()) else {
        return Ok(FilterDefinition::default());
    };
    if text.starts_with('{') {
        return serde_json::from_str(&text)
            .map_err(|_| MatrixError::bad_json("Could not parse filter: invalid"));
    }
    let unknown = || MatrixError::invalid_param("No such filter");
    let filter_id: i64 = text.parse().map_err(|_| unknown())?;
    let num = call.user()?.num;
    let stored =
        call.read(move |tx| reeve_store::filters::find(tx, num, filter_id)).await?.ok_or_else(unknown)?;
    serde_json::from_str(&stored).map_err(MatrixError::internal)
}

/// Stores the presence of the device, for as long as the request may wait.
pub(crate) async fn touch_presence(call: &Call, timeout: Duration) -> Result<(), MatrixError> {
    let wanted = match call.query.utf8("set_presence")? {
        Some(presence) => Availability::parse(&presence)?,
        None => Availability::Online,
    };
    if !call.app.home.settings.presence {
        return Ok(());
    }
    let device = Device { user_id: call.user()?.user_id.clone(), device_id: device_key(call)? };
    let now = call.now;
    let until_ts = now.plus(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
    let of = device.clone();
    if call.read(move |tx| ephemeral::poll_moves_device(tx, &of, wanted, until_ts)).await? {
        call.write(move |tx| ephemeral::poll_presence(tx, &device, wanted, until_ts, now)).await?;
    }
    Ok(())
}

/// Returns the numbers of the device's remaining keys. Unlike the rest of a response, their changes do not end a
/// wait.
pub(crate) async fn keys_left(call: &Call) -> Result<KeysLeft, MatrixError> {
    let viewer = viewer(call)?;
    call.read_authorised(move |tx| KeysLeft::of(tx, &viewer)).await
}

async fn create_filter(mut call: Call) -> Answer {
    let user = call.user()?.clone();
    if call.params.get("user_id") != user.user_id {
        return Err(MatrixError::forbidden("Cannot create filters for other users"));
    }
    let AnyObject(body) = call.take().await?;
    let body = Value::Object(body);
    if !matches!(body.get("event_format").map(Value::as_str), None | Some(Some("client" | "federation"))) {
        return Err(MatrixError::bad_json("'event_format' must be 'client' or 'federation'"));
    }
    serde_json::from_value::<FilterDefinition>(body.clone())
        .map_err(|error| MatrixError::bad_json(format!("The filter is not valid: {error}")))?;
    let text = body.to_string();
    let limits = call.app.policy.limits;
    let filter_id = call.write(move |tx| filters::create(tx, &limits, user.num, &text)).await?;
    reply::ok(&json!({ "filter_id": filter_id.to_string() }))
}

async fn read_filter(call: Call) -> Answer {
    let user = call.user()?.clone();
    if call.params.get("user_id") != user.user_id {
        return Err(MatrixError::forbidden("Cannot get filters for other users"));
    }
    let not_found = || MatrixError::not_found("No such filter");
    let filter_id: i64 =
        call.param("filter_id").parse().map_err(|_| MatrixError::invalid_param("Invalid filter_id"))?;
    let stored = call
        .read(move |tx| reeve_store::filters::find(tx, user.num, filter_id))
        .await?
        .ok_or_else(not_found)?;
    let stored: Value = serde_json::from_str(&stored).map_err(MatrixError::internal)?;
    reply::ok(&stored)
}
