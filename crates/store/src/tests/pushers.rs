//! A pusher and its delivery come and go together.

use reeve_db::{DbError, Engine, Tx, params, statements};
use reeve_model::{DeliveryKind, Millis, Pos, PusherNum, UserNum};

use super::{fresh, runtime};
use crate::deliveries;
use crate::pushers::{self, Pusher};

statements! {
    KEYS = "SELECT p.pushkey FROM pushers p JOIN deliveries d ON d.kind = 'push' AND d.target_num = p.num ORDER BY p.pushkey";
    COUNT_PUSHERS = "SELECT count(*) FROM pushers";
    COUNT_DELIVERIES = "SELECT count(*) FROM deliveries";
    DELIVERY = "SELECT cursor, marks, due_ts, failures FROM deliveries WHERE target_num = $1";
    NUM = "SELECT num FROM pushers WHERE pushkey = $1";
}

const ALICE: UserNum = UserNum::new(1);
const BOB: UserNum = UserNum::new(2);

fn put(
    tx: &mut Tx<'_>,
    user: UserNum,
    pushkey: &str,
    device_id: Option<&str>,
    at: i64,
) -> Result<(), DbError> {
    let pusher = Pusher {
        app_id: "app".to_owned(),
        pushkey: pushkey.to_owned(),
        kind: "http".to_owned(),
        app_display_name: String::new(),
        device_display_name: String::new(),
        profile_tag: String::new(),
        lang: "en".to_owned(),
        data: "{}".to_owned(),
        device_id: device_id.map(str::to_owned),
        enabled: true,
    };
    pushers::put(tx, user, &pusher, Pos::new(at), Millis::new(at))
}

/// The keys of the pushers, each of which has a delivery.
fn keys(tx: &Tx<'_>) -> Result<Vec<String>, DbError> {
    let keys = tx.query(&KEYS, &[], |row| row.get(0))?;
    for count in [&COUNT_PUSHERS, &COUNT_DELIVERIES] {
        let count: i64 = tx.query_one(count, &[], |row| row.get(0))?;
        assert_eq!(usize::try_from(count), Ok(keys.len()));
    }
    Ok(keys)
}

fn num(tx: &Tx<'_>, pushkey: &str) -> Result<PusherNum, DbError> {
    tx.query_one(&NUM, &params![pushkey], |row| row.get(0))
}

fn each_has_a_delivery(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "pushers");
    let test = fresh.db.write(|tx| -> Result<(), DbError> {
        for (user, key, device) in [
            (ALICE, "a1", Some("A")),
            (ALICE, "a2", Some("A")),
            (ALICE, "a3", Some("B")),
            (ALICE, "a4", None),
            (ALICE, "a5", Some("C")),
            (ALICE, "a6", Some("C")),
            (ALICE, "a7", Some("C")),
            (BOB, "b1", Some("A")),
            (BOB, "b2", None),
        ] {
            put(tx, user, key, device, 5)?;
        }
        assert_eq!(keys(tx)?, ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "b1", "b2"]);
        pushers::delete_of_device(tx, ALICE, "A")?;
        assert_eq!(keys(tx)?, ["a3", "a4", "a5", "a6", "a7", "b1", "b2"]);
        pushers::delete_without_device(tx, ALICE)?;
        assert_eq!(keys(tx)?, ["a3", "a5", "a6", "a7", "b1", "b2"]);
        pushers::delete_of_others(tx, BOB, "app", "a3")?;
        assert_eq!(keys(tx)?, ["a5", "a6", "a7", "b1", "b2"]);
        pushers::delete(tx, ALICE, "app", "a5")?;
        pushers::delete(tx, BOB, "app", "a6")?;
        assert_eq!(keys(tx)?, ["a6", "a7", "b1", "b2"]);
        let rejected = num(tx, "a6")?;
        pushers::delete_by_num(tx, rejected)?;
        assert_eq!(keys(tx)?, ["a7", "b1", "b2"]);
        pushers::delete_of_user(tx, ALICE)?;
        assert_eq!(keys(tx)?, ["b1", "b2"]);
        Ok(())
    });
    runtime.block_on(test).unwrap();
    fresh.close(&runtime);
}

