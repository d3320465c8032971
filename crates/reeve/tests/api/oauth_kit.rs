//! Helpers for tests of OAuth 2.0: clients, and people who answer them in their browsers.

use std::collections::BTreeMap;

use http::Method;
use reeve_app::OAuthSettings;
use reeve_model::encoding::url_base64;
use reeve_model::session::hash_token;
use reeve_testkit::{Browser, Client, Config, Reply, Server, forms};
use serde_json::{Value, json};
use url::form_urlencoded;

pub(crate) const REGISTER: &str = "/_reeve/oauth/register";
pub(crate) const TOKEN: &str = "/_reeve/oauth/token";
pub(crate) const REVOKE: &str = "/_reeve/oauth/revoke";
pub(crate) const DEVICE: &str = "/_reeve/oauth/device";
pub(crate) const AUTHORIZE: &str = "/_reeve/pages/authorize";
pub(crate) const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
pub(crate) const ISSUER: &str = "https://matrix.test/";
pub(crate) const REDIRECT: &str = "https://app.example.com/callback";
pub(crate) const VERIFIER: &str = "a-verifier-that-is-random-and-long-enough-for-everybody";
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const DEAD: (u16, &str, &str) = (401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");

/// Enables OAuth 2.0.
pub(crate) fn enabled(config: &mut Config) {
    config.oauth = Some(OAuthSettings {
        base_url: "https://matrix.test".to_owned(),
        unused_clients_ms: 30 * 86_400_000,
    });
}

/// Enables OAuth 2.0 and rate limits.
pub(crate) fn limited(config: &mut Config) {
    enabled(config);
    config.rate_limits.enabled = true;
}

/// The metadata of a web client.
pub(crate) fn metadata() -> Value {
    json!({
        "client_name": "My App",
        "client_uri": "https://example.com/",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "application_type": "web",
    })
}

/// Metadata with other values for some keys.
pub(crate) fn changed(changes: Value) -> Value {
    let mut metadata = metadata();
    for (key, value) in changes.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    metadata
}

/// Registers a client, and gives its id.
pub(crate) async fn register(server: &Server, metadata: Value) -> String {
    let reply = server.stranger().post(REGISTER, metadata).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.text("client_id").to_owned()
}

/// Fields of a form or query string. Those without a value are left out.
fn encoded(fields: &[(&str, &str)]) -> String {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}

/// Fields with other values for some of them.
fn with<'a>(fields: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = fields.to_vec();
    for change in changes {
        match all.iter_mut().find(|(name, _)| *name == change.0) {
            Some(field) => *field = *change,
            None => all.push(*change),
        }
    }
    all
}

/// Sends a form as a client does.
pub(crate) async fn form(client: &Client, path: &str, fields: &[(&str, &str)]) -> Reply {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    client.send(Method::POST, path, &headers, encoded(fields)).await
}

/// Status and code of an error for clients.
pub(crate) fn error(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.text("error"))
}

/// The scope for a device.
pub(crate) fn scope(device_id: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}")
}

/// The address with which a client sends a browser, for the device `PHONE`, with other values for some parameters.
pub(crate) fn authorize(client_id: &str, changes: &[(&str, &str)]) -> String {
    let (scope, challenge) = (scope("PHONE"), url_base64(&hash_token(VERIFIER)));
    let usual = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT),
        ("scope", &*scope),
        ("state", "a state"),
        ("response_mode", "fragment"),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
    ];
    format!("{AUTHORIZE}?{}", encoded(&with(&usual, changes)))
}

/// The fields of a response, in the part of the address that `separator` begins.
pub(crate) fn fields(location: &str, separator: char) -> BTreeMap<String, String> {
    let (_, fields) =
        location.split_once(separator).unwrap_or_else(|| panic!("no {separator} in {location}"));
    form_urlencoded::parse(fields.as_bytes()).into_owned().collect()
}

