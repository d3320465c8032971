//! The bodies of responses, for the documentation. Handlers write most of them key by key. An `Option` key is
//! optional, and never null unless it is marked as required. The bodies of requests are defined beside their handlers.

#![expect(dead_code, reason = "documents responses that are written key by key")]
#![expect(clippy::struct_field_names, reason = "the keys are the specification's")]

pub(crate) mod account;
pub(crate) mod devices;
pub(crate) mod keys;
pub(crate) mod media;
pub(crate) mod push;
pub(crate) mod rooms;
pub(crate) mod search;
pub(crate) mod server;
pub(crate) mod sync;
