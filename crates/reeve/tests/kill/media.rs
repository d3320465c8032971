//! Uploads, thumbnails, deletions and what follows them in the bin while the server is killed: acknowledged uploads are whole,
//! acknowledged deletions took effect, what was brought back is whole, and nothing else stays in the store.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender as Channel, channel};
use std::thread;
use std::time::Duration;

use reeve_db::{Db, DbError, Options};
use reeve_store::{media_objects, media_users};
use reeve_testkit::{Engine, tokio};
use serde_json::{Value, json};

use crate::check::JOBS_WITHIN;
use crate::http::{Client, Cut};
use crate::model::Dice;
use crate::process::{self, SERVER_NAME, Site};
use crate::talk;

const KILLS: u64 = 12;
const UPLOADERS: u64 = 6;
const PAUSE: Duration = Duration::from_millis(50);
/// The longest upload; longer than what is written at a time.
const MAX: u64 = 600_000;

/// A user who uploads, reads thumbnails and deletes, one after the other.
struct Uploader {
    number: u64,
    user_id: String,
    token: String,
    admin: String,
    dice: Dice,
    files: u64,
    /// The acknowledged uploads: the media id and the file.
    kept: BTreeMap<String, Vec<u8>>,
    /// The deleted uploads.
    gone: Vec<String>,
    /// The uploads in an unknown state: the media id, if known, and the file.
    in_flight: Vec<(String, Vec<u8>)>,
}

impl Uploader {
    fn work(&mut self, address: SocketAddr, acknowledged: Channel<()>) {
        let mut client = Client::new(address, Some(&self.token));
        // Whatever ends this was a kill.
        while self.one(&mut client).is_ok() {
            // The kill may have been ordered already.
            let _ = acknowledged.send(());
        }
    }

    fn one(&mut self, client: &mut Client) -> Result<(), Cut> {
        let (file, token) = (self.next_file(), self.token.clone());
        let mut send = |method: &str, path: &str, bytes: &[u8]| -> Result<Value, Cut> {
            let (status, body) = client.send_bytes(Some(&token), method, path, bytes)?;
            let body = serde_json::from_slice(&body).unwrap();
            assert_eq!(status, 200, "{body}");
            Ok(body)
        };
        let media_id = if self.dice.roll(3) == 0 {
            let media_id = media_id(&send("POST", "/_matrix/media/v1/create", b"{}")?);
            self.in_flight = vec![(media_id.clone(), file.clone())];
            send("PUT", &format!("/_matrix/media/v3/upload/{SERVER_NAME}/{media_id}"), &file)?;
            media_id
        } else {
            media_id(&send("POST", "/_matrix/media/v3/upload", &file)?)
        };
        self.in_flight.clear();
        self.kept.insert(media_id.clone(), file);
        self.look(client, &media_id)?;
        if self.dice.roll(3) == 0 {
            let which = usize::try_from(self.dice.roll(self.kept.len() as u64)).unwrap();
            let media_id = self.kept.keys().nth(which).unwrap().clone();
            let file = self.kept.remove(&media_id).unwrap();
            self.in_flight = vec![(media_id.clone(), file)];
            let path = format!("/_synapse/admin/v1/media/{SERVER_NAME}/{media_id}");
            let mut act = |method: &str, path: &str| -> Result<(), Cut> {
                let reply = client.send_as(Some(&self.admin), method, path, &Value::Null)?;
                assert_eq!(reply.status, 200, "{path}: {}", reply.body);
                Ok(())
            };
            act("DELETE", &path)?;
            let in_bin = format!("/_reeve/admin/v1/bin/media/{media_id}");
            match self.dice.roll(3) {
                0 => {
                    act("POST", &format!("{in_bin}/restore"))?;
                    self.kept.extend(self.in_flight.pop());
                    return Ok(());
                }
                1 => act("DELETE", &in_bin)?,
                _ => {}
            }
            self.in_flight.clear();
            self.gone.push(media_id);
        }
        Ok(())
    }

    /// Looks at a thumbnail, if it is a picture.
    fn look(&self, client: &mut Client, media_id: &str) -> Result<(), Cut> {
        if self.kept.get(media_id).is_some_and(|file| file.starts_with(b"\x89PNG")) {
            let path = format!(
                "/_matrix/client/v1/media/thumbnail/{SERVER_NAME}/{media_id}?width=32&height=32&method=crop"
            );
            let (status, bytes) = client.send_bytes(Some(&self.token), "GET", &path, &[])?;
            assert!(status == 200 && bytes.starts_with(b"\x89PNG"), "the thumbnail of {media_id}: {status}");
        }
        Ok(())
    }

