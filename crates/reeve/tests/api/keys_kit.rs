//! Helpers for tests of encryption: keys that sign, and the requests that store them. The encryption keys are
//! arbitrary strings.

use reeve_testkit::Client;
use ruma::canonical_json::try_from_json_map;
use ruma::serde::Base64;
use ruma::signatures::{Ed25519KeyPair, sign_json};
use serde_json::{Value, json};

use crate::rooms_kit::{CS, enc, list, ok, txn};

pub(crate) const CLAIM: &str = "/_matrix/client/v3/keys/claim";

/// A key that signs.
pub(crate) struct Signer {
    secret: Vec<u8>,
    /// The public key.
    pub(crate) public: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let secret = Ed25519KeyPair::generate().to_vec();
        let pair = Ed25519KeyPair::from_der(&secret, "1".to_owned()).unwrap();
        let public: Base64 = Base64::new(pair.public_key().to_vec());
        Self { secret, public: public.encode() }
    }

    /// Signs an object as `ed25519:{key_id}`, beside the signatures that it has.
    pub(crate) fn sign(&self, user_id: &str, key_id: &str, object: &Value) -> Value {
        let pair = Ed25519KeyPair::from_der(&self.secret, key_id.to_owned()).unwrap();
        let mut signed = try_from_json_map(object.as_object().unwrap().clone()).unwrap();
        sign_json(user_id, &pair, &mut signed).unwrap();
        serde_json::to_value(signed).unwrap()
    }
}

/// The keys of a device, signed by it.
pub(crate) fn device_keys(client: &Client, signer: &Signer) -> Value {
    keys_of_device(&client.user_id, &client.device_id, signer)
}

/// The keys of a device that need not be there, signed by it.
pub(crate) fn keys_of_device(user_id: &str, device_id: &str, signer: &Signer) -> Value {
    let keys = json!({
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            format!("curve25519:{device_id}"): "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI",
            format!("ed25519:{device_id}"): signer.public,
        },
    });
    signer.sign(user_id, device_id, &keys)
}

/// Uploads new device keys, and gives what signed them.
pub(crate) async fn upload_keys(client: &Client) -> Signer {
    let signer = Signer::new();
    upload(client, json!({ "device_keys": device_keys(client, &signer) })).await;
    signer
}

/// Uploads keys, and gives how many one-time keys there are then.
pub(crate) async fn upload(client: &Client, body: Value) -> Value {
    ok(client.post(&format!("{CS}/keys/upload"), body).await)["one_time_key_counts"].clone()
}

/// Keys that are given out, by their ids.
pub(crate) fn one_time_keys(ids: &[&str]) -> Value {
    let keys = ids.iter().map(|id| {
        (format!("signed_curve25519:{id}"), json!({ "key": format!("key {id}"), "signatures": {} }))
    });
    Value::Object(keys.collect())
}

/// Asks for a key of one device.
pub(crate) fn wanting(client: &Client) -> Value {
    json!({ "one_time_keys": { client.user_id.clone(): { client.device_id.clone(): "signed_curve25519" } } })
}

/// Claims a key of one device, and gives its id; blank if there was none.
pub(crate) async fn claim(client: &Client, owner: &Client) -> String {
    let claimed = ok(client.post(CLAIM, wanting(owner)).await);
    let keys = claimed["one_time_keys"][&owner.user_id][&owner.device_id].as_object();
    let id = keys.and_then(|keys| keys.keys().next()).cloned().unwrap_or_default();
    id.trim_start_matches("signed_curve25519:").to_owned()
}

/// Queries the keys of a user.
pub(crate) async fn query(client: &Client, user_id: &str) -> Value {
    ok(client.post(&format!("{CS}/keys/query"), json!({ "device_keys": { user_id: [] } })).await)
}

/// The cross-signing keys of a user.
pub(crate) struct CrossSigning {
    pub(crate) user_id: String,
    pub(crate) master: Signer,
    pub(crate) self_signing: Signer,
    pub(crate) user_signing: Signer,
}

impl CrossSigning {
    pub(crate) fn new(client: &Client) -> Self {
        let user_id = client.user_id.clone();
        Self { user_id, master: Signer::new(), self_signing: Signer::new(), user_signing: Signer::new() }
    }

    fn key(&self, usage: &str, signer: &Signer) -> Value {
        json!({
            "user_id": self.user_id,
            "usage": [usage],
            "keys": { format!("ed25519:{}", signer.public): signer.public },
        })
    }

    /// Another key, signed by the master key.
    fn signed(&self, usage: &str, signer: &Signer) -> Value {
        self.master.sign(&self.user_id, &self.master.public, &self.key(usage, signer))
    }

    pub(crate) fn master_key(&self) -> Value {
        self.key("master", &self.master)
    }

    pub(crate) fn self_signing_key(&self) -> Value {
        self.signed("self_signing", &self.self_signing)
    }

    pub(crate) fn user_signing_key(&self) -> Value {
        self.signed("user_signing", &self.user_signing)
    }

    /// All three, as they are uploaded.
    pub(crate) fn body(&self) -> Value {
        json!({
            "master_key": self.master_key(),
            "self_signing_key": self.self_signing_key(),
            "user_signing_key": self.user_signing_key(),
        })
    }
}

/// Uploads the first cross-signing keys of a user.
pub(crate) async fn cross_sign(client: &Client) -> CrossSigning {
    let keys = CrossSigning::new(client);
    assert_eq!(client.post(&format!("{CS}/keys/device_signing/upload"), keys.body()).await, (200, json!({})));
    keys
}

/// Sends a message to devices of one user.
pub(crate) async fn to_device(client: &Client, user_id: &str, device_id: &str, kind: &str, content: Value) {
    let body = json!({ "messages": { user_id: { device_id: content } } });
    let path = format!("{CS}/sendToDevice/{}/{}", enc(kind), txn());
    assert_eq!(client.put(&path, body).await, (200, json!({})));
}

/// The users whose devices changed, in a sync.
pub(crate) fn changed(sync: &Value) -> Vec<&str> {
    list(sync, "/device_lists/changed").iter().filter_map(Value::as_str).collect()
}

/// The users without a shared room any more, in a sync.
pub(crate) fn left(sync: &Value) -> Vec<&str> {
    list(sync, "/device_lists/left").iter().filter_map(Value::as_str).collect()
}
