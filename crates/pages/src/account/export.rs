//! Archives of everything about the account.

use std::sync::Arc;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::browser_sessions;
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, body, reply};
use reeve_db::{DbError, ReadTx};
use reeve_model::{ExportState, Millis, User};
use reeve_store::SortKey;
use reeve_store::exports::{Export, Options};
use serde::Serialize;

use crate::links::encoded;
use crate::moment::Moment;
use crate::page;
use crate::problem::Problem;
use crate::proof::{self, PasswordConfirmation};

const PATH: &str = "/_reeve/pages/account/export";
/// Maximum number of archives on the page: the newest.
const MOST: i64 = 20;
const DAY_MS: i64 = 86_400_000;
const MEGABYTE: i64 = 1_000_000;

body! {
    /// An order of an archive, as its page places it.
    pub(crate) struct ExportForm {
        /// Present for the files that the account uploaded.
        media: Option<String>,
        /// Present for the history of rooms.
        history: Option<String>,
        password: Option<String>,
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::SignedIn)
            .id("showExports")
            .query(page::params([page::done()]))
            .summary("Shows the archives that the account ordered, and the form to order one"),
        page::form::<ExportForm>(Route::post(PATH, order), Access::SignedIn)
            .id("orderExportByPage")
            .summary("Orders an archive of everything about the account")
            .errors(&[
                (400, "M_UNKNOWN", "an archive was ordered lately, or is not made yet"),
                (403, "M_FORBIDDEN", "the password is wrong, or the server makes no archives for users"),
                proof::TOO_MANY,
            ]),
        page::form::<PasswordConfirmation>(
            Route::post("/_reeve/pages/account/export/{id}/download", download),
            Access::SignedIn,
        )
        .id("downloadExportByPage")
        .summary("Makes the link to download an archive, and leads to it")
        .errors(&[
            (400, "M_UNKNOWN", "the archive is not ready, or its time is over"),
            (403, "M_FORBIDDEN", "the password is wrong"),
            proof::TOO_MANY,
        ]),
    ]
}

/// An archive, as the page shows it.
#[derive(Serialize)]
struct ExportView {
    id: String,
    created: Moment,
    /// The key of the text for its state.
    state: &'static str,
    megabytes: Option<i64>,
    ends: Option<Moment>,
    /// The path that leads to its download, if it is ready.
    download: Option<String>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        let state = match export.state {
            ExportState::Waiting => "export-state-waiting",
            ExportState::Running => "export-state-running",
            ExportState::Ready => "export-state-ready",
            ExportState::Failed => "export-state-failed",
            ExportState::TooLarge => "export-state-too-large",
            ExportState::Deleted => "export-state-deleted",
        };
        let is_ready = export.state == ExportState::Ready;
        Self {
            created: export.created_ts.into(),
            state,
            // Rounded up, so that none is empty.
            megabytes: export.archive.map(|archive| (archive.length + MEGABYTE - 1) / MEGABYTE),
            ends: export.ends_ts.map(Moment::from),
            download: is_ready.then(|| format!("{PATH}/{}/download", encoded(&export.id))),
            id: export.id,
        }
    }
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    here: &'static str,
    /// True if people can order archives.
    allowed: bool,
    asks_password: bool,
    exports: Vec<ExportView>,
    /// The days for which an archive is kept.
    keep_days: i64,
    media: bool,
    history: bool,
    done: Option<&'static str>,
    problems: Vec<Problem>,
}

/// The part of the values that is in the database.
struct Stored {
    asks_password: bool,
    exports: Vec<Export>,
}

impl Stored {
    fn read(
        tx: &ReadTx<'_>,
        policy: &reeve_accounts::Policy,
        user: &User,
        now: Millis,
    ) -> Result<Self, DbError> {
        let asks_password = proof::is_asked(tx, policy, user.num)?;
        let mut exports = reeve_export::list(tx, user, true, &SortKey::at(Millis::MAX), MOST)?;
        exports.retain(|export| export.ends_ts.is_none_or(|ends| ends > now));
        Ok(Self { asks_password, exports })
    }

    fn values(self, settings: &reeve_export::Settings) -> Values {
        Values {
            here: "export",
            allowed: settings.own,
            asks_password: self.asks_password,
            exports: self.exports.into_iter().map(ExportView::from).collect(),
            keep_days: settings.keep_ms / DAY_MS,
            media: true,
            history: false,
            done: None,
            problems: Vec::new(),
        }
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let stored = Stored::read(call.tx, &call.app.policy, call.user()?, call.now)?;
    let done = page::is_done(call).then_some("export-ordered");
    let values = Values { done, ..stored.values(call.app.exports.settings()) };
    Ok(page::show(call, StatusCode::OK, "export.html", values))
}

/// Shows the page again, with what is wrong.
async fn refused(
    call: &Call,
    status: StatusCode,
    options: &Options,
    problem: Problem,
) -> Result<Response, MatrixError> {
    let (app, user, now) = (Arc::clone(&call.app), call.user()?.clone(), call.now);
    let stored = call.read(move |tx| Stored::read(tx, &app.policy, &user, now)).await?;
    let values = stored.values(call.app.exports.settings());
    let (media, history, problems) = (options.media, options.history, vec![problem]);
    Ok(page::show(call, status, "export.html", Values { media, history, problems, ..values }))
}

async fn order(mut call: Call) -> Answer {
    let form: ExportForm = call.take_form().await?;
    let options = Options {
        history: form.history.read()?.is_some(),
        media: form.media.read()?.is_some(),
        recipient: None,
    };
    let password = form.password.read()?;
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => return refused(&call, StatusCode::FORBIDDEN, &options, problem).await,
    };
    let (ctx, settings, wanted) = (call.ctx(), *call.app.exports.settings(), options.clone());
    let ordered = call
        .act_in_browser(move |tx, browser| -> Result<(), reeve_export::Error> {
            browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
            reeve_export::order_own(tx, &ctx, &settings, &browser.user, &wanted).map(|_: Export| ())
        })
        .await;
    let Err(error) = ordered else { return page::go(&call, &format!("{PATH}?done=yes")) };
    let problem = match error.status {
        429 => Problem::new("export-too-soon"),
        409 => Problem::new("export-unfinished"),
        _ => Problem::of_refusal(error)?,
    };
    refused(&call, StatusCode::BAD_REQUEST, &options, problem).await
}

async fn download(mut call: Call) -> Answer {
    let password = call.take_form::<PasswordConfirmation>().await?.password.read()?;
    let options = Options { history: false, media: true, recipient: None };
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => return refused(&call, StatusCode::FORBIDDEN, &options, problem.of_form()).await,
    };
    let (ctx, id, settings) = (call.ctx(), call.param("id"), *call.app.exports.settings());
    let made = call
        .act_in_browser(move |tx, browser| -> Result<_, reeve_export::Error> {
            browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
            reeve_export::create_link(tx, &ctx, &settings, Some(&browser.user), &id)
        })
        .await;
    match made {
        Ok(link) => reply::see_other(&format!("{}{}", reeve_export::DOWNLOAD, link.token)),
        Err(error) if matches!(error.status, 404 | 409) => {
            refused(&call, StatusCode::BAD_REQUEST, &options, Problem::new("export-not-ready")).await
        }
        Err(error) => Err(error),
    }
}
