//! Archives of everything about one account: orders, the worker that writes them, links to download them, and their end.
//!
//! An order is a row (`order`). A worker claims it (`worker`), reads the parts of the archive (`parts`) in short transactions,
//! and writes them (`archive`) as one object of the media store between these. The row names the object when it is complete; an
//! object that a row does not name is swept as that of an interrupted upload is. An attempt that ends early is made again from
//! the beginning.
//!
//! This is not a kind of job: the steps of jobs are transactions, in which nothing can be written to the media store, and an
//! export of hours would hold one of the few places in which jobs run.

mod archive;
mod error;
mod format;
mod index;
mod link;
mod order;
mod parts;
mod settings;
mod view;
mod worker;

pub use error::Error;
pub use format::schema;
pub use link::{DOWNLOAD, Issued, create as create_link, is_noted, note, open};
pub use order::{delete, delete_own, find, find_own, list, order, order_own};
pub use settings::Settings;
pub use view::{ExportLink, ExportView};
pub use worker::Exports;
