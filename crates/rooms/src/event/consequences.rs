//! The consequences of events: the summary of their room, memberships, threads, and words for search.

use reeve_db::Tx;
use reeve_model::{Membership, Pos};
use reeve_store::events::{self, Event};
use reeve_store::memberships::{self, Member};
use reeve_store::rooms::{self, Room};
use reeve_store::{account_data, event_words, notifications, pushers, silences, threads, users};
use serde_json::{Map, Value};

use super::content::{content, rules};
use crate::error::Error;
use crate::types;
use crate::upgrade::personal;
use crate::{Home, push};

/// Updates the columns of a room that lists show of its state.
pub(crate) fn summarise(room: &mut Room, event_type: &str, content: &Map<String, Value>) {
    // A blank name, topic or avatar is stored; `rooms::shown` treats it as missing.
    let any = |key: &str| content.get(key).and_then(Value::as_str).map(str::to_owned);
    let text = |key: &str| any(key).filter(|text| !text.is_empty());
    match event_type {
        types::NAME => room.name = any("name"),
        types::TOPIC => room.topic = any("topic"),
        types::AVATAR => room.avatar_url = any("url"),
        types::CANONICAL_ALIAS => room.canonical_alias = text("alias"),
        types::ENCRYPTION => room.encryption = text("algorithm"),
        types::JOIN_RULES => room.join_rule = text("join_rule"),
        types::GUEST_ACCESS => room.guest_access = text("guest_access"),
        types::HISTORY_VISIBILITY => room.history_visibility = text("history_visibility"),
        _ => {}
    }
}

/// Changes the membership that an event concerns, if it is a membership event.
pub(super) fn move_member(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    event: &Event,
    content: &Map<String, Value>,
) -> Result<(), Error> {
    let (Some(user_id), Some(membership)) = (&event.state_key, event.membership) else { return Ok(()) };
    let pos = event.pos;
    let old = memberships::find(tx, user_id, room.num)?;
    let before = old.as_ref().map(|old| old.membership);
    let (joins, was_joined) = (membership == Membership::Join, before == Some(Membership::Join));
    if joins && !was_joined {
        personal::copy(tx, home, room, user_id)?;
    }
    let count = |what| i64::from(membership == what) - i64::from(before == Some(what));
    room.joined_members += count(Membership::Join);
    room.invited_members += count(Membership::Invite);
    let since_pos = old.as_ref().filter(|old| old.membership == membership).map_or(pos, |old| old.since_pos);
    let (own_rules, pushes) = match users::num(tx, user_id)? {
        Some(num) if joins => (
            account_data::find(tx, num, "", push::DATA_TYPE)?.is_some(),
            pushers::count_of_user(tx, num)? > 0,
        ),
        Some(_) | None => (false, false),
    };
    let member = Member {
        user_id: user_id.to_owned(),
        room_num: room.num,
        membership,
        event_pos: pos,
        since_pos,
        forgotten: false,
    };
    if was_joined && !joins {
        silences::end(tx, &[user_id.to_owned()], room.num, pos)?;
    }
    Ok(memberships::put(tx, &member, own_rules, pushes, &push::names::words_of(user_id, content))?)
}

/// Marks an event as redacted by another one, and undoes the consequences of its content.
pub(crate) fn redact(
    tx: &mut Tx<'_>,
    room: &mut Room,
    target: &Event,
    redaction: &Event,
) -> Result<(), Error> {
    if target.redacted_by.is_some() {
        return Ok(());
    }
    events::set_redacted(tx, target.pos, &redaction.event_id)?;
    event_words::forget(tx, target.pos)?;
    notifications::delete(tx, target.pos)?;
    if target.rel_type.as_deref() == Some(types::THREAD)
        && let Some(root) = &target.relates_to
    {
        threads::lose_reply(tx, root)?;
    }
    if target.until_pos == Some(Pos::END) && target.state_key.as_deref() == Some("") {
        let redacted = Event { redacted_by: Some(redaction.event_id.clone()), ..target.clone() };
        let before = room.clone();
        summarise(room, &target.event_type, &content(&redacted, &rules(room)?)?);
        rooms::update(tx, &before, room)?;
    }
    Ok(())
}
