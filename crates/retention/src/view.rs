//! The rules as administrators see them.

use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, RetentionRule};
use reeve_store::jobs;
use reeve_store::retention::{self, LastRun};

use crate::job::JOB;
use crate::settings::{DAY_MS, MessageSettings, Settings};

/// A rule.
#[derive(Clone, Debug)]
pub struct View {
    /// The rule.
    pub rule: RetentionRule,
    /// The age at which it deletes, in milliseconds; `None` if the settings give none.
    pub age_ms: Option<i64>,
    /// The lifetimes of messages, for the rule about them.
    pub messages: Option<MessageSettings>,
    /// The time from which the server queues a run by itself; `None` if the rule is off, or new in the settings.
    pub next_run_ts: Option<Millis>,
    /// The id of the job of the run that is not over.
    pub running: Option<String>,
    /// The last run that is over, dry runs aside.
    pub last: Option<LastRun>,
}

/// Returns all rules.
pub fn view(tx: &ReadTx<'_>, settings: &Settings) -> Result<Vec<View>, DbError> {
    let one = |rule: RetentionRule| {
        let runs = retention::find(tx, rule)?;
        Ok(View {
            rule,
            age_ms: settings.age_ms(rule),
            messages: (rule == RetentionRule::Messages).then_some(settings.messages),
            next_run_ts: runs.scheduled_ts.filter(|_| settings.is_on(rule)).map(|last| last.plus(DAY_MS)),
            running: jobs::unfinished(tx, rule.as_str(), JOB.name())?.map(|job| job.id),
            last: runs.last,
        })
    };
    RetentionRule::WORDS.iter().map(|(_, rule)| one(*rule)).collect()
}
