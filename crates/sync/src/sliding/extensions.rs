//! Extensions of sliding sync: to-device messages, encryption, account data, receipts, typing.

use std::collections::{BTreeMap, HashMap, HashSet};

use reeve_db::ReadTx;
use reeve_model::{Membership, Pos, RoomNum};
use reeve_rooms::error::Error;
use reeve_rooms::push;
use reeve_store::account_data::{self, AccountData};
use reeve_store::ephemeral;
use reeve_store::sliding::Standing;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Sync;
use super::answer::Sent;
use super::lists::Eligible;
use crate::data::DataEvent;
use crate::devices::{self, DeviceLists, KeysLeft};
use crate::inbox::{self, Inbox};
use crate::room;

/// To-device messages.
#[derive(Debug, Serialize)]
struct ToDevice {
    next_batch: String,
    events: Vec<Box<RawValue>>,
}

/// Changes of devices, and the remaining keys of the own device.
#[derive(Debug, Serialize)]
struct EndToEnd {
    device_lists: DeviceLists,
    #[serde(flatten)]
    keys: KeysLeft,
}

/// Account data.
#[derive(Debug, Default, Serialize)]
struct Data {
    global: Vec<DataEvent>,
    rooms: BTreeMap<String, Vec<DataEvent>>,
}

/// One event for each of some rooms.
#[derive(Debug, Default, Serialize)]
struct ByRoom {
    rooms: BTreeMap<String, Value>,
}

/// The extensions in a response.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Extensions {
    #[serde(skip_serializing_if = "Option::is_none")]
    to_device: Option<ToDevice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e2ee: Option<EndToEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_data: Option<Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipts: Option<ByRoom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    typing: Option<ByRoom>,
}

impl Extensions {
    /// Returns true if there is nothing new.
    pub(crate) fn is_empty(&self) -> bool {
        let no_rooms = |by_room: Option<&ByRoom>| by_room.is_none_or(|by_room| by_room.rooms.is_empty());
        self.to_device.as_ref().is_none_or(|messages| messages.events.is_empty())
            && self.e2ee.as_ref().is_none_or(|keys| keys.device_lists.is_empty())
            && self.account_data.as_ref().is_none_or(|data| data.global.is_empty() && data.rooms.is_empty())
            && no_rooms(self.receipts.as_ref())
            && no_rooms(self.typing.as_ref())
    }

    /// The remaining keys of the device, if the request asks for them.
    pub(crate) fn keys(&mut self) -> Option<&mut KeysLeft> {
        self.e2ee.as_mut().map(|e2ee| &mut e2ee.keys)
    }
}

