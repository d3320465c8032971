//! Patterns of push rules: `*` stands for any text, `?` for one character.
//!
//! People choose the patterns, and others the texts in which they are looked for while a message is stored. So all
//! places where a pattern can stand are followed at once, a bit for each, in one walk through the text.

/// The longest pattern, in bytes, and the most wildcards in one.
const LONGEST: usize = 512;
const MOST_WILDCARDS: usize = 32;
/// Of so many numbers are the bits of the longest pattern, which may become longer in lower case.
const NUMBERS: usize = 12;

/// A bit for each place of a pattern: so many of its characters were found.
type Places = [u64; NUMBERS];

/// Whether a pattern is neither too long nor too wild.
pub fn is_allowed(pattern: &str) -> bool {
    pattern.len() <= LONGEST && pattern.matches(['*', '?']).count() <= MOST_WILDCARDS
}

/// Where a pattern must be found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whither {
    /// It must be like the whole text.
    Whole,
    /// It must be like a part that begins and ends at the border of a word.
    Words,
}

/// Whether a text is like a pattern. Both are in lower case.
pub(super) fn matches(pattern: &str, text: &str, whither: Whither) -> bool {
    let pieces = pattern.split(['*', '?']);
    // What most texts do not have.
    let longest = pieces.max_by_key(|piece| piece.len()).unwrap_or_default();
    is_allowed_in_lower_case(pattern)
        && text.contains(longest)
        && Followed::new(pattern.chars().map(Element::of)).is_in(text, whither)
}

/// Whether a name occurs in a text, from the border of a word to one. Both are in lower case.
pub(super) fn contains(name: &str, text: &str) -> bool {
    name.len() <= LONGEST
        && text.contains(name)
        && Followed::new(name.chars().map(Element::Char)).is_in(text, Whither::Words)
}

fn is_allowed_in_lower_case(pattern: &str) -> bool {
    pattern.chars().count() < NUMBERS * 64 && pattern.matches(['*', '?']).count() <= MOST_WILDCARDS
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

/// A pattern whose places are followed through a text.
struct Followed {
    /// From which places each character leads to the next, by character.
    by_char: Vec<(char, Places)>,
    /// From which places any character does.
    any: Places,
    /// Where any character leads nowhere else.
    stays: Places,
    /// The last place.
    end: usize,
}

fn set(places: &mut Places, place: usize) {
    if let Some(number) = places.get_mut(place / 64) {
        *number |= 1 << (place % 64);
    }
}

fn has(places: &Places, place: usize) -> bool {
    places.get(place / 64).is_some_and(|number| number & (1 << (place % 64)) != 0)
}

impl Followed {
    fn new(elements: impl Iterator<Item = Element>) -> Self {
        let mut followed = Self { by_char: Vec::new(), any: [0; NUMBERS], stays: [0; NUMBERS], end: 0 };
        for element in elements {
            match element {
                Element::AnyText => {
                    set(&mut followed.stays, followed.end);
                    continue;
                }
                Element::AnyChar => set(&mut followed.any, followed.end),
                Element::Char(c) => {
                    let place = followed.by_char.partition_point(|(other, _)| *other < c);
                    if followed.by_char.get(place).is_none_or(|(other, _)| *other != c) {
                        followed.by_char.insert(place, (c, [0; NUMBERS]));
                    }
                    if let Some((_, places)) = followed.by_char.get_mut(place) {
                        set(places, followed.end);
                    }
                }
            }
            followed.end += 1;
        }
        followed
    }

    /// Where a character leads from some places.
    fn step(&self, at: &mut Places, c: char) {
        let leads = self.by_char.binary_search_by_key(&c, |(other, _)| *other).ok();
        let leads =
            leads.and_then(|found| self.by_char.get(found)).map_or([0; NUMBERS], |(_, places)| *places);
        let mut carried = 0;
        let each = at.iter_mut().zip(leads).zip(self.any).zip(self.stays);
        for (((number, by_char), any), stays) in each.take(self.end / 64 + 1) {
            let moved = *number & (by_char | any);
            *number = (moved << 1) | carried | (*number & stays);
            carried = moved >> 63;
        }
    }

    fn is_in(&self, text: &str, whither: Whither) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let (mut at, mut before, mut rest) = ([0; NUMBERS], None, text.chars());
        if self.end == 0 && !has(&self.stays, 0) {
            return text.is_empty();
        }
        loop {
            let next = rest.next();
            let (begins, ends) = match whither {
                Whither::Whole => (before.is_none(), next.is_none()),
                Whither::Words => {
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
            assert_eq!(matches(pattern, text, Whither::Whole), expected, "{pattern} {text}");
        }
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
            assert_eq!(matches(pattern, text, Whither::Words), expected, "{pattern} {text}");
        }
        assert!(contains("a*b", "is a*b here?"));
        assert!(!contains("a*b", "is a..b here?"));
    }

    #[test]
    fn patterns_of_any_length() {
        for length in [63, 64, 65, 128, 512] {
            let (pattern, text) = ("a".repeat(length), "a".repeat(length));
            assert!(matches(&pattern, &text, Whither::Whole), "{length}");
            assert!(!matches(&pattern, &text[1..], Whither::Whole), "{length}");
            assert!(
                matches(&format!("{}?", &pattern[1..]), &format!("b {text}"), Whither::Words),
                "{length}"
            );
        }
        assert!(!is_allowed(&"a".repeat(513)));
        assert!(is_allowed(&"?".repeat(32)));
        assert!(!is_allowed(&"*?".repeat(17)));
    }
}
