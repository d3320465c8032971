//! The OpenAPI document and the ledger of the API, both made from the route table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use crate::route::{Access, Limit, Route};

fn access_text(access: Access) -> &'static str {
    match access {
        Access::Anybody => "anybody",
        Access::Optional => "anybody; a token says who asks",
        Access::Guest => "accounts and guests",
        Access::User => "accounts",
        Access::Admin => "server administrators",
        Access::SharedSecret => "whoever knows the registration shared secret",
    }
}

/// The OpenAPI 3.1 document.
pub fn document(routes: &[Arc<Route>]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for route in routes {
        for (name, schema) in &route.doc.schemas {
            schemas.insert(name.clone(), json!(schema));
        }
        for path in &route.paths {
            let operation = operation(route, path, &mut schemas);
            paths.entry(path).or_default().insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    schemas.insert(
        "MatrixError".to_owned(),
        json!({
            "type": "object",
            "required": ["errcode", "error"],
            "properties": { "errcode": { "type": "string" }, "error": { "type": "string" } },
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reeve",
            "description": "A Matrix homeserver whose centre is user administration.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "accessToken": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, path: &str, schemas: &mut BTreeMap<String, Value>) -> Value {
    let doc = &route.doc;
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(doc.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "required": false, "description": meaning, "schema": { "type": "string" } })
    }));
    let mut refer = |name: &str, schema: Value| {
        schemas.insert(name.to_owned(), schema);
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
    };
    let error = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/MatrixError" } } });
    let mut responses = Map::new();
    let (status, content) = if let Some((status, name, schema)) = &doc.response {
        (*status, refer(name, json!(schema)))
    } else {
        (200, json!({ "application/json": { "schema": { "type": "object" } } }))
    };
    responses.insert(status.to_string(), json!({ "description": "Success", "content": content }));
    let mut texts: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (status, code, when) in doc.errors {
        texts.entry(*status).or_default().push(format!("`{code}`: {when}"));
    }
    if matches!(route.access, Access::Guest | Access::User | Access::Admin) {
        texts
            .entry(401)
            .or_default()
            .push("`M_MISSING_TOKEN`, `M_UNKNOWN_TOKEN` or `M_USER_LOCKED`".to_owned());
    }
    if route.access == Access::Admin {
        texts
            .entry(403)
            .or_default()
            .push("`M_FORBIDDEN`: the caller is not a server administrator".to_owned());
    }
    if route.limit != Limit::None {
        texts.entry(429).or_default().push("`M_LIMIT_EXCEEDED`: too many requests".to_owned());
    }
    for (status, texts) in texts {
        responses.insert(status.to_string(), json!({ "description": texts.join("; "), "content": error }));
    }
    let security = match route.access {
        Access::Anybody | Access::SharedSecret => json!([{}]),
        Access::Optional => json!([{}, { "accessToken": [] }]),
        Access::Guest | Access::User | Access::Admin => json!([{ "accessToken": [] }]),
    };
    let description = format!("{}\n\nOpen to: {}.", doc.description, access_text(route.access));
    let mut operation = json!({
        "summary": doc.summary,
        "description": description.trim_start(),
        "parameters": parameters,
        "responses": responses,
        "security": security,
        "tags": [tag(path)],
    });
    if let Value::Object(operation) = &mut operation {
        if let Some((name, schema)) = &doc.request {
            let content = refer(name, json!(schema));
            operation.insert("requestBody".to_owned(), json!({ "content": content }));
        } else if matches!(route.method, Method::POST | Method::PUT) {
            let content = json!({ "application/json": { "schema": { "type": "object" } } });
            operation.insert("requestBody".to_owned(), json!({ "content": content }));
        }
        if let Some(url) = doc.spec {
            operation.insert("externalDocs".to_owned(), json!({ "url": url }));
        }
    }
    operation
}

fn tag(path: &str) -> &'static str {
    if path.starts_with("/_synapse/admin") {
        "Synapse admin API"
    } else if path.starts_with("/_reeve") {
        "Reeve admin API"
    } else if path.starts_with("/_matrix") || path.starts_with("/.well-known") {
        "Matrix client-server API"
    } else {
        "Operation"
    }
}

/// The ledger of the API, in Markdown: every route, who may call it, and what it does.
pub fn ledger(routes: &[Arc<Route>]) -> String {
    let mut text = String::from(
        "# API ledger\n\nEvery endpoint of Reeve, made from the route table. *Open to* says who may call it; *also*, \
         which states of an account or token that close other endpoints leave it open.\n",
    );
    let mut sections: BTreeMap<&str, Vec<&Arc<Route>>> = BTreeMap::new();
    for route in routes {
        sections.entry(tag(route.path())).or_default().push(route);
    }
    for (section, mut routes) in sections {
        routes.sort_by(|a, b| (a.path(), a.method.as_str()).cmp(&(b.path(), b.method.as_str())));
        let _ = write!(text, "\n## {section}: {} endpoints\n\n", routes.len());
        text.push_str(
            "| method | path | open to | also | limit | what it does |\n|---|---|---|---|---|---|\n",
        );
        for route in routes {
            let paths = route.paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join("<br>");
            let open = route.open_to;
            let also = [
                (open.locked, "locked accounts"),
                (open.expired_account, "expired accounts"),
                (open.expired_token, "expired tokens"),
            ];
            let also: Vec<&str> = also.iter().filter(|(open, _)| *open).map(|(_, text)| *text).collect();
            let limit = match route.limit {
                Limit::None => "",
                Limit::Message | Limit::Sending => "message",
                Limit::Media => "media",
                Limit::UrlPreviews => "url_previews",
                Limit::Registration => "registration",
                Limit::Login => "login",
            };
            let _ = writeln!(
                text,
                "| {} | {paths} | {} | {} | {limit} | {} |",
                route.method,
                access_text(route.access),
                also.join(", "),
                route.doc.summary
            );
        }
    }
    text
}
