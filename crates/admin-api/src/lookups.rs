//! Account lookups by external id and by third-party id.

use reeve_accounts::threepids::canonical;
use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::{Scope, UserNum};
use reeve_store::{external_ids, threepids, users};
use serde::Serialize;
use utoipa::ToSchema;

const ERRORS: &[(u16, &str, &str)] = &[(404, "M_NOT_FOUND", "there is no such account")];

/// The account found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundUser {
    user_id: String,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_synapse/admin/v1/auth_providers/{provider}/users/{external_id}", by_external_id)
            .access(Access::Admin(Scope::UsersRead))
            .id("findUserByExternalId")
            .summary("Finds the account with an external id at an identity provider")
            .returns::<FoundUser>(200)
            .errors(ERRORS),
        Route::read("/_synapse/admin/v1/threepid/{medium}/users/{address}", by_threepid)
            .access(Access::Admin(Scope::UsersRead))
            .id("findUserByThreepid")
            .summary("Finds the account with an e-mail address or telephone number")
            .returns::<FoundUser>(200)
            .errors(ERRORS),
    ]
}

fn by_external_id(call: &Reading<'_>) -> Answer {
    let (provider, external_id) = (call.params.get("provider"), call.params.get("external_id"));
    answer(call, external_ids::find_user(call.tx, provider, external_id)?)
}

fn by_threepid(call: &Reading<'_>) -> Answer {
    let (medium, address) = (call.params.get("medium"), call.params.get("address"));
    let mut num = threepids::find_user(call.tx, medium, address)?;
    // Addresses are stored in canonical form, except those from elsewhere.
    if num.is_none()
        && let Ok(canonical) = canonical(medium, address)
    {
        num = threepids::find_user(call.tx, medium, &canonical)?;
    }
    answer(call, num)
}

fn answer(call: &Reading<'_>, num: Option<UserNum>) -> Answer {
    let user_id = num.map_or(Ok(None), |num| users::user_id(call.tx, num))?;
    reply::ok(&FoundUser { user_id: user_id.ok_or_else(|| MatrixError::not_found("User not found"))? })
}
