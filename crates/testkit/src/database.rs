//! A fresh database for each test.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use reeve_db::{DatabaseUrl, Db, Engine, Options};
use reeve_test_postgres::{create, drop_database, maintain, url_of};
use tempfile::TempDir;

static NUMBER: AtomicU64 = AtomicU64::new(0);
static TEMPLATE: OnceLock<String> = OnceLock::new();

/// A database that is deleted with its owner.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(String, TempDir),
}

/// A migrated database that the others are copied from.
fn template() -> &'static str {
    TEMPLATE.get_or_init(|| {
        let name = format!("reeve_template_{}", std::process::id());
        create(&name);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let url = DatabaseUrl::Postgres(url_of(&name));
            let options = Options { connections: 1, ..Options::default() };
            Db::open(&url, options, reeve_store::MIGRATIONS).await.expect("the migrations run").close().await;
        });
        name
    })
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(TempDir::new().expect("a temporary folder")),
            Engine::Postgres => {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let name = format!("reeve_test_{}_{number}", std::process::id());
                drop_database(&name);
                maintain(&format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY file_copy", template()));
                Self::Postgres(name, TempDir::new().expect("a temporary folder"))
            }
        }
    }

    /// A folder for everything else.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Sqlite(folder) | Self::Postgres(_, folder) => folder.path(),
        }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        match self {
            Self::Sqlite(folder) => DatabaseUrl::Sqlite(folder.path().join("reeve.db")),
            Self::Postgres(name, _) => DatabaseUrl::Postgres(url_of(name)),
        }
    }
}

/// A copy of a database at one moment.
pub(crate) enum Copy {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    /// Copies the database: an SQLite database also while a server writes to it, a PostgreSQL database only
    /// while it is unused.
    pub(crate) fn copy(&self) -> Copy {
        match self {
            Self::Sqlite(folder) => {
                let copy = TempDir::new().expect("a temporary folder");
                reeve_db::backup(&folder.path().join("reeve.db"), &copy.path().join("copy.db"), |_, _| ())
                    .expect("the database is copied");
                Copy::Sqlite(copy)
            }
            Self::Postgres(name, _) => {
                let copy = format!("{name}_copy_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
                maintain(&format!("CREATE DATABASE {copy} TEMPLATE {name} STRATEGY file_copy"));
                Copy::Postgres(copy)
            }
        }
    }

    /// Replaces the database, which must be unused, by a copy.
    pub(crate) fn restore(&self, copy: &Copy) {
        match (self, copy) {
            (Self::Sqlite(folder), Copy::Sqlite(copy)) => {
                for suffix in ["", "-wal", "-shm"] {
                    // Missing files need no deletion.
                    drop(std::fs::remove_file(folder.path().join(format!("reeve.db{suffix}"))));
                }
                std::fs::copy(copy.path().join("copy.db"), folder.path().join("reeve.db"))
                    .expect("the copy is put back");
            }
            (Self::Postgres(name, _), Copy::Postgres(copy)) => {
                drop_database(name);
                maintain(&format!("CREATE DATABASE {name} TEMPLATE {copy} STRATEGY file_copy"));
            }
            (Self::Sqlite(_), Copy::Postgres(_)) | (Self::Postgres(..), Copy::Sqlite(_)) => {
                panic!("the copy is of another engine")
            }
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Self::Postgres(name) = self {
            drop_database(name);
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres(name, _) = self {
            drop_database(name);
        }
    }
}
