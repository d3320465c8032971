//! The accounts that an order selects. [`shown`] and [`walk`] are the two ways in which filters are read.

use std::collections::BTreeSet;

use reeve_accounts::rights;
use reeve_db::{DbError, ReadTx};
use reeve_model::{BuiltInRole, Ctx, Scopes, User, UserNum};
use reeve_store::lists::users::{self as list, OrderBy, Term};
use reeve_store::{Paging, roles, users};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Maximum number of accounts that an order names.
pub const MAX_USERS: usize = 100_000;
/// Number of accounts that a preview shows.
const SHOWN: i64 = 100;
/// Number of user ids that are looked up at once.
const AT_ONCE: usize = 5000;
/// Range of account numbers that one step of a walk reads.
const WINDOW: i64 = 20_000;
/// Maximum number of holders of a role that a preview counts.
const HOLDERS: i64 = 10_000;

/// The accounts of a list. `None` accepts all, `Some(x)` those whose flag is `x`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// A substring of localpart or display name.
    pub name: Option<String>,
    /// A substring of the user id; ignored if there is a name.
    pub user_id: Option<String>,
    /// Guests or not.
    pub guests: Option<bool>,
    /// Deactivated or not.
    pub deactivated: Option<bool>,
    /// Locked or not.
    pub locked: Option<bool>,
    /// Owners of the server or not.
    pub admins: Option<bool>,
    /// User types to leave out; `None` among them means accounts without a type.
    pub not_user_types: Vec<Option<String>>,
}

impl Filter {
    fn of_list(&self) -> list::Filter {
        let Self { name, user_id, guests, deactivated, locked, admins, not_user_types } = self.clone();
        list::Filter {
            term: name.map(Term::Name).or_else(|| user_id.map(Term::UserId)),
            guests,
            deactivated,
            locked,
            admins,
            not_user_types,
        }
    }
}

/// The selected accounts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Those with these user ids.
    Users(Vec<String>),
    /// Those that a filter accepts.
    Filter(Filter),
}

/// The accounts that an order selects, but leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The requester: 0 or 1.
    pub requester: i64,
    /// Owners of the server.
    pub owners: i64,
    /// Accounts whose role holds a scope that the requester lacks.
    pub above: i64,
    /// User ids of no account.
    pub unknown: i64,
}

/// The part of a preview about a selection.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The number of selected accounts.
    pub(crate) total: i64,
    /// The first accounts on which the act would be done.
    pub(crate) first: Vec<String>,
    /// The accounts that are left out.
    pub(crate) left_out: LeftOut,
}

/// The reason why an account is left out.
enum Reason {
    Requester,
    Owner,
    Above,
}

fn left_out(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    include: &BTreeSet<String>,
    user: &User,
) -> Result<Option<Reason>, Error> {
    if !include.contains(&user.user_id) {
        if ctx.is_by(&user.user_id) {
            return Ok(Some(Reason::Requester));
        }
        if user.admin {
            return Ok(Some(Reason::Owner));
        }
    }
    match rights::check_may_change(tx, ctx, user) {
        Ok(()) => Ok(None),
        Err(reeve_accounts::Error::Db(error)) => Err(error.into()),
        Err(_) => Ok(Some(Reason::Above)),
    }
}

impl LeftOut {
    fn add(&mut self, reason: &Reason) {
        match reason {
            Reason::Requester => self.requester += 1,
            Reason::Owner => self.owners += 1,
            Reason::Above => self.above += 1,
        }
    }

    /// The number of accounts among the selected ones.
    pub const fn of_selected(&self) -> i64 {
        self.requester + self.owners + self.above
    }
}

/// Returns the accounts with some user ids, by their number.
fn named(tx: &ReadTx<'_>, user_ids: &[String]) -> Result<Vec<User>, DbError> {
    let mut found = Vec::new();
    for some in user_ids.chunks(AT_ONCE) {
        found.extend(users::by_ids(tx, some)?);
    }
    found.sort_by_key(|user| user.num);
    found.dedup_by_key(|user| user.num);
    Ok(found)
}

/// Returns the numbers of the accounts with some user ids, in order.
pub(crate) fn nums(tx: &ReadTx<'_>, user_ids: &[String]) -> Result<Vec<UserNum>, DbError> {
    Ok(named(tx, user_ids)?.into_iter().map(|user| user.num).collect())
}

/// Returns the number of accounts that a filter accepts, and the first of them.
fn page(tx: &ReadTx<'_>, ctx: &Ctx, filter: &Filter, limit: i64) -> Result<(i64, Vec<User>), DbError> {
    let paging = Paging { from: 0, limit };
    let page = list::page(tx, &ctx.server_name, &filter.of_list(), OrderBy::Name, false, paging)?;
    Ok((page.total, page.users))
}

