//! The media store: a local folder, or a bucket of an S3-compatible service.
//!
//! An object is written once, under a name that nothing refers to before it is complete. So a local file needs
//! no temporary name; it is durable (file and folder are synced) when writing ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutPayload,
    RetryConfig,
};

use reeve_model::{UserNum, random};

use crate::Error;
use crate::fair_limiter::FairLimiter;

/// Size of a read or write of a local file.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Size of a part of a multipart upload; services accept no smaller parts.
const PART: usize = 5 * 1024 * 1024;
/// Maximum number of parts of a multipart upload; services accept no more.
const MAX_PARTS: u64 = 10_000;
/// Maximum number of concurrent uploads to a bucket: each has a part in memory.
const SENDERS: usize = 16;
/// Maximum number of these for one account.
const SENDERS_EACH: usize = 4;
/// Timeout of a request to a bucket; for a read, until the response begins.
const REQUEST: Duration = Duration::from_mins(2);
/// Maximum pause of a bucket while it is read. The whole read takes as long as the client's download.
const PAUSE: Duration = Duration::from_secs(30);
/// Time after the beginning of a read in which an interrupted read is resumed.
const RETRY_WITHIN: Duration = Duration::from_hours(6);
/// Timeout of the test of a bucket.
const PROBE: Duration = Duration::from_secs(30);
/// Number of attempts of a request that tests a bucket: the reason of a failure is wanted soon.
const PROBE_TRIES: usize = 1;
/// Timeout of connecting to a bucket.
const CONNECT: Duration = Duration::from_secs(10);

/// The settings of the store.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// A folder, which is created if missing.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(BucketSettings),
}

/// A bucket of an S3-compatible service.
#[derive(Clone)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The URL of the service; `None` for Amazon's own.
    pub endpoint: Option<String>,
    /// The id of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: String,
    /// The prefix of all object names; may be empty.
    pub prefix: String,
    /// True if the bucket is a part of the path of URLs, and not of the host name.
    pub path_style: bool,
    /// A folder in which uploads are collected until they are complete.
    pub spool: PathBuf,
}

impl std::fmt::Debug for BucketSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketSettings").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// The requested bytes.
pub enum Content {
    /// All of them.
    Whole(Bytes),
    /// A stream of pieces.
    Pieces(BoxStream<'static, io::Result<Bytes>>),
}

/// The media store.
#[derive(Clone)]
pub(crate) enum Store {
    Folder(Arc<Path>),
    Bucket(Arc<Bucket>),
}

pub(crate) struct Bucket {
    name: String,
    client: AmazonS3,
    prober: AmazonS3,
    reader: AmazonS3,
    prefix: String,
    spool: PathBuf,
    limiter: Arc<FairLimiter>,
}

impl Store {
    /// Opens a store.
    pub(crate) fn open(settings: &StoreSettings) -> Result<Self, Error> {
        match settings {
            StoreSettings::Folder(folder) => {
                let make = || -> io::Result<()> {
                    make_folder(folder)?;
                    match folder.parent() {
                        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
                        Some(_) | None => Ok(()),
                    }
                };
                make().map_err(|error| Error::Store(format!("cannot use {}: {error}", folder.display())))?;
                Ok(Self::Folder(Arc::from(folder.as_path())))
            }
            StoreSettings::Bucket(settings) => {
                Bucket::open(settings).map(|bucket| Self::Bucket(Arc::new(bucket)))
            }
        }
    }

