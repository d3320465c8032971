//! Bringing in accounts by the mass, on SQLite.
//!
//! Keeping the lists, their counts and the search index in step costs more with every account that is there, since
//! each change strikes another place of each index. Where very many accounts come at once, the indexes are dropped
//! ([`begin`]), the accounts are inserted without them ([`insert`]), and at the end everything that is derived from the
//! accounts is made anew in sorted order: [`unsearched`] and [`add_to_search`] until nothing is left, then
//! [`build_index`] for each index, then [`finish`].
//!
//! A row in `user_bulk` stands for the time in between, so that whoever opens the database next knows ([`is_pending`])
//! and goes on where it was broken off. Nothing may be listed before that.

use reeve_db::{DbError, ReadTx, Statement, Tx, params};
use reeve_model::{User, UserNum};

use crate::{grams, user_list_cuts as cuts, user_search as search, users};

/// How many bytes of the search index are gathered before they are written; the second value is what SQLite starts with.
const GATHER: (i64, i64) = (48 << 20, 1 << 20);

/// An index that SQLite has and that only lists need.
macro_rules! index {
    ($name:literal, $definition:literal) => {
        concat!("CREATE INDEX IF NOT EXISTS ", $name, " ON users ", $definition)
    };
}

reeve_db::statements! {
    PENDING = "SELECT searched_num FROM user_bulk WHERE one = 1";
    BEGIN = "INSERT INTO user_bulk (one, searched_num) SELECT 1, coalesce(max(num), 0) FROM users WHERE 1 = 1 \
             ON CONFLICT (one) DO NOTHING";
    SEARCHED = "UPDATE user_bulk SET searched_num = $1 WHERE one = 1";
    END = "DELETE FROM user_bulk WHERE one = 1";
    UNSEARCHED = "SELECT num, search_key FROM users WHERE num > $1 ORDER BY num LIMIT $2";
    /// Makes the parts in which the search index was written one; PostgreSQL's has none.
    JOIN_PARTS = {
        sqlite: "INSERT INTO user_search (user_search) VALUES ('optimize')",
        postgres: "SELECT 1 WHERE 1 = 0",
    };
    /// How much of the search index is gathered in memory; PostgreSQL has no such thing.
    SET_GATHER = {
        sqlite: "INSERT INTO user_search (user_search, rank) VALUES ('hashsize', CAST($1 AS INTEGER))",
        postgres: "SELECT 1 WHERE CAST($1 AS BIGINT) IS NULL",
    };
    DROP_AVATAR_URL = "DROP INDEX IF EXISTS users_list_avatar_url";
    DROP_CREATED_TS = "DROP INDEX IF EXISTS users_list_created_ts";
    DROP_LAST_SEEN_TS = "DROP INDEX IF EXISTS users_list_last_seen_ts";
    DROP_DISPLAYNAME = "DROP INDEX IF EXISTS users_list_displayname";
    DROP_NAME = "DROP INDEX IF EXISTS users_list_name";
    DROP_AVATARS = "DROP INDEX IF EXISTS users_avatar_url";
    BUILD_AVATAR_URL = index!("users_list_avatar_url", "(list_class, avatar_url, user_id)");
    BUILD_CREATED_TS = index!("users_list_created_ts", "(list_class, created_ts, user_id)");
    BUILD_LAST_SEEN_TS = index!("users_list_last_seen_ts", "(list_class, last_seen_ts, user_id)");
    BUILD_DISPLAYNAME = index!("users_list_displayname", "(list_class, displayname, user_id, search_key)");
    BUILD_NAME = index!("users_list_name", "(list_class, user_id, search_key)");
    BUILD_AVATARS = index!("users_avatar_url", "(avatar_url) WHERE avatar_url IS NOT NULL");
}

static DROPS: [&Statement; 6] =
    [&DROP_AVATAR_URL, &DROP_CREATED_TS, &DROP_LAST_SEEN_TS, &DROP_DISPLAYNAME, &DROP_NAME, &DROP_AVATARS];

/// In the order of the schema, which decides between indexes that serve equally well.
static BUILDS: [&Statement; 6] = [
    &BUILD_AVATAR_URL,
    &BUILD_CREATED_TS,
    &BUILD_LAST_SEEN_TS,
    &BUILD_DISPLAYNAME,
    &BUILD_NAME,
    &BUILD_AVATARS,
];

/// How many indexes [`build_index`] builds.
pub const INDEXES: usize = BUILDS.len();

/// Up to which account the search index is done, if lists and search lag behind the accounts; `None` if all is in step.
pub fn searched(tx: &ReadTx<'_>) -> Result<Option<UserNum>, DbError> {
    tx.query_opt(&PENDING, &[], |row| row.get(0))
}

/// Whether lists and search lag behind the accounts.
pub fn is_pending(tx: &ReadTx<'_>) -> Result<bool, DbError> {
    Ok(searched(tx)?.is_some())
}

/// From here on lists and search lag behind the accounts, until [`finish`].
pub fn begin(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&BEGIN, &[])?;
    for drop in DROPS {
        tx.execute(drop, &[])?;
    }
    Ok(())
}

/// Creates an account that neither lists nor search know, and answers its number. Only after [`begin`]; otherwise as
/// [`users::insert`].
pub fn insert(tx: &mut Tx<'_>, user: &User, password_hash: Option<&str>) -> Result<UserNum, DbError> {
    users::insert_row(tx, user, password_hash, &search::key(user))
}

/// Numbers and search keys of the accounts after one, in order.
pub fn unsearched(tx: &ReadTx<'_>, after: UserNum, most: i64) -> Result<Vec<(UserNum, String)>, DbError> {
    tx.query(&UNSEARCHED, &params![after, most], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What the search index takes for a search key.
pub fn search_document(search_key: &str) -> String {
    grams::document(reeve_db::Engine::Sqlite, &search::indexed(search_key))
}

/// Adds accounts, by number, with their [`search_document`]s to the search index. They follow those that were added before.
pub fn add_to_search(tx: &mut Tx<'_>, documents: &[(UserNum, String)]) -> Result<(), DbError> {
    let Some((last, _)) = documents.last() else { return Ok(()) };
    tx.execute(&SET_GATHER, &params![GATHER.0])?;
    for (num, document) in documents {
        search::insert_document(tx, *num, document)?;
    }
    tx.execute(&SET_GATHER, &params![GATHER.1])?;
    tx.execute(&SEARCHED, &params![*last])?;
    Ok(())
}

/// Builds one of the indexes that [`begin`] dropped: the first is 0, and there are [`INDEXES`].
pub fn build_index(tx: &mut Tx<'_>, index: usize) -> Result<(), DbError> {
    if let Some(build) = BUILDS.get(index) {
        tx.execute(build, &[])?;
    }
    Ok(())
}

/// Counts all accounts anew. When every account is in the search index and every index built, lists and search are
/// in step again with this; answers `false`, having changed nothing, when further accounts have come.
pub fn finish(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let Some(searched) = searched(tx)? else { return Ok(true) };
    if !unsearched(tx, searched, 1)?.is_empty() {
        return Ok(false);
    }
    tx.execute(&JOIN_PARTS, &[])?;
    cuts::rebuild(tx)?;
    tx.execute(&END, &[])?;
    Ok(true)
}
