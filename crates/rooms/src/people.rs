//! Changes of rooms after a change of an account: a new name or avatar is copied into its rooms, and a deactivated
//! account leaves them. Both are durable jobs, since there may be thousands of rooms.

use std::sync::Arc;

use reeve_accounts::deactivate::{self, Outcome, Payload, Progress};
use reeve_accounts::propagation::{self, SpreadOutcome, SpreadPayload};
use reeve_db::Tx;
use reeve_jobs::{Kind, Step, StepError, Work};
use reeve_media::{Library, bin};
use reeve_model::{Membership, Millis, RoomNum, User};
use reeve_store::events;
use reeve_store::rooms;
use reeve_store::{account_data, filters, kept, memberships, users};
use serde_json::{Value, json};

use crate::Home;
use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, JoinedBy};
use crate::types;

/// The number of rooms that one step changes.
const STEP_ROOMS: i64 = 10;
/// The number of rows of account data that one step deletes.
const STEP_ROWS: i64 = 500;

/// Returns the job that deletes the rest of the data of a deactivated account.
pub fn clear_deactivated(home: &Arc<Home>, library: &Library) -> Kind {
    let (home, library) = (Arc::clone(home), library.clone());
    deactivate::JOB.with_step(move |tx, work| clear_step(tx, &home, &library, work))
}

/// Leaves a few rooms, as long as the account is still deactivated; then deletes a part of the account data; then, if the
/// account is erased, what administrators deleted of its uploads and can be brought back no more.
fn clear_step(
    tx: &mut Tx<'_>,
    home: &Home,
    library: &Library,
    work: Work<'_, Payload, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { payload, mut progress, done, now, .. } = work;
    let Some(user) = users::by_num(tx, payload.user_num)?.filter(|user| user.deactivated) else {
        return Ok(Step::Done { result: Outcome::Reactivated { reactivated: true }, done });
    };
    let mut left = Vec::new();
    for membership in [Membership::Invite, Membership::Knock, Membership::Join] {
        let missing = STEP_ROOMS - i64::try_from(left.len()).unwrap_or(STEP_ROOMS);
        left.extend(memberships::some_of_user_in(tx, &user.user_id, membership, progress.upto, missing)?);
    }
    left.sort_by_key(|member| member.room_num);
    let kept = kept::open(tx, user.num, now)?;
    // Only the lowest numbers among the three memberships, so that no room is skipped.
    for member in &left {
        let Some(mut room) = rooms::by_num(tx, member.room_num)? else { continue };
        let content = serde_json::Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
        let draft = Draft::state(types::MEMBER, &user.user_id, &user.user_id, content);
        match event::append(tx, home, &mut room, draft, now) {
            Ok(_) => {
                memberships::forget(tx, &user.user_id, room.num)?;
                if let Some(kept) = kept {
                    kept::keep_membership(tx, kept, &room.room_id, member.membership)?;
                }
                progress.cleared.rooms_left += 1;
            }
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::warn!(user_id = user.user_id, room_id = room.room_id, %refused, "could not leave a room");
                progress.cleared.rooms_failed.push(room.room_id.clone());
                progress.upto = progress.upto.max(room.num);
            }
        }
    }
    let done = done.saturating_add(i64::try_from(left.len()).unwrap_or(STEP_ROOMS));
    if !left.is_empty() {
        return Ok(Step::More { progress, done });
    }
    if let Some(kept) = kept {
        kept::keep_some_data(tx, kept, user.num, STEP_ROWS)?;
    }
    let deleted = account_data::delete_some_of_user(tx, user.num, STEP_ROWS)?;
    let deleted = i64::try_from(deleted).unwrap_or(STEP_ROWS);
    progress.cleared.account_data += deleted;
    let done = done.saturating_add(deleted);
    if account_data::count_of_user(tx, user.num)? > 0 {
        return Ok(Step::More { progress, done });
    }
    if user.erased && bin::delete_some_of_user(tx, library, user.num, now)? > 0 {
        return Ok(Step::More { progress, done });
    }
    filters::delete_of_user(tx, user.num)?;
    Ok(Step::Done { result: Outcome::Cleared(progress.cleared), done })
}

/// Returns the job that copies a new name or avatar into all rooms of an account.
pub fn spread_profile(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    propagation::SPREAD_JOB.with_step(move |tx, work| spread_step(tx, &home, work))
}

fn spread_step(
    tx: &mut Tx<'_>,
    home: &Home,
    work: Work<'_, SpreadPayload, RoomNum>,
) -> Result<Step<RoomNum, SpreadOutcome>, StepError> {
    let Work { payload, progress: mut upto, done, now, .. } = work;
    let user = users::by_num(tx, payload.user_num)?.filter(|user| !user.deactivated);
    let Some(user) = user else { return Ok(Step::Done { result: SpreadOutcome {}, done }) };
    let rooms = memberships::some_of_user_in(tx, &user.user_id, Membership::Join, upto, STEP_ROOMS)?;
    for member in &rooms {
        upto = member.room_num;
        match spread_to(tx, home, &user, member.room_num, now) {
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::warn!(user_id = user.user_id, %refused, "a profile did not reach a room");
            }
            Ok(()) => {}
        }
    }
    let count = i64::try_from(rooms.len()).unwrap_or(STEP_ROOMS);
    let done = done.saturating_add(count);
    if count < STEP_ROOMS {
        return Ok(Step::Done { result: SpreadOutcome {}, done });
    }
    Ok(Step::More { progress: upto, done })
}

/// Updates the membership event of an account in one room, if its name or avatar differs from the profile.
fn spread_to(tx: &mut Tx<'_>, home: &Home, user: &User, room_num: RoomNum, now: Millis) -> Result<(), Error> {
    let Some(mut room) = rooms::by_num(tx, room_num)? else { return Ok(()) };
    let Some(old) = events::state(tx, room.num, types::MEMBER, &user.user_id)? else { return Ok(()) };
    let old = event::content(&old, &event::rules(&room)?)?;
    let there = |key: &str| old.get(key).and_then(Value::as_str);
    let same = there("displayname") == user.displayname.as_deref()
        && there("avatar_url") == user.avatar_url.as_deref();
    if same { Ok(()) } else { membership::join_as(tx, home, &mut room, &user.user_id, JoinedBy::Rules, now) }
}
