//! Outages of PostgreSQL, and files that are not databases.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reeve_db::{DatabaseUrl, Db, DbError, Engine, Migration, OpenError, Options, params, statements};
use reeve_test_postgres::available;

use crate::support::{ADD, COUNT, Place, SCHEMA, metric, open};

statements! {
    CUT = "INSERT INTO cut (name) VALUES ($1)";
    CUT_COUNT = "SELECT COUNT(*) FROM cut";
    SLEEP = { sqlite: "SELECT 1", postgres: "SELECT 1 FROM pg_sleep(10)" };
    LIMIT = { sqlite: "SELECT 1", postgres: "SELECT set_config('statement_timeout', '50ms', true)" };
}

async fn count(db: &Db) -> Result<i64, DbError> {
    db.read(|tx| tx.query_one(&COUNT, &[], |row| row.get(0))).await
}

async fn add(db: &Db, name: &'static str) -> Result<u64, DbError> {
    db.write(move |tx| tx.execute(&ADD, &params![name])).await
}

#[tokio::test]
async fn a_cut_connection_is_replaced() {
    if !available() {
        return;
    }
    let place = Place::new(Engine::Postgres);
    let db = place.open(Options { connections: 1, ..Options::default() }).await;
    assert_eq!(count(&db).await, Ok(0));
    add(&db, "a").await.unwrap();
    place.cut();
    assert_eq!(add(&db, "b").await, Ok(1));
    assert_eq!(count(&db).await, Ok(2));
    assert!(metric(&db, "db_retries_total") > 0.0);
}

#[tokio::test]
async fn an_outage_is_an_error_until_it_is_over() {
    if !available() {
        return;
    }
    let (db, place) = open(Engine::Postgres).await;
    add(&db, "a").await.unwrap();
    place.reachable(false);
    for _ in 0..20 {
        let write = add(&db, "b").await;
        assert!(matches!(write, Err(DbError::Unavailable(_))), "{write:?}");
        let read = count(&db).await;
        assert!(matches!(read, Err(DbError::Unavailable(_))), "{read:?}");
    }
    place.reachable(true);
    let back = async {
        while add(&db, "c").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it does not come back");
    let seen = async {
        loop {
            if let Ok(count) = count(&db).await {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), seen).await, Ok(2));
}

/// A connection that breaks during a commit: the outcome is unknown, so the call is not retried.
#[tokio::test]
async fn a_commit_that_breaks_is_not_repeated() {
    static MIGRATIONS: &[Migration] = &[Migration {
        number: 1,
        name: "cut",
        sql: "CREATE TABLE cut (name TEXT);
            CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON cut
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();",
    }];
    if !available() {
        return;
    }
    let place = Place::new(Engine::Postgres);
    let db = Db::open(&place.url, Options::default(), MIGRATIONS).await.unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let result = db
        .write::<_, DbError, _>(move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            tx.execute(&CUT, &params!["a"])
        })
        .await;
    let Err(DbError::Unavailable(text)) = result else { panic!("{result:?}") };
    assert!(text.contains("outcome is unknown"), "{text}");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    let rows = db.read::<_, DbError, _>(|tx| tx.query_one(&CUT_COUNT, &[], |row| row.get::<i64>(0))).await;
    assert_eq!(rows, Ok(0));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    if !available() {
        return;
    }
    let (db, _place) = open(Engine::Postgres).await;
    let result = db
        .read::<_, DbError, _>(|tx| {
            tx.query(&LIMIT, &[], |_| Ok(()))?;
            tx.query(&SLEEP, &[], |_| Ok(()))
        })
        .await;
    assert_eq!(result, Err(DbError::Timeout));
    assert_eq!(count(&db).await, Ok(0));
}

#[tokio::test]
async fn nothing_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let missing = DatabaseUrl::Sqlite(folder.path().join("nowhere/test.db"));
    let text = folder.path().join("text.db");
    fs::write(&text, "This is a text and no database at all. ".repeat(100)).unwrap();
    // Nothing listens on port 1.
    let refused = DatabaseUrl::Postgres("postgres://user:secret@127.0.0.1:1/name".into());
    for url in [missing, DatabaseUrl::Sqlite(text), refused] {
        let error = Db::open(&url, Options::default(), SCHEMA).await.err().unwrap();
        assert!(matches!(error, OpenError::Connect { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot open the database {url}: ")), "{text}");
        assert!(!format!("{text} {error:?}").contains("secret"), "{text}");
    }
}
