//! Push gateways: requests and responses.
//! <https://spec.matrix.org/v1.18/push-gateway-api/>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reeve_deliver::Outcome;
use reeve_model::clock::monotonic;
use reeve_outgoing::{Error, Limits, Outgoing};
use reeve_rooms::alerts::Alert;
use reeve_rooms::types;
use reeve_store::pushers::{Pusher, StoredPusher};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

/// Limits of a request to a gateway.
const LIMITS: Limits = Limits { time: Duration::from_secs(15), bytes: 64 * 1024, redirects: 0 };
/// Number of timeouts in a row after which a gateway is not contacted for a while: pushers that wait for it
/// would otherwise delay all others.
const SILENT_OFTEN: u32 = 3;
/// The duration of that pause.
const REST: Duration = Duration::from_secs(30);
/// Maximum number of remembered silent gateways.
const MAX_SILENT: usize = 1000;

/// A request to the gateway of a pusher.
pub(crate) struct Request {
    /// The pusher.
    pub(crate) pusher: Pusher,
    /// The body.
    pub(crate) body: Value,
}

/// The contents of a notification.
pub(crate) struct Notification<'a> {
    /// The pusher.
    pub(crate) stored: &'a StoredPusher,
    /// The recipient.
    pub(crate) user_id: &'a str,
    /// The event; `None` if only the unread count changed.
    pub(crate) alert: Option<&'a Alert>,
    /// The unread count.
    pub(crate) unread: i64,
    /// True to include the content of the event.
    pub(crate) include_content: bool,
}

impl Notification<'_> {
    /// The body of the request.
    pub(crate) fn body(&self) -> Value {
        let pusher = &self.stored.pusher;
        let mut data: Map<String, Value> = serde_json::from_str(&pusher.data).unwrap_or_default();
        data.remove("url");
        let bare = data.get("format").and_then(Value::as_str) == Some("event_id_only");
        let mut device = json!({
            "app_id": pusher.app_id,
            "pushkey": pusher.pushkey,
            "pushkey_ts": self.stored.updated_ts.secs(),
            "data": data,
        });
        let mut notification = json!({ "counts": { "unread": self.unread } });
        if let (Some(alert), Some(notification)) = (self.alert, notification.as_object_mut()) {
            // Events with a sound are delivered with high priority, and encrypted ones, whose content the
            // server cannot evaluate.
            let urgent = alert.event.event_type == types::ENCRYPTED
                || alert.tweaks.contains_key("sound")
                || alert.tweaks.get("highlight").is_some_and(|highlight| *highlight != Value::Bool(false));
            notification.insert("event_id".to_owned(), json!(alert.event.event_id));
            notification.insert("room_id".to_owned(), json!(alert.room.room_id));
            notification.insert("prio".to_owned(), json!(if urgent { "high" } else { "low" }));
            if !bare {
                notification.extend(self.details(alert));
                if let Some(device) = device.as_object_mut() {
                    device.insert("tweaks".to_owned(), Value::Object(alert.tweaks.clone()));
                }
            }
        }
        if let Some(notification) = notification.as_object_mut() {
            notification.insert("devices".to_owned(), json!([device]));
        }
        json!({ "notification": notification })
    }

    fn details(&self, alert: &Alert) -> Map<String, Value> {
        let mut details = Map::new();
        let mut add = |key: &str, value: Value| details.insert(key.to_owned(), value);
        add("type", json!(alert.event.event_type));
        add("sender", json!(alert.event.sender));
        add("sender_display_name", json!(alert.sender_name));
        if let Some(name) = alert.room.name.as_ref().filter(|name| !name.is_empty()) {
            add("room_name", json!(name));
        }
        if let Some(alias) = &alert.room.canonical_alias {
            add("room_alias", json!(alias));
        }
        if alert.event.event_type == types::MEMBER && alert.event.state_key.is_some() {
            add("user_is_target", json!(alert.event.state_key.as_deref() == Some(self.user_id)));
        }
        if self.include_content {
            add("content", serde_json::to_value(&alert.shown.content).unwrap_or_default());
        }
        details
    }
}

/// Sends a notification to the gateway of a pusher.
pub(crate) async fn send(outgoing: &Outgoing, gateways: &Gateways, request: &Request) -> Outcome {
    let pusher = &request.pusher;
    let reason = |reason: &str| format!("{}: {reason}", pusher.app_id);
    let data: Value = serde_json::from_str(&pusher.data).unwrap_or_default();
    let url = data.get("url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
    let Some(url) = url else { return Outcome::Failed(reason("the pusher has no URL")) };
    let gateway = url.origin().ascii_serialization();
    if gateways.rests(&gateway) {
        return Outcome::Failed(reason("the gateway did not respond recently"));
    }
    let answer = outgoing.post_json(&url, request.body.to_string(), LIMITS).await;
    gateways.note(gateway, matches!(answer, Err(Error::Timeout)));
    match answer {
        Ok(answer) if answer.status.is_success() => {
            if is_rejected(&answer.body, &pusher.pushkey) {
                Outcome::Rejected(reason("the gateway rejected the key of the pusher, which is deleted"))
            } else {
                Outcome::Delivered
            }
        }
        Ok(answer) => Outcome::Failed(reason(&format!("the gateway returned {}", answer.status))),
        Err(Error::Inside) => Outcome::Refused(reason(
            "the push gateway is not on the public internet, and outgoing.allow_ranges does not have its address",
        )),
        Err(error) => Outcome::Failed(reason(&error.to_string())),
    }
}

fn is_rejected(body: &[u8], pushkey: &str) -> bool {
    #[derive(Default, Deserialize)]
    struct Answer {
        #[serde(default)]
        rejected: Vec<String>,
    }
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    answer.rejected.iter().any(|rejected| rejected == pushkey)
}

/// Gateways that timed out recently.
#[derive(Default)]
pub(crate) struct Gateways(Mutex<HashMap<String, Silent>>);

struct Silent {
    times: u32,
    last: Instant,
}

impl Gateways {
    /// True if a gateway is not to be contacted now.
    fn rests(&self, gateway: &str) -> bool {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(gateway).is_some_and(|silent| silent.times >= SILENT_OFTEN && silent.last.elapsed() < REST)
    }

    /// Records the result of a request to a gateway.
    fn note(&self, gateway: String, was_silent: bool) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !was_silent {
            silent.remove(&gateway);
            return;
        }
        if silent.len() >= MAX_SILENT {
            silent.retain(|_, silent| silent.last.elapsed() < REST);
        }
        let entry = silent.entry(gateway).or_insert(Silent { times: 0, last: monotonic() });
        entry.times = entry.times.saturating_add(1);
        entry.last = monotonic();
    }
}
