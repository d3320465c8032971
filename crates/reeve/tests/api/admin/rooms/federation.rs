//! Further room routes of admin clients: destinations, tasks and sizes.

use reeve_testkit::on_both_engines;
use serde_json::json;

use super::error;
use crate::rooms_kit::{create_public, list, ok};

const DESTINATIONS: &str = "/_synapse/admin/v1/federation/destinations";

on_both_engines! {
    async fn no_other_servers(server: Server) {
        let admin = server.admin().await;
        for query in ["", "?from=0&limit=10&order_by=destination&dir=b", "?destination=x", "?limit=0", "?order_by=retry_last_ts"] {
            let reply = admin.get(&format!("{DESTINATIONS}{query}")).await;
            assert_eq!(reply, (200, json!({ "destinations": [], "total": 0 })), "{query}");
        }
        let orders = "Query parameter 'order_by' must be one of ['destination', 'retry_last_ts', 'retry_interval', \
            'failure_ts', 'last_successful_stream_ordering']";
        for (query, text) in [
            ("order_by=x", orders), ("dir=x", "Query parameter 'dir' must be one of ['b', 'f']"),
            ("limit=-1", "Query parameter limit must be a positive integer."), ("from=x", "Query parameter from must be an integer"),
        ] {
            assert_eq!(admin.get(&format!("{DESTINATIONS}?{query}")).await, (400, error("M_INVALID_PARAM", text)), "{query}");
        }
        let unknown = (404, error("M_NOT_FOUND", "Unknown destination"));
        assert_eq!(admin.get(&format!("{DESTINATIONS}/")).await, unknown);
        for name in ["elsewhere", "test", "a%20b"] {
            assert_eq!(admin.get(&format!("{DESTINATIONS}/{name}")).await, unknown, "{name}");
            assert_eq!(admin.get(&format!("{DESTINATIONS}/{name}/rooms")).await, unknown, "{name}");
            assert_eq!(admin.post(&format!("{DESTINATIONS}/{name}/reset_connection"), json!({})).await, unknown, "{name}");
        }
    }

    async fn tasks_by_filters(server: Server) {
        let admin = server.admin().await;
        let tasks = "/_synapse/admin/v1/scheduled_tasks";
        for query in ["", "?from=0&limit=10&order_by=x&dir=f", "?action_name=nope", "?status=active", "?job_status=failed", "?resource_id=x", "?max_timestamp=1"] {
            assert_eq!(admin.get(&format!("{tasks}{query}")).await, (200, json!({ "scheduled_tasks": [] })), "{query}");
        }
        for name in ["status", "job_status"] {
            let text = format!("Query parameter '{name}' must be one of ['scheduled', 'active', 'complete', 'failed', 'cancelled']");
            assert_eq!(admin.get(&format!("{tasks}?{name}=x")).await, (400, error("M_INVALID_PARAM", &text)));
        }
        let text = "Query parameter max_timestamp must be an integer";
        assert_eq!(admin.get(&format!("{tasks}?max_timestamp=x")).await, (400, error("M_INVALID_PARAM", text)));
    }

    async fn the_largest_rooms(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let room = create_public(&alice).await;
        for query in ["", "?from=0&limit=10&order_by=x&dir=f"] {
            let body = ok(admin.get(&format!("/_synapse/admin/v1/statistics/database/rooms{query}")).await);
            let rooms = list(&body, "/rooms");
            assert!(rooms.len() <= 10);
            for entry in rooms {
                assert_eq!(entry["room_id"], room);
                assert!(entry["estimated_size"].as_i64().unwrap() >= 0);
            }
        }
    }
}
