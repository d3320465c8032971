//! Shadow-ban of an account: sets and removes it.

use reeve_accounts::moderation;
use reeve_app::{Access, Answer, Call, Route, reply, shape};
use reeve_model::Scope;

use crate::target;

const PATH: &str = "/_synapse/admin/v1/users/{user_id}/shadow_ban";
const ERRORS: &[(u16, &str, &str)] = &[
    (400, "M_UNKNOWN", "the account is on another server, or the user id has no server name"),
    (400, "M_INVALID_PARAM", "the user id does not start with `@`"),
    (404, "M_UNKNOWN", "there is no such account"),
];

pub(crate) fn ban() -> Route {
    Route::post(PATH, |call| set(call, true))
        .access(Access::Admin(Scope::UsersModerate))
        .id("shadowBanUser")
        .returns::<shape::Empty>(200)
        .summary("Shadow-bans an account: its messages are silently dropped")
        .description("It takes effect at once, also for existing sessions. The body is not read.")
        .errors(ERRORS)
}

pub(crate) fn unban() -> Route {
    Route::delete(PATH, |call| set(call, false))
        .access(Access::Admin(Scope::UsersModerate))
        .id("shadowUnbanUser")
        .returns::<shape::Empty>(200)
        .summary("Removes the shadow-ban of an account")
        .errors(ERRORS)
}

async fn set(call: Call, shadow_banned: bool) -> Answer {
    let user_id = target::local_domain(&call, "Only local users can be shadow-banned")?;
    target::shape(&call)?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| {
        moderation::set_shadow_banned(tx, &ctx, &user_id, shadow_banned).map_err(target::no_row)
    })
    .await?;
    reply::empty()
}
