//! The rows of lists: one index range for each list and class of accounts.

use reeve_db::{DbError, Engine, ReadTx, Row, Statement, Value, params};
use reeve_model::UserNum;
use serde_json::json;

use super::order::{Column, Key, List, Position, name};

/// One row of an index range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) user_id: String,
    pub(crate) num: UserNum,
}

/// The rows that a query wants, wherever they begin.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The classes; the rows of each come by themselves.
    pub(crate) classes: &'a [&'a str],
    /// The maximum number of rows of each class.
    pub(crate) limit: i64,
    /// A pattern that their search keys match; blank for all.
    pub(crate) pattern: &'a str,
}

/// Returns rows of each class, in the order of the classes. `place` are the parameters after the class; `keyed` is true
/// if rows have a key. PostgreSQL gets one query for all classes, since each query is a round trip; SQLite gets one for
/// each class.
fn of_classes(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    wanted: Wanted<'_>,
    place: &[Value<'_>],
    keyed: bool,
) -> Result<Vec<Vec<Entry>>, DbError> {
    let Wanted { classes, limit, pattern } = wanted;
    let entry = |row: &Row<'_>| {
        let key = if keyed { row.get(2)? } else { Key::None };
        Ok::<_, DbError>(Entry { num: row.get(0)?, user_id: row.get(1)?, key })
    };
    let params = |class| [&[Value::Text(class)], place, &params![limit, pattern]].concat();
    match tx.engine() {
        Engine::Sqlite => classes.iter().map(|class| tx.query(statement, &params(*class), entry)).collect(),
        Engine::Postgres => {
            let mut found = vec![Vec::new(); classes.len()];
            let place = if keyed { 3 } else { 2 };
            let list = json!(classes).to_string();
            let rows =
                tx.query(statement, &params(&list), |row| Ok((row.get::<i64>(place)?, entry(row)?)))?;
            for (place, entry) in rows {
                let class = usize::try_from(place - 1).ok().and_then(|at| found.get_mut(at));
                class.ok_or_else(|| DbError::Internal("rows of no class".to_owned()))?.push(entry);
            }
            Ok(found)
        }
    }
}

/// Returns rows ascending from a position (inclusive).
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    list: List,
    wanted: Wanted<'_>,
    Position { key, user_id }: &Position,
) -> Result<Vec<Vec<Entry>>, DbError> {
    let by_user_id = |statement| of_classes(tx, statement, wanted, &params![user_id], false);
    match list {
        List::Name => by_user_id(&name::FROM),
        List::Without(column) => by_user_id(column.definition().from_null),
        List::With(column) => of_classes(tx, column.definition().from, wanted, &params![key, user_id], true),
    }
}

/// Returns rows of a column descending below a value.
pub(crate) fn below_value(
    tx: &ReadTx<'_>,
    column: Column,
    wanted: Wanted<'_>,
    key: &Key,
) -> Result<Vec<Vec<Entry>>, DbError> {
    of_classes(tx, column.definition().before, wanted, &params![key], true)
}

/// Returns rows of the list of names descending below a user id.
pub(crate) fn below_name(
    tx: &ReadTx<'_>,
    wanted: Wanted<'_>,
    user_id: &str,
) -> Result<Vec<Vec<Entry>>, DbError> {
    of_classes(tx, &name::BEFORE, wanted, &params![user_id], false)
}

/// Returns the number of rows of one class with a value in a column between two positions, the first included.
pub(crate) fn between(
    tx: &ReadTx<'_>,
    column: Column,
    class: &str,
    from: &Position,
    to: &Position,
) -> Result<i64, DbError> {
    let params = params![class, from.key, from.user_id, to.key, to.user_id];
    tx.query_one(column.definition().between, &params, |row| row.get(0))
}
