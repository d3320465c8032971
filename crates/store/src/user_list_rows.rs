//! The rows behind lists of accounts: for each sort order and class of accounts, one index range.

use reeve_db::{DbError, ReadTx, Statement, Value, params};

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
    pub(crate) num: i64,
}

/// Only those whose search key matches a pattern; a blank one lets all through.
macro_rules! like {
    ($pattern:literal) => {
        concat!(" AND (", $pattern, " = '' OR search_key LIKE ", $pattern, r" ESCAPE '\')")
    };
}
/// Rows of a class with a value, ascending from a key and user id.
macro_rules! from {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3)",
            like!("$5"),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $4"
        )
    };
}
/// Rows of a class without a value, ascending from a user id.
macro_rules! from_null {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = $1 AND ",
            $column,
            " IS NULL AND user_id >= $2",
            like!("$4"),
            " ORDER BY user_id LIMIT $3"
        )
    };
}
/// Rows of a class with a smaller value, descending.
macro_rules! before {
    ($column:literal) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " FROM users WHERE list_class = $1 AND ",
            $column,
            " < $2",
            like!("$4"),
            " ORDER BY ",
            $column,
            " DESC, user_id DESC LIMIT $3"
        )
    };
}
/// How many rows of a class lie between two keys.
macro_rules! between {
    ($column:literal) => {
        concat!(
            "SELECT count(*) FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3) AND (",
            $column,
            ", user_id) < ($4, $5)"
        )
    };
}

reeve_db::statements! {
    FROM_NAME = concat!(
        "SELECT num, user_id FROM users WHERE list_class = $1 AND user_id >= $2",
        like!("$4"), " ORDER BY user_id LIMIT $3");
    BEFORE_NAME = concat!(
        "SELECT num, user_id FROM users WHERE list_class = $1 AND user_id < $2",
        like!("$4"), " ORDER BY user_id DESC LIMIT $3");
    FROM_DISPLAYNAME = from!("displayname");
    FROM_AVATAR_URL = from!("avatar_url");
    FROM_CREATED_TS = from!("created_ts");
    FROM_LAST_SEEN_TS = from!("last_seen_ts");
    FROM_DISPLAYNAME_NULL = from_null!("displayname");
    FROM_AVATAR_URL_NULL = from_null!("avatar_url");
    FROM_LAST_SEEN_TS_NULL = from_null!("last_seen_ts");
    BEFORE_DISPLAYNAME = before!("displayname");
    BEFORE_AVATAR_URL = before!("avatar_url");
    BEFORE_CREATED_TS = before!("created_ts");
    BEFORE_LAST_SEEN_TS = before!("last_seen_ts");
    BETWEEN_DISPLAYNAME = between!("displayname");
    BETWEEN_AVATAR_URL = between!("avatar_url");
    BETWEEN_CREATED_TS = between!("created_ts");
    BETWEEN_LAST_SEEN_TS = between!("last_seen_ts");
}

/// Rows of one class ascending from a key and user id (inclusive).
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    list: List,
    class: &str,
    key: &Key,
    user_id: &str,
    limit: i64,
    pattern: &str,
) -> Result<Vec<Entry>, DbError> {
    let keyed = |statement: &'static Statement| {
        tx.query(statement, &params![class, key.value(), user_id, limit, pattern], |row| {
            let value = match key {
                Key::Int(_) => Key::Int(row.get(2)?),
                _ => Key::Text(row.get(2)?),
            };
            Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: value })
        })
    };
    let plain = |statement: &'static Statement| {
        tx.query(statement, &params![class, user_id, limit, pattern], |row| {
            Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: Key::None })
        })
    };
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

/// Rows of one class descending below a key; for the list of names, below a user id.
pub(crate) fn descending(
    tx: &ReadTx<'_>,
    list: List,
    class: &str,
    key: &Key,
    user_id: &str,
    limit: i64,
    pattern: &str,
) -> Result<Vec<Entry>, DbError> {
    let statement = match list {
        List::Displayname => &BEFORE_DISPLAYNAME,
        List::AvatarUrl => &BEFORE_AVATAR_URL,
        List::CreatedTs => &BEFORE_CREATED_TS,
        List::LastSeenTs => &BEFORE_LAST_SEEN_TS,
        _ => {
            return tx.query(&BEFORE_NAME, &params![class, user_id, limit, pattern], |row| {
                Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: Key::None })
            });
        }
    };
    tx.query(statement, &params![class, key.value(), limit, pattern], |row| {
        let value = match key {
            Key::Int(_) => Key::Int(row.get(2)?),
            _ => Key::Text(row.get(2)?),
        };
        Ok(Entry { num: row.get(0)?, user_id: row.get(1)?, key: value })
    })
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
        _ => &BETWEEN_LAST_SEEN_TS,
    };
    tx.query_one(statement, &params![class, low.value(), low_user_id, high.value(), high_user_id], |row| {
        row.get(0)
    })
}
