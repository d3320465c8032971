//! The members whom the words of a message mention: it contains their name in the room or their localpart.
//!
//! A message need not be compared with the names of all members: a name can only be in it if the first word of the name
//! is. That word stands with each membership, under an index.

use std::collections::BTreeSet;

use reeve_model::id;
use reeve_store::memberships::NameWords;
use serde_json::{Map, Value};

/// Longer words are cut, in characters, all of which are of ASCII.
const MAX_WORD: usize = 64;

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first word of a name: in lower case, letters, digits and underscores of ASCII; if it has none, its first character.
/// Patterns find names at the borders of such words.
fn first_word(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let word: String =
        name.chars().skip_while(|c| !is_word(*c)).take_while(|c| is_word(*c)).take(MAX_WORD).collect();
    if word.is_empty() { name.chars().next().map(String::from) } else { Some(word) }
}

/// All first words that a name can have which a text in lower case contains.
pub(super) fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let words = words.map(|word| word.get(..MAX_WORD).unwrap_or(word));
    let others = text.char_indices().filter(|(_, c)| !is_word(*c));
    words.chain(others.filter_map(|(at, c)| text.get(at..at + c.len_utf8()))).collect()
}

/// The words by which a member is found. A missing name has a word that no message contains.
pub(crate) fn words_of(user_id: &str, content: &Map<String, Value>) -> NameWords {
    let name = content.get("displayname").and_then(Value::as_str);
    let localpart = id::split(user_id).map(|(localpart, _)| localpart).unwrap_or_default();
    let word = |text: Option<&str>| text.and_then(first_word).unwrap_or_else(|| NO_WORD.to_owned());
    NameWords { name: word(name), localpart: word(Some(localpart)) }
}

/// No message has this word: one of several characters has letters, digits and underscores only.
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
