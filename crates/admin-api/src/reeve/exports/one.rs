//! Returns and deletes one export.

use reeve_app::{Access, Answer, Call, Reading, Route, reply, shape};
use reeve_model::Scope;

use super::{ABOVE, MISSING, ONE, UserExport};

pub(crate) fn get() -> Route {
    Route::read(ONE, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getExport")
        .summary("Returns the state of an export")
        .returns::<UserExport>(200)
        .errors(&[MISSING])
}

pub(crate) fn delete() -> Route {
    Route::delete(ONE, remove)
        .access(Access::Admin(Scope::UsersWrite))
        .id("deleteExport")
        .summary("Deletes an archive, or ends the work on it")
        .returns::<shape::Empty>(200)
        .errors(&[ABOVE, MISSING, (409, "M_UNKNOWN", "it was deleted before")])
}

fn read(call: &Reading<'_>) -> Answer {
    reply::ok(&UserExport::from(reeve_export::find(call.tx, call.params.get("id"), call.now)?))
}

async fn remove(call: Call) -> Answer {
    let (ctx, id, settings) = (call.admin_ctx()?, call.param("id"), *call.app.exports.settings());
    call.write(move |tx| reeve_export::delete(tx, &ctx, &settings, &id)).await?;
    call.app.media.wake_sweeper();
    reply::empty()
}
