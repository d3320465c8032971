//! Keys of devices: identity keys, and one-time and fallback keys with which conversations begin.
//! <https://spec.matrix.org/v1.18/client-server-api/#end-to-end-encryption>

use std::collections::{BTreeMap, HashSet};

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, KeyUsage, Millis, User, UserNum, id};
use reeve_store::cross_signing::{self, Signature};
use reeve_store::keys::ClaimedKey;
use reeve_store::{device_changes, keys, users};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::policy::Limits;

/// The algorithm of one-time keys whose count clients always expect.
pub const USUAL_ALGORITHM: &str = "signed_curve25519";
/// The maximum number of algorithms for which a device has one-time keys, or a fallback key.
const MAX_ALGORITHMS: i64 = 10;
/// The time for which claimed one-time keys are remembered, in milliseconds, and the number that one call forgets.
const CLAIMED_MS: i64 = 30 * 24 * 3600 * 1000;
const FORGOTTEN_AT_ONCE: i64 = 10_000;
/// The maximum length of a one-time key, its name, and the keys of a device, in bytes.
const MAX_KEY_LEN: usize = 16 * 1024;
const MAX_NAME_LEN: usize = 255;
const MAX_DEVICE_KEYS_LEN: usize = 64 * 1024;

/// A key that other users can claim.
#[derive(Clone, Debug)]
struct NewKey {
    algorithm: String,
    key_id: String,
    key: Value,
}

/// The keys that a device uploads.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    device: Option<Map<String, Value>>,
    one_time: Vec<NewKey>,
    fallback: Vec<NewKey>,
}

fn bad(text: impl Into<String>) -> Error {
    Error::BadKeys(text.into())
}

/// Serializes a value that has a JSON form.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value)
        .map_err(|error| DbError::Internal(format!("keys cannot be written: {error}")))
}

/// Parses an object that was stored as JSON.
pub(crate) fn from_json(json: &str) -> Result<Map<String, Value>, DbError> {
    serde_json::from_str(json)
        .map_err(|error| DbError::Internal(format!("stored keys are not a JSON object: {error}")))
}

/// Returns an optional object of a body.
fn optional<'a>(value: Option<&'a Value>, name: &str) -> Result<Option<&'a Map<String, Value>>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(bad(format!("'{name}' must be an object"))),
    }
}

/// Returns true if a value is an object whose values are all texts.
pub(crate) fn is_map_of_texts(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_some_and(|object| object.values().all(Value::is_string))
}

/// Returns true if a value is an object of objects of texts, as signatures are.
pub(crate) fn is_signatures(value: Option<&Value>) -> bool {
    value
        .and_then(Value::as_object)
        .is_some_and(|object| object.values().all(|signatures| is_map_of_texts(Some(signatures))))
}

fn check_device_keys(keys: &Map<String, Value>, user_id: &str, device_id: &str) -> Result<(), Error> {
    let text = |name: &str| {
        keys.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| bad(format!("'{name}' of the device keys must be a string")))
    };
    let (owner, device) = (text("user_id")?, text("device_id")?);
    let is_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    if !keys.get("algorithms").is_some_and(is_list) {
        return Err(bad("'algorithms' of the device keys must be an array of strings"));
    }
    if !is_map_of_texts(keys.get("keys")) {
        return Err(bad("'keys' of the device keys must be an object of strings"));
    }
    if !is_signatures(keys.get("signatures")) {
        return Err(bad("'signatures' of the device keys must be an object of objects of strings"));
    }
    if owner != user_id {
        return Err(bad("The device keys are those of another user"));
    }
    if device != device_id {
        return Err(bad("The device keys are those of another device"));
    }
    if to_json(keys)?.len() > MAX_DEVICE_KEYS_LEN {
        return Err(bad("The device keys are too long"));
    }
    Ok(())
}

