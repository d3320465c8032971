//! Bulk loading of accounts, on SQLite: indexes are dropped, accounts inserted, and everything derived from them
//! rebuilt.
//!
//! An update of the lists, their counts and the search index costs more with every account, since each change writes to
//! another part of each index. For very many accounts at once, the indexes are dropped ([`begin`]), the accounts are
//! inserted without them ([`insert`]), and at the end everything derived from the accounts is rebuilt in sorted order:
//! [`unsearched`] and [`add_to_search`] until nothing is left, then [`build_index`] for each index, then [`finish`].
//!
//! A row in `user_bulk` exists meanwhile. A program that opens the database and finds it ([`is_pending`]) finishes the
//! rebuild before it lists anything. A migration that adds a list inserts the row, too.

use reeve_db::{DbError, ReadTx, Statement, Tx, params};
use reeve_model::{User, UserNum};

use super::order::Column;
use super::{rebuild, search};
use crate::lists::ngrams;
use crate::lists::roster::version;
use crate::users;

/// The size up to which the search index is gathered in memory, in bytes, and SQLite's default.
const GATHER: (i64, i64) = (48 << 20, 1 << 20);

reeve_db::statements! {
    PENDING = "SELECT searched_num FROM user_bulk WHERE one = 1";
    BEGIN = "INSERT INTO user_bulk (one, searched_num) SELECT 1, coalesce(max(num), 0) FROM users WHERE 1 = 1 \
             ON CONFLICT (one) DO NOTHING";
    SEARCHED = "UPDATE user_bulk SET searched_num = $1 WHERE one = 1";
    END = "DELETE FROM user_bulk WHERE one = 1";
    UNSEARCHED = "SELECT num, search_key FROM users WHERE num > $1 ORDER BY num LIMIT $2";
    /// Merges the parts of the search index; PostgreSQL's has none.
    JOIN_PARTS = {
        sqlite: "INSERT INTO user_search (user_search) VALUES ('optimize')",
        postgres: "SELECT 1 WHERE 1 = 0",
    };
    /// Sets the size up to which the search index is gathered in memory; PostgreSQL has no such setting.
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

/// The number of column indexes that the schema creates before the two that belong to no column.
const OLDEST: usize = 4;

/// All indexes that a bulk load drops, in the order of the schema, by which SQLite decides between equally good
/// indexes.
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

/// The number of indexes that [`build_index`] builds.
pub const INDEXES: usize = Column::ALL.len() + 2;

/// Returns the account up to which the search index is complete, if lists and search lag behind the accounts; else
/// `None`.
pub fn searched(tx: &ReadTx<'_>) -> Result<Option<UserNum>, DbError> {
    tx.query_opt(&PENDING, &[], |row| row.get(0))
}

/// Returns true if lists and search lag behind the accounts.
pub fn is_pending(tx: &ReadTx<'_>) -> Result<bool, DbError> {
    Ok(searched(tx)?.is_some())
}

/// Lets lists and search lag behind the accounts, until [`finish`].
pub fn begin(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&BEGIN, &[])?;
    for index in indexes() {
        tx.execute(index.drop, &[])?;
    }
    Ok(())
}

/// Creates an account without entries in lists and search, and returns its number. Only after [`begin`]; otherwise like
/// [`users::insert`].
pub fn insert(tx: &mut Tx<'_>, user: &User, password_hash: Option<&str>) -> Result<UserNum, DbError> {
    users::insert_row(tx, user, password_hash, &search::key(user))
}

/// Returns numbers and search keys of the accounts after one, in order.
pub fn unsearched(tx: &ReadTx<'_>, after: UserNum, max: i64) -> Result<Vec<(UserNum, String)>, DbError> {
    tx.query(&UNSEARCHED, &params![after, max], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the text that the search index takes for a search key.
pub fn search_document(search_key: &str) -> String {
    ngrams::document(reeve_db::Engine::Sqlite, &search::indexed(search_key))
}

/// Adds accounts, by number, with their [`search_document`]s to the search index, in the order of the numbers.
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

/// Builds one of the indexes that [`begin`] dropped, from 0 to below [`INDEXES`].
pub fn build_index(tx: &mut Tx<'_>, index: usize) -> Result<(), DbError> {
    if let Some(index) = indexes().nth(index) {
        tx.execute(index.build, &[])?;
    }
    Ok(())
}

/// Counts all accounts again and ends the lag. Every account must be in the search index, and every index built.
/// Returns `false`, having changed nothing, if further accounts were added.
pub fn finish(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let Some(searched) = searched(tx)? else { return Ok(true) };
    if !unsearched(tx, searched, 1)?.is_empty() {
        return Ok(false);
    }
    tx.execute(&JOIN_PARTS, &[])?;
    rebuild::rebuild(tx)?;
    version::forget(tx)?;
    tx.execute(&END, &[])?;
    Ok(true)
}
