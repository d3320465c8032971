//! The runs that the server queues by itself: one of each rule that is on, once a day.

use reeve_db::{Db, DbError, ReadTx, Tx};
use reeve_model::{Millis, RetentionRule};
use reeve_store::retention;

use crate::job::{JOB, Payload};
use crate::settings::{DAY_MS, Settings};

/// The action that is due for a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The rule is new in the settings. Its first run comes a day later, so that there is time to count first.
    Begin,
    /// A run is to be queued.
    Run,
    /// The rule is off now.
    End,
}

/// Queues a run that is due, if none of any rule is under way: a long one leaves room for the jobs that people wait for.
/// Several processes can call it at the same time, and queue one run.
pub async fn schedule(db: &Db, settings: &Settings, now: Millis) -> Result<(), DbError> {
    let known = settings.clone();
    let is_due = db.read(move |tx| -> Result<_, DbError> {
        let is_busy = is_busy(tx)?;
        for (_, rule) in RetentionRule::WORDS {
            match due(tx, &known, *rule, now)? {
                Due::Nothing => {}
                Due::Run if is_busy => {}
                Due::Begin | Due::Run | Due::End => return Ok(true),
            }
        }
        Ok(false)
    });
    if !is_due.await? {
        return Ok(());
    }
    let settings = settings.clone();
    db.write(move |tx| -> Result<(), DbError> {
        let mut waiting = Vec::new();
        for (_, rule) in RetentionRule::WORDS {
            match due(tx, &settings, *rule, now)? {
                Due::Nothing => {}
                Due::Run => waiting.push((retention::find(tx, *rule)?.scheduled_ts, *rule)),
                Due::Begin => retention::set_scheduled(tx, *rule, Some(now))?,
                Due::End => retention::set_scheduled(tx, *rule, None)?,
            }
        }
        // The one that has waited for longest, so that a rule whose runs take days does not hold up the others.
        waiting.sort_by_key(|(since, _)| *since);
        if let Some((_, rule)) = waiting.first()
            && !is_busy(tx)?
        {
            queue(tx, &settings, *rule, now)?;
        }
        Ok(())
    })
    .await
}

/// Returns true if a run of any rule is not over.
fn is_busy(tx: &ReadTx<'_>) -> Result<bool, DbError> {
    for (word, _) in RetentionRule::WORDS {
        if JOB.is_unfinished(tx, word)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn due(tx: &ReadTx<'_>, settings: &Settings, rule: RetentionRule, now: Millis) -> Result<Due, DbError> {
    Ok(match (settings.is_on(rule), retention::find(tx, rule)?.scheduled_ts) {
        (false, None) => Due::Nothing,
        (false, Some(_)) => Due::End,
        (true, None) => Due::Begin,
        (true, Some(last)) if now.since(last) < DAY_MS => Due::Nothing,
        (true, Some(_)) => Due::Run,
    })
}

fn queue(tx: &mut Tx<'_>, settings: &Settings, rule: RetentionRule, now: Millis) -> Result<(), DbError> {
    let payload = Payload {
        // Messages have lifetimes by room, which are counted back from now.
        before: now.minus(settings.age_ms(rule).unwrap_or(0)),
        lifetimes: settings.messages.lifetimes,
        dry_run: false,
        orderer: None,
    };
    JOB.enqueue(tx, rule.as_str(), &payload, 0, now)?;
    retention::set_scheduled(tx, rule, Some(now))
}
