//! Synchronisation: the changes that a client sees since a position, and the notifier that wakes waiting requests.

mod data;
pub mod devices;
pub mod inbox;
pub mod notifier;
pub mod replaceable;
mod room;
pub mod sliding;
mod state;
pub mod v3;

pub use notifier::Notifier;
