//! The cost of an initial sync, and of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reeve_model::clock::monotonic;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::seed::{HOST, Kind, Person, READER, READER_ROOMS, WAITERS};
use super::{quoted, until_quiet};
use crate::Fallible;
use crate::http::{Connection, Reply};
use crate::report::{Report, Times, Verdict, below};
use crate::server::Server;

const LOOKS: usize = 20;
const NOTHING_NEW: usize = 300;
/// The timeout of an idle client: longer than the benchmark runs.
const PATIENCE_MS: u64 = 300_000;

/// The number of joined rooms in a response, and its `next_batch`.
fn rooms(reply: &Reply) -> Fallible<(usize, String)> {
    let answer = reply.json()?;
    let joined = answer.pointer("/rooms/join").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let next = answer.get("next_batch").and_then(Value::as_str).ok_or("no next_batch")?.to_owned();
    Ok((joined, next))
}

async fn looks(
    connection: &mut Connection,
    path: &str,
    count: usize,
    expected: usize,
) -> Fallible<(Times, bool, usize)> {
    let (mut took, mut right, mut size) = (Vec::new(), true, 0);
    for _ in 0..count {
        let reply = connection.get(path).await?;
        right &= rooms(&reply)?.0 == expected;
        size = reply.body.len();
        took.push(reply.took);
    }
    Ok((Times::of(took), right, size))
}

/// Makes initial syncs of an account in many rooms, then syncs with nothing new.
pub(super) async fn initial(server: &Server, report: &mut Report) -> Fallible<()> {
    let mut connection = Connection::open(server.address, &READER.token()).await?;
    let all = "/_matrix/client/v3/sync";
    let first = connection.get(all).await?;
    let (_, since) = rooms(&first)?;
    report.info(
        format!("Initial sync of {READER_ROOMS} rooms, the first after a start"),
        format!("{:.0} ms", first.took.as_secs_f64() * 1000.0),
    );
    let cpu = server.cpu()?;
    let (times, right, size) = looks(&mut connection, all, LOOKS, READER_ROOMS).await?;
    let cpu = (server.cpu()? - cpu) * 1000.0 / f64::from(u32::try_from(LOOKS)?);
    let verdict = if right { below(times.median, 300.0) } else { Verdict::Wrong };
    report.row(
        format!("Initial sync of {READER_ROOMS} rooms"),
        format!(
            "median {:.0} ms, slowest {:.0} ms, {} KB; {cpu:.0} ms of processor time",
            times.median,
            times.max,
            size / 1000
        ),
        "< 300 ms (median)",
        verdict,
    );
    let filter = json!({ "room": { "state": { "lazy_load_members": true }, "timeline": { "limit": 20 } } });
    let path = format!("/_matrix/client/v3/user/{}/filter", READER.user_id());
    let answer = connection.send("POST", &path, &filter.to_string()).await?.json()?;
    let filter = answer.get("filter_id").and_then(Value::as_str).ok_or("no filter")?;
    let (times, right, size) =
        looks(&mut connection, &format!("{all}?filter={filter}"), LOOKS, READER_ROOMS).await?;
    report.row(
        "The same with 20 events a room, members as needed",
        format!("median {:.0} ms, slowest {:.0} ms, {} KB", times.median, times.max, size / 1000),
        "",
        if right { Verdict::Info } else { Verdict::Wrong },
    );
    let (times, right, size) =
        looks(&mut connection, &format!("{all}?filter={filter}&since={since}"), NOTHING_NEW, 0).await?;
    report.row(
        "Sync with nothing new",
        format!("median {:.2} ms, p99 {:.1} ms, {size} bytes", times.median, times.p99),
        "",
        if right { Verdict::Info } else { Verdict::Wrong },
    );
    report.info("Resident memory after that", format!("{:.0} MB", server.resident_mb()?));
    Ok(())
}

