//! `/_matrix/media` and `/_matrix/client/v1/media`.

mod create;
mod download;
mod kept;
mod preview;
mod thumbnail;
mod upload;

use std::path::Path;

use http::Method;
use reeve_store::media::{self, Media};
use reeve_store::media_objects;
use reeve_testkit::{Client, Reply, Server};

pub(crate) const UPLOAD: &str = "/_matrix/media/v3/upload";

/// Uploads bytes; returns the media id.
pub(crate) async fn upload(client: &Client, media_type: &str, bytes: impl Into<Vec<u8>>) -> String {
    let reply = send(client, UPLOAD, media_type, bytes).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.text("content_uri").strip_prefix("mxc://test/").unwrap().to_owned()
}

async fn send(client: &Client, path: &str, media_type: &str, bytes: impl Into<Vec<u8>>) -> Reply {
    client.send(Method::POST, path, &[("content-type", media_type)], bytes.into()).await
}

pub(crate) fn download_path(media_id: &str) -> String {
    format!("/_matrix/client/v1/media/download/test/{media_id}")
}

pub(crate) fn not_found(reply: &Reply) {
    assert_eq!(reply.refusal(), (404, "M_NOT_FOUND", "Media not found"));
}

/// The server's details of an upload.
async fn known(server: &Server, media_id: &str) -> Option<Media> {
    let media_id = media_id.to_owned();
    server.app().db.read(move |tx| media::find(tx, &media_id)).await.unwrap()
}

/// Sweeps, then counts what is in the store; nothing there belongs to nothing.
pub(crate) async fn objects(server: &Server) -> usize {
    // The server may take a moment to notice that a client has disconnected.
    for _ in 0..1000 {
        server.app().media.sweep().await.unwrap();
        if server.app().db.read(media_objects::count_orphaned).await.unwrap() == 0 {
            return files(&server.media_folder());
        }
    }
    panic!("something stays in the store that belongs to nothing");
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
