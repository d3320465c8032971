//! The server is killed, without warning, while it works: acknowledged writes must exist afterwards, and
//! nothing may be half done.
//!
//! Each test runs the real program over a database of either engine and speaks HTTP to it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is not as expected fails the test"
)]

mod batches;
mod check;
mod exports;
mod http;
mod inbox;
mod jobs;
mod media;
mod model;
mod process;
mod restore;
mod rooms;
mod storm;
mod talk;
mod watch;
mod webhooks;

use reeve_test_postgres::available;
use reeve_testkit::Engine;

#[test]
fn nothing_is_lost_on_sqlite() {
    storm::run(Engine::Sqlite, 0x5eed);
}

#[test]
fn nothing_is_lost_on_postgres() {
    if available() {
        storm::run(Engine::Postgres, 0xfeed);
    }
}

#[test]
fn jobs_go_on_on_sqlite() {
    jobs::run(Engine::Sqlite);
}

#[test]
fn jobs_go_on_on_postgres() {
    if available() {
        jobs::run(Engine::Postgres);
    }
}

#[test]
fn batches_go_on_on_sqlite() {
    batches::run(Engine::Sqlite);
}

#[test]
fn batches_go_on_on_postgres() {
    if available() {
        batches::run(Engine::Postgres);
    }
}

#[test]
fn restorations_go_on_on_sqlite() {
    restore::run(Engine::Sqlite);
}

#[test]
fn restorations_go_on_on_postgres() {
    if available() {
        restore::run(Engine::Postgres);
    }
}

#[test]
fn uploads_are_kept_on_sqlite() {
    media::run(Engine::Sqlite);
}

#[test]
fn uploads_are_kept_on_postgres() {
    if available() {
        media::run(Engine::Postgres);
    }
}

#[test]
fn archives_are_whole_on_sqlite() {
    exports::run(Engine::Sqlite);
}

#[test]
fn archives_are_whole_on_postgres() {
    if available() {
        exports::run(Engine::Postgres);
    }
}

#[test]
fn messages_to_devices_come_once_on_sqlite() {
    inbox::run(Engine::Sqlite);
}

#[test]
fn messages_to_devices_come_once_on_postgres() {
    if available() {
        inbox::run(Engine::Postgres);
    }
}

#[test]
fn webhooks_are_told_everything_on_sqlite() {
    webhooks::run(Engine::Sqlite);
}

#[test]
fn webhooks_are_told_everything_on_postgres() {
    if available() {
        webhooks::run(Engine::Postgres);
    }
}
