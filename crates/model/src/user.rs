//! Accounts.

use crate::num::{Millis, UserNum};
use crate::word::BuiltInRole;

/// A kind of account that is not an ordinary person: `bot`, `support`, or one that the settings add.
pub type UserType = String;

/// A local account, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The number that identifies the account in all other tables.
    pub num: UserNum,
    /// The full Matrix user id.
    pub user_id: String,
    /// The time of creation: milliseconds, always a whole second.
    pub created_ts: Millis,
    /// The display name; `None` if there is none, `Some("")` if it consisted of spaces only.
    pub displayname: Option<String>,
    /// The avatar, normally an `mxc://` URI; stored as given.
    pub avatar_url: Option<String>,
    /// The kind of account; `None` for an ordinary one.
    pub user_type: Option<UserType>,
    /// True for a guest.
    pub is_guest: bool,
    /// True for an owner of the server, who holds every scope. Synapse's administrator flag.
    pub admin: bool,
    /// The name of its role, where that is another one than owner.
    pub role: Option<String>,
    /// True if it was deactivated: it cannot log in and its name stays taken.
    pub deactivated: bool,
    /// True if it is locked: its sessions are refused until it is unlocked.
    pub locked: bool,
    /// True if its messages are silently dropped.
    pub shadow_banned: bool,
    /// True if it may only read and leave rooms.
    pub suspended: bool,
    /// True if its messages are hidden from people who join later.
    pub erased: bool,
    /// The application service that registered it in an exclusive namespace.
    pub appservice_id: Option<String>,
    /// The version of the policy it consented to.
    pub consent_version: Option<String>,
    /// The version of the policy for which a server notice was sent.
    pub consent_server_notice_sent: Option<String>,
    /// The time of consent, in milliseconds.
    pub consent_ts: Option<Millis>,
    /// The time when it was last seen, in milliseconds.
    pub last_seen_ts: Option<Millis>,
    /// True if its person must change the password before doing anything else that writes.
    pub password_change_required: bool,
}

impl User {
    /// An ordinary account with only a user id and a time of creation.
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
            role: None,
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
            password_change_required: false,
        }
    }

    /// Returns the name of its role.
    pub fn role(&self) -> Option<&str> {
        if self.admin { Some(BuiltInRole::Owner.as_str()) } else { self.role.as_deref() }
    }

    /// Returns true for an owner whose account can be used.
    pub const fn is_active_owner(&self) -> bool {
        self.admin && !self.deactivated && !self.locked && !self.suspended
    }

    /// The part of the user id between `@` and `:`.
    pub fn localpart(&self) -> &str {
        crate::id::localpart(&self.user_id)
    }
}
