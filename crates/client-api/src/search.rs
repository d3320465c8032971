//! Search for messages and users.

use std::collections::BTreeMap;

use http::Method;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_model::{Pos, Token};
use reeve_rooms::timeline;
use reeve_rooms::types;
use reeve_rooms::view::View;
use reeve_rooms::{Error, user_directory};
use reeve_store::{events, words};
use ruma::api::client::filter::RoomEventFilter;
use serde_json::{Map, Value, json};

use crate::rooms::{home, not_text, v3, viewer};
use crate::shapes;

/// Maximum number of users in a response.
const MAX_PEOPLE: i64 = 50;

body! {
    /// A search in messages.
    pub(crate) struct Search {
        search_categories: SearchCategories,
    }

    /// The search categories.
    pub(crate) struct SearchCategories {
        room_events: Option<AnyObject>,
    }

    /// A search for users.
    pub(crate) struct PeopleSearch {
        search_term: String,
        limit: Option<i64>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "search", search)
            .access(Access::User)
            .before_password_change()
            .id("search")
            .takes::<Search>()
            .returns::<shapes::search::SearchAnswer>(200)
            .repeatable()
            .summary("Searches messages, names and topics in the rooms of the account")
            .query([Param::text("next_batch", "the token of the next page")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3search"),
        v3(Method::POST, "user_directory/search", people)
            .access(Access::User)
            .before_password_change()
            .id("searchUserDirectory")
            .takes::<PeopleSearch>()
            .returns::<shapes::search::FoundPeople>(200)
            .repeatable()
            .summary("Searches the user directory")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3user_directorysearch"),
    ]
}

async fn search(mut call: Call) -> Answer {
    let body: Search = call.take().await?;
    let bad = |text: &'static str| MatrixError::bad_json(text);
    let categories = body.search_categories.read_or(|name| MatrixError::missing_params(&[name]))?;
    let Some(wanted) = categories.room_events.value().and_then(Value::as_object) else {
        return reply::ok(&json!({ "search_categories": {} }));
    };
    let term = match wanted.get("search_term") {
        None => return Err(MatrixError::missing_params(&["search_term"])),
        Some(term) => term.as_str().map(str::to_owned).ok_or_else(|| not_text("search_term"))?,
    };
    let keys = match wanted.get("keys") {
        None => Vec::new(),
        Some(keys) => {
            serde_json::from_value(keys.clone()).map_err(|_| bad("'keys' must be a list of strings"))?
        }
    };
    let filter: RoomEventFilter = match wanted.get("filter") {
        None => RoomEventFilter::default(),
        Some(filter) => serde_json::from_value(filter.clone()).map_err(|_| bad("The filter is not valid"))?,
    };
    let from = match call.query.utf8("next_batch")?.filter(|from| !from.is_empty()) {
        None => None,
        Some(from) => Some(Token::parse(&from).ok_or_else(|| MatrixError::invalid_param("Invalid batch"))?),
    };
    let limit = filter.limit.map_or(10, |limit| i64::try_from(u64::from(limit)).unwrap_or(100));
    let context = wanted.get("event_context").and_then(Value::as_object).cloned();
    if !matches!(wanted.get("order_by").map(Value::as_str), None | Some(Some("rank" | "recent"))) {
        return Err(MatrixError::bad_json("'order_by' must be 'rank' or 'recent'"));
    }
    let group_keys: Vec<String> = wanted
        .get("groupings")
        .and_then(|groupings| groupings.get("group_by")?.as_array().cloned())
        .unwrap_or_default()
        .iter()
        .filter_map(|group| group.get("key")?.as_str().map(str::to_owned))
        .filter(|key| matches!(key.as_str(), "room_id" | "sender"))
        .collect();
    let include_state = wanted.get("include_state") == Some(&Value::Bool(true));
    let highlights = words::highlights(&term);
    let search = timeline::Search { term, keys, filter, limit, from };
    let (viewer, now) = (viewer(&call)?, call.now);
    let found = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let (hits, next) = timeline::search(&view, &viewer, &search)?;
            let (mut results, mut state) = (Vec::new(), BTreeMap::new());
            for hit in &hits {
                let room = view.room(&hit.room)?;
                let mut result = json!({ "rank": 1.0, "result": hit.shown });
                if let (Some(context), Some(result)) = (&context, result.as_object_mut()) {
                    result.insert("context".to_owned(), around(&room, tx, &hit.event, context)?);
                }
                if include_state && !state.contains_key(&hit.room.room_id) {
                    let all = events::all_state_at(tx, hit.room.num, room.state_pos(Pos::PRESENT))?;
                    state.insert(hit.room.room_id.clone(), json!(room.show_state(&all)?));
                }
                results.push(result);
            }
            let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
            for (key, hit) in group_keys.iter().flat_map(|key| hits.iter().map(move |hit| (key, hit))) {
                let value = if key == "sender" { &hit.event.sender } else { &hit.room.room_id };
                groups.entry(key).or_default().entry(value).or_default().push(&hit.event.event_id);
            }
            let groups: BTreeMap<&str, BTreeMap<&str, Value>> = groups
                .into_iter()
                .map(|(key, values)| {
                    let results = |ids: Vec<&str>| json!({ "results": ids, "order": 1 });
                    (key, values.into_iter().map(|(value, ids)| (value, results(ids))).collect())
                })
                .collect();
            let mut found = json!({ "count": results.len(), "highlights": highlights, "results": results });
            if let Some(found) = found.as_object_mut() {
                if let Some(next) = next {
                    found.insert("next_batch".to_owned(), json!(next.to_string()));
                }
                if !groups.is_empty() {
                    found.insert("groups".to_owned(), json!(groups));
                }
                if include_state {
                    found.insert("state".to_owned(), json!(state));
                }
            }
            Ok(found)
        })
        .await?;
    reply::ok(&json!({ "search_categories": { "room_events": found } }))
}

