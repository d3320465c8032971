//! Web servers that the server under test makes requests to.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

/// Maximum time to wait for a request before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A received request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Asked {
    /// The body as JSON; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A web server on a free port of 127.0.0.1.
pub struct Web {
    address: SocketAddr,
    asked: Mutex<mpsc::UnboundedReceiver<Asked>>,
}

impl Web {
    /// A server with these responses.
    pub async fn start(answer: impl Fn(&Asked) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (told, asked) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, answer) = (told.clone(), Arc::clone(&answer));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (told, answer) = (told.clone(), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
                        let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                        let asked = Asked {
                            method: head.method,
                            target,
                            headers: head.headers,
                            body: body.unwrap_or_default(),
                        };
                        let response = answer(&asked);
                        // The test may have stopped waiting.
                        let _ = told.send(asked);
                        Ok::<_, Infallible>(response.map(Full::new))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, asked: Mutex::new(asked) }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, received or to be received.
    pub async fn asked(&self) -> Asked {
        let mut asked = self.asked.lock().await;
        let next = tokio::time::timeout(PATIENCE, asked.recv()).await;
        next.expect("a request comes").expect("the server runs")
    }

    /// The number of received requests that were not read.
    pub async fn waiting(&self) -> usize {
        self.asked.lock().await.len()
    }
}
