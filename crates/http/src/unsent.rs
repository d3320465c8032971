//! Responses that clients have not read yet.
//!
//! A large response is held in memory until the client reads it. The total is bounded, for all clients together
//! and for each client, so that one slow client does not shut out the others; a response that is not read is
//! dropped.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use reeve_model::{MatrixError, ServiceTokenNum, UserNum, clock};

/// Shorter responses are not counted, in bytes.
const SHORT: usize = 64 * 1024;
/// The size of the pieces that are sent, in bytes.
const PIECE: usize = 64 * 1024;
/// The part of the total that one client may use while there are other responses.
const SHARE: usize = 8;
/// Minimum rate at which a response must be read once its time is over, in bytes a second.
const SLOWEST: f64 = 16.0 * 1024.0;
/// The time after which a refused client may retry, in milliseconds.
const AGAIN_MS: i64 = 2000;

/// The owner of a response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// An account, by its number.
    Account(UserNum),
    /// A service token, by its number.
    Service(ServiceTokenNum),
    /// A client address.
    Address(Arc<str>),
}

#[derive(Default)]
struct Counted {
    all: usize,
    of: HashMap<Owner, usize>,
}

/// All responses that were not read yet.
pub(crate) struct Unsent {
    most: usize,
    patience: Duration,
    counted: Mutex<Counted>,
}

impl Unsent {
    /// Returns a bound of `most` bytes. A client may pause for as long as `patience`.
    pub(crate) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { most, patience, counted: Mutex::default() })
    }

    /// Reserves room for a response. A single response always fits, whatever its length.
    fn take(self: &Arc<Self>, owner: &Owner, bytes: usize) -> Option<Room> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counted.of.get(owner).copied().unwrap_or_default();
        let fits = |held: usize, most: usize| held == 0 || held.saturating_add(bytes) <= most;
        if !(fits(counted.all, self.most) && fits(own, self.most / SHARE)) {
            return None;
        }
        Some(self.add(&mut counted, owner, bytes))
    }

    fn add(self: &Arc<Self>, counted: &mut Counted, owner: &Owner, bytes: usize) -> Room {
        counted.all += bytes;
        *counted.of.entry(owner.clone()).or_default() += bytes;
        Room { unsent: Arc::clone(self), owner: owner.clone(), bytes }
    }

    /// Counts a response until it is read. If there is no room for it, and the request can be repeated, the
    /// client receives 429.
    pub(crate) fn hold(
        self: &Arc<Self>,
        owner: &Owner,
        may_ask_again: bool,
        response: Response,
    ) -> Result<Response, MatrixError> {
        let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let Some(length) = length.filter(|length| *length > SHORT) else { return Ok(response) };
        let room = match self.take(owner, length) {
            Some(room) => room,
            None if may_ask_again => return Err(MatrixError::limit_exceeded(AGAIN_MS)),
            None => self.add(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner), owner, length),
        };
        let (parts, body) = response.into_parts();
        // A body of known length is in memory, and is available at once.
        let Some(Ok(whole)) = body.collect().now_or_never() else {
            return Err(MatrixError::internal("the body of a response is not there"));
        };
        let held = Arc::new(Mutex::new(Held {
            bytes: whole.to_bytes(),
            sent: 0,
            began: clock::monotonic(),
            moved: clock::monotonic(),
            room: Some(room),
        }));
        tokio::spawn(watch(Arc::downgrade(&held), self.patience));
        Ok(Response::from_parts(parts, Body::new(Piecemeal { held, length })))
    }
}

/// The room reserved for a response, released when dropped.
struct Room {
    unsent: Arc<Unsent>,
    owner: Owner,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut counted = self.unsent.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all -= self.bytes;
        if let Some(own) = counted.of.get_mut(&self.owner) {
            *own -= self.bytes;
            if *own == 0 {
                counted.of.remove(&self.owner);
            }
        }
    }
}

/// A response, as far as it is held in memory.
struct Held {
    bytes: Bytes,
    sent: usize,
    began: Instant,
    /// The time at which the last piece was sent.
    moved: Instant,
    /// `None` after the response was read or dropped.
    room: Option<Room>,
}

impl Held {
    /// Returns true if the client reads too slowly.
    fn stands(&self, patience: Duration) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let most = patience.as_secs_f64() + self.sent as f64 / SLOWEST;
        self.moved.elapsed() >= patience || self.began.elapsed().as_secs_f64() > most
    }
}

