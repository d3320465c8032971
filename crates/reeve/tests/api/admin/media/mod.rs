//! Media routes for administrators.

mod delete;
mod list;
mod quarantine;
mod statistics;

use http::Method;
use reeve_testkit::{Client, Config, Reply, Server};
use serde_json::{Value, json};

use crate::client::media::{download_path, upload};

fn error(errcode: &str, error: &str) -> Value {
    json!({ "errcode": errcode, "error": error })
}

fn of_user(user_id: &str, query: &str) -> String {
    format!("/_synapse/admin/v1/users/{user_id}/media{query}")
}

fn media(rest: &str) -> String {
    format!("/_synapse/admin/v1/media/{rest}")
}

async fn delete(client: &Client, path: &str) -> Reply {
    client.send(Method::DELETE, path, &[], "").await
}

/// The response of a deletion.
fn deleted(ids: &[&String]) -> Value {
    json!({ "deleted_media": ids, "total": ids.len() })
}

/// Deletes for good at once, so that what is deleted can be seen in the store.
fn without_bin(config: &mut Config) {
    config.media.bin_ms = 0;
}

async fn download(client: &Client, media_id: &str) -> Reply {
    client.get(&download_path(media_id)).await
}

async fn info(admin: &Client, media_id: &str) -> Value {
    let reply = admin.get(&media(&format!("test/{media_id}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["media_info"].clone()
}

/// Uploads so many different texts, one second after the other.
async fn several(server: &Server, client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let text = format!("{} wrote this as number {number}", client.user_id);
        ids.push(upload(client, "text/plain", text).await);
        server.clock.advance(1000);
    }
    ids
}
