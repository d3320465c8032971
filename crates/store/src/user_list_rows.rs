//! The rows behind lists of accounts: for each sort order and class of accounts, one index range.

use reeve_db::{DbError, Engine, ReadTx, Row, Statement, Value, params};
use reeve_model::UserNum;
use serde_json::json;

use crate::user_list_counts::List;

/// No text that lists sort by has more characters.
const LONGEST_TEXT: usize = 1000;
/// Sorts after every user id, since those begin with `@`.
pub(crate) const AFTER_USER_IDS: &str = "A";

/// A sort key, without the user id that breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    None,
    Int(i64),
    Text(String),
}

impl Key {
    /// A text that sorts as the key does.
    pub(crate) fn encode(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => format!("{:020}", i128::from(*number) - i128::from(i64::MIN)),
        }
    }

    /// Reverses [`Key::encode`]; the blank text stands for the beginning of the list.
    pub(crate) fn decode(list: List, text: &str) -> Result<Self, DbError> {
        Ok(match list {
            List::Displayname | List::AvatarUrl => Self::Text(text.to_owned()),
            List::CreatedTs | List::LastSeenTs if text.is_empty() => Self::Int(i64::MIN),
            List::CreatedTs | List::LastSeenTs => {
                let number = text.parse::<i128>().ok().map(|number| number + i128::from(i64::MIN));
                let number = number.and_then(|number| i64::try_from(number).ok());
                Self::Int(
                    number.ok_or_else(|| DbError::Internal("a list bucket has no valid bound".to_owned()))?,
                )
            }
            List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => Self::None,
        })
    }

    /// Where a list ends: a key and user id that nothing sorts after.
    pub(crate) fn end(list: List) -> (Self, &'static str) {
        let key = match list {
            List::Displayname | List::AvatarUrl => Self::Text("\u{10ffff}".repeat(LONGEST_TEXT + 1)),
            List::CreatedTs | List::LastSeenTs => Self::Int(i64::MAX),
            List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => Self::None,
        };
        (key, AFTER_USER_IDS)
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::None => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
        }
    }
}

/// One row of an index range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) user_id: String,
    pub(crate) num: UserNum,
}

/// Only those whose search key matches a pattern; a blank one lets all through. SQLite must be told what escapes; to
/// PostgreSQL, where it is the backslash anyway, it would be another function to call for each row.
macro_rules! like {
    ($pattern:literal, sqlite) => {
        concat!(" AND (", $pattern, " = '' OR search_key LIKE ", $pattern, r" ESCAPE '\')")
    };
    ($pattern:literal, postgres) => {
        concat!(" AND (", $pattern, " = '' OR search_key LIKE ", $pattern, ")")
    };
}
/// Rows of a class with a value, ascending from a key and user id.
macro_rules! from {
    ($column:literal, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " AS sort_key FROM users WHERE list_class = ",
            $class,
            " AND (",
            $column,
            ", user_id) >= ($2, $3)",
            like!("$5", $engine),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $4"
        )
    };
}
/// Rows of a class without a value, ascending from a user id. Sorted by the value, too, so that PostgreSQL does not take
/// the index of all user ids.
macro_rules! from_null {
    ($column:literal, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND ",
            $column,
            " IS NULL AND user_id >= $2",
            like!("$4", $engine),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $3"
        )
    };
}
/// Rows of a class with a smaller value, descending.
macro_rules! before {
    ($column:literal, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " AS sort_key FROM users WHERE list_class = ",
            $class,
            " AND ",
            $column,
            " < $2",
            like!("$4", $engine),
            " ORDER BY ",
            $column,
            " DESC, user_id DESC LIMIT $3"
        )
    };
}
/// Rows of a class, ascending from a user id.
macro_rules! from_name {
    ($class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND user_id >= $2",
            like!("$4", $engine),
            " ORDER BY user_id LIMIT $3"
        )
    };
}
/// Rows of a class, descending below a user id.
macro_rules! before_name {
    ($class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND user_id < $2",
            like!("$4", $engine),
            " ORDER BY user_id DESC LIMIT $3"
        )
    };
}
/// The rows of each class `c.class` of a list, `$1`, which is an array as JSON; last in each row is the place of its class.
macro_rules! of_each {
    ($rows:expr, $order:literal) => {
        concat!(
            "SELECT r.*, c.place FROM json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) WITH ORDINALITY c(class, place) \
             CROSS JOIN LATERAL (",
            $rows,
            ") r ORDER BY c.place, ",
            $order
        )
    };
}
/// How many rows of a class lie between two keys. PostgreSQL cannot tell how few those are from the keys with their user
/// ids, and would begin several processes for them; the keys alone it knows.
macro_rules! between {
    ($column:literal, sqlite) => {
        concat!(
            "SELECT count(*) FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3) AND (",
            $column,
            ", user_id) < ($4, $5)"
        )
    };
    ($column:literal, postgres) => {
        concat!(between!($column, sqlite), " AND ", $column, " >= $2 AND ", $column, " <= $4")
    };
}

