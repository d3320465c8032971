//! The promises of the seam, held against both engines.

mod calls;
mod migrations;
mod outages;
mod support;
mod urls;
mod values;
