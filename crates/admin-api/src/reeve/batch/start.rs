//! Shows what an act on a selection would do, and starts it.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use reeve_app::{Access, Answer, App, Call, MatrixError, Route, body, reply};
use reeve_batch::{self as batch, Confirmed, LeftOut, MAX_INCLUDED, MAX_USERS, Order, Preview, Selection};
use reeve_model::{Scope, id};
use reeve_store::Roster;
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use super::super::read;
use super::BatchView;
use super::act::BatchAct;
use crate::users::selection as filters;

/// Maximum size of the body beside what the settings allow, in bytes: the selected user ids.
const USER_IDS: usize = 16 * 1024 * 1024;

body! {
    /// An act on a selection of accounts.
    pub(crate) struct StartBatch {
        /// The selected accounts.
        selection: BatchSelection,
        /// The act on each.
        act: BatchAct,
        /// True to see what would be done, and to get the confirmation.
        dry_run?: bool,
        /// The confirmation of the same order. Needed unless `dry_run` is true.
        confirm?: String,
        /// A text of the caller's choice, of 1 to 255 bytes. A request that repeats it and the order returns the batch that
        /// the first one started.
        idempotency_key?: String,
        /// The user ids of up to 1000 protected accounts that the act may concern: the caller's own, and owners of the
        /// server.
        include?: Vec<String>,
        ..unknown
    }

    /// A selection: either user ids or a filter.
    pub(crate) struct BatchSelection {
        /// Up to 100,000 user ids.
        user_ids?: Vec<String>,
        /// The accounts that `GET /_reeve/admin/v1/users` lists with these filters when the batch is started. The names and values
        /// are those of its query parameters; `not_user_type` is a list.
        #[schema(example = json!({ "suspended": true, "last_seen_before": 1_700_000_000_000_i64 }))]
        filter?: reeve_app::shape::AnyObject,
        ..unknown
    }
}

/// The preview of a batch, or the batch: one of the two.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// Present for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<BatchPreview>,
    /// Present otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchView>,
}

/// The preview of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchPreview {
    /// The number of selected accounts.
    total: i64,
    /// The number of accounts on which the act would be done.
    concerned: i64,
    left_out: BatchLeftOut,
    /// The first accounts on which the act would be done, up to 100.
    user_ids: Vec<String>,
    /// The `confirm` of the request that starts the batch, valid once.
    confirm: String,
    /// The time until which it is valid, in milliseconds.
    confirm_until_ts: i64,
}

/// The accounts that are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchLeftOut {
    /// The caller's own account, if it is selected.
    requester: i64,
    /// Owners of the server.
    owners: i64,
    /// Accounts whose role holds a scope that the caller lacks.
    above: i64,
    /// User ids of no account, which are not in `total`.
    unknown: i64,
}

