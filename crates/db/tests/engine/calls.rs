//! The guarantees of calls: all or nothing, durable when they return, bounded queues.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};
use reeve_db::{Channel, Db, DbError, Engine, Options, ReadTx, Statement, params};
use thiserror::Error;

use crate::support::{
    ADD, ADD_ALL, ADD_NOTE, AMOUNT, COUNT, NAMES, Place, SET_AMOUNT, metric, on_both_engines, open,
};

on_both_engines!(
    an_error_or_panic_undoes_its_call_only,
    a_lone_error_or_panic_undoes_its_call,
    a_failed_statement_loses_the_transaction,
    a_deferred_constraint_fails_its_call_only,
    errors_of_the_caller_come_back,
    a_commit_is_seen_by_the_next_read,
    a_read_sees_one_state,
    a_read_cannot_write,
    reads_that_wait_do_not_disturb_each_other,
    no_increment_is_lost,
    a_long_write_is_not_starved_by_another_process,
    many_callers,
    a_full_queue_refuses,
    who_waits_too_long_is_not_run,
    close_serves_those_who_wait,
    writers_have_lanes_of_their_own,
    the_caller_may_go_away,
    a_commit_notifies_those_who_listen,
    functions_run_after_a_commit_only,
);

async fn names(db: &Db) -> Vec<String> {
    db.read::<_, DbError, _>(|tx| tx.query(&NAMES, &[], |row| row.get(0))).await.unwrap()
}

async fn add(db: &Db, name: &'static str) -> Result<u64, DbError> {
    db.write(move |tx| tx.execute(&ADD, &params![name])).await
}

/// Occupies a writing thread until the gate is dropped; returns once the thread is occupied.
async fn occupy(db: &Db) -> (Sender<()>, tokio::task::JoinHandle<()>) {
    let (gate, wait) = mpsc::channel::<()>();
    let (started, starts) = tokio::sync::oneshot::channel();
    let (started, wait) = (Mutex::new(Some(started)), Mutex::new(wait));
    let db = db.clone();
    let task = tokio::spawn(async move {
        db.write::<_, DbError, _>(move |_| {
            if let Some(started) = started.lock().unwrap().take() {
                started.send(()).unwrap();
            }
            let gate: &Receiver<()> = &wait.lock().unwrap();
            let _ = gate.recv();
            Ok(())
        })
        .await
        .unwrap();
    });
    starts.await.unwrap();
    (gate, task)
}

fn one_thread() -> Options {
    Options { connections: 1, ..Options::default() }
}

async fn an_error_or_panic_undoes_its_call_only(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(one_thread()).await;
    let (gate, occupied) = occupy(&db).await;
    let calls: Vec<_> = (0..10)
        .map(|number| {
            let mut call = Box::pin(db.write(move |tx| {
                tx.execute(&ADD, &params![format!("thing {number}")])?;
                match number {
                    3 => Err(DbError::NoRow),
                    // Without the panic hook, whose backtrace takes longer than a batch may.
                    5 => std::panic::resume_unwind(Box::new("on purpose")),
                    7 => tx.execute(&ADD, &params!["thing 0"]),
                    _ => Ok(number),
                }
            }));
            // The first poll puts it in the queue, behind the occupied thread: they form one batch on SQLite.
            assert!(call.as_mut().now_or_never().is_none());
            call
        })
        .collect();
    drop(gate);
    let results = join_all(calls).await;
    occupied.await.unwrap();
    for (number, result) in (0..).zip(results) {
        match number {
            3 => assert_eq!(result, Err(DbError::NoRow)),
            5 => assert_eq!(result, Err(DbError::Internal("a closure panicked".into()))),
            7 => assert!(matches!(result, Err(DbError::Constraint(_))), "{result:?}"),
            _ => assert_eq!(result, Ok(number)),
        }
    }
    let kept = [0, 1, 2, 4, 6, 8, 9].map(|number| format!("thing {number}"));
    assert_eq!(names(&db).await, kept);
    if engine == Engine::Sqlite {
        assert!(metric(&db, "db_commits_total") <= 2.0, "they did not share a commit");
    }
}

