//! The APIs, end to end: each test speaks HTTP to a real server, on both engines. The files mirror the URLs.

mod admin;
mod client;
mod common;
