//! Substring search over accounts: localpart and display name, in any case of letters.
//!
//! The index holds pieces of these texts (`grams`). A search asks for the accounts that have all pieces of the term and
//! then compares the text itself.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::User;

use crate::grams::{self, SEPARATOR, fold};
use crate::users;

/// No search key has more bytes than this.
const MAX_TERM: usize = 4096;

macro_rules! candidate {
    () => {
        "num, user_id, list_class, search_key, displayname, avatar_url, created_ts, last_seen_ts"
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
        sqlite: concat!("SELECT ", candidate!(), " FROM users WHERE num IN (SELECT value FROM json_each($1))"),
        postgres: concat!("SELECT ", candidate!(), " FROM users WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// Counts the matches in one class, by an index that holds what is compared.
    COUNT_MATCHES = r"SELECT count(*) FROM users WHERE list_class = $1 AND search_key LIKE $2 ESCAPE '\'";
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

    fn matches(&self, folded: &str, candidate: &Candidate) -> bool {
        match self {
            Self::Name(_) => !folded.contains(SEPARATOR) && candidate.search_key.contains(folded),
            Self::UserId(_) => candidate.user_id.to_ascii_lowercase().contains(folded),
        }
    }

    /// Whether every account of this server matches, because the server name does.
    pub(crate) fn matches_domain(&self, server_name: &str) -> bool {
        match self {
            Self::Name(_) => false,
            Self::UserId(_) => format!(":{server_name}").to_ascii_lowercase().contains(&self.folded().0),
        }
    }
}

/// An account that a search found, with what lists sort by.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) num: i64,
    pub(crate) user_id: String,
    pub(crate) list_class: String,
    search_key: String,
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) created_ts: i64,
    pub(crate) last_seen_ts: Option<i64>,
}

fn candidate(row: &Row<'_>) -> Result<Candidate, DbError> {
    Ok(Candidate {
        num: row.get(0)?,
        user_id: row.get(1)?,
        list_class: row.get(2)?,
        search_key: row.get(3)?,
        displayname: row.get(4)?,
        avatar_url: row.get(5)?,
        created_ts: row.get(6)?,
        last_seen_ts: row.get(7)?,
    })
}

/// The numbers of accounts whose localpart or display name contains a text: of those that have its grams, the
/// first `most` are looked at.
pub fn nums(tx: &ReadTx<'_>, text: &str, most: i64) -> Result<Vec<i64>, DbError> {
    let term = Term::Name(text.to_owned());
    let (folded, local) = term.folded();
    let Some(nums) = grams::holders(tx, &HOLDERS, &local, most)? else { return Ok(Vec::new()) };
    let found = tx.query(&CANDIDATES, &params![&users::num_list(tx.engine(), &nums)], candidate)?;
    Ok(found.iter().filter(|found| term.matches(&folded, found)).map(|found| found.num).collect())
}

/// The accounts that match, in no order; `None` when the index does not narrow them down to `most`.
pub(crate) fn candidates(
    tx: &ReadTx<'_>,
    term: &Term,
    most: usize,
) -> Result<Option<Vec<Candidate>>, DbError> {
    let (folded, local) = term.folded();
    let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
    let Some(nums) = grams::holders(tx, &HOLDERS, &local, limit)? else { return Ok(None) };
    if nums.len() > most {
        return Ok(None);
    }
    let found = tx.query(&CANDIDATES, &params![&users::num_list(tx.engine(), &nums)], candidate)?;
    Ok(Some(found.into_iter().filter(|candidate| term.matches(&folded, candidate)).collect()))
}

/// How many accounts of these classes match a [`Term::pattern`], found by comparing each.
pub(crate) fn count_matches(
    tx: &ReadTx<'_>,
    pattern: &str,
    classes: &[(String, i64)],
) -> Result<i64, DbError> {
    let of_class = |(class, _): &(String, i64)| {
        tx.query_one(&COUNT_MATCHES, &params![class, pattern], |row| row.get::<i64>(0))
    };
    classes.iter().map(of_class).sum()
}

/// Adds an account to the index.
pub(crate) fn insert(tx: &mut Tx<'_>, num: i64, key: &str) -> Result<(), DbError> {
    let document = grams::document(tx.engine(), key);
    insert_document(tx, num, &document)
}

/// Adds an account with its [`grams::document`] to the index.
pub(crate) fn insert_document(tx: &mut Tx<'_>, num: i64, document: &str) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![num, document])?;
    Ok(())
}

/// Replaces what the index knows of an account.
pub(crate) fn replace(tx: &mut Tx<'_>, num: i64, key: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![num])?;
    insert(tx, num, key)
}
