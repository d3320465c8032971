//! The choice of a language that this server writes.

use crate::word::Language;

impl Language {
    /// Returns the language that a tag such as `de-AT` names (RFC 5646); `None` if it is another one.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(primary)).map(|(_, language)| *language)
    }

    /// Returns the language that a header `Accept-Language` prefers (RFC 9110, 12.5.4); `None` if it names none of them.
    pub fn preferred(accepted: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for part in accepted.split(',') {
            let (tag, weight) = match part.split_once(';') {
                None => (part, 1.0),
                Some((tag, weight)) => {
                    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
                    (tag, weight.unwrap_or(0.0))
                }
            };
            let Some(language) = Self::of_tag(tag) else { continue };
            if weight > best.map_or(0.0, |(most, _)| most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
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
            ("deu", None),
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
            ("fr, de;q=0.5, en;q=0.7", Some(Language::English)),
            ("en;q=0.5,de;q=0.5", Some(Language::English)),
            ("de;q=0, en;q=0.1", Some(Language::English)),
            ("de;q=NaN, en;q=x", None),
            ("fr", None),
            ("", None),
        ] {
            assert_eq!(Language::preferred(accepted), language, "{accepted}");
        }
    }
}
