//! Rooms. An administrator sees all of them and need not be a member.

mod block;
mod delete;
mod delete_status;
mod extremities;
mod get;
mod hierarchy;
mod join;
mod list;
mod make_admin;
mod media;
mod messages;
mod purge_history;

pub(crate) use messages::stored;
use reeve_app::{Call, MatrixError, Route};
use reeve_rooms::room_admin;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        list::route(),
        get::details(),
        get::members(),
        get::state(),
        messages::messages(),
        messages::context(),
        messages::timestamp_to_event(),
        messages::fetch_event(),
        hierarchy::route(),
        block::get(),
        block::put(),
        delete::v1(),
        delete::v2(),
        delete_status::of_deletion(),
        delete_status::of_room(),
        make_admin::route(),
        join::route(),
        extremities::get(),
        extremities::delete(),
        media::list(),
        media::quarantine(),
        purge_history::by_body(),
        purge_history::by_path(),
        purge_history::status(),
    ]
}

/// Returns the room id in the path; only its form is checked.
fn room_id(call: &Call) -> Result<String, MatrixError> {
    let room_id = call.param("room_id");
    if room_admin::is_room_id(&room_id) {
        Ok(room_id)
    } else {
        Err(MatrixError::unknown(format!("{room_id} is not a legal room ID")))
    }
}
