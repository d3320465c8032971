//! The reasons why pages cannot be made.

use std::io;
use std::path::PathBuf;

/// The reason why pages cannot be made; each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder that the settings name cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the system.
        reason: io::Error,
    },
    /// A template cannot be parsed.
    #[error("cannot use the template {name}: {reason}")]
    Template {
        /// The path of the file, or the name of a built-in template.
        name: String,
        /// The reason, with the line.
        reason: String,
    },
    /// The logo is no picture of a kind that browsers show, or too large.
    #[error("cannot use the logo {}: {reason}", path.display())]
    Logo {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// The texts of a language cannot be read.
    #[error("cannot use the texts of the language {language}: {reason}")]
    Messages {
        /// The language.
        language: &'static str,
        /// The reason.
        reason: String,
    },
    /// A template fails with the values of a page.
    #[error("cannot make the page {template}: {reason}")]
    Render {
        /// The name of the template.
        template: String,
        /// The reason, with the line.
        reason: String,
    },
}
