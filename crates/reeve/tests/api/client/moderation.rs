//! `/_matrix/client/v1/admin/{lock,suspend}`: administration of accounts in the Matrix specification.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::{CS, code, ok};

const LOCK: &str = "/_matrix/client/v1/admin/lock";
const SUSPEND: &str = "/_matrix/client/v1/admin/suspend";

async fn newest_entry(admin: &Client) -> Value {
    ok(admin.get("/_reeve/admin/v1/audit?limit=1").await)["entries"][0].clone()
}

on_both_engines! {
    async fn lock_acts_on_the_flag_of_the_admin_api(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{LOCK}/@alice:test");
        assert_eq!(admin.get(&path).await, (200, json!({ "locked": false })));
        assert_eq!(admin.put(&path, json!({ "locked": true })).await, (200, json!({ "locked": true })));
        assert_eq!(admin.get(&path).await, (200, json!({ "locked": true })));
        assert_eq!(ok(admin.get("/_synapse/admin/v2/users/@alice:test").await)["locked"], true);
        let reply = alice.get(&format!("{CS}/account/whoami")).await;
        assert_eq!(reply.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
        let entry = newest_entry(&admin).await;
        assert_eq!(
            (&entry["actor"], &entry["action"], &entry["target"], &entry["changes"]),
            (&json!("@admin:test"), &json!("user.update"), &json!("@alice:test"), &json!({ "locked": true })),
        );
        // Changes by the admin API are visible here.
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": false })).await);
        assert_eq!(admin.get(&path).await, (200, json!({ "locked": false })));
        assert_eq!(alice.get(&format!("{CS}/account/whoami")).await.status, 200);
    }

    async fn suspend_acts_on_the_flag_of_the_admin_api(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{SUSPEND}/@alice:test");
        assert_eq!(admin.get(&path).await, (200, json!({ "suspended": false })));
        assert_eq!(admin.put(&path, json!({ "suspended": true })).await, (200, json!({ "suspended": true })));
        assert_eq!(admin.get(&path).await, (200, json!({ "suspended": true })));
        assert_eq!(ok(admin.get("/_synapse/admin/v2/users/@alice:test").await)["suspended"], true);
        let reply = alice.post(&format!("{CS}/createRoom"), json!({})).await;
        assert_eq!(code(&reply), (403, "M_USER_SUSPENDED"));
        let entry = newest_entry(&admin).await;
        assert_eq!((&entry["action"], &entry["changes"]), (&json!("user.suspend"), &json!({ "suspended": true })));
        assert_eq!(admin.put(&path, json!({ "suspended": false })).await, (200, json!({ "suspended": false })));
        assert_eq!(alice.post(&format!("{CS}/createRoom"), json!({})).await.status, 200);
    }

    async fn refusals_change_nothing(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        server.create("boss", true).await;
        server.create("gone", false).await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await);
        let newest = newest_entry(&admin).await;
        for (endpoint, key) in [(LOCK, "locked"), (SUSPEND, "suspended")] {
            let on = json!({ key: true });
            let path = |user: &str| format!("{endpoint}/{user}");
            let missing = format!("Missing params: ['{key}']");
            let not_boolean = format!("'{key}' must be a boolean");
            let cases = [
                ("alice", json!({ key: true }), (400, "M_INVALID_PARAM", "Expected UserID string to start with '@'")),
                ("@alice:elsewhere", on.clone(), (400, "M_INVALID_PARAM", "User does not belong to the local server.")),
                ("@nobody:test", on.clone(), (404, "M_NOT_FOUND", "User not found")),
                ("@gone:test", on.clone(), (404, "M_NOT_FOUND", "User not found")),
                ("@boss:test", on.clone(), (403, "M_FORBIDDEN", "The user is another administrator")),
                ("@admin:test", on.clone(), (403, "M_FORBIDDEN", "You may not lock or suspend yourself")),
                ("@alice:test", json!({}), (400, "M_MISSING_PARAM", &missing)),
                ("@alice:test", json!({ key: "true" }), (400, "M_BAD_JSON", &not_boolean)),
                ("@alice:test", json!({ key: null }), (400, "M_BAD_JSON", &not_boolean)),
                ("@alice:test", json!([]), (400, "M_BAD_JSON", "Content must be a JSON object.")),
            ];
            for (user, body, refusal) in cases {
                assert_eq!(admin.put(&path(user), body.clone()).await.refusal(), refusal, "{user} {body}");
            }
            for (user, refusal) in [
                ("alice", (400, "M_INVALID_PARAM")),
                ("@alice:elsewhere", (400, "M_INVALID_PARAM")),
                ("@nobody:test", (404, "M_NOT_FOUND")),
                ("@gone:test", (404, "M_NOT_FOUND")),
                ("@boss:test", (403, "M_FORBIDDEN")),
            ] {
                assert_eq!(code(&admin.get(&path(user)).await), refusal, "{user}");
            }
            assert_eq!(admin.get(&path("@admin:test")).await, (200, json!({ key: false })));
            // A caller without the right cannot find out which accounts exist.
            for user in ["@nobody:test", "@boss:test", "@alice:elsewhere", "alice"] {
                let refusal = (403, "M_FORBIDDEN", "You are not a server admin");
                assert_eq!(alice.get(&path(user)).await.refusal(), refusal);
                assert_eq!(alice.put(&path(user), on.clone()).await.refusal(), refusal);
            }
        }
        assert_eq!(newest_entry(&admin).await, newest);
    }

    async fn administrators_are_told_that_they_can(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let capability = async |client: &Client| {
            ok(client.get(&format!("{CS}/capabilities")).await)["capabilities"].get("m.account_moderation").cloned()
        };
        assert_eq!(capability(&admin).await, Some(json!({ "suspend": true, "lock": true })));
        assert_eq!(capability(&alice).await, None);
    }
}
