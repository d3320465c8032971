//! Deeds on uploads, each in one transaction.

use reeve_accounts::audit;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Actor, Ctx, Millis, UserNum, random};
use reeve_store::media::{self, Media, NewMedia};
use reeve_store::media_pending::{self as pending, Pending};
use reeve_store::{media_objects as objects, media_users};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Error;
use crate::settings::Settings;
use crate::upload::Stored;

/// Length of a media id.
const MEDIA_ID: usize = 24;
/// Maximum number of uploads that one transaction quarantines or releases, so that others can write in between.
const BATCH: i64 = 500;
/// The actor of a quarantine on upload, for bytes that are already quarantined.
pub(crate) const SYSTEM: &str = "system";

/// A new media id.
pub fn new_media_id() -> String {
    random::letters(MEDIA_ID)
}

/// Refuses if `length` more bytes would exceed the account's limit. The limit of the server is checked when the bytes
/// are complete: they may be stored already.
pub fn check_room(tx: &ReadTx<'_>, settings: &Settings, user_num: UserNum, length: i64) -> Result<(), Error> {
    let Some(most) = settings.max_bytes_per_account else { return Ok(()) };
    let used = media_users::of_user(tx, user_num)?.media_length;
    if used.saturating_add(length) > most { Err(Error::AccountFull) } else { Ok(()) }
}

/// Finds the blob of an upload, or stores it if the server's limit allows that; returns its number.
fn put_blob(tx: &mut Tx<'_>, settings: &Settings, stored: &Stored, now: Millis) -> Result<i64, Error> {
    let used = |tx: &ReadTx<'_>| -> Result<i64, Error> {
        Ok(if settings.max_bytes.is_some() { media_users::totals(tx)?.bytes } else { 0 })
    };
    let before = used(tx)?;
    let blob_num = objects::put_blob(tx, &stored.sha256, stored.length, &stored.object, now)?;
    let after = used(tx)?;
    if after > before && settings.max_bytes.is_some_and(|most| after > most) {
        return Err(Error::ServerFull);
    }
    blob_num.ok_or_else(|| Error::store("an upload took too long"))
}

/// Adds an upload whose bytes are complete. Bytes that are quarantined are quarantined here, too.
pub fn add(tx: &mut Tx<'_>, settings: &Settings, new: &NewMedia, stored: &Stored) -> Result<(), Error> {
    reeve_accounts::account::check_active(tx, new.user_num)?;
    check_room(tx, settings, new.user_num, stored.length)?;
    let now = new.created_ts;
    let blob_num = put_blob(tx, settings, stored, now)?;
    let quarantined = media::is_quarantined(tx, blob_num)?;
    let quarantined_by = quarantined.then(|| SYSTEM.to_owned());
    media::insert(tx, &NewMedia { quarantined_by, ..new.clone() }, blob_num, stored.length)?;
    if quarantined {
        media::add_quarantine_change(tx, &new.media_id, true, now)?;
    }
    Ok(())
}

/// A media id without bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The media id.
    pub media_id: String,
    /// The time until which its bytes can be uploaded.
    pub expires_ts: Millis,
}

/// Creates a media id for a later upload.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, settings: &Settings, user_num: UserNum) -> Result<Created, Error> {
    let waiting = pending::waiting(tx, user_num, ctx.now)?;
    if waiting.count >= settings.max_pending {
        let first = waiting.first_expires_ts;
        return Err(Error::TooManyPending(
            first.map_or(settings.pending_ms, |first| first.since(ctx.now)).max(1),
        ));
    }
    let (media_id, expires_ts) = (new_media_id(), ctx.now.plus(settings.pending_ms));
    pending::insert(tx, &media_id, Pending { user_num, expires_ts }, ctx.now)?;
    Ok(Created { media_id, expires_ts })
}

/// Refuses if an account cannot upload to a media id.
pub fn check_pending(tx: &ReadTx<'_>, media_id: &str, user_num: UserNum, now: Millis) -> Result<(), Error> {
    match pending::find(tx, media_id)? {
        Some(pending) if pending.user_num != user_num => Err(Error::NotYours),
        Some(pending) if pending.expires_ts <= now => Err(Error::UnknownId),
        Some(_) => Ok(()),
        None if media::find(tx, media_id)?.is_some() => Err(Error::AlreadyUploaded),
        None => Err(Error::UnknownId),
    }
}

