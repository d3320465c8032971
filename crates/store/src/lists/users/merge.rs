//! A merge of the index ranges of several classes of accounts, in the order of a list.

use std::collections::VecDeque;

use reeve_db::{DbError, Engine, ReadTx};
use reeve_model::UserNum;

use super::class::{ClassCount, sum};
use super::order::{Column, Key, List, Position};
use super::rows::{Entry, Wanted, ascending, below_name, below_value};
use crate::paging::count_of;

/// The maximum number of rows of one class that are read at a time.
const CHUNK: i64 = if cfg!(test) { 4 } else { 512 };
/// The number of rows that are read first, or that are added to the expected share of a class. Each further read takes
/// more.
const FIRST_CHUNK: i64 = if cfg!(test) { 2 } else { 16 };
const FIRST_SURPLUS: i64 = 2;
const GROWTH: i64 = 4;

/// A part of a list in one order, which one merge of index ranges reads.
pub(crate) struct Segment {
    pub(crate) list: List,
    /// The classes, with the number of accounts in each, also outside this list.
    pub(crate) classes: Vec<ClassCount>,
    pub(crate) descending: bool,
}

/// The start of a merge.
pub(crate) struct Start<'a> {
    /// The position of the first row, if there is one.
    pub(crate) position: Position,
    pub(crate) descending: bool,
    /// A pattern that the search keys of the rows match; blank for all.
    pub(crate) pattern: &'a str,
    /// The minimum number of rows that will be read.
    pub(crate) wanted: i64,
}

/// The place at which a stream of one class continues.
#[derive(Clone, PartialEq, Eq)]
enum Next {
    /// Ascending from here.
    From(Position),
    /// Ascending from here while the value stays the same, then descending below it.
    Run(Column, Position),
    /// Descending below this value.
    BelowValue(Column, Key),
    /// Descending below this user id.
    BelowName(String),
    End,
}

/// The rows of one class, in the order of the segment.
struct Stream<'a> {
    class: &'a str,
    rows: VecDeque<Entry>,
    next: Next,
    chunk: i64,
}

