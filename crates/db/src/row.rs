use crate::{DbError, FromValue, Value, postgres, sqlite};

/// One row of a result. Columns count from 0.
pub struct Row<'r>(pub(crate) RowOf<'r>);

/// The engine's own row.
pub(crate) enum RowOf<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r ::postgres::Row),
}

impl Row<'_> {
    /// Returns the value of a column; [`DbError::Type`] if there is no such column or it has another type.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, DbError> {
        let value = self.value(index, T::EXPECTED)?;
        T::from_value(value).ok_or_else(|| mismatch(index, T::EXPECTED, value.kind()))
    }

    /// Returns the text of a column, without a copy; [`DbError::Type`] if there is no such column or it has another
    /// type.
    pub fn text(&self, index: usize) -> Result<&str, DbError> {
        const EXPECTED: &str = <String as FromValue>::EXPECTED;
        match self.value(index, EXPECTED)? {
            Value::Text(text) => Ok(text),
            other => Err(mismatch(index, EXPECTED, other.kind())),
        }
    }

    fn value(&self, index: usize, expected: &'static str) -> Result<Value<'_>, DbError> {
        let value = match self.0 {
            RowOf::Sqlite(row) => sqlite::column(row, index),
            RowOf::Postgres(row) => postgres::column(row, index),
        };
        value.map_err(|found| mismatch(index, expected, found))
    }
}

fn mismatch(index: usize, expected: &'static str, found: &'static str) -> DbError {
    DbError::Type { place: "column", index, expected, found }
}
