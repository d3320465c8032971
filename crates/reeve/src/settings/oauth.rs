//! The settings of signing in with OAuth 2.0.

use super::describe::sections;

sections! {
    OAuth {
        /// Let clients sign people in with OAuth 2.0. Needs `public_base_url`: while that is not set, clients are told that
        /// there is no OAuth 2.0. Login with passwords in the client stays possible beside it, if `password.enabled` is true.
        enabled: bool = true;
        /// Lifetime of an access token of a session with OAuth 2.0, in milliseconds. The client gets a new one with its
        /// refresh token, which lives as long as `tokens.refresh_lifetime_ms` says.
        token_lifetime_ms: i64 = 300_000;
        /// The time after which a registered client is deleted if nobody uses it, in milliseconds. Clients register anew
        /// whenever somebody signs in, and those with sessions are kept.
        unused_clients_ms: i64 = 2_592_000_000;
    }
}
