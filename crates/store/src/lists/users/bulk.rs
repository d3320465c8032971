//! Bulk loading of accounts, on SQLite.
//!
//! Keeping the lists, their counts and the search index in step costs more with every account that is there, since
//! each change writes to another part of each index. Where very many accounts come at once, the indexes are dropped
//! ([`begin`]), the accounts are inserted without them ([`insert`]), and at the end everything that is derived from the
//! accounts is made anew in sorted order: [`unsearched`] and [`add_to_search`] until nothing is left, then
//! [`build_index`] for each index, then [`finish`].
//!
//! A row in `user_bulk` exists meanwhile. A program that opens the database and finds it ([`is_pending`]) completes what
//! is missing before it lists anything. A migration that adds a list inserts the row, too.

use reeve_db::{DbError, ReadTx, Statement, Tx, params};
use reeve_model::{User, UserNum};

use super::order::Column;
use super::{rebuild, search};
use crate::lists::ngrams;
use crate::users;

/// How many bytes of the search index are gathered before they are written; the second value is what SQLite starts with.
const GATHER: (i64, i64) = (48 << 20, 1 << 20);

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
    DROP_NAME = "DROP INDEX IF EXISTS users_list_name";
    DROP_AVATARS = "DROP INDEX IF EXISTS users_avatar_url";
    BUILD_NAME = "CREATE INDEX IF NOT EXISTS users_list_name ON users (list_class, user_id, search_key)";
    BUILD_AVATARS = "CREATE INDEX IF NOT EXISTS users_avatar_url ON users (avatar_url) WHERE avatar_url IS NOT NULL";
}

/// An index that a bulk load drops and builds again.
struct Index {
    drop: &'static Statement,
    build: &'static Statement,
}

/// How many columns have an index that the schema creates before the two that belong to no column.
const OLDEST: usize = 4;

/// All indexes that a bulk load drops, in the order of the schema, by which SQLite decides between indexes that serve
/// equally well.
fn indexes() -> impl Iterator<Item = Index> {
    let of_column = |column: &Column| {
        let definition = column.definition();
        Index { drop: definition.drop_index, build: definition.build_index }
    };
    let others = [
        Index { drop: &DROP_NAME, build: &BUILD_NAME },
        Index { drop: &DROP_AVATARS, build: &BUILD_AVATARS },
    ];
    let (oldest, newer) = (Column::ALL.iter().take(OLDEST), Column::ALL.iter().skip(OLDEST));
    oldest.map(of_column).chain(others).chain(newer.map(of_column))
}

/// How many indexes [`build_index`] builds.
pub const INDEXES: usize = Column::ALL.len() + 2;

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
    for index in indexes() {
        tx.execute(index.drop, &[])?;
    }
    Ok(())
}

/// Creates an account that neither lists nor search know, and returns its number. Only after [`begin`]; otherwise as
/// [`users::insert`].
pub fn insert(tx: &mut Tx<'_>, user: &User, password_hash: Option<&str>) -> Result<UserNum, DbError> {
    users::insert_row(tx, user, password_hash, &search::key(user))
}

/// Numbers and search keys of the accounts after one, in order.
pub fn unsearched(tx: &ReadTx<'_>, after: UserNum, max: i64) -> Result<Vec<(UserNum, String)>, DbError> {
    tx.query(&UNSEARCHED, &params![after, max], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What the search index takes for a search key.
pub fn search_document(search_key: &str) -> String {
    ngrams::document(reeve_db::Engine::Sqlite, &search::indexed(search_key))
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
    if let Some(index) = indexes().nth(index) {
        tx.execute(index.build, &[])?;
    }
    Ok(())
}

/// Counts all accounts anew. When every account is in the search index and every index built, lists and search are
/// in step again with this; returns `false`, having changed nothing, when further accounts have come.
pub fn finish(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let Some(searched) = searched(tx)? else { return Ok(true) };
    if !unsearched(tx, searched, 1)?.is_empty() {
        return Ok(false);
    }
    tx.execute(&JOIN_PARTS, &[])?;
    rebuild::rebuild(tx)?;
    tx.execute(&END, &[])?;
    Ok(true)
}
