//! Migrations that change data.

use reeve_db::{Db, DbError, Engine, Options, Tx, params, statements};
use reeve_model::{ActorKind, DeliveryKind, Millis, Pos, PusherNum, ReportState, UserNum};

use super::{Fresh, fresh_at, runtime};
use crate::deliveries::{self, Claim};
use crate::report_work::{self, Filter};
use crate::{MIGRATIONS, SortKey, audit, pushers, reports, transactions};

statements! {
    INSERT_AUDIT = "INSERT INTO audit (ts, actor, request_id, action, target, changes) VALUES (1, $1, 'r', 'a', 't', '{}')";
    /// A pusher before there were deliveries.
    INSERT_PUSHER = "INSERT INTO pushers (user_num, app_id, pushkey, kind, app_display_name, device_display_name, profile_tag, \
        lang, data, device_id, created_ts, updated_ts, enabled, told_unread, last_pos, marks, due_ts, claim, failures, \
        failing_since_ts) VALUES (1, 'app', $1, $2, 'App', 'Phone', '', 'en', '{}', 'DEVICE', 1, 2, 1, $3, $4, $5, $6, $7, $8, $9)";
    SENT = "INSERT INTO events (pos, room_num, event_id, event_type, sender, ts, notifies, json) \
            VALUES ($1, 1, $2, 'm.room.message', '@ada:test', 1, 0, '{}')";
    REMEMBERED = "INSERT INTO transactions (user_num, device_id, scope, txn_id, event_id, created_ts) \
                  VALUES (1, 'D', 's', $1, $2, 1)";
    DELIVERIES = "SELECT p.pushkey, p.kind, p.told_unread, d.cursor, d.marks, d.due_ts, d.claim, d.failures, d.failing_since_ts \
        FROM pushers p JOIN deliveries d ON d.kind = 'push' AND d.target_num = p.num ORDER BY p.num";
}

/// Runs a test with a database of either engine in which something was written after some migrations, and which has all
/// of them now.
fn migrated(
    engine: Engine,
    name: &str,
    migrations: usize,
    write: fn(&mut Tx<'_>) -> Result<(), DbError>,
    test: impl FnOnce(&tokio::runtime::Runtime, &Db),
) {
    let runtime = runtime();
    let before = fresh_at(&runtime, engine, name, &MIGRATIONS[..migrations]);
    runtime.block_on(before.db.write(write)).unwrap();
    runtime.block_on(before.db.close());
    let db = runtime.block_on(Db::open(&before.url, Options::default(), MIGRATIONS)).unwrap();
    let after = Fresh { db, ..before };
    test(&runtime, &after.db);
    after.close(&runtime);
}

const ACTORS: [&str; 3] = ["@ada:test", "cli", "shared secret"];

fn earlier_audit_entries_get_the_kind_of_their_actor(engine: Engine) {
    let write = |tx: &mut Tx<'_>| {
        ACTORS.iter().try_for_each(|actor| tx.execute(&INSERT_AUDIT, &params![*actor]).map(|_| ()))
    };
    migrated(engine, "kinds", 8, write, |runtime, db| {
        let list = db.read(|tx| audit::list(tx, &audit::Filter::default(), &SortKey::at(Millis::MAX), 10));
        let found = runtime.block_on(list).unwrap().into_iter().map(|entry| (entry.actor, entry.actor_kind));
        let kinds = [ActorKind::User, ActorKind::Cli, ActorKind::Service];
        let expected = ACTORS.map(str::to_owned).into_iter().zip(kinds).rev();
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    });
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

/// The state of a pusher, before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
struct State {
    pushkey: &'static str,
    kind: &'static str,
    told_unread: i64,
    cursor: i64,
    marks: i64,
    due_ts: Option<i64>,
    claim: Option<&'static str>,
    failures: i64,
    failing_since_ts: Option<i64>,
}

const RESTING: State = State {
    pushkey: "resting",
    kind: "http",
    told_unread: 0,
    cursor: 7,
    marks: 0,
    due_ts: None,
    claim: None,
    failures: 0,
    failing_since_ts: None,
};

const STATES: [State; 6] = [
    RESTING,
    State { pushkey: "marked", told_unread: 3, marks: 2, due_ts: Some(1000), ..RESTING },
    State { pushkey: "claimed", cursor: 9, marks: 4, due_ts: Some(9000), claim: Some("claim"), ..RESTING },
    State { pushkey: "waiting", kind: "email", marks: 1, due_ts: Some(5000), ..RESTING },
    State {
        pushkey: "failing",
        marks: 5,
        due_ts: Some(8000),
        failures: 6,
        failing_since_ts: Some(500),
        ..RESTING
    },
    State {
        pushkey: "claimed after failures",
        kind: "email",
        marks: 8,
        due_ts: Some(9000),
        claim: Some("claim"),
        failures: 2,
        failing_since_ts: Some(600),
        ..RESTING
    },
];

fn pushers_keep_their_state(engine: Engine) {
    let write = |tx: &mut Tx<'_>| {
        STATES.iter().try_for_each(|state| {
            let State {
                pushkey,
                kind,
                told_unread,
                cursor,
                marks,
                due_ts,
                claim,
                failures,
                failing_since_ts,
            } = state;
            let state = params![
                **pushkey,
                **kind,
                *told_unread,
                *cursor,
                *marks,
                *due_ts,
                *claim,
                *failures,
                *failing_since_ts
            ];
            tx.execute(&INSERT_PUSHER, &state).map(|_| ())
        })
    };
    migrated(engine, "deliveries", 9, write, |runtime, db| {
        let same = db.read(|tx| -> Result<usize, DbError> {
            let known = |text: Option<String>| {
                STATES
                    .iter()
                    .flat_map(|s| [Some(s.pushkey), Some(s.kind), s.claim])
                    .flatten()
                    .find(|known| text.as_deref() == Some(*known))
            };
            let found = tx.query(&DELIVERIES, &[], |row| {
                Ok(State {
                    pushkey: known(row.get(0)?).unwrap(),
                    kind: known(row.get(1)?).unwrap(),
                    told_unread: row.get(2)?,
                    cursor: row.get(3)?,
                    marks: row.get(4)?,
                    due_ts: row.get(5)?,
                    claim: known(row.get(6)?),
                    failures: row.get(7)?,
                    failing_since_ts: row.get(8)?,
                })
            })?;
            assert_eq!(found, STATES);
            Ok(found.len())
        });
        assert_eq!(runtime.block_on(same).unwrap(), STATES.len());
        let works = db.write(|tx| -> Result<(), DbError> {
            // The worker that had claimed one can go on.
            let claim = Claim { kind: DeliveryKind::Push, target: PusherNum::new(3), name: "claim".into() };
            assert_eq!(deliveries::marks(tx, &claim)?, Some(4));
            assert!(deliveries::settle(tx, &claim, Pos::new(10), 4, None, Millis::new(2000))?);
            // Those that are due are claimed, and no other.
            let name = "another".into();
            let claimed = deliveries::claim::<PusherNum, Pos>(
                tx,
                DeliveryKind::Push,
                &name,
                Millis::new(5000),
                Millis::new(9000),
                10,
            )?;
            let mut keys = Vec::new();
            for delivery in claimed {
                assert_eq!((delivery.cursor, delivery.failures), (Pos::new(7), 0));
                keys.push(pushers::by_num(tx, delivery.claim.target)?.pusher.pushkey);
            }
            keys.sort();
            assert_eq!(keys, ["marked", "waiting"]);
            Ok(())
        });
        runtime.block_on(works).unwrap();
    });
}