/// A person before a browser.
pub(crate) struct Person {
    browser: Browser,
    /// The token of the forms on the page that was shown last.
    form_token: String,
}

impl Person {
    /// Opens a page. A response that leads to another page is not followed.
    pub(crate) async fn open(&mut self, path: &str) -> Reply {
        let reply = self.browser.get(path).await;
        self.look(&reply);
        reply
    }

    fn look(&mut self, page: &Reply) {
        let form = forms(page).into_iter().next();
        if let Some(token) = form.and_then(|mut form| form.fields.remove("form_token")) {
            self.form_token = token;
        }
    }

    /// Presses a button of the page that was shown last: sends these fields with its token, unless they have another one.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.form_token.clone();
        let reply = self.browser.post(path, &with(&[("form_token", &*token)], fields)).await;
        self.look(&reply);
        reply
    }

    /// Signs in.
    pub(crate) async fn sign_in(&mut self, name: &str) {
        let reply = self.browser.sign_in(name, &format!("{name}'s password")).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
    }
}

/// A person who has not signed in.
pub(crate) fn stranger(server: &Server) -> Person {
    Person { browser: server.browser(), form_token: String::new() }
}

/// A person who has signed in.
pub(crate) async fn person(server: &Server, name: &str) -> Person {
    let mut person = stranger(server);
    person.sign_in(name).await;
    person
}

/// Follows a client to the page that asks for consent, and gives its path.
pub(crate) async fn asked(person: &mut Person, request: &str) -> String {
    let reply = person.open(request).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let path = reply.header("location").to_owned();
    assert!(path.starts_with("/_reeve/pages/consent/"), "{path}");
    let page = person.open(&path).await;
    assert_eq!(page.status, 200, "{}", page.body);
    path
}

/// Follows a client and allows what it asks; gives the address at which the browser continues.
pub(crate) async fn allow(person: &mut Person, request: &str) -> String {
    let page = asked(person, request).await;
    let reply = person.submit(&page, &[("answer", "allow")]).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    reply.header("location").to_owned()
}

/// Gets a code, with other values for some parameters.
pub(crate) async fn code(person: &mut Person, client_id: &str, changes: &[(&str, &str)]) -> String {
    let location = allow(person, &authorize(client_id, changes)).await;
    fields(&location, '#').remove("code").unwrap_or_else(|| panic!("no code in {location}"))
}

/// Exchanges a code, with other values for some fields.
pub(crate) async fn exchange(
    server: &Server,
    client_id: &str,
    code: &str,
    changes: &[(&str, &str)],
) -> Reply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    form(&server.stranger(), TOKEN, &with(&usual, changes)).await
}

/// Exchanges a refresh token.
pub(crate) async fn refresh(server: &Server, client_id: &str, refresh_token: &str) -> Reply {
    let fields =
        [("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", refresh_token)];
    form(&server.stranger(), TOKEN, &fields).await
}

/// A session that began with OAuth 2.0.
pub(crate) struct Session {
    /// Its client, with the access token.
    pub(crate) client: Client,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Session {
    /// Reads the tokens of a response.
    pub(crate) fn of(server: &Server, reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.body);
        let (access_token, refresh_token) = (reply.text("access_token"), reply.text("refresh_token"));
        Self {
            client: server.with_token(access_token),
            access_token: access_token.to_owned(),
            refresh_token: refresh_token.to_owned(),
        }
    }

    pub(crate) async fn is_alive(&self) -> bool {
        let reply = self.client.get(WHOAMI).await;
        if reply.status != 200 {
            assert_eq!(reply.refusal(), DEAD);
        }
        reply.status == 200
    }
}

/// Begins a session on a device.
pub(crate) async fn session(
    server: &Server,
    person: &mut Person,
    client_id: &str,
    device_id: &str,
) -> Session {
    let code = code(person, client_id, &[("scope", &scope(device_id))]).await;
    Session::of(server, &exchange(server, client_id, &code, &[]).await)
}
