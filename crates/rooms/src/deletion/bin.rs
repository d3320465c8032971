//! The way of a room into the bin: when everybody has left it, its row moves there (`store::room_bin`), where nothing finds it
//! but the deeds of its purge and of bringing it back.

use reeve_db::{DbError, Tx};
use reeve_model::{ActorKind, Ctx, Millis, Pos};
use reeve_store::room_bin::{self, Effects};
use reeve_store::rooms::Room;
use reeve_store::{Binned, rooms};
use serde::{Deserialize, Serialize};

/// The number of reports that one step moves.
pub(super) const STEP_REPORTS: i64 = 200;

/// The stay of a room in the bin after its deletion, as the job of the deletion keeps it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Stay {
    deleted_ts: Millis,
    deleted_by_kind: ActorKind,
    deleted_by: String,
    /// The time for which the room waits, in milliseconds.
    bin_ms: i64,
    was_published: bool,
    blocked_ts: Option<Millis>,
    /// `None` in jobs from before it was stored: the position at which the job was ordered.
    #[serde(default)]
    from_pos: Option<Pos>,
}

impl Stay {
    /// Returns the stay of a room that the actor of a context deletes now, with the effects that end with it.
    pub(super) fn of(ctx: &Ctx, bin_ms: i64, effects: Effects) -> Self {
        let Binned { deleted_ts, deleted_by_kind, deleted_by, purge_ts: _ } = Binned::by(ctx, bin_ms);
        let Effects { was_published, blocked_ts, from_pos } = effects;
        Self {
            deleted_ts,
            deleted_by_kind,
            deleted_by,
            bin_ms,
            was_published,
            blocked_ts,
            from_pos: Some(from_pos),
        }
    }

    /// Returns the effects that end with the stay. `ordered_pos` is the position at which its job was ordered.
    pub(super) fn effects(&self, ordered_pos: Pos) -> Effects {
        Effects {
            was_published: self.was_published,
            blocked_ts: self.blocked_ts,
            from_pos: self.from_pos.unwrap_or(ordered_pos),
        }
    }
}

/// Returns the effects of a deletion together with those of an earlier one that still stand.
pub(super) fn together(earlier: Effects, later: Effects) -> Effects {
    Effects {
        was_published: earlier.was_published || later.was_published,
        blocked_ts: later.blocked_ts.or(earlier.blocked_ts),
        from_pos: earlier.from_pos.min(later.from_pos),
    }
}

/// Puts a part of an emptied room into the bin: some of the reports of its events, and at last the room itself. Returns true
/// when it is there.
pub(super) fn put_some(
    tx: &mut Tx<'_>,
    room: &Room,
    stay: &Stay,
    ordered_pos: Pos,
    now: Millis,
) -> Result<bool, DbError> {
    if room_bin::put_some_reports(tx, room.num, STEP_REPORTS)? > 0 {
        return Ok(false);
    }
    let binned = Binned {
        deleted_ts: stay.deleted_ts,
        deleted_by_kind: stay.deleted_by_kind,
        deleted_by: stay.deleted_by.clone(),
        purge_ts: now.plus(stay.bin_ms),
    };
    room_bin::put(tx, room, stay.effects(ordered_pos), &binned)?;
    Ok(true)
}

/// Ends the block of a room that a deletion set, if it still stands.
pub(super) fn unblock(tx: &mut Tx<'_>, room_id: &str, effects: Effects) -> Result<bool, DbError> {
    match effects.blocked_ts {
        Some(blocked_ts) => rooms::unblock_since(tx, room_id, blocked_ts),
        None => Ok(false),
    }
}
