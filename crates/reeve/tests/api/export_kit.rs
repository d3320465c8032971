//! Archives of everything about an account, opened.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use reeve_db::DbError;
use reeve_model::{ActorKind, Millis};
use reeve_store::exports::{self, By, NewExport, Options};
use reeve_store::users;
use reeve_testkit::{Client, Reply, Server};
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::rooms_kit::{at, ok};
use crate::sync_kit::eventually;

/// An archive whose files are as the schema says.
pub(crate) struct Opened {
    files: BTreeMap<String, Vec<u8>>,
}

impl Opened {
    /// Opens an archive and compares it with the schema.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).unwrap();
            let name = file.name().unwrap().into_owned();
            assert!(file.enclosed_name().is_some_and(|safe| safe.to_str() == Some(&*name)), "{name}");
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            assert!(files.insert(name.clone(), content).is_none(), "{name} is there twice");
        }
        let opened = Self { files };
        opened.check();
        opened
    }

    fn check(&self) {
        let mut schema = reeve_export::schema();
        assert_eq!(self.json("schema.json"), schema);
        // Keys that the schema does not name are wrong, too.
        for definition in schema["$defs"].as_object_mut().unwrap().values_mut() {
            if definition.get("properties").is_some() {
                definition["additionalProperties"] = json!(false);
            }
        }
        for (name, of_file) in schema["files"].as_object().unwrap() {
            if !self.files.contains_key(name) {
                assert_eq!(name, "history.jsonl");
                continue;
            }
            let mut whole = of_file.clone();
            whole["$defs"] = schema["$defs"].clone();
            let validator = jsonschema::validator_for(&whole).unwrap();
            let values = if name.split('.').next_back() == Some("jsonl") {
                self.lines(name)
            } else {
                vec![self.json(name)]
            };
            for value in values {
                let wrong: Vec<String> =
                    validator.iter_errors(&value).map(|error| error.to_string()).collect();
                assert!(wrong.is_empty(), "{name}: {wrong:?}: {value}");
            }
        }
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        self.files.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.bytes(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(self.bytes(name)).unwrap()
    }

    /// The values on the lines of a file.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        self.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything in it, as one text.
    pub(crate) fn all(&self) -> String {
        self.files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect()
    }
}

/// Stores an order of an account for itself (`own`) or of the command line, which no worker takes before a time.
pub(crate) async fn insert(server: &Server, id: &'static str, user_id: &'static str, own: bool, due: i64) {
    let insert = move |tx: &mut reeve_db::Tx<'_>| -> Result<(), DbError> {
        let user = users::find(tx, user_id)?.unwrap();
        let options = Options { history: false, media: false, recipient: None };
        let by = if own {
            By { kind: ActorKind::User, id: user_id.to_owned() }
        } else {
            By { kind: ActorKind::Cli, id: "cli".to_owned() }
        };
        let new = NewExport { id, user_num: user.num, own, requested_by: by, options: &options };
        exports::insert(tx, &new, Millis::new(due))
    };
    server.app().db.write(insert).await.unwrap();
}

/// Orders an export of an account as an administrator; returns its path.
pub(crate) async fn order(admin: &Client, user_id: &str, body: Value) -> String {
    let reply = admin.post(&format!("/_reeve/admin/v1/users/{user_id}/export"), body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    format!("/_reeve/admin/v1/exports/{}", reply.text("id"))
}

/// Waits until an export is over.
pub(crate) async fn over(client: &Client, path: &str) -> Value {
    ok(eventually(client, path, |reply| !matches!(reply.text("state"), "waiting" | "running")).await)
}

/// Makes the link of an export that is ready; returns its path.
pub(crate) async fn link(admin: &Client, path: &str) -> String {
    let made = ok(admin.post(&format!("{path}/link"), json!({})).await);
    at(&made, "/path").to_owned()
}

/// Orders an export as an administrator, waits for it and downloads it.
pub(crate) async fn download(admin: &Client, user_id: &str, body: Value) -> Reply {
    let path = order(admin, user_id, body).await;
    let export = over(admin, &path).await;
    assert_eq!(export["state"], json!("ready"), "{export}");
    let reply = admin.get(&link(admin, &path).await).await;
    assert_eq!((reply.status, json!(reply.bytes.len())), (200, export["length"].clone()));
    reply
}

/// Orders an export as an administrator, waits for it and opens it.
pub(crate) async fn opened(admin: &Client, user_id: &str, body: Value) -> Opened {
    Opened::new(&download(admin, user_id, body).await.bytes)
}
