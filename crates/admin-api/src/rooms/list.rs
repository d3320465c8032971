//! Lists rooms: filtered, sorted, paged.

use reeve_app::query::Query;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_model::Scope;
use reeve_rooms::Room;
use reeve_store::Paging;
use reeve_store::lists::rooms::{self as room_list, Filter, OrderBy};
use serde::Serialize;
use utoipa::ToSchema;

use crate::paging;

/// The sort orders, each with true if the largest come first.
const ORDERS: &[(&str, (OrderBy, bool))] = &[
    ("alphabetical", (OrderBy::Name, false)),
    ("size", (OrderBy::JoinedMembers, true)),
    ("name", (OrderBy::Name, false)),
    ("canonical_alias", (OrderBy::CanonicalAlias, false)),
    ("joined_members", (OrderBy::JoinedMembers, true)),
    // All members of a room are of this server.
    ("joined_local_members", (OrderBy::JoinedMembers, true)),
    ("version", (OrderBy::Version, true)),
    ("creator", (OrderBy::Creator, false)),
    ("encryption", (OrderBy::Encryption, false)),
    ("federatable", (OrderBy::Federatable, false)),
    ("public", (OrderBy::Published, false)),
    ("join_rules", (OrderBy::JoinRule, false)),
    ("guest_access", (OrderBy::GuestAccess, false)),
    ("history_visibility", (OrderBy::HistoryVisibility, false)),
    ("state_events", (OrderBy::StateEvents, true)),
];

/// A room in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedRoom {
    room_id: String,
    #[schema(required)]
    name: Option<String>,
    /// Its canonical alias.
    #[schema(required)]
    canonical_alias: Option<String>,
    joined_members: i64,
    /// The number of joined members of this server.
    joined_local_members: i64,
    /// Its version, such as `11`.
    version: String,
    creator: String,
    /// Its encryption algorithm.
    #[schema(required)]
    encryption: Option<String>,
    /// True if users of other servers may join.
    federatable: bool,
    /// True if the public room directory lists it.
    public: bool,
    #[schema(required)]
    join_rules: Option<String>,
    #[schema(required)]
    guest_access: Option<String>,
    #[schema(required)]
    history_visibility: Option<String>,
    /// The number of its state events.
    state_events: i64,
    /// Its type, such as `m.space`.
    #[schema(required)]
    room_type: Option<String>,
}

impl From<Room> for ListedRoom {
    fn from(room: Room) -> Self {
        Self {
            room_id: room.room_id,
            name: room.name,
            canonical_alias: room.canonical_alias,
            joined_members: room.joined_members,
            joined_local_members: room.joined_members,
            version: room.version,
            creator: room.creator,
            encryption: room.encryption,
            federatable: room.federatable,
            public: room.published,
            join_rules: room.join_rule,
            guest_access: room.guest_access,
            history_visibility: room.history_visibility,
            state_events: room.state_events,
            room_type: room.room_type,
        }
    }
}

/// A page of rooms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedRooms {
    /// The `from` of the request.
    offset: i64,
    rooms: Vec<ListedRoom>,
    /// The number of rooms that match the filter.
    total_rooms: i64,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<i64>,
    /// The `from` of the page before; absent on the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<i64>,
}

pub(crate) fn route() -> Route {
    Route::get("/_synapse/admin/v1/rooms", handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listRooms")
        .summary("Lists rooms")
        .description(
            "`size`, `joined_members`, `joined_local_members`, `version` and `state_events` begin with the largest; \
             `dir=b` reverses each order. Rooms without a value come last, or first when turned round.",
        )
        .query(paging::params("rooms").into_iter().chain([
            Param::choice(
                "order_by",
                ORDERS,
                "sort order; `alphabetical` (by name) by default",
            ),
            Param::direction("`f` (the default) or `b` for the reverse order"),
            Param::text(
                "search_term",
                "substring of the name or of the localpart of the canonical alias, in any case, \
                 or a whole room id",
            ),
            Param::boolean(
                "public_rooms",
                "`true` for only rooms in the public directory, `false` for none of them",
            ),
            Param::boolean(
                "empty_rooms",
                "`true` for only rooms without members, `false` for none of them",
            ),
        ]))
        .returns::<ListedRooms>(200)
}

struct Page {
    paging: Paging,
    filter: Filter,
    order_by: OrderBy,
    descending: bool,
}

fn page(query: &Query) -> Result<Page, MatrixError> {
    let paging = paging::read(query)?;
    let (order_by, largest_first) = query.choice("order_by", ORDERS)?.unwrap_or((OrderBy::Name, false));
    let term = query.utf8("search_term")?;
    if term.as_deref() == Some("") {
        return Err(MatrixError::invalid_param("search_term cannot be an empty string"));
    }
    let backwards = query.backwards()?.unwrap_or(false);
    let published = query.boolean("public_rooms")?;
    let empty = query.boolean("empty_rooms")?;
    let filter = Filter { published, empty, term };
    Ok(Page { paging, filter, order_by, descending: largest_first != backwards })
}

async fn handle(call: Call) -> Answer {
    let Page { paging, filter, order_by, descending } = page(&call.query)?;
    let page = call.read(move |tx| room_list::page(tx, &filter, order_by, descending, paging)).await?;
    let Paging { from, limit } = paging;
    let next = from.saturating_add(limit);
    reply::ok(&ListedRooms {
        offset: from,
        rooms: page.rooms.into_iter().map(ListedRoom::from).collect(),
        total_rooms: page.total,
        next_batch: (next < page.total).then_some(next),
        prev_batch: (from > 0).then(|| from.saturating_sub(limit).max(0)),
    })
}