#[test]
fn pushers_keep_their_state_on_sqlite() {
    pushers_keep_their_state(Engine::Sqlite);
}

#[test]
fn pushers_keep_their_state_on_postgres() {
    if reeve_test_postgres::available() {
        pushers_keep_their_state(Engine::Postgres);
    }
}

fn earlier_events_keep_their_transaction_ids(engine: Engine) {
    let write = |tx: &mut Tx<'_>| {
        tx.execute(&SENT, &params![Pos::new(7), "$a"])?;
        tx.execute(&REMEMBERED, &params!["of a", "$a"])?;
        tx.execute(&REMEMBERED, &params!["of what is not there", "$b"])?;
        Ok(())
    };
    migrated(engine, "txns", 10, write, |runtime, db| {
        let of = |pos| {
            let find = db.read(move |tx| transactions::of_event(tx, Pos::new(pos), UserNum::new(1), "D"));
            runtime.block_on(find).unwrap()
        };
        assert_eq!((of(7).as_deref(), of(8)), (Some("of a"), None));
    });
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

fn earlier_reports_are_open(engine: Engine) {
    let write = |tx: &mut Tx<'_>| {
        reports::insert_user(tx, "@bob:test", "@ada:test", "rude", Millis::new(1))?;
        reports::insert_room(tx, "!room:test", "@ada:test", "noise", Millis::new(2))
    };
    migrated(engine, "reports", 13, write, |runtime, db| {
        let all = Filter { until_ts: Millis::MAX, ..Filter::default() };
        let (found, total) =
            runtime.block_on(db.read(move |tx| report_work::list(tx, &all, None, 10))).unwrap();
        let found =
            found.into_iter().map(|report| (report.reason, report.state, report.assignee, report.changes));
        let expected = ["noise", "rude"].map(|reason| (Some(reason.to_owned()), ReportState::Open, None, 0));
        assert_eq!((found.collect::<Vec<_>>(), total), (expected.to_vec(), 2));
    });
}

#[test]
fn earlier_reports_are_open_on_sqlite() {
    earlier_reports_are_open(Engine::Sqlite);
}

#[test]
fn earlier_reports_are_open_on_postgres() {
    if reeve_test_postgres::available() {
        earlier_reports_are_open(Engine::Postgres);
    }
}
