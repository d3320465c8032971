//! The path of a request: routing, authentication, rate limits, handler, log.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use futures_util::FutureExt;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use reeve_db::ReadTx;
use reeve_model::{MatrixError, Millis, clock, random};
use tracing::{Instrument, Level};

use crate::admission::Admission;
use crate::auth;
use crate::call::{self, Call, Reading};
use crate::caller::{Caller, Credentials};
use crate::family::Family;
use crate::head::{Head, Params};
use crate::limits::{Bucket, Limiter, Source};
use crate::query::Query;
use crate::reply::{self, Answer};
use crate::route::{Handler, Limit, ReadHandler, Route};
use crate::router::{Found, Router};
use crate::state::{Refused, State};
use crate::unread::{MAX_DRAINED, Slot, Unread, content_length};
use crate::unsent::{Owner, Unsent};
use crate::visit::Visit;

/// The HTTP service: the routes and the state of the server.
pub struct Service<S> {
    app: Arc<S>,
    router: Router<S>,
    request_prefix: String,
    requests: AtomicU64,
    unsent: Arc<Unsent>,
}

/// Delay of 429 responses: many clients retry immediately.
const LIMITED_PAUSE: Duration = Duration::from_millis(500);
const SERVER: &str = concat!("Reeve/", env!("CARGO_PKG_VERSION"));

/// A request, before its route is known.
struct Arrival {
    parts: Parts,
    family: Family,
    body: Slot,
    /// The address of the client.
    address: IpAddr,
    /// The address as text, made once.
    ip: Arc<str>,
    request_id: Arc<str>,
}

impl<S: State> Service<S> {
    /// Returns a service for these routes.
    pub fn new(app: Arc<S>, routes: &[Arc<Route<S>>]) -> Self {
        Self {
            unsent: Unsent::new(app.http.max_unsent, app.http.answer_timeout),
            app,
            router: Router::new(routes),
            request_prefix: random::letters(6),
            requests: AtomicU64::new(0),
        }
    }

    /// Handles one request from a peer.
    pub async fn answer(&self, peer: IpAddr, request: Request<Body>) -> Response {
        let started = clock::monotonic();
        let _in_flight = self.app.metrics.enter();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request_id: Arc<str> = Arc::from(format!("{}-{number}", self.request_prefix));
        let (parts, body) = request.into_parts();
        let (method, version) = (parts.method.clone(), parts.version);
        let family = Family::of(parts.uri.path());
        let unread = Unread::new(&parts.headers, body);
        let address = self.app.http.client_ip(peer, &parts.headers);
        let ip: Arc<str> = Arc::from(address.to_string());

        if method == Method::OPTIONS && check_host(&parts).is_ok() {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            decorate(response.headers_mut(), family, &request_id);
            end(&mut response, version, unread).await;
            return response;
        }

        let span = tracing::span!(Level::INFO, "request", id = &*request_id, ip = &*ip);
        let arrival =
            Arrival { parts, family, body: unread.slot(), address, ip, request_id: Arc::clone(&request_id) };
        let (route, mut response) = self.handle(arrival).instrument(span.clone()).await;
        end(&mut response, version, unread).await;
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        decorate(response.headers_mut(), family, &request_id);
        let (status, took) = (response.status().as_u16(), started.elapsed());
        self.app.metrics.answered(method.as_str(), &route, status, took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Successful reads are too many to log by default.
        if status < 400 && matches!(method, Method::GET | Method::HEAD) {
            span.in_scope(|| {
                tracing::debug!(method = method.as_str(), route = &*route, status, micros, "answered");
            });
        } else {
            span.in_scope(|| {
                tracing::info!(method = method.as_str(), route = &*route, status, micros, "answered");
            });
        }
        response
    }

    async fn handle(&self, arrival: Arrival) -> (Arc<str>, Response) {
        let parts = &arrival.parts;
        let errors = Errors::new(&self.app, &arrival);
        if let Err(refused) = check_host(parts) {
            return (Arc::from("unknown"), errors.response(&refused));
        }
        match self.router.find(&parts.method, parts.uri.path()) {
            Found::Nothing => (Arc::from("unknown"), errors.response(&MatrixError::unrecognized(404))),
            Found::MethodNotAllowed(allowed) => {
                let mut response = errors.response(&MatrixError::unrecognized(405));
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    response.headers_mut().insert(header::ALLOW, allowed);
                }
                (Arc::from("unknown"), response)
            }
            Found::Route(route, pattern, params) => {
                let run = self.run(route, params, arrival);
                let answer = std::panic::AssertUnwindSafe(run)
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(MatrixError::internal("the handler panicked")));
                let response = match answer {
                    Ok(response) => response,
                    Err(error) => {
                        if let Some(cause) = &error.cause {
                            tracing::error!(route = &*pattern, cause, "request failed");
                        }
                        if error.status == 429 {
                            tokio::time::sleep(LIMITED_PAUSE).await;
                        }
                        errors.response(&error)
                    }
                };
                (pattern, response)
            }
        }
    }

    async fn run(&self, route: Arc<Route<S>>, params: Params, arrival: Arrival) -> Answer {
        let Arrival { parts, family, body, address, ip, request_id } = arrival;
        let app = &self.app;
        if let Some(before) = route.before {
            before(&params)?;
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default()).declared(&route.doc.query);
        let visit = visit(&**app, family, &parts.headers);
        let token = auth::presented(route.admission, &parts.headers, &query, visit.as_ref())?;
        let now = app.clock.now();
        let credentials = token.map(|token| Credentials { token, ip: address, now });
        let head = Head {
            app: Arc::clone(app),
            params,
            query,
            ip: Arc::clone(&ip),
            request_id,
            now,
            operation: format!("{} {}", parts.method, parts.uri.path()),
            headers: parts.headers,
            visit,
        };
        let (owner, response) = match &route.handler {
            Handler::Read(handler) => read(&route, Arc::clone(handler), head, credentials).await?,
            Handler::Call(handler) => {
                let admission = route.admission;
                let caller = if credentials.is_none() {
                    Caller::Nobody
                } else {
                    let state = Arc::clone(app);
                    let look = move |tx: &ReadTx<'_>| {
                        auth::authenticate::<S>(&state, tx, admission, credentials.as_ref())
                    };
                    let caller = app.db.read(look).await?;
                    app.confirm(&caller).await?;
                    app.note(&head, &caller);
                    caller
                };
                let permitted = check(admission, &head.params, &caller);
                limit(&app.limiter, route.limit, &caller, &ip, now)?;
                permitted?;
                let max_body = route.max_body.map_or(app.http.max_body, |max_body| max_body(app));
                if let Some(length) = content_length(&head.headers)
                    && length > max_body.saturating_add(MAX_DRAINED)
                {
                    return Err(call::too_large());
                }
                let owner = owner(&caller, &ip);
                let request = route.doc.request.clone();
                (
                    owner,
                    handler(Call { head, admission, credentials, caller, request, family, body, max_body })
                        .await?,
                )
            }
        };
        self.unsent.hold(&owner, route.repeatable, response)
    }
}

