//! The accounts that an order selects.

use std::collections::BTreeSet;

use reeve_accounts::rights;
use reeve_db::{DbError, ReadTx};
use reeve_model::{BuiltInRole, Ctx, User, UserNum};
use reeve_store::lists::roster::Chosen;
use reeve_store::{Roster, Selection as Filter, roles, users};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Maximum number of accounts that an order names.
pub const MAX_USERS: usize = 100_000;
/// Number of accounts that a preview shows.
const SHOWN: usize = 100;
/// Number of user ids that are looked up at once.
const AT_ONCE: usize = 5000;

/// The selected accounts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Those with these user ids.
    Users(Vec<String>),
    /// Those of the list of accounts with some filters.
    Filter(Box<Filter>),
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
    fn add(&mut self, reason: &Reason, n: i64) {
        *match reason {
            Reason::Requester => &mut self.requester,
            Reason::Owner => &mut self.owners,
            Reason::Above => &mut self.above,
        } += n;
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

/// Returns the accounts that are selected at present. The roster answers for a filter, and reads committed data alone: so they are
/// chosen before the transaction that starts the batch.
pub fn choose(tx: &ReadTx<'_>, ctx: &Ctx, roster: &Roster, selection: &Selection) -> Result<Chosen, DbError> {
    Ok(match selection {
        Selection::Users(user_ids) => {
            let nums: Vec<UserNum> = named(tx, user_ids)?.into_iter().map(|user| user.num).collect();
            Chosen::of(&nums)?
        }
        Selection::Filter(filter) => roster.choose(tx, &ctx.server_name, filter)?,
    })
}

/// Returns what a selection concerns.
pub(crate) fn shown(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    roster: &Roster,
    selection: &Selection,
    include: &BTreeSet<String>,
) -> Result<Shown, Error> {
    match selection {
        Selection::Users(user_ids) => of_users(tx, ctx, user_ids, include),
        Selection::Filter(_) => {
            let chosen = choose(tx, ctx, roster, selection)?;
            of_chosen(tx, ctx, roster, &chosen, include)
        }
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
            Some(reason) => counted.add(&reason, 1),
            None if first.len() < SHOWN => first.push(user.user_id.clone()),
            None => {}
        }
    }
    first.sort();
    Ok(Shown { total: length(found.len()), first, left_out: counted })
}

fn of_chosen(
    tx: &ReadTx<'_>,
    ctx: &Ctx,
    roster: &Roster,
    chosen: &Chosen,
    include: &BTreeSet<String>,
) -> Result<Shown, Error> {
    let mut first = Vec::new();
    for user in users::by_nums(tx, &roster.by_name(tx, chosen, None, SHOWN)?)? {
        if left_out(tx, ctx, include, &user)?.is_none() {
            first.push(user.user_id);
        }
    }
    let mut counted = LeftOut::default();
    for (role, n) in roster.roles(tx, chosen)? {
        if let Some(reason) = by_role(tx, ctx, role.as_deref())? {
            counted.add(&reason, n);
        }
    }
    // Those who are named, and the requester, are left out for other reasons, or not at all.
    let others: BTreeSet<&str> = include.iter().map(String::as_str).chain(ctx.account()).collect();
    let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
    for user in named(tx, &others)? {
        if !chosen.has(user.num) {
            continue;
        }
        if let Some(reason) = by_role(tx, ctx, user.role())? {
            counted.add(&reason, -1);
        }
        if let Some(reason) = left_out(tx, ctx, include, &user)? {
            counted.add(&reason, 1);
        }
    }
    Ok(Shown { total: chosen.count(), first, left_out: counted })
}

/// Returns the reason why accounts with a role are left out, unless they are named.
fn by_role(tx: &ReadTx<'_>, ctx: &Ctx, role: Option<&str>) -> Result<Option<Reason>, DbError> {
    let Some(role) = role else { return Ok(None) };
    if role == BuiltInRole::Owner.as_str() {
        return Ok(Some(Reason::Owner));
    }
    let is_above = roles::find(tx, role)?.is_some_and(|role| role.scopes.beyond(ctx.scopes).is_some());
    Ok(is_above.then_some(Reason::Above))
}

fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
