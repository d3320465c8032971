//! Global account data.
//! <https://spec.matrix.org/v1.18/client-server-api/#client-config>

use reeve_accounts::account_data;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, Head, MatrixError, Reading, Route, reply};
use reeve_model::{User, UserNum};

const PATH: &str = "/_matrix/client/v3/user/{user_id}/account_data/{type}";
const OLD_PATH: &str = "/_matrix/client/r0/user/{user_id}/account_data/{type}";
const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#client-config";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read(PATH, get)
            .also(OLD_PATH)
            .access(Access::User)
            .id("getAccountData")
            .returns::<AnyObject>(200)
            .summary("Returns account data of one type")
            .errors(&[
                (403, "M_FORBIDDEN", "the account data belongs to another user"),
                (404, "M_NOT_FOUND", "no data of this type is set"),
            ])
            .spec(SPEC),
        Route::put(PATH, put)
            .also(OLD_PATH)
            .access(Access::User)
            .id("setAccountData")
            .takes::<AnyObject>()
            .returns::<shape::Empty>(200)
            .summary("Sets account data of one type")
            .errors(&[
                (400, "M_INVALID_PARAM", "an account would ignore itself"),
                (400, "M_TOO_LARGE", "the account would exceed its limit of account data entries"),
                (413, "M_TOO_LARGE", "the account would exceed its limit of account data bytes"),
                (403, "M_FORBIDDEN", "the account data belongs to another user"),
                (405, "M_BAD_JSON", "data of this type is managed by the server"),
            ])
            .spec(SPEC),
    ]
}

/// Returns the number of the caller, who must be the owner.
fn owner(call: &Head, user: &User, refusal: &'static str) -> Result<UserNum, MatrixError> {
    if call.params.get("user_id") == user.user_id {
        Ok(user.num)
    } else {
        Err(MatrixError::forbidden(refusal))
    }
}

fn get(call: &Reading<'_>) -> Answer {
    let num = owner(call, call.user()?, "Cannot get account data for other users.")?;
    let content = account_data::find(call.tx, num, call.params.get("type"))?;
    reply::ok(&content.ok_or_else(|| MatrixError::not_found("Account data not found"))?)
}

async fn put(mut call: Call) -> Answer {
    let num = owner(&call, call.user()?, "Cannot add account data for other users.")?;
    let data_type = call.param("type");
    if let Some(instead) = account_data::changed_elsewhere(&data_type) {
        let text = format!("Cannot set {data_type} through this API. Use {instead}");
        return Err(MatrixError::new(405, "M_BAD_JSON", text));
    }
    let AnyObject(content) = call.take().await?;
    if account_data::ignores(&data_type, &content, &call.user()?.user_id) {
        return Err(MatrixError::invalid_param("You cannot ignore yourself"));
    }
    let limits = call.app.policy.limits;
    call.write(move |tx| account_data::set(tx, &limits, num, &data_type, &content)).await?;
    reply::empty()
}