/// Adds an upload under a media id created before. The bytes may be complete after the id expires, if the
/// upload began before: `began`, in milliseconds.
pub fn add_pending(
    tx: &mut Tx<'_>,
    settings: &Settings,
    new: &NewMedia,
    stored: &Stored,
    began: Millis,
) -> Result<(), Error> {
    check_pending(tx, &new.media_id, new.user_num, began)?;
    pending::delete(tx, &new.media_id)?;
    add(tx, settings, new, stored)
}

/// Deletes a batch of expired media ids; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    const MAX: i64 = 500;
    // Uploads that began in time may still be in progress.
    const GRACE_MS: i64 = 24 * 3600 * 1000;
    pending::prune(tx, now.minus(GRACE_MS), MAX)
}

/// Deletes an upload for good; returns false if it is not there. Its bytes, if there is no other upload of them, are deleted
/// soon after: see [`crate::Library::sweep`]. What an administrator deletes goes into the bin instead:
/// [`crate::bin::put`].
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, media: &Media) -> Result<bool, Error> {
    let deleted = media::delete(tx, media, ctx.now)?;
    if deleted {
        let changes = json!({ "user_id": media.user_id, "media_length": media.media_length });
        audit::record(tx, ctx, "media.delete", &media.media_id, &changes)?;
    }
    Ok(deleted)
}

/// The progress of a quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Progress {
    /// The number of completed uploads.
    done: usize,
    /// The number up to which other uploads of the next one's bytes are complete.
    copy: i64,
}

/// Quarantines uploads and all others with the same bytes, except protected ones, from the position `at`.
/// Returns the number that were not quarantined before, and the next position, if there is more to do.
pub fn quarantine(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    uploads: &[Media],
    from: Progress,
) -> Result<(i64, Option<Progress>), Error> {
    let by = ctx.actor.as_ref().map_or(SYSTEM, Actor::id);
    let (mut changed, mut room, mut at) = (0, BATCH, from);
    while let Some(upload) = uploads.get(at.done) {
        if room <= 0 {
            return Ok((changed, Some(at)));
        }
        // It is quarantined before the others: later uploads of the same bytes are then quarantined from the
        // start.
        let first = match at.copy {
            0 => media::find(tx, &upload.media_id)?.filter(|media| !media.safe_from_quarantine),
            _ => None,
        };
        let copies = if first.is_some() || at.copy > 0 {
            media::of_blob(tx, upload.blob_num, at.copy, room)?
        } else {
            Vec::new()
        };
        let (length, last) =
            (i64::try_from(copies.len()).unwrap_or(room), copies.last().map(|last| last.num));
        let others = copies.into_iter().filter(|copy| copy.num != upload.num);
        for media in first.into_iter().chain(others) {
            if media.quarantined_by.is_none() && !media.safe_from_quarantine {
                change(tx, ctx, &media, Some(by), "media.quarantine")?;
                changed += 1;
            }
        }
        at = match last {
            Some(copy) if length >= room => Progress { copy, ..at },
            Some(_) | None => Progress { done: at.done + 1, copy: 0 },
        };
        room -= length.max(1);
    }
    Ok((changed, None))
}

/// Releases a batch of the quarantined uploads with the same bytes as an upload; returns their number, 0 when
/// none is left.
pub fn unquarantine(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<i64, Error> {
    let Some(found) = media::find(tx, media_id)? else { return Ok(0) };
    let mut changed = 0;
    for media in media::quarantined_of_blob(tx, found.blob_num, BATCH)? {
        change(tx, ctx, &media, None, "media.unquarantine")?;
        changed += 1;
    }
    Ok(changed)
}

/// Sets or removes the protection of an upload from quarantine; returns false if there is no such upload.
pub fn protect(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str, safe: bool) -> Result<bool, Error> {
    let found = media::set_safe(tx, media_id, safe)?;
    if found {
        let action = if safe { "media.protect" } else { "media.unprotect" };
        audit::record(tx, ctx, action, media_id, &json!({}))?;
    }
    Ok(found)
}

/// Audits that an administrator read a quarantined upload.
pub fn note_bypass(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<(), Error> {
    audit::record(tx, ctx, "media.bypass_quarantine", media_id, &json!({}))?;
    Ok(())
}

fn change(tx: &mut Tx<'_>, ctx: &Ctx, media: &Media, by: Option<&str>, action: &str) -> Result<(), Error> {
    media::set_quarantined(tx, media, by, ctx.now)?;
    audit::record(tx, ctx, action, &media.media_id, &json!({ "user_id": media.user_id }))?;
    Ok(())
}
