use std::{cell::RefCell, ops::Deref};

use crate::{
    Channel, DbError, Engine, Statement, Value,
    queue::Kind,
    row::{Row, RowOf},
    {postgres, sqlite},
};

/// The engine that a transaction runs on.
#[derive(Clone, Copy)]
pub(crate) enum Link<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c RefCell<postgres::Session>),
}

/// A reading transaction: every query sees the same state of the database.
///
/// A statement that fails in the engine ([`DbError::Constraint`], [`DbError::Internal`], …) loses the whole
/// transaction, on both engines, even if the closure continues and returns `Ok`.
///
/// ```compile_fail,E0599
/// # reeve_db::statements! { pub(crate) CLEAR = "DELETE FROM notes"; }
/// fn write_while_reading(tx: &reeve_db::ReadTx<'_>) {
///     let _ = tx.execute(&CLEAR, &[]); // only `Tx` can
/// }
/// ```
pub struct ReadTx<'c> {
    link: Link<'c>,
    kind: Kind,
    fault: RefCell<Option<DbError>>,
}

/// A writing transaction. Everything that [`ReadTx`] can do, and changes.
///
/// It is committed when the closure returns `Ok`, and rolled back when it returns `Err` or panics.
pub struct Tx<'c> {
    read: ReadTx<'c>,
    lane: i64,
    /// True once a statement that changes data was run, whether it succeeded or not.
    wrote: bool,
    notified: Vec<Channel>,
    after_commit: Vec<AfterCommit>,
}

/// A function that runs once a transaction is committed.
pub(crate) type AfterCommit = Box<dyn FnOnce() + Send>;

impl<'c> Deref for Tx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl ReadTx<'_> {
    /// Returns the engine that this transaction runs on.
    pub fn engine(&self) -> Engine {
        match self.link {
            Link::Sqlite(_) => Engine::Sqlite,
            Link::Postgres(_) => Engine::Postgres,
        }
    }

    /// Returns true if everything that the transaction sees is committed: it is not the reading half of a [`Tx`] that
    /// writes. What it has read can be kept in memory.
    pub fn sees_only_committed(&self) -> bool {
        self.kind == Kind::Read
    }

