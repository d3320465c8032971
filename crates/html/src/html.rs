//! Pages, made of templates.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use fluent_bundle::FluentArgs;
use minijinja::value::{Kwargs, Object, Serde, Value, from_args};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, context};
use reeve_model::Language;
use serde::Serialize;

use crate::asset::Asset;
use crate::error::Error;
use crate::files::{Own, STYLESHEET, TEMPLATES};
use crate::messages::Messages;
use crate::settings::HtmlSettings;

/// The templates, texts and assets of pages: made once, when the server starts.
pub struct Html {
    environment: Environment<'static>,
    messages: Arc<Messages>,
    brand: String,
    stylesheet: Asset,
    logo: Option<Asset>,
}

impl Html {
    /// Loads the templates, texts and assets.
    pub fn new(settings: &HtmlSettings) -> Result<Self, Error> {
        let folder = settings.templates_folder.as_deref();
        let own = folder.map(Own::read).transpose()?.unwrap_or_default();
        let mut environment = Environment::new();
        // A value that a page lacks counts as false, and cannot be shown.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        for (name, text) in TEMPLATES.iter().filter(|(name, _)| !own.templates.contains_key(*name)) {
            let added = environment.add_template(name, text);
            added.map_err(|error| Error::Template { name: (*name).to_owned(), reason: reason(&error) })?;
        }
        for (name, text) in own.templates {
            let path = folder.map(|folder| folder.join(&name).display().to_string());
            let added = environment.add_template_owned(name, text);
            added.map_err(|error| Error::Template {
                name: path.unwrap_or_default(),
                reason: reason(&error),
            })?;
        }
        let stylesheet = own.stylesheet.as_deref().unwrap_or(STYLESHEET);
        Ok(Self {
            environment,
            messages: Arc::new(Messages::load()?),
            brand: settings.brand.clone(),
            stylesheet: Asset::stylesheet(format!("{}{stylesheet}", settings.accent.rule())),
            logo: settings.logo.as_deref().map(Asset::logo).transpose()?,
        })
    }

    /// Makes a page from a template and its values.
    pub fn render(
        &self,
        language: Language,
        template: &str,
        values: impl Serialize,
    ) -> Result<String, Error> {
        let translator = Translator { messages: Arc::clone(&self.messages), language };
        let languages: Vec<Value> = Language::WORDS
            .iter()
            .map(|(code, known)| context! { code => *code, name => known.name() })
            .collect();
        let values = context! {
            t => Value::from_object(translator),
            lang => language.as_str(),
            languages => languages,
            brand => self.brand.as_str(),
            stylesheet => self.stylesheet.name.as_str(),
            logo => self.logo.as_ref().map(|logo| logo.name.as_str()),
            ..Value::from(Serde(values))
        };
        let page = self.environment.get_template(template).and_then(|template| template.render(values));
        page.map_err(|error| Error::Render { template: template.to_owned(), reason: reason(&error) })
    }

    /// Returns the asset of a name.
    pub fn asset(&self, name: &str) -> Option<&Asset> {
        [Some(&self.stylesheet), self.logo.as_ref()].into_iter().flatten().find(|asset| asset.name == name)
    }
}

/// Returns an error of the template engine with its causes, in one line.
fn reason(error: &minijinja::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// The function `t` of templates, which returns a text in the language of the page.
struct Translator {
    messages: Arc<Messages>,
    language: Language,
}

impl fmt::Debug for Translator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translator").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Object for Translator {
    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, minijinja::Error> {
        let (key, given): (&str, Kwargs) = from_args(args)?;
        let mut values = FluentArgs::new();
        for name in given.args() {
            let value: Value = given.peek(name)?;
            match value.as_i64().filter(|_| value.is_number()) {
                Some(number) => values.set(name.to_owned(), number),
                None => values.set(name.to_owned(), value.to_string()),
            }
        }
        let text = self.messages.text(self.language, key, &values);
        text.map(Value::from).map_err(|wrong| minijinja::Error::new(ErrorKind::InvalidOperation, wrong))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// Returns pages with these files of the operator.
    fn with(files: &[(&str, &str)]) -> Result<Html, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let settings =
            HtmlSettings { templates_folder: Some(folder.path().to_owned()), ..HtmlSettings::default() };
        let place = folder.path().display().to_string();
        Html::new(&settings).map_err(|error| error.to_string().replace(&place, "own"))
    }

    #[test]
    fn values_are_escaped_everywhere() {
        let html = with(&[("own.html", "{{ t(\"account-hello\", name=name) }} {{ name }}")]).unwrap();
        let page = html.render(Language::English, "own.html", json!({ "name": "<b>\"&'" })).unwrap();
        assert!(!page.contains("<b>") && page.matches("&lt;b&gt;&quot;&amp;").count() == 2, "{page}");
    }

    #[test]
    fn pages_speak_the_language() {
        let html = with(&[("own.html", "{{ lang }}: {{ t(\"login-title\") }}")]).unwrap();
        assert_eq!(html.render(Language::English, "own.html", json!({})).unwrap(), "en: Sign in");
        assert_eq!(html.render(Language::German, "own.html", json!({})).unwrap(), "de: Anmelden");
    }

    #[test]
    fn files_of_the_operator_replace_built_in_ones() {
        let html = with(&[
            ("error.html", "{% extends \"card.html\" %}{% block main %}Ours{% endblock %}"),
            ("style.css", "p { color: red }"),
            ("README", "{% not a template"),
        ])
        .unwrap();
        let page = html.render(Language::English, "error.html", json!({ "account": null })).unwrap();
        assert!(page.contains("Ours") && page.contains("<!doctype html>"), "{page}");
        let stylesheet = html.asset(&html.stylesheet.name).unwrap();
        assert!(stylesheet.bytes.ends_with(b"p { color: red }"));
        assert!(html.asset("style.css").is_none());
    }

    #[test]
    fn a_wrong_template_is_one_line_at_the_start() {
        let error = with(&[("login.html", "<p>\n{% if %}</p>")]).err().unwrap();
        assert!(error.starts_with("cannot use the template own/login.html: syntax error"), "{error}");
        assert!(error.contains("login.html:2") && !error.contains('\n'), "{error}");
        let settings = HtmlSettings { templates_folder: Some("nowhere".into()), ..HtmlSettings::default() };
        let error = Html::new(&settings).err().unwrap().to_string();
        assert!(error.starts_with("cannot read nowhere: "), "{error}");
    }

    #[test]
    fn a_template_that_fails_says_where() {
        let html = with(&[("own.html", "{{ nothing }}"), ("text.html", "{{ t(\"nothing\") }}")]).unwrap();
        let failed = |name: &str| html.render(Language::English, name, json!({})).unwrap_err().to_string();
        assert!(failed("own.html").starts_with("cannot make the page own.html: "));
        assert!(failed("text.html").contains("there is no text 'nothing'"));
        assert!(failed("none.html").contains("none.html"));
    }
}
