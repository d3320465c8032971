//! Requests that this server makes: to push gateways, to web pages of which it shows previews, and to the server that
//! takes its e-mail.
//!
//! Where requests go, but for e-mail, is chosen by others. So every address is checked, the very one that is connected to, and so again at
//! each redirect; and every request has an end, in time and in size.

mod filter;
mod mail;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Request, Response};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

pub use filter::Filter;
pub use mail::{Mail, MailSettings, MailTls, Mailer, is_sender};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection that nobody needs stays open.
const IDLE_FOR: Duration = Duration::from_mins(1);
/// How many such connections one host gets.
const MOST_IDLE: usize = 16;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one of HTTP.
    #[error("only http and https URLs are asked")]
    Scheme,
    /// The address is inside, and the settings do not allow it.
    #[error("the address is not on the public internet")]
    Inside,
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than wanted.
    #[error("the answer is too long")]
    TooLong,
    /// Too many redirects, or one that leads nowhere.
    #[error("redirected too often, or to nowhere")]
    Redirects,
    /// There is no connection, or it broke.
    #[error("{0}")]
    Failed(String),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The URL may hold what is nobody's business.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            if source.is::<AllInside>() {
                return Self::Inside;
            }
            cause = source;
        }
        Self::Failed(cause.to_string())
    }
}

/// The certificates of authorities that this system has. Reading them takes a while, so it is done once.
static AUTHORITIES: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(found.certs);
    if known == 0 {
        tracing::warn!("this system has no certificates of authorities: no https request will succeed");
    }
    Arc::new(roots)
});

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long everything may take, redirects included.
    pub time: Duration,
    /// How many bytes of a body are taken.
    pub bytes: usize,
    /// How many redirects are followed.
    pub redirects: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The URL that answered, after redirects.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Whether a URL is one of HTTP, to a host. Whether requests to that host are allowed is only known when one is made.
pub fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Makes requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outgoing {
    client: Client,
    filter: Arc<Filter>,
}

impl Outgoing {
    /// A maker of requests that call themselves `user_agent`.
    pub fn new(filter: Filter, user_agent: &str) -> Result<Self, Error> {
        let failed = |error: rustls::Error| Error::Failed(error.to_string());
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(Arc::clone(&AUTHORITIES))
            .with_no_client_auth();
        let filter = Arc::new(filter);
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Resolver(Arc::clone(&filter))))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(MOST_IDLE)
            .user_agent(user_agent)
            .build()?;
        Ok(Self { client, filter })
    }

    /// Checks what a URL itself says: its scheme, and an address that stands in it. Names are looked up when asked.
    pub fn check(&self, url: &Url) -> Result<(), Error> {
        if !is_http(url) {
            return Err(Error::Scheme);
        }
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if address.is_some_and(|address| !self.filter.allows(address)) { Err(Error::Inside) } else { Ok(()) }
    }

    /// Sends JSON. Redirects are not followed.
    pub async fn post_json(&self, url: &Url, json: String, limits: Limits) -> Result<Answer, Error> {
        self.check(url)?;
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        let request = request.build()?;
        tokio::time::timeout(limits.time, async {
            let response = self.client.execute(request).await?;
            take(response, limits.bytes).await
        })
        .await
        .unwrap_or(Err(Error::Timeout))
    }

    /// Fetches something. `accept` looks at the head of the final answer; what it does not want is not fetched.
    pub async fn get(
        &self,
        url: &Url,
        language: Option<&str>,
        limits: Limits,
        accept: impl Fn(StatusCode, &HeaderMap) -> bool,
    ) -> Result<Option<Answer>, Error> {
        let fetch = async {
            let mut url = url.clone();
            for _ in 0..=limits.redirects {
                self.check(&url)?;
                let response = self.client.execute(self.request(&url, language)?).await?;
                match redirect(&response) {
                    None if accept(response.status(), response.headers()) => {
                        return take(response, limits.bytes).await.map(Some);
                    }
                    None => return Ok(None),
                    Some(location) => url = url.join(&location).map_err(|_| Error::Redirects)?,
                }
            }
            Err(Error::Redirects)
        };
        tokio::time::timeout(limits.time, fetch).await.unwrap_or(Err(Error::Timeout))
    }

    fn request(&self, url: &Url, language: Option<&str>) -> Result<Request, Error> {
        let mut request = self.client.get(url.clone());
        if let Some(language) = language {
            request = request.header(ACCEPT_LANGUAGE, language);
        }
        Ok(request.build()?)
    }
}

/// Where an answer sends on to.
fn redirect(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The whole answer, if it is not too long.
async fn take(mut response: Response, most: usize) -> Result<Answer, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        url: response.url().clone(),
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
}

/// A name stands for inside addresses only.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of the host are inside")]
struct AllInside;

/// Looks names up and hands on the addresses that may be talked to, and no others: these are connected to.
struct Resolver(Arc<Filter>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let any = !found.is_empty();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| filter.allows(address.ip())).collect();
            if any && allowed.is_empty() {
                return Err(AllInside.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
