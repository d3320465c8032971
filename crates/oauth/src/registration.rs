//! Registration of clients by themselves.
//! <https://spec.matrix.org/v1.18/client-server-api/#client-registration>

use std::collections::BTreeMap;

use reeve_app::json::Object;
use reeve_db::{DbError, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, encoding};
use reeve_store::oauth_clients;
use serde_json::Value;
use url::Host;

use crate::client::{ApplicationType, Client, ClientMetadata, GrantType};
use crate::error::Error;
use crate::uri;

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 100;
/// Maximum number of redirect URIs.
const MAX_REDIRECTS: usize = 20;
/// Maximum number of names and addresses for languages.
const MAX_LOCALIZED: usize = 100;
/// Maximum size of the metadata that is stored, in bytes.
const MAX_METADATA: usize = 16 * 1024;
/// Marks that change the direction of text, with which a name could disguise what follows it.
const DIRECTIONS: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// The metadata of a client as it sends it. Values of the wrong type are refused before.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// `client_name`.
    pub client_name: Option<String>,
    /// `client_uri`.
    pub client_uri: Option<String>,
    /// `logo_uri`.
    pub logo_uri: Option<String>,
    /// `tos_uri`.
    pub tos_uri: Option<String>,
    /// `policy_uri`.
    pub policy_uri: Option<String>,
    /// `redirect_uris`.
    pub redirect_uris: Option<Vec<String>>,
    /// `token_endpoint_auth_method`.
    pub token_endpoint_auth_method: Option<String>,
    /// `response_types`.
    pub response_types: Option<Vec<String>>,
    /// `grant_types`.
    pub grant_types: Option<Vec<String>>,
    /// `application_type`.
    pub application_type: Option<String>,
    /// All other keys, among which are names and addresses for languages.
    pub more: Object,
}

/// Returns the error for a value that cannot be registered.
fn bad<T>(key: &str, problem: &str) -> Result<T, Error> {
    Err(Error::BadMetadata(format!("'{key}' {problem}")))
}

/// Checks the metadata of a client, and returns what is kept of it. Keys and values that the server does not understand are
/// left out.
pub fn check(sent: Sent) -> Result<ClientMetadata, Error> {
    let Some(client_uri) = sent.client_uri else { return bad("client_uri", "is missing") };
    let Some(host) = uri::web_host(&client_uri) else {
        return bad("client_uri", "must be a URL with https, without user and password");
    };
    if let Some(name) = &sent.client_name {
        check_name("client_name", name)?;
    }
    for (key, address) in
        [("logo_uri", &sent.logo_uri), ("tos_uri", &sent.tos_uri), ("policy_uri", &sent.policy_uri)]
    {
        if let Some(address) = address {
            check_address(key, address, &host)?;
        }
    }
    if sent.token_endpoint_auth_method.as_ref().is_some_and(|method| method != "none") {
        return bad("token_endpoint_auth_method", "must be 'none'");
    }
    let application_type = match sent.application_type.as_deref() {
        None | Some("web") => ApplicationType::Web,
        Some("native") => ApplicationType::Native,
        Some(_) => return bad("application_type", "must be 'web' or 'native'"),
    };
    let grant_types: Vec<GrantType> = match &sent.grant_types {
        None => vec![GrantType::Code],
        Some(names) => GrantType::ALL
            .into_iter()
            .filter(|grant| names.iter().any(|name| name == grant.as_str()))
            .collect(),
    };
    if !grant_types.iter().any(|grant| matches!(grant, GrantType::Code | GrantType::Device)) {
        return bad("grant_types", "must name a way to get access that the server supports");
    }
    let uses_browser = grant_types.contains(&GrantType::Code);
    let has_code = sent.response_types.is_none_or(|types| types.iter().any(|kind| kind == "code"));
    if uses_browser && !has_code {
        return bad("response_types", "must include 'code'");
    }
    let redirect_uris = sent.redirect_uris.unwrap_or_default();
    if redirect_uris.is_empty() && uses_browser {
        return Err(Error::BadRedirect("'redirect_uris' must have a URI".to_owned()));
    }
    if redirect_uris.len() > MAX_REDIRECTS {
        return Err(Error::BadRedirect(format!("'redirect_uris' must have at most {MAX_REDIRECTS} URIs")));
    }
    for redirect_uri in &redirect_uris {
        let is_native = application_type == ApplicationType::Native;
        uri::check_redirect(redirect_uri, &host, is_native)
            .map_err(|problem| Error::BadRedirect(format!("A URI of 'redirect_uris' {problem}")))?;
    }
    Ok(ClientMetadata {
        client_name: sent.client_name,
        client_uri,
        logo_uri: sent.logo_uri,
        tos_uri: sent.tos_uri,
        policy_uri: sent.policy_uri,
        redirect_uris,
        token_endpoint_auth_method: "none".to_owned(),
        response_types: if has_code { vec!["code".to_owned()] } else { Vec::new() },
        grant_types,
        application_type,
        localized: localized(sent.more, &host)?,
    })
}

