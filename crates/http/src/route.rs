//! Routes as data. From the table come the router, the OpenAPI document, the 404 and 405 responses, the ledger
//! in `docs/`, and the tests that try every route as every kind of caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use reeve_model::MatrixError;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::admission::{Access, Admission, OpenTo};
use crate::body::Body;
use crate::call::{Call, Reading};
use crate::content::{Content, Request};
use crate::family::Family;
use crate::head::Params;
use crate::param::Param;
use crate::reply::Answer;

/// A handler, with its type erased so that the server is compiled once and not once per route.
pub enum Handler<S> {
    /// Any handler.
    Call(CallHandler<S>),
    /// A read-only handler.
    Read(ReadHandler<S>),
}

/// A handler that may do anything.
pub type CallHandler<S> = Arc<dyn Fn(Call<S>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// A handler that only reads the database. It runs on a database thread, possibly twice.
pub type ReadHandler<S> = Arc<dyn Fn(&Reading<'_, S>) -> Answer + Send + Sync>;

/// A check before authentication.
pub type Before = fn(&Params) -> Result<(), MatrixError>;

/// The rate limit that a request counts against before its handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// None.
    None,
    /// `rate_limits.message`, per acting account, with its override.
    Message,
    /// `rate_limits.message`, counted by the handler, since a repeated transaction is not counted.
    Sending,
    /// `rate_limits.profile`, per acting account.
    Profile,
    /// `rate_limits.profile` and `rate_limits.message`, since the change is sent to all rooms of the account.
    Name,
    /// `rate_limits.message` and `rate_limits.room_creation`, per acting account.
    RoomCreation,
    /// `rate_limits.to_device`, per acting account.
    ToDevice,
    /// `rate_limits.reports`, per acting account.
    Reports,
    /// `rate_limits.media`, per acting account.
    Media,
    /// `rate_limits.url_previews`, per acting account.
    UrlPreviews,
    /// `rate_limits.registration_attempts`, per address; the handler counts accounts.
    Registration,
    /// `rate_limits.login`, per address; the handler counts per account and failures.
    Login,
    /// `rate_limits.oauth_requests`, per address.
    OAuthRequests,
    /// `rate_limits.oauth_failed`, per address, counted by the handler.
    OAuthFailed,
}

/// A successful response.
#[derive(Clone)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// Its contents.
    pub content: Content,
}

/// The documentation of a route. Errors that follow from the rest of the route are not listed here: see
/// [`crate::openapi`].
#[derive(Clone, Default)]
pub struct Doc {
    /// The id of the operation, in camel case: the name of the function in generated clients.
    pub id: &'static str,
    /// A one-line summary.
    pub summary: &'static str,
    /// A longer description, in Markdown.
    pub description: &'static str,
    /// The query parameters.
    pub query: Arc<[Param]>,
    /// The request body.
    pub request: Option<Arc<Request>>,
    /// The successful responses.
    pub successes: Vec<Success>,
    /// The route's own errors: status, code, condition.
    pub errors: Vec<(u16, &'static str, &'static str)>,
    /// True if it uses user-interactive authentication.
    pub interactive: bool,
    /// An example of the response, if the one generated from the schema is not sufficient.
    pub example: Option<serde_json::Value>,
    /// The URL of its specification.
    pub spec: Option<&'static str>,
    /// Schemas that those of request and response refer to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

/// One endpoint of a server with this state.
pub struct Route<S> {
    /// The method; GET serves HEAD too.
    pub method: Method,
    /// The paths that it serves, with `{name}` for a parameter that is one segment, possibly empty.
    pub paths: Vec<String>,
    /// The callers that it lets in.
    pub admission: Admission,
    /// Its rate limit.
    pub limit: Limit,
    /// A check before authentication.
    pub before: Option<Before>,
    /// Its handler.
    pub handler: Handler<S>,
    /// Its documentation.
    pub doc: Doc,
    /// Maximum size of its body, in bytes; `None` for that of JSON bodies.
    pub max_body: Option<fn(&S) -> usize>,
    /// True if a request can be repeated when its response is lost.
    pub repeatable: bool,
}

impl<S> Route<S> {
    /// Makes a route of this method.
    pub fn of<F, Fut>(method: Method, path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Endpoint::new(method, path, Handler::Call(Arc::new(move |call| Box::pin(handler(call)))))
    }

