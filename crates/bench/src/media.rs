//! Uploads: very many, very large, concurrent reads, and deletion.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reeve::server::Config;
use reeve::settings::Settings;
use reeve_accounts::password::Hasher;
use reeve_db::{Db, DbError, Options, Tx};
use reeve_model::{Millis, UserNum, clock::monotonic};
use reeve_store::lists::media::OrderBy;
use reeve_store::media::NewMedia;
use reeve_store::{media, media_objects as objects, users};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Fallible;
use crate::database::Place;
use crate::http::Connection;
use crate::load;
use crate::population::{self, Population, SERVER_NAME};
use crate::report::{Report, Times, Verdict, below};
use crate::seed::{TOKEN, per_second};
use crate::server::{self, Server};

/// The account whose uploads are listed.
const OWNER: usize = 7;
/// Number of uploads stored in one transaction while seeding, and of distinct contents.
const BATCH: usize = 1000;
const CONTENTS: usize = 1000;
/// Number of uploads in a page, and of requests for each page.
const PAGE: usize = 100;
const WARM_UP: usize = 2;
const REQUESTS: usize = 30;
/// Maximum duration of a page, in milliseconds.
const LIMIT_MS: f64 = 10.0;
/// The size of the large file and of its pieces, in bytes.
const LARGE: usize = 1 << 30;
const CHUNK: usize = 1 << 18;
/// The size of the file that many connections read, in bytes, and the number of connections.
const READ: usize = 1 << 20;
const READERS: usize = 64;
const ROUNDS: usize = 3;
/// Number of deleted files, and of connections that upload them.
const DELETED: usize = 10_000;
const UPLOADERS: usize = 64;

#[derive(Args)]
pub(crate) struct Media {
    /// `sqlite:FILE`, or the `postgres://…` URL of a server on which a database `reeve_bench` is created.
    #[arg(long, default_value = "sqlite:reeve-bench-data/bench.db")]
    database: String,
    /// Number of uploads of one account.
    #[arg(long, default_value_t = 1_000_000)]
    uploads: usize,
    /// The steps to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Step::Lists, Step::Large, Step::Read, Step::Delete])]
    steps: Vec<Step>,
    /// Writes all results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Pages of the uploads of one account.
    Lists,
    /// One very large file.
    Large,
    /// Concurrent reads.
    Read,
    /// Deleting very many files.
    Delete,
}

/// Runs the benchmark; returns true if no result is wrong or missed.
pub(crate) async fn run(arguments: Media) -> Fallible<bool> {
    let place = Arc::new(Place::new(&arguments.database, false)?);
    let mut report = Report::default();
    let measured = measure(&place, arguments.uploads, &arguments.steps, &mut report).await;
    let cleared = place.clear();
    println!("\n{}", report.table());
    if let Some(file) = arguments.json {
        fs::write(file, format!("{:#}\n", report.json()))?;
    }
    measured?;
    cleared?;
    Ok(report.is_good())
}

async fn measure(place: &Arc<Place>, uploads: usize, steps: &[Step], report: &mut Report) -> Fallible<()> {
    println!("seeding");
    let population = Arc::new(Population::new(2000));
    let hash = Hasher::new(Config::from_settings(&Settings::default()).hashing)?;
    let hash = hash.hash(crate::seed::PASSWORD).await?;
    crate::seed::seed(place, &population, hash, report).await?;
    if steps.contains(&Step::Lists) {
        seed(place, uploads, report).await?;
    }
    let (server, _) = Server::start(place).await?;
    if steps.contains(&Step::Lists) {
        println!("lists");
        lists(server.address, uploads, report).await?;
    }
    if steps.contains(&Step::Large) {
        println!("one large file");
        large(&server, report).await?;
    }
    if steps.contains(&Step::Read) {
        println!("many readers");
        read(server.address, report).await?;
    }
    if steps.contains(&Step::Delete) {
        println!("deleting");
        delete(server.address, report).await?;
    }
    report.info("Resident memory at the end", format!("{:.0} MB", server.resident_mb()?));
    server.stop()
}

