//! E-mail, through one SMTP server that the operator sets.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reeve_model::Millis;

/// Timeout of each step of the SMTP dialogue.
const STEP_WITHIN: Duration = Duration::from_secs(15);
/// Timeout of the whole delivery.
const SENT_WITHIN: Duration = Duration::from_mins(1);

/// The encryption of the connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the beginning.
    Tls,
    /// STARTTLS; a server without it is not used.
    StartTls,
    /// No encryption.
    None,
}

/// The mail server.
#[derive(Clone)]
pub struct MailSettings {
    /// Its name or address.
    pub host: String,
    /// Its port; by default that of the kind of encryption.
    pub port: Option<u16>,
    /// The encryption of the connection.
    pub tls: MailTls,
    /// User name and password, if it requires them.
    pub credentials: Option<(String, String)>,
    /// The sender: `name@example.org` or `Name <name@example.org>`.
    pub from: String,
    /// The name of this server in the SMTP greeting.
    pub server_name: String,
}

impl fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials are left out.
        f.debug_struct("MailSettings")
            .field("host", &self.host)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// The operator's settings for the contents of e-mail.
#[derive(Clone, Debug)]
pub struct MailStyle {
    /// The name of the service.
    pub app_name: String,
    /// The URL at which clients and browsers reach this server.
    pub public_base_url: String,
    /// The URL of a web client whose rooms mails link to; by default <https://matrix.to>.
    pub client_base_url: Option<String>,
}

/// Maximum length of a text of somebody else in a mail, in characters.
const MAX_TEXT: usize = 300;

/// Returns a text without line breaks, other control characters and those that turn the direction of what follows, truncated to a
/// maximum length, so that it cannot look like another part of the mail.
pub fn one_line(text: &str) -> String {
    let changes_layout =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| if changes_layout(c) { ' ' } else { c };
    let mut line: String = text.chars().map(plain).take(MAX_TEXT).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        line.push('…');
    }
    line
}

/// True if this is a valid sender of e-mail.
pub fn is_sender(from: &str) -> bool {
    from.parse::<Mailbox>().is_ok()
}

/// An e-mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The address of the recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// A URL for one-click unsubscription.
    pub unsubscribe: Option<String>,
    /// A unique id.
    pub id: String,
    /// The time of the mail, in milliseconds.
    pub now: Millis,
}

/// The mailer. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    server_name: String,
}

impl Mailer {
    /// A mailer for a server. It connects when there is a mail to send.
    pub fn new(settings: &MailSettings) -> Result<Self, String> {
        let from = settings
            .from
            .parse()
            .map_err(|error| format!("{:?} cannot send e-mail: {error}", settings.from))?;
        let parameters = || TlsParameters::new(settings.host.clone()).map_err(|error| error.to_string());
        let (tls, port) = match settings.tls {
            MailTls::Tls => (Tls::Wrapper(parameters()?), 465),
            MailTls::StartTls => (Tls::Required(parameters()?), 587),
            MailTls::None => (Tls::None, 25),
        };
        // The name of a Matrix server may have a port.
        let name = settings.server_name.split(':').next().unwrap_or_default().to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port.unwrap_or(port))
            .tls(tls)
            .hello_name(ClientId::Domain(name.clone()))
            .timeout(Some(STEP_WITHIN));
        if let Some((user, password)) = settings.credentials.clone() {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { transport: builder.build(), from, server_name: name })
    }

    /// Sends a mail. When this returns, the mail server has accepted it.
    pub async fn send(&self, mail: &Mail) -> Result<(), String> {
        let message = self.message(mail)?;
        match tokio::time::timeout(SENT_WITHIN, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the mail server did not respond in time".to_owned()),
        }
    }

    fn message(&self, mail: &Mail) -> Result<Message, String> {
        let to = mail.to.parse().map_err(|_| "the address is invalid".to_owned())?;
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(mail.now.get()).unwrap_or_default());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(date)
            .message_id(Some(format!("<{}@{}>", mail.id, self.server_name)))
            // Suppresses automatic replies.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .subject(mail.subject.clone());
        if let Some(url) = &mail.unsubscribe {
            builder = builder
                .raw_header(header("List-Unsubscribe", &format!("<{url}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        let body = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
        builder.multipart(body).map_err(|error| error.to_string())
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_in_their_line() {
        for (text, line) in [
            ("Alice's telephone ☎", "Alice's telephone ☎"),
            ("a\r\n\tb\u{85}c", "a   b c"),
            ("a\u{2028}b\u{2029}c", "a b c"),
            ("\u{202e}a\u{2067}b", " a b"),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(one_line(&long), long);
        assert_eq!(one_line(&format!("{long}x")), format!("{long}…"));
    }
}
