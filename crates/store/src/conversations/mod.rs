//! Rooms, their events and members, and reports about them.

pub mod departures;
pub mod event_deletion;
pub mod event_words;
pub mod events;
pub mod lifetimes;
pub mod memberships;
pub mod notifications;
pub mod report_work;
pub mod reports;
pub(crate) mod room;
pub mod room_bin;
pub mod rooms;
pub mod silences;
pub mod threads;
pub mod transactions;

use reeve_db::Statement;

/// Every statement of these modules.
pub(crate) const STATEMENTS: &[&[&Statement]] = &[
    rooms::STATEMENTS,
    room_bin::STATEMENTS,
    departures::STATEMENTS,
    events::STATEMENTS,
    event_deletion::STATEMENTS,
    threads::STATEMENTS,
    event_words::STATEMENTS,
    notifications::STATEMENTS,
    silences::STATEMENTS,
    lifetimes::STATEMENTS,
    memberships::STATEMENTS,
    transactions::STATEMENTS,
    reports::STATEMENTS,
    report_work::STATEMENTS,
];
