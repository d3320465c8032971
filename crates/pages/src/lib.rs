//! Pages for people, on which they sign in and manage their accounts: one file per page.
//!
//! A page is a template and its values (`page::show`). A form is read with `Call::take_form`, which refuses one that is not from a page
//! of the same browser; it ends with 303 to the next page, or with the same page and what is wrong.

mod account;
mod asset;
mod authorize;
mod consent;
mod device;
mod email;
mod links;
mod login;
mod logout;
mod mail_link;
mod moment;
mod new_password;
mod oauth;
mod page;
mod problem;
mod proof;
mod recover;
mod register;
mod renew;
mod signed_in;
mod target;

use reeve_app::Route;

/// Returns every route of pages.
pub fn routes() -> Vec<Route> {
    let groups = [
        asset::routes(),
        login::routes(),
        logout::routes(),
        account::routes(),
        authorize::routes(),
        consent::routes(),
        device::routes(),
        register::routes(),
        recover::routes(),
        email::routes(),
        renew::routes(),
    ];
    groups.into_iter().flatten().collect()
}
