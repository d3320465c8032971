//! Exports and links as responses show them, those to people and those to administrators alike.

use reeve_model::{ExportState, Millis};
use reeve_store::exports::Export;
use serde::Serialize;
use utoipa::ToSchema;

use crate::link::{DOWNLOAD, Issued};

/// An archive of everything about an account, ordered or made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportView {
    id: String,
    /// True if it has the history of rooms.
    history: bool,
    /// True if it has the files that the account uploaded.
    media: bool,
    /// The age recipient to which it is encrypted; null if it is not.
    #[schema(required)]
    recipient: Option<String>,
    /// `waiting`, `running`, `ready`, `failed`, `too_large` or `deleted`.
    #[schema(value_type = String)]
    state: ExportState,
    /// When it was ordered, in milliseconds.
    created_ts: i64,
    /// When the archive was complete, in milliseconds; null before.
    #[schema(required)]
    completed_ts: Option<i64>,
    /// When it is deleted, in milliseconds; null while it waits or runs.
    #[schema(required)]
    ends_ts: Option<i64>,
    /// The length of the archive, in bytes; null unless it is ready.
    #[schema(required)]
    length: Option<i64>,
    /// The SHA-256 of the archive, in hexadecimal; null unless it is ready.
    #[schema(required)]
    sha256: Option<String>,
}

impl From<&Export> for ExportView {
    fn from(export: &Export) -> Self {
        let archive = export.archive.as_ref();
        Self {
            id: export.id.clone(),
            history: export.options.history,
            media: export.options.media,
            recipient: export.options.recipient.clone(),
            state: export.state,
            created_ts: export.created_ts.get(),
            completed_ts: export.completed_ts.map(Millis::get),
            ends_ts: export.ends_ts.map(Millis::get),
            length: archive.map(|archive| archive.length),
            sha256: archive.map(|archive| archive.sha256.clone()),
        }
    }
}

/// The link to download an archive.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportLink {
    /// The path on this server. Everybody who knows it can download the archive.
    #[schema(example = "/_reeve/export/rvx_abcd")]
    path: String,
    /// The time until which it can be used, in milliseconds.
    until_ts: i64,
}

impl From<Issued> for ExportLink {
    fn from(made: Issued) -> Self {
        Self { path: format!("{DOWNLOAD}{}", made.token), until_ts: made.until_ts.get() }
    }
}
