//! The beginning of an entry in the route table.

use http::Method;

use crate::route::{Access, Doc, Handler, Limit, OpenTo, Route};

/// Paths and a handler. It becomes a [`Route`] when it is said who may use it, which no route can leave out.
pub struct Endpoint {
    method: Method,
    paths: Vec<String>,
    handler: Handler,
}

impl Endpoint {
    pub(crate) fn new(method: Method, path: &str, handler: Handler) -> Self {
        Self { method, paths: vec![path.to_owned()], handler }
    }

    /// Adds another path for the same endpoint.
    pub fn also(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    /// The route, open to these callers.
    pub fn access(self, access: Access) -> Route {
        Route {
            repeatable: self.method == Method::GET,
            method: self.method,
            paths: self.paths,
            access,
            open_to: OpenTo::default(),
            suspended: None,
            limit: Limit::None,
            before: None,
            handler: self.handler,
            doc: Doc::default(),
            max_body: None,
            uploads: false,
        }
    }
}
