//! Creating rooms.
//! <https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3createroom>

use reeve_db::Tx;
use reeve_model::{Ctx, User, id, random};
use reeve_store::rooms::{self, Room};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, Invite, JoinedBy};
use crate::send::{self, Sent};
use crate::types;
use crate::{Home, aliases, version};

/// The maximum number of users that one request can invite.
const MAX_INVITES: usize = 1000;
/// The maximum number of state events in one request.
const MAX_STATE: usize = 1000;

/// A preset of a new room: it decides who may join, and with which powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Only invited users.
    PrivateChat,
    /// Only invited users, with the creator's powers.
    TrustedPrivateChat,
    /// Everybody.
    PublicChat,
}

impl Preset {
    /// Returns the preset of a name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "private_chat" => Some(Self::PrivateChat),
            "trusted_private_chat" => Some(Self::TrustedPrivateChat),
            "public_chat" => Some(Self::PublicChat),
            _ => None,
        }
    }
}

/// A piece of state for a new room: type, state key and content.
pub type Initial = (String, String, Map<String, Value>);

/// A room to create.
#[derive(Clone, Debug, Default)]
pub struct NewRoom {
    /// Its version; `None` for the default.
    pub version: Option<String>,
    /// The preset; `None` for the one that `published` implies.
    pub preset: Option<Preset>,
    /// True if the public room directory shows it.
    pub published: bool,
    /// The localpart of its main alias.
    pub alias: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// The users to invite.
    pub invite: Vec<String>,
    /// True if the invites are to a direct chat.
    pub is_direct: bool,
    /// More content of the create event.
    pub creation_content: Map<String, Value>,
    /// Further state, which comes before that of the preset.
    pub initial_state: Vec<Initial>,
    /// The changes of the power levels.
    pub power_levels: Map<String, Value>,
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Creates a room for a user.
pub fn create(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, user: &User, new: &NewRoom) -> Result<Room, Error> {
    if user.suspended {
        return Err(Error::Suspended("Sending messages while account is suspended is not allowed."));
    }
    for target in &new.invite {
        id::split(target).map_err(|_| Error::Invalid(format!("Invalid user_id: {target}")))?;
        if !home.is_local(target) {
            return Err(Error::forbidden("This server does not reach users of other servers"));
        }
        membership::check_takes_invites(tx, target)?;
    }
    if new.invite.len() > MAX_INVITES {
        return Err(Error::Invalid(format!("Cannot invite more than {MAX_INVITES} users")));
    }
    if new.initial_state.len() > MAX_STATE {
        return Err(Error::Invalid(format!("Cannot set more than {MAX_STATE} state events")));
    }
    // Invites by shadow-banned users are dropped; the room is real.
    let invite: &[String] = if user.shadow_banned { &[] } else { &new.invite };
    let mut room = begin(tx, home, ctx, &user.user_id, new)?;
    if let Some(localpart) = &new.alias {
        let alias = aliases::add_alias(tx, home, ctx, user, &room, localpart)?;
        let content = object(json!({ "alias": alias }));
        let draft = Draft::state(types::CANONICAL_ALIAS, "", &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
    }
    preset_state(tx, home, ctx, &mut room, user, new)?;
    if let Some(name) = &new.name {
        let content = object(json!({ "name": name }));
        let draft = Draft::state(types::NAME, "", &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
    }
    if let Some(topic) = &new.topic {
        let content = object(json!({
            "topic": topic,
            "m.topic": { "m.text": [{ "body": topic, "mimetype": "text/plain" }] },
        }));
        let draft = Draft::state(types::TOPIC, "", &user.user_id, content);
        event::append(tx, home, &mut room, draft, ctx.now)?;
    }
    for target in invite {
        let invite = Invite { is_direct: new.is_direct, ..Invite::of(target) };
        membership::invite_as(tx, home, ctx, &user.user_id, &mut room, invite)?;
    }
    if new.published {
        let before = room.clone();
        room.published = true;
        rooms::update(tx, &before, &room)?;
    }
    Ok(room)
}

/// Returns the error for a room that its own rules refuse.
fn invalid_state(error: Error) -> Error {
    match error {
        Error::Forbidden(text) => Error::InvalidRoomState(text),
        error => error,
    }
}

/// Creates the room up to the power levels.
fn begin(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, creator: &str, new: &NewRoom) -> Result<Room, Error> {
    let version = new.version.as_deref().unwrap_or(version::DEFAULT);
    let rules = version::rules(version).ok_or(Error::UnsupportedVersion)?;
    let trusted = new.preset == Some(Preset::TrustedPrivateChat);
    let mut content = new.creation_content.clone();
    content.insert("room_version".to_owned(), json!(version));
    content.shift_remove("creator");
    if content.get("m.federate").is_some_and(|federate| !federate.is_boolean()) {
        return Err(Error::BadContent("'m.federate' must be a boolean".to_owned()));
    }
    if !rules.authorization.use_room_create_sender {
        content.insert("creator".to_owned(), json!(creator));
    }
    if rules.authorization.additional_room_creators && trusted {
        let creators = content.entry("additional_creators").or_insert_with(|| json!([]));
        if let Value::Array(creators) = creators {
            for target in &new.invite {
                if target != creator && !creators.contains(&json!(target)) {
                    creators.push(json!(target));
                }
            }
        }
    }
    let room_id = format!("!{}:{}", random::letters(18), home.server_name);
    let draft = Draft::state(types::CREATE, "", creator, content);
    let (mut room, _) = event::begin(tx, home, version, &room_id, draft, ctx.now)?;
    membership::join_as(tx, home, &mut room, creator, JoinedBy::Rules, ctx.now)?;

    let privileged = rules.authorization.explicitly_privilege_room_creators;
    let mut users = Map::new();
    if !privileged {
        users.insert(creator.to_owned(), json!(100));
        if trusted {
            users.extend(new.invite.iter().map(|target| (target.clone(), json!(100))));
        }
    }
    let mut powers = object(json!({
        "users": users,
        "users_default": 0,
        "events": {
            types::NAME: 50,
            types::POWER_LEVELS: 100,
            types::HISTORY_VISIBILITY: 100,
            types::CANONICAL_ALIAS: 50,
            types::AVATAR: 50,
            types::TOMBSTONE: if privileged { 150 } else { 100 },
            types::SERVER_ACL: 100,
            types::ENCRYPTION: 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": 0,
        "historical": 100,
    }));
    let initial =
        new.initial_state.iter().find(|(kind, key, _)| kind == types::POWER_LEVELS && key.is_empty());
    match initial {
        Some((_, _, content)) => powers.clone_from(content),
        None => powers.extend(new.power_levels.clone()),
    }
    let draft = Draft::state(types::POWER_LEVELS, "", creator, powers);
    event::append(tx, home, &mut room, draft, ctx.now).map_err(invalid_state)?;
    Ok(room)
}

/// Returns the state of the preset, except where the request has its own, and then the rest of the request's state.
fn preset_state(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    room: &mut Room,
    user: &User,
    new: &NewRoom,
) -> Result<(), Error> {
    let creator = &user.user_id;
    let default = if new.published { Preset::PublicChat } else { Preset::PrivateChat };
    let preset = new.preset.unwrap_or(default);
    let (join_rule, guests) = match preset {
        Preset::PublicChat => ("public", None),
        Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", Some("can_join")),
    };
    let mut defaults = vec![
        (types::JOIN_RULES, json!({ "join_rule": join_rule })),
        (types::HISTORY_VISIBILITY, json!({ "history_visibility": "shared" })),
    ];
    if let Some(guests) = guests {
        defaults.push((types::GUEST_ACCESS, json!({ "guest_access": guests })));
    }
    for (event_type, content) in defaults {
        let own = new.initial_state.iter().any(|(kind, key, _)| kind == event_type && key.is_empty());
        if !own {
            let draft = Draft::state(event_type, "", creator, object(content));
            event::append(tx, home, room, draft, ctx.now)?;
        }
    }
    for (event_type, state_key, content) in &new.initial_state {
        if event_type == types::POWER_LEVELS && state_key.is_empty() {
            continue;
        }
        // Invites have limits, and those by a shadow-banned account reach nobody.
        if event_type == types::MEMBER {
            let text = "Users are invited to a new room with 'invite', not with 'initial_state'";
            return Err(Error::InvalidRoomState(text.to_owned()));
        }
        let sent = Sent {
            event_type: event_type.clone(),
            state_key: Some(state_key.clone()),
            content: content.clone(),
        };
        send::check_content(tx, home, room, user, &sent)?;
        let draft = Draft::state(event_type, state_key, creator, sent.content);
        event::append(tx, home, room, draft, ctx.now).map_err(invalid_state)?;
    }
    Ok(())
}
