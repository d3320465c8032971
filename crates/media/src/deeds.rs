//! Deeds on uploads, each in one transaction.

use reeve_accounts::audit;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Millis, UserNum, random};
use reeve_store::media::{self, Media, NewMedia};
use reeve_store::media_pending::{self as pending, Pending};
use reeve_store::{media_objects as objects, media_users};
use serde_json::json;

use crate::Error;
use crate::library::Settings;
use crate::upload::Stored;

/// How long a media id is.
const MEDIA_ID: usize = 24;
/// How many uploads one transaction quarantines or releases, so that others can write in between.
const BATCH: i64 = 500;
/// Who quarantines what is quarantined already when it is uploaded.
const SYSTEM: &str = "system";

/// How long the picture of a preview is kept, in milliseconds. A client that shows the link again gets a new one.
const PREVIEWS_MS: i64 = 7 * 24 * 3600 * 1000;

/// A media id that nobody has.
pub fn new_media_id() -> String {
    random::letters(MEDIA_ID)
}

/// Refuses if an account has no room for so many more bytes. Whether the server has any is known when they have come: they
/// may be there already.
pub fn check_room(tx: &ReadTx<'_>, settings: &Settings, user_num: UserNum, length: i64) -> Result<(), Error> {
    let Some(most) = settings.max_bytes_per_account else { return Ok(()) };
    let used = media_users::of_user(tx, user_num)?.media_length;
    if used.saturating_add(length) > most { Err(Error::AccountFull) } else { Ok(()) }
}

/// Takes the bytes of an upload, if the server has them already or has room for them; answers their number.
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

/// Adds an upload whose bytes are complete. Bytes that are quarantined elsewhere are quarantined here too.
pub fn add(tx: &mut Tx<'_>, settings: &Settings, new: &NewMedia, stored: &Stored) -> Result<(), Error> {
    reeve_accounts::users::check_active(tx, new.user_num)?;
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

/// Gives out a media id before the bytes; answers it and until when they may come.
pub fn create(
    tx: &mut Tx<'_>,
    settings: &Settings,
    user_num: UserNum,
    now: Millis,
) -> Result<(String, Millis), Error> {
    let (waiting, first) = pending::waiting(tx, user_num, now)?;
    if waiting >= settings.max_pending {
        return Err(Error::TooManyPending(
            first.map_or(settings.pending_ms, |first| first.since(now)).max(1),
        ));
    }
    let (media_id, expires_ts) = (new_media_id(), now.plus(settings.pending_ms));
    pending::insert(tx, &media_id, Pending { user_num, expires_ts }, now)?;
    Ok((media_id, expires_ts))
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

/// Adds an upload under the media id that was given out before. The bytes may arrive later than the id expires, if
/// they began to come before: `began`, in milliseconds.
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

/// Forgets some of the media ids whose bytes never came, and of the pictures of previews that are old.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    const MOST: i64 = 500;
    // Bytes that began to come in time may still be on their way.
    const GRACE_MS: i64 = 24 * 3600 * 1000;
    for picture in media::old_previews(tx, now.minus(PREVIEWS_MS), MOST)? {
        media::delete(tx, &picture, now)?;
    }
    pending::prune(tx, now.minus(GRACE_MS), MOST)
}

/// Deletes an upload. Its bytes, if nobody else uploaded the same, are deleted soon after: see [`crate::Library::sweep`].
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, media: &Media) -> Result<bool, Error> {
    let deleted = media::delete(tx, media, ctx.now)?;
    if deleted {
        let changes = json!({ "user_id": media.user_id, "media_length": media.media_length });
        audit::record(tx, ctx, "media.delete", &media.media_id, &changes)?;
    }
    Ok(deleted)
}

/// How far a quarantine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many uploads are done with.
    done: usize,
    /// Up to which number other uploads of the next one's bytes are done with.
    copy: i64,
}

/// Quarantines uploads and all others with the same bytes, except what is safe from it, beginning where it was left off.
/// Answers how many were not quarantined before, and where to go on, if there is more to do.
pub fn quarantine(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    uploads: &[Media],
    from: Progress,
) -> Result<(i64, Option<Progress>), Error> {
    let by = ctx.actor.as_ref().map_or_else(|| SYSTEM.to_owned(), |actor| actor.user_id.to_string());
    let (mut changed, mut room, mut at) = (0, BATCH, from);
    while let Some(upload) = uploads.get(at.done) {
        if room <= 0 {
            return Ok((changed, Some(at)));
        }
        // It goes before the others: what is uploaded from then on with the same bytes is quarantined from the start.
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
                change(tx, ctx, &media, Some(&by), "media.quarantine")?;
                changed += 1;
            }
        }
        at = match last {
            Some(copy) if length >= room => Progress { copy, ..at },
            _ => Progress { done: at.done + 1, copy: 0 },
        };
        room -= length.max(1);
    }
    Ok((changed, None))
}

/// Releases some of the quarantined uploads with the same bytes as an upload; answers how many. There may be more until
/// there is none.
pub fn unquarantine(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<i64, Error> {
    let Some(found) = media::find(tx, media_id)? else { return Ok(0) };
    let mut changed = 0;
    for media in media::quarantined_of_blob(tx, found.blob_num, BATCH)? {
        change(tx, ctx, &media, None, "media.unquarantine")?;
        changed += 1;
    }
    Ok(changed)
}

/// Protects an upload from being quarantined, or not any more; whether there is one.
pub fn protect(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str, safe: bool) -> Result<bool, Error> {
    let found = media::set_safe(tx, media_id, safe)?;
    if found {
        let action = if safe { "media.protect" } else { "media.unprotect" };
        audit::record(tx, ctx, action, media_id, &json!({}))?;
    }
    Ok(found)
}

/// Notes that an administrator got an upload although it is quarantined.
pub fn note_bypass(tx: &mut Tx<'_>, ctx: &Ctx, media_id: &str) -> Result<(), Error> {
    audit::record(tx, ctx, "media.bypass_quarantine", media_id, &json!({}))?;
    Ok(())
}

fn change(tx: &mut Tx<'_>, ctx: &Ctx, media: &Media, by: Option<&str>, action: &str) -> Result<(), Error> {
    media::set_quarantined(tx, media, by, ctx.now)?;
    audit::record(tx, ctx, action, &media.media_id, &json!({ "user_id": media.user_id }))?;
    Ok(())
}