/// Returns the browser of a request for a page.
fn visit<S: State>(app: &S, family: Family, headers: &HeaderMap) -> Option<Visit> {
    match family {
        Family::Page => Visit::find(headers, app.http.secure_cookies),
        Family::Matrix | Family::Scim | Family::OAuth => None,
    }
}

/// The form that errors of a request have.
enum Errors<S> {
    /// Data for programs.
    Data(Family),
    /// Pages for people.
    Pages(Arc<S>, Box<Refused>),
}

impl<S: State> Errors<S> {
    fn new(app: &Arc<S>, arrival: &Arrival) -> Self {
        match arrival.family {
            Family::Matrix | Family::Scim | Family::OAuth => Self::Data(arrival.family),
            Family::Page => {
                let (parts, request_id) = (&arrival.parts, Arc::clone(&arrival.request_id));
                let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
                let visit = visit(&**app, arrival.family, &parts.headers);
                let (method, headers) = (parts.method.clone(), parts.headers.clone());
                Self::Pages(Arc::clone(app), Box::new(Refused { method, target, headers, visit, request_id }))
            }
        }
    }

    fn response(&self, error: &MatrixError) -> Response {
        match self {
            Self::Data(family) => reply::error(*family, error),
            Self::Pages(app, refused) => app.error_page(refused, error),
        }
    }
}

/// Checks that a request has exactly one `Host` (RFC 9112, 3.2).
fn check_host(parts: &Parts) -> Result<(), MatrixError> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let is_well_formed = match (hosts.next(), hosts.next()) {
        (None, _) => parts.version != Version::HTTP_11,
        (Some(host), None) => {
            // The header is empty if the request target has no host.
            host.is_empty()
                || Authority::try_from(host.as_bytes()).is_ok_and(|authority| {
                    let port = authority.as_str().strip_prefix(authority.host());
                    !authority.as_str().contains('@')
                        && port.is_some_and(|port| matches!(port, "" | ":") || authority.port_u16().is_some())
                })
        }
        (Some(_), Some(_)) => false,
    };
    if is_well_formed { Ok(()) } else { Err(MatrixError::unknown("A request must have one Host header")) }
}

