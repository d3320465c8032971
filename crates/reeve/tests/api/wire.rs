//! HTTP on the wire: unread bodies, the `Host` header, and clients that do not read responses.

use std::time::Duration;

use reeve_testkit::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use reeve_testkit::tokio::net::TcpStream;
use reeve_testkit::tokio::time::timeout;
use reeve_testkit::{Client, Config, Server, on_both_engines};
use serde_json::json;

/// Maximum time until an expected response.
const SOON: Duration = Duration::from_secs(20);

/// Maximum time for several responses on the busiest machine.
const LATER: Duration = Duration::from_mins(2);
/// Number of megabytes in a long response: more than the system buffers for a client that reads nothing.
const PIECES: usize = 20;

/// A connection, and received bytes that were not read yet.
struct Wire {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Wire {
    async fn to(server: &Server) -> Self {
        Self { stream: TcpStream::connect(server.address()).await.unwrap(), came: Vec::new() }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head of the next response, in lower case; its body is skipped. `None` if the connection has ended.
    async fn answer(&mut self) -> Option<String> {
        timeout(SOON, async {
            loop {
                let end = self.came.windows(4).position(|window| window == b"\r\n\r\n");
                if let Some(end) = end {
                    let head = String::from_utf8_lossy(&self.came[..end]).to_lowercase();
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    let whole = end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
                    if self.came.len() >= whole {
                        self.came.drain(..whole);
                        return Some(head);
                    }
                }
                match self.stream.read_buf(&mut self.came).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .unwrap()
    }

    /// The status of the next response, and true if it announces the end of the connection.
    async fn status(&mut self) -> (u16, bool) {
        let head = self.answer().await.unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.contains("connection: close"))
    }
}

fn request(first_line: &str, headers: &str, body: &str) -> String {
    format!("{first_line} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn bearer(client: &Client) -> String {
    format!("authorization: Bearer {}\r\n", client.token.as_ref().unwrap())
}

/// Room for little, and little patience.
fn narrow(config: &mut Config) {
    config.http.answer_timeout = Duration::from_secs(3);
    config.http.max_unsent = 8 * 1024 * 1024;
    config.policy.limits.account_data_bytes = 64 * 1024 * 1024;
}

on_both_engines! {
    async fn refused_requests_leave_the_connection_in_order(server: Server) {
        let user = server.user("user").await;
        let (mut wire, token) = (Wire::to(&server).await, bearer(&user));
        let body = "x".repeat(20_000);
        for (first_line, headers, status) in [
            ("PUT /_synapse/admin/v2/users/@x:test", "", 401),
            ("PUT /_synapse/admin/v2/users/@x:test", &*token, 403),
            ("PUT /nowhere", "", 404),
            ("PUT /_matrix/client/versions", "", 405),
            ("GET /_matrix/client/versions", "", 200),
            ("GET /_matrix/client/v3/devices", "", 401),
            ("OPTIONS /_matrix/client/versions", "", 204),
        ] {
            for _ in 0..200 {
                wire.send(&request(first_line, headers, &body)).await;
                assert_eq!(wire.status().await, (status, false), "{first_line}");
            }
        }
        // A body that looks like a request is none.
        let hidden = request("GET /_matrix/client/versions", "", "");
        wire.send(&request("PUT /nowhere", "", &hidden)).await;
        wire.send(&request("DELETE /nowhere", "", "")).await;
        wire.send(&request("PUT /_matrix/client/versions", "", "")).await;
        assert_eq!([wire.status().await.0, wire.status().await.0, wire.status().await.0], [404, 404, 405]);
    }

    #[config(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.media = reeve_app::limits::RateLimit { per_second: 0.001, burst: 1 };
    })]
    async fn limited_requests_too(server: Server) {
        let user = server.user("user").await;
        let (mut wire, upload) = (Wire::to(&server).await, request("POST /_matrix/media/v3/upload", &bearer(&user), "12345"));
        wire.send(&upload).await;
        assert_eq!(wire.status().await, (200, false));
        for _ in 0..3 {
            wire.send(&upload).await;
            assert_eq!(wire.status().await, (429, false));
        }
    }

    async fn what_cannot_be_passed_over_ends_the_connection(server: Server) {
        // Longer than anybody reads for nothing.
        let mut wire = Wire::to(&server).await;
        wire.send("PUT /nowhere HTTP/1.1\r\nhost: test\r\ncontent-length: 100000000\r\n\r\nabc").await;
        assert_eq!(wire.status().await, (404, true));
        assert_eq!(wire.answer().await, None);
        // Not asked for, so that it is not sent.
        let mut wire = Wire::to(&server).await;
        wire.send("PUT /nowhere HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
        assert_eq!(wire.status().await, (404, true));
        assert_eq!(wire.answer().await, None);
        // Longer than uploads may be: the route refuses it before it reads.
        let (user, mut wire) = (server.user("user").await, Wire::to(&server).await);
        let head = bearer(&user);
        wire.send(&format!("POST /_matrix/media/v3/upload HTTP/1.1\r\nhost: test\r\n{head}content-length: 900000000\r\n\r\nabc")).await;
        assert_eq!(wire.status().await, (413, true));
        assert_eq!(wire.answer().await, None);
    }

    async fn one_host(server: Server) {
        for (head, status) in [
            ("HTTP/1.1\r\nhost: test\r\n", 200),
            ("HTTP/1.1\r\nHOST: test:8008\r\n", 200),
            ("HTTP/1.1\r\nhost: [::1]:8008\r\n", 200),
            ("HTTP/1.1\r\nhost:\r\n", 200),
            ("HTTP/1.0\r\n", 200),
            ("HTTP/1.0\r\nhost: test\r\n", 200),
            ("HTTP/1.1\r\n", 400),
            ("HTTP/1.1\r\nhost: a\r\nhost: b\r\n", 400),
            ("HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400),
            ("HTTP/1.0\r\nhost: a\r\nhost: b\r\n", 400),
            ("HTTP/1.1\r\nhost: a b\r\n", 400),
            ("HTTP/1.1\r\nhost: a/b\r\n", 400),
            ("HTTP/1.1\r\nhost: me@a\r\n", 400),
            ("HTTP/1.1\r\nhost: a:99999\r\n", 400),
            ("HTTP/1.1\r\nhost: a:\r\n", 200),
        ] {
            for (method, fine) in [("GET", 200), ("OPTIONS", 204)] {
                let mut wire = Wire::to(&server).await;
                wire.send(&format!("{method} /_matrix/client/versions {head}\r\n")).await;
                assert_eq!(wire.status().await.0, if status == 200 { fine } else { status }, "{method} {head}");
            }
        }
    }

    #[config(narrow)]
    async fn who_takes_no_answer_loses_it(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let long = "x".repeat(1_000_000);
        for client in [&alice, &bob] {
            for number in 0..PIECES {
                let path = format!("/_matrix/client/v3/user/{}/account_data/org.x{number}", client.user_id);
                assert_eq!(client.put(&path, json!({ "x": long })).await.status, 200);
            }
        }
        let sync = "/_matrix/client/v3/sync";
        let mut wires = Vec::new();
        let refused = timeout(LATER, async {
            loop {
                let mut wire = Wire::to(&server).await;
                wire.send(&request(&format!("GET {sync}"), &bearer(&alice), "")).await;
                // It begins to arrive, and stops, since the client does not read.
                wire.stream.readable().await.unwrap();
                wires.push(wire);
                // On a busy machine it is given up before another one asks.
                let reply = bob.get(sync).await;
                if reply.status != 200 {
                    break reply;
                }
            }
        });
        let refused = refused.await.unwrap();
        assert_eq!(refused.refusal().1, "M_LIMIT_EXCEEDED");
        assert_eq!((refused.status, &refused.body["retry_after_ms"]), (429, &json!(2000)));
        assert_eq!(bob.get("/_matrix/client/v3/account/whoami").await.status, 200, "short answers find room");
        // Soon there is room again, and the connection ends in the middle of the response.
        let whole = timeout(LATER, async {
            loop {
                let reply = bob.get(sync).await;
                if reply.status == 200 {
                    break reply;
                }
            }
        });
        assert_eq!(whole.await.unwrap().body["account_data"]["events"].as_array().unwrap().len(), PIECES + 1);
        let (mut wire, mut rest) = (wires.remove(0), Vec::new());
        drop(timeout(SOON, wire.stream.read_to_end(&mut rest)).await.unwrap());
        assert!(rest.len() < PIECES * 1_000_000, "{} bytes came all the same", rest.len());
    }
}
