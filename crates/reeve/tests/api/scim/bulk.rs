//! `/scim/v2/Bulk`

use reeve_model::Scope;
use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

use super::{GROUP, PATCH, USER, USERS, only, provider, refusal, with_groups};

const BULK: &str = "/scim/v2/Bulk";
const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// The statuses of the results.
fn statuses(body: &Value) -> Vec<&str> {
    body["Operations"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

on_both_engines! {
    #[config(with_groups)]
    async fn operations_refer_to_each_other(server: Server) {
        let admin = server.admin().await;
        let reply = admin.post(BULK, json!({
            "schemas": [SCHEMA],
            "Operations": [
                { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "schemas": [USER], "userName": "alice" } },
                { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "schemas": [GROUP], "displayName": "G", "members": [{ "value": "bulkId:a" }] } },
                { "method": "PATCH", "path": "/Users/bulkId:a", "data": { "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "displayName", "value": "A" }] } },
                { "method": "PUT", "path": "/Users/@alice%3Atest", "version": "W/\"x\"", "data": { "schemas": [USER], "userName": "alice" } },
                { "method": "POST", "path": "/Users", "bulkId": "b", "data": { "schemas": [USER], "userName": "alice" } },
                { "method": "PATCH", "path": "/Users/bulkId:b", "data": { "schemas": [PATCH], "Operations": [] } },
                { "method": "DELETE", "path": "/Nonsense/x" },
                { "method": "DELETE", "path": "/Users/@alice:test" },
            ],
        })).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(statuses(&reply.body), ["201", "201", "200", "412", "409", "400", "400", "204"]);
        let results = &reply.body["Operations"];
        assert_eq!((&results[0]["bulkId"], &results[0]["location"]), (&json!("a"), &json!(format!("{USERS}/@alice:test"))));
        assert_ne!(results[0]["version"], results[2]["version"]);
        assert_eq!(results[4]["response"]["scimType"], json!("uniqueness"));
        let group = results[1]["location"].as_str().unwrap();
        assert_eq!(admin.get(group).await.body["displayName"], json!("G"));
        assert_eq!(admin.get(&format!("{USERS}/@alice:test")).await.status, 404);
    }

    async fn bounds_and_rights(server: Server) {
        let admin = server.admin().await;
        let new = |name: &str| json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": { "schemas": [USER], "userName": name } });
        let bad = json!({ "method": "DELETE", "path": "/Users/@nobody:test" });
        let reply = admin.post(BULK, json!({ "schemas": [SCHEMA], "failOnErrors": 2, "Operations": [bad, new("a"), bad, new("b")] })).await;
        assert_eq!(statuses(&reply.body), ["404", "201", "404"]);
        assert_eq!(admin.get(&format!("{USERS}/@b:test")).await.status, 404);
        let many: Vec<Value> = (0..101).map(|number| new(&format!("u{number}"))).collect();
        assert_eq!(refusal(&admin.post(BULK, json!({ "schemas": [SCHEMA], "Operations": many })).await), (413, ""));
        for body in [
            json!({ "Operations": [] }),
            json!({ "schemas": [SCHEMA] }),
            json!({ "schemas": [SCHEMA], "Operations": [1] }),
            json!({ "schemas": [SCHEMA], "Operations": [{ "method": "GET", "path": "/Users" }] }),
            json!({ "schemas": [SCHEMA], "Operations": [new("c"), { "method": "POST", "path": "/Users", "data": {} }] }),
        ] {
            assert_eq!(refusal(&admin.post(BULK, body.clone()).await), (400, "invalidSyntax"), "{body}");
        }
        assert_eq!(admin.get(&format!("{USERS}/@c:test")).await.status, 404);
        let writer = provider(&server, &admin, only(&[Scope::UsersWrite])).await;
        let reply = writer.post(BULK, json!({ "schemas": [SCHEMA], "Operations": [
            new("d"),
            { "method": "DELETE", "path": "/Users/@d:test" },
            { "method": "DELETE", "path": "/Groups/role:support" },
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": { "schemas": [GROUP], "displayName": "G" } },
        ] })).await;
        assert_eq!(statuses(&reply.body), ["201", "403", "403", "403"]);
    }
}
