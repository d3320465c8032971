//! Patterns of push rules and filters: `*` matches any text, and in push rules `?` one character.
//!
//! Some users choose the patterns, and others the texts that are searched while a message is stored. So a pattern is a
//! bit-parallel NFA (Shift-And): all its states are followed at once, a bit for each, in one walk through the text.

/// Maximum length of a pattern of a push rule, in bytes, and maximum number of wildcards in one.
const MAX_LENGTH: usize = 512;
const MAX_WILDCARDS: usize = 32;
/// The number of words that hold the bits of the longest pattern, which may become longer in lower case.
const WORDS: usize = 12;

/// A bit for each state: how many characters of the pattern were found.
type States = [u64; WORDS];

/// Returns true if a pattern is neither too long nor has too many wildcards.
pub fn is_allowed(pattern: &str) -> bool {
    pattern.len() <= MAX_LENGTH && pattern.matches(['*', '?']).count() <= MAX_WILDCARDS
}

/// The place where a pattern must match in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The whole text.
    Whole,
    /// A part that begins and ends at word boundaries.
    Words,
}

/// Returns true if a text, or a part of it, matches a pattern with `*` and `?`. Both are in lower case.
pub(crate) fn matches(pattern: &str, text: &str, anchor: Anchor) -> bool {
    let pieces = pattern.split(['*', '?']);
    // Most texts lack the longest piece.
    let longest = pieces.max_by_key(|piece| piece.len()).unwrap_or_default();
    is_allowed_in_lower_case(pattern)
        && text.contains(longest)
        && Automaton::new(pattern.chars().map(Element::of)).matches(text, anchor)
}

/// Returns true if a whole text matches a pattern in which `*` alone is a wildcard. A pattern with more characters than
/// there are bits matches nothing: types of events and data are shorter.
pub(crate) fn matches_star(pattern: &str, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    let elements = pattern.chars().map(|c| if c == '*' { Element::AnyText } else { Element::Char(c) });
    pattern.chars().filter(|c| *c != '*').count() < WORDS * 64
        && Automaton::new(elements).matches(text, Anchor::Whole)
}

/// Returns true if a name occurs in a text between word boundaries. Both are in lower case.
pub(crate) fn contains(name: &str, text: &str) -> bool {
    name.len() <= MAX_LENGTH
        && text.contains(name)
        && Automaton::new(name.chars().map(Element::Char)).matches(text, Anchor::Words)
}

fn is_allowed_in_lower_case(pattern: &str) -> bool {
    pattern.chars().count() < WORDS * 64 && pattern.matches(['*', '?']).count() <= MAX_WILDCARDS
}

#[derive(Clone, Copy)]
enum Element {
    Char(char),
    AnyChar,
    AnyText,
}

impl Element {
    fn of(c: char) -> Self {
        match c {
            '*' => Self::AnyText,
            '?' => Self::AnyChar,
            c => Self::Char(c),
        }
    }
}

/// A pattern as an automaton.
struct Automaton {
    /// The states that each character advances, sorted by character.
    by_char: Vec<(char, States)>,
    /// The states that any character advances.
    any: States,
    /// The states that any character keeps.
    stays: States,
    /// The last state.
    end: usize,
}

fn set(states: &mut States, state: usize) {
    if let Some(word) = states.get_mut(state / 64) {
        *word |= 1 << (state % 64);
    }
}

fn has(states: &States, state: usize) -> bool {
    states.get(state / 64).is_some_and(|word| word & (1 << (state % 64)) != 0)
}

impl Automaton {
    fn new(elements: impl Iterator<Item = Element>) -> Self {
        let mut automaton = Self { by_char: Vec::new(), any: [0; WORDS], stays: [0; WORDS], end: 0 };
        for element in elements {
            match element {
                Element::AnyText => {
                    set(&mut automaton.stays, automaton.end);
                    continue;
                }
                Element::AnyChar => set(&mut automaton.any, automaton.end),
                Element::Char(c) => {
                    let at = automaton.by_char.partition_point(|(other, _)| *other < c);
                    if automaton.by_char.get(at).is_none_or(|(other, _)| *other != c) {
                        automaton.by_char.insert(at, (c, [0; WORDS]));
                    }
                    if let Some((_, states)) = automaton.by_char.get_mut(at) {
                        set(states, automaton.end);
                    }
                }
            }
            automaton.end += 1;
        }
        automaton
    }