    /// A file; now and then a picture, or one that others upload too.
    fn next_file(&mut self) -> Vec<u8> {
        self.files += 1;
        let shared = self.dice.roll(4) == 0;
        let stamp = if shared { self.dice.roll(5) } else { 1000 * (self.number + 1) + self.files };
        if stamp.is_multiple_of(3) {
            let (high, low) = (u8::try_from(stamp / 256).unwrap(), u8::try_from(stamp % 256).unwrap());
            let picture = image::RgbImage::from_pixel(60, 40, image::Rgb([high, low, 0]));
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            return bytes.into_inner();
        }
        let length = if shared { stamp * 50_000 } else { self.dice.roll(MAX) };
        let mut bytes = stamp.to_string().into_bytes();
        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), b'x');
        bytes
    }

    fn check(&mut self, address: SocketAddr, when: &str) {
        let mut client = Client::new(address, Some(&self.token));
        let token = self.token.clone();
        let mut get = |media_id: &str| {
            let path = format!("/_matrix/client/v1/media/download/{SERVER_NAME}/{media_id}?timeout_ms=0");
            client.send_bytes(Some(&token), "GET", &path, &[]).expect("the server is there")
        };
        for (media_id, file) in std::mem::take(&mut self.in_flight) {
            match get(&media_id) {
                // It is not there, or can still be uploaded.
                (404 | 504, _) => {}
                (status, bytes) => {
                    assert!(status == 200 && bytes == file, "{when}: {media_id} is half done");
                    self.kept.insert(media_id, file);
                }
            }
        }
        for (media_id, file) in &self.kept {
            let (status, bytes) = get(media_id);
            assert!(status == 200 && bytes == *file, "{when}: {media_id} is lost: {status}");
        }
        for media_id in &self.gone {
            assert_eq!(get(media_id).0, 404, "{when}: {media_id} is back");
        }
        // A listed upload that was never acknowledged has its bytes, too.
        let mut admin = Client::new(address, Some(&self.admin));
        let listed = admin.get(&format!("/_synapse/admin/v1/users/{}/media?limit=10000", self.user_id));
        for media in listed.body["media"].as_array().unwrap() {
            let media_id = media["media_id"].as_str().unwrap();
            let (status, bytes) = get(media_id);
            assert_eq!(
                (status, json!(bytes.len())),
                (200, media["media_length"].clone()),
                "{when}: {media_id}"
            );
            self.kept.entry(media_id.to_owned()).or_insert(bytes);
        }
        for media_id in self.kept.keys() {
            self.look(&mut client, media_id).expect("the server is there");
        }
    }

    fn delete_all(&self, address: SocketAddr) {
        let mut admin = Client::new(address, Some(&self.admin));
        let path = format!("/_synapse/admin/v1/users/{}/media?limit=10000", self.user_id);
        let reply = admin.send("DELETE", &path, &Value::Null).unwrap();
        assert_eq!((reply.status, &reply.body["total"]), (200, &json!(self.kept.len())));
    }
}

fn media_id(body: &Value) -> String {
    body["content_uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

pub(crate) fn run(engine: Engine) {
    let site = Site::new(engine);
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let mut dice = Dice(0xf11e);
    let mut uploaders: Vec<Uploader> = (0..UPLOADERS)
        .map(|number| {
            let (user_id, token) = talk::person(server.address, &admin, &format!("uploader{number}"));
            Uploader {
                number,
                user_id,
                token,
                admin: admin.clone(),
                dice: Dice(number),
                files: 0,
                kept: BTreeMap::new(),
                gone: Vec::new(),
                in_flight: Vec::new(),
            }
        })
        .collect();
    for round in 0..KILLS {
        let (enough, delay) = (3 + dice.roll(10), Duration::from_millis(dice.roll(30)));
        let address = server.address;
        thread::scope(|scope| {
            let (acknowledged, heard) = channel();
            for uploader in &mut uploaders {
                let acknowledged = acknowledged.clone();
                scope.spawn(move || uploader.work(address, acknowledged));
            }
            drop(acknowledged);
            for _ in 0..enough {
                heard.recv().expect("something is acknowledged");
            }
            thread::sleep(delay);
            server.kill();
        });
        server = site.start();
        for uploader in &mut uploaders {
            uploader.check(server.address, &format!("{engine:?}, kill {round}"));
        }
    }
    let kept: usize = uploaders.iter().map(|uploader| uploader.kept.len()).sum();
    for uploader in &uploaders {
        uploader.delete_all(server.address);
    }
    empty_bin(&mut Client::new(server.address, Some(&admin)));
    // On PostgreSQL another server may be at work: what was broken off is swept a day later.
    if engine == Engine::Sqlite {
        site.stop(server);
        let (strays, bytes) = known(&site);
        assert_eq!(strays, 0, "what was broken off is still known");
        assert_eq!((bytes, in_folder(&site.media_folder())), (0, 0), "something is left in the store");
    }
    let log = site.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "the servers complained:\n{log}");
    println!("{engine:?}: {KILLS} kills, {kept} uploads kept");
}

/// Empties the bin, and waits until it is empty.
fn empty_bin(admin: &mut Client) {
    let order = admin.send("DELETE", "/_reeve/admin/v1/bin/media", &Value::Null).unwrap();
    let path = format!("/_reeve/admin/v1/jobs/{}", order.body["job"].as_str().unwrap());
    let mut left = JOBS_WITHIN.as_millis() / PAUSE.as_millis();
    while admin.get(&path).body["state"] != "complete" {
        assert!(left > 0, "the bin is not emptied");
        left -= 1;
        thread::sleep(PAUSE);
    }
    assert_eq!(admin.get("/_reeve/admin/v1/bin/media").body["media"], json!([]));
}

/// The number of objects that belong to nothing, and of bytes that are known to be stored.
fn known(site: &Site) -> (i64, i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&site.database_url(), Options::default(), reeve_store::MIGRATIONS).await.unwrap();
        let known = db.read(|tx| -> Result<_, DbError> {
            Ok((media_objects::count_orphaned(tx)?, media_users::totals(tx)?.bytes))
        });
        let known = known.await.unwrap();
        db.close().await;
        known
    })
}

fn in_folder(folder: &Path) -> i64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => in_folder(&entry.path()),
            metadata => i64::try_from(metadata.len()).unwrap(),
        })
        .sum()
}
