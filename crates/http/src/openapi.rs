//! The OpenAPI document, generated from the route table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use crate::admission::Access;
use crate::content::{Content, Request};
use crate::errors;
use crate::example;
use crate::family::Family;
use crate::form;
use crate::param::{Kind, Param};
use crate::route::{Limit, Route, Success};

pub(crate) fn access_text(access: Access) -> &'static str {
    match access {
        Access::Anybody => "anybody",
        Access::Optional => "anybody; a token is optional",
        Access::Guest => "accounts and guests",
        Access::User => "accounts",
        Access::SelfOr(_) => "accounts about themselves and what is theirs, and server administrators",
        Access::Admin(_) | Access::AnyAdmin => "server administrators",
        Access::SharedSecret => "holders of the registration shared secret",
        Access::Page => "anybody, in a browser",
        Access::SignedIn => "accounts, in a browser in which they signed in",
    }
}

/// The OpenAPI 3.1 document. Clients are generated from it, and the tests compare every response of the server
/// with it.
pub fn document<S>(routes: &[Arc<Route<S>>], path_params: &[PathParam]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let known = [
        (Family::Matrix.error_schema().to_owned(), errors::matrix_error()),
        (Family::Scim.error_schema().to_owned(), errors::scim_error()),
        (Family::OAuth.error_schema().to_owned(), errors::oauth_error()),
        ("Interactive".to_owned(), errors::interactive()),
        ("Empty".to_owned(), json!({ "type": "object", "additionalProperties": false })),
    ];
    for route in routes {
        for (name, schema) in &route.doc.schemas {
            schemas.insert(name.clone(), json!(schema));
        }
        let contents = route.doc.successes.iter().map(|success| &success.content);
        for content in contents.chain(route.doc.request.as_ref().map(|request| &request.content)) {
            if let Content::Json(name, schema) | Content::Form(name, schema) = content {
                schemas.insert(name.clone(), json!(schema));
            }
        }
    }
    schemas.extend(known);
    for name in answered(routes, &schemas) {
        if let Some(schema) = schemas.get_mut(&name) {
            drop_nulls(schema);
        }
    }
    for route in routes {
        for path in &route.paths {
            let operation = operation(route, path, path_params, &schemas);
            paths.entry(path).or_default().insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reeve",
            "description": "A Matrix homeserver whose centre is user administration. A path that is not described \
                            here is answered with 404 `M_UNRECOGNIZED`, another method with 405 `M_UNRECOGNIZED`; \
                            HEAD is answered wherever GET is.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "accessToken": {
                "type": "http",
                "scheme": "bearer",
                "description": "The access token of a session, or a service token. Where an operation names a scope, the \
                                caller must hold it; administrators hold every scope.",
            }, "browserSession": {
                "type": "apiKey",
                "in": "cookie",
                "name": "__Host-reeve",
                "description": "The cookie of a browser in which a person signed in.",
            } },
        },
    })
}

