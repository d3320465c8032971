//! Mails as a kind of delivery: each has one message, and is deleted with it.

use std::sync::Arc;

use reeve_accounts::mails::Letter;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_deliver::{End, Kind, Next, Outcome, Plan, Retry, Then};
use reeve_model::session::hash_token;
use reeve_model::{DeliveryKind, MailNum, Millis, encoding};
use reeve_outgoing::{Mail, MailStyle, Mailer};
use reeve_store::mails::StoredMail;
use reeve_store::{mails, users};

use crate::text::{self, Written};

/// The deliveries of mails.
pub(crate) struct Letters {
    pub(crate) server_name: Arc<str>,
    pub(crate) mailing: Option<(Mailer, MailStyle)>,
}

/// A mail to send.
pub(crate) struct Message {
    label: &'static str,
    /// `None` if the server does not send e-mail.
    mail: Option<Mail>,
}

impl Kind for Letters {
    type Target = MailNum;
    type Cursor = i64;
    type Message = Message;
    type Record = ();
    type Error = DbError;

    const KIND: DeliveryKind = DeliveryKind::Mail;
    const MAX_CONCURRENT: usize = 8;
    const RETRY: Retry = Retry { first_pause_ms: 5000, max_pause_ms: 3_600_000, give_up_ms: 24 * 3_600_000 };

    fn plan(&self, tx: &ReadTx<'_>, num: MailNum, cursor: i64, now: Millis) -> Result<Plan<Self>, DbError> {
        let stored = mails::by_num(tx, num)?;
        let is_over = stored.ends_ts.is_some_and(|ends| ends <= now);
        let message = if is_over || is_about_nobody(tx, &stored)? {
            None
        } else {
            let written = self.message(num, stored, now);
            Some(written.map_err(|error| DbError::Internal(format!("a mail cannot be written: {error}")))?)
        };
        let end = Next { cursor, then: Then::Rest };
        Ok(Plan { message, record: (), delivered: end, given_up: end })
    }

    async fn send(&self, message: Message) -> Outcome {
        match (&self.mailing, message.mail) {
            (Some((mailer, _)), Some(mail)) => {
                mailer.send(&mail).await.map_or_else(Outcome::Failed, |()| Outcome::Delivered)
            }
            (None, _) | (_, None) => Outcome::Refused("the server does not send e-mail".to_owned()),
        }
    }

    fn store(
        &self,
        tx: &mut Tx<'_>,
        num: MailNum,
        _end: &End,
        _record: &(),
        _now: Millis,
    ) -> Result<(), DbError> {
        mails::delete(tx, num)
    }

    fn label(message: &Message) -> &'static str {
        message.label
    }
}

/// Returns true if the account that a mail is about cannot be used any more.
fn is_about_nobody(tx: &ReadTx<'_>, stored: &StoredMail) -> Result<bool, DbError> {
    let Some(num) = stored.user_num else { return Ok(false) };
    Ok(users::by_num(tx, num)?.is_none_or(|user| user.deactivated))
}

impl Letters {
    fn message(&self, num: MailNum, stored: StoredMail, now: Millis) -> Result<Message, text::Error> {
        let letter: Letter = serde_json::from_str(&stored.letter)?;
        let label = label(&letter);
        let Some((_, style)) = &self.mailing else { return Ok(Message { label, mail: None }) };
        let Written { subject, text, html } = text::write(style, &self.server_name, &stored, &letter)?;
        // The same each time, so that mail systems recognise a mail that is sent again; it tells nothing of the numbers.
        let id = encoding::hex(&hash_token(&format!("mail {num} {}", stored.created_ts)));
        let mail = Mail { to: stored.address, subject, text, html, unsubscribe: None, id, now };
        Ok(Message { label, mail: Some(mail) })
    }
}

/// Returns the value of the label `kind` of the metrics.
const fn label(letter: &Letter) -> &'static str {
    match letter {
        Letter::ConfirmRegistration { .. }
        | Letter::CompleteRegistration { .. }
        | Letter::ConfirmAddress { .. }
        | Letter::ConfirmReset { .. }
        | Letter::ChoosePassword { .. } => "link",
        Letter::AlreadyRegistered { .. } | Letter::AlreadyAdded { .. } | Letter::NoAccount => "no_use",
        Letter::SignedIn { .. } | Letter::PasswordChanged { .. } | Letter::AddressesChanged { .. } => {
            "notice"
        }
        Letter::Expiring { .. } => "reminder",
    }
}