async fn a_lone_error_or_panic_undoes_its_call(engine: Engine) {
    let (db, _place) = open(engine).await;
    let failed = db
        .write::<(), _, _>(|tx| {
            tx.execute(&ADD, &params!["a"])?;
            Err(DbError::NoRow)
        })
        .await;
    assert_eq!(failed, Err(DbError::NoRow));
    let panicked = db
        .write::<(), DbError, _>(|tx| {
            tx.execute(&ADD, &params!["a"])?;
            panic!("on purpose")
        })
        .await;
    assert_eq!(panicked, Err(DbError::Internal("a closure panicked".into())));
    let panicked = db.read::<(), DbError, _>(|_| panic!("on purpose")).await;
    assert_eq!(panicked, Err(DbError::Internal("a closure panicked".into())));
    assert_eq!(names(&db).await, [""; 0]);
    assert_eq!(add(&db, "a").await, Ok(1));
}

async fn a_failed_statement_loses_the_transaction(engine: Engine) {
    let (db, _place) = open(engine).await;
    add(&db, "a").await.unwrap();
    let result = db
        .write::<_, DbError, _>(|tx| {
            tx.execute(&ADD, &params!["b"])?;
            assert!(matches!(tx.execute(&ADD, &params!["a"]), Err(DbError::Constraint(_))));
            Ok(())
        })
        .await;
    assert!(matches!(result, Err(DbError::Constraint(_))), "{result:?}");
    assert_eq!(names(&db).await, ["a"]);
}

async fn a_deferred_constraint_fails_its_call_only(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(one_thread()).await;
    let (gate, occupied) = occupy(&db).await;
    let mut first = Box::pin(add(&db, "a"));
    let mut broken = Box::pin(db.write::<_, DbError, _>(|tx| tx.execute(&ADD_NOTE, &params![999])));
    let mut last = Box::pin(add(&db, "b"));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(broken.as_mut().now_or_never().is_none());
    assert!(last.as_mut().now_or_never().is_none());
    drop(gate);
    assert_eq!(first.await, Ok(1));
    let broken = broken.await;
    assert!(matches!(broken, Err(DbError::Constraint(_))), "{broken:?}");
    assert_eq!(last.await, Ok(1));
    occupied.await.unwrap();
    assert_eq!(names(&db).await, ["a", "b"]);
}

