//! The rows behind lists of uploads: one index range of an account for each order.

use reeve_db::{DbError, FromValue, ReadTx, Row, Statement, ToValue, Value, params};
use reeve_model::UserNum;

/// The statements of one order.
pub(crate) struct Statements {
    /// Uploads ascending from a position.
    from: &'static Statement,
    /// Uploads descending from the last.
    down: &'static Statement,
    /// The number of uploads from a position to the first with a value.
    below: &'static Statement,
    /// The number of uploads from a position to the last with a value.
    through: &'static Statement,
    /// Adds to the bucket of an upload.
    pub(crate) count: &'static Statement,
}

/// The value of `low_int` of a bucket that begins at an upload `m`.
macro_rules! low_int {
    (Int, $column:literal) => {
        concat!("m.", $column)
    };
    (Text, $column:literal) => {
        "0"
    };
}
/// The value of `low_text` of such a bucket. `|| ''`: with a text column of another table, SQLite would search the
/// index of buckets by its first columns only.
macro_rules! low_text {
    (Int, $column:literal) => {
        "'' || ''"
    };
    (Text, $column:literal) => {
        concat!("m.", $column, " || ''")
    };
}

macro_rules! orders {
    ($($(#[$doc:meta])* $order:ident $name:ident: $kind:ident, $key:literal, $asc:literal, $desc:literal;)*) => {
        /// The sort key of uploads; a missing value comes last.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum OrderBy {
            $($(#[$doc])* $order,)*
        }

        $(
            mod $name {
                reeve_db::statements! {
                    pub(super) FROM = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 AND (", $key, ", \
                                    media_id) >= ($2, $3) ORDER BY ", $asc, " LIMIT $4 OFFSET $5");
                    pub(super) DOWN = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 \
                                    ORDER BY ", $desc, " LIMIT $2 OFFSET $3");
                    pub(super) BELOW = concat!("SELECT count(*) FROM media WHERE user_num = $1 AND (", $key, ", media_id) \
                                     >= ($2, $3) AND ", $key, " < $4");
                    pub(super) THROUGH = concat!("SELECT count(*) FROM media WHERE user_num = $1 AND (", $key, ", media_id) \
                                       >= ($2, $3) AND ", $key, " <= $4");
                    pub(super) COUNT = concat!("UPDATE media_list_buckets SET n = n + $2 WHERE bucket = (SELECT \
                                     (SELECT b.bucket FROM media_list_buckets b \
                                     WHERE b.user_num = m.user_num AND b.sort = '", stringify!($name), "' \
                                     AND (b.low_int, b.low_text, b.low_media_id) <= (", low_int!($kind, $key), ", ",
                                     low_text!($kind, $key), ", m.media_id || '') \
                                     ORDER BY b.low_int DESC, b.low_text DESC, b.low_media_id DESC LIMIT 1) \
                                     FROM media m WHERE m.media_id = $1) \
                                     RETURNING low_int, low_text, low_media_id, n, bucket, user_num");
                }
            }
        )*

        /// Every statement of this module.
        pub(crate) const STATEMENTS: &[&[&Statement]] = &[$($name::STATEMENTS),*];

        impl OrderBy {
            /// All orders, with their words in requests and in the table of buckets.
            pub const ALL: &[(&str, Self)] = &[$((stringify!($name), Self::$order)),*];

            /// Returns its word in the table of buckets.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$order => stringify!($name),)* }
            }

            pub(crate) fn statements(self) -> Statements {
                match self {
                    $(Self::$order => Statements {
                        from: &$name::FROM,
                        down: &$name::DOWN,
                        below: &$name::BELOW,
                        through: &$name::THROUGH,
                        count: &$name::COUNT,
                    },)*
                }
            }

            /// Returns the value in the two columns of a bucket; an order uses one of them.
            pub(crate) fn key(self, int: i64, text: String) -> Key {
                match self { $(Self::$order => key!($kind, int, text),)* }
            }
        }
    };
}

macro_rules! key {
    (Int, $int:expr, $text:expr) => {
        Key::Int($int)
    };
    (Text, $int:expr, $text:expr) => {
        Key::Text($text)
    };
}

// A row: the kind of the values, the column, and the sort key of a page, ascending and descending.
orders! {
    /// The media id.
    MediaId media_id: Text, "media_id", "media_id", "media_id DESC";
    /// The name of the file.
    UploadName upload_name: Text, "sort_name", "sort_name, media_id", "sort_name DESC, media_id DESC";
    /// The time of the upload.
    CreatedTs created_ts: Int, "created_ts", "created_ts, media_id", "created_ts DESC, media_id DESC";
    /// The time of the last download.
    LastAccessTs last_access_ts: Int, "sort_access_ts", "sort_access_ts, media_id", "sort_access_ts DESC, media_id DESC";
    /// The length in bytes.
    MediaLength media_length: Int, "media_length", "media_length, media_id", "media_length DESC, media_id DESC";
    /// The content type.
    MediaType media_type: Text, "media_type", "media_type, media_id", "media_type DESC, media_id DESC";
    /// The administrator who quarantined it.
    QuarantinedBy quarantined_by: Text, "sort_quarantined_by", "sort_quarantined_by, media_id",
        "sort_quarantined_by DESC, media_id DESC";
    /// Set if it is safe from quarantine.
    SafeFromQuarantine safe_from_quarantine: Int, "safe_from_quarantine", "safe_from_quarantine, media_id",
        "safe_from_quarantine DESC, media_id DESC";
}

/// A position in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) key: Key,
    pub(crate) media_id: String,
}

/// A value that uploads are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Int(i64),
    Text(String),
}

impl Key {
    /// Reverses [`OrderBy::key`].
    pub(crate) fn columns(&self) -> (i64, &str) {
        match self {
            Self::Int(int) => (*int, ""),
            Self::Text(text) => (0, text),
        }
    }
}

impl ToValue for Key {
    fn to_value(&self) -> Value<'_> {
        match self {
            Self::Int(int) => Value::Int(*int),
            Self::Text(text) => Value::Text(text),
        }
    }
}

impl FromValue for Key {
    const EXPECTED: &'static str = "an integer or a text";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(int) => Some(Self::Int(int)),
            Value::Text(text) => Some(Self::Text(text.to_owned())),
            Value::Null | Value::Blob(_) => None,
        }
    }
}

/// An upload in the index of an order.
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) num: i64,
}

fn entry(row: &Row<'_>) -> Result<Entry, DbError> {
    Ok(Entry { position: Position { key: row.get(0)?, media_id: row.get(1)? }, num: row.get(2)? })
}

/// Returns uploads ascending from a position (inclusive), after some that are skipped.
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    Position { key, media_id }: &Position,
    skip: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    tx.query(order_by.statements().from, &params![user_num, key, media_id, limit, skip], entry)
}

/// Returns uploads descending from the last, after some that are skipped.
pub(crate) fn descending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    skip: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    tx.query(order_by.statements().down, &params![user_num, limit, skip], entry)
}

/// Returns the number of uploads from a position (inclusive) to the first with a value, or `through` the last with it.
pub(crate) fn between(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    start: &Position,
    high: &Key,
    through: bool,
) -> Result<i64, DbError> {
    let statements = order_by.statements();
    let statement = if through { statements.through } else { statements.below };
    tx.query_one(statement, &params![user_num, start.key, start.media_id, high], |row| row.get(0))
}
