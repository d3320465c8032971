//! The act in a request body.

use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::{MatrixError, body};
use reeve_batch::Act;
use reeve_model::Millis;

body! {
    /// An act on each account of a selection. Each act has its own parameters; those of other acts are refused.
    pub(crate) struct BatchAct {
        /// `lock`, `unlock`, `suspend`, `unsuspend`, `shadow_ban`, `unshadow_ban`, `log_out`, `require_password_change`,
        /// `delete_devices`, `deactivate`, `delete_media`, `quarantine_media`, `set_user_type`, `set_role`, `set_ratelimit`,
        /// `clear_ratelimit`, `join_room`, `remove_from_room` or `send_notice`.
        #[schema(example = "lock")]
        kind = "type": String,
        /// `require_password_change`: true to end the sessions, too; false by default.
        logout_devices?: bool,
        /// `delete_devices`: devices that were not seen since this time are deleted, in milliseconds.
        not_seen_since?: i64,
        /// `deactivate`: true to erase the accounts, too; false by default.
        erase?: bool,
        /// `set_user_type`: the type; null for an ordinary account.
        user_type: Option<String>,
        /// `set_role`: the role; null for none.
        role: Option<String>,
        /// `set_ratelimit`: actions per second; 0 switches rate limits off.
        messages_per_second?: i64,
        /// `set_ratelimit`: the number of actions allowed at once.
        burst_count?: i64,
        /// `join_room` and `remove_from_room`: the id or alias of the room.
        room?: String,
        /// `send_notice`: the type of the event; `m.room.message` by default.
        event_type?: String,
        /// `send_notice`: the content of the event.
        content?: reeve_app::shape::AnyObject,
        ..unknown
    }
}

/// Returns the value of a parameter that the act needs.
fn needed<T>(key: &'static str, value: Option<T>) -> Result<T, MatrixError> {
    value.ok_or_else(|| MatrixError::missing_params(&[key]))
}

/// Refuses an act without a key that may be null.
fn given<T>(key: &Key<T>) -> Result<(), MatrixError> {
    body::require([key.missing()])
}

impl BatchAct {
    /// The names of the given parameters.
    fn parameters(&self) -> Vec<&'static str> {
        let all = [
            (self.logout_devices.name(), self.logout_devices.missing()),
            (self.not_seen_since.name(), self.not_seen_since.missing()),
            (self.erase.name(), self.erase.missing()),
            (self.user_type.name(), self.user_type.missing()),
            (self.role.name(), self.role.missing()),
            (self.messages_per_second.name(), self.messages_per_second.missing()),
            (self.burst_count.name(), self.burst_count.missing()),
            (self.room.name(), self.room.missing()),
            (self.event_type.name(), self.event_type.missing()),
            (self.content.name(), self.content.missing()),
        ];
        all.into_iter().filter(|(_, missing)| missing.is_none()).map(|(name, _)| name).collect()
    }

    /// Reads the act.
    pub(super) fn read_act(self) -> Result<Act, MatrixError> {
        super::super::read::refuse_unknown(&self.unknown)?;
        body::require([self.kind.missing()])?;
        let kind = self.kind.read()?;
        let (act, parameters): (Act, &[&str]) = match kind.as_str() {
            "lock" => (Act::Lock, &[]),
            "unlock" => (Act::Unlock, &[]),
            "suspend" => (Act::Suspend, &[]),
            "unsuspend" => (Act::Unsuspend, &[]),
            "shadow_ban" => (Act::ShadowBan, &[]),
            "unshadow_ban" => (Act::UnshadowBan, &[]),
            "log_out" => (Act::LogOut, &[]),
            "require_password_change" => {
                let logout_devices = self.logout_devices.read()?.unwrap_or(false);
                (Act::RequirePasswordChange { logout_devices }, &["logout_devices"])
            }
            "delete_devices" => {
                let since = needed("not_seen_since", self.not_seen_since.read()?)?;
                (Act::DeleteDevices { not_seen_since: Millis::new(since) }, &["not_seen_since"])
            }
            "deactivate" => (Act::Deactivate { erase: self.erase.read()?.unwrap_or(false) }, &["erase"]),
            "delete_media" => (Act::DeleteMedia, &[]),
            "quarantine_media" => (Act::QuarantineMedia, &[]),
            "set_user_type" => {
                given(&self.user_type)?;
                (Act::SetUserType { user_type: self.user_type.read()? }, &["user_type"])
            }
            "set_role" => {
                given(&self.role)?;
                (Act::SetRole { role: self.role.read()? }, &["role"])
            }
            "set_ratelimit" => {
                let messages_per_second = needed("messages_per_second", self.messages_per_second.read()?)?;
                let burst_count = needed("burst_count", self.burst_count.read()?)?;
                let act = Act::SetRatelimit { messages_per_second, burst_count };
                (act, &["messages_per_second", "burst_count"])
            }
            "clear_ratelimit" => (Act::ClearRatelimit, &[]),
            "join_room" => (Act::JoinRoom { room: needed("room", self.room.read()?)? }, &["room"]),
            "remove_from_room" => {
                (Act::RemoveFromRoom { room: needed("room", self.room.read()?)? }, &["room"])
            }
            "send_notice" => {
                let content: Object = needed("content", self.content.read()?)?;
                let content = content.into_iter().collect();
                (Act::SendNotice { event_type: self.event_type.read()?, content }, &["event_type", "content"])
            }
            other => return Err(MatrixError::invalid_param(format!("There is no act '{other}'"))),
        };
        match self.parameters().into_iter().find(|name| !parameters.contains(name)) {
            Some(name) => {
                Err(MatrixError::invalid_param(format!("The act '{kind}' has no parameter '{name}'")))
            }
            None => Ok(act),
        }
    }
}
