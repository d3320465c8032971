//! Uploads: lists, statistics, deletion and quarantine.

mod delete;
mod get;
mod of_user;
mod protect;
mod purge_cache;
mod quarantine;
mod quarantine_changes;
mod statistics;

use reeve_accounts::rights;
use reeve_app::{Call, Head, MatrixError, Route};
use reeve_media::bin;
use reeve_model::Millis;
use reeve_store::media::Media;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use quarantine::{Quarantined, quarantine_each};

/// Uploads changed in one transaction, so that others can write in between.
const BATCH: usize = 100;
/// Times before this, in milliseconds, are assumed to be seconds by mistake.
const EARLIEST_TS: Millis = Millis::new(30_000_000_000);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        of_user::list(),
        of_user::delete(),
        get::route(),
        delete::one(),
        delete::unused(),
        purge_cache::route(),
        quarantine::of_user(),
        quarantine::one(),
        quarantine::release(),
        protect::protect(),
        protect::unprotect(),
        quarantine_changes::route(),
        statistics::route(),
    ]
}

/// The deleted uploads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// The media ids.
    deleted_media: Vec<String>,
    /// The number of deleted uploads.
    total: usize,
}

impl Deleted {
    fn of(deleted_media: Vec<String>) -> Self {
        Self { total: deleted_media.len(), deleted_media }
    }
}

/// Deletes uploads, which then wait in the bin, for a request about the account `owner` or about the uploads themselves;
/// returns the ids of those that still existed.
async fn delete_all(call: &Call, owner: Option<&str>, media: Vec<Media>) -> Result<Vec<String>, MatrixError> {
    let mut deleted = Vec::new();
    let mut rest = media.into_iter().peekable();
    while rest.peek().is_some() {
        let (batch, ctx) = (rest.by_ref().take(BATCH).collect::<Vec<_>>(), call.admin_ctx()?);
        let (owner, library) = (owner.map(str::to_owned), call.app.media.clone());
        let ids = call
            .write(move |tx| -> Result<_, reeve_media::Error> {
                if let Some(owner) = &owner {
                    rights::to_change(tx, &ctx, owner)?;
                }
                let mut ids = Vec::new();
                for media in &batch {
                    if bin::put(tx, &ctx, library.settings(), media)? {
                        ids.push(media.media_id.clone());
                    }
                }
                Ok(ids)
            })
            .await?;
        deleted.extend(ids);
    }
    if !deleted.is_empty() {
        call.app.media.wake_sweeper();
    }
    Ok(deleted)
}

/// Returns true if the server in the path is this one.
fn is_own_server(call: &Head) -> bool {
    call.param("server_name") == *call.app.server_name
}

/// Returns the `before_ts` parameter, which must be a time in milliseconds.
fn before_ts(call: &Head) -> Result<Millis, MatrixError> {
    let before_ts = Millis::new(call.query.required_integer("before_ts")?);
    if before_ts < EARLIEST_TS {
        return Err(MatrixError::invalid_param(
            "Query parameter before_ts you provided is from the year 1970. Double check that you are providing a \
             timestamp in milliseconds.",
        ));
    }
    Ok(before_ts)
}

/// The errors of [`before_ts`].
const BEFORE_TS_ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_MISSING_PARAM", "`before_ts` is missing"),
    (400, "M_INVALID_PARAM", "a query parameter is not valid, or `before_ts` is in seconds"),
];
