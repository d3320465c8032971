//! Uploads in a bucket of an S3-compatible service.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails where something is not as it says")]

use std::path::Path;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use reeve_db::{DatabaseUrl, Db, DbError, Options};
use reeve_media::size::Size;
use reeve_media::store::BucketSettings;
use reeve_media::{Content, Error, Library, Settings, StoreSettings, deeds};
use reeve_model::{Clock, Ctx, Millis, User, UserNum};
use reeve_store::media::{Media, NewMedia};
use reeve_store::{media_objects, users};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::watch;

const BUCKET: &str = "uploads";

/// An S3-compatible service over a folder; returns its URL.
async fn service(folder: &Path) -> String {
    std::fs::create_dir(folder.join(BUCKET)).unwrap();
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single("id", "key"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                drop(
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await,
                );
            });
        }
    });
    url
}

struct Site {
    library: Library,
    db: Db,
    clock: Clock,
    user_num: UserNum,
    folder: tempfile::TempDir,
}

impl Site {
    async fn new(secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("s3");
        std::fs::create_dir(&objects).unwrap();
        let store = StoreSettings::Bucket(BucketSettings {
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(service(&objects).await),
            access_key_id: "id".to_owned(),
            secret_access_key: secret.to_owned(),
            prefix: "reeve/".to_owned(),
            path_style: true,
            spool: folder.path().to_owned(),
        });
        let url = DatabaseUrl::Sqlite(folder.path().join("reeve.db"));
        let db = Db::open(&url, Options::default(), reeve_store::MIGRATIONS).await.unwrap();
        let user = User { user_id: "@alice:test".to_owned(), ..User::default() };
        let user_num = db.write(move |tx| users::insert(tx, &user, None)).await.unwrap();
        let clock = Clock::manual(Millis::new(1));
        let library = Library::open(Settings::new(store), db.clone(), clock.clone()).unwrap();
        Self { library, db, clock, user_num, folder }
    }

    async fn upload(&self, bytes: &[u8]) -> Result<String, Error> {
        let media_id = deeds::new_media_id();
        let new = NewMedia {
            media_id: media_id.clone(),
            user_num: self.user_num,
            media_type: "x/y".to_owned(),
            ..NewMedia::default()
        };
        let mut upload = self.library.begin(self.user_num).await?;
        for piece in bytes.chunks(100_000) {
            upload.write(piece).await?;
        }
        self.library.add(upload, new).await?;
        Ok(media_id)
    }

    async fn find(&self, media_id: &str) -> Media {
        self.library.find(media_id, false, Duration::ZERO, watch::channel(false).1).await.unwrap()
    }

    async fn read(&self, media_id: &str, range: std::ops::Range<u64>) -> Vec<u8> {
        let media = self.find(media_id).await;
        match self.library.read(&media, range).await.unwrap() {
            Content::Whole(bytes) => bytes.to_vec(),
            Content::Pieces(mut pieces) => {
                let mut all = Vec::new();
                while let Some(piece) = pieces.next().await {
                    all.extend_from_slice(&piece.unwrap());
                }
                all
            }
        }
    }

    /// Sweeps until no orphaned object is left.
    async fn swept(&self) {
        for _ in 0..1000 {
            self.library.sweep().await.unwrap();
            if self.db.read(media_objects::count_orphaned).await.unwrap() == 0 {
                return;
            }
        }
        panic!("an orphaned object stays in the bucket");
    }

