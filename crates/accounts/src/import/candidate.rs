//! The checks of each account of an import, without the database and against it.

use std::collections::HashSet;
use std::net::IpAddr;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Millis, User, id};
use reeve_store::devices::Device;
use reeve_store::external_ids::ExternalId;
use reeve_store::lists::users::bulk;
use reeve_store::threepids::Threepid;
use reeve_store::validity::Validity;
use reeve_store::{devices, external_ids, profile_fields, threepids, users, validity};
use serde_json::Value;

use super::{Account, AccountExternalId, Outcome};
use crate::account::{check_avatar_url, check_displayname};
use crate::devices::{MAX_DEVICE_ID, MAX_DISPLAY_NAME};
use crate::error::Error;
use crate::policy::Policy;
use crate::profile::{self, Field};
use crate::{password, threepids as addresses};

/// The earliest time of an account, in milliseconds. A smaller number is in seconds.
const EARLIEST_MS: i64 = 100_000_000_000;

/// The reason why an account was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason, in a few words that are always the same.
    pub reason: &'static str,
    /// The reason in full.
    pub error: String,
}

fn refuse<T>(reason: &'static str, error: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { reason, error: error.into() })
}

/// An account that passed the checks without the database.
#[derive(Clone, Debug)]
pub struct Candidate {
    user: User,
    password_hash: Option<String>,
    threepids: Vec<Threepid>,
    external_ids: Vec<ExternalId>,
    devices: Vec<Device>,
    profile_fields: Vec<(String, String)>,
}

impl Candidate {
    /// Checks an account without the database.
    pub fn new(account: Account, ctx: &Ctx, policy: &Policy) -> Result<Self, Refusal> {
        let user_id = full_user_id(&account, ctx)?;
        let flag = |flag: Option<bool>| flag.unwrap_or_default();
        check_texts(&account)?;
        check_name(&user_id, flag(account.is_guest), ctx)?;
        let profile = |error: Error| Refusal { reason: "invalid profile", error: error.to_string() };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (displayname, avatar_url) = (given(&account.displayname), given(&account.avatar_url));
        displayname.as_deref().map_or(Ok(()), check_displayname).map_err(profile)?;
        avatar_url.as_deref().map_or(Ok(()), check_avatar_url).map_err(profile)?;
        if let Some(user_type) = account.user_type.as_deref().filter(|kind| !policy.knows_user_type(kind)) {
            return refuse("unknown user type", format!("the user type {user_type:?} is not known here"));
        }
        if account.approved == Some(false) {
            return refuse(
                "not approved",
                "accounts do not wait for approval here: leave it out, or import it locked",
            );
        }
        let password_hash = given(&account.password_hash);
        if let Some(hash) = &password_hash {
            password::check_stored(hash)
                .map_err(|error| Refusal { reason: "invalid password hash", error: error.to_owned() })?;
        }
        let created_ts = time("creation_ts", account.creation_ts)?.unwrap_or(ctx.now).whole_second();
        let devices = check_devices(&account)?;
        let seen = time("last_seen_ts", account.last_seen_ts)?;
        let user = User {
            displayname,
            avatar_url,
            user_type: account.user_type.clone().or_else(|| policy.default_user_type.clone()),
            is_guest: flag(account.is_guest),
            admin: flag(account.admin),
            deactivated: flag(account.deactivated),
            erased: flag(account.erased),
            locked: flag(account.locked),
            suspended: flag(account.suspended),
            shadow_banned: flag(account.shadow_banned),
            consent_version: account.consent_version.clone(),
            consent_ts: time("consent_ts", account.consent_ts)?,
            last_seen_ts: devices.iter().filter_map(|device| device.last_seen_ts).chain(seen).max(),
            ..User::new(user_id, created_ts)
        };
        let candidate = Self {
            threepids: check_threepids(&account, created_ts)?,
            external_ids: check_external_ids(&account)?,
            profile_fields: check_fields(&account, &user)?,
            user,
            password_hash,
            devices,
        };
        candidate.check_deactivated()?;
        Ok(candidate)
    }

    /// The full user id.
    pub fn user_id(&self) -> &str {
        &self.user.user_id
    }

    /// Refuses a deactivated or erased account with data that deactivation deletes.
    fn check_deactivated(&self) -> Result<(), Refusal> {
        let reason = "inconsistent";
        let user = &self.user;
        let acts = self.password_hash.is_some() || !self.devices.is_empty() || !self.threepids.is_empty();
        if user.deactivated && acts {
            return refuse(reason, "a deactivated account has no password, devices or third-party ids");
        }
        if user.erased && !user.deactivated {
            return refuse(reason, "an erased account is deactivated, too");
        }
        let shown =
            user.displayname.is_some() || user.avatar_url.is_some() || !self.profile_fields.is_empty();
        if user.erased && shown {
            return refuse(reason, "an erased account has no profile");
        }
        Ok(())
    }