/// Returns the context of a found event.
fn around(
    room: &reeve_rooms::view::RoomView<'_, '_, '_>,
    tx: &reeve_db::ReadTx<'_>,
    event: &events::Event,
    wanted: &Map<String, Value>,
) -> Result<Value, Error> {
    let count = |key: &str| wanted.get(key).and_then(Value::as_i64).unwrap_or(5).clamp(0, 20);
    let side = |backwards, from: &Token, limit| timeline::Range {
        from: Some(from.clone()),
        to: None,
        backwards,
        limit,
    };
    let all = RoomEventFilter::default();
    let (start, end) = (room.view.token(event.pos.prev())?, room.view.token(event.pos)?);
    let before = timeline::messages(room, tx, &side(true, &start, count("before_limit")), &all)?;
    let after = timeline::messages(room, tx, &side(false, &end, count("after_limit")), &all)?;
    let end = after.end.unwrap_or(end);
    let mut profiles = Map::new();
    if wanted.get("include_profile") == Some(&Value::Bool(true)) {
        // Profiles as of the last of these events: some came after the found one.
        let pos = room.state_pos(end.pos);
        let shown = before.chunk.iter().chain(&after.chunk);
        for sender in shown.map(|event| &event.sender).chain([&event.sender]) {
            let Some(member) = events::state_at(tx, event.room_num, types::MEMBER, sender, pos)? else {
                continue;
            };
            let content = reeve_rooms::event::content(&member, &room.rules)?;
            let keys = ["displayname", "avatar_url"];
            let profile: Map<String, Value> = keys
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), content.get(key)?.clone())))
                .collect();
            profiles.insert(sender.clone(), Value::Object(profile));
        }
    }
    Ok(json!({
        "profile_info": profiles,
        "events_before": before.chunk,
        "events_after": after.chunk,
        "start": before.end.unwrap_or(start).to_string(),
        "end": end.to_string(),
    }))
}

async fn people(mut call: Call) -> Answer {
    let body: PeopleSearch = call.take().await?;
    let term = body.search_term.read_or(not_text)?;
    let limit = body.limit.read()?.unwrap_or(10);
    let limit = usize::try_from(limit.clamp(1, MAX_PEOPLE)).unwrap_or(1);
    let (home, user) = (home(&call), call.user()?.clone());
    let (found, limited) =
        call.read(move |tx| user_directory::search_users(tx, &home, &user, &term, limit)).await?;
    let results: Vec<Value> = found
        .into_iter()
        .map(|user| {
            let mut result = Map::from_iter([("user_id".to_owned(), json!(user.user_id))]);
            for (key, value) in [("display_name", user.displayname), ("avatar_url", user.avatar_url)] {
                if let Some(value) = value {
                    result.insert(key.to_owned(), json!(value));
                }
            }
            Value::Object(result)
        })
        .collect();
    reply::ok(&json!({ "results": results, "limited": limited }))
}
