//! Server notices: messages of the operator to one account, in a room of their own.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-notices>

use reeve_accounts::Policy;
use reeve_accounts::users::NewUser;
use reeve_db::Tx;
use reeve_model::{Ctx, User};
use reeve_store::{memberships, rooms, users};
use serde_json::{Map, Value, json};

use crate::create::{self, NewRoom, Preset};
use crate::error::Error;
use crate::event::{self, Draft};
use crate::{Home, data, membership};

/// The tag of notice rooms.
const TAG: &str = "m.server_notice";

/// What to tell somebody.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The type of the event.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Map<String, Value>,
}

/// Sends a notice to an account, from the account `localpart`, and answers the id of the event.
pub fn send(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    localpart: &str,
    target: &User,
    notice: &Notice,
) -> Result<String, Error> {
    let sender = sender(tx, home, ctx, localpart)?;
    let known = match rooms::notice_room(tx, target.num)? {
        Some(num) => rooms::by_num(tx, num)?,
        None => None,
    };
    let mut room = match known {
        Some(room)
            if memberships::find(tx, &sender.user_id, room.num)?.is_some_and(|m| m.membership == "join") =>
        {
            room
        }
        _ => {
            let new = NewRoom {
                preset: Some(Preset::PrivateChat),
                name: Some(home.settings.notices_name.clone()),
                power_levels: Map::from_iter([("users_default".to_owned(), json!(-10))]),
                ..NewRoom::default()
            };
            let room = create::create(tx, home, ctx, &sender, &new)?;
            rooms::set_notice_room(tx, target.num, room.num)?;
            room
        }
    };
    if !matches!(membership::current(tx, &target.user_id, &room)?.as_str(), "join" | "invite") {
        let pair = (sender.user_id.as_str(), target.user_id.as_str());
        membership::invite_as(tx, home, &mut room, pair, (None, false), ctx.now)?;
        if !target.deactivated {
            data::set_tag(tx, target.num, &room.room_id, TAG, Some(Map::new()))?;
        }
    }
    let draft = Draft {
        event_type: notice.event_type.clone(),
        state_key: notice.state_key.clone(),
        sender: sender.user_id.clone(),
        content: notice.content.clone(),
        ..Draft::default()
    };
    Ok(event::append(tx, home, &mut room, &draft, ctx.now)?.event_id)
}

/// The account that sends notices; it is made when it is first needed, and nobody can log in as it.
fn sender(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, localpart: &str) -> Result<User, Error> {
    if let Some(user) = users::find(tx, &ctx.user_id(localpart))? {
        return Ok(user);
    }
    let new = NewUser {
        localpart: localpart.to_owned(),
        displayname: Some(home.settings.notices_name.clone()),
        ..NewUser::default()
    };
    // Under rules that reserve the name for nobody.
    Ok(reeve_accounts::users::create(tx, ctx, &Policy::default(), &new)?)
}
