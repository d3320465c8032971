//! The program `reeve`: settings, command line, start-up and wiring. The domain rules are in the crates below.

use mimalloc::MiMalloc;

// Lists consist of many small strings, for which this allocator is faster than the system's; and it returns
// memory after many simultaneous logins, each of which takes some MiB.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

pub mod cli;
pub mod server;
pub mod settings;
