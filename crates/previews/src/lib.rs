//! Previews of web pages, for links in messages.
//! <https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv1mediapreview_url>
//!
//! Concurrent requests for a page share one fetch, whose result is cached for a while; its picture is stored as
//! an upload.

pub mod page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use reeve_media::{Library, deeds, picture};
use reeve_model::{Clock, Millis, UserNum};
use reeve_outgoing::{Limits, Outgoing};
use reeve_store::media::NewMedia;
use serde_json::{Map, Value, json};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

/// Maximum number of cached previews.
const MAX_KNOWN: usize = 1000;
/// Lifetime of a cached preview, in milliseconds.
const KNOWN_MS: i64 = 3_600_000;
/// Lifetime of a cached failure, in milliseconds.
const FAILED_MS: i64 = 60_000;
/// Maximum number of concurrent fetches.
const AT_ONCE: usize = 16;
/// Limits of a page. The relevant data is at its beginning, but often after scripts.
const PAGE: Limits = Limits { time: Duration::from_secs(15), bytes: 4 * 1024 * 1024, redirects: 5 };
/// Maximum number of pictures of a page that are tried.
const MAX_PICTURES: usize = 3;
/// Maximum length of a URL, in bytes.
const MAX_URL: usize = 4096;

/// The operator's settings for previews.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Maximum size of a picture, in bytes.
    pub max_picture_bytes: usize,
    /// The language of pages, as in `Accept-Language`.
    pub language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_picture_bytes: 10 * 1024 * 1024, language: "en".to_owned() }
    }
}

/// The reason why there is no preview.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not that of a web page.
    #[error("The URL cannot be previewed")]
    Unsuitable,
    /// The address is inside the network.
    #[error("The URL leads to an address inside the network")]
    Inside,
    /// The page cannot be fetched.
    #[error("The page cannot be fetched: {0}")]
    Fetch(String),
}

impl From<reeve_outgoing::Error> for Error {
    fn from(error: reeve_outgoing::Error) -> Self {
        match error {
            reeve_outgoing::Error::Scheme => Self::Unsuitable,
            reeve_outgoing::Error::Inside => Self::Inside,
            other => Self::Fetch(other.to_string()),
        }
    }
}

/// A preview: OpenGraph properties, with the picture as an `mxc://` URI.
pub type Preview = Arc<Map<String, Value>>;

type Answer = Result<Preview, Error>;

struct Known {
    answer: Arc<OnceCell<Answer>>,
    until: Millis,
}

/// The preview service.
pub struct Previews {
    server_name: Arc<str>,
    outgoing: Outgoing,
    library: Library,
    clock: Clock,
    settings: Settings,
    known: Mutex<HashMap<String, Known>>,
    turns: Semaphore,
}

impl Previews {
    /// A service with an empty cache.
    pub fn new(
        server_name: Arc<str>,
        outgoing: Outgoing,
        library: Library,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let (known, turns) = (Mutex::default(), Semaphore::new(AT_ONCE));
        Self { server_name, outgoing, library, clock, settings, known, turns }
    }

