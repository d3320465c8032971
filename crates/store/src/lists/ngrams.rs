//! Indexes of n-grams, for substring search. An index holds every run of one to three characters of a text. A search
//! looks up the texts that have the n-grams of the term, so that a short term is as quick as a long one, and then
//! compares the texts.

use std::collections::BTreeSet;

use reeve_db::{DbError, Engine, FromValue, ReadTx, Statement, params};

use crate::paging::count_of;

/// Separates the parts of a text, so that no match spans two. It is no character that people type.
pub(crate) const SEPARATOR: char = '\u{1f}';
/// The maximum number of n-grams of a query. More would not make it more selective.
const MAX_QUERY_NGRAMS: usize = 12;
/// The number of postings that are read of an n-gram to estimate its frequency.
const SAMPLED: i64 = if cfg!(test) { 10 } else { 100 };
/// The share of texts assumed for an n-gram that is not among the thousand most common ones that PostgreSQL counts.
const UNCOUNTED: f64 = 0.001;
/// The number of postings that can be read in the time of reading and comparing one text.
const COMPARING: f64 = 20.0;
/// A search is given up before it begins if it is estimated to find this many times the limit. N-grams that occur
/// together make it find more than estimated, not less.
const CLEARLY: f64 = 2.0;

reeve_db::statements! {
    /// The share of the rows of a table (`$1`), in millionths, that have each of some n-grams (`$2`), if it is known.
    /// SQLite knows none.
    SHARES = {
        sqlite: "SELECT value, 0 FROM json_each($2) WHERE $1 IS NULL",
        postgres: "SELECT CAST(gram AS BIGINT), CAST(share * 1000000 AS BIGINT) \
                   FROM unnest(CAST(CAST($2 AS TEXT) AS INTEGER[])) AS wanted(gram) JOIN ( \
                     SELECT unnest(CAST(CAST(most_common_elems AS TEXT) AS INTEGER[])) AS gram, \
                            unnest(most_common_elem_freqs) AS share \
                     FROM pg_stats WHERE schemaname = current_schema() AND tablename = CAST($1 AS TEXT) AND attname = 'grams' \
                   ) AS common USING (gram)",
    };
}

/// Folds the case of a text.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Returns all n-grams of a text, in the form of the index.
pub(crate) fn document(engine: Engine, key: &str) -> String {
    let grams: BTreeSet<u32> = (1..=3).flat_map(|length| windows(key, length)).collect();
    let grams: Vec<u32> = grams.into_iter().collect();
    match engine {
        Engine::Sqlite => words(&grams, " "),
        Engine::Postgres => array(&grams),
    }
}

/// An index of n-grams.
#[derive(Clone, Copy)]
pub(crate) struct Index {
    /// The table that holds it.
    pub(crate) table: &'static str,
    /// Reads the numbers of the texts that have all n-grams of a query (`$1`), at most `$2`; on SQLite in ascending
    /// order.
    pub(crate) postings: &'static Statement,
}

/// The maximum number of texts that a search may find.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// The maximum.
    pub(crate) max: i64,
    /// The number of all texts.
    pub(crate) of: i64,
}

/// Returns the numbers of the texts that may contain a folded term, up to a limit; `None` if the index cannot help: the
/// term is blank, or clearly too many texts have it.
pub(crate) fn postings<N: FromValue>(
    tx: &ReadTx<'_>,
    Index { table, postings }: Index,
    term: &str,
    Limit { max, of }: Limit,
) -> Result<Option<Vec<N>>, DbError> {
    let grams = query_grams(term);
    if grams.is_empty() {
        return Ok(None);
    }
    let ask = |query: &str| tx.query(postings, &params![query, max], |row| row.get::<N>(0));
    let by_share = match tx.engine() {
        Engine::Sqlite => sampled(&grams, |gram| {
            tx.query(postings, &params![&words(&[gram], ""), SAMPLED], |row| row.get::<i64>(0))
        })?,
        Engine::Postgres => known(tx, table, &grams)?,
    };
    let Selective { grams: selective, share } = selective(by_share);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    if share * of as f64 > CLEARLY * max as f64 {
        return Ok(None);
    }
    let query = |grams: &[u32]| match tx.engine() {
        Engine::Sqlite => words(grams, " AND "),
        Engine::Postgres => array(grams),
    };
    let found = ask(&query(&selective))?;
    if selective.len() < grams.len() && count_of(&found) >= max {
        // The chosen n-grams were less selective than estimated.
        return ask(&query(&grams)).map(Some);
    }
    Ok(Some(found))
}

