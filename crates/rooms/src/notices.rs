//! Server notices: messages of the operator to one account, in a room of their own.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-notices>

use reeve_accounts::profile::{self, Change};
use reeve_accounts::put::StringField;
use reeve_accounts::users::NewUser;
use reeve_accounts::{Limits, Policy, users as accounts};
use reeve_db::Tx;
use reeve_model::{Ctx, Membership, User, id};
use reeve_store::rooms::{self, Room};
use reeve_store::transactions::Key;
use reeve_store::{memberships, users};
use serde_json::{Map, Value, json};

use crate::create::{self, NewRoom, Preset};
use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, Invite, JoinedBy};
use crate::types;
use crate::{Home, data, send};

/// The tag of notice rooms.
const TAG: &str = "m.server_notice";

/// The operator's settings for notices.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The display name of the account that sends them.
    pub display_name: String,
    /// The avatar URL of that account; `None` keeps it.
    pub avatar_url: Option<String>,
    /// The name of the rooms.
    pub room_name: String,
    /// The topic of the rooms; `None` keeps it.
    pub room_topic: Option<String>,
    /// The avatar URL of the rooms; `None` keeps it.
    pub room_avatar_url: Option<String>,
    /// True if accounts join their room at once, instead of being invited.
    pub auto_join: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            display_name: "Server Notices".to_owned(),
            avatar_url: None,
            room_name: "Server Notices".to_owned(),
            room_topic: None,
            room_avatar_url: None,
            auto_join: false,
        }
    }
}

/// A notice.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The type of the event.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Map<String, Value>,
}

impl Notice {
    /// A notice; a message unless another type is given.
    pub fn new(
        event_type: Option<String>,
        state_key: Option<String>,
        content: Map<String, Value>,
    ) -> Result<Self, Error> {
        let event_type = event_type.unwrap_or_else(|| types::MESSAGE.to_owned());
        if event_type == types::MEMBER {
            return Err(Error::Refused("Memberships cannot be sent as notices".to_owned()));
        }
        if event_type == types::MESSAGE {
            let missing = ["body", "msgtype"].into_iter().find(|key| !content.contains_key(*key));
            if let Some(key) = missing {
                return Err(Error::Refused(format!("'{key}' not in content")));
            }
            let other =
                ["body", "msgtype"].into_iter().find(|key| !content.get(*key).is_some_and(Value::is_string));
            if let Some(key) = other {
                return Err(Error::Refused(format!("'{key}' not a string type")));
            }
        }
        Ok(Self { event_type, state_key, content })
    }
}

/// A notice to be sent for an administrator. The deed knows the kinds of the values, since clients of the Synapse admin API
/// expect their refusals after those that need the database.
#[derive(Clone, Debug)]
pub struct Order {
    /// The account.
    pub user_id: String,
    /// The type of the event; a message unless it is given.
    pub event_type: StringField,
    /// The state key, if it is a state event.
    pub state_key: StringField,
    /// The content.
    pub content: Value,
}

impl Order {
    fn notice(&self) -> Result<Notice, Error> {
        let not_text = |name: &str| Err(Error::Refused(format!("'{name}' not a string type")));
        let event_type = match &self.event_type {
            StringField::Absent => None,
            StringField::Text(text) => Some(text.clone()),
            StringField::Null | StringField::Other => return not_text("type"),
        };
        let state_key = match &self.state_key {
            StringField::Absent | StringField::Null => None,
            StringField::Text(text) => Some(text.clone()),
            StringField::Other => return not_text("state_key"),
        };
        match &self.content {
            Value::Object(content) => Notice::new(event_type, state_key, content.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Error::BadContent("'content' must be an object".to_owned()))
            }
        }
    }
}

/// Returns the localpart of the account that sends notices; refuses if the settings name none.
pub fn sender(policy: &Policy) -> Result<&str, Error> {
    let disabled = || Error::Refused("Server notices are not enabled on this server".to_owned());
    policy.notices_localpart.as_deref().ok_or_else(disabled)
}

/// Sends a notice for an administrator, and returns the id of the event. A request with the same key as an earlier one sends
/// none, and returns the earlier id.
pub fn order(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    policy: &Policy,
    key: Option<&Key>,
    order: &Order,
) -> Result<String, Error> {
    let localpart = sender(policy)?;
    id::split(&order.user_id).map_err(|malformed| Error::Invalid(malformed.to_string()))?;
    if !home.is_local(&order.user_id) {
        return Err(Error::Refused("Server notices can only be sent to local users".to_owned()));
    }
    send::once(tx, key, ctx.now, |tx| {
        // An account that does not exist is reported before a notice that cannot be sent.
        users::num(tx, &order.user_id)?.ok_or(Error::NotFound("User not found"))?;
        send_for(tx, home, ctx, localpart, &order.user_id, &order.notice()?)
    })
}

