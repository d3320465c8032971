//! Uploads while the server is killed: what was acknowledged is there whole, and nothing else stays in the store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender as Channel, channel};
use std::thread;
use std::time::Duration;

use reeve_db::{Db, DbError, Options};
use reeve_store::{media_objects, media_users};
use reeve_testkit::{Engine, tokio};
use serde_json::{Value, json};

use crate::http::Client;
use crate::model::Dice;
use crate::process::{self, SERVER_NAME, Site};
use crate::talk;

const KILLS: u64 = 12;
const UPLOADERS: u64 = 6;
/// The longest upload; longer than what is written at a time.
const LONGEST: u64 = 600_000;

/// Somebody who uploads, one file after the other.
struct Uploader {
    number: u64,
    token: String,
    dice: Dice,
    files: u64,
    /// What was acknowledged: the media id and the file.
    kept: BTreeMap<String, Value>,
    /// The media id of an upload that was not acknowledged, where it is known, and the file.
    in_flight: Option<(String, Value)>,
}

impl Uploader {
    fn work(&mut self, address: SocketAddr, acknowledged: Channel<()>) {
        let mut client = Client::new(address, Some(&self.token));
        loop {
            let file = self.next_file();
            let reply = if self.dice.roll(3) == 0 {
                let Ok(reply) = client.send("POST", "/_matrix/media/v1/create", &json!({})) else { return };
                let media_id = media_id(&reply.body);
                let path = format!("/_matrix/media/v3/upload/{SERVER_NAME}/{media_id}");
                self.in_flight = Some((media_id.clone(), file.clone()));
                client.send("PUT", &path, &file).map(|reply| (reply, Some(media_id)))
            } else {
                client.send("POST", "/_matrix/media/v3/upload", &file).map(|reply| (reply, None))
            };
            let Ok((reply, named)) = reply else { return };
            assert_eq!(reply.status, 200, "{}", reply.body);
            self.kept.insert(named.unwrap_or_else(|| media_id(&reply.body)), file);
            self.in_flight = None;
            // The kill may have been ordered already.
            let _ = acknowledged.send(());
        }
    }

    /// A file; now and then one that others upload too.
    fn next_file(&mut self) -> Value {
        self.files += 1;
        let shared = self.dice.roll(4) == 0;
        let stamp = if shared { self.dice.roll(5) } else { 1000 * (self.number + 1) + self.files };
        let length = if shared { stamp * 50_000 } else { self.dice.roll(LONGEST) };
        json!({ "stamp": stamp, "padding": "x".repeat(usize::try_from(length).unwrap()) })
    }

    fn check(&mut self, address: SocketAddr, when: &str) {
        let mut client = Client::new(address, Some(&self.token));
        let mut get = |media_id: &str| {
            let path = format!("/_matrix/client/v1/media/download/{SERVER_NAME}/{media_id}?timeout_ms=0");
            client.get(&path)
        };
        if let Some((media_id, file)) = self.in_flight.take() {
            // It is there whole, or it can still be uploaded.
            match get(&media_id) {
                reply if reply.status == 504 => {}
                reply => {
                    assert!(reply.status == 200 && reply.body == file, "{when}: {media_id} is half done");
                    self.kept.insert(media_id, file);
                }
            }
        }
        for (media_id, file) in &self.kept {
            let reply = get(media_id);
            assert!(
                reply.status == 200 && reply.body == *file,
                "{when}: {media_id} is lost: {}",
                reply.status
            );
        }
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
        .map(|number| Uploader {
            number,
            token: talk::person(server.address, &admin, &format!("uploader{number}")).1,
            dice: Dice(number),
            files: 0,
            kept: BTreeMap::new(),
            in_flight: None,
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
    // On PostgreSQL another server may be at work: what was broken off is swept a day later.
    if engine == Engine::Sqlite {
        site.stop(server);
        let (strays, bytes) = known(&site);
        assert_eq!(strays, 0, "what was broken off is still known");
        assert_eq!(bytes, in_folder(&site.media_folder()), "the store holds what is known, and no more");
    }
    let log = site.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "the servers complained:\n{log}");
    let kept: usize = uploaders.iter().map(|uploader| uploader.kept.len()).sum();
    println!("{engine:?}: {KILLS} kills, {kept} uploads kept");
}

/// How many objects belong to nothing, and how many bytes are known to be stored.
fn known(site: &Site) -> (i64, i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&site.database_url(), Options::default(), reeve_store::MIGRATIONS).await.unwrap();
        let known = db.read(|tx| -> Result<_, DbError> {
            Ok((media_objects::strays(tx)?, media_users::totals(tx)?.bytes))
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
