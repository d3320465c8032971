//! Deletion of old data, by rules that the settings give a time, and by order.
//!
//! A run of a rule (`job`) walks over what is older than a time, in short steps, and deletes it with the deeds for single
//! things, or only counts it. Runs are queued once a day (`schedule`), or by administrators (`order`). A rule has one run
//! at a time.

mod accounts;
mod addresses;
mod audit;
mod devices;
mod error;
mod job;
mod media;
mod order;
mod run;
mod schedule;
mod settings;
mod view;

pub use error::Error;
pub use job::{Outcome, job};
pub use order::{Cutoff, Order, order};
pub use reeve_rooms::lifetimes::Lifetimes;
pub use schedule::schedule;
pub use settings::{MessageSettings, Settings};
pub use view::{View, view};
