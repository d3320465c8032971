//! The parts of a request that are known before its body is read.

use std::ops::Deref;
use std::sync::Arc;

use http::HeaderMap;
use reeve_model::{Actor, Ctx, Millis, Scopes};

use crate::base::Base;
use crate::query::Query;
use crate::visit::Visit;

/// The values of a path's parameters.
#[derive(Debug, Default, Clone)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// Returns the decoded value of a parameter; empty if the route has none of that name.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn has_nul(&self) -> bool {
        self.pairs.iter().any(|(_, value)| value.contains('\0'))
    }
}

/// The data of a request before any database access.
pub struct Head<S> {
    /// The running server.
    pub app: Arc<S>,
    /// The path's parameters.
    pub params: Params,
    /// The query string.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The address of the client.
    pub ip: Arc<str>,
    /// The id of the request, in the log and in the response's `X-Request-Id`.
    pub request_id: Arc<str>,
    /// The time of the request, in milliseconds.
    pub now: Millis,
    /// The method and the path as sent, for user-interactive authentication.
    pub operation: String,
    /// The browser, if the route is a page and its cookie was sent.
    pub visit: Option<Visit>,
}

impl<S: Deref<Target = Base>> Head<S> {
    /// Returns the decoded value of a path parameter.
    pub fn param(&self, name: &str) -> String {
        self.params.get(name).to_owned()
    }

    /// Returns the `User-Agent` of the client; empty if absent.
    pub fn user_agent(&self) -> &str {
        self.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the context without an audited actor.
    pub fn ctx(&self) -> Ctx {
        Ctx {
            now: self.now,
            server_name: Arc::clone(&self.app.server_name),
            request_id: Arc::clone(&self.request_id),
            ip: Some(Arc::clone(&self.ip)),
            actor: None,
            scopes: Scopes::ALL,
        }
    }

    /// Returns the context of an administrative act of an actor with these scopes, such as a script that knows the
    /// registration shared secret.
    pub fn ctx_of(&self, actor: Actor, scopes: Scopes) -> Ctx {
        Ctx { actor: Some(actor), scopes, ..self.ctx() }
    }
}
