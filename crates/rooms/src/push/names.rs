//! The members whom the words of a message mention: it contains their name in the room or their localpart.
//!
//! A message need not be compared with the names of all members: a name can only be in it if the first word of the name
//! is. That word stands with each membership, under an index.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_db::{DbError, Tx};
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::{Pos, id};
use reeve_store::events;
use reeve_store::memberships::{self, NameWords};
use serde_json::{Map, Value};

/// The name of the job that finds the words for old memberships, which a migration queues.
const JOB: &str = "index_member_names";
/// How many memberships one step looks at.
const STEP_MEMBERS: i64 = 500;

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

/// The job that finds the words of memberships from before they were kept.
pub fn job() -> Kind {
    Kind { name: JOB, step: Arc::new(|tx, job, _| step(tx, job)) }
}

fn step(tx: &mut Tx<'_>, job: &Job) -> Result<Step, StepError> {
    let batch = memberships::without_words(tx, STEP_MEMBERS)?;
    if batch.is_empty() {
        return Ok(Step::Done { result: "null".to_owned(), done: job.done });
    }
    let done = job.done.saturating_add(i64::try_from(batch.len()).unwrap_or(STEP_MEMBERS));
    for member in batch {
        let words = words_of(&member.user_id, &content(tx, member.event_pos)?);
        memberships::set_words(tx, &member.user_id, member.room_num, &words)?;
    }
    Ok(Step::More { payload: job.payload.clone(), done, total: job.total.max(done) })
}

/// The content of the event at a position; empty if it cannot be read. Of redacted events too: only words for comparing are taken
/// from it, and the name is compared with what is left.
fn content(tx: &Tx<'_>, pos: Pos) -> Result<Map<String, Value>, DbError> {
    let Some(event) = events::by_pos(tx, pos)? else { return Ok(Map::new()) };
    let event: Value = serde_json::from_str(&event.json).unwrap_or_default();
    Ok(event.get("content").and_then(Value::as_object).cloned().unwrap_or_default())
}

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
