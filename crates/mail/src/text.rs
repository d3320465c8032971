//! The texts of mails. A template has the subject in its first line, then paragraphs. The HTML part is made of the same
//! paragraphs as the text part, so that the two never differ; a paragraph that is a URL becomes a link.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use reeve_accounts::mails::Letter;
use reeve_model::{Language, Millis};
use reeve_outgoing::{MailStyle, one_line};
use reeve_store::mails::StoredMail;
use serde::Serialize;

/// The reason why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The stored contents cannot be read.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A template cannot be filled in.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

/// A mail as it is written.
pub(crate) struct Written {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// The two texts of a template, English and German.
macro_rules! texts {
    ($name:literal) => {
        [
            include_str!(concat!("../templates/en/", $name, ".txt")),
            include_str!(concat!("../templates/de/", $name, ".txt")),
        ]
    };
}

/// Returns the template of a letter.
fn template(letter: &Letter, language: Language) -> &'static str {
    let [english, german] = match letter {
        Letter::ConfirmRegistration { .. } => texts!("confirm_registration"),
        Letter::CompleteRegistration { .. } => texts!("complete_registration"),
        Letter::ConfirmAddress { .. } => texts!("confirm_address"),
        Letter::ConfirmReset { .. } => texts!("confirm_reset"),
        Letter::ChoosePassword { .. } => texts!("choose_password"),
        Letter::AlreadyRegistered { .. } => texts!("already_registered"),
        Letter::AlreadyAdded { .. } => texts!("already_added"),
        Letter::NoAccount => texts!("no_account"),
        Letter::SignedIn { .. } => texts!("signed_in"),
        Letter::PasswordChanged { .. } => texts!("password_changed"),
        Letter::AddressesChanged { .. } => texts!("addresses_changed"),
        Letter::Expiring { .. } => texts!("expiring"),
    };
    match language {
        Language::English => english,
        Language::German => german,
    }
}

/// The values of templates. Texts of others are in one line.
#[derive(Default, Serialize)]
struct Values {
    /// The name of the service.
    app: String,
    /// The name of this server.
    server: String,
    /// The page on which people ask for a new password.
    reset: String,
    /// The time until which the link works.
    until: String,
    /// The account; blank if it is not known.
    user_id: String,
    link: String,
    time: String,
    ip: Option<String>,
    client: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
    by_administrator: bool,
    /// The time at which the account expires.
    expires: String,
}

/// Writes a mail.
pub(crate) fn write(
    style: &MailStyle,
    server_name: &str,
    stored: &StoredMail,
    letter: &Letter,
) -> Result<Written, Error> {
    let values = values(style, server_name, stored, letter);
    let filled = fill("mail.txt", template(letter, stored.language), &values)?;
    let (subject, body) = filled.split_once('\n').unwrap_or((filled.as_str(), ""));
    let base = format!("{}/", style.public_base_url);
    let paragraphs: Vec<Paragraph> = body
        .split("\n\n")
        .map(|paragraph| Paragraph::new(paragraph, &base))
        .filter(|paragraph| !paragraph.lines.is_empty())
        .collect();
    let texts: Vec<String> = paragraphs.iter().map(|paragraph| paragraph.lines.join("\n")).collect();
    let layout = Layout { language: stored.language.as_str(), paragraphs: &paragraphs };
    let html = fill("layout.html", include_str!("../templates/layout.html"), &layout)?;
    Ok(Written { subject: one_line(subject), text: texts.join("\n\n") + "\n", html })
}

/// The values of the HTML part.
#[derive(Serialize)]
struct Layout<'a> {
    language: &'static str,
    paragraphs: &'a [Paragraph],
}

/// A paragraph.
#[derive(Serialize)]
struct Paragraph {
    lines: Vec<String>,
    /// The URL, if it is one of this server.
    link: Option<String>,
}

impl Paragraph {
    fn new(text: &str, base: &str) -> Self {
        let lines: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let link = match &*lines {
            [line] if line.starts_with(base) && !line.contains(' ') => Some(line.clone()),
            _ => None,
        };
        Self { lines, link }
    }
}

/// Fills in a template. Values are escaped if its name ends with `.html`.
fn fill<T: Serialize>(name: &str, template: &str, values: &T) -> Result<String, minijinja::Error> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.render_named_str(name, template, Serde(values))
}

