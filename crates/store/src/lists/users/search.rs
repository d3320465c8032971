//! Substring search over accounts: localpart and display name, in any case.
//!
//! The index holds the n-grams of these texts. A search looks up the accounts that have the n-grams of the term, and
//! then compares the texts.

use std::borrow::Cow;

use reeve_db::{DbError, Engine, ReadTx, Row, Tx, params};
use reeve_model::{User, UserNum};
use serde_json::json;

use super::class::{ClassCount, sum};
use super::order::{Column, Key, candidates};
use crate::lists::ngrams::{self, Index, Limit, SEPARATOR, fold};
use crate::paging::count_of;
use crate::sql::num_list;
use crate::words;

/// The index of the n-grams of accounts.
const INDEX: Index = Index { table: "user_search", postings: &POSTINGS };
/// The maximum length of a search key, in bytes.
const MAX_TERM: usize = 4096;

reeve_db::statements! {
    INSERT = {
        sqlite: "INSERT INTO user_search (rowid, grams) VALUES ($1, $2)",
        postgres: "INSERT INTO user_search (num, grams) VALUES ($1, CAST(CAST($2 AS TEXT) AS INTEGER[]))",
    };
    DELETE = {
        sqlite: "DELETE FROM user_search WHERE rowid = $1",
        postgres: "DELETE FROM user_search WHERE num = $1",
    };
    /// The accounts that have all n-grams.
    POSTINGS = {
        sqlite: "SELECT rowid FROM user_search WHERE user_search MATCH $1 LIMIT $2",
        postgres: "SELECT num FROM user_search WHERE grams @> CAST(CAST($1 AS TEXT) AS INTEGER[]) LIMIT $2",
    };
    /// Counts the matches in some classes, a JSON array. SQLite uses an index that holds the compared text; PostgreSQL,
    /// where the backslash is the default escape character, uses parallel workers.
    COUNT_IN_CLASSES = {
        sqlite: "SELECT count(*) FROM users WHERE list_class IN (SELECT value FROM json_each($1)) \
                 AND search_key LIKE $2 ESCAPE '\\'",
        postgres: "SELECT count(*) FROM users \
                   WHERE list_class = ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)))) \
                   AND search_key LIKE $2",
    };
    COUNT = {
        sqlite: "SELECT count(*) FROM users WHERE search_key LIKE $1 ESCAPE '\\'",
        postgres: "SELECT count(*) FROM users WHERE search_key LIKE $1",
    };
}

/// Returns the text that is searched.
pub(crate) fn key(user: &User) -> String {
    let mut key = fold(user.localpart());
    key.push(SEPARATOR);
    if let Some(displayname) = &user.displayname {
        key.extend(fold(displayname).chars().filter(|c| *c != SEPARATOR));
    }
    key
}

/// Returns the text whose n-grams are in the index: the search key, and once more without accents if it has any, so
/// that a search with or without accents finds it by its n-grams.
pub(crate) fn indexed(key: &str) -> Cow<'_, str> {
    if key.is_ascii() {
        return Cow::Borrowed(key);
    }
    match words::fold(key) {
        folded if folded == key => Cow::Borrowed(key),
        folded => Cow::Owned(format!("{key}{SEPARATOR}{folded}")),
    }
}

/// Escapes a text for a pattern.
fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// The term of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A substring of localpart or display name.
    Name(String),
    /// A substring of the whole user id.
    UserId(String),
}

impl Term {
    /// Returns the term as it is compared, and the part of it whose n-grams are looked up.
    fn folded(&self) -> (String, String) {
        match self {
            Self::Name(term) => {
                let term = fold(term);
                (term.clone(), term)
            }
            Self::UserId(term) => {
                let term = term.to_ascii_lowercase();
                let local = term.strip_prefix('@').unwrap_or(&term);
                let local = local.split(':').next().unwrap_or_default().to_owned();
                (term, local)
            }
        }
    }

    /// Returns the LIKE pattern of the search keys of matching accounts; `None` if no account can match. A sigil
    /// matches at the beginning only: no localpart has one.
    pub(crate) fn pattern(&self, server_name: &str) -> Option<String> {
        let (term, _) = self.folded();
        if term.contains(SEPARATOR) || term.len() > MAX_TERM {
            return None;
        }
        let any = |text: &str| format!("%{}%", escape(text));
        if matches!(self, Self::Name(_)) {
            return Some(any(&term));
        }
        // The part of a search key before the separator belongs to the user id.
        let (local, domain) = term.split_once(':').map_or((&*term, None), |(l, d)| (l, Some(d)));
        if domain.is_some_and(|domain| !server_name.to_ascii_lowercase().starts_with(domain)) {
            return None;
        }
        let begin = local.strip_prefix('@').map_or_else(|| any(local), |local| format!("{}%", escape(local)));
        let before = if domain.is_some() { begin.strip_suffix('%').unwrap_or(&begin) } else { &begin };
        Some(format!("{before}{SEPARATOR}%"))
    }

    fn matches(&self, folded: &str, found: &Match<'_>) -> Result<bool, DbError> {
        Ok(match self {
            Self::Name(_) => !folded.contains(SEPARATOR) && found.0.text(1)?.contains(folded),
            Self::UserId(_) => found.0.text(2)?.to_ascii_lowercase().contains(folded),
        })
    }

