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
use reeve_store::{Paging, Roster, Selection, external_ids, threepids as stored_threepids, users};
use serde_json::Value;

use super::view;
use crate::account::is_resource;
use crate::error::{invalid_value, too_many};
use crate::filter::{Filter, Operator, flag};
use crate::place::Name;
use crate::query::{Page, Query};
use crate::reply::with_version;
use crate::times;

/// The maximum number of users with which a filter is compared one by one.
const MAX_COMPARED: i64 = 2000;
/// The maximum number of accounts that a user name finds: historical ones may differ in the case of letters alone.
const MAX_OF_NAME: i64 = 10;
/// The maximum length of a text by which a selection is narrowed, in bytes.
const MAX_TEXT: usize = 1000;

/// A way to find a few accounts.
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
    let search = Search { app: Arc::clone(&call.app), order: Order::of(query)?, query: query.clone() };
    match source(&call.app, query.filter.as_ref()) {
        Source::Lookups(lookups) => call.read(move |tx| search.looked_up(tx, &lookups)).await,
        Source::List { locked } => call.read(move |tx| search.listed(tx, locked)).await,
        Source::Selection { selection, is_exact } => {
            let roster = call.app.selections.roster_for(&call.app.db, &selection).await?;
            if is_exact {
                call.read(move |tx| search.selected(tx, &roster, &selection)).await
            } else {
                call.read(move |tx| search.compared_with(tx, &roster, &selection)).await
            }
        }
    }
}

/// A query under way.
struct Search {
    app: Arc<App>,
    query: Query,
    order: Order,
}

impl Search {
    /// Returns the page of the users whom some lookups find.
    fn looked_up(&self, tx: &ReadTx<'_>, lookups: &[Lookup]) -> Result<Page, MatrixError> {
        let mut found: Vec<User> = Vec::new();
        for lookup in lookups {
            for user in lookup.find(tx, &self.app)? {
                if is_resource(&self.app.scim, &user) && !found.iter().any(|known| known.num == user.num) {
                    found.push(user);
                }
            }
        }
        self.order.sort(&mut found, self.query.descending);
        self.compared(tx, found)
    }

    /// Returns the page of all users, or of those who are locked or not.
    fn listed(&self, tx: &ReadTx<'_>, locked: Option<bool>) -> Result<Page, MatrixError> {
        let filter = user_list::Filter {
            guests: Some(false),
            deactivated: Some(false),
            locked,
            ..user_list::Filter::default()
        };
        let paging = Paging { from: self.query.offset, limit: self.query.count };
        let (order_by, descending) = (self.order.of_lists(), self.query.descending);
        let page = user_list::page(tx, &self.app.server_name, &filter, order_by, descending, paging)?;
        Ok(Page { total: page.total, resources: self.shown(tx, page.users)? })
    }

    /// Returns the page of a selection.
    fn selected(&self, tx: &ReadTx<'_>, roster: &Roster, selection: &Selection) -> Result<Page, MatrixError> {
        let (total, users) = self.some(tx, roster, selection, self.query.offset, self.query.count)?;
        Ok(Page { total, resources: self.shown(tx, users)? })
    }

    /// Returns the page of those of a selection whom the filter selects, if the selection is small enough.
    fn compared_with(
        &self,
        tx: &ReadTx<'_>,
        roster: &Roster,
        selection: &Selection,
    ) -> Result<Page, MatrixError> {
        let (total, users) = self.some(tx, roster, selection, 0, MAX_COMPARED)?;
        if total > MAX_COMPARED {
            return Err(too_many(format!(
                "The filter would have to look at {total} users; more than {MAX_COMPARED} need a part that is found by \
                 itself, such as 'userName eq', joined by 'and'"
            )));
        }
        self.compared(tx, users)
    }

    /// Returns the number of accounts in a selection, and some of them.
    fn some(
        &self,
        tx: &ReadTx<'_>,
        roster: &Roster,
        selection: &Selection,
        offset: i64,
        limit: i64,
    ) -> Result<(i64, Vec<User>), MatrixError> {
        let (order_by, descending) = (self.order.of_lists(), self.query.descending);
        let asked = Asked { order_by, descending, start: Start::Offset(offset), limit };
        let found = roster.page(tx, &self.app.server_name, selection, &asked)?;
        let found = found.ok_or_else(|| MatrixError::internal("an offset is always found"))?;
        Ok((found.total, users::by_nums(tx, &found.nums)?))
    }

    /// Compares the filter with accounts, which are in order, and returns the page of those that it selects.
    fn compared(&self, tx: &ReadTx<'_>, accounts: Vec<User>) -> Result<Page, MatrixError> {
        let filter = self.query.filter.as_ref();
        let with_groups = filter.is_some_and(|filter| filter.names("groups"));
        let seen = view::users(tx, &self.app, accounts.clone(), with_groups)?;
        let selected: Vec<User> = accounts
            .into_iter()
            .zip(&seen)
            .filter(|(_, object)| filter.is_none_or(|filter| filter.selects(object)))
            .map(|(account, _)| account)
            .collect();
        let total = i64::try_from(selected.len()).unwrap_or(i64::MAX);
        Ok(Page { total, resources: self.shown(tx, self.query.cut(selected))? })
    }

    /// Returns users as a page shows them.
    fn shown(&self, tx: &ReadTx<'_>, accounts: Vec<User>) -> Result<Vec<Object>, MatrixError> {
        let all = view::users(tx, &self.app, accounts, self.query.shown.has("groups"))?;
        Ok(all.into_iter().map(with_version).collect())
    }
}

/// An order of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Name,
    DisplayName,
    Created,
}

