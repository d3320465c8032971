//! Parts of lists.

use std::fmt;
use std::str::FromStr;

use reeve_model::Millis;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// The number of entries before it.
    pub from: i64,
    /// The maximum number of entries in it.
    pub limit: i64,
}

impl Paging {
    /// Returns this part of a whole list.
    pub(crate) fn of<T>(self, list: Vec<T>) -> Vec<T> {
        let size = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        list.into_iter().skip(size(self.from)).take(size(self.limit)).collect()
    }
}

/// The sort key of an entry in a list in the order of time. A page ends with an entry, and the next one begins after its
/// key. As a text it is `1700000000000_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey<Id> {
    /// The time of the entry.
    pub ts: Millis,
    /// Its id, which orders entries of the same time.
    pub id: Id,
}

impl<Id: Default> SortKey<Id> {
    /// Returns the key between the entries before a time and those from it.
    pub fn at(ts: Millis) -> Self {
        Self { ts, id: Id::default() }
    }
}

impl<Id: FromStr> SortKey<Id> {
    /// Parses a key; returns `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let (ts, id) = text.split_once('_')?;
        Some(Self { ts: ts.parse().ok()?, id: id.parse().ok()? })
    }
}

impl<Id: fmt::Display> fmt::Display for SortKey<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.ts, self.id)
    }
}

/// The number of items, as the database counts.
pub(crate) fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys() {
        let key = SortKey { ts: Millis::new(5), id: "a_b".to_owned() };
        assert_eq!(key.to_string(), "5_a_b");
        assert_eq!(SortKey::parse("5_a_b"), Some(key));
        assert_eq!(SortKey::parse("5_7"), Some(SortKey { ts: Millis::new(5), id: 7_i64 }));
        for malformed in ["", "5", "5_", "_7", "x_7", "5_x"] {
            assert_eq!(SortKey::<i64>::parse(malformed), None, "{malformed}");
        }
        assert!(SortKey::at(Millis::new(5)) < SortKey { ts: Millis::new(5), id: 1_i64 });
    }
}
