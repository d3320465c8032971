//! Pieces of texts, by which substrings are found: an index holds every piece of one to three letters ("gram"), and a
//! search asks for what has all grams of the term, so that a short term is as quick as a long one. What is found is
//! then compared itself.

use std::collections::BTreeSet;

use reeve_db::{DbError, Engine, FromValue, ReadTx, Statement, params};

/// Stands between the parts of a text, so that no match spans two. Not a character people type.
pub(crate) const SEPARATOR: char = '\u{1f}';
/// More grams than this do not narrow a search down any further.
const MAX_QUERY_GRAMS: usize = 12;
/// How many holders of a gram are looked at to see how common it is.
const SAMPLED: i64 = if cfg!(test) { 10 } else { 100 };
/// The share that a gram is taken to have which is not among the most common thousand, as many as PostgreSQL counts.
const UNCOUNTED: f64 = 0.001;
/// How many holders of a gram can be gone through while one text is read and compared.
const COMPARING: f64 = 20.0;
/// A search is given up before it begins where it is estimated to find so many times as many as are wanted. Grams that
/// come together make it find more than estimated, not less.
const CLEARLY: f64 = 2.0;

reeve_db::statements! {
    /// The share of the rows of a table (`$1`), in millionths, that have each of some grams (`$2`), where that was counted.
    /// SQLite counts none.
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

/// A text in the form in which case does not matter.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// All grams of a text, in the form in which the index takes them.
pub(crate) fn document(engine: Engine, key: &str) -> String {
    let grams: BTreeSet<u32> = (1..=3).flat_map(|length| windows(key, length)).collect();
    let grams: Vec<u32> = grams.into_iter().collect();
    match engine {
        Engine::Sqlite => words(&grams, " "),
        Engine::Postgres => array(&grams),
    }
}

/// The numbers of up to `most` texts that may contain a folded term; `None` where the index cannot help: the term is
/// blank, or clearly more texts have it than `most`, `of` so many that there are. `statement` asks a table for the
/// numbers of texts that have all grams of a query (`$1`), at most `$2`; on SQLite in ascending order.
pub(crate) fn holders<N: FromValue>(
    tx: &ReadTx<'_>,
    (table, statement): (&str, &'static Statement),
    term: &str,
    most: i64,
    of: i64,
) -> Result<Option<Vec<N>>, DbError> {
    let grams = query_grams(term);
    if grams.is_empty() {
        return Ok(None);
    }
    let ask = |query: &str| tx.query(statement, &params![query, most], |row| row.get::<N>(0));
    let by_share = match tx.engine() {
        Engine::Sqlite => sampled(&grams, |gram| {
            tx.query(statement, &params![&words(&[gram], ""), SAMPLED], |row| row.get::<i64>(0))
        })?,
        Engine::Postgres => known(tx, table, &grams)?,
    };
    let (telling, share) = telling(by_share);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    if share * of as f64 > CLEARLY * most as f64 {
        return Ok(None);
    }
    let query = |grams: &[u32]| match tx.engine() {
        Engine::Sqlite => words(grams, " AND "),
        Engine::Postgres => array(grams),
    };
    let found = ask(&query(&telling))?;
    if telling.len() < grams.len() && i64::try_from(found.len()).is_ok_and(|found| found >= most) {
        // These told less than it seemed.
        return ask(&query(&grams)).map(Some);
    }
    Ok(Some(found))
}

/// Grams with the share of texts that have them, as SQLite lets it be estimated: from the first holders of each, which
/// `first` answers, up to [`SAMPLED`] numbers, ascending.
fn sampled(
    grams: &[u32],
    first: impl Fn(u32) -> Result<Vec<i64>, DbError>,
) -> Result<Vec<(f64, u32)>, DbError> {
    let share = |gram: &u32| {
        let holders = first(*gram)?;
        let last = holders.last().copied().unwrap_or_default();
        let full = i64::try_from(holders.len()).is_ok_and(|len| len >= SAMPLED);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = if full { SAMPLED as f64 / last.max(SAMPLED) as f64 } else { 0.0 };
        Ok((share, *gram))
    };
    grams.iter().map(share).collect()
}

/// Grams with the share of texts that have them, as PostgreSQL has counted it when it last analysed the table.
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

/// Those grams by which texts are found fastest, and the share of texts that have them. An index goes through many
/// holders of each gram it is asked for, and some are in nearly every text.
fn telling(mut by_share: Vec<(f64, u32)>) -> (Vec<u32>, f64) {
    by_share.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // Another gram is worth its cost while it spares more texts to be compared than it has holders to go through.
    let (mut telling, mut left) = (Vec::new(), 1.0);
    for (share, gram) in by_share {
        if telling.is_empty() || left * COMPARING * (1.0 - share) > share {
            telling.push(gram);
            left *= share;
        }
    }
    (telling, left)
}

fn words(grams: &[u32], between: &str) -> String {
    grams.iter().map(|gram| format!("{gram:08x}")).collect::<Vec<_>>().join(between)
}

fn array(grams: &[u32]) -> String {
    let inner = grams.iter().map(|gram| gram.cast_signed().to_string()).collect::<Vec<_>>().join(",");
    format!("{{{inner}}}")
}

/// The grams that a term must have: itself where it is short, else its pieces of three letters.
fn query_grams(term: &str) -> Vec<u32> {
    let length = term.chars().count().min(3);
    if length == 0 || term.contains(SEPARATOR) {
        return Vec::new();
    }
    let distinct: BTreeSet<u32> = windows(term, length).collect();
    distinct.into_iter().take(MAX_QUERY_GRAMS).collect()
}

/// Hashes of every run of `length` letters that does not cross the separator (FNV-1a, 32 bits; a collision only
/// makes one more text be compared).
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