fn values(style: &MailStyle, server_name: &str, stored: &StoredMail, letter: &Letter) -> Values {
    let page = |path: &str| format!("{}/_reeve/pages/{path}", style.public_base_url);
    let user = |user_id: &str| one_line(user_id);
    let all = Values {
        app: one_line(&style.app_name),
        server: server_name.to_owned(),
        reset: page("reset"),
        until: stored.ends_ts.map(time).unwrap_or_default(),
        ..Values::default()
    };
    let confirmation = |token: &str| page(&format!("email/{token}"));
    match letter {
        Letter::ConfirmRegistration { token } => Values { link: confirmation(token), ..all },
        Letter::CompleteRegistration { token } => Values { link: page(&format!("register/{token}")), ..all },
        Letter::ConfirmAddress { token, user_id } => {
            let user_id = user_id.as_deref().map(user).unwrap_or_default();
            Values { link: confirmation(token), user_id, ..all }
        }
        Letter::ConfirmReset { token, user_id } => {
            Values { link: confirmation(token), user_id: user(user_id), ..all }
        }
        Letter::ChoosePassword { token, user_id } => {
            Values { link: page(&format!("reset/{token}")), user_id: user(user_id), ..all }
        }
        Letter::AlreadyRegistered { user_id } | Letter::AlreadyAdded { user_id } => {
            Values { user_id: user(user_id), ..all }
        }
        Letter::NoAccount => all,
        Letter::SignedIn { user_id, ts, ip, client } => Values {
            user_id: user(user_id),
            time: time(*ts),
            ip: ip.clone(),
            client: client.as_deref().map(one_line).filter(|client| !client.trim().is_empty()),
            ..all
        },
        Letter::PasswordChanged { user_id, ts, by_administrator } => {
            Values { user_id: user(user_id), time: time(*ts), by_administrator: *by_administrator, ..all }
        }
        Letter::AddressesChanged { user_id, ts, added, removed, by_administrator } => Values {
            user_id: user(user_id),
            time: time(*ts),
            added: added.iter().map(|address| one_line(address)).collect(),
            removed: removed.iter().map(|address| one_line(address)).collect(),
            by_administrator: *by_administrator,
            ..all
        },
        Letter::Expiring { user_id, expiration_ts, token } => Values {
            user_id: user(user_id),
            expires: time(*expiration_ts),
            link: page(&format!("renew/{token}")),
            ..all
        },
    }
}

fn time(ts: Millis) -> String {
    format!("{} UTC", ts.utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(letter: &Letter, language: Language) -> Written {
        let style = MailStyle {
            app_name: "Example".to_owned(),
            public_base_url: "https://m.example.org".to_owned(),
            client_base_url: None,
        };
        let stored = StoredMail {
            address: "a@x.org".to_owned(),
            user_num: None,
            language,
            letter: String::new(),
            created_ts: Millis::ZERO,
            ends_ts: Some(Millis::new(3_600_000)),
        };
        write(&style, "example.org", &stored, letter).unwrap()
    }

    fn letters() -> Vec<Letter> {
        let (token, user_id) = (|| "TOKEN".to_owned(), || "@alice:example.org".to_owned());
        let (ts, address) = (Millis::ZERO, || vec!["a@x.org".to_owned()]);
        let mut letters = vec![
            Letter::ConfirmRegistration { token: token() },
            Letter::CompleteRegistration { token: token() },
            Letter::ConfirmAddress { token: token(), user_id: None },
            Letter::ConfirmAddress { token: token(), user_id: Some(user_id()) },
            Letter::ConfirmReset { token: token(), user_id: user_id() },
            Letter::ChoosePassword { token: token(), user_id: user_id() },
            Letter::AlreadyRegistered { user_id: user_id() },
            Letter::AlreadyAdded { user_id: user_id() },
            Letter::NoAccount,
            Letter::SignedIn { user_id: user_id(), ts, ip: None, client: None },
            Letter::Expiring { user_id: user_id(), expiration_ts: ts, token: token() },
        ];
        for by_administrator in [false, true] {
            letters.push(Letter::PasswordChanged { user_id: user_id(), ts, by_administrator });
            let (added, removed) = (address(), address());
            letters.push(Letter::AddressesChanged {
                user_id: user_id(),
                ts,
                added,
                removed,
                by_administrator,
            });
        }
        letters
    }

    #[test]
    fn every_letter_is_written_in_every_language() {
        for letter in letters() {
            let subjects = Language::WORDS.iter().map(|(_, language)| {
                let Written { subject, text, html } = written(&letter, *language);
                assert!(subject.starts_with("[Example] "), "{subject}");
                assert!(!text.is_empty() && !text.contains("\n\n\n") && !text.contains("{{"), "{text}");
                assert!(html.contains(&format!("lang=\"{language}\"")), "{html}");
                let has_link = text.contains("\n\nhttps://m.example.org/_reeve/pages/");
                assert_eq!(html.contains("<a href="), has_link, "{html}");
                subject
            });
            let subjects: std::collections::BTreeSet<String> = subjects.collect();
            assert_eq!(subjects.len(), Language::WORDS.len(), "{subjects:?}");
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        for letter in letters() {
            let json = serde_json::to_string(&letter).unwrap();
            let again: Letter = serde_json::from_str(&json).unwrap();
            assert!(again == letter, "{json}");
        }
    }

    #[test]
    fn the_two_parts_say_the_same() {
        let letter = Letter::SignedIn {
            user_id: "@alice:example.org".to_owned(),
            ts: Millis::ZERO,
            ip: Some("192.0.2.1".to_owned()),
            client: Some("Tea & <b>\n\nhttps://m.example.org/evil".to_owned()),
        };
        let Written { subject, text, html } = written(&letter, Language::English);
        assert_eq!(subject, "[Example] New sign-in to your account");
        assert_eq!(
            text,
            "Somebody signed in to the account @alice:example.org on a new device or in a new browser.\n\n\
             Time: 1970-01-01 00:00:00 UTC\nAddress: 192.0.2.1\nClient: Tea & <b>  https://m.example.org/evil\n\n\
             If it was you, there is nothing to do. If not, choose a new password at once, which ends all sessions:\n\n\
             https://m.example.org/_reeve/pages/reset\n"
        );
        let html = html.replace("&#x2f;", "/");
        assert!(html.contains("Client: Tea &amp; &lt;b&gt;  https://m.example.org/evil\n"), "{html}");
        let link = "https://m.example.org/_reeve/pages/reset";
        assert!(html.contains(&format!("<p><a href=\"{link}\">{link}</a></p>\n")), "{html}");
        assert_eq!(html.matches("<a ").count(), 1, "{html}");
    }
}