impl Order {
    /// Returns the order that a query asks for.
    fn of(query: &Query) -> Result<Self, MatrixError> {
        match query.sort_by {
            None | Some(("userName" | "id", None)) => Ok(Self::Name),
            Some(("displayName", None) | ("name", Some("formatted"))) => Ok(Self::DisplayName),
            Some(("meta", Some("created"))) => Ok(Self::Created),
            Some((name, _)) => Err(invalid_value(format!("Users cannot be sorted by '{name}'"))),
        }
    }

    /// Returns the order as lists name it.
    fn of_lists(self) -> OrderBy {
        match self {
            Self::Name => OrderBy::Name,
            Self::DisplayName => OrderBy::Column(Column::Displayname),
            Self::Created => OrderBy::Column(Column::CreatedTs),
        }
    }

    /// Sorts a few accounts as lists do.
    fn sort(self, accounts: &mut [User], descending: bool) {
        accounts.sort_by(|a, b| {
            let ordering = match self {
                Self::Name => a.user_id.cmp(&b.user_id),
                Self::DisplayName => by_display_name(a).cmp(&by_display_name(b)),
                Self::Created => a.created_ts.cmp(&b.created_ts),
            };
            let ordering = if descending { ordering.reverse() } else { ordering };
            ordering.then_with(|| a.user_id.cmp(&b.user_id))
        });
    }
}

/// Returns the sort key of an account by display name. Those without one come last.
fn by_display_name(account: &User) -> (bool, Option<&str>) {
    (account.displayname.is_none(), account.displayname.as_deref())
}

/// Returns the accounts among which a filter selects.
fn source(app: &App, filter: Option<&Filter>) -> Source {
    if let Some(lookups) = filter.and_then(|filter| filter.lookups(&lookup)) {
        return Source::Lookups(lookups);
    }
    let terms: Vec<&Filter> = match filter {
        None => Vec::new(),
        Some(Filter::And(parts)) => parts.iter().collect(),
        Some(term) => vec![term],
    };
    let is_locking = app.scim.inactive == Inactive::Lock;
    if is_locking {
        let locked = match terms.as_slice() {
            [] => Some(None),
            [term] => active(term).map(|active| Some(!active)),
            [_, _, ..] => None,
        };
        if let Some(locked) = locked {
            return Source::List { locked };
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
    match values.name() {
        ("meta", Some("created")) => narrow_by_creation(selection, *operator, text),
        ("roles", None | Some("value")) => {
            let is_first = *operator == Operator::Eq && selection.role.is_none();
            if is_first {
                selection.role = Some(text.clone());
            }
            is_first
        }
        ("displayName", None) | ("name", Some("formatted")) if operator.needs_substring() => {
            selection.name = Some(text.clone());
            false
        }
        ("userName", None) if operator.needs_substring() && is_of_localpart(app, text) => {
            selection.name = Some(text.clone());
            false
        }
        ("emails", None | Some("value")) if operator.needs_substring() => {
            selection.email = Some(text.clone());
            false
        }
        // By other attributes no selection is made.
        (_, _) => false,
    }
}

/// Narrows a selection to the accounts whose time of creation compares with a text. Returns true if that is all the text says.
fn narrow_by_creation(selection: &mut Selection, operator: Operator, text: &str) -> bool {
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

/// Returns true if a text in a user name, in any case of letters, is in the localpart as it is: it needs no escapes, and is not a
/// part of the domain that localparts do without.
fn is_of_localpart(app: &App, text: &str) -> bool {
    let text = text.to_lowercase();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let is_in_domain = app.scim.user_name_domain.as_ref().is_some_and(|domain| domain.contains(&text));
    text.chars().all(is_plain) && !is_in_domain
}

/// Returns the lookup that finds the accounts with a value of an attribute; `None` if it cannot be looked up.
fn lookup(name: Name, text: &str) -> Option<Lookup> {
    let text = text.to_owned();
    match name {
        ("userName", None) => Some(Lookup::UserName(text)),
        ("id" | "userId", None) => Some(Lookup::Id(text)),
        ("externalId", None) => Some(Lookup::ExternalId(text)),
        ("emails", None | Some("value")) => Some(Lookup::Address { medium: "email", address: text }),
        ("phoneNumbers", None | Some("value")) => Some(Lookup::Address { medium: "msisdn", address: text }),
        (_, _) => None,
    }
}

impl Lookup {
    /// Returns the accounts, which need not be resources.
    fn find(&self, tx: &ReadTx<'_>, app: &App) -> Result<Vec<User>, DbError> {
        let by_num = |num: Option<UserNum>| match num {
            Some(num) => users::by_num(tx, num),
            None => Ok(None),
        };
        let found = match self {
            Self::Id(user_id) => users::find(tx, user_id)?,
            Self::UserName(name) => {
                let user_id = format!("@{}:{}", view::names(app).localpart(name), app.server_name);
                return users::by_ids(tx, &users::any_case(tx, &user_id, MAX_OF_NAME)?);
            }
            Self::ExternalId(id) => by_num(external_ids::find_user(tx, &app.scim.external_id_provider, id)?)?,
            Self::Address { medium, address } => match threepids::canonical(medium, address) {
                Ok(address) => by_num(stored_threepids::find_user(tx, medium, &address)?)?,
                // A text that is no address belongs to nobody.
                Err(_) => None,
            },
        };
        Ok(found.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter;
    use crate::place::Resource;

    #[test]
    fn lookups_of_filters() {
        let found = |text: &str| filter::parse(Resource::User, text).unwrap().lookups(&lookup);
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
