//! Media: deeds on uploads, thumbnails and quarantine, the bin, and the bytes themselves.
//!
//! Bytes are written to the store under a name that is used once, and a row refers to them only when they are
//! complete and durable. Equal bytes are stored once. Every object in the store without a row is known by name
//! (`media_strays`) and is deleted: interrupted uploads, second copies, bytes whose last upload was deleted.

mod access;
pub mod bin;
pub mod deeds;
mod error;
mod fair_limiter;
pub mod kind;
mod library;
mod metrics;
pub mod name;
mod orphans;
pub mod picture;
mod refused;
mod settings;
pub mod size;
pub mod store;
mod sweep;
pub mod thumbnail;
pub mod unused;
mod upload;

pub use error::Error;
pub use library::Library;
pub use settings::Settings;
pub use store::{Content, StoreSettings};
pub use upload::{Stored, Upload};
