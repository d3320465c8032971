//! Durable work. A job is queued in the transaction of its cause, survives a crash and can be watched.
//!
//! A job runs in steps. Each step is one short transaction that does a part of the work and stores the
//! progress, so that each part is done exactly once whatever happens between steps, and the one writer of the
//! embedded database is never held for long.

mod kind;
mod metrics;
mod news;
mod runner;

pub use reeve_store::jobs::Job;

pub use kind::{JobKind, Kind, Step, StepError, Work};
pub use runner::Jobs;
