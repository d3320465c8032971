//! Cross-signing keys, with which users sign each other's keys and those of their own devices.
//! <https://spec.matrix.org/v1.18/client-server-api/#cross-signing>

use std::collections::BTreeMap;

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::encoding::from_base64;
use reeve_model::{Ctx, KeyUsage, Millis, User, UserNum};
use reeve_store::cross_signing::{self, Signature, SigningKey};
use reeve_store::{device_changes, devices, keys, stream, users};
use ruma::SigningKeyAlgorithm;
use ruma::canonical_json::try_from_json_map;
use ruma::signatures::{to_canonical_json_string_for_signing, verify_canonical_json_bytes};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::keys::{from_json, is_map_of_texts, is_signatures, to_json, unsigned};
use crate::{audit, rights};

/// The time, in milliseconds, for which an administrator lets a user replace the keys without authenticating again.
const REPLACEABLE_MS: i64 = 10 * 60 * 1000;
/// The maximum length of a key, as JSON, in bytes.
const MAX_KEY_LEN: usize = 64 * 1024;

/// A key in an upload.
#[derive(Clone, Debug)]
struct NewKey {
    usage: KeyUsage,
    public_key: String,
    object: Map<String, Value>,
}

/// An upload of keys.
#[derive(Clone, Debug)]
pub struct Upload {
    keys: Vec<NewKey>,
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The keys are stored.
    Stored,
    /// Nothing was changed: only a user who authenticates again can replace keys.
    Unauthenticated,
}

/// The keys of an upload as a client sends them, each under its name in the request. The first signs the others.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The key with the usage `master`.
    pub master_key: Option<&'a Value>,
    /// The key with the usage `self_signing`.
    pub self_signing_key: Option<&'a Value>,
    /// The key with the usage `user_signing`.
    pub user_signing_key: Option<&'a Value>,
}

impl Upload {
    /// Reads an upload.
    pub fn read(sent: Sent<'_>, user_id: &str) -> Result<Self, Error> {
        let mut keys = Vec::new();
        let sent = [
            (KeyUsage::Master, "master_key", sent.master_key),
            (KeyUsage::SelfSigning, "self_signing_key", sent.self_signing_key),
            (KeyUsage::UserSigning, "user_signing_key", sent.user_signing_key),
        ];
        for (usage, name, value) in sent {
            match value {
                None | Some(Value::Null) => {}
                Some(Value::Object(object)) => keys.push(NewKey::read(usage, name, object, user_id)?),
                Some(_) => return Err(Error::BadKeys(format!("'{name}' must be an object"))),
            }
        }
        Ok(Self { keys })
    }

    fn of(&self, usage: KeyUsage) -> Option<&NewKey> {
        self.keys.iter().find(|key| key.usage == usage)
    }
}

impl NewKey {
    fn read(usage: KeyUsage, name: &str, object: &Map<String, Value>, user_id: &str) -> Result<Self, Error> {
        let bad = |text: &str| Error::BadKeys(format!("{text} of '{name}'"));
        let mut object = object.clone();
        object.remove("unsigned");
        let owner =
            object.get("user_id").and_then(Value::as_str).ok_or_else(|| bad("There is no 'user_id'"))?;
        let usages =
            object.get("usage").and_then(Value::as_array).ok_or_else(|| bad("There is no 'usage'"))?;
        if !is_map_of_texts(object.get("keys")) {
            return Err(bad("There are no 'keys'"));
        }
        if object.contains_key("signatures") && !is_signatures(object.get("signatures")) {
            return Err(bad("The 'signatures' are not an object of objects of strings"));
        }
        if owner != user_id {
            return Err(Error::OtherKeys("The key is that of another user"));
        }
        if !usages.iter().any(|other| other == usage.as_str()) {
            return Err(Error::OtherKeys("The key is for another usage"));
        }
        let keys = object.get("keys").and_then(Value::as_object);
        let only = keys.filter(|keys| keys.len() == 1).and_then(|keys| keys.iter().next());
        let public_key = only
            .and_then(|(key_id, key)| Some((key_id.strip_prefix("ed25519:")?, key.as_str()?)))
            .filter(|(key_id, key)| key_id == key && !key.is_empty())
            .map(|(_, key)| key.to_owned())
            .ok_or(Error::OtherKeys("There must be exactly one key, named after itself"))?;
        if to_json(&object)?.len() > MAX_KEY_LEN {
            return Err(bad("There is too much"));
        }
        Ok(Self { usage, public_key, object })
    }

    /// Returns true if the key is among the stored ones.
    fn is_in(&self, stored: &[SigningKey]) -> Result<bool, DbError> {
        let Some(stored) = of_usage(stored, self.usage) else { return Ok(false) };
        Ok(from_json(&stored.json)? == self.object)
    }
}

fn of_usage(keys: &[SigningKey], usage: KeyUsage) -> Option<&SigningKey> {
    keys.iter().find(|key| key.usage == usage)
}

