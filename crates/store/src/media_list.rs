//! What an account uploaded, in every order, at any offset.
//!
//! There is one index for each order, ascending. A page is found in it alone, from the nearer end. Descending, equal values
//! stay ascending by media id: the page is read backwards, then the first and last of its values are read forwards.

use std::collections::HashMap;

use reeve_db::{DbError, FromValue, ReadTx, Row, Statement, ToValue, Value, params};

use crate::media::{Media, from_row, select};
use crate::users::num_list;

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

macro_rules! orders {
    ($($order:ident $up:ident $down:ident $same:ident $same_after:ident: $key:literal, $asc:literal, $desc:literal;)*) => {
        reeve_db::statements! {
            /// `$1`: the numbers, in the form of [`num_list`].
            BY_NUMS = {
                sqlite: concat!(select!(), "WHERE m.num IN (SELECT value FROM json_each($1))"),
                postgres: concat!(select!(), "WHERE m.num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
            };
            $(
                $up = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 \
                       ORDER BY ", $asc, " LIMIT $2 OFFSET $3");
                $down = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 \
                         ORDER BY ", $desc, " LIMIT $2 OFFSET $3");
                /// Uploads with one value.
                $same = concat!("SELECT ", $key, ", media_id, num FROM media WHERE user_num = $1 AND ", $key, " = $4 \
                         ORDER BY media_id LIMIT $2 OFFSET $3");
                $same_after = concat!("SELECT count(*) FROM media WHERE user_num = $1 AND ", $key, " = $2 \
                               AND media_id > $3");
            )*
        }

        impl OrderBy {
            fn statements(self) -> [&'static Statement; 4] {
                match self { $(Self::$order => [&$up, &$down, &$same, &$same_after],)* }
            }
        }
    };
}

orders! {
    MediaId ID ID_DOWN ID_SAME ID_AFTER: "media_id", "media_id", "media_id DESC";
    UploadName NAME NAME_DOWN NAME_SAME NAME_AFTER: "sort_name", "sort_name, media_id", "sort_name DESC, media_id DESC";
    CreatedTs CREATED CREATED_DOWN CREATED_SAME CREATED_AFTER: "created_ts", "created_ts, media_id", "created_ts DESC, media_id DESC";
    LastAccessTs ACCESS ACCESS_DOWN ACCESS_SAME ACCESS_AFTER: "sort_access_ts", "sort_access_ts, media_id", "sort_access_ts DESC, media_id DESC";
    MediaLength LENGTH LENGTH_DOWN LENGTH_SAME LENGTH_AFTER: "media_length", "media_length, media_id", "media_length DESC, media_id DESC";
    MediaType TYPE TYPE_DOWN TYPE_SAME TYPE_AFTER: "media_type", "media_type, media_id", "media_type DESC, media_id DESC";
    QuarantinedBy QUARANTINED QUARANTINED_DOWN QUARANTINED_SAME QUARANTINED_AFTER: "sort_quarantined_by", "sort_quarantined_by, media_id", "sort_quarantined_by DESC, media_id DESC";
    SafeFromQuarantine SAFE SAFE_DOWN SAFE_SAME SAFE_AFTER: "safe_from_quarantine", "safe_from_quarantine, media_id", "safe_from_quarantine DESC, media_id DESC";
}

/// A value that uploads are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Int(i64),
    Text(String),
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
            _ => None,
        }
    }
}

struct Entry {
    key: Key,
    media_id: String,
    num: i64,
}

fn entry(row: &Row<'_>) -> Result<Entry, DbError> {
    Ok(Entry { key: row.get(0)?, media_id: row.get(1)?, num: row.get(2)? })
}

/// A page of what an account uploaded, from an offset on. `total` is how much it uploaded in all.
pub fn page(
    tx: &ReadTx<'_>,
    user_num: i64,
    order_by: OrderBy,
    descending: bool,
    (from, limit, total): (i64, i64, i64),
) -> Result<Vec<Media>, DbError> {
    let limit = limit.min(total.saturating_sub(from)).max(0);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let [up, down, same, same_after] = order_by.statements();
    // From the nearer end.
    let turned = from > total / 2;
    let offset = if turned { total - from - limit } else { from };
    let statement = if descending == turned { up } else { down };
    let mut entries = tx.query(statement, &params![user_num, limit, offset], entry)?;
    if turned {
        entries.reverse();
    }
    if descending && order_by != OrderBy::MediaId {
        entries = equals_forwards(tx, user_num, entries, (same, same_after))?;
    }
    by_nums(tx, &entries.iter().map(|entry| entry.num).collect::<Vec<_>>())
}

/// Turns each stretch of equal values round. The first may have begun before the page, and the last may go on after it:
/// which of their uploads are on the page is another question then.
fn equals_forwards(
    tx: &ReadTx<'_>,
    user_num: i64,
    entries: Vec<Entry>,
    (same, same_after): (&'static Statement, &'static Statement),
) -> Result<Vec<Entry>, DbError> {
    let mut stretches: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        match stretches.last_mut() {
            Some(stretch) if stretch.last().is_some_and(|last| last.key == entry.key) => stretch.push(entry),
            _ => stretches.push(vec![entry]),
        }
    }
    let last = stretches.len().saturating_sub(1);
    let mut turned = Vec::new();
    for (index, mut stretch) in stretches.into_iter().enumerate() {
        let Some(Entry { key, media_id, .. }) = stretch.first() else { continue };
        if index == 0 || index == last {
            let before: i64 = if index == 0 {
                tx.query_one(same_after, &params![user_num, key, media_id], |row| row.get(0))?
            } else {
                0
            };
            let length = i64::try_from(stretch.len()).unwrap_or(i64::MAX);
            stretch = tx.query(same, &params![user_num, length, before, key], entry)?;
        } else {
            stretch.reverse();
        }
        turned.extend(stretch);
    }
    Ok(turned)
}

/// The uploads with these numbers, in this order.
fn by_nums(tx: &ReadTx<'_>, nums: &[i64]) -> Result<Vec<Media>, DbError> {
    let mut found = tx.query(&BY_NUMS, &params![&num_list(tx.engine(), nums)], from_row)?;
    let place: HashMap<i64, usize> = nums.iter().enumerate().map(|(place, num)| (*num, place)).collect();
    found.sort_by_key(|media| place.get(&media.num).copied());
    Ok(found)
}