/// Returns the number of accounts that a filter accepts.
pub(crate) fn count(tx: &ReadTx<'_>, ctx: &Ctx, filter: &Filter) -> Result<i64, DbError> {
    Ok(page(tx, ctx, filter, 0)?.0)
}

/// Returns true if a filter accepts an account.
fn accepts(tx: &ReadTx<'_>, ctx: &Ctx, filter: &Filter, num: UserNum) -> Result<bool, DbError> {
    let before = UserNum::new(num.get() - 1);
    Ok(!list::selected(tx, &ctx.server_name, &filter.of_list(), before, num)?.is_empty())
}

/// A step of a walk over the accounts that a filter accepts, by number.
pub(crate) struct Walked {
    /// The accepted accounts of the step.
    pub(crate) nums: Vec<UserNum>,
    /// The last number that was looked at; `None` at the end.
    pub(crate) upto: Option<UserNum>,
}

/// Walks on after a number.
pub(crate) fn walk(tx: &ReadTx<'_>, ctx: &Ctx, filter: &Filter, after: UserNum) -> Result<Walked, DbError> {
    let upto = UserNum::new(after.get() + WINDOW);
    let nums = list::selected(tx, &ctx.server_name, &filter.of_list(), after, upto)?;
    let is_end = users::highest_num(tx)? <= upto;
    Ok(Walked { nums, upto: (!is_end).then_some(upto) })
}

/// Returns what a selection concerns.
pub(crate) fn shown(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    selection: &Selection,
    include: &BTreeSet<String>,
) -> Result<Shown, Error> {
    match selection {
        Selection::Users(user_ids) => of_users(tx, ctx, user_ids, include),
        Selection::Filter(filter) => of_filter(tx, ctx, filter, include),
    }
}

fn of_users(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    user_ids: &[String],
    include: &BTreeSet<String>,
) -> Result<Shown, Error> {
    let different = user_ids.iter().collect::<BTreeSet<_>>().len();
    let found = named(tx, user_ids)?;
    let mut counted = LeftOut { unknown: length(different) - length(found.len()), ..LeftOut::default() };
    let mut first = Vec::new();
    for user in &found {
        match left_out(tx, ctx, include, user)? {
            Some(reason) => counted.add(&reason),
            None if length(first.len()) < SHOWN => first.push(user.user_id.clone()),
            None => {}
        }
    }
    first.sort();
    Ok(Shown { total: length(found.len()), first, left_out: counted })
}

fn of_filter(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    filter: &Filter,
    include: &BTreeSet<String>,
) -> Result<Shown, Error> {
    let (total, users) = page(tx, ctx, filter, SHOWN)?;
    let mut first = Vec::new();
    for user in users {
        if left_out(tx, ctx, include, &user)?.is_none() {
            first.push(user.user_id);
        }
    }
    let mut counted = LeftOut::default();
    // Owners are a class of the list. Those who are left out for another reason are counted below.
    if filter.admins != Some(false) {
        counted.owners = count(tx, ctx, &Filter { admins: Some(true), ..filter.clone() })?;
    }
    let mut others: BTreeSet<UserNum> = BTreeSet::new();
    let named: Vec<String> = include.iter().cloned().collect();
    let requester = ctx.account().map(str::to_owned);
    others.extend(nums(tx, &named)?);
    others.extend(nums(tx, requester.as_slice())?);
    for role in above(tx, ctx.scopes)? {
        others.extend(roles::holders(tx, &role, HOLDERS)?);
    }
    for num in others {
        let Some(user) = users::by_num(tx, num)? else { continue };
        if !accepts(tx, ctx, filter, num)? {
            continue;
        }
        if user.admin {
            counted.owners -= 1;
        }
        if let Some(reason) = left_out(tx, ctx, include, &user)? {
            counted.add(&reason);
        }
    }
    Ok(Shown { total, first, left_out: counted })
}

/// Returns the names of the roles, other than owner, that hold a scope which is not among some.
fn above(tx: &ReadTx<'_>, scopes: Scopes) -> Result<Vec<String>, DbError> {
    let built_in = BuiltInRole::WORDS.iter().filter(|(_, role)| *role != BuiltInRole::Owner);
    let built_in = built_in.map(|(name, role)| ((*name).to_owned(), role.scopes()));
    let own = roles::own(tx)?.into_iter().map(|role| (role.name, role.scopes));
    let all = built_in.chain(own).filter(|(_, held)| held.beyond(scopes).is_some());
    Ok(all.map(|(name, _)| name).collect())
}

fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
