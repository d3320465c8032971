//! A minimal HTTP/1.1 client, so that it uses little of the measured machine.

use std::net::SocketAddr;
use std::time::Duration;

use reeve_model::clock::monotonic;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Fallible;

/// One connection, reused for all requests.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

/// A response and its duration.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

impl Reply {
    /// The body as JSON; an error for statuses other than 2xx.
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

    /// Uses an open connection.
    pub(crate) fn over(stream: TcpStream, token: &str) -> Fallible<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), token: token.to_owned() })
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> Fallible<Reply> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let start = monotonic();
        self.stream.write_all(request.as_bytes()).await?;
        let (status, body) = answer(&mut self.stream).await?;
        Ok(Reply { status, body, took: start.elapsed() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Fallible<Reply> {
        self.send("GET", path, "").await
    }
}

/// Reads a whole response: its status and its body, with a length or in chunks.
async fn answer(stream: &mut (impl AsyncBufRead + Unpin)) -> Fallible<(u16, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("not an HTTP answer: {line:?}"))?;
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = true;
            }
        }
    }
    if chunked {
        return Ok((status, chunks(stream).await?));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((status, body))
}

/// Reads a body in chunks, up to its end.
async fn chunks(stream: &mut (impl AsyncBufRead + Unpin)) -> Fallible<Vec<u8>> {
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| format!("not the size of a chunk: {line:?}"))?;
        let read = (&mut *stream).take(size).read_to_end(&mut body).await?;
        if u64::try_from(read)? < size {
            return Err("the answer ends within a chunk".into());
        }
        // The end of line after a chunk; after the last, empty one there may be trailers first.
        loop {
            line.clear();
            let read = stream.read_line(&mut line).await?;
            if read == 0 {
                return Err("the answer ends before its last chunk".into());
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Fallible<(u16, Vec<u8>)> {
        answer(&mut text.as_bytes()).await
    }

    #[tokio::test]
    async fn two_answers_follow_each_other_whatever_ends_them() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\nC;x=y\r\n: \"0123\\r\\n\"\r\n1\r\n}\r\n0\r\nTrailer: 1\r\n\r\n\
                    HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        let mut stream = text.as_bytes();
        let first = answer(&mut stream).await.unwrap();
        assert_eq!(
            (first.0, String::from_utf8(first.1).unwrap()),
            (200, "{\"a\": \"0123\\r\\n\"}".to_owned())
        );
        assert_eq!(answer(&mut stream).await.unwrap(), (404, b"{}".to_vec()));
    }

    #[tokio::test]
    async fn what_is_cut_off_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in ["", "5\r\nab", "2\r\nab\r\n", "2\r\nab\r\n0\r\n", "zz\r\n"] {
            assert!(read(&format!("{head}{body}")).await.is_err(), "{body:?}");
        }
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").await.is_err());
        assert!(read("").await.is_err());
    }
}
