//! Account lookups by external id and third-party id.

use reeve_testkit::on_both_engines;
use serde_json::{Value, json};

fn found(user_id: &str) -> (u16, Value) {
    (200, json!({ "user_id": user_id }))
}

fn nobody() -> (u16, Value) {
    (404, json!({ "errcode": "M_NOT_FOUND", "error": "User not found" }))
}

on_both_engines! {
    async fn by_external_id(server: Server) {
        let admin = server.admin().await;
        let at = |rest: &str| format!("/_synapse/admin/v1/auth_providers/{rest}");
        let ids = json!([{ "auth_provider": "oidc-p/q", "external_id": "e x" }, { "auth_provider": "", "external_id": "" }]);
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "external_ids": ids })).await;
        assert_eq!(admin.get(&at("oidc-p%2Fq/users/e%20x")).await, found("@alice:test"));
        assert_eq!(admin.get(&at("/users/")).await, found("@alice:test"));
        for path in ["oidc-p%2Fq/users/E%20x", "oidc-p%2Fq/users/e+x", "oidc-p%2Fq/users/", "saml/users/e%20x", "x/users/x%FF"] {
            assert_eq!(admin.get(&at(path)).await, nobody(), "{path}");
        }
        let unrecognized = json!({ "errcode": "M_UNRECOGNIZED", "error": "Unrecognized request" });
        assert_eq!(admin.get(&at("oidc-p/q/users/e%20x")).await, (404, unrecognized.clone()));
        assert_eq!(admin.get(&at("p/users/a/b")).await, (404, unrecognized));
        // Deactivated accounts are still found.
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        assert_eq!(admin.get(&at("oidc-p%2Fq/users/e%20x")).await, found("@alice:test"));
        // A changed id is no longer found under its old value.
        let ids = json!([{ "auth_provider": "p", "external_id": "new" }]);
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "external_ids": ids })).await;
        assert_eq!(admin.get(&at("oidc-p%2Fq/users/e%20x")).await, nobody());
        assert_eq!(admin.get(&at("p/users/new")).await, found("@alice:test"));
    }

    async fn by_third_party_id(server: Server) {
        let admin = server.admin().await;
        let at = |rest: &str| format!("/_synapse/admin/v1/threepid/{rest}");
        let ids = json!([{ "medium": "email", "address": "A@B.com" }, { "medium": "msisdn", "address": "447700900001" }]);
        admin.put("/_synapse/admin/v2/users/@alice:test", json!({ "threepids": ids })).await;
        for path in ["email/users/a@b.com", "email/users/a%40b.com", "email/users/A@B.COM", "msisdn/users/447700900001"] {
            assert_eq!(admin.get(&at(path)).await, found("@alice:test"), "{path}");
        }
        for path in ["email/users/b@b.com", "email/users/a@b@com", "email/users/", "foo/users/a@b.com", "Email/users/a@b.com", "msisdn/users/+447700900001", "/users/"] {
            assert_eq!(admin.get(&at(path)).await, nobody(), "{path}");
        }
        admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "threepids": [{ "medium": "email", "address": "a@b.com" }] })).await;
        assert_eq!(admin.get(&at("email/users/a@b.com")).await, found("@bob:test"));
    }
}
