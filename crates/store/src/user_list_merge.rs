//! A merge of the index ranges of several classes of accounts, in the order of a list.

use std::cmp::Ordering;
use std::collections::VecDeque;

use reeve_db::{DbError, Engine, ReadTx};
use reeve_model::UserNum;

use crate::user_list::{Segment, count_of};
use crate::user_list_counts::{ClassCount, List};
use crate::user_list_rows::{Entry, Key, ascending, descending};

/// How many rows of one class are read at a time, at most.
const CHUNK: i64 = if cfg!(test) { 4 } else { 512 };
/// How many are read at first, or that many more than a class is expected to contribute. Each further time reads more.
const FIRST_CHUNK: i64 = if cfg!(test) { 2 } else { 16 };
const FIRST_SURPLUS: i64 = 2;
const GROWTH: i64 = 4;

/// Where a stream of one class goes on reading.
#[derive(Clone, PartialEq, Eq)]
enum Next {
    /// Ascending from here; if the flag is set only while the key stays the same, then descending below it.
    From(Key, String, bool),
    /// Descending below here.
    Below(Key, String),
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
    /// How many rows of a class are read at a time, at most.
    most: i64,
    streams: Vec<Stream<'a>>,
}

impl<'a> Merge<'a> {
    /// Begins at a key and user id; `wanted` rows will be read at least.
    pub(crate) fn new(
        tx: &ReadTx<'_>,
        segment: &'a Segment,
        descending: bool,
        key: &Key,
        user_id: &str,
        pattern: &str,
        wanted: i64,
    ) -> Self {
        let next = match (descending, segment.list) {
            // The first row is the one given: what is below it begins just above.
            (true, List::Name) => Next::Below(Key::None, format!("{user_id}\u{1}")),
            (true, _) => Next::From(key.clone(), user_id.to_owned(), true),
            (false, _) => Next::From(key.clone(), user_id.to_owned(), false),
        };
        let most = wanted.clamp(1, CHUNK);
        let all: i64 = segment.classes.iter().map(|(_, size)| size).sum();
        let first = |size: i64| match tx.engine() {
            // Each class is asked by itself, for what it should have of these rows.
            Engine::Sqlite => wanted.saturating_mul(size) / all.max(1) + FIRST_SURPLUS,
            Engine::Postgres => FIRST_CHUNK,
        };
        let stream = |(class, size): &'a ClassCount| Stream {
            class,
            rows: VecDeque::new(),
            next: next.clone(),
            chunk: first(*size).min(most),
        };
        Self {
            list: segment.list,
            descending,
            pattern: pattern.to_owned(),
            most,
            streams: segment.classes.iter().map(stream).collect(),
        }
    }

    /// Begins where the segment does.
    pub(crate) fn whole(
        tx: &ReadTx<'_>,
        segment: &'a Segment,
        pattern: &str,
        wanted: i64,
    ) -> Result<Self, DbError> {
        let (key, user_id) =
            if segment.descending { Key::end(segment.list) } else { (Key::decode(segment.list, "")?, "") };
        Ok(Self::new(tx, segment, segment.descending, &key, user_id, pattern, wanted))
    }

    /// Passes over up to `n` rows; answers how many there were.
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

    /// The next row.
    pub(crate) fn peek(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get(at)?.rows.front().cloned()))
    }

    fn pop(&mut self, tx: &ReadTx<'_>) -> Result<Option<Entry>, DbError> {
        Ok(self.first(tx)?.and_then(|at| self.streams.get_mut(at)?.rows.pop_front()))
    }

    /// Reads on in a stream that has no rows, and in all others that have none and go on from the same place.
    fn refill(&mut self, tx: &ReadTx<'_>, at: usize) -> Result<(), DbError> {
        let Some(Stream { next, chunk, .. }) = self.streams.get(at) else { return Ok(()) };
        let (next, chunk) = (next.clone(), *chunk);
        let same =
            |stream: &&mut Stream<'_>| stream.rows.is_empty() && stream.next == next && stream.chunk == chunk;
        let streams: Vec<&mut Stream<'a>> = self.streams.iter_mut().filter(same).collect();
        let classes: Vec<&str> = streams.iter().map(|stream| stream.class).collect();
        let found = match &next {
            Next::From(key, user_id, _) => {
                ascending(tx, self.list, &classes, key, user_id, chunk, &self.pattern)?
            }
            Next::Below(key, user_id) => {
                descending(tx, self.list, &classes, key, user_id, chunk, &self.pattern)?
            }
            Next::End => return Ok(()),
        };
        for (stream, rows) in streams.into_iter().zip(found) {
            stream.chunk = self.most.min(chunk * GROWTH);
            stream.take(rows, next.clone(), self.list, chunk);
        }
        Ok(())
    }

    /// The stream whose next row comes first.
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
                (true, _) => b.key.cmp(&a.key).then(by_user),
            }
        };
        Ok(heads.min_by(|(_, a), (_, b)| by_order(a, b)).map(|(at, _)| at))
    }
}

impl Stream<'_> {
    fn is_waiting(&self) -> bool {
        self.rows.is_empty() && self.next != Next::End
    }

    /// Takes the rows that were read from `next` on, with up to `chunk` at a time. Descending, rows come in runs of equal
    /// keys, each of which must be turned round to ascend by user id; a run that the chunk cut off is read again from its
    /// other end.
    fn take(&mut self, mut rows: Vec<Entry>, next: Next, list: List, chunk: i64) {
        let full = count_of(&rows) == chunk;
        let last = rows.last().cloned();
        match next {
            Next::End => {}
            Next::From(key, _, one_run) => {
                self.rows.extend(rows.into_iter().take_while(|row| !one_run || row.key == key));
                self.next = match last {
                    Some(last) if full && (!one_run || last.key == key) => {
                        Next::From(last.key, format!("{}\u{1}", last.user_id), one_run)
                    }
                    _ if one_run => Next::Below(key, String::new()),
                    _ => Next::End,
                };
            }
            Next::Below(..) => {
                self.next = Next::End;
                let Some(last) = last else { return };
                if list == List::Name {
                    self.rows.extend(rows);
                    if full {
                        self.next = Next::Below(Key::None, last.user_id);
                    }
                    return;
                }
                if full {
                    rows.retain(|row| row.key != last.key);
                    self.next = Next::From(last.key, String::new(), true);
                }
                // A stable sort by key turns the runs round: within one, rows are reversed first.
                rows.reverse();
                rows.sort_by(|a, b| if a.key == b.key { Ordering::Equal } else { b.key.cmp(&a.key) });
                self.rows.extend(rows);
            }
        }
    }
}
