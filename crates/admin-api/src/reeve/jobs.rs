//! Jobs: durable work, its state and its result.

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{JobState, Scope};
use reeve_store::jobs::{self, Filter, Job};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A page of the list of jobs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    jobs: Vec<JobView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    id: String,
    /// The kind of job, such as `deactivate_user`.
    kind: String,
    /// The subject, usually a user id.
    subject: String,
    /// `scheduled`, `active`, `paused`, `complete`, `failed` or `cancelled`.
    state: String,
    /// The number of completed units of work.
    done: i64,
    /// The total number of units of work, as far as known.
    total: i64,
    /// The result; null until the job is complete.
    #[schema(required, value_type = Option<Object>)]
    result: Option<Value>,
    /// The last error; null if there was none.
    #[schema(required)]
    error: Option<String>,
    /// The number of failures of the current step in a row.
    attempts: i64,
    /// The earliest time of the next run, in milliseconds.
    run_after_ts: i64,
    /// When it was queued, in milliseconds.
    created_ts: i64,
    /// When it last changed, in milliseconds.
    updated_ts: i64,
}

pub(crate) fn list() -> Route {
    Route::read("/_reeve/admin/v1/jobs", read_all)
        .access(Access::Admin(Scope::ServerRead))
        .id("listJobs")
        .summary("Lists jobs, the newest first")
        .description("Finished jobs are kept for seven days.")
        .query(
            [
                Param::text("kind", "only jobs of this kind, such as `deactivate_user`"),
                Param::choice(
                    "state",
                    JobState::WORDS,
                    "only jobs in this state: `scheduled`, `active`, `paused`, `complete`, `failed` or `cancelled`",
                ),
                Param::text("subject", "only jobs on this subject, usually a user id"),
            ]
            .into_iter()
            .chain(super::page("jobs")),
        )
        .returns::<JobList>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "a number is malformed, there is no such state, or `from` is not a `next_token` of this list",
        )])
}

pub(crate) fn get() -> Route {
    Route::read("/_reeve/admin/v1/jobs/{id}", read_one)
        .access(Access::Admin(Scope::ServerRead))
        .id("getJob")
        .summary("Returns one job")
        .returns::<JobView>(200)
        .errors(&[(404, "M_NOT_FOUND", "there is no such job, or it finished long ago")])
}

fn read_all(call: &Reading<'_>) -> Answer {
    let text = |name| call.query.utf8(name).map(Option::unwrap_or_default);
    let filter = Filter {
        kind: text("kind")?,
        state: call.query.choice("state", JobState::WORDS)?,
        subject: text("subject")?,
    };
    let limit = super::limit(call)?;
    let mut jobs = jobs::list(call.tx, &filter, &super::from(call)?, limit + 1)?;
    let next_token = super::cut(&mut jobs, limit).map(|last| last.sort_key().to_string());
    let jobs = jobs.into_iter().map(view).collect::<Result<_, _>>()?;
    reply::ok(&JobList { jobs, next_token })
}

fn read_one(call: &Reading<'_>) -> Answer {
    let job = jobs::find(call.tx, call.params.get("id"))?;
    reply::ok(&view(job.ok_or_else(|| MatrixError::not_found("Job not found"))?)?)
}

fn view(job: Job) -> Result<JobView, MatrixError> {
    let result = job.result.map(|result| serde_json::from_str(&result)).transpose();
    Ok(JobView {
        result: result.map_err(MatrixError::internal)?,
        id: job.id,
        kind: job.kind,
        subject: job.subject,
        state: job.state.to_string(),
        done: job.units.done,
        total: job.units.total,
        error: job.error,
        attempts: job.attempts,
        run_after_ts: job.run_after_ts.get(),
        created_ts: job.created_ts.get(),
        updated_ts: job.updated_ts.get(),
    })
}
