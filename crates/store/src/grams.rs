//! Pieces of texts, by which substrings are found: an index holds every piece of one to three letters ("gram"), and a
//! search asks for what has all grams of the term, so that a short term is as quick as a long one. What is found is
//! then compared itself.

use std::collections::BTreeSet;

use reeve_db::{DbError, Engine, ReadTx, Statement, params};

/// Stands between the parts of a text, so that no match spans two. Not a character people type.
pub(crate) const SEPARATOR: char = '\u{1f}';
/// More grams than this do not narrow a search down any further.
const MAX_QUERY_GRAMS: usize = 12;
/// How many holders of a gram are looked at to see how common it is.
const SAMPLED: i64 = if cfg!(test) { 10 } else { 100 };
/// How many holders of a gram can be gone through while one text is read and compared.
const COMPARING: f64 = 400.0;

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

/// The numbers of up to `most` texts that may contain a folded term; `None` where the index cannot help. `statement`
/// asks for the numbers of texts that have all grams of a query (`$1`), at most `$2`; on SQLite in ascending order.
pub(crate) fn holders(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    term: &str,
    most: i64,
) -> Result<Option<Vec<i64>>, DbError> {
    let grams = query_grams(term);
    if grams.is_empty() {
        return Ok(None);
    }
    let ask = |query: &str, most: i64| tx.query(statement, &params![query, most], |row| row.get::<i64>(0));
    if tx.engine() == Engine::Postgres {
        return ask(&array(&grams), most).map(Some);
    }
    let telling = telling(&grams, |gram| ask(&words(&[gram], ""), SAMPLED))?;
    let found = ask(&words(&telling, " AND "), most)?;
    if telling.len() < grams.len() && i64::try_from(found.len()).is_ok_and(|found| found >= most) {
        // These told less than it seemed.
        return ask(&words(&grams, " AND "), most).map(Some);
    }
    Ok(Some(found))
}

/// Those grams by which texts are found fastest. SQLite's index goes through all holders of each gram it is asked for, and
/// some are in nearly every text. How common a gram is, is estimated from its first holders, which `first` answers: up
/// to [`SAMPLED`] numbers, ascending.
fn telling(grams: &[u32], first: impl Fn(u32) -> Result<Vec<i64>, DbError>) -> Result<Vec<u32>, DbError> {
    if grams.len() < 2 {
        return Ok(grams.to_vec());
    }
    let mut by_share = Vec::with_capacity(grams.len());
    for gram in grams {
        let holders = first(*gram)?;
        let last = holders.last().copied().unwrap_or_default();
        let full = i64::try_from(holders.len()).is_ok_and(|len| len >= SAMPLED);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = if full { SAMPLED as f64 / last.max(SAMPLED) as f64 } else { 0.0 };
        by_share.push((share, *gram));
    }
    by_share.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // Another gram is worth its cost while it spares more texts to be compared than it has holders to go through.
    let (mut telling, mut left) = (Vec::new(), 1.0);
    for (share, gram) in by_share {
        if telling.is_empty() || left * COMPARING * (1.0 - share) > share {
            telling.push(gram);
            left *= share;
        }
    }
    Ok(telling)
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
