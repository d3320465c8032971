//! Objects in progress count as abandoned by their age, unless their writer renews them.

use reeve_db::{DbError, Engine};
use reeve_model::Millis;

use super::{fresh, runtime};
use crate::media_objects::{self, PendingDelete};

const BEGUN: Millis = Millis::new(1000);
const LATER: Millis = Millis::new(2000);

fn one_that_is_renewed_is_not_abandoned(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "media_objects");
    let played = fresh.db.write(|tx| -> Result<_, DbError> {
        for object in ["renewed", "silent", "doomed"] {
            media_objects::begin(tx, object, BEGUN)?;
        }
        media_objects::schedule_delete_of_orphan(tx, "doomed")?;
        for object in ["renewed", "doomed"] {
            media_objects::renew(tx, object, LATER)?;
        }
        let abandoned = media_objects::schedule_delete_of_abandoned(tx, LATER, 10)?;
        let doomed = media_objects::pending_delete(tx, &PendingDelete::default(), 10)?;
        Ok((abandoned, doomed, media_objects::take(tx, "renewed")?, media_objects::take(tx, "doomed")?))
    });
    let (abandoned, doomed, renewed_is_taken, doomed_is_taken) = runtime.block_on(played).unwrap();
    let gone = |object: &str| PendingDelete { object: object.to_owned(), since_ts: BEGUN };
    assert_eq!((abandoned, doomed), (1, vec![gone("doomed"), gone("silent")]));
    assert!(renewed_is_taken && !doomed_is_taken);
    fresh.close(&runtime);
}

#[test]
fn one_that_is_renewed_is_not_abandoned_on_sqlite() {
    one_that_is_renewed_is_not_abandoned(Engine::Sqlite);
}

#[test]
fn one_that_is_renewed_is_not_abandoned_on_postgres() {
    if reeve_test_postgres::available() {
        one_that_is_renewed_is_not_abandoned(Engine::Postgres);
    }
}
