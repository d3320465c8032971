//! Routes as data. From the table come the router, the OpenAPI document, the answers 404 and 405, the ledger in
//! `docs/`, and the tests that try every route as every kind of caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::call::{Call, Params, Reading};
use crate::error::MatrixError;
use crate::reply::Answer;

/// What answers, with its type erased so that the server is compiled once and not once per route.
#[derive(Clone)]
pub enum Handler {
    /// May do anything.
    Call(CallHandler),
    /// Only reads the database.
    Read(ReadHandler),
}

/// A handler that may do anything.
pub type CallHandler = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// A handler that only reads the database. It runs on a database thread, perhaps twice.
pub type ReadHandler = Arc<dyn Fn(&Reading<'_>) -> Answer + Send + Sync>;

/// A check that comes even before authentication.
pub type Before = fn(&Params) -> Result<(), MatrixError>;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; a token is not even looked at.
    Anybody,
    /// Anybody; a token, if one is given, must be good and says who asks.
    Optional,
    /// Whoever has an account or is a guest.
    Guest,
    /// Whoever has an account.
    User,
    /// Administrators of the server.
    Admin,
    /// Whoever can prove to know the registration shared secret.
    SharedSecret,
}

/// What a route stays open to although other routes are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenTo {
    /// Locked accounts.
    pub locked: bool,
    /// Accounts whose validity has run out.
    pub expired_account: bool,
    /// Access tokens that have expired.
    pub expired_token: bool,
}

/// Which rate limit a request counts against before its handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// None.
    None,
    /// `rate_limits.message`, per acting account, with its override.
    Message,
    /// The same, counted by the handler, since a repeated transaction costs nothing.
    Sending,
    /// `rate_limits.media`, per acting account.
    Media,
    /// `rate_limits.url_previews`, per acting account.
    UrlPreviews,
    /// `rate_limits.registration`, per address.
    Registration,
    /// `rate_limits.login`, per address; the handler counts per account and failures.
    Login,
}

/// What the documentation says about a route.
#[derive(Clone, Default)]
pub struct Doc {
    /// One sentence: what it does.
    pub summary: &'static str,
    /// More, in Markdown.
    pub description: &'static str,
    /// The query parameters: name, and what it means.
    pub query: &'static [(&'static str, &'static str)],
    /// The request body.
    pub request: Option<(String, RefOr<Schema>)>,
    /// The answer on success: status, name and schema.
    pub response: Option<(u16, String, RefOr<Schema>)>,
    /// Other answers: status, code, when.
    pub errors: &'static [(u16, &'static str, &'static str)],
    /// Where it is specified.
    pub spec: Option<&'static str>,
    /// Schemas that those of request and response refer to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

/// One endpoint.
#[derive(Clone)]
pub struct Route {
    /// The method; GET serves HEAD too.
    pub method: Method,
    /// The paths it answers at, with `{name}` for a parameter that is one segment, possibly empty.
    pub paths: Vec<String>,
    /// Who may call it.
    pub access: Access,
    /// What it stays open to.
    pub open_to: OpenTo,
    /// What a suspended account is told instead; `None` if it may call.
    pub suspended: Option<&'static str>,
    /// Its rate limit.
    pub limit: Limit,
    /// A check that comes before authentication.
    pub before: Option<Before>,
    /// What it does.
    pub handler: Handler,
    /// Its documentation.
    pub doc: Doc,
    /// The largest body it takes, in bytes; `None` for the server's default.
    pub max_body: Option<usize>,
    /// Whether its body is an upload, which may be as long as uploads may be.
    pub uploads: bool,
}

impl Route {
    /// A route. Unless told otherwise only administrators may call it.
    pub fn new<F, Fut>(method: Method, path: &str, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::with(method, path, Handler::Call(Arc::new(move |call| Box::pin(handler(call)))))
    }

    fn with(method: Method, path: &str, handler: Handler) -> Self {
        Self {
            method,
            paths: vec![path.to_owned()],
            access: Access::Admin,
            open_to: OpenTo::default(),
            suspended: None,
            limit: Limit::None,
            before: None,
            handler,
            doc: Doc::default(),
            max_body: None,
            uploads: false,
        }
    }

    /// A GET route that only reads the database, in the transaction that finds out who calls.
    pub fn read(path: &str, handler: impl Fn(&Reading<'_>) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(Method::GET, path, Handler::Read(Arc::new(handler)))
    }

    /// A GET route that does not only read the database.
    pub fn get<F, Fut>(path: &str, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::new(Method::GET, path, handler)
    }

    /// A POST route.
    pub fn post<F, Fut>(path: &str, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::new(Method::POST, path, handler)
    }

    /// A PUT route.
    pub fn put<F, Fut>(path: &str, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::new(Method::PUT, path, handler)
    }

    /// A DELETE route.
    pub fn delete<F, Fut>(path: &str, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self::new(Method::DELETE, path, handler)
    }

    /// One more path for the same endpoint.
    pub fn also(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    /// Who may call it.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// What it stays open to.
    pub fn open_to(mut self, open_to: OpenTo) -> Self {
        self.open_to = open_to;
        self
    }

    /// Closes it to suspended accounts, with this text.
    pub fn not_suspended(mut self, text: &'static str) -> Self {
        self.suspended = Some(text);
        self
    }

    /// Its rate limit.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    /// Its body is an upload.
    pub fn uploads(mut self) -> Self {
        self.uploads = true;
        self
    }

    /// A check before authentication.
    pub fn before(mut self, check: Before) -> Self {
        self.before = Some(check);
        self
    }

    /// What it does, in a sentence.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.doc.summary = summary;
        self
    }

    /// More about it, in Markdown.
    pub fn description(mut self, description: &'static str) -> Self {
        self.doc.description = description;
        self
    }

    /// Its query parameters: name and meaning.
    pub fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.doc.query = query;
        self
    }

    /// Its request body.
    pub fn takes<T: utoipa::ToSchema>(mut self) -> Self {
        self.doc.request = Some((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.doc.schemas);
        self
    }

    /// Its answer on success.
    pub fn returns<T: utoipa::ToSchema>(mut self, status: u16) -> Self {
        self.doc.response = Some((status, T::name().into_owned(), T::schema()));
        T::schemas(&mut self.doc.schemas);
        self
    }

    /// Its other answers: status, code, when.
    pub fn errors(mut self, errors: &'static [(u16, &'static str, &'static str)]) -> Self {
        self.doc.errors = errors;
        self
    }

    /// Where it is specified.
    pub fn spec(mut self, url: &'static str) -> Self {
        self.doc.spec = Some(url);
        self
    }

    /// Its main path.
    pub fn path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }
}
