//! `/_reeve/admin/v1/bin`: what administrators deleted, until it is deleted for good or brought back.

mod media;
mod rooms;

use http::Method;
use reeve_testkit::{Client, Reply, Server};
use serde_json::{Value, json};

use crate::rooms_kit::{enc, list, ok};
use crate::sync_kit::eventually;

const BIN: &str = "/_reeve/admin/v1/bin";
/// The time in the bin by default.
const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

async fn delete(client: &Client, path: &str) -> Reply {
    client.send(Method::DELETE, path, &[], "").await
}

/// The acts in the audit log on a target, the oldest first.
async fn acts(admin: &Client, target: &str) -> Vec<String> {
    let log = ok(admin.get(&format!("/_reeve/admin/v1/audit?target={}", enc(target))).await);
    list(&log, "/entries").iter().rev().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

/// The result of a job when it is over.
async fn over(admin: &Client, id: &Value) -> Value {
    let path = format!("/_reeve/admin/v1/jobs/{}", id.as_str().unwrap());
    let job = eventually(admin, &path, |reply| ["complete", "failed"].contains(&reply.text("state"))).await;
    assert_eq!(job.text("state"), "complete", "{}", job.body);
    job.body["result"].clone()
}

/// Does the housekeeping of the bin, and returns when its jobs are over.
async fn keep_house(server: &Server, admin: &Client) {
    let (db, now) = (&server.app().db, server.clock.now());
    reeve_media::bin::purge_due(db, now).await.unwrap();
    reeve_rooms::deletion::purge::purge_due(db, now).await.unwrap();
    eventually(admin, "/_reeve/admin/v1/jobs?subject=due", |reply| {
        list(&reply.body, "/jobs").iter().all(|job| job["state"] == "complete")
    })
    .await;
}

fn missing(what: &str) -> (u16, Value) {
    let error = format!("There is no such {what} in the bin");
    (404, json!({ "errcode": "M_NOT_FOUND", "error": error }))
}
