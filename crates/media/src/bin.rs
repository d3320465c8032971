//! The bin: uploads that administrators deleted wait there until their time is over, and can be brought back.

use reeve_accounts::audit;
use reeve_db::{Db, DbError, ReadTx, Tx};
use reeve_jobs::{JobKind, Kind, Step, StepError, Work};
use reeve_model::{Ctx, Millis, UserNum};
use reeve_store::media::{self, Media};
use reeve_store::{Binned, media_bin, users};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Error;
use crate::deeds::{self, SYSTEM};
use crate::library::Library;
use crate::settings::Settings;

/// The job that deletes uploads in the bin for good.
pub const JOB: JobKind<Purge, (), Purged> = JobKind::new("purge_media_bin");
/// The subject of the job for what is due: one is enough.
const DUE: &str = "due";
/// The subject of a job that empties the bin.
const ALL: &str = "all";
/// The number of uploads that one step deletes.
const STEP_UPLOADS: i64 = 200;

/// The uploads that a job deletes for good.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purge {
    /// Those whose time is over.
    Due,
    /// Those that were deleted up to a time, in milliseconds.
    DeletedUntil(Millis),
}

/// The outcome of the job.
#[derive(Debug, Serialize)]
pub struct Purged {
    /// The number of uploads that were deleted for good.
    pub purged: i64,
}

/// Returns true if the uploads of an account may not be kept: it was erased.
fn is_erased(tx: &ReadTx<'_>, user_num: UserNum) -> Result<bool, DbError> {
    Ok(users::by_num(tx, user_num)?.is_none_or(|user| user.erased))
}

/// Deletes an upload in the name of an administrator; returns false if it is not there. It waits in the bin, unless there
/// is none or the account was erased.
pub fn put(tx: &mut Tx<'_>, ctx: &Ctx, settings: &Settings, media: &Media) -> Result<bool, Error> {
    if settings.bin_ms == 0 || is_erased(tx, media.user_num)? {
        return deeds::delete(tx, ctx, media);
    }
    let binned = Binned::by(ctx, settings.bin_ms);
    let put = media_bin::put(tx, media, &binned)?;
    if put {
        let changes = json!({
            "user_id": media.user_id,
            "media_length": media.media_length,
            "purge_ts": binned.purge_ts,
        });
        audit::record(tx, ctx, "media.delete", &media.media_id, &changes)?;
    }
    Ok(put)
}

/// Brings an upload back from the bin, with all that it was. If its bytes were quarantined meanwhile, it is quarantined,
/// too, unless it is protected. The limits of bytes are not asked: it is the decision of an administrator.
pub fn restore(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<(), Error> {
    let media = media_bin::find(tx, media_id)?.ok_or(Error::NotInBin)?.media;
    if is_erased(tx, media.user_num)? {
        return Err(Error::Erased);
    }
    let quarantined = media::is_quarantined(tx, media.blob_num)?;
    media_bin::put_back(tx, &media)?;
    if quarantined && media.quarantined_by.is_none() && !media.safe_from_quarantine {
        media::set_quarantined(tx, &media, Some(SYSTEM), ctx.now)?;
    }
    audit::record(tx, ctx, "media.restore", media_id, &json!({ "user_id": media.user_id }))?;
    Ok(())
}

/// Deletes an upload in the bin for good.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<(), Error> {
    let media = media_bin::find(tx, media_id)?.ok_or(Error::NotInBin)?.media;
    media_bin::delete(tx, &media, ctx.now)?;
    audit::record(tx, ctx, "media.purge", media_id, &json!({ "user_id": media.user_id }))?;
    Ok(())
}

/// Orders that everything that is in the bin is deleted for good, and returns the id of the job.
pub fn empty(tx: &mut Tx<'_>, ctx: &Ctx) -> Result<String, Error> {
    let job = JOB.enqueue(tx, ALL, &Purge::DeletedUntil(ctx.now), 0, ctx.now)?;
    audit::record(tx, ctx, "media.empty_bin", "media", &json!({ "job": job }))?;
    Ok(job)
}

/// Deletes some of the uploads of an erased account in the bin for good; returns their number, 0 when none is left.
pub fn delete_some_of_user(
    tx: &mut Tx<'_>,
    library: &Library,
    user_num: UserNum,
    now: Millis,
) -> Result<i64, DbError> {
    let some = media_bin::of_user(tx, user_num, STEP_UPLOADS)?;
    delete_for_good(tx, library, &some, now)
}

/// Queues the job for uploads whose time is over, if there are any.
pub async fn purge_due(db: &Db, now: Millis) -> Result<(), DbError> {
    if db.read(move |tx| media_bin::has_due(tx, now)).await? {
        db.write(move |tx| JOB.enqueue_once(tx, DUE, &Purge::Due, 0, now)).await?;
    }
    Ok(())
}

/// Returns the job.
pub fn job(library: &Library) -> Kind {
    let library = library.clone();
    JOB.with_step(move |tx, work| step(tx, &library, work))
}

fn step(
    tx: &mut Tx<'_>,
    library: &Library,
    work: Work<'_, Purge, ()>,
) -> Result<Step<(), Purged>, StepError> {
    let Work { payload, done, now, .. } = work;
    let some = match payload {
        Purge::Due => media_bin::due(tx, now, STEP_UPLOADS)?,
        Purge::DeletedUntil(until) => media_bin::deleted_until(tx, *until, STEP_UPLOADS)?,
    };
    let deleted = delete_for_good(tx, library, &some, now)?;
    let done = done.saturating_add(deleted);
    if deleted < STEP_UPLOADS {
        return Ok(Step::Done { result: Purged { purged: done }, done });
    }
    Ok(Step::More { progress: (), done })
}

/// Deletes uploads in the bin for good, and lets their bytes be swept; returns their number.
fn delete_for_good(
    tx: &mut Tx<'_>,
    library: &Library,
    some: &[media_bin::BinnedMedia],
    now: Millis,
) -> Result<i64, DbError> {
    for binned in some {
        media_bin::delete(tx, &binned.media, now)?;
    }
    if !some.is_empty() {
        let library = library.clone();
        tx.after_commit(move || library.wake_sweeper());
    }
    Ok(i64::try_from(some.len()).unwrap_or(STEP_UPLOADS))
}
