//! The built-in templates, and those of the operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use crate::error::Error;

macro_rules! templates {
    ($($name:literal)*) => {
        /// The built-in templates: name and text.
        pub(crate) const TEMPLATES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../templates/", $name)))),*];
    };
}

templates! {
    "account.html"
    "account_page.html"
    "base.html"
    "card.html"
    "client.html"
    "consent.html"
    "deactivate.html"
    "deactivated.html"
    "device.html"
    "device_consent.html"
    "device_done.html"
    "email.html"
    "emails.html"
    "error.html"
    "export.html"
    "field.html"
    "link_ended.html"
    "login.html"
    "logout.html"
    "new_password.html"
    "password.html"
    "password_rules.html"
    "problems.html"
    "profile.html"
    "recover.html"
    "recover_password.html"
    "refused.html"
    "register.html"
    "register_closed.html"
    "register_email.html"
    "renew.html"
    "reset_identity.html"
    "session.html"
    "sessions.html"
}

/// The built-in stylesheet.
pub(crate) const STYLESHEET: &str = include_str!("../assets/style.css");
/// The name of a file that replaces the built-in stylesheet.
const STYLESHEET_NAME: &str = "style.css";

/// Files of the operator.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Templates, by name.
    pub(crate) templates: BTreeMap<String, String>,
    /// The stylesheet.
    pub(crate) stylesheet: Option<String>,
}

impl Own {
    /// Reads the files of a folder. Those that are neither templates nor the stylesheet are left alone.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut own = Self::default();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_template = path.extension().is_some_and(|extension| extension == "html");
            if !is_template && name != STYLESHEET_NAME {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            if is_template {
                own.templates.insert(name.to_owned(), text);
            } else {
                own.stylesheet = Some(text);
            }
        }
        Ok(own)
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::Unreadable { path, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let files = Own::read(&folder).unwrap().templates;
        let built_in: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
        assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), built_in);
    }
}
