//! Acts on selections of accounts: what an order would do, its confirmation, and the job that does it.
//!
//! An order is shown first (`order`), and confirmed with a token that is bound to it. The accounts are chosen (`selection`) when it
//! starts, and stored with it. Its job (`job`) does the act (`act`) on one after the other, with the rights that the requester
//! holds at that time (`requester`). Each act and its outcome are in one transaction.

mod act;
mod control;
mod error;
mod job;
mod order;
mod requester;
mod selection;
mod spec;

pub use act::{Act, Means};
pub use control::{View, cancel, find, find_outcomes, list, pause, prune, resume};
pub use error::Error;
pub use job::{Counts, job};
pub use order::{Confirmed, MAX_INCLUDED, Order, Preview, Started, Token, confirm, preview, start};
pub use selection::{LeftOut, MAX_USERS, Selection, choose};
