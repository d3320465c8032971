//! Archives of everything about the account, for its owner; and the download of archives.

mod download;

use http::StatusCode;
use reeve_accounts::sessions::owner;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Param, Reading, Route, body, reply};
use reeve_export::{ExportLink, ExportView};
use reeve_model::Millis;
use reeve_store::SortKey;
use reeve_store::exports::Options;
use serde::Serialize;
use utoipa::ToSchema;

use crate::uia::{self, Authentication};

const ALL: &str = "/_reeve/client/v1/exports";
const ONE: &str = "/_reeve/client/v1/exports/{id}";
/// Maximum and default number of exports in a page.
const PAGE: i64 = 100;

const MISSING: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "the account has no such export, or its time is over");
const ACTS_AS: (u16, &str, &str) = (403, "M_FORBIDDEN", "the token is a login-as token");

body! {
    /// The parts of an archive that can be left out, and its encryption.
    pub(crate) struct OrderOwnExport {
        /// True for the history of rooms, as far as the account can see it; false by default.
        history?: bool,
        /// False to leave out the files that the account uploaded; true by default.
        media?: bool,
        /// The age recipient (`age1…`) to which the archive is encrypted.
        recipient: Option<String>,
        auth: Option<AnyObject>,
    }
}

/// A page of the exports that the account ordered, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnExports {
    exports: Vec<ExportView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(ALL, order)
            .access(Access::User)
            .id("orderOwnExport")
            .takes::<OrderOwnExport>()
            .returns::<ExportView>(201)
            .interactive()
            .summary("Orders an archive of everything about the account")
            .description(
                "One can be ordered in a time that the settings bound, a day by default, whatever becomes of it. It is written \
                 in the background, replaces the former one when it is complete, and is deleted after some days. An archive \
                 that would have been too large is not ordered again, with as many parts, as long as the order is kept.",
            )
            .errors(&[
                (400, "M_BAD_JSON", "a value has the wrong type"),
                (400, "M_INVALID_PARAM", "the recipient is not valid"),
                (403, "M_FORBIDDEN", "the server makes none for users, or the token is a login-as token"),
                (409, "M_UNKNOWN", "the export before is not over"),
                (429, "M_LIMIT_EXCEEDED", "an export was ordered lately, or one of these parts was too large"),
            ]),
        Route::read(ALL, list)
            .access(Access::User)
            .id("listOwnExports")
            .returns::<OwnExports>(200)
            .summary("Lists the archives that the account ordered, the newest first")
            .query([
                Param::integer("limit", "maximum number of exports, from 1 to 100; 100 by default"),
                Param::text("from", "the `next_token` of the page before"),
            ])
            .errors(&[(
                400,
                "M_INVALID_PARAM",
                "`limit` is malformed, or `from` is not a `next_token` of this list",
            )]),
        Route::read(ONE, get)
            .access(Access::User)
            .id("getOwnExport")
            .returns::<ExportView>(200)
            .summary("Returns the state of an archive that the account ordered")
            .errors(&[MISSING]),
        Route::delete(ONE, delete)
            .access(Access::User)
            .id("deleteOwnExport")
            .returns::<shape::Empty>(200)
            .summary("Deletes an archive that the account ordered, or ends the work on it")
            .errors(&[MISSING, ACTS_AS, (409, "M_UNKNOWN", "it was deleted before, or was too large")]),
        Route::post("/_reeve/client/v1/exports/{id}/link", link)
            .access(Access::User)
            .id("createOwnExportLink")
            .may_take::<Authentication>()
            .returns::<ExportLink>(200)
            .interactive()
            .summary("Makes the link to download an archive, which ends a former one")
            .errors(&[MISSING, ACTS_AS, (409, "M_UNKNOWN", "the archive is not ready")]),
        download::route(),
    ]
}

async fn order(mut call: Call) -> Answer {
    let body: OrderOwnExport = call.take().await?;
    let options = Options {
        history: body.history.read()?.unwrap_or(false),
        media: body.media.read()?.unwrap_or(true),
        recipient: body.recipient.read()?,
    };
    uia::owner(&call, &body.auth).await?;
    let (ctx, settings) = (call.ctx(), *call.app.exports.settings());
    let ordered = call
        .act(move |tx, session| reeve_export::order_own(tx, &ctx, &settings, owner(session)?, &options))
        .await?;
    Ok(reply::json(StatusCode::CREATED, &ExportView::from(&ordered)))
}

fn list(call: &Reading<'_>) -> Answer {
    let limit = call.query.integer("limit")?.unwrap_or(PAGE).clamp(1, PAGE);
    let from = match call.query.ascii("from")? {
        None => SortKey::at(Millis::MAX),
        Some(token) => SortKey::parse(&token).ok_or_else(|| {
            MatrixError::invalid_param("Query parameter 'from' must be a next_token of this list")
        })?,
    };
    let mut exports = reeve_export::list(call.tx, call.user()?, true, &from, limit + 1)?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = exports.len() <= size;
    exports.truncate(size);
    let next_token = exports.last().filter(|_| !is_last).map(|last| last.sort_key().to_string());
    reply::ok(&OwnExports { exports: exports.iter().map(ExportView::from).collect(), next_token })
}

fn get(call: &Reading<'_>) -> Answer {
    let export = reeve_export::find_own(call.tx, call.user()?, call.params.get("id"), call.now)?;
    reply::ok(&ExportView::from(&export))
}

async fn delete(call: Call) -> Answer {
    let (ctx, id, settings) = (call.ctx(), call.param("id"), *call.app.exports.settings());
    call.act(move |tx, session| reeve_export::delete_own(tx, &ctx, &settings, owner(session)?, &id)).await?;
    call.app.media.wake_sweeper();
    reply::empty()
}

async fn link(mut call: Call) -> Answer {
    let body: Authentication = call.take().await?;
    uia::owner(&call, &body.auth).await?;
    let (ctx, id, settings) = (call.ctx(), call.param("id"), *call.app.exports.settings());
    let made = call
        .act(move |tx, session| reeve_export::create_link(tx, &ctx, &settings, Some(owner(session)?), &id))
        .await?;
    reply::ok(&ExportLink::from(made))
}
