//! The HTTP engine shared by all endpoints: the route table, authentication, request reading, the Matrix error,
//! CORS, rate limits, the request log and metrics.

pub mod app;
pub mod auth;
pub mod call;
mod caller;
mod endpoint;
pub mod error;
mod example;
pub mod json;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod query;
pub mod reply;
pub mod route;
pub mod router;
pub mod serve;
pub mod service;
pub mod shape;
mod unread;
mod unsent;

pub use app::App;
pub use call::{Call, Head, Reading};
pub use caller::Caller;
pub use endpoint::Endpoint;
pub use error::MatrixError;
pub use reply::Answer;
pub use route::{Access, Content, Limit, OpenTo, Param, Route};
