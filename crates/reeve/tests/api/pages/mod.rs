//! Pages for people: `/_reeve/pages/…`.

mod account;
mod emails;
mod export;
mod login;
mod look;
mod password;
mod recover;
mod register;
mod renew;
mod security;
mod sessions;

use reeve_testkit::{Config, Reply};

const LOGIN: &str = "/_reeve/pages/login";
const ACCOUNT: &str = "/_reeve/pages/account";
const REGISTER: &str = "/_reeve/pages/register";

/// Opens registration.
fn open(config: &mut Config) {
    config.policy.registration_enabled = true;
}

/// Returns the page, which must have this status.
fn page(reply: &Reply, status: u16) -> &str {
    assert_eq!(reply.status, status, "{}", reply.html());
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    reply.html()
}

/// Returns the page at which a browser continues.
fn continues(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.html());
    reply.header("location")
}

/// Returns true if a response leads to the page for signing in.
fn asks_to_sign_in(reply: &Reply) -> bool {
    reply.status == 303 && reply.header("location").starts_with(LOGIN)
}