    /// The names of the objects in the bucket.
    fn objects(&self) -> Vec<String> {
        let folder = self.folder.path().join("s3").join(BUCKET).join("reeve");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn uploads() {
    let site = Site::new("key").await;
    // In one request, in one part and a bit, in several parts.
    for length in [0, 1, 5 * 1024 * 1024 + 1, 12_345_678] {
        let bytes: Vec<u8> = (0..length).map(|i: u32| u8::try_from(i * 7 % 251).unwrap()).collect();
        let media_id = site.upload(&bytes).await.unwrap();
        assert!(site.read(&media_id, 0..u64::from(length)).await == bytes, "{length}");
        if length > 3 {
            assert!(
                site.read(&media_id, 1..u64::from(length) - 1).await == bytes[1..bytes.len() - 1],
                "{length}"
            );
        }
        assert_eq!(site.objects().len(), 1);
        let media = site.find(&media_id).await;
        let ctx = Ctx::system(&site.clock, &"test".into(), "test");
        assert!(site.db.write(move |tx| deeds::delete(tx, &ctx, &media)).await.unwrap());
        site.library.sweep().await.unwrap();
        assert_eq!(site.objects(), [""; 0]);
    }
    assert_eq!(site.db.read(media_objects::count_orphaned).await.unwrap(), 0);
}

#[tokio::test]
async fn what_breaks_off() {
    let site = Site::new("key").await;
    let mut upload = site.library.begin(site.user_num).await.unwrap();
    upload.write(&vec![0; 7_000_000]).await.unwrap();
    drop(upload);
    site.swept().await;
    assert_eq!(site.objects(), [""; 0]);
    // Cancelled while its last bytes are being sent.
    let mut upload = site.library.begin(site.user_num).await.unwrap();
    upload.write(&[1; 1000]).await.unwrap();
    let new = NewMedia { media_id: deeds::new_media_id(), user_num: site.user_num, ..NewMedia::default() };
    assert!(site.library.add(upload, new).now_or_never().is_none());
    site.swept().await;
    assert_eq!(site.objects(), [""; 0]);
    let twice = site.upload(b"twice").await.unwrap();
    site.upload(b"twice").await.unwrap();
    site.library.sweep().await.unwrap();
    assert_eq!(site.objects().len(), 1);
    assert_eq!(site.read(&twice, 0..5).await, b"twice");
}

#[tokio::test]
async fn who_is_slow_holds_up_nobody() {
    let site = Site::new("key").await;
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut upload = site.library.begin(site.user_num).await.unwrap();
        upload.write(&vec![0; 300_000]).await.unwrap();
        slow.push(upload);
    }
    site.upload(b"quick").await.unwrap();
    assert_eq!(site.objects().len(), 1);
    drop(slow);
    site.swept().await;
    assert_eq!(site.objects().len(), 1);
}

#[tokio::test]
async fn thumbnails() {
    let site = Site::new("key").await;
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(100, 50).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let media = site.find(&site.upload(png.get_ref()).await.unwrap()).await;
    let size = Size { width: 32, height: 32, crop: true };
    for _ in 0..2 {
        let made = site.library.thumbnail("@alice:test", &media, size, false).await.unwrap();
        assert_eq!(made.media_type, "image/png");
        assert_eq!(site.objects().len(), 2);
    }
}

#[tokio::test]
async fn a_bucket_is_tried_out() {
    let site = Site::new("key").await;
    site.library.probe().await.unwrap();
    assert_eq!(site.objects(), [""; 0]);
    // Nothing listens there.
    let StoreSettings::Bucket(mut bucket) = site.library.settings().store.clone() else { panic!("a bucket") };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    bucket.endpoint = Some(format!("http://127.0.0.1:{port}"));
    let settings = Settings::new(StoreSettings::Bucket(bucket));
    let elsewhere = Library::open(settings, site.db.clone(), site.clock.clone()).unwrap();
    let error = elsewhere.probe().await.unwrap_err().to_string();
    assert!(
        error.contains("cannot use the bucket uploads: ") && error.contains("onnection refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_key_is_an_error_and_leaves_nothing() {
    let site = Site::new("wrong").await;
    let error = site.library.probe().await.unwrap_err().to_string();
    assert!(error.contains("cannot use the bucket uploads: ") && error.contains("403"), "{error}");
    let error = site.upload(b"hello").await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    let known = site.db.read(|tx| -> Result<_, DbError> { reeve_store::media_users::totals(tx) });
    assert_eq!(known.await.unwrap().media, 0);
}
