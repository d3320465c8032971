//! `/_synapse/admin/v1/whois/{user_id}` and the Matrix paths of the same endpoint.

use reeve_testkit::{START_MS, on_both_engines};
use serde_json::{Value, json};

use super::retention::run;

const WHOIS: &str = "/_synapse/admin/v1/whois";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn whois(user_id: &str, connections: Value) -> Value {
    json!({ "user_id": user_id, "devices": { "": { "sessions": [{ "connections": connections }] } } })
}

fn connection(ip: &str, last_seen: i64, user_agent: &str) -> Value {
    json!({ "ip": ip, "last_seen": last_seen, "user_agent": user_agent })
}

on_both_engines! {
    async fn who_is_refused_was_here(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for (token, path) in [
            (&alice, "/_synapse/admin/v2/users"),
            (&server.log_in("alice", "alice's password").await, "/_synapse/admin/v2/users/@alice:test/devices"),
        ] {
            assert_eq!(token.get(path).await.refusal(), (403, "M_FORBIDDEN", "You are not a server admin"));
        }
        let seen = admin.get(&format!("{WHOIS}/@alice:test")).await.body;
        let connections = seen["devices"][""]["sessions"][0]["connections"].as_array().unwrap().clone();
        assert_eq!(connections.len(), 2, "{seen}");
        // A locked-out caller does not count as seen.
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "locked": true })).await;
        server.clock.advance(200_000);
        assert_eq!(alice.get(WHOAMI).await.refusal().1, "M_USER_LOCKED");
        assert_eq!(admin.get(&format!("{WHOIS}/@alice:test")).await.body, seen);
    }

    #[config(|config| config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()])]
    async fn one_connection_for_each_token_and_address(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let path = format!("{WHOIS}/@alice:test");
        // Logging in is not seen.
        assert_eq!(admin.get(&path).await, (200, whois("@alice:test", json!([]))));
        let from = |token: String, ip: &'static str, agent: &'static str| {
            let mut client = server.with_token(&token);
            client.user_agent = String::from(agent);
            async move {
                let reply = client.send(http::Method::GET, WHOAMI, &[("x-forwarded-for", ip)], "").await;
                assert_eq!(reply.status, 200);
            }
        };
        let token = alice.token.clone().unwrap();
        from(token.clone(), "10.0.0.1", "Phone/1").await;
        server.clock.advance(1000);
        from(token.clone(), "10.0.0.2", "Phone/1").await;
        server.clock.advance(1000);
        // Within two minutes nothing new is written down, whatever changed.
        from(token.clone(), "10.0.0.1", "Phone/2").await;
        let second = server.log_in("alice", "alice's password").await.token.unwrap();
        from(second.clone(), "10.0.0.1", "Laptop").await;
        let expected = whois("@alice:test", json!([
            connection("10.0.0.1", START_MS + 2000, "Laptop"),
            connection("10.0.0.2", START_MS + 1000, "Phone/1"),
            connection("10.0.0.1", START_MS, "Phone/1"),
        ]));
        // At once, and after they were written.
        assert_eq!(admin.get(&path).await, (200, expected.clone()));
        server.app().seen.flush(&server.app().db).await.unwrap();
        assert_eq!(admin.get(&path).await, (200, expected));
        // Seen again later, while the older rows are written already.
        server.clock.advance(120_000);
        from(token, "10.0.0.1", "Phone/3").await;
        let expected = whois("@alice:test", json!([
            connection("10.0.0.1", START_MS + 122_000, "Phone/3"),
            connection("10.0.0.1", START_MS + 2000, "Laptop"),
            connection("10.0.0.2", START_MS + 1000, "Phone/1"),
        ]));
        for _ in 0..2 {
            assert_eq!(admin.get(&path).await, (200, expected.clone()));
            server.app().seen.flush(&server.app().db).await.unwrap();
        }
        // The rows outlive the sessions and the account.
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        assert_eq!(admin.get(&path).await, (200, expected.clone()));
        // Connections last seen 28 days ago are deleted.
        server.clock.advance(28 * 24 * 3_600_000 - 122_000 + 1001);
        assert_eq!(run(&server, &admin, "ip_addresses", json!({})).await["deleted"], 1);
        let kept = whois("@alice:test", json!([
            connection("10.0.0.1", START_MS + 122_000, "Phone/3"),
            connection("10.0.0.1", START_MS + 2000, "Laptop"),
        ]));
        assert_eq!(admin.get(&path).await, (200, kept));
    }

    async fn who_acts_as_somebody_else_is_seen_as_themself(server: Server) {
        let admin = server.admin().await;
        server.create("alice", false).await;
        let login = admin.post("/_synapse/admin/v1/users/@alice:test/login", json!({})).await;
        let mut puppet = server.with_token(login.text("access_token"));
        puppet.user_agent = String::from("puppet");
        // As alice the token may read alice's connections, and no others.
        assert_eq!(puppet.get(&format!("{WHOIS}/@alice:test")).await, (200, whois("@alice:test", json!([]))));
        let forbidden = json!({ "errcode": "M_FORBIDDEN", "error": "You are not a server admin" });
        assert_eq!(puppet.get(&format!("{WHOIS}/@admin:test")).await, (403, forbidden));
        let seen = admin.get(&format!("{WHOIS}/@admin:test")).await.body;
        let mut agents: Vec<&str> = seen["devices"][""]["sessions"][0]["connections"]
            .as_array().unwrap().iter().map(|c| c["user_agent"].as_str().unwrap()).collect();
        agents.sort_unstable();
        assert_eq!(agents, ["puppet", "testkit"]);
    }

    async fn who_may_ask_and_in_which_order_it_is_checked(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let own = whois("@alice:test", json!([connection("127.0.0.1", START_MS, "testkit")]));
        for path in [
            WHOIS, "/_matrix/client/v3/admin/whois", "/_matrix/client/r0/admin/whois", "/_matrix/client/api/v1/admin/whois",
            "/_matrix/client/unstable/admin/whois",
        ] {
            let at = |id: &str| format!("{path}/{id}");
            let everybody = [server.stranger(), server.with_token("nobody"), alice.clone(), admin.clone()];
            for client in everybody {
                for (id, text) in [
                    ("", "Expected UserID string to start with '@'"),
                    ("bad", "Expected UserID string to start with '@'"),
                    ("@bad", "Expected UserID of the form '@localname:domain'"),
                ] {
                    let error = json!({ "errcode": "M_INVALID_PARAM", "error": text });
                    assert_eq!(client.get(&at(id)).await, (400, error), "{path}/{id}");
                }
            }
            let missing = (401, "M_MISSING_TOKEN", "Missing access token");
            assert_eq!(server.stranger().get(&at("@x:other")).await.refusal(), missing);
            let forbidden = json!({ "errcode": "M_FORBIDDEN", "error": "You are not a server admin" });
            for id in ["@admin:test", "@nobody:test", "@alice:other"] {
                assert_eq!(alice.get(&at(id)).await, (403, forbidden.clone()), "{path}/{id}");
            }
            assert_eq!(alice.get(&at("@alice:test")).await, (200, own.clone()), "{path}");
            assert_eq!(admin.get(&at("@alice:test")).await, (200, own.clone()), "{path}");
            assert_eq!(admin.get(&at("@nobody:test")).await, (200, whois("@nobody:test", json!([]))), "{path}");
            let remote = json!({ "errcode": "M_UNKNOWN", "error": "Can only whois a local user" });
            assert_eq!(admin.get(&at("@alice:other")).await, (400, remote), "{path}");
        }
        let nowhere = (404, "M_UNRECOGNIZED", "Unrecognized request");
        assert_eq!(admin.get("/_matrix/client/v1/admin/whois/@alice:test").await.refusal(), nowhere);
    }
}
