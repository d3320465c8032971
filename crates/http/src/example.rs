//! Examples for the documentation, generated from schemas: the schema's own example, else one suggested by its
//! name, else the simplest value of the type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Maximum depth of an example of schemas that refer to themselves.
const DEPTH: usize = 24;

/// Returns an example of a schema, which may refer to others.
pub(crate) fn of(schema: &Value, schemas: &BTreeMap<String, Value>) -> Value {
    make(schema, "", schemas, DEPTH)
}

fn make(schema: &Value, name: &str, schemas: &BTreeMap<String, Value>, depth: usize) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|items| items.first());
    if let Some(example) = schema.get("example").or_else(|| first("examples")) {
        return example.clone();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = schemas.get(reference.rsplit('/').next().unwrap_or_default());
        return match target {
            Some(target) if depth > 0 => make(target, name, schemas, depth - 1),
            _ => Value::Null,
        };
    }
    if let Some(value) = schema.get("const").or_else(|| first("enum")) {
        return value.clone();
    }
    let alternatives =
        ["oneOf", "anyOf"].into_iter().find_map(|key| schema.get(key).and_then(Value::as_array));
    if let Some(alternatives) = alternatives {
        let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
        let chosen = alternatives.iter().find(|schema| !is_null(schema)).filter(|_| depth > 0);
        return chosen.map_or(Value::Null, |schema| make(schema, name, schemas, depth));
    }
    let mut object = Map::new();
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        for part in parts {
            if let Value::Object(part) = make(part, name, schemas, depth) {
                object.extend(part);
            }
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.iter().find_map(Value::as_str).unwrap_or("null"),
        _ if object.is_empty() && schema.get("properties").is_none() => return json!({}),
        _ => "object",
    };
    match kind {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                object.insert(name.clone(), make(property, name, schemas, depth));
            }
            let further =
                schema.get("additionalProperties").filter(|further| further.is_object() && depth > 0);
            if let Some(further) = further {
                object.insert(key(name).to_owned(), make(further, name, schemas, depth - 1));
            }
            Value::Object(object)
        }
        "array" => match schema.get("items") {
            Some(items) if depth > 0 => json!([make(items, name, schemas, depth - 1)]),
            _ => json!([]),
        },
        "boolean" => json!(false),
        "integer" if name.ends_with("_ts") || name.ends_with("_at") => json!(1_700_000_000_000_i64),
        "integer" => json!(1),
        "number" => json!(1.5),
        "string" => json!(text(name)),
        _ => Value::Null,
    }
}

/// Returns a key for a map of that name.
fn key(name: &str) -> &'static str {
    match name {
        "join" | "invite" | "knock" | "leave" | "rooms" | "room_subscriptions" => "!636q39766251:example.org",
        "device_keys" | "master_keys" | "self_signing_keys" | "user_signing_keys" | "messages" | "joined" => {
            "@alice:example.org"
        }
        "one_time_key_counts" | "device_one_time_keys_count" => "signed_curve25519",
        "tags" => "m.favourite",
        _ => "key",
    }
}

/// Returns a text for a key of that name.
fn text(name: &str) -> &'static str {
    match name {
        "displayname" | "display_name" => "Alice",
        "name" => "A name",
        "server_name" | "home_server" => "example.org",
        "access_token" | "refresh_token" | "token" => "syt_YWxpY2U_example",
        "device_id" => "QBUAZIFURK",
        "avatar_url" | "content_uri" | "media_id" | "mxc_uri" => "mxc://example.org/AQwafuaFswefuhsfAFAgsw",
        "ip" | "last_seen_ip" => "192.0.2.1",
        "address" => "alice@example.org",
        "medium" => "email",
        "user_agent" => "Element/1.12",
        "user_type" => "bot",
        "topic" => "What this room is about",
        "join_rule" | "join_rules" | "visibility" => "public",
        "history_visibility" => "shared",
        "guest_access" => "forbidden",
        "version" | "room_version" | "new_version" => "12",
        "encryption" => "m.megolm.v1.aes-sha2",
        "algorithm" => "m.megolm_backup.v1.curve25519-aes-sha2",
        "presence" => "online",
        "status" | "state" => "complete",
        "base_url" => "https://matrix.example.org",
        "media_type" => "image/png",
        "lang" => "en",
        "reason" => "Spam",
        "password" | "new_password" => "a long passphrase",
        "device_unused_fallback_key_types" => "signed_curve25519",
        "state_key" => "",
        "changed" | "left" | "m.heroes" | "members" | "invite" => "@alice:example.org",
        "joined_rooms" => "!636q39766251:example.org",
        "versions" => "v1.16",
        "next_batch" | "prev_batch" | "next_token" | "start" | "end" => "s42",
        _ if name.ends_with("room_id") => "!636q39766251:example.org",
        _ if name.ends_with("event_id") => "$143273582443PhrSn",
        _ if name.ends_with("alias") => "#monkeys:example.org",
        _ if name.ends_with("user_id") || matches!(name, "sender" | "creator") => "@alice:example.org",
        _ => "text",
    }
}
