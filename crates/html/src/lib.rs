//! Pages as HTML: templates, texts in each language, the stylesheet and other assets. It has no routes.
//!
//! Templates escape every value. Their texts come from message files by `t("key", name=value)`; both are compiled into the
//! program, and an operator can replace templates by files of the same names.

mod accent;
mod asset;
mod error;
mod files;
mod html;
mod messages;
mod settings;

pub use accent::Accent;
pub use asset::Asset;
pub use error::Error;
pub use html::Html;
pub use settings::HtmlSettings;
