//! Migrations that change data.

use reeve_db::{Db, DbError, Engine, Options, params, statements};
use reeve_model::{ActorKind, Millis};

use super::{Fresh, fresh_at, runtime};
use crate::{MIGRATIONS, audit};

statements! {
    INSERT = "INSERT INTO audit (ts, actor, request_id, action, target, changes) VALUES (1, $1, 'r', 'a', 't', '{}')";
}

fn earlier_audit_entries_get_the_kind_of_their_actor(engine: Engine) {
    let runtime = runtime();
    let before = fresh_at(&runtime, engine, "kinds", &MIGRATIONS[..8]);
    let actors = ["@ada:test", "cli", "shared secret"];
    let write = before.db.write(move |tx| -> Result<(), DbError> {
        actors.iter().try_for_each(|actor| tx.execute(&INSERT, &params![*actor]).map(|_| ()))
    });
    runtime.block_on(write).unwrap();
    runtime.block_on(before.db.close());
    let db = runtime.block_on(Db::open(&before.url, Options::default(), MIGRATIONS)).unwrap();
    let after = Fresh { db, ..before };
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