    /// Makes a GET route that only reads the database, in the transaction that authenticates the caller.
    pub fn read(
        path: &str,
        handler: impl Fn(&Reading<'_, S>) -> Answer + Send + Sync + 'static,
    ) -> Endpoint<S> {
        Endpoint::new(Method::GET, path, Handler::Read(Arc::new(handler)))
    }

    /// Makes a GET route that is not read-only.
    pub fn get<F, Fut>(path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::of(Method::GET, path, handler)
    }

    /// Makes a POST route.
    pub fn post<F, Fut>(path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::of(Method::POST, path, handler)
    }

    /// Makes a PUT route.
    pub fn put<F, Fut>(path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::of(Method::PUT, path, handler)
    }

    /// Makes a PATCH route.
    pub fn patch<F, Fut>(path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::of(Method::PATCH, path, handler)
    }

    /// Makes a DELETE route.
    pub fn delete<F, Fut>(path: &str, handler: F) -> Endpoint<S>
    where
        F: Fn(Call<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::of(Method::DELETE, path, handler)
    }

    /// Sets the states that it stays open to.
    pub fn open_to(mut self, open_to: OpenTo) -> Self {
        self.admission.open_to = open_to;
        self
    }

    /// Leaves it open to accounts whose person must change the password first, although it is no GET: because it reads, or
    /// because a client cannot start or change the password without it.
    pub fn before_password_change(mut self) -> Self {
        self.admission.open_to.password_change = true;
        self
    }

    /// Closes it to suspended accounts, with this error text.
    pub fn not_suspended(mut self, text: &'static str) -> Self {
        self.admission.suspended = Some(text);
        self
    }

    /// Sets its rate limit.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the request body: bytes of any media type, with the maximum that the server's state says.
    pub fn takes_bytes(mut self, max_body: fn(&S) -> usize) -> Self {
        self.max_body = Some(max_body);
        self.doc.request = Some(Arc::new(Request { content: Content::Bytes, required: true }));
        self
    }

    /// Sets the maximum size of a JSON body, in bytes, where it is another than that of the settings.
    pub fn max_body(mut self, max_body: fn(&S) -> usize) -> Self {
        self.max_body = Some(max_body);
        self
    }

    /// Declares that a POST request can be repeated if its response is lost.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sets a check before authentication.
    pub fn before(mut self, check: Before) -> Self {
        self.before = Some(check);
        self
    }

    /// Sets the id of the operation, in camel case.
    pub fn id(mut self, id: &'static str) -> Self {
        self.doc.id = id;
        self
    }

    /// Sets the one-line summary.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.doc.summary = summary;
        self
    }

    /// Sets the description, in Markdown.
    pub fn description(mut self, description: &'static str) -> Self {
        self.doc.description = description;
        self
    }

    /// Sets the query parameters.
    pub fn query(mut self, query: impl IntoIterator<Item = Param>) -> Self {
        self.doc.query = query.into_iter().collect();
        self
    }

    fn json<T: utoipa::ToSchema>(&mut self) -> Content {
        T::schemas(&mut self.doc.schemas);
        Content::Json(T::name().into_owned(), Box::new(T::schema()))
    }

    /// Sets the request body, a required JSON object, which the handler reads with [`Call::take`].
    pub fn takes<T: Body>(mut self) -> Self {
        let content = self.json::<T>();
        self.doc.request = Some(Arc::new(Request { content, required: true }));
        self
    }

    /// Sets the request body, an optional JSON object, which the handler reads with [`Call::take`].
    pub fn may_take<T: Body>(mut self) -> Self {
        let content = self.json::<T>();
        self.doc.request = Some(Arc::new(Request { content, required: false }));
        self
    }

    /// Sets the request body, a form, which the handler reads with [`Call::take_form`].
    pub fn takes_form<T: Body>(mut self) -> Self {
        T::schemas(&mut self.doc.schemas);
        let content = Content::Form(T::name().into_owned(), Box::new(T::schema()));
        self.doc.request = Some(Arc::new(Request { content, required: true }));
        self
    }

    /// Adds a successful JSON response. A route may have several, of different statuses.
    pub fn returns<T: utoipa::ToSchema>(mut self, status: u16) -> Self {
        let content = self.json::<T>();
        self.doc.successes.push(Success { status, content });
        self
    }

    /// Adds a successful response that is not JSON.
    pub fn returns_other(mut self, status: u16, content: Content) -> Self {
        self.doc.successes.push(Success { status, content });
        self
    }

    /// Adds errors of the route: status, code, condition.
    pub fn errors(mut self, errors: &[(u16, &'static str, &'static str)]) -> Self {
        self.doc.errors.extend_from_slice(errors);
        self
    }

    /// Declares user-interactive authentication, with the responses that belong to it.
    pub fn interactive(mut self) -> Self {
        self.doc.interactive = true;
        self
    }

    /// Sets an example of the response.
    pub fn example(mut self, example: serde_json::Value) -> Self {
        self.doc.example = Some(example);
        self
    }

    /// Sets the URL of the specification.
    pub fn spec(mut self, url: &'static str) -> Self {
        self.doc.spec = Some(url);
        self
    }

    /// Returns the family that it belongs to.
    pub fn family(&self) -> Family {
        Family::of(self.path())
    }

    /// Returns the main path.
    pub fn path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }
}

/// Paths and a handler. It becomes a [`Route`] when it is said who may use it, which no route can leave out.
pub struct Endpoint<S> {
    method: Method,
    paths: Vec<String>,
    handler: Handler<S>,
}

impl<S> Endpoint<S> {
    pub(crate) fn new(method: Method, path: &str, handler: Handler<S>) -> Self {
        Self { method, paths: vec![path.to_owned()], handler }
    }

    /// Adds another path for the same endpoint.
    pub fn also(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    /// Returns the route, open to these callers.
    pub fn access(self, access: Access) -> Route<S> {
        Route {
            repeatable: self.method == Method::GET,
            admission: Admission::new(access, &self.method),
            method: self.method,
            paths: self.paths,
            limit: Limit::None,
            before: None,
            handler: self.handler,
            doc: Doc::default(),
            max_body: None,
        }
    }
}
