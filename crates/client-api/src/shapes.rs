//! The bodies of requests and responses, for the documentation. Handlers read and write most of them key by
//! key, since each error has its own text. An `Option` key is optional; in responses it is never null, unless
//! it is marked as required.

#![expect(dead_code, reason = "documents bodies that are read and written key by key")]
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
