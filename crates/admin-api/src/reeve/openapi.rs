//! The OpenAPI document.

use std::sync::Arc;

use reeve_app::{Access, Call, Route, reply, shape};

/// Returns the route that serves the OpenAPI document of all routes, in JSON.
pub fn route(document: impl Fn() -> Arc<str> + Send + Sync + 'static) -> Route {
    Route::get("/_reeve/openapi.json", move |_: Call| {
        let document = document();
        async move { reply::text("application/json", document.to_string()) }
    })
    .access(Access::Anybody)
    .id("getOpenApiDocument")
    .returns::<shape::AnyObject>(200)
    .summary("Returns the description of the whole API, in OpenAPI 3.1")
}
