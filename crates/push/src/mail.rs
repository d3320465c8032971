//! Notifications by e-mail: unread messages of all rooms together.
//!
//! A mail is sent when a notification was unread for ten minutes. It contains all unread messages that no mail
//! contained before. Each room in it then waits before it causes another mail, twice as long each time, up to a
//! day; a room without mails for two days starts from the beginning.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Membership, Millis, PusherNum, RoomNum, User, random};
use reeve_outgoing::{Mail, MailStyle, one_line};
use reeve_rooms::alerts::Alert;
use reeve_rooms::types;
use reeve_rooms::{Error, Home};
use reeve_store::alerts::{self as stored_alerts, Mailed};
use reeve_store::pushers::Pusher;
use reeve_store::rooms::Room;
use serde::Serialize;
use serde_json::Value;
use url::Url;

/// The time after which an unread notification causes a mail, in milliseconds.
pub(crate) const FIRST_WAIT_MS: i64 = 10 * 60_000;
/// The longest wait of a room, in milliseconds.
const MAX_WAIT_MS: i64 = 24 * 3_600_000;
/// A room without mails for this time starts from the beginning, in milliseconds.
pub(crate) const FORGET_MS: i64 = 2 * MAX_WAIT_MS;
/// Maximum number of messages of a room in a mail.
const MAX_SHOWN: usize = 5;

/// The time at which these alerts cause a mail, in milliseconds; `None` if there are none.
pub(crate) fn due(tx: &ReadTx<'_>, num: PusherNum, alerts: &[Alert]) -> Result<Option<Millis>, DbError> {
    let mut earliest = None;
    for alert in alerts {
        let last = stored_alerts::mailed(tx, num, alert.room.num)?;
        let throttled = last.map_or(Millis::ZERO, |Mailed { sent_ts, wait_ms }| sent_ts.plus(wait_ms));
        let due = throttled.max(alert.event.ts.plus(FIRST_WAIT_MS));
        earliest = Some(earliest.map_or(due, |earliest: Millis| earliest.min(due)));
    }
    Ok(earliest)
}

/// The wait of each room of these alerts after a mail, in milliseconds.
pub(crate) fn waits(
    tx: &ReadTx<'_>,
    num: PusherNum,
    alerts: &[Alert],
    now: Millis,
) -> Result<BTreeMap<RoomNum, i64>, DbError> {
    let mut waits = BTreeMap::new();
    for alert in alerts {
        let last = stored_alerts::mailed(tx, num, alert.room.num)?;
        let recent = last.filter(|Mailed { sent_ts, .. }| now.since(*sent_ts) < FORGET_MS);
        let wait =
            recent.map_or(FIRST_WAIT_MS, |Mailed { wait_ms, .. }| wait_ms.saturating_mul(2).min(MAX_WAIT_MS));
        waits.insert(alert.room.num, wait);
    }
    Ok(waits)
}

/// One room of a mail.
#[derive(Serialize)]
struct Section {
    /// Its name, in one line.
    name: String,
    link: String,
    lines: Vec<Line>,
    /// The number of further messages.
    more: usize,
}

/// One message of a mail.
#[derive(Serialize)]
struct Line {
    /// The name of its sender, in one line.
    sender: String,
    /// Its text, in one line.
    said: String,
}

/// The mail about these alerts, at least one.
pub(crate) fn write(
    home: &Home,
    style: &MailStyle,
    user: &User,
    pusher: &Pusher,
    alerts: &[Alert],
    now: Millis,
) -> Result<Mail, Error> {
    let mut sections: Vec<(RoomNum, Section)> = Vec::new();
    for alert in alerts {
        let known = sections.iter().position(|(num, _)| *num == alert.room.num);
        let index = known.unwrap_or(sections.len());
        if known.is_none() {
            let section = Section {
                name: one_line(&room_name(alert)),
                link: link(style, &alert.room),
                lines: Vec::new(),
                more: 0,
            };
            sections.push((alert.room.num, section));
        }
        let Some((_, section)) = sections.get_mut(index) else { continue };
        if section.lines.len() < MAX_SHOWN {
            section.lines.push(Line { sender: one_line(&alert.sender_name), said: said(alert) });
        } else {
            section.more += 1;
        }
    }
    let sections: Vec<Section> = sections.into_iter().map(|(_, section)| section).collect();
    let app = &style.app_name;
    let subject = match (&*sections, alerts) {
        ([section], [alert]) => format!("[{app}] {} wrote in {}", alert.sender_name, section.name),
        ([section], _) => format!("[{app}] New messages in {}", section.name),
        (sections, _) => format!("[{app}] New messages in {} rooms", sections.len()),
    };
    let unsubscribe = unsubscribe(home, style, user, pusher)?;
    let name = user.displayname.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(user.localpart());
    let unread = Unread { app, name: &one_line(name), rooms: &sections, unsubscribe: &unsubscribe };
    let (text, html) = (unread.text().map_err(Error::internal)?, unread.html().map_err(Error::internal)?);
    Ok(Mail {
        to: pusher.pushkey.clone(),
        subject: one_line(&subject),
        text,
        html,
        unsubscribe: Some(unsubscribe),
        id: random::letters(24),
        now,
    })
}

