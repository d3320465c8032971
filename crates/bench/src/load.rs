//! Load from many connections: reading one account, creating accounts, logging in.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reeve_model::clock::monotonic;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Fallible;
use crate::http::Connection;
use crate::population::{self, SERVER_NAME, WITH_PASSWORD};
use crate::report::{Report, Times, Verdict, below};
use crate::seed::{PASSWORD, TOKEN, per_second};
use crate::server;

/// Connections that read one account.
const READERS: usize = 32;
/// Connections that create accounts or log in.
const WRITERS: usize = 64;
/// Number of rounds in which the two handlers alternate.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
const CREATING: Duration = Duration::from_secs(10);
/// Number of list reads with and without the storm.
const LISTS: usize = 200;
/// The page that is read during logins.
pub(crate) const LIST: &str = "/_synapse/admin/v2/users?limit=100";

/// True if the load tool with the lowest overhead is installed.
fn has_wrk() -> bool {
    Command::new("wrk").arg("-v").output().is_ok()
}

/// Requests per second of one path over some connections.
pub(crate) async fn rate(address: SocketAddr, path: &str, connections: usize) -> Fallible<f64> {
    if has_wrk() {
        let (connections, seconds) = (connections.to_string(), format!("{}s", ROUND.as_secs()));
        let header = format!("Authorization: Bearer {TOKEN}");
        let mut wrk = Command::new("wrk");
        wrk.args([
            "-t",
            "1",
            "-c",
            &connections,
            "-d",
            &seconds,
            "-H",
            &header,
            &format!("http://{address}{path}"),
        ]);
        let output = tokio::task::spawn_blocking(move || wrk.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout);
        if let Some(line) =
            text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"))
        {
            return Err(format!("{path}: {}", line.trim()).into());
        }
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        return Ok(rate.ok_or("wrk printed no rate")?.trim().parse()?);
    }
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let path = path.to_owned();
        tasks.spawn(async move {
            let mut connection = Connection::open(address, TOKEN).await?;
            let (start, mut count) = (monotonic(), 0);
            while start.elapsed() < ROUND {
                let reply = connection.get(&path).await?;
                if reply.status != 200 {
                    return Err(format!("status {}", reply.status).into());
                }
                count += 1;
            }
            Fallible::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(per_second(count, ROUND.as_secs_f64()))
}

pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Reads one account by id, against the empty handler with a body of the same size.
pub(crate) async fn read_one(address: SocketAddr, user_id: &str, report: &mut Report) -> Fallible<()> {
    let tool = if has_wrk() { "wrk" } else { "own load loop, as wrk is not installed" };
    let path = format!("/_synapse/admin/v2/users/{user_id}");
    let mut connection = Connection::open(address, TOKEN).await?;
    let reply = connection.get(&path).await?;
    if reply.json()?.get("name").and_then(Value::as_str) != Some(user_id) {
        return Err("the wrong account was read".into());
    }
    let empty = server::empty_path(reply.body.len());
    if connection.get(&empty).await?.body.len() != reply.body.len() {
        return Err("the empty handler answers another size".into());
    }
    let (mut rates, mut empty_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty_rates.push(rate(address, &empty, READERS).await?);
        rates.push(rate(address, &path, READERS).await?);
    }
    let (one, empty) = (median(rates), median(empty_rates));
    report.info(
        format!("Emptiest handler, {} bytes, {READERS} connections ({tool})", reply.body.len()),
        format!("{empty:.0} requests/s"),
    );
    report.info(format!("One account by id, {READERS} connections ({tool})"), format!("{one:.0} requests/s"));
    let ratio = one / empty;
    let verdict = if ratio >= 0.5 { Verdict::Ok } else { Verdict::Missed };
    report.row("One account by id, against the emptiest handler", format!("{ratio:.2}"), "≥ 0.5", verdict);
    Ok(())
}

/// Sent on a fresh connection, since the server closes one that is idle for as long as accounts are created.
async fn total(address: SocketAddr) -> Fallible<usize> {
    let page =
        Connection::open(address, TOKEN).await?.get("/_synapse/admin/v2/users?limit=1").await?.json()?;
    Ok(usize::try_from(page.get("total").and_then(Value::as_u64).ok_or("no total")?)?)
}

/// Creates accounts without passwords.
pub(crate) async fn create(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let before = total(address).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let start = monotonic();
    for _ in 0..WRITERS {
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            let mut connection = Connection::open(address, TOKEN).await?;
            let mut took = Vec::new();
            while start.elapsed() < CREATING {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let path = format!("/_synapse/admin/v2/users/@new{before}-{number}:{SERVER_NAME}");
                let reply = connection.send("PUT", &path, "{}").await?;
                if reply.status != 201 {
                    return Err(
                        format!("status {}: {}", reply.status, String::from_utf8_lossy(&reply.body)).into()
                    );
                }
                took.push(reply.took);
            }
            Fallible::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = tasks.join_next().await {
        took.extend(done??);
    }
    let rate = per_second(took.len(), start.elapsed().as_secs_f64());
    let created = took.len();
    let times = Times::of(took);
    let after = total(address).await?;
    let verdict = if after - before != created {
        Verdict::Wrong
    } else if rate >= 2000.0 {
        Verdict::Ok
    } else {
        Verdict::Missed
    };
    let value = format!("{rate:.0}/s (median {:.1} ms, p99 {:.1} ms)", times.median, times.p99);
    report.row(format!("Creating accounts, {WRITERS} connections"), value, "≥ 2000/s", verdict);
    Ok(())
}

pub(crate) async fn lists(connection: &mut Connection) -> Fallible<Times> {
    let mut took = Vec::new();
    for number in 0..LISTS + 5 {
        let reply = connection.get(LIST).await?;
        reply.json()?;
        if number >= 5 {
            took.push(reply.took);
        }
    }
    Ok(Times::of(took))
}

/// Reads the list without and with many logins.
pub(crate) async fn storm(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let mut connection = Connection::open(address, TOKEN).await?;
    let idle = lists(&mut connection).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let start = monotonic();
    for number in 1..=WRITERS.min(WITH_PASSWORD) {
        let stop = Arc::clone(&stop);
        tasks.spawn(async move {
            let mut connection = Connection::open(address, "").await?;
            let body = json!({
                "type": "m.login.password",
                "identifier": { "type": "m.id.user", "user": population::localpart(number) },
                "password": PASSWORD,
            })
            .to_string();
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                connection.send("POST", "/_matrix/client/v3/login", &body).await?.json()?;
                count += 1;
            }
            Fallible::Ok(count)
        });
    }
    // The storm is at its height once every connection has sent its first login.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stormy = lists(&mut connection).await?;
    stop.store(true, Ordering::Relaxed);
    let mut logins = 0;
    while let Some(done) = tasks.join_next().await {
        logins += done??;
    }
    let rate = per_second(logins, start.elapsed().as_secs_f64());
    report.info("Logins in the storm", format!("{rate:.1}/s"));
    report.info("First page, idle", format!("median {:.2} ms", idle.median));
    report.info(
        "First page, in the storm",
        format!("median {:.2} ms, p99 {:.1} ms", stormy.median, stormy.p99),
    );
    let ratio = stormy.median / idle.median;
    report.row(
        "List in a login storm, against idle",
        format!("{ratio:.2} times"),
        "< 3 times",
        below(ratio, 3.0),
    );
    Ok(())
}
