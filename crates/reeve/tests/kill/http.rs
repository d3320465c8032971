//! A client that detects the end of the server in the middle of a request.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A server that does not respond in this time hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection broke before a response: the request may have taken effect or not.
#[derive(Debug)]
pub(crate) struct Cut;

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// A text in the body; blank if there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

/// A user of the server, over one connection that is opened when first needed.
pub(crate) struct Client {
    address: SocketAddr,
    token: Option<String>,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned), stream: None }
    }

    /// Sends a request with the client's token.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &Value) -> Result<Reply, Cut> {
        let token = self.token.clone();
        self.send_as(token.as_deref(), method, path, body)
    }

    /// Sends a request with any token or none.
    pub(crate) fn send_as(
        &mut self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Reply, Cut> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, body) = self.send_bytes(token, method, path, body.as_bytes())?;
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("not JSON: {body:?}"));
        Ok(Reply { status, body })
    }

    /// Sends a request with any body and an optional token; returns the status and the body.
    pub(crate) fn send_bytes(
        &mut self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), Cut> {
        let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: kill\r\n{authorization}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        match self.exchange(&request) {
            Ok(reply) => Ok(reply),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{method} {path} was not answered in {} s", PATIENCE.as_secs())
            }
            Err(_) => {
                self.stream = None;
                Err(Cut)
            }
        }
    }

    /// GET from a server that is not going to be killed.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &Value::Null).unwrap_or_else(|Cut| panic!("GET {path}: the server is gone"))
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(BufReader::new(stream))
            }
        };
        stream.get_mut().write_all(request)?;
        let mut line = String::new();
        read_line(stream, &mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not HTTP: {line:?}"));
        let mut length = None;
        loop {
            read_line(stream, &mut line)?;
            match line.split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().ok();
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length.expect("answers say how long they are")];
        stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// Reads a line without its end; a connection that ends here is broken.
fn read_line(stream: &mut BufReader<TcpStream>, line: &mut String) -> std::io::Result<()> {
    line.clear();
    stream.read_line(line)?;
    if !line.ends_with("\r\n") {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.len() - 2);
    Ok(())
}