/// Returns the names of the schemas that occur in responses.
fn answered<S>(routes: &[Arc<Route<S>>], schemas: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut waiting: Vec<String> = Vec::new();
    for success in routes.iter().flat_map(|route| &route.doc.successes) {
        if let Content::Json(name, _) = &success.content {
            waiting.push(name.clone());
        }
    }
    while let Some(name) = waiting.pop() {
        if let Some(schema) = schemas.get(&name).filter(|_| names.insert(name)) {
            let text = schema.to_string();
            let references = text.split("\"#/components/schemas/").skip(1);
            waiting.extend(references.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    names
}

/// Removes `null` from optional keys of a response: a key of a response is absent or null, never both.
fn drop_nulls(schema: &mut Value) {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if required.iter().any(|required| required == name) {
            continue;
        }
        if let Some(Value::Array(kinds)) = property.get_mut("type") {
            kinds.retain(|kind| kind != "null");
        }
        if let Some(Value::Array(alternatives)) = property.get_mut("oneOf") {
            alternatives.retain(|schema| !is_null(schema));
        }
    }
}

/// An error that a route can return.
struct Refusal {
    status: u16,
    code: &'static str,
    when: &'static str,
}

/// Returns the errors of a route: its own, and those that follow from the rest of its entry in the table.
fn refusals<S>(route: &Route<S>) -> Vec<Refusal> {
    let doc = &route.doc;
    let mut all: Vec<Refusal> =
        doc.errors.iter().map(|(status, code, when)| Refusal { status: *status, code, when }).collect();
    let mut add = |status, code, when| all.push(Refusal { status, code, when });
    let access = route.admission.access;
    if route.paths.iter().any(|path| path.contains('{')) {
        add(400, "M_INVALID_PARAM", "the path contains a NUL character");
    }
    if !doc.query.is_empty() {
        add(400, "M_INVALID_PARAM", "a query parameter has the wrong type, or contains a NUL character");
    }
    if doc.query.iter().any(|param| param.required) {
        add(400, "M_MISSING_PARAM", "a query parameter is missing");
    }
    if doc.query.iter().any(|param| matches!(param.kind, Kind::Text | Kind::Texts | Kind::Choice(_))) {
        add(400, "M_UNKNOWN", "a query parameter has an invalid encoding");
    }
    let takes_form = doc.request.as_ref().is_some_and(|request| matches!(request.content, Content::Form(..)));
    if takes_form {
        add(400, "M_INVALID_PARAM", "the body is not a form, contains a NUL character, or a field twice");
        if route.family() == Family::Page {
            add(403, "M_FORBIDDEN", "the form is not from a page that was shown to the browser");
        }
    }
    if access == Access::SignedIn {
        if route.method != Method::GET {
            add(401, "M_MISSING_TOKEN", "nobody has signed in");
        }
        add(401, "M_USER_LOCKED", "the account is locked");
        add(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "the validity of the account has ended");
        if !route.admission.open_to.password_change {
            add(403, "M_FORBIDDEN", "the password must be changed first");
        }
    }
    let takes_json = doc.request.as_ref().is_some_and(|request| matches!(request.content, Content::Json(..)));
    if takes_json {
        add(400, "M_NOT_JSON", "the body is not JSON");
        add(400, "M_BAD_JSON", "the body is not an object, or a value has the wrong type");
        add(400, "M_INVALID_PARAM", "the body contains a NUL character");
    }
    if doc.request.as_deref().is_some_and(Request::has_required_keys) {
        add(400, "M_MISSING_PARAM", "the body lacks a key");
    }
    if doc.request.is_some() {
        add(408, "M_UNKNOWN", "the body is sent too slowly");
        add(413, "M_TOO_LARGE", "the body is too large");
    }
    let administers = matches!(access, Access::SelfOr(_) | Access::Admin(_) | Access::AnyAdmin);
    if route.admission.reads_token() {
        add(401, "M_MISSING_TOKEN", "there is no access token, or more than one");
        add(401, "M_UNKNOWN_TOKEN", "the access token is unknown, or has expired");
        if !route.admission.open_to.locked {
            add(401, "M_USER_LOCKED", "the account is locked");
        }
        if !route.admission.open_to.expired_account {
            add(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "the validity of the account has ended");
        }
        if !route.admission.open_to.password_change {
            add(403, "M_FORBIDDEN", "the caller must change the password first");
        }
    }
    if administers || access == Access::User {
        add(403, "M_GUEST_ACCESS_FORBIDDEN", "the caller is a guest");
    }
    if administers {
        add(
            403,
            "M_FORBIDDEN",
            "the role of the caller lacks the scope, or the caller is a service token that lacks it or is used from \
             outside its networks",
        );
        add(429, "M_LIMIT_EXCEEDED", "too many requests with a service token");
    }
    if matches!(access, Access::Guest | Access::User) {
        add(403, "M_FORBIDDEN", "the caller is a service token, which belongs to no account");
    }
    if access == Access::Optional {
        add(403, "M_FORBIDDEN", "a service token is used from outside its networks");
        add(429, "M_LIMIT_EXCEEDED", "too many requests with a service token");
    }
    if route.admission.suspended.is_some() {
        add(403, "M_USER_SUSPENDED", "the account is suspended");
    }
    if doc.interactive {
        add(400, "M_INVALID_PARAM", "`auth` names an unknown stage");
        add(400, "M_MISSING_PARAM", "`auth` lacks a key");
        add(400, "M_UNKNOWN", "`auth` names an unknown session");
        add(401, "M_FORBIDDEN", "the password is wrong");
        add(403, "M_FORBIDDEN", "`auth` names another account");
        add(403, "M_UNKNOWN", "the session of `auth` was started for another request");
        add(403, "M_USER_DEACTIVATED", "the account of `auth` is deactivated");
        add(429, "M_LIMIT_EXCEEDED", "too many wrong passwords");
    }
    if route.limit != Limit::None {
        add(429, "M_LIMIT_EXCEEDED", "too many requests");
    }
    if route.repeatable {
        add(429, "M_LIMIT_EXCEEDED", "too many responses have not been read by clients");
    }
    add(500, "M_UNKNOWN", "an internal error occurred; the log has the reason");
    add(503, "M_UNKNOWN", "the database is not available, or the server is too busy");
    all
}

/// Returns the error responses of a route, by status.
fn error_responses<S>(route: &Route<S>) -> Map<String, Value> {
    let family = route.family();
    let mut by_status: BTreeMap<u16, (Vec<&str>, Vec<String>)> = BTreeMap::new();
    for Refusal { status, code, when } in refusals(route) {
        let (codes, texts) = by_status.entry(status).or_default();
        let code = family.code(status, code);
        if let Some(code) = code.filter(|code| !codes.contains(code)) {
            codes.push(code);
        }
        texts.push(code.map_or_else(|| when.to_owned(), |code| format!("`{code}`: {when}")));
    }
    let response = |(status, (codes, texts)): (u16, (Vec<&str>, Vec<String>))| {
        if family == Family::Page {
            let content = json!({ family.media_type(): { "schema": { "type": "string" } } });
            return (status.to_string(), json!({ "description": texts.join("; "), "content": content }));
        }
        let known =
            if codes.is_empty() { json!({}) } else { json!({ family.code_key(): { "enum": codes } }) };
        let error = json!({ "allOf": [reference(family.error_schema())], "properties": known });
        let example = family.error_example(status, codes.first().copied());
        let (schema, texts) = if status == 401 && route.doc.interactive {
            let more = "without a code: authentication is incomplete".to_owned();
            (json!({ "anyOf": [error, reference("Interactive")] }), [vec![more], texts].concat())
        } else {
            (error, texts)
        };
        let content = json!({ family.media_type(): { "schema": schema, "example": example } });
        (status.to_string(), json!({ "description": texts.join("; "), "content": content }))
    };
    by_status.into_iter().map(response).collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Returns the contents of a body, as a map of media types; `None` if it is empty.
fn media_types(
    family: Family,
    content: &Content,
    example: Option<&Value>,
    schemas: &BTreeMap<String, Value>,
) -> Option<Value> {
    match content {
        Content::Json(name, _) => {
            let schema = reference(name);
            let example = example.cloned().unwrap_or_else(|| example::of(&schema, schemas));
            Some(json!({ family.media_type(): { "schema": schema, "example": example } }))
        }
        Content::Form(name, _) => Some(json!({ form::MEDIA_TYPE: { "schema": reference(name) } })),
        Content::Text(media_type) => Some(json!({ *media_type: { "schema": { "type": "string" } } })),
        Content::Bytes => Some(json!({ "*/*": {} })),
        Content::Nothing => None,
    }
}

fn query_parameter(param: &Param) -> Value {
    let schema = match &param.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Integer => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
    };
    json!({
        "name": param.name,
        "in": "query",
        "required": param.required,
        "description": param.meaning,
        "schema": schema,
    })
}

/// The documentation of a path parameter.
#[derive(Clone, Copy, Debug)]
pub struct PathParam {
    /// Its name, which means the same in all paths.
    pub name: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
    /// An example of its value.
    pub example: &'static str,
}

fn path_parameter(name: &str, known: &[PathParam]) -> Value {
    let known = known.iter().find(|known| known.name == name);
    let (meaning, example) = known.map_or(("", "x"), |known| (known.meaning, known.example));
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": meaning,
        "schema": { "type": "string" },
        "example": example,
    })
}