pub(crate) fn route() -> Route {
    Route::post(super::PATH, handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("startUserBatch")
        .summary("Shows what an act on a selection of accounts would do, or starts it")
        .description(
            "A dry run returns the number of accounts and a confirmation, with which the same order of the same caller can \
             be started within ten minutes. The caller needs the scope of the act. The batch goes on as a job, with the \
             rights that the caller holds when it comes to an account.",
        )
        .max_body(|app: &App| app.http.max_body.saturating_add(USER_IDS))
        .takes::<StartBatch>()
        .returns::<BatchAnswer>(200)
        .returns::<BatchAnswer>(201)
        .errors(&[
            (400, "M_MISSING_PARAM", "`selection`, `act`, `confirm` or a parameter of the act is missing"),
            (400, "M_BAD_JSON", "a value has the wrong type"),
            (
                400,
                "M_INVALID_PARAM",
                "a key, the act, a parameter of it, a user id or the selection is not valid, or keys contradict each other",
            ),
            (400, "M_UNKNOWN", "a notice cannot be sent, or a room id or alias is malformed"),
            (400, "M_TOO_LARGE", "the selection has more than 100,000 user ids, or `include` more than 1000"),
            (
                403,
                "M_FORBIDDEN",
                "the caller lacks the scope of the act or one of the role, or the confirmation is expired, used, or of \
                 another order or caller",
            ),
            (404, "M_NOT_FOUND", "there is no such role or room"),
            (
                409,
                "M_UNKNOWN",
                "more accounts are selected than were shown, or the idempotency key was used for another order",
            ),
        ])
}

fn not_user_ids(key: &'static str) -> MatrixError {
    MatrixError::bad_json(format!("'{key}' must be a list of strings"))
}

/// Checks that texts are user ids of this server.
fn user_ids(call: &Call, texts: Vec<String>) -> Result<Vec<String>, MatrixError> {
    for text in &texts {
        id::split(text)?;
        if !call.app.home.is_local(text) {
            return Err(MatrixError::invalid_param(format!("'{text}' is not a user of this server")));
        }
    }
    Ok(texts)
}

fn selection(call: &Call, body: BatchSelection) -> Result<Selection, MatrixError> {
    read::refuse_unknown(&body.unknown)?;
    match (body.user_ids.read_or(not_user_ids)?, body.filter.read()?) {
        (Some(ids), None) => {
            if ids.len() > MAX_USERS {
                return Err(MatrixError::bad_request(
                    "M_TOO_LARGE",
                    "A selection has at most 100000 user ids",
                ));
            }
            Ok(Selection::Users(user_ids(call, ids)?))
        }
        (None, Some(filter)) => {
            let filter = filters::from_json(filter.into_iter().collect::<Map<_, _>>().into())?;
            Ok(Selection::Filter(Box::new(filter)))
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(MatrixError::invalid_param("A selection has either 'user_ids' or 'filter'"))
        }
    }
}

/// Returns the roster, loaded for the filter of an order.
async fn roster(call: &Call, order: &Order) -> Result<Arc<Roster>, MatrixError> {
    let (app, any) = (&call.app, reeve_store::Selection::default());
    Ok(app.selections.roster_for(&app.db, order.filter().unwrap_or(&any)).await?)
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<StartBatch>().await?;
    read::refuse_unknown(&body.unknown)?;
    body::require([body.selection.missing(), body.act.missing()])?;
    let dry_run = body.dry_run.read()?.unwrap_or(false);
    let confirm = body.confirm.read()?;
    let key = body.idempotency_key.read()?;
    let include = body.include.read_or(not_user_ids)?.unwrap_or_default();
    if include.len() > MAX_INCLUDED {
        return Err(MatrixError::bad_request("M_TOO_LARGE", "'include' has at most 1000 user ids"));
    }
    let order = Order {
        act: body.act.read()?.read_act()?,
        selection: selection(&call, body.selection.read()?)?,
        include: user_ids(&call, include)?.into_iter().collect::<BTreeSet<_>>(),
    };
    match (dry_run, confirm) {
        (true, None) if key.is_some() => {
            Err(MatrixError::invalid_param("A dry run has no 'idempotency_key'"))
        }
        (true, None) => show(&call, order).await,
        (true, Some(_)) => Err(MatrixError::invalid_param("A dry run has no 'confirm'")),
        (false, None) => Err(MatrixError::missing_params(&["confirm"])),
        (false, Some(confirm)) => start(&call, order, confirm, key).await,
    }
}

/// Shows what an order would do, with a confirmation of it.
async fn show(call: &Call, order: Order) -> Answer {
    let (ctx, app, roster, digest) =
        (call.admin_ctx()?, Arc::clone(&call.app), roster(call, &order).await?, order.digest());
    let preview = call.read(move |tx| batch::preview(tx, &ctx, &app.policy, &roster, &order));
    let preview: Preview = preview.await?;
    let (ctx, total) = (call.admin_ctx()?, preview.total);
    let confirmation = call.write(move |tx| batch::confirm(tx, &ctx, &digest, total)).await?;
    let LeftOut { requester, owners, above, unknown } = preview.left_out;
    reply::ok(&BatchAnswer {
        preview: Some(BatchPreview {
            total,
            concerned: total - preview.left_out.of_selected(),
            left_out: BatchLeftOut { requester, owners, above, unknown },
            user_ids: preview.first,
            confirm: confirmation.token,
            confirm_until_ts: confirmation.expires_ts.get(),
        }),
        batch: None,
    })
}

async fn start(call: &Call, order: Order, token: String, idempotency_key: Option<String>) -> Answer {
    let (ctx, roster, digest) = (call.admin_ctx()?, roster(call, &order).await?, order.digest());
    let wanted = order.selection.clone();
    let chosen = call.read(move |tx| batch::choose(tx, &ctx, &roster, &wanted)).await?;
    let confirmed = Confirmed { order, digest, chosen, token, idempotency_key };
    let (ctx, app) = (call.admin_ctx()?, Arc::clone(&call.app));
    let started = call.write(move |tx| batch::start(tx, &ctx, &app.policy, &confirmed)).await?;
    let id = started.id;
    let view = call.read(move |tx| batch::find(tx, &id)).await?;
    let status = if started.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let batch = Some(BatchView::of(view, call.caller().scopes()));
    Ok(reply::json(status, &BatchAnswer { preview: None, batch }))
}
