//! Quarantine of uploads, and release from it.

use std::collections::HashSet;
use std::sync::Arc;

use reeve_accounts::rights;
use reeve_app::{Access, Answer, Call, MatrixError, Route, reply, shape};
use reeve_db::{DbError, Tx};
use reeve_media::deeds::{self, Progress};
use reeve_model::Scope;
use reeve_store::media::{self, Media};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BATCH, is_own_server};

/// Uploads of an account read at once.
const PAGE: i64 = 500;

/// The number of quarantined uploads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quarantined {
    /// The number of uploads that were not quarantined before, including other uploads of the same bytes.
    pub(crate) num_quarantined: i64,
}

pub(crate) fn of_user() -> Route {
    Route::post("/_synapse/admin/v1/user/{user_id}/media/quarantine", handle_user)
        .access(Access::Admin(Scope::MediaWrite))
        .id("quarantineUserMedia")
        .summary("Quarantines all uploads of an account")
        .description("Protected uploads are skipped. An unknown account has no uploads.")
        .returns::<Quarantined>(200)
}

pub(crate) fn one() -> Route {
    Route::post("/_synapse/admin/v1/media/quarantine/{server_name}/{media_id}", handle_one)
        .access(Access::Admin(Scope::MediaWrite))
        .id("quarantineMedia")
        .returns::<shape::Empty>(200)
        .summary("Quarantines an upload and all others of the same bytes")
        .description("Protected uploads are skipped. An unknown upload is not an error.")
}

pub(crate) fn release() -> Route {
    Route::post("/_synapse/admin/v1/media/unquarantine/{server_name}/{media_id}", handle_release)
        .access(Access::Admin(Scope::MediaWrite))
        .id("unquarantineMedia")
        .returns::<shape::Empty>(200)
        .summary("Releases an upload and all others of the same bytes from quarantine")
        .description("An unknown upload is not an error.")
}

/// Quarantines uploads of this server; returns the number that were not quarantined before.
pub(crate) async fn quarantine_each(call: &Call, media_ids: Vec<String>) -> Result<i64, MatrixError> {
    let mut found = Vec::new();
    for batch in media_ids.chunks(BATCH) {
        let batch = batch.to_vec();
        let some = call.read(move |tx| -> Result<Vec<_>, DbError> {
            batch.iter().filter_map(|media_id| media::find(tx, media_id).transpose()).collect()
        });
        found.extend(some.await?);
    }
    quarantine_all(call, None, found).await
}

/// Quarantines these and others of the same bytes, a batch in each transaction, for a request about the account `owner`
/// or about the uploads themselves.
async fn quarantine_all(
    call: &Call,
    owner: Option<&str>,
    mut uploads: Vec<Media>,
) -> Result<i64, MatrixError> {
    // Others of the same bytes are looked up only once.
    let mut seen = HashSet::new();
    uploads.retain(|media| !media.safe_from_quarantine && seen.insert(media.blob_num));
    let uploads: Arc<[Media]> = uploads.into();
    let (mut changed, mut next) = (0, Some(Progress::default()));
    while let Some(from) = next {
        let (uploads, ctx) = (Arc::clone(&uploads), call.admin_ctx()?);
        let owner = owner.map(str::to_owned);
        let batch = move |tx: &mut Tx<'_>| {
            if let Some(owner) = &owner {
                rights::to_change(tx, &ctx, owner)?;
            }
            deeds::quarantine(tx, &ctx, &uploads, from)
        };
        let (more, rest) = call.write(batch).await?;
        changed += more;
        next = rest;
    }
    Ok(changed)
}

async fn handle_user(call: Call) -> Answer {
    let user_id = call.param("user_id");
    let wanted = user_id.clone();
    let user = call.read(move |tx| users::num(tx, &wanted)).await?;
    let Some(user_num) = user else { return reply::ok(&Quarantined { num_quarantined: 0 }) };
    let (mut num_quarantined, mut next) = (0, Some(String::new()));
    while let Some(after) = next {
        let page = call.read(move |tx| media::not_quarantined(tx, user_num, &after, PAGE)).await?;
        let full = i64::try_from(page.len()).is_ok_and(|length| length == PAGE);
        next = page.last().filter(|_| full).map(|last| last.media_id.clone());
        num_quarantined += quarantine_all(&call, Some(&user_id), page).await?;
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
        loop {
            let (ctx, media_id) = (call.admin_ctx()?, call.param("media_id"));
            if call.write(move |tx| deeds::unquarantine(tx, &ctx, &media_id)).await? == 0 {
                break;
            }
        }
    }
    reply::empty()
}
