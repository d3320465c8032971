//! Mentions by name: the text of a message contains the name of a member in the room, or the localpart.
//!
//! A message is not compared with the names of all members: it can contain a name only if it contains the first word of
//! the name. That word is stored with each membership, under an index.

use std::collections::BTreeSet;

use reeve_model::id;
use reeve_store::memberships::NameWords;
use serde_json::{Map, Value};

/// The maximum length of a word, in characters of ASCII. Longer words are cut.
const MAX_WORD: usize = 64;

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the first word of a name: lower-case letters, digits and underscores of ASCII; if it has none, its first
/// character. Patterns match names at the boundaries of such words.
fn first_word(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let word: String =
        name.chars().skip_while(|c| !is_word(*c)).take_while(|c| is_word(*c)).take(MAX_WORD).collect();
    if word.is_empty() { name.chars().next().map(String::from) } else { Some(word) }
}

/// Returns all words in a text in lower case that can be the first word of a name.
pub(super) fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let words = words.map(|word| word.get(..MAX_WORD).unwrap_or(word));
    let others = text.char_indices().filter(|(_, c)| !is_word(*c));
    words.chain(others.filter_map(|(at, c)| text.get(at..at + c.len_utf8()))).collect()
}

/// Returns the words by which a member is found. A missing name gets a word that no message contains.
pub(crate) fn words_of(user_id: &str, content: &Map<String, Value>) -> NameWords {
    let name = content.get("displayname").and_then(Value::as_str);
    let localpart = id::split(user_id).map(|(localpart, _)| localpart).unwrap_or_default();
    let word = |text: Option<&str>| text.and_then(first_word).unwrap_or_else(|| NO_WORD.to_owned());
    NameWords { name: word(name), localpart: word(Some(localpart)) }
}

/// A word that no message contains: words of several characters have letters, digits and underscores only.
const NO_WORD: &str = "--";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_first_word() {
        for (name, expected) in [
            ("Anna Maria", Some("anna")),
            ("  (Ren\u{e9})", Some("ren")),
            ("\u{4e0a}\u{6d77}", Some("\u{4e0a}")),
            ("\u{1f389} Party", Some("party")),
            ("", None),
        ] {
            assert_eq!(first_word(name).as_deref(), expected, "{name}");
            if let Some(word) = first_word(name) {
                assert!(words(&format!("so {}!", name.to_lowercase())).contains(&*word), "{name}");
            }
        }
        let long = "x".repeat(1000);
        assert!(words(&long).contains(&*first_word(&long).unwrap()));
        assert!(!words("a--b").contains(NO_WORD));
    }
}
