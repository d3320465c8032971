//! The HTTP engine shared by all endpoints: the route table, authentication, request reading, CORS, rate limits, the
//! request log and metrics.
//!
//! The engine calls nothing of the domain. It is generic over the state of the server ([`State`]), which finds callers and
//! which handlers work with. Of the domain it has only the words by which routes are declared: scopes, states of accounts
//! and rate limits.

mod admission;
pub mod auth;
mod base;
pub mod body;
pub mod call;
mod caller;
mod content;
mod errors;
mod example;
mod family;
mod form;
mod head;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod metrics;
pub mod openapi;
mod param;
pub mod query;
pub mod reply;
pub mod route;
mod router;
pub mod serve;
mod service;
mod settings;
pub mod shape;
mod state;
mod unread;
mod unsent;
mod visit;

pub use admission::{Access, Admission, OpenTo};
pub use base::Base;
pub use call::{Call, Reading};
pub use caller::{Caller, Credentials, Token};
pub use content::{Content, Request};
pub use family::Family;
pub use head::{Head, Params};
pub use param::{Kind as ParamKind, Param};
pub use reply::Answer;
pub use route::{Endpoint, Limit, Route};
pub use router::{Found, Router};
pub use service::Service;
pub use settings::Settings;
pub use state::{Refused, State};
pub use visit::{FORM_TOKEN, Visit};
