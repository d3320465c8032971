//! Keys of devices, and to-device messages.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reeve_db::{Db, DbError, Options, Tx};
use reeve_model::clock::monotonic;
use reeve_model::session::hash_token;
use reeve_model::{Millis, User};
use reeve_store::access_tokens::{self, NewAccessToken};
use reeve_store::{devices, keys, users};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::Fallible;
use crate::database::Place;
use crate::http::Connection;
use crate::population::SERVER_NAME;
use crate::report::{Report, Times, Verdict, below};
use crate::seed::per_second;
use crate::server::Server;

/// Accounts with one device each, whose keys are claimed.
const DEVICES: usize = 1000;
/// Number of claims of one key of each, and of unmeasured warm-up claims.
const CLAIMS: usize = 22;
const WARM_UP: usize = 2;
const ALGORITHM: &str = "signed_curve25519";
/// Number of senders, each with messages to the device with the next number, one after the other, and the
/// duration.
const SENDERS: usize = 64;
const SENDING: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Keys {
    /// `sqlite:FILE`, or the `postgres://…` URL of a server on which a database `reeve_bench` is created.
    #[arg(long, default_value = "sqlite:reeve-bench-data/bench.db")]
    database: String,
    /// The steps to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Step::Claim, Step::Messages])]
    steps: Vec<Step>,
    /// Writes all results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Claiming one key of each of very many devices.
    Claim,
    /// To-device messages.
    Messages,
}

/// Runs the benchmark; returns true if no result is wrong or missed.
pub(crate) async fn run(arguments: Keys) -> Fallible<bool> {
    let place = Place::new(&arguments.database, false)?;
    let mut report = Report::default();
    let measured = measure(&place, &arguments.steps, &mut report).await;
    let cleared = place.clear();
    println!("\n{}", report.table());
    if let Some(file) = arguments.json {
        fs::write(file, format!("{:#}\n", report.json()))?;
    }
    measured?;
    cleared?;
    Ok(report.is_good())
}

async fn measure(place: &Place, steps: &[Step], report: &mut Report) -> Fallible<()> {
    println!("seeding");
    let db = Db::open(place.url(), Options::default(), reeve_store::MIGRATIONS).await?;
    for number in 0..DEVICES {
        db.write(move |tx| device(tx, number)).await?;
    }
    db.close().await;
    place.settle()?;
    let (server, _) = Server::start(place).await?;
    if steps.contains(&Step::Claim) {
        println!("claiming");
        claim(server.address, report).await?;
    }
    if steps.contains(&Step::Messages) {
        println!("sending");
        messages(&server, report).await?;
    }
    server.stop()
}

fn user_id(number: usize) -> String {
    format!("@device{number:04}:{SERVER_NAME}")
}

fn token(number: usize) -> String {
    format!("benchmark-{number}")
}

/// An account with a device and as many one-time keys as are claimed.
fn device(tx: &mut Tx<'_>, number: usize) -> Result<(), DbError> {
    let now = Millis::new(1_700_000_000_000);
    let num = users::insert(tx, &User::new(user_id(number), now), None)?;
    devices::insert(tx, num, "DEVICE", None, now)?;
    for key in 0..CLAIMS {
        let json = json!({ "key": format!("key{key:0>40}"), "signatures": { user_id(number): { "ed25519:DEVICE": "x".repeat(86) } } });
        keys::insert_one_time(tx, num, "DEVICE", ALGORITHM, &format!("K{key}"), &json.to_string())?;
    }
    let token = NewAccessToken {
        token_hash: &hash_token(&token(number)),
        owner_num: num,
        acting_num: num,
        device_id: Some("DEVICE"),
        valid_until_ts: None,
        created_ts: now,
        unconfirmed: false,
    };
    access_tokens::insert(tx, &token)
}

