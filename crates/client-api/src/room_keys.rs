//! Backups of room keys.
//! <https://spec.matrix.org/v1.18/client-server-api/#server-side-key-backups>

use std::collections::BTreeMap;

use http::Method;
use reeve_accounts::key_backup::BackupUpdate;
use reeve_accounts::key_backup::{self as deeds, Extent};
use reeve_app::json::Object;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply, shape};
use reeve_store::key_backups::{BackedUpKey, Backup, Which};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::rooms::{required, required_text, text, v3};
use crate::shapes;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#server-side-key-backups";
const NO_BACKUP: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such backup");

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        route(Method::POST, "version", create)
            .id("postRoomKeysVersion")
            .takes::<shapes::keys::NewBackup>()
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
            .takes::<shapes::keys::ChangedBackup>()
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
        keys::<shapes::keys::RoomsOfKeys>(
            "keys",
            ["putRoomKeys", "getRoomKeys", "deleteRoomKeys"],
            ["Adds room keys to the backup", "Returns room keys of a backup", "Deletes all keys of a backup"],
        )
        .into_iter()
        .chain(keys::<shapes::keys::SessionsOfKeys>(
            "keys/{room_id}",
            ["putRoomKeysByRoomId", "getRoomKeysByRoomId", "deleteRoomKeysByRoomId"],
            [
                "Adds room keys for one room to the backup",
                "Returns room keys of a backup for one room",
                "Deletes the keys of a backup for one room",
            ],
        ))
        .chain(keys::<shapes::keys::RoomKey>(
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

/// The three routes of one path of keys, with bodies of the form `T`.
fn keys<T: ToSchema>(path: &str, ids: [&'static str; 3], what: [&'static str; 3]) -> [Route; 3] {
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

fn auth_data(body: &Object) -> Result<Object, MatrixError> {
    let data = required(body, "auth_data")?;
    data.as_object().cloned().ok_or_else(|| MatrixError::bad_json("'auth_data' must be an object"))
}

async fn create(mut call: Call) -> Answer {
    let body = call.object().await?;
    let (algorithm, auth_data) = (required_text(&body, "algorithm")?, auth_data(&body)?);
    let (limits, num) = (call.app.policy.limits, call.user()?.num);
    let version = call.write(move |tx| deeds::create(tx, &limits, num, &algorithm, &auth_data)).await?;
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
    view(&call.read(move |tx| deeds::latest(tx, num)).await?)
}

async fn get(call: Call) -> Answer {
    let (num, version) = (call.user()?.num, call.param("version"));
    view(&call.read(move |tx| deeds::find(tx, num, &version)).await?)
}

async fn update(mut call: Call) -> Answer {
    let body = call.object().await?;
    let (algorithm, auth_data) = (required_text(&body, "algorithm")?, auth_data(&body)?);
    let (given, version) = (text(&body, "version")?, call.param("version"));
    let num = call.user()?.num;
    call.write(move |tx| {
        let update = BackupUpdate { algorithm: &algorithm, version: given.as_deref(), auth_data: &auth_data };
        deeds::update(tx, num, &version, update)
    })
    .await?;
    reply::empty()
}

async fn delete(call: Call) -> Answer {
    let (num, version) = (call.user()?.num, call.param("version"));
    call.write(move |tx| deeds::delete(tx, num, &version)).await?;
    reply::empty()
}

/// The keys that the path names.
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

/// The keys in a body, whose nesting depends on the path.
fn read_keys(body: &Object, which: &Which) -> Result<Vec<BackedUpKey>, MatrixError> {
    let object = |value: &Value, key: &str| match value.get(key) {
        Some(Value::Object(object)) => Ok(object.clone()),
        _ => Err(MatrixError::bad_json(format!("'{key}' must be an object"))),
    };
    let of_room = |room_id: &str, value: &Value| -> Result<Vec<BackedUpKey>, MatrixError> {
        let sessions = object(value, "sessions")?;
        let read = |(session_id, data): (&String, &Value)| deeds::read_key(room_id, session_id, data);
        Ok(sessions.iter().map(read).collect::<Result<_, _>>()?)
    };
    let body = Value::Object(body.clone());
    match which {
        Which::All => {
            let mut keys = Vec::new();
            for (room_id, value) in &object(&body, "rooms")? {
                keys.extend(of_room(room_id, value)?);
            }
            Ok(keys)
        }
        Which::Room(room_id) => of_room(room_id, &body),
        Which::Session(room_id, session_id) => Ok(vec![deeds::read_key(room_id, session_id, &body)?]),
    }
}

fn extent(extent: Extent) -> Answer {
    reply::ok(&json!({ "count": extent.count, "etag": extent.etag.to_string() }))
}

async fn put_keys(mut call: Call) -> Answer {
    let (version, which) = (version(&call)?, which(&call));
    let keys = read_keys(&call.object().await?, &which)?;
    let (limits, num) = (call.app.policy.limits, call.user()?.num);
    extent(call.write(move |tx| deeds::put_keys(tx, &limits, num, &version, &keys)).await?)
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
    let keys = call.read(move |tx| deeds::keys(tx, num, &version, &wanted)).await?;
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
    extent(call.write(move |tx| deeds::delete_keys(tx, num, &version, &which)).await?)
}