reeve_db::statements! {
    FROM_NAME = { sqlite: from_name!("$1", sqlite), postgres: of_each!(from_name!("c.class", postgres), "r.user_id") };
    BEFORE_NAME = { sqlite: before_name!("$1", sqlite), postgres: of_each!(before_name!("c.class", postgres), "r.user_id DESC") };
    FROM_DISPLAYNAME = {
        sqlite: from!("displayname", "$1", sqlite),
        postgres: of_each!(from!("displayname", "c.class", postgres), "r.sort_key, r.user_id"),
    };
    FROM_AVATAR_URL = {
        sqlite: from!("avatar_url", "$1", sqlite),
        postgres: of_each!(from!("avatar_url", "c.class", postgres), "r.sort_key, r.user_id"),
    };
    FROM_CREATED_TS = {
        sqlite: from!("created_ts", "$1", sqlite),
        postgres: of_each!(from!("created_ts", "c.class", postgres), "r.sort_key, r.user_id"),
    };
    FROM_LAST_SEEN_TS = {
        sqlite: from!("last_seen_ts", "$1", sqlite),
        postgres: of_each!(from!("last_seen_ts", "c.class", postgres), "r.sort_key, r.user_id"),
    };
    FROM_DISPLAYNAME_NULL = {
        sqlite: from_null!("displayname", "$1", sqlite),
        postgres: of_each!(from_null!("displayname", "c.class", postgres), "r.user_id"),
    };
    FROM_AVATAR_URL_NULL = {
        sqlite: from_null!("avatar_url", "$1", sqlite),
        postgres: of_each!(from_null!("avatar_url", "c.class", postgres), "r.user_id"),
    };
    FROM_LAST_SEEN_TS_NULL = {
        sqlite: from_null!("last_seen_ts", "$1", sqlite),
        postgres: of_each!(from_null!("last_seen_ts", "c.class", postgres), "r.user_id"),
    };
    BEFORE_DISPLAYNAME = {
        sqlite: before!("displayname", "$1", sqlite),
        postgres: of_each!(before!("displayname", "c.class", postgres), "r.sort_key DESC, r.user_id DESC"),
    };
    BEFORE_AVATAR_URL = {
        sqlite: before!("avatar_url", "$1", sqlite),
        postgres: of_each!(before!("avatar_url", "c.class", postgres), "r.sort_key DESC, r.user_id DESC"),
    };
    BEFORE_CREATED_TS = {
        sqlite: before!("created_ts", "$1", sqlite),
        postgres: of_each!(before!("created_ts", "c.class", postgres), "r.sort_key DESC, r.user_id DESC"),
    };
    BEFORE_LAST_SEEN_TS = {
        sqlite: before!("last_seen_ts", "$1", sqlite),
        postgres: of_each!(before!("last_seen_ts", "c.class", postgres), "r.sort_key DESC, r.user_id DESC"),
    };
    BETWEEN_DISPLAYNAME = { sqlite: between!("displayname", sqlite), postgres: between!("displayname", postgres) };
    BETWEEN_AVATAR_URL = { sqlite: between!("avatar_url", sqlite), postgres: between!("avatar_url", postgres) };
    BETWEEN_CREATED_TS = { sqlite: between!("created_ts", sqlite), postgres: between!("created_ts", postgres) };
    BETWEEN_LAST_SEEN_TS = { sqlite: between!("last_seen_ts", sqlite), postgres: between!("last_seen_ts", postgres) };
}

