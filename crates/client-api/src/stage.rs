//! The stages of user-interactive authentication.
//! <https://spec.matrix.org/v1.18/client-server-api/#user-interactive-authentication-api>

use serde::{Deserialize, Serialize};

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// The password of the account.
    #[serde(rename = "m.login.password")]
    Password,
    /// An e-mail address, confirmed by a mail.
    #[serde(rename = "m.login.email.identity")]
    Email,
    /// Nothing.
    #[serde(rename = "m.login.dummy")]
    Dummy,
    /// A registration token.
    #[serde(rename = "m.login.registration_token")]
    RegistrationToken,
}
