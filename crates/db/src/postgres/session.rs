use std::{collections::HashMap, error::Error as _, fmt::Write as _};

use postgres::{
    Client,
    error::{Severity, SqlState},
    types::ToSql,
};

use super::convert::{self, Param};
use crate::{DbError, Engine, Statement, Value};

/// One connection and its prepared statements.
pub(crate) struct Session {
    client: Client,
    prepared: HashMap<&'static str, postgres::Statement>,
    lost: bool,
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        Self { client, prepared: HashMap::new(), lost: false }
    }

    /// Returns true if the connection broke.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Runs a transaction statement.
    pub(crate) fn command(&mut self, sql: &str) -> Result<(), DbError> {
        let result = self.client.batch_execute(sql);
        self.noting(result)
    }

    /// Returns all rows of a statement.
    pub(crate) fn query(
        &mut self,
        statement: &'static Statement,
        params: &[Value<'_>],
    ) -> Result<Vec<postgres::Row>, DbError> {
        let prepared = self.ready(statement, params)?;
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
        let result = self.client.query(&prepared, &params);
        self.noting(result)
    }

    /// Runs a statement; returns the number of affected rows.
    pub(crate) fn execute(
        &mut self,
        statement: &'static Statement,
        params: &[Value<'_>],
    ) -> Result<u64, DbError> {
        let prepared = self.ready(statement, params)?;
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
        let result = self.client.execute(&prepared, &params);
        self.noting(result)
    }

    /// Prepares a statement and checks that its types are supported.
    pub(crate) fn check(&mut self, statement: &'static Statement) -> Result<(), DbError> {
        let prepared = self.prepare(statement)?;
        if let Some(ty) = prepared.params().iter().find(|ty| !convert::known(ty)) {
            return Err(DbError::Internal(format!("a parameter has the type {ty}")));
        }
        if let Some(column) = prepared.columns().iter().find(|column| !convert::known(column.type_())) {
            let (name, ty) = (column.name(), column.type_());
            return Err(DbError::Internal(format!("the column {name} has the type {ty}")));
        }
        Ok(())
    }

    /// Returns the prepared statement, if the values match its types.
    fn ready(
        &mut self,
        statement: &'static Statement,
        params: &[Value<'_>],
    ) -> Result<postgres::Statement, DbError> {
        let prepared = self.prepare(statement)?;
        let count = prepared.params().len();
        if count != params.len() {
            let (name, given) = (statement.name(), params.len());
            return Err(DbError::Internal(format!("{name}: {count} parameters, {given} values")));
        }
        convert::check(prepared.params(), params)?;
        Ok(prepared)
    }

    fn prepare(&mut self, statement: &'static Statement) -> Result<postgres::Statement, DbError> {
        let sql = statement.sql(Engine::Postgres);
        if let Some(prepared) = self.prepared.get(sql) {
            return Ok(prepared.clone());
        }
        let result = self.client.prepare(sql);
        let prepared = self.noting(result)?;
        self.prepared.insert(sql, prepared.clone());
        Ok(prepared)
    }

    fn noting<T>(&mut self, result: Result<T, postgres::Error>) -> Result<T, DbError> {
        result.map_err(|error| {
            // An error that is not about a statement is a broken connection.
            self.lost |= error.as_db_error().is_none_or(|error| {
                matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
            });
            failure(&error)
        })
    }
}

/// Returns the error in terms of this crate.
pub(super) fn failure(error: &postgres::Error) -> DbError {
    let Some(server) = error.as_db_error() else {
        return DbError::Unavailable(describe(error));
    };
    let code = server.code();
    if matches!(*code, SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED) {
        return DbError::Serialization;
    }
    if matches!(*code, SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE) {
        return DbError::Timeout;
    }
    let message = server.message();
    match code.code().get(..2) {
        Some("23") => DbError::Constraint(message.to_owned()),
        // Messages of this class contain values.
        Some("22") => DbError::Internal(format!("{}: a value does not fit", code.code())),
        Some("08" | "28" | "3D" | "53" | "57" | "58") => DbError::Unavailable(message.to_owned()),
        _ => DbError::Internal(format!("{}: {message}", code.code())),
    }
}

/// Returns an error with its causes, in one line.
pub(super) fn describe(error: &postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{}: {}", server.code().code(), server.message());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
