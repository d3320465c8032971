//! What a client sees since a position.

mod data;
pub mod devices;
pub mod hub;
pub mod inbox;
mod room;
pub mod sliding;
mod state;
pub mod turns;
pub mod v3;

pub use hub::Hub;
