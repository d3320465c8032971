//! The deactivation of accounts in very many rooms, and its effect on other requests.

use std::time::Duration;

use reeve_model::clock::monotonic;
use serde_json::Value;
use tokio::sync::oneshot;

use super::seed::{Kind, LEAVER_ROOMS, LEAVERS, Person};
use crate::Fallible;
use crate::http::Connection;
use crate::report::{Report, Times, Verdict};
use crate::seed::TOKEN;
use crate::server::Server;

const IDLE_LISTS: usize = 300;
const LIST: &str = "/_synapse/admin/v2/users?limit=100";
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(3);

/// Deactivates an account and waits for the job to end; returns the duration, and true if all rooms were left.
async fn leave(address: std::net::SocketAddr, person: Person) -> Fallible<(Duration, bool)> {
    let mut connection = Connection::open(address, TOKEN).await?;
    let start = monotonic();
    let path = format!("/_synapse/admin/v1/deactivate/{}", person.user_id());
    connection.send("POST", &path, "{\"erase\":false}").await?.json()?;
    let path = format!("/_reeve/admin/v1/jobs?subject={}", person.user_id());
    loop {
        let jobs = connection.get(&path).await?.json()?;
        let job = jobs.pointer("/jobs/0").ok_or("no job")?;
        match job.get("state").and_then(Value::as_str) {
            Some("complete") => {
                let took = start.elapsed();
                let left = job.pointer("/result/rooms_left").and_then(Value::as_u64);
                let path = format!("/_synapse/admin/v1/users/{}/joined_rooms", person.user_id());
                let rooms = connection.get(&path).await?.json()?;
                let still = rooms.get("total").and_then(Value::as_u64);
                let all = left == u64::try_from(LEAVER_ROOMS).ok() && still == Some(0);
                return Ok((took, all));
            }
            Some("scheduled" | "active") if start.elapsed() < PATIENCE => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            state => return Err(format!("the job is {state:?}").into()),
        }
    }
}

/// Reads the list repeatedly until stopped.
async fn lists(address: std::net::SocketAddr, mut stop: oneshot::Receiver<()>) -> Fallible<Vec<Duration>> {
    let mut connection = Connection::open(address, TOKEN).await?;
    let mut took = Vec::new();
    while stop.try_recv().is_err() {
        let reply = connection.get(LIST).await?;
        reply.json()?;
        took.push(reply.took);
    }
    Ok(took)
}

/// Deactivates one account after the other while the list of accounts is read.
pub(super) async fn deactivate(server: &Server, report: &mut Report) -> Fallible<()> {
    let (mut all, mut slowest, mut cpu) = (true, 0.0_f64, 0.0);
    let (mut values, mut during, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..LEAVERS {
        let mut connection = Connection::open(server.address, TOKEN).await?;
        for nth in 0..IDLE_LISTS + 5 {
            let reply = connection.get(LIST).await?;
            reply.json()?;
            if nth >= 5 {
                idle.push(reply.took);
            }
        }
        let (cpu_before, (stop, stopped)) = (server.cpu()?, oneshot::channel());
        let reading = tokio::spawn(lists(server.address, stopped));
        let (took, left) = leave(server.address, Person(Kind::Leaver, number)).await?;
        let _ = stop.send(());
        let read = reading.await??;
        cpu += server.cpu()? - cpu_before;
        during.extend(read);
        all &= left;
        slowest = slowest.max(took.as_secs_f64());
        values.push(format!("{:.1}", took.as_secs_f64()));
    }
    let (idle, during) = (Times::of(idle), Times::of(during));
    let verdict = match (all, slowest < 10.0) {
        (false, _) => Verdict::Wrong,
        (true, true) => Verdict::Ok,
        (true, false) => Verdict::Missed,
    };
    report.row(
        format!("Deactivating an account in {LEAVER_ROOMS} rooms, {LEAVERS} times, list read meanwhile"),
        format!(
            "{} s; {:.1} s of processor time each, lists included",
            values.join(", "),
            cpu / f64::from(u32::try_from(LEAVERS)?)
        ),
        "< 10 s",
        verdict,
    );
    report.info(
        "First page of the list, idle",
        format!("median {:.2} ms, p99 {:.1} ms", idle.median, idle.p99),
    );
    report.info(
        "First page of the list, meanwhile",
        format!("median {:.2} ms, p99 {:.1} ms", during.median, during.p99),
    );
    let ratio = during.median / idle.median;
    report.row(
        "List while rooms are left, against idle",
        format!("{ratio:.2} times"),
        "< 2 times",
        crate::report::below(ratio, 2.0),
    );
    Ok(())
}
