//! Jobs in the form of Synapse's list of tasks.

use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::{JobState, Millis, Scope};
use reeve_store::SortKey;
use reeve_store::jobs::{self, Filter, Job};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Maximum number of tasks in the list; of more, the newest are kept.
const MAX: usize = 10_000;
/// Jobs read at once.
const BATCH: i64 = 1000;

/// The words for a status. A paused job is shown as scheduled.
const STATUSES: &[(&str, JobState)] = &[
    ("scheduled", JobState::Scheduled),
    ("active", JobState::Active),
    ("complete", JobState::Complete),
    ("failed", JobState::Failed),
    ("cancelled", JobState::Cancelled),
];

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    id: String,
    /// The kind of task, such as `purge_history`.
    action: String,
    /// `scheduled`, `active`, `complete`, `failed` or `cancelled`.
    status: String,
    /// When the status last changed, in milliseconds.
    timestamp_ms: i64,
    /// The subject, such as a room id.
    #[schema(required)]
    resource_id: Option<String>,
    /// The result.
    #[schema(required, value_type = Option<Object>)]
    result: Option<Value>,
    /// The reason of a failure.
    #[schema(required)]
    error: Option<String>,
}

/// The tasks that wait, run or ended in the last seven days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tasks {
    /// The oldest first.
    scheduled_tasks: Vec<Task>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/scheduled_tasks", handle)
        .access(Access::Admin(Scope::ServerRead))
        .id("listScheduledTasks")
        .summary("Lists tasks, the oldest first")
        .query([
            Param::texts("action_name", "only this kind of task; repeatable"),
            Param::text("resource_id", "only tasks on this subject"),
            Param::choice("status", STATUSES, "only tasks in this status"),
            Param::choice("job_status", STATUSES, "the former name of `status`"),
            Param::integer(
                "max_timestamp",
                "only tasks whose status last changed at or before this time, in milliseconds",
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
        status: match job.state {
            JobState::Paused => JobState::Scheduled,
            JobState::Scheduled
            | JobState::Active
            | JobState::Complete
            | JobState::Failed
            | JobState::Cancelled => job.state,
        }
        .to_string(),
        timestamp_ms: job.updated_ts.get(),
        resource_id: Some(job.subject).filter(|subject| !subject.is_empty()),
    })
}

async fn handle(call: Call) -> Answer {
    let mut actions = call.query.all_ascii("action_name")?;
    actions.retain(|action| !action.is_empty());
    let status = match call.query.choice("status", STATUSES)? {
        Some(status) => Some(status),
        None => call.query.choice("job_status", STATUSES)?,
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
            let (mut found, mut before) = (Vec::new(), SortKey::at(Millis::MAX));
            while found.len() < MAX {
                let batch = jobs::list(tx, &filter, &before, BATCH)?;
                let Some(last) = batch.last() else { break };
                before = last.sort_key();
                found.extend(batch.into_iter().filter(|job| {
                    (actions.is_empty() || actions.contains(&job.kind))
                        && max_timestamp.is_none_or(|most| job.updated_ts <= most)
                }));
            }
            found.truncate(MAX);
            found.reverse();
            Ok(found)
        })
        .await?;
    let scheduled_tasks = jobs.into_iter().map(task).collect::<Result<_, _>>()?;
    reply::ok(&Tasks { scheduled_tasks })
}
