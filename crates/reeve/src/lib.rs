//! The program `reeve`: settings, command line, start-up and wiring. The rules live in the crates below.

pub mod cli;
pub mod server;
pub mod settings;
