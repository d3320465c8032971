//! Requests of sliding sync.

use std::collections::BTreeMap;

use reeve_model::Token;
use reeve_rooms::error::Error;
use serde::{Deserialize, Deserializer};

use super::wanted::Wanted;

/// The maximum number of lists, of subscriptions, and of parts of them in a request.
const MAX_LISTS: usize = 100;
const MAX_SUBSCRIPTIONS: usize = 100;
const MAX_RANGES: usize = 100;
const MAX_STATE: usize = 1000;
/// The maximum number of events of a room in a response.
pub(crate) const MAX_TIMELINE: i64 = 100;
/// The largest integer that all JSON implementations represent exactly.
const LARGEST: i64 = (1 << 53) - 1;
/// The longest name of a connection or a list, in bytes.
const MAX_NAME_LEN: usize = 255;

/// A request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Request {
    /// The name of its connection among those of the device.
    #[serde(default, deserialize_with = "or_default")]
    pub conn_id: String,
    /// A name for the request, which the response repeats.
    pub txn_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) lists: BTreeMap<String, List>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) room_subscriptions: BTreeMap<String, Config>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) extensions: Extensions,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The parts of a room that a client asks for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) timeline_limit: i64,
    pub(crate) required_state: Vec<(String, String)>,
}

impl Config {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted::of(&self.required_state)
    }

    fn check(&self) -> Result<(), String> {
        if !(0..=LARGEST).contains(&self.timeline_limit) {
            return Err("'timeline_limit' must not be negative, nor too large".to_owned());
        }
        if self.required_state.len() > MAX_STATE {
            return Err(format!("'required_state' must not have more than {MAX_STATE} entries"));
        }
        Ok(())
    }
}

/// Some of the rooms, in the order of their latest activity.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct List {
    /// The first and last places in the list; all of it if there are none.
    pub(crate) ranges: Option<Vec<(i64, i64)>>,
    /// One range, in later versions of the proposal.
    pub(crate) range: Option<(i64, i64)>,
    #[serde(flatten)]
    pub(crate) config: Config,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) filters: Filters,
}

impl List {
    /// Returns true if a place lies in the ranges.
    pub(crate) fn has(&self, index: usize) -> bool {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let within = |(first, last): &(i64, i64)| (*first..=*last).contains(&index);
        match &self.ranges {
            Some(ranges) => ranges.iter().any(within),
            None => self.range.as_ref().is_none_or(within),
        }
    }

    fn check(&self) -> Result<(), String> {
        let ranges = self.ranges.iter().flatten().chain(&self.range);
        if self.ranges.as_ref().is_some_and(|ranges| ranges.len() > MAX_RANGES) {
            return Err(format!("A list must not have more than {MAX_RANGES} ranges"));
        }
        for (first, last) in ranges {
            if *first < 0 || first > last || *last > LARGEST {
                return Err(format!("[{first}, {last}] is not a range of places in a list"));
            }
        }
        self.config.check()
    }
}

/// The filters of a list.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Filters {
    pub(crate) is_dm: Option<bool>,
    pub(crate) is_encrypted: Option<bool>,
    #[serde(alias = "is_invited")]
    pub(crate) is_invite: Option<bool>,
    pub(crate) is_tombstoned: Option<bool>,
    pub(crate) spaces: Option<Vec<String>>,
    pub(crate) room_types: Option<Vec<Option<String>>>,
    pub(crate) not_room_types: Option<Vec<Option<String>>>,
    pub(crate) room_name_like: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) not_tags: Option<Vec<String>>,
}

/// The extensions that a client asks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Extensions {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) to_device: ToDevice,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) e2ee: Extension,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) account_data: Extension,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) receipts: Extension,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) typing: Extension,
}

/// To-device messages.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ToDevice {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) enabled: bool,
    pub(crate) since: Option<String>,
    pub(crate) limit: Option<i64>,
}

impl ToDevice {
    /// Returns the token up to which the client has messages.
    pub(crate) fn since(&self) -> Result<Option<Token>, Error> {
        let Some(text) = self.since.as_ref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let token = Token::parse(text);
        token.map(Some).ok_or_else(|| Error::Invalid("'since' of 'to_device' is not a token".to_owned()))
    }
}

/// An extension about rooms: those of some lists and some subscriptions, or all.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Extension {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) enabled: bool,
    pub(crate) lists: Option<Vec<String>>,
    pub(crate) rooms: Option<Vec<String>>,
}

fn names(names: Option<&Vec<String>>, wanted: &str) -> bool {
    names.is_none_or(|names| names.iter().any(|name| name == "*" || name == wanted))
}

impl Extension {
    pub(crate) fn has_list(&self, name: &str) -> bool {
        names(self.lists.as_ref(), name)
    }

    pub(crate) fn has_subscription(&self, room_id: &str) -> bool {
        names(self.rooms.as_ref(), room_id)
    }

    /// Returns true if it includes every room.
    pub(crate) fn is_about_all(&self) -> bool {
        let all =
            |names: Option<&Vec<String>>| names.is_none_or(|names| names.iter().any(|name| name == "*"));
        all(self.lists.as_ref()) && all(self.rooms.as_ref())
    }
}

impl Request {
    /// Checks the values of a request; the error says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.lists.len() > MAX_LISTS {
            return Err(format!("There must not be more than {MAX_LISTS} lists"));
        }
        if self.room_subscriptions.len() > MAX_SUBSCRIPTIONS {
            return Err(format!("There must not be more than {MAX_SUBSCRIPTIONS} room subscriptions"));
        }
        let names = self.lists.keys().chain([&self.conn_id]).chain(&self.txn_id);
        if names.into_iter().any(|name| name.len() > MAX_NAME_LEN) {
            return Err(format!("Names must not be longer than {MAX_NAME_LEN} bytes"));
        }
        if self.extensions.to_device.limit.is_some_and(|limit| limit < 0) {
            return Err("'limit' must not be negative".to_owned());
        }
        self.lists.values().try_for_each(List::check)?;
        self.room_subscriptions.values().try_for_each(Config::check)
    }
}