impl Sync<'_, '_, '_> {
    /// Returns the extensions, and the position up to which to-device messages are acknowledged. `sent` are the rooms
    /// of the response.
    pub(crate) fn extensions(
        &self,
        tx: &ReadTx<'_>,
        standings: &[Standing],
        eligible: &[Eligible<'_>],
        sent: &HashMap<RoomNum, Sent>,
    ) -> Result<(Extensions, Option<Pos>), Error> {
        let wanted = &self.request.extensions;
        let (mut to_device, mut acknowledged) = (None, None);
        if wanted.to_device.enabled {
            let limit = wanted.to_device.limit.unwrap_or(inbox::MAX).clamp(1, inbox::MAX);
            let since = match wanted.to_device.since()? {
                Some(since) if self.view.knows(&since)? => Some(since.pos),
                Some(_) | None => None,
            };
            let inbox = Inbox::look(tx, self.viewer, since, self.upto, limit)?;
            let next_batch = self.view.token(inbox.upto)?.to_string();
            to_device = Some(ToDevice { next_batch, events: inbox.events });
            acknowledged = inbox.acknowledged;
        }
        let e2ee = wanted.e2ee.enabled.then(|| self.end_to_end(tx, standings)).transpose()?;
        let account_data =
            wanted.account_data.enabled.then(|| self.account_data(tx, eligible, sent)).transpose()?;
        let receipts = wanted.receipts.enabled.then(|| self.receipts(tx, eligible, sent)).transpose()?;
        let typing = wanted.typing.enabled.then(|| self.typing(tx, eligible, sent)).transpose()?;
        Ok((Extensions { to_device, e2ee, account_data, receipts, typing }, acknowledged))
    }

    fn end_to_end(&self, tx: &ReadTx<'_>, standings: &[Standing]) -> Result<EndToEnd, Error> {
        let device_lists = match self.since {
            None => DeviceLists::default(),
            Some(since) => {
                let joined = standings.iter().filter(|standing| standing.membership == Membership::Join);
                let rooms = joined.map(|standing| devices::Room {
                    num: standing.room_num,
                    since_pos: standing.since_pos,
                    last_pos: standing.last_pos,
                });
                DeviceLists::between(tx, self.own(), self.viewer.user_num, since, self.upto, rooms)?
            }
        };
        Ok(EndToEnd { device_lists, keys: KeysLeft::of(tx, self.viewer)? })
    }

    fn account_data(
        &self,
        tx: &ReadTx<'_>,
        eligible: &[Eligible<'_>],
        sent: &HashMap<RoomNum, Sent>,
    ) -> Result<Data, Error> {
        let (extension, user_num) = (&self.request.extensions.account_data, self.viewer.user_num);
        let mut answer = Data::default();
        let changed = match self.since {
            Some(since) if since < self.upto => account_data::changed(tx, user_num, since, self.upto)?,
            Some(_) => Vec::new(),
            None => account_data::of_room(tx, user_num, "")?,
        };
        let mut rules_due = self.since.is_none();
        let mut of_rooms: HashMap<String, Vec<AccountData>> = HashMap::new();
        for data in changed {
            if !data.room_id.is_empty() {
                of_rooms.entry(data.room_id.clone()).or_default().push(data);
            } else if data.data_type == push::DATA_TYPE {
                rules_due = true;
            } else {
                answer.global.push(DataEvent::stored(data)?);
            }
        }
        if rules_due {
            let content = push::as_account_data(tx, user_num, self.own())?;
            answer.global.push(DataEvent::made(push::DATA_TYPE, &content)?);
        }
        let in_scope = eligible.iter().filter(|room| room.is_in(extension));
        for room in in_scope {
            let room_id = room.standing.room_id.as_str();
            let of_room = of_rooms.remove(room_id);
            let is_new = sent.get(&room.standing.room_num).is_some_and(|room| room.since.is_none());
            let data = if is_new {
                account_data::of_room(tx, user_num, room_id)?
            } else if self.known(room.standing).is_some() {
                of_room.unwrap_or_default()
            } else {
                Vec::new()
            };
            if !data.is_empty() {
                let events = data.into_iter().map(DataEvent::stored).collect::<Result<_, _>>()?;
                answer.rooms.insert(room_id.to_owned(), events);
            }
        }
        // Rooms that the client knows, and that no list includes at the moment.
        if extension.is_about_all() {
            for (room_id, data) in of_rooms {
                let room_num = reeve_store::rooms::num(tx, &room_id)?;
                if room_num.is_some_and(|num| self.connection.rooms.contains_key(&num)) {
                    let events = data.into_iter().map(DataEvent::stored).collect::<Result<_, _>>()?;
                    answer.rooms.insert(room_id, events);
                }
            }
        }
        Ok(answer)
    }

    fn receipts(
        &self,
        tx: &ReadTx<'_>,
        eligible: &[Eligible<'_>],
        sent: &HashMap<RoomNum, Sent>,
    ) -> Result<ByRoom, Error> {
        let extension = &self.request.extensions.receipts;
        let hidden = |user_id: &str| self.view.ignores(user_id);
        let moved: HashSet<RoomNum> = match self.since {
            Some(since) if since < self.upto => {
                ephemeral::rooms_with_receipts(tx, self.own(), since)?.into_iter().collect()
            }
            Some(_) | None => HashSet::new(),
        };
        let mut answer = ByRoom::default();
        let in_scope = eligible
            .iter()
            .filter(|room| room.standing.membership == Membership::Join && room.is_in(extension));
        for room in in_scope {
            let (room_num, since) = (room.standing.room_num, self.since.unwrap_or(Pos::ZERO));
            let found = match sent.get(&room_num) {
                Some(Sent { since: None, event_ids }) => {
                    let all = room::receipts(tx, room_num, self.own(), Pos::ZERO, self.upto, &hidden)?;
                    all.and_then(|event| only_about(event, event_ids, self.own()))
                }
                // Receipts were not sent while no list included the room.
                Some(Sent { since: Some(known), .. }) => {
                    room::receipts(tx, room_num, self.own(), since.min(*known), self.upto, &hidden)?
                }
                None if moved.contains(&room_num) && self.known(room.standing).is_some() => {
                    room::receipts(tx, room_num, self.own(), since, self.upto, &hidden)?
                }
                None => None,
            };
            if let Some(event) = found {
                answer.rooms.insert(room.standing.room_id.clone(), event);
            }
        }
        Ok(answer)
    }

    fn typing(
        &self,
        tx: &ReadTx<'_>,
        eligible: &[Eligible<'_>],
        sent: &HashMap<RoomNum, Sent>,
    ) -> Result<ByRoom, Error> {
        let extension = &self.request.extensions.typing;
        let hidden = |user_id: &str| self.view.ignores(user_id);
        let moved: HashSet<RoomNum> = match self.since {
            Some(since) if since < self.upto => {
                ephemeral::rooms_with_typing(tx, self.own(), since)?.into_iter().collect()
            }
            Some(_) | None => HashSet::new(),
        };
        let mut answer = ByRoom::default();
        let in_scope = eligible
            .iter()
            .filter(|room| room.standing.membership == Membership::Join && room.is_in(extension));
        for room in in_scope {
            let room_num = room.standing.room_num;
            let is_new = sent.get(&room_num).is_some_and(|room| room.since.is_none());
            let has_moved = moved.contains(&room_num) && self.known(room.standing).is_some();
            if !is_new && !has_moved {
                continue;
            }
            let event = room::typing(tx, room_num, self.now, &hidden)?;
            let nobody =
                event.pointer("/content/user_ids").and_then(Value::as_array).is_none_or(Vec::is_empty);
            if has_moved || !nobody {
                answer.rooms.insert(room.standing.room_id.clone(), event);
            }
        }
        Ok(answer)
    }
}

/// Reduces receipts to those at some events, and those of one user.
fn only_about(mut event: Value, event_ids: &HashSet<String>, own: &str) -> Option<Value> {
    let content = event.get_mut("content")?.as_object_mut()?;
    content.retain(|event_id, by_type| {
        if event_ids.contains(event_id) {
            return true;
        }
        let Some(by_type) = by_type.as_object_mut() else { return false };
        by_type.retain(|_, by_user| {
            let Some(by_user) = by_user.as_object_mut() else { return false };
            by_user.retain(|user_id, _| user_id == own);
            !by_user.is_empty()
        });
        !by_type.is_empty()
    });
    (!content.is_empty()).then_some(event)
}
