//! Requests that this server makes: to push gateways, to web pages for previews, and to the mail server.
//!
//! Users choose the destinations, except that of e-mail. So every address is checked: exactly the one that is
//! connected to, and again at each redirect. Every request is bounded in time and in size.

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
pub use mail::{Mail, MailSettings, MailStyle, MailTls, Mailer, is_sender, one_line};

/// Timeout of connecting.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Time for which an idle connection is kept open.
const IDLE_FOR: Duration = Duration::from_mins(1);
/// Maximum number of idle connections to one host.
const MAX_IDLE: usize = 16;

/// The reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not an HTTP URL.
    #[error("only http and https URLs are allowed")]
    Scheme,
    /// The address is inside the network, and the settings do not allow it.
    #[error("the address is not on the public internet")]
    Inside,
    /// The request timed out.
    #[error("no response in time")]
    Timeout,
    /// The response is too long.
    #[error("the response is too long")]
    TooLong,
    /// Too many redirects, or one that leads nowhere.
    #[error("too many redirects, or an invalid one")]
    Redirects,
    /// The connection failed.
    #[error("{0}")]
    Failed(String),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The URL may contain private data.
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

/// The root certificates of this system. Loading them is slow, so it is done once.
static AUTHORITIES: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(found.certs);
    if known == 0 {
        tracing::warn!("this system has no root certificates: no https request will succeed");
    }
    Arc::new(roots)
});

/// The limits of a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Timeout of the whole request, redirects included.
    pub time: Duration,
    /// Maximum size of the response body, in bytes.
    pub bytes: usize,
    /// Maximum number of redirects.
    pub redirects: usize,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The final URL, after redirects.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// True if a URL is an HTTP URL with a host. The address of the host is checked when a request is made.
pub fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// The HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outgoing {
    client: Client,
    filter: Arc<Filter>,
}

impl Outgoing {
    /// A client with this `User-Agent`.
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
            .pool_max_idle_per_host(MAX_IDLE)
            .user_agent(user_agent)
            .build()?;
        Ok(Self { client, filter })
    }

    /// Checks the URL itself: its scheme, and a literal address. Names are resolved when a request is made.
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
        let request = self.json_request(url, json)?;
        tokio::time::timeout(limits.time, async {
            let response = self.client.execute(request).await?;
            take(response, limits.bytes).await
        })
        .await
        .unwrap_or(Err(Error::Timeout))
    }

    /// Sends JSON with headers of the caller's, and returns the status. Redirects are not followed, and the body of the
    /// response is not read.
    pub async fn notify(
        &self,
        url: &Url,
        headers: HeaderMap,
        json: String,
        within: Duration,
    ) -> Result<StatusCode, Error> {
        let mut request = self.json_request(url, json)?;
        request.headers_mut().extend(headers);
        tokio::time::timeout(within, async { Ok(self.client.execute(request).await?.status()) })
            .await
            .unwrap_or(Err(Error::Timeout))
    }

    fn json_request(&self, url: &Url, json: String) -> Result<Request, Error> {
        self.check(url)?;
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        Ok(request.build()?)
    }

    /// Fetches a URL. `accept` inspects the head of the final response; a refused body is not fetched.
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

/// The target of a redirect.
fn redirect(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The whole response body, if it is not too long.
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

/// All addresses of a name are inside the network.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of the host are inside the network")]
struct AllInside;

/// Resolves names to the allowed addresses only: these are connected to.
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
