//! The APIs, end to end: each test speaks HTTP to a real server, on both engines. The files mirror the URLs.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails where something is not as it says"
)]

mod admin;
mod client;
mod common;
mod export_kit;
mod histories;
mod keys_kit;
mod mail_kit;
mod oauth;
mod oauth_kit;
mod pages;
mod processes;
mod push;
mod restored;
mod rooms_kit;
mod scim;
mod spec;
mod states;
mod sync_kit;
mod wire;
