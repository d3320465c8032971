use crate::{DbError, FromValue, Value, postgres, sqlite};

/// One row of a result. Columns count from 0.
pub struct Row<'r>(pub(crate) RowOf<'r>);

/// The engine's own row.
pub(crate) enum RowOf<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r ::postgres::Row),
}

impl Row<'_> {
    /// The value of a column; [`DbError::Type`] if there is no such column or it holds something else.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, DbError> {
        let value = match self.0 {
            RowOf::Sqlite(row) => sqlite::column(row, index),
            RowOf::Postgres(row) => postgres::column(row, index),
        };
        let mismatch = |found| DbError::Type { place: "column", index, expected: T::EXPECTED, found };
        let value: Value<'_> = value.map_err(mismatch)?;
        T::from_value(value).ok_or_else(|| mismatch(value.kind()))
    }
}
