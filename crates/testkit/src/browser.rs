//! A browser: it keeps cookies, and sends the forms of pages.

use std::collections::BTreeMap;

use http::{Method, header};

use crate::client::Client;
use crate::reply::Reply;

/// A browser of a person. It follows links only when it is told to.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    /// The values of its cookies, by name.
    pub cookies: BTreeMap<String, String>,
    /// The languages that it prefers; blank for none.
    pub languages: String,
}

/// A form of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The path and query to which it is sent.
    pub action: String,
    /// The names of its fields, and the values that the page gives them. A box that is not checked has no value.
    pub fields: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, cookies: BTreeMap::new(), languages: String::new() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A browser with the same cookies and languages that sends its requests by this client.
    pub(crate) fn at(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// Names the program as this one from now on.
    pub fn set_user_agent(&mut self, user_agent: &str) {
        user_agent.clone_into(&mut self.client.user_agent);
    }

    /// The one cookie of the server; blank if there is none.
    pub fn cookie(&self) -> &str {
        self.cookies.values().next().map_or("", String::as_str)
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Reply {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept-language", &*self.languages), ("cookie", &*cookies)];
        headers.retain(|(_, value)| !value.is_empty());
        if method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let reply = self.client.send(method, path, &headers, body).await;
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().expect("a cookie").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        reply
    }

    /// GET.
    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, String::new()).await
    }

    /// POST with a form of these fields, whatever the page.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, body).await
    }

    /// Opens the page to which a response leads, at most five steps away.
    pub async fn follow(&mut self, reply: Reply) -> Reply {
        let mut reply = reply;
        for _ in 0..5 {
            if reply.status != 303 {
                return reply;
            }
            let location = reply.header("location").to_owned();
            reply = self.get(&location).await;
        }
        panic!("a page leads to another again and again: {}", reply.header("location"))
    }

    /// Sends the form of a page whose action begins with a path, with values for some of its fields. A value of a field that the
    /// form does not have is a mistake of the test; a blank value leaves the field out, as an unchecked box is.
    pub async fn submit(&mut self, page: &Reply, path: &str, values: &[(&str, &str)]) -> Reply {
        let form = form(page, path);
        let mut fields = form.fields.clone();
        for (name, value) in values {
            assert!(fields.contains_key(*name), "the form has no field {name}: {form:?}");
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        fields.retain(|_, value| !value.is_empty());
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&form.action, &fields).await
    }

    /// Signs in with a password.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Reply {
        let page = self.get("/_reeve/pages/login").await;
        let values = [("username", name), ("password", password)];
        self.submit(&page, "/_reeve/pages/login", &values).await
    }
}

/// The form of a page whose action begins with a path. Panics unless there is exactly one.
pub fn form(page: &Reply, path: &str) -> Form {
    let mut found: Vec<Form> = forms(page).into_iter().filter(|form| form.action.starts_with(path)).collect();
    assert_eq!(found.len(), 1, "forms that are sent to {path}: {found:?} on {}", page.html());
    found.remove(0)
}

/// The forms of a page.
pub fn forms(page: &Reply) -> Vec<Form> {
    let parts = page.html().split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
    parts.map(read_form).collect()
}

fn read_form(text: &str) -> Form {
    let (head, body) = text.split_once('>').expect("a form has an end");
    let mut fields = BTreeMap::new();
    for tag in body.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
        let is_box = attribute(tag, "type").as_deref() == Some("checkbox");
        let is_checked = tag.split_whitespace().any(|word| word == "checked");
        let value = attribute(tag, "value").filter(|_| !is_box || is_checked).unwrap_or_default();
        fields.insert(attribute(tag, "name").expect("a field has a name"), value);
    }
    Form { action: attribute(head, "action").expect("a form has an action"), fields }
}

/// The value of an attribute of a tag.
pub fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescaped)
}

/// A text of a page without its escapes.
pub fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}
