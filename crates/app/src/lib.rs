//! The state of the server that handlers work with, and the HTTP engine over it, as handlers and the program use both.

mod app;
pub mod credentials;
mod discovery;
pub mod openapi;
pub mod page;
mod scim;

pub use reeve_html::{Accent, Html, HtmlSettings};
pub use reeve_http::{
    Access, Answer, Base, Caller, Content, Family, Limit, OpenTo, Param, ParamKind, Params,
    Settings as HttpSettings, Visit, auth, body, json, ledger, limits, metrics, query, reply, serve, shape,
};
pub use reeve_model::MatrixError;

pub use crate::app::App;
pub use crate::discovery::{Contact, Discovery, Support, Turn, TurnCredentials};
pub use crate::scim::{Inactive, NewGroups, ScimSettings};

/// An authorised request.
pub type Call = reeve_http::Call<App>;
/// A request at a read-only route.
pub type Reading<'a> = reeve_http::Reading<'a, App>;
/// The parts of a request that are known before its body is read.
pub type Head = reeve_http::Head<App>;
/// One endpoint.
pub type Route = reeve_http::Route<App>;
/// An endpoint of which it is not yet said who may use it.
pub type Endpoint = reeve_http::Endpoint<App>;
/// The result of a lookup of a route.
pub type Found = reeve_http::Found<App>;
/// The routes, by path.
pub type Router = reeve_http::Router<App>;
/// The HTTP service: the routes and the state.
pub type Service = reeve_http::Service<App>;
