//! Deletion of rooms: all members are made to leave, and then, if it is to be purged, the room goes into the bin, or
//! everything stored of it is deleted at once. A durable job, since there may be many members and millions of events.

mod bin;
pub mod purge;
pub mod restore;

use std::sync::Arc;

use reeve_db::Tx;
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Actor, Ctx, JobState, Membership, Millis, Pos, RoomNum, User};
use reeve_store::departures::{self, Departure};
use reeve_store::room_bin::{self, Effects};
use reeve_store::rooms::{self, Room};
use reeve_store::{memberships, users};
use ruma::UserId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::bin::Stay;
use crate::Home;
use crate::create::{self, NewRoom, Preset};
use crate::error::Error;
use crate::event::{self, Draft};
use crate::membership::{self, JoinedBy};
use crate::types;

/// The job that makes all members leave, and deletes.
pub const JOB: JobKind<Payload, Progress, Outcome> = JobKind::new("shutdown_and_purge_room");
/// The number of members that one step removes.
const STEP_MEMBERS: i64 = 10;

/// The room that replaces a deleted one.
#[derive(Clone, Debug)]
pub struct Substitute {
    /// The user id of its creator, who alone may send messages in it.
    pub user_id: String,
    /// Its name.
    pub name: String,
    /// The message of its creator in it.
    pub message: String,
}

/// The room to delete, and options.
#[derive(Clone, Debug)]
pub struct Order {
    /// The room.
    pub room_id: String,
    /// True if nobody may join it any more.
    pub block: bool,
    /// True if everything stored of it is deleted, too.
    pub purge: bool,
    /// True if it is purged even if a member could not be removed, and at once.
    pub force_purge: bool,
    /// True if it waits in the bin before it is purged, where there is one.
    pub bin: bool,
    /// The room that its members join instead.
    pub substitute: Option<Substitute>,
}

/// The outcome of a deletion.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The users who were made to leave.
    pub kicked_users: Vec<String>,
    /// The users who could not be made to leave.
    pub failed_to_kick_users: Vec<String>,
    /// The aliases that were moved to the new room.
    pub local_aliases: Vec<String>,
    /// The new room.
    pub new_room_id: Option<String>,
}

/// The payload of the job: the part of an order that takes time.
#[derive(Debug, Deserialize, Serialize)]
pub struct Payload {
    room_num: RoomNum,
    purge: bool,
    force_purge: bool,
    /// The end of the room's history at the time of the order. Forced leaves after it are those of this job.
    from_pos: Pos,
    new_room_id: Option<String>,
    local_aliases: Vec<String>,
    /// The stay in the bin before the room is purged; `None` if it is purged at once.
    #[serde(default)]
    stay: Option<Stay>,
}

/// The progress of the job.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Progress {
    /// The users who could not be made to leave.
    failed: Vec<String>,
    /// True if the room itself is deleted, and its dependent rows are being deleted.
    purging: bool,
    /// True if the room is in the bin.
    #[serde(default)]
    binned: bool,
    /// True if none of its reports is in the bin without it any more.
    #[serde(default)]
    has_reports: bool,
}

