//! `/scim/v2/…`

mod bulk;
mod discovery;
mod groups;
mod users;

use http::Method;
use reeve_app::Inactive;
use reeve_model::encoding::hex;
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, Config, Reply, Server};
use serde_json::{Value, json};

pub(crate) const USERS: &str = "/scim/v2/Users";
pub(crate) const GROUPS: &str = "/scim/v2/Groups";
pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const MATRIX: &str = "urn:reeve:params:scim:schemas:extension:matrix:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An account manages the rooms of groups.
fn with_groups(config: &mut Config) {
    config.scim.groups_localpart = Some("groups".to_owned());
    config.policy.groups_localpart = Some("groups".to_owned());
}

/// Inactive accounts are deactivated.
fn deactivating(config: &mut Config) {
    config.scim.inactive = Inactive::Deactivate;
}

fn only(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

/// Creates a service token with some scopes, as an identity provider has it.
async fn provider(server: &Server, admin: &Client, scopes: Scopes) -> Client {
    let name = format!("p{}", scopes.iter().count());
    let reply =
        admin.post("/_reeve/admin/v1/service_tokens", json!({ "name": name, "scopes": scopes })).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    server.with_token(reply.text("secret"))
}

/// Creates a user who must be new; returns it.
async fn create(client: &Client, mut user: Value) -> Value {
    user["schemas"] = json!([USER]);
    let reply = client.post(USERS, user).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body
}

async fn patch(client: &Client, path: &str, operations: Value) -> Reply {
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    client.send(Method::PATCH, path, &[], body.to_string()).await
}

/// Status and `scimType` of an error, whose form is checked.
fn refusal(reply: &Reply) -> (u16, &str) {
    assert_eq!(reply.header("content-type"), "application/scim+json");
    assert_eq!(reply.body["schemas"], json!([ERROR]), "{}", reply.body);
    assert_eq!(reply.text("status"), reply.status.to_string());
    assert!(!reply.text("detail").is_empty());
    (reply.status, reply.text("scimType"))
}

/// The ids in a list, and the total.
fn ids(reply: &Reply) -> (Vec<&str>, i64) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let found = reply.body["Resources"].as_array().unwrap();
    (
        found.iter().map(|one| one["id"].as_str().unwrap()).collect(),
        reply.body["totalResults"].as_i64().unwrap(),
    )
}

/// The path of a list with a filter.
fn filtered(path: &str, filter: &str) -> String {
    let mut url = format!("{path}?filter=");
    for byte in filter.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    url
}
