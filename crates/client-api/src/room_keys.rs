//! Backups of room keys.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-side-key-backups>

use std::collections::BTreeMap;

use http::Method;
use reeve_accounts::key_backup::{self, BackupUpdate, Extent, Sent};
use reeve_app::body::{Body, Key, Readable};
use reeve_app::json::Object;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_store::key_backups::{BackedUpKey, Backup, Which};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rooms::{not_text, v3};
use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#server-side-key-backups";
const NO_BACKUP: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such backup");

body! {
    /// The algorithm and authentication data of a backup.
    pub(crate) struct NewBackup {
        algorithm: String,
        auth_data: AnyObject,
    }

    /// The new authentication data of a backup.
    pub(crate) struct ChangedBackup {
        algorithm: String,
        auth_data: AnyObject,
        version: Option<String>,
    }

    /// Room keys by session by room.
    pub(crate) struct RoomsOfKeys {
        rooms: BTreeMap<String, SessionsOfKeys>,
    }

    /// Room keys by session.
    pub(crate) struct SessionsOfKeys {
        sessions: BTreeMap<String, RoomKey>,
    }

    /// A room key, encrypted.
    pub(crate) struct RoomKey {
        first_message_index: i64,
        forwarded_count: i64,
        is_verified: bool,
        session_data: AnyObject,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        route(Method::POST, "version", create)
            .id("postRoomKeysVersion")
            .takes::<NewBackup>()
            .returns::<shapes::keys::BackupVersion>(200)
            .summary("Creates a backup of room keys")
            .errors(&[
                (400, "M_MISSING_PARAM", "`algorithm` or `auth_data` is missing"),
                (400, "M_TOO_LARGE", "the account has reached its limit of backups"),
                (413, "M_TOO_LARGE", "`auth_data` is too long"),
            ]),
        route(Method::GET, "version", latest)
            .id("getRoomKeysVersionCurrent")
            .returns::<shapes::keys::KeyBackup>(200)
            .summary("Returns the newest backup of room keys")
            .errors(&[(404, "M_NOT_FOUND", "there is no backup")]),
        route(Method::GET, "version/{version}", get)
            .id("getRoomKeysVersion")
            .returns::<shapes::keys::KeyBackup>(200)
            .summary("Returns a backup of room keys")
            .errors(&[NO_BACKUP]),
        route(Method::PUT, "version/{version}", update)
            .id("putRoomKeysVersion")
            .takes::<ChangedBackup>()
            .returns::<shape::Empty>(200)
            .summary("Updates the authentication data of a backup")
            .errors(&[(400, "M_INVALID_PARAM", "the algorithm or the version differs"), NO_BACKUP]),
        route(Method::DELETE, "version/{version}", delete)
            .id("deleteRoomKeysVersion")
            .returns::<shape::Empty>(200)
            .summary("Deletes a backup of room keys")
            .errors(&[NO_BACKUP]),
    ];
    routes.extend(
        keys::<RoomsOfKeys>(
            "keys",
            ["putRoomKeys", "getRoomKeys", "deleteRoomKeys"],
            ["Adds room keys to the backup", "Returns room keys of a backup", "Deletes all keys of a backup"],
        )
        .into_iter()
        .chain(keys::<SessionsOfKeys>(
            "keys/{room_id}",
            ["putRoomKeysByRoomId", "getRoomKeysByRoomId", "deleteRoomKeysByRoomId"],
            [
                "Adds room keys for one room to the backup",
                "Returns room keys of a backup for one room",
                "Deletes the keys of a backup for one room",
            ],
        ))
        .chain(keys::<RoomKey>(
            "keys/{room_id}/{session_id}",
            ["putRoomKeyBySessionId", "getRoomKeyBySessionId", "deleteRoomKeyBySessionId"],
            [
                "Adds one room key to the backup",
                "Returns one room key of a backup",
                "Deletes one key of a backup",
            ],
        )),
    );
    routes
}

