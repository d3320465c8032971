//! Links in mails: the path of a page with the token, and the page that says that a link is of no use any more.

use http::StatusCode;
use reeve_app::{Answer, MatrixError};
use serde::Serialize;

use crate::links::{RECOVER, REGISTER, encoded};
use crate::page::{self, Visitor};

/// The name of the token in the paths of links.
pub(crate) const TOKEN: &str = "mail_token";
/// The error of pages of links.
pub(crate) const ENDED: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "the link is unknown, was replaced by a newer one, was used, or has ended");

/// A page on which to ask for another mail.
#[derive(Serialize)]
pub(crate) struct Again {
    path: &'static str,
    /// The key of its title.
    title: &'static str,
}

/// The page for people who lost their password.
pub(crate) const RECOVERY: Again = Again { path: RECOVER, title: "recover-title" };
/// The page on which people make accounts.
pub(crate) const REGISTRATION: Again = Again { path: REGISTER, title: "register-title" };

/// The values in the page.
#[derive(Serialize)]
struct Ended<'a> {
    again: Option<&'a Again>,
}

/// Returns the path of the page of a link.
pub(crate) fn path(page: &str, token: &str) -> String {
    format!("/_reeve/pages/{page}/{}", encoded(token))
}

/// Returns the page that says that a link is of no use, if that is the error; otherwise the error.
pub(crate) fn ended(visitor: &impl Visitor, error: MatrixError, again: Option<&Again>) -> Answer {
    match error.status {
        404 => Ok(page::show(visitor, StatusCode::NOT_FOUND, "link_ended.html", Ended { again })),
        _ => Err(error),
    }
}