/// Drops a response that is not read.
async fn watch(held: Weak<Mutex<Held>>, patience: Duration) {
    loop {
        tokio::time::sleep(patience / 4).await;
        let Some(held) = held.upgrade() else { return };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.room.is_none() {
            return;
        }
        if held.stands(patience) {
            (held.bytes, held.room) = (Bytes::new(), None);
            return;
        }
    }
}

/// A response that is sent in pieces, each with its own memory: a sent piece keeps nothing of the rest alive.
struct Piecemeal {
    held: Arc<Mutex<Held>>,
    length: usize,
}

impl HttpBody for Piecemeal {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.sent == self.length {
            return Poll::Ready(None);
        }
        if held.room.is_none() {
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        }
        let upto = held.sent.saturating_add(PIECE).min(self.length);
        let piece = Bytes::copy_from_slice(held.bytes.get(held.sent..upto).unwrap_or_default());
        (held.sent, held.moved) = (upto, clock::monotonic());
        if upto == self.length {
            (held.bytes, held.room) = (Bytes::new(), None);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        let sent = self.held.lock().unwrap_or_else(PoisonError::into_inner).sent;
        SizeHint::with_exact(u64::try_from(self.length - sent).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn answer(length: usize) -> Response {
        Response::new(Body::from((0..length).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>()))
    }

    fn all(unsent: &Unsent) -> usize {
        unsent.counted.lock().unwrap().all
    }

    #[tokio::test]
    async fn pieces_make_the_whole() {
        let unsent = Unsent::new(1_000_000, PATIENCE);
        let held = unsent.hold(&Owner::Account(UserNum::new(1)), true, answer(200_000)).unwrap();
        assert_eq!((all(&unsent), held.body().size_hint().exact()), (200_000, Some(200_000)));
        let whole = answer(200_000).into_body().collect().await.unwrap().to_bytes();
        assert!(held.into_body().collect().await.unwrap().to_bytes() == whole, "other bytes came");
        assert_eq!(all(&unsent), 0);
        assert!(unsent.counted.lock().unwrap().of.is_empty());
    }

    #[tokio::test]
    async fn room_is_shared() {
        let unsent = Unsent::new(1_600_000, PATIENCE);
        let hold = |owner, length| unsent.hold(&Owner::Account(UserNum::new(owner)), true, answer(length));
        let own = hold(1, 150_000).unwrap();
        assert!(hold(1, 70_000).is_err(), "more than a share");
        assert!(hold(1, SHORT).is_ok(), "short ones are not counted");
        let others: Vec<_> = (2..9).map(|owner| hold(owner, 200_000).unwrap()).collect();
        assert_eq!(hold(9, 200_000).unwrap_err().status, 429, "all room is taken");
        // A response that cannot be requested again is sent in any case.
        assert!(unsent.hold(&Owner::Account(UserNum::new(9)), false, answer(200_000)).is_ok());
        drop(others);
        assert!(hold(9, 200_000).is_ok());
        drop(own);
        assert_eq!(all(&unsent), 0);
        assert!(hold(1, 9_000_000).is_ok(), "one by itself always finds room");
    }

    #[test]
    fn little_at_a_time_is_too_little() {
        let unsent = Unsent::new(1_000_000, PATIENCE);
        let now = clock::monotonic();
        let stands = |sent: usize, since: u64| {
            let began = now.checked_sub(Duration::from_secs(since)).unwrap();
            let room = unsent.take(&Owner::Account(UserNum::new(1)), 1);
            Held { bytes: Bytes::new(), sent, began, moved: clock::monotonic(), room }.stands(PATIENCE)
        };
        assert!(!stands(100_000, 9) && !stands(100_000, 15));
        assert!(stands(100_000, 20), "100 kB in 20 seconds");
        assert!(!stands(400_000, 20));
    }

    #[tokio::test]
    async fn who_takes_nothing_loses_it() {
        let unsent = Unsent::new(1_000_000, Duration::from_millis(40));
        let mut body =
            unsent.hold(&Owner::Account(UserNum::new(1)), true, answer(200_000)).unwrap().into_body();
        assert!(body.frame().await.unwrap().is_ok());
        while all(&unsent) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(body.frame().await.unwrap().is_err(), "the rest is gone");
    }
}
