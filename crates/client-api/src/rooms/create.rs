//! Creation of rooms.

use http::Method;
use reeve_app::json::Object;
use reeve_app::limits::Bucket;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, reply};
use reeve_model::Session;
use reeve_rooms::create::{self, Initial, NewRoom, Preset};
use serde_json::{Map, Value, json};

use super::{home, text, v3};

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "createRoom", handle)
            .access(Access::User)
            .limit(Limit::RoomCreation)
            .id("createRoom")
            .takes::<shapes::rooms::NewRoom>()
            .returns::<shapes::rooms::CreatedRoom>(200)
            .summary("Creates a room")
            .errors(&[
                (400, "M_ROOM_IN_USE", "the alias is taken"),
                (400, "M_TOO_LARGE", "the account has reached its limit of aliases"),
                (400, "M_INVALID_ROOM_STATE", "the room would not accept its own initial state"),
                (400, "M_UNKNOWN", "too many users are invited at once"),
                (400, "M_UNSUPPORTED_ROOM_VERSION", "the room version is not supported"),
                (403, "M_FORBIDDEN", "an invite is to another server, to a third-party id, or from a guest"),
                (403, "M_USER_SUSPENDED", "the account is suspended"),
                (403, "M_INVITE_BLOCKED", "an invited user blocks invites"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3createroom"),
    ]
}

async fn handle(mut call: Call) -> Answer {
    let new = parse(&call.object().await?)?;
    let (home, ctx, num) = (home(&call), call.ctx(), call.user()?.num);
    call.app.limiter.check_invites(call.session()?, new.invite.len())?;
    let inviting = |target: &String| [Bucket::InvitesBy(num), Bucket::InvitesOf(target.clone())];
    let buckets: Vec<Bucket> = new.invite.iter().flat_map(inviting).collect();
    let deed = call.act(move |tx, Session { user, .. }| create::create(tx, &home, &ctx, user, &new));
    let done = call.app.limiter.counted(call.session()?, &buckets, call.now, deed).await;
    let room = done.map_err(|error| {
        // Here the alias is a part of the request, not the resource.
        if error.status == 409 {
            return MatrixError::bad_request("M_ROOM_IN_USE", error.error);
        }
        error
    })?;
    let mut body = json!({ "room_id": room.room_id });
    if let (Some(alias), Some(body)) = (&room.canonical_alias, body.as_object_mut()) {
        body.insert("room_alias".to_owned(), json!(alias));
    }
    reply::ok(&body)
}

fn object(body: &Object, key: &str) -> Result<Map<String, Value>, MatrixError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(MatrixError::bad_json(format!("'{key}' must be an object"))),
    }
}

fn list<'b>(body: &'b Object, key: &str) -> Result<&'b [Value], MatrixError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(MatrixError::bad_json(format!("'{key}' must be a list"))),
    }
}

fn parse(body: &Object) -> Result<NewRoom, MatrixError> {
    let preset = match text(body, "preset")? {
        None => None,
        Some(name) => Some(
            Preset::parse(&name)
                .ok_or_else(|| MatrixError::bad_json(format!("'{name}' is not a valid preset")))?,
        ),
    };
    let published = match text(body, "visibility")?.as_deref() {
        None | Some("private") => false,
        Some("public") => true,
        Some(other) => return Err(MatrixError::bad_json(format!("'{other}' is not a valid visibility"))),
    };
    let version = match body.get("room_version") {
        None => None,
        Some(Value::String(version)) => Some(version.clone()),
        Some(_) => {
            return Err(MatrixError::bad_json("room_version must be a string"));
        }
    };
    let strings = |key: &str| -> Result<Vec<String>, MatrixError> {
        list(body, key)?
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| MatrixError::bad_json(format!("'{key}' must be a list of strings")))
    };
    if !list(body, "invite_3pid")?.is_empty() {
        return Err(MatrixError::forbidden(
            "This server does not invite by e-mail address or telephone number",
        ));
    }
    let is_direct = match body.get("is_direct") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_direct)) => *is_direct,
        Some(_) => return Err(MatrixError::bad_json("'is_direct' must be a boolean")),
    };
    Ok(NewRoom {
        version,
        preset,
        published,
        alias: text(body, "room_alias_name")?,
        name: text(body, "name")?,
        topic: text(body, "topic")?,
        invite: strings("invite")?,
        is_direct,
        creation_content: object(body, "creation_content")?,
        initial_state: list(body, "initial_state")?.iter().map(initial).collect::<Result<_, _>>()?,
        power_levels: object(body, "power_level_content_override")?,
    })
}

fn initial(value: &Value) -> Result<Initial, MatrixError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match (text("type"), value.get("state_key"), value.get("content")) {
        (Some(event_type), None | Some(Value::String(_)), Some(Value::Object(content))) => {
            Ok((event_type.to_owned(), text("state_key").unwrap_or_default().to_owned(), content.clone()))
        }
        _ => Err(MatrixError::bad_json("'initial_state' must be a list of state events")),
    }
}
