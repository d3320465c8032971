//! Words of texts, by which messages are found.
//!
//! Texts are divided here and not by the engines, so that both find the same. A word is a run of letters and digits. A
//! letter of a script without spaces between words, such as Chinese, Japanese, Thai, is a word of its own, and so is an
//! emoji. Case and accents do not count.

use reeve_db::Engine;
use serde_json::json;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The maximum length of a word in the index, in characters. Longer words are cut.
const MAX_WORD: usize = 64;
/// The maximum number of words of a search. More would not make it more selective.
const MAX_QUERY_WORDS: usize = 32;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word, without case and accents.
    pub text: String,
    /// True if it follows the word before directly.
    pub follows: bool,
}

/// Folds case and accents.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.to_lowercase().nfkd().filter(|c| !is_accent(*c)).nfc() {
        // Letters that Unicode does not decompose, though people take them for accented ones.
        match c {
            '\u{df}' => folded.push_str("ss"),
            '\u{e6}' => folded.push_str("ae"),
            '\u{153}' => folded.push_str("oe"),
            '\u{f8}' => folded.push('o'),
            '\u{111}' | '\u{f0}' => folded.push('d'),
            '\u{142}' => folded.push('l'),
            '\u{131}' => folded.push('i'),
            c => folded.push(c),
        }
    }
    folded
}

/// Returns true if a character only marks the one before it. The voicing marks of kana are no accents, since they make
/// other letters.
fn is_accent(c: char) -> bool {
    c.general_category() == GeneralCategory::NonspacingMark && !matches!(c, '\u{3099}' | '\u{309a}')
}

/// The role of a character in the words of a text.
enum Part {
    /// A part of a longer word.
    Letter,
    /// A word of its own.
    Word,
    /// Ignored, such as the joiner of two emoji.
    Nothing,
    /// A border between words.
    Between,
}

fn part(c: char) -> Part {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Part::Letter } else { Part::Between };
    }
    if is_unspaced(c) {
        return Part::Word;
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number | GeneralCategoryGroup::Mark => {
            Part::Letter
        }
        GeneralCategoryGroup::Symbol => Part::Word,
        GeneralCategoryGroup::Other if c.general_category() == GeneralCategory::Format => Part::Nothing,
        // Emoji that are younger than the table of categories.
        GeneralCategoryGroup::Other if ('\u{1f000}'..'\u{20000}').contains(&c) => Part::Word,
        GeneralCategoryGroup::Other | GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Separator => {
            Part::Between
        }
    }
}

/// Returns true if a character belongs to a script without spaces between words, or to Hangul, whose words have so many
/// endings that only single letters are searched for.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Myanmar, Khmer.
        '\u{e01}'..='\u{edf}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17dd}'
        // Signs of repetition, kana, bopomofo.
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}'
        // Han.
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        // Hangul.
        | '\u{ac00}'..='\u{d7af}')
        && !matches!(c, '\u{30fb}' | '\u{e3f}')
}

/// Returns the words of a text, in order.
pub fn split(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    // `open`: the last word may go on. `apart`: something was between it and the next character.
    let (mut open, mut apart) = (false, true);
    for c in fold(text).chars() {
        match part(c) {
            Part::Nothing => {}
            Part::Between => (open, apart) = (false, true),
            Part::Letter if open => {
                if let Some(word) = words.last_mut()
                    && word.text.chars().count() < MAX_WORD
                {
                    word.text.push(c);
                }
            }
            Part::Letter => {
                words.push(Word { text: c.to_string(), follows: !apart });
                (open, apart) = (true, false);
            }
            Part::Word => {
                words.push(Word { text: c.to_string(), follows: !apart });
                (open, apart) = (false, false);
            }
        }
    }
    words
}

/// Returns true if a text has all words of a term. Words that follow each other directly in the term must do so in the
/// text.
pub fn matches(text: &str, term: &str) -> bool {
    let (words, wanted) = (split(text), split(term));
    phrases(&wanted).all(|phrase| {
        words.windows(phrase.len()).any(|window| {
            let is_same = window.iter().zip(phrase).all(|(word, wanted)| word.text == wanted.text);
            is_same && window.iter().skip(1).all(|word| word.follows)
        })
    })
}

/// Returns the parts of a term that clients can highlight in a result, in lower case.
pub fn highlights(term: &str) -> Vec<String> {
    let term = term.to_lowercase();
    let parts = term.split(|c| matches!(part(c), Part::Between)).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn phrases(words: &[Word]) -> impl Iterator<Item = &[Word]> {
    words.chunk_by(|_, word| word.follows)
}

fn distinct(text: &str) -> Vec<String> {
    let mut words: Vec<String> = split(text).into_iter().map(|word| word.text).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Returns the words of a text in the form of the index; `None` if it has none.
pub(crate) fn document(engine: Engine, text: &str) -> Option<String> {
    let words = distinct(text);
    if words.is_empty() {
        return None;
    }
    Some(match engine {
        Engine::Sqlite => words.join(" "),
        Engine::Postgres => json!(words).to_string(),
    })
}

/// Returns the query for texts that have all words of a term; `None` if it has none. Words have no quotation marks.
pub(crate) fn query(engine: Engine, term: &str) -> Option<String> {
    let mut words = distinct(term);
    words.truncate(MAX_QUERY_WORDS);
    if words.is_empty() {
        return None;
    }
    Some(match engine {
        Engine::Sqlite => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" "),
        Engine::Postgres => words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" & "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_divided() {
        for (text, expected) in [
            ("The Garden, isn't it? x_1", "The|Garden|isn|t|it|x|1"),
            (
                "\u{6211}\u{5bb6}\u{5728}\u{4e0a}\u{6d77}\u{4e1c}\u{8fb9}\u{3002}",
                "\u{6211}|\u{5bb6}|\u{5728}|\u{4e0a}|\u{6d77}|\u{4e1c}|\u{8fb9}",
            ),
            ("iPhone\u{624b}\u{673a}15", "iPhone|\u{624b}|\u{673a}|15"),
            ("party\u{1f389}\u{1f389} \u{2764}\u{fe0f}!", "party|\u{1f389}|\u{1f389}|\u{2764}"),
            (
                "Ren\u{e9} Rene\u{301} stra\u{df}e \u{130}zmir \u{141}\u{f3}d\u{17a}",
                "rene|rene|strasse|izmir|lodz",
            ),
            ("\u{ff28}\u{ff49}", "hi"),
            ("\u{304c}", "\u{304c}"),
            (" -- ", ""),
        ] {
            let words: Vec<String> = split(text).into_iter().map(|word| word.text).collect();
            assert_eq!(words.join("|"), expected.to_lowercase(), "{text}");
        }
        assert_eq!(split(&"x".repeat(1000))[0].text.len(), MAX_WORD);
    }

    #[test]
    fn what_stands_together_is_found_together() {
        let text = "\u{6211}\u{5bb6}\u{5728}\u{4e0a}\u{6d77}\u{4e1c}\u{8fb9}";
        assert!(matches(text, "\u{4e0a}\u{6d77}"));
        assert!(matches(text, "\u{6d77} \u{4e0a}"));
        assert!(!matches(text, "\u{6d77}\u{4e0a}"));
        assert!(!matches("\u{4e0a} \u{6d77}", "\u{4e0a}\u{6d77}"));
        assert!(matches("my secret garden", "GARDEN secret"));
        assert!(!matches("gardens", "garden"));
        assert!(matches("\u{1f44d}\u{1f3fd}", "\u{1f44d}"));
    }
}
