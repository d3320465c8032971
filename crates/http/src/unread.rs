//! The unread rest of a request body.
//! <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>
//!
//! A handler that refuses a request early leaves its body on the connection, where it would be parsed as the
//! next request. So the body is drained if its end is near; otherwise the connection is closed with the
//! response, which announces it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Maximum number of bytes of an unwanted body that are drained.
pub(crate) const MAX_DRAINED: usize = 8 * 1024 * 1024;
/// Maximum time of draining.
const PATIENCE: Duration = Duration::from_secs(5);

/// The slot from which the reader takes a body.
pub(crate) type Slot = Arc<Mutex<Option<Body>>>;

/// The body of a request, until the response is sent.
pub(crate) struct Unread {
    slot: Slot,
    ended: Arc<AtomicBool>,
    /// True if the client waits for `100 Continue`.
    waits: bool,
    length: Option<usize>,
}

impl Unread {
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        let ended = Arc::new(AtomicBool::new(body.is_end_stream()));
        let body = Body::new(Noted { body, ended: Arc::clone(&ended) });
        Self {
            slot: Arc::new(Mutex::new(Some(body))),
            ended,
            waits: headers.contains_key(header::EXPECT),
            length: content_length(headers),
        }
    }

    /// Returns the slot of the body.
    pub(crate) fn slot(&self) -> Slot {
        Arc::clone(&self.slot)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Drains an unread body, if it is short and arrives soon; returns true if another request can follow.
    pub(crate) async fn finish(self) -> bool {
        let rest = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut rest) = rest
            && !self.has_ended()
            && !self.waits
            && self.length.is_none_or(|length| length <= MAX_DRAINED)
        {
            let reading = async {
                let mut read = 0_usize;
                while read <= MAX_DRAINED
                    && let Some(Ok(frame)) = rest.frame().await
                {
                    read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                }
            };
            // The end of the body shows whether it arrived in time.
            drop(tokio::time::timeout(PATIENCE, reading).await);
        }
        self.has_ended()
    }
}

/// Returns the announced length of a request body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that records when it was read to its end.
struct Noted {
    body: Body,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = axum_core::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum_core::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    fn body(pieces: usize, length: usize) -> Body {
        let frames =
            (0..pieces).map(move |_| Ok::<_, axum_core::Error>(Frame::data(Bytes::from(vec![0; length]))));
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_decides() {
        let none = HeaderMap::new();
        assert!(Unread::new(&none, Body::empty()).finish().await);
        assert!(Unread::new(&none, body(3, 1000)).finish().await);
        assert!(!Unread::new(&none, body(9, 1024 * 1024)).finish().await, "too long");
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum_core::Error>>());
        assert!(!Unread::new(&none, never).finish().await, "too slow");
        let waits = HeaderMap::from_iter([(header::EXPECT, http::HeaderValue::from_static("100-continue"))]);
        assert!(!Unread::new(&waits, body(1, 10)).finish().await, "it was not asked for");

        let read = Unread::new(&waits, body(2, 10));
        let taken = read.slot().lock().unwrap().take().unwrap();
        assert_eq!(taken.collect().await.unwrap().to_bytes().len(), 20);
        assert!(read.finish().await, "the handler read it");
        let begun = Unread::new(&none, body(2, 10));
        let mut taken = begun.slot().lock().unwrap().take().unwrap();
        assert!(taken.frame().await.is_some());
        drop(taken);
        assert!(!begun.finish().await, "the handler read a part");
    }
}