/// Lets many clients wait for changes, then wakes some, one after the other.
pub(super) async fn polls(server: &Server, quiet: &[String], report: &mut Report) -> Fallible<()> {
    // A request is needed before memory is compared: the first one fills the caches of the database.
    let mut host = Connection::open(server.address, &HOST.token()).await?;
    let nobody = json!({ "room": { "rooms": [] }, "presence": { "not_types": ["*"] } });
    let path = format!("/_matrix/client/v3/user/{}/filter", HOST.user_id());
    let answer = host.send("POST", &path, &nobody.to_string()).await?.json()?;
    let filter = answer.get("filter_id").and_then(Value::as_str).ok_or("no filter")?;
    let reply = host.get(&format!("/_matrix/client/v3/sync?filter={filter}&set_presence=offline")).await?;
    let (_, since) = rooms(&reply)?;
    drop(host);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = server.resident_mb()?;

    let (answers, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (woken, mut wakes) = mpsc::unbounded_channel();
    let mut waiters = JoinSet::new();
    let begun = monotonic();
    for number in 0..WAITERS {
        let (answers, refused) = (Arc::clone(&answers), Arc::clone(&refused));
        let (woken, address) = (woken.clone(), server.address);
        let mut since = since.clone();
        waiters.spawn(async move {
            let mut connection = Connection::open(address, &Person(Kind::Waiter, number).token()).await?;
            loop {
                let path = format!("/_matrix/client/v3/sync?since={since}&timeout={PATIENCE_MS}");
                let reply = connection.get(&path).await?;
                if reply.status == 503 {
                    // Clients retry a little later.
                    refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                if reply.status != 200 {
                    return Fallible::<()>::Err(format!("status {}", reply.status).into());
                }
                answers.fetch_add(1, Ordering::Relaxed);
                let text = String::from_utf8(reply.body)?;
                quoted(&text, "\"next_batch\":\"").ok_or("no next_batch")?.clone_into(&mut since);
                if text.contains("\"body\":\"wake up\"") {
                    woken.send((number, begun.elapsed()))?;
                }
            }
        });
    }
    let settled = until_quiet(&answers, Duration::from_secs(3), Duration::from_mins(5)).await?;
    if let Some(ended) = waiters.try_join_next() {
        ended??;
    }
    report.info(
        format!("{WAITERS} clients come online, until all have heard of all"),
        format!(
            "{:.1} s, {} answers, {} refused",
            settled.as_secs_f64(),
            answers.load(Ordering::Relaxed),
            refused.load(Ordering::Relaxed)
        ),
    );
    let (cpu, counted) = (server.cpu()?, monotonic());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let cpu = (server.cpu()? - cpu) / counted.elapsed().as_secs_f64() * 100.0;
    let more = server.resident_mb()? - idle;
    report.row(
        format!("Resident memory with {WAITERS} waiting, above the idle {idle:.0} MB"),
        format!("{more:.0} MB"),
        "< 64 MB",
        below(more, 64.0),
    );
    report.info(format!("Processor time with {WAITERS} waiting"), format!("{cpu:.1} % of a core"));

    let mut took = Vec::new();
    let mut host = Connection::open(server.address, &HOST.token()).await?;
    for (number, room) in quiet.iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/t{number}");
        let body = json!({ "msgtype": "m.text", "body": "wake up" }).to_string();
        let sent = begun.elapsed();
        host.send("PUT", &path, &body).await?.json()?;
        let (who, at) = tokio::time::timeout(Duration::from_secs(10), wakes.recv())
            .await
            .map_err(|_| "nobody woke up")?
            .ok_or("nobody waits any more")?;
        if who != number {
            return Err("somebody else woke up".into());
        }
        took.push(at.saturating_sub(sent));
    }
    let times = Times::of(took);
    report.info(
        format!("From sending to waking one of {WAITERS}"),
        format!("median {:.1} ms, slowest {:.1} ms", times.median, times.max),
    );
    Ok(())
}
