//! The set of state that a client wants of a room.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use reeve_db::ReadTx;
use reeve_model::{Pos, RoomNum};
use reeve_rooms::error::Error;
use reeve_rooms::types;
use reeve_store::events::{self, Event};
use serde::{Deserialize, Serialize};

/// Every type, or every state key.
const ALL: &str = "*";
/// The viewer's own state key.
const ME: &str = "$ME";
/// The members that the timeline needs.
const LAZY: &str = "$LAZY";
/// With the type `*`: everything but members. No client sends it; it represents `*`, `*` with lazy members.
const BUT_MEMBERS: &str = "$BUT_MEMBERS";

/// A set of state, by type and state key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    keys: BTreeMap<String, BTreeSet<String>>,
    /// True if it includes the members that the timeline needs.
    pub(crate) lazy: bool,
}

impl Wanted {
    /// Reads the pairs of type and state key in a request.
    pub(crate) fn of(pairs: &[(String, String)]) -> Self {
        let mut wanted = Self::default();
        for (event_type, state_key) in pairs {
            if state_key == LAZY && event_type == types::MEMBER {
                wanted.lazy = true;
            } else if state_key != BUT_MEMBERS {
                wanted.add(event_type, state_key);
            }
        }
        if wanted.lazy
            && let Some(keys) = wanted.keys.get_mut(ALL)
            && keys.remove(ALL)
        {
            keys.insert(BUT_MEMBERS.to_owned());
        }
        wanted
    }

    fn add(&mut self, event_type: &str, state_key: &str) {
        self.keys.entry(event_type.to_owned()).or_default().insert(state_key.to_owned());
    }

    fn has(&self, event_type: &str, state_key: &str) -> bool {
        self.keys.get(event_type).is_some_and(|keys| keys.contains(state_key))
    }

    /// Adds another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (event_type, keys) in &other.keys {
            self.keys.entry(event_type.clone()).or_default().extend(keys.iter().cloned());
        }
        self.lazy |= other.lazy;
    }

    /// Returns true if it includes all members.
    pub(crate) fn has_all_members(&self) -> bool {
        self.has(ALL, ALL) || self.has(types::MEMBER, ALL)
    }

    /// Returns true if the members that the timeline needs must be looked for.
    pub(crate) fn is_lazy(&self) -> bool {
        self.lazy && !self.has_all_members()
    }

    /// Returns true if it includes a piece of state, apart from members that the timeline needs.
    pub(crate) fn matches(&self, event: &Event, own: &str) -> bool {
        let Some(state_key) = event.state_key.as_deref() else { return false };
        let named = |event_type: &str| {
            self.has(event_type, state_key)
                || self.has(event_type, ALL)
                || (state_key == own && self.has(event_type, ME))
        };
        named(&event.event_type)
            || named(ALL)
            || (event.event_type != types::MEMBER && self.has(ALL, BUT_MEMBERS))
    }

    /// Returns true if it certainly includes everything in another set.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let covers = |event_type: &str, state_key: &str| {
            self.has(event_type, state_key)
                || self.has(event_type, ALL)
                || self.has(ALL, state_key)
                || self.has(ALL, ALL)
                || (event_type != types::MEMBER && event_type != ALL && self.has(ALL, BUT_MEMBERS))
        };
        (!other.lazy || self.lazy || self.has_all_members())
            && other.keys.iter().all(|(event_type, keys)| keys.iter().all(|key| covers(event_type, key)))
    }

    /// Returns the part of the state after the event at a position that is in the set.
    pub(crate) fn gather(
        &self,
        tx: &ReadTx<'_>,
        room_num: RoomNum,
        own: &str,
        at: Pos,
    ) -> Result<Vec<Event>, Error> {
        if self.has(ALL, ALL) {
            return Ok(events::all_state_at(tx, room_num, at)?);
        }
        let of_all_types = self.keys.get(ALL);
        let mut found = Vec::new();
        if of_all_types.is_some() {
            found = events::state_but_members_at(tx, room_num, at)?;
            found.retain(|event| self.matches(event, own));
        }
        let mut look = |event_type: &str, keys: &BTreeSet<String>| -> Result<(), Error> {
            if keys.contains(ALL) {
                found.extend(events::state_of_type_at(tx, room_num, event_type, at)?);
                return Ok(());
            }
            for key in keys.iter().filter(|key| *key != BUT_MEMBERS) {
                let key = if key == ME { own } else { key };
                found.extend(events::state_at(tx, room_num, event_type, key, at)?);
            }
            Ok(())
        };
        for (event_type, keys) in &self.keys {
            if event_type == ALL {
                look(types::MEMBER, keys)?;
            } else if of_all_types.is_none() || event_type == types::MEMBER {
                look(event_type, keys)?;
            }
        }
        let mut seen = HashSet::new();
        found.retain(|event| seen.insert(event.pos));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use reeve_model::{Effect, Millis, Pos, RoomNum};
    use reeve_store::events::Event;

    use super::Wanted;

    fn wanted(pairs: &[(&str, &str)]) -> Wanted {
        let pairs: Vec<_> = pairs.iter().map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned())).collect();
        Wanted::of(&pairs)
    }

    fn event(event_type: &str, state_key: &str) -> Event {
        Event {
            pos: Pos::new(1),
            room_num: RoomNum::new(1),
            event_id: String::new(),
            event_type: event_type.to_owned(),
            state_key: Some(state_key.to_owned()),
            sender: String::new(),
            ts: Millis::ZERO,
            membership: None,
            until_pos: Some(Pos::END),
            relates_to: None,
            rel_type: None,
            redacted_by: None,
            effect: Effect::Nothing,
            json: String::new(),
        }
    }

    #[test]
    fn what_matches() {
        let (name, me, bob) =
            (event("m.room.name", ""), event("m.room.member", "@me:a"), event("m.room.member", "@bob:a"));
        for (pairs, expected) in [
            (&[][..], [false, false, false]),
            (&[("m.room.name", "")], [true, false, false]),
            (&[("m.room.member", "$ME")], [false, true, false]),
            (&[("*", "$ME")], [false, true, false]),
            (&[("m.room.member", "$LAZY")], [false, false, false]),
            (&[("m.room.member", "*")], [false, true, true]),
            (&[("m.room.member", "*"), ("m.room.member", "$LAZY")], [false, true, true]),
            (&[("*", "*")], [true, true, true]),
            (&[("*", "")], [true, false, false]),
            (&[("*", "*"), ("m.room.member", "$LAZY")], [true, false, false]),
            (&[("*", "*"), ("m.room.member", "$LAZY"), ("m.room.member", "$ME")], [true, true, false]),
        ] {
            let wanted = wanted(pairs);
            assert_eq!([&name, &me, &bob].map(|event| wanted.matches(event, "@me:a")), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_covers() {
        let (lazy, all) = (wanted(&[("*", "*"), ("m.room.member", "$LAZY")]), wanted(&[("*", "*")]));
        assert!(all.covers(&lazy) && !lazy.covers(&all));
        assert!(lazy.covers(&wanted(&[("m.room.name", ""), ("m.room.member", "$LAZY")])));
        assert!(!lazy.covers(&wanted(&[("m.room.member", "$ME")])));
        assert!(wanted(&[("m.x", "*")]).covers(&wanted(&[("m.x", "a")])));
        assert!(!wanted(&[("m.x", "a")]).covers(&wanted(&[("m.x", "*")])));
        let mut both = lazy.clone();
        both.merge(&all);
        assert!(both.covers(&all) && !both.is_lazy());
    }
}
