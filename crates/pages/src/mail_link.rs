//! Links in mails: the path of a page with the token, and the page that says that a link is of no use any more.

use http::StatusCode;
use reeve_app::{Answer, MatrixError};
use serde::Serialize;

use crate::links::encoded;
use crate::page::{self, Visitor};

/// The name of the token in the paths of links.
pub(crate) const TOKEN: &str = "mail_token";
/// The error of pages of links.
pub(crate) const ENDED: (u16, &str, &str) =
    (404, "M_NOT_FOUND", "the link is unknown, was replaced by a newer one, was used, or has ended");

/// The values in the page.
#[derive(Serialize)]
struct Ended {
    /// The page on which to ask for another mail, if there is one.
    again: Option<&'static str>,
}

/// Returns the path of the page of a link.
pub(crate) fn path(page: &str, token: &str) -> String {
    format!("/_reeve/pages/{page}/{}", encoded(token))
}

/// Returns the page that says that a link is of no use, if that is the error; otherwise the error. `again` is the page on which to
/// ask for another mail.
pub(crate) fn ended(visitor: &impl Visitor, error: MatrixError, again: Option<&'static str>) -> Answer {
    match error.status {
        404 => Ok(page::show(visitor, StatusCode::NOT_FOUND, "link_ended.html", Ended { again })),
        _ => Err(error),
    }
}
