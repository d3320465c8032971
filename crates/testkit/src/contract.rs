//! The OpenAPI document as a contract that responses are compared with.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::Method;
use jsonschema::ValidatorMap;
use reeve_app::{Found, Router, openapi};
use serde_json::{Map, Value, json};

use crate::reply::Reply;

const REFERENCE: &str = "#/components/schemas/";
/// Schemas that are parts of others, or that allow other keys.
const OPEN: [&str; 5] = ["MatrixError", "ScimError", "OAuthError", "Interactive", "ClientEvent"];

/// The contents of a response.
enum Expected {
    /// JSON of this media type and of the schema at this place.
    Json { kind: String, place: String },
    /// Another media type; any, if `None`.
    Other(Option<String>),
    /// Nothing.
    Nothing,
}

/// The OpenAPI document, compiled for comparisons.
pub struct Contract {
    router: Router,
    /// By method, pattern of the path, and status.
    answers: HashMap<(String, String, String), Expected>,
    /// Schemas of bodies, with their places among the compiled ones.
    places: HashMap<String, String>,
    schemas: ValidatorMap,
}

impl Contract {
    /// The contract of the server, which is compiled once.
    pub fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| Self::new(&openapi::document(&reeve::server::routes())))
    }

    /// The contract that a document describes. A key of a response that the document does not have violates it,
    /// too.
    pub fn new(document: &Value) -> Self {
        let described = document.pointer("/components/schemas").and_then(Value::as_object).expect("schemas");
        let mut schemas: Map<String, Value> =
            described.iter().map(|(name, schema)| (name.clone(), local(schema))).collect();
        // The parts of one object must allow each other's keys.
        let mut open: Vec<String> = OPEN.map(str::to_owned).to_vec();
        for part in schemas.values().filter_map(|schema| schema["allOf"].as_array()).flatten() {
            open.extend(part["$ref"].as_str().and_then(|to| to.rsplit('/').next()).map(str::to_owned));
        }
        for (_, schema) in schemas.iter_mut().filter(|(name, _)| !open.contains(name)) {
            close(schema);
        }
        let mut places = HashMap::new();
        let mut place = |schema: &Value| {
            let schema = local(schema);
            let next = format!("body{}", places.len());
            let name = places.entry(schema.to_string()).or_insert_with(|| {
                schemas.insert(next.clone(), schema);
                format!("#/$defs/{next}")
            });
            name.clone()
        };
        let mut answers = HashMap::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let request = operation.pointer("/requestBody/content").and_then(Value::as_object);
                for (_, body) in request.into_iter().flatten().filter(|(kind, _)| is_json(kind)) {
                    place(&body["schema"]);
                }
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let content = response.get("content").and_then(Value::as_object);
                    let expected = match content.and_then(|content| content.iter().next()) {
                        None => Expected::Nothing,
                        Some((kind, body)) if is_json(kind) => {
                            Expected::Json { kind: kind.clone(), place: place(&body["schema"]) }
                        }
                        Some((kind, _)) => Expected::Other(Some(kind.clone()).filter(|kind| kind != "*/*")),
                    };
                    answers.insert((method.to_uppercase(), path.clone(), status.clone()), expected);
                }
            }
        }
        let schemas = jsonschema::validator_map_for(&json!({ "$defs": schemas })).expect("sound schemas");
        Self { router: Router::new(&reeve::server::routes()), answers, places, schemas }
    }

    /// Compares a value with a schema of a body in the document.
    pub fn check_schema(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let place = self.places.get(&local(schema).to_string()).ok_or("the document has no such body")?;
        self.validate(place, value)
    }

    fn validate(&self, place: &str, value: &Value) -> Result<(), String> {
        let validator = self.schemas.get(place).ok_or_else(|| format!("the schema {place} is not sound"))?;
        let wrong: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// Compares a response with the document's description of the route; the path is as sent.
    pub fn check(&self, method: &Method, path: &str, reply: &Reply) -> Result<(), String> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let unrecognized = match self.router.find(method, path) {
            _ if *method == Method::OPTIONS => return Ok(()),
            Found::Route(route, pattern, _) => {
                return self.check_route(route.method.as_str(), &pattern, method, reply);
            }
            Found::MethodNotAllowed(_) => (405, "M_UNRECOGNIZED", "Unrecognized request"),
            Found::Nothing => (404, "M_UNRECOGNIZED", "Unrecognized request"),
        };
        if reply.is_refused(unrecognized) || *method == Method::HEAD {
            Ok(())
        } else {
            Err("no such route".to_owned())
        }
    }

    fn check_route(
        &self,
        documented: &str,
        pattern: &str,
        method: &Method,
        reply: &Reply,
    ) -> Result<(), String> {
        let key = (documented.to_owned(), pattern.to_owned(), reply.status.to_string());
        let expected = self.answers.get(&key).ok_or("the document does not know this status")?;
        let kind = reply.header("content-type");
        match expected {
            _ if *method == Method::HEAD => Ok(()),
            Expected::Nothing if reply.bytes.is_empty() => Ok(()),
            Expected::Nothing => Err("there is a body".to_owned()),
            Expected::Other(Some(wanted)) if kind != wanted => Err(format!("it is {kind}, not {wanted}")),
            Expected::Other(_) => Ok(()),
            Expected::Json { kind: wanted, .. } if kind != wanted => Err(format!("it is {kind}, not JSON")),
            Expected::Json { place, .. } => self.validate(place, &reply.body),
        }
    }
}

/// True for media types of JSON.
fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// The schema with references to the places of the compiled schemas.
fn local(schema: &Value) -> Value {
    let text = schema.to_string().replace(&format!("\"{REFERENCE}"), "\"#/$defs/");
    serde_json::from_str(&text).expect("a schema")
}

/// Forbids keys that a schema does not name, in it and in nested schemas.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("allOf") {
                object.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
            } else if object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            for (_, part) in object.iter_mut().filter(|(key, _)| *key != "allOf") {
                close(part);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
