//! The operator's settings for pages.

use std::path::PathBuf;

use crate::accent::Accent;

/// The operator's settings for the look of pages.
#[derive(Clone, Debug)]
pub struct HtmlSettings {
    /// A folder with templates, and perhaps a stylesheet, that replace built-in ones of the same names.
    pub templates_folder: Option<PathBuf>,
    /// The name of the service.
    pub brand: String,
    /// A picture that is shown beside the name.
    pub logo: Option<PathBuf>,
    /// The colour of buttons.
    pub accent: Accent,
}

impl Default for HtmlSettings {
    fn default() -> Self {
        Self { templates_folder: None, brand: "Reeve".to_owned(), logo: None, accent: Accent::default() }
    }
}
