//! A user of a server.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;

use crate::contract::Contract;
use crate::reply::Reply;

/// Sends requests, with a token or without.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    /// The access token.
    pub token: Option<String>,
    /// The account, if it logged in.
    pub user_id: String,
    /// The device, if it logged in.
    pub device_id: String,
    /// The user agent it sends.
    pub user_agent: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self {
            address,
            // On a slow machine a test may pause until the server closes the connection.
            http: HttpClient::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(5))
                .pool_timer(TokioTimer::new())
                .build_http(),
            token,
            user_id: String::new(),
            device_id: String::new(),
            user_agent: "testkit".to_owned(),
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], body.to_string()).await
    }

    /// POST with a JSON body, as a future that borrows nothing.
    pub fn post_owned(&self, path: &'static str, body: Value) -> impl Future<Output = Reply> + use<> {
        let client = self.clone();
        async move { client.post(path, body).await }
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, &[], body.to_string()).await
    }

    /// DELETE without a body.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// Any method, any body, more headers. `Authorization` among the headers replaces the client's token.
    /// Panics if the response differs from the OpenAPI document.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request =
            Request::builder().method(method.clone()).uri(format!("http://{}{path}", self.address));
        let own_authorization = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(token) = &self.token
            && !own_authorization
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request = request.header(header::USER_AGENT, &self.user_agent);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a well-formed request");
        let response = self.http.request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body, bytes };
        if let Err(wrong) = Contract::get().check(&method, path, &reply) {
            panic!(
                "{method} {path} is answered otherwise than documented: {wrong}: {} {}",
                reply.status, reply.body
            );
        }
        reply
    }
}
