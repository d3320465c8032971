//! Orders an archive of an account.

use http::StatusCode;
use reeve_app::{Access, Answer, Call, Route, body, reply};
use reeve_model::Scope;
use reeve_store::exports::Options;

use super::super::read::refuse_unknown;
use super::{ABOVE_OR_LACKS, UserExport};
use crate::target;

body! {
    /// The parts of an archive that can be left out, and its encryption.
    pub(crate) struct OrderExport {
        /// True for the history of rooms, as far as the person can see it; false by default.
        history?: bool,
        /// False to leave out the files that the person uploaded; true by default.
        media?: bool,
        /// The age recipient (`age1…`) to which the archive is encrypted.
        recipient: Option<String>,
        ..unknown
    }
}

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/users/{user_id}/export", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("exportUser")
        .summary("Orders an archive of everything about an account")
        .description(
            "The caller needs the scopes `users:read`, `messages:read`, `media:read`, `reports:read` and `audit:read`, too. \
             The archive is written in the background, and deleted after some days.",
        )
        .may_take::<OrderExport>()
        .returns::<UserExport>(201)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed, a key is not known, or the recipient is not valid"),
            (400, "M_BAD_JSON", "a value has the wrong type"),
            (400, "M_UNKNOWN", "the account is on another server"),
            ABOVE_OR_LACKS,
            (404, "M_NOT_FOUND", "there is no such account"),
            (409, "M_UNKNOWN", "an export of the account that an administrator ordered is not over"),
        ])
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, super::REMOTE)?;
    let body = call.take::<OrderExport>().await?;
    refuse_unknown(&body.unknown)?;
    let options = Options {
        history: body.history.read()?.unwrap_or(false),
        media: body.media.read()?.unwrap_or(true),
        recipient: body.recipient.read()?,
    };
    let ctx = call.admin_ctx()?;
    let export = call.write(move |tx| reeve_export::order(tx, &ctx, &user_id, &options)).await?;
    Ok(reply::json(StatusCode::CREATED, &UserExport::from(export)))
}
