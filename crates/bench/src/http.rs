//! The plainest HTTP/1.1 client, so that it takes little of the machine that is measured.

use std::net::SocketAddr;

use reeve_model::clock::monotonic;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Fallible;

/// One connection, used again and again.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

/// What came back, and how long it took.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

impl Reply {
    /// The body as JSON; an error for other answers than 2xx.
    pub(crate) fn json(&self) -> Fallible<serde_json::Value> {
        if !(200..300).contains(&self.status) {
            return Err(format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, token: &str) -> Fallible<Self> {
        Self::over(TcpStream::connect(address).await?, token)
    }

    /// Goes on with a connection that is open already.
    pub(crate) fn over(stream: TcpStream, token: &str) -> Fallible<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), token: token.to_owned() })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> Fallible<Reply> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let start = monotonic();
        self.stream.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("not an HTTP answer: {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse()?;
                } else if name.eq_ignore_ascii_case("transfer-encoding") {
                    return Err("the answer has no length".into());
                }
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Reply { status, body, took: start.elapsed() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Fallible<Reply> {
        self.send("GET", path, "").await
    }
}
