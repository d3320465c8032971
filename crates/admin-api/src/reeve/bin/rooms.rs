//! Rooms in the bin: list, bring back, delete for good.

use reeve_app::{Access, Answer, Call, Param, Reading, Route, reply};
use reeve_model::Scope;
use reeve_rooms::deletion::{purge, restore};
use reeve_store::room_bin::{self, BinnedRoom};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit};
use super::{BAD_PAGE, BinJob, BinnedView};

const ALL: &str = "/_reeve/admin/v1/bin/rooms";
const ONE: &str = "/_reeve/admin/v1/bin/rooms/{room_id}";
const RESTORE: &str = "/_reeve/admin/v1/bin/rooms/{room_id}/restore";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such room in the bin");

/// A room in the bin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinnedRoomView {
    room_id: String,
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    canonical_alias: Option<String>,
    version: String,
    /// The user who created it.
    creator: String,
    /// When it was created, in milliseconds.
    created_ts: i64,
    /// The number of events in its history, including those that were purged.
    events: i64,
    #[serde(flatten)]
    binned: BinnedView,
}

impl From<BinnedRoom> for BinnedRoomView {
    fn from(BinnedRoom { room, effects: _, binned }: BinnedRoom) -> Self {
        Self {
            room_id: room.room_id,
            name: room.name,
            canonical_alias: room.canonical_alias,
            version: room.version,
            creator: room.creator,
            created_ts: room.created_ts.get(),
            events: room.depth,
            binned: binned.into(),
        }
    }
}

/// A page of the rooms in the bin, the last deleted first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinnedRoomList {
    rooms: Vec<BinnedRoomView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read(ALL, list)
            .access(Access::Admin(Scope::RoomsRead))
            .id("listBinnedRooms")
            .summary("Lists rooms that administrators deleted and that can be brought back, the last deleted first")
            .query([
                Param::integer("limit", "maximum number of rooms, from 1 to 1000; 100 by default"),
                Param::text("from", "the `next_token` of the page before"),
            ])
            .returns::<BinnedRoomList>(200)
            .errors(&[BAD_PAGE]),
        Route::delete(ALL, empty)
            .access(Access::Admin(Scope::RoomsWrite))
            .id("emptyRoomBin")
            .summary("Deletes all rooms in the bin for good")
            .description("The work is a durable job. What is deleted after the request waits in the bin as always.")
            .returns::<BinJob>(200),
        Route::post(RESTORE, bring_back)
            .access(Access::Admin(Scope::RoomsWrite))
            .id("restoreRoom")
            .summary("Brings a room back from the bin")
            .description(
                "The room is there at once, with its history, its state, its place in the public directory and the aliases \
                 that no other room took. A block that the deletion set ends. A durable job brings the reports of its events \
                 back and lets the members join again whom the deletion made to leave, whatever the join rules; its result \
                 says how many could not. Invites are not renewed.",
            )
            .returns::<BinJob>(200)
            .errors(&[MISSING]),
        Route::delete(ONE, delete)
            .access(Access::Admin(Scope::RoomsWrite))
            .id("purgeRoom")
            .summary("Deletes a room in the bin for good")
            .description("It cannot be brought back from then on; a durable job deletes what is stored of it.")
            .returns::<BinJob>(200)
            .errors(&[MISSING]),
    ]
}

fn list(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let mut rooms = room_bin::list(call.tx, &from(call)?, limit + 1)?;
    let next_token = cut(&mut rooms, limit).map(|last| last.sort_key().to_string());
    reply::ok(&BinnedRoomList { rooms: rooms.into_iter().map(BinnedRoomView::from).collect(), next_token })
}

async fn bring_back(call: Call) -> Answer {
    let (ctx, room_id) = (call.admin_ctx()?, call.param("room_id"));
    let job = call.write(move |tx| restore::order(tx, &ctx, &room_id)).await?;
    reply::ok(&BinJob { job })
}

async fn delete(call: Call) -> Answer {
    let (ctx, room_id) = (call.admin_ctx()?, call.param("room_id"));
    let job = call.write(move |tx| purge::order(tx, &ctx, &room_id)).await?;
    reply::ok(&BinJob { job })
}

async fn empty(call: Call) -> Answer {
    let ctx = call.admin_ctx()?;
    let job = call.write(move |tx| purge::empty(tx, &ctx)).await?;
    reply::ok(&BinJob { job })
}
