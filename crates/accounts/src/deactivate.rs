//! Retiring accounts.
//!
//! What lets an account act ends at once, in one transaction. What it leaves behind, of which there may be very
//! much, is cleared by a durable job in short steps.

use reeve_db::Tx;
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::{Ctx, User};
use reeve_store::{access_tokens, account_data, profile_fields, pushers, threepids, users, validity};
use serde_json::{Value, json};

use crate::error::Error;
use crate::{audit, sessions};

/// The job that clears what a deactivated account leaves behind.
pub const JOB: Kind = Kind { name: "deactivate_user", step };

/// How many rows one step deletes.
const STEP_ROWS: i64 = 500;

/// Deactivates an account, and erases it if `erase` says so: no session, password or address stays, nobody acts
/// as it any more. Doing it again does no harm; erasing can be added later. Answers the id of the job that
/// clears the rest. The flags set by administrators, external ids, media and the history of connections stay.
pub fn deactivate(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, erase: bool) -> Result<String, Error> {
    threepids::delete_of_user(tx, user.num)?;
    sessions::end_all(tx, user.num, None, None)?;
    access_tokens::delete_acting_as(tx, user.num)?;
    pushers::delete_of_user(tx, user.num)?;
    users::set_password_hash(tx, user.num, None)?;
    validity::delete(tx, &user.user_id)?;
    let mut after = User { deactivated: true, ..user.clone() };
    if erase {
        after = User { erased: true, displayname: None, avatar_url: None, ..after };
        profile_fields::delete_of_user(tx, user.num)?;
    }
    users::update(tx, user, &after)?;
    let total = account_data::count_of_user(tx, user.num)?;
    let payload = json!({ "user_num": user.num, "erase": erase }).to_string();
    let job = reeve_jobs::enqueue_once(tx, JOB.name, &user.user_id, &payload, total, ctx.now)?;
    if !user.deactivated || (erase && !user.erased) {
        audit::record(tx, ctx, "user.deactivate", &user.user_id, &json!({ "erase": erase, "job": job }))?;
    }
    Ok(job)
}

/// Makes a deactivated account usable again. What deactivation took stays gone, except that its messages are
/// visible again.
pub fn reactivate(tx: &mut Tx<'_>, ctx: &Ctx, user: &User) -> Result<User, Error> {
    let after = User { deactivated: false, erased: false, ..user.clone() };
    crate::users::store(tx, ctx, "user.reactivate", user, &after)?;
    Ok(after)
}

/// Deletes a part of the account data, as long as the account is still deactivated.
fn step(tx: &mut Tx<'_>, job: &Job, _now: i64) -> Result<Step, StepError> {
    let payload: Value = serde_json::from_str(&job.payload)
        .map_err(|error| StepError::Hopeless(format!("the payload is not JSON: {error}")))?;
    let Some(num) = payload.get("user_num").and_then(Value::as_i64) else {
        return Err(StepError::Hopeless("the payload names no account".to_owned()));
    };
    if !users::by_num(tx, num)?.is_some_and(|user| user.deactivated) {
        return Ok(Step::Done { result: json!({ "reactivated": true }).to_string(), done: job.done });
    }
    let deleted = account_data::delete_some_of_user(tx, num, STEP_ROWS)?;
    let done = job.done.saturating_add(i64::try_from(deleted).unwrap_or(STEP_ROWS));
    if account_data::count_of_user(tx, num)? == 0 {
        return Ok(Step::Done { result: json!({ "account_data": done }).to_string(), done });
    }
    Ok(Step::More { payload: job.payload.clone(), done, total: job.total.max(done) })
}