/// Returns the id of the operation at one of a route's paths: that of the route at its main path; at another path,
/// with the part that differs, as in `getDevicesR0`.
fn operation_id<S>(route: &Route<S>, path: &str) -> String {
    let (main, other): (Vec<&str>, Vec<&str>) =
        (route.path().split('/').collect(), path.split('/').collect());
    if main == other {
        return route.doc.id.to_owned();
    }
    let equal = |(a, b): (&&str, &&str)| a == b;
    let before = main.iter().zip(&other).take_while(|pair| equal(*pair)).count();
    let shorter = main.len().min(other.len());
    let after = main.iter().rev().zip(other.iter().rev()).take_while(|pair| equal(*pair)).count();
    let after = after.min(shorter.saturating_sub(before));
    let different = other.get(before..other.len().saturating_sub(after)).unwrap_or_default().join("-");
    let mut id = route.doc.id.to_owned();
    for word in different.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        id.push_str(letters.as_str());
    }
    if different.is_empty() { format!("{id}Slash") } else { id }
}

fn operation<S>(
    route: &Route<S>,
    path: &str,
    path_params: &[PathParam],
    schemas: &BTreeMap<String, Value>,
) -> Value {
    let doc = &route.doc;
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| path_parameter(name, path_params))
        .collect();
    parameters.extend(doc.query.iter().map(query_parameter));
    let mut responses = error_responses(route);
    for Success { status, content } in &doc.successes {
        let mut response = Map::from_iter([("description".to_owned(), json!("Success"))]);
        if let Some(content) = media_types(route.family(), content, doc.example.as_ref(), schemas) {
            response.insert("content".to_owned(), content);
        }
        responses.insert(status.to_string(), Value::Object(response));
    }
    if route.admission.access == Access::SignedIn && route.method == Method::GET {
        let text = "Nobody has signed in, or the request is done: the browser continues at another page";
        responses.insert("303".to_owned(), json!({ "description": text }));
    }
    let security = match route.admission.access {
        Access::Anybody | Access::SharedSecret => json!([{}]),
        Access::Page => json!([{}, { "browserSession": [] }]),
        Access::SignedIn => json!([{ "browserSession": [] }]),
        Access::Optional => json!([{}, { "accessToken": [] }]),
        Access::Guest | Access::User | Access::SelfOr(_) | Access::AnyAdmin => json!([{ "accessToken": [] }]),
        Access::Admin(scope) => json!([{ "accessToken": [scope] }]),
    };
    let mut description = format!("{}\n\nOpen to: {}.", doc.description, access_text(route.admission.access));
    if let Access::Admin(scope) | Access::SelfOr(scope) = route.admission.access {
        let _ = write!(description, " Scope: `{scope}`.");
    }
    let mut operation = json!({
        "operationId": operation_id(route, path),
        "summary": doc.summary,
        "description": description.trim_start(),
        "parameters": parameters,
        "responses": responses,
        "security": security,
        "tags": [tag(path)],
    });
    if let Value::Object(operation) = &mut operation {
        if let Some(request) = &doc.request {
            let content = media_types(route.family(), &request.content, None, schemas);
            operation.insert(
                "requestBody".to_owned(),
                json!({ "required": request.is_needed(), "content": content }),
            );
        }
        if let Some(url) = doc.spec {
            operation.insert("externalDocs".to_owned(), json!({ "url": url }));
        }
    }
    operation
}

pub(crate) fn tag(path: &str) -> &'static str {
    if path.starts_with("/_synapse/admin") {
        "Synapse admin API"
    } else if path.starts_with("/_reeve/oauth") {
        "OAuth 2.0"
    } else if path.starts_with("/_reeve/pages") {
        "Pages"
    } else if path.starts_with("/_reeve") {
        "Reeve admin API"
    } else if path.starts_with("/scim") {
        "SCIM 2.0"
    } else if path.starts_with("/_matrix") || path.starts_with("/.well-known") {
        "Matrix client-server API"
    } else {
        "Operation"
    }
}