/// Closes the connection after the response, and announces it, if the rest of this request could be mistaken
/// for the next one.
async fn end(response: &mut Response, version: Version, unread: Unread) {
    let goes_on = unread.finish().await;
    if !goes_on && version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Authenticates the caller and runs a read-only handler, in one transaction.
async fn read<S: State>(
    route: &Route<S>,
    handler: ReadHandler<S>,
    head: Head<S>,
    credentials: Option<Credentials>,
) -> Result<(Owner, Response), MatrixError> {
    let head = Arc::new(head);
    let (reading, admission, counts_against) = (Arc::clone(&head), route.admission, route.limit);
    // The database may begin a transaction again.
    let counted = AtomicBool::new(false);
    let (caller, answer) = head
        .app
        .db
        .read(move |tx| -> Result<_, MatrixError> {
            let caller = auth::authenticate::<S>(&reading.app, tx, admission, credentials.as_ref())?;
            reading.app.note(&reading, &caller);
            if !counted.swap(true, Ordering::Relaxed) {
                limit(&reading.app.limiter, counts_against, &caller, &reading.ip, reading.now)?;
            }
            let answer = check(admission, &reading.params, &caller)
                .and_then(|()| handler(&Reading { tx, head: &reading, caller: &caller }));
            Ok((caller, answer))
        })
        .await?;
    head.app.confirm(&caller).await?;
    Ok((owner(&caller, &head.ip), answer?))
}

/// The client to whom the response of a request is counted until it is sent.
fn owner(caller: &Caller, ip: &Arc<str>) -> Owner {
    match caller {
        Caller::Nobody => Owner::Address(Arc::clone(ip)),
        Caller::Session(session) => Owner::Account(session.user.num),
        Caller::Service(service) => Owner::Service(service.num),
        Caller::Browser(browser) => Owner::Account(browser.user.num),
    }
}

/// Checks that apply to every request once the caller is known.
fn check(admission: Admission, params: &Params, caller: &Caller) -> Result<(), MatrixError> {
    auth::permit(admission, caller)?;
    if params.has_nul() {
        return Err(MatrixError::invalid_param("A path must not contain NUL characters"));
    }
    Ok(())
}

/// Counts a request against the limit of its route; that of a service token against the limit of the token.
fn limit(limiter: &Limiter, limit: Limit, caller: &Caller, ip: &str, now: Millis) -> Result<(), MatrixError> {
    let num = match caller {
        Caller::Session(session) => session.user.num,
        Caller::Browser(browser) => browser.user.num,
        Caller::Service(service) => return limiter.check(Bucket::ServiceToken(service.num), now),
        Caller::Nobody => {
            return match limit {
                Limit::Registration => limiter.check(Bucket::RegistrationAttempts(Source::of(ip)), now),
                Limit::Login => limiter.check(Bucket::LoginAddress(Source::of(ip)), now),
                Limit::OAuthRequests => limiter.check(Bucket::OAuthRequests(Source::of(ip)), now),
                Limit::OAuthFailed => limiter.peek(Bucket::OAuthFailed(Source::of(ip)), now),
                Limit::None
                | Limit::Message
                | Limit::Sending
                | Limit::Profile
                | Limit::Name
                | Limit::RoomCreation
                | Limit::ToDevice
                | Limit::Reports
                | Limit::Media
                | Limit::UrlPreviews => Ok(()),
            };
        }
    };
    // An administrator's override is for the clients of an account.
    let message = || match caller.session() {
        Some(session) => limiter.message(session, now),
        None => limiter.check(Bucket::Message(num), now),
    };
    let bucket = match limit {
        Limit::None | Limit::Sending => return Ok(()),
        Limit::OAuthFailed => return limiter.peek(Bucket::OAuthFailed(Source::of(ip)), now),
        Limit::Message => return message(),
        Limit::Profile => Bucket::Profile(num),
        Limit::Name => {
            message()?;
            Bucket::Profile(num)
        }
        Limit::RoomCreation => {
            message()?;
            Bucket::RoomCreation(num)
        }
        Limit::ToDevice => Bucket::ToDevice(num),
        Limit::Reports => Bucket::Reports(num),
        Limit::Media => Bucket::Media(num),
        Limit::UrlPreviews => Bucket::UrlPreviews(num),
        Limit::Registration => Bucket::RegistrationAttempts(Source::of(ip)),
        Limit::Login => Bucket::LoginAddress(Source::of(ip)),
        Limit::OAuthRequests => Bucket::OAuthRequests(Source::of(ip)),
    };
    match caller.session() {
        Some(session) => limiter.switchable(session, bucket, now),
        None => limiter.check(bucket, now),
    }
}

/// Adds the headers of every response. Scripts of other sites may call everything except pages.
fn decorate(headers: &mut HeaderMap, family: Family, request_id: &str) {
    const CORS: [(HeaderName, HeaderValue); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("X-Requested-With, Content-Type, Authorization, Date"),
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "X-Request-Id, Server, Retry-After, Content-Disposition, Content-Range, ETag",
            ),
        ),
    ];
    const PAGE: [(HeaderName, HeaderValue); 4] = [
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    match family {
        Family::Matrix | Family::Scim | Family::OAuth => headers.extend(CORS),
        Family::Page => {
            headers.extend(PAGE);
            if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
                headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(reply::PAGE_POLICY));
            }
        }
    }
    headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
    if !headers.contains_key(header::CACHE_CONTROL) {
        let no_cache = HeaderValue::from_static("no-cache, no-store, must-revalidate");
        headers.insert(header::CACHE_CONTROL, no_cache);
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), request_id);
    }
}
