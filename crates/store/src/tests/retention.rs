//! Counting old rows in parts.

use reeve_db::{DbError, Engine};
use reeve_model::{Actor, Millis};

use super::{fresh, runtime};
use crate::audit::{self, NewEntry};

fn parts_are_the_whole(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "retention");
    // Many have the same time, more than a part has.
    let times = [1, 2, 2, 2, 2, 2, 2, 2, 3, 5, 5, 8];
    let counted = fresh.db.write(move |tx| -> Result<Vec<(i64, i64, i64)>, DbError> {
        for ts in times {
            let entry = NewEntry {
                ts: Millis::new(ts),
                actor: &Actor::Cli,
                ip: None,
                request_id: "",
                action: "a",
                target: "t",
                changes: "{}",
            };
            audit::insert(tx, &entry)?;
        }
        let mut counted = Vec::new();
        for before in 0..10 {
            for most in 1..20 {
                let (mut from, mut sum) = (Some(Millis::ZERO), 0);
                while let Some(start) = from {
                    let part = audit::count_old(tx, start, Millis::new(before), most)?;
                    assert!(part.next.is_none_or(|next| next > start), "it goes on");
                    (from, sum) = (part.next, sum + part.count);
                }
                counted.push((before, most, sum));
            }
        }
        assert_eq!(audit::delete_old(tx, Millis::new(3), 5)?, 5);
        assert_eq!(audit::delete_old(tx, Millis::new(3), 5)?, 3);
        assert_eq!(audit::delete_old(tx, Millis::new(3), 5)?, 0);
        Ok(counted)
    });
    for (before, most, sum) in runtime.block_on(counted).unwrap() {
        let expected = times.iter().filter(|ts| **ts < before).count();
        assert_eq!(usize::try_from(sum), Ok(expected), "before {before}, {most} at a time");
    }
    fresh.close(&runtime);
}

#[test]
fn parts_are_the_whole_on_sqlite() {
    parts_are_the_whole(Engine::Sqlite);
}

#[test]
fn parts_are_the_whole_on_postgres() {
    if reeve_test_postgres::available() {
        parts_are_the_whole(Engine::Postgres);
    }
}
