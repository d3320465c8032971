//! Lists groups.

use std::sync::Arc;

use reeve_app::json::Object;
use reeve_app::{Access, Answer, App, Call, MatrixError, Route};
use reeve_db::ReadTx;
use reeve_model::{Ctx, Scope};
use serde_json::Value;

use super::view::{self, Group, GroupList};
use crate::error::{BAD_FILTER, BAD_VALUE, TOO_MANY, invalid_filter, invalid_value};
use crate::filter::{Filter, Operator};
use crate::place::Resource;
use crate::query::{Page, Query};

/// The maximum number of members that a filter names.
const MAX_NAMED: usize = 20;

pub(super) fn route() -> Route {
    Route::get(super::PATH, handle)
        .access(Access::Admin(Scope::RoomsRead))
        .id("listScimGroups")
        .summary("Lists the groups that a filter selects")
        .description(
            "Groups are roles, for callers who hold `users:read`, and the rooms and spaces that the account of the settings has \
             joined. A filter can name members with `eq`. A page that would show too many members ends early.",
        )
        .query(Query::params())
        .returns::<GroupList>(200)
        .errors(&[BAD_FILTER, BAD_VALUE, TOO_MANY])
}

async fn handle(call: Call) -> Answer {
    let query = Query::of_parameters(Resource::Group, &call.query)?;
    let page = page(&call, &query).await?;
    query.answer(Resource::Group, page)
}

/// Returns the page that a query asks for.
pub(crate) async fn page(call: &Call, query: &Query) -> Result<Page, MatrixError> {
    let (app, ctx, query) = (Arc::clone(&call.app), call.admin_ctx()?, query.clone());
    call.read(move |tx| select(tx, &app, &ctx, &query)).await
}

fn select(tx: &ReadTx<'_>, app: &App, ctx: &Ctx, query: &Query) -> Result<Page, MatrixError> {
    let groups = Group::all(tx, app, ctx)?;
    let seen = view::without_members(tx, app, &groups)?;
    let mut all: Vec<(Group, Object)> = groups.into_iter().zip(seen).collect();
    if let Some(filter) = &query.filter {
        let mut named = Vec::new();
        members(filter, &mut named)?;
        if !named.is_empty() {
            view::add_some_members(tx, app, &mut all, &named)?;
        }
        all.retain(|(_, seen)| filter.selects(seen));
        for (_, seen) in &mut all {
            seen.shift_remove("members");
        }
    }
    sort(&mut all, query)?;
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let page = query.cut(all);
    let resources = if query.shown.has("members") {
        view::page_with_members(tx, app, page)?
    } else {
        page.into_iter().map(|(_, seen)| seen).collect()
    };
    Ok(Page { total, resources })
}

fn sort(groups: &mut [(Group, Object)], query: &Query) -> Result<(), MatrixError> {
    let key = match query.sort_by {
        None => return Ok(()),
        Some((name @ ("id" | "displayName" | "externalId"), None)) => name,
        Some((name, _)) => return Err(invalid_value(format!("Groups cannot be sorted by '{name}'"))),
    };
    let value = |(_, seen): &(Group, Object)| {
        let text = seen.get(key).and_then(Value::as_str).map(str::to_lowercase);
        // Groups without a value come last.
        (text.is_none(), text)
    };
    groups.sort_by_cached_key(value);
    if query.descending {
        groups.reverse();
    }
    Ok(())
}

/// Collects the ids of the members that a filter names.
fn members(filter: &Filter, named: &mut Vec<String>) -> Result<(), MatrixError> {
    let refused =
        || invalid_filter(format!("'members' can be compared with 'eq', with at most {MAX_NAMED} ids"));
    match filter {
        Filter::Compare(values, operator, value) if values.attribute.name == "members" => {
            let is_value = values.key.is_none_or(|key| key.name == "value");
            match (operator, value) {
                (Operator::Eq, Value::String(id)) if is_value => named.push(id.clone()),
                _ => return Err(refused()),
            }
        }
        Filter::Within(_, inner) => within(inner, named, &refused)?,
        Filter::Present(values) if values.attribute.name == "members" => return Err(refused()),
        Filter::Compare(..) | Filter::Present(_) => {}
        Filter::Not(inner) => members(inner, named)?,
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                members(part, named)?;
            }
        }
    }
    if named.len() > MAX_NAMED { Err(refused()) } else { Ok(()) }
}

/// Collects the ids in a filter on members.
fn within(
    filter: &Filter,
    named: &mut Vec<String>,
    refused: &impl Fn() -> MatrixError,
) -> Result<(), MatrixError> {
    match filter {
        Filter::Compare(values, Operator::Eq, Value::String(id)) if values.attribute.name == "value" => {
            named.push(id.clone());
        }
        Filter::Compare(values, Operator::Eq, _) if values.attribute.name == "type" => {}
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                within(part, named, refused)?;
            }
        }
        Filter::Compare(..) | Filter::Present(_) | Filter::Within(..) | Filter::Not(_) => {
            return Err(refused());
        }
    }
    Ok(())
}
