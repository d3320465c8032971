//! A fresh database of either engine for one test.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use reeve_db::{DatabaseUrl, Db, Engine, Migration, Options, statements};
use reeve_test_postgres::{create, drop_database, maintain, url_of};
use tempfile::TempDir;

/// Makes one test per engine from `async fn name(engine: Engine)`.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(reeve_db::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if reeve_test_postgres::available() {
                    super::$name(reeve_db::Engine::Postgres).await;
                }
            }
        }
    )* };
}
pub(crate) use on_both_engines;

/// A table with a column of each type, and one that refers to it when the transaction ends.
pub(crate) static SCHEMA: &[Migration] = &[Migration {
    number: 1,
    name: "things",
    sql: "CREATE TABLE things (
        num {identity},
        name {text} UNIQUE,
        amount {bigint},
        data {blob}
    ){strict};
    CREATE TABLE notes (
        thing {bigint} NOT NULL REFERENCES things (num) DEFERRABLE INITIALLY DEFERRED
    ){strict};",
}];

statements! {
    pub(crate) ADD = "INSERT INTO things (name) VALUES ($1)";
    pub(crate) ADD_ALL = "INSERT INTO things (name, amount, data) VALUES ($1, $2, $3) RETURNING num";
    pub(crate) NAMES = "SELECT name FROM things ORDER BY num";
    pub(crate) NAME = "SELECT name FROM things WHERE num = $1";
    pub(crate) COUNT = "SELECT COUNT(*) FROM things";
    pub(crate) AMOUNT = "SELECT amount FROM things WHERE name = $1";
    pub(crate) SET_AMOUNT = "UPDATE things SET amount = $2 WHERE name = $1";
    pub(crate) ADD_NOTE = "INSERT INTO notes (thing) VALUES ($1)";
}

/// A database that is deleted when the test ends.
pub(crate) struct Place {
    pub(crate) url: DatabaseUrl,
    name: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn new(engine: Engine) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("reeve_db_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
                Self { url, name, _folder: Some(folder) }
            }
            Engine::Postgres => {
                create(&name);
                let url = DatabaseUrl::Postgres(url_of(&name));
                Self { url, name, _folder: None }
            }
        }
    }

    pub(crate) async fn open(&self, options: Options) -> Db {
        Db::open(&self.url, options, SCHEMA).await.unwrap()
    }

    /// Makes the PostgreSQL database refuse connections, or accept them again.
    pub(crate) fn reachable(&self, reachable: bool) {
        let name = &self.name;
        maintain(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {reachable}"));
        if !reachable {
            self.cut();
        }
    }

    /// Closes all connections to the PostgreSQL database.
    pub(crate) fn cut(&self) {
        let name = &self.name;
        maintain(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.url.engine() == Engine::Postgres {
            drop_database(&self.name);
        }
    }
}

/// A fresh database with [`SCHEMA`].
pub(crate) async fn open(engine: Engine) -> (Db, Place) {
    let place = Place::new(engine);
    (place.open(Options::default()).await, place)
}

/// One sample of the database's metrics.
pub(crate) fn metric(db: &Db, sample: &str) -> f64 {
    let mut registry = Registry::default();
    db.metrics().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).trim().parse().unwrap()
}