/// Returns the names and addresses for languages, whose keys are like `client_name#fr` (RFC 7591, 2.2).
fn localized(more: Object, host: &Host<String>) -> Result<BTreeMap<String, String>, Error> {
    let mut localized = BTreeMap::new();
    for (key, value) in more {
        let Some((name, language)) = key.split_once('#') else { continue };
        let is_language = (1..=35).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !matches!(name, "client_name" | "logo_uri" | "tos_uri" | "policy_uri") || !is_language {
            continue;
        }
        let Value::String(text) = value else { return bad(&key, "must be a string") };
        if name == "client_name" {
            check_name(&key, &text)?;
        } else {
            check_address(&key, &text, host)?;
        }
        localized.insert(key, text);
    }
    if localized.len() > MAX_LOCALIZED {
        return Err(Error::BadMetadata(format!("There can be at most {MAX_LOCALIZED} values for languages")));
    }
    Ok(localized)
}

fn check_name(key: &str, name: &str) -> Result<(), Error> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME {
        return bad(key, "must have between 1 and 100 characters");
    }
    if name.contains(|c: char| c.is_control() || DIRECTIONS.contains(&c)) {
        return bad(key, "must not contain control characters");
    }
    Ok(())
}

fn check_address(key: &str, address: &str, client: &Host<String>) -> Result<(), Error> {
    match uri::web_host(address) {
        Some(host) if uri::is_within(&host, client) => Ok(()),
        Some(_) => bad(key, "must be at the host of 'client_uri', or a subdomain of it"),
        None => bad(key, "must be a URL with https, without user and password"),
    }
}