    /// Checks it against the existing accounts.
    pub(super) fn check(&self, tx: &ReadTx<'_>) -> Result<Outcome, DbError> {
        let refused = |reason, error: String| Ok(Outcome::Refused(Refusal { reason, error }));
        if users::num(tx, &self.user.user_id)?.is_some() {
            return Ok(Outcome::Present);
        }
        if users::is_taken(tx, &self.user.user_id)? {
            return refused("name taken", "the name differs from another one in letter case only".to_owned());
        }
        for Threepid { medium, address, .. } in &self.threepids {
            if let Some(owner) = threepids::find_user(tx, medium, address)? {
                let owner = users::user_id(tx, owner)?.unwrap_or_default();
                return refused("third-party id taken", format!("{medium} {address} belongs to {owner}"));
            }
        }
        for ExternalId { auth_provider, external_id } in &self.external_ids {
            if let Some(owner) = external_ids::find_user(tx, auth_provider, external_id)? {
                let owner = users::user_id(tx, owner)?.unwrap_or_default();
                return refused(
                    "external id taken",
                    format!("{external_id:?} at {auth_provider:?} belongs to {owner}"),
                );
            }
        }
        Ok(Outcome::Added)
    }

    /// Stores it; it must have been checked in this transaction.
    pub(super) fn store(
        &self,
        tx: &mut Tx<'_>,
        ctx: &Ctx,
        policy: &Policy,
        bulk: bool,
    ) -> Result<(), DbError> {
        let user = &self.user;
        let insert = if bulk { bulk::insert } else { users::insert };
        let num = insert(tx, user, self.password_hash.as_deref())?;
        if let Some(period) = policy.account_validity_period_ms.filter(|_| !user.deactivated) {
            let expiration_ts = ctx.now.plus(period);
            validity::set(tx, &user.user_id, Validity { expiration_ts, renewal_emails: true })?;
        }
        for threepid in &self.threepids {
            threepids::insert(tx, num, threepid)?;
        }
        for id in &self.external_ids {
            external_ids::insert(tx, num, id)?;
        }
        for device in &self.devices {
            devices::add(tx, num, device, device.last_seen_ts.unwrap_or(user.created_ts))?;
        }
        for (field, value) in &self.profile_fields {
            profile_fields::put(tx, num, field, value)?;
        }
        Ok(())
    }

    /// The names that must not occur twice: of the account, its addresses and external ids, each with its kind.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        let threepids = self.threepids.iter().map(|id| ("third-party id taken", &*id.medium, &*id.address));
        let external =
            self.external_ids.iter().map(|id| ("external id taken", &*id.auth_provider, &*id.external_id));
        threepids.chain(external)
    }
}

/// Returns the user id that a line names.
fn full_user_id(account: &Account, ctx: &Ctx) -> Result<String, Refusal> {
    let reason = "invalid user id";
    match (&account.user_id, &account.localpart) {
        (Some(user_id), None) => match id::split(user_id) {
            Err(error) => refuse(reason, error.to_string()),
            Ok((_, domain)) if domain != &*ctx.server_name => {
                refuse(reason, format!("it belongs to {domain}, this is {}", ctx.server_name))
            }
            Ok(_) => Ok(user_id.clone()),
        },
        (None, Some(localpart)) => Ok(ctx.user_id(localpart)),
        (None, None) => refuse(reason, "neither user_id nor localpart is given"),
        (Some(_), Some(_)) => refuse(reason, "both user_id and localpart are given"),
    }
}

/// Refuses texts with U+0000, which the database cannot store.
fn check_texts(account: &Account) -> Result<(), Refusal> {
    let own = [&account.displayname, &account.avatar_url, &account.consent_version].map(Option::as_deref);
    let threepids = account.threepids.iter().map(|id| Some(&*id.address));
    let external =
        account.external_ids.iter().flat_map(|id| [&*id.auth_provider, &*id.external_id].map(Some));
    let devices = account.devices.iter().flat_map(|device| {
        [Some(&*device.device_id), device.display_name.as_deref(), device.last_seen_user_agent.as_deref()]
    });
    let mut texts = own.into_iter().chain(threepids).chain(external).chain(devices).flatten();
    if texts.any(|text| text.contains('\0')) {
        return refuse("invalid text", "a text has U+0000 in it");
    }
    Ok(())
}

