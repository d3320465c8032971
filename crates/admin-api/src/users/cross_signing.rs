//! Lets an account replace its cross-signing keys without authenticating again.

use reeve_http::{Answer, Call, MatrixError, Route};

pub(crate) fn route() -> Route {
    Route::post("/_synapse/admin/v1/users/{user_id}/_allow_cross_signing_replacement_without_uia", handle)
        .summary(
            "Lets an account replace its cross-signing keys without authenticating again, for ten minutes",
        )
        .errors(&[(404, "M_NOT_FOUND", "the account has no master cross-signing key")])
}

async fn handle(_call: Call) -> Answer {
    // No account has cross-signing keys: the server does not store end-to-end keys.
    Err(MatrixError::not_found("User has no master cross-signing key"))
}
