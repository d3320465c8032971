//! The rooms that a request asks for: by the ranges of its lists, and by its subscriptions.

use std::collections::{BTreeMap, HashMap, HashSet};

use reeve_db::ReadTx;
use reeve_model::{Membership, Pos, RoomNum, UserNum};
use reeve_rooms::data::TAGS;
use reeve_rooms::error::Error;
use reeve_rooms::types;
use reeve_store::sliding::Standing;
use reeve_store::{account_data, events};
use serde_json::Value;

use super::Sync;
use super::request::{Config, Extension, Filters, MAX_TIMELINE};
use super::wanted::Wanted;

/// A room that a request asks for.
#[derive(Debug)]
pub(crate) struct Eligible<'a> {
    pub(crate) standing: &'a Standing,
    /// The state that the parts of the request ask for together.
    pub(crate) wanted: Wanted,
    /// The highest limit of events among the parts of the request.
    pub(crate) limit: i64,
    lists: Vec<&'a str>,
    subscribed: bool,
}

impl<'a> Eligible<'a> {
    fn new(standing: &'a Standing) -> Self {
        Self { standing, wanted: Wanted::default(), limit: 0, lists: Vec::new(), subscribed: false }
    }

    fn add(&mut self, wanted: &Wanted, config: &Config) {
        self.wanted.merge(wanted);
        self.limit = self.limit.max(config.timeline_limit.min(MAX_TIMELINE));
    }

    /// Returns true if an extension includes it.
    pub(crate) fn is_in(&self, extension: &Extension) -> bool {
        self.lists.iter().any(|name| extension.has_list(name))
            || (self.subscribed && extension.has_subscription(&self.standing.room_id))
    }
}

/// The rooms that a request asks for.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The rooms, subscribed ones first, then by their latest activity.
    pub(crate) eligible: Vec<Eligible<'a>>,
    /// The number of rooms that each list has, inside and outside its ranges.
    pub(crate) counts: BTreeMap<String, usize>,
}

/// Returns the rooms that an account marks as direct chats.
pub(crate) fn direct(tx: &ReadTx<'_>, user_num: UserNum) -> Result<HashSet<String>, Error> {
    let Some(content) = account_data::find(tx, user_num, "", "m.direct")? else { return Ok(HashSet::new()) };
    let content: Value = serde_json::from_str(&content).map_err(Error::internal)?;
    let of_users = content.as_object().into_iter().flat_map(|content| content.values());
    let rooms = of_users.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    Ok(rooms.map(str::to_owned).collect())
}

/// Facts for filters, read once for all lists if a filter needs them.
#[derive(Default)]
struct Facts {
    tags: Option<HashMap<String, HashSet<String>>>,
    children: HashMap<String, HashSet<String>>,
}

/// Returns the position of the latest activity that the user can know of.
fn activity(standing: &Standing) -> Pos {
    if standing.membership == Membership::Join { standing.last_pos } else { standing.event_pos }
}

/// Finds the rooms that a request asks for.
pub(crate) fn find<'a>(
    tx: &ReadTx<'_>,
    sync: &Sync<'a, '_, '_>,
    standings: &'a [Standing],
) -> Result<Found<'a>, Error> {
    let mut listed: Vec<&Standing> = standings.iter().filter(|standing| sync.lists(standing)).collect();
    listed.sort_by_key(|standing| std::cmp::Reverse((activity(standing), standing.room_num)));
    let mut facts = Facts::default();
    let (mut eligible, mut counts) = (HashMap::new(), BTreeMap::new());
    for (name, list) in &sync.request.lists {
        let (wanted, mut count) = (list.config.wanted(), 0);
        for standing in &listed {
            if !sync.accepts(tx, &list.filters, standing, standings, &mut facts)? {
                continue;
            }
            if list.has(count) {
                let room = eligible.entry(standing.room_num).or_insert_with(|| Eligible::new(standing));
                room.add(&wanted, &list.config);
                room.lists.push(name);
            }
            count += 1;
        }
        counts.insert(name.clone(), count);
    }
    if !sync.request.room_subscriptions.is_empty() {
        for standing in standings {
            if let Some(config) = sync.request.room_subscriptions.get(&standing.room_id)
                && sync.may_subscribe(standing)
            {
                let room = eligible.entry(standing.room_num).or_insert_with(|| Eligible::new(standing));
                room.add(&config.wanted(), config);
                room.subscribed = true;
            }
        }
    }
    let mut eligible: Vec<Eligible<'a>> = eligible.into_values().collect();
    eligible.sort_by_key(|room| {
        std::cmp::Reverse((room.subscribed, activity(room.standing), room.standing.room_num))
    });
    Ok(Found { eligible, counts })
}