fn check_name(user_id: &str, is_guest: bool, ctx: &Ctx) -> Result<(), Refusal> {
    let localpart = id::localpart(user_id);
    let named = id::check_new_localpart(localpart, &ctx.server_name).and_then(|()| {
        if id::is_numeric(localpart) && !is_guest { Err(id::BadName::Numeric) } else { Ok(()) }
    });
    named.map_err(|error| Refusal { reason: "invalid user id", error: error.to_string() })
}

/// Checks a time in milliseconds.
fn time(key: &str, ts: Option<i64>) -> Result<Option<Millis>, Refusal> {
    match ts {
        Some(ts) if ts < 0 => refuse("invalid time", format!("{key} is negative")),
        Some(ts) if ts > 0 && ts < EARLIEST_MS => {
            refuse("invalid time", format!("{key} is in milliseconds, but {ts} seems to be in seconds"))
        }
        ts => Ok(ts.map(Millis::new)),
    }
}

fn check_threepids(account: &Account, created_ts: Millis) -> Result<Vec<Threepid>, Refusal> {
    let reason = "invalid third-party id";
    let mut checked: Vec<Threepid> = Vec::with_capacity(account.threepids.len());
    for given in &account.threepids {
        let address = addresses::canonical(&given.medium, &given.address)
            .map_err(|error| Refusal { reason, error: error.to_string() })?;
        let validated_at = time("validated_at", given.validated_at)?;
        let added_at = time("added_at", given.added_at)?;
        let threepid = Threepid {
            medium: given.medium.clone(),
            address,
            validated_at: validated_at.or(added_at).unwrap_or(created_ts),
            added_at: added_at.or(validated_at).unwrap_or(created_ts),
        };
        if checked.iter().any(|other| other.medium == threepid.medium && other.address == threepid.address) {
            return refuse(reason, format!("{} {} is given twice", threepid.medium, threepid.address));
        }
        checked.push(threepid);
    }
    Ok(checked)
}

fn check_external_ids(account: &Account) -> Result<Vec<ExternalId>, Refusal> {
    let mut checked: Vec<ExternalId> = Vec::with_capacity(account.external_ids.len());
    for AccountExternalId { auth_provider, external_id } in &account.external_ids {
        let id = ExternalId { auth_provider: auth_provider.clone(), external_id: external_id.clone() };
        if checked.contains(&id) {
            return refuse(
                "invalid external id",
                format!("{external_id:?} at {auth_provider:?} is given twice"),
            );
        }
        checked.push(id);
    }
    Ok(checked)
}

fn check_devices(account: &Account) -> Result<Vec<Device>, Refusal> {
    let reason = "invalid device";
    let mut ids = HashSet::new();
    let mut checked = Vec::with_capacity(account.devices.len());
    for device in &account.devices {
        let device_id = &device.device_id;
        if device_id.is_empty() || device_id.chars().count() > MAX_DEVICE_ID {
            return refuse(reason, format!("a device_id must have 1 to {MAX_DEVICE_ID} characters"));
        }
        if !ids.insert(device_id) {
            return refuse(reason, format!("the device {device_id:?} is given twice"));
        }
        if device.display_name.as_ref().is_some_and(|name| name.chars().count() > MAX_DISPLAY_NAME) {
            return refuse(reason, Error::DeviceNameTooLong.to_string());
        }
        if let Some(ip) = device.last_seen_ip.as_deref().filter(|ip| ip.parse::<IpAddr>().is_err()) {
            return refuse(reason, format!("{ip:?} is not an IP address"));
        }
        checked.push(Device {
            device_id: device_id.clone(),
            display_name: device.display_name.clone(),
            last_seen_ts: time("last_seen_ts", device.last_seen_ts)?,
            last_seen_ip: device.last_seen_ip.clone(),
            last_seen_user_agent: device.last_seen_user_agent.clone(),
        });
    }
    Ok(checked)
}

fn check_fields(account: &Account, user: &User) -> Result<Vec<(String, String)>, Refusal> {
    let reason = "invalid profile";
    let mut checked = Vec::with_capacity(account.profile_fields.len());
    for (key, value) in &account.profile_fields {
        match Field::parse(key) {
            Ok(Field::Custom(key)) => checked.push((key, value.to_string())),
            Ok(_) => return refuse(reason, format!("{key} does not belong into profile_fields")),
            Err(error) => return refuse(reason, format!("{error}: {key:?}")),
        }
    }
    if !checked.is_empty() {
        let mut whole = account.profile_fields.clone();
        for (key, value) in [("displayname", &user.displayname), ("avatar_url", &user.avatar_url)] {
            if let Some(value) = value {
                whole.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        profile::check_size(whole).map_err(|error| Refusal { reason, error: error.to_string() })?;
    }
    Ok(checked)
}
