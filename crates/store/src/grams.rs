//! Pieces of texts, by which substrings are found: an index holds every piece of one to three letters ("gram"), and a
//! search asks for what has all grams of the term, so that a short term is as quick as a long one. What is found is
//! then compared itself.

use std::collections::BTreeSet;

use reeve_db::Engine;

/// Stands between the parts of a text, so that no match spans two. Not a character people type.
pub(crate) const SEPARATOR: char = '\u{1f}';
/// More grams than this do not narrow a search down any further.
const MAX_QUERY_GRAMS: usize = 12;

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

/// The query for all that may contain a folded term; `None` where the index cannot help.
pub(crate) fn query(engine: Engine, term: &str) -> Option<String> {
    let grams = query_grams(term);
    if grams.is_empty() {
        return None;
    }
    Some(match engine {
        Engine::Sqlite => words(&grams, " AND "),
        Engine::Postgres => array(&grams),
    })
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
