//! Selections of accounts on the command line.

use std::sync::Arc;

use reeve_admin_api::Export;
use reeve_db::{DbError, ReadTx};
use reeve_model::Ctx;
use reeve_store::{
    Paging, Roster, Selection,
    lists::roster::{Asked, Start},
    lists::users::{self as user_list, Filter, OrderBy, UserPage},
    users,
};
use url::form_urlencoded;

use super::{Failure, operator::Operator, terminal::print};

/// Reads filters, each a name and a value, as the endpoints do that have them as query parameters.
pub(super) fn wanted(filters: &[String], more: &[(&str, String)]) -> Result<Export, Failure> {
    let mut pairs = Vec::new();
    for filter in filters {
        let (name, value) = filter
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("the filter {filter:?} is not of the form NAME=VALUE")))?;
        if !Export::is_filter(name) {
            return Err(Failure::new(format!("there is no filter '{name}'")));
        }
        pairs.push((name, value));
    }
    pairs.extend(more.iter().map(|(name, value)| (*name, &**value)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Export::parse(&query).map_err(|error| Failure::new(error.error.into_owned()))
}

/// The accounts that are listed.
pub(super) enum Listed {
    /// Those of Synapse's list.
    Filter(Filter),
    /// A selection.
    Selection(Box<Selection>),
}

impl Listed {
    /// Returns the first of them, by user id.
    pub(super) fn page(&self, tx: &ReadTx<'_>, server_name: &str, limit: i64) -> Result<UserPage, DbError> {
        let selection = match self {
            Self::Filter(filter) => {
                let paging = Paging { from: 0, limit };
                return user_list::page(tx, server_name, filter, OrderBy::Name, false, paging);
            }
            Self::Selection(selection) => selection,
        };
        let asked = Asked { order_by: OrderBy::Name, descending: false, start: Start::Offset(0), limit };
        let found = Roster::default().page(tx, server_name, selection, &asked)?.ok_or(DbError::NoRow)?;
        Ok(UserPage { users: users::by_nums(tx, &found.nums)?, total: found.total })
    }
}

/// Writes the accounts of a selection to standard output, in as many transactions as are needed.
pub(super) async fn export(operator: &Operator, export: Export) -> Result<(), Failure> {
    let (roster, export) = (Arc::new(Roster::default()), Arc::new(export));
    print(&export.head())?;
    let mut after = None;
    let (known, wanted) = (Arc::clone(&roster), Arc::clone(&export));
    let choose =
        move |tx: &ReadTx<'_>, ctx: &Ctx| Ok(known.choose(tx, &ctx.server_name, wanted.selection())?);
    let chosen = Arc::new(operator.read(choose).await?);
    loop {
        let (roster, export, chosen) = (Arc::clone(&roster), Arc::clone(&export), Arc::clone(&chosen));
        let step = operator.read(move |tx, _| Ok(export.step(tx, &roster, &chosen, after)?)).await?;
        print(&step.text)?;
        if step.last.is_none() {
            return Ok(());
        }
        after = step.last;
    }
}
