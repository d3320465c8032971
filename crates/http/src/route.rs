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
    /// `rate_limits.profile`, per acting account.
    Profile,
    /// The same and `rate_limits.message`, since everybody in the rooms of the account is told.
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
}

/// Of which type a query parameter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// Texts: the parameter may be repeated.
    Texts,
    /// An integer that is not negative.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(Vec<&'static str>),
}

/// A query parameter. In debug builds reading one that the route does not declare, or as another type, panics: see
/// [`Query`](crate::query::Query).
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether a request without it is refused.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

impl Param {
    const fn new(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self { name, kind, required: false, meaning }
    }

    /// A text.
    pub const fn text(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Text, meaning)
    }

    /// A text that may be repeated.
    pub const fn texts(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Texts, meaning)
    }

    /// An integer that is not negative.
    pub const fn integer(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Integer, meaning)
    }

    /// `true` or `false`.
    pub const fn boolean(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Boolean, meaning)
    }

    /// One of the words in a table that [`Query::choice`](crate::query::Query::choice) reads with.
    pub fn choice<T>(name: &'static str, choices: &[(&'static str, T)], meaning: &'static str) -> Self {
        Self::new(name, Kind::Choice(choices.iter().map(|(word, _)| *word).collect()), meaning)
    }

    /// One of these words, where others mean the same as none.
    pub fn word(name: &'static str, words: &[&'static str], meaning: &'static str) -> Self {
        Self::new(name, Kind::Choice(words.to_vec()), meaning)
    }

    /// `dir`: `f` for forwards or `b` for backwards.
    pub fn direction(meaning: &'static str) -> Self {
        Self::choice("dir", &DIRECTIONS, meaning)
    }

    /// A request without it is refused.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The words of the parameter `dir`, and whether they mean backwards.
pub(crate) const DIRECTIONS: [(&str, bool); 2] = [("b", true), ("f", false)];

/// What a body holds.
#[derive(Clone)]
pub enum Content {
    /// JSON: the name of its schema, and the schema.
    Json(String, Box<RefOr<Schema>>),
    /// A text of this media type.
    Text(&'static str),
    /// Bytes of any media type.
    Bytes,
    /// Nothing.
    Nothing,
}

/// A request body.
#[derive(Clone)]
pub struct Request {
    /// What it holds.
    pub content: Content,
    /// Whether a request without it is refused.
    pub required: bool,
}

/// An answer that is no error.
#[derive(Clone)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// What it holds.
    pub content: Content,
}

/// What the documentation says about a route. Errors that follow from the rest of the route are not written here: see
/// [`crate::openapi`].
#[derive(Clone, Default)]
pub struct Doc {
    /// The name of the operation, in camel case: that of the function in generated clients.
    pub id: &'static str,
    /// One sentence: what it does.
    pub summary: &'static str,
    /// More, in Markdown.
    pub description: &'static str,
    /// The query parameters.
    pub query: Arc<[Param]>,
    /// The request body.
    pub request: Option<Request>,
    /// The answers that are no errors.
    pub successes: Vec<Success>,
    /// Errors of its own: status, code, when.
    pub errors: Vec<(u16, &'static str, &'static str)>,
    /// Whether it asks for user-interactive authentication.
    pub interactive: bool,
    /// An example of the answer, where the one made from the schema says too little.
    pub example: Option<serde_json::Value>,
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
    /// Whether an answer that is lost can be asked for again.
    pub repeatable: bool,
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
            repeatable: method == Method::GET,
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
        self.doc.request = Some(Request { content: Content::Bytes, required: true });
        self
    }

    /// It is asked something by POST, and changes nothing that a lost answer would matter for.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// A check before authentication.
    pub fn before(mut self, check: Before) -> Self {
        self.before = Some(check);
        self
    }

    /// Its name, in camel case.
    pub fn id(mut self, id: &'static str) -> Self {
        self.doc.id = id;
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

    /// Its query parameters.
    pub fn query(mut self, query: impl IntoIterator<Item = Param>) -> Self {
        self.doc.query = query.into_iter().collect();
        self
    }

    fn json<T: utoipa::ToSchema>(&mut self) -> Content {
        T::schemas(&mut self.doc.schemas);
        Content::Json(T::name().into_owned(), Box::new(T::schema()))
    }

    /// Its request body, a JSON object that must be there.
    pub fn takes<T: utoipa::ToSchema>(mut self) -> Self {
        let content = self.json::<T>();
        self.doc.request = Some(Request { content, required: true });
        self
    }

    /// Its request body, a JSON object that may be left out.
    pub fn may_take<T: utoipa::ToSchema>(mut self) -> Self {
        let content = self.json::<T>();
        self.doc.request = Some(Request { content, required: false });
        self
    }

    /// An answer on success, in JSON. A route may have several, of different statuses.
    pub fn returns<T: utoipa::ToSchema>(mut self, status: u16) -> Self {
        let content = self.json::<T>();
        self.doc.successes.push(Success { status, content });
        self
    }

    /// An answer on success that is not JSON.
    pub fn returns_other(mut self, status: u16, content: Content) -> Self {
        self.doc.successes.push(Success { status, content });
        self
    }

    /// Errors of its own: status, code, when. Those of several calls add up.
    pub fn errors(mut self, errors: &[(u16, &'static str, &'static str)]) -> Self {
        self.doc.errors.extend_from_slice(errors);
        self
    }

    /// It asks for user-interactive authentication, with the answers that belong to it.
    pub fn interactive(mut self) -> Self {
        self.doc.interactive = true;
        self
    }

    /// An example of the answer.
    pub fn example(mut self, example: serde_json::Value) -> Self {
        self.doc.example = Some(example);
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
