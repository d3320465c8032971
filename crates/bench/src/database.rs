//! The database of the benchmark, and its size.

use std::path::{Path, PathBuf};
use std::{fs, io, thread};

use postgres::{Client, NoTls};
use reeve_db::DatabaseUrl;

use crate::Fallible;

/// The name of the database that the benchmark creates on a PostgreSQL server.
const NAME: &str = "reeve_bench";

/// The location of the benchmark's data: a folder, and for PostgreSQL also a database.
pub(crate) struct Place {
    folder: PathBuf,
    /// The server on which the database is created.
    maintenance: Option<String>,
    url: DatabaseUrl,
    keep: bool,
}

/// Runs a closure with a separate connection, on a separate thread: the client blocks, and may be called from
/// asynchronous code.
fn connected<T: Send>(
    url: &str,
    what: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send,
) -> Fallible<T> {
    let done = thread::scope(|scope| {
        scope.spawn(|| Client::connect(url, NoTls).and_then(|mut client| what(&mut client))).join()
    });
    Ok(done.map_err(|_| "the connection panicked")??)
}

impl Place {
    /// `database` is `sqlite:FILE`, or the URL of a database on a PostgreSQL server, on which a second one
    /// named `reeve_bench` is created.
    pub(crate) fn new(database: &str, keep: bool) -> Fallible<Self> {
        Ok(match database.parse()? {
            DatabaseUrl::Sqlite(file) => {
                let folder = match file.parent() {
                    Some(folder) if folder != Path::new("") => folder.to_owned(),
                    _ => PathBuf::from("."),
                };
                fs::create_dir_all(&folder)?;
                Self { folder, maintenance: None, url: DatabaseUrl::Sqlite(file), keep }
            }
            DatabaseUrl::Postgres(url) => {
                let (base, options) =
                    url.split_once('?').map_or((&*url, ""), |(base, options)| (base, options));
                let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
                let own = format!("{server}/{NAME}{}{options}", if options.is_empty() { "" } else { "?" });
                connected(&url, |client| {
                    let known = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&NAME])?;
                    if known.is_none() {
                        client.batch_execute(&format!("CREATE DATABASE {NAME}"))?;
                    }
                    Ok(())
                })?;
                let folder = PathBuf::from("reeve-bench-data");
                fs::create_dir_all(&folder)?;
                Self { folder, maintenance: Some(url), url: DatabaseUrl::Postgres(own), keep }
            }
        })
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The URL as a program argument.
    pub(crate) fn argument(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(file) => format!("sqlite:{}", file.display()),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }

    /// The data folder of the server.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log file of the server.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("reeve-bench.log")
    }

    /// Every file, the log first.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.log()];
        if let DatabaseUrl::Sqlite(file) = &self.url {
            for suffix in ["", "-wal", "-shm"] {
                let mut name = file.clone().into_os_string();
                name.push(suffix);
                files.push(name.into());
            }
        }
        files
    }

    /// The size of the database in bytes, including the write-ahead log on SQLite.
    pub(crate) fn bytes(&self) -> Fallible<u64> {
        match &self.url {
            DatabaseUrl::Postgres(url) => {
                let query = "SELECT pg_database_size(current_database())";
                let size: i64 = connected(url, |client| client.query_one(query, &[]))?.get(0);
                Ok(u64::try_from(size).unwrap_or(0))
            }
            DatabaseUrl::Sqlite(_) => {
                let sizes = self.files().into_iter().skip(1).map(|file| match fs::metadata(file) {
                    Ok(metadata) => Ok(metadata.len()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                    Err(error) => Err(error),
                });
                Ok(sizes.sum::<io::Result<u64>>()?)
            }
        }
    }

    /// Maintenance after a large import: fresh statistics, and a checkpoint.
    pub(crate) fn settle(&self) -> Fallible<()> {
        if let DatabaseUrl::Postgres(url) = &self.url {
            for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
                connected(url, |client| client.batch_execute(statement))?;
            }
        }
        Ok(())
    }

    /// Deletes everything, unless it is to be kept.
    pub(crate) fn clear(&self) -> Fallible<()> {
        if self.keep {
            return Ok(());
        }
        if let Some(url) = &self.maintenance {
            let statement = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
            connected(url, |client| client.batch_execute(&statement))?;
        }
        let removed = self.files().into_iter().map(fs::remove_file);
        for removed in removed.chain([fs::remove_dir_all(self.folder.join("media"))]) {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        // Only if the folder is otherwise empty.
        let _ = fs::remove_dir(&self.folder);
        Ok(())
    }
}
