//! The role of an account: reads and sets it.

use reeve_accounts::roles;
use reeve_app::{Access, Answer, Call, Reading, Route, body, reply};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Scope, Scopes, User};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::read;
use crate::target;

const PATH: &str = "/_reeve/admin/v1/users/{user_id}/role";
const REMOTE: &str = "Only local users can have a role";
const MISSING: &str = "User not found";

/// The role of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserRole {
    /// The role; null if it has none.
    #[schema(required, example = "support")]
    role: Option<String>,
    /// The scopes that it holds by its role.
    #[schema(value_type = Vec<String>, example = json!(["users:read", "users:write"]))]
    scopes: Scopes,
}

impl UserRole {
    fn of(tx: &ReadTx<'_>, user: &User) -> Result<Self, DbError> {
        Ok(Self { role: user.role().map(str::to_owned), scopes: reeve_store::roles::scopes(tx, user)? })
    }
}

body! {
    /// The new role of an account.
    pub(crate) struct SetUserRole {
        /// The role; null for none.
        #[schema(example = "support")]
        role: Option<String>,
        ..unknown
    }
}

pub(crate) fn get() -> Route {
    Route::read(PATH, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUserRole")
        .summary("Returns the role of an account, and its scopes")
        .returns::<UserRole>(200)
        .errors(target::ERRORS)
}

pub(crate) fn put() -> Route {
    Route::put(PATH, write)
        .access(Access::Admin(Scope::AdminsWrite))
        .id("setUserRole")
        .summary("Gives an account a role, or takes it away")
        .description(
            "The caller must hold every scope of the account's role, before and afterwards. The role `owner` is the \
             administrator flag of the account.",
        )
        .takes::<SetUserRole>()
        .returns::<UserRole>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed, or a key is not known"),
            (400, "M_MISSING_PARAM", "`role` is missing"),
            (400, "M_UNKNOWN", "the account is on another server or a guest, or the caller would lose a scope"),
            (403, "M_FORBIDDEN", "the caller lacks a scope of the role or of the account, or it is the last owner"),
            (404, "M_NOT_FOUND", "there is no such account, or no such role"),
        ])
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, REMOTE)?;
    let user = target::found(call.tx, &user_id, MISSING)?;
    reply::ok(&UserRole::of(call.tx, &user)?)
}

async fn write(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, REMOTE)?;
    let body = call.take::<SetUserRole>().await?;
    read::refuse_unknown(&body.unknown)?;
    body::require([body.role.missing()])?;
    let role = body.role.read()?;
    let ctx = call.admin_ctx()?;
    let answer = call.write(move |tx| -> Result<_, reeve_accounts::Error> {
        let user = roles::set(tx, &ctx, &user_id, role.as_deref())?;
        Ok(UserRole::of(tx, &user)?)
    });
    reply::ok(&answer.await?)
}