/// Orders a deletion and returns the id of the job. Effects that need no time come at once: the room is blocked and
/// removed from the public directory, and the new room is created and gets the aliases.
pub fn order(tx: &mut Tx<'_>, home: &Home, ctx: &Ctx, order: &Order) -> Result<String, Error> {
    let room_id = order.room_id.as_str();
    if JOB.is_unfinished(tx, room_id)? {
        return Err(Error::Refused(format!("Purge already in progress for {room_id}")));
    }
    let creator = match &order.substitute {
        Some(new) if UserId::parse(&new.user_id).is_err() => {
            return Err(Error::Refused(format!("User must be our own: {}", new.user_id)));
        }
        // The new room is created in this name even if no account has it.
        Some(new) => {
            reeve_accounts::rights::check_may_change_any(tx, ctx, &new.user_id)?;
            Some(
                users::find(tx, &new.user_id)?
                    .unwrap_or_else(|| User { user_id: new.user_id.clone(), ..User::default() }),
            )
        }
        None => None,
    };
    let blocks = order.block && rooms::blocked_by(tx, room_id)?.is_none();
    if blocks {
        rooms::block(tx, room_id, ctx.actor.as_ref().map(Actor::id).unwrap_or_default(), ctx.now)?;
    }
    let mut payload = Payload {
        room_num: RoomNum::ZERO,
        purge: order.purge,
        force_purge: order.force_purge,
        from_pos: Pos::END,
        new_room_id: None,
        local_aliases: Vec::new(),
        stay: None,
    };
    let mut total = 0;
    if let Some(before) = rooms::find(tx, room_id)? {
        let mut effects = Effects {
            was_published: before.published,
            blocked_ts: blocks.then_some(ctx.now),
            from_pos: before.last_pos,
        };
        if let Some(earlier) = standing(tx, room_id, ctx.now)? {
            effects = bin::together(earlier, effects);
        }
        let bin_ms = home.settings.bin_ms;
        let waits = order.purge && order.bin && !order.force_purge && bin_ms > 0;
        payload.stay = waits.then(|| Stay::of(ctx, bin_ms, effects));
        let room = Room { published: false, ..before.clone() };
        rooms::update(tx, &before, &room)?;
        if let (Some(new), Some(creator)) = (&order.substitute, creator) {
            let substitute = make_substitute(tx, home, ctx, &creator, new)?;
            payload.local_aliases = rooms::aliases(tx, room.num)?;
            rooms::move_aliases(tx, room.num, substitute.num)?;
            payload.new_room_id = Some(substitute.room_id);
        }
        payload.room_num = room.num;
        payload.from_pos = room.last_pos;
        let purged = if order.purge && !waits { room.depth } else { 0 };
        total = room.joined_members + room.invited_members + purged;
    }
    let changes = json!({
        "block": order.block,
        "purge": order.purge,
        "force_purge": order.force_purge,
        "bin": payload.stay.is_some(),
        "new_room_id": payload.new_room_id,
    });
    let job = JOB.enqueue(tx, room_id, &payload, total, ctx.now)?;
    reeve_accounts::audit::record(tx, ctx, "room.delete", room_id, &changes)?;
    Ok(job)
}

/// Returns the effects of an earlier deletion of a room that still stand: of one that failed on the way into the bin, or of one
/// whose members are still being brought back, which ends here. They end with those of the present deletion.
fn standing(tx: &mut Tx<'_>, room_id: &str, now: Millis) -> Result<Option<Effects>, Error> {
    if let Some(from_pos) = restore::cancel(tx, room_id, now)? {
        return Ok(Some(Effects { was_published: false, blocked_ts: None, from_pos }));
    }
    let failed = JOB.newest(tx, room_id)?.filter(|job| job.state == JobState::Failed);
    let Some(job) = failed else { return Ok(None) };
    if JOB.progress(&job)?.binned {
        // The room was in the bin by then, and was brought back.
        return Ok(None);
    }
    let Payload { stay, from_pos, .. } = JOB.payload(&job)?;
    Ok(stay.map(|stay| stay.effects(from_pos)))
}

/// Creates the room for the members of the deleted one, in which nobody can reply.
fn make_substitute(
    tx: &mut Tx<'_>,
    home: &Home,
    ctx: &Ctx,
    creator: &User,
    new: &Substitute,
) -> Result<Room, Error> {
    let wanted = NewRoom {
        preset: Some(Preset::PublicChat),
        name: Some(new.name.clone()),
        power_levels: Map::from_iter([
            ("users_default".to_owned(), json!(-10)),
            ("invite".to_owned(), json!(50)),
        ]),
        ..NewRoom::default()
    };
    // The administrator acts, whatever the restrictions of the account.
    let creator = User { suspended: false, shadow_banned: false, ..creator.clone() };
    let mut room = create::create(tx, home, ctx, &creator, &wanted)?;
    let content = Map::from_iter([
        ("msgtype".to_owned(), json!("m.text")),
        ("body".to_owned(), Value::String(new.message.clone())),
    ]);
    let draft = Draft::message(types::MESSAGE, &creator.user_id, content);
    event::append(tx, home, &mut room, draft, ctx.now)?;
    Ok(room)
}

/// Returns the job.
pub fn job(home: &Arc<Home>) -> Kind {
    let home = Arc::clone(home);
    JOB.with_step(move |tx, work| step(tx, &home, work))
}

