//! Protection of uploads from quarantine.

use reeve_app::{Access, Answer, Call, MatrixError, Route, reply, shape};
use reeve_media::deeds;
use reeve_model::Scope;

const ERRORS: &[(u16, &str, &str)] = &[(404, "M_UNKNOWN", "there is no such upload")];

pub(crate) fn protect() -> Route {
    Route::post("/_synapse/admin/v1/media/protect/{media_id}", |call| handle(call, true))
        .access(Access::Admin(Scope::MediaWrite))
        .id("protectMedia")
        .returns::<shape::Empty>(200)
        .summary("Protects an upload from quarantine")
        .errors(ERRORS)
}

pub(crate) fn unprotect() -> Route {
    Route::post("/_synapse/admin/v1/media/unprotect/{media_id}", |call| handle(call, false))
        .access(Access::Admin(Scope::MediaWrite))
        .id("unprotectMedia")
        .returns::<shape::Empty>(200)
        .summary("Removes the protection of an upload from quarantine")
        .errors(ERRORS)
}

async fn handle(call: Call, safe: bool) -> Answer {
    let (ctx, media_id) = (call.admin_ctx()?, call.param("media_id"));
    if !call.write(move |tx| deeds::protect(tx, &ctx, &media_id, safe)).await? {
        let error = "No row found (local_media_repository)";
        return Err(MatrixError::new(404, "M_UNKNOWN", error));
    }
    reply::empty()
}
