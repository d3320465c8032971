//! Pushers as a kind of delivery: the next notification of each, and the ways to send it.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_accounts::pushers::gets_notifications;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_deliver::{End, Kind, Next, Outcome, Plan, Retry, Then};
use reeve_model::{DeliveryKind, Millis, Pos, PusherNum, RoomNum, User};
use reeve_outgoing::{Mail, MailStyle, Mailer, Outgoing};
use reeve_rooms::{Error, Home, alerts};
use reeve_store::alerts::{self as stored_alerts, Mailed};
use reeve_store::pushers::StoredPusher;
use reeve_store::stream::Span;
use reeve_store::{pushers, stream, users};

use crate::gateway::{self, Gateways, Notification, Request};
use crate::mail;

/// Number of notifications that are read together in search of unread ones.
const SCAN: i64 = 200;
/// Maximum number of unread messages in a mail.
const MAX_IN_MAIL: usize = 100;

/// The operator's settings for notifications.
#[derive(Clone, Debug)]
pub struct Settings {
    /// True to send the content of events to push gateways, not only their existence.
    pub include_content: bool,
    /// True to count rooms with unread messages, not unread messages.
    pub unread_by_room: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { include_content: true, unread_by_room: true }
    }
}

/// E-mail, if the server sends it: the mailer, and the style of mails.
pub type Mailing = Option<(Mailer, MailStyle)>;

/// The deliveries of pushers.
pub(crate) struct Pushers {
    pub(crate) home: Arc<Home>,
    pub(crate) outgoing: Outgoing,
    pub(crate) gateways: Gateways,
    pub(crate) mailing: Mailing,
    pub(crate) settings: Settings,
}

/// A notification to send.
pub(crate) enum Message {
    /// A request to a push gateway.
    Request(Box<Request>),
    /// An e-mail.
    Mail(Box<Mail>),
}

/// The data to store after a notification.
pub(crate) enum Record {
    Nothing,
    /// The unread count in the notification.
    Unread(i64),
    /// The rooms in the mail, with their new waits in milliseconds.
    Mailed(BTreeMap<RoomNum, i64>),
}

impl Kind for Pushers {
    type Target = PusherNum;
    type Cursor = Pos;
    type Message = Message;
    type Record = Record;
    type Error = Error;

    const KIND: DeliveryKind = DeliveryKind::Push;
    const MAX_CONCURRENT: usize = 64;
    const RETRY: Retry = Retry { first_pause_ms: 1000, max_pause_ms: 3_600_000, give_up_ms: 24 * 3_600_000 };

    fn plan(&self, tx: &ReadTx<'_>, num: PusherNum, cursor: Pos, now: Millis) -> Result<Plan<Self>, Error> {
        let stored = pushers::by_num(tx, num)?;
        let span = Span { after: cursor, upto: stream::current(tx)? };
        let user = users::by_num(tx, stored.user_num)?.filter(|_| stored.pusher.enabled);
        let Some(user) = user else { return Ok(quiet(span.upto, span.upto)) };
        if !gets_notifications(tx, &user, now)? {
            return Ok(quiet(span.upto, span.upto));
        }
        if stored.pusher.kind == "email" {
            self.plan_mail(tx, &stored, &user, span, now)
        } else {
            self.plan_request(tx, stored, &user, span, now)
        }
    }

    async fn send(&self, message: Message) -> Outcome {
        match message {
            Message::Request(request) => gateway::send(&self.outgoing, &self.gateways, &request).await,
            Message::Mail(mail) => {
                let Some((mailer, _)) = &self.mailing else {
                    return Outcome::Refused("the server does not send e-mail".to_owned());
                };
                mailer.send(&mail).await.map_or_else(Outcome::Failed, |()| Outcome::Delivered)
            }
        }
    }

    fn store(
        &self,
        tx: &mut Tx<'_>,
        num: PusherNum,
        end: &End,
        record: &Record,
        now: Millis,
    ) -> Result<(), DbError> {
        match (end, record) {
            (End::Delivered, Record::Nothing) | (End::GivenUp(_), _) => Ok(()),
            (End::Delivered, Record::Unread(unread)) => pushers::set_delivered_unread(tx, num, *unread),
            (End::Delivered, Record::Mailed(waits)) => waits.iter().try_for_each(|(room, wait_ms)| {
                stored_alerts::set_mailed(tx, num, *room, Mailed { sent_ts: now, wait_ms: *wait_ms })
            }),
            (End::Rejected(_), _) => pushers::delete_by_num(tx, num),
        }
    }

    fn label(message: &Message) -> &'static str {
        match message {
            Message::Request(_) => "http",
            Message::Mail(_) => "email",
        }
    }
}

impl Pushers {
    fn plan_mail(
        &self,
        tx: &ReadTx<'_>,
        stored: &StoredPusher,
        user: &User,
        span: Span,
        now: Millis,
    ) -> Result<Plan<Self>, Error> {
        let Span { after, upto: end } = span;
        let Some((_, style)) = &self.mailing else { return Ok(quiet(end, end)) };
        let alerts = alerts::find(tx, user, span, MAX_IN_MAIL, SCAN, now)?;
        match mail::due(tx, stored.num, &alerts.found)? {
            None => Ok(quiet(alerts.upto, end)),
            Some(due) if due > now => {
                let waiting = Next { cursor: after, then: Then::RestUntil(due) };
                Ok(Plan { delivered: waiting, ..quiet(after, end) })
            }
            Some(_) => {
                let mail = mail::write(&self.home, style, user, &stored.pusher, &alerts.found, now)?;
                let record = Record::Mailed(mail::waits(tx, stored.num, &alerts.found, now)?);
                let message = Some(Message::Mail(Box::new(mail)));
                Ok(Plan { message, record, ..quiet(alerts.upto, end) })
            }
        }
    }

    fn plan_request(
        &self,
        tx: &ReadTx<'_>,
        stored: StoredPusher,
        user: &User,
        span: Span,
        now: Millis,
    ) -> Result<Plan<Self>, Error> {
        let end = span.upto;
        let alerts = alerts::find(tx, user, span, 1, SCAN, now)?;
        let alert = alerts.found.first();
        if alert.is_none() && alerts.upto < end {
            return Ok(quiet(alerts.upto, end));
        }
        let unread = alerts::badge(tx, user, self.settings.unread_by_room)?;
        let is_known = unread == stored.delivered_unread;
        if alert.is_none() && is_known {
            return Ok(quiet(end, end));
        }
        let include_content = self.settings.include_content;
        let body =
            Notification { stored: &stored, user_id: &user.user_id, alert, unread, include_content }.body();
        let message = Some(Message::Request(Box::new(Request { pusher: stored.pusher, body })));
        let record = if is_known { Record::Nothing } else { Record::Unread(unread) };
        Ok(Plan { message, record, ..quiet(alerts.upto, end) })
    }
}

/// A step without a notification, up to a position. What is given up is everything up to the end of the stream.
fn quiet(cursor: Pos, end: Pos) -> Plan<Pushers> {
    let then = if cursor < end { Then::Continue } else { Then::Rest };
    Plan {
        message: None,
        record: Record::Nothing,
        delivered: Next { cursor, then },
        given_up: Next { cursor: end, then: Then::Rest },
    }
}
