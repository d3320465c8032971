//! Groups: roles, and rooms and spaces that an account of the settings manages.
//!
//! A room is a group if the managing account has joined it: rooms that are created as groups, and those to which an operator lets it
//! join. So a server with a million rooms has as many groups as its operator wants, and no state of its own says which.

mod change;
mod create;
mod delete;
mod get;
mod group;
mod list;
mod patch;
mod put;
mod search;
mod select;
mod view;
mod write;

use reeve_app::Route;

pub(crate) use self::create::create;
pub(crate) use self::delete::delete;
pub(crate) use self::patch::patch;
pub(crate) use self::put::replace;
pub(crate) use self::select::page;

pub(crate) const PATH: &str = "/scim/v2/Groups";
pub(crate) const ONE: &str = "/scim/v2/Groups/{group_id}";
/// The scopes that a group needs beside the scope of its route.
const SCOPES: &str =
    "A group that is a role needs the scope `users:read` to be read, and `admins:write` to be changed.";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        list::route(),
        create::route(),
        search::route(),
        get::route(),
        put::route(),
        patch::route(),
        delete::route(),
    ]
}
