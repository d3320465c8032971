//! Uploads and their bytes.

pub mod media;
pub mod media_bin;
pub mod media_objects;
pub mod media_pending;
pub mod media_statistics;
pub mod media_users;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] = &[
    media::STATEMENTS,
    media_bin::STATEMENTS,
    media_objects::STATEMENTS,
    media_pending::STATEMENTS,
    media_statistics::STATEMENTS,
    media_users::STATEMENTS,
];
