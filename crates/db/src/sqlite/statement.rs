use rusqlite::{CachedStatement, Connection, types::ValueRef};

use crate::{DbError, Engine, Row, Statement, Value, row::RowOf, sqlite::connection::failure, tx::Access};

/// Prepares a statement, to check that the engine accepts it.
pub(crate) fn prepare(connection: &Connection, statement: &'static Statement) -> Result<(), DbError> {
    connection.prepare_cached(statement.sql(Engine::Sqlite)).map(drop).map_err(failure)
}

/// Visits the rows until `visit` returns `false`.
pub(crate) fn each(
    connection: &Connection,
    statement: &'static Statement,
    params: &[Value<'_>],
    access: Access,
    visit: &mut dyn FnMut(&Row<'_>) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let mut prepared = bound(connection, statement, params)?;
    if access == Access::Read && !prepared.readonly() {
        return Err(DbError::Internal(format!("{} writes, but was run as a query", statement.name())));
    }
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(failure)? {
        if !visit(&Row(RowOf::Sqlite(row)))? {
            break;
        }
    }
    Ok(())
}

/// Runs a statement; returns the number of affected rows.
pub(crate) fn execute(
    connection: &Connection,
    statement: &'static Statement,
    params: &[Value<'_>],
) -> Result<u64, DbError> {
    let count = bound(connection, statement, params)?.raw_execute().map_err(failure)?;
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Returns the prepared statement with its parameters. SQLite numbers `$n` by first appearance, so the number is read
/// from the name.
fn bound<'c>(
    connection: &'c Connection,
    statement: &'static Statement,
    params: &[Value<'_>],
) -> Result<CachedStatement<'c>, DbError> {
    let wrong = |what: &str| DbError::Internal(format!("{}: {what}", statement.name()));
    let mut prepared = connection.prepare_cached(statement.sql(Engine::Sqlite)).map_err(failure)?;
    let count = prepared.parameter_count();
    if count != params.len() {
        return Err(wrong(&format!("{count} parameters, {} values", params.len())));
    }
    for index in 1..=count {
        let number: Option<usize> = prepared
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|n| n.parse().ok());
        let value = number.and_then(|number| number.checked_sub(1)).and_then(|at| params.get(at));
        let value = value.ok_or_else(|| wrong("parameters must be $1 to $n"))?;
        let raw = match *value {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        };
        prepared.raw_bind_parameter(index, rusqlite::types::ToSqlOutput::Borrowed(raw)).map_err(failure)?;
    }
    Ok(prepared)
}

/// Returns the value of a column, or a description of an unsupported one.
pub(crate) fn column<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<Value<'r>, &'static str> {
    match row.get_ref(index).map_err(|_| "no such column")? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(int) => Ok(Value::Int(int)),
        ValueRef::Real(_) => Err("a real number"),
        ValueRef::Text(bytes) => {
            str::from_utf8(bytes).map(Value::Text).map_err(|_| "a text that is not UTF-8")
        }
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes)),
    }
}
