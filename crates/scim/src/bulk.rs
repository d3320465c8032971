//! Several operations in one request. Each is a change of its own, in the order of the request.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.7>

use std::collections::HashMap;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use reeve_app::json::Object;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Family, MatrixError, Route};
use reeve_model::Scope;
use serde_json::{Value, json};

use crate::error::{MALFORMED, invalid_path, invalid_syntax, invalid_value};
use crate::place::Resource;
use crate::reply::{Precondition, json_of, location, meta};
use crate::schema::{BULK, BULK_ANSWER};
use crate::{groups, read, users};

/// The maximum number of operations in a request.
pub(crate) const MAX_OPERATIONS: usize = 100;
/// The prefix of a reference to a resource that an earlier operation made.
const REFERENCE: &str = "bulkId:";

pub(crate) fn route() -> Route {
    Route::post("/scim/v2/Bulk", handle)
        .access(Access::Admin(Scope::UsersWrite))
        .id("bulkScim")
        .summary("Does several operations, one after the other")
        .description(
            "`failOnErrors` is the number of errors after which the rest is not done. `bulkId:` refers to a resource that an \
             earlier operation of the request made. Each operation needs the scopes of its own route.",
        )
        .takes::<AnyObject>()
        .returns::<AnyObject>(200)
        .errors(&[MALFORMED, (413, "", "there are more operations than the service supports")])
}

/// The method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

/// An operation.
struct Operation {
    method: Method,
    /// The method as written.
    word: String,
    bulk_id: Option<String>,
    path: String,
    version: Option<String>,
    data: Object,
}

async fn handle(mut call: Call) -> Answer {
    let body = call.take::<AnyObject>().await?.0;
    read::check_schema(&body, BULK)?;
    let listed = read::get(&body, "Operations").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| invalid_syntax("'Operations' must be a list"))?;
    if listed.len() > MAX_OPERATIONS {
        let text = format!("A request cannot have more than {MAX_OPERATIONS} operations");
        return Err(MatrixError::new(413, "", text));
    }
    let fail_on_errors = match read::get(&body, "failOnErrors") {
        None | Some(Value::Null) => usize::MAX,
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number
                .filter(|number| *number > 0)
                .ok_or_else(|| invalid_value("'failOnErrors' must be positive"))?
        }
    };
    let operations = listed.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
    let mut made: HashMap<String, String> = HashMap::new();
    let (mut results, mut errors) = (Vec::new(), 0);
    for operation in operations {
        if errors >= fail_on_errors {
            break;
        }
        let (result, is_error) = answer(&call, operation, &mut made).await?;
        results.push(result);
        errors += usize::from(is_error);
    }
    json_of(StatusCode::OK, &json!({ "schemas": [BULK_ANSWER], "Operations": results }))
}

fn operation(listed: &Value) -> Result<Operation, MatrixError> {
    let listed =
        listed.as_object().ok_or_else(|| invalid_syntax("Each of 'Operations' must be an object"))?;
    let word = read::text(listed, "method")?.unwrap_or_default().to_ascii_uppercase();
    let method = match word.as_str() {
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => return Err(invalid_syntax(format!("'method' must not be '{other}'"))),
    };
    let bulk_id = read::text(listed, "bulkId")?.filter(|id| !id.is_empty());
    if method == Method::Post && bulk_id.is_none() {
        return Err(invalid_syntax("POST needs a 'bulkId'"));
    }
    Ok(Operation {
        method,
        word,
        bulk_id,
        path: read::text(listed, "path")?.ok_or_else(|| invalid_syntax("'path' is missing"))?,
        version: read::text(listed, "version")?,
        data: match read::get(listed, "data") {
            Some(Value::Object(data)) => data.clone(),
            None | Some(Value::Null) => Object::new(),
            Some(_) => return Err(invalid_syntax("'data' must be an object")),
        },
    })
}

/// The resource that an operation made or changed.
struct Done {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    id: Option<String>,
}

