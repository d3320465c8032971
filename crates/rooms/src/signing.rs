//! The signing key of this server. It is created at the first start and stored in the database, so that all processes
//! sign with the same one.

use reeve_db::{Db, DbError};
use reeve_model::{Millis, random};
use reeve_store::signing_keys;
use ruma::signatures::{Ed25519KeyPair, sign_json};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};

/// A signing key in use.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Loads the stored key; creates one if there is none.
    pub async fn load(db: &Db, now: Millis) -> Result<Self, DbError> {
        let (version, secret) = db
            .write(move |tx| -> Result<_, DbError> {
                if let Some(stored) = signing_keys::newest(tx)? {
                    return Ok(stored);
                }
                let (version, secret) = (random::letters(8), Ed25519KeyPair::generate());
                signing_keys::insert(tx, &version, &secret, now)?;
                Ok((version, secret.to_vec()))
            })
            .await?;
        let pair = Ed25519KeyPair::from_der(&secret, version)
            .map_err(|error| DbError::Internal(format!("the stored signing key cannot be read: {error}")))?;
        Ok(Self { pair })
    }

    /// The id of the key, such as `ed25519:abcd`.
    pub fn id(&self) -> String {
        format!("ed25519:{}", self.pair.version())
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.pair.public_key()
    }

    /// Adds this server's signature to an object.
    pub fn sign(&self, server_name: &str, object: &mut CanonicalJsonObject) -> Result<(), DbError> {
        sign_json(server_name, &self.pair, object)
            .map_err(|error| DbError::Internal(format!("an object cannot be signed: {error}")))
    }

    /// Returns a text that only this server can make for these words, as a proof that it made a link. It needs no
    /// escaping in a URL.
    pub fn seal(&self, server_name: &str, words: &[&str]) -> Result<String, DbError> {
        let words = words.iter().map(|word| CanonicalJsonValue::String((*word).to_owned())).collect();
        let mut object = CanonicalJsonObject::from([("sealed".to_owned(), CanonicalJsonValue::Array(words))]);
        self.sign(server_name, &mut object)?;
        let signature = object
            .get("signatures")
            .and_then(|signatures| {
                signatures.as_object()?.values().next()?.as_object()?.values().next()?.as_str()
            })
            .ok_or_else(|| DbError::Internal("a signature is missing".to_owned()))?;
        Ok(signature.replace('+', "-").replace('/', "_"))
    }

    pub(crate) fn pair(&self) -> &Ed25519KeyPair {
        &self.pair
    }
}