    /// Writes a short object, reads it and deletes it. A folder is tested when it is opened.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(bucket) => tokio::time::timeout(PROBE, bucket.probe())
                .await
                .unwrap_or_else(|_| Err("it does not respond in time".into()))
                .map_err(|error| {
                    let reason = with_causes(&*error);
                    Error::Store(format!("cannot use the bucket {}: {reason}", bucket.name))
                }),
        }
    }

    /// Begins to write an object for an account.
    pub(crate) fn write(&self, object: &str, user_num: UserNum) -> Writer {
        match self {
            Self::Folder(folder) => Writer::File { path: path(folder, object), file: None },
            Self::Bucket(bucket) => {
                let (bucket, key) = (Arc::clone(bucket), bucket.key(object));
                Writer::Spooled { bucket, key, user_num, file: None, length: 0 }
            }
        }
    }

    /// Reads a range of an object, which must lie within it.
    pub(crate) async fn read(&self, object: &str, range: Range<u64>) -> Result<Content, Error> {
        if range.is_empty() {
            return Ok(Content::Whole(Bytes::new()));
        }
        match self {
            Self::Folder(folder) => read_file(path(folder, object), object.to_owned(), range).await,
            Self::Bucket(bucket) => {
                let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
                let key = bucket.key(object);
                let found = tokio::time::timeout(REQUEST, bucket.reader.get_opts(&key, options)).await;
                let found = found.map_err(Error::store)?.map_err(|error| match error {
                    object_store::Error::NotFound { .. } => missing(object),
                    error => Error::store(error),
                })?;
                Ok(Content::Pieces(found.into_stream().map(|piece| piece.map_err(io::Error::other)).boxed()))
            }
        }
    }

    /// Reads a range of an object into memory.
    pub(crate) async fn read_all(&self, object: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let length = range.end.saturating_sub(range.start);
        match self.read(object, range).await? {
            Content::Whole(bytes) => Ok(bytes),
            Content::Pieces(mut pieces) => {
                let mut all = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
                while let Some(piece) = pieces.next().await {
                    all.extend_from_slice(&piece.map_err(Error::store)?);
                }
                Ok(Bytes::from(all))
            }
        }
    }

    /// Deletes an object, if it exists.
    pub(crate) async fn delete(&self, object: &str) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let path = path(folder, object);
                blocking(move || match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::store(error)),
                    Ok(()) | Err(_) => Ok(()),
                })
                .await
            }
            Self::Bucket(bucket) => match bucket.client.delete(&bucket.key(object)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(Error::store(error)),
            },
        }
    }
}

/// An error with its causes, as far as its own text does not contain them.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}

impl Bucket {
    fn open(settings: &BucketSettings) -> Result<Self, Error> {
        // The HTTP client uses the cryptography provider of the process; any earlier choice was the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let options = || ClientOptions::new().with_connect_timeout(CONNECT).with_allow_http(true);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access_key_id)
            .with_secret_access_key(&settings.secret_access_key)
            .with_virtual_hosted_style_request(!settings.path_style);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let retry = RetryConfig { retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
        let reader = builder
            .clone()
            .with_client_options(options().with_timeout_disabled().with_read_timeout(PAUSE))
            .with_retry(retry);
        let prober = builder
            .clone()
            .with_client_options(options().with_timeout(PROBE))
            .with_retry(RetryConfig { max_retries: PROBE_TRIES, ..RetryConfig::default() });
        Ok(Self {
            name: settings.bucket.clone(),
            prober: prober.build().map_err(Error::store)?,
            client: builder
                .with_client_options(options().with_timeout(REQUEST))
                .build()
                .map_err(Error::store)?,
            reader: reader.build().map_err(Error::store)?,
            prefix: settings.prefix.clone(),
            spool: settings.spool.clone(),
            limiter: FairLimiter::new(SENDERS, SENDERS_EACH),
        })
    }

    async fn probe(&self) -> Result<(), Box<dyn std::error::Error>> {
        // A unique name, since other processes may test the bucket at the same time.
        let key = self.key(&format!("probe-{}", random::letters(16)));
        let sent = b"probe".as_slice();
        self.prober.put(&key, sent.into()).await?;
        let read = self.prober.get(&key).await?.bytes().await?;
        self.prober.delete(&key).await?;
        if read == sent { Ok(()) } else { Err("it does not return the bytes that were written".into()) }
    }

    fn key(&self, object: &str) -> Key {
        Key::from(format!("{}{object}", self.prefix))
    }
}

/// An object that is being written.
pub(crate) enum Writer {
    File {
        path: PathBuf,
        file: Option<File>,
    },
    /// An object for a bucket is collected in a file without a name until it is complete: so it is sent as fast
    /// as the bucket accepts it, and an interrupted upload has sent nothing.
    Spooled {
        bucket: Arc<Bucket>,
        key: Key,
        user_num: UserNum,
        file: Option<File>,
        length: u64,
    },
}

impl Writer {
    /// Writes the next bytes. Runs on a blocking thread.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match self {
            Self::File { path, file } => {
                if file.is_none() {
                    *file = Some(create(path)?);
                }
                file
            }
            Self::Spooled { bucket, file, length, .. } => {
                if file.is_none() {
                    *file = Some(tempfile::tempfile_in(&bucket.spool)?);
                }
                *length += bytes.len() as u64;
                file
            }
        };
        file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// Completes an object: when this returns it is complete and durable.
    pub(crate) async fn finish(self) -> Result<(), Error> {
        match self {
            Self::File { path, file } => {
                blocking(move || {
                    let file = file.map_or_else(|| create(&path), Ok).map_err(Error::store)?;
                    file.sync_all().map_err(Error::store)?;
                    path.parent().map_or(Ok(()), sync_folder).map_err(Error::store)
                })
                .await
            }
            Self::Spooled { bucket, key, user_num, file, length } => {
                let _permit = bucket.limiter.take(&user_num.to_string()).await?;
                bucket.send(&key, file, length).await
            }
        }
    }
}

