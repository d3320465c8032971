//! Accounts.

use crate::num::{Millis, UserNum};

/// A kind of account that is not an ordinary person: `bot`, `support`, or one that the settings add.
pub type UserType = String;

/// A local account, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The number that stands for the account in every other table.
    pub num: UserNum,
    /// The full Matrix user id.
    pub user_id: String,
    /// When the account was created: milliseconds, always a whole second.
    pub created_ts: Millis,
    /// The display name; `None` when there is none, `Some("")` when it was blanks only.
    pub displayname: Option<String>,
    /// The avatar, normally an `mxc://` URI; stored as given.
    pub avatar_url: Option<String>,
    /// What kind of account it is; `None` for an ordinary one.
    pub user_type: Option<UserType>,
    /// Whether it is a guest.
    pub is_guest: bool,
    /// Whether it administers the server.
    pub admin: bool,
    /// Whether it was retired: it cannot log in and its name stays taken.
    pub deactivated: bool,
    /// Whether it is locked: its sessions rest until it is unlocked.
    pub locked: bool,
    /// Whether what it sends is silently dropped.
    pub shadow_banned: bool,
    /// Whether it may only read and leave.
    pub suspended: bool,
    /// Whether its messages are hidden from later joiners.
    pub erased: bool,
    /// The application service that registered it in an exclusive namespace.
    pub appservice_id: Option<String>,
    /// The version of the policy it consented to.
    pub consent_version: Option<String>,
    /// The version of the policy a server notice was sent for.
    pub consent_server_notice_sent: Option<String>,
    /// When it consented, in milliseconds.
    pub consent_ts: Option<Millis>,
    /// When it was last seen, in milliseconds.
    pub last_seen_ts: Option<Millis>,
}

impl User {
    /// An ordinary account of which nothing but its user id and the time of its creation is known.
    pub fn new(user_id: String, created_ts: Millis) -> Self {
        Self {
            num: UserNum::ZERO,
            user_id,
            created_ts,
            displayname: None,
            avatar_url: None,
            user_type: None,
            is_guest: false,
            admin: false,
            deactivated: false,
            locked: false,
            shadow_banned: false,
            suspended: false,
            erased: false,
            appservice_id: None,
            consent_version: None,
            consent_server_notice_sent: None,
            consent_ts: None,
            last_seen_ts: None,
        }
    }

    /// The part of the user id between `@` and `:`.
    pub fn localpart(&self) -> &str {
        crate::id::localpart(&self.user_id)
    }
}
