//! Lists the accounts of a selection.

use std::collections::HashMap;

use reeve_accounts::selections::Ordered;
use reeve_app::query::Query;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, Scope, User, UserNum};
use reeve_store::external_ids::ExternalId;
use reeve_store::lists::roster::{Asked, Start};
use reeve_store::lists::users::OrderBy;
use reeve_store::threepids::Threepid;
use reeve_store::{devices, external_ids, threepids, users};
use serde::Serialize;
use utoipa::ToSchema;

use super::selection;
use super::view::{ExternalIdView, ThreepidView};
use crate::paging;

/// An account of a selection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SelectedUser {
    /// The full user id.
    #[schema(example = "@alice:example.org")]
    pub(super) name: String,
    #[schema(required)]
    pub(super) displayname: Option<String>,
    #[schema(required)]
    pub(super) avatar_url: Option<String>,
    #[schema(required)]
    pub(super) user_type: Option<String>,
    pub(super) is_guest: bool,
    pub(super) admin: bool,
    /// The role; null if it has none.
    #[schema(required)]
    pub(super) role: Option<String>,
    pub(super) deactivated: bool,
    pub(super) erased: bool,
    pub(super) locked: bool,
    pub(super) suspended: bool,
    pub(super) shadow_banned: bool,
    /// True if the person must change the password before doing anything else that writes.
    pub(super) password_change_required: bool,
    /// The application service that registered it in an exclusive namespace.
    #[schema(required)]
    pub(super) appservice_id: Option<String>,
    /// When the account was created, in milliseconds.
    pub(super) creation_ts: i64,
    /// When it was last seen, in milliseconds.
    #[schema(required)]
    pub(super) last_seen_ts: Option<i64>,
    /// With `include=threepids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threepids: Option<Vec<ThreepidView>>,
    /// With `include=external_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_ids: Option<Vec<ExternalIdView>>,
    /// With `include=devices_count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) devices_count: Option<i64>,
}

/// A page of the accounts of a selection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SelectedUsers {
    users: Vec<SelectedUser>,
    /// The number of accounts of the selection.
    total: i64,
    /// The `token` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The additions to each account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Include {
    pub(super) threepids: bool,
    pub(super) external_ids: bool,
    pub(super) devices_count: bool,
}

impl Include {
    pub(super) fn param() -> Param {
        Param::text(
            "include",
            "what is added to each account, separated by commas: `threepids`, `external_ids`, `devices_count`",
        )
    }

    pub(super) fn read(query: &Query) -> Result<Self, MatrixError> {
        let mut include = Self::default();
        let words = query.utf8("include")?.unwrap_or_default();
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match word {
                "threepids" => include.threepids = true,
                "external_ids" => include.external_ids = true,
                "devices_count" => include.devices_count = true,
                other => {
                    return Err(MatrixError::invalid_param(format!(
                        "Query parameter 'include' has the unknown word '{other}'"
                    )));
                }
            }
        }
        Ok(include)
    }

    /// Returns the accounts with some numbers, in their order.
    pub(super) fn accounts(self, tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<Vec<SelectedUser>, DbError> {
        let mut addresses = if self.threepids { threepids::of_users(tx, nums)? } else { HashMap::default() };
        let mut ids = if self.external_ids { external_ids::of_users(tx, nums)? } else { HashMap::default() };
        let devices =
            if self.devices_count { devices::count_of_users(tx, nums)? } else { HashMap::default() };
        let account = |user: User| {
            let own: Vec<Threepid> = addresses.remove(&user.num).unwrap_or_default();
            let own_ids: Vec<ExternalId> = ids.remove(&user.num).unwrap_or_default();
            SelectedUser {
                role: user.role().map(str::to_owned),
                threepids: self.threepids.then(|| own.into_iter().map(ThreepidView::from).collect()),
                external_ids: self
                    .external_ids
                    .then(|| own_ids.into_iter().map(ExternalIdView::from).collect()),
                devices_count: self
                    .devices_count
                    .then(|| devices.get(&user.num).copied().unwrap_or_default()),
                name: user.user_id,
                displayname: user.displayname,
                avatar_url: user.avatar_url,
                user_type: user.user_type,
                is_guest: user.is_guest,
                admin: user.admin,
                deactivated: user.deactivated,
                erased: user.erased,
                locked: user.locked,
                suspended: user.suspended,
                shadow_banned: user.shadow_banned,
                password_change_required: user.password_change_required,
                appservice_id: user.appservice_id,
                creation_ts: user.created_ts.get(),
                last_seen_ts: user.last_seen_ts.map(Millis::get),
            }
        };
        Ok(users::by_nums(tx, nums)?.into_iter().map(account).collect())
    }
}

pub(crate) fn route() -> Route {
    let token = Param::text(
        "token",
        "the `next_token` of the page before, instead of `from`; it is good for the same filters and order",
    );
    let paging = paging::params("accounts").into_iter().chain(selection::order());
    Route::get("/_reeve/admin/v1/users", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("selectUsers")
        .summary("Lists the accounts to which all given filters apply")
        .description(
            "Filters can be combined at will, and `total` is exact. Unknown and contradictory filters are refused. With \
             `token` an account that stays where it is comes once, also if others are added or change meanwhile.",
        )
        .query(selection::params().into_iter().chain(paging).chain([token, Include::param()]))
        .returns::<SelectedUsers>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "a parameter is unknown, malformed or given twice, filters contradict each other, or `token` belongs to others",
        )])
}

async fn handle(call: Call) -> Answer {
    let selection = selection::from_query(&call.query)?;
    let query = &call.query;
    let order_by = query.choice("order_by", OrderBy::ALL)?.unwrap_or(OrderBy::Name);
    let descending = query.backwards()?.unwrap_or(false);
    let limit = paging::limit(query)?;
    let include = Include::read(query)?;
    let ordered = Ordered { selection, order_by, descending };
    let start = match (query.integer("from")?, query.utf8("token")?) {
        (Some(_), Some(_)) => {
            return Err(MatrixError::invalid_param("'from' and 'token' cannot be combined"));
        }
        (from, None) => Start::Offset(from.unwrap_or(0)),
        (None, Some(token)) => Start::After(ordered.mark(&token).ok_or_else(foreign)?),
    };
    let asked = Asked { order_by, descending, start, limit };
    let roster = call.app.selections.roster_for(&call.app.db, &ordered.selection).await?;
    let server_name = call.app.server_name.clone();
    let page = call.read(move |tx| -> Result<_, MatrixError> {
        let found = roster.page(tx, &server_name, &ordered.selection, &asked)?.ok_or_else(foreign)?;
        Ok(SelectedUsers {
            users: include.accounts(tx, &found.nums)?,
            total: found.total,
            next_token: found.next.map(|mark| ordered.token(mark)),
        })
    });
    reply::ok(&page.await?)
}

fn foreign() -> MatrixError {
    MatrixError::invalid_param("Query parameter 'token' must be a next_token of the same filters and order")
}