/// Some rows of each of some classes, in their order. `rest` are the parameters behind the class. PostgreSQL is asked once
/// for all classes, as each question is a way there and back; SQLite, which is here, for one after the other.
fn of_classes(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    classes: &[&str],
    rest: &[Value<'_>],
    key: &Key,
) -> Result<Vec<Vec<Entry>>, DbError> {
    let is_keyed = *key != Key::None;
    let entry = |row: &Row<'_>| {
        let key = match key {
            Key::None => Key::None,
            Key::Int(_) => Key::Int(row.get(2)?),
            Key::Text(_) => Key::Text(row.get(2)?),
        };
        Ok::<_, DbError>(Entry { num: row.get(0)?, user_id: row.get(1)?, key })
    };
    match tx.engine() {
        Engine::Sqlite => {
            let of_class = |class| tx.query(statement, &[&[Value::Text(class)], rest].concat(), entry);
            classes.iter().map(|class| of_class(class)).collect()
        }
        Engine::Postgres => {
            let mut found = vec![Vec::new(); classes.len()];
            let place = if is_keyed { 3 } else { 2 };
            let list = json!(classes).to_string();
            let rows = tx.query(statement, &[&[Value::Text(&list)], rest].concat(), |row| {
                Ok((row.get::<i64>(place)?, entry(row)?))
            })?;
            for (place, entry) in rows {
                let class = usize::try_from(place - 1).ok().and_then(|at| found.get_mut(at));
                class.ok_or_else(|| DbError::Internal("rows of no class".to_owned()))?.push(entry);
            }
            Ok(found)
        }
    }
}

/// Up to `limit` rows of each of some classes, ascending from a key and user id (inclusive).
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    list: List,
    classes: &[&str],
    key: &Key,
    user_id: &str,
    limit: i64,
    pattern: &str,
) -> Result<Vec<Vec<Entry>>, DbError> {
    let keyed =
        |statement| of_classes(tx, statement, classes, &params![key.value(), user_id, limit, pattern], key);
    let plain = |statement| of_classes(tx, statement, classes, &params![user_id, limit, pattern], &Key::None);
    match list {
        List::Name => plain(&FROM_NAME),
        List::DisplaynameNull => plain(&FROM_DISPLAYNAME_NULL),
        List::AvatarUrlNull => plain(&FROM_AVATAR_URL_NULL),
        List::LastSeenTsNull => plain(&FROM_LAST_SEEN_TS_NULL),
        List::Displayname => keyed(&FROM_DISPLAYNAME),
        List::AvatarUrl => keyed(&FROM_AVATAR_URL),
        List::CreatedTs => keyed(&FROM_CREATED_TS),
        List::LastSeenTs => keyed(&FROM_LAST_SEEN_TS),
    }
}

/// Up to `limit` rows of each of some classes, descending below a key; for the list of names, below a user id.
pub(crate) fn descending(
    tx: &ReadTx<'_>,
    list: List,
    classes: &[&str],
    key: &Key,
    user_id: &str,
    limit: i64,
    pattern: &str,
) -> Result<Vec<Vec<Entry>>, DbError> {
    let keyed = |statement| of_classes(tx, statement, classes, &params![key.value(), limit, pattern], key);
    match list {
        List::Displayname => keyed(&BEFORE_DISPLAYNAME),
        List::AvatarUrl => keyed(&BEFORE_AVATAR_URL),
        List::CreatedTs => keyed(&BEFORE_CREATED_TS),
        List::LastSeenTs => keyed(&BEFORE_LAST_SEEN_TS),
        List::Name | List::DisplaynameNull | List::AvatarUrlNull | List::LastSeenTsNull => {
            of_classes(tx, &BEFORE_NAME, classes, &params![user_id, limit, pattern], &Key::None)
        }
    }
}

/// How many rows of one class lie between two places: from the first (inclusive) to the second (exclusive).
pub(crate) fn between(
    tx: &ReadTx<'_>,
    list: List,
    class: &str,
    (low, low_user_id): (&Key, &str),
    (high, high_user_id): (&Key, &str),
) -> Result<i64, DbError> {
    let statement = match list {
        List::Displayname => &BETWEEN_DISPLAYNAME,
        List::AvatarUrl => &BETWEEN_AVATAR_URL,
        List::CreatedTs => &BETWEEN_CREATED_TS,
        List::LastSeenTs
        | List::Name
        | List::DisplaynameNull
        | List::AvatarUrlNull
        | List::LastSeenTsNull => &BETWEEN_LAST_SEEN_TS,
    };
    tx.query_one(statement, &params![class, low.value(), low_user_id, high.value(), high_user_id], |row| {
        row.get(0)
    })
}
