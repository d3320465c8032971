//! A SQLite file is copied and checked as a whole.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reeve_db::{Db, DbError, FileError, OpenError, Options, Schema, backup, check, params, statements};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::SCHEMA;

statements! {
    PAIR = "INSERT INTO things (name, amount, data) VALUES ($1, 1, $3), ($2, -1, $3)";
    SUM = "SELECT CAST(sum(amount) AS BIGINT), COUNT(*) FROM things";
    SET_ALL = "UPDATE things SET data = $1";
}

fn url(path: &Path) -> reeve_db::DatabaseUrl {
    reeve_db::DatabaseUrl::Sqlite(path.to_owned())
}

async fn pair(db: &Db, number: u64) {
    let add = db.write::<_, DbError, _>(move |tx| {
        let names = (format!("{number} plus"), format!("{number} minus"));
        tx.execute(&PAIR, &params![names.0, names.1, vec![7_u8; 20_000]])
    });
    add.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_shows_one_moment_while_others_write() {
    let folder = TempDir::new().unwrap();
    let (path, copy) = (folder.path().join("test.db"), folder.path().join("copy.db"));
    let db = Db::open(&url(&path), Options::default(), SCHEMA).await.unwrap();
    for number in 0..1000 {
        pair(&db, number).await;
    }
    let (stop, steps) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let writer = tokio::spawn({
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        async move {
            let mut number = 1000;
            while !stop.load(Ordering::Relaxed) {
                pair(&db, number).await;
                number += 1;
            }
            number - 1000
        }
    });
    let bytes = tokio::task::block_in_place(|| {
        backup(&path, &copy, |done, all| {
            assert!(done <= all);
            // Of some three; without a snapshot it would start again with each write.
            assert!(steps.fetch_add(1, Ordering::Relaxed) < 50);
            // Long enough that others write between two steps.
            std::thread::sleep(std::time::Duration::from_millis(50));
        })
    });
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
    assert!(steps.into_inner() > 1);

    let bytes = bytes.unwrap();
    let metadata = fs::metadata(&copy).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (bytes, 0o600));
    assert_eq!(check(&copy).unwrap(), [""; 0]);
    let again = backup(&path, &copy, |_, _| ()).unwrap_err();
    assert!(matches!(again, FileError::Write { .. }), "{again}");
    db.close().await;

    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
    let db = Db::open(&url(&copy), Options::default(), SCHEMA).await.unwrap();
    let (sum, count): (i64, i64) = db
        .read::<_, DbError, _>(|tx| tx.query_one(&SUM, &[], |row| Ok((row.get(0)?, row.get(1)?))))
        .await
        .unwrap();
    assert_eq!(sum, 0);
    assert!(count >= 2000 && count % 2 == 0);
    db.close().await;
}

#[tokio::test]
async fn faults_are_found() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("test.db");
    let db = Db::open(&url(&path), Options::default(), SCHEMA).await.unwrap();
    for number in 0..100 {
        pair(&db, number).await;
    }
    db.close().await;
    assert_eq!(check(&path).unwrap(), [""; 0]);

    // An orphan row, inserted without the foreign key check.
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO notes (thing) VALUES (4711)").unwrap();
    drop(connection);
    assert_eq!(check(&path).unwrap(), ["row 1 of notes refers to a row of things that is not there"]);

    // Pages of zeros in the middle of the file.
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(64 * 4096)).unwrap();
    file.write_all(&vec![0; 8 * 4096]).unwrap();
    drop(file);
    match check(&path) {
        Ok(faults) => assert!(faults.len() > 1, "{faults:?}"),
        Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
    }

    fs::write(&path, "This is a letter, not a database. ".repeat(200)).unwrap();
    let error = check(&path).unwrap_err().to_string();
    assert!(error.contains("cannot read the database") && error.contains("not a database"), "{error}");
    let error = backup(&path, &folder.path().join("copy.db"), |_, _| ()).unwrap_err();
    assert!(matches!(error, FileError::Read { .. }), "{error}");
    let error = check(&folder.path().join("missing.db")).unwrap_err();
    assert!(matches!(error, FileError::Read { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_can_read_the_files() {
    let folder = TempDir::new().unwrap();
    // Modes that a service manager may set.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let db = Db::open(&url(&folder.path().join("test.db")), Options::default(), SCHEMA).await.unwrap();
    pair(&db, 1).await;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["test.db", "test.db-shm", "test.db-wal"]);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_into_the_file_and_begins_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("test.db");
    let db = Db::open(&url(&path), Options::default(), SCHEMA).await.unwrap();
    for number in 0..200 {
        pair(&db, number).await;
    }
    // Each changes more than 400 pages.
    for byte in 0..60_u8 {
        let data = vec![byte; 4096];
        let set = db.write::<_, DbError, _>(move |tx| tx.execute(&SET_ALL, &params![&data]));
        assert_eq!(set.await, Ok(400));
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let all = 60 * 400 * 4096;
    assert!(size(&path.with_extension("db-wal")) < all / 2, "the log was never begun anew");
    // Another thread does it.
    let arrived = async {
        while size(&path) < 400 * 4096 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_another_program_stays_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE things (name TEXT)").unwrap();
    other.close().unwrap();
    let before = fs::read(&path).unwrap();
    for schema in [Schema::Migrate, Schema::UpToDate] {
        let refused = Db::open(&url(&path), Options { schema, ..Options::default() }, SCHEMA).await;
        assert!(matches!(refused, Err(OpenError::Missing { .. })), "{:?}", refused.err());
        assert!(fs::read(&path).unwrap() == before, "{schema:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