/// Registers a client, and returns its id. Equal metadata is the same client.
pub fn register(tx: &mut Tx<'_>, ctx: &Ctx, metadata: &ClientMetadata) -> Result<String, Error> {
    let json = serde_json::to_string(metadata)
        .map_err(|error| DbError::Internal(format!("metadata cannot be written: {error}")))?;
    if json.len() > MAX_METADATA {
        return Err(Error::BadMetadata(format!("The metadata must have at most {MAX_METADATA} bytes")));
    }
    let client_id = encoding::url_base64(&hash_token(&json));
    match Client::find(tx, &client_id) {
        Ok(client) => client.touch(tx, ctx.now)?,
        Err(Error::UnknownClient) => oauth_clients::insert(tx, &client_id, &json, ctx.now)?,
        Err(error) => return Err(error),
    }
    Ok(client_id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent() -> Sent {
        Sent {
            client_uri: Some("https://example.com/".to_owned()),
            redirect_uris: Some(vec!["https://app.example.com/callback".to_owned()]),
            ..Sent::default()
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the form of the fields")]
    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the form of the fields")]
    fn texts(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn defaults() {
        let metadata = check(sent()).unwrap();
        assert_eq!(
            json!(metadata),
            json!({
                "client_uri": "https://example.com/",
                "redirect_uris": ["https://app.example.com/callback"],
                "token_endpoint_auth_method": "none",
                "response_types": ["code"],
                "grant_types": ["authorization_code"],
                "application_type": "web",
            })
        );
        let read: ClientMetadata = serde_json::from_value(json!(metadata)).unwrap();
        assert_eq!(read, metadata);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let more = json!({
            "client_name#fr": "Mon application",
            "tos_uri#de-AT": "https://example.com/at",
            "client_name#": "x",
            "client_name#a b": "x",
            "contacts#fr": "x",
            "contacts": ["a@example.com"],
            "jwks": {},
        });
        let Value::Object(more) = more else { panic!("it is an object") };
        let names =
            ["refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange", "authorization_code"];
        let metadata = check(Sent {
            grant_types: texts(&names),
            response_types: texts(&["id_token", "code"]),
            more,
            ..sent()
        });
        let metadata = metadata.unwrap();
        assert_eq!(metadata.grant_types, [GrantType::Code, GrantType::Refresh]);
        assert_eq!(metadata.response_types, ["code"]);
        assert_eq!(metadata.localized.keys().collect::<Vec<_>>(), ["client_name#fr", "tos_uri#de-AT"]);
    }

    #[test]
    fn refusals() {
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let more = |key: &str, value: Value| Object::from_iter([(key.to_owned(), value)]);
        for (key, sent) in [
            ("client_uri", Sent { client_uri: None, ..sent() }),
            ("client_uri", Sent { client_uri: text("http://example.com/"), ..sent() }),
            ("client_name", Sent { client_name: text(" "), ..sent() }),
            ("client_name", Sent { client_name: text(&"x".repeat(101)), ..sent() }),
            ("client_name", Sent { client_name: text("a\nb"), ..sent() }),
            ("client_name", Sent { client_name: text("a\u{202e}b"), ..sent() }),
            ("logo_uri", Sent { logo_uri: text("https://example.org/"), ..sent() }),
            ("tos_uri", Sent { tos_uri: text("http://example.com/"), ..sent() }),
            ("policy_uri", Sent { policy_uri: text("https://u@example.com/"), ..sent() }),
            (
                "token_endpoint_auth_method",
                Sent { token_endpoint_auth_method: text("client_secret_basic"), ..sent() },
            ),
            ("application_type", Sent { application_type: text("desktop"), ..sent() }),
            ("grant_types", Sent { grant_types: texts(&["client_credentials"]), ..sent() }),
            ("grant_types", Sent { grant_types: texts(&["refresh_token"]), ..sent() }),
            ("response_types", Sent { response_types: texts(&["token"]), ..sent() }),
            ("redirect_uris", Sent { redirect_uris: None, ..sent() }),
            ("redirect_uris", Sent { redirect_uris: texts(&["https://example.org/"]), ..sent() }),
            ("redirect_uris", Sent { redirect_uris: texts(&["http://localhost/"]), ..sent() }),
            ("redirect_uris", Sent { redirect_uris: texts(&["https://example.com/"; 21]), ..sent() }),
            ("client_name#fr", Sent { more: more("client_name#fr", json!(1)), ..sent() }),
            ("tos_uri#fr", Sent { more: more("tos_uri#fr", json!("https://example.org/")), ..sent() }),
        ] {
            let error = check(sent).unwrap_err().to_string();
            assert!(error.contains(&format!("'{key}'")), "{key}: {error}");
        }
        // A client without a browser needs no place to return to.
        let sent =
            Sent { redirect_uris: None, grant_types: texts(&[device]), response_types: texts(&[]), ..sent() };
        assert_eq!(check(sent).unwrap().grant_types, [GrantType::Device]);
    }
}
