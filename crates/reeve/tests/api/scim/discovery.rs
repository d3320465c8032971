//! `/scim/v2/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`, and errors.

use http::Method;
use reeve_model::Scope;
use reeve_testkit::on_both_engines;
use serde_json::json;

use super::{GROUP, USER, USERS, only, provider, refusal};

on_both_engines! {
    async fn what_is_supported(server: Server) {
        let admin = server.admin().await;
        let service = provider(&server, &admin, only(&[Scope::UsersRead])).await;
        let config = service.get("/scim/v2/ServiceProviderConfig").await;
        assert_eq!((config.status, config.header("content-type")), (200, "application/scim+json"));
        for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
            assert_eq!(config.body[feature]["supported"], json!(true), "{feature}");
        }
        let types = service.get("/scim/v2/ResourceTypes").await.body;
        assert_eq!(types["totalResults"], json!(2));
        assert_eq!(types["Resources"][0]["schema"], json!(USER));
        assert_eq!(service.get("/scim/v2/ResourceTypes/Group").await.body["schema"], json!(GROUP));
        assert_eq!(refusal(&service.get("/scim/v2/ResourceTypes/Thing").await), (404, ""));
        let schemas = service.get("/scim/v2/Schemas").await.body;
        for schema in schemas["Resources"].as_array().unwrap() {
            let id = schema["id"].as_str().unwrap();
            assert_eq!(&service.get(&format!("/scim/v2/Schemas/{id}")).await.body, schema);
        }
        assert_eq!(refusal(&service.get("/scim/v2/Schemas/urn:x").await), (404, ""));
        assert_eq!(refusal(&service.get("/scim/v2/Schemas?filter=id%20pr").await), (403, ""));
        let user = server.user("user").await;
        assert_eq!(refusal(&user.get("/scim/v2/Schemas").await), (403, ""));
    }

    async fn errors_have_the_form_of_scim(server: Server) {
        let admin = server.admin().await;
        let stranger = server.stranger();
        assert_eq!(refusal(&stranger.get(USERS).await), (401, ""));
        assert_eq!(refusal(&server.with_token("x").get(USERS).await), (401, ""));
        assert_eq!(refusal(&stranger.get("/scim/v2").await), (404, ""));
        assert_eq!(refusal(&admin.get("/scim/v2/nonsense").await), (404, ""));
        let other = admin.delete("/scim/v2/Users").await;
        assert_eq!((refusal(&other), other.header("allow")), ((405, ""), "GET, HEAD, OPTIONS, POST"));
        let send = |body: String| { let admin = admin.clone(); async move { admin.send(Method::POST, USERS, &[], body).await } };
        assert_eq!(refusal(&send("{".to_owned()).await), (400, "invalidSyntax"));
        assert_eq!(refusal(&send("[]".to_owned()).await), (400, "invalidSyntax"));
        assert_eq!(refusal(&send(r#"{"x":"a\u0000"}"#.to_owned()).await), (400, "invalidValue"));
        assert_eq!(refusal(&send(format!("{{\"x\":\"{}\"}}", "x".repeat(2_000_000))).await), (413, ""));
        assert_eq!(refusal(&admin.get(&format!("{USERS}?filters=x")).await), (400, "invalidValue"));
        assert_eq!(refusal(&admin.get(&format!("{USERS}/@a%00:test")).await), (400, "invalidValue"));
        // Other errors are as before.
        assert_eq!(admin.get("/scim").await.refusal(), (404, "M_UNRECOGNIZED", "Unrecognized request"));
    }
}

mod limits {
    use reeve_app::limits::RateLimit;

    use super::*;

    on_both_engines! {
        #[config(|config| {
            config.rate_limits.enabled = true;
            config.rate_limits.service_tokens = RateLimit { per_second: 0.001, burst: 1 };
        })]
        async fn too_many_requests(server: Server) {
            let admin = server.admin().await;
            let service = provider(&server, &admin, only(&[Scope::UsersRead])).await;
            assert_eq!(service.get(USERS).await.status, 200);
            let limited = service.get(USERS).await;
            assert_eq!(refusal(&limited), (429, ""));
            assert_ne!(limited.header("retry-after"), "");
        }
    }
}