    /// Returns every row of a SELECT, mapped.
    pub fn query<T>(
        &self,
        statement: &'static Statement,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let mut rows = Vec::new();
        self.each(statement, params, Access::Read, &mut |row| {
            rows.push(map(row)?);
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Returns the first row of a SELECT, mapped.
    pub fn query_opt<T>(
        &self,
        statement: &'static Statement,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Option<T>, DbError> {
        let mut first = None;
        self.each(statement, params, Access::Read, &mut |row| {
            first = Some(map(row)?);
            Ok(false)
        })?;
        Ok(first)
    }

    /// Returns the first row of a SELECT, mapped; [`DbError::NoRow`] if there is none.
    pub fn query_one<T>(
        &self,
        statement: &'static Statement,
        params: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.query_opt(statement, params, map)?.ok_or(DbError::NoRow)
    }

    /// Prepares a statement without running it.
    pub(crate) fn prepare(&self, statement: &'static Statement) -> Result<(), DbError> {
        self.noting(match self.link {
            Link::Sqlite(connection) => sqlite::prepare(connection, statement),
            Link::Postgres(session) => session.borrow_mut().check(statement),
        })
    }

    fn each(
        &self,
        statement: &'static Statement,
        params: &[Value<'_>],
        access: Access,
        visit: &mut dyn FnMut(&Row<'_>) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        reject_nul(params)?;
        match self.link {
            Link::Sqlite(connection) => {
                self.noting(sqlite::each(connection, statement, params, access, visit))
            }
            Link::Postgres(session) => {
                // All rows are in memory before the first is visited, so `visit` may use the session itself.
                let rows = session.borrow_mut().query(statement, params);
                for row in &self.noting(rows)? {
                    if !visit(&Row(RowOf::Postgres(row)))? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// Remembers the first failure that loses the transaction.
    fn noting<T>(&self, result: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(error) = &result
            && error.dooms()
        {
            self.fault.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(link: Link<'c>, kind: Kind, lane: i64) -> Self {
        Self {
            read: ReadTx { link, kind, fault: RefCell::new(None) },
            lane,
            wrote: false,
            notified: Vec::new(),
            after_commit: Vec::new(),
        }
    }

    /// Returns true if there may be something to roll back.
    pub(crate) fn wrote(&self) -> bool {
        self.wrote
    }

    /// Notifies those who listen to a channel, once the transaction is committed; nobody, if it is not.
    pub fn notify(&mut self, channel: Channel) {
        if !self.notified.contains(&channel) {
            self.notified.push(channel);
        }
    }

    /// Runs a function on the database thread once the transaction is committed, before the caller gets its result;
    /// never, if the transaction is rolled back. A cache learns in this way what the transaction has read, which others
    /// that are not committed yet may have written. The function must neither block nor panic.
    pub fn after_commit(&mut self, f: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(f));
    }

    /// Returns the functions that are to run after the commit.
    pub(crate) fn take_after_commit(&mut self) -> Vec<AfterCommit> {
        std::mem::take(&mut self.after_commit)
    }

    /// Returns the channels that were notified since the last call.
    pub(crate) fn take_notified(&mut self) -> Vec<Channel> {
        std::mem::take(&mut self.notified)
    }

    /// Returns the failure that lost the transaction, if any.
    pub(crate) fn fault(self) -> Option<DbError> {
        self.read.fault.into_inner()
    }

    /// Runs a statement that changes data; returns the number of affected rows.
    pub fn execute(&mut self, statement: &'static Statement, params: &[Value<'_>]) -> Result<u64, DbError> {
        reject_nul(params)?;
        self.wrote = true;
        self.noting(match self.link {
            Link::Sqlite(connection) => sqlite::execute(connection, statement, params),
            Link::Postgres(session) => session.borrow_mut().execute(statement, params),
        })
    }

    /// Runs an INSERT, UPDATE or DELETE with RETURNING; its rows, mapped.
    pub fn returning<T>(
        &mut self,
        statement: &'static Statement,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let mut rows = Vec::new();
        self.wrote = true;
        self.each(statement, params, Access::Write, &mut |row| {
            rows.push(map(row)?);
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Runs a part of the transaction, all or nothing: when it returns an error, its changes are undone, and the
    /// transaction continues. After a failure in the engine nothing can continue, as always.
    pub fn attempt<T, E: From<DbError>>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.wrote = true;
        let (notified, hooks) = (self.notified.len(), self.after_commit.len());
        self.command("SAVEPOINT part")?;
        let result = part(self);
        if result.is_err() {
            if self.read.fault.borrow().is_some() {
                return result;
            }
            self.command("ROLLBACK TO SAVEPOINT part")?;
            self.notified.truncate(notified);
            self.after_commit.truncate(hooks);
        }
        self.command("RELEASE SAVEPOINT part")?;
        result
    }

    fn command(&self, sql: &'static str) -> Result<(), DbError> {
        self.noting(match self.link {
            Link::Sqlite(connection) => sqlite::command(connection, sql),
            Link::Postgres(session) => session.borrow_mut().command(sql),
        })
    }

    /// Returns a small number that no other writing transaction of this process holds at the same time: 0 on SQLite, the
    /// index of the database thread on PostgreSQL. Counters that are spread over lanes do not collide.
    pub fn lane(&self) -> i64 {
        self.lane
    }
}

/// The effect of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Refuses U+0000 in a text. SQLite would accept it; it is refused here so that both engines agree.
fn reject_nul(params: &[Value<'_>]) -> Result<(), DbError> {
    for (index, value) in params.iter().enumerate() {
        if matches!(value, Value::Text(text) if text.as_bytes().contains(&0)) {
            return Err(DbError::Nul(index + 1));
        }
    }
    Ok(())
}