    /// Updates the states for a character.
    fn step(&self, at: &mut States, c: char) {
        let leads = self.by_char.binary_search_by_key(&c, |(other, _)| *other).ok();
        let leads = leads.and_then(|found| self.by_char.get(found)).map_or([0; WORDS], |(_, states)| *states);
        let mut carried = 0;
        let each = at.iter_mut().zip(leads).zip(self.any).zip(self.stays);
        for (((word, by_char), any), stays) in each.take(self.end / 64 + 1) {
            let moved = *word & (by_char | any);
            *word = (moved << 1) | carried | (*word & stays);
            carried = moved >> 63;
        }
    }

    fn matches(&self, text: &str, anchor: Anchor) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let (mut at, mut before, mut rest) = ([0; WORDS], None, text.chars());
        if self.end == 0 && !has(&self.stays, 0) {
            return text.is_empty();
        }
        loop {
            let next = rest.next();
            let (begins, ends) = match anchor {
                Anchor::Whole => (before.is_none(), next.is_none()),
                Anchor::Words => {
                    let border = !is_word(before) || !is_word(next);
                    (border, border)
                }
            };
            if begins {
                set(&mut at, 0);
            }
            if ends && has(&at, self.end) {
                return true;
            }
            let Some(c) = next else { return false };
            self.step(&mut at, c);
            before = Some(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts() {
        for (pattern, text, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.*", "m.room.message", true),
            ("*message", "m.room.message", true),
            ("m?room?m*e", "m.room.message", true),
            ("m?room", "m..room", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "ä", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a b b c", true),
            ("a*b*c", "a c b", false),
            ("**a**", "a", true),
        ] {
            assert_eq!(matches(pattern, text, Anchor::Whole), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn stars_alone() {
        for (pattern, text) in [
            ("m.room.*", "m.room.name"),
            ("*", ""),
            ("a*c*e", "abcde"),
            ("m.x", "m.x"),
            ("*b", "ab"),
            ("a?*", "a?b"),
        ] {
            assert!(matches_star(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("m.room.*", "m.roo"), ("", "a"), ("a*c", "abcd"), ("m.x", "m.xy"), ("a*a", "a"), ("a?*", "abc")]
        {
            assert!(!matches_star(pattern, text), "{pattern} {text}");
        }
        assert!(matches_star(&"*".repeat(1000), "a"));
        assert!(!matches_star(&format!("{}*", "a".repeat(1000)), "a"));
    }

    #[test]
    fn words_in_texts() {
        for (pattern, text, expected) in [
            ("cake", "some cake!", true),
            ("cake", "cakes", false),
            ("cake", "pancake cake", true),
            ("cake*lie", "the cake is a lie.", true),
            ("cake*lie", "the cake is a lier", false),
            ("ex*ple", "an example event.", true),
            ("exam*", "an example event.", true),
            ("a a", "ba a a", true),
            ("c?ke", "a coke", true),
            ("c?ke", "a cooke", false),
            ("@room", "hello @room", true),
            ("@room", "hello@room", true),
            ("über", "über-all", true),
            ("a_b", "a_b_c", false),
            ("", "text", false),
        ] {
            assert_eq!(matches(pattern, text, Anchor::Words), expected, "{pattern} {text}");
        }
        assert!(contains("a*b", "is a*b here?"));
        assert!(!contains("a*b", "is a..b here?"));
    }

    #[test]
    fn patterns_of_any_length() {
        for length in [63, 64, 65, 128, 512] {
            let (pattern, text) = ("a".repeat(length), "a".repeat(length));
            assert!(matches(&pattern, &text, Anchor::Whole), "{length}");
            assert!(!matches(&pattern, &text[1..], Anchor::Whole), "{length}");
            assert!(matches(&format!("{}?", &pattern[1..]), &format!("b {text}"), Anchor::Words), "{length}");
        }
        assert!(!is_allowed(&"a".repeat(513)));
        assert!(is_allowed(&"?".repeat(32)));
        assert!(!is_allowed(&"*?".repeat(17)));
    }
}