/// Claims a key of each device repeatedly; no key may be returned twice.
async fn claim(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let devices: Map<String, Value> =
        (0..DEVICES).map(|number| (user_id(number), json!({ "DEVICE": ALGORITHM }))).collect();
    let body = json!({ "one_time_keys": devices }).to_string();
    let mut connection = Connection::open(address, &token(0)).await?;
    let (mut took, mut seen) = (Vec::new(), HashSet::new());
    for round in 0..CLAIMS {
        let reply = connection.send("POST", "/_matrix/client/v3/keys/claim", &body).await?;
        if round >= WARM_UP {
            took.push(reply.took);
        }
        let answer = reply.json()?;
        let given = answer.get("one_time_keys").and_then(Value::as_object).ok_or("no keys")?;
        for (user_id, devices) in given {
            let keys = devices.get("DEVICE").and_then(Value::as_object).ok_or("no device")?;
            seen.extend(keys.keys().map(|key| format!("{user_id} {key}")));
        }
    }
    let times = Times::of(took);
    let verdict = if seen.len() == DEVICES * CLAIMS { below(times.median, 100.0) } else { Verdict::Wrong };
    let value = format!("median {:.1} ms, slowest {:.1} ms", times.median, times.max);
    report.row(format!("Claiming a key of each of {DEVICES} devices"), value, "< 100 ms (median)", verdict);
    Ok(())
}

/// Sends messages from many devices, then reads all of them.
async fn messages(server: &Server, report: &mut Report) -> Fallible<()> {
    let address = server.address;
    let (start, cpu) = (monotonic(), server.cpu()?);
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        tasks.spawn(async move {
            let mut connection = Connection::open(address, &token(sender)).await?;
            let to = user_id(sender + 1);
            let mut took = Vec::new();
            while start.elapsed() < SENDING {
                let number = took.len();
                let path = format!("/_matrix/client/v3/sendToDevice/m.room.encrypted/{number}");
                let body = json!({ "messages": { &to: { "DEVICE": { "number": number, "ciphertext": "x".repeat(300) } } } });
                let reply = connection.send("PUT", &path, &body.to_string()).await?;
                reply.json()?;
                took.push(reply.took);
            }
            Fallible::Ok((sender, took))
        });
    }
    let (mut sent, mut took) = (vec![0; SENDERS], Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (sender, times) = done??;
        if let Some(sent) = sent.get_mut(sender) {
            *sent = times.len();
        }
        took.extend(times);
    }
    let seconds = start.elapsed().as_secs_f64();
    let cores = (server.cpu()? - cpu) / seconds;
    let rate = per_second(took.len(), seconds);
    let times = Times::of(took);
    let mut arrived = true;
    for (sender, count) in sent.iter().enumerate() {
        arrived &= received(address, sender + 1).await? == (0..*count).collect::<Vec<_>>();
    }
    let verdict = match (arrived, rate >= 5000.0) {
        (false, _) => Verdict::Wrong,
        (true, true) => Verdict::Ok,
        (true, false) => Verdict::Missed,
    };
    report.row(
        format!("Messages to devices, {SENDERS} connections"),
        format!(
            "{rate:.0}/s (median {:.1} ms, p99 {:.1} ms; server at {:.0} % of a core)",
            times.median,
            times.p99,
            cores * 100.0
        ),
        "≥ 5000/s",
        verdict,
    );
    Ok(())
}

/// The numbers of all messages that wait for a device, in order.
async fn received(address: SocketAddr, number: usize) -> Fallible<Vec<usize>> {
    let mut connection = Connection::open(address, &token(number)).await?;
    let (mut found, mut since) = (Vec::new(), String::new());
    loop {
        let answer = connection.get(&format!("/_matrix/client/v3/sync?timeout=0{since}")).await?.json()?;
        let events = answer.pointer("/to_device/events").and_then(Value::as_array).ok_or("no messages")?;
        if events.is_empty() {
            return Ok(found);
        }
        let numbers = events.iter().filter_map(|event| event.pointer("/content/number")?.as_u64());
        found.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        let next = answer.get("next_batch").and_then(Value::as_str).ok_or("no next_batch")?;
        since = format!("&since={next}");
    }
}
