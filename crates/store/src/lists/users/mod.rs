//! The list of accounts: filtered, sorted and paged by offset, in milliseconds at any size.
//!
//! A filter selects *classes* (combinations of flags, `class`). For each order (`order`) there is an index that begins
//! with the class, so that each class is one index range (`rows`). A page is a merge of the ranges of the selected
//! classes (`merge`), entered at the right position (`walk`) by counts (`counts`). A search finds accounts by n-grams
//! (`search`). A bulk load (`bulk`) ends with a rebuild of all of it (`rebuild`). Each of these files uses only earlier
//! ones in this text, except that `bulk` uses `rebuild`.

#[macro_use]
mod sql;

pub mod bulk;
mod class;
pub(crate) mod counts;
mod merge;
mod order;
mod rebuild;
mod rows;
pub mod search;
mod walk;

use reeve_db::{DbError, Engine, ReadTx, Statement};
use reeve_model::{User, UserNum};

pub use self::class::Flag;
use self::class::{Class, ClassCount, sum};
pub(crate) use self::merge::{Merge, Segment, Start as MergeStart};
pub use self::order::{Column, OrderBy};
pub(crate) use self::order::{Key, List, Position, candidates};
pub use self::search::Term;
use self::walk::Asked;
use crate::lists::ngrams::Limit;
use crate::paging::{Paging, count_of};
use crate::users;

/// The maximum number of accounts that a search looks up, since it keeps those that match.
const MAX_LOOKED_UP: i64 = 250_000;

/// Every statement of the list of accounts.
pub(crate) fn statements() -> Vec<&'static Statement> {
    let others = [counts::STATEMENTS, rebuild::STATEMENTS, search::STATEMENTS, bulk::STATEMENTS];
    [order::STATEMENTS.concat(), others.concat()].concat()
}

/// The accounts that a list shows. `None` accepts all, `Some(x)` those whose flag is `x`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A substring to look for.
    pub term: Option<Term>,
    /// Guests or not.
    pub guests: Option<bool>,
    /// Deactivated or not.
    pub deactivated: Option<bool>,
    /// Locked or not.
    pub locked: Option<bool>,
    /// Administrators or not.
    pub admins: Option<bool>,
    /// User types to leave out; `None` among them means accounts without a type.
    pub not_user_types: Vec<Option<String>>,
}

impl Filter {
    fn admits(&self, class: &Class<'_>) -> bool {
        let agrees = |wanted: Option<bool>, flag| wanted.is_none_or(|wanted| wanted == class.has(flag));
        agrees(self.guests, Flag::IsGuest)
            && agrees(self.admins, Flag::Admin)
            && agrees(self.deactivated, Flag::Deactivated)
            && agrees(self.locked, Flag::Locked)
            && !self.not_user_types.iter().any(|excluded| excluded.as_deref() == class.user_type)
    }
}

/// A page of the list.
#[derive(Debug)]
pub struct UserPage {
    /// The accounts of the page, in order.
    pub users: Vec<User>,
    /// The number of accounts that the filter accepts.
    pub total: i64,
}

/// Returns a page of the accounts that `filter` accepts, sorted by `order_by` (descending if `descending`). Accounts
/// without a value come last ascending and first descending.
pub fn page(
    tx: &ReadTx<'_>,
    server_name: &str,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
) -> Result<UserPage, DbError> {
    let asked = Asked { order_by, descending, paging };
    let term = filter.term.as_ref().filter(|term| !term.matches_domain(server_name));
    let totals = counts::totals(tx)?;
    // The existing classes: accepted ones, and others.
    let (admitted, others): (Vec<ClassCount>, Vec<ClassCount>) =
        (totals.iter().filter(|counted| counted.n > 0))
            .cloned()
            .partition(|counted| filter.admits(&Class::parse(&counted.class)));
    let (nums, total) = match term {
        None => (walk::page(tx, &admitted, asked)?, sum(&admitted)),
        Some(term) => match (look_up(tx, term, filter, sum(&totals), order_by)?, term.pattern(server_name)) {
            (Some(found), _) => {
                let total = count_of(&found);
                (cut(found, asked), total)
            }
            (None, Some(pattern)) => {
                let total = search::count_matches(tx, &pattern, &admitted, &others)?;
                (walk::page_of_matches(tx, &admitted, &pattern, asked, total)?, total)
            }
            (None, None) => (Vec::new(), 0),
        },
    };
    Ok(UserPage { users: users::by_nums(tx, &nums)?, total })
}

/// An account that a search found.
struct Found {
    value: SortValue,
    user_id: String,
    num: UserNum,
}

/// The sort key of a found account before its user id. Accounts without a value come last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum SortValue {
    Flag(bool),
    Key(Key),
    Missing,
}

/// Returns all matching accounts that the filter accepts; `None` if walking over the list is faster than looking them
/// up. `all` is the number of accounts.
fn look_up(
    tx: &ReadTx<'_>,
    term: &Term,
    filter: &Filter,
    all: i64,
    order_by: OrderBy,
) -> Result<Option<Vec<Found>>, DbError> {
    // The number of accounts that can be walked over in the time of looking up and comparing one.
    let cost = match tx.engine() {
        Engine::Sqlite => 8,
        Engine::Postgres => 20,
    };
    let limit = Limit { max: MAX_LOOKED_UP.min(all / cost), of: all };
    search::matches(tx, term, limit, &mut |found| {
        let user_type = found.user_type()?;
        let class = Class::from_bits(found.flags()?, user_type.as_deref());
        if !filter.admits(&class) {
            return Ok(None);
        }
        let value = match order_by {
            OrderBy::Name => SortValue::Missing,
            OrderBy::Column(column) => found.value(column)?.map_or(SortValue::Missing, SortValue::Key),
            OrderBy::Flag(flag) => SortValue::Flag(class.has(flag)),
            OrderBy::UserType => user_type.map_or(SortValue::Missing, |text| SortValue::Key(Key::Text(text))),
        };
        Ok(Some(Found { value, user_id: found.user_id()?, num: found.num()? }))
    })
}

/// Cuts a page from the result of a search. Only the page is sorted.
fn cut(mut found: Vec<Found>, Asked { order_by, descending, paging }: Asked) -> Vec<UserNum> {
    let in_order = |a: &Found, b: &Found| {
        let (by_value, by_user) = (a.value.cmp(&b.value), a.user_id.cmp(&b.user_id));
        match (descending, order_by) {
            (false, _) => by_value.then(by_user),
            (true, OrderBy::Name) => by_user.reverse(),
            (true, OrderBy::Column(_) | OrderBy::Flag(_) | OrderBy::UserType) => {
                by_value.reverse().then(by_user)
            }
        }
    };
    let begin = usize_of(paging.from).min(found.len());
    let end = begin.saturating_add(usize_of(paging.limit)).min(found.len());
    if begin == end {
        return Vec::new();
    }
    if end < found.len() {
        found.select_nth_unstable_by(end, in_order);
        found.truncate(end);
    }
    if begin > 0 {
        found.select_nth_unstable_by(begin, in_order);
    }
    let page = found.get_mut(begin..).unwrap_or_default();
    page.sort_unstable_by(in_order);
    page.iter().map(|found| found.num).collect()
}

fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