/// Returns true if an object is signed by a key, in the name of the key's owner.
fn is_signed(object: &Map<String, Value>, user_id: &str, key_id: &str, public_key: &str) -> Option<String> {
    let signature = object.get("signatures")?.get(user_id)?.get(format!("ed25519:{key_id}"))?.as_str()?;
    let (public_key, bytes) = (from_base64(public_key)?, from_base64(signature)?);
    let object = try_from_json_map(object.clone()).ok()?;
    let signed = to_canonical_json_string_for_signing(&object).ok()?;
    let algorithm = SigningKeyAlgorithm::Ed25519;
    verify_canonical_json_bytes(&algorithm, &public_key, &bytes, signed.as_bytes())
        .ok()
        .map(|()| signature.to_owned())
}

/// Stores keys of an account. Stored keys may be uploaded again, and the first ones need no permission. To replace
/// keys, the user must have authenticated again, or an administrator must have allowed it.
pub fn upload(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    user: &User,
    upload: &Upload,
    authenticated: bool,
) -> Result<Uploaded, Error> {
    let stored = cross_signing::of_user(tx, user.num)?;
    let old_master = of_usage(&stored, KeyUsage::Master);
    let new_master = upload.of(KeyUsage::Master);
    let master = new_master
        .map(|key| key.public_key.clone())
        .or_else(|| old_master.map(|key| key.public_key.clone()))
        .ok_or(Error::NoMasterKey)?;
    let mut changed = Vec::new();
    for key in &upload.keys {
        if !key.is_in(&stored)? {
            changed.push(key);
        }
    }
    if changed.is_empty() {
        return Ok(Uploaded::Stored);
    }
    let until = old_master.and_then(|key| key.replaceable_until_ts);
    let allowed = until.is_some_and(|until| ctx.now < until);
    if old_master.is_some() && !allowed && !authenticated {
        return Ok(Uploaded::Unauthenticated);
    }
    for key in &upload.keys {
        if devices::find(tx, user.num, &key.public_key)?.is_some() {
            return Err(Error::KeyIdInUse);
        }
        if key.usage != KeyUsage::Master && is_signed(&key.object, &user.user_id, &master, &master).is_none()
        {
            return Err(Error::BadSignature);
        }
    }
    for old in &stored {
        let new = upload.of(old.usage);
        // Signatures by an old master key are worth nothing under a new one.
        let outdated = new_master.is_some_and(|key| key.public_key != old_master_key(&stored));
        if new.map_or(outdated, |new| new.public_key != old.public_key) {
            cross_signing::delete_of_target(tx, user.num, &old.public_key)?;
            cross_signing::delete_of_signer(tx, user.num, &format!("ed25519:{}", old.public_key))?;
            cross_signing::delete(tx, user.num, old.usage)?;
        }
    }
    for key in changed {
        cross_signing::put(tx, user.num, key.usage, &key.public_key, &to_json(&key.object)?)?;
    }
    // A permission is for one replacement.
    cross_signing::allow_replacing(tx, user.num, Millis::ZERO)?;
    device_changes::mark(tx, user.num)?;
    Ok(Uploaded::Stored)
}

fn old_master_key(stored: &[SigningKey]) -> &str {
    of_usage(stored, KeyUsage::Master).map(|key| key.public_key.as_str()).unwrap_or_default()
}

/// Lets an account replace its keys once without authenticating again; returns the time until which it may.
pub fn allow_replacing(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str) -> Result<Millis, Error> {
    let none = || Error::KeyNotFound("User has no master cross-signing key");
    let user = users::find(tx, user_id)?.ok_or_else(none)?;
    rights::check_may_change(tx, ctx, &user)?;
    let until = ctx.now.plus(REPLACEABLE_MS);
    if !cross_signing::allow_replacing(tx, user.num, until)? {
        return Err(none());
    }
    let changes = json!({ "updatable_without_uia_before_ms": until });
    audit::record(tx, ctx, "user.allow_cross_signing_replacement", user_id, &changes)?;
    Ok(until)
}

/// Deletes the keys of an account, with all signatures by them and of them.
pub fn delete_all(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    if cross_signing::delete_of_user(tx, user_num)? {
        device_changes::mark(tx, user_num)?;
    }
    Ok(())
}

/// The reasons why signatures were not stored, by user id and key.
pub type Failures = BTreeMap<String, BTreeMap<String, Value>>;

/// A refusal of one signed object; not of the whole request.
enum Refused {
    Unknown,
    Different,
    Bad,
}

impl Refused {
    fn to_json(&self) -> Value {
        let (errcode, error) = match self {
            Self::Unknown => ("M_NOT_FOUND", "There is no such device or key, or no key to sign it with"),
            Self::Different => ("M_INVALID_SIGNATURE", "The signed object is not the one that is stored"),
            Self::Bad => ("M_INVALID_SIGNATURE", "Invalid signature"),
        };
        json!({ "errcode": errcode, "error": error })
    }
}

