//! Lifetimes of messages. What has lived long enough is deleted, and leaves all timelines; present and former state stays.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/1763>

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Millis, Pos, RoomNum};
use reeve_store::lifetimes::{self, Age};
use reeve_store::{event_deletion, events, rooms};
use ruma::Int;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::{event, types};

/// The lifetimes of messages on this server, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lifetimes {
    /// The lifetime in rooms that set none; `None` for no end.
    pub default_ms: Option<i64>,
    /// The shortest lifetime that a room can set.
    pub min_ms: Option<i64>,
    /// The longest lifetime that a room can set.
    pub max_ms: Option<i64>,
}

impl Lifetimes {
    /// Returns the lifetime in a room, by the content of its `m.room.retention`; `None` if messages live without end. A room
    /// that sets `max_lifetime` gets it within the bounds of the server, but not less than its own `min_lifetime`.
    fn of_room(&self, content: Option<&Map<String, Value>>) -> Option<i64> {
        let own = |key| content?.get(key)?.as_i64().filter(|ms| *ms >= 0);
        let Some(most) = own("max_lifetime") else { return self.default_ms };
        let wanted = most.max(own("min_lifetime").unwrap_or(0));
        let at_least = self.min_ms.map_or(wanted, |min| wanted.max(min));
        Some(self.max_ms.map_or(at_least, |max| at_least.min(max)))
    }
}

/// Checks the content of `m.room.retention`: lifetimes are positive integers, and the longest is not less than the shortest. A content
/// from before it was checked may be otherwise.
pub(crate) fn check_content(content: &Map<String, Value>) -> Result<(), Error> {
    let lifetime = |key: &str| {
        let Some(value) = content.get(key) else { return Ok(None) };
        let ms = value.as_i64().filter(|ms| *ms > 0 && Int::try_from(*ms).is_ok());
        ms.map(Some).ok_or_else(|| Error::BadContent(format!("'{key}' must be a positive integer")))
    };
    let (least, most) = (lifetime("min_lifetime")?, lifetime("max_lifetime")?);
    if least.zip(most).is_some_and(|(least, most)| most < least) {
        let text = "'max_lifetime' must not be less than 'min_lifetime'";
        return Err(Error::BadContent(text.to_owned()));
    }
    Ok(())
}

/// A place in the walk over messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Place {
    /// The room.
    room: RoomNum,
    /// The position in it from which the walk goes on; `None` if the room is done with.
    pos: Option<Pos>,
}

/// The walk over messages that have lived long enough.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The lifetimes on this server.
    pub lifetimes: Lifetimes,
    /// The time at which ages are looked at.
    pub at: Millis,
    /// True if messages are counted and not deleted.
    pub dry_run: bool,
}

/// A part of the walk.
#[derive(Debug)]
pub struct Part {
    /// The number of deleted messages.
    pub deleted: i64,
    /// The place of the next part; `None` at the end.
    pub next: Option<Place>,
}

/// The events of a room that a part of the walk looked at.
struct Looked {
    /// The messages that have lived long enough.
    expired: Vec<Pos>,
    /// The position after the last event that is old enough.
    upto: Option<Pos>,
    /// True if the room is done with.
    is_end: bool,
}

impl Walk {
    /// Deletes (or counts) messages in up to `rooms` rooms, of which it looks at about `events` events, from a place on.
    pub fn step(&self, tx: &mut Tx<'_>, from: Place, rooms: i64, events: i64) -> Result<Part, Error> {
        let (mut deleted, mut looked, mut at) = (0, 0, from);
        let mut ahead = self.rooms(tx, at, rooms)?.into_iter();
        while looked < events {
            let Some(room) = ahead.next() else {
                // The last page of rooms is not full.
                let is_end = self.rooms(tx, Place { room: at.room, pos: None }, 1)?.is_empty();
                return Ok(Part { deleted, next: (!is_end).then_some(at) });
            };
            let from = at.pos.filter(|_| at.room == room);
            at = Place { room, pos: None };
            let Some(lifetime) = self.lifetime(tx, room)? else { continue };
            let Some(stored) = lifetimes::expired_pos(tx, room)? else { continue };
            let ages = lifetimes::ages(tx, room, from.unwrap_or(stored), events)?;
            looked += i64::try_from(ages.len()).unwrap_or(events);
            let found = self.look(&ages, lifetime, events);
            deleted += i64::try_from(found.expired.len()).unwrap_or(0);
            if let Some(upto) = found.upto {
                if !self.dry_run {
                    event_deletion::delete(tx, &found.expired)?;
                    lifetimes::set_expired(tx, room, upto)?;
                }
                if !found.is_end {
                    at.pos = Some(upto);
                    break;
                }
            }
        }
        Ok(Part { deleted, next: Some(at) })
    }

