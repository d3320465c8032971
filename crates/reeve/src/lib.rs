//! The program `reeve`: settings, command line, start-up and wiring. The rules live in the crates below.

use mimalloc::MiMalloc;

// Lists are many small texts, which it makes faster than the system's; and it gives memory back after many logins at
// once, each of which takes some MiB.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

pub mod cli;
pub mod server;
pub mod settings;
