//! Spaces, and summaries of rooms.

use std::collections::{HashSet, VecDeque};

use reeve_db::ReadTx;
use reeve_model::Pos;
use reeve_store::events;
use reeve_store::rooms::{self, Room};
use serde_json::{Value, json};

use crate::aliases::room_id;
use crate::error::Error;
use crate::event;
use crate::membership;
use crate::preview::{allowed_rooms, is_open, may_preview};
use crate::public_rooms::PublicRoom;
use crate::types;
use crate::view::{View, Viewer};

/// The requested part of a space.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// The maximum depth; `None` for all levels.
    pub max_depth: Option<i64>,
    /// True if rooms that are not suggested are left out.
    pub suggested_only: bool,
    /// The maximum number of rooms.
    pub limit: usize,
    /// The number of rooms to skip.
    pub from: usize,
}

/// Returns the rooms of a space, each before its children, and the number to skip for the next page.
/// <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1roomsroomidhierarchy>
pub fn hierarchy(
    view: &View<'_, '_>,
    viewer: Option<&Viewer>,
    root: &Room,
    wanted: &Hierarchy,
) -> Result<(Vec<Value>, Option<usize>), Error> {
    let tx = view.tx;
    let mut queue = VecDeque::from([(root.clone(), 0)]);
    let mut seen = HashSet::from([root.room_id.clone()]);
    let (mut found, mut index) = (Vec::new(), 0);
    while let Some((room, depth)) = queue.pop_front() {
        if let Some(viewer) = viewer
            && !may_preview(tx, &viewer.user_id, &room)?
        {
            continue;
        }
        if found.len() == wanted.limit {
            return Ok((found, Some(index)));
        }
        let children = if room.room_type.as_deref() == Some("m.space") {
            children(tx, &room, wanted.suggested_only)?
        } else {
            Vec::new()
        };
        if index >= wanted.from {
            found.push(summary(tx, &room, &children)?);
        }
        index += 1;
        if wanted.max_depth.is_some_and(|most| depth >= most) {
            continue;
        }
        for child in children.iter().rev() {
            let Some(room_id) = child.get("state_key").and_then(Value::as_str) else { continue };
            if seen.insert(room_id.to_owned())
                && let Some(child) = rooms::find(tx, room_id)?
            {
                queue.push_front((child, depth + 1));
            }
        }
    }
    Ok((found, None))
}

fn summary(tx: &ReadTx<'_>, room: &Room, children: &[Value]) -> Result<Value, Error> {
    let mut summary = serde_json::to_value(PublicRoom::from(room)).map_err(Error::internal)?;
    if let Value::Object(summary) = &mut summary {
        summary.insert("children_state".to_owned(), json!(children));
        summary.insert("room_version".to_owned(), json!(room.version));
        if let Some(encryption) = &room.encryption {
            summary.insert("encryption".to_owned(), json!(encryption));
        }
        if matches!(room.join_rule.as_deref(), Some("restricted" | "knock_restricted")) {
            summary.insert("allowed_room_ids".to_owned(), json!(allowed_rooms(tx, room)?));
        }
    }
    Ok(summary)
}

/// Returns the summary of a room for a viewer, and the viewer's membership. `user_id` is the requester, if there is a
/// session.
/// <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1room_summaryroomidoralias>
pub fn room_summary(tx: &ReadTx<'_>, user_id: Option<&str>, room_id_or_alias: &str) -> Result<Value, Error> {
    let not_found = || Error::NotFound("Unable to find the room");
    let room_id = match room_id(tx, room_id_or_alias) {
        Err(Error::NotFound(_)) => return Err(not_found()),
        found => found?,
    };
    let room = &rooms::find(tx, &room_id)?.ok_or_else(not_found)?;
    let may = match user_id {
        Some(user_id) => may_preview(tx, user_id, room)?,
        None => is_open(room),
    };
    if !may {
        return Err(not_found());
    }
    let mut summary = summary(tx, room, &[])?;
    if let Value::Object(summary) = &mut summary {
        summary.shift_remove("children_state");
        if let Some(user_id) = user_id {
            summary.insert("membership".to_owned(), json!(membership::current(tx, user_id, room)?));
        }
    }
    Ok(summary)
}

/// Returns the children of a space, in their order.
/// <https://spec.matrix.org/v1.18/client-server-api/#ordering-of-children-within-a-space>
fn children(tx: &ReadTx<'_>, room: &Room, suggested_only: bool) -> Result<Vec<Value>, Error> {
    let rules = event::rules(room)?;
    let mut found = Vec::new();
    for child in events::state_of_type_at(tx, room.num, types::SPACE_CHILD, Pos::PRESENT)? {
        let content = event::content(&child, &rules)?;
        let has_via = content.get("via").and_then(Value::as_array).is_some_and(|via| !via.is_empty());
        let suggested = content.get("suggested") == Some(&Value::Bool(true));
        if !has_via || (suggested_only && !suggested) {
            continue;
        }
        let order = content
            .get("order")
            .and_then(Value::as_str)
            .filter(|order| order.len() <= 50 && order.bytes().all(|b| (0x20..=0x7e).contains(&b)));
        let key = (order.is_none(), order.map(str::to_owned), child.ts, child.state_key.clone());
        found.push((
            key,
            json!({
                "type": child.event_type,
                "state_key": child.state_key,
                "sender": child.sender,
                "origin_server_ts": child.ts,
                "content": content,
            }),
        ));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found.into_iter().map(|(_, child)| child).collect())
}
