//! Cross-signing keys, with which users sign each other's keys and those of their own devices, and the signatures.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{KeyUsage, Millis, Pos, UserNum};

reeve_db::statements! {
    OF_USER = "SELECT usage, public_key, json, replaceable_until_ts FROM cross_signing_keys WHERE user_num = $1 ORDER BY usage";
    IS_KEY = "SELECT 1 FROM cross_signing_keys WHERE user_num = $1 AND public_key = $2 LIMIT 1";
    PUT = "INSERT INTO cross_signing_keys (user_num, usage, public_key, json, replaceable_until_ts) \
           VALUES ($1, $2, $3, $4, NULL) ON CONFLICT (user_num, usage) DO UPDATE SET public_key = excluded.public_key, \
           json = excluded.json, replaceable_until_ts = NULL";
    DELETE = "DELETE FROM cross_signing_keys WHERE user_num = $1 AND usage = $2";
    ALLOW_REPLACING = "UPDATE cross_signing_keys SET replaceable_until_ts = $2 WHERE user_num = $1 AND usage = 'master'";
    DELETE_OF_USER = "DELETE FROM cross_signing_keys WHERE user_num = $1";
    SIGNATURES = "SELECT target, signer_key, signature FROM key_signatures WHERE user_num = $1 AND signer_num = $2 \
                  ORDER BY target, signer_key";
    SIGN = "INSERT INTO key_signatures (user_num, signer_num, target, signer_key, signature, pos) \
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_num, signer_num, target, signer_key) DO UPDATE SET \
            signature = excluded.signature, pos = excluded.pos";
    SIGNED_BY = "SELECT DISTINCT u.user_id FROM key_signatures s JOIN users u ON u.num = s.user_num \
                 WHERE s.signer_num = $1 AND s.pos > $2 AND s.pos <= $3 AND s.user_num <> $1 ORDER BY u.user_id";
    DELETE_OF_TARGET = "DELETE FROM key_signatures WHERE user_num = $1 AND target = $2";
    DELETE_OF_SIGNER = "DELETE FROM key_signatures WHERE signer_num = $1 AND signer_key = $2";
    DELETE_SIGNATURES = "DELETE FROM key_signatures WHERE user_num = $1 OR signer_num = $1";
}

/// A key with which an account signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its usage.
    pub usage: KeyUsage,
    /// The public key, unpadded base64.
    pub public_key: String,
    /// The key as it was uploaded, as JSON.
    pub json: String,
    /// The time until which it can be replaced without authentication; of the master key.
    pub replaceable_until_ts: Option<Millis>,
}

/// A signature that was uploaded after the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signed key: a device, by its id, or a master key, by itself.
    pub target: String,
    /// The signing key, such as `ed25519:…`.
    pub signer_key: String,
    /// The signature, unpadded base64.
    pub signature: String,
}

/// Returns the keys of an account, by usage.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<SigningKey>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| {
        Ok(SigningKey {
            usage: row.get(0)?,
            public_key: row.get(1)?,
            json: row.get(2)?,
            replaceable_until_ts: row.get(3)?,
        })
    })
}

/// Returns true if an account has this public key.
pub fn is_key(tx: &ReadTx<'_>, user_num: UserNum, public_key: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&IS_KEY, &params![user_num, public_key], |_| Ok(()))?.is_some())
}

/// Sets a key, given as JSON.
pub fn put(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    usage: KeyUsage,
    public_key: &str,
    json: &str,
) -> Result<(), DbError> {
    tx.execute(&PUT, &params![user_num, usage, public_key, json])?;
    Ok(())
}

/// Deletes a key.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, usage: KeyUsage) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_num, usage])?;
    Ok(())
}

/// Lets the master key be replaced without authentication for a while; returns true if there is one.
pub fn allow_replacing(tx: &mut Tx<'_>, user_num: UserNum, until_ts: Millis) -> Result<bool, DbError> {
    Ok(tx.execute(&ALLOW_REPLACING, &params![user_num, until_ts])? > 0)
}

/// Deletes the keys of an account with all signatures of them and by them; returns true if there were keys.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<bool, DbError> {
    tx.execute(&DELETE_SIGNATURES, &params![user_num])?;
    Ok(tx.execute(&DELETE_OF_USER, &params![user_num])? > 0)
}

/// Returns the signatures by one account on the keys of another, or on its own.
pub fn signatures(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    signer_num: UserNum,
) -> Result<Vec<Signature>, DbError> {
    tx.query(&SIGNATURES, &params![user_num, signer_num], |row| {
        Ok(Signature { target: row.get(0)?, signer_key: row.get(1)?, signature: row.get(2)? })
    })
}

/// Stores a signature, at a position of the stream.
pub fn sign(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    signer_num: UserNum,
    signature: &Signature,
    pos: Pos,
) -> Result<(), DbError> {
    let Signature { target, signer_key, signature } = signature;
    tx.execute(&SIGN, &params![user_num, signer_num, target, signer_key, signature, pos])?;
    Ok(())
}

/// Returns the other accounts whose keys an account signed in `(since, upto]`.
pub fn signed_by(
    tx: &ReadTx<'_>,
    signer_num: UserNum,
    since: Pos,
    upto: Pos,
) -> Result<Vec<String>, DbError> {
    tx.query(&SIGNED_BY, &params![signer_num, since, upto], |row| row.get(0))
}

/// Deletes the signatures on a device or a master key.
pub fn delete_of_target(tx: &mut Tx<'_>, user_num: UserNum, target: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_OF_TARGET, &params![user_num, target])?;
    Ok(())
}

/// Deletes the signatures by a key.
pub fn delete_of_signer(tx: &mut Tx<'_>, signer_num: UserNum, signer_key: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_OF_SIGNER, &params![signer_num, signer_key])?;
    Ok(())
}
