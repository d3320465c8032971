//! An act on a selection of accounts: its dry run, its duration, and the list of accounts meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use reeve_model::clock::monotonic;
use serde_json::{Value, json};

use crate::Fallible;
use crate::http::Connection;
use crate::load::LIST;
use crate::report::{Report, Times, Verdict, below};
use crate::seed::TOKEN;

const PATH: &str = "/_reeve/admin/v1/users/batch";
/// Number of measured dry runs.
const DRY_RUNS: usize = 30;
/// Number of list reads before the batch.
const LISTS: usize = 200;
/// Number of list reads between two looks at the batch.
const LOOK_EVERY: usize = 50;
/// The batch is given up after this time.
const MOST: Duration = Duration::from_mins(10);
/// The maximum duration of a batch of 100,000 accounts, in seconds.
const TARGET_S: f64 = 30.0;

/// An act on the accounts with uploads, which are a tenth of all.
fn order(act: &str, more: &Value) -> Value {
    let filter = json!({ "media_size_over": 0, "locked": true });
    let mut order = json!({ "selection": { "filter": filter }, "act": { "type": act } });
    if let (Some(order), Some(more)) = (order.as_object_mut(), more.as_object()) {
        order.extend(more.clone());
    }
    order
}

async fn post(connection: &mut Connection, order: &Value, part: &str) -> Fallible<(Value, Duration)> {
    let reply = connection.send("POST", PATH, &order.to_string()).await?;
    let part = reply.json()?.get(part).cloned().ok_or_else(|| format!("no {part} in the answer"))?;
    Ok((part, reply.took))
}

fn number(of: &Value, key: &str) -> Fallible<u64> {
    Ok(of.get(key).and_then(Value::as_u64).ok_or_else(|| format!("no number {key} in {of}"))?)
}

/// Shows an act and starts it; returns the batch.
async fn start(connection: &mut Connection, act: &str) -> Fallible<Value> {
    let (preview, _) = post(connection, &order(act, &json!({ "dry_run": true })), "preview").await?;
    let confirm = preview.get("confirm").cloned().unwrap_or_default();
    Ok(post(connection, &order(act, &json!({ "confirm": confirm })), "batch").await?.0)
}

/// Reads the list until a batch is over; returns the batch as it is then, and the durations of the reads.
async fn watch(connection: &mut Connection, batch: &Value) -> Fallible<(Value, Vec<Duration>)> {
    let id = batch.get("id").and_then(Value::as_str).ok_or("the batch has no id")?;
    let (begin, mut took) = (monotonic(), Vec::new());
    loop {
        for _ in 0..LOOK_EVERY {
            let reply = connection.get(LIST).await?;
            reply.json()?;
            took.push(reply.took);
        }
        let batch = connection.get(&format!("{PATH}/{id}")).await?.json()?;
        match batch.get("state").and_then(Value::as_str) {
            Some("complete") => return Ok((batch, took)),
            Some("scheduled" | "active") if begin.elapsed() < MOST => {}
            Some(_) | None => return Err(format!("the batch does not end: {batch}").into()),
        }
    }
}

/// Locks a tenth of all accounts, and unlocks them again. Accounts that were locked before are unlocked, too.
pub(crate) async fn run(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let mut connection = Connection::open(address, TOKEN).await?;
    let mut took = Vec::new();
    let first = post(&mut connection, &order("lock", &json!({ "dry_run": true })), "preview").await?.0;
    for _ in 0..DRY_RUNS {
        took.push(post(&mut connection, &order("lock", &json!({ "dry_run": true })), "preview").await?.1);
    }
    let total = number(&first, "total")?;
    let times = Times::of(took);
    report.row(
        format!("Dry run of a batch of {total} accounts"),
        format!("median {:.1} ms, p99 {:.1} ms", times.median, times.p99),
        "< 50 ms",
        below(times.median, 50.0),
    );
    let mut idle = Vec::new();
    for _ in 0..LISTS {
        idle.push(connection.get(LIST).await?.took);
    }
    let idle = Times::of(idle);

    let begin = monotonic();
    let batch = start(&mut connection, "lock").await?;
    let began = begin.elapsed();
    let (batch, meanwhile) = watch(&mut connection, &batch).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let outcomes = batch.get("outcomes").cloned().unwrap_or_default();
    // Administrators are protected.
    let known = [number(&outcomes, "done")?, number(&outcomes, "unchanged")?, number(&outcomes, "skipped")?];
    let is_right = known.into_iter().sum::<u64>() == total;
    // A share of the target for a share of the accounts; the looks at the batch are a moment apart.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let target = (TARGET_S * total as f64 / 100_000.0).max(1.0);
    report.info("Starting the batch", format!("{:.0} ms", began.as_secs_f64() * 1000.0));
    report.row(
        format!("Locking {total} accounts"),
        format!("{seconds:.1} s"),
        format!("< {target:.0} s"),
        if is_right { below(seconds, target) } else { Verdict::Wrong },
    );
    let meanwhile = Times::of(meanwhile);
    let ratio = meanwhile.median / idle.median;
    report.row(
        "List during a batch, against idle",
        format!(
            "{ratio:.2} times (median {:.2} ms against {:.2} ms, p99 {:.1} ms)",
            meanwhile.median, idle.median, meanwhile.p99
        ),
        "< 2 times",
        below(ratio, 2.0),
    );
    let batch = start(&mut connection, "unlock").await?;
    watch(&mut connection, &batch).await?;
    Ok(())
}
