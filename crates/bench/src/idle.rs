//! Many idle connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::Fallible;
use crate::http::Connection;
use crate::load;
use crate::report::{Report, Times, Verdict, below};
use crate::server::Server;

/// Number of open connections.
const IDLE: usize = 10_000;
/// File handles besides those of the connections.
const OTHERS: u64 = 200;
/// Number of connections opened, or used, concurrently.
const AT_ONCE: usize = 64;
/// Number of connections from one address: well below the number of its ports.
const EACH: usize = 2_000;
/// The request sent on each of them in the end.
const PATH: &str = "/health";

/// Opens the connections, a part of them from each of several addresses of this machine.
async fn open(address: SocketAddr) -> Fallible<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(IDLE);
    while open.len() < IDLE {
        let mut tasks = JoinSet::new();
        for number in (open.len()..IDLE).take(AT_ONCE) {
            let from = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number / EACH)?);
            tasks.spawn(async move {
                let socket = TcpSocket::new_v4()?;
                socket.bind((from, 0).into())?;
                socket.connect(address).await
            });
        }
        while let Some(opened) = tasks.join_next().await {
            open.push(opened??);
        }
    }
    Ok(open)
}

/// Sends a request on every connection.
async fn use_all(mut connections: Vec<TcpStream>) -> Fallible<Times> {
    let mut took = Vec::new();
    while !connections.is_empty() {
        let mut tasks = JoinSet::new();
        for stream in connections.split_off(connections.len().saturating_sub(AT_ONCE)) {
            tasks.spawn(async move { Connection::over(stream, "")?.get(PATH).await });
        }
        while let Some(asked) = tasks.join_next().await {
            let reply = asked??;
            if reply.status != 200 {
                return Err(format!("status {}", reply.status).into());
            }
            took.push(reply.took);
        }
    }
    Ok(Times::of(took))
}

/// Opens many connections and leaves them idle; others must be served as if they did not exist.
pub(crate) async fn run(server: &Server, report: &mut Report) -> Fallible<()> {
    println!("{IDLE} idle connections");
    let files = rlimit::increase_nofile_limit(IDLE as u64 + OTHERS)?;
    if files < IDLE as u64 + OTHERS {
        return Err(format!("{IDLE} connections need more than the {files} files allowed here").into());
    }
    let before = server.resident_mb()?;
    let alone = load::lists(&mut Connection::open(server.address, crate::seed::TOKEN).await?).await?;
    let connections = open(server.address).await?;
    // A refused or dropped connection is detected when it is used, below.
    let beside = load::lists(&mut Connection::open(server.address, crate::seed::TOKEN).await?).await?;
    let grown = server.resident_mb()? - before;
    report.info(
        format!("Resident memory for {IDLE} idle connections"),
        format!("{grown:.0} MB, {:.1} kB each", grown * 1e3 / f64::from(u32::try_from(IDLE)?)),
    );
    report.info("First page, nobody else connected", format!("median {:.2} ms", alone.median));
    report.row(
        format!("First page beside {IDLE} idle connections"),
        format!("median {:.2} ms, p99 {:.1} ms, max {:.1} ms", beside.median, beside.p99, beside.max),
        "< 100 ms",
        below(beside.max, 100.0),
    );
    let used = tokio::time::timeout(Duration::from_mins(1), use_all(connections)).await;
    let (value, verdict) = match used {
        Ok(Ok(times)) => {
            (format!("all answer; median {:.2} ms, max {:.1} ms", times.median, times.max), Verdict::Ok)
        }
        Ok(Err(error)) => (error.to_string(), Verdict::Wrong),
        Err(_) => ("not all answered within a minute".to_owned(), Verdict::Missed),
    };
    report.row("Each idle connection, used at last", value, "all answer", verdict);
    Ok(())
}
