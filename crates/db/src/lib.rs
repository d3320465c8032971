//! The database engines of Reeve, SQLite and PostgreSQL, behind one interface.
//!
//! [`Db::read`] and [`Db::write`] take a synchronous closure, run it in a transaction on a database thread, and
//! return its result. Statements are written once for both engines with [`statements!`]; the schema comes from
//! [`Migration`]s. This crate knows no table.
//!
//! ```
//! # use reeve_db::*;
//! statements! {
//!     pub(crate) ADD = "INSERT INTO notes (text) VALUES ($1) RETURNING num";
//!     pub(crate) ALL = "SELECT text FROM notes ORDER BY num";
//! }
//! static MIGRATIONS: &[Migration] =
//!     &[Migration { number: 1, name: "notes", sql: "CREATE TABLE notes (num {identity}, text {text} NOT NULL){strict}" }];
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = DatabaseUrl::Sqlite(folder.path().join("notes.db"));
//! let db = Db::open(&url, Options::default(), MIGRATIONS).await?;
//! let nums = db.write(|tx| tx.returning(&ADD, &params!["first"], |row| row.get::<i64>(0))).await?;
//! let notes = db.read(|tx| tx.query(&ALL, &params![], |row| row.get::<String>(0))).await?;
//! # assert_eq!((nums, notes), (vec![1], vec!["first".to_owned()]));
//! db.close().await;
//! # Ok(())
//! # }
//! ```

mod channel;
mod clock;
mod db;
mod error;
mod metrics;
mod migrate;
mod postgres;
mod queue;
mod row;
mod sqlite;
mod statement;
mod tx;
mod url;
mod value;

pub use self::{
    channel::{Channel, Listener},
    db::{Db, Options, Schema},
    error::{DbError, OpenError},
    metrics::Metrics,
    migrate::Migration,
    row::Row,
    sqlite::{FileError, backup, check},
    statement::Statement,
    tx::{ReadTx, Tx},
    url::{DatabaseUrl, Engine, UrlError},
    value::{FromValue, ToValue, Value},
};
