//! Keeping uploads from being seen, and releasing them.

use reeve_http::{Answer, Call, MatrixError, Route, reply};
use reeve_media::{Error, deeds};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BATCH, is_own_server};

/// How much was quarantined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quarantined {
    /// How many uploads were not quarantined before, other uploads of the same bytes included.
    pub(crate) num_quarantined: i64,
}

pub(crate) fn of_user() -> Route {
    Route::post("/_synapse/admin/v1/user/{user_id}/media/quarantine", handle_user)
        .summary("Quarantines all that an account uploaded")
        .description("Spared is what is protected. An account that is not known has uploaded nothing.")
        .returns::<Quarantined>(200)
}

pub(crate) fn one() -> Route {
    Route::post("/_synapse/admin/v1/media/quarantine/{server_name}/{media_id}", handle_one)
        .summary("Quarantines an upload, and others of the same bytes")
        .description("Spared is what is protected. An upload that is not known is nothing to do.")
}

pub(crate) fn release() -> Route {
    Route::post("/_synapse/admin/v1/media/unquarantine/{server_name}/{media_id}", handle_release)
        .summary("Releases an upload from quarantine, and others of the same bytes")
        .description("An upload that is not known is nothing to do.")
}

/// Quarantines uploads of this server; answers how many were not quarantined before.
pub(crate) async fn quarantine_each(call: &Call, media_ids: Vec<String>) -> Result<i64, MatrixError> {
    let mut changed = 0;
    for batch in media_ids.chunks(BATCH) {
        let (batch, ctx) = (batch.to_vec(), call.admin_ctx()?);
        changed += call
            .write(move |tx| -> Result<i64, Error> {
                let mut changed = 0;
                for media_id in &batch {
                    changed += deeds::quarantine(tx, &ctx, media_id)?;
                }
                Ok(changed)
            })
            .await?;
    }
    Ok(changed)
}

async fn handle_user(call: Call) -> Answer {
    let user_id = call.param("user_id");
    let user = call.read(move |tx| users::num(tx, &user_id)).await?;
    let Some(user_num) = user else { return reply::ok(&Quarantined { num_quarantined: 0 }) };
    let (mut num_quarantined, mut next) = (0, Some(String::new()));
    while let Some(after) = next {
        let ctx = call.admin_ctx()?;
        let (changed, more) =
            call.write(move |tx| deeds::quarantine_some_of_user(tx, &ctx, user_num, &after)).await?;
        num_quarantined += changed;
        next = more;
    }
    reply::ok(&Quarantined { num_quarantined })
}

async fn handle_one(call: Call) -> Answer {
    if is_own_server(&call) {
        quarantine_each(&call, vec![call.param("media_id")]).await?;
    }
    reply::empty()
}

async fn handle_release(call: Call) -> Answer {
    if is_own_server(&call) {
        let (ctx, media_id) = (call.admin_ctx()?, call.param("media_id"));
        call.write(move |tx| deeds::unquarantine(tx, &ctx, &media_id)).await?;
    }
    reply::empty()
}
