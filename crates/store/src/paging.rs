//! Parts of lists.

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

/// The number of items, as the database counts.
pub(crate) fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
