//! Rate-limit override of one account: reads, sets and removes it.

use reeve_accounts::moderation;
use reeve_app::body::{Key, Omittable};
use reeve_app::json::{self, Integer};
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, body, reply, shape};
use reeve_model::{RateLimitOverride, Scope, User};
use reeve_store::ratelimits;
use serde_json::{Value, json};

use crate::target;

const PATH: &str = "/_synapse/admin/v1/users/{user_id}/override_ratelimit";
const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_UNKNOWN", "the account is on another server, or the user id has no server name"),
    (404, "M_NOT_FOUND", "there is no such account"),
];

body! {
    /// The rate-limit override of an account; an empty object if there is none.
    pub(crate) struct RateLimit {
        /// Actions per second; 0 switches rate limits off for the account.
        messages_per_second?: i64,
        /// The number of actions allowed at once; 0 to refuse every limited action.
        burst_count?: i64,
    }
}

pub(crate) fn get() -> Route {
    Route::read(PATH, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUserRatelimit")
        .summary("Returns the message rate-limit override of an account")
        .returns::<RateLimit>(200)
        .errors(ERRORS)
}

pub(crate) fn post() -> Route {
    Route::post(PATH, write)
        .access(Access::Admin(Scope::UsersModerate))
        .id("setUserRatelimit")
        .summary("Sets the message rate-limit override of an account")
        .description(
            "An absent value is 0: nothing is kept of an earlier override. It takes effect at once, also for \
             sessions that are open.",
        )
        .may_take::<RateLimit>()
        .returns::<RateLimit>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the account is on another server, or the user id has no server name"),
            (404, "M_NOT_FOUND", "there is no such account"),
            (400, "M_INVALID_PARAM", "a number is not an integer, negative or too large"),
        ])
}

pub(crate) fn delete() -> Route {
    Route::delete(PATH, remove)
        .access(Access::Admin(Scope::UsersModerate))
        .id("deleteUserRatelimit")
        .returns::<shape::Empty>(200)
        .summary("Removes the message rate-limit override of an account")
        .errors(ERRORS)
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id = target::local_domain(call, "Can only look up local users")?;
    let user = target::found(call.tx, &user_id, "User not found")?;
    let limit = ratelimits::find(call.tx, user.num)?;
    reply::ok(&limit.map_or_else(|| json!({}), view))
}

fn view(limit: RateLimitOverride) -> Value {
    json!({ "messages_per_second": limit.messages_per_second, "burst_count": limit.burst_count })
}

async fn find(call: &Call) -> Result<User, MatrixError> {
    let user_id = target::local_domain(call, "Only local users can be ratelimited")?;
    target::existing(call, &user_id, "User not found").await
}

async fn write(mut call: Call) -> Answer {
    let user = find(&call).await?;
    let body: RateLimit = call.take().await?;
    let limit = RateLimitOverride {
        messages_per_second: natural(&body.messages_per_second)?,
        burst_count: natural(&body.burst_count)?,
    };
    let ctx = call.admin_ctx()?;
    call.write(move |tx| moderation::set_ratelimit(tx, &ctx, &user.user_id, limit)).await?;
    reply::ok(&view(limit))
}

async fn remove(call: Call) -> Answer {
    let user = find(&call).await?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| moderation::clear_ratelimit(tx, &ctx, &user.user_id)).await?;
    reply::empty()
}

fn natural(key: &Key<Omittable<i64>>) -> Result<i64, MatrixError> {
    let Some(value) = key.value() else { return Ok(0) };
    match json::integer(value) {
        Integer::Is(number) if number >= 0 => Ok(number),
        Integer::Is(_) | Integer::TooLarge | Integer::Not => Err(not_natural(value)),
    }
}

fn not_natural(value: &Value) -> MatrixError {
    MatrixError::invalid_param(format!("{} parameter must be a positive int", json::python_repr(value)))
}
