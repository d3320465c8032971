//! Creates or changes a role.

use http::StatusCode;
use reeve_accounts::roles;
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::{Role, Scope};

use super::super::read;
use super::{NOT_CHANGED, RoleView};

body! {
    /// The values of a role.
    pub(crate) struct PutRole {
        /// Its purpose, in at most 500 characters.
        description?: String,
        /// All scopes that its holders have, at least one.
        #[schema(example = json!(["users:read", "users:write"]))]
        scopes: Vec<String>,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::put(super::ONE, handle)
        .access(Access::Admin(Scope::AdminsWrite))
        .id("putRole")
        .summary("Creates a role, or changes it for all accounts that hold it")
        .description(
            "The name is 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. The caller must hold every scope \
             that the role has before and afterwards. Unknown keys are refused.",
        )
        .takes::<PutRole>()
        .returns::<RoleView>(200)
        .returns::<RoleView>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "a key, a scope, the name or the description is not valid"),
            (400, "M_TOO_LARGE", "there are 100 roles beside the built-in ones"),
            (400, "M_UNKNOWN", "the caller would lose a scope"),
            NOT_CHANGED,
        ])
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<PutRole>().await?;
    read::refuse_unknown(&body.unknown)?;
    body::require([body.scopes.missing()])?;
    let role = Role {
        name: call.param("name"),
        description: body.description.read()?.unwrap_or_default(),
        scopes: read::scopes(&body.scopes.read_or(read::not_strings)?)?,
    };
    let (ctx, stored) = (call.admin_ctx()?, role.clone());
    let is_new = call.write(move |tx| roles::put(tx, &ctx, &stored)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(reply::json(status, &RoleView::from(role)))
}
