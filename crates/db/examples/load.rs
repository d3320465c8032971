//! Throughput of small calls through this crate, compared with one thread without it.
//!
//! `cargo run --release -p reeve-db --example load [URL]`: a SQLite file by default; a PostgreSQL URL must name a
//! database that may be written to.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reeve_db::{DatabaseUrl, Db, DbError, Migration, Options, params, statements};

static SCHEMA: &[Migration] = &[Migration {
    number: 1,
    name: "rows",
    sql: "CREATE TABLE load_rows (num {bigint} PRIMARY KEY, text {text} NOT NULL){strict};",
}];

statements! {
    FILL = "INSERT INTO load_rows (num, text) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    FIND = "SELECT num, text FROM load_rows WHERE num = $1";
    CHANGE = "UPDATE load_rows SET text = $2 WHERE num = $1";
}

const ROWS: i64 = 10_000;
const CALLERS: i64 = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("load.db");
    let url = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => DatabaseUrl::Sqlite(file.clone()),
    };
    let db = Db::open(&url, Options::default(), SCHEMA).await?;
    db.write::<_, DbError, _>(|tx| {
        for num in 0..ROWS {
            tx.execute(&FILL, &params![num, "some text of a usual length"])?;
        }
        Ok(())
    })
    .await?;

    println!("{url}, {CALLERS} callers\n{:<40}{:>12}", "", "per second");
    if url == DatabaseUrl::Sqlite(file.clone()) {
        let (read, write) = bare(&file)?;
        show("one thread, one row read", read);
        show("one thread, one durable row", write);
    }
    show("reads of one row", drive(&db, read).await?);
    show("durable writes of one row", drive(&db, write).await?);
    db.close().await;
    Ok(())
}

fn show(what: &str, rate: f64) {
    println!("{what:<40}{rate:>12.0}");
}

async fn read(db: Db, num: i64) -> Result<(), DbError> {
    db.read(move |tx| tx.query_one(&FIND, &params![num], |row| row.get::<String>(1))).await.map(drop)
}

async fn write(db: Db, num: i64) -> Result<(), DbError> {
    // Always another text: SQLite does not write what is there already.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let text = format!("text number {}", NEXT.fetch_add(1, Ordering::Relaxed));
    db.write(move |tx| tx.execute(&CHANGE, &params![num, text])).await.map(drop)
}

/// Calls per second of all callers together.
async fn drive<F: Future<Output = Result<(), DbError>> + Send + 'static>(
    db: &Db,
    call: fn(Db, i64) -> F,
) -> Result<f64, Box<dyn Error>> {
    let start = now();
    let callers = (0..CALLERS).map(|caller| {
        let db = db.clone();
        tokio::spawn(async move {
            let mut calls = 0_u32;
            while start.elapsed() < LENGTH {
                call(db.clone(), (i64::from(calls) * CALLERS + caller) % ROWS).await?;
                calls += 1;
            }
            Ok::<_, DbError>(calls)
        })
    });
    let mut total = 0;
    for calls in join_all(callers).await {
        total += calls??;
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}

const LENGTH: Duration = Duration::from_secs(3);

/// The limits on this machine: reads and durable writes per second of one thread that does nothing else.
fn bare(file: &std::path::Path) -> Result<(f64, f64), rusqlite::Error> {
    let connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let rate = |step: &dyn Fn(u32) -> Result<(), rusqlite::Error>| {
        let (start, mut steps) = (now(), 0_u32);
        while start.elapsed() < LENGTH {
            step(steps)?;
            steps += 1;
        }
        Ok::<_, rusqlite::Error>(f64::from(steps) / start.elapsed().as_secs_f64())
    };
    let read = rate(&|step| {
        let mut find = connection.prepare_cached("SELECT text FROM load_rows WHERE num = ?1")?;
        find.query_row([i64::from(step) % ROWS], |row| row.get::<_, String>(0)).map(drop)
    })?;
    let write = rate(&|step| {
        let mut change = connection.prepare_cached("UPDATE load_rows SET text = ?2 WHERE num = ?1")?;
        change.execute((i64::from(step) % ROWS, format!("number {step} of one thread"))).map(drop)
    })?;
    Ok((read, write))
}

#[expect(clippy::disallowed_methods, reason = "measures durations only")]
fn now() -> Instant {
    Instant::now()
}
