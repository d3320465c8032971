//! The features of the service, its types of resources, and its schemas.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-4>

use http::StatusCode;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, App, MatrixError, Param, Reading, Route};
use serde_json::{Value, json};

use crate::bulk;
use crate::error::MISSING;
use crate::place::Resource;
use crate::query::MAX_COUNT;
use crate::reply::{json_of, uri};
use crate::schema::{ALL, CONFIG, LIST, RESOURCE_TYPE};

const RESOURCES: [Resource; 2] = [Resource::User, Resource::Group];

const FILTERED: (u16, &str, &str) = (403, "M_FORBIDDEN", "the request has a filter");

fn filter() -> Param {
    Param::text("filter", "refused: the list is short, and returned as a whole")
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/scim/v2/ServiceProviderConfig", config)
            .access(Access::AnyAdmin)
            .id("getScimConfig")
            .summary("Returns what the SCIM service supports")
            .returns::<AnyObject>(200),
        Route::read("/scim/v2/ResourceTypes", resource_types)
            .access(Access::AnyAdmin)
            .id("listScimResourceTypes")
            .summary("Lists the types of resources of SCIM")
            .query([filter()])
            .errors(&[FILTERED])
            .returns::<AnyObject>(200),
        Route::read("/scim/v2/ResourceTypes/{scim_type}", resource_type)
            .access(Access::AnyAdmin)
            .id("getScimResourceType")
            .summary("Returns a type of resources of SCIM")
            .returns::<AnyObject>(200)
            .errors(&[MISSING]),
        Route::read("/scim/v2/Schemas", schemas)
            .access(Access::AnyAdmin)
            .id("listScimSchemas")
            .summary("Lists the schemas of SCIM")
            .query([filter()])
            .errors(&[FILTERED])
            .returns::<AnyObject>(200),
        Route::read("/scim/v2/Schemas/{scim_schema}", schema)
            .access(Access::AnyAdmin)
            .id("getScimSchema")
            .summary("Returns a schema of SCIM")
            .returns::<AnyObject>(200)
            .errors(&[MISSING]),
    ]
}

fn config(call: &Reading<'_>) -> Answer {
    let yes = json!({ "supported": true });
    json_of(
        StatusCode::OK,
        &json!({
            "schemas": [CONFIG],
            "patch": yes,
            "bulk": {
                "supported": true,
                "maxOperations": bulk::MAX_OPERATIONS,
                "maxPayloadSize": call.app.http.max_body,
            },
            "filter": { "supported": true, "maxResults": MAX_COUNT },
            "changePassword": { "supported": call.app.policy.password_enabled },
            "sort": yes,
            "etag": yes,
            "authenticationSchemes": [{
                "type": "oauthbearertoken",
                "name": "Service token",
                "description": "A service token, or the access token of an administrator, as a bearer token",
                "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
                "primary": true,
            }],
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": uri(&call.app, "/ServiceProviderConfig"),
            },
        }),
    )
}

/// Returns a type of resources. Its extension is not listed: it is only returned on request, while clients look for what is
/// listed in every response.
fn resource_type_of(app: &App, resource: Resource) -> Value {
    let [schema, _] = resource.schemas();
    let description = match resource {
        Resource::User => "Accounts",
        Resource::Group => "Roles, spaces and rooms",
    };
    json!({
        "schemas": [RESOURCE_TYPE],
        "id": resource.name(),
        "name": resource.name(),
        "description": description,
        "endpoint": resource.endpoint(),
        "schema": schema,
        "meta": {
            "resourceType": "ResourceType",
            "location": uri(app, &format!("/ResourceTypes/{}", resource.name())),
        },
    })
}

/// Returns all of a few resources.
fn list(resources: Vec<Value>) -> Answer {
    json_of(
        StatusCode::OK,
        &json!({
            "schemas": [LIST],
            "totalResults": resources.len(),
            "startIndex": 1,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        }),
    )
}

/// Refuses a filter, as RFC 7644 demands where everything is returned.
fn check_unfiltered(call: &Reading<'_>) -> Result<(), MatrixError> {
    if call.query.utf8("filter")?.is_some() {
        return Err(MatrixError::forbidden("This list cannot be filtered"));
    }
    Ok(())
}

fn resource_types(call: &Reading<'_>) -> Answer {
    check_unfiltered(call)?;
    list(RESOURCES.map(|resource| resource_type_of(&call.app, resource)).to_vec())
}

fn resource_type(call: &Reading<'_>) -> Answer {
    let name = call.params.get("scim_type");
    let found = RESOURCES.into_iter().find(|resource| resource.name() == name);
    let found = found.ok_or_else(|| MatrixError::not_found("Resource type not found"))?;
    json_of(StatusCode::OK, &resource_type_of(&call.app, found))
}

fn schemas(call: &Reading<'_>) -> Answer {
    check_unfiltered(call)?;
    let location = |id: &str| uri(&call.app, &format!("/Schemas/{id}"));
    list(ALL.iter().map(|schema| schema.resource(&location(schema.id))).collect())
}

fn schema(call: &Reading<'_>) -> Answer {
    let id = call.params.get("scim_schema");
    let found = ALL.iter().find(|schema| schema.id.eq_ignore_ascii_case(id));
    let found = found.ok_or_else(|| MatrixError::not_found("Schema not found"))?;
    json_of(StatusCode::OK, &found.resource(&uri(&call.app, &format!("/Schemas/{}", found.id))))
}