fn step(
    tx: &mut Tx<'_>,
    home: &Home,
    work: Work<'_, Payload, Progress>,
) -> Result<Step<Progress, Outcome>, StepError> {
    let Work { subject: room_id, payload, mut progress, done, now } = work;
    if !progress.has_reports {
        // An earlier deletion that failed has moved some, or the restoration that this one ended has not moved all back.
        if room_bin::put_back_some_reports(tx, payload.room_num, bin::STEP_REPORTS)? > 0 {
            return Ok(Step::More { progress, done });
        }
        progress.has_reports = true;
    }
    let did = if progress.purging {
        purge::delete_some(tx, payload.room_num, room_id)?
    } else if progress.binned {
        0
    } else {
        match rooms::by_num(tx, payload.room_num)? {
            Some(mut room) => match remove_some(tx, home, payload, &mut progress, &mut room, now)? {
                0 if payload.purge => {
                    check_empty(payload, &progress)?;
                    if let Some(stay) = &payload.stay {
                        progress.binned = bin::put_some(tx, &room, stay, payload.from_pos, now)?;
                    } else {
                        begin_purge(tx, &room)?;
                        progress.purging = true;
                    }
                    1
                }
                removed => removed,
            },
            None => 0,
        }
    };
    if did == 0 {
        let result = Outcome {
            kicked_users: departures::of_room(tx, room_id, payload.from_pos)?,
            failed_to_kick_users: progress.failed,
            local_aliases: payload.local_aliases.clone(),
            new_room_id: payload.new_room_id.clone(),
        };
        return Ok(Step::Done { result, done });
    }
    Ok(Step::More { progress, done: done.saturating_add(did) })
}

/// Makes a few members leave, including invited and knocking users; returns the number of attempts.
fn remove_some(
    tx: &mut Tx<'_>,
    home: &Home,
    payload: &Payload,
    progress: &mut Progress,
    room: &mut Room,
    now: Millis,
) -> Result<i64, StepError> {
    let failed = i64::try_from(progress.failed.len()).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for membership in [Membership::Join, Membership::Invite, Membership::Knock] {
        let most = STEP_MEMBERS.saturating_add(failed);
        let members = memberships::of_room_in(tx, room.num, membership, most)?;
        found.extend(members.into_iter().map(|member| (member, membership == Membership::Join)));
    }
    found.retain(|(member, _)| !progress.failed.contains(member));
    found.truncate(usize::try_from(STEP_MEMBERS).unwrap_or(1));
    for (member, joined) in &found {
        let substitute = payload.new_room_id.as_deref().filter(|_| *joined);
        match remove(tx, home, room, member, substitute, now) {
            Ok(()) => {}
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => {
                tracing::warn!(user_id = member, room_id = room.room_id, %refused, "could not be made to leave");
                progress.failed.push(member.clone());
            }
        }
    }
    Ok(i64::try_from(found.len()).unwrap_or(STEP_MEMBERS))
}

/// Makes a member leave, and lets the member join the room that replaces it, if there is one.
fn remove(
    tx: &mut Tx<'_>,
    home: &Home,
    room: &mut Room,
    user_id: &str,
    substitute: Option<&str>,
    now: Millis,
) -> Result<(), Error> {
    let content = Map::from_iter([("membership".to_owned(), json!(Membership::Leave))]);
    let left = event::append(tx, home, room, Draft::state(types::MEMBER, user_id, user_id, content), now)?;
    memberships::forget(tx, user_id, room.num)?;
    let shown = json!({
        "type": types::MEMBER, "state_key": user_id, "sender": user_id, "content": { "membership": Membership::Leave },
        "event_id": left.event_id, "origin_server_ts": left.ts,
    });
    let (room_id, event) = (room.room_id.clone(), Some(shown.to_string()));
    departures::put(tx, user_id, &Departure { room_id, pos: left.pos, event })?;
    if let Some(new_room_id) = substitute
        && let Some(mut new) = rooms::find(tx, new_room_id)?
        && membership::current(tx, user_id, &new)? != Membership::Join
    {
        match membership::join_as(tx, home, &mut new, user_id, JoinedBy::Rules, now) {
            Err(Error::Db(error)) => return Err(error.into()),
            Err(refused) => tracing::warn!(user_id, %refused, "could not be brought into the new room"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Refuses to purge a room whose members could not be removed, unless that is forced.
fn check_empty(payload: &Payload, progress: &Progress) -> Result<(), StepError> {
    if progress.failed.is_empty() || payload.force_purge {
        return Ok(());
    }
    let names = progress.failed.join(", ");
    Err(StepError::Hopeless(format!("Not purged, since these could not be removed: {names}")))
}

/// Deletes the room itself, so that nobody can join any more while dependent rows are deleted.
fn begin_purge(tx: &mut Tx<'_>, room: &Room) -> Result<(), StepError> {
    rooms::delete_aliases(tx, room.num)?;
    rooms::delete(tx, room)?;
    Ok(())
}