    /// Returns the next rooms that may have old messages; the first one is the present one, if it is not done with.
    fn rooms(&self, tx: &ReadTx<'_>, at: Place, most: i64) -> Result<Vec<RoomNum>, DbError> {
        let after = if at.pos.is_some() { RoomNum::new(at.room.get() - 1) } else { at.room };
        // Most rooms set no lifetime, and need a look only if there is one for them.
        match self.lifetimes.default_ms {
            Some(_) => lifetimes::rooms(tx, after, most),
            None => lifetimes::rooms_with_own(tx, after, most),
        }
    }

    fn lifetime(&self, tx: &ReadTx<'_>, room: RoomNum) -> Result<Option<i64>, Error> {
        let Some(policy) = events::state(tx, room, types::RETENTION, "")? else {
            return Ok(self.lifetimes.default_ms);
        };
        let Some(room) = rooms::by_num(tx, room)? else { return Ok(None) };
        let content = event::content(&policy, &event::rules(&room)?)?;
        Ok(self.lifetimes.of_room(Some(&content)))
    }

    /// Finds the events that are old enough and have nothing before them that is not. Times are those of the sender's
    /// server: an event from the future is as old as the next one.
    fn look(&self, ages: &[Age], lifetime: i64, most: i64) -> Looked {
        let before = self.at.minus(lifetime);
        let (mut old, mut upto) = (0, None);
        for (place, age) in ages.iter().enumerate() {
            if age.ts < before {
                (old, upto) = (place + 1, Some(age.pos.next()));
            } else if age.ts <= self.at {
                break;
            }
        }
        let is_full = i64::try_from(ages.len()).is_ok_and(|length| length >= most);
        let expired = ages.iter().take(old).filter(|age| !age.sets_state).map(|age| age.pos).collect();
        Looked { expired, upto, is_end: !is_full || old < ages.len() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_room_sets_its_lifetime_within_bounds() {
        let bounds = Lifetimes { default_ms: Some(50), min_ms: Some(10), max_ms: Some(100) };
        let free = Lifetimes::default();
        for (lifetimes, content, expected) in [
            (bounds, json!({ "max_lifetime": 20 }), Some(20)),
            (bounds, json!({ "max_lifetime": 9 }), Some(10)),
            (bounds, json!({ "max_lifetime": 101 }), Some(100)),
            (bounds, json!({ "max_lifetime": 20, "min_lifetime": 30 }), Some(30)),
            (bounds, json!({ "max_lifetime": 20, "min_lifetime": 300 }), Some(100)),
            (bounds, json!({ "min_lifetime": 30 }), Some(50)),
            (bounds, json!({ "max_lifetime": null }), Some(50)),
            (bounds, json!({ "max_lifetime": "20" }), Some(50)),
            (bounds, json!({ "max_lifetime": 20.5 }), Some(50)),
            (bounds, json!({ "max_lifetime": -1 }), Some(50)),
            (free, json!({ "max_lifetime": 0 }), Some(0)),
            (free, json!({}), None),
        ] {
            assert_eq!(lifetimes.of_room(content.as_object()), expected, "{content}");
        }
        assert_eq!((bounds.of_room(None), free.of_room(None)), (Some(50), None));
    }

    #[test]
    fn what_is_old_has_nothing_younger_before_it() {
        let walk = Walk { lifetimes: Lifetimes::default(), at: Millis::new(1000), dry_run: true };
        let look = |times: &[i64], most: i64| {
            let ages: Vec<Age> = (1..)
                .zip(times)
                .map(|(pos, ts)| Age { pos: Pos::new(pos), ts: Millis::new(*ts), sets_state: pos == 1 })
                .collect();
            let looked = walk.look(&ages, 100, most);
            (looked.expired.len(), looked.upto.map(Pos::get), looked.is_end)
        };
        // The first one sets state. 900 is exactly as old as the lifetime, and stays.
        assert_eq!(look(&[1, 899, 900, 950], 10), (1, Some(3), true));
        assert_eq!(look(&[900, 1], 10), (0, None, true));
        assert_eq!(look(&[], 10), (0, None, true));
        // From the future.
        assert_eq!(look(&[1, 5000, 2, 950], 10), (2, Some(4), true));
        assert_eq!(look(&[1, 5000, 950], 10), (0, Some(2), true));
        assert_eq!(look(&[5000, 5000], 2), (0, None, true));
        // There may be more.
        assert_eq!(look(&[1, 2, 3], 3), (2, Some(4), false));
        assert_eq!(look(&[1, 2, 5000], 3), (1, Some(3), true));
    }
}
