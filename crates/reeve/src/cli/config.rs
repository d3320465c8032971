//! `reeve config`.

use super::{Failure, terminal};
use crate::settings::{Loaded, example, markdown};

/// The arguments of `reeve config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the documentation of all settings as Markdown instead
    #[arg(long)]
    markdown: bool,
    /// Print a settings file with all defaults in comments instead
    #[arg(long, conflicts_with = "markdown")]
    example: bool,
    /// Print only problems
    #[arg(long, conflicts_with_all = ["markdown", "example"])]
    check: bool,
}

/// `load` is not called for the documentation and the example, which are also available with invalid settings.
pub(super) fn run(
    arguments: &Arguments,
    load: impl FnOnce() -> Result<Loaded, Failure>,
) -> Result<(), Failure> {
    if arguments.markdown {
        return terminal::print(&markdown());
    }
    if arguments.example {
        return terminal::print(&example());
    }
    let loaded = load()?;
    if arguments.check { Ok(()) } else { terminal::print(&loaded.to_toml()) }
}
