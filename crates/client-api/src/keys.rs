//! Keys for end-to-end encryption: upload, query, claim and changes.
//! <https://spec.matrix.org/v1.18/client-server-api/#key-management-api>

use std::collections::BTreeMap;

use http::Method;
use reeve_accounts::Error;
use reeve_accounts::keys::{self, Sent, Upload, Wanted};
use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_sync::devices::DeviceLists;
use serde_json::{Value, json};

use crate::rooms::{token, v3};
use crate::shapes;

body! {
    /// Keys of a device.
    #[expect(clippy::struct_field_names, reason = "the keys are the specification's")]
    pub(crate) struct KeyUpload {
        device_keys?: AnyObject,
        one_time_keys: Option<AnyObject>,
        fallback_keys: Option<AnyObject>,
        /// The older name of the fallback keys.
        #[schema(ignore)]
        old_fallback_keys = "org.matrix.msc2732.fallback_keys": Option<AnyObject>,
    }

    /// A query for keys: devices by user; an empty list for all devices of a user.
    pub(crate) struct KeyQuery {
        device_keys: BTreeMap<String, Vec<String>>,
    }

    /// A claim of keys: algorithms by device by user.
    pub(crate) struct KeyClaim {
        one_time_keys: BTreeMap<String, BTreeMap<String, String>>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "keys/upload", upload)
            .also("/_matrix/client/unstable/keys/upload")
            .access(Access::Guest)
            .before_password_change()
            .id("uploadKeys")
            .takes::<KeyUpload>()
            .returns::<shapes::keys::KeyCounts>(200)
            .summary("Stores keys of the device")
            .errors(&[
                (400, "M_BAD_JSON", "keys are malformed or too long, or belong to another user or device"),
                (400, "M_INVALID_PARAM", "`device_keys` is null"),
                (
                    400,
                    "M_TOO_LARGE",
                    "the device would exceed its limit of one-time keys of an algorithm, or have keys of more than 10 \
                     algorithms",
                ),
                (400, "M_UNKNOWN", "the session has no device, or another one-time key has the id already"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3keysupload"),
        v3(Method::POST, "keys/query", query)
            .also("/_matrix/client/unstable/keys/query")
            .access(Access::Guest)
            .repeatable()
            .before_password_change()
            .id("queryKeys")
            .takes::<KeyQuery>()
            .returns::<shapes::keys::FoundKeys>(200)
            .summary("Returns the keys of users and of their devices")
            .errors(&[(400, "M_BAD_JSON", "`device_keys` is not an object of arrays of strings")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3keysquery"),
        v3(Method::POST, "keys/claim", claim)
            .also("/_matrix/client/unstable/keys/claim")
            .access(Access::Guest)
            .id("claimKeys")
            .takes::<KeyClaim>()
            .returns::<shapes::keys::ClaimedKeys>(200)
            .summary("Claims one-time keys")
            .errors(&[(400, "M_BAD_JSON", "`one_time_keys` is not an object of objects of strings")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3keysclaim"),
        v3(Method::GET, "keys/changes", changes)
            .also("/_matrix/client/unstable/keys/changes")
            .access(Access::Guest)
            .id("getKeysChanges")
            .returns::<shapes::keys::ChangedDevices>(200)
            .summary("Lists the users whose keys changed between two syncs")
            .query([
                Param::text("from", "`next_batch` of an earlier sync").required(),
                Param::text("to", "`next_batch` of a later sync").required(),
            ])
            .errors(&[(400, "M_INVALID_PARAM", "a token is not one of this server")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3keyschanges"),
    ]
}

async fn upload(mut call: Call) -> Answer {
    let body: KeyUpload = call.take().await?;
    if body.device_keys.value().is_some_and(Value::is_null) {
        return Err(MatrixError::invalid_param("'device_keys' must not be null"));
    }
    let session = call.session()?;
    let (user, device_id) = (session.user.clone(), session.device_id.clone().ok_or(Error::NoDevice)?);
    let sent = Sent {
        device_keys: body.device_keys.value(),
        one_time_keys: body.one_time_keys.value(),
        fallback_keys: body.fallback_keys.value(),
        old_fallback_keys: body.old_fallback_keys.value(),
    };
    let upload = Upload::read(sent, &user.user_id, &device_id)?;
    let limits = call.app.policy.limits;
    let counts = call.write(move |tx| keys::upload(tx, &limits, user.num, &device_id, &upload)).await?;
    reply::ok(&json!({ "one_time_key_counts": counts }))
}

/// Returns a required object in a body.
fn object<T>(key: &Key<T>) -> Result<&Object, MatrixError> {
    let object = key.value().and_then(Value::as_object);
    object.ok_or_else(|| MatrixError::bad_json(format!("'{}' must be a JSON object", key.name())))
}

async fn query(mut call: Call) -> Answer {
    let body: KeyQuery = call.take().await?;
    let mut wanted = Vec::new();
    for (user_id, device_ids) in object(&body.device_keys)? {
        let device_ids = device_ids
            .as_array()
            .and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect())
            .ok_or_else(|| MatrixError::bad_json("'device_keys' must be an object of arrays of strings"))?;
        wanted.push((user_id.clone(), device_ids));
    }
    let (server_name, user) = (call.app.server_name.clone(), call.user()?.clone());
    reply::ok(&call.read(move |tx| keys::query(tx, &server_name, &user, &wanted)).await?)
}

async fn claim(mut call: Call) -> Answer {
    let body: KeyClaim = call.take().await?;
    let bad = || MatrixError::bad_json("'one_time_keys' must be an object of objects of strings");
    let mut wanted = Vec::new();
    for (user_id, of_user) in object(&body.one_time_keys)? {
        for (device_id, algorithm) in of_user.as_object().ok_or_else(bad)? {
            wanted.push(Wanted {
                user_id: user_id.clone(),
                device_id: device_id.clone(),
                algorithm: algorithm.as_str().ok_or_else(bad)?.to_owned(),
            });
        }
    }
    // Concurrent claims lock the same keys in the same order.
    wanted.sort();
    let ctx = call.ctx();
    reply::ok(&call.write(move |tx| keys::claim(tx, &ctx, &wanted)).await?)
}

async fn changes(call: Call) -> Answer {
    let missing = |name| MatrixError::missing_params(&[name]);
    let from = token(&call, "from")?.ok_or_else(|| missing("from"))?;
    // Users whose keys changed again afterwards are included: the client will query their keys twice.
    token(&call, "to")?.ok_or_else(|| missing("to"))?;
    let user = call.user()?.clone();
    let lists = call.read(move |tx| DeviceLists::since(tx, &user.user_id, user.num, &from)).await?;
    reply::ok(&lists)
}
