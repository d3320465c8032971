//! The interface between the engine and the state of a server.

use std::ops::Deref;
use std::sync::Arc;

use axum_core::response::Response;
use http::{HeaderMap, Method};
use reeve_db::ReadTx;
use reeve_model::MatrixError;

use crate::base::Base;
use crate::caller::{Caller, Credentials};
use crate::head::Head;
use crate::visit::Visit;

/// A request for a page that ends with an error.
pub struct Refused {
    /// The method.
    pub method: Method,
    /// The path and the query string as sent.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The browser, if its cookie was sent.
    pub visit: Option<Visit>,
    /// The id of the request.
    pub request_id: Arc<str>,
}

/// The state of a server, which its handlers work with. The engine works with the part that is [`Base`], and
/// reads no account and no room by itself.
pub trait State: Deref<Target = Base> + Send + Sync + Sized + 'static {
    /// Returns the caller with these credentials; `None` if they are unknown. The engine applies the rules of the
    /// route, such as that the session has not expired.
    ///
    /// Beside settings, which do not change, it reads the database alone, in the transaction that acts on the result, so that
    /// an act that takes a right away holds from its commit on.
    fn caller(&self, tx: &ReadTx<'_>, credentials: &Credentials) -> Result<Option<Caller>, MatrixError>;

    /// Notes that a caller was here: reads from now on show it. Refused callers are noted, too.
    fn note(&self, head: &Head<Self>, caller: &Caller);

    /// Stores what follows from the use of a caller's credentials.
    fn confirm(&self, caller: &Caller) -> impl Future<Output = Result<(), MatrixError>> + Send;

    /// Returns the page for an error. Where nobody has signed in (401 `M_MISSING_TOKEN`), a GET request continues at the page
    /// for signing in, with 303.
    fn error_page(&self, refused: &Refused, error: &MatrixError) -> Response;
}
