//! Kinds of deliveries.

use std::fmt::Display;

use reeve_db::{DbError, FromValue, ReadTx, ToValue, Tx};
use reeve_model::{DeliveryKind, Millis};

/// A kind of delivery.
pub trait Kind: Send + Sync + 'static {
    /// The number of the row that a delivery is for.
    type Target: ToValue + FromValue + Copy + Display + Send + Sync + 'static;
    /// A position in the sequence that a delivery follows.
    type Cursor: ToValue + FromValue + Copy + Send + Sync + 'static;
    /// A message to send.
    type Message: Send + 'static;
    /// The data to store at the end of a message, besides the cursor.
    type Record: Send + 'static;
    /// An error of planning.
    type Error: From<DbError> + Display + Send + 'static;

    /// The kind. Its word is in the names of the metrics and in the log.
    const KIND: DeliveryKind;
    /// Maximum number of deliveries in progress in one process.
    const MAX_CONCURRENT: usize;
    /// The policy after failures.
    const RETRY: Retry;

    /// Plans the next step of a delivery from its cursor. It looks at the present state each time: between a failure and
    /// the next try a message may have become another, or none.
    fn plan(
        &self,
        tx: &ReadTx<'_>,
        target: Self::Target,
        cursor: Self::Cursor,
        now: Millis,
    ) -> Result<Plan<Self>, Self::Error>;

    /// Sends a message. A message is sent again if its end could not be stored, and dropped in the middle when the server
    /// stops.
    fn send(&self, message: Self::Message) -> impl Future<Output = Outcome> + Send;

    /// Stores the end of a message, in the transaction that stores the cursor. It may delete the row that the delivery is
    /// for, together with the delivery.
    fn store(
        &self,
        tx: &mut Tx<'_>,
        target: Self::Target,
        end: &End,
        record: &Self::Record,
        now: Millis,
    ) -> Result<(), DbError>;

    /// Returns the value of the label `kind` by which the metrics count a message.
    fn label(message: &Self::Message) -> &'static str;
}

/// The pauses after failures in a row, and the time after which there are no further tries; in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The pause after the first failure; it doubles with each.
    pub first_pause_ms: i64,
    /// The longest pause.
    pub max_pause_ms: i64,
    /// A message that fails for this time is given up.
    pub give_up_ms: i64,
}

impl Retry {
    /// Returns the pause after a failure that `failures` others came before, in milliseconds.
    pub(crate) fn pause_ms(self, failures: i64) -> i64 {
        self.first_pause_ms.saturating_mul(1 << failures.clamp(0, 30)).min(self.max_pause_ms)
    }
}

/// The next step of a delivery.
#[derive(Debug)]
pub struct Plan<K: Kind + ?Sized> {
    /// The message to send, if there is one.
    pub message: Option<K::Message>,
    /// The data to store at its end.
    pub record: K::Record,
    /// The state after it is delivered, or at once if there is no message.
    pub delivered: Next<K::Cursor>,
    /// The state after it is given up or rejected.
    pub given_up: Next<K::Cursor>,
}

/// The state of a delivery after a step.
#[derive(Clone, Copy, Debug)]
pub struct Next<Cursor> {
    /// The cursor.
    pub cursor: Cursor,
    /// The next thing to do.
    pub then: Then,
}

/// The next thing to do for a delivery.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// The next step: there may be more to deliver.
    Continue,
    /// Nothing, until the delivery is marked.
    Rest,
    /// Nothing, until a time, or until the delivery is marked.
    RestUntil(Millis),
}

/// The result of sending a message.
#[derive(Debug)]
pub enum Outcome {
    /// Delivered.
    Delivered,
    /// The destination has rejected it for good, for this reason.
    Rejected(String),
    /// Not delivered, for this reason. It is tried again.
    Failed(String),
    /// Not sent, since the settings of this server do not allow it, for this reason. It is tried again, too.
    Refused(String),
}

/// The end of a message.
#[derive(Debug)]
pub enum End {
    /// Delivered; also of a step without a message.
    Delivered,
    /// Given up, after it failed for too long; the last time for this reason.
    GivenUp(String),
    /// Rejected for good by the destination, for this reason.
    Rejected(String),
}
