//! Migrations that change data.

use reeve_db::{Db, DbError, Engine, Options, Tx, params, statements};
use reeve_model::{ActorKind, Millis, Pos, UserNum};
use tokio::runtime::Runtime;

use super::{Fresh, fresh_at, runtime};
use crate::{MIGRATIONS, audit, transactions};

statements! {
    AUDITED = "INSERT INTO audit (ts, actor, request_id, action, target, changes) VALUES (1, $1, 'r', 'a', 't', '{}')";
    SENT = "INSERT INTO events (pos, room_num, event_id, event_type, sender, ts, notifies, json) \
            VALUES ($1, 1, $2, 'm.room.message', '@ada:test', 1, 0, '{}')";
    REMEMBERED = "INSERT INTO transactions (user_num, device_id, scope, txn_id, event_id, created_ts) \
                  VALUES (1, 'D', 's', $1, $2, 1)";
}

/// A database of before some migrations, with rows, after all of them.
fn migrated(
    runtime: &Runtime,
    engine: Engine,
    name: &str,
    before: usize,
    fill: impl Fn(&mut Tx<'_>) -> Result<(), DbError> + Send + 'static,
) -> Fresh {
    let before = fresh_at(runtime, engine, name, &MIGRATIONS[..before]);
    runtime.block_on(before.db.write(fill)).unwrap();
    runtime.block_on(before.db.close());
    let db = runtime.block_on(Db::open(&before.url, Options::default(), MIGRATIONS)).unwrap();
    Fresh { db, ..before }
}

fn earlier_audit_entries_get_the_kind_of_their_actor(engine: Engine) {
    let runtime = runtime();
    let actors = ["@ada:test", "cli", "shared secret"];
    let after = migrated(&runtime, engine, "kinds", 8, move |tx| {
        actors.iter().try_for_each(|actor| tx.execute(&AUDITED, &params![*actor]).map(|_| ()))
    });
    let list = after.db.read(|tx| audit::list(tx, &audit::Filter::default(), (Millis::MAX, 0), 10));
    let found = runtime.block_on(list).unwrap().into_iter().map(|entry| (entry.actor, entry.actor_kind));
    let kinds = [ActorKind::User, ActorKind::Cli, ActorKind::Service];
    let expected = actors.map(str::to_owned).into_iter().zip(kinds).rev();
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    after.close(&runtime);
}

#[test]
fn earlier_audit_entries_get_the_kind_of_their_actor_on_sqlite() {
    earlier_audit_entries_get_the_kind_of_their_actor(Engine::Sqlite);
}

#[test]
fn earlier_audit_entries_get_the_kind_of_their_actor_on_postgres() {
    if reeve_test_postgres::available() {
        earlier_audit_entries_get_the_kind_of_their_actor(Engine::Postgres);
    }
}

fn earlier_events_keep_their_transaction_ids(engine: Engine) {
    let runtime = runtime();
    let after = migrated(&runtime, engine, "txns", 9, |tx| {
        tx.execute(&SENT, &params![Pos::new(7), "$a"])?;
        tx.execute(&REMEMBERED, &params!["of a", "$a"])?;
        tx.execute(&REMEMBERED, &params!["of what is not there", "$b"])?;
        Ok(())
    });
    let of = |pos| {
        let find = after.db.read(move |tx| transactions::of_event(tx, Pos::new(pos), UserNum::new(1), "D"));
        runtime.block_on(find).unwrap()
    };
    assert_eq!((of(7).as_deref(), of(8)), (Some("of a"), None));
    after.close(&runtime);
}

#[test]
fn earlier_events_keep_their_transaction_ids_on_sqlite() {
    earlier_events_keep_their_transaction_ids(Engine::Sqlite);
}

#[test]
fn earlier_events_keep_their_transaction_ids_on_postgres() {
    if reeve_test_postgres::available() {
        earlier_events_keep_their_transaction_ids(Engine::Postgres);
    }
}