#[test]
fn each_has_a_delivery_on_sqlite() {
    each_has_a_delivery(Engine::Sqlite);
}

#[test]
fn each_has_a_delivery_on_postgres() {
    if reeve_test_postgres::available() {
        each_has_a_delivery(Engine::Postgres);
    }
}

/// The delivery of a pusher: its cursor, marks, due time and failures.
fn delivery(tx: &Tx<'_>, num: PusherNum) -> Result<(i64, i64, Option<i64>, i64), DbError> {
    tx.query_one(&DELIVERY, &params![num], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
}

fn one_that_is_set_again_goes_on(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "set_again");
    let test = fresh.db.write(|tx| -> Result<(), DbError> {
        put(tx, ALICE, "key", Some("A"), 5)?;
        let num = num(tx, "key")?;
        assert_eq!(delivery(tx, num)?, (5, 0, None, 0));
        // One that rests goes on resting.
        put(tx, ALICE, "key", Some("A"), 10)?;
        assert_eq!(delivery(tx, num)?, (5, 0, None, 0));
        deliveries::mark(tx, DeliveryKind::Push, &[num], Millis::new(20))?;
        assert_eq!(delivery(tx, num)?, (5, 1, Some(20), 0));
        // A mark while it is due already keeps its place.
        deliveries::mark(tx, DeliveryKind::Push, &[num], Millis::new(30))?;
        assert_eq!(delivery(tx, num)?, (5, 2, Some(20), 0));
        let claim = |tx: &mut Tx<'_>, now| {
            let name = "name".into();
            let (now, until) = (Millis::new(now), Millis::new(now + 100));
            deliveries::claim::<PusherNum, Pos>(tx, DeliveryKind::Push, &name, now, until, 1)
        };
        let claimed = claim(tx, 40)?.pop().unwrap();
        // One that is claimed keeps its lease.
        put(tx, ALICE, "key", Some("A"), 50)?;
        deliveries::mark(tx, DeliveryKind::Push, &[num], Millis::new(50))?;
        assert_eq!(delivery(tx, num)?, (5, 3, Some(140), 0));
        deliveries::fail(tx, &claimed.claim, Millis::new(60), Millis::new(1000))?;
        // A mark does not shorten the pause after a failure; setting it again does.
        deliveries::mark(tx, DeliveryKind::Push, &[num], Millis::new(70))?;
        assert_eq!(delivery(tx, num)?, (5, 4, Some(1000), 1));
        put(tx, ALICE, "key", Some("A"), 80)?;
        assert_eq!(delivery(tx, num)?, (5, 4, Some(80), 0));
        // A mark ends a rest for a time.
        let claimed = claim(tx, 80)?.pop().unwrap();
        let rest = Some(Millis::new(500));
        assert!(deliveries::settle(tx, &claimed.claim, Pos::new(6), 4, rest, Millis::new(90))?);
        assert_eq!(delivery(tx, num)?, (6, 4, Some(500), 0));
        deliveries::mark(tx, DeliveryKind::Push, &[num], Millis::new(95))?;
        assert_eq!(delivery(tx, num)?, (6, 5, Some(95), 0));
        Ok(())
    });
    runtime.block_on(test).unwrap();
    fresh.close(&runtime);
}

#[test]
fn one_that_is_set_again_goes_on_on_sqlite() {
    one_that_is_set_again_goes_on(Engine::Sqlite);
}

#[test]
fn one_that_is_set_again_goes_on_on_postgres() {
    if reeve_test_postgres::available() {
        one_that_is_set_again_goes_on(Engine::Postgres);
    }
}

/// `delete_with` needs the numbers, to delete the deliveries.
#[test]
fn every_deletion_returns_the_numbers() {
    let deletions = crate::statements().into_iter().filter(|statement| {
        [Engine::Sqlite, Engine::Postgres]
            .iter()
            .any(|engine| statement.sql(*engine).contains("DELETE FROM pushers"))
    });
    for statement in deletions {
        assert!(statement.name().starts_with("reeve_store::operation::pushers::"), "{}", statement.name());
        assert!(statement.sql(Engine::Sqlite).ends_with("RETURNING num"), "{}", statement.name());
    }
}
