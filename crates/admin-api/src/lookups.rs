//! Finds an account by what others know it by.

use reeve_accounts::threepids::canonical;
use reeve_db::{DbError, ReadTx};
use reeve_http::{Answer, Call, MatrixError, Route, reply};
use reeve_store::{external_ids, threepids, users};
use serde::Serialize;
use utoipa::ToSchema;

const ERRORS: &[(u16, &str, &str)] = &[(404, "M_NOT_FOUND", "there is no such account")];

/// The account that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundUser {
    user_id: String,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_synapse/admin/v1/auth_providers/{provider}/users/{external_id}", by_external_id)
            .summary("Finds the account that an identity provider knows under a name")
            .returns::<FoundUser>(200)
            .errors(ERRORS),
        Route::get("/_synapse/admin/v1/threepid/{medium}/users/{address}", by_threepid)
            .summary("Finds the account with an e-mail address or telephone number")
            .returns::<FoundUser>(200)
            .errors(ERRORS),
    ]
}

async fn by_external_id(call: Call) -> Answer {
    let (provider, external_id) = (call.param("provider"), call.param("external_id"));
    answer(call.read(move |tx| user_id(tx, external_ids::find_user(tx, &provider, &external_id)?)).await?)
}

async fn by_threepid(call: Call) -> Answer {
    let (medium, address) = (call.param("medium"), call.param("address"));
    // Addresses are stored in canonical form, but for those that came from elsewhere.
    let canonical = canonical(&medium, &address).ok().filter(|canonical| *canonical != address);
    let found = call
        .read(move |tx| {
            let mut num = threepids::find_user(tx, &medium, &address)?;
            if let (None, Some(canonical)) = (num, &canonical) {
                num = threepids::find_user(tx, &medium, canonical)?;
            }
            user_id(tx, num)
        })
        .await?;
    answer(found)
}

fn user_id(tx: &ReadTx<'_>, num: Option<i64>) -> Result<Option<String>, DbError> {
    num.map_or(Ok(None), |num| users::user_id(tx, num))
}

fn answer(user_id: Option<String>) -> Answer {
    reply::ok(&FoundUser { user_id: user_id.ok_or_else(|| MatrixError::not_found("User not found"))? })
}