/// Stores rows of uploads, many of which are equal in each column. Their bytes do not exist.
async fn seed(place: &Place, uploads: usize, report: &mut Report) -> Fallible<()> {
    let db = Db::open(place.url(), Options::default(), reeve_store::MIGRATIONS).await?;
    let owner = population::user_id(OWNER);
    let user_num = db.read(move |tx| users::num(tx, &owner)).await?.ok_or("no owner")?;
    let blobs = Arc::new(db.write(contents).await?);
    let (start, mut done) = (monotonic(), 0);
    while done < uploads {
        let (blobs, end) = (Arc::clone(&blobs), uploads.min(done + BATCH));
        db.write(move |tx| (done..end).try_for_each(|number| store(tx, user_num, &blobs, number))).await?;
        done = end;
    }
    report.info("Seeding uploads", format!("{:.0}/s", per_second(uploads, start.elapsed().as_secs_f64())));
    db.close().await;
    place.settle()
}

fn contents(tx: &mut Tx<'_>) -> Result<Vec<i64>, DbError> {
    let mut blobs = Vec::new();
    for number in 0..CONTENTS {
        let object = format!("bench/{number}");
        objects::begin(tx, &object, Millis::ZERO)?;
        let blob = objects::put_blob(tx, &format!("{number:064x}"), length(number), &object, Millis::ZERO)?;
        blobs.push(blob.ok_or(DbError::NoRow)?);
    }
    Ok(blobs)
}

fn length(content: usize) -> i64 {
    i64::try_from(1 + content % 300).unwrap_or(1) * 1000
}

fn store(tx: &mut Tx<'_>, user_num: UserNum, blobs: &[i64], number: usize) -> Result<(), DbError> {
    // Spreads consecutive numbers over the whole range.
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let content = mixed % CONTENTS;
    let ts = Millis::new(1_700_000_000_000).plus(i64::try_from(number / 3).unwrap_or_default() * 1000);
    let media_id = format!("{mixed:020}{:04}", number % 10_000);
    let new = NewMedia {
        media_id: media_id.clone(),
        user_num,
        media_type: format!("image/{}", mixed % 4),
        upload_name: (!mixed.is_multiple_of(5)).then(|| format!("holiday {:05}.png", mixed % 20_000)),
        created_ts: ts,
        quarantined_by: mixed.is_multiple_of(100).then(|| population::user_id(0)),
        url_cache: None,
        disguised: false,
    };
    let blob = blobs.get(content).copied().ok_or(DbError::NoRow)?;
    media::insert(tx, &new, blob, length(content))?;
    if mixed.is_multiple_of(2) {
        media::touch(tx, &media_id, ts.plus(60_000))?;
    }
    if mixed.is_multiple_of(50) {
        media::set_safe(tx, &media_id, true)?;
    }
    Ok(())
}

/// Reads pages in every order, at the beginning and far in.
async fn lists(address: SocketAddr, uploads: usize, report: &mut Report) -> Fallible<()> {
    let mut connection = Connection::open(address, TOKEN).await?;
    for (name, from) in [("First page", 0), ("Page in the middle", uploads / 2)] {
        let (mut worst, mut wrong) = (Times::default(), 0);
        for (order, _) in OrderBy::ALL {
            for dir in ["f", "b"] {
                let owner = population::user_id(OWNER);
                let path = format!(
                    "/_synapse/admin/v1/users/{owner}/media?order_by={order}&dir={dir}&from={from}&limit={PAGE}"
                );
                let mut took = Vec::new();
                for number in 0..WARM_UP + REQUESTS {
                    let reply = connection.get(&path).await?;
                    if number >= WARM_UP {
                        took.push(reply.took);
                    } else if !is_page(&reply.json()?, order, dir == "b", uploads) {
                        wrong += 1;
                    }
                }
                let times = Times::of(took);
                let verdict = below(times.median, LIMIT_MS);
                report.list(&format!("{order} {dir} from={from}"), times, LIMIT_MS, verdict);
                if times.median > worst.median {
                    worst = times;
                }
            }
        }
        let verdict = if wrong > 0 { Verdict::Wrong } else { below(worst.median, LIMIT_MS) };
        report.row(
            format!("{name} of {PAGE} of {uploads} uploads, slowest order"),
            format!("median {:.1} ms, p99 {:.1} ms", worst.median, worst.p99),
            format!("< {LIMIT_MS} ms (median)"),
            verdict,
        );
    }
    Ok(())
}

