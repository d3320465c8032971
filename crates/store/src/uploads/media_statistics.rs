//! The list of accounts by what they have uploaded, in every order.

use std::cmp::Ordering;

use reeve_db::{DbError, ReadTx, Row, Statement, params};
use reeve_model::Millis;

use crate::Paging;
use crate::lists::ngrams::{Limit, fold};
use crate::lists::users::search::{self, Term};
use crate::media_users;
use crate::sql::num_list;

/// The maximum number of found accounts that are sorted here; more are read in the order of an index.
const MAX_SORTED: i64 = 10_000;

macro_rules! columns {
    () => {
        "SELECT m.user_id, m.sort_displayname, m.media_count, m.media_length FROM "
    };
}
macro_rules! found {
    () => {
        "media_users m JOIN users u ON u.num = m.user_num WHERE instr(u.search_key, $1) > 0"
    };
}
macro_rules! within {
    () => {
        "(SELECT u.user_id, coalesce('a' || u.displayname, 'b') AS sort_displayname, t.media_count, t.media_length, \
          u.search_key FROM (SELECT user_num, count(*) AS media_count, CAST(sum(media_length) AS BIGINT) AS media_length \
          FROM media WHERE created_ts >= $1 AND created_ts <= $2 GROUP BY user_num) t JOIN users u ON u.num = t.user_num) m \
         WHERE (CAST($3 AS TEXT) = '' OR instr(m.search_key, $3) > 0)"
    };
}
macro_rules! orders {
    ($($order:ident $all:ident $all_down:ident $found:ident $found_down:ident $within:ident $within_down:ident: $asc:literal, $desc:literal;)*) => {
        reeve_db::statements! {
            COUNT_FOUND = concat!("SELECT count(*) FROM ", found!());
            COUNT_WITHIN = concat!("SELECT count(*) FROM ", within!());
            /// `$1`: the numbers, in the form of [`num_list`].
            BY_NUMS = {
                sqlite: concat!(columns!(), "media_users m WHERE m.user_num IN (SELECT value FROM json_each($1))"),
                postgres: concat!(columns!(), "media_users m WHERE m.user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
            };
            $(
                $all = concat!(columns!(), "media_users m ORDER BY ", $asc, " LIMIT $1 OFFSET $2");
                $all_down = concat!(columns!(), "media_users m ORDER BY ", $desc, " LIMIT $1 OFFSET $2");
                $found = concat!(columns!(), found!(), " ORDER BY ", $asc, " LIMIT $2 OFFSET $3");
                $found_down = concat!(columns!(), found!(), " ORDER BY ", $desc, " LIMIT $2 OFFSET $3");
                $within = concat!(columns!(), within!(), " ORDER BY ", $asc, " LIMIT $4 OFFSET $5");
                $within_down = concat!(columns!(), within!(), " ORDER BY ", $desc, " LIMIT $4 OFFSET $5");
            )*
        }

        impl OrderBy {
            /// The statements for all accounts, for those that a search finds, and for a span of time.
            fn statements(self, descending: bool) -> [&'static Statement; 3] {
                match (self, descending) {
                    $(
                        (Self::$order, false) => [&$all, &$found, &$within],
                        (Self::$order, true) => [&$all_down, &$found_down, &$within_down],
                    )*
                }
            }
        }
    };
}

orders! {
    UserId ID ID_DOWN FOUND_ID FOUND_ID_DOWN WITHIN_ID WITHIN_ID_DOWN:
        "m.user_id", "m.user_id DESC";
    Displayname NAME NAME_DOWN FOUND_NAME FOUND_NAME_DOWN WITHIN_NAME WITHIN_NAME_DOWN:
        "m.sort_displayname, m.user_id", "m.sort_displayname DESC, m.user_id";
    MediaCount COUNT COUNT_DOWN FOUND_COUNT FOUND_COUNT_DOWN WITHIN_COUNT WITHIN_COUNT_DOWN:
        "m.media_count, m.user_id", "m.media_count DESC, m.user_id";
    MediaLength LENGTH LENGTH_DOWN FOUND_LENGTH FOUND_LENGTH_DOWN WITHIN_LENGTH WITHIN_LENGTH_DOWN:
        "m.media_length, m.user_id", "m.media_length DESC, m.user_id";
}

/// The sort key. Ties are sorted by user id, ascending; accounts without display name come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The user id.
    UserId,
    /// The display name.
    Displayname,
    /// The number of uploads.
    MediaCount,
    /// The number of bytes.
    MediaLength,
}

/// The uploads and accounts to count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The times between which the uploads were made, both included.
    pub within: Option<(Millis, Millis)>,
    /// A text in the localpart or display name of the accounts, in any case.
    pub term: Option<String>,
}

/// The uploads of an account, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploader {
    /// The user id.
    pub user_id: String,
    /// The display name.
    pub displayname: Option<String>,
    /// The number of uploads.
    pub media_count: i64,
    /// The number of bytes.
    pub media_length: i64,
}

impl Uploader {
    fn compare(&self, other: &Self, order_by: OrderBy) -> Ordering {
        match order_by {
            OrderBy::UserId => self.user_id.cmp(&other.user_id),
            OrderBy::Displayname => {
                let key = |uploader: &Self| (uploader.displayname.is_none(), uploader.displayname.clone());
                key(self).cmp(&key(other))
            }
            OrderBy::MediaCount => self.media_count.cmp(&other.media_count),
            OrderBy::MediaLength => self.media_length.cmp(&other.media_length),
        }
    }
}

fn uploader(row: &Row<'_>) -> Result<Uploader, DbError> {
    let sort_displayname: String = row.get(1)?;
    Ok(Uploader {
        user_id: row.get(0)?,
        displayname: sort_displayname.strip_prefix('a').map(str::to_owned),
        media_count: row.get(2)?,
        media_length: row.get(3)?,
    })
}

/// Returns a page of accounts that have uploaded something, and their total number.
pub fn page(
    tx: &ReadTx<'_>,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
) -> Result<(Vec<Uploader>, i64), DbError> {
    let Paging { from, limit } = paging;
    let [all, found, within] = order_by.statements(descending);
    let term = filter.term.as_deref().map(fold).unwrap_or_default();
    if let Some((from_ts, until_ts)) = filter.within {
        let total = tx.query_one(&COUNT_WITHIN, &params![from_ts, until_ts, &term], |row| row.get(0))?;
        let page = tx.query(within, &params![from_ts, until_ts, &term, limit, from], uploader)?;
        return Ok((page, total));
    }
    let Some(wanted) = &filter.term else {
        return Ok((tx.query(all, &params![limit, from], uploader)?, media_users::totals(tx)?.users));
    };
    let name = Term::Name(wanted.clone());
    let few = Limit { max: MAX_SORTED, of: MAX_SORTED };
    if let Some(nums) = search::matches(tx, &name, few, &mut |found| found.num().map(Some))? {
        let mut found = tx.query(&BY_NUMS, &params![&num_list(tx.engine(), &nums)], uploader)?;
        found.sort_by(|a, b| {
            let order = a.compare(b, order_by);
            let order = if descending { order.reverse() } else { order };
            order.then_with(|| a.user_id.cmp(&b.user_id))
        });
        let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
        return Ok((paging.of(found), total));
    }
    let total = tx.query_one(&COUNT_FOUND, &params![&term], |row| row.get(0))?;
    Ok((tx.query(found, &params![&term, limit, from], uploader)?, total))
}
