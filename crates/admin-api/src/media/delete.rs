//! Deletion of uploads: one, or those not used for a long time.

use http::Method;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use reeve_media::unused::walk;
use reeve_model::Scope;
use reeve_store::media::{self, Unused, UnusedKind};

use super::{BEFORE_TS_ERRORS, Deleted, before_ts, delete_all, is_own_server};

/// Uploads read at once.
const PAGE: i64 = 500;
/// Maximum number of uploads that one request deletes.
const MAX: usize = 100_000;

pub(crate) fn one() -> Route {
    Route::of(Method::DELETE, "/_synapse/admin/v1/media/{server_name}/{media_id}", handle_one)
        .access(Access::Admin(Scope::MediaWrite))
        .id("deleteMedia")
        .summary("Deletes an upload")
        .returns::<Deleted>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the upload is on another server"),
            (404, "M_NOT_FOUND", "there is no such upload"),
        ])
}

pub(crate) fn unused() -> Route {
    Route::post("/_synapse/admin/v1/media/delete", handle_unused)
        .also("/_synapse/admin/v1/media/{server_name}/delete")
        .access(Access::Admin(Scope::MediaWrite))
        .id("deleteOldMedia")
        .summary("Deletes uploads that were not used for a long time")
        .description(
            "Quarantined and protected uploads are kept. One request deletes at most 100,000 uploads: repeat it until \
             `total` is 0.",
        )
        .query([
            Param::integer(
                "before_ts",
                "only uploads last downloaded (or, if never, uploaded) before this time, in milliseconds",
            ).required(),
            Param::integer("size_gt", "only uploads of more than this many bytes; 0 by default"),
            Param::boolean(
                "keep_profiles",
                "`false` to delete avatars of accounts and rooms, too; `true` by default",
            ),
        ])
        .returns::<Deleted>(200)
        .errors(BEFORE_TS_ERRORS)
        .errors(&[(400, "M_UNKNOWN", "the upload is on another server")])
}

fn not_local() -> MatrixError {
    MatrixError::unknown("Can only delete local media")
}

async fn handle_one(call: Call) -> Answer {
    if !is_own_server(&call) {
        return Err(not_local());
    }
    let media_id = call.param("media_id");
    let found = call.read(move |tx| media::find(tx, &media_id)).await?;
    let found = found.ok_or_else(|| MatrixError::not_found("Unknown media"))?;
    reply::ok(&Deleted::of(delete_all(&call, None, vec![found]).await?))
}

async fn handle_unused(call: Call) -> Answer {
    let server_name = call.param("server_name");
    let before_ts = before_ts(&call)?;
    let size_gt = call.query.integer("size_gt")?.unwrap_or(0);
    let keep_profiles = call.query.boolean("keep_profiles")?.unwrap_or(true);
    // The older form of the path has a server name.
    if !server_name.is_empty() && !is_own_server(&call) {
        return Err(not_local());
    }
    let unused = Unused { kind: UnusedKind::All, before_ts, size_gt };
    let (mut deleted, mut after) = (Vec::new(), None);
    while deleted.len() < MAX {
        let server_name = call.app.server_name.clone();
        let part = call.read(move |tx| walk(tx, &server_name, unused, !keep_profiles, after, PAGE)).await?;
        deleted.extend(delete_all(&call, None, part.unused).await?);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    reply::ok(&Deleted::of(deleted))
}
