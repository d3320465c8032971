//! Orders a run of a rule.

use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::{Millis, RetentionRule, Scope};
use reeve_retention::{Cutoff, Order, order};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::read::refuse_unknown;

body! {
    /// The extent of a run. Without a time, that of the settings.
    pub(crate) struct RunRetention {
        /// The age at which things are deleted, in milliseconds; a day at least. Not together with `before_ts`.
        #[schema(example = 7_776_000_000_i64)]
        older_than_ms?: i64,
        /// The time before which things are deleted, in milliseconds; a day ago at least.
        before_ts?: i64,
        /// True to count only.
        dry_run?: bool,
        ..unknown
    }
}

/// The queued run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderedRetention {
    /// The id of its job, whose `result` has the numbers of things that were `deleted`, or would be, and `kept`.
    job_id: String,
}

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/retention/{rule}", handle)
        .access(Access::Admin(Scope::ServerWrite))
        .id("runRetention")
        .summary("Deletes old data by a rule, or counts it")
        .description(
            "The caller also needs the scope for what the rule deletes: `users:write` for `devices` and `ip_addresses`, \
             `media:write` for `media` and `preview_media`, `rooms:write` for `messages`, `users:deactivate` for `guests` and \
             `unused_accounts`, `audit:read` for `audit`. Devices of accounts above the caller are kept. A rule has one run at a \
             time. A dry run changes nothing; its job counts what a run would delete. For `messages`, no time can be given; for \
             `audit`, none that deletes more than the settings say, except in a dry run.",
        )
        .may_take::<RunRetention>()
        .returns::<OrderedRetention>(200)
        .errors(&[
            (400, "M_MISSING_PARAM", "neither the settings nor the body give a time"),
            (400, "M_INVALID_PARAM", "a key or a time is not valid"),
            (
                403,
                "M_FORBIDDEN",
                "the caller lacks the scope for what the rule deletes, or the settings keep entries of the audit log",
            ),
            (404, "M_NOT_FOUND", "there is no such rule"),
            (409, "M_UNKNOWN", "a run of the rule is not over, or the settings do not let messages be deleted"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<RunRetention>().await?;
    refuse_unknown(&body.unknown)?;
    let rule: RetentionRule =
        call.param("rule").parse().map_err(|_| MatrixError::not_found("There is no such rule"))?;
    let cutoff = match (body.older_than_ms.read()?, body.before_ts.read()?) {
        (None, None) => None,
        (Some(age), None) => Some(Cutoff::Age(age)),
        (None, Some(ts)) => Some(Cutoff::Time(Millis::new(ts))),
        (Some(_), Some(_)) => {
            return Err(MatrixError::invalid_param(
                "Only one of 'older_than_ms' and 'before_ts' can be given",
            ));
        }
    };
    let wanted = Order { rule, cutoff, dry_run: body.dry_run.read()?.unwrap_or(false) };
    let (ctx, settings) = (call.admin_ctx()?, call.app.retention.clone());
    let job_id = call.write(move |tx| order(tx, &ctx, &settings, wanted)).await?;
    reply::ok(&OrderedRetention { job_id })
}
