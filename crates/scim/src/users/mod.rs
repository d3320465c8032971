//! Users: accounts.
//!
//! A resource is an account that is neither a guest nor deleted. Accounts are never deleted in Matrix, since their ids must not be
//! given to anybody else: DELETE deactivates, and a deleted user who is created again is the same account. The name of an erased
//! account is taken.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod put;
mod search;
mod select;
mod view;
mod wanted;
mod write;

use reeve_app::Route;

pub(crate) use self::create::create;
pub(crate) use self::delete::delete;
pub(crate) use self::patch::patch;
pub(crate) use self::put::replace;
pub(crate) use self::select::page;

pub(crate) const PATH: &str = "/scim/v2/Users";
pub(crate) const ONE: &str = "/scim/v2/Users/{user_id}";

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
