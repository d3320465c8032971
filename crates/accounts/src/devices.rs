//! Devices of accounts.

use std::collections::HashSet;

use reeve_db::{DbError, Tx};
use reeve_model::{Ctx, Millis, User, UserNum};
use reeve_store::devices::{self, Device};
use reeve_store::{
    access_tokens, cross_signing, dehydrated_devices, device_changes, keys, oauth_sessions, pushers,
    refresh_tokens, sliding, to_device,
};
use serde_json::json;

use crate::error::Error;
use crate::policy::Limits;
use crate::seen::Sighting;
use crate::{audit, rights};

/// The longest display name of a device, in characters.
pub const MAX_DISPLAY_NAME: usize = 100;
/// The longest device id, in characters.
pub const MAX_DEVICE_ID: usize = 512;

/// Checks the length of a device's display name.
pub fn check_display_name(display_name: &str) -> Result<(), Error> {
    if display_name.chars().count() > MAX_DISPLAY_NAME { Err(Error::DeviceNameTooLong) } else { Ok(()) }
}

/// Creates a device without a session; a login with its id adopts it. An existing one stays as it is. Returns true if
/// it is new.
pub fn create(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    limits: &Limits,
    user_id: &str,
    device_id: &str,
    display_name: Option<&str>,
) -> Result<bool, Error> {
    if let Some(display_name) = display_name {
        check_display_name(display_name)?;
    }
    let user = rights::to_change(tx, ctx, user_id)?;
    let created = insert(tx, ctx, limits, user.num, device_id, display_name)?;
    if created {
        let changes = json!({ "device_id": device_id, "display_name": display_name });
        audit::record(tx, ctx, "device.create", user_id, &changes)?;
    }
    Ok(created)
}

/// Creates a device unless it exists; returns true if it is new. Device ids and cross-signing keys share one name
/// space.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    limits: &Limits,
    user_num: UserNum,
    device_id: &str,
    display_name: Option<&str>,
) -> Result<bool, Error> {
    if cross_signing::is_key(tx, user_num, device_id)? {
        return Err(Error::DeviceIdInUse);
    }
    let created = devices::insert(tx, user_num, device_id, display_name, ctx.now)?;
    if created {
        let most = limits.devices;
        if devices::count_of_user(tx, user_num, most.saturating_add(1))? > most {
            return Err(Error::too_many("An account", most, "devices"));
        }
        device_changes::mark(tx, user_num)?;
    }
    Ok(created)
}

/// Renames a device.
pub fn rename(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user_id: &str,
    device_id: &str,
    display_name: &str,
) -> Result<(), Error> {
    check_display_name(display_name)?;
    let user = rights::to_change(tx, ctx, user_id)?;
    let before = devices::find(tx, user.num, device_id)?.ok_or(Error::DeviceNotFound)?;
    if before.display_name.as_deref() != Some(display_name) {
        devices::rename(tx, user.num, device_id, Some(display_name))?;
        device_changes::mark(tx, user.num)?;
        let changes = json!({ "device_id": device_id, "display_name": display_name });
        audit::record(tx, ctx, "device.update", user_id, &changes)?;
    }
    Ok(())
}

/// Deletes a device with its access and refresh tokens, the pushers that were set from it, and its keys; its queue of
/// messages is orphaned. Returns true if the device existed.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<bool, DbError> {
    access_tokens::delete_of_device(tx, user_num, device_id)?;
    refresh_tokens::delete_of_device(tx, user_num, device_id)?;
    let deleted = remove(tx, user_num, device_id)?;
    if deleted {
        device_changes::mark(tx, user_num)?;
    }
    Ok(deleted)
}

/// Deletes a device with everything of it but its tokens, and publishes no change. Returns true if the device existed.
pub(crate) fn remove(tx: &mut Tx<'_>, user_num: UserNum, device_id: &str) -> Result<bool, DbError> {
    pushers::delete_of_device(tx, user_num, device_id)?;
    sliding::delete_of_device(tx, user_num, device_id)?;
    keys::delete_of_device(tx, user_num, device_id)?;
    cross_signing::delete_of_target(tx, user_num, device_id)?;
    to_device::orphan(tx, user_num, device_id)?;
    dehydrated_devices::delete_of_device(tx, user_num, device_id)?;
    oauth_sessions::delete_of_device(tx, user_num, device_id)?;
    devices::delete(tx, user_num, device_id)
}

/// Deletes those of the devices that exist. Ids may be unknown or occur twice.
pub fn delete_all(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, device_ids: &[String]) -> Result<(), Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    // A request may name very many devices; the work is bounded by the existing ones.
    let wanted: HashSet<&str> = device_ids.iter().map(String::as_str).collect();
    let mut deleted = Vec::new();
    for device in devices::of_user(tx, user.num)? {
        if wanted.contains(&*device.device_id) {
            access_tokens::delete_of_device(tx, user.num, &device.device_id)?;
            refresh_tokens::delete_of_device(tx, user.num, &device.device_id)?;
            remove(tx, user.num, &device.device_id)?;
            deleted.push(device.device_id);
        }
    }
    if !deleted.is_empty() {
        device_changes::mark(tx, user.num)?;
        audit::record(tx, ctx, "device.delete", user_id, &json!({ "device_ids": deleted }))?;
    }
    Ok(())
}

/// Deletes the devices of an account that were not seen since a time, except for a dehydrated device, which nobody sees before
/// it is needed; returns false if there is none. Sightings that are not written yet, of the last few seconds, do not count.
pub fn delete_unseen(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, since: Millis) -> Result<bool, Error> {
    let mut unseen = devices::unseen_since(tx, user.num, since)?;
    if let Some(dehydrated) = dehydrated_devices::of_user(tx, user.num)? {
        unseen.retain(|device_id| *device_id != dehydrated.device_id);
    }
    if unseen.is_empty() {
        return Ok(false);
    }
    delete_all(tx, ctx, &user.user_id, &unseen)?;
    Ok(true)
}

/// Updates devices with sightings that are not written yet.
pub fn see(devices: &mut [Device], sightings: &[Sighting]) {
    for device in devices {
        let newest = sightings
            .iter()
            .filter(|sighting| sighting.device_id.as_deref() == Some(&device.device_id))
            .max_by_key(|sighting| sighting.ts);
        if let Some(sighting) = newest
            && device.last_seen_ts.is_none_or(|ts| ts <= sighting.ts)
        {
            device.last_seen_ts = Some(sighting.ts);
            device.last_seen_ip = Some(sighting.ip.clone());
            device.last_seen_user_agent = Some(sighting.user_agent.clone());
        }
    }
}
