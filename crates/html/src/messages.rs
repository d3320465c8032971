//! The texts of pages, by key, in each language.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use reeve_model::Language;
use unic_langid::LanguageIdentifier;

use crate::error::Error;

/// The texts of one language.
type Texts = FluentBundle<FluentResource>;

/// The texts of pages.
pub(crate) struct Messages {
    english: Texts,
    german: Texts,
}

/// Returns the message file of a language.
const fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../messages/en.ftl"),
        Language::German => include_str!("../messages/de.ftl"),
    }
}

fn load(language: Language) -> Result<Texts, Error> {
    let failed = |reason: String| Error::Messages { language: language.as_str(), reason };
    let locale = language.as_str().parse::<LanguageIdentifier>();
    let locale = locale.map_err(|reason| failed(format!("{reason:?}")))?;
    let resource = FluentResource::try_new(source(language).to_owned())
        .map_err(|(_, reasons)| failed(format!("{reasons:?}")))?;
    let mut texts = FluentBundle::new_concurrent(vec![locale]);
    // Templates isolate names of people with <bdi>.
    texts.set_use_isolating(false);
    texts.add_resource(resource).map_err(|reasons| failed(format!("{reasons:?}")))?;
    Ok(texts)
}

impl Messages {
    /// Loads the texts of all languages.
    pub(crate) fn load() -> Result<Self, Error> {
        Ok(Self { english: load(Language::English)?, german: load(Language::German)? })
    }

    /// Returns a text with its values filled in. The error says what is wrong with the key or the values.
    pub(crate) fn text(
        &self,
        language: Language,
        key: &str,
        values: &FluentArgs<'_>,
    ) -> Result<String, String> {
        let texts = match language {
            Language::English => &self.english,
            Language::German => &self.german,
        };
        let message = texts.get_message(key).and_then(|message| message.value());
        let pattern = message.ok_or_else(|| format!("there is no text '{key}'"))?;
        let mut wrong = Vec::new();
        let text = texts.format_pattern(pattern, Some(values), &mut wrong).into_owned();
        if wrong.is_empty() { Ok(text) } else { Err(format!("the text '{key}': {wrong:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Returns the texts of a language as they are written, by key.
    fn written(language: Language) -> BTreeMap<String, String> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        let mut key = String::new();
        for line in source(language).lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let text = match line.split_once(" =") {
                Some((new, text)) if !line.starts_with(' ') => {
                    new.clone_into(&mut key);
                    assert!(!texts.contains_key(&key), "{key} occurs twice");
                    text
                }
                Some(_) | None => line,
            };
            texts.entry(key.clone()).or_default().push_str(text);
        }
        texts
    }

    /// Returns the names of the values in a text.
    fn values(text: &str) -> Vec<&str> {
        let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let mut values: Vec<&str> =
            text.split('$').skip(1).filter_map(|rest| rest.split(is_end).next()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Adds the text of all templates and source files in a folder.
    fn gather(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, all);
            } else {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_language_has_the_same_texts() {
        Messages::load().unwrap();
        let english = written(Language::English);
        for (_, language) in Language::WORDS {
            let texts = written(*language);
            assert_eq!(texts.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language:?}");
            for (key, text) in &texts {
                assert_eq!(values(text), values(&english[key]), "{key} in {language:?}");
            }
        }
    }

    #[test]
    fn every_text_is_used_and_exists() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (mut templates, mut sources) = (String::new(), String::new());
        gather(&crates.join("html/templates"), &mut templates);
        for folder in ["app/src", "pages/src"] {
            gather(&crates.join(folder), &mut sources);
        }
        let english = written(Language::English);
        let is_used = |key: &str| {
            let quoted = format!("\"{key}\"");
            templates.contains(&quoted) || sources.contains(&quoted)
        };
        let unused: Vec<&String> = english.keys().filter(|key| !is_used(key)).collect();
        assert!(unused.is_empty(), "nothing shows {unused:?}");
        let asked = templates.split("t(\"").skip(1).filter_map(|rest| rest.split('"').next());
        // A name of another function can end with the same letter.
        let missing: Vec<&str> = asked.filter(|key| !key.is_empty() && !english.contains_key(*key)).collect();
        assert!(missing.is_empty(), "there is no text for {missing:?}");
    }
}
