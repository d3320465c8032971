//! The languages of pages, and the choice of one for a request.

/// A language of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, also for people who understand none of the others.
    En,
    /// German.
    De,
}

/// Maximum number of languages that are read of a request.
const MAX_RANGES: usize = 50;

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// Returns its code (BCP 47).
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// Returns its name in itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
        }
    }

    /// Returns the language of a tag such as `de` or `de-AT`.
    pub fn of(tag: &str) -> Option<Self> {
        let code = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// Returns the language for a request: the chosen one, or else the one that its header `Accept-Language` prefers (RFC 9110,
    /// 12.5.4).
    pub fn negotiate(chosen: Option<&str>, accepted: &str) -> Self {
        if let Some(language) = chosen.and_then(Self::of) {
            return language;
        }
        let mut best: Option<(Self, f32)> = None;
        for range in accepted.split(',').take(MAX_RANGES) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let language = if tag == "*" { Some(Self::En) } else { Self::of(tag) };
            let Some(language) = language else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, read_quality);
            if quality > best.map_or(0.0, |(_, best)| best) {
                best = Some((language, quality));
            }
        }
        best.map_or(Self::En, |(language, _)| language)
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
    fn the_preferred_language_is_chosen() {
        for (chosen, accepted, language) in [
            (None, "", Language::En),
            (None, "de", Language::De),
            (None, "de-AT,de;q=0.9,en;q=0.8", Language::De),
            (None, "fr, en;q=0.5, de;q=0.7", Language::De),
            (None, "de;q=0.5, en", Language::En),
            (None, "de;q=0, *;q=0.1", Language::En),
            (None, "de;q=0", Language::En),
            (None, "de;q=2, en;q=0.1", Language::En),
            (None, "de;q=x", Language::En),
            (None, "fr;q=0.9", Language::En),
            (None, "DE-de ; q=0.3", Language::De),
            (None, "den", Language::En),
            (Some("de"), "en", Language::De),
            (Some("en"), "de", Language::En),
            (Some("fr"), "de", Language::De),
            (Some(""), "de", Language::De),
        ] {
            assert_eq!(Language::negotiate(chosen, accepted), language, "{chosen:?} {accepted}");
        }
    }
}
