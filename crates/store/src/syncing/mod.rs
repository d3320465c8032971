//! The stream, and what clients that sync are told beside events.

pub mod ephemeral;
pub mod sliding;
pub mod stream;
pub mod stream_epochs;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] =
    &[stream::STATEMENTS, stream_epochs::STATEMENTS, ephemeral::STATEMENTS, sliding::STATEMENTS];
