//! The common parts of pages: how they are shown, and how one leads to the next.

use axum_core::response::Response;
use http::{StatusCode, header};
use reeve_app::body::Body;
use reeve_app::page::{self, LANG};
use reeve_app::{Access, Answer, Call, Content, Endpoint, Family, Head, Param, Reading, Route, Visit, reply};
use reeve_model::{Language, User};
use serde::Serialize;

/// A request for a page.
pub(crate) trait Visitor {
    /// Returns the parts of the request that are known before its body.
    fn head(&self) -> &Head;
    /// Returns the account that signed in.
    fn account(&self) -> Option<&User>;
}

impl Visitor for Call {
    fn head(&self) -> &Head {
        self
    }

    fn account(&self) -> Option<&User> {
        self.caller().user()
    }
}

impl Visitor for Reading<'_> {
    fn head(&self) -> &Head {
        self
    }

    fn account(&self) -> Option<&User> {
        self.caller().user()
    }
}

/// A page that does not show who signed in, such as one after that ended.
impl Visitor for Head {
    fn head(&self) -> &Head {
        self
    }

    fn account(&self) -> Option<&User> {
        None
    }
}

/// The account, as every page shows it.
#[derive(Serialize)]
struct Account<'a> {
    user_id: &'a str,
    /// The display name, or else the localpart.
    name: &'a str,
    must_change_password: bool,
}

/// The values in a page.
#[derive(Serialize)]
struct Values<'a, T> {
    account: Option<Account<'a>>,
    form_token: String,
    #[serde(flatten)]
    own: T,
}

/// The values of a page that has none of its own.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// Shows a page: a template with its values, in the language of the request. A browser that has no cookie yet gets one.
pub(crate) fn show(
    visitor: &impl Visitor,
    status: StatusCode,
    template: &'static str,
    own: impl Serialize,
) -> Response {
    let head = visitor.head();
    let visit = head.visit.clone().unwrap_or_else(Visit::begin);
    let account = visitor.account().map(|user| Account {
        user_id: &user.user_id,
        name: user.displayname.as_deref().filter(|name| !name.is_empty()).unwrap_or_else(|| user.localpart()),
        must_change_password: head.app.policy.must_change_password(user),
    });
    let values = Values { account, form_token: visit.form_token(), own };
    let response = page::make(&head.app.html, language(head), status, template, values);
    if visit.is_new() { with_cookie(response, head, &visit) } else { response }
}

/// Returns the language of the page for a request.
pub(crate) fn language(head: &Head) -> Language {
    page::language(head.query.lossy(LANG).as_deref(), &head.headers)
}

/// Gives a browser its cookie with a response.
pub(crate) fn with_cookie(mut response: Response, head: &Head, visit: &Visit) -> Response {
    if let Some(cookie) = visit.set_cookie(head.app.http.secure_cookies) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Continues at another page, in the language that was chosen.
pub(crate) fn go(head: &Head, path: &str) -> Answer {
    match head.query.lossy(LANG).as_deref().and_then(Language::of_tag) {
        None => reply::see_other(path),
        Some(language) => {
            let joint = if path.contains('?') { '&' } else { '?' };
            reply::see_other(&format!("{path}{joint}{LANG}={}", language.as_str()))
        }
    }
}

/// Returns the query parameters of a page: those of its own, and the language.
pub(crate) fn params(own: impl IntoIterator<Item = Param>) -> Vec<Param> {
    let language =
        Param::text(LANG, "the language: `en` or `de`; by default the one that the browser prefers");
    own.into_iter().chain([language]).collect()
}

/// Returns the query parameter that says that the act before was done.
pub(crate) fn done() -> Param {
    Param::text("done", "present after the act on this page was done")
}

/// Returns true if the act before was done.
pub(crate) fn is_done(head: &Head) -> bool {
    head.query.has("done")
}

/// Returns the route of a page.
pub(crate) fn shown(endpoint: Endpoint, access: Access) -> Route {
    let html = Content::Text(Family::Page.media_type());
    endpoint.access(access).query(params([])).returns_other(200, html)
}

/// Returns the route of a form, which leads to another page.
pub(crate) fn form<T: Body>(endpoint: Endpoint, access: Access) -> Route {
    endpoint.access(access).query(params([])).takes_form::<T>().returns_other(303, Content::Nothing)
}
