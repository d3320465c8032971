//! Deeds on rooms: events and the state that they set, memberships, redactions, receipts, typing and presence; and the
//! view of a room's history for one user.
//!
//! A room's history is a chain: each event follows the one before it, since this server is the only one in its rooms.
//! Every event is nevertheless complete (content hash, signature, authorising events), so that other servers could
//! check it.

pub mod alerts;
pub mod aliases;
pub mod attachments;
pub mod create;
pub mod data;
pub mod deletion;
pub mod ephemeral;
pub mod error;
pub mod event;
pub mod filter;
pub mod glob;
pub mod lifetimes;
pub mod lookup;
pub mod membership;
pub mod notices;
pub mod people;
pub mod position;
mod power;
pub mod preview;
pub mod public_rooms;
pub mod purge;
pub mod push;
pub mod redaction;
pub mod redactions;
pub mod reports;
pub mod restore;
pub mod room_admin;
pub mod send;
pub mod signing;
pub mod spaces;
pub mod timeline;
pub mod types;
pub mod upgrade;
pub mod user_directory;
pub mod version;
pub mod view;
pub mod words;

use std::sync::Arc;

pub use error::Error;
use reeve_accounts::Limits;
pub use reeve_store::rooms::Room;
pub use signing::SigningKey;

/// The operator's settings for rooms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that sends server notices, and its rooms.
    pub notices: notices::Settings,
    /// True if the user directory finds all users, not only those who share a room.
    pub search_all_users: bool,
    /// True if presence is shown.
    pub presence: bool,
    /// The time for which rooms that administrators delete wait in the bin, in milliseconds; 0 if there is no bin.
    pub bin_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            notices: notices::Settings::default(),
            search_all_users: false,
            presence: true,
            bin_ms: 7 * 24 * 3600 * 1000,
        }
    }
}

/// The facts about this homeserver that deeds on rooms need.
#[derive(Debug)]
pub struct Home {
    /// Its name.
    pub server_name: Arc<str>,
    /// The key with which it signs events.
    pub key: SigningKey,
    /// The operator's settings.
    pub settings: Settings,
    /// The limits of what one account may store.
    pub limits: Limits,
    /// The cache of push rules.
    pub push_rules: push::PushRuleCache,
}

impl Home {
    /// Returns true if a user belongs to this server.
    pub fn is_local(&self, user_id: &str) -> bool {
        reeve_model::id::domain_is(user_id, &self.server_name)
    }

    /// Returns a proof that this server made the link with which a user unsubscribes from the mail of a pusher.
    pub fn seal_unsubscribe(
        &self,
        user_id: &str,
        app_id: &str,
        pushkey: &str,
    ) -> Result<String, reeve_db::DbError> {
        self.key.seal(&self.server_name, &["unsubscribe", user_id, app_id, pushkey])
    }
}
