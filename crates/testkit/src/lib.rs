//! For tests only: a real server on a free port over a fresh database of either engine, its users, and a clock
//! that tests move.
//!
//! ```ignore
//! reeve_testkit::on_both_engines! {
//!     async fn an_admin_sees_an_account(server: Server) {
//!         let (admin, alice) = (server.admin().await, server.user("alice").await);
//!         let reply = admin.get("/_synapse/admin/v1/users/@alice:test/admin").await;
//!         assert_eq!(reply, (200, json!({ "admin": false })));
//!     }
//! }
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up fails")]

mod browser;
mod client;
mod contract;
mod database;
mod generated;
mod reply;
mod server;
mod smtp;
mod web;

pub use browser::{Browser, Form, attribute, form, forms, unescaped};
pub use bytes::Bytes;
pub use client::Client;
pub use contract::Contract;
pub use generated::check_generated;
pub use reeve::server::Config;
pub use reeve_db::Engine;
pub use reply::Reply;
pub use server::{Backup, START, START_MS, Server};
pub use smtp::{Received, Smtp};
pub use tokio;
pub use web::{Asked, Web};

/// Defines tests that run once on SQLite and once on PostgreSQL, if there is one. Each gets a fresh server; `#[config(f)]`
/// before the function changes its [`Config`] with `f: fn(&mut Config)`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[config($config:expr)])? async fn $name:ident($server:ident: Server) $body:block)*) => { $(
        mod $name {
            #[allow(unused_imports, reason = "a test need not use what its file imports")]
            use super::*;

            async fn test($server: $crate::Server) $body

            fn config(_config: &mut $crate::Config) {
                $( let change: fn(&mut $crate::Config) = $config; change(_config); )?
            }

            #[test]
            fn on_sqlite() {
                $crate::Server::run($crate::Engine::Sqlite, config, test);
            }

            #[test]
            fn on_postgres() {
                $crate::Server::run($crate::Engine::Postgres, config, test);
            }
        }
    )* };
}