/// Reads keys by algorithm and id.
fn new_keys(value: Option<&Value>, name: &str) -> Result<Vec<NewKey>, Error> {
    let mut found = Vec::new();
    for (full_id, key) in optional(value, name)?.into_iter().flatten() {
        let (algorithm, key_id) = full_id
            .split_once(':')
            .filter(|(algorithm, _)| !algorithm.is_empty() && full_id.len() <= MAX_NAME_LEN)
            .ok_or_else(|| bad(format!("A name in '{name}' is not an algorithm and a key id")))?;
        let is_key = match key {
            Value::String(_) => true,
            Value::Object(signed) => {
                signed.get("key").is_some_and(Value::is_string)
                    && is_signatures(signed.get("signatures"))
                    && signed.get("fallback").is_none_or(Value::is_boolean)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
        };
        if !is_key || to_json(key)?.len() > MAX_KEY_LEN {
            return Err(bad(format!("A key in '{name}' is not a key, or too long")));
        }
        let (algorithm, key_id) = (algorithm.to_owned(), key_id.to_owned());
        found.push(NewKey { algorithm, key_id, key: key.clone() });
    }
    Ok(found)
}

/// The keys of an upload as a client sends them, each under its name in the request.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The identity keys of the device.
    pub device_keys: Option<&'a Value>,
    /// One-time keys, by algorithm and id.
    pub one_time_keys: Option<&'a Value>,
    /// Fallback keys, by algorithm and id.
    pub fallback_keys: Option<&'a Value>,
    /// The same under their older name, `org.matrix.msc2732.fallback_keys`.
    pub old_fallback_keys: Option<&'a Value>,
}

impl Upload {
    /// Reads an upload.
    pub fn read(sent: Sent<'_>, user_id: &str, device_id: &str) -> Result<Self, Error> {
        let mut device = optional(sent.device_keys, "device_keys")?.cloned();
        if let Some(keys) = &mut device {
            keys.remove("unsigned");
            check_device_keys(keys, user_id, device_id)?;
        }
        let mut fallback = new_keys(sent.fallback_keys, "fallback_keys")?;
        if fallback.is_empty() {
            fallback = new_keys(sent.old_fallback_keys, "org.matrix.msc2732.fallback_keys")?;
        }
        let mut algorithms = HashSet::new();
        if !fallback.iter().all(|key| algorithms.insert(key.algorithm.as_str())) {
            return Err(bad("There can be one fallback key for an algorithm"));
        }
        Ok(Self { device, one_time: new_keys(sent.one_time_keys, "one_time_keys")?, fallback })
    }

    /// Returns true if it has identity keys of the device.
    pub fn has_device_keys(&self) -> bool {
        self.device.is_some()
    }
}

/// Stores keys of a device. Returns the numbers of its one-time keys, by algorithm.
pub fn upload(
    tx: &mut Tx<'_>,
    limits: &Limits,
    user_num: UserNum,
    device_id: &str,
    upload: &Upload,
) -> Result<BTreeMap<String, i64>, Error> {
    if let Some(new) = &upload.device {
        set_device_keys(tx, user_num, device_id, new)?;
    }
    for NewKey { algorithm, key_id, key } in &upload.one_time {
        match keys::one_time_key(tx, user_num, device_id, algorithm, key_id)? {
            // The response to an earlier upload was lost, and the key was claimed meanwhile.
            None if keys::was_claimed(tx, user_num, device_id, algorithm, key_id)? => {}
            None => keys::insert_one_time(tx, user_num, device_id, algorithm, key_id, &to_json(key)?)?,
            Some(old) if is_same(&old, key) => {}
            Some(old) => {
                let (id, new) = (format!("{algorithm}:{key_id}"), to_json(key)?);
                return Err(Error::KeyExists { id, old, new });
            }
        }
    }
    for NewKey { algorithm, key_id, key } in &upload.fallback {
        keys::put_fallback(tx, user_num, device_id, algorithm, key_id, &to_json(key)?)?;
    }
    if !upload.fallback.is_empty() && keys::count_fallback(tx, user_num, device_id)? > MAX_ALGORITHMS {
        return Err(Error::too_many("A device", MAX_ALGORITHMS, "fallback keys"));
    }
    let counts = counts(tx, user_num, device_id)?;
    if !upload.one_time.is_empty() {
        if counts.values().any(|count| *count > limits.one_time_keys) {
            return Err(Error::too_many("A device", limits.one_time_keys, "one-time keys of an algorithm"));
        }
        let algorithms = counts.values().filter(|count| **count > 0).count();
        if i64::try_from(algorithms).unwrap_or(i64::MAX) > MAX_ALGORITHMS {
            return Err(Error::too_many("A device", MAX_ALGORITHMS, "algorithms of one-time keys"));
        }
    }
    Ok(counts)
}

