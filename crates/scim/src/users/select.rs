//! The users that a filter selects.
//!
//! A filter is answered in one of four ways, so that no request looks at all accounts one by one:
//!
//! - `userName`, `id`, `externalId` and addresses with `eq` are looked up;
//! - no filter, or `active` alone, is a list of accounts;
//! - `active`, `meta.created` and `roles`, joined by `and`, are a selection of accounts;
//! - anything else is compared with the users of the selection to which its parts lead, if those are not too many.

use std::sync::Arc;

use reeve_accounts::threepids;
use reeve_app::json::Object;
use reeve_app::{App, Call, Inactive, MatrixError};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, User, UserNum};
use reeve_store::lists::roster::{Asked, Start};
use reeve_store::lists::users::{self as user_list, Column, OrderBy};
use reeve_store::{Paging, Selection, external_ids, threepids as stored_threepids, users};
use serde_json::Value;

use super::view;
use crate::account::is_resource;
use crate::error::{invalid_value, too_many};
use crate::filter::{Filter, Operator, Values, flag};
use crate::query::Query;
use crate::reply::with_version;
use crate::times;

/// The maximum number of users with which a filter is compared one by one.
const MAX_COMPARED: i64 = 2000;

/// The maximum length of a text by which a selection is narrowed, in bytes.
const MAX_TEXT: usize = 1000;

/// A page of users.
pub(crate) struct Page {
    pub(crate) total: i64,
    pub(crate) users: Vec<Object>,
}