/// Returns the three routes of one path of keys, with bodies of the form `T`.
fn keys<T: Body>(path: &str, ids: [&'static str; 3], what: [&'static str; 3]) -> [Route; 3] {
    let [put_id, get_id, delete_id] = ids;
    let [put, get, delete] = what;
    [
        route(Method::PUT, path, put_keys)
            .id(put_id)
            .summary(put)
            .description("An existing key is replaced only by a better one.")
            .query([Param::text("version", "the version of the backup, which must be the newest").required()])
            .takes::<T>()
            .returns::<shapes::keys::BackupExtent>(200)
            .errors(&[
                (400, "M_BAD_JSON", "a key is malformed"),
                (400, "M_TOO_LARGE", "the account would exceed its limit of backed up keys"),
                (
                    413,
                    "M_TOO_LARGE",
                    "a key, or all keys of the account together, would exceed the size limit",
                ),
                (403, "M_WRONG_ROOM_KEYS_VERSION", "the backup is not the newest"),
                NO_BACKUP,
            ]),
        route(Method::GET, path, get_keys)
            .id(get_id)
            .summary(get)
            .query([Param::text("version", "the version of the backup").required()])
            .returns::<T>(200)
            .errors(&[NO_BACKUP]),
        route(Method::DELETE, path, delete_keys)
            .id(delete_id)
            .summary(delete)
            .query([Param::text("version", "the version of the backup").required()])
            .returns::<shapes::keys::BackupExtent>(200)
            .errors(&[NO_BACKUP]),
    ]
}

fn route<F, Fut>(method: Method, path: &str, handler: F) -> Route
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    v3(method, &format!("room_keys/{path}"), handler)
        .also(&format!("/_matrix/client/unstable/room_keys/{path}"))
        .access(Access::User)
        .spec(SPEC)
}

async fn create(mut call: Call) -> Answer {
    let body: NewBackup = call.take().await?;
    let (algorithm, auth_data) = (body.algorithm.read_or(not_text)?, body.auth_data.read()?);
    let (limits, num) = (call.app.policy.limits, call.user()?.num);
    let version = call.write(move |tx| key_backup::create(tx, &limits, num, &algorithm, &auth_data)).await?;
    reply::ok(&json!({ "version": version.to_string() }))
}

fn view(backup: &Backup) -> Answer {
    let auth_data: Value = serde_json::from_str(&backup.auth_data).map_err(MatrixError::internal)?;
    reply::ok(&json!({
        "version": backup.version.to_string(),
        "algorithm": backup.algorithm,
        "auth_data": auth_data,
        "count": backup.keys,
        "etag": backup.etag.to_string(),
    }))
}

async fn latest(call: Call) -> Answer {
    let num = call.user()?.num;
    view(&call.read(move |tx| key_backup::latest(tx, num)).await?)
}

async fn get(call: Call) -> Answer {
    let (num, version) = (call.user()?.num, call.param("version"));
    view(&call.read(move |tx| key_backup::find(tx, num, &version)).await?)
}

async fn update(mut call: Call) -> Answer {
    let body: ChangedBackup = call.take().await?;
    let (algorithm, auth_data) = (body.algorithm.read_or(not_text)?, body.auth_data.read()?);
    let (given, version) = (body.version.read_or(not_text)?, call.param("version"));
    let num = call.user()?.num;
    call.write(move |tx| {
        let update = BackupUpdate { algorithm: &algorithm, version: given.as_deref(), auth_data: &auth_data };
        key_backup::update(tx, num, &version, update)
    })
    .await?;
    reply::empty()
}

async fn delete(call: Call) -> Answer {
    let (num, version) = (call.user()?.num, call.param("version"));
    call.write(move |tx| key_backup::delete(tx, num, &version)).await?;
    reply::empty()
}

/// Returns the keys that the path names.
fn which(call: &Call) -> Which {
    let (room_id, session_id) = (call.param("room_id"), call.param("session_id"));
    match (room_id.is_empty(), session_id.is_empty()) {
        (true, _) => Which::All,
        (false, true) => Which::Room(room_id),
        (false, false) => Which::Session(room_id, session_id),
    }
}

fn version(call: &Call) -> Result<String, MatrixError> {
    call.query.utf8("version")?.ok_or_else(|| MatrixError::missing_params(&["version"]))
}

