//! The server is killed while it writes an archive: afterwards there is exactly one, and it is whole.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reeve_db::{Db, DbError, Options};
use reeve_store::media_objects;
use reeve_testkit::{Engine, tokio};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::check::JOBS_WITHIN;
use crate::http::Client;
use crate::model::Dice;
use crate::process::{self, SERVER_NAME, Site};
use crate::talk;

/// Uploads, which the archive has one after the other.
const UPLOADS: u64 = 24;
const LENGTH: usize = 2_000_000;
/// Maximum number of orders that are tried until kills hit the middle of writing.
const TRIES: u64 = 40;
/// Number of kills in the middle of writing one archive.
const KILLS: usize = 2;
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let (user_id, token) = talk::person(server.address, &admin, "person");
    let files = upload(server.address, &token);
    let mut dice = Dice(0xe4);
    let (mut export, mut hits) = (String::new(), 0);
    for _ in 0..TRIES {
        let mut client = Client::new(server.address, Some(&admin));
        if export.is_empty() {
            let path = format!("/_reeve/admin/v1/users/{user_id}/export");
            let reply = client.send("POST", &path, &json!({})).unwrap();
            assert_eq!(reply.status, 201, "{}", reply.body);
            reply.text("id").clone_into(&mut export);
        }
        let begun = wait(&mut client, &export, |state| state != "waiting");
        thread::sleep(Duration::from_millis(dice.roll(60)));
        server.kill();
        server = site.start();
        let mut client = Client::new(server.address, Some(&admin));
        let found = client.get(&format!("/_reeve/admin/v1/exports/{export}")).body;
        if begun == "running" && found["state"] != "ready" {
            assert_eq!(
                (&found["length"], &found["sha256"]),
                (&Value::Null, &Value::Null),
                "a half archive: {found}"
            );
            let link =
                client.send("POST", &format!("/_reeve/admin/v1/exports/{export}/link"), &json!({})).unwrap();
            assert_eq!(link.status, 409, "a link to a half archive: {}", link.body);
            hits += 1;
            if hits == KILLS {
                break;
            }
        } else if found["state"] == "ready" {
            // It was faster than the kill.
            let path = format!("/_reeve/admin/v1/exports/{export}");
            assert_eq!(client.send("DELETE", &path, &Value::Null).unwrap().status, 200);
            (export, hits) = (String::new(), 0);
        }
    }
    assert_eq!(hits, KILLS, "no kill in the middle of an archive");

    let mut client = Client::new(server.address, Some(&admin));
    assert_eq!(wait(&mut client, &export, |state| !matches!(state, "waiting" | "running")), "ready");
    let all = client.get(&format!("/_reeve/admin/v1/users/{user_id}/exports")).body;
    let ready: Vec<&Value> =
        all["exports"].as_array().unwrap().iter().filter(|export| export["state"] == "ready").collect();
    assert_eq!(ready.len(), 1, "{all}");
    let link = client.send("POST", &format!("/_reeve/admin/v1/exports/{export}/link"), &json!({})).unwrap();
    let (status, bytes) = client.send_bytes(None, "GET", link.text("path"), &[]).unwrap();
    assert_eq!((status, json!(bytes.len())), (200, ready[0]["length"].clone()));
    let digest = reeve_model::encoding::hex(&Sha256::digest(&bytes));
    assert_eq!(ready[0]["sha256"], json!(digest));
    check(&bytes, &files);

    site.stop(server);
    // On PostgreSQL another server may be at work: what was broken off is swept a day later.
    if engine == Engine::Sqlite {
        assert_eq!(strays(&site), 0, "a half archive is still known");
        let stored = count(&site.media_folder());
        assert_eq!(stored, files.len() + 1, "the store has more than the uploads and the archive");
    }
    let log = site.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "the servers complained:\n{log}");
}

/// Uploads files that differ; returns them by their media ids.
fn upload(address: SocketAddr, token: &str) -> BTreeMap<String, Vec<u8>> {
    let mut client = Client::new(address, Some(token));
    (0..UPLOADS)
        .map(|number| {
            let mut bytes = number.to_string().into_bytes();
            bytes.resize(LENGTH, b'x');
            let (status, body) =
                client.send_bytes(Some(token), "POST", "/_matrix/media/v3/upload", &bytes).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(status, 200, "{body}");
            let uri = body["content_uri"].as_str().unwrap();
            (uri.strip_prefix(&format!("mxc://{SERVER_NAME}/")).unwrap().to_owned(), bytes)
        })
        .collect()
}

/// Waits until the state of an export is as `wanted`; returns it.
fn wait(client: &mut Client, export: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis() * 10;
    loop {
        let found = client.get(&format!("/_reeve/admin/v1/exports/{export}")).body;
        let state = found["state"].as_str().unwrap();
        if wanted(state) {
            return state.to_owned();
        }
        assert!(left > 0, "the export does not go on: {found}");
        left -= 1;
        thread::sleep(PAUSE / 10);
    }
}

fn check(bytes: &[u8], files: &BTreeMap<String, Vec<u8>>) {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut listing = String::new();
    zip.by_name("media.jsonl").unwrap().read_to_string(&mut listing).unwrap();
    let listed: Vec<Value> = listing.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), files.len());
    for upload in listed {
        let mut content = Vec::new();
        zip.by_name(upload["file"].as_str().unwrap()).unwrap().read_to_end(&mut content).unwrap();
        assert!(files[upload["media_id"].as_str().unwrap()] == content, "{upload} is not whole");
    }
    let mut manifest = String::new();
    zip.by_name("manifest.json").unwrap().read_to_string(&mut manifest).unwrap();
    assert!(manifest.contains("\"missing_media\": 0"), "{manifest}");
}

/// The number of objects that belong to nothing.
fn strays(site: &Site) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&site.database_url(), Options::default(), reeve_store::MIGRATIONS).await.unwrap();
        let known = db.read(|tx| -> Result<_, DbError> { media_objects::count_orphaned(tx) }).await.unwrap();
        db.close().await;
        known
    })
}

fn count(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}