fn set_device_keys(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    device_id: &str,
    new: &Map<String, Value>,
) -> Result<(), DbError> {
    let old = keys::find(tx, user_num, device_id)?.map(|old| from_json(&old)).transpose()?;
    let new = match &old {
        Some(old) if unsigned(old.clone()) == unsigned(new.clone()) => also_signed(new, old)?,
        Some(_) | None => {
            // Signatures of the former keys are worth nothing for the new ones.
            cross_signing::delete_of_target(tx, user_num, device_id)?;
            new.clone()
        }
    };
    if old.as_ref() == Some(&new) {
        return Ok(());
    }
    if old.is_some_and(|old| old.get("keys") != new.get("keys")) {
        // The device does not have the private halves of keys that were uploaded under its former identity.
        keys::delete_claimable(tx, user_num, device_id)?;
    }
    keys::put(tx, user_num, device_id, &to_json(&new)?)?;
    device_changes::mark(tx, user_num)?;
    Ok(())
}

/// Adds to keys the signatures that the same keys had before. A client may upload its keys twice at once, signed by the
/// device alone and by the account as well; the account's signature must hold whichever comes last.
fn also_signed(new: &Map<String, Value>, old: &Map<String, Value>) -> Result<Map<String, Value>, DbError> {
    let of = |keys: &Map<String, Value>| {
        keys.get("signatures").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut signatures = of(old);
    for (signer, added) in of(new) {
        let known = signatures.entry(signer).or_insert_with(|| json!({}));
        if let (Some(known), Value::Object(added)) = (known.as_object_mut(), added) {
            known.extend(added);
        }
    }
    let mut signed = new.clone();
    signed.insert("signatures".to_owned(), Value::Object(signatures));
    // Signatures do not accumulate without bound.
    Ok(if to_json(&signed)?.len() > MAX_DEVICE_KEYS_LEN { new.clone() } else { signed })
}

/// Deletes a batch of the records of one-time keys that were claimed long ago; returns false if there were none.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    Ok(keys::prune_claimed(tx, now.minus(CLAIMED_MS), FORGOTTEN_AT_ONCE)? > 0)
}

/// Returns the signed part of an object.
pub(crate) fn unsigned(mut object: Map<String, Value>) -> Map<String, Value> {
    object.remove("signatures");
    object.remove("unsigned");
    object
}

/// Returns true if a stored one-time key equals another one, apart from signatures.
fn is_same(old: &str, new: &Value) -> bool {
    match (serde_json::from_str(old), new) {
        (Ok(Value::Object(old)), Value::Object(new)) => unsigned(old) == unsigned(new.clone()),
        (Ok(old), new) => old == *new,
        (Err(_), _) => false,
    }
}

/// Returns the numbers of one-time keys of a device, by algorithm, always with that of the usual algorithm.
pub fn counts(tx: &ReadTx<'_>, user_num: UserNum, device_id: &str) -> Result<BTreeMap<String, i64>, DbError> {
    let mut counts = BTreeMap::from([(USUAL_ALGORITHM.to_owned(), 0)]);
    counts.extend(keys::count_one_time(tx, user_num, device_id)?);
    Ok(counts)
}

/// The keys of users and their devices, by user id.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    device_keys: BTreeMap<String, BTreeMap<String, Value>>,
    master_keys: BTreeMap<String, Value>,
    self_signing_keys: BTreeMap<String, Value>,
    user_signing_keys: BTreeMap<String, Value>,
    failures: BTreeMap<String, Value>,
}

/// The failure for a server that cannot be asked.
fn unreachable() -> Value {
    json!({ "status": 503, "message": "This server does not talk to other servers" })
}

/// Returns the other servers among those of some user ids.
fn failures<'a>(user_ids: impl Iterator<Item = &'a str>, server_name: &str) -> BTreeMap<String, Value> {
    user_ids
        .filter_map(|user_id| id::split(user_id).ok())
        .filter(|(_, domain)| *domain != server_name)
        .map(|(_, domain)| (domain.to_owned(), unreachable()))
        .collect()
}