/// The name of a room in a mail: for an unnamed room, the name of the sender.
fn room_name(alert: &Alert) -> String {
    let room = &alert.room;
    let named = room.name.as_ref().filter(|name| !name.trim().is_empty()).or(room.canonical_alias.as_ref());
    named.cloned().unwrap_or_else(|| format!("a conversation with {}", alert.sender_name))
}

fn link(style: &MailStyle, room: &Room) -> String {
    match &style.client_base_url {
        Some(client) => format!("{client}/#/room/{}", room.room_id),
        None => format!("https://matrix.to/#/{}", room.room_id),
    }
}

/// A message or act in one line.
fn said(alert: &Alert) -> String {
    let content: Value = serde_json::from_str(alert.shown.content.get()).unwrap_or_default();
    let text = |key: &str| content.get(key).and_then(Value::as_str).map(one_line);
    let body = || text("body").unwrap_or_default();
    match alert.event.event_type.as_str() {
        types::MESSAGE => match content.get("msgtype").and_then(Value::as_str) {
            Some("m.image") => format!("(image) {}", body()),
            Some("m.file") => format!("(file) {}", body()),
            Some("m.audio") => format!("(audio) {}", body()),
            Some("m.video") => format!("(video) {}", body()),
            _ => body(),
        },
        types::ENCRYPTED => "(an encrypted message)".to_owned(),
        types::MEMBER if text("membership").as_deref() == Some(Membership::Invite.as_str()) => {
            "(invites you)".to_owned()
        }
        "m.sticker" => format!("(sticker) {}", body()),
        "m.call.invite" => "(a call)".to_owned(),
        _ => "(something new)".to_owned(),
    }
}

/// The URL at which the recipient can unsubscribe, without logging in.
fn unsubscribe(home: &Home, style: &MailStyle, user: &User, pusher: &Pusher) -> Result<String, Error> {
    let base = format!("{}/_synapse/client/unsubscribe", style.public_base_url);
    let mut url = Url::parse(&base).map_err(Error::internal)?;
    let seal = home.seal_unsubscribe(&user.user_id, &pusher.app_id, &pusher.pushkey)?;
    url.query_pairs_mut()
        .append_pair("user_id", &user.user_id)
        .append_pair("app_id", &pusher.app_id)
        .append_pair("pushkey", &pusher.pushkey)
        .append_pair("token", &seal);
    Ok(url.to_string())
}

/// The contents of a mail, for the templates.
#[derive(Serialize)]
struct Unread<'a> {
    /// The name of the service.
    app: &'a str,
    /// The name of the recipient.
    name: &'a str,
    rooms: &'a [Section],
    /// The URL at which the recipient can unsubscribe.
    unsubscribe: &'a str,
}

impl Unread<'_> {
    fn text(&self) -> Result<String, minijinja::Error> {
        self.render("unread.txt", include_str!("../templates/unread.txt"))
    }

    fn html(&self) -> Result<String, minijinja::Error> {
        self.render("unread.html", include_str!("../templates/unread.html"))
    }

    /// Fills in a template. Values are escaped if its name ends with `.html`.
    fn render(&self, name: &str, template: &str) -> Result<String, minijinja::Error> {
        let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build()?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.render_named_str(name, template, Serde(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let line = |sender: &str, said: &str| Line { sender: sender.to_owned(), said: said.to_owned() };
        let section = |name: &str, lines, more| Section {
            name: name.to_owned(),
            link: "https://x.org/#/room/!r".to_owned(),
            lines,
            more,
        };
        let rooms = [
            section("Tea & <cake>", vec![line("Bob", "hello"), line("\"B\"", "it's <b>")], 2),
            section("Other", vec![line("Bob", "{{ name }}")], 0),
        ];
        let unread =
            Unread { app: "Reeve", name: "Alice", rooms: &rooms, unsubscribe: "https://x.org/u?a=b&c=d" };
        assert_eq!(
            unread.text().unwrap(),
            "Hello Alice,\n\nthere is something on Reeve that you have not read.\n\n\
             Tea & <cake>\nhttps://x.org/#/room/!r\n  Bob: hello\n  \"B\": it's <b>\n  and 2 more\n\n\
             Other\nhttps://x.org/#/room/!r\n  Bob: {{ name }}\n\n\
             No more mails of this kind: https://x.org/u?a=b&c=d\n"
        );
        let html = unread.html().unwrap().replace("&#x2f;", "/");
        assert_eq!(
            html,
            "<!DOCTYPE html>\n<html><body style=\"font-family: sans-serif\">\n<p>Hello Alice,</p>\n\
             <p>there is something on Reeve that you have not read.</p>\n\
             <h3><a href=\"https://x.org/#/room/!r\">Tea &amp; &lt;cake&gt;</a></h3>\n\
             <ul style=\"list-style: none; padding-left: 1em\">\n<li><b>Bob</b>: hello</li>\n\
             <li><b>&quot;B&quot;</b>: it&#x27;s &lt;b&gt;</li>\n<li>and 2 more</li>\n</ul>\n\
             <h3><a href=\"https://x.org/#/room/!r\">Other</a></h3>\n\
             <ul style=\"list-style: none; padding-left: 1em\">\n<li><b>Bob</b>: {{ name }}</li>\n</ul>\n\
             <p><small><a href=\"https://x.org/u?a=b&amp;c=d\">No more mails of this kind</a></small></p>\n\
             </body></html>\n"
        );
    }
}