/// A merge of the rows of several classes, in the order of the segment.
pub(crate) struct Merge<'a> {
    list: List,
    descending: bool,
    pattern: String,
    /// The maximum number of rows of a class that are read at a time.
    most: i64,
    streams: Vec<Stream<'a>>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(tx: &ReadTx<'_>, segment: &'a Segment, start: Start<'_>) -> Self {
        let Start { position, descending, pattern, wanted } = start;
        let next = match (descending, segment.list) {
            // The first row is the given one, and the rows below a position exclude it.
            (true, List::Name) => Next::BelowName(just_above(&position.user_id)),
            (true, List::With(column)) => Next::Run(column, position),
            // Accounts without a value ascend by user id in either direction.
            (true, List::Without(_)) | (false, _) => Next::From(position),
        };
        let most = wanted.clamp(1, CHUNK);
        let all = sum(&segment.classes);
        let first = |size: i64| match tx.engine() {
            // Each class is read by its own query, so only its share of these rows is read.
            Engine::Sqlite => wanted.saturating_mul(size) / all.max(1) + FIRST_SURPLUS,
            Engine::Postgres => FIRST_CHUNK,
        };
        let stream = |counted: &'a ClassCount| Stream {
            class: &counted.class,
            rows: VecDeque::new(),
            next: next.clone(),
            chunk: first(counted.n).min(most),
        };
        Self {
            list: segment.list,
            descending,
            pattern: pattern.to_owned(),
            most,
            streams: segment.classes.iter().map(stream).collect(),
        }
    }

    /// Begins at the beginning of the segment.
    pub(crate) fn whole(tx: &ReadTx<'_>, segment: &'a Segment, pattern: &str, wanted: i64) -> Self {
        let descending = segment.descending;
        let position = if descending { segment.list.end() } else { segment.list.begin() };
        Self::new(tx, segment, Start { position, descending, pattern, wanted })
    }

    /// Skips up to `n` rows; returns the number of skipped rows.
    pub(crate) fn skip(&mut self, tx: &ReadTx<'_>, n: i64) -> Result<i64, DbError> {
        for skipped in 0..n {
            if self.pop(tx)?.is_none() {
                return Ok(skipped);
            }
        }
        Ok(n)
    }

    /// Adds up to `n` rows.
    pub(crate) fn take(&mut self, tx: &ReadTx<'_>, n: i64, nums: &mut Vec<UserNum>) -> Result<(), DbError> {
        for _ in 0..n {
            match self.pop(tx)? {
                Some(entry) => nums.push(entry.num),
                None => break,
            }
        }
        Ok(())
    }

    /// Returns the next row.
    pub(crate) fn peek(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get(at)?.rows.front().cloned()))
    }

    /// Takes the next row.
    pub(crate) fn pop(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get_mut(at)?.rows.pop_front()))
    }

    /// Reads more rows for a stream without rows, and for all others without rows that continue at the same place.
    fn refill(&mut self, tx: &ReadTx<'_>, at: usize) -> Result<(), DbError> {
        let Some(Stream { next, chunk, .. }) = self.streams.get(at) else { return Ok(()) };
        let (next, chunk) = (next.clone(), *chunk);
        let same =
            |stream: &&mut Stream<'_>| stream.rows.is_empty() && stream.next == next && stream.chunk == chunk;
        let streams: Vec<&mut Stream<'a>> = self.streams.iter_mut().filter(same).collect();
        let classes: Vec<&str> = streams.iter().map(|stream| stream.class).collect();
        let wanted = Wanted { classes: &classes, limit: chunk, pattern: &self.pattern };
        let found = match &next {
            Next::From(position) | Next::Run(_, position) => ascending(tx, self.list, wanted, position)?,
            Next::BelowValue(column, key) => below_value(tx, *column, wanted, key)?,
            Next::BelowName(user_id) => below_name(tx, wanted, user_id)?,
            Next::End => return Ok(()),
        };
        for (stream, rows) in streams.into_iter().zip(found) {
            stream.chunk = self.most.min(chunk * GROWTH);
            stream.take(rows, next.clone(), chunk);
        }
        Ok(())
    }

    /// Returns the stream whose next row comes first.
    fn first(&mut self, tx: &ReadTx<'_>) -> Result<Option<usize>, DbError> {
        while let Some(at) = self.streams.iter().position(Stream::is_waiting) {
            self.refill(tx, at)?;
        }
        let heads =
            self.streams.iter().enumerate().filter_map(|(at, stream)| Some((at, stream.rows.front()?)));
        let by_order = |a: &Entry, b: &Entry| {
            let by_user = a.user_id.cmp(&b.user_id);
            match (self.descending, self.list) {
                (false, _) => a.key.cmp(&b.key).then(by_user),
                (true, List::Name) => by_user.reverse(),
                (true, List::With(_) | List::Without(_)) => b.key.cmp(&a.key).then(by_user),
            }
        };
        Ok(heads.min_by(|(_, a), (_, b)| by_order(a, b)).map(|(at, _)| at))
    }
}

impl Stream<'_> {
    fn is_waiting(&self) -> bool {
        self.rows.is_empty() && self.next != Next::End
    }

    /// Takes the rows that were read from `next` on, with up to `chunk` at a time. Descending by value, rows come in
    /// runs of equal keys, each of which must be reversed to ascend by user id. A run that the chunk cut off is read
    /// again from its other end.
    fn take(&mut self, mut rows: Vec<Entry>, next: Next, chunk: i64) {
        let full = count_of(&rows) == chunk;
        let last = rows.last().cloned().filter(|_| full);
        let after = |last: Entry| Position { key: last.key, user_id: just_above(&last.user_id) };
        self.next = match next {
            Next::End => Next::End,
            Next::From(_) => last.map_or(Next::End, |last| Next::From(after(last))),
            Next::Run(column, Position { key, .. }) => {
                rows.retain(|row| row.key == key);
                match last {
                    Some(last) if last.key == key => Next::Run(column, after(last)),
                    Some(_) | None => Next::BelowValue(column, key),
                }
            }
            Next::BelowName(_) => last.map_or(Next::End, |last| Next::BelowName(last.user_id)),
            Next::BelowValue(column, _) => {
                if let Some(last) = &last {
                    rows.retain(|row| row.key != last.key);
                }
                // A stable sort by key reverses the runs, since the rows are reversed first.
                rows.reverse();
                rows.sort_by(|a, b| b.key.cmp(&a.key));
                last.map_or(Next::End, |Entry { key, .. }| {
                    Next::Run(column, Position { key, user_id: String::new() })
                })
            }
        };
        self.rows.extend(rows);
    }
}

/// Returns the text that sorts directly after a user id.
fn just_above(user_id: &str) -> String {
    format!("{user_id}\u{1}")
}