#[derive(Debug, PartialEq, Error)]
enum Refusal {
    #[error("no")]
    No,
    #[error(transparent)]
    Db(#[from] DbError),
}

async fn errors_of_the_caller_come_back(engine: Engine) {
    let (db, _place) = open(engine).await;
    let refuse = |_: &ReadTx<'_>| Err::<(), _>(Refusal::No);
    assert_eq!(db.read(refuse).await, Err(Refusal::No));
    assert_eq!(db.write(move |tx| refuse(tx)).await, Err(Refusal::No));
    let result: Result<String, Refusal> =
        db.read(|tx| Ok(tx.query_one(&NAMES, &[], |row| row.get(0))?)).await;
    assert_eq!(result, Err(Refusal::Db(DbError::NoRow)));
}

async fn a_commit_is_seen_by_the_next_read(engine: Engine) {
    let (db, _place) = open(engine).await;
    for count in 1..=50_i64 {
        db.write::<_, DbError, _>(move |tx| tx.execute(&ADD, &params![count.to_string()])).await.unwrap();
        let found = db.read::<_, DbError, _>(|tx| tx.query_one(&COUNT, &[], |row| row.get::<i64>(0))).await;
        assert_eq!(found, Ok(count));
    }
}

async fn a_read_sees_one_state(engine: Engine) {
    let place = Place::new(engine);
    // On SQLite the second read is the next one of the same thread.
    let db = place.open(Options { readers: 1, ..Options::default() }).await;
    let (first_seen, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (gate, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let reader = db.clone();
    let reading = tokio::spawn(async move {
        reader
            .read::<_, DbError, _>(move |tx| {
                let count = || tx.query_one(&COUNT, &[], |row| row.get::<i64>(0));
                let before = count()?;
                first_seen.send(()).unwrap();
                let _ = wait.lock().unwrap().recv();
                Ok((before, count()?))
            })
            .await
    });
    seen.recv().await.unwrap();
    add(&db, "a").await.unwrap();
    let mut later = Box::pin(names(&db));
    let early = later.as_mut().now_or_never();
    drop(gate);
    assert_eq!(reading.await.unwrap(), Ok((0, 0)));
    let later = if let Some(early) = early { early } else { later.await };
    assert_eq!(later, ["a"], "what was committed before a read began is seen by it");
}

async fn a_read_cannot_write(engine: Engine) {
    let (db, _place) = open(engine).await;
    // The types leave only this way.
    let result =
        db.read::<_, DbError, _>(|tx| tx.query(&ADD_ALL, &params!["a", 1, [0_u8]], |_| Ok(()))).await;
    assert!(matches!(result, Err(DbError::Internal(_))), "{result:?}");
    assert_eq!(names(&db).await, [""; 0]);
}

/// They share a transaction: a failing one fails alone.
async fn reads_that_wait_do_not_disturb_each_other(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(Options { readers: 1, ..one_thread() }).await;
    add(&db, "a").await.unwrap();
    let (gate, wait) = mpsc::channel::<()>();
    let (entered, enters) = mpsc::channel::<()>();
    let (entered, wait) = (Mutex::new(entered), Mutex::new(wait));
    let mut first = Box::pin(db.read::<_, DbError, _>(move |_| {
        entered.lock().unwrap().send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
        Ok(())
    }));
    assert!(first.as_mut().now_or_never().is_none());
    tokio::task::spawn_blocking(move || enters.recv().unwrap()).await.unwrap();
    let mut waiting: Vec<_> = (0..6)
        .map(|number| {
            Box::pin(db.read::<Vec<String>, DbError, _>(move |tx| {
                let statement = if number % 3 == 1 { &ADD_ALL } else { &NAMES };
                let params = params!["b", 1, [0_u8]];
                tx.query(statement, if number % 3 == 1 { &params } else { &[] }, |row| row.get(0))
            }))
        })
        .collect();
    for read in &mut waiting {
        assert!(read.as_mut().now_or_never().is_none());
    }
    drop(gate);
    first.await.unwrap();
    for (number, read) in join_all(waiting).await.into_iter().enumerate() {
        assert_eq!(read.ok(), (number % 3 != 1).then(|| vec!["a".to_owned()]), "{number}");
    }
}

async fn no_increment_is_lost(engine: Engine) {
    let (db, _place) = open(engine).await;
    db.write::<_, DbError, _>(|tx| {
        tx.execute(&ADD, &params!["counter"])?;
        tx.execute(&SET_AMOUNT, &params!["counter", 0])
    })
    .await
    .unwrap();
    let tasks = (0..16).map(|_| {
        let db = db.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                db.write::<_, DbError, _>(|tx| {
                    let amount: i64 = tx.query_one(&AMOUNT, &params!["counter"], |row| row.get(0))?;
                    tx.execute(&SET_AMOUNT, &params!["counter", amount + 1])
                })
                .await
                .unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let amount = db
        .read::<_, DbError, _>(|tx| tx.query_one(&AMOUNT, &params!["counter"], |row| row.get::<i64>(0)))
        .await;
    assert_eq!(amount, Ok(800));
    if engine == Engine::Postgres {
        assert!(metric(&db, "db_retries_total") > 0.0, "nobody collided: the test shows nothing");
    }
}

/// The other process never stops to write what the long call read.
async fn a_long_write_is_not_starved_by_another_process(engine: Engine) {
    let place = Place::new(engine);
    let (db, other) = (place.open(Options::default()).await, place.open(Options::default()).await);
    db.write::<_, DbError, _>(|tx| {
        tx.execute(&ADD, &params!["counter"])?;
        tx.execute(&SET_AMOUNT, &params!["counter", 0])
    })
    .await
    .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (writes, mut wrote) = tokio::sync::mpsc::channel(1);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (other, stop, writes) = (other.clone(), Arc::clone(&stop), writes.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    other
                        .write::<_, DbError, _>(|tx| tx.execute(&SET_AMOUNT, &params!["counter", 1]))
                        .await
                        .unwrap();
                    writes.try_send(()).ok();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        // The writers are at work; what they sent before the last long call began says nothing.
        wrote.try_recv().ok();
        wrote.recv().await.unwrap();
        let long = db.write::<_, DbError, _>(|tx| {
            for _ in 0..200 {
                tx.query_one(&AMOUNT, &params!["counter"], |row| row.get::<i64>(0))?;
            }
            tx.execute(&SET_AMOUNT, &params!["counter", 0])
        });
        assert_eq!(long.await, Ok(1));
    }
    stop.store(true, Ordering::Relaxed);
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    if engine == Engine::Postgres {
        assert!(metric(&db, "db_retries_total") > 0.0, "nobody collided: the test shows nothing");
    }
}

async fn many_callers(engine: Engine) {
    let (db, _place) = open(engine).await;
    let tasks = (0..64).map(|task| {
        let db = db.clone();
        tokio::spawn(async move {
            for number in 0..20 {
                let name = format!("{task}/{number}");
                db.write::<_, DbError, _>(move |tx| tx.execute(&ADD, &params![name])).await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let found: BTreeSet<String> = names(&db).await.into_iter().collect();
    let expected: BTreeSet<String> =
        (0..64).flat_map(|task| (0..20).map(move |number| format!("{task}/{number}"))).collect();
    assert_eq!(found, expected);
    let commits = metric(&db, "db_commits_total");
    match engine {
        Engine::Sqlite => assert!(commits < 640.0, "{commits} commits: they were not grouped"),
        Engine::Postgres => assert!((commits - 1280.0).abs() < 0.5, "{commits} commits"),
    }
}

async fn a_full_queue_refuses(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(Options { queue: 2, ..one_thread() }).await;
    let (gate, occupied) = occupy(&db).await;
    let mut first = Box::pin(add(&db, "a"));
    let mut second = Box::pin(add(&db, "b"));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    assert!((metric(&db, "db_queue_length{kind=\"write\"}") - 2.0).abs() < 0.5);
    assert_eq!(add(&db, "c").await, Err(DbError::Overloaded));
    drop(gate);
    assert_eq!((first.await, second.await), (Ok(1), Ok(1)));
    occupied.await.unwrap();
    assert_eq!(add(&db, "c").await, Ok(1));
}

async fn who_waits_too_long_is_not_run(engine: Engine) {
    let place = Place::new(engine);
    let wait = Duration::from_millis(300);
    let db = place.open(Options { wait, ..one_thread() }).await;
    let (gate, occupied) = occupy(&db).await;
    let mut late = Box::pin(add(&db, "a"));
    assert!(late.as_mut().now_or_never().is_none());
    let (_open, never) = mpsc::channel::<()>();
    let passed = tokio::task::spawn_blocking(move || never.recv_timeout(wait * 2)).await.unwrap();
    assert_eq!(passed, Err(RecvTimeoutError::Timeout));
    drop(gate);
    assert_eq!(late.await, Err(DbError::Timeout));
    occupied.await.unwrap();
    assert_eq!(names(&db).await, [""; 0]);
}

async fn close_serves_those_who_wait(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(one_thread()).await;
    let (gate, occupied) = occupy(&db).await;
    let mut first = Box::pin(add(&db, "a"));
    let mut second = Box::pin(add(&db, "b"));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    let mut closing = Box::pin(db.close());
    assert!(closing.as_mut().now_or_never().is_none());
    let mut closing_too = Box::pin(db.close());
    assert!(closing_too.as_mut().now_or_never().is_none());
    assert_eq!(add(&db, "c").await, Err(DbError::Closed));
    drop(gate);
    let (first, second, (), ()) = tokio::join!(first, second, closing, closing_too);
    assert_eq!((first, second), (Ok(1), Ok(1)));
    occupied.await.unwrap();
    assert_eq!(db.read::<_, DbError, _>(|_| Ok(())).await, Err(DbError::Closed));
    if let reeve_db::DatabaseUrl::Sqlite(path) = &place.url {
        assert!(!path.with_extension("db-wal").exists(), "the log was not folded into the file");
    }
    let again = place.open(one_thread()).await;
    assert_eq!(names(&again).await, ["a", "b"]);
}

async fn writers_have_lanes_of_their_own(engine: Engine) {
    let (db, _place) = open(engine).await;
    // PostgreSQL writes with half of the eight connections at once.
    let count = if engine == Engine::Sqlite { 1 } else { 4 };
    let barrier = Arc::new(Barrier::new(count));
    let calls = (0..count).map(|_| {
        let (db, barrier) = (db.clone(), Arc::clone(&barrier));
        async move {
            db.write::<_, DbError, _>(move |tx| {
                barrier.wait();
                Ok(tx.lane())
            })
            .await
            .unwrap()
        }
    });
    let lanes: BTreeSet<i64> = join_all(calls).await.into_iter().collect();
    assert_eq!(lanes, (0..i64::try_from(count).unwrap()).collect());
}

async fn the_caller_may_go_away(engine: Engine) {
    let place = Place::new(engine);
    let db = place.open(one_thread()).await;
    let (gate, occupied) = occupy(&db).await;
    let mut call = Box::pin(add(&db, "a"));
    assert!(call.as_mut().now_or_never().is_none());
    drop(call);
    drop(gate);
    occupied.await.unwrap();
    db.close().await;
    let again = place.open(one_thread()).await;
    assert_eq!(names(&again).await, ["a"]);
}

/// Statements know their paths.
#[test]
fn a_statement_has_a_name() {
    let statement: &Statement = &ADD;
    assert_eq!(statement.name(), "engine::support::ADD");
    assert_eq!(statement.sql(Engine::Sqlite), statement.sql(Engine::Postgres));
}

async fn a_commit_notifies_those_who_listen(engine: Engine) {
    const NAMED: Channel = Channel::new("named");
    const OTHER: Channel = Channel::new("other");
    let (db, _place) = open(engine).await;
    let (mut first, mut second, mut other) = (db.listen(NAMED), db.listen(NAMED), db.listen(OTHER));
    let add = |name: &'static str, fails: bool| {
        db.write(move |tx| {
            tx.notify(NAMED);
            tx.execute(&ADD, &params![name])?;
            if fails { Err(DbError::NoRow) } else { Ok(()) }
        })
    };
    add("undone", true).await.unwrap_err();
    assert!(first.notified().now_or_never().is_none(), "nothing was committed");
    add("a", false).await.unwrap();
    add("b", false).await.unwrap();
    // Before the caller knows of the commit.
    for listener in [&mut first, &mut second] {
        assert!(listener.notified().now_or_never().is_some());
        assert!(listener.notified().now_or_never().is_none(), "two commits may give one notification");
    }
    assert!(other.notified().now_or_never().is_none());
    add("a", false).await.unwrap_err();
    assert!(first.notified().now_or_never().is_none(), "the name was taken");
    assert!(db.listen(NAMED).notified().now_or_never().is_none(), "only what comes from now on");
}

async fn functions_run_after_a_commit_only(engine: Engine) {
    let (db, _place) = open(engine).await;
    let committed = Arc::new(Mutex::new(Vec::new()));
    let add = |name: &'static str, fails: bool| {
        let committed = Arc::clone(&committed);
        db.write(move |tx| {
            let committed = Arc::clone(&committed);
            tx.after_commit(move || committed.lock().unwrap().push(name));
            tx.execute(&ADD, &params![name])?;
            if fails { Err(DbError::NoRow) } else { Ok(()) }
        })
    };
    add("first", false).await.unwrap();
    // Before the caller knows of the commit.
    assert_eq!(*committed.lock().unwrap(), ["first"]);
    // These share a transaction on SQLite, which begins again after the failure.
    join_all([add("a", false), add("undone", true), add("b", false), add("a", false)]).await;
    let mut names = committed.lock().unwrap().clone();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "first"]);
}
