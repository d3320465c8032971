//! `reeve config`.

use super::{Failure, terminal};
use crate::settings::{Loaded, markdown};

/// What `reeve config` is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the documentation of all settings as Markdown instead
    #[arg(long)]
    markdown: bool,
    /// Print nothing but what is wrong
    #[arg(long, conflicts_with = "markdown")]
    check: bool,
}

/// `load` is not called for the documentation: that can be had with broken settings too.
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
