//! The groups that a filter selects.
//!
//! Ids and members with `eq` are looked up. Other filters are compared with all groups, of which there are at most some thousand;
//! of each, only what the filter names is read.

use std::sync::Arc;

use reeve_app::json::Object;
use reeve_app::{App, Call, MatrixError};
use reeve_db::{DbError, ReadTx};
use reeve_model::Ctx;
use reeve_store::scim_groups;
use serde_json::Value;

use super::group::{Group, Key, Set};
use super::view::{self, Belonging, Parts};
use crate::error::{invalid_filter, invalid_value};
use crate::filter::{Filter, Operator};
use crate::place::Name;
use crate::query::{Page, Query};

/// The maximum number of members that a filter names.
const MAX_NAMED: usize = 20;

/// A way to find a few groups.
#[derive(Clone, Debug, PartialEq)]
enum Lookup {
    Id(String),
    Member(String),
}

/// Returns the page that a query asks for.
pub(crate) async fn page(call: &Call, query: &Query) -> Result<Page, MatrixError> {
    let (app, ctx, query) = (Arc::clone(&call.app), call.admin_ctx()?, query.clone());
    call.read(move |tx| select(tx, &app, &ctx, &query)).await
}

fn select(tx: &ReadTx<'_>, app: &App, ctx: &Ctx, query: &Query) -> Result<Page, MatrixError> {
    let order = Order::of(query)?;
    let mut named = Vec::new();
    if let Some(filter) = &query.filter {
        members(filter, &mut named)?;
    }
    let keys = keys(tx, app, ctx, query.filter.as_ref())?;
    let (total, groups) = match (&query.filter, order) {
        // Groups that are only counted need not be read.
        (None, None) => (keys.len(), Key::load(tx, query.cut(keys))?),
        (filter, order) => {
            let mut groups = Key::load(tx, keys)?;
            if let Some(filter) = filter {
                groups = compared(tx, app, filter, named, groups)?;
            }
            if let Some(order) = order {
                order.sort(tx, &mut groups, query.descending)?;
            }
            (groups.len(), query.cut(groups))
        }
    };
    let resources = if query.shown.has("members") {
        view::page_with_members(tx, app, &groups)?
    } else {
        view::without_members(tx, app, &groups)?
    };
    Ok(Page { total: i64::try_from(total).unwrap_or(i64::MAX), resources })
}

/// Returns the groups among which a filter selects.
fn keys(tx: &ReadTx<'_>, app: &App, ctx: &Ctx, filter: Option<&Filter>) -> Result<Vec<Key>, MatrixError> {
    let Some(lookups) = filter.and_then(|filter| filter.lookups(&lookup)) else {
        return Key::all(tx, app, ctx);
    };
    let set = |lookup: &Lookup| -> Result<Set, MatrixError> {
        match lookup {
            Lookup::Id(id) => Set::of_id(tx, app, id),
            Lookup::Member(user_id) => Ok(Set::of_member(tx, app, user_id)?),
        }
    };
    let sets = lookups.iter().map(set).collect::<Result<Vec<_>, _>>()?;
    Key::of_sets(tx, ctx, &sets)
}

/// Returns the lookup that finds the groups with a value of an attribute; `None` if it cannot be looked up.
fn lookup(name: Name, text: &str) -> Option<Lookup> {
    match name {
        ("id", None) => Some(Lookup::Id(text.to_owned())),
        ("members", None | Some("value")) => Some(Lookup::Member(text.to_owned())),
        (_, _) => None,
    }
}

/// Returns those of some groups that a filter, which names these members, selects.
fn compared(
    tx: &ReadTx<'_>,
    app: &App,
    filter: &Filter,
    named: Vec<String>,
    groups: Vec<Group>,
) -> Result<Vec<Group>, MatrixError> {
    let belonging = |user_id: String| -> Result<Belonging, DbError> {
        Ok(Belonging { groups: Set::of_member(tx, app, &user_id)?, user_id })
    };
    let users = named.into_iter().map(belonging).collect::<Result<Vec<_>, _>>()?;
    let parts = Parts { external_id: filter.names("externalId"), last_modified: filter.names("meta") };
    let seen = view::some_parts(tx, app, &groups, parts)?;
    let selects = |(group, mut seen): (Group, Object)| {
        if !users.is_empty() {
            view::add_members(&mut seen, &group, &users);
        }
        filter.selects(&seen).then_some(group)
    };
    Ok(groups.into_iter().zip(seen).filter_map(selects).collect())
}

