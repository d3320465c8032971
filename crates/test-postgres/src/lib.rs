//! For tests only: the PostgreSQL server on which tests make databases of their own.
//!
//! `REEVE_TEST_POSTGRES` is the URL of its maintenance database, for a role that may create databases. `scripts/test`
//! and `scripts/dev` start a throw-away server and set it. Where it is not set, tests on PostgreSQL are skipped;
//! where `REEVE_TEST_ALL` is set as well, they fail instead.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up fails")]

use std::env;
use std::io::{Write, stderr};
use std::sync::Once;
use std::thread;

pub use postgres::Client;
use postgres::NoTls;

const URL: &str = "REEVE_TEST_POSTGRES";
const ALL: &str = "REEVE_TEST_ALL";

/// Returns whether tests on PostgreSQL can run. If it is false, the test returns at once; one line on standard error
/// says so for all tests of the process.
pub fn available() -> bool {
    static SAID: Once = Once::new();
    if env::var_os(URL).is_some() {
        return true;
    }
    assert!(env::var_os(ALL).is_none(), "{ALL} is set, but {URL} is not: no test may be skipped");
    SAID.call_once(|| {
        // Unlike what `eprintln!` writes, this is shown for tests that pass.
        drop(writeln!(stderr(), "tests on PostgreSQL are SKIPPED, since {URL} is not set: see scripts/dev"));
    });
    false
}

fn maintenance_url() -> String {
    env::var(URL).unwrap_or_else(|_| panic!("tests on PostgreSQL need {URL}: see scripts/dev"))
}

/// Returns the URL of another database on the server.
pub fn url_of(name: &str) -> String {
    let url = maintenance_url();
    let (base, options) = url.split_once('?').map_or((&*url, None), |(base, options)| (base, Some(options)));
    let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
    options.map_or_else(|| format!("{server}/{name}"), |options| format!("{server}/{name}?{options}"))
}

/// Connects to the maintenance database. The client cannot be used inside an asynchronous runtime.
pub fn connect() -> Client {
    connect_to(&maintenance_url())
}

/// Connects to the database of a URL. The client cannot be used inside an asynchronous runtime.
pub fn connect_to(url: &str) -> Client {
    Client::connect(url, NoTls).expect("the PostgreSQL of the tests answers")
}

/// Executes SQL in the maintenance database, wherever it is called from.
pub fn maintain(sql: &str) {
    let executed = thread::scope(|scope| scope.spawn(|| connect().batch_execute(sql)).join());
    executed
        .unwrap_or_else(|_| panic!("{sql}: its thread panicked"))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Creates an empty database, in place of one that a process with the same id left behind.
pub fn create(name: &str) {
    drop_database(name);
    maintain(&format!("CREATE DATABASE {name}"));
}

/// Drops a database if it is there, and cuts the connections to it.
pub fn drop_database(name: &str) {
    maintain(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
}