/// Stores the valid signatures and returns the errors of the others. Users sign their own devices with their
/// self-signing key, their own master key with their devices, and the master keys of others with their user-signing
/// key.
pub fn sign(tx: &mut Tx<'_>, user: &User, body: &Map<String, Value>) -> Result<Failures, Error> {
    let own = cross_signing::of_user(tx, user.num)?;
    let (mut failures, mut right) = (Failures::new(), Vec::new());
    for (user_id, targets) in body {
        let targets = targets
            .as_object()
            .filter(|targets| targets.values().all(Value::is_object))
            .ok_or_else(|| Error::BadKeys("The body must be an object of objects of objects".to_owned()))?;
        let target_num = if *user_id == user.user_id { Some(user.num) } else { users::num(tx, user_id)? };
        for (target, object) in targets {
            let Some(object) = object.as_object() else { continue };
            let checked = match target_num {
                None => Err(Refused::Unknown),
                Some(num) if num == user.num => check_own(tx, user, &own, target, object)?,
                Some(num) => check_other(tx, user, &own, num, target, object)?,
            };
            match (checked, target_num) {
                (Ok(signatures), Some(num)) => right.push((num, signatures)),
                (Ok(_), None) => {}
                (Err(refused), _) => {
                    failures.entry(user_id.clone()).or_default().insert(target.clone(), refused.to_json());
                }
            }
        }
    }
    if right.is_empty() {
        return Ok(failures);
    }
    let is_own = right.iter().any(|(num, _)| *num == user.num);
    let pos = if is_own { device_changes::mark(tx, user.num)? } else { stream::next(tx)? };
    for (num, signatures) in right {
        for signature in signatures {
            cross_signing::sign(tx, num, user.num, &signature, pos)?;
        }
    }
    Ok(failures)
}

fn is_same(stored: &str, object: &Map<String, Value>) -> Result<bool, DbError> {
    Ok(unsigned(from_json(stored)?) == unsigned(object.clone()))
}

fn signature(target: &str, key_id: &str, signature: String) -> Signature {
    Signature { target: target.to_owned(), signer_key: format!("ed25519:{key_id}"), signature }
}

/// Checks signatures of the user's own device or master key.
fn check_own(
    tx: &ReadTx<'_>,
    user: &User,
    own: &[SigningKey],
    target: &str,
    object: &Map<String, Value>,
) -> Result<Result<Vec<Signature>, Refused>, DbError> {
    if let Some(stored) = keys::find(tx, user.num, target)? {
        let Some(signer) = of_usage(own, KeyUsage::SelfSigning) else { return Ok(Err(Refused::Unknown)) };
        if !is_same(&stored, object)? {
            return Ok(Err(Refused::Different));
        }
        let signed = is_signed(object, &user.user_id, &signer.public_key, &signer.public_key);
        return Ok(signed.map(|text| vec![signature(target, &signer.public_key, text)]).ok_or(Refused::Bad));
    }
    let Some(master) = of_usage(own, KeyUsage::Master).filter(|master| master.public_key == target) else {
        return Ok(Err(Refused::Unknown));
    };
    if !is_same(&master.json, object)? {
        return Ok(Err(Refused::Different));
    }
    let signatures = object.get("signatures").and_then(|signatures| signatures.get(&user.user_id));
    let mut right = Vec::new();
    for key_id in signatures.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        let Some(device_id) = key_id.strip_prefix("ed25519:") else { continue };
        let Some(device) = keys::find(tx, user.num, device_id)? else { continue };
        let device = from_json(&device)?;
        let public_key = device.get("keys").and_then(|keys| keys.get(key_id)).and_then(Value::as_str);
        let Some(public_key) = public_key else { continue };
        match is_signed(object, &user.user_id, device_id, public_key) {
            Some(text) => right.push(signature(target, device_id, text)),
            None => return Ok(Err(Refused::Bad)),
        }
    }
    Ok(if right.is_empty() { Err(Refused::Bad) } else { Ok(right) })
}

/// Checks the signature of another user's master key.
fn check_other(
    tx: &ReadTx<'_>,
    user: &User,
    own: &[SigningKey],
    target_num: UserNum,
    target: &str,
    object: &Map<String, Value>,
) -> Result<Result<Vec<Signature>, Refused>, DbError> {
    let theirs = cross_signing::of_user(tx, target_num)?;
    let master = of_usage(&theirs, KeyUsage::Master).filter(|master| master.public_key == target);
    let (Some(master), Some(signer)) = (master, of_usage(own, KeyUsage::UserSigning)) else {
        return Ok(Err(Refused::Unknown));
    };
    if !is_same(&master.json, object)? {
        return Ok(Err(Refused::Different));
    }
    let signed = is_signed(object, &user.user_id, &signer.public_key, &signer.public_key);
    Ok(signed.map(|text| vec![signature(target, &signer.public_key, text)]).ok_or(Refused::Bad))
}
