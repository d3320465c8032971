//! Returns the rules.

use reeve_app::{Access, Answer, Reading, Route, reply};
use reeve_model::{RetentionRule, Scope};
use reeve_retention::{MessageSettings, View};
use reeve_store::retention::LastRun;
use serde::Serialize;
use utoipa::ToSchema;

/// The rules by which old data is deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetentionRules {
    rules: Vec<RuleView>,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// `devices`, `media`, `preview_media`, `messages`, `guests`, `unused_accounts`, `audit` or `ip_addresses`.
    #[schema(value_type = String, example = "devices")]
    rule: RetentionRule,
    /// The age at which it deletes, in milliseconds, as the settings say; null for never, and for `messages`.
    #[schema(required)]
    older_than_ms: Option<i64>,
    /// The lifetimes of messages; null for other rules.
    #[schema(required)]
    lifetimes: Option<MessageLifetimes>,
    /// The time from which the server runs it next by itself, in milliseconds; null if it does not, and for some minutes after the
    /// rule came into the settings.
    #[schema(required)]
    next_run_ts: Option<i64>,
    /// The id of the job that runs it at present; null if there is none.
    #[schema(required)]
    running: Option<String>,
    /// The last run that is over, dry runs aside; null if there was none.
    #[schema(required)]
    last_run: Option<RunView>,
}

/// The lifetimes of messages, as the settings say.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageLifetimes {
    /// True if messages are deleted.
    enabled: bool,
    /// The lifetime in rooms that set none, in milliseconds; null for no end.
    #[schema(required)]
    default_ms: Option<i64>,
    /// The shortest lifetime that a room can set, in milliseconds; null for any.
    #[schema(required)]
    min_ms: Option<i64>,
    /// The longest lifetime that a room can set, in milliseconds; null for any.
    #[schema(required)]
    max_ms: Option<i64>,
}

/// A run that is over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunView {
    /// The id of its job, which is kept for seven days.
    job_id: String,
    /// The time before which it deleted, in milliseconds; for messages, the time from which their lifetimes were counted back.
    before_ts: i64,
    /// When it ended, in milliseconds.
    ended_ts: i64,
    /// The number of things that it deleted.
    deleted: i64,
    /// The number of things that it kept although they are as old, such as avatars.
    kept: i64,
}

impl From<LastRun> for RunView {
    fn from(run: LastRun) -> Self {
        Self {
            job_id: run.job,
            before_ts: run.before_ts.get(),
            ended_ts: run.ended_ts.get(),
            deleted: run.deleted,
            kept: run.kept,
        }
    }
}

impl From<MessageSettings> for MessageLifetimes {
    fn from(settings: MessageSettings) -> Self {
        let MessageSettings { enabled, lifetimes } = settings;
        Self { enabled, default_ms: lifetimes.default_ms, min_ms: lifetimes.min_ms, max_ms: lifetimes.max_ms }
    }
}

impl From<View> for RuleView {
    fn from(view: View) -> Self {
        Self {
            rule: view.rule,
            older_than_ms: view.age_ms,
            lifetimes: view.messages.map(Into::into),
            next_run_ts: view.next_run_ts.map(reeve_model::Millis::get),
            running: view.running,
            last_run: view.last.map(Into::into),
        }
    }
}

pub(crate) fn route() -> Route {
    Route::read(super::PATH, read)
        .access(Access::Admin(Scope::ServerRead))
        .id("getRetention")
        .summary("Returns the rules by which old data is deleted, with their last runs")
        .returns::<RetentionRules>(200)
}

fn read(call: &Reading<'_>) -> Answer {
    let rules = reeve_retention::view(call.tx, &call.app.retention)?;
    reply::ok(&RetentionRules { rules: rules.into_iter().map(Into::into).collect() })
}