impl Bucket {
    /// Sends a collected file, in one request if it is short.
    async fn send(&self, key: &Key, file: Option<File>, length: u64) -> Result<(), Error> {
        let Some(file) = file else {
            return self.client.put(key, PutPayload::new()).await.map(drop).map_err(Error::store);
        };
        let file = blocking(move || {
            (&file).seek(SeekFrom::Start(0)).map_err(Error::store)?;
            Ok(file)
        });
        let size = PART.max(usize::try_from(length.div_ceil(MAX_PARTS)).unwrap_or(usize::MAX));
        let (first, rest) = part(Rest { file: file.await?, left: length }, size).await?;
        let Some(rest) = rest else {
            return self.client.put(key, first.into()).await.map(drop).map_err(Error::store);
        };
        let mut upload = self.client.put_multipart(key).await.map_err(Error::store)?;
        let sent = send_parts(&mut *upload, first, rest, size).await;
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "parts of an upload stay in the bucket until its lifecycle rule deletes them");
        }
        sent
    }
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    mut next: Bytes,
    rest: Rest,
    size: usize,
) -> Result<(), Error> {
    let mut rest = Some(rest);
    loop {
        upload.put_part(next.into()).await.map_err(Error::store)?;
        let Some(open) = rest else { break };
        (next, rest) = part(open, size).await?;
    }
    upload.complete().await.map(drop).map_err(Error::store)
}

/// Reads the next part. Some services require all parts except the last to be of one length.
async fn part(rest: Rest, size: usize) -> Result<(Bytes, Option<Rest>), Error> {
    blocking(move || piece(rest, size).map_err(Error::store)).await
}

/// The path of an object: a folder for its first two letters keeps folders small.
fn path(folder: &Path, object: &str) -> PathBuf {
    let (head, tail) = object.split_at_checked(2).unwrap_or(("", object));
    folder.join(head).join(tail)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn create(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            folder.parent().map_or(Ok(()), sync_folder)?;
            open()
        }
        (result, _) => result,
    }
}

/// Opens a file and reads its first piece at once, so that a missing file is known before a response begins.
async fn read_file(path: PathBuf, name: String, range: Range<u64>) -> Result<Content, Error> {
    let (first, rest) = blocking(move || {
        let open = || -> io::Result<_> {
            let mut file = File::open(path)?;
            if range.start > 0 {
                file.seek(SeekFrom::Start(range.start))?;
            }
            piece(Rest { file, left: range.end - range.start }, CHUNK)
        };
        open().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(&name),
            _ => Error::store(error),
        })
    })
    .await?;
    let Some(rest) = rest else { return Ok(Content::Whole(first)) };
    let pieces = stream::try_unfold(Some(rest), |rest| async move {
        let Some(rest) = rest else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || piece(rest, CHUNK)).await.map_err(io::Error::other)?;
        read.map(Some)
    });
    Ok(Content::Pieces(stream::once(async { Ok(first) }).chain(pieces).boxed()))
}

/// A missing object was just deleted; otherwise the store has lost it, and the operator must know.
fn missing(object: &str) -> Error {
    tracing::warn!(object, "an object is missing in the media store");
    Error::NotFound
}

/// The part of a file that is not read yet.
struct Rest {
    file: File,
    /// Its length, in bytes.
    left: u64,
}

/// Reads the next piece of a file, of up to `most` bytes; returns it, and the rest, if there is one.
fn piece(Rest { file, left }: Rest, most: usize) -> io::Result<(Bytes, Option<Rest>)> {
    let length = left.min(most as u64);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(most));
    (&file).take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    let left = left - length;
    Ok((Bytes::from(bytes), (left > 0).then_some(Rest { file, left })))
}

/// Runs blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::store)?
}