    /// The preview of a URL. Its picture, if it is fetched now, belongs to the account.
    pub async fn preview(&self, user_num: UserNum, address: &str) -> Answer {
        let mut url = Url::parse(address).map_err(|_| Error::Unsuitable)?;
        if url.as_str().len() > MAX_URL || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Unsuitable);
        }
        self.outgoing.check(&url)?;
        // The fragment does not change the page.
        url.set_fragment(None);
        let known = self.known(url.as_str());
        let answer = known.get_or_init(|| self.make(user_num, &url)).await.clone();
        if answer.is_err() {
            self.forget_soon(url.as_str());
        }
        answer
    }

    /// The cache entry of a URL, filled or to be filled.
    fn known(&self, url: &str) -> Arc<OnceCell<Answer>> {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(url).filter(|found| found.until > now) {
            return Arc::clone(&found.answer);
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, known| known.until > now);
        }
        if known.len() >= MAX_KNOWN
            && let Some(oldest) =
                known.iter().min_by_key(|(_, known)| known.until).map(|(url, _)| url.clone())
        {
            known.remove(&oldest);
        }
        let answer = Arc::new(OnceCell::new());
        known.insert(url.to_owned(), Known { answer: Arc::clone(&answer), until: now.plus(KNOWN_MS) });
        answer
    }

    fn forget_soon(&self, url: &str) {
        let until = self.clock.now().plus(FAILED_MS);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(url) {
            known.until = known.until.min(until);
        }
    }

    async fn make(&self, user_num: UserNum, url: &Url) -> Answer {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        let limits = Limits { bytes: PAGE.bytes.max(self.settings.max_picture_bytes), ..PAGE };
        let is_wanted =
            |status: StatusCode, headers: &HeaderMap| status.is_success() && self.is_short_enough(headers);
        let found = self.outgoing.get(url, Some(&self.settings.language), limits, is_wanted).await?;
        let Some(found) = found else {
            return Err(Error::Fetch("the page has no content for a preview".to_owned()));
        };
        let (kind, charset) = media_type(&found.headers);
        let mut preview = Map::new();
        if kind.starts_with("image/") {
            self.keep_picture(user_num, url, &found.body, &mut preview).await;
        } else if matches!(&*kind, "text/html" | "application/xhtml+xml") {
            let body = found.body;
            let reading =
                tokio::task::spawn_blocking(move || page::read(&page::decode(&body, charset.as_deref())));
            let page = tokio::time::timeout(PAGE.time, reading).await;
            let page = page.map_err(|_| Error::Fetch("the page takes too long to read".to_owned()))?;
            let page = page.map_err(|error| Error::Fetch(error.to_string()))?;
            let base = page.base.as_ref().and_then(|base| found.url.join(base).ok()).unwrap_or(found.url);
            preview.extend(page.properties.into_iter().map(|(name, value)| (name, Value::String(value))));
            for picture in page.pictures.iter().take(MAX_PICTURES) {
                if let Ok(address) = base.join(picture)
                    && self.fetch_picture(user_num, url, &address, &mut preview).await
                {
                    break;
                }
            }
        }
        Ok(Arc::new(preview))
    }

    /// True if the headers announce a page or a picture of acceptable length.
    fn is_short_enough(&self, headers: &HeaderMap) -> bool {
        let (kind, _) = media_type(headers);
        let most = match &*kind {
            "text/html" | "application/xhtml+xml" => PAGE.bytes,
            _ if kind.starts_with("image/") => self.settings.max_picture_bytes,
            // Other types have no preview, so they are not fetched.
            _ => return false,
        };
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        announced.is_none_or(|length| length <= most)
    }

    /// Fetches a picture and adds it to a preview; returns true on success.
    async fn fetch_picture(
        &self,
        user_num: UserNum,
        page: &Url,
        address: &Url,
        preview: &mut Map<String, Value>,
    ) -> bool {
        let limits = Limits { bytes: self.settings.max_picture_bytes, ..PAGE };
        let is_picture = |status: StatusCode, headers: &HeaderMap| {
            status.is_success()
                && media_type(headers).0.starts_with("image/")
                && self.is_short_enough(headers)
        };
        match self.outgoing.get(address, Some(&self.settings.language), limits, is_picture).await {
            Ok(Some(found)) => self.keep_picture(user_num, page, &found.body, preview).await,
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "the picture of a page cannot be fetched");
                false
            }
        }
    }

    /// Stores a picture and adds it to a preview; returns true on success. Files that are not pictures are left
    /// out.
    async fn keep_picture(
        &self,
        user_num: UserNum,
        page: &Url,
        bytes: &[u8],
        preview: &mut Map<String, Value>,
    ) -> bool {
        let Some(shape) = shape(bytes) else { return false };
        let media_id = deeds::new_media_id();
        let new = NewMedia {
            media_id: media_id.clone(),
            user_num,
            media_type: shape.media_type.to_owned(),
            created_ts: self.clock.now(),
            url_cache: Some(page.to_string()),
            ..NewMedia::default()
        };
        if let Err(error) = self.library.add_bytes(new, bytes).await {
            tracing::info!(%error, "the picture of a preview is not stored");
            return false;
        }
        preview.insert("og:image".to_owned(), json!(format!("mxc://{}/{media_id}", self.server_name)));
        preview.insert("og:image:type".to_owned(), json!(shape.media_type));
        preview.insert("og:image:width".to_owned(), json!(shape.width));
        preview.insert("og:image:height".to_owned(), json!(shape.height));
        preview.insert("matrix:image:size".to_owned(), json!(bytes.len()));
        true
    }
}

/// The format and the size of a picture.
struct Shape {
    media_type: &'static str,
    width: u32,
    height: u32,
}

/// Reads the beginning of a picture; `None` if it is not of a supported format.
fn shape(bytes: &[u8]) -> Option<Shape> {
    let format = picture::format(bytes).ok()?;
    let (width, height) = picture::dimensions(bytes).ok()?;
    Some(Shape { media_type: format.to_mime_type(), width, height })
}

/// The media type that a response announces, and its `charset`.
fn media_type(headers: &HeaderMap) -> (String, Option<String>) {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    (kind, charset)
}
