//! Creation of rooms.

use http::Method;
use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::limits::Bucket;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Limit, MatrixError, Route, body, reply};
use reeve_model::Session;
use reeve_rooms::create::{self, Initial, Preset};
use serde_json::{Value, json};

use super::{home, not_text, v3};

use crate::shapes;

body! {
    /// A new room.
    pub(crate) struct NewRoom {
        room_version?: String,
        preset: Option<String>,
        visibility: Option<String>,
        room_alias_name: Option<String>,
        name: Option<String>,
        topic: Option<String>,
        invite: Option<Vec<String>>,
        /// Invites to third-party ids, which are refused.
        #[schema(ignore)]
        invite_3pid: Option<Vec<Value>>,
        is_direct: Option<bool>,
        creation_content: Option<AnyObject>,
        initial_state: Option<Vec<AnyObject>>,
        power_level_content_override: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "createRoom", handle)
            .access(Access::User)
            .limit(Limit::RoomCreation)
            .id("createRoom")
            .takes::<NewRoom>()
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
    let new = parse(&call.take().await?)?;
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

/// Returns the error for a value that is not a list, or not one `of` the right items.
fn not_list<T>(key: &Key<T>, of: &str) -> MatrixError {
    let is_list = key.value().is_some_and(Value::is_array);
    MatrixError::bad_json(format!("'{}' must be a list{}", key.name(), if is_list { of } else { "" }))
}

fn parse(body: &NewRoom) -> Result<create::NewRoom, MatrixError> {
    let preset = match body.preset.read_or(not_text)? {
        None => None,
        Some(name) => Some(
            Preset::parse(&name)
                .ok_or_else(|| MatrixError::bad_json(format!("'{name}' is not a valid preset")))?,
        ),
    };
    let published = match body.visibility.read_or(not_text)?.as_deref() {
        None | Some("private") => false,
        Some("public") => true,
        Some(other) => return Err(MatrixError::bad_json(format!("'{other}' is not a valid visibility"))),
    };
    let version =
        body.room_version.read_or(|name| MatrixError::bad_json(format!("{name} must be a string")))?;
    if body.invite_3pid.read()?.is_some_and(|invites| !invites.is_empty()) {
        return Err(MatrixError::forbidden(
            "This server does not invite by e-mail address or telephone number",
        ));
    }
    let is_direct = body.is_direct.read()?.unwrap_or(false);
    let alias = body.room_alias_name.read_or(not_text)?;
    let name = body.name.read_or(not_text)?;
    let topic = body.topic.read_or(not_text)?;
    let invite = body.invite.read_or(|_| not_list(&body.invite, " of strings"))?;
    let creation_content = body.creation_content.read()?;
    let not_events = || not_list(&body.initial_state, " of state events");
    let initial_state = body.initial_state.read_or(|_| not_events())?.unwrap_or_default();
    let initial_state = initial_state.iter().map(initial).collect::<Option<_>>().ok_or_else(not_events)?;
    Ok(create::NewRoom {
        version,
        preset,
        published,
        alias,
        name,
        topic,
        invite: invite.unwrap_or_default(),
        is_direct,
        creation_content: creation_content.unwrap_or_default(),
        initial_state,
        power_levels: body.power_level_content_override.read()?.unwrap_or_default(),
    })
}

/// Returns a state event in a body.
fn initial(event: &Object) -> Option<Initial> {
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    match (text("type"), event.get("state_key"), event.get("content")) {
        (Some(event_type), None | Some(Value::String(_)), Some(Value::Object(content))) => {
            Some((event_type.to_owned(), text("state_key").unwrap_or_default().to_owned(), content.clone()))
        }
        _ => None,
    }
}
