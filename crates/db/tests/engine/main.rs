//! The guarantees of the interface, on both engines.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod calls;
mod files;
mod migrations;
mod outages;
mod support;
mod urls;
mod values;
