//! The ledger of the API, generated from the route table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;

use crate::admission::Access;
use crate::openapi::{access_text, tag};
use crate::route::{Limit, Route};

/// Returns the ledger of the API, in Markdown: every route, its callers, and its summary.
pub fn ledger<S>(routes: &[Arc<Route<S>>]) -> String {
    let mut text = String::from(
        "# API ledger\n\nEvery endpoint of Reeve, generated from the route table. *Open to* lists the callers that may use \
         it; *scope*, the right of administration that they must hold (accounts hold those of their role, service tokens those that they were given); *also*, the states of an account or token that close other endpoints, but not this one. An account \
         that must change its password can use the GET endpoints that are not for administrators, and of the others those that \
         say so.\n",
    );
    let mut sections: BTreeMap<&str, Vec<&Arc<Route<S>>>> = BTreeMap::new();
    for route in routes {
        sections.entry(tag(route.path())).or_default().push(route);
    }
    for (section, mut routes) in sections {
        routes.sort_by(|a, b| (a.path(), a.method.as_str()).cmp(&(b.path(), b.method.as_str())));
        let _ = write!(text, "\n## {section}: {} endpoints\n\n", routes.len());
        text.push_str(
            "| method | path | open to | scope | also | limit | summary |\n|---|---|---|---|---|---|---|\n",
        );
        for route in routes {
            let paths = route.paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join("<br>");
            let scope = match route.admission.access {
                Access::Admin(scope) | Access::SelfOr(scope) => format!("`{scope}`"),
                Access::AnyAdmin => "any".to_owned(),
                Access::Anybody
                | Access::Optional
                | Access::Guest
                | Access::User
                | Access::SharedSecret
                | Access::Page
                | Access::SignedIn => String::new(),
            };
            let open = route.admission.open_to;
            let also = [
                (open.locked, "locked accounts"),
                (open.expired_account, "expired accounts"),
                (open.expired_token, "expired tokens"),
                (
                    open.password_change && route.method != Method::GET,
                    "accounts that must change their password",
                ),
            ];
            let also: Vec<&str> = also.iter().filter(|(open, _)| *open).map(|(_, text)| *text).collect();
            let limit = match route.limit {
                Limit::None => "",
                Limit::Message | Limit::Sending => "message",
                Limit::Profile => "profile",
                Limit::Name => "message, profile",
                Limit::RoomCreation => "message, room_creation",
                Limit::ToDevice => "to_device",
                Limit::Reports => "reports",
                Limit::Media => "media",
                Limit::UrlPreviews => "url_previews",
                Limit::Registration => "registration_attempts",
                Limit::Login => "login",
                Limit::OAuthRequests => "oauth_requests",
                Limit::OAuthFailed => "oauth_failed",
            };
            let _ = writeln!(
                text,
                "| {} | {paths} | {} | {scope} | {} | {limit} | {} |",
                route.method,
                access_text(route.admission.access),
                also.join(", "),
                route.doc.summary
            );
        }
    }
    text
}
