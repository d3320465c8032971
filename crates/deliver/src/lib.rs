//! Deliveries to destinations outside the server: in order, at least once, with retries.
//!
//! A delivery has no row for a message. It has a cursor, and is marked when there may be something beyond it. A
//! [`Worker`] of one process claims a due delivery, with a lease. It plans a message from the cursor, sends it, stores
//! the new cursor and renews the lease, until nothing is left. The [`Kind`] of a delivery decides the messages.

mod kind;
mod metrics;
mod worker;

pub use kind::{End, Kind, Next, Outcome, Plan, Retry, Then};
pub use worker::Worker;