/// Returns n-grams with the estimated share of texts that have them, on SQLite: from the first postings of each, which
/// `first` returns, up to [`SAMPLED`] numbers, ascending.
fn sampled(
    grams: &[u32],
    first: impl Fn(u32) -> Result<Vec<i64>, DbError>,
) -> Result<Vec<(f64, u32)>, DbError> {
    let share = |gram: &u32| {
        let postings = first(*gram)?;
        let last = postings.last().copied().unwrap_or_default();
        let full = count_of(&postings) >= SAMPLED;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = if full { SAMPLED as f64 / last.max(SAMPLED) as f64 } else { 0.0 };
        Ok((share, *gram))
    };
    grams.iter().map(share).collect()
}

/// Returns n-grams with the share of texts that have them, on PostgreSQL: from the statistics of the table.
fn known(tx: &ReadTx<'_>, table: &str, grams: &[u32]) -> Result<Vec<(f64, u32)>, DbError> {
    let common: Vec<(i64, i64)> =
        tx.query(&SHARES, &params![table, &array(grams)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let share = |gram: &u32| {
        let counted = common.iter().find(|(common, _)| *common == i64::from(gram.cast_signed()));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = counted.map_or(UNCOUNTED, |(_, millionths)| *millionths as f64 / 1e6);
        (share, *gram)
    };
    Ok(grams.iter().map(share).collect())
}

/// The n-grams of a query, and the estimated share of texts that have all of them.
struct Selective {
    grams: Vec<u32>,
    share: f64,
}

/// Chooses the n-grams that find the texts fastest. A search reads many postings of each of its n-grams, and some
/// n-grams are in nearly every text.
fn selective(mut by_share: Vec<(f64, u32)>) -> Selective {
    by_share.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // A further n-gram is worth its cost while it spares more texts from being compared than it has postings to read.
    let mut chosen = Selective { grams: Vec::new(), share: 1.0 };
    for (share, gram) in by_share {
        if chosen.grams.is_empty() || chosen.share * COMPARING * (1.0 - share) > share {
            chosen.grams.push(gram);
            chosen.share *= share;
        }
    }
    chosen
}

fn words(grams: &[u32], between: &str) -> String {
    grams.iter().map(|gram| format!("{gram:08x}")).collect::<Vec<_>>().join(between)
}

fn array(grams: &[u32]) -> String {
    let inner = grams.iter().map(|gram| gram.cast_signed().to_string()).collect::<Vec<_>>().join(",");
    format!("{{{inner}}}")
}

/// Returns the n-grams of a term: the term itself if it is short, else its runs of three characters.
fn query_grams(term: &str) -> Vec<u32> {
    let length = term.chars().count().min(3);
    if length == 0 || term.contains(SEPARATOR) {
        return Vec::new();
    }
    let distinct: BTreeSet<u32> = windows(term, length).collect();
    distinct.into_iter().take(MAX_QUERY_NGRAMS).collect()
}

/// Returns hashes of every run of `length` characters that does not cross the separator: 32 bits, multiplied as in
/// FNV-1a, with a rotation, over whole characters. A collision only makes a search compare one more text.
fn windows(text: &str, length: usize) -> impl Iterator<Item = u32> {
    let mut hashes = Vec::new();
    for part in text.split(SEPARATOR) {
        let letters: Vec<char> = part.chars().collect();
        hashes.extend(letters.windows(length).map(|window| {
            window.iter().fold(0x811c_9dc5_u32, |hash, letter| {
                (hash ^ u32::from(*letter)).wrapping_mul(0x0100_0193).rotate_left(5)
            })
        }));
    }
    hashes.into_iter()
}
