//! Durable work in the form of Synapse's list of tasks.

use reeve_http::{Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::{JobState, Millis};
use reeve_store::jobs::{self, Filter, Job};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The list never holds more than this; of more it has the newest.
const MOST: usize = 10_000;
/// How many are read at once.
const BATCH: i64 = 1000;

const STATES: &[(&str, JobState)] = &[
    ("scheduled", JobState::Scheduled),
    ("active", JobState::Active),
    ("complete", JobState::Complete),
    ("failed", JobState::Failed),
    ("cancelled", JobState::Cancelled),
];

/// A piece of work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    id: String,
    /// What kind of work, such as `purge_history`.
    action: String,
    /// `scheduled`, `active`, `complete`, `failed` or `cancelled`.
    status: String,
    /// When the status last changed, in milliseconds.
    timestamp_ms: i64,
    /// What it works on, such as a room id.
    #[schema(required)]
    resource_id: Option<String>,
    /// What came of it.
    #[schema(required, value_type = Option<Object>)]
    result: Option<Value>,
    /// When failed: why.
    #[schema(required)]
    error: Option<String>,
}

/// The work that waits, runs or ended in the last seven days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tasks {
    /// The oldest first.
    scheduled_tasks: Vec<Task>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/scheduled_tasks", handle)
        .id("listScheduledTasks")
        .summary("Lists durable work, the oldest first")
        .query([
            Param::texts("action_name", "only this kind of work; repeatable"),
            Param::text("resource_id", "only work on this"),
            Param::choice("status", STATES, "only work in this status"),
            Param::choice("job_status", STATES, "the same under its former name"),
            Param::integer(
                "max_timestamp",
                "only work whose status last changed until then, in milliseconds",
            ),
        ])
        .returns::<Tasks>(200)
}

fn task(job: Job) -> Result<Task, MatrixError> {
    let result = job.result.map(|result| serde_json::from_str(&result)).transpose();
    Ok(Task {
        result: result.map_err(MatrixError::internal)?,
        error: job.error.filter(|_| job.state == JobState::Failed),
        id: job.id,
        action: job.kind,
        status: job.state.to_string(),
        timestamp_ms: job.updated_ts.get(),
        resource_id: Some(job.subject).filter(|subject| !subject.is_empty()),
    })
}

async fn handle(call: Call) -> Answer {
    let mut actions = call.query.all_ascii("action_name")?;
    actions.retain(|action| !action.is_empty());
    let status = match call.query.choice("status", STATES)? {
        Some(status) => Some(status),
        None => call.query.choice("job_status", STATES)?,
    };
    let max_timestamp = call.query.integer("max_timestamp")?.map(Millis::new);
    let filter = Filter {
        subject: call.query.utf8("resource_id")?.unwrap_or_default(),
        kind: match actions.as_slice() {
            [only] => only.clone(),
            _ => String::new(),
        },
        state: status,
    };
    let jobs = call
        .read(move |tx| -> Result<_, reeve_db::DbError> {
            let (mut found, mut before) = (Vec::new(), (Millis::MAX, String::new()));
            while found.len() < MOST {
                let batch = jobs::list(tx, &filter, (before.0, &before.1), BATCH)?;
                let Some(last) = batch.last() else { break };
                before = (last.created_ts, last.id.clone());
                found.extend(batch.into_iter().filter(|job| {
                    (actions.is_empty() || actions.contains(&job.kind))
                        && max_timestamp.is_none_or(|most| job.updated_ts <= most)
                }));
            }
            found.truncate(MOST);
            found.reverse();
            Ok(found)
        })
        .await?;
    let scheduled_tasks = jobs.into_iter().map(task).collect::<Result<_, _>>()?;
    reply::ok(&Tasks { scheduled_tasks })
}
