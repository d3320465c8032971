//! Lists that are filtered, sorted and paged by offset: of accounts, of rooms, and of the uploads of an account.
//! Selections of accounts are counted and sorted in memory (`roster`).

pub mod media;
pub(crate) mod ngrams;
pub mod rooms;
pub mod roster;
pub mod selection;
pub mod users;

use reeve_db::Statement;

/// Every statement of lists.
pub(crate) fn statements() -> Vec<&'static Statement> {
    let own = [ngrams::STATEMENTS, rooms::STATEMENTS, media::STATEMENTS, media::counts::STATEMENTS];
    let of_orders = [rooms::PAGES, media::order::STATEMENTS].concat();
    [own.concat(), of_orders.concat(), users::statements(), roster::statements()].concat()
}
