//! The choice of a language that this server writes.

use crate::word::Language;

/// Maximum number of languages that are read of a request.
const MAX_RANGES: usize = 50;

impl Language {
    /// Returns its name in itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// Returns the language that a tag such as `de-AT` names (RFC 5646); `None` if it is another one.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(primary)).map(|(_, language)| *language)
    }

    /// Returns the language that a header `Accept-Language` prefers (RFC 9110, 12.5.4); `None` if it names none of them, or rather
    /// has any other.
    pub fn preferred(accepted: &str) -> Option<Self> {
        let mut best = (0.0, None);
        for range in accepted.split(',').take(MAX_RANGES) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let language = Self::of_tag(tag);
            if language.is_none() && tag != "*" {
                continue;
            }
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, read_quality);
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }
}

/// Returns the value of a quality; 0 if it is malformed.
fn read_quality(text: &str) -> f32 {
    text.parse().ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_languages() {
        for (tag, language) in [
            ("en", Some(Language::English)),
            ("de-AT", Some(Language::German)),
            ("DE_de", Some(Language::German)),
            ("den", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Language::of_tag(tag), language, "{tag}");
        }
    }

    #[test]
    fn the_preferred_language() {
        for (accepted, language) in [
            ("de", Some(Language::German)),
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("fr, de;q=0.5, en;q=0.7", Some(Language::English)),
            ("en;q=0.5,de;q=0.5", Some(Language::English)),
            ("DE-de ; q=0.3", Some(Language::German)),
            ("de;q=0, en;q=0.1", Some(Language::English)),
            ("de;q=2, en;q=0.1", Some(Language::English)),
            ("de;q=0.5, *;q=0.1", Some(Language::German)),
            ("de;q=0.1, *", None),
            ("de;q=NaN, en;q=x", None),
            ("fr;q=0.9", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Language::preferred(accepted), language, "{accepted}");
        }
    }
}
