//! Searching for messages and people.

use std::collections::BTreeMap;

use reeve_app::shape::{AnyObject, ClientEvent};
use utoipa::ToSchema;

/// The results of a search.
#[derive(ToSchema)]
pub(crate) struct SearchAnswer {
    search_categories: FoundCategories,
}

/// The results of a search, by category.
#[derive(ToSchema)]
pub(crate) struct FoundCategories {
    room_events: Option<FoundEvents>,
}

/// The events that a search found.
#[derive(ToSchema)]
pub(crate) struct FoundEvents {
    count: i64,
    highlights: Vec<String>,
    results: Vec<FoundEvent>,
    next_batch: Option<String>,
    groups: Option<AnyObject>,
    state: Option<BTreeMap<String, Vec<ClientEvent>>>,
}

/// An event that a search found.
#[derive(ToSchema)]
pub(crate) struct FoundEvent {
    rank: f64,
    result: ClientEvent,
    context: Option<AnyObject>,
}

/// The users found by a search.
#[derive(ToSchema)]
pub(crate) struct FoundPeople {
    results: Vec<FoundPerson>,
    limited: bool,
}

/// A user.
#[derive(ToSchema)]
pub(crate) struct FoundPerson {
    user_id: String,
    display_name: Option<String>,
    avatar_url: Option<String>,
}
