//! Acts of administrators on accounts, in the view of others in their rooms.

mod counters;
mod deactivate;
mod erase;
mod limits;
mod lock;
mod profile;
mod redact;
mod reports;
mod server_notices;
mod shadow_ban;
mod suspend;