/// Checks that a page is full, sorted and counted.
fn is_page(page: &Value, order: &str, descending: bool, uploads: usize) -> bool {
    let media: &[Value] = page.get("media").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    // Rows without a value come last.
    let key = |media: &Value| match media.get(order) {
        Some(Value::String(text)) => (0, text.clone()),
        Some(Value::Null) | None => (1, String::new()),
        Some(Value::Bool(yes)) => (0, i32::from(*yes).to_string()),
        Some(other) => (0, format!("{:>20}", other.to_string())),
    };
    let keys: Vec<(i32, String)> = media.iter().map(key).collect();
    let is_sorted = if descending { keys.is_sorted_by(|a, b| a >= b) } else { keys.is_sorted() };
    let total = page.get("total").and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
    is_sorted && media.len() == PAGE && total == Some(uploads)
}

/// Bytes that do not repeat within a megabyte.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(READ).collect()
}

/// Samples the resident memory of the server until stopped; returns the peak in MB.
async fn peak(server: &Server, stop: &AtomicBool) -> Fallible<f64> {
    let mut most = 0.0_f64;
    while !stop.load(Ordering::Relaxed) {
        most = most.max(server.resident_mb()?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(most)
}

/// Uploads and downloads a very large file.
async fn large(server: &Server, report: &mut Report) -> Fallible<()> {
    let noise = Arc::new(noise());
    // One-time costs are not counted.
    let small = upload(&mut Connection::open(server.address, TOKEN).await?, "warm").await?;
    Connection::open(server.address, TOKEN).await?.get(&download_path(&small)).await?;
    let before = server.resident_mb()?;
    let mut media_id = String::new();
    for (name, up) in [("Uploading", true), ("Downloading", false)] {
        let (address, noise, known) = (server.address, Arc::clone(&noise), media_id.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let start = monotonic();
        let transfer = tokio::spawn(async move {
            let done = if up {
                send_large(address, &noise).await
            } else {
                receive_large(address, &noise, &known).await.map(|()| known)
            };
            stopped.store(true, Ordering::Relaxed);
            done
        });
        let peak = peak(server, &stop).await?;
        media_id = transfer.await??;
        let (seconds, grown) = (start.elapsed().as_secs_f64(), peak - before);
        report.row(
            format!("{name} 1 GiB"),
            format!("{:.0} MiB/s, memory grows by {grown:.0} MB", 1024.0 / seconds),
            "< 32 MB",
            below(grown, 32.0),
        );
    }
    Ok(())
}

fn download_path(media_id: &str) -> String {
    format!("/_matrix/client/v1/media/download/{SERVER_NAME}/{media_id}")
}

fn media_id(answer: &Value) -> Fallible<String> {
    let uri = answer.get("content_uri").and_then(Value::as_str).ok_or("no content_uri")?;
    Ok(uri.rsplit('/').next().unwrap_or_default().to_owned())
}

async fn upload(connection: &mut Connection, text: &str) -> Fallible<String> {
    media_id(&connection.send("POST", "/_matrix/media/v3/upload", text).await?.json()?)
}

async fn send_large(address: SocketAddr, noise: &[u8]) -> Fallible<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {LARGE}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..LARGE / READ {
        for chunk in noise.chunks(CHUNK) {
            stream.write_all(chunk).await?;
        }
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").ok_or("no body")?.1;
    media_id(&serde_json::from_str(body).map_err(|_| answer.clone())?)
}

async fn receive_large(address: SocketAddr, noise: &[u8], media_id: &str) -> Fallible<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n",
        download_path(media_id)
    );
    stream.write_all(head.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let mut piece = vec![0; READ];
    for _ in 0..LARGE / READ {
        stream.read_exact(&mut piece).await?;
        if piece != noise {
            return Err("other bytes came back".into());
        }
    }
    if stream.read(&mut piece).await? > 0 {
        return Err("more bytes came back".into());
    }
    Ok(())
}

/// Reads one file over many connections, against the empty handler with a body of the same size.
async fn read(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let body = "x".repeat(READ);
    let media_id = upload(&mut Connection::open(address, TOKEN).await?, &body).await?;
    let (path, empty) = (download_path(&media_id), server::empty_path(READ));
    let (mut rates, mut empty_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty_rates.push(load::rate(address, &empty, READERS).await?);
        rates.push(load::rate(address, &path, READERS).await?);
    }
    let (rate, empty) = (load::median(rates), load::median(empty_rates));
    report.info(format!("1 MiB from memory, {READERS} connections"), format!("{empty:.0} requests/s"));
    let ratio = rate / empty;
    report.row(
        format!("Downloads of 1 MiB, {READERS} connections, against that"),
        format!("{ratio:.2} ({rate:.0} requests/s)"),
        "≥ 0.5",
        if ratio >= 0.5 { Verdict::Ok } else { Verdict::Missed },
    );
    Ok(())
}

/// Deletes very many files, page by page, while lists are read.
async fn delete(address: SocketAddr, report: &mut Report) -> Fallible<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let start = monotonic();
    for _ in 0..UPLOADERS {
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            let mut connection = Connection::open(address, TOKEN).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= DELETED {
                    return Fallible::Ok(());
                }
                upload(&mut connection, &format!("file {number}")).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let rate = per_second(DELETED, start.elapsed().as_secs_f64());
    report.info(format!("Uploading small files, {UPLOADERS} connections"), format!("{rate:.0}/s"));
    let mut connection = Connection::open(address, TOKEN).await?;
    let idle = load::lists(&mut connection).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let deleting = tokio::spawn(async move {
        let done = delete_all(address).await;
        stopped.store(true, Ordering::Relaxed);
        done
    });
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        took.push(connection.get(load::LIST).await?.took);
    }
    let (deleted, seconds) = deleting.await??;
    let meanwhile = Times::of(took);
    report.info(format!("Deleting {deleted} files, {PAGE} with each request"), format!("{seconds:.1} s"));
    let ratio = meanwhile.median / idle.median;
    let verdict = if deleted < DELETED { Verdict::Wrong } else { below(ratio, 2.0) };
    report.row(
        "List of accounts while files are deleted, against idle",
        format!("{ratio:.2} times ({:.2} ms, {:.2} ms)", meanwhile.median, idle.median),
        "< 2 times",
        verdict,
    );
    Ok(())
}

/// Deletes all uploads of the administrator; returns their number and the duration in seconds.
async fn delete_all(address: SocketAddr) -> Fallible<(usize, f64)> {
    let path = format!("/_synapse/admin/v1/users/{}/media?limit={PAGE}", population::user_id(0));
    let mut connection = Connection::open(address, TOKEN).await?;
    let (start, mut deleted) = (monotonic(), 0);
    loop {
        let answer = connection.send("DELETE", &path, "").await?.json()?;
        let count = answer.get("total").and_then(Value::as_u64).ok_or("no total")?;
        if count == 0 {
            return Ok((deleted, start.elapsed().as_secs_f64()));
        }
        deleted += usize::try_from(count)?;
    }
}
