//! Room routes for clients.

mod aliases;
mod bundles;
mod create;
mod filters;
mod guests;
mod hidden;
mod invite_permission;
mod members;
mod membership;
mod messages;
mod mutual;
mod personal;
mod presence;
mod public;
mod push;
mod redact;
mod relations;
mod reports;
mod search;
mod send;
mod small;
mod spaces;
mod state;
mod upgrade;
mod visibility;
