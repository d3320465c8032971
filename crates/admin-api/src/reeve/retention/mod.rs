//! Deletion of old data, by rules.

mod list;
mod run;

use reeve_app::Route;

const PATH: &str = "/_reeve/admin/v1/retention";

pub(crate) fn routes() -> Vec<Route> {
    vec![list::route(), run::route()]
}