/// Sends a notice to an account, from the account `localpart`, and returns the id of the event.
pub fn send(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    localpart: &str,
    target: &User,
    notice: &Notice,
) -> Result<String, Error> {
    let sender = account(tx, home, ctx, localpart)?;
    let mut room = room(tx, home, ctx, &sender, target)?;
    let mut current = membership::current(tx, &target.user_id, &room)?;
    if !matches!(current, Membership::Join | Membership::Invite) {
        membership::invite_as(tx, home, ctx, &sender.user_id, &mut room, Invite::of(&target.user_id))?;
        current = Membership::Invite;
        if !target.deactivated {
            // The tag is stored even if the account has reached its limits.
            let limits = Limits { account_data: i64::MAX, account_data_bytes: i64::MAX, ..home.limits };
            data::set_tag(tx, &limits, target.num, &room.room_id, TAG, Some(Map::new()))?;
        }
    }
    if home.settings.notices.auto_join && current == Membership::Invite && !target.deactivated {
        membership::join_as(tx, home, &mut room, &target.user_id, JoinedBy::Rules, ctx.now)?;
    }
    let draft = Draft {
        event_type: notice.event_type.clone(),
        state_key: notice.state_key.clone(),
        sender: sender.user_id.clone(),
        content: notice.content.clone(),
        ..Draft::default()
    };
    Ok(event::append(tx, home, &mut room, draft, ctx.now)?.event_id)
}

/// Sends a notice for an administrator, as [`send`] does.
pub fn send_for(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    localpart: &str,
    user_id: &str,
    notice: &Notice,
) -> Result<String, Error> {
    let user = users::find(tx, user_id)?.ok_or(Error::NotFound("User not found"))?;
    let event_id = send(tx, home, ctx, localpart, &user, notice)?;
    let changes = json!({ "event_id": event_id, "type": notice.event_type });
    reeve_accounts::audit::record(tx, ctx, "user.notice", user_id, &changes)?;
    Ok(event_id)
}

/// Returns the room for notices to an account, named as the settings say.
fn room(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, sender: &User, target: &User) -> Result<Room, Error> {
    let known = match rooms::notice_room(tx, target.num)? {
        Some(num) => rooms::by_num(tx, num)?,
        None => None,
    };
    let mut room = match known {
        Some(room)
            if memberships::find(tx, &sender.user_id, room.num)?
                .is_some_and(|m| m.membership == Membership::Join) =>
        {
            room
        }
        Some(_) | None => {
            let new = NewRoom {
                preset: Some(Preset::PrivateChat),
                power_levels: Map::from_iter([("users_default".to_owned(), json!(-10))]),
                ..NewRoom::default()
            };
            let room = create::create(tx, home, ctx, sender, &new)?;
            rooms::set_notice_room(tx, target.num, room.num)?;
            room
        }
    };
    let settings = &home.settings.notices;
    for (event_type, key, value) in [
        (types::NAME, "name", Some(&settings.room_name)),
        (types::TOPIC, "topic", settings.room_topic.as_ref()),
        (types::AVATAR, "url", settings.room_avatar_url.as_ref()),
    ] {
        let Some(value) = value else { continue };
        let content = event::state_content(tx, &room, event_type, "")?.unwrap_or_default();
        if content.get(key).and_then(Value::as_str) != Some(value) {
            let content = Map::from_iter([(key.to_owned(), json!(value))]);
            let draft = Draft::state(event_type, "", &sender.user_id, content);
            event::append(tx, home, &mut room, draft, ctx.now)?;
        }
    }
    Ok(room)
}

/// Returns the account that sends notices, with the name and avatar of the settings. It is created when it is first
/// needed, and nobody can log in as it.
fn account(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, localpart: &str) -> Result<User, Error> {
    let settings = &home.settings.notices;
    let Some(user) = users::find(tx, &ctx.user_id(localpart))? else {
        let new = NewUser {
            localpart: localpart.to_owned(),
            displayname: Some(settings.display_name.clone()),
            avatar_url: settings.avatar_url.clone(),
            ..NewUser::default()
        };
        // The rules here reserve the name for nobody.
        return Ok(accounts::create(tx, ctx, &Policy::default(), &new)?);
    };
    if user.displayname.as_deref() != Some(&settings.display_name) {
        profile::change(tx, ctx, &user.user_id, &Change::DisplayName(settings.display_name.clone()))?;
    }
    if let Some(avatar_url) = settings.avatar_url.clone().filter(|url| user.avatar_url.as_ref() != Some(url))
    {
        profile::change(tx, ctx, &user.user_id, &Change::AvatarUrl(avatar_url))?;
    }
    Ok(user)
}
