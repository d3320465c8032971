//! Substring search over accounts: localpart and display name, in any case of letters.
//!
//! The index holds pieces of these texts (`grams`). A search asks for the accounts that have all pieces of the term and
//! then compares the text itself.

use std::borrow::Cow;

use reeve_db::{DbError, Engine, ReadTx, Row, Tx, params};
use reeve_model::{Millis, User, UserNum};
use serde_json::json;

use crate::grams::{self, SEPARATOR, fold};
use crate::user_list_counts::{ClassCount, sum};
use crate::{users, words};

/// Where the pieces of each account are.
const TABLE: &str = "user_search";
/// No search key has more bytes than this.
const MAX_TERM: usize = 4096;

/// What is read of an account that may match: the columns that [`Match`] names. The flags as one number, for SQLite
/// computes `list_class` anew for each row.
macro_rules! candidate {
    () => {
        "num, search_key, user_id, \
         is_guest * 16 + admin * 8 + deactivated * 4 + locked * 2 + shadow_banned, user_type, \
         displayname, avatar_url, created_ts, last_seen_ts"
    };
}
reeve_db::statements! {
    INSERT = {
        sqlite: "INSERT INTO user_search (rowid, grams) VALUES ($1, $2)",
        postgres: "INSERT INTO user_search (num, grams) VALUES ($1, CAST(CAST($2 AS TEXT) AS INTEGER[]))",
    };
    DELETE = {
        sqlite: "DELETE FROM user_search WHERE rowid = $1",
        postgres: "DELETE FROM user_search WHERE num = $1",
    };
    /// The accounts that have all grams.
    HOLDERS = {
        sqlite: "SELECT rowid FROM user_search WHERE user_search MATCH $1 LIMIT $2",
        postgres: "SELECT num FROM user_search WHERE grams @> CAST(CAST($1 AS TEXT) AS INTEGER[]) LIMIT $2",
    };
    /// `$1`: the numbers, in the form of [`users::num_list`].
    CANDIDATES = {
        sqlite: concat!("SELECT ", candidate!(), " FROM json_each($1) AS wanted CROSS JOIN users ON num = wanted.value"),
        postgres: concat!("SELECT ", candidate!(), " FROM users WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// Counts the matches in some classes, an array as JSON. On SQLite by an index that holds what is compared; PostgreSQL,
    /// where the backslash escapes anyway, reads with several processes.
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

/// The text that is searched.
pub(crate) fn key(user: &User) -> String {
    let mut key = fold(user.localpart());
    key.push(SEPARATOR);
    if let Some(displayname) = &user.displayname {
        key.extend(fold(displayname).chars().filter(|c| *c != SEPARATOR));
    }
    key
}

/// The text whose pieces the index has: the search key, and once more without accents if it has any, so that each search
/// finds it by its own pieces.
pub(crate) fn indexed(key: &str) -> Cow<'_, str> {
    if key.is_ascii() {
        return Cow::Borrowed(key);
    }
    match words::fold(key) {
        folded if folded == key => Cow::Borrowed(key),
        folded => Cow::Owned(format!("{key}{SEPARATOR}{folded}")),
    }
}

/// A text that stands for itself in a pattern.
fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A substring of localpart or display name.
    Name(String),
    /// A substring of the whole user id.
    UserId(String),
}

impl Term {
    /// The term as it is compared, and the part of it whose grams are looked up.
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

    /// The LIKE pattern of the search keys of the accounts that match; `None` if no account can. A sigil is looked
    /// for at the beginning only: no localpart has one.
    pub(crate) fn pattern(&self, server_name: &str) -> Option<String> {
        let (term, _) = self.folded();
        if term.contains(SEPARATOR) || term.len() > MAX_TERM {
            return None;
        }
        let any = |text: &str| format!("%{}%", escape(text));
        if matches!(self, Self::Name(_)) {
            return Some(any(&term));
        }
        // Of a search key, a user id has what stands before the separator.
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

    /// Whether every account of this server matches, because the server name does.
    pub(crate) fn matches_domain(&self, server_name: &str) -> bool {
        match self {
            Self::Name(_) => false,
            Self::UserId(_) => format!(":{server_name}").to_ascii_lowercase().contains(&self.folded().0),
        }
    }
}

/// An account that a search found.
pub(crate) struct Match<'r>(&'r Row<'r>);

impl Match<'_> {
    pub(crate) fn num(&self) -> Result<UserNum, DbError> {
        self.0.get(0)
    }

    pub(crate) fn user_id(&self) -> Result<String, DbError> {
        self.0.get(2)
    }

    /// Five bits: guest, administrator, deactivated, locked, shadow-banned; and the type.
    pub(crate) fn flags(&self) -> Result<(i64, Option<String>), DbError> {
        Ok((self.0.get(3)?, self.0.get(4)?))
    }

    pub(crate) fn displayname(&self) -> Result<Option<String>, DbError> {
        self.0.get(5)
    }

    pub(crate) fn avatar_url(&self) -> Result<Option<String>, DbError> {
        self.0.get(6)
    }

    pub(crate) fn created_ts(&self) -> Result<Millis, DbError> {
        self.0.get(7)
    }

    pub(crate) fn last_seen_ts(&self) -> Result<Option<Millis>, DbError> {
        self.0.get(8)
    }
}

/// The numbers of accounts whose localpart or display name contains a text, whatever the case and accents: of those that
/// have its grams, the first `most` are looked at.
pub fn nums(tx: &ReadTx<'_>, text: &str, most: i64) -> Result<Vec<UserNum>, DbError> {
    let folded = words::fold(text);
    let Some(nums) = grams::holders::<UserNum>(tx, (TABLE, &HOLDERS), &folded, most, most)? else {
        return Ok(Vec::new());
    };
    let found = tx.query(&CANDIDATES, &params![&users::num_list(tx.engine(), &nums)], |row| {
        let is_like = !folded.contains(SEPARATOR) && words::fold(row.text(1)?).contains(&folded);
        if is_like { row.get(0).map(Some) } else { Ok(None) }
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Those accounts that match, in no order, of which `map` keeps something; `None` when the index does not narrow them
/// down to `most` of the `of` that there are.
pub(crate) fn matches<T>(
    tx: &ReadTx<'_>,
    term: &Term,
    (most, of): (i64, i64),
    map: &mut dyn FnMut(&Match<'_>) -> Result<Option<T>, DbError>,
) -> Result<Option<Vec<T>>, DbError> {
    let Some(nums) = grams::holders(tx, (TABLE, &HOLDERS), &term.folded().1, most.saturating_add(1), of)?
    else {
        return Ok(None);
    };
    if i64::try_from(nums.len()).is_ok_and(|found| found > most) {
        return Ok(None);
    }
    compare(tx, term, &nums, map).map(Some)
}

/// Of the accounts with these numbers, those that match and that `map` keeps something of.
fn compare<T>(
    tx: &ReadTx<'_>,
    term: &Term,
    nums: &[UserNum],
    map: &mut dyn FnMut(&Match<'_>) -> Result<Option<T>, DbError>,
) -> Result<Vec<T>, DbError> {
    let (folded, _) = term.folded();
    let found = tx.query(&CANDIDATES, &params![&users::num_list(tx.engine(), nums)], |row| {
        let found = Match(row);
        if term.matches(&folded, &found)? { map(&found) } else { Ok(None) }
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// How many accounts of some classes match a [`Term::pattern`], found by comparing each. `others`: all other classes, with
/// the number of accounts in each.
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
        let names: Vec<&str> = classes.iter().map(|(class, _)| &**class).collect();
        tx.query_one(&COUNT_IN_CLASSES, &params![json!(names).to_string(), pattern], |row| row.get(0))
    };
    // SQLite takes half as long again for a row whose class it has to look at. PostgreSQL reads all rows either way.
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
    let document = grams::document(tx.engine(), &indexed(key));
    insert_document(tx, num, &document)
}

/// Adds an account with its [`grams::document`] to the index.
pub(crate) fn insert_document(tx: &mut Tx<'_>, num: UserNum, document: &str) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![num, document])?;
    Ok(())
}

/// Replaces what the index knows of an account.
pub(crate) fn replace(tx: &mut Tx<'_>, num: UserNum, key: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![num])?;
    insert(tx, num, key)
}
