//! Notifications to users whose clients are not connected.

mod gateway;
mod mail;

use std::time::Duration;

use reeve_testkit::{Client, Server, tokio};
use serde_json::json;

use crate::rooms_kit::{bring, create};

/// Repeats a request until the response is as wanted; each time the server has progressed a little.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async { while !ask().await {} };
    let asked = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(asked.is_ok(), "it does not come to that: {what}");
}

/// Alice and Bob, in a room of two.
async fn two(server: &Server) -> (Client, Client, String) {
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = create(&alice, json!({ "preset": "private_chat" })).await;
    bring(&alice, &room, &bob).await;
    (alice, bob, room)
}
