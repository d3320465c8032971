//! Media in the bin: list, bring back, delete for good.

use reeve_app::{Access, Answer, Call, Param, Reading, Route, reply, shape};
use reeve_media::bin;
use reeve_model::Scope;
use reeve_store::media_bin::{self, BinnedMedia};
use reeve_store::users;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{cut, from, limit};
use super::{BAD_PAGE, BinJob, BinnedView};

const ALL: &str = "/_reeve/admin/v1/bin/media";
const ONE: &str = "/_reeve/admin/v1/bin/media/{media_id}";
const RESTORE: &str = "/_reeve/admin/v1/bin/media/{media_id}/restore";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such upload in the bin");

/// An upload in the bin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinnedMediaView {
    media_id: String,
    /// The user who uploaded it.
    user_id: String,
    media_type: String,
    /// In bytes.
    media_length: i64,
    #[schema(required)]
    upload_name: Option<String>,
    /// When it was uploaded, in milliseconds.
    created_ts: i64,
    /// The administrator who quarantined it.
    #[schema(required)]
    quarantined_by: Option<String>,
    /// The digest of its bytes, in hexadecimal.
    sha256: String,
    #[serde(flatten)]
    binned: BinnedView,
}

impl From<BinnedMedia> for BinnedMediaView {
    fn from(BinnedMedia { media, binned }: BinnedMedia) -> Self {
        Self {
            media_id: media.media_id,
            user_id: media.user_id,
            media_type: media.media_type,
            media_length: media.media_length,
            upload_name: media.upload_name,
            created_ts: media.created_ts.get(),
            quarantined_by: media.quarantined_by,
            sha256: media.sha256,
            binned: binned.into(),
        }
    }
}

/// A page of the uploads in the bin, the last deleted first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BinnedMediaList {
    media: Vec<BinnedMediaView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read(ALL, list)
            .access(Access::Admin(Scope::MediaRead))
            .id("listBinnedMedia")
            .summary("Lists uploads that administrators deleted and that can be brought back, the last deleted first")
            .query([
                Param::text("user_id", "only uploads of this account; an unknown one has none"),
                Param::integer("limit", "maximum number of uploads, from 1 to 1000; 100 by default"),
                Param::text("from", "the `next_token` of the page before"),
            ])
            .returns::<BinnedMediaList>(200)
            .errors(&[BAD_PAGE]),
        Route::delete(ALL, empty)
            .access(Access::Admin(Scope::MediaWrite))
            .id("emptyMediaBin")
            .summary("Deletes all uploads in the bin for good")
            .description("The work is a durable job. What is deleted after the request waits in the bin as always.")
            .returns::<BinJob>(200),
        Route::post(RESTORE, restore)
            .access(Access::Admin(Scope::MediaWrite))
            .id("restoreMedia")
            .summary("Brings an upload back from the bin")
            .description(
                "Its `mxc` URI works again, and it is quarantined or protected as before. If its bytes were quarantined \
                 meanwhile, it is quarantined, too, unless it is protected.",
            )
            .returns::<shape::Empty>(200)
            .errors(&[MISSING, (409, "M_UNKNOWN", "the account that uploaded it was erased")]),
        Route::delete(ONE, delete)
            .access(Access::Admin(Scope::MediaWrite))
            .id("purgeMedia")
            .summary("Deletes an upload in the bin for good")
            .returns::<shape::Empty>(200)
            .errors(&[MISSING]),
    ]
}

fn list(call: &Reading<'_>) -> Answer {
    let limit = limit(call)?;
    let before = from(call)?;
    let user_num = match call.query.utf8("user_id")? {
        None => None,
        Some(user_id) => match users::num(call.tx, &user_id)? {
            Some(num) => Some(num),
            None => return reply::ok(&BinnedMediaList { media: Vec::new(), next_token: None }),
        },
    };
    let mut media = media_bin::list(call.tx, user_num, &before, limit + 1)?;
    let next_token = cut(&mut media, limit).map(|last| last.sort_key().to_string());
    let media = media.into_iter().map(BinnedMediaView::from).collect();
    reply::ok(&BinnedMediaList { media, next_token })
}

async fn restore(call: Call) -> Answer {
    let (ctx, media_id) = (call.admin_ctx()?, call.param("media_id"));
    call.write(move |tx| bin::restore(tx, &ctx, &media_id)).await?;
    reply::empty()
}

async fn delete(call: Call) -> Answer {
    let (ctx, media_id) = (call.admin_ctx()?, call.param("media_id"));
    call.write(move |tx| bin::delete(tx, &ctx, &media_id)).await?;
    call.app.media.wake_sweeper();
    reply::empty()
}

async fn empty(call: Call) -> Answer {
    let ctx = call.admin_ctx()?;
    let job = call.write(move |tx| bin::empty(tx, &ctx)).await?;
    reply::ok(&BinJob { job })
}