/// An order of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Id,
    Name,
    ExternalId,
}

impl Order {
    /// Returns the order that a query asks for, if it does.
    fn of(query: &Query) -> Result<Option<Self>, MatrixError> {
        match query.sort_by {
            None => Ok(None),
            Some(("id", None)) => Ok(Some(Self::Id)),
            Some(("displayName", None)) => Ok(Some(Self::Name)),
            Some(("externalId", None)) => Ok(Some(Self::ExternalId)),
            Some((name, _)) => Err(invalid_value(format!("Groups cannot be sorted by '{name}'"))),
        }
    }

    /// Sorts groups, in any case of letters. Groups without a value come last.
    fn sort(self, tx: &ReadTx<'_>, groups: &mut [Group], descending: bool) -> Result<(), DbError> {
        let ids: Vec<String> = match self {
            Self::Id | Self::Name => Vec::new(),
            Self::ExternalId => groups.iter().map(Group::id).collect(),
        };
        let external = scim_groups::of_groups(tx, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
        groups.sort_by_cached_key(|group| {
            let text = match self {
                Self::Id => Some(group.id()),
                Self::Name => Some(group.name()),
                Self::ExternalId => external.get(&group.id()).cloned(),
            };
            (text.is_none(), text.map(|text| text.to_lowercase()))
        });
        if descending {
            groups.reverse();
        }
        Ok(())
    }
}

/// Collects the ids of the members that a filter names.
fn members(filter: &Filter, named: &mut Vec<String>) -> Result<(), MatrixError> {
    match filter {
        Filter::Compare(values, operator, wanted) if values.attribute.name == "members" => {
            let is_value = values.key.is_none_or(|key| key.name == "value");
            named.push(compared_id(*operator, wanted).filter(|_| is_value).ok_or_else(refused)?);
        }
        Filter::Within(values, inner) if values.attribute.name == "members" => within(inner, named)?,
        Filter::Present(values) if values.attribute.name == "members" => return Err(refused()),
        Filter::Compare(..) | Filter::Within(..) | Filter::Present(_) => {}
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
fn within(filter: &Filter, named: &mut Vec<String>) -> Result<(), MatrixError> {
    match filter {
        Filter::Compare(values, operator, wanted) if values.attribute.name == "value" => {
            named.push(compared_id(*operator, wanted).ok_or_else(refused)?);
        }
        Filter::Compare(values, Operator::Eq, _) if values.attribute.name == "type" => {}
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                within(part, named)?;
            }
        }
        Filter::Compare(..) | Filter::Present(_) | Filter::Within(..) | Filter::Not(_) => {
            return Err(refused());
        }
    }
    Ok(())
}

/// Returns the id with which a comparison compares those of members; `None` if it is one that cannot be answered.
fn compared_id(operator: Operator, wanted: &Value) -> Option<String> {
    let id = match wanted {
        Value::String(id) => id.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    match operator {
        Operator::Eq => Some(id),
        Operator::Ne
        | Operator::Co
        | Operator::Sw
        | Operator::Ew
        | Operator::Gt
        | Operator::Ge
        | Operator::Lt
        | Operator::Le => None,
    }
}

fn refused() -> MatrixError {
    invalid_filter(format!("'members' can be compared with 'eq', with at most {MAX_NAMED} ids"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter;
    use crate::place::Resource;

    #[test]
    fn lookups_of_filters() {
        let found = |text: &str| filter::parse(Resource::Group, text).unwrap().lookups(&lookup);
        let id = |id: &str| Lookup::Id(id.to_owned());
        let member = |id: &str| Lookup::Member(id.to_owned());
        assert_eq!(found(r#"id eq "a" or members.value eq "b""#), Some(vec![id("a"), member("b")]));
        assert_eq!(found(r#"displayName eq "x" and members eq "b""#), Some(vec![member("b")]));
        assert_eq!(found(r#"members[type eq "User" and value eq "b"]"#), Some(vec![member("b")]));
        for none in [r#"displayName eq "x""#, r#"id eq "a" or displayName eq "x""#, r#"not (members eq "b")"#]
        {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
