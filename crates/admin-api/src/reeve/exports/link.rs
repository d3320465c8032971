//! Makes the link to download an archive.

use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_export::ExportLink;
use reeve_model::Scope;

use super::{ABOVE_OR_LACKS, MISSING};

pub(crate) fn route() -> Route {
    Route::post("/_reeve/admin/v1/exports/{id}/link", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("createExportLink")
        .summary("Makes the link to download an archive, which ends a former one")
        .description(
            "The link cannot be read again. The caller needs the scopes `users:read`, `messages:read`, `media:read`, \
             `reports:read` and `audit:read`, too.",
        )
        .returns::<ExportLink>(200)
        .errors(&[ABOVE_OR_LACKS, MISSING, (409, "M_UNKNOWN", "the archive is not ready")])
}

async fn handle(call: Call) -> Answer {
    let (ctx, id, settings) = (call.admin_ctx()?, call.param("id"), *call.app.exports.settings());
    let made = call.write(move |tx| reeve_export::create_link(tx, &ctx, &settings, None, &id)).await?;
    reply::ok(&ExportLink::from(made))
}
