//! `GET sync`, one file per subject.

mod account_data;
mod ephemeral;
mod filters;
mod first;
mod memberships;
mod polling;
mod state;
mod timeline;
mod tokens;
mod unread;
mod unsigned;