/// Does an operation. Returns its result, and true if that is an error.
async fn answer(
    call: &Call,
    operation: Operation,
    made: &mut HashMap<String, String>,
) -> Result<(Value, bool), MatrixError> {
    let (word, bulk_id) = (operation.word.clone(), operation.bulk_id.clone());
    let mut result = Object::from_iter([("method".to_owned(), json!(word))]);
    if let Some(bulk_id) = &bulk_id {
        result.insert("bulkId".to_owned(), json!(bulk_id));
    }
    let is_error = match run(call, operation, made).await {
        Ok(done) => {
            if let (Some(bulk_id), Some(id)) = (bulk_id, done.id) {
                made.insert(bulk_id, id);
            }
            result.extend(done.location.map(|location| ("location".to_owned(), json!(location))));
            result.extend(done.version.map(|version| ("version".to_owned(), json!(version))));
            result.insert("status".to_owned(), json!(done.status.as_u16().to_string()));
            false
        }
        // A fault of the server is one of the whole request.
        Err(error) if error.status >= 500 && error.status != 501 => return Err(error),
        Err(error) => {
            result.insert("status".to_owned(), json!(error.status.to_string()));
            result.insert("response".to_owned(), Value::Object(Family::Scim.error_body(&error)));
            true
        }
    };
    Ok((Value::Object(result), is_error))
}

async fn run(call: &Call, operation: Operation, made: &HashMap<String, String>) -> Result<Done, MatrixError> {
    let Operation { method, path, version, data, .. } = operation;
    let (resource, id) = place(&path, made)?;
    let Value::Object(data) = resolve(Value::Object(data), made)? else {
        return Err(invalid_syntax("'data' must be an object"));
    };
    let precondition = Precondition::of_version(version);
    let unknown = || invalid_path(format!("'{path}' cannot be used with this method"));
    let (status, changed) = match (method, resource, id.clone()) {
        (Method::Post, Resource::User, None) => (StatusCode::CREATED, users::create(call, &data).await?),
        (Method::Post, Resource::Group, None) => (StatusCode::CREATED, groups::create(call, &data).await?),
        (Method::Put, Resource::User, Some(id)) => {
            (StatusCode::OK, users::replace(call, id, precondition, &data).await?)
        }
        (Method::Put, Resource::Group, Some(id)) => {
            (StatusCode::OK, groups::replace(call, id, precondition, &data).await?)
        }
        (Method::Patch, Resource::User, Some(id)) => {
            (StatusCode::OK, users::patch(call, id, precondition, &data).await?)
        }
        (Method::Patch, Resource::Group, Some(id)) => {
            (StatusCode::OK, groups::patch(call, id, precondition, &data).await?)
        }
        (Method::Delete, resource, Some(id)) => {
            match resource {
                Resource::User => users::delete(call, id.clone(), precondition).await?,
                Resource::Group => groups::delete(call, id.clone(), precondition).await?,
            }
            let location = Some(location(&call.app, resource, &id));
            return Ok(Done { status: StatusCode::NO_CONTENT, location, version: None, id: None });
        }
        (Method::Post, _, Some(_)) | (Method::Put | Method::Patch | Method::Delete, _, None) => {
            return Err(unknown());
        }
    };
    Ok(Done {
        status,
        location: meta(&changed, "location").map(str::to_owned),
        version: meta(&changed, "version").map(str::to_owned),
        id: changed.get("id").and_then(Value::as_str).map(str::to_owned),
    })
}

/// Returns the type and the id in a path such as `/Users/@alice:example.org`.
fn place(path: &str, made: &HashMap<String, String>) -> Result<(Resource, Option<String>), MatrixError> {
    let unknown = || invalid_path(format!("'{path}' is not the path of a resource"));
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let resource = match segments.next() {
        Some("Users") => Resource::User,
        Some("Groups") => Resource::Group,
        Some(_) | None => return Err(unknown()),
    };
    let id = match segments.next().filter(|id| !id.is_empty()) {
        None => None,
        Some(id) => {
            let id = percent_decode_str(id).decode_utf8().map_err(|_| unknown())?;
            Some(reference(&id, made)?)
        }
    };
    Ok((resource, id))
}

/// Returns the id that a text stands for.
fn reference(text: &str, made: &HashMap<String, String>) -> Result<String, MatrixError> {
    match text.strip_prefix(REFERENCE) {
        None => Ok(text.to_owned()),
        Some(bulk_id) => made.get(bulk_id).cloned().ok_or_else(|| {
            invalid_value(format!("No earlier operation of the request made 'bulkId:{bulk_id}'"))
        }),
    }
}

/// Returns a value in which references to resources are replaced by their ids.
fn resolve(value: Value, made: &HashMap<String, String>) -> Result<Value, MatrixError> {
    Ok(match value {
        Value::String(text) => Value::String(reference(&text, made)?),
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| resolve(value, made)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(key, value)| Ok((key, resolve(value, made)?)))
                .collect::<Result<_, MatrixError>>()?,
        ),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_)) => value,
    })
}