/// Returns the keys of users and of their devices: of the named ones, or of all if none is named.
pub fn query(
    tx: &ReadTx<'_>,
    server_name: &str,
    asker: &User,
    wanted: &[(String, Vec<String>)],
) -> Result<Found, DbError> {
    let user_ids = wanted.iter().map(|(user_id, _)| user_id.as_str());
    let mut found = Found { failures: failures(user_ids, server_name), ..Found::default() };
    for (user_id, device_ids) in wanted {
        if !id::domain_is(user_id, server_name) {
            continue;
        }
        let Some(user_num) = users::num(tx, user_id)? else { continue };
        let of_user = found.device_keys.entry(user_id.clone()).or_default();
        let mut signatures = vec![(user_id.as_str(), cross_signing::signatures(tx, user_num, user_num)?)];
        if asker.num != user_num {
            // Signatures of other users' master keys are shown to the signer alone.
            signatures.push((&asker.user_id, cross_signing::signatures(tx, user_num, asker.num)?));
        }
        for device in keys::of_user(tx, user_num)? {
            if !device_ids.is_empty() && !device_ids.contains(&device.device_id) {
                continue;
            }
            let mut keys = from_json(&device.json)?;
            add_signatures(&mut keys, &device.device_id, &signatures);
            let unsigned =
                device.display_name.map_or_else(|| json!({}), |name| json!({ "device_display_name": name }));
            keys.insert("unsigned".to_owned(), unsigned);
            of_user.insert(device.device_id, Value::Object(keys));
        }
        for key in cross_signing::of_user(tx, user_num)? {
            let mut json = from_json(&key.json)?;
            let place = match key.usage {
                KeyUsage::Master => {
                    add_signatures(&mut json, &key.public_key, &signatures);
                    &mut found.master_keys
                }
                KeyUsage::SelfSigning => &mut found.self_signing_keys,
                KeyUsage::UserSigning if asker.num == user_num => &mut found.user_signing_keys,
                // It shows whom the account has verified.
                KeyUsage::UserSigning => continue,
            };
            place.insert(user_id.clone(), Value::Object(json));
        }
    }
    Ok(found)
}

/// Adds the signatures of a target, by signer, to those of an object.
fn add_signatures(object: &mut Map<String, Value>, target: &str, signatures: &[(&str, Vec<Signature>)]) {
    for (signer, signatures) in signatures {
        for signature in signatures.iter().filter(|signature| signature.target == target) {
            let all = object.entry("signatures").or_insert_with(|| json!({}));
            let Some(all) = all.as_object_mut() else { continue };
            let own = all.entry((*signer).to_owned()).or_insert_with(|| json!({}));
            if let Some(own) = own.as_object_mut() {
                own.insert(signature.signer_key.clone(), json!(signature.signature));
            }
        }
    }
}

/// One key that a client claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The user id of its owner.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// The algorithm.
    pub algorithm: String,
}

/// Claimed keys, by user id, device and key.
#[derive(Debug, Default, Serialize)]
pub struct Claimed {
    one_time_keys: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>,
    failures: BTreeMap<String, Value>,
}

/// Claims one-time keys, each of which is given to nobody else, or fallback keys where there are none.
pub fn claim(tx: &mut Tx<'_>, ctx: &Ctx, wanted: &[Wanted]) -> Result<Claimed, DbError> {
    let failures = failures(wanted.iter().map(|wanted| wanted.user_id.as_str()), &ctx.server_name);
    let mut claimed = Claimed { failures, ..Claimed::default() };
    let mut owner: Option<(&str, Option<UserNum>)> = None;
    for Wanted { user_id, device_id, algorithm } in wanted {
        let user_num = match owner {
            Some((known, num)) if known == user_id => num,
            Some(_) | None => users::num(tx, user_id)?,
        };
        owner = Some((user_id, user_num));
        let Some(user_num) = user_num else { continue };
        let key = match keys::take_one_time(tx, user_num, device_id, algorithm, ctx.now)? {
            Some(key) => Some(key),
            None => keys::use_fallback(tx, user_num, device_id, algorithm)?,
        };
        let Some(ClaimedKey { key_id, json }) = key else { continue };
        let key: Value = serde_json::from_str(&json)
            .map_err(|error| DbError::Internal(format!("a stored key is not JSON: {error}")))?;
        let of_user = claimed.one_time_keys.entry(user_id.clone()).or_default();
        of_user.entry(device_id.clone()).or_default().insert(format!("{algorithm}:{key_id}"), key);
    }
    Ok(claimed)
}
