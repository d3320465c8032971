//! What changes in rooms when an account changes: a new name or avatar reaches all its rooms, a deactivated account
//! leaves them. Both are durable jobs, since there may be thousands of rooms.

use std::sync::Arc;

use reeve_accounts::{deactivate, profile};
use reeve_db::Tx;
use reeve_jobs::{Job, Kind, Step, StepError};
use reeve_model::{Membership, Millis, RoomNum, User, UserNum};
use reeve_store::events;
use reeve_store::rooms;
use reeve_store::{account_data, memberships, transactions, users};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::event::{self, Draft};
use crate::types;
use crate::{Home, membership};

/// How many rooms one step changes.
const STEP_ROOMS: i64 = 10;
/// How many rows of account data one step deletes.
const STEP_ROWS: i64 = 500;

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => Self::Db(error),
            other => Self::Hopeless(other.to_string()),
        }
    }
}

fn payload<T: for<'a> Deserialize<'a>>(job: &Job) -> Result<T, StepError> {
    serde_json::from_str(&job.payload)
        .map_err(|error| StepError::Hopeless(format!("the payload cannot be read: {error}")))
}

/// The job that clears what a deactivated account leaves behind.
pub fn retire(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    Kind { name: deactivate::JOB, step: Arc::new(move |tx, job, now| retire_step(tx, &home, job, now)) }
}

#[derive(Deserialize, Serialize)]
struct Retiring {
    user_num: UserNum,
    erase: bool,
    /// Rooms up to this number are done, those where it failed too.
    #[serde(default)]
    upto: RoomNum,
    #[serde(default)]
    rooms_left: i64,
    #[serde(default)]
    account_data: i64,
    #[serde(default)]
    failed: Vec<String>,
}

/// Leaves a few rooms, as long as the account is still deactivated; then deletes a part of the account data.
fn retire_step(tx: &mut Tx<'_>, home: &Home, job: &Job, now: Millis) -> Result<Step, StepError> {
    let mut progress: Retiring = payload(job)?;
    let Some(user) = users::by_num(tx, progress.user_num)?.filter(|user| user.deactivated) else {
        return Ok(Step::Done { result: json!({ "reactivated": true }).to_string(), done: job.done });
    };
    let mut left = Vec::new();
    for standing in [Membership::Invite, Membership::Knock, Membership::Join] {
        let missing = STEP_ROOMS - i64::try_from(left.len()).unwrap_or(STEP_ROOMS);
        left.extend(memberships::some_of_user_in(tx, &user.user_id, standing, progress.upto, missing)?);
    }
    left.sort_by_key(|member| member.room_num);
    // Of the three kinds the lowest numbers only, so that none is passed by.
    for member in &left {
        let Some(mut room) = rooms::by_num(tx, member.room_num)? else { continue };
        let content = serde_json::Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
        let draft = Draft::state(types::MEMBER, &user.user_id, &user.user_id, content);
        match event::append(tx, home, &mut room, draft, now) {
            Ok(_) => {
                memberships::forget(tx, &user.user_id, room.num)?;
                progress.rooms_left += 1;
            }
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::warn!(user_id = user.user_id, room_id = room.room_id, %refused, "could not leave a room");
                progress.failed.push(room.room_id.clone());
                progress.upto = progress.upto.max(room.num);
            }
        }
    }
    let done = job.done.saturating_add(i64::try_from(left.len()).unwrap_or(STEP_ROOMS));
    let more = |progress: &Retiring, done: i64| {
        let payload =
            serde_json::to_string(progress).map_err(|error| StepError::Hopeless(error.to_string()))?;
        Ok(Step::More { payload, done, total: job.total.max(done) })
    };
    if !left.is_empty() {
        return more(&progress, done);
    }
    let deleted = account_data::delete_some_of_user(tx, user.num, STEP_ROWS)?;
    let deleted = i64::try_from(deleted).unwrap_or(STEP_ROWS);
    progress.account_data += deleted;
    let done = done.saturating_add(deleted);
    if account_data::count_of_user(tx, user.num)? > 0 {
        return more(&progress, done);
    }
    transactions::delete_filters(tx, user.num)?;
    let result = json!({
        "rooms_left": progress.rooms_left,
        "rooms_failed": progress.failed,
        "account_data": progress.account_data,
    });
    Ok(Step::Done { result: result.to_string(), done })
}

/// The job that brings a new name or avatar to all rooms of an account.
pub fn spread_profile(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    Kind { name: profile::SPREAD_JOB, step: Arc::new(move |tx, job, now| spread_step(tx, &home, job, now)) }
}

#[derive(Deserialize, Serialize)]
struct Spreading {
    user_num: UserNum,
    #[serde(default)]
    upto: RoomNum,
}

fn spread_step(tx: &mut Tx<'_>, home: &Home, job: &Job, now: Millis) -> Result<Step, StepError> {
    let mut progress: Spreading = payload(job)?;
    let finished = |done| Ok(Step::Done { result: "{}".to_owned(), done });
    let Some(user) = users::by_num(tx, progress.user_num)? else { return finished(job.done) };
    if user.deactivated {
        return finished(job.done);
    }
    let rooms = memberships::some_of_user_in(tx, &user.user_id, Membership::Join, progress.upto, STEP_ROOMS)?;
    for member in &rooms {
        progress.upto = member.room_num;
        match spread_to(tx, home, &user, member.room_num, now) {
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::warn!(user_id = user.user_id, %refused, "a profile did not reach a room");
            }
            Ok(()) => {}
        }
    }
    let count = i64::try_from(rooms.len()).unwrap_or(STEP_ROOMS);
    let done = job.done.saturating_add(count);
    if count < STEP_ROOMS {
        return finished(done);
    }
    let payload = serde_json::to_string(&progress).map_err(|error| StepError::Hopeless(error.to_string()))?;
    Ok(Step::More { payload, done, total: job.total.max(done) })
}

/// Renews the membership event of an account in one room, if its name or avatar there is not that of the profile.
fn spread_to(tx: &mut Tx<'_>, home: &Home, user: &User, room_num: RoomNum, now: Millis) -> Result<(), Error> {
    let Some(mut room) = rooms::by_num(tx, room_num)? else { return Ok(()) };
    let Some(old) = events::state(tx, room.num, types::MEMBER, &user.user_id)? else { return Ok(()) };
    let old = event::content(&old, &event::rules(&room)?)?;
    let there = |key: &str| old.get(key).and_then(Value::as_str);
    let same = there("displayname") == user.displayname.as_deref()
        && there("avatar_url") == user.avatar_url.as_deref();
    if same { Ok(()) } else { membership::join_as(tx, home, &mut room, &user.user_id, now) }
}