impl Sync<'_, '_, '_> {
    /// Returns true if lists include a room. One that the user has left is included until the client knows it.
    fn lists(&self, standing: &Standing) -> bool {
        let by_other = standing.sender.as_deref().is_some_and(|sender| sender != self.own());
        match standing.membership {
            Membership::Join | Membership::Knock => true,
            Membership::Invite => {
                self.takes_invites
                    && !standing.sender.as_deref().is_some_and(|sender| self.view.ignores(sender))
            }
            Membership::Leave | Membership::Ban => {
                let thrown_out = by_other && standing.was_in && !standing.forgotten;
                thrown_out || self.known(standing).is_some_and(|known| known.upto < standing.event_pos)
            }
        }
    }

    fn may_subscribe(&self, standing: &Standing) -> bool {
        self.lists(standing) || (standing.was_in && !standing.forgotten)
    }

    /// Returns true if a filter accepts a room.
    fn accepts(
        &self,
        tx: &ReadTx<'_>,
        filters: &Filters,
        standing: &Standing,
        standings: &[Standing],
        facts: &mut Facts,
    ) -> Result<bool, Error> {
        let is = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let has = |types: &Vec<Option<String>>| types.contains(&standing.room_type);
        if !is(filters.is_dm, self.direct.contains(&standing.room_id))
            || !is(filters.is_encrypted, standing.encryption.is_some())
            || !is(filters.is_invite, standing.membership == Membership::Invite)
            || !filters.room_types.as_ref().is_none_or(has)
            || filters.not_room_types.as_ref().is_some_and(has)
        {
            return Ok(false);
        }
        if let Some(part) = &filters.room_name_like {
            let name = standing.name.as_deref().unwrap_or_default().to_lowercase();
            let is_present = matches!(standing.membership, Membership::Join | Membership::Invite);
            if !is_present || !name.contains(&part.to_lowercase()) {
                return Ok(false);
            }
        }
        if filters.tags.is_some() || filters.not_tags.is_some() {
            let known = match facts.tags.take() {
                Some(known) => known,
                None => tags(tx, self.viewer.user_num)?,
            };
            let tags = facts.tags.insert(known).get(&standing.room_id);
            let any = |wanted: &Vec<String>| {
                tags.is_some_and(|tags| wanted.iter().any(|wanted| tags.contains(wanted)))
            };
            if !filters.tags.as_ref().is_none_or(any) || filters.not_tags.as_ref().is_some_and(any) {
                return Ok(false);
            }
        }
        if let Some(spaces) = &filters.spaces
            && !self.is_in_space(tx, spaces, standing, standings, facts)?
        {
            return Ok(false);
        }
        if let Some(wanted) = filters.is_tombstoned {
            let tombstone = events::state(tx, standing.room_num, types::TOMBSTONE, "")?;
            if tombstone.is_some() != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_in_space(
        &self,
        tx: &ReadTx<'_>,
        spaces: &[String],
        standing: &Standing,
        standings: &[Standing],
        facts: &mut Facts,
    ) -> Result<bool, Error> {
        for space in spaces {
            if !facts.children.contains_key(space) {
                let joined = standings.iter().find(|other| other.room_id == *space);
                let joined = joined.filter(|other| other.membership == Membership::Join);
                let children = match joined {
                    Some(joined) => children(tx, joined.room_num, self.upto)?,
                    None => HashSet::new(),
                };
                facts.children.insert(space.clone(), children);
            }
            if facts.children.get(space).is_some_and(|children| children.contains(&standing.room_id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the rooms that a space names as its children.
fn children(tx: &ReadTx<'_>, space: RoomNum, upto: Pos) -> Result<HashSet<String>, Error> {
    let named = events::state_of_type_at(tx, space, types::SPACE_CHILD, upto)?;
    let is_named = |json: &str| {
        let event: Value = serde_json::from_str(json).unwrap_or_default();
        event.pointer("/content/via").and_then(Value::as_array).is_some_and(|via| !via.is_empty())
    };
    let named = named.into_iter().filter(|event| event.redacted_by.is_none() && is_named(&event.json));
    Ok(named.filter_map(|event| event.state_key).collect())
}

/// Returns the tags of rooms, by their ids.
fn tags(tx: &ReadTx<'_>, user_num: UserNum) -> Result<HashMap<String, HashSet<String>>, Error> {
    let mut found = HashMap::new();
    for data in account_data::of_type(tx, user_num, TAGS)? {
        let content: Value = serde_json::from_str(&data.content).map_err(Error::internal)?;
        let tags = content.get("tags").and_then(Value::as_object);
        let tags = tags.map(|tags| tags.keys().cloned().collect()).unwrap_or_default();
        found.insert(data.room_id, tags);
    }
    Ok(found)
}
