//! Connection handling.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum_core::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_io_timeout::TimeoutWriter;

use crate::service::Service;
use crate::settings::Settings;
use crate::state::State;

/// The time that a stopping server waits for requests in progress.
const GRACE: Duration = Duration::from_secs(20);
/// The factor by which a streamed response may pause longer than one in memory. Media players pause while their
/// buffers are full.
const STREAM_FACTOR: u32 = 3;
/// The pause when the system has no more file handles.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` is set, then lets requests in progress finish, for a bounded time.
pub async fn serve<S: State>(
    listener: TcpListener,
    service: Arc<Service<S>>,
    settings: Settings,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(settings.header_timeout));
    let stall = settings.answer_timeout * STREAM_FACTOR;
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection cannot be set up");
        }
        let service = Arc::clone(&service);
        let answer = service_fn(move |request| respond(Arc::clone(&service), peer, request));
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(impatient(stream, stall)), answer);
        let watched = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            // A client that disconnects is not an error.
            if let Err(error) = watched.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in progress when the server stopped");
    }
}

/// Returns a connection that ends when the other side does not read what is written to it.
fn impatient<S: AsyncRead + AsyncWrite>(stream: S, stall: Duration) -> Pin<Box<TimeoutWriter<S>>> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(stall));
    Box::pin(stream)
}

async fn respond<S: State>(
    service: Arc<Service<S>>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    Ok(service.answer(peer.ip(), request.map(Body::new)).await)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the time of this test is tokio's")]
    async fn who_takes_nothing_is_left() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = impatient(ours, STALL);
        let began = tokio::time::Instant::now();
        let taking = tokio::spawn(async move {
            // Slow, but not stalled.
            for _ in 0..3 {
                tokio::time::sleep(STALL / 2).await;
                theirs.read_exact(&mut [0; 64]).await.unwrap();
            }
            theirs
        });
        let error = ours.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(
            (error.kind(), began.elapsed().as_secs()),
            (ErrorKind::TimedOut, (STALL * 5 / 2).as_secs())
        );
        drop(taking.await.unwrap());
    }
}
