//! The page about an archive, for people who open it in a browser.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::error::Failure;
use crate::format::Manifest;

const TEMPLATE: &str = include_str!("../templates/index.html");

/// The values in the page.
#[derive(Serialize)]
struct Page<'a> {
    manifest: &'a Manifest,
    displayname: Option<&'a str>,
    began: String,
}

/// Returns the page. It has no script, and loads nothing.
pub(crate) fn page(manifest: &Manifest, displayname: Option<&str>) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let page = Page { manifest, displayname, began: format!("{} UTC", manifest.began_ts.utc()) };
    // Values are escaped, since the name ends with `.html`.
    environment.render_named_str("index.html", TEMPLATE, Serde(page)).map_err(Failure::transient)
}

#[cfg(test)]
mod tests {
    use reeve_model::Millis;

    use super::*;
    use crate::format::ListedFile;

    #[test]
    fn texts_of_people_are_escaped() {
        let manifest = Manifest {
            format: "reeve-export",
            version: 1,
            server_name: "test".to_owned(),
            user_id: "@<i>:test".to_owned(),
            export_id: "x".to_owned(),
            began_ts: Millis::ZERO,
            completed_ts: Millis::ZERO,
            history: false,
            media: true,
            files: vec![ListedFile { name: "messages.jsonl", about: "Messages", entries: 3 }],
            missing_media: 0,
        };
        let page = page(&manifest, Some("<script>alert(1)</script>")).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("@<i>") && page.contains("messages.jsonl"), "{page}");
    }
}
