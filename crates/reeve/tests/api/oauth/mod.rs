//! `/_reeve/oauth/…` and the pages for clients of OAuth 2.0. `docs/oauth.md` says which point of RFC 9700 each test shows.

mod authorize;
mod consent;
mod device;
mod discovery;
mod refresh;
mod register;
mod revoke;
mod sessions;
mod token;