    /// Returns true if every account of this server matches, since the server name does.
    pub(crate) fn matches_domain(&self, server_name: &str) -> bool {
        match self {
            Self::Name(_) => false,
            Self::UserId(_) => format!(":{server_name}").to_ascii_lowercase().contains(&self.folded().0),
        }
    }
}

/// A candidate of a search: a row of [`candidates::BY_NUMS`].
pub(crate) struct Match<'r>(&'r Row<'r>);

impl Match<'_> {
    pub(crate) fn num(&self) -> Result<UserNum, DbError> {
        self.0.get(0)
    }

    pub(crate) fn user_id(&self) -> Result<String, DbError> {
        self.0.get(2)
    }

    /// Returns a bit for each flag, the first of [`Flag::ALL`](super::Flag) the highest.
    pub(crate) fn flags(&self) -> Result<i64, DbError> {
        self.0.get(3)
    }

    pub(crate) fn user_type(&self) -> Result<Option<String>, DbError> {
        self.0.get(4)
    }

    /// Returns the value in a column.
    pub(crate) fn value(&self, column: Column) -> Result<Option<Key>, DbError> {
        self.0.get(column.index())
    }
}

/// Returns the numbers of accounts whose localpart or display name contains a text, in any case and with any accents,
/// among the first `max` candidates.
pub fn nums(tx: &ReadTx<'_>, text: &str, max: i64) -> Result<Vec<UserNum>, DbError> {
    let folded = words::fold(text);
    let limit = Limit { max, of: max };
    let Some(nums) = ngrams::postings::<UserNum>(tx, INDEX, &folded, limit)? else {
        return Ok(Vec::new());
    };
    let found = tx.query(&candidates::BY_NUMS, &params![&num_list(tx.engine(), &nums)], |row| {
        let is_like = !folded.contains(SEPARATOR) && words::fold(row.text(1)?).contains(&folded);
        if is_like { row.get(0).map(Some) } else { Ok(None) }
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Returns the matching accounts of which `map` keeps something, in no order; `None` if the index yields more
/// candidates than a limit.
pub(crate) fn matches<T>(
    tx: &ReadTx<'_>,
    term: &Term,
    limit: Limit,
    map: &mut dyn FnMut(&Match<'_>) -> Result<Option<T>, DbError>,
) -> Result<Option<Vec<T>>, DbError> {
    let one_more = Limit { max: limit.max.saturating_add(1), ..limit };
    let Some(nums) = ngrams::postings(tx, INDEX, &term.folded().1, one_more)? else {
        return Ok(None);
    };
    if count_of(&nums) > limit.max {
        return Ok(None);
    }
    compare(tx, term, &nums, map).map(Some)
}

/// Returns, of the accounts with some numbers, the matching ones of which `map` keeps something.
fn compare<T>(
    tx: &ReadTx<'_>,
    term: &Term,
    nums: &[UserNum],
    map: &mut dyn FnMut(&Match<'_>) -> Result<Option<T>, DbError>,
) -> Result<Vec<T>, DbError> {
    let (folded, _) = term.folded();
    let found = tx.query(&candidates::BY_NUMS, &params![&num_list(tx.engine(), nums)], |row| {
        let found = Match(row);
        if term.matches(&folded, &found)? { map(&found) } else { Ok(None) }
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Counts the accounts of some classes that match a [`Term::pattern`], by comparing each. `others` are all other
/// classes, with the number of accounts in each.
pub(crate) fn count_matches(
    tx: &ReadTx<'_>,
    pattern: &str,
    classes: &[ClassCount],
    others: &[ClassCount],
) -> Result<i64, DbError> {
    let of = |classes: &[ClassCount]| -> Result<i64, DbError> {
        if classes.is_empty() {
            return Ok(0);
        }
        let names: Vec<&str> = classes.iter().map(|counted| &*counted.class).collect();
        tx.query_one(&COUNT_IN_CLASSES, &params![json!(names).to_string(), pattern], |row| row.get(0))
    };
    // A row whose class must be read costs SQLite half as much again. PostgreSQL reads all rows in either case.
    let is_all_faster = match tx.engine() {
        Engine::Sqlite => sum(others) < sum(classes) / 2,
        Engine::Postgres => others.is_empty(),
    };
    if is_all_faster {
        let all: i64 = tx.query_one(&COUNT, &params![pattern], |row| row.get(0))?;
        return Ok(all - of(others)?);
    }
    of(classes)
}

/// Adds an account to the index.
pub(crate) fn insert(tx: &mut Tx<'_>, num: UserNum, key: &str) -> Result<(), DbError> {
    let document = ngrams::document(tx.engine(), &indexed(key));
    insert_document(tx, num, &document)
}

/// Adds an account with its [`ngrams::document`] to the index.
pub(crate) fn insert_document(tx: &mut Tx<'_>, num: UserNum, document: &str) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![num, document])?;
    Ok(())
}

/// Replaces the n-grams of an account in the index.
pub(crate) fn replace(tx: &mut Tx<'_>, num: UserNum, key: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![num])?;
    insert(tx, num, key)
}
