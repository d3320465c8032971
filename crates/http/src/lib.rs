//! The HTTP engine shared by all endpoints: the route table, authentication, request reading, the Matrix error,
//! CORS, rate limits, the request log and metrics.

mod admission;
pub mod app;
pub mod auth;
pub mod call;
mod caller;
mod example;
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
pub mod router;
pub mod serve;
pub mod service;
pub mod shape;
mod unread;
mod unsent;

pub use admission::{Access, Admission, OpenTo};
pub use app::App;
pub use call::{Call, Reading};
pub use caller::Caller;
pub use head::{Head, Params};
pub use param::Param;
pub use reeve_model::MatrixError;
pub use reply::Answer;
pub use route::{Content, Endpoint, Limit, Route};
