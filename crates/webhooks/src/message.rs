//! Messages to receivers, in the form of Standard Webhooks.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use hmac::{Hmac, KeyInit, Mac};
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderValue};
use reeve_model::encoding::{base64, from_base64};
use reeve_model::{Millis, random};
use reeve_store::happenings::Happening;
use reeve_store::webhooks::Webhook;
use serde_json::{Value, json};
use sha2::Sha256;

/// Maximum number of dead letters of a webhook.
pub(crate) const MAX_DEAD_LETTERS: i64 = 1000;
/// The beginning of secrets, before the key in base64.
pub(crate) const SECRET: &str = "whsec_";
/// Maximum size of the details of a happening in a message, in bytes.
const MAX_DETAILS: usize = 64 * 1024;

/// A message to a receiver. It holds the secrets that sign it, so it cannot be printed.
pub struct Message {
    /// The URL of the receiver.
    pub(crate) url: String,
    id: String,
    sent_ts: Millis,
    body: String,
    secrets: Vec<String>,
}

impl Message {
    /// The message about a happening. Its id and its body are the same each time.
    pub(crate) fn of(webhook: Webhook, happening: &Happening, secrets: Vec<String>, now: Millis) -> Self {
        let details = if happening.details.len() > MAX_DETAILS {
            json!({ "omitted": "too large" })
        } else {
            serde_json::from_str(&happening.details).unwrap_or_default()
        };
        let data = json!({
            "position": happening.pos,
            "target": happening.target,
            "actor": { "kind": happening.actor_kind, "id": happening.actor },
            "action": happening.action,
            "audit_id": happening.audit_id,
            "details": details,
        });
        // With the time: a database that was restored from a backup gives positions out again.
        let id = format!("msg_{}_{}", happening.pos, happening.ts);
        let body = body(happening.kind.as_str(), happening.ts, data);
        Self { url: webhook.terms.url, id, sent_ts: now, body, secrets }
    }

    /// A message that says only that it is a test.
    pub(crate) fn test(webhook: Webhook, secrets: Vec<String>, now: Millis) -> Self {
        let body = body("webhook.test", now, json!({ "webhook": webhook.name }));
        Self {
            url: webhook.terms.url,
            id: format!("msg_test_{}", random::letters(16)),
            sent_ts: now,
            body,
            secrets,
        }
    }

    /// Returns the headers and the body.
    pub(crate) fn into_parts(self) -> Result<(HeaderMap, String), InvalidHeaderValue> {
        let sent = self.sent_ts.secs().to_string();
        let signed = format!("{}.{sent}.{}", self.id, self.body);
        let signatures: Vec<String> = self.secrets.iter().map(|secret| signature(secret, &signed)).collect();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::try_from(self.id)?);
        headers.insert("webhook-timestamp", HeaderValue::try_from(sent)?);
        headers.insert("webhook-signature", HeaderValue::try_from(signatures.join(" "))?);
        Ok((headers, self.body))
    }
}

fn body(kind: &str, ts: Millis, data: Value) -> String {
    json!({ "type": kind, "timestamp": rfc3339(ts), "data": data }).to_string()
}

/// Returns the signature of a text.
fn signature(secret: &str, text: &str) -> String {
    let key = secret.strip_prefix(SECRET).and_then(from_base64).unwrap_or_default();
    // A key may have any length.
    let mac = Hmac::<Sha256>::new_from_slice(&key).map(|mac| mac.chain_update(text).finalize().into_bytes());
    format!("v1,{}", mac.map(|mac| base64(&mac)).unwrap_or_default())
}

/// Returns a time as RFC 3339 writes it, in UTC.
fn rfc3339(ts: Millis) -> String {
    let (day, ms) = (ts.get().div_euclid(86_400_000), ts.get().rem_euclid(86_400_000));
    let (year, month, day) = date(day);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Returns year, month and day of a day since the epoch. A year is taken to begin in March, so that its last day is the leap
/// day; an era has 400 years.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Millis::new(ms)), text);
        }
    }

    /// The example of the reference implementations.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", signed);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
