//! The rows behind lists of uploads: for each order one index range of an account.

use reeve_db::{DbError, FromValue, ReadTx, Row, Statement, ToValue, Value, params};
use reeve_model::UserNum;

/// By what uploads are sorted; a value that is missing comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The media id.
    MediaId,
    /// The name of the file.
    UploadName,
    /// When it was uploaded.
    CreatedTs,
    /// When it was last downloaded.
    LastAccessTs,
    /// How long it is.
    MediaLength,
    /// What it is.
    MediaType,
    /// Who quarantined it.
    QuarantinedBy,
    /// Whether it is safe from quarantine.
    SafeFromQuarantine,
}

/// The statements of one order.
pub(crate) struct Statements {
    /// Uploads from a place on, ascending.
    from: &'static Statement,
    /// Uploads descending, from the last on.
    down: &'static Statement,
    /// How many there are from a place to the first with a value.
    below: &'static Statement,
    /// How many there are from a place to the last with a value.
    through: &'static Statement,
    /// Adds to the bucket that an upload is in.
    pub(crate) count: &'static Statement,
}

// `|| ''`: with a text column of another table, SQLite would search the index of buckets by its first columns only.
macro_rules! orders {
    ($($order:ident $name:literal $from:ident $down:ident $below:ident $through:ident $count:ident:
       $key:literal, $asc:literal, $desc:literal, $int:literal, $text:literal;)*) => {
        reeve_db::statements! {
            $(
                $from = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 AND (", $key, ", media_id) \
                         >= ($2, $3) ORDER BY ", $asc, " LIMIT $4 OFFSET $5");
                $down = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 \
                         ORDER BY ", $desc, " LIMIT $2 OFFSET $3");
                $below = concat!("SELECT count(*) FROM media WHERE user_num = $1 AND (", $key, ", media_id) >= ($2, $3) \
                          AND ", $key, " < $4");
                $through = concat!("SELECT count(*) FROM media WHERE user_num = $1 AND (", $key, ", media_id) >= ($2, $3) \
                            AND ", $key, " <= $4");
                $count = concat!("UPDATE media_list_buckets SET n = n + $2 WHERE bucket = (SELECT \
                          (SELECT b.bucket FROM media_list_buckets b WHERE b.user_num = m.user_num AND b.sort = '", $name, "' \
                          AND (b.low_int, b.low_text, b.low_media_id) <= (", $int, ", ", $text, " || '', m.media_id || '') \
                          ORDER BY b.low_int DESC, b.low_text DESC, b.low_media_id DESC LIMIT 1) \
                          FROM media m WHERE m.media_id = $1) \
                          RETURNING low_int, low_text, low_media_id, n, bucket, user_num");
            )*
        }

        impl OrderBy {
            /// All orders.
            pub(crate) const ALL: &[Self] = &[$(Self::$order),*];

            /// What it is called in the table of buckets.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$order => $name,)* }
            }

            pub(crate) fn statements(self) -> Statements {
                match self {
                    $(Self::$order => Statements {
                        from: &$from, down: &$down, below: &$below, through: &$through, count: &$count,
                    },)*
                }
            }
        }
    };
}

orders! {
    MediaId "media_id" ID ID_DOWN ID_BELOW ID_THROUGH ID_COUNT:
        "media_id", "media_id", "media_id DESC", "0", "m.media_id";
    UploadName "upload_name" NAME NAME_DOWN NAME_BELOW NAME_THROUGH NAME_COUNT:
        "sort_name", "sort_name, media_id", "sort_name DESC, media_id DESC", "0", "m.sort_name";
    CreatedTs "created_ts" CREATED CREATED_DOWN CREATED_BELOW CREATED_THROUGH CREATED_COUNT:
        "created_ts", "created_ts, media_id", "created_ts DESC, media_id DESC", "m.created_ts", "''";
    LastAccessTs "last_access_ts" ACCESS ACCESS_DOWN ACCESS_BELOW ACCESS_THROUGH ACCESS_COUNT:
        "sort_access_ts", "sort_access_ts, media_id", "sort_access_ts DESC, media_id DESC", "m.sort_access_ts", "''";
    MediaLength "media_length" LENGTH LENGTH_DOWN LENGTH_BELOW LENGTH_THROUGH LENGTH_COUNT:
        "media_length", "media_length, media_id", "media_length DESC, media_id DESC", "m.media_length", "''";
    MediaType "media_type" TYPE TYPE_DOWN TYPE_BELOW TYPE_THROUGH TYPE_COUNT:
        "media_type", "media_type, media_id", "media_type DESC, media_id DESC", "0", "m.media_type";
    QuarantinedBy "quarantined_by" QUARANTINED QUARANTINED_DOWN QUARANTINED_BELOW QUARANTINED_THROUGH QUARANTINED_COUNT:
        "sort_quarantined_by", "sort_quarantined_by, media_id", "sort_quarantined_by DESC, media_id DESC",
        "0", "m.sort_quarantined_by";
    SafeFromQuarantine "safe_from_quarantine" SAFE SAFE_DOWN SAFE_BELOW SAFE_THROUGH SAFE_COUNT:
        "safe_from_quarantine", "safe_from_quarantine, media_id", "safe_from_quarantine DESC, media_id DESC",
        "m.safe_from_quarantine", "''";
}

impl OrderBy {
    /// The value that the two columns of a bucket stand for; an order uses one of them.
    pub(crate) fn key(self, int: i64, text: String) -> Key {
        match self {
            Self::CreatedTs | Self::LastAccessTs | Self::MediaLength | Self::SafeFromQuarantine => {
                Key::Int(int)
            }
            Self::MediaId | Self::UploadName | Self::MediaType | Self::QuarantinedBy => Key::Text(text),
        }
    }
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
    pub(crate) key: Key,
    pub(crate) media_id: String,
    pub(crate) num: i64,
}

fn entry(row: &Row<'_>) -> Result<Entry, DbError> {
    Ok(Entry { key: row.get(0)?, media_id: row.get(1)?, num: row.get(2)? })
}

/// Uploads ascending from a value and media id (inclusive), after some that are skipped.
pub(crate) fn ascending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    (key, media_id): (&Key, &str),
    skip: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    tx.query(order_by.statements().from, &params![user_num, key, media_id, limit, skip], entry)
}

/// Uploads descending from the last, after some that are skipped.
pub(crate) fn descending(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    skip: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    tx.query(order_by.statements().down, &params![user_num, limit, skip], entry)
}

/// How many uploads there are from a value and media id (inclusive) to another value: below it, or through its last.
pub(crate) fn between(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    order_by: OrderBy,
    (low, low_media_id): (&Key, &str),
    high: &Key,
    through: bool,
) -> Result<i64, DbError> {
    let statements = order_by.statements();
    let statement = if through { statements.through } else { statements.below };
    tx.query_one(statement, &params![user_num, low, low_media_id, high], |row| row.get(0))
}