/// A way to find one account.
#[derive(Clone, Debug, PartialEq)]
enum Lookup {
    UserName(String),
    Id(String),
    ExternalId(String),
    Address { medium: &'static str, address: String },
}

/// The accounts among which a filter selects.
#[derive(Clone, Debug)]
enum Source {
    /// Those that are found so.
    Lookups(Vec<Lookup>),
    /// A list by the flag `locked`.
    List { locked: Option<bool> },
    /// A selection; all of it if the flag is set.
    Selection { selection: Box<Selection>, is_exact: bool },
}

/// Returns the page that a query asks for.
pub(crate) async fn page(call: &Call, query: &Query) -> Result<Page, MatrixError> {
    let order_by = order(query)?;
    let source = source(&call.app, query.filter.as_ref());
    let roster = match &source {
        Source::Selection { .. } => Some(call.app.selections.roster(&call.app.db).await?),
        Source::Lookups(_) | Source::List { .. } => None,
    };
    let (app, query) = (Arc::clone(&call.app), query.clone());
    call.read(move |tx| -> Result<Page, MatrixError> {
        let descending = query.descending;
        match (&source, &roster) {
            (Source::Lookups(lookups), _) => {
                let mut found = Vec::new();
                for lookup in lookups {
                    if let Some(user) = lookup.find(tx, &app)?.filter(|user| is_resource(&app.scim, user))
                        && !found.iter().any(|known: &User| known.num == user.num)
                    {
                        found.push(user);
                    }
                }
                sort(&mut found, order_by, descending);
                compared(tx, &app, &query, found)
            }
            (Source::List { locked }, _) => {
                let filter = user_list::Filter {
                    guests: Some(false),
                    deactivated: Some(false),
                    locked: *locked,
                    ..user_list::Filter::default()
                };
                let paging = Paging { from: query.offset, limit: query.count };
                let page = user_list::page(tx, &app.server_name, &filter, order_by, descending, paging)?;
                Ok(Page { total: page.total, users: shown(tx, &app, &query, page.users)? })
            }
            (Source::Selection { selection, is_exact }, Some(roster)) => {
                let (start, limit) =
                    if *is_exact { (query.offset, query.count) } else { (0, MAX_COMPARED) };
                let asked = Asked { order_by, descending, start: Start::Offset(start), limit };
                let found = roster.page(tx, &app.server_name, selection, &asked)?;
                let found = found.ok_or_else(|| MatrixError::internal("an offset is always found"))?;
                if *is_exact {
                    let users = shown(tx, &app, &query, users::by_nums(tx, &found.nums)?)?;
                    return Ok(Page { total: found.total, users });
                }
                if found.total > MAX_COMPARED {
                    return Err(too_many(format!(
                        "The filter would have to look at {} users; more than {MAX_COMPARED} need a part that is found by \
                         itself, such as 'userName eq', joined by 'and'",
                        found.total
                    )));
                }
                compared(tx, &app, &query, users::by_nums(tx, &found.nums)?)
            }
            (Source::Selection { .. }, None) => Err(MatrixError::internal("a selection needs a roster")),
        }
    })
    .await
}

/// Returns users as a page shows them.
fn shown(tx: &ReadTx<'_>, app: &App, query: &Query, accounts: Vec<User>) -> Result<Vec<Object>, MatrixError> {
    let all = view::users(tx, app, accounts, query.shown.has("groups"))?;
    Ok(all.into_iter().map(with_version).collect())
}

/// Compares a filter with users, which are in order, and returns the page of those that it selects.
fn compared(tx: &ReadTx<'_>, app: &App, query: &Query, accounts: Vec<User>) -> Result<Page, MatrixError> {
    let with_groups = query.filter.as_ref().is_some_and(|filter| names(filter, "groups"));
    let seen = view::users(tx, app, accounts.clone(), with_groups)?;
    let selects = |object: &Object| query.filter.as_ref().is_none_or(|filter| filter.selects(object));
    let selected: Vec<User> = accounts
        .into_iter()
        .zip(&seen)
        .filter(|(_, object)| selects(object))
        .map(|(account, _)| account)
        .collect();
    let total = i64::try_from(selected.len()).unwrap_or(i64::MAX);
    Ok(Page { total, users: shown(tx, app, query, query.cut(selected))? })
}

/// Returns true if a filter names an attribute.
fn names(filter: &Filter, name: &str) -> bool {
    match filter {
        Filter::Compare(values, ..) | Filter::Present(values) | Filter::Within(values, _) => {
            values.attribute.name == name
        }
        Filter::Not(inner) => names(inner, name),
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(|part| names(part, name)),
    }
}

fn order(query: &Query) -> Result<OrderBy, MatrixError> {
    match query.sort_by {
        None | Some(("userName" | "id", None)) => Ok(OrderBy::Name),
        Some(("displayName", None) | ("name", Some("formatted"))) => Ok(OrderBy::Column(Column::Displayname)),
        Some(("meta", Some("created"))) => Ok(OrderBy::Column(Column::CreatedTs)),
        Some((name, _)) => Err(invalid_value(format!("Users cannot be sorted by '{name}'"))),
    }
}

/// Sorts a few accounts as lists do.
fn sort(accounts: &mut [User], order_by: OrderBy, descending: bool) {
    accounts.sort_by(|a, b| {
        let ordering = match order_by {
            OrderBy::Column(Column::Displayname) => a
                .displayname
                .is_none()
                .cmp(&b.displayname.is_none())
                .then_with(|| a.displayname.cmp(&b.displayname)),
            OrderBy::Column(_) => a.created_ts.cmp(&b.created_ts),
            OrderBy::Name | OrderBy::Flag(_) | OrderBy::UserType => a.user_id.cmp(&b.user_id),
        };
        let ordering = if descending { ordering.reverse() } else { ordering };
        ordering.then_with(|| a.user_id.cmp(&b.user_id))
    });
}

/// Returns the accounts among which a filter selects.
fn source(app: &App, filter: Option<&Filter>) -> Source {
    if let Some(lookups) = filter.and_then(lookups) {
        return Source::Lookups(lookups);
    }
    let is_locking = app.scim.inactive == Inactive::Lock;
    let terms: Vec<&Filter> = match filter {
        None => Vec::new(),
        Some(Filter::And(parts)) => parts.iter().collect(),
        Some(term) => vec![term],
    };
    if is_locking {
        match terms.as_slice() {
            [] => return Source::List { locked: None },
            [term] if let Some(active) = active(term) => return Source::List { locked: Some(!active) },
            _ => {}
        }
    }
    let mut selection = Selection {
        guests: Some(false),
        locked: Some(true),
        deactivated: is_locking.then_some(false),
        erased: (!is_locking).then_some(false),
        ..Selection::default()
    };
    let mut is_exact = true;
    for term in terms {
        is_exact &= narrow(app, &mut selection, term);
    }
    match selection.check() {
        Ok(()) => Source::Selection { selection: Box::new(selection), is_exact },
        // Contradictions select nobody.
        Err(_) => Source::Lookups(Vec::new()),
    }
}

/// Returns the flag that a term asks for.
fn active(term: &Filter) -> Option<bool> {
    match term {
        Filter::Compare(values, Operator::Eq, wanted) if values.attribute.name == "active" => flag(wanted),
        Filter::Compare(..)
        | Filter::Present(_)
        | Filter::Within(..)
        | Filter::Not(_)
        | Filter::And(_)
        | Filter::Or(_) => None,
    }
}

/// Narrows a selection to the accounts that a term can select. Returns true if the term selects all of them.
fn narrow(app: &App, selection: &mut Selection, term: &Filter) -> bool {
    if let Some(active) = active(term) {
        match app.scim.inactive {
            Inactive::Deactivate => {
                let is_contradiction = selection.deactivated.is_some_and(|known| known == active);
                selection.deactivated = Some(!active);
                return !is_contradiction;
            }
            Inactive::Lock if active => {
                selection.locked = None;
                return true;
            }
            // There is no selection of locked accounts alone.
            Inactive::Lock => return false,
        }
    }
    let Filter::Compare(values, operator, Value::String(text)) = term else { return false };
    if text.is_empty() || text.len() > MAX_TEXT {
        return false;
    }
    match (name(values), operator) {
        (("meta", Some("created")), operator) => {
            let Some(time) = times::parse(text).filter(|time| *time >= Millis::ZERO) else { return false };
            let (after, before) = match operator {
                Operator::Gt => (Some(time.plus(1)), None),
                Operator::Ge => (Some(time), None),
                Operator::Lt => (None, Some(time)),
                Operator::Le => (None, Some(time.plus(1))),
                Operator::Eq => (Some(time), Some(time.plus(1))),
                Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => return false,
            };
            selection.created_after = selection.created_after.max(after);
            selection.created_before = match (selection.created_before, before) {
                (Some(known), Some(before)) => Some(known.min(before)),
                (known, before) => known.or(before),
            };
            true
        }
        (("roles", None | Some("value")), Operator::Eq) if selection.role.is_none() => {
            selection.role = Some(text.clone());
            true
        }
        (
            ("displayName", None) | ("name", Some("formatted")),
            Operator::Eq | Operator::Co | Operator::Sw | Operator::Ew,
        ) => {
            selection.name = Some(text.clone());
            false
        }
        (("userName", None), Operator::Co | Operator::Sw | Operator::Ew) => {
            let is_in_domain =
                app.scim.user_name_domain.as_ref().is_some_and(|domain| domain.contains(text.as_str()));
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            // Other characters are escaped in the localpart.
            if text.chars().all(is_plain) && !is_in_domain {
                selection.name = Some(text.clone());
            }
            false
        }
        (("emails", None | Some("value")), Operator::Co | Operator::Sw | Operator::Ew) => {
            selection.email = Some(text.clone());
            false
        }
        _ => false,
    }
}

/// Returns the names of the attribute and key that a term compares.
fn name(values: &Values) -> (&'static str, Option<&'static str>) {
    (values.attribute.name, values.key.map(|key| key.name))
}

/// Returns the lookups that find all accounts that a filter can select; `None` if none do.
fn lookups(filter: &Filter) -> Option<Vec<Lookup>> {
    match filter {
        Filter::Compare(values, Operator::Eq, Value::String(text)) => Some(vec![lookup(name(values), text)?]),
        Filter::Within(values, inner) => within(values.attribute.name, inner),
        Filter::And(parts) => parts.iter().find_map(lookups),
        Filter::Or(parts) => {
            let each: Option<Vec<Vec<Lookup>>> = parts.iter().map(lookups).collect();
            each.map(|each| each.concat())
        }
        Filter::Compare(..) | Filter::Present(_) | Filter::Not(_) => None,
    }
}

/// Returns the lookups of a filter on the values of an attribute.
fn within(attribute: &'static str, filter: &Filter) -> Option<Vec<Lookup>> {
    match filter {
        Filter::Compare(values, Operator::Eq, Value::String(text)) => {
            Some(vec![lookup((attribute, Some(values.attribute.name)), text)?])
        }
        Filter::And(parts) => parts.iter().find_map(|part| within(attribute, part)),
        Filter::Or(parts) => {
            let each: Option<Vec<Vec<Lookup>>> = parts.iter().map(|part| within(attribute, part)).collect();
            each.map(|each| each.concat())
        }
        Filter::Compare(..) | Filter::Present(_) | Filter::Within(..) | Filter::Not(_) => None,
    }
}

fn lookup(name: (&'static str, Option<&'static str>), text: &str) -> Option<Lookup> {
    let text = text.to_owned();
    match name {
        ("userName", None) => Some(Lookup::UserName(text)),
        ("id" | "userId", None) => Some(Lookup::Id(text)),
        ("externalId", None) => Some(Lookup::ExternalId(text)),
        ("emails", None | Some("value")) => Some(Lookup::Address { medium: "email", address: text }),
        ("phoneNumbers", None | Some("value")) => Some(Lookup::Address { medium: "msisdn", address: text }),
        _ => None,
    }
}

impl Lookup {
    fn find(&self, tx: &ReadTx<'_>, app: &App) -> Result<Option<User>, DbError> {
        let by_num = |num: Option<UserNum>| match num {
            Some(num) => users::by_num(tx, num),
            None => Ok(None),
        };
        match self {
            Self::Id(user_id) => users::find(tx, user_id),
            Self::UserName(name) => {
                let user_id = format!("@{}:{}", view::names(app).localpart(name), app.server_name);
                match users::resolve_case(tx, &user_id)? {
                    Some(user_id) => users::find(tx, &user_id),
                    None => Ok(None),
                }
            }
            Self::ExternalId(id) => by_num(external_ids::find_user(tx, &app.scim.external_id_provider, id)?),
            Self::Address { medium, address } => match threepids::canonical(medium, address) {
                Ok(address) => by_num(stored_threepids::find_user(tx, medium, &address)?),
                Err(_) => Ok(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter;
    use crate::place::Resource;

    #[test]
    fn lookups_of_filters() {
        let found = |text: &str| lookups(&filter::parse(Resource::User, text).unwrap());
        let name = |name: &str| Lookup::UserName(name.to_owned());
        let email = |address: &str| Lookup::Address { medium: "email", address: address.to_owned() };
        assert_eq!(found(r#"userName eq "a""#), Some(vec![name("a")]));
        assert_eq!(found(r#"active eq true and userName eq "a""#), Some(vec![name("a")]));
        assert_eq!(found(r#"userName eq "a" or emails.value eq "b""#), Some(vec![name("a"), email("b")]));
        assert_eq!(found(r#"emails[type eq "work" and value eq "b"]"#), Some(vec![email("b")]));
        for none in [
            r#"userName eq "a" or active eq true"#,
            r#"not (userName eq "a")"#,
            r#"userName co "a""#,
            "active eq true",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
