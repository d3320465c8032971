//! Messages: the rate of sending, and the time until delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reeve_model::clock::monotonic;
use serde_json::json;
use tokio::task::JoinSet;

use super::seed::{Kind, Person, SENDERS};
use super::{quoted, until_quiet};
use crate::Fallible;
use crate::http::Connection;
use crate::report::{Report, Times, Verdict, below};
use crate::seed::per_second;
use crate::server::Server;

const SENDING: Duration = Duration::from_secs(10);
/// The clients that wait in the large room; the members after them send in turn.
const LISTENERS: usize = 50;
const SPEAKERS: usize = 10;
/// The interval of messages, and their number.
const EVERY: Duration = Duration::from_millis(20);
const MESSAGES: usize = 1000;

fn body(text: &str) -> String {
    json!({ "msgtype": "m.text", "body": text }).to_string()
}

/// Sends from each sender into its room, one message after the other.
pub(super) async fn send(server: &Server, rooms: &[String], report: &mut Report) -> Fallible<()> {
    let (start, cpu) = (monotonic(), server.cpu()?);
    let mut tasks = JoinSet::new();
    for (number, room) in rooms.iter().cloned().enumerate() {
        let address = server.address;
        tasks.spawn(async move {
            let mut connection = Connection::open(address, &Person(Kind::Member, number).token()).await?;
            let mut took = Vec::new();
            while start.elapsed() < SENDING {
                let nth = took.len();
                let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/t{nth}");
                let text = body(&format!("This is message {nth}, which is neither short nor long."));
                let reply = connection.send("PUT", &path, &text).await?;
                reply.json()?;
                took.push(reply.took);
            }
            Fallible::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = tasks.join_next().await {
        took.extend(done??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - cpu) / elapsed * 100.0;
    let rate = per_second(took.len(), elapsed);
    let sent = took.len();
    let times = Times::of(took);
    // Every acknowledged message must exist.
    let mut there = 0;
    for (number, room) in rooms.iter().enumerate() {
        let mut connection = Connection::open(server.address, &Person(Kind::Member, number).token()).await?;
        let mut from = String::new();
        loop {
            let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1000{from}");
            let page = connection.get(&path).await?.json()?;
            let events = page.get("chunk").and_then(serde_json::Value::as_array).ok_or("no chunk")?;
            let is_message =
                |event: &&serde_json::Value| event.get("type").is_some_and(|kind| kind == "m.room.message");
            there += events.iter().filter(is_message).count();
            match page.get("end").and_then(serde_json::Value::as_str) {
                Some(end) => from = format!("&from={end}"),
                None => break,
            }
        }
    }
    let verdict = if there != sent {
        Verdict::Wrong
    } else if rate >= 1500.0 {
        Verdict::Ok
    } else {
        Verdict::Missed
    };
    let value = format!(
        "{rate:.0}/s (median {:.1} ms, p99 {:.1} ms; server at {cpu:.0} % of a core)",
        times.median, times.p99
    );
    report.row(format!("Messages from {SENDERS} senders in {SENDERS} rooms"), value, "≥ 1500/s", verdict);
    Ok(())
}

/// The data reported by waiting clients.
struct Received {
    start: Instant,
    /// The time of each message: microseconds after the start; 0 if not sent yet.
    sent: Vec<AtomicU64>,
    /// Number of clients that know the room and wait.
    ready: AtomicUsize,
    /// Number of responses, and of messages in them.
    answers: AtomicU64,
    messages: AtomicU64,
    /// Responses with a gap, because a client had fallen too far behind.
    gaps: AtomicU64,
}

impl Received {
    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Waits until all messages have arrived.
async fn listen(
    address: std::net::SocketAddr,
    person: Person,
    received: Arc<Received>,
) -> Fallible<Vec<Duration>> {
    let mut connection = Connection::open(address, &person.token()).await?;
    let filter = json!({ "room": { "state": { "lazy_load_members": true }, "timeline": { "limit": 50 } } });
    let path = format!("/_matrix/client/v3/user/{}/filter", person.user_id());
    let answer = connection.send("POST", &path, &filter.to_string()).await?.json()?;
    let filter = answer.get("filter_id").and_then(serde_json::Value::as_str).ok_or("no filter")?.to_owned();
    let reply = connection.get(&format!("/_matrix/client/v3/sync?filter={filter}")).await?;
    reply.json()?;
    let mut since =
        quoted(&String::from_utf8(reply.body)?, "\"next_batch\":\"").ok_or("no next_batch")?.to_owned();
    received.ready.fetch_add(1, Ordering::Relaxed);
    let mut took = Vec::with_capacity(MESSAGES);
    while took.len() < MESSAGES {
        let path = format!("/_matrix/client/v3/sync?filter={filter}&since={since}&timeout=30000");
        let reply = connection.get(&path).await?;
        let now = received.micros();
        received.answers.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8(reply.body)?;
        quoted(&text, "\"next_batch\":\"").ok_or("no next_batch")?.clone_into(&mut since);
        if text.contains("\"limited\":true") {
            received.gaps.fetch_add(1, Ordering::Relaxed);
        }
        for number in text.split("\"body\":\"message ").skip(1) {
            let number: usize = number.split('"').next().ok_or("no number")?.parse()?;
            let sent = received.sent.get(number).ok_or("not our message")?.load(Ordering::Relaxed);
            took.push(Duration::from_micros(now.saturating_sub(sent)));
            received.messages.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(took)
}

/// Sends into one large room at a steady rate while a part of its members waits.
pub(super) async fn fan_out(server: &Server, room: &str, report: &mut Report) -> Fallible<()> {
    let received = Arc::new(Received {
        start: monotonic(),
        sent: (0..MESSAGES).map(|_| AtomicU64::new(0)).collect(),
        ready: AtomicUsize::new(0),
        answers: AtomicU64::new(0),
        messages: AtomicU64::new(0),
        gaps: AtomicU64::new(0),
    });
    let mut listeners = JoinSet::new();
    for number in 0..LISTENERS {
        listeners.spawn(listen(server.address, Person(Kind::Member, number), Arc::clone(&received)));
    }
    let patience = monotonic() + Duration::from_mins(2);
    while received.ready.load(Ordering::Relaxed) < LISTENERS {
        if let Some(ended) = listeners.try_join_next() {
            ended??;
        }
        if monotonic() > patience {
            return Err("not all who are to wait could begin".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_quiet(&received.answers, Duration::from_secs(2), Duration::from_mins(2)).await?;
    let (begun, cpu, answers) = (monotonic(), server.cpu()?, received.answers.load(Ordering::Relaxed));
    let mut speakers = JoinSet::new();
    for speaker in 0..SPEAKERS {
        let (received, room, address) = (Arc::clone(&received), room.to_owned(), server.address);
        speakers.spawn(async move {
            let token = Person(Kind::Member, LISTENERS + speaker).token();
            let mut connection = Connection::open(address, &token).await?;
            let mut took = Vec::new();
            for number in (speaker..MESSAGES).step_by(SPEAKERS) {
                let due = EVERY * u32::try_from(number)?;
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
                let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/t{number}");
                let text = body(&format!("message {number}"));
                received.sent.get(number).ok_or("no place")?.store(received.micros(), Ordering::Relaxed);
                let reply = connection.send("PUT", &path, &text).await?;
                reply.json()?;
                took.push(reply.took);
            }
            Fallible::Ok(took)
        });
    }
    let mut sends = Vec::new();
    while let Some(done) = speakers.join_next().await {
        sends.extend(done??);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - cpu) / elapsed * 100.0;
    let answers = received.answers.load(Ordering::Relaxed) - answers;
    // The last ones may be in flight; those that do not arrive now are lost.
    let mut took = Vec::new();
    let deadline = monotonic() + Duration::from_secs(10);
    while let Ok(Some(done)) = tokio::time::timeout_at(deadline.into(), listeners.join_next()).await {
        took.extend(done??);
    }
    let all = took.len() == MESSAGES * LISTENERS;
    let times = Times::of(took);
    let sends = Times::of(sends);
    report.info(
        format!("Sending into a room of {} where {LISTENERS} wait", super::seed::CROWD),
        format!(
            "{:.0}/s (median {:.1} ms, p99 {:.1} ms); {:.0} answers/s; server at {cpu:.0} % of a core",
            per_second(MESSAGES, elapsed),
            sends.median,
            sends.p99,
            per_second(usize::try_from(answers)?, elapsed)
        ),
    );
    let gaps = received.gaps.load(Ordering::Relaxed);
    let verdict = match (all, gaps) {
        (true, _) => below(times.median, 50.0),
        (false, 1..) => Verdict::Missed,
        (false, 0) => Verdict::Wrong,
    };
    let value = if all {
        format!("median {:.1} ms, p99 {:.1} ms", times.median, times.p99)
    } else {
        let (arrived, sent) = (received.messages.load(Ordering::Relaxed), MESSAGES * LISTENERS);
        format!("{arrived} of {sent} arrived, {gaps} answers with a gap")
    };
    report.row("From sending to arriving there", value, "< 50 ms (median)", verdict);
    Ok(())
}
