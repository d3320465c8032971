//! `reeve config`.

use super::{Failure, terminal};
use crate::settings::{Loaded, markdown};

/// The arguments of `reeve config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the documentation of all settings as Markdown instead
    #[arg(long)]
    markdown: bool,
    /// Print only problems
    #[arg(long, conflicts_with = "markdown")]
    check: bool,
}

/// `load` is not called for the documentation, which is also available with invalid settings.
pub(super) fn run(
    arguments: &Arguments,
    load: impl FnOnce() -> Result<Loaded, Failure>,
) -> Result<(), Failure> {
    if arguments.markdown {
        return terminal::print(&markdown());
    }
    let loaded = load()?;
    if arguments.check { Ok(()) } else { terminal::print(&loaded.to_toml()) }
}
