//! What administrators do to accounts, as others in their rooms see it.

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
