//! Acts on selections of accounts: what an order would do, its confirmation, and the job that does it.
//!
//! An order is shown first (`order`), and confirmed with a token that is bound to it. Its job (`job`) stores the
//! selected accounts (`selection`), and then does the act (`act`) on one after the other, with the rights that the
//! requester holds at that time (`requester`). Each act and its outcome are one transaction.

mod act;
mod control;
mod error;
mod job;
mod order;
mod requester;
mod selection;
mod spec;

pub use act::{Act, Means};
pub use control::{View, cancel, find, list, pause, prune, resume};
pub use error::Error;
pub use job::{Counts, job};
pub use order::{MAX_INCLUDED, Order, Preview, Started, Token, confirm, preview, start};
pub use selection::{Filter, LeftOut, MAX_USERS, Selection};