/// Returns the keys in a body, whose nesting depends on the path.
async fn read_keys(call: &mut Call, which: &Which) -> Result<Vec<BackedUpKey>, MatrixError> {
    match which {
        Which::All => {
            let body: RoomsOfKeys = call.take().await?;
            let mut keys = Vec::new();
            for (room_id, value) in object(&body.rooms)? {
                // A value that is not an object has no sessions.
                let sessions =
                    SessionsOfKeys::read(value).unwrap_or_else(|| SessionsOfKeys::of(Object::new()));
                keys.extend(read_sessions(room_id, &sessions)?);
            }
            Ok(keys)
        }
        Which::Room(room_id) => read_sessions(room_id, &call.take().await?),
        Which::Session(room_id, session_id) => Ok(vec![read_key(room_id, session_id, &call.take().await?)?]),
    }
}

fn object<T>(key: &Key<T>) -> Result<&Object, MatrixError> {
    let object = key.value().and_then(Value::as_object);
    object.ok_or_else(|| MatrixError::bad_json(format!("'{}' must be an object", key.name())))
}

fn read_sessions(room_id: &str, body: &SessionsOfKeys) -> Result<Vec<BackedUpKey>, MatrixError> {
    let read = |(session_id, value): (&String, &Value)| {
        // A value that is not an object has no parts of a key.
        let key = RoomKey::read(value).unwrap_or_else(|| RoomKey::of(Object::new()));
        read_key(room_id, session_id, &key)
    };
    object(&body.sessions)?.iter().map(read).collect()
}

fn read_key(room_id: &str, session_id: &str, body: &RoomKey) -> Result<BackedUpKey, MatrixError> {
    let sent = Sent {
        first_message_index: body.first_message_index.value(),
        forwarded_count: body.forwarded_count.value(),
        is_verified: body.is_verified.value(),
        session_data: body.session_data.value(),
    };
    Ok(key_backup::read_key(room_id, session_id, sent)?)
}

fn extent(extent: Extent) -> Answer {
    reply::ok(&json!({ "count": extent.count, "etag": extent.etag.to_string() }))
}

async fn put_keys(mut call: Call) -> Answer {
    let (version, which) = (version(&call)?, which(&call));
    let keys = read_keys(&mut call, &which).await?;
    let (limits, num) = (call.app.policy.limits, call.user()?.num);
    extent(call.write(move |tx| key_backup::put_keys(tx, &limits, num, &version, &keys)).await?)
}

/// A key in responses.
#[derive(serde::Serialize)]
struct KeyView {
    first_message_index: i64,
    forwarded_count: i64,
    is_verified: bool,
    session_data: Box<RawValue>,
}

fn key_view(key: BackedUpKey) -> Result<KeyView, MatrixError> {
    Ok(KeyView {
        first_message_index: key.first_message_index,
        forwarded_count: key.forwarded_count,
        is_verified: key.is_verified,
        session_data: RawValue::from_string(key.session_data).map_err(MatrixError::internal)?,
    })
}

/// The keys for one room in responses.
#[derive(Default, serde::Serialize)]
struct RoomView {
    sessions: BTreeMap<String, KeyView>,
}

async fn get_keys(call: Call) -> Answer {
    let (version, which, num) = (version(&call)?, which(&call), call.user()?.num);
    let wanted = which.clone();
    let keys = call.read(move |tx| key_backup::keys(tx, num, &version, &wanted)).await?;
    let mut rooms: BTreeMap<String, RoomView> = BTreeMap::new();
    for key in keys {
        if matches!(which, Which::Session(..)) {
            return reply::ok(&key_view(key)?);
        }
        let (room_id, session_id) = (key.room_id.clone(), key.session_id.clone());
        rooms.entry(room_id).or_default().sessions.insert(session_id, key_view(key)?);
    }
    match which {
        Which::Room(room_id) => reply::ok(&rooms.remove(&room_id).unwrap_or_default()),
        Which::All | Which::Session(..) => reply::ok(&BTreeMap::from([("rooms", rooms)])),
    }
}

async fn delete_keys(call: Call) -> Answer {
    let (version, which, num) = (version(&call)?, which(&call), call.user()?.num);
    extent(call.write(move |tx| key_backup::delete_keys(tx, num, &version, &which)).await?)
}
