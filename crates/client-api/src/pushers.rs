//! Pushers.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>

use reeve_accounts::threepids::EMAIL_PUSHER;
use reeve_app::body::Key;
use reeve_app::json::Object;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, body, reply};
use reeve_outgoing::is_http;
use reeve_store::features;
use reeve_store::pushers::{self, Pusher};
use serde_json::{Value, json};
use url::Url;

use crate::shapes;

/// Maximum length of an application id, in characters.
const MAX_APP_ID: usize = 64;
/// Maximum length of a push key, in bytes.
const MAX_PUSHKEY: usize = 512;
/// Maximum length of other strings, and of the data as JSON, in bytes.
const MAX_TEXT: usize = 512;
const MAX_DATA: usize = 16 * 1024;
/// The feature of enabling and disabling pushers of other devices.
const MSC3881: &str = "msc3881";
const ENABLED: &str = "org.matrix.msc3881.enabled";
const DEVICE_ID: &str = "org.matrix.msc3881.device_id";
/// The path of a push gateway.
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

body! {
    /// A pusher; `kind` null to delete it.
    pub(crate) struct NewPusher {
        #[schema(required)]
        kind: Option<String>,
        app_id: String,
        pushkey: String,
        app_display_name: Option<String>,
        device_display_name: Option<String>,
        profile_tag: Option<String>,
        lang: Option<String>,
        data: Option<AnyObject>,
        append: Option<bool>,
        enabled = "org.matrix.msc3881.enabled": Option<bool>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::read("/_matrix/client/v3/pushers", list)
            .also("/_matrix/client/r0/pushers")
            .access(Access::User)
            .id("getPushers")
            .returns::<shapes::push::Pushers>(200)
            .summary("Lists the pushers of the account")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3pushers"),
        Route::post("/_matrix/client/v3/pushers/set", set)
            .also("/_matrix/client/r0/pushers/set")
            .access(Access::User)
            .id("postPusher")
            .takes::<NewPusher>()
            .returns::<shape::Empty>(200)
            .summary("Sets or deletes a pusher")
            .errors(&[
                (400, "M_MISSING_PARAM", "a key is missing, or the data of an HTTP pusher is not valid"),
                (400, "M_INVALID_PARAM", "a value is not valid"),
                (400, "M_TOO_LARGE", "the account would exceed its limit of pushers"),
                (403, "M_FORBIDDEN", "the session has no device"),
                (400, "M_THREEPID_NOT_FOUND", "the account has no such e-mail address"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3pushersset"),
    ]
}

fn list(call: &Reading<'_>) -> Answer {
    let user_num = call.user()?.num;
    let pushers = pushers::of_user(call.tx, user_num)?;
    let remote = features::is_enabled(call.tx, user_num, MSC3881)?;
    let pushers = pushers.iter().map(|pusher| view(pusher, remote)).collect::<Result<Vec<_>, _>>()?;
    reply::ok(&json!({ "pushers": pushers }))
}

/// Returns a pusher in responses; with the keys that other devices can change, if the account has that feature.
fn view(pusher: &Pusher, remote: bool) -> Result<Value, MatrixError> {
    let data: Value = serde_json::from_str(&pusher.data).map_err(MatrixError::internal)?;
    let mut view = json!({
        "app_display_name": pusher.app_display_name,
        "app_id": pusher.app_id,
        "data": data,
        "device_display_name": pusher.device_display_name,
        "kind": pusher.kind,
        "lang": pusher.lang,
        "profile_tag": pusher.profile_tag,
        "pushkey": pusher.pushkey,
    });
    if let (true, Some(view)) = (remote, view.as_object_mut()) {
        view.insert(ENABLED.to_owned(), json!(pusher.enabled));
        view.insert(DEVICE_ID.to_owned(), json!(pusher.device_id));
    }
    Ok(view)
}

async fn set(mut call: Call) -> Answer {
    let body: NewPusher = call.take().await?;
    let num = call.user()?.num;
    let deletes = body.kind.value() == Some(&Value::Null);
    if deletes && body.app_id.value().is_some() && body.pushkey.value().is_some() {
        let (app_id, pushkey) = (text(&body.app_id)?, text(&body.pushkey)?);
        call.write(move |tx| reeve_accounts::pushers::delete(tx, num, &app_id, &pushkey)).await?;
        return reply::empty();
    }
    body::require([
        body.kind.missing(),
        body.app_id.missing(),
        body.app_display_name.missing(),
        body.device_display_name.missing(),
        body.pushkey.missing(),
        body.lang.missing(),
        body.data.missing(),
    ])?;
    let not_boolean = |name| MatrixError::invalid_param(format!("'{name}' must be a boolean"));
    let append = body.append.read_or(not_boolean)?.unwrap_or(false);
    let mut pusher = pusher(&call, &body)?;
    if body.enabled.read_or(not_boolean)? == Some(false) {
        pusher.enabled = !call.read(move |tx| features::is_enabled(tx, num, MSC3881)).await?;
    }
    let (ctx, limits) = (call.ctx(), call.app.policy.limits);
    call.write(move |tx| reeve_accounts::pushers::set(tx, &ctx, &limits, num, &pusher, append)).await?;
    reply::empty()
}

/// Returns the pusher that a body describes.
fn pusher(call: &Call, body: &NewPusher) -> Result<Pusher, MatrixError> {
    let app_id = text(&body.app_id)?;
    let pushkey = text(&body.pushkey)?;
    if app_id.chars().count() > MAX_APP_ID {
        return Err(MatrixError::invalid_param(format!(
            "'app_id' must not be longer than {MAX_APP_ID} characters"
        )));
    }
    if pushkey.len() > MAX_PUSHKEY {
        return Err(MatrixError::invalid_param(format!(
            "'pushkey' must not be longer than {MAX_PUSHKEY} bytes"
        )));
    }
    let kind = text(&body.kind)?;
    let data = match (&*kind, body.data.value()) {
        ("http", data) => http_data(data)?,
        ("email", _) if !call.app.policy.mail.enabled => {
            return Err(MatrixError::invalid_param("This server sends no e-mail"));
        }
        ("email", _) if app_id != EMAIL_PUSHER => {
            return Err(MatrixError::invalid_param(format!(
                "'app_id' must be '{EMAIL_PUSHER}' for email pusher"
            )));
        }
        ("email", None | Some(Value::Null)) => Object::new(),
        ("email", Some(Value::Object(data))) => data.clone(),
        ("email", Some(_)) => return Err(MatrixError::invalid_param("'data' must be an object")),
        _ => return Err(MatrixError::invalid_param("'kind' must be 'http', 'email' or null")),
    };
    let data = Value::Object(data).to_string();
    if data.len() > MAX_DATA {
        return Err(MatrixError::invalid_param(format!("'data' must not be longer than {MAX_DATA} bytes")));
    }
    Ok(Pusher {
        app_id,
        pushkey,
        kind,
        app_display_name: short_text(&body.app_display_name)?,
        device_display_name: short_text(&body.device_display_name)?,
        profile_tag: match body.profile_tag.value() {
            None | Some(Value::Null) => String::new(),
            Some(_) => short_text(&body.profile_tag)?,
        },
        lang: short_text(&body.lang)?,
        data,
        device_id: call.session()?.device_id.clone(),
        enabled: true,
    })
}

/// Returns the data of an HTTP pusher, which contains the URL of the push gateway.
fn http_data(data: Option<&Value>) -> Result<Object, MatrixError> {
    let wrong = |text: &str| MatrixError::bad_request("M_MISSING_PARAM", format!("Config Error: {text}"));
    let data = match data {
        None | Some(Value::Null) => return Err(wrong("'data' key can not be null for HTTP pusher")),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(wrong("'url' required in data for HTTP pusher")),
    };
    let url = match data.get("url") {
        None => return Err(wrong("'url' required in data for HTTP pusher")),
        Some(Value::String(url)) => url,
        Some(_) => return Err(wrong("'url' must be a string")),
    };
    let parsed = Url::parse(url).ok().filter(|url| url.path() == GATEWAY_PATH);
    let parsed = parsed.ok_or_else(|| wrong(&format!("'url' must have a path of '{GATEWAY_PATH}'")))?;
    // URLs inside the network are accepted, too: the check is made when a request is sent.
    if is_http(&parsed) {
        Ok(data.clone())
    } else {
        Err(MatrixError::invalid_param("'url' must be an HTTP URL"))
    }
}

fn text<T>(key: &Key<T>) -> Result<String, MatrixError> {
    match key.value() {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) | None => Err(MatrixError::invalid_param(format!("'{}' must be a string", key.name()))),
    }
}

fn short_text<T>(key: &Key<T>) -> Result<String, MatrixError> {
    let text = text(key)?;
    if text.len() > MAX_TEXT {
        let error = format!("'{}' must not be longer than {MAX_TEXT} bytes", key.name());
        return Err(MatrixError::invalid_param(error));
    }
    Ok(text)
}
