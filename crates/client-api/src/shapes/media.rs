//! Uploads.

use utoipa::ToSchema;

/// The maximum upload size, in bytes.
#[derive(ToSchema)]
pub(crate) struct UploadLimit {
    #[schema(rename = "m.upload.size")]
    size: i64,
}

/// The URI of a file.
#[derive(ToSchema)]
pub(crate) struct ContentUri {
    content_uri: String,
}

/// The URI of a file that will be uploaded later.
#[derive(ToSchema)]
pub(crate) struct ReservedUri {
    content_uri: String,
    unused_expires_at: i64,
}
