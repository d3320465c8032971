//! Parts of lists.

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many entries come before it.
    pub from: i64,
    /// How many entries it has at most.
    pub limit: i64,
}

impl Paging {
    /// This part of a list that is there as a whole.
    pub(crate) fn of<T>(self, list: Vec<T>) -> Vec<T> {
        let size = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        list.into_iter().skip(size(self.from)).take(size(self.limit)).collect()
    }
}

/// The number of items, as the database counts.
pub(crate) fn count_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
